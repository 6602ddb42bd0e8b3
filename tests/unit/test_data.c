/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_data - conditions, limits, eviction, ends, versions and order of the
 * shared data; and a long run of random changes beside a plain model of it.
 */
#include <check.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fast_check.h"
#include "hub/data.h"
#include "run_suite.h"

static struct conf *conf;
static struct data *data;
static struct data_change change;
static int64_t now_ms;

static char gone_key[64];
static int gone_count;
static bool gone_expired;

static void
on_gone(void *ctx, const struct data_value *value, bool expired)
{
	ck_assert_ptr_eq(ctx, &data);
	snprintf(gone_key, sizeof(gone_key), "%s", value->key);
	gone_expired = expired;
	gone_count++;
}

static struct conf_data rules[] = {
	{ .prefix = (char *)"c:", .cache = true, .max_memory = 16384 },
	{ .prefix = (char *)"c:big:", .cache = true },
	{ .prefix = (char *)"full:", .durability = CONF_DURABLE_FULL },
	{ .prefix = (char *)"none:",
	    .durability = CONF_DURABLE_NONE,
	    .max_memory = 4096 },
};

static void
set_up(void)
{
	conf = conf_defaults();
	conf->hub.max_memory = 65536;
	conf->hub.max_value = 4096;
	conf->hub.max_key = 64;
	conf->data.v = rules;
	conf->data.n = sizeof(rules) / sizeof(*rules);
	data = data_new(conf, on_gone, &data);
	now_ms = 1000000;
	gone_count = 0;
}

static void
tear_down(void)
{
	data_free(data);
	conf->data.v = NULL;
	conf->data.n = 0;
	conf_free(conf);
}

/* --- short forms */

struct with {
	enum data_only only;
	uint64_t version;
	int64_t ttl_ms; /* 0: for ever */
	enum data_kind kind;
};

static enum hub_code
set_bytes(const char *key, const char *bytes, size_t len, struct with with)
{
	struct msg_SET set = {
		.key = msg_text(key),
		.kind = (uint8_t)with.kind,
		.only = (uint8_t)with.only,
		.version = with.version,
		.ttl_ms = with.ttl_ms != 0 ? with.ttl_ms : -1,
		.value = { bytes, len },
	};

	data_set(data, &set, now_ms, &change);
	if (change.code != HUB_OK)
		ck_assert_ptr_nonnull(change.why);
	return change.code;
}

#define SET(key, value, ...) \
	set_bytes(key, value, strlen(value), (struct with){ __VA_ARGS__ })

static enum hub_code
incr(const char *key, int64_t by, int64_t ttl_ms)
{
	struct msg_INCR msg = { .key = msg_text(key),
		.by = by,
		.ttl_ms = ttl_ms };

	data_incr(data, &msg, now_ms, &change);
	return change.code;
}

static bool delete (const char *key, enum data_only only, uint64_t version)
{
	struct msg_DELETE msg = { .key = msg_text(key),
		.only = (uint8_t)only,
		.version = version };

	data_delete(data, &msg, now_ms, &change);
	ck_assert_int_eq(change.code, HUB_OK);
	return change.done;
}

static const char *
get(const char *key)
{
	const struct data_value *value = data_find(data, msg_text(key), now_ms);
	static char text[8192];

	if (value == NULL)
		return "(none)";
	memcpy(text, value->bytes, value->len);
	text[value->len] = '\0';
	return text;
}

static uint64_t
version(const char *key)
{
	const struct data_value *value = data_find(data, msg_text(key), now_ms);

	return value != NULL ? value->version : 0;
}

static size_t
bytes_used(void)
{
	size_t keys, bytes;

	data_count(data, &keys, &bytes);
	return bytes;
}

static size_t
keys_there(void)
{
	size_t keys, bytes;

	data_count(data, &keys, &bytes);
	return keys;
}

/* --- values and conditions */

