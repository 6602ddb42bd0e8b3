/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool - holds what policy decides against what there is, and makes up the
 * difference: spawns, retires, replaces, waits after failures.
 *
 * pool_review() may be called at any time and any number of times; it is what
 * everything that changes a pool ends in. A pool that keeps dying is slowed
 * down here, alone: the master and the other pools never wait for it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/why.h"
#include "master/family.h"

/* Forks in one turn of the loop; the rest follows in the next. */
#define POOL_FORKS_A_TURN 32

void
pool_note(struct pool *pool, int level, const char *format, ...)
{
	struct pool_note *note = &pool->note[pool->notes++ % POOL_NOTES];
	va_list ap;

	note->wall_ns = clock_wall_ns();
	va_start(ap, format);
	vsnprintf(note->text, sizeof note->text, format, ap);
	va_end(ap);
	log_write((enum log_level)level, "pool %s: %s", pool->name, note->text);
}

void
pool_count(const struct pool *pool, struct pool_count *count)
{
	const struct master *master = pool->master;

	memset(count, 0, sizeof *count);
	for (unsigned i = 0; i < master->slots_used; i++) {
		const struct member *m = &master->member[i];
		if (m->pool != pool || m->state == MEMBER_GONE)
			continue;
		count->starting += m->state == MEMBER_STARTING;
		count->ready += m->state == MEMBER_READY;
		count->draining += m->state == MEMBER_DRAINING;
		count->stopping += m->state == MEMBER_STOPPING;
		if (m->state != MEMBER_STARTING && m->state != MEMBER_READY)
			continue;
		if (m->generation != master->current->generation)
			continue;
		if (m->retiring) {
			count->retiring++;
			continue;
		}
		count->live++;
		count->live_ready += m->state == MEMBER_READY;
		if (m->state == MEMBER_READY &&
		    master->board.slot[i].call.started_ns != 0)
			count->busy++;
	}
	/* the bits of a role whose size is fixed are nobody's business */
	count->spare = pool_is_sized(pool) ?
	    board_count_spare(&master->board, pool->role_id) :
	    count->ready - count->busy;
}

int
pool_members(const struct pool *pool)
{
	const struct master *master = pool->master;
	int n = 0;

	for (unsigned i = 0; i < master->slots_used; i++)
		n += master->member[i].pool == pool &&
		    member_alive(&master->member[i]);
	return n;
}

int
pool_wanted(const struct pool *pool)
{
	if (pool->finished || !pool_in(pool, pool->master->current->conf))
		return 0;
	return pool->policy.target;
}

static void
pool_on_decide(void *ctx)
{
	pool_review(ctx);
}

static void
pool_on_respawn(void *ctx)
{
	struct pool *pool = ctx;

	pool->ended = false;
	pool_review(pool);
}

static void
pool_on_calm(void *ctx)
{
	struct pool *pool = ctx;

	if (pool->held)
		pool_note(pool, LOG_LEVEL_NOTICE,
		    "has stopped dying; no longer held");
	pool->young_deaths = 0;
	pool->held = false;
	backoff_reset(&pool->backoff);
	master_changed(pool->master);
}

static void
pool_read_backoff(struct pool *pool, const struct conf *conf)
{
	backoff_init(&pool->backoff, conf->service.respawn_min_delay,
	    pool->role_id == ROLE_HUB ? conf->hub.respawn_max_delay :
					conf->service.respawn_max_delay);
}

void
pool_init(struct pool *pool, const struct conf *conf)
{
	struct policy_limits limits;

	pool->scaled = -1;
	loop_timer_init(&pool->decide, pool_on_decide, pool);
	loop_timer_init(&pool->respawn, pool_on_respawn, pool);
	loop_timer_init(&pool->calm, pool_on_calm, pool);
	pool_read_limits(pool, conf, &limits);
	policy_init(&pool->policy, &limits);
	pool_read_backoff(pool, conf);
}

void
pool_configure(struct pool *pool, const struct conf *conf)
{
	struct policy_limits limits;

	pool_read_limits(pool, conf, &limits);
	policy_set_limits(&pool->policy, &limits);
	if (pool->scaled > limits.max) {
		pool_note(pool, LOG_LEVEL_NOTICE,
		    "scaled to %d by the"
		    " operator, but max is %d now",
		    pool->scaled, limits.max);
		pool->scaled = limits.max;
	}
	pool_read_backoff(pool, conf);
}

