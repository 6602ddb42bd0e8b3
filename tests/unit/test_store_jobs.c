/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_store_jobs - jobs through their stored life: added, changed, finished,
 * listed, run again, purged; and the calls that are known to be done.
 */
#include "store_fixture.h"

static struct stored_job
found(uint64_t uid)
{
	struct stored_job stored;

	ck_assert(store_find_job(store, uid, &stored));
	ck_assert_uint_eq(stored.job.uid, uid);
	ck_assert_ptr_null(stored.job.lane);
	return stored;
}

START_TEST(a_job_is_found_as_it_was_added)
{
	struct job job = job_of(UINT64_MAX >> 1, "queue:mails", JOB_WAITING);
	struct stored_job stored;
	uint64_t token = 0;

	job.kind = JOB_MESSAGE;
	job.priority = 255;
	job.attempts = 3;
	job.retrying = job.redelivered = job.cancelled = true;
	job.due_ms = WALL_MS;
	job.expires_ms = WALL_MS + 1;
	job.unique = (char[]){ "mail to joe" };
	add_job(&job, "do this");
	/* in the open transaction, and after it */
	for (int i = 0; i < 2; i++) {
		stored = found(job.uid);
		ck_assert_uint_eq(stored.job.token, job.token);
		ck_assert_str_eq(stored.lane, "queue:mails");
		ck_assert_int_eq(stored.job.kind, JOB_MESSAGE);
		ck_assert_int_eq(stored.job.state, JOB_WAITING);
		ck_assert_uint_eq(stored.job.priority, 255);
		ck_assert_uint_eq(stored.job.attempts, 3);
		ck_assert(stored.job.retrying && stored.job.redelivered &&
		    stored.job.cancelled);
		ck_assert_int_eq(stored.job.due_ms, WALL_MS);
		ck_assert_int_eq(stored.job.expires_ms, WALL_MS + 1);
		ck_assert_str_eq(stored.job.unique, "mail to joe");
		ck_assert_str_eq(stored.submit, "do this");
		ck_assert_uint_eq(stored.submit_len, 7);
		ck_assert_uint_eq(stored.done_len, 0);
		ck_assert_str_eq(stored.errors, "[]");
		ck_assert_int_eq(stored.finished_ms, 0);
		stored_job_release(&stored);
		store_reopen();
	}
	/* the same again is the one that stands */
	job.token = 5;
	ck_assert(!store_add_job(store, &job, msg_text("else"), &token));
	ck_assert_uint_eq(token, ~job.uid);
	ck_assert(!is_there(1));
}
END_TEST

START_TEST(bodies_of_every_size)
{
	static const size_t size[] = { 0, 1, 1999, 2000, 2001, 4096, 1 << 20 };

	for (size_t i = 0; i < COUNT(size); i++) {
		struct job job = job_of(i + 1, "a", JOB_QUEUED);
		char *body = malloc(size[i] + 1);
		struct stored_job stored;
		uint64_t token;

		memset(body, (int)('a' + i), size[i]);
		ck_assert(store_add_job(store, &job,
		    (struct msg_bytes){ body, size[i] }, &token));
		stored = found(i + 1);
		ck_assert_uint_eq(stored.submit_len, size[i]);
		ck_assert_int_eq(memcmp(stored.submit, body, size[i]), 0);
		stored_job_release(&stored);
		free(body);
	}
	store_drop_job(store, 7);
	store_drop_job(store, 7);
	ck_assert(!is_there(7));
	ck_assert(is_there(6));
}
END_TEST

