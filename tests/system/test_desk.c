/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_desk - every command of broodctl that the hub answers, as an operator
 * types it: what it prints, what --json has, what is wrong with a mistake.
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

static const struct daemon_conf plain = {
	.module = { "hello", "hubtest", "messages" },
	.service = "start_timeout = 60.0; respawn_young = 0.0;",
	.tasks = "backoff_min = 0.01; backoff_max = 0.02; max_attempts = 2;"
		 "schedule = ( { name = \"nightly\"; handler = \"hello.hello\";"
		 "  cron = \"0 3 * * *\"; timezone = \"UTC\"; } );",
	.amqp = "exchanges = ( { name = \"news\"; type = \"topic\"; } );"
		"queues = ( { name = \"paper\"; handler = \"messages.record\";"
		"   bind = ( { exchange = \"news\"; key = \"#\"; } ); },"
		"  { name = \"box\"; max_length = 100; } );",
};

/* Requires the exit status and what stdout, or stderr if it failed, has. */
#define REQUIRE(d, code, part, ...)                                           \
	do {                                                                  \
		struct run run_;                                              \
		ctl_run(d, &run_, __VA_ARGS__, NULL);                         \
		ck_assert_msg(run_.status == (code), "%d: %s%s", run_.status, \
		    run_.out, run_.err);                                      \
		text_require(#__VA_ARGS__, (code) == 0 ? run_.out : run_.err, \
		    part);                                                    \
		run_release(&run_);                                           \
	} while (0)

/* The same with all of stdout. */
#define REQUIRE_ALL(d, text, ...)                                \
	do {                                                     \
		struct run run_;                                 \
		ctl_run(d, &run_, __VA_ARGS__, NULL);            \
		ck_assert_msg(run_.status == 0, "%s", run_.err); \
		ck_assert_str_eq(run_.out, text);                \
		run_release(&run_);                              \
	} while (0)

/* --json: the data, a new reference. */
static json_t *
data_of(const struct daemon *d, const char *cmd, const char *arg)
{
	struct run run;
	json_t *answer, *data;

	ctl_run(d, &run, "--json", cmd, arg, NULL);
	ck_assert_msg(run.status == 0, "%s: %s%s", cmd, run.out, run.err);
	ck_assert_ptr_nonnull(answer = json_loads(run.out, 0, NULL));
	ck_assert(json_is_true(json_object_get(answer, "ok")));
	ck_assert_int_eq(ctl_int(answer, "code"), 0);
	data = json_incref(json_object_get(answer, "data"));
	json_decref(answer);
	run_release(&run);
	return data;
}

START_TEST(shared_data)
{
	struct daemon d;
	json_t *data;

	daemon_start(&d, &plain);
	REQUIRE(&d, 1, "there is no key 'a'", "get", "a");
	REQUIRE_ALL(&d, "set\n", "set", "a", "{\"x\": [1, 2.5, \"\\u00e4\"]}");
	REQUIRE_ALL(&d, "{\"x\":[1,2.5,\"\303\244\"]}\n", "get", "a");
	REQUIRE_ALL(&d, "1\n", "incr", "n");
	REQUIRE_ALL(&d, "11\n", "incr", "n", "10");
	REQUIRE_ALL(&d, "-9\n", "incr", "n", "-20");
	REQUIRE_ALL(&d, "set\n", "set", "n", "-5");
	REQUIRE_ALL(&d, "-4\n", "incr", "n");
	REQUIRE_ALL(&d, "-4\n", "get", "n");
	REQUIRE(&d, 1, "no whole number", "incr", "a");
	REQUIRE(&d, 2, "'x' is not a whole number", "incr", "n", "x");
	REQUIRE(&d, 1, "", "incr", "n", "-9223372036854775807");
	REQUIRE(&d, 2, "not JSON", "set", "a", "{x}");
	REQUIRE(&d, 2, "the key is empty", "set", "", "1");
	/* conditions */
	REQUIRE(&d, 1, "has version", "set", "--if-absent", "a", "1");
	REQUIRE(&d, 1, "has version", "set", "--if-version", "7777", "a", "1");
	REQUIRE_ALL(&d, "set\n", "set", "--if-version", "0", "b", "\"text\"");
	data = data_of(&d, "get", "b");
	ck_assert_str_eq(ctl_text(data, "json"), "text");
	ck_assert_int_eq(ctl_int(data, "ttl"), -1);
	ck_assert_int_gt(ctl_int(data, "version"), 0);
	json_decref(data);
	REQUIRE_ALL(&d, "set\n", "set", "--ttl", "3600", "b", "1");
	data = data_of(&d, "get", "b");
	ck_assert_int_gt(ctl_int(data, "ttl"), 3000);
	json_decref(data);
	REQUIRE(&d, 2, "ttl", "set", "--ttl", "-1", "b", "1");
	REQUIRE(&d, 2, "ttl", "set", "--ttl", "0", "b", "1");
	REQUIRE(&d, 2, "exclude each other", "set", "--if-absent",
	    "--if-version", "1", "b", "1");
	REQUIRE_ALL(&d, "deleted\n", "delete", "a");
	REQUIRE(&d, 1, "there is no key 'a'", "delete", "a");
	daemon_stop(&d);
}
END_TEST

