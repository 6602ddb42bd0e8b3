/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * death - what follows from the end of a member that nobody had told to end.
 *
 * One that had lived is replaced at once; one that died young after a delay
 * that doubles; one that says that another would fare no better (exit 78) not
 * at all until a reload. A pool that keeps dying is reported as held, and
 * slowed down alone: the master and the other pools never wait for it.
 *
 * A background handler may also return. Then its restart policy decides:
 *
 *                    always        on-failure    never
 *   returned         after delay   finished      finished
 *   returned failed  after delay   after delay   finished
 *   died             as any other  as any other  finished
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "master/family.h"

static const struct conf_background *
death_entry(const struct pool *pool)
{
	const struct conf *conf = pool->master->current->conf;
	int entry = pool_entry(pool, conf);

	return entry >= 0 ? &conf->background.v[entry] : NULL;
}

bool
pool_has_returned(const struct pool *pool, const struct member *member,
    int status)
{
	return role_info[pool->role_id].kind == ROLE_EACH &&
	    member->ready_ns != 0 && WIFEXITED(status) &&
	    (WEXITSTATUS(status) == 0 ||
		WEXITSTATUS(status) == CHILD_EXIT_FAILED);
}

/* Died so early, and not over a request, that its successor may as well. */
static bool
death_was_young(const struct pool *pool, const struct member *member,
    bool in_call)
{
	const struct conf *conf = pool->master->current->conf;

	if (member->ready_ns == 0)
		return true;
	/* a background handler is one call for all its life */
	if (in_call && role_info[pool->role_id].kind != ROLE_EACH)
		return false;
	return clock_now_ns() - member->ready_ns < conf->service.respawn_young;
}

/* One more young death; true when it ended the start. */
static bool
death_count_young(struct pool *pool, int64_t at_least_ns, const char *what)
{
	struct master *master = pool->master;
	const struct conf *conf = master->current->conf;

	pool->young_deaths++;
	loop_timer_cancel(&master->loop, &pool->calm);
	pool_wait(pool, at_least_ns);
	if (pool->held ||
	    pool->young_deaths < (unsigned)conf->service.respawn_hold)
		return false;
	pool->held = true;
	mem_copy_string(pool->held_reason, sizeof pool->held_reason, what);
	if (master->phase != PHASE_STARTING)
		return false;
	master_start_failed(master, EXIT_FAILURE, what);
	return true;
}

static void
death_finish(struct pool *pool, int level, const char *what)
{
	pool->ended = pool->finished = true;
	pool_note(pool, level, "%s; not started again, as its 'restart' says",
	    what);
	master_changed(pool->master);
}

void
pool_on_return(struct pool *pool, int status, const char *reason)
{
	const struct conf_background *entry = death_entry(pool);
	struct master *master = pool->master;
	bool failed = WEXITSTATUS(status) == CHILD_EXIT_FAILED;
	char what[512];

	snprintf(what, sizeof what, "its handler has %s%s%.400s",
	    failed ? "failed" : "returned", reason[0] ? ": " : "", reason);
	if (!entry || master->phase == PHASE_STOPPING)
		return;
	if (entry->restart == CONF_AGAIN_NEVER ||
	    (entry->restart == CONF_AGAIN_ON_FAILURE && !failed)) {
		death_finish(pool, failed ? LOG_LEVEL_ERROR : LOG_LEVEL_NOTICE,
		    what);
		return;
	}
	pool->ended = true;
	if (failed) {
		pool->restarts++;
		mem_copy_string(pool->last_restart, sizeof pool->last_restart,
		    what);
		/* however long it took: it has failed as often as this */
		if (death_count_young(pool, entry->delay, what))
			return;
	} else {
		pool_unhold(pool);
		pool->ended = true;
		pool_wait(pool, entry->delay);
		backoff_reset(&pool->backoff);
	}
	pool_note(pool, failed ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
	    "%s%s; starting it again in %.1f s", what,
	    pool->held ? "; held" : "",
	    clock_to_seconds(pool->retry_at_ns - clock_now_ns()));
	master_changed(master);
}

static void
death_hold_for_good(struct pool *pool, const struct member *member,
    const char *what)
{
	pool->held_for_good = pool->held = true;
	mem_copy_string(pool->held_reason, sizeof pool->held_reason, what);
	pool_note(pool, LOG_LEVEL_ERROR,
	    PRI_MEMBER " %s; held until a reload, starting another cannot help",
	    ARG_MEMBER(member), what);
}

void
pool_on_death(struct pool *pool, const struct member *member,
    const struct slot_snapshot *shot, int status, const char *what)
{
	struct master *master = pool->master;
	const struct conf_background *entry = death_entry(pool);

	if (!stop_keeps(master, pool->role_id))
		return;
	if (pool_has_returned(pool, member, status)) {
		pool_on_return(pool, status, shot->last_error);
		return;
	}
	pool->restarts++;
	mem_copy_string(pool->last_restart, sizeof pool->last_restart, what);
	bool hopeless = WIFEXITED(status) &&
	    WEXITSTATUS(status) == CHILD_EXIT_CONFIG;
	if (master->phase == PHASE_STARTING && member->ready_ns == 0) {
		master_start_failed(master, hopeless ? CHILD_EXIT_CONFIG : 1,
		    what);
		return;
	}
	if (pool_is(pool, ROLE_HUB) && master->settling)
		reload_settle(master, what);
	if (hopeless) {
		death_hold_for_good(pool, member, what);
		return;
	}
	if (entry && entry->restart == CONF_AGAIN_NEVER) {
		death_finish(pool, LOG_LEVEL_ERROR, what);
		return;
	}
	if (!death_was_young(pool, member, shot->in_call)) {
		pool_note(pool, LOG_LEVEL_ERROR,
		    PRI_MEMBER " %s; starting another at once",
		    ARG_MEMBER(member), what);
		return;
	}
	if (death_count_young(pool, 0, what))
		return;
	int64_t wait_ns = pool->retry_at_ns - clock_now_ns();
	pool_note(pool, LOG_LEVEL_ERROR,
	    PRI_MEMBER
	    " %s; died young, %u in a row%s; starting another in %.1f s",
	    ARG_MEMBER(member), what, pool->young_deaths,
	    pool->held ? "; held" : "",
	    clock_to_seconds(wait_ns > 0 ? wait_ns : 0));
}
