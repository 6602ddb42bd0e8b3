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

/* One that is connected. */
struct worker {
	struct peer *peer;
	struct worker *prev, *next;	      /* all */
	struct worker *free_prev, *free_next; /* the last one first */
	uint64_t uid;			      /* what it has; 0: free */
	bool is_free;			      /* among the free */
};

/* One that is not, and has or had work. */
struct away {
	struct away *prev, *next;
	int pid;
	unsigned slot;
	uint64_t uid; /* 0: nothing that we know of */
	unsigned attempt;
	bool begun;
	bool expected; /* the hold waits for it */
	int64_t missing_ns; /* found gone; 0: not yet */
};

struct dispatch {
	struct worker *workers, *free;
	struct away *away;
	size_t n, busy;
	bool held;
	struct loop_timer hold, look, rate;
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

/* Timers. */
void dispatch_on_look(void *ctx);
void dispatch_on_hold(void *ctx);

#endif
