/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dispatch_away - workers that are not connected: dead, on their way back, or
 * of the family that a new hub is born into.
 *
 * A new hub gives out nothing before each worker that lives has said hello, or
 * is seen to be in the middle of a call: a hello brings the DONE that the hub
 * before us could not take. That lasts HOLD_NS at most.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/scoreboard.h"
#include "hub/dispatch_impl.h"
#include "hub/work.h"

#define HOLD_NS (NS_PER_S / 2)
#define LOOK_NS NS_PER_S

/* --- the scoreboard */

bool
board_has(struct hub *hub, unsigned slot, int pid, struct slot_snapshot *seen)
{
	struct board *board = hub->child->board;

	if (slot >= board->slots || board->slot[slot].pid != pid)
		return false;
	slot_snapshot(&board->slot[slot], seen);
	return board->slot[slot].pid == pid;
}

static bool
is_alive(int pid)
{
	return kill(pid, 0) == 0 || errno != ESRCH;
}

/* --- who is away */

struct away *
away_add(struct dispatch *dispatch, int pid, unsigned slot, uint64_t uid)
{
	struct away *away = mem_alloc(sizeof(*away));

	away->pid = pid;
	away->slot = slot;
	away->uid = uid;
	DL_APPEND(dispatch->away, away);
	return away;
}

void
away_free(struct dispatch *dispatch, struct away *away)
{
	DL_DELETE(dispatch->away, away);
	free(away);
}

struct away *
away_find(struct dispatch *dispatch, int pid)
{
	struct away *away;

	DL_SEARCH_SCALAR(dispatch->away, away, pid, pid);
	return away;
}

static const char *
death_text(const struct board_death *death, struct why *why)
{
	int status = death->status;

	if (death->overran)
		why_set(why, "it took longer than its time limit");
	else if (WIFSIGNALED(status))
		why_set(why, WORK_KILLED "SIG%s",
		    sigabbrev_np(WTERMSIG(status)) != NULL ?
			sigabbrev_np(WTERMSIG(status)) :
			"?");
	else
		why_set(why, "its worker ended with status %d",
		    WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	return why->text;
}

static void
away_lost(struct hub *hub, struct job *job, const struct board_death *death,
    bool begun)
{
	bool in_order = death != NULL && WIFEXITED(death->status) &&
	    WEXITSTATUS(death->status) == 0;
	struct why why;

	if (death == NULL)
		why_set(&why, "its worker is gone");
	else
		death_text(death, &why);
	/* one that ends in order does not begin what it got last */
	if (begun && (!in_order || death->in_call))
		work_lost(hub, job, why.text, death != NULL && death->overran);
	else
		work_unbegun(hub, job);
}

/* What it had in advance; one of these it may have been at, when the DONE of
 * the one before was lost with it. */
static void
away_ahead(struct hub *hub, struct away *away, const struct board_death *death)
{
	struct job *job;

	for (unsigned i = 0; i < away->aheads && death != NULL; i++) {
		job = jobs_find(work_jobs(hub), away->ahead[i]);
		if (job != NULL && job->state == JOB_RUNNING &&
		    death->uid == job->uid && death->attempt == job->attempts)
			away_lost(hub, job, death, true);
	}
	ahead_return(hub, away->ahead, away->aheads);
	away->aheads = 0;
}

/* Its job's attempt is over, if it was one. */
static void
away_is_dead(struct hub *hub, struct away *away,
    const struct board_death *death)
{
	struct job *job = jobs_find(work_jobs(hub), away->uid);
	bool begun = death == NULL ?
	    away->begun :
	    death->uid == away->uid && death->attempt == away->attempt;

	away_ahead(hub, away, death);
	if (job == NULL || job->state != JOB_RUNNING ||
	    job->attempts != away->attempt)
		return;
	away_lost(hub, job, death, begun);
}

/* Gone, and the master, who has it reaped before he says so, does not. */
static bool
is_missing(struct hub *hub, struct away *away)
{
	if (is_alive(away->pid))
		return false;
	if (away->missing_ns == 0)
		away->missing_ns = hub->now_ns;
	return hub->now_ns - away->missing_ns >= LOOK_NS;
}

static void
dispatch_look(struct hub *hub)
{
	struct dispatch *dispatch = hub->dispatch;
	struct away *away, *next;
	struct board_death death;

	DL_FOREACH_SAFE(dispatch->away, away, next)
	if (board_death_find(hub->child->board, away->pid, &death)) {
		away_is_dead(hub, away, &death);
		away_free(dispatch, away);
	} else if (is_missing(hub, away)) {
		away_is_dead(hub, away, NULL);
		away_free(dispatch, away);
	}
	if (dispatch->away != NULL)
		loop_timer_set(hub->loop, &dispatch->look,
		    hub->now_ns + LOOK_NS);
	else
		loop_timer_cancel(hub->loop, &dispatch->look);
}

void
dispatch_on_look(void *ctx)
{
	hub_tick(ctx);
	dispatch_look(ctx);
}

void
dispatch_on_deaths(struct hub *hub)
{
	dispatch_look(hub);
}

/* --- the hold of a new hub */

void
away_adopt(struct hub *hub, struct away *away)
{
	struct slot_snapshot seen;
	struct job *job;

	if (!board_has(hub, away->slot, away->pid, &seen) ||
	    seen.call.uid == 0 || !seen.in_call)
		return;
	away->uid = seen.call.uid;
	away->attempt = seen.call.attempt;
	away->begun = true;
	away->expected = false;
	job = jobs_find(work_jobs(hub), away->uid);
	if (job == NULL || !work_adopt(hub, job, away->attempt))
		return;
	job->cancelled |= board_is_cancelled(hub->child->board, away->slot,
	    away->uid);
}

static void
hold_end(struct hub *hub)
{
	struct dispatch *dispatch = hub->dispatch;

	if (!dispatch->held)
		return;
	dispatch->held = false;
	loop_timer_cancel(hub->loop, &dispatch->hold);
	work_settled(hub);
}

void
hold_look(struct hub *hub, bool is_over)
{
	struct dispatch *dispatch = hub->dispatch;
	struct away *away = NULL, *next;

	if (!dispatch->held)
		return;
	DL_FOREACH_SAFE(dispatch->away, away, next)
	{
		if (away->uid == 0)
			away_adopt(hub, away);
		if (away->expected && !is_over)
			return;
	}
	hold_end(hub);
}

void
dispatch_on_hold(void *ctx)
{
	hub_tick(ctx);
	hold_look(ctx, true);
}

void
hold_begin(struct hub *hub)
{
	struct board *board = hub->child->board;
	struct dispatch *dispatch = hub->dispatch;
	struct away *away;

	for (unsigned i = 0; i < board->slots; i++) {
		int pid = board->slot[i].pid;

		if (pid <= 0 || board->slot[i].role != ROLE_TASK ||
		    !is_alive(pid))
			continue;
		away = away_add(dispatch, pid, i, 0);
		/* those of the next generation have nothing yet */
		away->expected = board->slot[i].generation <=
		    hub->child->spec.generation;
		away_adopt(hub, away);
	}
	dispatch->held = true;
	loop_timer_set(hub->loop, &dispatch->hold, hub->now_ns + HOLD_NS);
	dispatch_look(hub);
}