START_TEST(a_job_changes_and_ends)
{
	struct job job = job_of(1, "a", JOB_QUEUED);
	struct stored_job stored;

	add_job(&job, "x");
	job.state = JOB_WAITING;
	job.retrying = true;
	job.attempts = 1;
	job.due_ms = WALL_MS + 1000;
	store_update_job(store, &job, "{\"attempt\":1}");
	store_update_job(store, &job, NULL);
	job.attempts = 2;
	store_update_job(store, &job, "{\"attempt\":2}");
	stored = found(1);
	ck_assert_int_eq(stored.job.state, JOB_WAITING);
	ck_assert(stored.job.retrying);
	ck_assert_uint_eq(stored.job.attempts, 2);
	ck_assert_int_eq(stored.job.due_ms, WALL_MS + 1000);
	ck_assert_str_eq(stored.errors, "[{\"attempt\":1},{\"attempt\":2}]");
	stored_job_release(&stored);

	job.state = JOB_DEAD;
	job.attempts = 3;
	store_finish_job(store, &job, msg_text("the result"), "{\"attempt\":3}",
	    WALL_MS + 5);
	/* once only */
	job.state = JOB_SUCCEEDED;
	store_finish_job(store, &job, msg_text("another"), NULL, WALL_MS + 6);
	store_reopen();
	stored = found(1);
	ck_assert_int_eq(stored.job.state, JOB_DEAD);
	ck_assert_uint_eq(stored.job.attempts, 3);
	ck_assert_str_eq(stored.done, "the result");
	ck_assert_int_eq(stored.finished_ms, WALL_MS + 5);
	ck_assert_str_eq(stored.errors,
	    "[{\"attempt\":1},{\"attempt\":2},{\"attempt\":3}]");
	stored_job_release(&stored);
}
END_TEST

START_TEST(a_dead_job_runs_again)
{
	struct job job = job_of(1, "a", JOB_QUEUED);
	struct stored_job stored;

	add_job(&job, "x");
	finish(1, JOB_DEAD, "bad", WALL_MS);
	store_update_job(store, &job, NULL);
	stored = found(1);
	ck_assert_int_eq(stored.job.state, JOB_QUEUED);
	ck_assert_uint_eq(stored.job.attempts, 0);
	ck_assert_int_eq(stored.finished_ms, 0);
	ck_assert_uint_eq(stored.done_len, 0);
	stored_job_release(&stored);
	finish(1, JOB_SUCCEEDED, "good", WALL_MS + 9);
	stored = found(1);
	ck_assert_str_eq(stored.done, "good");
	ck_assert_int_eq(stored.finished_ms, WALL_MS + 9);
	stored_job_release(&stored);
}
END_TEST

/* --- many */

struct seen {
	uint64_t uid[20];
	size_t n;
	size_t stop_at;
};

static int
see(void *ctx, const struct job *job, const char *lane, struct msg_bytes submit)
{
	struct seen *seen = ctx;

	ck_assert_uint_lt(seen->n, COUNT(seen->uid));
	ck_assert_str_eq(lane, job->uid % 2 ? "odd" : "even");
	ck_assert(msg_is(submit, "do it"));
	ck_assert_ptr_null(job->unique);
	seen->uid[seen->n++] = job->uid;
	return seen->n == seen->stop_at ? -1 : 0;
}

static int
see_stored(void *ctx, const struct stored_job *job)
{
	struct seen *seen = ctx;

	ck_assert_uint_lt(seen->n, COUNT(seen->uid));
	seen->uid[seen->n++] = job->job.uid;
	return 0;
}

/* 1 to 10: 2 is dead, 4 succeeded, 6 failed, 8 cancelled, 7 waits, in another
 * order than that of their numbers. */
static void
put_ten(void)
{
	for (uint64_t uid = 10; uid >= 1; uid--) {
		struct job job = job_of(uid, uid % 2 ? "odd" : "even",
		    uid == 7 ? JOB_WAITING : JOB_QUEUED);

		add_job(&job, "do it");
	}
	finish(8, JOB_CANCELLED, "", WALL_MS);
	finish(6, JOB_FAILED, "", WALL_MS + 1);
	finish(2, JOB_DEAD, "", WALL_MS + 2);
	/* the clock was put back */
	finish(4, JOB_SUCCEEDED, "4", WALL_MS - 50);
}

START_TEST(those_that_wait_are_loaded_in_their_order)
{
	static const uint64_t want[] = { 1, 3, 5, 7, 9, 10 };
	struct seen seen = { .n = 0 };

	put_ten();
	store_reopen();
	ck_assert_int_eq(store_each_job(store, see, &seen), 0);
	ck_assert_uint_eq(seen.n, COUNT(want));
	for (size_t i = 0; i < COUNT(want); i++)
		ck_assert_uint_eq(seen.uid[i], want[i]);
	seen = (struct seen){ .stop_at = 2 };
	ck_assert_int_eq(store_each_job(store, see, &seen), -1);
	ck_assert_uint_eq(seen.n, 2);
}
END_TEST

