/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_task - the workers that run handlers for the hub: one call at a time,
 * to its end also when they are told to stop, replaced after so many calls, and
 * a reason in words for what cannot be run or sent.
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

#define WAIT                                           \
	{                                              \
		"POST", "/wait", "hubtest.script",     \
		    "mode = \"wait\"; timeout = 20.0;" \
	}
#define JOB                                             \
	{                                               \
		"POST", "/job", "hubtest.script",       \
		    "mode = \"job\"; max_attempts = 2;" \
	}
#define SCRIPTS .module = { "hubtest", "misbehave" }, .route = { WAIT, JOB }

/* What a list of steps comes to, a new reference. */
static json_t *
script(const struct daemon *d, const char *steps, int status)
{
	struct reply reply;
	json_t *results;

	http_require(d,
	    &(struct ask){ .path = "/wait",
		.body = steps,
		.header = { "Content-Type: application/json" } },
	    &reply);
	ck_assert_msg(reply.status == status, "%s: %d: %s", steps, reply.status,
	    reply.body);
	results = reply_json(&reply);
	reply_release(&reply);
	return results;
}

/* A value of the shared data as broodctl prints it, to free. */
static char *
value_of(const struct daemon *d, const char *key)
{
	struct run run;
	char *value;

	ctl_run(d, &run, "get", key, NULL);
	value = run.status == 0 ? strndup(run.out, strcspn(run.out, "\n")) :
				  strdup("");
	run_release(&run);
	return value;
}

struct wish {
	const struct daemon *daemon;
	const char *key, *value;
};

static bool
has_value(void *ctx)
{
	const struct wish *wish = ctx;
	char *value = value_of(wish->daemon, wish->key);
	bool equal = strcmp(value, wish->value) == 0;

	free(value);
	return equal;
}

static void
await_value(const struct daemon *d, const char *key, const char *value)
{
	struct wish wish = { d, key, value };

	ck_assert_msg(proc_until(d->pidfd, has_value, &wish), "%s is not %s",
	    key, value);
}

START_TEST(every_function)
{
	struct daemon d;
	json_t *results, *one;
	size_t i;

	daemon_start(&d,
	    &(struct daemon_conf){ SCRIPTS,
		.task_workers = "start = 2; max = 4;",
		.amqp = "exchanges = ( { name = \"x\"; type = \"topic\"; } );"
			"queues = ( { name = \"q\";"
			"  handler = \"hubtest.script\"; },"
			"  { name = \"held\"; } );" });
	results = script(&d,
	    "[{\"do\":\"set\",\"key\":\"a\",\"value\":[1]},"
	    "{\"do\":\"get\",\"key\":\"a\"},"
	    "{\"do\":\"incr\",\"key\":\"n\",\"by\":41},"
	    "{\"do\":\"incr\",\"key\":\"n\"},"
	    "{\"do\":\"list\",\"prefix\":\"\"},"
	    "{\"do\":\"delete\",\"key\":\"a\"},"
	    "{\"do\":\"lock\",\"name\":\"l\"},"
	    "{\"do\":\"unlock\",\"name\":\"l\"},"
	    "{\"do\":\"watch\",\"prefix\":\"t\"},"
	    "{\"do\":\"notify\",\"topic\":\"t1\",\"value\":7},"
	    "{\"do\":\"wait\",\"seconds\":10},"
	    "{\"do\":\"request\",\"exchange\":\"\",\"key\":\"q\","
	    "\"body\":[{\"do\":\"see\"}]},"
	    "{\"do\":\"bind\",\"queue\":\"held\",\"exchange\":\"x\","
	    "\"key\":\"#\"},"
	    "{\"do\":\"progress\",\"done\":0.5,\"note\":\"half\"},"
	    "{\"do\":\"see\"}]",
	    200);
	json_array_foreach(results, i, one)
	    ck_assert_msg(ctl_int(one, "rc") >= 0, "step %zu: %s", i,
		ctl_text(one, "why"));
	ck_assert_int_eq(ctl_int(json_array_get(results, 3), "value"), 42);
	ck_assert_uint_eq(json_array_size(
			      json_object_get(json_array_get(results, 4),
				  "keys")),
	    2);
	one = json_array_get(results, 10);
	ck_assert_str_eq(ctl_text(one, "what"), "notified");
	ck_assert_str_eq(ctl_text(one, "key"), "t1");
	one = json_array_get(json_object_get(json_array_get(results, 11),
				 "json"),
	    0);
	ck_assert_str_eq(ctl_text(one, "queue"), "q");
	ck_assert_str_eq(ctl_text(one, "content_type"), "application/json");
	ck_assert_str_eq(ctl_text(one, "method"), "MESSAGE");
	one = json_array_get(results, 14);
	ck_assert_str_eq(ctl_text(one, "method"), "POST");
	ck_assert_str_eq(ctl_text(one, "path"), "/wait");
	json_decref(results);
	daemon_stop(&d);
}
END_TEST

/* The order to stop comes in the middle of a call: its answer goes out, and its
 * effects are there after the next start. */
