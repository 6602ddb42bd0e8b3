/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_policy - every rule of master/policy.h, with a clock of our own: growth
 * in doubling batches, the reset by a quiet moment, the low-water mark, bounds,
 * a pool scaled by the operator, and a random walk that no rule may break.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "master/policy.h"
#include "run_suite.h"

#define MS NS_PER_MS

static const struct policy_limits limits = {
	.start = 4,
	.min_spare = 2,
	.max_spare = 8,
	.max = 64,
	.grow_delay_ns = 10 * MS,
	.shrink_delay_ns = 1000 * MS,
};

static struct policy policy;
static struct policy_decision decision;

static void
ask(int64_t now_ms, int live, int starting, int spare, int low, int scaled)
{
	struct policy_view view = {
		.now_ns = NS_PER_S + now_ms * MS,
		.live = live,
		.starting = starting,
		.spare = spare,
		.low = low,
		.scaled = scaled,
	};
	policy_decide(&policy, &view, &decision);
}

static int64_t
at(int64_t ms)
{
	return NS_PER_S + ms * MS;
}

static void
setup(void)
{
	policy_init(&policy, &limits);
}

START_TEST(starts_with_start)
{
	ask(0, 4, 0, 4, 4, -1);
	ck_assert_int_eq(decision.target, 4);
	ck_assert_int_eq(decision.ask_again_ns, CLOCK_NEVER);
	ck_assert_str_eq(decision.why, "");
}
END_TEST

START_TEST(waits_for_grow_delay)
{
	ask(0, 4, 0, 1, 1, -1);
	ck_assert_int_eq(decision.target, 4);
	ck_assert_int_eq(decision.ask_again_ns, at(10));
	ask(9, 4, 0, 1, 1, -1);
	ck_assert_int_eq(decision.target, 4);
	ask(10, 4, 0, 1, 1, -1);
	ck_assert_int_eq(decision.target, 5);
	ck_assert_ptr_nonnull(strstr(decision.why, "grow from 4 to 5"));
}
END_TEST

/* A pool that keeps dying is short of spare ones for quite another reason. */
START_TEST(missing_ones_are_no_reason_to_grow)
{
	ask(0, 0, 0, 0, 0, -1);
	ask(1000, 0, 0, 0, 0, -1);
	ask(2000, 3, 1, 0, 0, -1);
	ck_assert_int_eq(decision.target, 4);
	ck_assert_str_eq(decision.why, "");
}
END_TEST

START_TEST(forgets_a_short_shortage)
{
	ask(0, 4, 0, 1, 1, -1);
	ask(5, 4, 0, 2, 1, -1);
	ask(10, 4, 0, 1, 1, -1);
	ck_assert_int_eq(decision.target, 4);
	ck_assert_int_eq(decision.ask_again_ns, at(20));
}
END_TEST

START_TEST(doubles_each_batch)
{
	static const int targets[] = { 5, 7, 11, 19, 35, 64 };
	int64_t now = 0;

	ask(now, 4, 0, 0, 0, -1);
	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
		now += 10;
		ask(now, policy.target, 0, 0, 0, -1);
		ck_assert_int_eq(decision.target, targets[i]);
		/* on its way: no second answer to the same shortage */
		ask(now, policy.target, 2, 0, 0, -1);
		ck_assert_int_eq(decision.target, targets[i]);
		/* ready, and busy at once */
		ask(now, policy.target, 0, 0, 0, -1);
	}
	now += 1000;
	ask(now, 64, 0, 0, 0, -1);
	ck_assert_int_eq(decision.target, 64);
	ck_assert(!policy_can_grow(&policy, -1));
}
END_TEST

