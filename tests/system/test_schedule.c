/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_schedule - schedules as the whole service runs them: each moment once,
 * whoever is killed; no overlap unless asked for; what a downtime missed. When
 * a moment is due is for test_cron and test_schedule_plan.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/desk.h"
#include "lib/gate.h"
#include "lib/http.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/text.h"

#define TICK(name, keys)                                      \
	"{ name = \"" name "\"; handler = \"hubtest.tick\"; " \
	"input = { key = \"" name "\"; }; " keys " }"

static const struct daemon_conf plain = {
	.module = { "hello", "hubtest" },
	.service = "start_timeout = 60.0; respawn_young = 0.0;"
		   "respawn_min_delay = 0.01;",
};

static void
configure(struct daemon *d, const char *entries)
{
	struct daemon_conf conf = plain;
	char *tasks = text_format("schedule = ( %s );", entries);

	conf.tasks = tasks;
	daemon_configure(d, &conf);
	free(tasks);
}

static void
start(struct daemon *d, const char *entries)
{
	daemon_init(d);
	d->crashes = true;
	configure(d, entries);
	daemon_start_again(d);
}

/* The row of a schedule, a new reference. */
static json_t *
schedule(const struct daemon *d, const char *name)
{
	json_t *data = desk_data(d, NULL, "schedules", NULL), *row;
	json_t *found = NULL;
	size_t i;

	json_array_foreach(json_object_get(data, "schedules"), i,
	    row) if (strcmp(ctl_text(row, "name"), name) == 0)
	    found = json_incref(row);
	ck_assert_msg(found != NULL, "there is no schedule %s", name);
	json_decref(data);
	return found;
}

static long
schedule_int(const struct daemon *d, const char *name, const char *member)
{
	json_t *row = schedule(d, name);
	long value = ctl_int(row, member);

	json_decref(row);
	return value;
}

struct wish {
	const struct daemon *daemon;
	const char *name, *member;
	long least;
};

static bool
schedule_has(void *ctx)
{
	struct wish *wish = ctx;

	return schedule_int(wish->daemon, wish->name, wish->member) >=
	    wish->least;
}

static void
require_schedule(const struct daemon *d, const char *name, const char *member,
    long least)
{
	struct wish wish = { d, name, member, least };

	ck_assert_msg(proc_until(d->pidfd, schedule_has, &wish),
	    "%s: %s is never %ld", name, member, least);
}

static bool
number_is_more(void *ctx)
{
	struct wish *wish = ctx;

	return desk_number(wish->daemon, wish->name) > wish->least;
}

static void
require_more(const struct daemon *d, const char *key, long than)
{
	struct wish wish = { d, key, NULL, than };

	ck_assert_msg(proc_until(d->pidfd, number_is_more, &wish),
	    "%s is never more than %ld", key, than);
}

START_TEST(every_so_often)
{
	struct daemon d;
	struct run run;
	json_t *row;

	start(&d,
	    TICK("often", "every = 0.02;") "," TICK("daily",
		"cron = \"@daily\"; timezone = \"UTC\"; catch_up = \"none\";"));
	require_more(&d, "often", 20);
	require_schedule(&d, "often", "runs", 20);
	row = schedule(&d, "often");
	ck_assert_str_eq(ctl_text(row, "handler"), "hubtest.tick");
	ck_assert_str_eq(ctl_text(row, "outcome"), "succeeded");
	ck_assert_str_ne(ctl_text(row, "last"), "");
	ck_assert_str_gt(ctl_text(row, "next"), ctl_text(row, "last"));
	json_decref(row);
	row = schedule(&d, "daily");
	ck_assert_int_eq(ctl_int(row, "runs"), 0);
	text_require("next", ctl_text(row, "next"), "T00:00:00.000Z");
	json_decref(row);
	ck_assert_int_eq(desk_number(&d, "daily"), 0);
	ctl_run(&d, &run, "schedules", NULL);
	text_require("schedules", run.out, "@daily UTC");
	text_require("schedules", run.out, "every 0.0s");
	run_release(&run);
	ctl_run(&d, &run, "status", NULL);
	text_require("status", run.out, "hubtest.tick");
	run_release(&run);
	daemon_stop(&d);
}
END_TEST

