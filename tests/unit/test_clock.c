/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_clock - conversions at their edges; the clocks only as far as a test
 * may: they run forwards, and the wall clock is past the writing of this line.
 */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "run_suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

START_TEST(time_does_not_go_back)
{
	int64_t before = clock_now_ns(), now;

	for (int i = 0; i < 10000; i++) {
		now = clock_now_ns();
		ck_assert_int_ge(now, before);
		before = now;
	}
	ck_assert_int_gt(before, 0);
	ck_assert_int_gt(clock_wall_ns(), INT64_C(1577836800) * NS_PER_S);
}
END_TEST

static const struct {
	double seconds;
	int64_t ns;
} conversions[] = {
	{ 0, 0 },
	{ -0.0, 0 },
	{ 1, NS_PER_S },
	{ -1, -NS_PER_S },
	{ 30.0, 30 * NS_PER_S },
	{ 0.1, 100 * NS_PER_MS },
	{ 0.1 + 0.2, 300 * NS_PER_MS },
	{ 4.35, 4350 * NS_PER_MS },
	{ 1e-9, 1 },
	{ 4e-10, 0 },
	{ 6e-10, 1 },
	{ -6e-10, -1 },
	{ 3600, 3600 * NS_PER_S },
	{ 9e9, INT64_C(9000000000) * NS_PER_S },
	{ 1e10, INT64_MAX },
	{ -1e10, INT64_MIN },
	{ 1e300, INT64_MAX },
	{ -1e300, INT64_MIN },
	{ INFINITY, CLOCK_NEVER },
	{ -INFINITY, INT64_MIN },
	{ NAN, 0 },
};

START_TEST(seconds_become_nanoseconds)
{
	ck_assert_int_eq(clock_from_seconds(conversions[_i].seconds),
	    conversions[_i].ns);
}
END_TEST

START_TEST(nanoseconds_become_seconds)
{
	ck_assert_double_eq(clock_to_seconds(0), 0);
	ck_assert_double_eq(clock_to_seconds(NS_PER_S), 1);
	ck_assert_double_eq(clock_to_seconds(-NS_PER_MS * 500), -0.5);
	for (int64_t ns = 1; ns < NS_PER_S * 1000000; ns = ns * 3 + 1)
		ck_assert_int_eq(clock_from_seconds(clock_to_seconds(ns)), ns);
}
END_TEST

static const struct {
	int64_t wall_ns;
	const char *text;
} moments[] = {
	{ 0, "1970-01-01T00:00:00.000Z" },
	{ 1, "1970-01-01T00:00:00.000Z" },
	{ 999999, "1970-01-01T00:00:00.000Z" },
	{ 1000000, "1970-01-01T00:00:00.001Z" },
	{ 999999999, "1970-01-01T00:00:00.999Z" },
	{ INT64_C(1769903999123456789), "2026-01-31T23:59:59.123Z" },
	{ INT64_C(1709164800000000000), "2024-02-29T00:00:00.000Z" },
	{ -1, "1969-12-31T23:59:59.999Z" },
	{ -1000000, "1969-12-31T23:59:59.999Z" },
	{ -1000001, "1969-12-31T23:59:59.998Z" },
	{ -1000000000, "1969-12-31T23:59:59.000Z" },
	{ -1000000001, "1969-12-31T23:59:58.999Z" },
	{ INT64_MAX, "2262-04-11T23:47:16.854Z" },
	{ INT64_MIN, "1677-09-21T00:12:43.145Z" },
};

START_TEST(the_wall_clock_reads_well)
{
	char text[CLOCK_TEXT_SIZE];

	ck_assert_ptr_eq(clock_format_wall(moments[_i].wall_ns, text), text);
	ck_assert_str_eq(text, moments[_i].text);
	ck_assert_uint_eq(strlen(text), CLOCK_TEXT_SIZE - 1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("clock");
	TCase *tests = tcase_create("clock");

	tcase_add_test(tests, time_does_not_go_back);
	tcase_add_loop_test(tests, seconds_become_nanoseconds, 0,
	    COUNT(conversions));
	tcase_add_test(tests, nanoseconds_become_seconds);
	tcase_add_loop_test(tests, the_wall_clock_reads_well, 0,
	    COUNT(moments));
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