START_TEST(quiet_moment_resets_the_batch)
{
	ask(0, 4, 0, 0, 0, -1);
	ask(10, 4, 0, 0, 0, -1);
	/* ready, and still short: no second delay */
	ask(11, 5, 0, 0, 0, -1);
	ck_assert_int_eq(decision.target, 7);
	ask(22, 7, 0, 2, 0, -1);
	ask(23, 7, 0, 1, 0, -1);
	ask(33, 7, 0, 1, 0, -1);
	ck_assert_int_eq(decision.target, 8);
}
END_TEST

START_TEST(starting_ones_do_not_reset_the_batch)
{
	ask(0, 4, 0, 0, 0, -1);
	ask(10, 4, 0, 0, 0, -1);
	ck_assert_int_eq(policy.burst, 2);
	ask(11, 5, 2, 0, 0, -1);
	ck_assert_int_eq(policy.burst, 2);
}
END_TEST

START_TEST(shrinks_by_the_low_water_mark)
{
	policy.target = 30;
	ask(0, 30, 0, 30, 30, -1);
	ck_assert(decision.new_window);
	ck_assert_int_eq(decision.ask_again_ns, at(1000));
	ask(999, 30, 0, 30, 20, -1);
	ck_assert_int_eq(decision.target, 30);
	ask(1000, 30, 0, 30, 20, -1);
	ck_assert_int_eq(decision.target, 18);
	ck_assert(decision.new_window);
	ck_assert_ptr_nonnull(strstr(decision.why, "shrink from 30 to 18"));
}
END_TEST

START_TEST(a_peak_in_the_window_keeps_them)
{
	policy.target = 30;
	ask(0, 30, 0, 30, 30, -1);
	ask(1000, 30, 0, 30, 8, -1);
	ck_assert_int_eq(decision.target, 30);
	ck_assert_int_eq(decision.ask_again_ns, at(2000));
}
END_TEST

START_TEST(never_shrinks_below_start)
{
	policy.target = 6;
	ask(0, 6, 0, 30, 30, -1);
	ask(1000, 6, 0, 30, 30, -1);
	ck_assert_int_eq(decision.target, 4);
	/* at the floor nothing has to be looked at: no wake-ups when idle */
	ck_assert_int_eq(decision.ask_again_ns, CLOCK_NEVER);
}
END_TEST

START_TEST(growth_starts_the_window_anew)
{
	policy.target = 30;
	ask(0, 30, 0, 30, 30, -1);
	ask(500, 30, 0, 0, 0, -1);
	ask(510, 30, 0, 0, 0, -1);
	ck_assert_int_eq(decision.target, 31);
	ask(1000, 31, 0, 31, 31, -1);
	ck_assert_int_eq(decision.target, 31);
	ck_assert(decision.new_window);
	ck_assert_int_eq(decision.ask_again_ns, at(2000));
}
END_TEST

START_TEST(scaled_is_obeyed)
{
	ask(0, 4, 0, 0, 0, 20);
	ck_assert_int_eq(decision.target, 20);
	ck_assert_int_eq(decision.ask_again_ns, CLOCK_NEVER);
	ask(5000, 20, 0, 0, 0, 0);
	ck_assert_int_eq(decision.target, 0);
	ck_assert(!policy_can_grow(&policy, 0));
	ask(6000, 0, 0, 0, 0, -1);
	ck_assert_int_eq(decision.target, 4);
}
END_TEST

START_TEST(new_limits_bring_the_target_within)
{
	struct policy_limits less = limits;

	policy.target = 60;
	less.max = 10;
	policy_set_limits(&policy, &less);
	ck_assert_int_eq(policy.target, 10);
	less.start = 10;
	less.max = 20;
	policy.target = 4;
	policy_set_limits(&policy, &less);
	ck_assert_int_eq(policy.target, 10);
}
END_TEST

START_TEST(min_spare_zero_never_grows)
{
	struct policy_limits none = limits;

	none.min_spare = 0;
	policy_init(&policy, &none);
	for (int i = 0; i < 100; i++)
		ask(i * 100, 4, 0, 0, 0, -1);
	ck_assert_int_eq(decision.target, 4);
}
END_TEST