void
pool_unhold(struct pool *pool)
{
	pool->young_deaths = 0;
	pool->held = pool->held_for_good = false;
	pool->ended = pool->finished = false;
	pool->held_reason[0] = '\0';
	backoff_reset(&pool->backoff);
	loop_timer_cancel(&pool->master->loop, &pool->respawn);
}

void
pool_scale(struct pool *pool, int n)
{
	pool->scaled = n;
	if (n < 0)
		pool_note(pool, LOG_LEVEL_NOTICE,
		    "sized %s again, by the operator",
		    pool->policy.limits.fixed ? "as its config says" :
						"automatically");
	else
		pool_note(pool, LOG_LEVEL_NOTICE,
		    "scaled to %d by the operator", n);
	pool_unhold(pool);
	pool_review(pool);
}

void
pool_wait(struct pool *pool, int64_t at_least_ns)
{
	struct master *master = pool->master;

	if (loop_timer_is_set(&pool->respawn))
		return;
	int64_t delay = backoff_next(&pool->backoff, (uint32_t)mrand48());
	if (delay < at_least_ns)
		delay = at_least_ns;
	pool->retry_at_ns = clock_now_ns() + delay;
	loop_timer_set(&master->loop, &pool->respawn, pool->retry_at_ns);
}

/* A start is as impatient with forks that fail as with mute children. */
static bool
pool_start_gives_up(struct pool *pool, const struct why *why)
{
	struct master *master = pool->master;

	if (master->phase != PHASE_STARTING ||
	    clock_now_ns() - master->started_ns <
		master->current->conf->service.start_timeout)
		return false;
	master_start_failed(master, EXIT_FAILURE, why->text);
	return true;
}

static void
pool_spawn(struct pool *pool, int n)
{
	struct master *master = pool->master;
	struct why why;

	if (pool->held_for_good || loop_timer_is_set(&pool->respawn))
		return;
	for (int i = 0; i < n && i < POOL_FORKS_A_TURN; i++) {
		if (spawn_member(pool, master->current, &why)) {
			/* what failed before was the fork, and is over */
			if (pool->young_deaths == 0)
				backoff_reset(&pool->backoff);
			continue;
		}
		if (pool_start_gives_up(pool, &why))
			return;
		pool_wait(pool, 0);
		pool_note(pool, LOG_LEVEL_ERROR, "%s; retrying in %.1f s",
		    why.text,
		    clock_to_seconds(pool->retry_at_ns - clock_now_ns()));
		return;
	}
	if (n > POOL_FORKS_A_TURN)
		loop_timer_set(&master->loop, &pool->decide, clock_now_ns());
}

/* The one that is missed least: still starting, then idle, then the newest. */
static struct member *
pool_least_needed(struct pool *pool)
{
	struct master *master = pool->master;
	struct member *best = NULL;
	int best_score = -1;

	for (unsigned i = 0; i < master->slots_used; i++) {
		struct member *m = &master->member[i];
		if (m->pool != pool || m->retiring ||
		    m->generation != master->current->generation)
			continue;
		int score = m->state == MEMBER_STARTING ?
		    2 :
		    m->state != MEMBER_READY ?
		    -1 :
		    master->board.slot[i].call.started_ns == 0;
		if (score >= 0 && score >= best_score) {
			best = m;
			best_score = score;
		}
	}
	return best;
}

/* Those that asked to be replaced go once their replacements are ready. */
static void
pool_drain_retiring(struct pool *pool)
{
	struct master *master = pool->master;

	for (unsigned i = 0; i < master->slots_used; i++) {
		struct member *m = &master->member[i];
		if (m->pool == pool && m->state == MEMBER_READY && m->retiring)
			member_event(m, EVENT_ORDER_DRAIN,
			    "asked to be replaced");
	}
}

