/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_hub_process - the hub as one of the family: never two of it, replaced
 * when it dies; what it knows outlives it.
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

static const struct daemon_conf counting = {
	.module = { "hubtest" },
	/* no death is a young one */
	.service = "start_timeout = 60.0; respawn_young = 0.0;",
	.route = { ROUTE("POST", "/do", "hubtest.script"),
	    ROUTE_WITH("POST", "/wait", "hubtest.script", "mode = \"wait\";") },
};

#define COUNT "{\"steps\":[{\"do\":\"incr\",\"key\":\"n\"}]}"

/* What broodctl prints for `get KEY`, to free. */
static char *
value_of(const struct daemon *d, const char *key)
{
	struct run run;
	char *value;

	ctl_run(d, &run, "get", key, NULL);
	ck_assert_msg(run.status == 0, "get %s: %s", key, run.err);
	value = strdup(run.out);
	run_release(&run);
	return value;
}

static void
require_value(const struct daemon *d, const char *key, const char *wanted)
{
	char *value = value_of(d, key);

	value[strcspn(value, "\n")] = '\0';
	ck_assert_str_eq(value, wanted);
	free(value);
}

static void
require_line(const struct daemon *d, size_t *from, const char *pattern)
{
	char *line = daemon_await_line(d, from, pattern);

	ck_assert_msg(line != NULL, "no line \"%s\"", pattern);
	free(line);
}

/* --------------------------------------------------------- it is replaced */

struct other {
	pid_t was;
	pid_t is;
};

static bool
another_hub(json_t *status, void *ctx)
{
	struct other *other = ctx;
	json_t *row = ctl_row_of(status, "hub", 0);

	other->is = (pid_t)ctl_int(row, "pid");
	return row != NULL && other->is != other->was &&
	    strcmp(ctl_text(row, "state"), "ready") == 0;
}

START_TEST(clients_do_not_notice_its_death)
{
	struct daemon d;
	struct other hub = { 0, 0 };
	char text[16];

	daemon_start(&d, &counting);
	for (int i = 0; i < 12; i++) {
		hub.was = ctl_pid_of(&d, "hub");
		ck_assert_int_gt(hub.was, 0);
		ck_assert_int_eq(kill(hub.was, SIGKILL), 0);
		ck_assert_int_eq(http_status(&d, i % 2 == 0 ? "/do" : "/wait",
				     COUNT),
		    200);
		ctl_require(&d, "another hub", another_hub, &hub);
		snprintf(text, sizeof(text), "%d", i + 1);
		require_value(&d, "n", text);
	}
	ck_assert_int_eq(ctl_pool(&d, "hub", "restarts"), 12);
	ck_assert_int_eq(ctl_pool(&d, "rest", "restarts"), 0);
	ck_assert_int_eq(ctl_pool(&d, "task", "restarts"), 0);
	daemon_stop(&d);
}
END_TEST

/* broodctl waits for the next one, too. */
START_TEST(the_tool_waits_for_it)
{
	struct daemon d;
	struct run run;

	daemon_start(&d, &counting);
	for (int i = 1; i <= 4; i++) {
		char text[16];

		ctl_kill(&d, "hub");
		ctl_run(&d, &run, "incr", "n", NULL);
		ck_assert_msg(run.status == 0, "%s", run.err);
		snprintf(text, sizeof(text), "%d\n", i);
		ck_assert_str_eq(run.out, text);
		run_release(&run);
	}
	daemon_stop(&d);
}
END_TEST

START_TEST(it_hangs_and_is_replaced)
{
	struct daemon d;
	struct other hub;

	daemon_init(&d);
	daemon_configure(&d,
	    &(struct daemon_conf){ .module = { "hubtest" },
		.service = "start_timeout = 60.0; heartbeat_interval = 0.1;"
			   "heartbeat_timeout = 0.5; kill_grace = 0.05;",
		.route = { ROUTE("POST", "/do", "hubtest.script") } });
	daemon_start_again(&d);
	hub.was = ctl_pid_of(&d, "hub");
	ck_assert_int_eq(kill(hub.was, SIGSTOP), 0);
	ck_assert_int_eq(http_status(&d, "/do", COUNT), 200);
	ctl_require(&d, "another hub", another_hub, &hub);
	require_value(&d, "n", "1");
	daemon_stop(&d);
}
END_TEST

