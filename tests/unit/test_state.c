/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_state - the table of a child's life is complete: every state × event is
 * decided exactly once, nothing leads out of "gone", every state ends there.
 */
#include <check.h>
#include <stdlib.h>

#include "run_suite.h"

enum {
#define STATE(id, name) S_##id,
#include "core/state.def"
	STATES
};

enum {
#define EVENT(id, name) E_##id,
#include "core/state.def"
	EVENTS
};

static const struct {
	int state, event, next;
} rows[] = {
#define ON(state, event, next, action) { S_##state, E_##event, S_##next },
#include "core/state.def"
};
#define ROWS (sizeof rows / sizeof *rows)

START_TEST(every_combination_once)
{
	int seen[STATES][EVENTS] = { { 0 } };

	for (size_t i = 0; i < ROWS; i++)
		seen[rows[i].state][rows[i].event]++;
	for (int s = 0; s < STATES; s++)
		for (int e = 0; e < EVENTS; e++)
			ck_assert_msg(seen[s][e] == 1,
			    "state %d, event %d: %d rows", s, e, seen[s][e]);
}
END_TEST

START_TEST(exit_always_ends_it)
{
	for (size_t i = 0; i < ROWS; i++) {
		if (rows[i].event == E_EXIT)
			ck_assert_int_eq(rows[i].next, S_GONE);
		if (rows[i].state == S_GONE)
			ck_assert_int_eq(rows[i].next, S_GONE);
		/* only the kernel says that it is gone */
		else if (rows[i].event != E_EXIT)
			ck_assert_int_ne(rows[i].next, S_GONE);
	}
}
END_TEST

START_TEST(a_deadline_always_leads_to_the_ladder)
{
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].event == E_STEP && rows[i].state != S_GONE)
			ck_assert_int_eq(rows[i].next, S_STOPPING);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("state");
	TCase *tc = tcase_create("state");

	tcase_add_test(tc, every_combination_once);
	tcase_add_test(tc, exit_always_ends_it);
	tcase_add_test(tc, a_deadline_always_leads_to_the_ladder);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