START_TEST(a_value_is_there_until_it_is_replaced)
{
	ck_assert_str_eq(get("a"), "(none)");
	ck_assert_int_eq(SET("a", "one"), HUB_OK);
	ck_assert(change.done);
	ck_assert_str_eq(get("a"), "one");
	ck_assert_int_eq(SET("a", ""), HUB_OK);
	ck_assert_str_eq(get("a"), "");
	ck_assert_int_eq(SET("a", "three"), HUB_OK);
	ck_assert_str_eq(get("a"), "three");
	ck_assert_str_eq(get("aa"), "(none)");
	ck_assert_str_eq(get(""), "(none)");
	ck_assert_uint_eq(keys_there(), 1);
}
END_TEST

START_TEST(versions_grow_over_all_keys)
{
	uint64_t last = data_last_version(data);

	for (int i = 0; i < 10; i++) {
		SET(i % 2 ? "a" : "b", "x");
		ck_assert_uint_eq(change.now.version, ++last);
		ck_assert_uint_eq(version(i % 2 ? "a" : "b"), last);
	}
	ck_assert(delete ("a", DATA_ANY, 0));
	ck_assert_uint_eq(change.now.version, 0);
	SET("a", "again");
	ck_assert_uint_gt(change.now.version, last + 1);
	data_set_version(data, 5);
	ck_assert_uint_gt(data_last_version(data), last);
	data_set_version(data, 5000);
	SET("a", "later");
	ck_assert_uint_eq(change.now.version, 5001);
}
END_TEST

START_TEST(only_if_absent)
{
	SET("a", "one", .only = DATA_IF_ABSENT);
	ck_assert(change.done);
	ck_assert_int_eq(SET("a", "two", .only = DATA_IF_ABSENT), HUB_OK);
	ck_assert(!change.done);
	ck_assert_uint_eq(change.now.version, version("a"));
	ck_assert_str_eq(get("a"), "one");
	delete ("a", DATA_ANY, 0);
	SET("a", "three", .only = DATA_IF_ABSENT);
	ck_assert(change.done);
}
END_TEST

START_TEST(only_if_version)
{
	uint64_t first;

	SET("a", "x", .only = DATA_IF_VERSION, .version = 1);
	ck_assert(!change.done);
	ck_assert_uint_eq(change.now.version, 0);
	SET("a", "one", .only = DATA_IF_VERSION, .version = 0);
	ck_assert(change.done);
	first = change.now.version;
	SET("a", "x", .only = DATA_IF_VERSION, .version = 0);
	ck_assert(!change.done);
	SET("a", "two", .only = DATA_IF_VERSION, .version = first);
	ck_assert(change.done);
	SET("a", "x", .only = DATA_IF_VERSION, .version = first);
	ck_assert(!change.done);
	ck_assert_str_eq(get("a"), "two");

	ck_assert(!delete ("a", DATA_IF_VERSION, first));
	ck_assert_uint_eq(change.now.version, version("a"));
	ck_assert(delete ("a", DATA_IF_VERSION, version("a")));
	ck_assert_str_eq(get("a"), "(none)");
	ck_assert(!delete ("a", DATA_ANY, 0));
}
END_TEST

START_TEST(conditions_look_at_what_has_not_ended)
{
	SET("a", "x", .ttl_ms = 10);
	now_ms += 10;
	SET("a", "y", .only = DATA_IF_ABSENT);
	ck_assert(change.done);
	ck_assert_int_eq(gone_count, 1);
	ck_assert(gone_expired);
}
END_TEST

START_TEST(what_makes_no_sense_is_refused)
{
	struct msg_SET set = { .key = msg_text("a"), .ttl_ms = -1 };

	set.kind = DATA_NUMBER + 1;
	data_set(data, &set, now_ms, &change);
	ck_assert_int_eq(change.code, HUB_BAD);
	set.kind = DATA_BYTES;
	set.only = DATA_IF_VERSION + 1;
	data_set(data, &set, now_ms, &change);
	ck_assert_int_eq(change.code, HUB_BAD);
	ck_assert_int_eq(SET("a", "12x", .kind = DATA_NUMBER), HUB_BAD);
	ck_assert_uint_eq(keys_there(), 0);
}
END_TEST