START_TEST(a_family_killed_leaves_its_data)
{
	struct daemon d;

	daemon_start(&d, &counting);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(http_status(&d, "/do", COUNT), 200);
	ck_assert_int_eq(kill(d.pid, SIGKILL), 0);
	ck_assert_int_eq(daemon_wait(&d), 128 + SIGKILL);
	/* at once: the old hub may still be there */
	daemon_start_again(&d);
	daemon_require_no_child(&d);
	require_value(&d, "n", "5");
	ck_assert_int_eq(http_status(&d, "/do", COUNT), 200);
	require_value(&d, "n", "6");
	daemon_stop(&d);
}
END_TEST

/* ------------------------------------------------------------ reload */

START_TEST(a_reload_swaps_it)
{
	struct daemon d;
	struct run run;
	pid_t old, new;
	size_t from;
	char pattern[80];

	daemon_start(&d, &counting);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(http_status(&d, "/do", COUNT), 200);
		old = ctl_pid_of(&d, "hub");
		from = daemon_log_size(&d);
		ctl_run(&d, &run, "reload", NULL);
		ck_assert_msg(run.status == 0, "%s", run.err);
		run_release(&run);
		/* it is answered once the new one is there */
		new = ctl_pid_of(&d, "hub");
		ck_assert_int_gt(new, 0);
		ck_assert_int_ne(new, old);
		/* which was started when the old one was gone */
		snprintf(pattern, sizeof(pattern), "hub\\[%d\\] has drained",
		    old);
		require_line(&d, &from, pattern);
		snprintf(pattern, sizeof(pattern), "hub\\[%d\\] is ready", new);
		require_line(&d, &from, pattern);
	}
	require_value(&d, "n", "3");
	ck_assert_int_eq(ctl_pool(&d, "hub", "restarts"), 0);
	daemon_stop(&d);
}
END_TEST

START_TEST(a_bad_config_is_refused)
{
	static const struct {
		const char *tasks, *amqp, *says;
	} bad[] = {
		{ "schedule = ( { name = \"s\"; handler = \"hubtest.script\"; "
		  "cron = \"61 * * * *\"; } );",
		    "", "minute" },
		{ "schedule = ( { name = \"s\"; handler = \"hubtest.script\"; "
		  "cron = \"@daily\"; timezone = \"Mars/Base\"; } );",
		    "", "Mars/Base" },
		{ "schedule = ( { name = \"s\"; handler = \"hubtest.nope\"; "
		  "every = 1.0; } );",
		    "", "nope" },
		{ "background = ( { name = \"b\"; handler = "
		  "\"hubtest.nope\"; } );",
		    "", "nope" },
		{ "",
		    "queues = ( { name = \"q\"; bind = ( { exchange = "
		    "\"nowhere\"; } ); } );",
		    "nowhere" },
		{ "", "broker = \"http://x\";", "amqp://" },
	};
	struct daemon d;
	struct daemon_conf conf = counting;
	pid_t hub;

	daemon_start(&d, &counting);
	hub = ctl_pid_of(&d, "hub");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		conf.tasks = bad[i].tasks;
		conf.amqp = bad[i].amqp;
		daemon_configure(&d, &conf);
		ctl_reload_refused(&d, bad[i].says, NULL);
	}
	ck_assert_int_eq(ctl_pid_of(&d, "hub"), hub);
	ck_assert_int_eq(http_status(&d, "/do", COUNT), 200);
	daemon_stop(&d);
}
END_TEST

/* After the commit there is no way back: it is tried again and again, and the
 * reload says so. Here a folder is in the way of the store's log, which the
 * check does not look at. */
START_TEST(a_hub_that_fails_after_a_reload)
{
	struct daemon d;
	char *log, *kept;

	daemon_start(&d, &counting);
	log = daemon_expand(&d, "$DIR/state/hub.db-wal");
	kept = daemon_expand(&d, "$DIR/state/kept");
	ck_assert_int_eq(rename(log, kept), 0);
	text_make_dir(log);
	ctl_reload_refused(&d, "generation 2: ", "its hub ", NULL);
	/* what needs no hub goes on */
	ctl_require_pool(&d, "rest", "ready", 2, 2);
	ck_assert_int_eq(rmdir(log), 0);
	ck_assert_int_eq(rename(kept, log), 0);
	ctl_reload(&d);
	ck_assert_int_eq(http_status(&d, "/do", COUNT), 200);
	daemon_stop(&d);
	free(log);
	free(kept);
}
END_TEST

