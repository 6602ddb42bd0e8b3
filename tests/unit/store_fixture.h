/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_fixture - a store for tests: in a folder of each test's own, opened,
 * closed and opened again, with jobs that differ in little.
 */
#ifndef TESTS_UNIT_STORE_FIXTURE_H
#define TESTS_UNIT_STORE_FIXTURE_H

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/why.h"
#include "core/conf.h"
#include "hub/store.h"
#include "run_suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define WALL_MS INT64_C(1790000000000)

static char dir[64], path[80];
static struct conf *conf;
static struct store *store;
static struct jobs *jobs;
static struct why why;

static inline void
store_reopen(void)
{
	store_close(store);
	store = store_open(path, conf, &why);
	ck_assert_msg(store != NULL, "%s", why.text);
}

static void
store_set_up(void)
{
	snprintf(dir, sizeof dir, "/tmp/test_store.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/hub.db", dir);
	conf = conf_defaults();
	conf->hub.reserve = 1 << 20;
	conf->hub.min_free = 0;
	jobs = jobs_new(SIZE_MAX);
	store_reopen();
}

static int
store_remove(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(name);
}

static void
store_tear_down(void)
{
	store_close(store);
	store = NULL;
	jobs_free(jobs);
	conf_free(conf);
	ck_assert_int_eq(nftw(dir, store_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static inline struct job
job_of(uint64_t uid, const char *lane, enum job_state state)
{
	return (struct job) {
		.uid = uid,
		.token = ~uid,
		.lane = jobs_lane(jobs, lane),
		.state = state,
		.expires_ms = -1,
	};
}

static inline void
add_job(const struct job *job, const char *submit)
{
	uint64_t token = 0;

	ck_assert(store_add_job(store, job, msg_text(submit), &token));
}

static inline void
finish(uint64_t uid, enum job_state state, const char *done, int64_t wall_ms)
{
	struct job job = job_of(uid, "a", state);

	job.attempts = 1;
	store_finish_job(store, &job, msg_text(done), NULL, wall_ms);
}

static inline bool
is_there(uint64_t uid)
{
	struct stored_job stored;

	if (!store_find_job(store, uid, &stored))
		return false;
	stored_job_release(&stored);
	return true;
}

static inline int
run_store_suite(const char *name, void (*add)(TCase *tests))
{
	return run_tests(name, 120, store_set_up, store_tear_down, add);
}

#endif