START_TEST(keys_are_texts)
{
	static const char *const good[] = { "a", "user:42", "\xc3\xa4",
		"\xe2\x82\xac", "\xf0\x9f\x90\xa3", "\xed\x9f\xbf",
		"\xf4\x8f\xbf\xbf", "a b\t" };
	static const char *const bad[] = { "\x80", "\xc3", "\xc0\xaf", "a\xff",
		"\xe2\x82", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
		"\xf0\x80\x80\x80", "\xf5\x80\x80\x80", "\xc3(" };
	struct msg_SET nul = { .key = { "a\0b", 3 }, .ttl_ms = -1 };

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		ck_assert_int_eq(SET(good[i], "x"), HUB_OK);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		ck_assert_msg(SET(bad[i], "x") == HUB_BAD, "number %zu", i);
		ck_assert_int_eq(incr(bad[i], 1, -1), HUB_BAD);
	}
	data_set(data, &nul, now_ms, &change);
	ck_assert_int_eq(change.code, HUB_BAD);
	ck_assert_int_eq(SET("", "x"), HUB_BAD);
}
END_TEST

START_TEST(sizes_are_bounded)
{
	char key[66], value[4097];

	memset(key, 'k', sizeof(key));
	memset(value, 'v', sizeof(value));
	key[64] = '\0';
	ck_assert_int_eq(set_bytes(key, value, 4096, (struct with){ 0 }),
	    HUB_OK);
	ck_assert_int_eq(set_bytes(key, value, 4097, (struct with){ 0 }),
	    HUB_TOO_LARGE);
	ck_assert_uint_eq(strlen(get(key)), 4096);
	key[64] = 'k';
	key[65] = '\0';
	ck_assert_int_eq(SET(key, "x"), HUB_TOO_LARGE);
	ck_assert_int_eq(incr(key, 1, -1), HUB_TOO_LARGE);
}
END_TEST

/* --- numbers */

START_TEST(numbers_add_up)
{
	ck_assert_int_eq(incr("n", 5, -1), HUB_OK);
	ck_assert_int_eq(change.now.number, 5);
	ck_assert_int_eq(incr("n", -7, -1), HUB_OK);
	ck_assert_int_eq(change.now.number, -2);
	ck_assert_str_eq(get("n"), "-2");
	ck_assert_int_eq(incr("n", 0, -1), HUB_OK);
	SET("n", "text");
	ck_assert_int_eq(incr("n", 1, -1), HUB_NOT_NUMBER);
	ck_assert_str_eq(get("n"), "text");
}
END_TEST

START_TEST(sums_that_do_not_fit_are_refused)
{
	ck_assert_int_eq(incr("n", INT64_MAX, -1), HUB_OK);
	ck_assert_int_eq(incr("n", 1, -1), HUB_NOT_NUMBER);
	ck_assert_str_eq(get("n"), "9223372036854775807");
	ck_assert_int_eq(incr("m", INT64_MIN, -1), HUB_OK);
	ck_assert_int_eq(incr("m", -1, -1), HUB_NOT_NUMBER);
	ck_assert_str_eq(get("m"), "-9223372036854775808");
	ck_assert_int_eq(incr("m", INT64_MAX, -1), HUB_OK);
	ck_assert_str_eq(get("m"), "-1");
}
END_TEST

START_TEST(json_that_is_a_whole_number_is_one)
{
	static const struct {
		const char *text;
		bool number;
	} tests[] = {
		{ "0", true },
		{ "7", true },
		{ "-7", true },
		{ "9223372036854775807", true },
		{ "-9223372036854775808", true },
		{ "9223372036854775808", false },
		{ "-9223372036854775809", false },
		{ "18446744073709551617", false },
		{ "-0", false },
		{ "007", false },
		{ "1.0", false },
		{ "1e3", false },
		{ " 1", false },
		{ "-", false },
		{ "\"1\"", false },
		{ "true", false },
	};

	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		ck_assert_int_eq(SET("n", tests[i].text, .kind = DATA_JSON),
		    HUB_OK);
		ck_assert_msg((change.now.kind == DATA_NUMBER) ==
			tests[i].number,
		    "%s", tests[i].text);
		ck_assert_str_eq(get("n"), tests[i].text);
		SET("n", tests[i].text, .kind = DATA_BYTES);
		ck_assert_int_eq(change.now.kind, DATA_BYTES);
	}
	SET("n", "41", .kind = DATA_JSON);
	ck_assert_int_eq(incr("n", 1, -1), HUB_OK);
	ck_assert_int_eq(change.now.number, 42);
}
END_TEST

