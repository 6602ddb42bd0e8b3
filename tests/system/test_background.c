/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_background - one process for each entry of tasks.background: started
 * again or not, as its entry says; over a reload; slowed down alone.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/http.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/text.h"

/* Counts its runs in the key of its name, then does `last`. */
#define ENTRY(name, keys, last)                                             \
	"{ name = \"" name "\"; handler = \"hubtest.script\"; " keys        \
	" input = { steps = ( { do = \"incr\"; key = \"" name "\"; } " last \
	" ); }; }"
#define LOOP(name)                                            \
	"{ name = \"" name "\"; handler = \"hubtest.loop\"; " \
	"input = { key = \"" name "\"; }; }"

static const struct daemon_conf plain = {
	.module = { "hello", "hubtest", "misbehave" },
	.service = "start_timeout = 60.0; respawn_min_delay = 0.01;"
		   "respawn_max_delay = 0.2;",
};

static void
configure(struct daemon *d, const char *entries)
{
	struct daemon_conf conf = plain;
	char *tasks = text_format("background = ( %s );", entries);

	conf.tasks = tasks;
	daemon_configure(d, &conf);
	free(tasks);
}

static void
start(struct daemon *d, const char *entries)
{
	daemon_init(d);
	configure(d, entries);
	daemon_start_again(d);
}

/* 0 while there is none. */
static long
runs(const struct daemon *d, const char *name)
{
	struct run run;
	long n;

	ctl_run(d, &run, "get", name, NULL);
	n = run.status == 0 ? atol(run.out) : 0;
	run_release(&run);
	return n;
}

struct count {
	const struct daemon *d;
	const char *name;
	long at_least;
};

static bool
has_run(void *ctx)
{
	const struct count *count = ctx;

	return runs(count->d, count->name) >= count->at_least;
}

static void
require_runs(const struct daemon *d, const char *name, long at_least)
{
	struct count count = { d, name, at_least };

	ck_assert_msg(proc_until(d->pidfd, has_run, &count),
	    "%s has run %ld times, not %ld", name, runs(d, name), at_least);
}

START_TEST(policies)
{
	struct daemon d;

	start(&d,
	    ENTRY("always", "delay = 0.0;", "") ", " ENTRY("fails",
		"restart = \"on-failure\"; delay = 0.0;",
		", { do = \"retry\"; }") ", " ENTRY("rejects",
		"restart = \"on-failure\"; delay = 0.0;",
		", { do = \"reject\"; }") ", " ENTRY("done",
		"restart = \"on-failure\";",
		"") ", " ENTRY("once", "restart = \"never\";",
		"") ", " ENTRY("failsonce", "restart = \"never\";",
		", { do = \"retry\"; }") ", " ENTRY("diesonce",
		"restart = \"never\";", ", { do = \"crash\"; }"));
	d.crashes = true;
	require_runs(&d, "always", 4);
	require_runs(&d, "fails", 4);
	require_runs(&d, "rejects", 3);
	require_runs(&d, "done", 1);
	require_runs(&d, "once", 1);
	require_runs(&d, "failsonce", 1);
	require_runs(&d, "diesonce", 1);
	ctl_require_pool(&d, "background:done", "wanted", 0, 0);
	ctl_require_pool(&d, "background:once", "wanted", 0, 0);
	ctl_require_pool(&d, "background:failsonce", "wanted", 0, 0);
	ctl_require_pool(&d, "background:diesonce", "wanted", 0, 0);
	ck_assert_int_eq(ctl_pool(&d, "background:always", "wanted"), 1);
	ck_assert_int_eq(ctl_pool(&d, "background:fails", "wanted"), 1);
	/* and they stay so */
	require_runs(&d, "always", 8);
	ck_assert_int_eq(runs(&d, "done"), 1);
	ck_assert_int_eq(runs(&d, "once"), 1);
	ck_assert_int_eq(runs(&d, "failsonce"), 1);
	ck_assert_int_eq(runs(&d, "diesonce"), 1);
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	daemon_stop(&d);
}
END_TEST

static bool
is_held(json_t *status, void *ctx)
{
	return json_is_string(
	    json_object_get(ctl_pool_row(status, ctx), "held"));
}

/* One that keeps dying is slowed down and reported, and nobody else is. */
START_TEST(held_alone)
{
	struct daemon d;
	json_t *status;

	start(&d,
	    ENTRY("bad", "", ", { do = \"crash\"; }") ", " ENTRY("failing",
		"delay = 0.0;", ", { do = \"retry\"; }") ", " LOOP("good"));
	d.crashes = true;
	ctl_require(&d, "held", is_held, (void *)(uintptr_t) "background:bad");
	ctl_require(&d, "held", is_held,
	    (void *)(uintptr_t) "background:failing");
	status = ctl_status(&d);
	text_require("the reason",
	    ctl_text(ctl_pool_row(status, "background:bad"), "last_restart"),
	    "killed by SIGSEGV");
	json_decref(status);
	ck_assert_int_eq(ctl_pool(&d, "background:good", "restarts"), 0);
	ck_assert_int_eq(ctl_pool(&d, "background:good", "ready"), 1);
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	daemon_stop(&d);
}
END_TEST