START_TEST(listings_of_keys)
{
	struct daemon d;
	struct run run;
	json_t *data;
	char key[16];

	daemon_start(&d, &plain);
	REQUIRE_ALL(&d, "there are none\n", "list");
	for (int i = 0; i < 5; i++) {
		snprintf(key, sizeof(key), "k:%d", i);
		json_decref(desk_data(&d, json_pack("{s:i}", "json", i), "set",
		    key, NULL));
	}
	json_decref(desk_data(&d, json_pack("{s:s}", "body", "bytes"), "set",
	    "other", NULL));
	data = data_of(&d, "list", "k:");
	ck_assert_uint_eq(json_array_size(json_object_get(data, "keys")), 5);
	ck_assert_int_eq(ctl_int(data, "more"), 0);
	json_decref(data);
	ctl_run(&d, &run, "list", NULL);
	text_require("list", run.out, "k:4");
	text_require("list", run.out, "\"bytes\"");
	run_release(&run);
	ctl_run(&d, &run, "list", "--limit", "2", "k:", NULL);
	text_require("list", run.out, "and more; --after k:1 goes on");
	ck_assert(!text_has(run.out, "k:2"));
	run_release(&run);
	ctl_run(&d, &run, "list", "--after", "k:1", "k:", NULL);
	ck_assert(!text_has(run.out, "k:1"));
	text_require("list", run.out, "k:4");
	run_release(&run);
	REQUIRE(&d, 2, "limit", "list", "--limit", "0");
	REQUIRE_ALL(&d, "bytes", "get", "other");
	daemon_stop(&d);
}
END_TEST

START_TEST(values_from_standard_input)
{
	struct daemon d;
	struct run run;
	char *tool = text_format("%s/broodctl", suite_build());

	daemon_start(&d, &plain);
	run_program(&run,
	    (const char *const[]){ tool, "-c", d.conf, "set", "k", "-", NULL },
	    "any text\nof two lines\n");
	ck_assert_msg(run.status == 0, "%s", run.err);
	run_release(&run);
	REQUIRE_ALL(&d, "any text\nof two lines\n", "get", "k");
	run_program(&run,
	    (const char *const[]){ tool, "-c", d.conf, "publish", "--type",
		"text/plain", "news", "local", "-", NULL },
	    "it rained");
	ck_assert_msg(run.status == 0, "%s", run.err);
	run_release(&run);
	desk_require_number(&d, "n:paper", 1);
	run_program(&run,
	    (const char *const[]){ tool, "-c", d.conf, "submit",
		"hubtest.script", "-", NULL },
	    "[{\"do\":\"incr\",\"key\":\"from stdin\"}]");
	ck_assert_msg(run.status == 0, "%s", run.err);
	run_release(&run);
	desk_require_number(&d, "from stdin", 1);
	free(tool);
	daemon_stop(&d);
}
END_TEST

