/* SPDX-License-Identifier: BSD-2-Clause */
/* Published messages that are not confirmed yet. */
#include <check.h>
#include <stdlib.h>

#include "amqp/flight.h"
#include "run_suite.h"

static struct flights flights;
static uint64_t settled[512];
static bool settled_ok[512];
static unsigned settled_code[512];
static size_t settled_n;

static void
set_up(void)
{
	flights_init(&flights, 4);
	settled_n = 0;
}

static void
tear_down(void)
{
	flights_release(&flights);
}

static void
on_settled(void *ctx, const struct flight *flight, bool ok)
{
	(void)ctx;
	settled[settled_n] = flight->seq;
	settled_code[settled_n] = flight->code;
	settled_ok[settled_n++] = ok;
}

static void
confirm(uint64_t number, bool multiple, bool ok)
{
	flights_confirm(&flights, number, multiple, ok, on_settled, NULL);
}

/* Numbers from..to with seq 100 + number, uid 200 + number, mark number. */
static void
add(uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i <= to; i++)
		flights_add(&flights, i, 100 + i, 200 + i, i);
}

static void
want_settled(size_t n, uint64_t first, bool ok)
{
	ck_assert_uint_eq(settled_n, n);
	for (size_t i = 0; i < n; i++) {
		ck_assert_uint_eq(settled[i], first + i);
		ck_assert_int_eq(settled_ok[i], ok);
	}
	settled_n = 0;
}

START_TEST(confirms_in_order)
{
	add(1, 3);
	confirm(1, false, true);
	want_settled(1, 101, true);
	confirm(3, true, true);
	want_settled(2, 102, true);
	ck_assert_uint_eq(flights.unsettled, 0);
	ck_assert_uint_eq(flights.n, 0);
	/* once more, beyond, and of nothing */
	confirm(3, true, true);
	confirm(9, false, true);
	want_settled(0, 0, true);
}
END_TEST

START_TEST(confirms_out_of_order)
{
	add(1, 5);
	confirm(4, false, true);
	want_settled(1, 104, true);
	ck_assert_uint_eq(flights.n, 5);
	confirm(2, false, false);
	want_settled(1, 102, false);
	/* all so far: those that are settled are not told twice */
	confirm(0, true, true);
	ck_assert_uint_eq(settled_n, 3);
	ck_assert_uint_eq(settled[0], 101);
	ck_assert_uint_eq(settled[1], 103);
	ck_assert_uint_eq(settled[2], 105);
	ck_assert_uint_eq(flights.n, 0);
	add(6, 6);
	settled_n = 0;
	confirm(6, false, true);
	want_settled(1, 106, true);
}
END_TEST

START_TEST(many)
{
	uint64_t number = 1;

	for (size_t round = 0; round < 50; round++) {
		for (size_t i = 0; i < 300; i++, number++)
			flights_add(&flights, number, number, 1, 7);
		confirm(number - 1 - (round % 7), true, true);
		settled_n = 0;
	}
	confirm(number - 1, true, true);
	ck_assert_uint_eq(flights.n, 0);
}
END_TEST

START_TEST(returns)
{
	struct flight *flight;

	add(1, 2);
	flights_add(&flights, 3, 103, 203, 2);
	ck_assert_ptr_null(flights_returned(&flights, 77, 312));
	flight = flights_returned(&flights, 2, 312);
	ck_assert_uint_eq(flight->seq, 102);
	flight = flights_returned(&flights, 2, 312);
	ck_assert_uint_eq(flight->seq, 103);
	ck_assert_ptr_null(flights_returned(&flights, 2, 312));
	confirm(3, true, true);
	ck_assert_uint_eq(settled_n, 3);
	ck_assert_uint_eq(settled_code[0], 0);
	ck_assert_uint_eq(settled_code[1], 312);
	ck_assert_uint_eq(settled_code[2], 312);
}
END_TEST

START_TEST(marks_differ)
{
	struct msg_bytes a = msg_text("a"), bc = msg_text("bc"),
			 ab = msg_text("ab"), c = msg_text("c"),
			 none = msg_text("");

	ck_assert(flight_mark(a, bc, none) != flight_mark(ab, c, none));
	ck_assert(flight_mark(a, none, bc) != flight_mark(a, bc, none));
	ck_assert(flight_mark(a, bc, c) == flight_mark(a, bc, c));
}
END_TEST

