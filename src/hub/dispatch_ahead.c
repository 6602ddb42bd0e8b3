/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dispatch_ahead - quick messages of a broker, a few at a time.
 *
 * A message that takes a few microseconds costs as much again to be told of,
 * each time: the hub sends, the worker wakes, sends, the hub wakes. So a worker
 * that is busy has up to AHEAD_MAX more of a lane whose last messages took next
 * to no time (lane_is_quick()), and nobody sleeps.
 *
 * A message is not to wait behind a long one while another worker is idle. If
 * what the worker is at goes on for RECALL_NS, what is behind it is taken back:
 * board_recall() tells the worker to drop it, without waking it, and says
 * whether that is certain already; else the word that the worker has left with
 * the DONE says it. RUNs that it has not read yet it knows by RUN.after. A
 * worker that loses its connection drops them too.
 *
 * A worker keeps DONEs back for a moment, so it may be further than we know: it
 * is told to hurry. Then what it is at is known, and what is behind that is
 * taken back the next time; until that is certain it is looked at again and
 * again, for both of us may just miss what the other does.
 *
 * Whatever goes wrong here, a message is run twice at worst, and never lost: of
 * two DONEs of one attempt only the first counts.
 */
#include <signal.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "core/child.h"
#include "core/scoreboard.h"
#include "hub/dispatch_impl.h"
#include "hub/peer.h"
#include "hub/work_impl.h"

#define RECALL_NS (2 * NS_PER_MS)

void
ahead_add(struct worker *worker, uint64_t uid)
{
	worker->ahead[worker->aheads++] = uid;
}

static void
ahead_watch(struct hub *hub)
{
	struct dispatch *dispatch = hub->dispatch;

	if (!loop_timer_is_set(&dispatch->recall))
		loop_timer_set(hub->loop, &dispatch->recall,
		    hub->now_ns + RECALL_NS);
}

/* --- who may have more */

void
ahead_leave(struct hub *hub, struct worker *worker)
{
	if (worker->has_room)
		DL_DELETE2(hub->dispatch->room, worker, room_prev, room_next);
	worker->has_room = false;
}

/* At the end of the line, if it may. */
void
ahead_room(struct hub *hub, struct worker *worker)
{
	ahead_leave(hub, worker);
	if (worker->recalled || worker->uid == 0 ||
	    worker->aheads == AHEAD_MAX ||
	    worker->peer->generation != hub->child->spec.generation)
		return;
	worker->has_room = true;
	DL_APPEND2(hub->dispatch->room, worker, room_prev, room_next);
}

void
ahead_round(struct hub *hub, int64_t *again_ns)
{
	struct dispatch *dispatch = hub->dispatch;
	struct job *job;

	while (dispatch->free == NULL && dispatch->room != NULL) {
		job = jobs_next_quick(work_jobs(hub), hub->now_ns, again_ns);
		if (job == NULL)
			return;
		dispatch_give(hub, dispatch->room, job);
		ahead_watch(hub);
	}
}

/* --- back again */

void
ahead_return(struct hub *hub, const uint64_t *uid, unsigned n)
{
	struct job *job;

	/* the last first, for each goes to the head of the queue */
	while (n-- > 0) {
		job = jobs_find(work_jobs(hub), uid[n]);
		if (job == NULL || job->state != JOB_RUNNING)
			continue;
		if (job->cancelled)
			work_unbegun(hub, job);
		else
			work_later(hub, job, 0);
	}
}

static void
ahead_take_back(struct hub *hub, struct worker *worker)
{
	ahead_return(hub, worker->ahead, worker->aheads);
	worker->aheads = 0;
}

static void
ahead_recall(struct hub *hub, struct worker *worker)
{
	worker->recalled = true;
	ahead_leave(hub, worker);
	kill(worker->peer->pid, CHILD_SIGNAL_HURRY);
	if (board_recall(hub->child->board, worker->peer->slot, worker->uid))
		ahead_take_back(hub, worker);
}

/* The call that it was to stop behind has ended. */
static void
ahead_recalled(struct hub *hub, struct worker *worker)
{
	struct board *board = hub->child->board;
	unsigned slot = worker->peer->slot;

	if (slot < board->slots && board->slot[slot].dropped == worker->uid)
		ahead_take_back(hub, worker);
	board_recall(board, slot, 0);
	worker->recalled = false;
}

void
dispatch_on_recall(void *ctx)
{
	struct hub *hub = ctx;
	struct dispatch *dispatch = hub->dispatch;
	struct worker *worker = NULL;

	hub_tick(hub);
	DL_FOREACH(dispatch->workers, worker)
	{
		if (worker->aheads == 0)
			continue;
		if (hub->now_ns - worker->since_ns >= RECALL_NS)
			ahead_recall(hub, worker);
		/* again, until it is certain: it may have been about to begin,
		 * or to tell of the one before */
		if (worker->aheads > 0)
			ahead_watch(hub);
	}
}

/* --- one is done */

bool
ahead_next(struct hub *hub, struct worker *worker)
{
	if (worker->recalled)
		ahead_recalled(hub, worker);
	ahead_leave(hub, worker);
	if (worker->aheads == 0)
		return false;
	worker->uid = worker->ahead[0];
	worker->was_ahead = true;
	worker->since_ns = hub->now_ns;
	worker->peer->running = worker->uid;
	worker->aheads--;
	memmove(worker->ahead, worker->ahead + 1,
	    worker->aheads * sizeof(*worker->ahead));
	ahead_room(hub, worker);
	if (worker->aheads > 0)
		ahead_watch(hub);
	return true;
}
