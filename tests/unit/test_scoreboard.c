/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_scoreboard - spare bits and when they ring, deadlines, snapshots of
 * slots that hold nonsense, and that a child can write only where it may.
 */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/scoreboard.h"

#define SLOTS 200

static struct board board;
static struct board_pool *pool;

static void
setup(void)
{
	ck_assert_int_eq(board_create(&board, SLOTS), 0);
	pool = &board.pool[ROLE_REST];
	pool->words = (SLOTS + 63) / 64;
}

static void
teardown(void)
{
	board_release(&board);
}

START_TEST(counts_spare_over_all_words)
{
	for (unsigned i = 0; i < SLOTS; i += 3)
		board_set_spare(&board, ROLE_REST, i, true);
	ck_assert_int_eq(board_count_spare(&board, ROLE_REST), 67);
	for (unsigned i = 0; i < SLOTS; i += 3)
		board_set_spare(&board, ROLE_REST, i, false);
	ck_assert_int_eq(board_count_spare(&board, ROLE_REST), 0);
}
END_TEST

START_TEST(rings_once_when_short)
{
	for (unsigned i = 0; i < 4; i++)
		board_set_spare(&board, ROLE_REST, i, true);
	pool->min_spare = 3;
	pool->armed = 1;
	ck_assert(!board_set_spare(&board, ROLE_REST, 0, false));
	ck_assert(board_set_spare(&board, ROLE_REST, 1, false));
	ck_assert(!board_set_spare(&board, ROLE_REST, 2, false));
	pool->armed = 1;
	/* a bit that was clear already changes nothing */
	ck_assert(!board_set_spare(&board, ROLE_REST, 2, false));
	ck_assert(board_set_spare(&board, ROLE_REST, 3, false));
}
END_TEST

START_TEST(never_rings_unless_wanted)
{
	board_set_spare(&board, ROLE_REST, 0, true);
	pool->armed = 1;
	ck_assert_int_eq(pool->min_spare, -1);
	ck_assert(!board_set_spare(&board, ROLE_REST, 0, false));
}
END_TEST

START_TEST(keeps_the_low_water_mark)
{
	for (unsigned i = 0; i < 5; i++)
		board_set_spare(&board, ROLE_REST, i, true);
	pool->low = 5;
	board_set_spare(&board, ROLE_REST, 0, false);
	board_set_spare(&board, ROLE_REST, 1, false);
	board_set_spare(&board, ROLE_REST, 0, true);
	board_set_spare(&board, ROLE_REST, 1, true);
	ck_assert_int_eq(pool->low, 3);
}
END_TEST

START_TEST(saturated_only_when_all_are_full_at_max)
{
	pool->children = 2;
	board_set_full(&board, ROLE_REST, 0, true);
	pool->at_max = 1;
	ck_assert(!board_saturated(&board, ROLE_REST));
	board_set_full(&board, ROLE_REST, 1, true);
	ck_assert(board_saturated(&board, ROLE_REST));
	pool->at_max = 0;
	ck_assert(!board_saturated(&board, ROLE_REST));
}
END_TEST

START_TEST(knows_a_spare_one_with_fewer_connections)
{
	board.slot[3].connections = 2;
	board.slot[130].connections = 1;
	ck_assert(!board_has_lighter(&board, ROLE_REST, 3));
	board_set_spare(&board, ROLE_REST, 130, true);
	ck_assert(board_has_lighter(&board, ROLE_REST, 3));
	ck_assert(!board_has_lighter(&board, ROLE_REST, 130));
	board.slot[130].connections = 2;
	ck_assert(!board_has_lighter(&board, ROLE_REST, 3));
}
END_TEST