/* The run is a job like any other, with the schedule's input and name. */
START_TEST(a_run_knows_what_it_is)
{
	struct daemon d;
	json_t *data, *job;

	start(&d,
	    "{ name = \"look\"; handler = \"hubtest.script\";"
	    "  every = 3600.0; },"
	    "{ name = \"once\"; handler = \"hubtest.script\";"
	    "  every = 0.05; catch_up = \"none\"; input = { steps = ("
	    "   { do = \"see\"; }, { do = \"incr\"; key = \"seen\"; },"
	    "   { do = \"reject\"; } ); }; }");
	require_more(&d, "seen", 0);
	require_schedule(&d, "once", "runs", 2);
	data = desk_data(&d, NULL, "dead", NULL);
	ck_assert_ptr_nonnull(
	    job = json_array_get(json_object_get(data, "jobs"), 0));
	ck_assert_str_eq(ctl_text(job, "schedule"), "once");
	ck_assert_str_eq(ctl_text(job, "door"), "schedule");
	ck_assert_int_eq(ctl_int(job, "max_attempts"), 1);
	json_decref(data);
	job = schedule(&d, "once");
	ck_assert_str_eq(ctl_text(job, "outcome"), "failed");
	text_require("why", ctl_text(job, "why"), "told to reject");
	json_decref(job);
	daemon_stop(&d);
}
END_TEST

/* While the last run waits at the gate the next ones are skipped and counted;
 * with overlap they come in beside it. */
START_TEST(runs_and_overlap)
{
	struct daemon d;
	int gate;

	for (int overlap = 0; overlap < 2; overlap++) {
		struct daemon_conf conf = plain;
		char *tasks = text_format(
		    "timeout = 3600.0; schedule = ( { name = \"slow\";"
		    " handler = \"gate.pass\"; every = 0.02;"
		    " overlap = %s; } );",
		    overlap ? "true" : "false");

		conf.tasks = tasks;
		conf.modules = MODULE_GATE;
		conf.task_workers = "start = 3; min_spare = 0; max = 3;";
		daemon_init(&d);
		daemon_configure(&d, &conf);
		gate = gate_make(&d);
		daemon_start_again(&d);
		free(tasks);
		if (overlap) {
			ctl_require_pool(&d, "task", "busy", 3, 3);
			ck_assert_int_eq(schedule_int(&d, "slow", "skipped"),
			    0);
		} else {
			require_schedule(&d, "slow", "skipped", 5);
			ck_assert_int_eq(schedule_int(&d, "slow", "runs"), 1);
			ck_assert_int_eq(ctl_pool(&d, "task", "busy"), 1);
		}
		gate_let(gate, 1000);
		require_schedule(&d, "slow", "runs", 5);
		daemon_stop(&d);
		close(gate);
	}
}
END_TEST

/* Milliseconds of a moment of today, as text. */
static long
moment_ms(const char *text)
{
	int hour, minute, second, ms;

	ck_assert_int_eq(sscanf(text, "%*d-%*d-%*dT%d:%d:%d.%dZ", &hour,
			     &minute, &second, &ms),
	    4);
	return ((hour * 60L + minute) * 60 + second) * 1000 + ms;
}

#define EVERY_MS 20
#define DENSE "every = 0.02; overlap = true;"
#define DAY_MS 86400000L

/* The longest distance between two runs of a schedule, newest first. */
static long
longest_gap(const struct daemon *d, const char *name)
{
	json_t *data = desk_data(d, json_pack("{s:i}", "limit", 10000), "jobs",
	    NULL);
	json_t *job;
	long last = -1, at, gap, longest = 0;
	size_t i;

	json_array_foreach(json_object_get(data, "jobs"), i, job)
	{
		if (strcmp(ctl_text(job, "schedule"), name) != 0)
			continue;
		at = moment_ms(ctl_text(job, "created"));
		gap = last == -1 ? 0 : (last - at + DAY_MS) % DAY_MS;
		ck_assert_int_eq(gap % EVERY_MS, 0);
		longest = gap > longest ? gap : longest;
		last = at;
	}
	json_decref(data);
	return longest;
}

