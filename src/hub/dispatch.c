/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dispatch - task workers, and who gets which job.
 *
 * What a worker has is known in one of three ways: it got it from us; it has
 * left in the middle of it (`away`: it is dead, or it will be back); or it had
 * it already when we began, and the scoreboard told us (`away` too, until it
 * says hello). Who is away is dead when the master says so; see
 * dispatch_away.c.
 */
#include "hub/dispatch.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/scoreboard.h"
#include "hub/dispatch_impl.h"
#include "hub/peer.h"
#include "hub/work.h"

int
dispatch_start(struct hub *hub, struct why *why)
{
	struct dispatch *dispatch = mem_alloc(sizeof(*dispatch));

	(void)why;
	hub->dispatch = dispatch;
	loop_timer_init(&dispatch->hold, dispatch_on_hold, hub);
	loop_timer_init(&dispatch->look, dispatch_on_look, hub);
	loop_timer_init(&dispatch->rate, dispatch_on_look, hub);
	loop_timer_init(&dispatch->recall, dispatch_on_recall, hub);
	hold_begin(hub);
	return 0;
}

void
dispatch_stop(struct hub *hub)
{
	struct dispatch *dispatch = hub->dispatch;

	if (dispatch == NULL)
		return;
	while (dispatch->away != NULL)
		away_free(dispatch, dispatch->away);
	while (dispatch->workers != NULL) {
		struct worker *worker = dispatch->workers;

		worker->peer->dispatch = NULL;
		DL_DELETE(dispatch->workers, worker);
		free(worker);
	}
	loop_timer_cancel(hub->loop, &dispatch->hold);
	loop_timer_cancel(hub->loop, &dispatch->look);
	loop_timer_cancel(hub->loop, &dispatch->rate);
	loop_timer_cancel(hub->loop, &dispatch->recall);
	free(dispatch);
	hub->dispatch = NULL;
}

/* --- workers come and go */

static void
worker_free(struct hub *hub, struct worker *worker)
{
	struct dispatch *dispatch = hub->dispatch;

	if (worker->uid != 0)
		dispatch->busy--;
	worker->uid = 0;
	worker->was_ahead = false;
	worker->peer->running = 0;
	if (worker->is_free ||
	    worker->peer->generation != hub->child->spec.generation)
		return;
	worker->is_free = true;
	DL_PREPEND2(dispatch->free, worker, free_prev, free_next);
}

static void
worker_busy(struct hub *hub, struct worker *worker, uint64_t uid)
{
	struct dispatch *dispatch = hub->dispatch;

	if (worker->is_free)
		DL_DELETE2(dispatch->free, worker, free_prev, free_next);
	worker->is_free = false;
	if (worker->uid == 0)
		dispatch->busy++;
	worker->uid = uid;
	worker->since_ns = hub->now_ns;
	worker->peer->running = uid;
}

/* A process is back on a new connection: what it had in advance, and has not
 * begun, it has dropped with the old one. */
static uint64_t
worker_kept(struct hub *hub, const struct peer *peer, uint64_t uid,
    bool was_ahead)
{
	struct slot_snapshot seen;

	if (!was_ahead ||
	    (board_has(hub, peer->slot, peer->pid, &seen) &&
		seen.call.uid == uid))
		return uid;
	ahead_return(hub, &uid, 1);
	return 0;
}

/* The same process on a connection that is being given up. */
static uint64_t
worker_takes_over(struct hub *hub, const struct peer *peer)
{
	struct worker *worker = NULL;
	uint64_t uid;

	DL_FOREACH(hub->dispatch->workers, worker)
	{
		if (worker->peer->pid != peer->pid || worker->uid == 0)
			continue;
		uid = worker->uid;
		hub->dispatch->busy--;
		worker->uid = 0;
		ahead_leave(hub, worker);
		ahead_return(hub, worker->ahead, worker->aheads);
		worker->aheads = 0;
		return worker_kept(hub, peer, uid, worker->was_ahead);
	}
	return 0;
}

void
dispatch_on_worker(struct hub *hub, struct peer *peer)
{
	struct dispatch *dispatch = hub->dispatch;
	struct worker *worker = mem_alloc(sizeof(*worker));
	struct away *away = away_find(dispatch, peer->pid);
	uint64_t uid = worker_takes_over(hub, peer);

	worker->peer = peer;
	peer->dispatch = worker;
	DL_APPEND(dispatch->workers, worker);
	dispatch->n++;
	if (away != NULL && away->uid == 0)
		away_adopt(hub, away);
	if (away != NULL && away->uid != 0) {
		uid = worker_kept(hub, peer, away->uid, away->was_ahead);
		ahead_return(hub, away->ahead, away->aheads);
	}
	board_recall(hub->child->board, peer->slot, 0);
	if (uid != 0)
		worker_busy(hub, worker, uid);
	else
		worker_free(hub, worker);
	if (away != NULL)
		away_free(dispatch, away);
}