/* Nobody counts how many amqp children are spare. */
START_TEST(a_fixed_size_is_the_configs_or_the_operators)
{
	struct policy_limits fixed = { .start = 2, .max = 8, .fixed = true };

	policy_init(&policy, &fixed);
	ask(0, 2, 0, 0, 0, -1);
	ck_assert_int_eq(decision.target, 2);
	ck_assert_int_eq(decision.ask_again_ns, CLOCK_NEVER);
	ask(100000, 2, 0, 2, 2, -1);
	ck_assert_int_eq(decision.target, 2);
	ck_assert(!policy_can_grow(&policy, -1));
	ask(100001, 2, 0, 2, 2, 8);
	ck_assert_int_eq(decision.target, 8);
	ask(100002, 8, 0, 8, 8, 0);
	ck_assert_int_eq(decision.target, 0);
	/* at once, and not down by what is spare some day */
	ask(100003, 0, 0, 0, 0, -1);
	ck_assert_int_eq(decision.target, 2);
	ask(100004, 2, 0, 2, 2, 5);
	fixed.start = 3;
	policy_set_limits(&policy, &fixed);
	ck_assert_int_eq(policy.target, 3);
	ask(100005, 5, 0, 5, 5, -1);
	ck_assert_int_eq(decision.target, 3);
	ck_assert_int_eq(decision.ask_again_ns, CLOCK_NEVER);
}
END_TEST

START_TEST(random_walk)
{
	int64_t now = 0;

	srand48(4711);
	for (int i = 0; i < 40000; i++) {
		int live = policy.target;
		int starting = (int)(lrand48() % 4) ? 0 : live / 3;
		int spare = live - starting > 0 ?
		    (int)(lrand48() % (live - starting + 1)) :
		    0;
		int low = spare > 0 ? (int)(lrand48() % (spare + 1)) : 0;
		int before = policy.target;
		now += lrand48() % 300;
		ask(now, live, starting, spare, low, -1);
		ck_assert_int_ge(decision.target, limits.start);
		ck_assert_int_le(decision.target, limits.max);
		ck_assert_int_le(decision.target - before, POLICY_BURST_MAX);
		if (decision.target > before)
			ck_assert_int_lt(spare + starting, limits.min_spare);
		if (decision.target < before)
			ck_assert_int_gt(low, limits.max_spare);
		ck_assert(
		    (decision.target == before) == (decision.why[0] == '\0'));
		/* above the floor somebody always looks again; after growth
		 * the new ones' being ready is the occasion */
		if (decision.target > limits.start && !decision.why[0])
			ck_assert_int_ne(decision.ask_again_ns, CLOCK_NEVER);
		if (decision.ask_again_ns != CLOCK_NEVER)
			ck_assert_int_ge(decision.ask_again_ns, at(now));
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("policy");
	TCase *tc = tcase_create("policy");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, starts_with_start);
	tcase_add_test(tc, waits_for_grow_delay);
	tcase_add_test(tc, missing_ones_are_no_reason_to_grow);
	tcase_add_test(tc, forgets_a_short_shortage);
	tcase_add_test(tc, doubles_each_batch);
	tcase_add_test(tc, quiet_moment_resets_the_batch);
	tcase_add_test(tc, starting_ones_do_not_reset_the_batch);
	tcase_add_test(tc, shrinks_by_the_low_water_mark);
	tcase_add_test(tc, a_peak_in_the_window_keeps_them);
	tcase_add_test(tc, never_shrinks_below_start);
	tcase_add_test(tc, growth_starts_the_window_anew);
	tcase_add_test(tc, scaled_is_obeyed);
	tcase_add_test(tc, new_limits_bring_the_target_within);
	tcase_add_test(tc, min_spare_zero_never_grows);
	tcase_add_test(tc, a_fixed_size_is_the_configs_or_the_operators);
	tcase_add_test(tc, random_walk);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