/* Runs that a downtime missed: with "all" not one is left out. */
START_TEST(catching_up)
{
	static const char *const names[] = { "none", "one", "all" };
	struct daemon d, other;
	long before[3];

	start(&d,
	    TICK("none", DENSE "catch_up = \"none\";") "," TICK("one",
		DENSE "catch_up = \"one\";") "," TICK("all",
		DENSE "catch_up = \"all\";"));
	for (int i = 0; i < 3; i++)
		require_more(&d, names[i], 3);
	ck_assert_int_eq(kill(d.pid, SIGTERM), 0);
	ck_assert_int_eq(daemon_wait(&d), 0);
	/* so long is the downtime */
	daemon_start(&other, &(struct daemon_conf){ 0 });
	daemon_stop(&other);
	daemon_start_again(&d);
	for (int i = 0; i < 3; i++)
		before[i] = desk_number(&d, names[i]);
	for (int i = 0; i < 3; i++)
		require_more(&d, names[i], before[i] + 5);
	ck_assert_int_gt(longest_gap(&d, "none"), EVERY_MS);
	ck_assert_int_gt(longest_gap(&d, "one"), EVERY_MS);
	ck_assert_int_eq(longest_gap(&d, "all"), EVERY_MS);
	daemon_stop(&d);
}
END_TEST

/* The moments of all runs that are still known are different ones, and there
 * are as many of them as were counted. */
static void
require_once_each(const struct daemon *d, const char *key)
{
	json_t *data = desk_data(d, json_pack("{s:i}", "limit", 10000), "jobs",
	    "succeeded", NULL);
	json_t *jobs = json_object_get(data, "jobs"), *job;
	json_t *seen = json_object();
	const char *created;
	size_t i;

	json_array_foreach(jobs, i, job)
	{
		created = ctl_text(job, "created");
		ck_assert_str_eq(ctl_text(job, "schedule"), key);
		ck_assert_msg(json_object_get(seen, created) == NULL,
		    "the moment %s was run twice", created);
		json_object_set_new(seen, created, json_true());
	}
	ck_assert_int_eq(desk_number(d, key), (long)json_array_size(jobs));
	json_decref(seen);
	json_decref(data);
}

/* All of them, one after the other, however the hub ends. */
START_TEST(each_moment_once)
{
	struct daemon d;
	json_t *row;
	long before = 0;

	start(&d, TICK("all", "every = 0.02; catch_up = \"all\";"));
	for (int i = 0; i < 8; i++) {
		require_more(&d, "all", before + 5);
		ctl_kill(&d, "hub");
		before = desk_number(&d, "all");
	}
	require_more(&d, "all", before + 10);
	/* no more runs, but those that were begun end */
	configure(&d, TICK("all", "every = 3600.0; catch_up = \"all\";"));
	json_decref(ctl_ask(&d, "reload", NULL));
	for (;;) {
		row = schedule(&d, "all");
		if (!json_is_true(json_object_get(row, "running")))
			break;
		json_decref(row);
	}
	json_decref(row);
	require_once_each(&d, "all");
	daemon_stop(&d);
}
END_TEST

START_TEST(a_wrong_schedule_is_refused)
{
	struct daemon d;

	daemon_init(&d);
	configure(&d,
	    TICK("a", "cron = \"* 25 * * *\";") "," TICK("b",
		"cron = \"@daily\"; timezone = \"Nowhere\";"));
	daemon_require_refused(&d, "hour: 25 is not within 0 to 23",
	    "there is no timezone 'Nowhere'", NULL);
	daemon_release(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE_MEMORY(every_so_often),
		CASE(a_run_knows_what_it_is),
		CASE(runs_and_overlap),
		CASE(catching_up),
		CASE(each_moment_once),
		CASE(a_wrong_schedule_is_refused),
	};

	return SUITE_RUN("schedule", cases);
}
