/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_histogram - the error bound as a property over the whole range, the
 * edges of every bucket included, and what happens outside of it.
 */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/histogram.h"
#include "run_suite.h"

#define TOP_NS ((INT64_C(1) << 30) * NS_PER_US) /* where the last bucket ends */

/* What the histogram makes of a single value. */
static int64_t
seen_as(int64_t ns)
{
	struct histogram h;
	int64_t value;

	memset(&h, 0, sizeof(h));
	histogram_add(&h, ns);
	ck_assert_uint_eq(histogram_count(&h), 1);
	value = histogram_quantile(&h, 0.5);
	ck_assert_int_eq(histogram_quantile(&h, 0), value);
	ck_assert_int_eq(histogram_quantile(&h, 1), value);
	return value;
}

static void
assert_close(int64_t ns)
{
	int64_t error = llabs(seen_as(ns) - ns);

	ck_assert_msg(error * 8 <= ns, "%lld ns is off by %lld ns",
	    (long long)ns, (long long)error);
}

START_TEST(a_quantile_is_within_an_eighth)
{
	for (int64_t ns = NS_PER_US; ns < TOP_NS; ns += ns / 97 + 1)
		assert_close(ns);
}
END_TEST

START_TEST(a_quantile_is_within_an_eighth_at_the_edges)
{
	for (int64_t low = NS_PER_US; low < TOP_NS; low *= 2)
		for (int64_t part = 4; part < 8; part++) {
			int64_t edge = low * part / 4;

			assert_close(edge);
			assert_close(edge + 1);
			if (edge > NS_PER_US)
				assert_close(edge - 1);
		}
	assert_close(TOP_NS - 1);
}
END_TEST

START_TEST(every_bucket_is_used_and_they_are_in_order)
{
	struct histogram h;
	int64_t last = -1, value;
	unsigned distinct = 0;

	memset(&h, 0, sizeof(h));
	for (int64_t ns = 0; ns < TOP_NS; ns += ns / 50 + 1) {
		histogram_add(&h, ns);
		value = seen_as(ns);
		ck_assert_int_ge(value, last);
		distinct += value != last;
		last = value;
	}
	ck_assert_uint_eq(distinct, HISTOGRAM_BUCKETS);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		ck_assert_uint_gt(h.count[i], 0);
}
END_TEST

START_TEST(any_value_has_a_bucket)
{
	int64_t first = seen_as(0), last = seen_as(TOP_NS - 1);

	ck_assert_int_eq(first, 125);
	ck_assert_int_eq(seen_as(-1), first);
	ck_assert_int_eq(seen_as(INT64_MIN), first);
	ck_assert_int_eq(seen_as(TOP_NS), last);
	ck_assert_int_eq(seen_as(INT64_MAX - 1), last);
	ck_assert_int_eq(seen_as(INT64_MAX), last);
	for (int64_t ns = 0; ns < NS_PER_US; ns++)
		ck_assert_int_le(llabs(seen_as(ns) - ns), 125);
	for (int bit = 0; bit < 63; bit++)
		ck_assert_int_gt(seen_as(INT64_C(1) << bit), 0);
}
END_TEST

START_TEST(an_empty_one_says_0)
{
	struct histogram h;

	memset(&h, 0, sizeof(h));
	ck_assert_uint_eq(histogram_count(&h), 0);
	ck_assert_int_eq(histogram_quantile(&h, 0.5), 0);
	ck_assert_int_eq(histogram_quantile(&h, 1), 0);
}
END_TEST

/* The value at the rank itself, from 1 to 1000 ms. */
START_TEST(quantiles_of_many)
{
	struct histogram h;
	int64_t previous = 0;

	memset(&h, 0, sizeof(h));
	for (int64_t ms = 1000; ms >= 1; ms--)
		histogram_add(&h, ms * NS_PER_MS);
	ck_assert_uint_eq(histogram_count(&h), 1000);
	ck_assert_uint_eq(h.sum_us, UINT64_C(500500) * 1000);
	for (int64_t ms = 1; ms <= 1000; ms++) {
		int64_t is = ms * NS_PER_MS;
		int64_t got = histogram_quantile(&h, (double)ms / 1000);

		/* A product with a fraction may round to the next rank. */
		ck_assert_int_le(llabs(got - is), is / 8 + NS_PER_MS);
		ck_assert_int_ge(got, previous);
		previous = got;
	}
}
END_TEST

START_TEST(a_share_that_is_none)
{
	struct histogram h;

	memset(&h, 0, sizeof(h));
	histogram_add(&h, NS_PER_US);
	histogram_add(&h, NS_PER_S);
	ck_assert_int_eq(histogram_quantile(&h, -1), seen_as(NS_PER_US));
	ck_assert_int_eq(histogram_quantile(&h, NAN), seen_as(NS_PER_US));
	ck_assert_int_eq(histogram_quantile(&h, 0.5), seen_as(NS_PER_US));
	ck_assert_int_eq(histogram_quantile(&h, 0.51), seen_as(NS_PER_S));
	ck_assert_int_eq(histogram_quantile(&h, 2), seen_as(NS_PER_S));
	ck_assert_int_eq(histogram_quantile(&h, INFINITY), seen_as(NS_PER_S));
}
END_TEST

START_TEST(a_merge_is_the_sum)
{
	struct histogram a, b, both;

	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	memset(&both, 0, sizeof(both));
	for (int64_t ns = 0; ns < TOP_NS; ns += ns / 10 + 1) {
		histogram_add(ns % 3 == 0 ? &a : &b, ns);
		histogram_add(&both, ns);
	}
	histogram_merge(&a, &b);
	ck_assert_uint_eq(a.sum_us, both.sum_us);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		ck_assert_uint_eq(a.count[i], both.count[i]);
}
END_TEST

START_TEST(a_full_bucket_stays_full)
{
	struct histogram h, more;

	memset(&h, 0, sizeof(h));
	memset(&more, 0, sizeof(more));
	h.count[0] = UINT32_MAX - 1;
	h.sum_us = UINT64_MAX - 1;
	histogram_add(&h, 0);
	ck_assert_uint_eq(h.count[0], UINT32_MAX);
	histogram_add(&h, 0);
	ck_assert_uint_eq(h.count[0], UINT32_MAX);
	histogram_add(&h, NS_PER_S);
	ck_assert_uint_eq(h.sum_us, UINT64_MAX);

	more.count[0] = UINT32_MAX;
	more.sum_us = 5;
	histogram_merge(&h, &more);
	ck_assert_uint_eq(h.count[0], UINT32_MAX);
	ck_assert_uint_eq(h.sum_us, UINT64_MAX);
	ck_assert_uint_eq(histogram_count(&h), (uint64_t)UINT32_MAX + 1);
	ck_assert_int_eq(histogram_quantile(&h, 0.5), 125);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("histogram");
	TCase *tests = tcase_create("histogram");

	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, a_quantile_is_within_an_eighth);
	tcase_add_test(tests, a_quantile_is_within_an_eighth_at_the_edges);
	tcase_add_test(tests, every_bucket_is_used_and_they_are_in_order);
	tcase_add_test(tests, any_value_has_a_bucket);
	tcase_add_test(tests, an_empty_one_says_0);
	tcase_add_test(tests, quantiles_of_many);
	tcase_add_test(tests, a_share_that_is_none);
	tcase_add_test(tests, a_merge_is_the_sum);
	tcase_add_test(tests, a_full_bucket_stays_full);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
