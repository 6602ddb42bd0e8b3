/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_uid - numbers that grow and never come twice, and their text.
 */
#include "core/uid.h"

#include <check.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "run_suite.h"

START_TEST(they_grow)
{
	uint64_t last = 0, uid;

	uid_init(7);
	/* far more than there are in a millisecond */
	for (int i = 0; i < 100000; i++) {
		uid = uid_make();
		/* Check notes each assertion that holds: slow in valgrind */
		if (uid <= last || uid > INT64_MAX || (uid >> 8 & 0x3fff) != 7)
			ck_abort_msg("number %d: %" PRIx64 " after %" PRIx64, i,
			    uid, last);
		last = uid;
	}
}
END_TEST

START_TEST(they_know_when_they_were_made)
{
	int64_t before, after, made;

	uid_init(16383);
	before = clock_wall_ns() / NS_PER_MS;
	made = uid_wall_ms(uid_make());
	after = clock_wall_ns() / NS_PER_MS;
	ck_assert_int_ge(made, before);
	ck_assert_int_le(made, after);
	ck_assert_int_eq(uid_wall_ms(0), INT64_C(1577836800000));
}
END_TEST

START_TEST(slots_keep_them_apart)
{
	uint64_t a, b;

	uid_init(1);
	a = uid_make();
	uid_init(2);
	b = uid_make();
	ck_assert_uint_ne(a >> 8 & 0x3fff, b >> 8 & 0x3fff);
}
END_TEST

/* The next child in a slot, the clock having been put back or not. */
START_TEST(they_follow_those_of_the_slot)
{
	_Atomic uint64_t last = 0;
	uint64_t before, after;

	uid_init(1);
	uid_follow(&last);
	before = uid_make();
	for (int i = 0; i < 3; i++) {
		last += 60 * 1000;
		uid_init(1);
		uid_follow(&last);
		after = uid_make();
		ck_assert_int_gt(uid_wall_ms(after),
		    uid_wall_ms(before) + 59 * 1000);
		before = after;
	}
	last = UINT64_MAX;
	uid_init(1);
	uid_follow(&last);
	ck_assert_uint_lt(uid_make(), before);
}
END_TEST

START_TEST(tokens_are_random)
{
	uint64_t seen[200];

	uid_init(1);
	for (size_t i = 0; i < 200; i++) {
		seen[i] = uid_token();
		ck_assert_uint_ne(seen[i], 0);
		for (size_t j = 0; j < i; j++)
			ck_assert_uint_ne(seen[i], seen[j]);
	}
}
END_TEST

START_TEST(a_text_comes_back)
{
	static const uint64_t numbers[] = { 1, 31, 32, INT64_MAX,
		UINT64_C(0x123456789abcdef) };
	char text[UID_TEXT_SIZE];
	uint64_t uid, token;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		uid_format(numbers[i], UINT64_MAX - i, text);
		ck_assert_uint_eq(strlen(text), UID_TEXT_SIZE - 1);
		ck_assert(uid_parse(text, &uid, &token));
		ck_assert_uint_eq(uid, numbers[i]);
		ck_assert_uint_eq(token, UINT64_MAX - i);
	}
	ck_assert_str_eq(uid_format(32, 1, text),
	    "0000000000010-0000000000001");
}
END_TEST

START_TEST(other_texts_are_none)
{
	static const char *const bad[] = {
		"",
		"-",
		"0000000000010",
		"0000000000010-",
		"0000000000010-000000000001",
		"0000000000010-00000000000010",
		"0000000000010_0000000000001",
		"000000000001O-0000000000001",
		"000000000001l-0000000000001",
		"000000000001A-0000000000001",
		" 000000000010-0000000000001",
		/* nothing, and beyond 63 and 64 bits */
		"0000000000000-0000000000001",
		"0000000000010-0000000000000",
		"8000000000000-0000000000001",
		"g000000000000-0000000000001",
		"0000000000010-g000000000000",
	};
	uint64_t uid, token;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!uid_parse(bad[i], &uid, &token), "%s", bad[i]);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("uid");
	TCase *tests = tcase_create("uid");

	tcase_add_test(tests, they_grow);
	tcase_add_test(tests, they_know_when_they_were_made);
	tcase_add_test(tests, slots_keep_them_apart);
	tcase_add_test(tests, they_follow_those_of_the_slot);
	tcase_add_test(tests, tokens_are_random);
	tcase_add_test(tests, a_text_comes_back);
	tcase_add_test(tests, other_texts_are_none);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
