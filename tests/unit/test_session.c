/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_session - what is remembered of a session, how long, and how many
 * sessions are.
 */
#include <check.h>
#include <stdlib.h>

#include "core/msg.h"
#include "hub/session.h"
#include "run_suite.h"

static struct sessions *sessions;

static void
set_up(void)
{
	sessions = sessions_new(4);
}

static void
tear_down(void)
{
	sessions_free(sessions);
}

static void
remember(struct session *session, uint64_t seq)
{
	struct answer answer = { .seq = seq,
		.version = seq * 10,
		.number = (int64_t)seq,
		.id = MSG_INCR,
		.done = 1 };

	session_remember(session, &answer);
}

START_TEST(an_answer_is_known_again)
{
	struct session *session = sessions_enter(sessions, 7);
	const struct answer *answer;

	ck_assert_int_eq(session_look(session, 1, &answer), SESSION_NEW);
	remember(session, 1);
	ck_assert_int_eq(session_look(session, 1, &answer), SESSION_KNOWN);
	ck_assert_uint_eq(answer->version, 10);
	ck_assert_int_eq(answer->number, 1);
	ck_assert_int_eq(session_look(session, 2, &answer), SESSION_NEW);
}
END_TEST

START_TEST(the_last_ones_are_known_and_older_ones_are_not)
{
	struct session *session = sessions_enter(sessions, 7);
	const struct answer *answer;
	uint64_t last = 3 * SESSION_ANSWERS + 17;

	for (uint64_t seq = 1; seq <= last; seq++)
		remember(session, seq);
	for (uint64_t seq = 1; seq <= last; seq++)
		ck_assert_int_eq(session_look(session, seq, &answer),
		    seq > last - SESSION_ANSWERS ? SESSION_KNOWN : SESSION_OLD);
	ck_assert_int_eq(session_look(session, last + 1, &answer), SESSION_NEW);
}
END_TEST

START_TEST(a_number_that_was_left_out_is_new)
{
	struct session *session = sessions_enter(sessions, 7);
	const struct answer *answer;

	for (uint64_t seq = 2; seq <= 2 * SESSION_ANSWERS; seq += 2)
		remember(session, seq);
	ck_assert_int_eq(session_look(session, 2 * SESSION_ANSWERS - 1,
			     &answer),
	    SESSION_NEW);
	ck_assert_int_eq(session_look(session, SESSION_ANSWERS - 1, &answer),
	    SESSION_OLD);
}
END_TEST

START_TEST(a_session_comes_back)
{
	struct session *session = sessions_enter(sessions, 7);
	const struct answer *answer;

	remember(session, 1);
	session_leave(sessions, session);
	session = sessions_enter(sessions, 7);
	ck_assert_int_eq(session_look(session, 1, &answer), SESSION_KNOWN);
	ck_assert_uint_eq(sessions_count(sessions), 1);
}
END_TEST

START_TEST(those_that_left_long_ago_are_forgotten)
{
	struct session *session;
	const struct answer *answer;

	for (uint64_t id = 1; id <= 100; id++) {
		session = sessions_enter(sessions, id);
		remember(session, 1);
		session_leave(sessions, session);
	}
	ck_assert_uint_eq(sessions_count(sessions), 4);
	session = sessions_enter(sessions, 97);
	ck_assert_int_eq(session_look(session, 1, &answer), SESSION_KNOWN);
	session = sessions_enter(sessions, 96);
	ck_assert_int_eq(session_look(session, 1, &answer), SESSION_NEW);
}
END_TEST

START_TEST(those_that_are_connected_never_are)
{
	struct session *session;

	for (uint64_t id = 1; id <= 100; id++)
		sessions_enter(sessions, id);
	ck_assert_uint_eq(sessions_count(sessions), 100);
	for (uint64_t id = 1; id <= 100; id++) {
		session = sessions_enter(sessions, id);
		session_leave(sessions, session);
	}
	ck_assert_uint_eq(sessions_count(sessions), 4);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("session");
	TCase *tc = tcase_create("session");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, an_answer_is_known_again);
	tcase_add_test(tc, the_last_ones_are_known_and_older_ones_are_not);
	tcase_add_test(tc, a_number_that_was_left_out_is_new);
	tcase_add_test(tc, a_session_comes_back);
	tcase_add_test(tc, those_that_left_long_ago_are_forgotten);
	tcase_add_test(tc, those_that_are_connected_never_are);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