#define SET(state) (1U << JOB_##state)

static const struct listing {
	unsigned states;
	const char *lane;
	size_t limit;
	uint64_t want[11]; /* up to 0 */
} listings[] = {
	{ SET(WAITING), NULL, 99, { 7 } },
	{ SET(QUEUED), NULL, 99, { 10, 9, 5, 3, 1 } },
	{ SET(QUEUED) | SET(WAITING), "odd", 99, { 9, 7, 5, 3, 1 } },
	{ SET(QUEUED), NULL, 2, { 10, 9 } },
	{ SET(DEAD) | SET(FAILED), NULL, 99, { 2, 6 } },
	{ SET(DEAD), NULL, 99, { 2 } },
	{ SET(DEAD), "odd", 99, { 0 } },
	{ SET(SUCCEEDED) | SET(CANCELLED), "even", 99, { 4, 8 } },
	{ SET(SUCCEEDED), NULL, 99, { 4 } },
	{ SET(SUCCEEDED), NULL, 0, { 0 } },
	{ (1U << JOB_STATE_COUNT) - 1, NULL, 99,
	    { 10, 9, 8, 7, 6, 5, 4, 3, 2, 1 } },
	{ (1U << JOB_STATE_COUNT) - 1, "even", 3, { 10, 8, 6 } },
	{ SET(QUEUED) | SET(DEAD), NULL, 99, { 10, 9, 5, 3, 2, 1 } },
	{ 0, NULL, 99, { 0 } },
};

START_TEST(lists_are_newest_first)
{
	const struct listing *listing = &listings[_i];
	struct seen seen = { .n = 0 };

	put_ten();
	ck_assert_int_eq(store_list_jobs(store, listing->states, listing->lane,
			     listing->limit, see_stored, &seen),
	    0);
	for (size_t i = 0; i < seen.n; i++)
		ck_assert_uint_eq(seen.uid[i], listing->want[i]);
	ck_assert_uint_eq(listing->want[seen.n], 0);
}
END_TEST

START_TEST(an_idempotency_key_finds_its_job)
{
	struct msg_SUBMIT submit = { .handler = msg_text("a.b"),
		.idempotency = msg_text("POST /x key-1"),
		.fingerprint = UINT64_MAX - 4 };
	struct job job = job_of(1, "a", JOB_QUEUED);
	uint64_t uid, token, fingerprint;
	struct buf buf;

	buf_init(&buf, 1 << 16);
	ck_assert_int_eq(msg_encode(&buf, MSG_SUBMIT, 0, &submit), 0);
	ck_assert(store_add_job(store, &job,
	    (struct msg_bytes){ buf.data, buf.len }, &token));
	buf_release(&buf);
	job = job_of(2, "a", JOB_QUEUED);
	add_job(&job, "no message");
	for (int i = 0; i < 2; i++) {
		ck_assert(store_find_idempotent(store, submit.idempotency, &uid,
		    &token, &fingerprint));
		ck_assert_uint_eq(uid, 1);
		ck_assert_uint_eq(token, ~(uint64_t)1);
		ck_assert_uint_eq(fingerprint, UINT64_MAX - 4);
		ck_assert(!store_find_idempotent(store, msg_text("POST /x key"),
		    &uid, &token, &fingerprint));
		ck_assert(!store_find_idempotent(store, msg_text(""), &uid,
		    &token, &fingerprint));
		/* as long as the job is kept */
		finish(1, JOB_SUCCEEDED, "", WALL_MS);
	}
	store_drop_job(store, 1);
	ck_assert(!store_find_idempotent(store, submit.idempotency, &uid,
	    &token, &fingerprint));
}
END_TEST

/* --- what is kept */

static void
put_finished(uint64_t from, uint64_t n, enum job_state state, int64_t wall_ms)
{
	for (uint64_t uid = from; uid < from + n; uid++) {
		struct job job = job_of(uid, "a", JOB_QUEUED);

		add_job(&job, "x");
		finish(uid, state, "y", wall_ms + (int64_t)(uid - from));
	}
}