START_TEST(jobs_from_beginning_to_end)
{
	struct daemon d;
	struct run run;
	json_t *job;
	char *id;

	daemon_start(&d, &plain);
	REQUIRE_ALL(&d, "there are none\n", "jobs");
	ctl_run(&d, &run, "submit", "hubtest.script",
	    "[{\"do\":\"reply\",\"value\":{\"sum\":3}}]", NULL);
	ck_assert_msg(run.status == 0, "%s", run.err);
	id = strndup(run.out, strcspn(run.out, "\n"));
	run_release(&run);
	job = desk_await_job(&d, id, "succeeded");
	ck_assert_int_eq(ctl_int(json_object_get(job, "result"), "sum"), 3);
	json_decref(job);
	REQUIRE(&d, 0, "{\"sum\":3}", "job", id);
	REQUIRE(&d, 0, id, "jobs");
	REQUIRE(&d, 0, id, "jobs", "succeeded");
	REQUIRE_ALL(&d, "there are none\n", "jobs", "failed");
	REQUIRE(&d, 1, "has finished already", "cancel", id);
	REQUIRE(&d, 1, "", "retry", id);
	free(id);

	/* one that is to come */
	id = desk_submit(&d, "hubtest.script", json_array(),
	    json_pack("{s:f,s:i}", "delay", 3600.0, "priority", 200));
	REQUIRE(&d, 0, "waiting", "job", id);
	REQUIRE(&d, 0, id, "jobs", "waiting");
	REQUIRE_ALL(&d, "there are none\n", "jobs", "queued");
	REQUIRE_ALL(&d, "cancelled\n", "cancel", id);
	REQUIRE(&d, 0, "cancelled", "job", id);
	REQUIRE(&d, 0, id, "jobs", "cancelled");
	free(id);

	/* one that is dead after its attempts, and is tried again */
	id = desk_submit(&d, "hubtest.script",
	    json_pack("[{s:s}]", "do", "retry"), NULL);
	job = desk_await_job(&d, id, "dead");
	ck_assert_int_eq(ctl_int(job, "attempts"), 2);
	ck_assert_uint_eq(json_array_size(json_object_get(job, "errors")), 2);
	json_decref(job);
	REQUIRE(&d, 0, "told to retry", "dead");
	REQUIRE(&d, 0, "told to retry", "job", id);
	REQUIRE_ALL(&d, "it runs again\n", "retry", id);
	json_decref(desk_await_job(&d, id, "dead"));
	REQUIRE_ALL(&d, "1 run again\n", "retry", "all");
	json_decref(desk_await_job(&d, id, "dead"));
	free(id);

	REQUIRE(&d, 2, "is not the id of a job", "job", "17");
	REQUIRE(&d, 1, "there is no job", "job", "0000000000001-0000000000001");
	REQUIRE(&d, 2, "there are: waiting queued running", "jobs", "bogus");
	daemon_stop(&d);
}
END_TEST

START_TEST(options_of_a_job)
{
	struct daemon d;
	struct run run;
	json_t *job, *data;
	char *id, *other;

	daemon_start(&d, &plain);
	ctl_run(&d, &run, "--json", "submit", "--delay", "100", "--priority",
	    "9", "--unique", "only", "--max-attempts", "7", "hubtest.script",
	    "[]", NULL);
	ck_assert_msg(run.status == 0, "%s%s", run.out, run.err);
	ck_assert_ptr_nonnull(data = json_loads(run.out, 0, NULL));
	id = strdup(ctl_text(json_object_get(data, "data"), "id"));
	ck_assert_int_eq(ctl_int(json_object_get(data, "data"), "existing"), 0);
	json_decref(data);
	run_release(&run);
	job = data_of(&d, "job", id);
	ck_assert_int_eq(ctl_int(job, "priority"), 9);
	ck_assert_int_eq(ctl_int(job, "max_attempts"), 7);
	json_decref(job);
	/* the same key: the same job */
	other = desk_submit(&d, "hubtest.script", NULL,
	    json_pack("{s:s}", "unique", "only"));
	ck_assert_str_eq(other, id);
	free(other);
	free(id);

	/* its result is the next one's input */
	id = desk_submit(&d, "hubtest.script",
	    json_pack("[{s:s,s:[{s:s,s:s}]}]", "do", "reply", "value", "do",
		"incr", "key", "chained"),
	    json_pack("{s:s}", "then", "hubtest.script"));
	desk_require_number(&d, "chained", 1);
	free(id);

	REQUIRE(&d, 2, "priority", "submit", "--priority", "256", "m.h");
	REQUIRE(&d, 2, "delay", "submit", "--delay", "-1", "m.h");
	REQUIRE(&d, 2, "not a number of seconds", "submit", "--delay", "soon",
	    "m.h");
	REQUIRE(&d, 2, "--delay is not for publish", "publish", "--delay", "1",
	    "", "box");
	REQUIRE(&d, 2, "--ttl is not for submit", "submit", "--ttl", "1",
	    "m.h");
	REQUIRE(&d, 1, "nonsense", "submit", "nonsense");
	daemon_stop(&d);
}
END_TEST

