/* SPDX-License-Identifier: BSD-2-Clause */
/* What waits for the broker, what of it is done, and a store from before. */
#include "hub/store_db.h"
#include "store_fixture.h"

/* of sqlite3.h, which the store alone includes */
extern int sqlite3_exec(struct sqlite3 *db, const char *sql,
    int (*each)(void *, int, char **, char **), void *ctx, char **error);

static struct {
	uint64_t seq[16], uid[16];
	size_t len[16], n;
	bool stop;
} rows;

static int
on_outbox(void *ctx, uint64_t seq, uint64_t uid, int64_t wall_ms, size_t len)
{
	ck_assert_ptr_eq(ctx, &rows);
	ck_assert_int_eq(wall_ms, WALL_MS);
	rows.seq[rows.n] = seq;
	rows.uid[rows.n] = uid;
	rows.len[rows.n++] = len;
	return rows.stop ? -1 : 0;
}

static void
want_outbox(size_t n, uint64_t first)
{
	rows.n = 0;
	ck_assert_int_eq(store_each_outbox(store, on_outbox, &rows), 0);
	ck_assert_uint_eq(rows.n, n);
	if (n > 0)
		ck_assert_uint_eq(rows.seq[0], first);
}

static void
add_to_outbox(uint64_t seq, const char *what)
{
	store_add_outbox(store, seq, seq + 100, WALL_MS, msg_text(what));
}

START_TEST(goes_in_and_out)
{
	size_t len;
	char *what;

	for (uint64_t seq = 10; seq > 4; seq--)
		add_to_outbox(seq, "this");
	store_commit(store, true);
	store_reopen();
	want_outbox(6, 5);
	ck_assert_uint_eq(rows.uid[0], 105);
	ck_assert_uint_eq(rows.len[0], 4);
	what = store_find_outbox(store, 7, &len);
	ck_assert_uint_eq(len, 4);
	ck_assert_int_eq(memcmp(what, "this", 4), 0);
	free(what);
	ck_assert_ptr_null(store_find_outbox(store, 77, &len));
	store_drop_outbox(store, 5, 7);
	store_drop_outbox(store, 9, 9);
	store_commit(store, true);
	store_reopen();
	want_outbox(2, 8);
	ck_assert_uint_eq(rows.seq[1], 10);
	rows.stop = true;
	rows.n = 0;
	ck_assert_int_eq(store_each_outbox(store, on_outbox, &rows), -1);
	ck_assert_uint_eq(rows.n, 1);
}
END_TEST

static int
on_seen(void *ctx, uint64_t last, struct msg_bytes uids)
{
	uint64_t *sum = ctx;

	*sum = *sum * 1000 + last * 10 + uids.len;
	return 0;
}

START_TEST(rows_of_what_is_done)
{
	uint64_t sum = 0;

	store_add_seen(store, 2, WALL_MS, msg_text("ab"));
	store_add_seen(store, 5, WALL_MS + 10, msg_text("cde"));
	store_add_seen(store, 6, WALL_MS + 20, msg_text("f"));
	store_commit(store, true);
	store_reopen();
	store_each_seen(store, on_seen, &sum);
	ck_assert_uint_eq(sum, 22053061);
	ck_assert_uint_eq(store_old_seen(store, WALL_MS), 0);
	ck_assert_uint_eq(store_old_seen(store, WALL_MS + 11), 5);
	store_drop_seen(store, 5);
	sum = 0;
	store_each_seen(store, on_seen, &sum);
	ck_assert_uint_eq(sum, 61);
}
END_TEST

static int commits;

static void
on_commit(void *ctx)
{
	ck_assert_ptr_eq(ctx, &commits);
	if (commits++ == 0)
		add_to_outbox(1, "put off");
}

START_TEST(what_is_put_off_is_in_the_transaction)
{
	store_before_commit(store, on_commit, &commits);
	store_commit(store, false);
	ck_assert_int_eq(commits, 1);
	ck_assert(!store_is_open(store));
	store_before_commit(store, NULL, NULL);
	store_reopen();
	want_outbox(1, 1);
}
END_TEST

/* As the version before has left it. */
START_TEST(an_older_one_is_migrated)
{
	struct job job = job_of(7, "queue:q", JOB_QUEUED);
	int64_t size;
	int schema;

	add_job(&job, "do this");
	store_set_counter(store, "fence", 42);
	store_put_binding(store, "q", "x", "k", true);
	store_commit(store, true);
	ck_assert_int_eq(
	    sqlite3_exec(store->db,
		"DROP TABLE outbox; DROP TABLE seen; PRAGMA user_version = 1",
		NULL, NULL, NULL),
	    0);
	store_close(store);
	store = NULL;
	ck_assert_int_eq(store_look_at(path, &schema, &size, &why), 0);
	ck_assert_int_eq(schema, 1);
	ck_assert_int_eq(store_check(path, &why), 0);
	for (int i = 0; i < 2; i++) {
		store_reopen();
		ck_assert_int_eq(store_look_at(path, &schema, &size, &why), 0);
		ck_assert_int_eq(schema, STORE_SCHEMA);
		ck_assert(is_there(7));
		ck_assert_uint_eq(store_counter(store, "fence"), 42);
		want_outbox((size_t)i, 1);
		if (i == 0)
			add_to_outbox(1, "new");
		store_commit(store, true);
	}
}
END_TEST

static void
add(TCase *tests)
{
	tcase_add_test(tests, goes_in_and_out);
	tcase_add_test(tests, rows_of_what_is_done);
	tcase_add_test(tests, what_is_put_off_is_in_the_transaction);
	tcase_add_test(tests, an_older_one_is_migrated);
}

int
main(void)
{
	return run_store_suite("store_outbox", add);
}
