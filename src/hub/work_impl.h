/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * work_impl - what the files work*.c share; nobody else includes it.
 *
 *   work.c       load, the turn, timers        work_call.c   waiting calls
 *   work_item.c  what is kept beside a job     work_ask.c    whoever asks
 *   work_add.c   new jobs, lanes, limits       work_report.c what people see
 *   work_end.c   an attempt has ended          work_follow.c what comes of it
 *   work_request.c  brood_request()          work_answer.c the same by a broker
 *   delivery.c   a broker's messages        delivery_tell.c  and their commits
 *
 * A job (jobs.h) is small. Beside it, while there is a reason, stands an item:
 * its body, if it is at hand, and what concerns an attempt that runs, progress
 * and who waits. A job without an item is read from the store when its turn
 * comes.
 */
#ifndef HUB_WORK_IMPL_H
#define HUB_WORK_IMPL_H

#include <uthash.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/siphash.h"
#include "base/why.h"
#include "hub/work.h"

/* Conflicts that cost no attempt; runs that a worker died before it began. */
#define WORK_CONFLICTS 100
#define WORK_UNBEGUN 3
/* Until a message of a broker whose effects find no room runs again. */
#define WORK_LATER_MS 1000
/* An attempt that runs for longer is stored as running. */
#define WORK_MARK_NS (50 * NS_PER_MS)
/* What nobody was told of is synced this much later. */
#define WORK_LAZY_NS (100 * NS_PER_MS)
/* For so long results of calls that a new hub does not know yet are kept. */
#define WORK_PARK_NS (2 * NS_PER_S)
#define WORK_PARK_MAX 1000
struct wait;

/* One more who delivered the same message. */
struct asker {
	struct asker *next;
	uint64_t session;
	uint32_t request;
};

struct item {
	struct job *job;
	struct item *prev, *next;	/* of all */
	char *body;			/* SUBMIT or CALL, encoded; or NULL */
	size_t body_len;
	/* those whose body may go, the last used at the end; or the calls; or
	 * the messages of a broker */
	struct item *cache_prev, *cache_next;
	bool in_cache;
	/* the attempt that runs */
	struct item *run_prev, *run_next;	/* not marked, oldest first */
	int64_t began_ns;		/* 0: none does */
	bool marked;			/* the store knows */
	bool orphan;			/* by the store; who has it, if anybody,
					   is not known yet */
	unsigned conflicts, unbegun;
	bool has_progress;
	uint32_t permille;
	char *note;
	struct wait *waits;
	/* a call's, and (session, request: 0 when nobody asks) a message's */
	bool abandoned;
	uint64_t session;
	uint32_t request;
	struct asker *askers;
	bool by_id;			/* a redelivery is known as one */
	bool asks_reply;		/* nothing else follows its success */
	work_result_fn *fn;
	void *fn_ctx;
};

/* Somebody who asked for a job and waits for its end. */
struct wait {
	struct hub *hub;
	struct wait *prev, *next;
	struct job *job;
	uint64_t session;
	uint32_t request;
	struct loop_timer timer;
};

/* A brood_request() that waits for its answer, by the uid of its message. */
struct direct {
	struct hub *hub;
	uint64_t uid;
	uint64_t session;
	uint32_t request;
	struct loop_timer timer;
	int64_t deadline_ns;
	/* over a broker: the PUBLISH, until it was sent; then to which child */
	char *publish;
	size_t publish_len;
	uint64_t sent_to;
	UT_hash_handle hh;
};

/* What is said of a broker's message once it is committed. */
struct told {
	uint64_t session;
	uint32_t request;
	enum msg_id id;			/* SETTLED, OK */
	uint8_t how;
};

/* An answer of the broker's to one who does not ask yet. */
struct answer {
	struct answer *prev, *next;
	uint64_t uid;
	int64_t until_ns;
	char *bytes;			/* ANSWER, encoded */
	size_t len;
};

/* The result of a call that its client has not asked for again yet. */
struct parked {
	struct parked *prev, *next;
	uint64_t uid;
	uint64_t session;
	uint32_t request;
	char *done;
	size_t done_len;
};

struct work {
	struct hub *hub;
	struct jobs *jobs;
	struct lane **queue_lane;	/* by index in the config */
	struct item *items;
	struct item *cache;
	size_t cached;			/* bytes of it */
	struct item *calls;
	struct buf attrs, scratch;	/* for one function at a time */
	struct item *delivered;
	size_t delivereds, delivered_bytes;
	struct told *told;
	size_t tolds, told_size;
	int64_t told_ns;		/* the first of them */
	struct loop_timer told_late;
	struct siphash_key delivery_key;	/* 0, 0: not read yet */
	struct item *unmarked;
	struct direct *directs;
	struct answer *answers;
	size_t answers_n;
	struct loop_timer answers_old;
	struct parked *parked;
	size_t parkeds;
	int64_t park_until_ns;
	size_t waits;
	bool dropping;			/* drop_heads() is at it */
	bool refusing;			/* what is no message to us */
	struct loop_timer timer;	/* whatever is due next */
	struct loop_timer purge;
	bool purge_soon;
	struct loop_timer lazy;
	struct loop_timer unpark;
	struct why load_why;
};

/* Do jobs survive a power cut? */
static inline bool
work_is_durable(const struct hub *hub)
{
	return hub->conf->tasks.durability == CONF_DURABLE_FULL;
}

/* Is it in the store? A call is its client's to keep, a delivery the
 * broker's. */
