/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dispatch - task workers, and who gets which job. A worker does one at a time
 * and gets the next when it has said DONE; but of messages of a broker that
 * take next to no time it has a few in advance, which are taken back when one
 * takes longer (dispatch_ahead.c).
 *
 * Only workers of the hub's own generation get work. A worker that leaves in
 * the middle of a job is either dead, and the master tells how it ended
 * (board_death_find), or comes back and brings its DONE. When the hub is new,
 * the scoreboard tells which workers have which calls (slot_call.uid); all else
 * that was running is lost.
 */
#ifndef HUB_DISPATCH_H
#define HUB_DISPATCH_H

#include "hub/hub.h"
#include "hub/jobs.h"

int dispatch_start(struct hub *hub, struct why *why);
void dispatch_stop(struct hub *hub);

/* Gives free workers what jobs_next() says; at the end of a turn. */
void dispatch_round(struct hub *hub);

/* DONE came from that worker: it is free. */
void dispatch_on_done(struct hub *hub, struct peer *peer, uint64_t uid);

/* A call has come again from a client of the hub before us: if a worker has it,
 * it runs. */
void dispatch_resume(struct hub *hub, struct job *job);

/* Tell the worker that has it to give up. */
void dispatch_cancel(struct hub *hub, uint64_t uid);
/* Somebody waits for it again. */
void dispatch_uncancel(struct hub *hub, uint64_t uid);

/* The master says that children have ended. */
void dispatch_on_deaths(struct hub *hub);

/* Drains: no more work is given out. */
void dispatch_drain(struct hub *hub);

void dispatch_count(const struct hub *hub, size_t *workers, size_t *busy);
/* The slot and pid of the worker that has this job; false: nobody known. */
bool dispatch_find(const struct hub *hub, uint64_t uid, unsigned *slot,
    int *pid);

#endif