START_TEST(a_job_that_runs_is_told_to_give_up)
{
	struct daemon d;
	struct daemon_conf conf = plain;
	struct run run;
	char *id;
	json_t *job;

	daemon_start(&d, &conf);
	id = desk_submit(&d, "hubtest.script",
	    json_pack("[{s:s,s:s},{s:s},{s:s}]", "do", "incr", "key", "running",
		"do", "wait", "do", "retry"),
	    NULL);
	desk_require_number(&d, "running", 1);
	REQUIRE(&d, 0, id, "jobs", "running");
	ctl_run(&d, &run, "cancel", id, NULL);
	ck_assert_msg(run.status == 0, "%s", run.err);
	text_require("cancel", run.out, "told to give up");
	run_release(&run);
	job = desk_await_job(&d, id, "cancelled");
	json_decref(job);
	free(id);
	daemon_stop(&d);
}
END_TEST

START_TEST(messages_and_queues)
{
	struct daemon d;
	struct run run;
	json_t *data;

	daemon_start(&d, &plain);
	REQUIRE_ALL(&d, "published\n", "publish", "news", "local", "1");
	REQUIRE_ALL(&d, "published\n", "publish", "--priority", "3",
	    "--headers", "{\"x-one\": \"1\"}", "", "box", "{\"a\": 1}");
	REQUIRE_ALL(&d, "no queue takes it: nothing was kept\n", "publish", "",
	    "nowhere", "1");
	REQUIRE(&d, 1, "nowhere", "publish", "--mandatory", "", "nowhere", "1");
	REQUIRE(&d, 1, "there is no exchange", "publish", "nix", "k");
	REQUIRE(&d, 2, "headers", "publish", "--headers", "[1]", "", "box");
	REQUIRE(&d, 2, "not JSON", "publish", "--headers", "{", "", "box");
	desk_require_number(&d, "n:paper", 1);
	ck_assert_int_eq(desk_queue(&d, "box", "queued"), 1);
	ctl_run(&d, &run, "queues", NULL);
	text_require("queues", run.out, "messages.record");
	text_require("queues", run.out, "news");
	text_require("queues", run.out, "topic");
	text_require("queues", run.out, "config");
	run_release(&run);
	data = data_of(&d, "queues", NULL);
	ck_assert_uint_eq(json_array_size(json_object_get(data, "queues")), 2);
	ck_assert_uint_eq(json_array_size(json_object_get(data, "bindings")),
	    1);
	ck_assert_uint_eq(json_array_size(json_object_get(data, "exchanges")),
	    1);
	json_decref(data);
	REQUIRE_ALL(&d, "there are none\n", "dead", "box");
	daemon_stop(&d);
}
END_TEST

START_TEST(the_hub_and_schedules)
{
	struct daemon d;
	struct run run;
	json_t *data;

	daemon_start(&d, &plain);
	ctl_run(&d, &run, "hub", NULL);
	ck_assert_int_eq(run.status, 0);
	text_require("hub", run.out, "hub     pid ");
	text_require("hub", run.out, "data    0 keys");
	text_require("hub", run.out, "free on its disk");
	run_release(&run);
	data = data_of(&d, "hub", NULL);
	ck_assert_int_eq(ctl_int(data, "pid"), ctl_pid_of(&d, "hub"));
	ck_assert_int_eq(ctl_int(json_object_get(data, "work"), "max_queued"),
	    1000000);
	json_decref(data);
	ctl_run(&d, &run, "schedules", NULL);
	text_require("schedules", run.out, "0 3 * * * UTC");
	text_require("schedules", run.out, "T03:00:00.000Z");
	text_require("schedules", run.out, "never");
	run_release(&run);
	daemon_stop(&d);
}
END_TEST