/* --- ends */

START_TEST(a_key_goes_when_its_end_comes)
{
	SET("a", "x", .ttl_ms = 100);
	SET("b", "x");
	ck_assert_int_eq(data_find(data, msg_text("a"), now_ms)->expires_ms,
	    now_ms + 100);
	ck_assert_int_eq(data_find(data, msg_text("b"), now_ms)->expires_ms,
	    -1);
	now_ms += 99;
	ck_assert_str_eq(get("a"), "x");
	ck_assert_int_eq(data_expire(data, now_ms, 10), now_ms + 1);
	ck_assert_int_eq(gone_count, 0);
	now_ms += 1;
	ck_assert_int_eq(data_expire(data, now_ms, 10), INT64_MAX);
	ck_assert_int_eq(gone_count, 1);
	ck_assert(gone_expired);
	ck_assert_str_eq(gone_key, "a");
	ck_assert_str_eq(get("a"), "(none)");
	ck_assert_uint_eq(keys_there(), 1);
}
END_TEST

START_TEST(nobody_sees_a_key_past_its_end)
{
	SET("a", "x", .ttl_ms = 100);
	now_ms += 100;
	ck_assert_ptr_nonnull(data_peek(data, msg_text("a")));
	ck_assert_str_eq(get("a"), "(none)");
	ck_assert_int_eq(gone_count, 1);
	ck_assert_ptr_null(data_peek(data, msg_text("a")));
	SET("n", "5", .ttl_ms = 100, .kind = DATA_NUMBER);
	now_ms += 100;
	incr("n", 1, -1);
	ck_assert_int_eq(change.now.number, 1);
	SET("d", "x", .ttl_ms = 100);
	now_ms += 100;
	ck_assert(!delete ("d", DATA_ANY, 0));
}
END_TEST

START_TEST(a_set_gives_a_new_end_and_incr_keeps_it)
{
	SET("a", "1", .ttl_ms = 100, .kind = DATA_NUMBER);
	now_ms += 50;
	incr("a", 1, 7);
	ck_assert_int_eq(change.now.expires_ms, now_ms + 50);
	SET("a", "1", .ttl_ms = 200, .kind = DATA_NUMBER);
	ck_assert_int_eq(change.now.expires_ms, now_ms + 200);
	SET("a", "1");
	ck_assert_int_eq(change.now.expires_ms, -1);
	ck_assert_int_eq(data_expire(data, INT64_MAX - 1, 10), INT64_MAX);
	incr("fresh", 1, 30);
	ck_assert_int_eq(change.now.expires_ms, now_ms + 30);
	SET("far", "x", .ttl_ms = INT64_MAX - 5);
	ck_assert_int_eq(change.now.expires_ms, -1);
}
END_TEST

START_TEST(many_ends_come_in_their_order)
{
	char key[16];
	unsigned n = 0;
	int64_t next;

	conf->hub.max_memory = 1 << 20;
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		SET(key, "x", .ttl_ms = 1 + i * 7919 % 1000);
		if (i % 3 == 0)
			SET(key, "x", .ttl_ms = 1 + i * 104729 % 1000);
		if (i % 7 == 0)
			delete (key, DATA_ANY, 0);
	}
	n = (unsigned)keys_there();
	while ((next = data_expire(data, now_ms, 3)) != INT64_MAX) {
		if (next <= now_ms)
			continue; /* more than three at once */
		ck_assert_int_le(next, now_ms + 1000);
		now_ms = next;
	}
	ck_assert_int_eq(gone_count, (int)n);
	ck_assert_uint_eq(keys_there(), 0);
	ck_assert_uint_eq(bytes_used(), 0);
}
END_TEST

