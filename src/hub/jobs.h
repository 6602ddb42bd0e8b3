/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * jobs - the work that waits, in memory: which is next, and when one is due.
 * Pure: no file, no peer, the clock comes as an argument.
 *
 * A message in a queue with a handler, a run of a schedule and a submitted job
 * are all jobs; so is a waiting call (JOB_CALL), which is never stored. Lanes
 * are what limits apply to: one for each queue and one for each handler that
 * jobs are submitted to. Costs do not grow with the number that waits.
 *
 *             due               chosen              done
 *   WAITING ───────► QUEUED ──────────► RUNNING ──────────► SUCCEEDED
 *      ▲                                   │ ├── rejected ──► FAILED
 *      └────── not the last attempt ───────┘ ├── last one ──► DEAD
 *                                            └── cancelled ─► CANCELLED
 */
#ifndef HUB_JOBS_H
#define HUB_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/msg.h"

const char *job_state_name(enum job_state state);
int job_state_parse(const char *name);		/* -1 */

enum job_kind { JOB_SUBMITTED, JOB_MESSAGE, JOB_SCHEDULED, JOB_CALL,
	JOB_DELIVERED };

struct conf_limit;
struct conf_queue;
struct jobs;
struct lane;

/* What has to be in memory of each; a million of them must be affordable. */
struct job {
	uint64_t uid, token;
	struct lane *lane;
	enum job_kind kind;
	enum job_state state;
	uint8_t priority;
	bool retrying;			/* WAITING after an attempt, not for a
					   delay */
	bool cancelled;			/* it runs, and is to give up */
	bool redelivered;		/* an attempt has ended unknown */
	uint16_t attempts;		/* begun */
	uint8_t place;			/* jobs.c's own: whatever others say in
					   `state` */
	int64_t due_ms;			/* wall clock; when WAITING */
	int64_t expires_ms;		/* -1: never */
	char *unique;			/* NULL: none; owned */
	/* jobs.c's own */
	uint32_t due_index, expires_index;
	struct job *prev, *next, *hash_next;
	/* work.c's own: body at hand, who waits, the worker */
	void *work;
};

struct lane_limits {
	int concurrency;		/* 0: none */
	int rate;			/* 0: none */
	int64_t per_ns;
	int max_length;			/* 0: none */
};

/* `max` jobs at most that wait (tasks.max_queued), JOB_CALL aside. */
struct jobs *jobs_new(size_t max);
void jobs_set_max(struct jobs *jobs, size_t max);
void jobs_free(struct jobs *jobs);	/* and all jobs and lanes */

/* Finds or makes. The name is LANE_QUEUE "NAME" or the handler's. */
#define LANE_QUEUE "queue:"
struct lane *jobs_lane(struct jobs *jobs, const char *name);
const char *lane_name(const struct lane *lane);
/* The queue's name; NULL: it is a handler's. */
const char *lane_queue_name(const struct lane *lane);
/* What the config has for it, or NULL; looked at by others alone. */
void lane_set_conf(struct lane *lane, const struct conf_queue *queue,
    const struct conf_limit *limit);
const struct conf_queue *lane_conf_queue(const struct lane *lane);
const struct conf_limit *lane_conf_limit(const struct lane *lane);
void lane_set_limits(struct lane *lane, const struct lane_limits *limits);
/* What runs of `lane` counts against the concurrency and the rate of `with` as
 * well, which stands for the handler of a queue; NULL: no more. */
void lane_share(struct lane *lane, struct lane *with);
/* As many wait in it as max_length allows; whoever adds looks at it. */
bool lane_is_full(const struct lane *lane);
/* Nobody takes its work now (a queue without a handler, a handler that no
 * module has): it waits. */
void lane_set_open(struct lane *lane, bool open);
void lane_count(const struct lane *lane, size_t *waiting, size_t *queued,
    size_t *running);
/* One of its jobs took so long. */
void lane_took(struct lane *lane, int64_t took_ns);
bool lane_is_quick(const struct lane *lane);
int64_t lane_oldest_ms(const struct lane *lane);	/* 0: none queued */
struct lane *jobs_first_lane(struct jobs *jobs);
struct lane *lane_next(struct lane *lane);
/* Jobs queued in a lane, in their order; NULL at the end. */
struct job *lane_first(struct lane *lane);
struct job *lane_after(struct lane *lane, struct job *job);

/* A copy of the job, zeroed but for what describes it; state WAITING or QUEUED.
 * Owns `unique` from then on. NULL when there are too many (HUB_FULL). */
struct job *jobs_add(struct jobs *jobs, const struct job *job,
    enum hub_code *code);
struct job *jobs_find(struct jobs *jobs, uint64_t uid);
struct job *jobs_find_unique(struct jobs *jobs, struct msg_bytes key);
/* Out of everything, and freed. */
void jobs_remove(struct jobs *jobs, struct job *job);

/* Moves jobs that are due to QUEUED; returns when the next one is (INT64_MAX).
 */
int64_t jobs_due(struct jobs *jobs, int64_t wall_ms);

/*
 * The next job to run: the highest priority first, lanes in turn within it, in
 * a lane the oldest first; NULL when there is none that limits allow. Waiting
 * calls come before everything. It becomes RUNNING. *again_ns: when a rate
 * limit allows the next one, INT64_MAX if that is not what it waits for.
 */
struct job *jobs_next(struct jobs *jobs, int64_t now_ns, int64_t *again_ns);

/* The same, but only a broker's message of a lane whose last ones were quick:
 * one that a busy worker may have in advance. */
struct job *jobs_next_quick(struct jobs *jobs, int64_t now_ns,
    int64_t *again_ns);

/* A job that runs goes back: WAITING until due_ms or, when that is not later
 * than wall_ms, QUEUED again in front of the others. */
void jobs_return(struct jobs *jobs, struct job *job, int64_t due_ms,
    int64_t wall_ms);
/* It begins to run without having been chosen (the hub was replaced, and a
 * worker has it). */
void jobs_adopt(struct jobs *jobs, struct job *job);

/* The first QUEUED or WAITING job past its expires_ms; *next_ms as above. */
struct job *jobs_expired(struct jobs *jobs, int64_t wall_ms, int64_t *next_ms);

/* The wall clock was set: by so much all that waits for a moment moves, for it
 * was told how long to wait. */
void jobs_shift(struct jobs *jobs, int64_t by_ms);

void jobs_count(const struct jobs *jobs, size_t by_state[JOB_STATE_COUNT]);
size_t jobs_calls(const struct jobs *jobs);	/* JOB_CALL, not running */

/* Until the next attempt after `attempts` of them: doubles from min to max,
 * less up to a quarter by `random`. */
int64_t jobs_backoff_ms(unsigned attempts, int64_t min_ms, int64_t max_ms,
    uint32_t random);

#endif
