/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_backoff - every delay against a slow and obvious way to compute it,
 * over ranges, numbers of failures and random numbers, the extremes included.
 */
#include <check.h>
#include <limits.h>
#include <stdlib.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "run_suite.h"

static const struct {
	int64_t min_ns, max_ns;
} ranges[] = {
	{ NS_PER_S, 60 * NS_PER_S },
	{ 100 * NS_PER_MS, 100 * NS_PER_MS },
	{ 1, 10 },
	{ 3, 7 },
	{ 1, INT64_MAX },
	{ 0, 0 },
	{ 0, NS_PER_S },
	{ INT64_MAX, INT64_MAX },
	{ INT64_MAX / 2, INT64_MAX },
	{ INT64_MAX / 2 + 1, INT64_MAX },
};

static const uint32_t randoms[] = { 0, 1, 2, 0x7fffffff, 0x80000000, 0xdeadbeef,
	UINT32_MAX - 1, UINT32_MAX };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* min doubled failures - 1 times, never beyond max. */
static int64_t
nominal(int64_t min_ns, int64_t max_ns, unsigned failures)
{
	int64_t delay = min_ns;

	for (unsigned i = 1; i < failures; i++) {
		if (delay > max_ns / 2)
			return max_ns;
		delay *= 2;
	}
	return delay;
}

START_TEST(stays_within_a_quarter_of_the_doubled_delay)
{
	int64_t min_ns = ranges[_i].min_ns, max_ns = ranges[_i].max_ns;

	for (size_t r = 0; r < COUNT(randoms); r++) {
		struct backoff b;

		backoff_init(&b, min_ns, max_ns);
		for (unsigned n = 1; n <= 200; n++) {
			int64_t full = nominal(min_ns, max_ns, n);
			int64_t got = backoff_next(&b, randoms[r]);

			ck_assert_uint_eq(b.failures, n);
			ck_assert_int_le(got, full);
			ck_assert_int_ge(got, full - full / 4);
			if (randoms[r] == 0)
				ck_assert_int_eq(got, full);
		}
	}
}
END_TEST

START_TEST(more_random_is_never_longer)
{
	int64_t previous = INT64_MAX;

	for (uint64_t random = 0; random <= UINT32_MAX; random += 4194301) {
		struct backoff b;
		int64_t got;

		backoff_init(&b, ranges[_i].min_ns, ranges[_i].max_ns);
		got = backoff_next(&b, (uint32_t)random);
		ck_assert_int_le(got, previous);
		previous = got;
	}
}
END_TEST

START_TEST(a_success_starts_again)
{
	struct backoff b;

	backoff_init(&b, NS_PER_S, 60 * NS_PER_S);
	ck_assert_int_eq(backoff_next(&b, 0), NS_PER_S);
	ck_assert_int_eq(backoff_next(&b, 0), 2 * NS_PER_S);
	ck_assert_int_eq(backoff_next(&b, 0), 4 * NS_PER_S);
	backoff_reset(&b);
	ck_assert_uint_eq(b.failures, 0);
	ck_assert_int_eq(backoff_next(&b, 0), NS_PER_S);
}
END_TEST

START_TEST(the_count_of_failures_does_not_wrap)
{
	struct backoff b;

	backoff_init(&b, 1, NS_PER_S);
	b.failures = UINT_MAX - 1;
	ck_assert_int_eq(backoff_next(&b, 0), NS_PER_S);
	ck_assert_int_eq(backoff_next(&b, 0), NS_PER_S);
	ck_assert_int_eq(backoff_next(&b, 0), NS_PER_S);
	ck_assert_uint_eq(b.failures, UINT_MAX);
}
END_TEST

START_TEST(nonsense_limits_become_sane)
{
	struct backoff b;

	backoff_init(&b, 10, 5);
	ck_assert_int_eq(backoff_next(&b, 0), 10);
	ck_assert_int_eq(backoff_next(&b, 0), 10);
	backoff_init(&b, -10, -5);
	ck_assert_int_eq(backoff_next(&b, UINT32_MAX), 0);
	backoff_init(&b, INT64_MIN, INT64_MAX);
	ck_assert_int_eq(backoff_next(&b, UINT32_MAX), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("backoff");
	TCase *tests = tcase_create("backoff");

	tcase_add_loop_test(tests, stays_within_a_quarter_of_the_doubled_delay,
	    0, COUNT(ranges));
	tcase_add_loop_test(tests, more_random_is_never_longer, 0,
	    COUNT(ranges));
	tcase_add_test(tests, a_success_starts_again);
	tcase_add_test(tests, the_count_of_failures_does_not_wrap);
	tcase_add_test(tests, nonsense_limits_become_sane);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