START_TEST(ends_move_with_the_clock)
{
	SET("a", "x", .ttl_ms = 100);
	SET("b", "x", .ttl_ms = 50);
	SET("c", "x");
	/* the clock is set an hour forward, then two back */
	now_ms += 3600000;
	data_shift(data, 3600000);
	ck_assert_str_eq(get("a"), "x");
	ck_assert_int_eq(data_expire(data, now_ms, 10), now_ms + 50);
	now_ms -= 7200000;
	data_shift(data, -7200000);
	now_ms += 50;
	ck_assert_int_eq(data_expire(data, now_ms, 10), now_ms + 50);
	ck_assert_str_eq(gone_key, "b");
	ck_assert_str_eq(get("c"), "x");
}
END_TEST

/* --- limits */

/* "PREFIXn" for n from 0 until it is refused; returns how many. */
static unsigned
fill(const char *prefix, unsigned most)
{
	char key[32], value[200];
	unsigned n = 0;

	memset(value, 'x', sizeof(value));
	for (; n < most; n++) {
		snprintf(key, sizeof(key), "%s%u", prefix, n);
		if (set_bytes(key, value, sizeof(value), (struct with){ 0 }) !=
		    HUB_OK)
			break;
	}
	return n;
}

START_TEST(memory_is_bounded_by_refusing)
{
	unsigned n = fill("k", 100000);
	size_t before = bytes_used();

	ck_assert_uint_gt(n, 50);
	ck_assert_uint_le(before, conf->hub.max_memory);
	ck_assert_uint_gt(before, conf->hub.max_memory - 1024);
	ck_assert_int_eq(change.code, HUB_FULL);
	ck_assert_ptr_nonnull(strstr(change.why, "hub.max_memory"));
	ck_assert_uint_eq(keys_there(), n);
	ck_assert_int_eq(gone_count, 0);
	/* smaller, as large, and gone: all of that is possible */
	ck_assert_int_eq(SET("k0", "small"), HUB_OK);
	ck_assert(delete ("k1", DATA_ANY, 0));
	ck_assert_int_eq(fill("k", 2), 2);
	/* what is full for one is full for a counter */
	ck_assert_uint_lt(fill("fill", 1000), 10);
	while (incr("c1", 1, -1) == HUB_OK && SET("c2", "y") == HUB_OK &&
	    SET("c3", "z") == HUB_OK)
		fill("more", 1000);
	ck_assert_int_eq(change.code, HUB_FULL);
}
END_TEST

START_TEST(a_prefix_has_a_limit_of_its_own)
{
	unsigned n = fill("none:", 1000);

	ck_assert_uint_gt(n, 3);
	ck_assert_uint_lt(n, 20);
	ck_assert_int_eq(change.code, HUB_FULL);
	ck_assert_ptr_nonnull(strstr(change.why, "this prefix"));
	ck_assert_uint_le(bytes_used(), 4096);
	ck_assert_int_eq(SET("other", "x"), HUB_OK);
}
END_TEST

START_TEST(a_cache_lets_the_least_recently_used_go)
{
	unsigned n;

	SET("kept", "x");
	fill("c:", 3);
	for (n = 3; gone_count == 0; n++) {
		char key[32], value[200];

		memset(value, 'x', sizeof(value));
		ck_assert_str_ne(get("c:0"), "(none)"); /* used */
		snprintf(key, sizeof(key), "c:%u", n);
		ck_assert_int_eq(set_bytes(key, value, sizeof(value),
				     (struct with){ 0 }),
		    HUB_OK);
	}
	ck_assert_str_eq(gone_key, "c:1");
	ck_assert(!gone_expired);
	ck_assert_str_eq(get("c:1"), "(none)");
	ck_assert_str_ne(get("c:0"), "(none)");
	ck_assert_uint_eq(fill("c:", 10000), 10000);
	ck_assert_uint_le(bytes_used(), 16384 + 512);
	ck_assert_str_eq(get("kept"), "x");
}
END_TEST

