/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_schedule_plan - what is due when: every and cron, each way to catch up
 * after a downtime, jitter, and a clock that jumps both ways for years of
 * simulated time, in which no moment is run twice and none is lost.
 */
#include <check.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/why.h"
#include "fast_check.h"
#include "hub/schedule.h"

#include "conf_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define T0 INT64_C(1793750400000) /* 2026-11-04 00:00 UTC */
#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static struct schedule_plan
every(int64_t every_ms, int catch_up)
{
	return (
	    struct schedule_plan){ .every_ms = every_ms, .catch_up = catch_up };
}

static struct schedule_plan
cron(const char *text, int catch_up)
{
	struct schedule_plan plan = { .is_cron = true,
		.timezone = "UTC",
		.catch_up = catch_up };
	struct why why = { "" };

	ck_assert_msg(cron_parse(&plan.cron, text, &why) == 0, "%s", why.text);
	return plan;
}

static void
expect(const struct schedule_plan *plan, int64_t last_ms, int64_t now_ms, int n,
    int64_t run_ms, int64_t next_ms)
{
	int64_t run = -1, next = -1;

	ck_assert_int_eq(schedule_decide(plan, last_ms, T0, now_ms, &run,
			     &next),
	    n);
	ck_assert_int_eq(run - T0, run_ms - T0);
	ck_assert_int_eq(next - T0, next_ms - T0);
}

/* -------------------------------------------------------------------- every */

START_TEST(every_goes_by_its_grid)
{
	static const int ways[] = { CONF_CATCH_UP_NONE, CONF_CATCH_UP_ONE,
		CONF_CATCH_UP_ALL };
	struct schedule_plan plan = every(10000, ways[_i]);

	/* never run: from the start on */
	expect(&plan, 0, T0, 0, T0, T0 + 10000);
	expect(&plan, 0, T0 + 9999, 0, T0, T0 + 10000);
	expect(&plan, 0, T0 + 10000, 1, T0 + 10000, T0 + 20000);
	expect(&plan, T0 + 10000, T0 + 10000, 0, T0 + 10000, T0 + 20000);
	/* late, but not by a whole one: the grid stays */
	expect(&plan, T0 + 10000, T0 + 24000, 1, T0 + 20000, T0 + 30000);
}
END_TEST

START_TEST(one_run_makes_up_for_all)
{
	struct schedule_plan plan = every(10000, CONF_CATCH_UP_ONE);

	expect(&plan, T0, T0 + 25000, 1, T0 + 20000, T0 + 30000);
	expect(&plan, T0, T0 + 10 * DAY + 1, 1, T0 + 10 * DAY,
	    T0 + 10 * DAY + 10000);
	/* a thousand years at ten a second are no more work than one */
	plan.every_ms = 100;
	expect(&plan, T0, T0 + 365000 * DAY, 1, T0 + 365000 * DAY,
	    T0 + 365000 * DAY + 100);
}
END_TEST

START_TEST(each_run_is_made_up_for)
{
	struct schedule_plan plan = every(10000, CONF_CATCH_UP_ALL);

	expect(&plan, T0, T0 + 25000, 2, T0 + 20000, T0 + 30000);
	/* so many at a time, the others at once behind them */
	expect(&plan, T0, T0 + 20000 * 1000, SCHEDULE_MOST,
	    T0 + 10000 * SCHEDULE_MOST, T0 + 10000 * (SCHEDULE_MOST + 1));
}
END_TEST

START_TEST(missed_runs_are_left_out)
{
	struct schedule_plan plan = every(HOUR, CONF_CATCH_UP_NONE);

	expect(&plan, T0, T0 + HOUR + MINUTE, 1, T0 + HOUR, T0 + 2 * HOUR);
	expect(&plan, T0, T0 + HOUR + MINUTE + 1, 0, T0 + HOUR, T0 + 2 * HOUR);
	expect(&plan, T0, T0 + 5 * HOUR + 20 * MINUTE, 0, T0 + 5 * HOUR,
	    T0 + 6 * HOUR);
	expect(&plan, T0, T0 + 5 * HOUR + 20, 1, T0 + 5 * HOUR, T0 + 6 * HOUR);
}
END_TEST