static size_t
count_there(uint64_t from, uint64_t n)
{
	size_t there = 0;

	for (uint64_t uid = from; uid < from + n; uid++)
		there += is_there(uid);
	return there;
}

START_TEST(the_newest_are_kept)
{
	conf->tasks.keep_max = 10;
	conf->tasks.keep_dead_max = 5;
	put_finished(100, 20, JOB_SUCCEEDED, WALL_MS);
	put_finished(200, 20, JOB_DEAD, WALL_MS - 1000);
	put_finished(300, 1, JOB_CANCELLED, WALL_MS + 500);
	put_finished(400, 1, JOB_FAILED, WALL_MS + 500);
	/* the count of those kept is that of the file */
	store_reopen();
	ck_assert(store_purge(store, conf, WALL_MS, 3));
	ck_assert_uint_eq(count_there(100, 20), 17);
	ck_assert(!store_purge(store, conf, WALL_MS, 1000));
	ck_assert_uint_eq(count_there(100, 20), 9);
	ck_assert_uint_eq(count_there(111, 9), 9);
	ck_assert(is_there(300));
	ck_assert_uint_eq(count_there(216, 4), 4);
	ck_assert_uint_eq(count_there(200, 20), 4);
	ck_assert(is_there(400));
	ck_assert(!store_purge(store, conf, WALL_MS, 1000));
	ck_assert_uint_eq(count_there(100, 301), 15);
}
END_TEST

START_TEST(the_old_go_but_not_the_dead)
{
	int64_t keep_ms = conf->tasks.keep / 1000000;
	struct job job = job_of(1, "a", JOB_QUEUED);

	add_job(&job, "waits");
	put_finished(100, 10, JOB_SUCCEEDED, WALL_MS);
	put_finished(200, 10, JOB_DEAD, WALL_MS);
	ck_assert(!store_purge(store, conf, WALL_MS + keep_ms, 1000));
	ck_assert_uint_eq(count_there(100, 10), 10);
	store_purge(store, conf, WALL_MS + keep_ms + 4, 1000);
	ck_assert_uint_eq(count_there(104, 6), 6);
	ck_assert_uint_eq(count_there(100, 10), 6);
	store_purge(store, conf, INT64_MAX, 1000);
	ck_assert_uint_eq(count_there(100, 10), 0);
	ck_assert_uint_eq(count_there(200, 10), 10);
	ck_assert(is_there(1));
}
END_TEST

START_TEST(a_done_call_is_remembered)
{
	int64_t remember_ms = conf->hub.remember / 1000000;

	ck_assert(!store_is_done(store, 5));
	ck_assert(store_add_done(store, 5, WALL_MS));
	ck_assert(store_add_done(store, 6, WALL_MS + 1));
	ck_assert(!store_add_done(store, 5, WALL_MS + 9));
	store_reopen();
	ck_assert(store_is_done(store, 5));
	ck_assert(!store_add_done(store, 5, WALL_MS));
	ck_assert(!store_purge(store, conf, WALL_MS + remember_ms, 100));
	ck_assert(store_is_done(store, 5));
	ck_assert(!store_purge(store, conf, WALL_MS + remember_ms + 1, 100));
	ck_assert(!store_is_done(store, 5));
	ck_assert(store_is_done(store, 6));
	ck_assert(store_add_done(store, 5, WALL_MS));
}
END_TEST

static void
add_tests(TCase *tests)
{
	tcase_add_test(tests, a_job_is_found_as_it_was_added);
	tcase_add_test(tests, bodies_of_every_size);
	tcase_add_test(tests, a_job_changes_and_ends);
	tcase_add_test(tests, a_dead_job_runs_again);
	tcase_add_test(tests, those_that_wait_are_loaded_in_their_order);
	tcase_add_loop_test(tests, lists_are_newest_first, 0, COUNT(listings));
	tcase_add_test(tests, an_idempotency_key_finds_its_job);
	tcase_add_test(tests, the_newest_are_kept);
	tcase_add_test(tests, the_old_go_but_not_the_dead);
	tcase_add_test(tests, a_done_call_is_remembered);
}

int
main(void)
{
	return run_store_suite("store_jobs", add_tests);
}