START_TEST(caches_make_room_for_everything)
{
	unsigned n;

	ck_assert_uint_eq(fill("c:big:", 10000), 10000);
	ck_assert_uint_le(bytes_used(), conf->hub.max_memory);
	n = fill("k", 100000);
	ck_assert_uint_le(bytes_used(), conf->hub.max_memory);
	ck_assert_int_eq(change.code, HUB_FULL);
	/* nothing of the cache is left */
	ck_assert_uint_eq(keys_there(), n);
	ck_assert_int_eq(gone_count, 10000);
}
END_TEST

START_TEST(a_value_too_large_for_its_cache_evicts_nothing)
{
	static char value[4096];

	rules[0].max_memory = 2048;
	data_free(data);
	data = data_new(conf, on_gone, &data);
	rules[0].max_memory = 16384;
	SET("c:1", "x");
	ck_assert_int_eq(set_bytes("c:2", value, sizeof(value),
			     (struct with){ 0 }),
	    HUB_FULL);
	ck_assert_int_eq(gone_count, 0);
	/* nor does one that grows evict itself */
	ck_assert_int_eq(set_bytes("c:1", value, sizeof(value),
			     (struct with){ 0 }),
	    HUB_FULL);
	ck_assert_int_eq(set_bytes("c:1", value, 1500, (struct with){ 0 }),
	    HUB_OK);
	ck_assert_str_ne(get("c:1"), "(none)");
}
END_TEST

START_TEST(the_longest_prefix_decides)
{
	ck_assert_int_eq(data_durability(data, msg_text("full:x")),
	    CONF_DURABLE_FULL);
	ck_assert_int_eq(data_durability(data, msg_text("none:x")),
	    CONF_DURABLE_NONE);
	ck_assert_int_eq(data_durability(data, msg_text("full")),
	    CONF_DURABLE_PROCESS);
	SET("full:x", "x");
	ck_assert_int_eq(change.durability, CONF_DURABLE_FULL);
	delete ("full:x", DATA_ANY, 0);
	ck_assert_int_eq(change.durability, CONF_DURABLE_FULL);
	incr("none:x", 1, -1);
	ck_assert_int_eq(change.durability, CONF_DURABLE_NONE);
}
END_TEST

/* Whatever is done to them, memory is what the keys that are there take. */
START_TEST(churn_does_not_grow)
{
	char key[32];
	static char value[2000];
	size_t first = 0;

	conf->hub.max_memory = 4 << 20;
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 2000; i++) {
			snprintf(key, sizeof(key), "%u:%u", round, i);
			set_bytes(key, value, i * 31 % 1500,
			    (struct with){ .ttl_ms = i % 5 });
			set_bytes(key, value, i * 17 % 1500,
			    (struct with){ .ttl_ms = i % 3 });
			incr("counter", 1, -1);
		}
#ifndef __SANITIZE_ADDRESS__
		size_t used = mallinfo2().uordblks, counted = bytes_used();
#endif
		for (unsigned i = 0; i < 2000; i++) {
			snprintf(key, sizeof(key), "%u:%u", round, i);
			delete (key, DATA_ANY, 0);
		}
		ck_assert_uint_eq(keys_there(), 1);
		if (round == 1)
			first = mallinfo2().uordblks;
		if (round <= 1)
			continue;
		/* all of it came back, but for what the C library holds */
		ck_assert_uint_le(mallinfo2().uordblks, first + 65536);
#ifndef __SANITIZE_ADDRESS__
		/* and what was counted is what it took; the C library holds
		 * some of what is freed back */
		used -= mallinfo2().uordblks;
		if (used == 0)
			continue; /* valgrind's malloc does not say */
		ck_assert_uint_ge(counted, used - used / 20);
		ck_assert_uint_le(counted, used + used / 4);
#endif
	}
}
END_TEST

/* --- order */

struct listed {
	char text[4096];
	int left;
};

static bool
on_listed(void *ctx, const struct data_value *value)
{
	struct listed *listed = ctx;
	size_t len = strlen(listed->text);

	snprintf(listed->text + len, sizeof(listed->text) - len, "%.*s ",
	    (int)value->key_len, value->key);
	return --listed->left != 0;
}