START_TEST(status_has_it_all)
{
	struct daemon d;
	struct run run;
	json_t *status;
	pid_t hub;

	daemon_start(&d, &plain);
	ctl_run(&d, &run, "status", NULL);
	text_require("status", run.out, "\nhub     pid ");
	text_require("status", run.out, "\nQUEUE");
	text_require("status", run.out, "\nSCHEDULE");
	run_release(&run);
	ctl_run(&d, &run, "--json", "status", NULL);
	ck_assert_ptr_nonnull(status = json_loads(run.out, 0, NULL));
	ck_assert(json_is_object(json_object_get(status, "hub")));
	ck_assert_uint_eq(json_array_size(json_object_get(status, "queues")),
	    2);
	ck_assert_uint_eq(json_array_size(json_object_get(status, "schedules")),
	    1);
	json_decref(status);
	run_release(&run);

	/* a hub that does not answer is news, and no failure of status */
	ck_assert_int_gt(hub = ctl_pid_of(&d, "hub"), 0);
	ck_assert_int_eq(kill(hub, SIGSTOP), 0);
	ctl_run(&d, &run, "--timeout", "2", "status", NULL);
	ck_assert_int_eq(run.status, 0);
	text_require("status", run.out, "the hub does not answer");
	text_require("status", run.out, "rest");
	run_release(&run);
	ctl_run(&d, &run, "--json", "--timeout", "2", "status", NULL);
	ck_assert_int_eq(run.status, 0);
	ck_assert_ptr_nonnull(status = json_loads(run.out, 0, NULL));
	ck_assert(json_is_null(json_object_get(status, "hub")));
	ck_assert(json_is_null(json_object_get(status, "queues")));
	ck_assert(json_is_null(json_object_get(status, "schedules")));
	json_decref(status);
	run_release(&run);
	REQUIRE(&d, 1, "no answer in time", "--timeout", "0.3", "hub");
	ck_assert_int_eq(kill(hub, SIGCONT), 0);
	REQUIRE(&d, 0, "data", "hub");
	daemon_stop(&d);
}
END_TEST

/* A hub that dies over a submit is no reason to submit twice, or not at all. */
START_TEST(submits_survive_the_hub)
{
	struct daemon d;
	struct run run;
	char *tool = text_format("%s/broodctl", suite_build());
	char *script;
	char pid[16];

	daemon_init(&d);
	d.crashes = true;
	daemon_configure(&d, &plain);
	daemon_start_again(&d);
	script = text_format("%s -c %s submit hubtest.script "
			     "'[{\"do\":\"incr\",\"key\":\"jobs\","
			     "\"on_success\":true}]' & "
			     "%s -c %s publish news x 1 & kill -9 $0; "
			     "wait %%1 && wait %%2",
	    tool, d.conf, tool, d.conf);
	for (int i = 1; i <= 15; i++) {
		snprintf(pid, sizeof(pid), "%d", (int)ctl_pid_of(&d, "hub"));
		run_program(&run,
		    (const char *const[]){ "sh", "-c", script, pid, NULL },
		    NULL);
		ck_assert_msg(run.status == 0, "%d: %s%s", i, run.out, run.err);
		run_release(&run);
		desk_require_number(&d, "jobs", i);
		desk_require_number(&d, "n:paper", i);
	}
	free(script);
	free(tool);
	daemon_stop(&d);
}
END_TEST

/* Every command of the hub has its say in usage and without a service. */
START_TEST(without_a_service)
{
	static const char *const lines[][4] = { { "call", "m.h" },
		{ "submit", "m.h" }, { "publish", "", "q" }, { "jobs" },
		{ "job", "x" }, { "cancel", "x" }, { "dead" },
		{ "retry", "all" }, { "queues" }, { "schedules" }, { "hub" },
		{ "get", "k" }, { "set", "k", "1" }, { "incr", "k" },
		{ "delete", "k" }, { "list" } };
	struct daemon d;
	struct run run;

	daemon_init(&d);
	daemon_configure(&d, &plain);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		ctl_run(&d, &run, lines[i][0], lines[i][1], lines[i][2], NULL);
		ck_assert_msg(run.status == 7, "%s: %d", lines[i][0],
		    run.status);
		text_require("stderr", run.err, "not running");
		run_release(&run);
	}
	ctl_run(&d, &run, "set", "k", NULL);
	ck_assert_int_eq(run.status, 2);
	text_require("stderr", run.err, "set KEY JSON");
	run_release(&run);
	daemon_release(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE_MEMORY(shared_data),
		CASE(listings_of_keys),
		CASE(values_from_standard_input),
		CASE_MEMORY(jobs_from_beginning_to_end),
		CASE(options_of_a_job),
		CASE(a_job_that_runs_is_told_to_give_up),
		CASE(messages_and_queues),
		CASE(the_hub_and_schedules),
		CASE(status_has_it_all),
		CASE(submits_survive_the_hub),
		CASE(without_a_service),
	};

	return SUITE_RUN("desk", cases);
}
