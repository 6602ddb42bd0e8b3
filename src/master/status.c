/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * status - what the operator is told, as JSON: the family, its pools, every
 * child with what it is doing. Reads the scoreboard through snapshots and a few
 * lines of /proc; changes nothing.
 */
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/control.h"

#ifndef BROOD_VERSION
#define BROOD_VERSION "unknown"
#endif

static json_t *
status_seconds(int64_t ns)
{
	return json_real((double)(ns / NS_PER_MS) / 1000.0);
}

static json_t *
status_text_or_null(const char *text)
{
	return text[0] ? control_text(text) : json_null();
}

static json_t *
status_int_unless(bool none, int value)
{
	return none ? json_null() : json_integer(value);
}

/* Resident bytes, from /proc/PID/statm; 0 when it is gone. */
static json_int_t
status_rss(pid_t pid)
{
	char path[40], text[128];
	long pages = 0;

	snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	if (sscanf(text, "%*s %ld", &pages) != 1)
		return 0;
	return (json_int_t)pages * sysconf(_SC_PAGESIZE);
}

static json_t *
status_call(const struct slot_snapshot *shot, int64_t now_ns)
{
	if (!shot->in_call)
		return json_null();
	/* that of a background handler has none */
	json_t *left = shot->call.deadline_ns > 0 ?
	    status_seconds(shot->call.deadline_ns - now_ns) :
	    json_null();
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "id",
	    shot->call.id, "door", door_name((enum call_door)shot->call.door),
	    "method", shot->call.method, "path", shot->call.path, "handler",
	    shot->call.handler, "peer", shot->call.peer, "age",
	    status_seconds(now_ns - shot->call.started_ns), "deadline_in",
	    left);
}

static json_t *
status_child(const struct member *member, int64_t now_ns)
{
	const struct slot *slot = &member->master->board.slot[member->slot];
	struct slot_snapshot shot;

	slot_snapshot(slot, &shot);
	bool busy = member->state == MEMBER_READY && shot.in_call;
	return json_pack("{s:i, s:s, s:i, s:s, s:i, s:o, s:I, s:I, s:i, s:o,"
			 " s:I, s:o, s:i, s:o, s:o, s:b}",
	    "slot", (int)member->slot, "role", member->pool->name, "pid",
	    (int)member->pid, "state",
	    busy ? "busy" : member_state_name(member->state), "generation",
	    (int)member->generation, "uptime",
	    status_seconds(now_ns - member->forked_ns), "calls",
	    (json_int_t)shot.calls, "errors", (json_int_t)shot.errors,
	    "connections", (int)shot.connections, "heartbeat_age",
	    status_seconds(now_ns - shot.heartbeat_ns), "rss_bytes",
	    status_rss(member->pid), "call", status_call(&shot, now_ns),
	    "restarts", (int)member->restarts, "why",
	    status_text_or_null(member->why), "note",
	    status_text_or_null(shot.note), "trouble", (int)shot.note_trouble);
}

static json_t *
status_pool(const struct pool *pool, int64_t now_ns)
{
	const struct master *master = pool->master;
	const struct policy_limits *limits = &pool->policy.limits;
	struct histogram latency = pool->latency;
	uint64_t calls = pool->calls, errors = pool->errors;
	struct pool_count count;

	pool_count(pool, &count);
	for (unsigned i = 0; i < master->slots_used; i++) {
		const struct member *m = &master->member[i];
		if (m->state == MEMBER_GONE || m->pool != pool)
			continue;
		calls += master->board.slot[i].calls;
		errors += master->board.slot[i].errors;
		histogram_merge(&latency, &master->board.slot[i].latency);
	}
	json_t *target = !pool_is_sized(pool) ? json_string("fixed") :
	    pool->scaled < 0		      ? json_string("auto") :
						json_integer(pool->scaled);
	json_t *retry = loop_timer_is_set(&pool->respawn) ?
	    status_seconds(pool->retry_at_ns - now_ns) :
	    json_null();
	return json_pack("{s:s, s:o, s:i, s:i, s:i, s:i, s:i, s:i, s:o, s:o,"
			 " s:i, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}",
	    "role", pool->name, "target", target, "wanted", pool_wanted(pool),
	    "ready", count.ready, "busy", count.busy, "spare", count.spare,
	    "starting", count.starting, "draining",
	    count.draining + count.stopping, "min_spare",
	    status_int_unless(limits->fixed, limits->min_spare), "max_spare",
	    status_int_unless(limits->fixed, limits->max_spare), "max",
	    limits->max, "calls", (json_int_t)calls, "errors",
	    (json_int_t)errors, "p50_us",
	    (json_int_t)(histogram_quantile(&latency, 0.5) / NS_PER_US),
	    "p99_us",
	    (json_int_t)(histogram_quantile(&latency, 0.99) / NS_PER_US),
	    "restarts", (json_int_t)pool->restarts, "held",
	    pool->held ? status_text_or_null(pool->held_reason[0] ?
				 pool->held_reason :
				 "it keeps dying young") :
			 json_null(),
	    "retry_in", retry, "last_restart",
	    status_text_or_null(pool->last_restart));
}