static const char *
list(const char *prefix, const char *after, int most)
{
	static struct listed listed;

	listed = (struct listed){ .left = most };
	data_list(data, msg_text(prefix), msg_text(after), now_ms, on_listed,
	    &listed);
	return listed.text;
}

START_TEST(keys_are_listed_in_the_order_of_their_bytes)
{
	static const char *const keys[] = { "b", "a", "ab", "abc", "aa", "ac",
		"B", "\xc3\xa4", "a:1", "a:10", "a:2" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		SET(keys[i], "x");
	ck_assert_str_eq(list("", "", 0),
	    "B a a:1 a:10 a:2 aa ab abc ac b \xc3\xa4 ");
	ck_assert_str_eq(list("a", "", 0), "a a:1 a:10 a:2 aa ab abc ac ");
	ck_assert_str_eq(list("a:", "", 0), "a:1 a:10 a:2 ");
	ck_assert_str_eq(list("a:", "a:1", 0), "a:10 a:2 ");
	ck_assert_str_eq(list("a:", "a:11", 0), "a:2 ");
	ck_assert_str_eq(list("a:", "a:2", 0), "");
	ck_assert_str_eq(list("a:", "a:", 0), "a:1 a:10 a:2 ");
	ck_assert_str_eq(list("a:", "B", 0), "a:1 a:10 a:2 ");
	ck_assert_str_eq(list("a:", "z", 0), "");
	ck_assert_str_eq(list("ab", "ab", 0), "abc ");
	ck_assert_str_eq(list("x", "", 0), "");
	ck_assert_str_eq(list("", "", 2), "B a ");
	ck_assert_str_eq(list("", "a", 2), "a:1 a:10 ");
}
END_TEST

START_TEST(what_has_ended_is_not_listed)
{
	SET("a1", "x");
	SET("a2", "x", .ttl_ms = 5);
	SET("a3", "x");
	now_ms += 5;
	ck_assert_str_eq(list("a", "", 0), "a1 a3 ");
}
END_TEST

/* --- load */

START_TEST(what_was_stored_is_loaded)
{
	struct data_value value = { .key = "k",
		.key_len = 1,
		.kind = DATA_JSON,
		.version = 77,
		.expires_ms = now_ms + 10,
		.bytes = "{}",
		.len = 2 };

	data_load(data, &value);
	ck_assert_str_eq(get("k"), "{}");
	ck_assert_uint_eq(version("k"), 77);
	ck_assert_uint_eq(data_last_version(data), 77);
	value.kind = DATA_NUMBER;
	value.number = -5;
	value.version = 78;
	value.expires_ms = -1;
	data_load(data, &value);
	ck_assert_str_eq(get("k"), "-5");
	now_ms += 10;
	ck_assert_str_eq(get("k"), "-5");
	ck_assert_uint_eq(keys_there(), 1);
	value.version = 0;
	data_load(data, &value);
	ck_assert_str_eq(get("k"), "(none)");
	data_load(data, &value);
	ck_assert_uint_eq(bytes_used(), 0);
	ck_assert_int_eq(gone_count, 0);
}
END_TEST

START_TEST(more_than_there_is_room_for_is_loaded)
{
	struct data_value value = { .kind = DATA_BYTES,
		.version = 1,
		.expires_ms = -1 };
	static char bytes[1000];
	char key[16];

	value.bytes = bytes;
	value.len = sizeof(bytes);
	value.key = key;
	for (int i = 0; i < 200; i++) {
		value.key_len = (size_t)snprintf(key, sizeof(key), "k%d", i);
		data_load(data, &value);
	}
	ck_assert_uint_eq(keys_there(), 200);
	ck_assert_uint_gt(bytes_used(), conf->hub.max_memory);
	ck_assert_int_eq(SET("k", "x"), HUB_FULL);
	ck_assert_int_eq(SET("k1", "x"), HUB_OK);
}
END_TEST

/* --- beside a model */

#define MODEL_KEYS 40

START_TEST(a_long_run_beside_a_model)
{
	struct {
		bool there;
		int64_t number, end;
	} model[MODEL_KEYS] = { { 0 } };
	uint32_t random = 42;
	char key[16], text[32];

	for (int step = 0; step < 100000; step++) {
		random = random * 1664525 + 1013904223;
		unsigned k = random >> 8 & 0xffff, op = k / MODEL_KEYS % 6;
		int64_t ttl = random >> 28 == 0 ? 1 + (random >> 5 & 63) : 0;

		k %= MODEL_KEYS;
		now_ms += random >> 30;
		if (model[k].there && model[k].end <= now_ms)
			model[k].there = false;
		snprintf(key, sizeof(key), "m%02u", k);
		if (op == 0) {
			snprintf(text, sizeof(text), "%d", step);
			SET(key, text, .kind = DATA_NUMBER, .ttl_ms = ttl);
			model[k].there = true;
			model[k].number = step;
			model[k].end = ttl ? now_ms + ttl : INT64_MAX;
		} else if (op == 1) {
			ck_assert_int_eq(delete (key, DATA_ANY, 0),
			    model[k].there);
			model[k].there = false;
		} else if (op == 2) {
			incr(key, 3, ttl ? ttl : -1);
			if (!model[k].there) {
				model[k].number = 0;
				model[k].end = ttl ? now_ms + ttl : INT64_MAX;
			}
			model[k].there = true;
			model[k].number += 3;
			ck_assert_int_eq(change.now.number, model[k].number);
		} else if (op == 3 && step % 16 == 0) {
			struct listed listed = { .left = 0 };
			char want[1024] = "";

			data_list(data, msg_text("m"), msg_text(""), now_ms,
			    on_listed, &listed);
			for (unsigned i = 0; i < MODEL_KEYS; i++)
				if (model[i].there && model[i].end > now_ms)
					sprintf(want + strlen(want), "m%02u ",
					    i);
			ck_assert_str_eq(listed.text, want);
		} else if (op == 4) {
			data_expire(data, now_ms, 2);
		} else {
			snprintf(text, sizeof(text), "%lld",
			    (long long)model[k].number);
			ck_assert_str_eq(get(key),
			    model[k].there ? text : "(none)");
		}
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("data");
	TCase *tc = tcase_create("data");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_value_is_there_until_it_is_replaced);
	tcase_add_test(tc, versions_grow_over_all_keys);
	tcase_add_test(tc, only_if_absent);
	tcase_add_test(tc, only_if_version);
	tcase_add_test(tc, conditions_look_at_what_has_not_ended);
	tcase_add_test(tc, what_makes_no_sense_is_refused);
	tcase_add_test(tc, keys_are_texts);
	tcase_add_test(tc, sizes_are_bounded);
	tcase_add_test(tc, numbers_add_up);
	tcase_add_test(tc, sums_that_do_not_fit_are_refused);
	tcase_add_test(tc, json_that_is_a_whole_number_is_one);
	tcase_add_test(tc, a_key_goes_when_its_end_comes);
	tcase_add_test(tc, nobody_sees_a_key_past_its_end);
	tcase_add_test(tc, a_set_gives_a_new_end_and_incr_keeps_it);
	tcase_add_test(tc, many_ends_come_in_their_order);
	tcase_add_test(tc, ends_move_with_the_clock);
	tcase_add_test(tc, memory_is_bounded_by_refusing);
	tcase_add_test(tc, a_prefix_has_a_limit_of_its_own);
	tcase_add_test(tc, a_cache_lets_the_least_recently_used_go);
	tcase_add_test(tc, caches_make_room_for_everything);
	tcase_add_test(tc, a_value_too_large_for_its_cache_evicts_nothing);
	tcase_add_test(tc, the_longest_prefix_decides);
	tcase_add_test(tc, churn_does_not_grow);
	tcase_add_test(tc, keys_are_listed_in_the_order_of_their_bytes);
	tcase_add_test(tc, what_has_ended_is_not_listed);
	tcase_add_test(tc, what_was_stored_is_loaded);
	tcase_add_test(tc, more_than_there_is_room_for_is_loaded);
	tcase_add_test(tc, a_long_run_beside_a_model);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
