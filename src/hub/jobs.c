/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * jobs - jobs from their addition to their end: where each is, and the two
 * clocks that move them (due, expires). See jobs_impl.h for how they are kept.
 */
#include "hub/jobs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/mem.h"
#include "hub/jobs_impl.h"

static const char *const state_names[] = {
#define JOB_STATE(id, name) name,
	JOB_STATES
#undef JOB_STATE
};

const char *
job_state_name(enum job_state state)
{
	return state < JOB_STATE_COUNT ? state_names[state] : "?";
}

int
job_state_parse(const char *name)
{
	for (int i = 0; i < JOB_STATE_COUNT; i++)
		if (strcmp(name, state_names[i]) == 0)
			return i;
	return -1;
}

static uint32_t *
due_index(struct job *job)
{
	return &job->due_index;
}

static uint32_t *
expires_index(struct job *job)
{
	return &job->expires_index;
}

struct jobs *
jobs_new(size_t max)
{
	struct jobs *jobs = mem_alloc(sizeof *jobs);

	jobs->max = max;
	jobs->due.index_of = due_index;
	jobs->expires.index_of = expires_index;
	index_init(&jobs->by_uid);
	return jobs;
}

void
jobs_set_max(struct jobs *jobs, size_t max)
{
	jobs->max = max;
}

void
jobs_free(struct jobs *jobs)
{
	struct job *job;

	if (jobs == NULL)
		return;
	while ((job = index_any(&jobs->by_uid)) != NULL)
		jobs_remove(jobs, job);
	lanes_free(jobs);
	free(jobs->by_uid.bucket);
	free(jobs->due.v);
	free(jobs->expires.v);
	free(jobs);
}

/* --- where a job is */

static void
job_count(struct jobs *jobs, const struct job *job, size_t by)
{
	static const enum job_state state_of[] = {
		[PLACE_WAITING] = JOB_WAITING,
		[PLACE_QUEUED] = JOB_QUEUED,
		[PLACE_RUNNING] = JOB_RUNNING,
	};

	jobs->by_state[state_of[job->place]] += by;
	if (job->kind == JOB_CALL && job->place != PLACE_RUNNING)
		jobs->calls += by;
	if (job->place == PLACE_WAITING)
		job->lane->waiting += by;
}

/* Out of where it is. */
static void
job_take(struct jobs *jobs, struct job *job)
{
	if (job->place == PLACE_NONE)
		return;
	job_count(jobs, job, (size_t)-1);
	heap_drop(&jobs->due, job);
	heap_drop(&jobs->expires, job);
	if (job->place == PLACE_QUEUED)
		lane_unqueue(job->lane, job);
	else if (job->place == PLACE_RUNNING)
		lane_end(job->lane);
	job->place = PLACE_NONE;
}

static void
job_expects(struct jobs *jobs, struct job *job)
{
	if (job->expires_ms >= 0)
		heap_push(&jobs->expires, job->expires_ms, job);
}

static void
job_wait(struct jobs *jobs, struct job *job)
{
	job->state = JOB_WAITING;
	job->place = PLACE_WAITING;
	heap_push(&jobs->due, job->due_ms, job);
	job_expects(jobs, job);
	job_count(jobs, job, 1);
}

static void
job_queue(struct jobs *jobs, struct job *job, bool first)
{
	job->state = JOB_QUEUED;
	job->place = PLACE_QUEUED;
	job->retrying = false;
	lane_queue(job->lane, job, first);
	job_expects(jobs, job);
	job_count(jobs, job, 1);
}

static void
job_run(struct jobs *jobs, struct job *job, int64_t now_ns)
{
	job->state = JOB_RUNNING;
	job->place = PLACE_RUNNING;
	job_count(jobs, job, 1);
	lane_begin(job->lane, now_ns);
}

/* --- in and out */

static void
unique_add(struct jobs *jobs, struct job *job)
{
	struct unique *unique;

	if (job->unique == NULL)
		return;
	unique = mem_alloc(sizeof *unique);
	unique->job = job;
	HASH_ADD_KEYPTR(hh, jobs->by_unique, job->unique, strlen(job->unique),
	    unique);
}

static void
unique_drop(struct jobs *jobs, struct job *job)
{
	struct unique *unique;

	if (job->unique == NULL)
		return;
	HASH_FIND_STR(jobs->by_unique, job->unique, unique);
	if (unique != NULL && unique->job == job) {
		HASH_DEL(jobs->by_unique, unique);
		free(unique);
	}
}