static const char *
status_phase(const struct master *master)
{
	switch (master->phase) {
	case PHASE_STARTING:
		return "starting";
	case PHASE_STOPPING:
		return "stopping";
	case PHASE_RUNNING:
		break;
	}
	return master->reload || master->settling ? "reloading" : "running";
}

static json_t *
status_reload(const struct master *master)
{
	char at[CLOCK_TEXT_SIZE];

	if (!master->reload_result[0])
		return json_null();
	return json_pack("{s:o, s:s}", "last",
	    control_text(master->reload_result), "at",
	    clock_format_wall(master->reload_wall_ns, at));
}

json_t *
status_report(struct master *master)
{
	int64_t now_ns = clock_now_ns();
	json_t *listen = json_array(), *pools = json_array(),
	       *children = json_array();

	for (size_t i = 0; i < master->current->listen.n; i++)
		json_array_append_new(listen,
		    control_text(master->current->listen.v[i].text));
	for (size_t i = 0; i < master->pools; i++)
		json_array_append_new(pools,
		    status_pool(master->pool[i], now_ns));
	for (unsigned i = 0; i < master->slots_used; i++)
		if (master->member[i].state != MEMBER_GONE)
			json_array_append_new(children,
			    status_child(&master->member[i], now_ns));
	return json_pack("{s:s, s:s, s:i, s:s, s:o, s:i, s:o, s:s, s:o, s:o,"
			 " s:o, s:o}",
	    "service", master->current->conf->service.name, "version",
	    BROOD_VERSION, "pid", (int)master->pid, "state",
	    status_phase(master), "uptime",
	    status_seconds(now_ns - master->started_ns), "generation",
	    (int)master->current->generation, "config",
	    control_text(master->current->conf->file), "log_level",
	    log_level_name((enum log_level)master->board.header->log_level),
	    "reload", status_reload(master), "listen", listen, "pools", pools,
	    "children", children);
}

json_t *
status_explain(struct pool *pool)
{
	const struct policy_limits *limits = &pool->policy.limits;
	json_t *decisions = json_array();
	struct pool_count count;
	char now[400], at[CLOCK_TEXT_SIZE];

	unsigned first = pool->notes > POOL_NOTES ? pool->notes - POOL_NOTES :
						    0;
	for (unsigned i = first; i < pool->notes; i++) {
		const struct pool_note *note = &pool->note[i % POOL_NOTES];
		json_array_append_new(decisions,
		    json_pack("{s:s, s:o}", "at",
			clock_format_wall(note->wall_ns, at), "text",
			control_text(note->text)));
	}
	pool_count(pool, &count);
	if (!pool_is_sized(pool))
		snprintf(now, sizeof now, "%d ready of %d%s", count.live_ready,
		    pool_wanted(pool),
		    pool->finished  ? ", it has ended for good" :
			pool->ended ? ", it has returned and is started again" :
				      ", its size is fixed");
	else if (pool->scaled >= 0)
		snprintf(now, sizeof now,
		    "%d ready of %d, scaled by the"
		    " operator",
		    count.live_ready, pool->scaled);
	else if (limits->fixed)
		snprintf(now, sizeof now,
		    "%d ready of %d, as %s.children says; it does not change "
		    "with the load",
		    count.live_ready, limits->start, pool->name);
	else
		snprintf(now, sizeof now,
		    "%d ready of %d (start %d, max %d),"
		    " %d spare (min_spare %d, max_spare %d)",
		    count.live_ready, pool->policy.target, limits->start,
		    limits->max, count.spare, limits->min_spare,
		    limits->max_spare);
	if (pool->held)
		snprintf(now + strlen(now), sizeof now - strlen(now),
		    "; held: %.200s", pool->held_reason);
	return json_pack("{s:s, s:o, s:s}", "role", pool->name, "decisions",
	    decisions, "now", now);
}
