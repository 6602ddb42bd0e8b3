/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_store_data - shared data, counters, bindings and schedules are there
 * again as they were.
 */
#include "store_fixture.h"

static const struct data_value values[] = {
	{ .key = "",
	    .key_len = 0,
	    .kind = DATA_BYTES,
	    .version = 1,
	    .expires_ms = -1,
	    .bytes = "",
	    .len = 0 },
	{ .key = "a\0b",
	    .key_len = 3,
	    .kind = DATA_BYTES,
	    .version = 2,
	    .expires_ms = WALL_MS,
	    .bytes = "x\0y",
	    .len = 3 },
	{ .key = "json",
	    .key_len = 4,
	    .kind = DATA_JSON,
	    .version = UINT64_MAX,
	    .expires_ms = -1,
	    .bytes = "{}",
	    .len = 2 },
	{ .key = "least",
	    .key_len = 5,
	    .kind = DATA_NUMBER,
	    .version = 3,
	    .expires_ms = -1,
	    .number = INT64_MIN },
	{ .key = "most",
	    .key_len = 4,
	    .kind = DATA_NUMBER,
	    .version = 4,
	    .expires_ms = -1,
	    .number = INT64_MAX },
};

struct seen {
	size_t n, stop_at;
};

static int
see(void *ctx, const struct data_value *value)
{
	struct seen *seen = ctx;
	const struct data_value *want = &values[seen->n++];

	ck_assert_uint_eq(value->key_len, want->key_len);
	ck_assert_int_eq(memcmp(value->key, want->key, want->key_len), 0);
	ck_assert_int_eq(value->kind, want->kind);
	ck_assert_uint_eq(value->version, want->version);
	ck_assert_int_eq(value->expires_ms, want->expires_ms);
	ck_assert_uint_eq(value->len, want->len);
	if (want->len > 0)
		ck_assert_int_eq(memcmp(value->bytes, want->bytes, want->len),
		    0);
	ck_assert_int_eq(value->number, want->number);
	return seen->n == seen->stop_at ? -1 : 0;
}

START_TEST(values_are_there_again)
{
	struct seen seen = { .n = 0 };
	struct data_value old = { .key = "least",
		.key_len = 5,
		.kind = DATA_JSON,
		.bytes = "[1]",
		.len = 3 };

	store_put_data(store, &old);
	for (size_t i = COUNT(values); i-- > 0;)
		store_put_data(store, &values[i]);
	old.key = "gone";
	old.key_len = 4;
	store_put_data(store, &old);
	store_drop_data(store, "gone", 4);
	store_drop_data(store, "never", 5);
	store_reopen();
	ck_assert_int_eq(store_each_data(store, see, &seen), 0);
	ck_assert_uint_eq(seen.n, COUNT(values));
	seen = (struct seen){ .stop_at = 2 };
	ck_assert_int_eq(store_each_data(store, see, &seen), -1);
	ck_assert_uint_eq(seen.n, 2);
}
END_TEST

START_TEST(a_large_value_is_there_again)
{
	size_t len = (size_t)3 << 20;
	struct data_value value = { .key = "a",
		.key_len = 1,
		.kind = DATA_BYTES,
		.len = len };
	char *bytes = malloc(len);

	memset(bytes, 'x', len);
	value.bytes = bytes;
	store_put_data(store, &value);
	store_drop_data(store, "a", 1);
	store_put_data(store, &value);
	free(bytes);
	store_reopen();
}
END_TEST

START_TEST(counters_are_apart)
{
	store_set_redo(store, 5);
	store_set_counter(store, "fence", UINT64_MAX);
	store_set_counter(store, "version", 1);
	store_set_redo(store, 6);
	store_reopen();
	ck_assert_uint_eq(store_redo(store), 6);
	ck_assert_uint_eq(store_counter(store, "fence"), UINT64_MAX);
	ck_assert_uint_eq(store_counter(store, "version"), 1);
	ck_assert_uint_eq(store_counter(store, "none"), 0);
}
END_TEST

static int
see_binding(void *ctx, const char *queue, const char *exchange, const char *key,
    bool on)
{
	char *text = ctx;

	snprintf(text + strlen(text), 100, "%s %s '%s' %d;", queue, exchange,
	    key, on);
	return strlen(text) > 150 ? -1 : 0;
}

START_TEST(bindings_are_there_again)
{
	char text[400] = "";

	store_put_binding(store, "q2", "e", "", true);
	store_put_binding(store, "q1", "e", "a.*", true);
	store_put_binding(store, "q1", "e", "a.#", true);
	store_put_binding(store, "q1", "e", "a.*", false);
	store_reopen();
	ck_assert_int_eq(store_each_binding(store, see_binding, text), 0);
	ck_assert_str_eq(text, "q1 e 'a.#' 1;q1 e 'a.*' 0;q2 e '' 1;");
}
END_TEST

START_TEST(schedules_are_there_again)
{
	int64_t last_ms = 0;
	uint64_t uid = 0;

	ck_assert(!store_find_schedule(store, "digest", &last_ms, &uid));
	store_put_schedule(store, "digest", WALL_MS, 7);
	store_put_schedule(store, "sweep", 0, 0);
	store_put_schedule(store, "digest", WALL_MS + 1, 8);
	store_reopen();
	ck_assert(store_find_schedule(store, "digest", &last_ms, &uid));
	ck_assert_int_eq(last_ms, WALL_MS + 1);
	ck_assert_uint_eq(uid, 8);
	ck_assert(store_find_schedule(store, "sweep", &last_ms, &uid));
	ck_assert_int_eq(last_ms, 0);
}
END_TEST

static void
add_tests(TCase *tests)
{
	tcase_add_test(tests, values_are_there_again);
	tcase_add_test(tests, a_large_value_is_there_again);
	tcase_add_test(tests, counters_are_apart);
	tcase_add_test(tests, bindings_are_there_again);
	tcase_add_test(tests, schedules_are_there_again);
}

int
main(void)
{
	return run_store_suite("store_data", add_tests);
}
