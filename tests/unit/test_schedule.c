/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_schedule - runs become jobs: each moment once and in its order, stored
 * with its job, skipped or made up for while the last one runs, refused and
 * tried again. Work and store are played here; the clock and the loop are real.
 */
#include <check.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/why.h"
#include "core/uid.h"
#include "hub/schedule.h"
#include "hub/work.h"

#include "conf_fixture.h"

#define MOST 256

/* --- work and store, as far as schedule.c needs them */

static struct {
	uint64_t uid;
	char name[32];
	char body[64];
} begun[MOST];
static size_t begun_n;
static struct {
	char name[32];
	int64_t last_ms;
	uint64_t uid;
} stored[8];
static size_t puts_n;
static struct job running; /* uid 0: none runs */
static bool keep_running;  /* a run that is begun does not end */
static enum hub_code refuse;
static size_t enough;
static struct loop loop;
static struct hub hub;

enum hub_code
work_would_add(struct hub *of, const struct work_new *new, size_t more,
    size_t queue_more, struct why *why)
{
	(void)why;
	ck_assert_ptr_eq(of, &hub);
	ck_assert_int_eq(new->kind, JOB_SCHEDULED);
	ck_assert_int_eq(new->queue, -1);
	ck_assert_uint_eq(more + queue_more, 0);
	return refuse;
}

enum hub_code
work_add(struct hub *of, const struct work_new *new, uint64_t *uid,
    uint64_t *token, bool *existing)
{
	(void)of;
	*uid = new->submit->uid;
	*token = new->submit->token;
	*existing = false;
	for (size_t i = 0; i < begun_n; i++)
		ck_assert_uint_ne(begun[i].uid, *uid);
	if (begun_n < MOST) {
		begun[begun_n].uid = *uid;
		snprintf(begun[begun_n].name, sizeof(begun[0].name), "%s",
		    new->schedule);
		snprintf(begun[begun_n].body, sizeof(begun[0].body), "%.*s",
		    (int)new->submit->body.len, new->submit->body.p);
		begun_n++;
	}
	if (keep_running) {
		ck_assert_uint_eq(running.uid, 0);
		running = (struct job){ .uid = *uid, .state = JOB_RUNNING };
	}
	if (begun_n >= enough)
		loop_stop(&loop);
	return HUB_OK;
}

struct jobs *
work_jobs(struct hub *of)
{
	(void)of;
	return NULL;
}

struct job *
jobs_find(struct jobs *jobs, uint64_t uid)
{
	(void)jobs;
	return running.uid == uid && uid != 0 ? &running : NULL;
}

void
store_put_schedule(struct store *store, const char *name, int64_t last_ms,
    uint64_t uid)
{
	size_t i = 0;

	(void)store;
	puts_n++;
	while (*stored[i].name != '\0' && strcmp(stored[i].name, name) != 0)
		i++;
	snprintf(stored[i].name, sizeof(stored[i].name), "%s", name);
	stored[i].last_ms = last_ms;
	stored[i].uid = uid;
}

bool
store_find_schedule(struct store *store, const char *name, int64_t *last_ms,
    uint64_t *uid)
{
	(void)store;
	for (size_t i = 0; *stored[i].name != '\0'; i++)
		if (strcmp(stored[i].name, name) == 0) {
			*last_ms = stored[i].last_ms;
			*uid = stored[i].uid;
			return true;
		}
	return false;
}

/* --- the fixture */

#define MODULE "modules = ( { name = \"m\"; path = \"/m.so\"; } );\n"

static void
set_up(void)
{
	conf_set_up();
	begun_n = puts_n = 0;
	memset(stored, 0, sizeof(stored));
	running.uid = 0;
	keep_running = false;
	refuse = HUB_OK;
	enough = SIZE_MAX;
	uid_init(1);
	ck_assert_int_eq(loop_init(&loop), 0);
}

static void
start(const char *entries)
{
	char text[1024];
	struct why why = { "" };

	if (entries != NULL) {
		snprintf(text, sizeof(text),
		    MODULE "tasks = { schedule = ( %s ); };\n", entries);
		load_text(text);
		ck_assert_msg(conf != NULL, "%s", error_text(0));
	}
	hub = (struct hub){ .conf = conf, .loop = &loop };
	ck_assert_msg(schedules_start(&hub, &why) == 0, "%s", why.text);
}

static void
tear_down(void)
{
	schedules_stop(&hub);
	loop_release(&loop);
	conf_tear_down();
}

static void
run_until(size_t n)
{
	enough = n;
	loop.stop = false;
	if (begun_n < n)
		ck_assert_int_eq(loop_run(&loop), 0);
}

static void
stop_loop(void *ctx)
{
	loop_stop(ctx);
}

static void
run_for_ms(int64_t ms)
{
	struct loop_timer stop;

	loop_timer_init(&stop, stop_loop, &loop);
	loop_timer_set(&loop, &stop, clock_now_ns() + ms * NS_PER_MS);
	loop.stop = false;
	ck_assert_int_eq(loop_run(&loop), 0);
}

static int64_t
moment(size_t i)
{
	return uid_wall_ms(begun[i].uid);
}

static json_int_t
report_number(const char *name)
{
	json_t *report = schedules_report(&hub);
	json_int_t number = json_integer_value(
	    json_object_get(json_array_get(report, 0), name));

	json_decref(report);
	return number;
}

#define EVERY(name, keys) \
	"{ name = \"" name "\"; handler = \"m.h\"; every = 0.005; " keys " }"

/* --- tests */