/* --------------------------------------------------------------------- cron */

START_TEST(cron_after_a_downtime)
{
	struct schedule_plan none = cron("0 3 * * *", CONF_CATCH_UP_NONE);
	struct schedule_plan one = cron("0 3 * * *", CONF_CATCH_UP_ONE);
	struct schedule_plan all = cron("0 3 * * *", CONF_CATCH_UP_ALL);
	int64_t last = T0 + 3 * HOUR, now = last + 3 * DAY + HOUR;

	expect(&none, last, now, 0, last + 3 * DAY, last + 4 * DAY);
	expect(&one, last, now, 1, last + 3 * DAY, last + 4 * DAY);
	expect(&all, last, now, 3, last + 3 * DAY, last + 4 * DAY);

	expect(&none, last, last + DAY + MINUTE, 1, last + DAY, last + 2 * DAY);
	expect(&none, last, last + DAY + MINUTE + 1, 0, last + DAY,
	    last + 2 * DAY);
	/* nothing was missed */
	expect(&one, last, last + DAY - 1, 0, last, last + DAY);
	expect(&all, last, last + DAY - 1, 0, last, last + DAY);
	/* the moment itself */
	expect(&all, last, last + DAY, 1, last + DAY, last + 2 * DAY);
}
END_TEST

START_TEST(cron_after_years)
{
	struct schedule_plan minutes = cron("* * * * *", CONF_CATCH_UP_ONE);
	struct schedule_plan yearly = cron("@yearly", CONF_CATCH_UP_ONE);
	struct schedule_plan monthly = cron("@monthly", CONF_CATCH_UP_ONE);
	struct schedule_plan never = cron("0 0 30 2 *", CONF_CATCH_UP_ONE);
	int64_t now = T0 + 4000 * DAY; /* 2037-10-17 */
	int64_t run, next;

	expect(&minutes, T0, now + 7, 1, now, now + MINUTE);
	ck_assert_int_eq(schedule_decide(&yearly, T0, T0, now, &run, &next), 1);
	ck_assert_int_eq(run, INT64_C(2114380800000));	/* 2037-01-01 */
	ck_assert_int_eq(next, INT64_C(2145916800000)); /* 2038-01-01 */
	ck_assert_int_eq(schedule_decide(&monthly, T0, T0, now, &run, &next),
	    1);
	ck_assert_int_eq(run, INT64_C(2137968000000)); /* 2037-10-01 */
	expect(&never, 0, T0, 0, T0, INT64_MAX);
	expect(&never, T0, now, 0, T0, INT64_MAX);
}
END_TEST

/* ------------------------------------------------------------------- jitter */

START_TEST(jitter_belongs_to_name_and_moment)
{
	struct conf_schedule row = { .name = (char *)"one",
		.cron = (char *)"* * * * *",
		.timezone = (char *)"",
		.jitter = 30 * NS_PER_S };
	struct schedule_plan one, again, other;
	int64_t least = INT64_MAX, most = 0, jitter;
	int same = 0;
	struct why why;

	ck_assert_int_eq(schedule_plan_init(&one, &row, &why), 0);
	ck_assert_int_eq(schedule_plan_init(&again, &row, &why), 0);
	row.name = (char *)"other";
	ck_assert_int_eq(schedule_plan_init(&other, &row, &why), 0);
	for (int64_t at = T0; at < T0 + DAY; at += MINUTE) {
		jitter = schedule_jitter(&one, at);
		ck_assert_int_eq(schedule_jitter(&again, at), jitter);
		same += schedule_jitter(&other, at) == jitter;
		ck_assert_int_ge(jitter, 0);
		ck_assert_int_le(jitter, 30000);
		least = jitter < least ? jitter : least;
		most = jitter > most ? jitter : most;
	}
	/* all over the range, and not alike for two names */
	ck_assert_int_lt(least, 1000);
	ck_assert_int_gt(most, 29000);
	ck_assert_int_lt(same, 10);
}
END_TEST