struct job *
jobs_add(struct jobs *jobs, const struct job *from, enum hub_code *code)
{
	size_t wait = jobs->by_state[JOB_WAITING] + jobs->by_state[JOB_QUEUED] -
	    jobs->calls;
	struct job *job = NULL;

	assert(from->state == JOB_WAITING || from->state == JOB_QUEUED);
	if (from->kind == JOB_CALL || wait < jobs->max)
		job = mem_try_alloc(sizeof *job);
	*code = job != NULL ? HUB_OK : HUB_FULL;
	if (job == NULL)
		return NULL;
	*job = *from;
	job->place = PLACE_NONE;
	job->due_index = job->expires_index = 0;
	job->prev = job->next = job->hash_next = NULL;
	index_add(&jobs->by_uid, job);
	unique_add(jobs, job);
	if (job->state == JOB_WAITING)
		job_wait(jobs, job);
	else
		job_queue(jobs, job, false);
	return job;
}

void
jobs_remove(struct jobs *jobs, struct job *job)
{
	job_take(jobs, job);
	unique_drop(jobs, job);
	index_drop(&jobs->by_uid, job);
	free(job->unique);
	free(job);
}

struct job *
jobs_find(struct jobs *jobs, uint64_t uid)
{
	return index_find(&jobs->by_uid, uid);
}

struct job *
jobs_find_unique(struct jobs *jobs, struct msg_bytes key)
{
	struct unique *unique;

	HASH_FIND(hh, jobs->by_unique, key.p, key.len, unique);
	return unique != NULL ? unique->job : NULL;
}

/* --- moving on */

int64_t
jobs_due(struct jobs *jobs, int64_t wall_ms)
{
	while (heap_first(&jobs->due) <= wall_ms) {
		struct job *job = jobs->due.v[0].job;

		job_take(jobs, job);
		job_queue(jobs, job, false);
	}
	return heap_first(&jobs->due);
}

struct job *
jobs_expired(struct jobs *jobs, int64_t wall_ms, int64_t *next_ms)
{
	*next_ms = heap_first(&jobs->expires);
	return *next_ms <= wall_ms ? jobs->expires.v[0].job : NULL;
}

struct job *
jobs_next(struct jobs *jobs, int64_t now_ns, int64_t *again_ns)
{
	struct job *job;

	*again_ns = lanes_wake(jobs, now_ns);
	job = lanes_choose(jobs);
	if (job == NULL)
		return NULL;
	job_take(jobs, job);
	job_run(jobs, job, now_ns);
	return job;
}

struct job *
jobs_next_quick(struct jobs *jobs, int64_t now_ns, int64_t *again_ns)
{
	struct job *job;

	*again_ns = lanes_wake(jobs, now_ns);
	job = lanes_choose(jobs);
	if (job == NULL || job->kind != JOB_DELIVERED ||
	    !lane_is_quick(job->lane))
		return NULL;
	job_take(jobs, job);
	job_run(jobs, job, now_ns);
	return job;
}

void
jobs_return(struct jobs *jobs, struct job *job, int64_t due_ms, int64_t wall_ms)
{
	job_take(jobs, job);
	job->due_ms = due_ms;
	if (due_ms > wall_ms)
		job_wait(jobs, job);
	else
		job_queue(jobs, job, true);
}

void
jobs_adopt(struct jobs *jobs, struct job *job)
{
	job_take(jobs, job);
	job_run(jobs, job, -1);
}

/* The same for all: the order stays. One that never comes does so still. */
static int64_t
heap_shift(struct heap *heap, size_t i, int64_t by_ms)
{
	int64_t *key = &heap->v[i].key;

	if (*key < INT64_MAX / 2)
		*key += by_ms;
	return *key;
}

void
jobs_shift(struct jobs *jobs, int64_t by_ms)
{
	for (size_t i = 0; i < jobs->due.n; i++)
		jobs->due.v[i].job->due_ms = heap_shift(&jobs->due, i, by_ms);
	for (size_t i = 0; i < jobs->expires.n; i++)
		jobs->expires.v[i].job->expires_ms = heap_shift(&jobs->expires,
		    i, by_ms);
}

/* --- looking */

void
jobs_count(const struct jobs *jobs, size_t by_state[JOB_STATE_COUNT])
{
	memcpy(by_state, jobs->by_state, sizeof jobs->by_state);
}

size_t
jobs_calls(const struct jobs *jobs)
{
	return jobs->calls;
}

int64_t
jobs_backoff_ms(unsigned attempts, int64_t min_ms, int64_t max_ms,
    uint32_t random)
{
	struct backoff backoff;

	if (min_ms > max_ms)
		max_ms = min_ms;
	backoff_init(&backoff, min_ms, max_ms);
	backoff.failures = attempts > 0 ? attempts - 1 : 0;
	return backoff_next(&backoff, random);
}
