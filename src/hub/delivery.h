/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * delivery - messages of a broker as jobs (JOB_DELIVERED): never stored, for
 * the broker keeps them until they are settled.
 *
 * A delivery's uid is a hash of queue, message id and attempt under a key of
 * the store's, so that the same message, delivered again by the broker or sent
 * again to a new hub, is the same job; one without an id (or of a queue with
 * deduplicate = false) has the uid that its DELIVER brought. What is done is
 * remembered by its uid (seen.h) in the transaction of its effects.
 *
 * How an attempt ends, one transaction each, then SETTLED:
 *
 *   done       effects, the reply to reply_to          outbox, seen
 *   retry, died, too long   the message, attempt + 1,  outbox, seen
 *              to the delay queue of its backoff
 *   rejected, last attempt  the message and why, to    outbox, seen
 *              the dead-letter queue; a problem object to reply_to
 *   no room for its effects   tried again here, a second later
 */
#ifndef HUB_DELIVERY_H
#define HUB_DELIVERY_H

#include "hub/hub.h"
#include "hub/jobs.h"

/* --- called by work*.c for jobs of that kind, in place of what they do for
 * stored ones; `done` NULL: it ended without one */
void delivery_succeed(struct hub *hub, struct job *job,
    const struct msg_DONE *done);
void delivery_again(struct hub *hub, struct job *job, enum hub_code code,
    int64_t delay_ms, const char *why);
void delivery_fail(struct hub *hub, struct job *job, enum job_state state,
    const struct msg_DONE *done, enum hub_code code, const char *why);

/* What its success causes beside its effects: else nothing does. */
bool delivery_asks_reply(const struct job *job);

/* What is said once the uid's commit is made: that it is settled, or to a
 * worker that its DONE is taken. */
void delivery_tell_settled(struct hub *hub, uint64_t session, uint32_t request,
    enum settled_how how);
void delivery_tell_ok(struct hub *hub, uint64_t session, uint32_t request);
/* At the end of the turn, before the commit. */
void deliveries_turn(struct hub *hub);

/* Its child has left: what waits is forgotten (the broker has it), what runs
 * goes on. */
void deliveries_on_peer_gone(struct hub *hub, struct peer *peer);

#endif
