/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watch - the deadlines of calls, the heartbeats of loops, systemd's watchdog.
 *
 * One timer stands at the earliest deadline anybody told of. Children tell only
 * of an earlier one (scoreboard's deadline_known_ns), so that under load the
 * master is rung once per timeout and not once per call; when the timer fires
 * the slots say what is really there.
 *
 * A call that overran is told to give up (its client is answered then), and
 * after kill_grace its process takes the ladder. A child in a call is not asked
 * for a heartbeat: it has a deadline.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "master/family.h"

static void
watch_set(struct master *master, int64_t at_ns)
{
	if (at_ns < master->deadline.at_ns)
		loop_timer_set(&master->loop, &master->deadline, at_ns);
}

/* Returns when this member's call has to be looked at next. */
static int64_t
watch_call(struct member *member, int64_t now_ns)
{
	struct master *master = member->master;
	struct slot *slot = &master->board.slot[member->slot];
	int64_t grace = master->current->conf->service.kill_grace;
	struct slot_snapshot shot;
	char reason[256];

	slot_snapshot(slot, &shot);
	if (!shot.in_call || shot.call.deadline_ns <= 0)
		return CLOCK_NEVER;
	if (shot.call.deadline_ns > now_ns)
		return shot.call.deadline_ns;
	double limit = clock_to_seconds(
	    shot.call.deadline_ns - shot.call.started_ns);
	if (member->overrun_ns != shot.call.started_ns) {
		member->overrun_ns = shot.call.started_ns;
		slot->cancel = shot.call.started_ns;
		member_kill(member, CHILD_SIGNAL_OVERRUN);
		log_warning(PRI_MEMBER ": %s has overrun its %.3f s serving "
				       "%s %s (id %s); told to give up",
		    ARG_MEMBER(member), shot.call.handler, limit,
		    shot.call.method, shot.call.path, shot.call.id);
		return now_ns + grace;
	}
	if (now_ns - shot.call.deadline_ns < grace)
		return shot.call.deadline_ns + grace;
	snprintf(reason, sizeof reason, "overran its deadline of %.3f s",
	    limit);
	member->overran = true;
	member_event(member, EVENT_STEP, reason);
	return CLOCK_NEVER;
}

static void
watch_on_deadline(void *ctx)
{
	struct master *master = ctx;
	int64_t now_ns = clock_now_ns();

	/* before the slots are read, so that a call begun meanwhile rings */
	for (int i = 0; i < ROLE_COUNT; i++)
		master->board.pool[i].deadline_known_ns = CLOCK_NEVER;
	for (unsigned i = 0; i < master->slots_used; i++) {
		struct member *member = &master->member[i];
		/* one that is starting for us may have said that it is ready
		 * and be in a call already */
		if (member->state == MEMBER_GONE ||
		    member->state == MEMBER_STOPPING)
			continue;
		int64_t next = watch_call(member, now_ns);
		board_tell_deadline(&master->board, member->pool->role_id,
		    next);
		watch_set(master, next);
	}
}

static void
watch_on_heartbeat(void *ctx)
{
	struct master *master = ctx;
	int64_t timeout = master->current->conf->service.heartbeat_timeout;
	int64_t now_ns = clock_now_ns();
	/* late ourselves: whatever held us up (a stop, a frozen container)
	 * held up the children too, and they come first */
	bool late = now_ns - master->heartbeat_due_ns > timeout / 4;
	char reason[128];

	for (unsigned i = 0; !late && i < master->slots_used; i++) {
		struct member *member = &master->member[i];
		const struct slot *slot = &master->board.slot[i];
		if (member->state != MEMBER_READY &&
		    member->state != MEMBER_DRAINING)
			continue;
		if (slot->call.started_ns != 0 ||
		    slot->heartbeat_ns > now_ns - member->mute_ns)
			continue;
		snprintf(reason, sizeof reason,
		    "its loop has not turned for %.1f s (heartbeat_timeout)",
		    clock_to_seconds(member->mute_ns));
		log_error(PRI_MEMBER ": %s; stopping it", ARG_MEMBER(member),
		    reason);
		member_event(member, EVENT_STEP, reason);
	}
	watch_configure(master);
}

void
watch_configure(struct master *master)
{
	master->heartbeat_due_ns = clock_now_ns() +
	    master->current->conf->service.heartbeat_timeout / 2;
	loop_timer_set(&master->loop, &master->heartbeat,
	    master->heartbeat_due_ns);
}

static void
watch_on_watchdog(void *ctx)
{
	struct master *master = ctx;

	fd_sd_notify("WATCHDOG=1");
	loop_timer_set(&master->loop, &master->watchdog,
	    clock_now_ns() + master->watchdog_ns);
}

void
watch_look(struct master *master)
{
	for (int i = 0; i < ROLE_COUNT; i++)
		watch_set(master, master->board.pool[i].deadline_known_ns);
	for (size_t i = 0; i < master->pools; i++) {
		struct pool *pool = master->pool[i];
		if (pool_is_sized(pool) &&
		    !master->board.pool[pool->role_id].armed)
			pool_review(pool);
	}
}

void
watch_init(struct master *master)
{
	const char *usec = getenv("WATCHDOG_USEC");

	loop_timer_init(&master->deadline, watch_on_deadline, master);
	loop_timer_init(&master->heartbeat, watch_on_heartbeat, master);
	loop_timer_init(&master->watchdog, watch_on_watchdog, master);
	watch_configure(master);
	if (usec && strtoll(usec, NULL, 10) > 0) {
		/* half of it, as sd_watchdog_enabled(3) asks */
		master->watchdog_ns = strtoll(usec, NULL, 10) * NS_PER_US / 2;
		watch_on_watchdog(master);
	}
}
