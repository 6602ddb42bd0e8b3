/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * jobs_impl - what jobs.c, jobs_lane.c, jobs_heap.c and jobs_index.c share.
 *
 * A job is in one place: WAITING in the heap of due times, QUEUED in a level of
 * its lane, or RUNNING and only counted. A level is the jobs of one priority in
 * one lane; those levels that may be chosen from now form a ring for each
 * priority, and the rings that are not empty have a bit set. So choosing looks
 * at no lane that has nothing, is closed, or is at a limit.
 */
#ifndef HUB_JOBS_IMPL_H
#define HUB_JOBS_IMPL_H

#include <uthash.h>

#include "hub/jobs.h"

enum { PLACE_NONE, PLACE_WAITING, PLACE_QUEUED, PLACE_RUNNING };

/* A waiting call is above all priorities. */
#define LEVEL_CALL 256
#define LEVELS 257

struct level {
	struct lane *lane;
	struct job *jobs;		/* utlist, the first is the next */
	struct level *prev, *next;	/* in the ring */
	uint16_t at;			/* priority, or LEVEL_CALL */
	bool ringed;
};

struct lane {
	UT_hash_handle hh;
	struct jobs *jobs;
	const struct conf_queue *conf_queue;
	const struct conf_limit *conf_limit;
	struct lane_limits limits;
	struct lane *with;		/* whose limits count as well */
	struct lane *sharers, *next_sharer;	/* lanes whose `with` we are */
	bool open;
	bool ready;			/* its levels are in their rings */
	struct level **level;		/* highest first */
	size_t levels;
	size_t waiting, queued, running;
	/* its own and those of its sharers, for the limits */
	size_t counted;
	int64_t window_ns;		/* when the rate's window began */
	int begun;			/* in it */
	bool rated;			/* no more in this window */
	int64_t took_ns;		/* a running mean */
	char name[];
};

/* A binary heap by moments; each item knows its index in it (from 1, 0: it is
 * in none). */
struct heap {
	struct heap_entry { int64_t key; struct job *job; } *v;
	size_t n, size;
	uint32_t *(*index_of)(struct job *job);
};

void heap_push(struct heap *heap, int64_t key, struct job *job);
void heap_drop(struct heap *heap, struct job *job);	/* if it is in it */
int64_t heap_first(const struct heap *heap);	/* INT64_MAX: empty */

/* Jobs by uid. Grows and shrinks by one bucket at a time (linear hashing), so
 * that no job pays for all others. */
struct index {
	struct job **bucket;
	size_t n, mask, split, jobs;
};

void index_init(struct index *index);
void index_add(struct index *index, struct job *job);
struct job *index_find(const struct index *index, uint64_t uid);
void index_drop(struct index *index, struct job *job);
/* Any one, or NULL: to free them all. */
struct job *index_any(const struct index *index);

struct unique {
	UT_hash_handle hh;
	struct job *job;
};

struct jobs {
	size_t max;
	size_t by_state[JOB_STATE_COUNT];
	size_t calls;			/* JOB_CALL, not running */
	struct index by_uid;
	struct unique *by_unique;
	struct heap due, expires;
	struct lane *lanes;
	struct lane **rated;		/* that a rate holds, no order */
	size_t rateds, rated_size;
	struct level *ring[LEVELS];
	uint64_t ringed[(LEVELS + 63) / 64];
};

/* --- jobs_lane.c */

void lane_queue(struct lane *lane, struct job *job, bool first);
void lane_unqueue(struct lane *lane, struct job *job);
/* A job of it begins (now_ns < 0: without counting for the rate) or ends. */
void lane_begin(struct lane *lane, int64_t now_ns);
void lane_end(struct lane *lane);
/* Lanes whose window is over get ready; when the next one is. */
int64_t lanes_wake(struct jobs *jobs, int64_t now_ns);
struct job *lanes_choose(struct jobs *jobs);
void lanes_free(struct jobs *jobs);

#endif