static inline bool
work_is_stored(const struct job *job)
{
	return job->kind != JOB_CALL && job->kind != JOB_DELIVERED;
}

/* --- work.c */

/* There is more in the store that is kept for a while only. */
void work_purge_soon(struct hub *hub);

/* --- work_item.c */

struct item *item_of(struct hub *hub, struct job *job);	/* made if need be */
/* Keeps a copy of the encoded body. */
void item_set_body(struct hub *hub, struct item *item, struct msg_bytes body);
/* What was said of a job; false when the store has lost it. */
bool item_submit(struct hub *hub, struct job *job, struct msg_SUBMIT *submit);
bool item_call(struct job *job, struct msg_CALL *call);
void item_begin(struct hub *hub, struct item *item);
void item_end(struct hub *hub, struct item *item);
void item_free(struct hub *hub, struct item *item);
/* Lets go what exceeds tasks.cache, and items without a purpose. */
void items_trim(struct hub *hub);
/* The store knows that it runs, or will. */
void item_mark(struct hub *hub, struct item *item);
void items_mark(struct hub *hub);
/* The item and the job, out of memory. */
void work_forget(struct hub *hub, struct job *job);

/* A part that was encoded: -1 when it is not one of that kind. */
int work_decode(struct msg_bytes bytes, enum msg_id id, union msg *msg);
/* What a DONE says, for whoever waits for it. */
struct msg_RESULT work_result(const struct msg_DONE *done);
/* Adds an ATTR to parts. */
void work_put_attr(struct buf *attrs, unsigned what, const char *name,
    struct msg_bytes value);

/* --- work_add.c */

struct lane *work_lane(struct hub *hub, struct msg_bytes handler);
/* Of the queue with that index in the config. */
struct lane *work_queue_lane(struct hub *hub, size_t index);
void work_set_lanes(struct hub *hub);

struct work_terms {
	unsigned max_attempts;
	int64_t backoff_min_ms, backoff_max_ms, timeout_ns;
};
void work_terms(struct hub *hub, const struct job *job,
    const struct msg_SUBMIT *submit, struct work_terms *terms);

/* --- work_end.c */

/* It has ended for good. `done` NULL: made of `why` and `code`. */
void work_fail(struct hub *hub, struct job *job, enum job_state state,
    const struct msg_DONE *done, enum hub_code code, const char *why);
/* An attempt was in vain; delay_ms -1: by the backoff. */
void work_again(struct hub *hub, struct job *job, const struct msg_DONE *done,
    enum hub_code code, int64_t delay_ms, const char *why);
/* DONE for a job that is there; answers the worker. */
void work_done(struct hub *hub, struct job *job, const struct msg_DONE *done,
    uint64_t session, uint32_t request);
/* What it relied on has changed: its handler is to run again, which is no new
 * attempt. False: too often. */
bool work_rerun(struct hub *hub, struct job *job);
/* The attempt does not count; another begins so much later. */
void work_later(struct hub *hub, struct job *job, int64_t delay_ms);
void work_answer(struct hub *hub, uint64_t session, uint32_t request,
    enum hub_code code, const char *why);

/* --- work_follow.c */

/* Is its result small enough to be the input of what follows? */
bool follow_fits(struct hub *hub, const struct msg_SUBMIT *submit,
    const struct msg_DONE *done);
/* The jobs, messages and answers that an end causes. Returns true when the job
 * need not be kept. */
bool follow_success(struct hub *hub, struct job *job,
    const struct msg_SUBMIT *submit, const struct msg_DONE *done);
bool follow_failure(struct hub *hub, struct job *job,
    const struct msg_SUBMIT *submit, unsigned status, const char *why);
/* A broker's message to its delay queue, for its next attempt. */
void follow_retry(struct hub *hub, const struct job *job,
    const struct msg_SUBMIT *submit, const struct conf_queue *queue,
    int64_t step_ms);

/* --- work_call.c */

void call_done(struct hub *hub, struct job *job, const struct msg_DONE *done,
    uint64_t session, uint32_t request);
/* It has no result. */
void call_fail(struct hub *hub, struct job *job, enum hub_code code,
    const char *why);
void call_unpark(struct hub *hub);
void call_park(struct hub *hub, struct peer *peer, uint32_t request,
    const struct msg_DONE *done);
void calls_on_peer_gone(struct hub *hub, struct peer *peer);
/* A job that is not stored is here (again): is its DONE, or has a worker it? */
void call_resume(struct hub *hub, struct job *job);

/* --- work_request.c */

void direct_free(struct direct *direct);
void directs_free(struct hub *hub);
/* work_answer.c: the same over a broker */
void request_send(struct hub *hub, struct peer *peer, uint32_t request,
    const struct msg_PUBLISH *publish, int64_t deadline_ns);
struct direct *direct_find(struct hub *hub, uint64_t uid);
struct direct *direct_add(struct hub *hub, uint64_t uid, struct peer *peer,
    uint32_t request, int64_t deadline_ns);
bool directs_are_full(struct hub *hub, struct why *why);
void answers_start(struct hub *hub);
void answers_free(struct hub *hub);

/* --- delivery.c */

/* Nobody guesses it; always the same for a uid, and another one for that of
 * another machine. */
uint64_t delivery_token(struct hub *hub, uint64_t uid);

/* --- delivery_tell.c */

void tolds_start(struct hub *hub);
void tolds_free(struct hub *hub);

/* --- work_ask.c */

/* Everybody who waits for this job's end is told. */
void waits_answer(struct hub *hub, struct job *job);
void waits_free(struct item *item);

#endif
