/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stop - the end of the family, in an order.
 *
 *   rest ──► amqp ──► task, background ──► hub     each once those before are
 *                                                  gone
 * A REST worker that drains still waits for the hub and for task workers; an
 * amqp child for those that work on what the broker has delivered to it, to
 * acknowledge it; and what ends in a task worker is told to the hub. So each
 * drains while those it needs are there. service.stop_timeout is for all stages
 * together: who comes late finds little of it left, and takes the ladder. "Now"
 * is everybody at once.
 */
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "master/family.h"

static enum stop_stage
stop_stage_of(enum role_id role)
{
	switch (role) {
	case ROLE_REST:
		return STOP_REST;
	case ROLE_AMQP:
		return STOP_AMQP;
	case ROLE_HUB:
		return STOP_HUB;
	default:
		return STOP_WORK;
	}
}

bool
stop_keeps(const struct master *master, enum role_id role)
{
	return master->phase != PHASE_STOPPING ||
	    stop_stage_of(role) > master->stage;
}

/* Tells those of the stage, or everybody. */
static void
stop_order(struct master *master)
{
	bool now = master->stage == STOP_NOW;

	for (unsigned i = 0; i < master->slots_used; i++) {
		struct member *m = &master->member[i];

		if (!member_alive(m) || stop_keeps(master, m->pool->role_id))
			continue;
		if (now && m->rung < RUNG_ABRT)
			m->rung = RUNG_ABRT; /* the next one is KILL */
		if (now && m->state == MEMBER_STOPPING)
			member_on_step(m);
		else
			member_event(m,
			    now ? EVENT_ORDER_STOP : EVENT_ORDER_DRAIN, NULL);
	}
}

static bool
stop_stage_done(const struct master *master)
{
	for (unsigned i = 0; i < master->slots_used; i++) {
		const struct member *m = &master->member[i];

		if (member_alive(m) && !stop_keeps(master, m->pool->role_id))
			return false;
	}
	return true;
}

bool
stop_advance(struct master *master)
{
	while (stop_stage_done(master)) {
		if (master->stage >= STOP_HUB)
			return master->slots_used == 0 && master->checks == 0;
		master->stage++;
		stop_order(master);
	}
	return false;
}

void
master_stop(struct master *master, bool now, const char *reason)
{
	bool first = master->phase != PHASE_STOPPING;

	if (first) {
		log_notice("%s: %s", reason,
		    now ? "stopping at once" : "draining, then stopping");
		fd_sd_notify("STOPPING=1");
		master->stage = STOP_REST;
		master->stop_deadline_ns = clock_now_ns() +
		    master->current->conf->service.stop_timeout;
	}
	master->phase = PHASE_STOPPING;
	reload_abort(master, "the service is stopping");
	if (master->settling)
		reload_settle(master, "the service is stopping");
	if (now)
		master->stage = STOP_NOW;
	for (size_t i = 0; i < master->pools; i++) {
		struct pool *pool = master->pool[i];

		if (!stop_keeps(master, pool->role_id) ||
		    !pool_is(pool, ROLE_HUB)) {
			loop_timer_cancel(&master->loop, &pool->decide);
			loop_timer_cancel(&master->loop, &pool->respawn);
		}
	}
	if (first || now)
		stop_order(master);
	master_changed(master);
}
