/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_deadline - who waits is told in order and not before its time, in a real
 * loop with timeouts that have passed or never come, so nothing has to wait.
 */
#include <check.h>
#include <stdlib.h>

#include "base/clock.h"
#include "rest/deadline.h"
#include "run_suite.h"

#define LONG (3600 * NS_PER_S)

static struct loop loop;
static struct deadline_list list;
static struct deadline d[4];
static int told[8], n_told;

static void
expired(struct deadline *deadline, int64_t now_ns)
{
	ck_assert_int_ge(now_ns, deadline->since_ns + list.timeout_ns);
	ck_assert_ptr_null(deadline->next);
	told[n_told++] = (int)(deadline - d);
}

static void
stop(void *ctx)
{
	loop_stop(ctx);
}

/* Lets the loop fire what is due: its own timer is last in the order. */
static void
turn(void)
{
	struct loop_timer last;

	loop_timer_init(&last, stop, &loop);
	loop_timer_set(&loop, &last, clock_now_ns());
	loop_run(&loop);
}

static void
setup(void)
{
	ck_assert_int_eq(loop_init(&loop), 0);
	deadline_list_init(&list, &loop, LONG, expired);
}

static void
teardown(void)
{
	deadline_list_release(&list);
	loop_release(&loop);
}

START_TEST(nobody_before_the_time)
{
	int64_t now = clock_now_ns();

	deadline_add(&list, &d[0], now);
	deadline_add(&list, &d[1], now);
	turn();
	ck_assert_int_eq(n_told, 0);
	ck_assert_ptr_eq(deadline_first(&list), &d[0]);
}
END_TEST

START_TEST(in_order_when_due)
{
	int64_t now = clock_now_ns();

	deadline_add(&list, &d[2], now - 2 * LONG);
	deadline_add(&list, &d[0], now - LONG - 1);
	deadline_add(&list, &d[1], now);
	turn();
	ck_assert_int_eq(n_told, 2);
	ck_assert_int_eq(told[0], 2);
	ck_assert_int_eq(told[1], 0);
	ck_assert_ptr_eq(deadline_first(&list), &d[1]);
}
END_TEST

START_TEST(who_leaves_is_not_told)
{
	int64_t now = clock_now_ns();

	deadline_add(&list, &d[0], now - 2 * LONG);
	deadline_add(&list, &d[1], now - 2 * LONG);
	deadline_del(&d[0]);
	deadline_del(&d[0]);
	turn();
	ck_assert_int_eq(n_told, 1);
	ck_assert_int_eq(told[0], 1);
	ck_assert_ptr_null(deadline_first(&list));
}
END_TEST

START_TEST(to_begin_again_is_to_move)
{
	int64_t now = clock_now_ns();

	deadline_add(&list, &d[0], now - 2 * LONG);
	deadline_add(&list, &d[1], now - 2 * LONG);
	deadline_add(&list, &d[0], now);
	ck_assert_ptr_eq(deadline_first(&list), &d[1]);
	turn();
	ck_assert_int_eq(n_told, 1);
	ck_assert_ptr_eq(deadline_first(&list), &d[0]);
}
END_TEST

START_TEST(a_shorter_timeout_is_for_those_in_it_too)
{
	deadline_add(&list, &d[0], clock_now_ns() - 10);
	turn();
	ck_assert_int_eq(n_told, 0);
	deadline_list_timeout(&list, 1);
	turn();
	ck_assert_int_eq(n_told, 1);
}
END_TEST

START_TEST(never_is_never)
{
	deadline_list_timeout(&list, CLOCK_NEVER);
	deadline_add(&list, &d[0], clock_now_ns());
	ck_assert(!loop_timer_is_set(&list.timer));
	turn();
	ck_assert_int_eq(n_told, 0);
}
END_TEST

START_TEST(an_empty_list_comes_to_rest)
{
	deadline_add(&list, &d[0], clock_now_ns() - 2 * LONG);
	deadline_del(&d[0]);
	ck_assert(loop_timer_is_set(&list.timer));
	turn();
	ck_assert(!loop_timer_is_set(&list.timer));
	ck_assert_int_eq(n_told, 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("deadline");
	TCase *tests = tcase_create("deadline");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, nobody_before_the_time);
	tcase_add_test(tests, in_order_when_due);
	tcase_add_test(tests, who_leaves_is_not_told);
	tcase_add_test(tests, to_begin_again_is_to_move);
	tcase_add_test(tests, a_shorter_timeout_is_for_those_in_it_too);
	tcase_add_test(tests, never_is_never);
	tcase_add_test(tests, an_empty_list_comes_to_rest);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
