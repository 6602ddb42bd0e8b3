/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * work - jobs, messages and waiting calls on their way through the states of
 * jobs.h: what is stored, who is told, what follows.
 *
 * An attempt that ended counts once: DONE names uid and attempt, and what is
 * not the attempt that runs is answered STALE and has no effect; one that has
 * been committed is answered OK again. All that an ended attempt causes (its
 * state, its effects, the job for `then` or `on_failure`, a dead letter, an RPC
 * reply) is one transaction.
 */
#ifndef HUB_WORK_H
#define HUB_WORK_H

#include "hub/hub.h"
#include "hub/jobs.h"
#include "hub/store.h"

/* By so much a job or a message may grow on its way: headers of a death, what
 * it follows. */
#define WORK_SLACK 16384
/* Does a frame have room for it and that? If not, with the reason, which names
 * the size of the body: what who sent it knows. */
bool work_fits(const struct hub *hub, const char *what, size_t size,
    size_t body_size, struct why *why);

int work_start(struct hub *hub, struct why *why);	/* loads what waits */
void work_stop(struct hub *hub);

struct jobs *work_jobs(struct hub *hub);

/* What a new job is made of; `submit` is kept as it is. The lane: a queue's (an
 * index in conf->queue, with the PUBLISH's properties among submit's attrs as
 * CALL_PROPERTY) or the handler's. */
struct work_new {
	enum job_kind kind;
	ptrdiff_t queue;		/* -1: none */
	const struct msg_SUBMIT *submit;
	const char *schedule;		/* its name, JOB_SCHEDULED */
};
/* HUB_OK when work_add() would take it; else the code and a sentence. `more`:
 * so many have been promised already in this transaction, in its queue alone
 * `queue_more`. */
enum hub_code work_would_add(struct hub *hub, const struct work_new *new,
    size_t more, size_t queue_more, struct why *why);
/* The same but for want of room, which what an accepted call causes is never
 * refused for. */
enum hub_code work_is_sane(struct hub *hub, const struct work_new *new,
    struct why *why);
/* Adds and stores it, without looking for room. *uid, *token (NULL: of no
 * interest) are those of the job that stands, `existing` when it was there
 * before (uid, unique or idempotency key). HUB_MISMATCH: the idempotency key
 * came with something else; HUB_BAD: see work_is_sane(). */
enum hub_code work_add(struct hub *hub, const struct work_new *new,
    uint64_t *uid, uint64_t *token, bool *existing);

/* An attempt begins: counts it and fills in the RUN that is to be sent for a
 * job that jobs_next() chose; fetches the body from the store if it is not at
 * hand. Valid until the turn ends. False: it cannot be run, and is finished. */
bool work_begin(struct hub *hub, struct job *job, struct msg_RUN *run);
/* A worker has begun this attempt for the hub before us. False: it is not the
 * one that counts, and nothing was done. */
bool work_adopt(struct hub *hub, struct job *job, unsigned attempt);

/* What is said of a job whose worker was killed, before the signal's name. */
#define WORK_KILLED "its worker was killed by "
/* An attempt ended without DONE: the worker died. `why`: WORK_KILLED "SIGSEGV".
 * `overran`: for its time limit. */
void work_lost(struct hub *hub, struct job *job, const char *why, bool overran);
/* The attempt that a dead worker may or may not have begun does not count. */
void work_unbegun(struct hub *hub, struct job *job);

/* By desk and by JOB_CANCEL: HUB_OK (cancelled, or told to give up),
 * HUB_NOT_FOUND, HUB_CONFLICT (it is finished). */
enum hub_code work_cancel(struct hub *hub, uint64_t uid);
/* By desk: a failed, dead or cancelled job runs again, with all its
 * attempts. */
enum hub_code work_retry(struct hub *hub, uint64_t uid, struct why *why);

/* A job as people see it, a new reference; NULL when there is none. With
 * `all`: input, result, every attempt's error. */
json_t *work_report(struct hub *hub, uint64_t uid, bool all);

/* A call by the operator (desk): as CALL, with a function for the answer. */
typedef void work_result_fn(void *ctx, const struct msg_RESULT *result);
uint64_t work_call(struct hub *hub, const struct msg_CALL *call,
    work_result_fn *fn, void *ctx, enum hub_code *code, struct why *why);
void work_abandon(struct hub *hub, uint64_t uid);

/* --- brood_request() */

/* Is it the DIRECT_ADDRESS that it gives a message as reply_to? Then of
 * which. */
bool direct_parse(struct msg_bytes address, uint64_t *uid);
/* By broker.c: somebody publishes (again), or nobody does: those that wait are
 * sent, or refused. And a child has left: what was sent to it finds no answer
 * any more. */
void requests_on_publisher(struct hub *hub);
void requests_on_peer_gone(struct hub *hub, struct peer *peer);
/* Answers it; `result` NULL: only looks. False when nobody waits. */
bool work_answer_request(struct hub *hub, uint64_t uid,
    const struct msg_RESULT *result);

/* The wall clock was set: delays and ends go by what was asked for. */
void work_clock(struct hub *hub, int64_t by_ms);

/* The turn ends: due and expired jobs, retention, then dispatch_round(). */
void work_turn(struct hub *hub);

/* The calls of the workers that live are known now (dispatch): what the store
 * says runs, and nobody has, is lost. */
void work_settled(struct hub *hub);

#endif