void
dispatch_on_peer_gone(struct hub *hub, struct peer *peer)
{
	struct dispatch *dispatch = hub->dispatch;
	struct worker *worker = peer->dispatch;
	struct slot_snapshot seen;
	struct away *away;
	struct job *job;

	if (worker == NULL)
		return;
	peer->dispatch = NULL;
	if (worker->uid != 0) {
		away = away_add(dispatch, peer->pid, peer->slot, worker->uid);
		job = jobs_find(work_jobs(hub), worker->uid);
		away->attempt = job != NULL ? job->attempts : 0;
		away->begun = board_has(hub, peer->slot, peer->pid, &seen) &&
		    seen.call.uid == worker->uid &&
		    (job == NULL || seen.call.attempt == job->attempts);
		away->was_ahead = worker->was_ahead;
		away->aheads = worker->aheads;
		memcpy(away->ahead, worker->ahead, sizeof(away->ahead));
		dispatch->busy--;
	}
	ahead_leave(hub, worker);
	if (worker->is_free)
		DL_DELETE2(dispatch->free, worker, free_prev, free_next);
	DL_DELETE(dispatch->workers, worker);
	dispatch->n--;
	free(worker);
	if (dispatch->away != NULL)
		dispatch_on_deaths(hub);
}

void
dispatch_on_done(struct hub *hub, struct peer *peer, uint64_t uid)
{
	struct worker *worker = peer->dispatch;

	if (worker != NULL && worker->uid == uid && !ahead_next(hub, worker))
		worker_free(hub, worker);
}

/* --- work is given out */

void
dispatch_give(struct hub *hub, struct worker *worker, struct job *job)
{
	struct msg_RUN run;

	if (!work_begin(hub, job, &run))
		return;
	run.after = worker->aheads > 0 ? worker->ahead[worker->aheads - 1] :
					 worker->uid;
	/* it was cancelled there, and is to run again all the same */
	if (board_is_cancelled(hub->child->board, worker->peer->slot, job->uid))
		board_cancel_call(hub->child->board, worker->peer->slot, 0);
	if (worker->uid != 0)
		ahead_add(worker, job->uid);
	else
		worker_busy(hub, worker, job->uid);
	ahead_room(hub, worker);
	peer_send(worker->peer, MSG_RUN, 0, &run);
}

void
dispatch_round(struct hub *hub)
{
	struct dispatch *dispatch = hub->dispatch;
	int64_t again_ns = INT64_MAX;
	struct job *job;

	hold_look(hub, false);
	if (dispatch->held || hub->draining)
		return;
	while (dispatch->free != NULL) {
		job = jobs_next(work_jobs(hub), hub->now_ns, &again_ns);
		if (job == NULL)
			break;
		dispatch_give(hub, dispatch->free, job);
	}
	ahead_round(hub, &again_ns);
	if (dispatch->free != NULL && again_ns != INT64_MAX)
		loop_timer_set(hub->loop, &dispatch->rate, again_ns);
}

void
dispatch_resume(struct hub *hub, struct job *job)
{
	struct dispatch *dispatch = hub->dispatch;
	struct worker *worker;
	struct away *away;

	DL_SEARCH_SCALAR(dispatch->workers, worker, uid, job->uid);
	DL_SEARCH_SCALAR(dispatch->away, away, uid, job->uid);
	if (worker != NULL || away != NULL)
		work_adopt(hub, job, job->attempts + 1U);
}

/* --- orders and questions */

static struct worker *
worker_with(const struct dispatch *dispatch, uint64_t uid)
{
	struct worker *worker = NULL;

	DL_FOREACH(dispatch->workers, worker)
	{
		if (worker->uid == uid)
			return worker;
		for (unsigned i = 0; i < worker->aheads; i++)
			if (worker->ahead[i] == uid)
				return worker;
	}
	return NULL;
}

bool
dispatch_find(const struct hub *hub, uint64_t uid, unsigned *slot, int *pid)
{
	const struct dispatch *dispatch = hub->dispatch;
	const struct worker *worker;
	const struct away *away;

	if (dispatch == NULL)
		return false;
	worker = worker_with(dispatch, uid);
	DL_SEARCH_SCALAR(dispatch->away, away, uid, uid);
	if (worker == NULL && away == NULL)
		return false;
	*slot = worker != NULL ? worker->peer->slot : away->slot;
	*pid = worker != NULL ? worker->peer->pid : away->pid;
	return true;
}

void
dispatch_cancel(struct hub *hub, uint64_t uid)
{
	unsigned slot;
	int pid;

	if (dispatch_find(hub, uid, &slot, &pid))
		board_cancel_call(hub->child->board, slot, uid);
}

void
dispatch_uncancel(struct hub *hub, uint64_t uid)
{
	unsigned slot;
	int pid;

	if (dispatch_find(hub, uid, &slot, &pid) &&
	    board_is_cancelled(hub->child->board, slot, uid))
		board_cancel_call(hub->child->board, slot, 0);
}

void
dispatch_drain(struct hub *hub)
{
	hub->draining = true;
}

void
dispatch_count(const struct hub *hub, size_t *workers, size_t *busy)
{
	*workers = hub->dispatch->n;
	*busy = hub->dispatch->busy;
}