START_TEST(another_hub)
{
	add(1, 4);
	confirm(1, false, true);
	flights_returned(&flights, 2, 312);
	confirm(2, false, true);
	settled_n = 0;
	flights_orphan(&flights);
	/* confirmed while nobody asks: not told, and known */
	confirm(3, false, true);
	want_settled(0, 0, true);
	ck_assert_int_eq(flights_adopt(&flights, 101, 201, 1),
	    FLIGHT_CONFIRMED);
	ck_assert_int_eq(flights_adopt(&flights, 102, 202, 2), FLIGHT_RETURNED);
	ck_assert_int_eq(flights_adopt(&flights, 103, 203, 3),
	    FLIGHT_CONFIRMED);
	ck_assert_int_eq(flights_adopt(&flights, 104, 204, 4),
	    FLIGHT_UNDER_WAY);
	ck_assert_uint_eq(flights.orphans, 0);
	/* another message under a number that was used */
	ck_assert_int_eq(flights_adopt(&flights, 101, 999, 1), FLIGHT_UNKNOWN);
	ck_assert_int_eq(flights_adopt(&flights, 101, 201, 9), FLIGHT_UNKNOWN);
	confirm(4, false, true);
	want_settled(1, 104, true);
}
END_TEST

/* A nack is no success: it is published again. */
START_TEST(nacks_are_not_remembered)
{
	add(1, 1);
	confirm(1, false, false);
	ck_assert_int_eq(flights_adopt(&flights, 101, 201, 1), FLIGHT_UNKNOWN);
}
END_TEST

START_TEST(what_is_held_is_not_remembered)
{
	add(1, 1);
	flights_returned(&flights, 1, 312)->keep = true;
	confirm(1, false, true);
	ck_assert_int_eq(flights_adopt(&flights, 101, 201, 1), FLIGHT_UNKNOWN);
}
END_TEST

/* What is under way and nobody's, sent again twice: published once more. */
START_TEST(adopted_once)
{
	add(1, 1);
	flights_orphan(&flights);
	ck_assert_int_eq(flights_adopt(&flights, 101, 201, 1),
	    FLIGHT_UNDER_WAY);
	ck_assert_int_eq(flights_adopt(&flights, 101, 201, 1), FLIGHT_UNKNOWN);
}
END_TEST

START_TEST(the_oldest_are_forgotten)
{
	add(1, 5);
	confirm(5, true, true);
	ck_assert_int_eq(flights_adopt(&flights, 101, 201, 1), FLIGHT_UNKNOWN);
	ck_assert_int_eq(flights_adopt(&flights, 102, 202, 2),
	    FLIGHT_CONFIRMED);
}
END_TEST

START_TEST(single_and_last)
{
	ck_assert_ptr_null(flights_single(&flights));
	ck_assert_uint_eq(flights_last_seq(&flights), 0);
	add(1, 3);
	ck_assert_ptr_null(flights_single(&flights));
	ck_assert_uint_eq(flights_last_seq(&flights), 103);
	confirm(3, false, true);
	confirm(1, false, true);
	ck_assert_uint_eq(flights_single(&flights)->seq, 102);
	ck_assert_uint_eq(flights_last_seq(&flights), 102);
	flights_forget(&flights);
	ck_assert_ptr_null(flights_single(&flights));
	/* another channel begins anew */
	add(1, 1);
	ck_assert_uint_eq(flights_single(&flights)->seq, 101);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("flight");
	TCase *tcase = tcase_create("flight");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, confirms_in_order);
	tcase_add_test(tcase, confirms_out_of_order);
	tcase_add_test(tcase, many);
	tcase_add_test(tcase, returns);
	tcase_add_test(tcase, marks_differ);
	tcase_add_test(tcase, another_hub);
	tcase_add_test(tcase, nacks_are_not_remembered);
	tcase_add_test(tcase, what_is_held_is_not_remembered);
	tcase_add_test(tcase, adopted_once);
	tcase_add_test(tcase, the_oldest_are_forgotten);
	tcase_add_test(tcase, single_and_last);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