START_TEST(it_is_told_to_stop)
{
	struct daemon d;
	pid_t pid;
	json_t *status, *call;

	start(&d, LOOP("loop"));
	require_runs(&d, "loop", 1);
	pid = ctl_pid_of(&d, "background:loop");
	ck_assert_int_gt(pid, 0);
	status = ctl_status(&d);
	call = json_object_get(ctl_child(status, pid), "call");
	ck_assert_str_eq(ctl_text(call, "door"), "background");
	ck_assert_str_eq(ctl_text(call, "handler"), "hubtest.loop");
	/* it has no time limit */
	ck_assert(json_is_null(json_object_get(call, "deadline_in")));
	json_decref(status);
	/* one that is killed is started again */
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	require_runs(&d, "loop", 2);
	/* a TERM from outside is an order as well */
	ctl_require_pool(&d, "background:loop", "busy", 1, 1);
	pid = ctl_pid_of(&d, "background:loop");
	ck_assert_int_eq(kill(pid, SIGTERM), 0);
	require_runs(&d, "loop", 3);
	daemon_stop(&d);
}
END_TEST

START_TEST(a_reload_changes_them)
{
	struct daemon d;
	pid_t kept, gone, again;

	start(&d, LOOP("kept") ", " LOOP("gone"));
	kept = ctl_pid_of(&d, "background:kept");
	gone = ctl_pid_of(&d, "background:gone");
	ck_assert_int_gt(kept, 0);
	ck_assert_int_gt(gone, 0);
	configure(&d,
	    LOOP("new") ", " LOOP(
		"kept") ", " ENTRY("quick", "restart = \"never\";", ""));
	ctl_reload(&d);
	require_runs(&d, "new", 1);
	require_runs(&d, "quick", 1);
	again = ctl_pid_of(&d, "background:kept");
	ck_assert_int_gt(again, 0);
	ck_assert_int_ne(again, kept);
	ctl_require_pool(&d, "background:gone", "ready", -1, -1);
	ctl_require_pool(&d, "background:kept", "draining", 0, 0);
	ctl_require_pool(&d, "background:quick", "wanted", 0, 0);
	/* a reload that is refused leaves them as they are */
	configure(&d,
	    LOOP("kept") ", " LOOP(
		"third") ", "
			 "{ name = \"x\"; handler = \"hubtest.none\"; }");
	ctl_reload_refused(&d, "hubtest.none", NULL);
	ck_assert_int_eq(ctl_pid_of(&d, "background:kept"), again);
	ck_assert_int_eq(ctl_pool(&d, "background:third", "ready"), -1);
	ck_assert_int_eq(runs(&d, "quick"), 1);
	daemon_stop(&d);
}
END_TEST

/* What does not come back ends with the master, too, even what no signal but
 * KILL reaches. */
START_TEST(orphans)
{
	struct daemon d;

	start(&d,
	    "{ name = \"blocked\"; handler = \"misbehave.sigblock\"; }, " LOOP(
		"loop") ", " ENTRY("deaf", "",
		", { do = \"sleep\"; seconds = 600; }"));
	require_runs(&d, "loop", 1);
	require_runs(&d, "deaf", 1);
	ctl_require_pool(&d, "background:blocked", "busy", 1, 1);
	ck_assert_int_eq(kill(d.pid, SIGKILL), 0);
	ck_assert_int_eq(daemon_wait(&d), 128 + SIGKILL);
	daemon_require_no_child(&d);
	daemon_release(&d);
}
END_TEST

/* One that does not listen is stopped by force, in the time there is. */
START_TEST(deaf_at_the_stop)
{
	struct daemon d;
	struct daemon_conf conf = plain;

	conf.service = "start_timeout = 60.0; stop_timeout = 0.2;"
		       "kill_grace = 0.05;";
	conf.tasks = "background = ( " ENTRY("deaf", "",
	    ", { do = \"sleep\"; seconds = 600; }") " );";
	daemon_start(&d, &conf);
	d.crashes = true;
	require_runs(&d, "deaf", 1);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE(policies),
		CASE(held_alone),
		CASE_MEMORY(it_is_told_to_stop),
		CASE_MEMORY(a_reload_changes_them),
		CASE(orphans),
		CASE(deaf_at_the_stop),
	};

	return SUITE_RUN("background", cases);
}
