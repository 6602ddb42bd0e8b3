/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * jobs_fixture - jobs for tests: a `struct jobs` of each test's own, jobs that
 * differ in little, and what a test says about the next one.
 */
#ifndef TESTS_UNIT_JOBS_FIXTURE_H
#define TESTS_UNIT_JOBS_FIXTURE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "hub/jobs.h"
#include "run_suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct jobs *jobs;

static void
jobs_set_up(void)
{
	jobs = jobs_new(SIZE_MAX);
}

static void
jobs_tear_down(void)
{
	jobs_free(jobs);
}

/* Queued at once. */
static inline struct job *
put(const char *lane, uint64_t uid, unsigned priority)
{
	struct job job = {
		.uid = uid,
		.lane = jobs_lane(jobs, lane),
		.state = JOB_QUEUED,
		.priority = (uint8_t)priority,
		.expires_ms = -1,
	};
	enum hub_code code;
	struct job *added = jobs_add(jobs, &job, &code);

	ck_assert_ptr_nonnull(added);
	ck_assert_int_eq(code, HUB_OK);
	return added;
}

static inline struct job *
put_later(const char *lane, uint64_t uid, int64_t due_ms, int64_t expires_ms)
{
	struct job job = {
		.uid = uid,
		.lane = jobs_lane(jobs, lane),
		.state = JOB_WAITING,
		.due_ms = due_ms,
		.expires_ms = expires_ms,
	};
	enum hub_code code;
	struct job *added = jobs_add(jobs, &job, &code);

	ck_assert_ptr_nonnull(added);
	return added;
}

/* 0: none. */
static inline uint64_t
next_at(int64_t now_ns)
{
	int64_t again_ns;
	struct job *job = jobs_next(jobs, now_ns, &again_ns);

	if (job == NULL)
		return 0;
	ck_assert_int_eq(job->state, JOB_RUNNING);
	return job->uid;
}

static inline void
end(uint64_t uid)
{
	struct job *job = jobs_find(jobs, uid);

	ck_assert_ptr_nonnull(job);
	jobs_remove(jobs, job);
}

static inline void
assert_counts(size_t waiting, size_t queued, size_t running)
{
	size_t by_state[JOB_STATE_COUNT];

	jobs_count(jobs, by_state);
	ck_assert_uint_eq(by_state[JOB_WAITING], waiting);
	ck_assert_uint_eq(by_state[JOB_QUEUED], queued);
	ck_assert_uint_eq(by_state[JOB_RUNNING], running);
}

static inline int
run_jobs_suite(const char *name, void (*add)(TCase *tests))
{
	return run_tests(name, 300, jobs_set_up, jobs_tear_down, add);
}

#endif