/* What the children have to know to ring at the right moment. */
static void
pool_publish(struct pool *pool, const struct pool_count *count)
{
	struct master *master = pool->master;
	struct board_pool *shared = &master->board.pool[pool->role_id];
	bool can_grow = policy_can_grow(&pool->policy, pool->scaled);
	int min_spare = pool->policy.limits.min_spare;

	shared->children = count->ready;
	shared->at_max = !can_grow;
	shared->min_spare = can_grow ? min_spare : -1;
	if (!can_grow || count->spare + count->starting < min_spare)
		return;
	shared->armed = 1;
	/* the last one may have turned busy just before it was armed */
	if (board_count_spare(&master->board, pool->role_id) + count->starting <
	    min_spare)
		loop_timer_set(&master->loop, &pool->decide, clock_now_ns());
}

static void
pool_decide(struct pool *pool, const struct pool_count *count)
{
	struct master *master = pool->master;
	struct board_pool *shared = &master->board.pool[pool->role_id];
	struct policy_decision decision;
	struct policy_view view = {
		.now_ns = clock_now_ns(),
		.live = count->live,
		.starting = count->starting,
		.spare = count->spare,
		.low = shared->low,
		.scaled = pool->scaled,
	};

	policy_decide(&pool->policy, &view, &decision);
	if (decision.new_window)
		shared->low = count->spare;
	if (decision.why[0])
		pool_note(pool, LOG_LEVEL_INFO, "%s", decision.why);
	if (decision.ask_again_ns != CLOCK_NEVER)
		loop_timer_set(&master->loop, &pool->decide,
		    decision.ask_again_ns);
	else
		loop_timer_cancel(&master->loop, &pool->decide);
}

/* Not now, whatever is missing. */
static bool
pool_must_wait(const struct pool *pool, const struct pool_count *count)
{
	const struct master *master = pool->master;
	const struct pool *hub = pools_find(master, role_info[ROLE_HUB].name);
	struct pool_count its;

	/* two hubs would write to one store */
	if (pool_is(pool, ROLE_HUB))
		return count->starting + count->ready + count->draining +
		    count->stopping >
		    0;
	if (master->phase != PHASE_STARTING)
		return false;
	/* the hub comes first: what it finds wrong ends the start */
	pool_count(hub, &its);
	return its.ready == 0;
}

void
pool_review(struct pool *pool)
{
	struct master *master = pool->master;
	struct pool_count count;

	/* those who drain before the hub may still need another one */
	if (master->phase == PHASE_STOPPING &&
	    !(pool_is(pool, ROLE_HUB) && stop_keeps(master, ROLE_HUB)))
		return;
	pool_count(pool, &count);
	/* a reload counts on the numbers it began with */
	if (pool_is_sized(pool) && !master->reload &&
	    master->phase == PHASE_RUNNING)
		pool_decide(pool, &count);

	int missing = pool_wanted(pool) - count.live;
	if (missing > 0 && !pool_must_wait(pool, &count))
		pool_spawn(pool, missing);
	for (; missing < 0; missing++) {
		struct member *member = pool_least_needed(pool);
		if (!member)
			break;
		member_event(member, EVENT_ORDER_DRAIN, "more than needed");
	}
	if (count.retiring > 0 && count.live_ready >= pool_wanted(pool))
		pool_drain_retiring(pool);
	if (!pool_is_sized(pool))
		return;
	pool_count(pool, &count);
	pool_publish(pool, &count);
}

void
pool_on_room(struct pool *pool)
{
	if (pool->young_deaths == 0 && !pool->ended)
		loop_timer_cancel(&pool->master->loop, &pool->respawn);
}

void
pool_on_ready(struct pool *pool, struct member *member)
{
	struct master *master = pool->master;

	if (pool_is(pool, ROLE_HUB) && master->settling &&
	    member->generation == master->current->generation)
		reload_settle(master, NULL);
	if (pool->young_deaths > 0 && !loop_timer_is_set(&pool->calm))
		loop_timer_set(&master->loop, &pool->calm,
		    clock_now_ns() +
			master->current->conf->service.respawn_young);
	pool_review(pool);
	/* the others have waited for it */
	if (pool_is(pool, ROLE_HUB) && master->phase == PHASE_STARTING)
		for (size_t i = 0; i < master->pools; i++)
			pool_review(master->pool[i]);
}