START_TEST(each_moment_is_one_job)
{
	start(EVERY("a",
	    "overlap = true; catch_up = \"all\";"
	    "input = { x = 1; };"));
	run_until(20);
	for (size_t i = 0; i < 20; i++) {
		ck_assert_str_eq(begun[i].name, "a");
		ck_assert_str_eq(begun[i].body, "{\"x\":1}");
		if (i > 0)
			ck_assert_int_eq(moment(i) - moment(i - 1), 5);
	}
	/* stored with the last of them; once more for the start */
	ck_assert_uint_eq(puts_n, begun_n + 1);
	ck_assert_int_eq(stored[0].last_ms, moment(begun_n - 1));
	ck_assert_uint_eq(stored[0].uid, begun[begun_n - 1].uid);
	ck_assert_int_eq(report_number("runs"), (json_int_t)begun_n);
}
END_TEST

START_TEST(two_schedules_have_jobs_of_their_own)
{
	start(EVERY("a", "overlap = true;") "," EVERY("b", "overlap = true;"));
	run_until(20);
	ck_assert_str_ne(begun[0].name, begun[1].name);
}
END_TEST

START_TEST(the_next_hub_goes_on)
{
	int64_t last;
	size_t n;

	start(EVERY("a", "overlap = true; catch_up = \"all\";"));
	run_until(5);
	last = moment(begun_n - 1);
	n = begun_n;
	schedules_stop(&hub);
	start(NULL);
	run_until(n + 5);
	/* not one twice, see work_add(), and none left out */
	ck_assert_int_eq(moment(n) - last, 5);
}
END_TEST

START_TEST(without_overlap_runs_are_skipped)
{
	keep_running = true;
	start(EVERY("a", ""));
	run_until(1);
	while (report_number("skipped") < 3)
		run_for_ms(10);
	ck_assert_uint_eq(begun_n, 1);
	ck_assert_int_gt(stored[0].last_ms, moment(0));
	running.uid = 0;
	schedules_on_end(&hub, "a", "succeeded", NULL);
	run_until(2);
	ck_assert_uint_eq(begun_n, 2);
	ck_assert_int_ge(report_number("skipped"), 3);
}
END_TEST

/* After a downtime each moment has its run, and each run waits for the one
 * before (work_add() requires it). */
START_TEST(missed_runs_are_made_up_for_one_by_one)
{
	int64_t now_ms = clock_wall_ns() / NS_PER_MS;

	snprintf(stored[0].name, sizeof(stored[0].name), "a");
	stored[0].last_ms = now_ms - 500;
	keep_running = true;
	start(EVERY("a", "catch_up = \"all\";"));
	for (size_t i = 1; i <= 90; i++) {
		run_until(i);
		ck_assert_uint_eq(begun_n, i);
		ck_assert_int_eq(moment(i - 1), now_ms - 500 + 5 * (int64_t)i);
		running.uid = 0;
		schedules_on_end(&hub, "a", i % 2 == 0 ? "succeeded" : "dead",
		    i % 2 == 0 ? NULL : "it crashed");
	}
	ck_assert_int_eq(report_number("skipped"), 0);
}
END_TEST

/* Nothing is stored of a run that was refused, so that it is tried again. */
START_TEST(a_refused_run_is_not_lost)
{
	int64_t last;
	size_t n;

	start(EVERY("a", "overlap = true; catch_up = \"all\";"));
	run_until(3);
	n = begun_n;
	last = stored[0].last_ms;
	refuse = HUB_FULL;
	run_for_ms(50);
	ck_assert_uint_eq(begun_n, n);
	ck_assert_int_eq(stored[0].last_ms, last);
	refuse = HUB_OK;
	schedules_clock(&hub);
	run_until(n + 10);
	for (size_t i = 1; i < n + 10; i++)
		ck_assert_int_eq(moment(i) - moment(i - 1), 5);
}
END_TEST

START_TEST(what_is_reported)
{
	json_t *report, *row;

	start("{ name = \"a\"; handler = \"m.h\"; cron = \"0 0 30 2 *\";"
	      "  timezone = \"UTC\"; },"
	      "{ name = \"b\"; handler = \"m.h\"; every = 3600.0; }");
	schedules_on_end(&hub, "b", "failed", "no luck");
	schedules_on_end(&hub, "nobody", "failed", "no luck");
	report = schedules_report(&hub);
	ck_assert_uint_eq(json_array_size(report), 2);
	row = json_array_get(report, 0);
	ck_assert_str_eq(json_string_value(json_object_get(row, "cron")),
	    "0 0 30 2 *");
	ck_assert_ptr_null(json_object_get(row, "next"));
	ck_assert_ptr_null(json_object_get(row, "last"));
	row = json_array_get(report, 1);
	ck_assert_ptr_nonnull(json_object_get(row, "next"));
	ck_assert_str_eq(json_string_value(json_object_get(row, "outcome")),
	    "failed");
	ck_assert_str_eq(json_string_value(json_object_get(row, "why")),
	    "no luck");
	json_decref(report);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("schedule");
	TCase *tests = tcase_create("schedule");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, each_moment_is_one_job);
	tcase_add_test(tests, two_schedules_have_jobs_of_their_own);
	tcase_add_test(tests, the_next_hub_goes_on);
	tcase_add_test(tests, without_overlap_runs_are_skipped);
	tcase_add_test(tests, missed_runs_are_made_up_for_one_by_one);
	tcase_add_test(tests, a_refused_run_is_not_lost);
	tcase_add_test(tests, what_is_reported);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