START_TEST(rings_for_an_earlier_deadline_only)
{
	struct slot *slot = &board.slot[7];
	struct slot_call call = { .started_ns = 1, .deadline_ns = 1000 };

	slot_reset(slot, ROLE_REST, 1);
	ck_assert(slot_call_begin(&board, slot, &call));
	slot_call_end(slot, false, 5);
	ck_assert(!slot_call_begin(&board, slot, &call));
	slot_call_end(slot, true, 5);
	call.deadline_ns = 999;
	ck_assert(slot_call_begin(&board, slot, &call));
	ck_assert_int_eq(pool->deadline_known_ns, 999);
	/* the master has seen a later one: what was told stays */
	ck_assert(!board_tell_deadline(&board, ROLE_REST, 1000));
	ck_assert_int_eq(pool->deadline_known_ns, 999);
	ck_assert(board_tell_deadline(&board, ROLE_REST, 998));
	ck_assert_int_eq(pool->deadline_known_ns, 998);
	slot_call_end(slot, false, 5);
	ck_assert_int_eq(slot->calls, 3);
	ck_assert_int_eq(slot->errors, 1);
	ck_assert_int_eq(histogram_count(&slot->latency), 3);
}
END_TEST

START_TEST(snapshot_shows_the_call)
{
	struct slot *slot = &board.slot[0];
	struct slot_call call = { .started_ns = 5,
		.deadline_ns = 10,
		.door = DOOR_REST,
		.id = "abc",
		.path = "/x" };
	struct slot_snapshot shot;

	slot_reset(slot, ROLE_REST, 1);
	slot_snapshot(slot, &shot);
	ck_assert(!shot.in_call);
	slot_call_begin(&board, slot, &call);
	slot_snapshot(slot, &shot);
	ck_assert(shot.in_call);
	ck_assert_str_eq(shot.call.id, "abc");
	ck_assert_str_eq(shot.call.path, "/x");
}
END_TEST

/* What a mad child may leave: no end of text, control bytes, a torn write. */
START_TEST(snapshot_of_nonsense_is_clean)
{
	struct slot *slot = &board.slot[1];
	struct slot_snapshot shot;

	memset(slot, 0xff, sizeof *slot);
	slot_snapshot(slot, &shot);
	ck_assert_int_ge(shot.call.started_ns, 0);
	ck_assert_int_ge(shot.call.deadline_ns, 0);
	ck_assert_int_ge(shot.heartbeat_ns, 0);
	ck_assert_int_eq(strlen(shot.call.path), sizeof shot.call.path - 1);
	for (const char *p = shot.last_error; *p; p++)
		ck_assert_int_eq(*p, '?');
	for (const char *p = shot.crash_trace; *p; p++)
		ck_assert_int_eq(*p, '?');
	memset(slot, '\n', sizeof *slot);
	slot_snapshot(slot, &shot);
	ck_assert_ptr_null(strchr(shot.last_error, '\n'));
	ck_assert_ptr_null(strchr(shot.call.id, '\n'));
}
END_TEST

static int
child_writes(void *where)
{
	pid_t pid = fork();

	if (pid == 0) {
		/* sanitizers would turn the signal into an exit of their own */
		signal(SIGSEGV, SIG_DFL);
		if (board_protect(&board, ROLE_REST, 3) < 0)
			_exit(1);
		*(volatile char *)where = 1;
		_exit(0);
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

START_TEST(a_child_writes_only_its_own)
{
	ck_assert_int_eq(child_writes(&board.slot[3].call), 0);
	ck_assert_int_eq(child_writes((void *)&board.slot[3].calls), 0);
	ck_assert_int_eq(child_writes((void *)&pool->spare[0]), 0);
	ck_assert_int_eq(child_writes(&board.slot[2].call), SIGSEGV);
	ck_assert_int_eq(child_writes(&board.slot[4].call), SIGSEGV);
	ck_assert_int_eq(child_writes((void *)&board.header->log_level),
	    SIGSEGV);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("scoreboard");
	TCase *tc = tcase_create("scoreboard");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, counts_spare_over_all_words);
	tcase_add_test(tc, rings_once_when_short);
	tcase_add_test(tc, never_rings_unless_wanted);
	tcase_add_test(tc, keeps_the_low_water_mark);
	tcase_add_test(tc, saturated_only_when_all_are_full_at_max);
	tcase_add_test(tc, knows_a_spare_one_with_fewer_connections);
	tcase_add_test(tc, rings_for_an_earlier_deadline_only);
	tcase_add_test(tc, snapshot_shows_the_call);
	tcase_add_test(tc, snapshot_of_nonsense_is_clean);
	tcase_add_test(tc, a_child_writes_only_its_own);
	suite_add_tcase(suite, tc);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
