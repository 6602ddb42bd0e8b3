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
#include "run_suite.h"

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
	ck_assert_ptr_null(strchr(shot.note, '\n'));
	ck_assert_int_eq(strlen(shot.note), sizeof shot.note - 1);
	ck_assert(shot.note_trouble);
}
END_TEST

START_TEST(snapshot_shows_the_note)
{
	struct slot *slot = &board.slot[2];
	struct slot_snapshot shot;
	char longer[2 * sizeof slot->note];

	slot_reset(slot, ROLE_AMQP, 1);
	slot_snapshot(slot, &shot);
	ck_assert_str_eq(shot.note, "");
	ck_assert(!shot.note_trouble);
	slot_set_note(slot, true, "no broker");
	slot_snapshot(slot, &shot);
	ck_assert_str_eq(shot.note, "no broker");
	ck_assert(shot.note_trouble);
	slot_set_note(slot, false, "connected");
	slot_snapshot(slot, &shot);
	ck_assert_str_eq(shot.note, "connected");
	ck_assert(!shot.note_trouble);
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	slot_set_note(slot, true, longer);
	slot_snapshot(slot, &shot);
	ck_assert_int_eq(strlen(shot.note), sizeof shot.note - 1);
	/* trouble without a word is none */
	slot_set_note(slot, true, "");
	slot_snapshot(slot, &shot);
	ck_assert(!shot.note_trouble);
	/* and the next child in this slot begins without */
	slot_set_note(slot, true, "x");
	slot_reset(slot, ROLE_AMQP, 2);
	slot_snapshot(slot, &shot);
	ck_assert_str_eq(shot.note, "");
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

static void
died(int pid, int status, bool overran)
{
	struct board_death death = {
		.pid = pid,
		.status = status,
		.overran = overran,
	};

	board_death_add(&board, &death);
}

START_TEST(deaths_are_found_until_they_are_old)
{
	struct board_death death = { 0 };

	ck_assert(!board_death_find(&board, 100, &death));
	died(100, 9, true);
	for (int i = 1; i < BOARD_DEATHS - 1; i++)
		died(100 + i, 256, false);
	ck_assert(board_death_find(&board, 100, &death));
	ck_assert_int_eq(death.pid, 100);
	ck_assert_int_eq(death.status, 9);
	ck_assert(death.overran);
	died(1, 0, false);
	died(2, 0, false);
	ck_assert(!board_death_find(&board, 100, &death));
	ck_assert(board_death_find(&board, 2, &death));
	ck_assert(!death.overran);
	ck_assert(!board_death_find(&board, 3, &death));
}
END_TEST

START_TEST(a_death_names_the_last_call)
{
	struct slot_call call = { .started_ns = 1, .uid = 77, .attempt = 2 };
	struct board_death death;

	slot_reset(&board.slot[1], ROLE_REST, 1);
	board.slot[1].pid = 7;
	slot_call_begin(&board, &board.slot[1], &call);
	died(7, 11, false);
	died(8, 11, false);
	ck_assert(board_death_find(&board, 7, &death));
	ck_assert_uint_eq(death.uid, 77);
	ck_assert_uint_eq(death.attempt, 2);
	ck_assert(board_death_find(&board, 8, &death));
	ck_assert_uint_eq(death.uid, 0);
}
END_TEST

START_TEST(the_last_death_of_a_pid_counts)
{
	struct board_death death;

	died(7, 1, false);
	died(8, 2, false);
	died(7, 3, false);
	ck_assert(board_death_find(&board, 7, &death));
	ck_assert_int_eq(death.status, 3);
	board_death_forget(&board, 7);
	ck_assert(!board_death_find(&board, 7, &death));
	ck_assert(board_death_find(&board, 8, &death));
}
END_TEST

START_TEST(a_call_is_cancelled_by_its_uid)
{
	board_cancel_call(&board, 3, 42);
	ck_assert(board_is_cancelled(&board, 3, 42));
	ck_assert(!board_is_cancelled(&board, 3, 43));
	ck_assert(!board_is_cancelled(&board, 4, 42));
	board_cancel_call(&board, SLOTS, 42);
	ck_assert(!board_is_cancelled(&board, SLOTS, 42));
	ck_assert(!board_is_cancelled(&board, 5, 0));
}
END_TEST

/* Whatever the order: the hub and the child never both think that the other has
 * what is behind the call. */
START_TEST(what_is_behind_a_call_is_recalled)
{
	struct slot *slot = &board.slot[3];
	struct slot_call call = { .started_ns = 1, .uid = 42 };

	/* it has not begun, and does not know yet */
	ck_assert(!board_recall(&board, 3, 42));
	slot_call_begin(&board, slot, &call);
	ck_assert(board_recall(&board, 3, 42));
	ck_assert(!board_recall(&board, 3, 41));
	ck_assert(!board_drops(&board, 3, 42));
	ck_assert_uint_eq(slot->dropped, 0);
	ck_assert(board_recall(&board, 3, 42));
	slot_call_end(slot, false, 1);
	ck_assert(board_drops(&board, 3, 42));
	ck_assert_uint_eq(slot->dropped, 42);
	/* it has ended: what it did is in `dropped` */
	ck_assert(!board_recall(&board, 3, 42));
	ck_assert(!board_recall(&board, 3, 0));
	ck_assert(!board_drops(&board, 3, 42));
	ck_assert(!board_drops(&board, 3, 0));
	ck_assert_uint_eq(slot->dropped, 0);
	ck_assert(!board_recall(&board, SLOTS, 42));
}
END_TEST

START_TEST(a_call_without_a_deadline_rings_nobody)
{
	struct slot_call call = { .started_ns = 5, .handler = "x.y" };
	struct slot_snapshot shot;

	slot_reset(&board.slot[0], ROLE_BACKGROUND, 1);
	ck_assert(!slot_call_begin(&board, &board.slot[0], &call));
	slot_snapshot(&board.slot[0], &shot);
	ck_assert(shot.in_call);
	ck_assert_int_eq(shot.call.deadline_ns, 0);
}
END_TEST

START_TEST(only_the_hub_writes_cancels)
{
	for (int role = 0; role < ROLE_COUNT; role++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			if (board_protect(&board, (enum role_id)role, 1) < 0)
				_exit(99);
			/* a sanitizer has one of its own */
			signal(SIGSEGV, SIG_DFL);
			board_cancel_call(&board, 2, 77);
			_exit(0);
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(WIFEXITED(status), role == ROLE_HUB);
		ck_assert_int_eq(status == 0, role == ROLE_HUB);
	}
	ck_assert(board_is_cancelled(&board, 2, 77));
}
END_TEST

START_TEST(every_door_has_a_name)
{
	for (int door = 0; door < DOOR_COUNT; door++)
		ck_assert_ptr_nonnull(door_name((enum call_door)door));
	ck_assert_str_eq(door_name(DOOR_SCHEDULE), "schedule");
	ck_assert_str_eq(door_name(DOOR_COUNT), "?");
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
	tcase_add_test(tc, snapshot_shows_the_note);
	tcase_add_test(tc, a_child_writes_only_its_own);
	tcase_add_test(tc, deaths_are_found_until_they_are_old);
	tcase_add_test(tc, the_last_death_of_a_pid_counts);
	tcase_add_test(tc, a_death_names_the_last_call);
	tcase_add_test(tc, a_call_is_cancelled_by_its_uid);
	tcase_add_test(tc, what_is_behind_a_call_is_recalled);
	tcase_add_test(tc, a_call_without_a_deadline_rings_nobody);
	tcase_add_test(tc, only_the_hub_writes_cancels);
	tcase_add_test(tc, every_door_has_a_name);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