START_TEST(jitter_moves_the_run_and_not_the_grid)
{
	struct schedule_plan plan = cron("0 * * * *", CONF_CATCH_UP_ONE);
	int64_t last = T0, due;

	plan.jitter_ms = 10 * MINUTE;
	plan.seed = 42;
	for (int i = 0; i < 100; i++) {
		due = last + HOUR + schedule_jitter(&plan, last + HOUR);
		expect(&plan, last, due - 1, 0, last, due);
		expect(&plan, last, due, 1, last + HOUR,
		    last + 2 * HOUR + schedule_jitter(&plan, last + 2 * HOUR));
		last += HOUR;
	}
}
END_TEST

/* ------------------------------------------------------------------- clocks */

START_TEST(a_clock_that_goes_back_runs_nothing_twice)
{
	struct schedule_plan plan = cron("*/10 * * * *", CONF_CATCH_UP_ONE);
	int64_t run, next;

	/* ran at noon; it is half past eleven again */
	for (int64_t now = T0 + 11 * HOUR + 30 * MINUTE;
	     now < T0 + 12 * HOUR + 10 * MINUTE; now += MINUTE) {
		ck_assert_int_eq(schedule_decide(&plan, T0 + 12 * HOUR, T0, now,
				     &run, &next),
		    0);
		ck_assert_int_eq(run, T0 + 12 * HOUR);
		ck_assert_int_eq(next, T0 + 12 * HOUR + 10 * MINUTE);
	}
	expect(&plan, T0 + 12 * HOUR, T0 + 12 * HOUR + 10 * MINUTE, 1,
	    T0 + 12 * HOUR + 10 * MINUTE, T0 + 12 * HOUR + 20 * MINUTE);
}
END_TEST

START_TEST(a_wrong_clock_that_is_put_right_does_not_count)
{
	struct schedule_plan plan = cron("*/10 * * * *", CONF_CATCH_UP_ALL);

	expect(&plan, T0 + 3650 * DAY, T0 + 1, 0, T0 + 1, T0 + 10 * MINUTE);
	expect(&plan, T0 + 1, T0 + 10 * MINUTE, 1, T0 + 10 * MINUTE,
	    T0 + 20 * MINUTE);
}
END_TEST

START_TEST(every_starts_anew_when_the_clock_goes_back)
{
	struct schedule_plan plan = every(HOUR, CONF_CATCH_UP_ONE);

	expect(&plan, T0 + 5 * HOUR, T0, 0, T0, T0 + HOUR);
	expect(&plan, T0, T0 + HOUR, 1, T0 + HOUR, T0 + 2 * HOUR);
}
END_TEST

static uint64_t state;

static int64_t
any(int64_t n)
{
	state = state * UINT64_C(6364136223846793005) + 1;
	return (int64_t)(state >> 20) % n;
}

/*
 * A clock that steps forward by anything and back by up to a day, looked at
 * whenever decide says so or at random. Each run is of a later moment than the
 * one before; with `all` none in between is left out.
 */
START_TEST(a_clock_that_jumps_for_years)
{
	static const char *const texts[] = { "* * * * *", "*/7 * * * *",
		"0 3 * * *", "30 2,14 * * mon-fri", "0 0 1 * *" };
	static const int ways[] = { CONF_CATCH_UP_NONE, CONF_CATCH_UP_ONE,
		CONF_CATCH_UP_ALL };
	struct schedule_plan plan = cron(texts[_i % 5], ways[_i / 5]);
	int64_t now = T0, last = 0, run, next, ran = 0, moment;
	int n, total = 0;

	state = (uint64_t)_i + 1;
	plan.jitter_ms = _i % 2 == 0 ? 0 : 20000;
	plan.seed = (uint64_t)_i;
	for (int round = 0; round < 200; round++) {
		n = schedule_decide(&plan, last, T0, now, &run, &next);
		ck_assert_int_ge(n, 0);
		ck_assert_int_le(n, SCHEDULE_MOST);
		if (plan.catch_up != CONF_CATCH_UP_ALL)
			ck_assert_int_le(n, 1);
		moment = last != 0 ? last : T0;
		if (plan.catch_up == CONF_CATCH_UP_ALL) {
			for (int i = 0; i < n; i++)
				moment = schedule_after(&plan, moment);
			ck_assert_int_eq(moment, run);
		}
		if (n > 0) {
			ck_assert_int_gt(run, ran);
			ck_assert_int_le(run + schedule_jitter(&plan, run),
			    now);
			ran = run;
		}
		ck_assert_int_ge(run, moment);
		last = run;
		total += n;
		switch (any(4)) {
		case 0:
			now += any(3 * DAY);
			break;
		case 1:
			now -= any(DAY / 2);
			if (now < last - DAY)
				now = last - DAY;
			break;
		default:
			if (next > now)
				now = next;
			now += any(2000);
		}
	}
	ck_assert_int_gt(total, 5);
}
END_TEST