START_TEST(finishes_before_it_stops)
{
	static const char body[] =
	    "[{\"do\":\"set\",\"key\":\"begun\",\"value\":1},"
	    "{\"do\":\"sleep\",\"seconds\":0.3},"
	    "{\"do\":\"incr\",\"key\":\"n\",\"on_success\":true}]";
	struct daemon d;
	struct reply reply;
	char *status, *value;
	int fd;

	daemon_init(&d);
	daemon_configure(&d, &(struct daemon_conf){ SCRIPTS });
	daemon_start_again(&d);
	fd = raw_connect(&d);
	status = text_format("POST /wait HTTP/1.1\r\nHost: x\r\n"
			     "Content-Type: application/json\r\n"
			     "Content-Length: %zu\r\n\r\n%s",
	    strlen(body), body);
	raw_text(fd, status);
	free(status);
	await_value(&d, "begun", "1");
	ck_assert_int_eq(kill(d.pid, SIGTERM), 0);
	ck_assert(raw_reply(fd, &reply, false));
	ck_assert_msg(reply.status == 200, "%d: %s", reply.status, reply.body);
	reply_release(&reply);
	close(fd);
	ck_assert_int_eq(daemon_wait(&d), 0);
	daemon_require_clean(&d);
	daemon_start_again(&d);
	value = value_of(&d, "n");
	ck_assert_str_eq(value, "1");
	free(value);
	daemon_stop(&d);
}
END_TEST

START_TEST(replaced_after_some_calls)
{
	struct daemon d;
	json_t *results, *pids = json_object();
	char pid[24];

	daemon_start(&d,
	    &(struct daemon_conf){ SCRIPTS, .tasks = "max_requests = 5;" });
	for (int i = 0; i < 60; i++) {
		results = script(&d,
		    "[{\"do\":\"see\"},{\"do\":\"incr\",\"key\":\"n\","
		    "\"on_success\":true}]",
		    200);
		snprintf(pid, sizeof(pid), "%ld",
		    ctl_int(json_array_get(results, 0), "pid"));
		json_object_set_new(pids, pid, json_true());
		json_decref(results);
	}
	await_value(&d, "n", "60");
	ck_assert_uint_gt(json_object_size(pids), 4);
	json_decref(pids);
	daemon_stop(&d);
}
END_TEST

/* A reply that fits no message, and effects that do not. */
START_TEST(too_large_is_told)
{
	struct daemon d;
	struct reply reply;
	json_t *problem;

	daemon_start(&d,
	    &(struct daemon_conf){ .module = { "misbehave", "hubtest" },
		.hub = "max_message = 65536; max_value = 16384;",
		.rest = "max_body = 16384;",
		.route = {
		    { "POST", "/big", "misbehave.big", "mode = \"wait\";" },
		    WAIT } });
	http_require(&d, &(struct ask){ .path = "/big?n=100000", .body = "" },
	    &reply);
	reply_require_problem(&reply, 500);
	problem = reply_json(&reply);
	text_require("the detail", ctl_text(problem, "detail"),
	    "hub.max_message");
	json_decref(problem);
	reply_release(&reply);
	/* the worker is none the worse for it */
	json_decref(script(&d, "[{\"do\":\"see\"}]", 200));
	daemon_stop(&d);
}
END_TEST

struct told {
	const struct daemon *daemon;
	const char *command, *argument, *wanted;
};

static bool
is_told(void *ctx)
{
	const struct told *told = ctx;
	struct run run;
	bool has;

	ctl_run(told->daemon, &run, told->command, told->argument, NULL);
	has = text_has(run.out, told->wanted);
	run_release(&run);
	return has;
}

static void
await_told(const struct daemon *d, const char *command, const char *argument,
    const char *wanted)
{
	struct told told = { d, command, argument, wanted };

	ck_assert_msg(proc_until(d->pidfd, is_told, &told),
	    "broodctl %s has no %s", command, wanted);
}

static void
ctl_require_ok(const struct daemon *d, const char *command,
    const char *argument)
{
	struct run run;

	ctl_run(d, &run, command, argument, NULL);
	ck_assert_msg(run.status == 0, "%s: %s%s", command, run.out, run.err);
	run_release(&run);
}

/* Work that was taken before a reload took its handler away: it is dead, with
 * the reason, and runs again once the handler is back. */
START_TEST(unknown_after_a_reload)
{
	struct daemon d;
	json_t *results;
	char *before, *id;

	daemon_start(&d, &(struct daemon_conf){ SCRIPTS });
	results = script(&d,
	    "[{\"do\":\"submit\",\"handler\":\"misbehave.echo\","
	    "\"delay\":4}]",
	    200);
	id = strdup(ctl_text(json_array_get(results, 0), "id"));
	json_decref(results);
	before = text_read(d.conf, NULL);
	daemon_configure(&d,
	    &(struct daemon_conf){ .module = { "hubtest" },
		.route = { WAIT } });
	ctl_require_ok(&d, "reload", NULL);
	await_told(&d, "job", id, "no module is named \"misbehave\"");
	await_told(&d, "dead", NULL, "misbehave.echo");
	text_write(d.conf, before);
	ctl_require_ok(&d, "reload", NULL);
	ctl_require_ok(&d, "retry", id);
	await_told(&d, "job", id, "succeeded");
	free(before);
	free(id);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE_MEMORY(every_function),
		CASE_MEMORY(finishes_before_it_stops),
		CASE(replaced_after_some_calls),
		CASE_MEMORY(too_large_is_told),
		CASE(unknown_after_a_reload),
	};

	return SUITE_RUN("task", cases);
}