START_TEST(a_start_without_a_hub_fails)
{
	struct daemon d;
	char *state, *db;

	daemon_init(&d);
	daemon_configure(&d, &counting);
	state = daemon_expand(&d, "$DIR/state");
	db = daemon_expand(&d, "$DIR/state/hub.db");
	text_make_dir(state);
	text_write(db, "this is no store, whatever its name is");
	/* whoever the hub is */
	if (getuid() == 0) {
		ck_assert_int_eq(chown(state, 65534, 65534), 0);
		ck_assert_int_eq(chown(db, 65534, 65534), 0);
	}
	daemon_require_refused(&d, "hub.db", NULL);
	daemon_require_clean(&d);
	daemon_release(&d);
	free(state);
	free(db);
}
END_TEST

/* ------------------------------------------------------------ sizes */

START_TEST(what_can_be_scaled)
{
	struct daemon d;
	json_t *answer;

	daemon_start(&d, &counting);
	answer = ctl_ask(&d, "scale", "task", "3", NULL);
	ck_assert_str_eq(ctl_text(answer, "message"), "task: 3 ready");
	json_decref(answer);
	answer = ctl_ask(&d, "scale", "task", "0", NULL);
	ck_assert_str_eq(ctl_text(answer, "message"), "task: 0 ready");
	json_decref(answer);
	answer = ctl_ask(&d, "scale", "task", "99", NULL);
	text_require("the reason", ctl_text(answer, "message"),
	    "tasks.workers.max (4)");
	json_decref(answer);
	answer = ctl_ask(&d, "scale", "hub", "2", NULL);
	ck_assert_int_eq(ctl_int(answer, "code"), 2);
	text_require("the reason", ctl_text(answer, "message"),
	    "the size of pool 'hub' is fixed");
	json_decref(answer);
	answer = ctl_ask(&d, "scale", "hubb", "2", NULL);
	text_require("the reason", ctl_text(answer, "message"),
	    "there is no pool 'hubb'; the pools are: rest task");
	json_decref(answer);
	answer = ctl_ask(&d, "explain", "hub", NULL);
	text_require("why", ctl_text(json_object_get(answer, "data"), "now"),
	    "fixed");
	json_decref(answer);
	daemon_stop(&d);
}
END_TEST

struct seen {
	pid_t pid;
};

static bool
another_task(json_t *status, void *ctx)
{
	struct seen *seen = ctx;
	json_t *row = ctl_row_of(status, "task", 0);

	return row != NULL && ctl_int(row, "pid") != seen->pid &&
	    ctl_row_of(status, "task", 1) == NULL;
}

START_TEST(task_workers_are_replaced)
{
	struct daemon d;
	struct daemon_conf conf = counting;
	struct seen seen;
	char text[16];
	int n = 0;

	conf.tasks = "max_requests = 3;";
	daemon_start(&d, &conf);
	for (int round = 0; round < 3; round++) {
		seen.pid = ctl_pid_of(&d, "task");
		for (int i = 0; i < 3; i++) {
			n++;
			ck_assert_int_eq(http_status(&d, "/wait", COUNT), 200);
		}
		ctl_require(&d, "another task worker", another_task, &seen);
	}
	snprintf(text, sizeof(text), "%d", n);
	require_value(&d, "n", text);
	ck_assert_int_eq(ctl_pool(&d, "task", "restarts"), 0);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE_MEMORY(clients_do_not_notice_its_death),
		CASE(the_tool_waits_for_it),
		CASE(it_hangs_and_is_replaced),
		CASE(a_family_killed_leaves_its_data),
		CASE_MEMORY(a_reload_swaps_it),
		CASE(a_bad_config_is_refused),
		CASE(a_hub_that_fails_after_a_reload),
		CASE(a_start_without_a_hub_fails),
		CASE(what_can_be_scaled),
		CASE(task_workers_are_replaced),
	};

	return SUITE_RUN("hub_process", cases);
}