/* ------------------------------------------------------------------- config */

START_TEST(the_config_is_checked)
{
	struct conf_errors found = { 0 };

	load_text(
	    "modules = ( { name = \"m\"; path = \"/m.so\"; } );\n"
	    "tasks = { schedule = (\n"
	    " { name = \"a\"; handler = \"m.a\"; every = 0.1; },\n"
	    " { name = \"b\"; handler = \"m.a\"; cron = \"61 * * * *\"; },\n"
	    " { name = \"c\"; handler = \"m.a\"; cron = \"@daily\";\n"
	    "   timezone = \"Mars/Olympus\"; } ); };\n");
	ck_assert_msg(conf != NULL, "%s", error_text(0));
	schedules_check(conf, &found);
	ck_assert_uint_eq(found.n, 2);
	ck_assert_ptr_nonnull(strstr(found.v[0],
	    ":4: schedule 'b': minute: 61 is not within 0 to 59"));
	ck_assert_ptr_nonnull(strstr(found.v[1],
	    ":5: schedule 'c': there is no timezone 'Mars/Olympus'"));
	conf_errors_release(&found);
}
END_TEST

START_TEST(a_row_becomes_a_plan)
{
	struct conf_schedule row = { .name = (char *)"x",
		.cron = (char *)"",
		.timezone = (char *)"",
		.every = 100 * NS_PER_MS,
		.catch_up = CONF_CATCH_UP_ALL };
	struct schedule_plan plan;
	struct why why;

	ck_assert_int_eq(schedule_plan_init(&plan, &row, &why), 0);
	ck_assert(!plan.is_cron);
	ck_assert_int_eq(plan.every_ms, 100);
	ck_assert_int_eq(plan.catch_up, CONF_CATCH_UP_ALL);
	/* less than a millisecond is one: the grid never stands still */
	row.every = 1;
	ck_assert_int_eq(schedule_plan_init(&plan, &row, &why), 0);
	ck_assert_int_eq(plan.every_ms, 1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("schedule_plan");
	TCase *tests = tcase_create("decide");
	TCase *check = tcase_create("config");

	tcase_add_loop_test(tests, every_goes_by_its_grid, 0, 3);
	tcase_add_test(tests, one_run_makes_up_for_all);
	tcase_add_test(tests, each_run_is_made_up_for);
	tcase_add_test(tests, missed_runs_are_left_out);
	tcase_add_test(tests, cron_after_a_downtime);
	tcase_add_test(tests, cron_after_years);
	tcase_add_test(tests, jitter_belongs_to_name_and_moment);
	tcase_add_test(tests, jitter_moves_the_run_and_not_the_grid);
	tcase_add_test(tests, a_clock_that_goes_back_runs_nothing_twice);
	tcase_add_test(tests, a_wrong_clock_that_is_put_right_does_not_count);
	tcase_add_test(tests, every_starts_anew_when_the_clock_goes_back);
	tcase_add_loop_test(tests, a_clock_that_jumps_for_years, 0, 15);
	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(check, conf_set_up, conf_tear_down);
	tcase_add_test(check, the_config_is_checked);
	tcase_add_test(check, a_row_becomes_a_plan);
	suite_add_tcase(suite, tests);
	suite_add_tcase(suite, check);
	return run_suite(suite);
}
