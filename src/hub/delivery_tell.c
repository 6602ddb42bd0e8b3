/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * delivery_tell - what is said of a broker's message when it is committed.
 *
 * A message that causes nothing has only its uid to be written. While there is
 * work for each worker, nobody waits for that: not the broker, which would send
 * more of it. So such commits are put off, TOLD_NS or TOLD_MAX of them at most,
 * and what they allow to be said with them.
 * Whatever else is to be committed takes them along.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "hub/delivery.h"
#include "hub/dispatch.h"
#include "hub/peer.h"
#include "hub/seen.h"
#include "hub/work_impl.h"

#define TOLD_NS NS_PER_MS
#define TOLD_MAX 128

static void
told_send(struct hub *hub, const struct told *told)
{
	struct peer *peer = peers_find(hub, told->session);

	if (peer == NULL)
		return;
	if (told->id == MSG_OK)
		peer_send(peer, MSG_OK, told->request, &(struct msg_OK){ 0 });
	else
		peer_send(peer, MSG_SETTLED, told->request,
		    &(struct msg_SETTLED){ .how = told->how });
}

static void
told_add(struct hub *hub, const struct told *told)
{
	struct work *work = hub->work;

	if (!seen_is_fresh(hub)) {
		told_send(hub, told);
		return;
	}
	if (work->tolds == work->told_size) {
		work->told_size = work->tolds > 0 ? 2 * work->tolds : 256;
		work->told = mem_grow(work->told, work->told_size,
		    sizeof(*work->told));
	}
	if (work->tolds == 0)
		work->told_ns = hub->now_ns;
	work->told[work->tolds++] = *told;
}

void
delivery_tell_settled(struct hub *hub, uint64_t session, uint32_t request,
    enum settled_how how)
{
	told_add(hub,
	    &(struct told){
		.session = session,
		.request = request,
		.id = MSG_SETTLED,
		.how = (uint8_t)how,
	    });
}

void
delivery_tell_ok(struct hub *hub, uint64_t session, uint32_t request)
{
	told_add(hub,
	    &(struct told){
		.session = session,
		.request = request,
		.id = MSG_OK,
	    });
}

/* Is there a hurry? */
static bool
tolds_can_wait(const struct hub *hub)
{
	const struct work *work = hub->work;
	size_t by_state[JOB_STATE_COUNT], workers, busy;

	dispatch_count(hub, &workers, &busy);
	jobs_count(work->jobs, by_state);
	return work->tolds < TOLD_MAX && by_state[JOB_QUEUED] > 0 &&
	    by_state[JOB_QUEUED] >= workers &&
	    hub->now_ns - work->told_ns < TOLD_NS && seen_is_fresh(hub) &&
	    !store_is_open(hub->store) && !hub->sync && !hub->draining;
}

void
deliveries_turn(struct hub *hub)
{
	struct work *work = hub->work;
	bool held = work->tolds > 0 && tolds_can_wait(hub);

	seen_hold(hub, held);
	if (held) {
		if (!loop_timer_is_set(&work->told_late))
			loop_timer_set(hub->loop, &work->told_late,
			    work->told_ns + TOLD_NS);
		return;
	}
	for (size_t i = 0; i < work->tolds; i++)
		told_send(hub, &work->told[i]);
	work->tolds = 0;
}

static void
told_on_late(void *ctx)
{
	/* the turn that ends does it */
	hub_tick(ctx);
}

void
tolds_start(struct hub *hub)
{
	loop_timer_init(&hub->work->told_late, told_on_late, hub);
}

void
tolds_free(struct hub *hub)
{
	loop_timer_cancel(hub->loop, &hub->work->told_late);
	free(hub->work->told);
	hub->work->told = NULL;
	hub->work->tolds = 0;
}
