/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dispatch_impl - what dispatch.c and dispatch_away.c share; nobody else
 * includes it.
 */
#ifndef HUB_DISPATCH_IMPL_H
#define HUB_DISPATCH_IMPL_H

#include "base/loop.h"
#include "hub/dispatch.h"

struct slot_snapshot;

/* Quick jobs that a worker has beside the one that it is at. */
#define AHEAD_MAX (CONF_WORKER_MESSAGES - 1)

/* One that is connected. */
struct worker {
	struct peer *peer;
	struct worker *prev, *next;	      /* all */
	struct worker *free_prev, *free_next; /* the last one first */
	uint64_t uid;			      /* what it has; 0: free */
	bool is_free;			      /* among the free */

	/* what comes after `uid`, in its order; see dispatch_ahead.c */
	struct worker *room_prev, *room_next; /* those that may have more */
	uint64_t ahead[AHEAD_MAX];
	unsigned aheads;
	int64_t since_ns; /* it has `uid`, as its next or at work */
	bool has_room;	  /* among them */
	bool was_ahead;	  /* `uid`, once */
	bool recalled;	  /* what is behind `uid`; did it drop it? */
};

/* One that is not, and has or had work. */
struct away {
	struct away *prev, *next;
	int pid;
	unsigned slot;
	uint64_t uid; /* 0: nothing that we know of */
	unsigned attempt;
	uint64_t ahead[AHEAD_MAX];
	unsigned aheads;
	bool was_ahead;
	bool begun;
	bool expected; /* the hold waits for it */
	int64_t missing_ns; /* found gone; 0: not yet */
};

struct dispatch {
	struct worker *workers, *free, *room;
	struct away *away;
	size_t n, busy;
	bool held;
	struct loop_timer hold, look, rate, recall;
};

/* What the process in that slot has or had last, if it is still this one. */
bool board_has(struct hub *hub, unsigned slot, int pid,
    struct slot_snapshot *seen);

struct away *away_add(struct dispatch *dispatch, int pid, unsigned slot,
    uint64_t uid);
void away_free(struct dispatch *dispatch, struct away *away);
struct away *away_find(struct dispatch *dispatch, int pid);
/* It is in the middle of a call, whose hub we are from now on. */
void away_adopt(struct hub *hub, struct away *away);

/* A new hub waits for its workers; is that over? `is_over`: it is. */
void hold_begin(struct hub *hub);
void hold_look(struct hub *hub, bool is_over);

/* dispatch_ahead.c: gives out more; a worker's job is done, and has it another
 * one?; it has left or is to be forgotten; jobs that were not begun are
 * anybody's. */
void ahead_add(struct worker *worker, uint64_t uid);
void ahead_room(struct hub *hub, struct worker *worker);
void ahead_round(struct hub *hub, int64_t *again_ns);
bool ahead_next(struct hub *hub, struct worker *worker);
void ahead_leave(struct hub *hub, struct worker *worker);
void ahead_return(struct hub *hub, const uint64_t *uid, unsigned n);

/* Gives it to a worker, behind what that has. */
void dispatch_give(struct hub *hub, struct worker *worker, struct job *job);

/* Timers. */
void dispatch_on_recall(void *ctx);
void dispatch_on_look(void *ctx);
void dispatch_on_hold(void *ctx);

#endif
