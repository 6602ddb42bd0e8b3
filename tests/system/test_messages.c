/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_messages - the local broker: exchanges, queues and bindings, priorities,
 * ends and lengths, dead letters, answers, and bindings made at run time.
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
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/text.h"

#define EXCHANGES                                             \
	"exchanges = ( { name = \"d\"; type = \"direct\"; }," \
	"  { name = \"f\"; type = \"fanout\"; },"             \
	"  { name = \"t\"; type = \"topic\"; },"              \
	"  { name = \"grave\"; type = \"topic\"; } );"

static const struct daemon_conf routing = {
	.module = { "hello", "hubtest", "messages" },
	.amqp = EXCHANGES
	"queues = ("
	"  { name = \"one\"; handler = \"messages.record\"; bind = ("
	"      { exchange = \"d\"; key = \"a\"; }, { exchange = \"f\"; },"
	"      { exchange = \"t\"; key = \"*.err\"; },"
	"      { exchange = \"t\"; key = \"disk.#\"; } ); },"
	"  { name = \"two\"; handler = \"messages.record\"; bind = ("
	"      { exchange = \"d\"; key = \"a\"; },"
	"      { exchange = \"d\"; key = \"b\"; }, { exchange = \"f\"; },"
	"      { exchange = \"t\"; key = \"#\"; } ); },"
	"  { name = \"parked\"; } );",
};

static json_t *
publish_step(const char *exchange, const char *key, json_t *body)
{
	return json_pack("{s:s,s:s,s:s,s:o}", "do", "publish", "exchange",
	    exchange, "key", key, "body", body);
}

/* By the operator; the data of the answer is of no interest. */
static void
publish(const struct daemon *d, const char *exchange, const char *key,
    json_t *body, json_t *members)
{
	json_t *line = members != NULL ? members : json_object();

	json_object_set_new(line, "json", body);
	json_decref(desk_data(d, line, "publish", exchange, key, NULL));
}

static void
require_trace(const struct daemon *d, const char *queue, size_t i,
    const char *name, const char *wanted)
{
	json_t *one = desk_trace(d, queue, i);

	ck_assert_msg(strcmp(ctl_text(one, name), wanted) == 0,
	    "%s of %s is not '%s': %s", name, queue, wanted,
	    json_dumps(one, JSON_INDENT(1)));
	json_decref(one);
}

START_TEST(each_exchange_routes_its_way)
{
	static const struct {
		const char *exchange, *key;
		int one, two;
	} rows[] = {
		{ "d", "a", 1, 1 },
		{ "d", "b", 0, 1 },
		{ "d", "c", 0, 0 },
		{ "f", "", 1, 1 },
		{ "f", "whatever", 1, 1 },
		{ "t", "net.err", 1, 1 },
		{ "t", "disk.err", 1, 1 },
		{ "t", "net.dns.err", 0, 1 },
		{ "t", "", 0, 1 },
		{ "", "one", 1, 0 },
		{ "", "nobody", 0, 0 },
	};
	long one = 0, two = 0;
	struct daemon d;
	json_t *steps = json_array();

	daemon_start(&d, &routing);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* one by one by the operator, all at once by a handler */
		publish(&d, rows[i].exchange, rows[i].key, json_integer(1),
		    NULL);
		json_array_append_new(steps,
		    publish_step(rows[i].exchange, rows[i].key,
			json_integer(2)));
		one += rows[i].one;
		two += rows[i].two;
		desk_require_number(&d, "n:one", one);
		desk_require_number(&d, "n:two", two);
	}
	json_decref(desk_script(&d, steps));
	desk_require_number(&d, "n:one", 2 * one);
	desk_require_number(&d, "n:two", 2 * two);
	daemon_stop(&d);
}
END_TEST

START_TEST(a_message_has_its_properties)
{
	struct daemon d;
	json_t *one, *answer;

	daemon_start(&d, &routing);
	publish(&d, "d", "b", json_pack("{s:i}", "x", 1),
	    json_pack("{s:i,s:s,s:s,s:s,s:{s:s}}", "priority", 7, "message_id",
		"m-1", "correlation_id", "c-1", "reply_to", "parked", "headers",
		"x-one", "eins"));
	desk_require_number(&d, "n:two", 1);
	require_trace(&d, "two", 0, "exchange", "d");
	require_trace(&d, "two", 0, "routing_key", "b");
	require_trace(&d, "two", 0, "queue", "two");
	require_trace(&d, "two", 0, "path", "two");
	require_trace(&d, "two", 0, "method", "MESSAGE");
	require_trace(&d, "two", 0, "message_id", "m-1");
	require_trace(&d, "two", 0, "correlation_id", "c-1");
	require_trace(&d, "two", 0, "reply_to", "parked");
	require_trace(&d, "two", 0, "priority", "7");
	require_trace(&d, "two", 0, "content_type", "application/json");
	require_trace(&d, "two", 0, "x-one", "eins");
	one = desk_trace(&d, "two", 0);
	ck_assert_int_eq(ctl_int(json_object_get(one, "body"), "x"), 1);
	ck_assert_int_eq(ctl_int(one, "attempt"), 1);
	json_decref(one);
	/* what is asked for with a queue that has no handler waits there */
	publish(&d, "", "parked", json_integer(1), NULL);
	desk_require_queue(&d, "parked", "queued", 2);
	answer = desk_ask(&d, json_pack("{s:i}", "json", 1), "publish", "nix",
	    "k", NULL);
	ck_assert(json_is_false(json_object_get(answer, "ok")));
	text_require("message", ctl_text(answer, "message"), "nix");
	json_decref(answer);
	daemon_stop(&d);
}
END_TEST

START_TEST(mandatory_wants_a_queue)
{
	struct daemon d;
	json_t *step, *data, *answer;

	daemon_start(&d, &routing);
	/* not even the other message of that call */
	step = publish_step("d", "nobody", json_integer(1));
	json_object_set_new(step, "mandatory", json_true());
	answer = desk_ask(&d,
	    json_pack("{s:[o,o]}", "json",
		publish_step("d", "a", json_integer(1)), step),
	    "call", "hubtest.script", NULL);
	data = json_object_get(answer, "data");
	ck_assert(json_is_false(json_object_get(answer, "ok")));
	ck_assert_int_eq(ctl_int(data, "status"), 422);
	json_decref(answer);
	publish(&d, "d", "a", json_integer(2),
	    json_pack("{s:b}", "mandatory", 1));
	desk_require_number(&d, "n:one", 1);
	ck_assert_int_eq(desk_number(&d, "n:two"), 1);
	daemon_stop(&d);
}
END_TEST

/* -------------------------------------------------------------- one worker */

static const struct daemon_conf alone = {
	.module = { "hello", "hubtest", "messages" },
	.task_workers = "start = 1; min_spare = 0; max_spare = 1; max = 1;",
	.tasks = "backoff_min = 0.01; backoff_max = 0.02;",
	.amqp = EXCHANGES
	"queues = ("
	"  { name = \"plain\"; handler = \"messages.record\"; },"
	"  { name = \"prio\"; handler = \"messages.record\";"
	"    max_priority = 5; },"
	"  { name = \"again\"; handler = \"messages.second\"; } );",
};

START_TEST(priorities_go_first)
{
	static const int given[] = { 0, 3, 1, 9, 3, 5, 0 };
	/* 9 counts as 5, and came before the other one */
	static const int order[] = { 3, 5, 1, 4, 2, 0, 6 };
	struct daemon d;
	json_t *steps = json_array(), *step;

	daemon_start(&d, &alone);
	for (int i = 0; i < 7; i++) {
		step = publish_step("", "prio", json_integer(i));
		json_object_set_new(step, "priority", json_integer(given[i]));
		json_array_append_new(steps, step);
		step = publish_step("", "plain", json_integer(i));
		json_object_set_new(step, "priority", json_integer(given[i]));
		json_array_append_new(steps, step);
	}
	json_decref(desk_script(&d, steps));
	desk_require_number(&d, "n:prio", 7);
	desk_require_number(&d, "n:plain", 7);
	for (size_t i = 0; i < 7; i++) {
		step = desk_trace(&d, "prio", i);
		ck_assert_int_eq(ctl_int(step, "body"), order[i]);
		json_decref(step);
		/* a queue without priorities: as they came */
		step = desk_trace(&d, "plain", i);
		ck_assert_int_eq(ctl_int(step, "body"), (long)i);
		json_decref(step);
	}
	daemon_stop(&d);
}
END_TEST

START_TEST(a_message_is_tried_again)
{
	struct daemon d;
	json_t *one;

	daemon_start(&d, &alone);
	publish(&d, "", "again", json_integer(1), NULL);
	desk_require_number(&d, "n:again", 1);
	ck_assert_int_eq(desk_number(&d, "tried:again"), 1);
	one = desk_trace(&d, "again", 0);
	ck_assert_int_eq(ctl_int(one, "attempt"), 2);
	json_decref(one);
	daemon_stop(&d);
}
END_TEST

/* ------------------------------------------------------------- dead letters */

static const struct daemon_conf dying = {
	.module = { "hello", "hubtest", "messages" },
	.tasks = "backoff_min = 0.01; backoff_max = 0.02; max_attempts = 2;",
	.amqp = EXCHANGES
	"queues = ("
	"  { name = \"graveyard\"; handler = \"messages.record\";"
	"    bind = ( { exchange = \"grave\"; key = \"#\"; } ); },"
	"  { name = \"refuses\"; handler = \"messages.refuse\";"
	"    dead_letter_exchange = \"grave\"; },"
	"  { name = \"tries\"; handler = \"messages.never\";"
	"    max_attempts = 3; dead_letter_exchange = \"grave\";"
	"    dead_letter_key = \"tried\"; },"
	"  { name = \"kills\"; handler = \"messages.killed\";"
	"    dead_letter_exchange = \"grave\"; },"
	"  { name = \"kept\"; handler = \"messages.refuse\"; },"
	"  { name = \"short\"; ttl = 0.05; dead_letter_exchange = \"grave\"; },"
	"  { name = \"ring\"; max_length = 2; overflow = \"drop-head\";"
	"    dead_letter_exchange = \"grave\"; },"
	"  { name = \"full\"; max_length = 2; } );",
};

static void
start_dying(struct daemon *d)
{
	daemon_init(d);
	d->crashes = true;
	daemon_configure(d, &dying);
	daemon_start_again(d);
}

START_TEST(dead_letters_say_why)
{
	static const struct {
		const char *queue, *reason, *detail, *attempts, *key;
		long tried;
	} rows[] = {
		{ "refuses", "rejected", "not this one", "1", "refuses", 1 },
		{ "tries", "dead", "not yet", "3", "tried", 3 },
		{ "kills", "dead", "SIGKILL", "2", "kills", 2 },
	};
	struct daemon d;
	char key[32];
	json_t *one;

	start_dying(&d);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		publish(&d, "", rows[i].queue, json_integer((json_int_t)i),
		    json_pack("{s:{s:s}}", "headers", "x-one", "eins"));
		desk_require_number(&d, "n:graveyard", (long)i + 1);
		snprintf(key, sizeof(key), "tried:%s", rows[i].queue);
		ck_assert_int_eq(desk_number(&d, key), rows[i].tried);
		one = desk_trace(&d, "graveyard", i);
		ck_assert_str_eq(ctl_text(one, "x-death-reason"),
		    rows[i].reason);
		text_require("detail", ctl_text(one, "x-death-detail"),
		    rows[i].detail);
		ck_assert_str_eq(ctl_text(one, "x-death-queue"), rows[i].queue);
		ck_assert_str_eq(ctl_text(one, "x-death-attempts"),
		    rows[i].attempts);
		ck_assert_str_ne(ctl_text(one, "x-death-time"), "");
		ck_assert_str_ne(ctl_text(one, "x-death-host"), "");
		ck_assert_str_eq(ctl_text(one, "routing_key"), rows[i].key);
		ck_assert_str_eq(ctl_text(one, "exchange"), "grave");
		/* what it was stays with it */
		ck_assert_int_eq(ctl_int(one, "body"), (long)i);
		ck_assert_str_eq(ctl_text(one, "x-one"), "eins");
		json_decref(one);
	}
	daemon_stop(&d);
}
END_TEST

START_TEST(messages_that_wait_too_long_are_dead)
{
	struct daemon d;

	start_dying(&d);
	publish(&d, "", "short", json_integer(1), NULL);
	desk_require_number(&d, "n:graveyard", 1);
	require_trace(&d, "graveyard", 0, "x-death-queue", "short");
	require_trace(&d, "graveyard", 0, "x-death-reason", "expired");
	ck_assert_int_eq(desk_queue(&d, "short", "queued"), 0);
	/* its own end is sooner than the queue's, and the other way round */
	publish(&d, "", "ring", json_integer(2),
	    json_pack("{s:f}", "ttl", 0.05));
	desk_require_number(&d, "n:graveyard", 2);
	require_trace(&d, "graveyard", 1, "x-death-queue", "ring");
	publish(&d, "", "short", json_integer(3),
	    json_pack("{s:f}", "ttl", 3600.0));
	desk_require_number(&d, "n:graveyard", 3);
	daemon_stop(&d);
}
END_TEST

START_TEST(full_queues_refuse_or_let_go)
{
	struct daemon d;
	json_t *answer;

	start_dying(&d);
	for (int i = 0; i < 2; i++)
		publish(&d, "", "full", json_integer(i), NULL);
	answer = desk_ask(&d, json_pack("{s:i}", "json", 2), "publish", "",
	    "full", NULL);
	ck_assert(json_is_false(json_object_get(answer, "ok")));
	text_require("message", ctl_text(answer, "message"), "full");
	json_decref(answer);
	/* a handler's call fails as a whole; the client may come again */
	answer = desk_ask(&d,
	    json_pack("{s:[o]}", "json",
		publish_step("", "full", json_integer(1))),
	    "call", "hubtest.script", NULL);
	ck_assert_int_eq(ctl_int(json_object_get(answer, "data"), "status"),
	    503);
	json_decref(answer);
	ck_assert_int_eq(desk_queue(&d, "full", "queued"), 2);

	for (int i = 0; i < 4; i++)
		publish(&d, "", "ring", json_integer(i), NULL);
	desk_require_number(&d, "n:graveyard", 2);
	ck_assert_int_eq(desk_queue(&d, "ring", "queued"), 2);
	for (size_t i = 0; i < 2; i++) {
		answer = desk_trace(&d, "graveyard", i);
		ck_assert_int_eq(ctl_int(answer, "body"), (long)i);
		ck_assert_str_eq(ctl_text(answer, "x-death-queue"), "ring");
		ck_assert_str_eq(ctl_text(answer, "x-death-reason"), "maxlen");
		json_decref(answer);
	}
	daemon_stop(&d);
}
END_TEST

static bool
one_is_dead(void *ctx)
{
	json_t *data = desk_data(ctx, NULL, "dead", "kept", NULL);
	bool one = json_array_size(json_object_get(data, "jobs")) == 1;

	json_decref(data);
	return one;
}

START_TEST(dead_ones_are_kept_and_tried_again)
{
	struct daemon d;
	struct run run;
	json_t *data, *job;

	start_dying(&d);
	publish(&d, "", "kept", json_integer(7), NULL);
	ck_assert(proc_until(d.pidfd, one_is_dead, &d));
	data = desk_data(&d, NULL, "dead", NULL);
	job = json_array_get(json_object_get(data, "jobs"), 0);
	ck_assert_str_eq(ctl_text(job, "queue"), "kept");
	ctl_run(&d, &run, "dead", "kept", NULL);
	text_require("dead", run.out, "queue kept");
	text_require("dead", run.out, "not this one");
	run_release(&run);
	ctl_run(&d, &run, "retry", ctl_text(job, "id"), NULL);
	ck_assert_msg(run.status == 0, "%s", run.err);
	run_release(&run);
	desk_require_number(&d, "tried:kept", 2);
	json_decref(data);
	ck_assert(proc_until(d.pidfd, one_is_dead, &d));
	ctl_run(&d, &run, "retry", "all", NULL);
	ck_assert_str_eq(run.out, "1 run again\n");
	run_release(&run);
	desk_require_number(&d, "tried:kept", 3);
	ctl_run(&d, &run, "dead", "nowhere", NULL);
	ck_assert_int_eq(run.status, 1);
	run_release(&run);
	daemon_stop(&d);
}
END_TEST

/* ------------------------------------------------------------------ answers */

static const struct daemon_conf asking = {
	.module = { "hello", "hubtest", "messages" },
	.task_workers = "start = 2; min_spare = 0; max_spare = 4; max = 4;",
	.tasks = "backoff_min = 0.01; backoff_max = 0.02; max_attempts = 2;",
	.amqp = EXCHANGES
	"queues = ("
	"  { name = \"answers\"; handler = \"messages.answer\";"
	"    bind = ( { exchange = \"d\"; key = \"ask\"; } ); },"
	"  { name = \"refuses\"; handler = \"messages.refuse\"; },"
	"  { name = \"kills\"; handler = \"messages.killed\"; },"
	"  { name = \"replies\"; handler = \"messages.record\"; },"
	"  { name = \"silent\"; } );",
};

static json_t *
request_step(const char *exchange, const char *key, json_t *body,
    double seconds)
{
	return json_pack("{s:s,s:s,s:s,s:o,s:f}", "do", "request", "exchange",
	    exchange, "key", key, "body", body, "seconds", seconds);
}

START_TEST(an_answer_goes_to_the_queue_named)
{
	struct daemon d;
	json_t *one;

	daemon_start(&d, &asking);
	publish(&d, "d", "ask", json_string("why"),
	    json_pack("{s:s,s:s}", "reply_to", "replies", "correlation_id",
		"c-7"));
	desk_require_number(&d, "n:replies", 1);
	one = desk_trace(&d, "replies", 0);
	ck_assert_str_eq(ctl_text(one, "correlation_id"), "c-7");
	ck_assert_str_eq(ctl_text(one, "content_type"), "application/json");
	ck_assert_str_eq(ctl_text(json_object_get(one, "body"), "asked"),
	    "why");
	json_decref(one);
	/* one that failed for good is answered, too */
	publish(&d, "", "refuses", json_string("why"),
	    json_pack("{s:s,s:s}", "reply_to", "replies", "correlation_id",
		"c-8"));
	desk_require_number(&d, "n:replies", 2);
	one = desk_trace(&d, "replies", 1);
	ck_assert_str_eq(ctl_text(one, "correlation_id"), "c-8");
	ck_assert_str_eq(ctl_text(one, "content_type"),
	    "application/problem+json");
	text_require("problem", ctl_text(one, "text"), "not this one");
	json_decref(one);
	daemon_stop(&d);
}
END_TEST

START_TEST(a_request_waits_for_its_answer)
{
	struct daemon d;
	json_t *results, *one;

	daemon_init(&d);
	d.crashes = true;
	daemon_configure(&d, &asking);
	daemon_start_again(&d);
	results = desk_script(&d,
	    json_pack("[o,o,o,o,o]",
		request_step("d", "ask", json_integer(42), 60),
		request_step("", "refuses", json_integer(1), 60),
		request_step("", "kills", json_integer(1), 60),
		request_step("", "silent", json_integer(1), 0.05),
		request_step("", "nobody", json_integer(1), 60)));
	one = json_array_get(results, 0);
	ck_assert_int_eq(ctl_int(one, "rc"), 1);
	ck_assert_int_eq(ctl_int(one, "status"), 200);
	ck_assert_int_eq(ctl_int(json_object_get(one, "json"), "asked"), 42);
	one = json_array_get(results, 1);
	ck_assert_int_eq(ctl_int(one, "rc"), 1);
	ck_assert_int_eq(ctl_int(one, "status"), 422);
	one = json_array_get(results, 2);
	ck_assert_int_eq(ctl_int(one, "rc"), 1);
	ck_assert_int_ge(ctl_int(one, "status"), 500);
	/* nobody answers; nobody can */
	ck_assert_int_eq(ctl_int(json_array_get(results, 3), "rc"), 0);
	ck_assert_int_eq(ctl_int(json_array_get(results, 4), "rc"), -1);
	json_decref(results);
	daemon_stop(&d);
}
END_TEST

/* ----------------------------------------------------------------- bindings */

static json_t *
bind_step(const char *what, const char *queue, const char *exchange,
    const char *key)
{
	return json_pack("{s:s,s:s,s:s,s:s}", "do", what, "queue", queue,
	    "exchange", exchange, "key", key);
}

static void
again(struct daemon *d)
{
	ck_assert_int_eq(kill(d->pid, SIGTERM), 0);
	ck_assert_int_eq(daemon_wait(d), 0);
	daemon_require_clean(d);
	daemon_start_again(d);
}

START_TEST(bindings_of_handlers_stay)
{
	struct daemon d;
	struct run run;
	json_t *answer;

	daemon_start(&d, &routing);
	json_decref(desk_script(&d,
	    json_pack("[o,o,o]", bind_step("bind", "one", "d", "new"),
		bind_step("bind", "one", "d", "new"),
		bind_step("unbind", "two", "d", "b"))));
	/* one that fails binds nothing */
	answer = desk_ask(&d,
	    json_pack("{s:[o,{s:s}]}", "json",
		bind_step("bind", "two", "d", "failed"), "do", "reject"),
	    "call", "hubtest.script", NULL);
	json_decref(answer);
	for (int i = 1; i <= 2; i++) {
		publish(&d, "d", "new", json_integer(1), NULL);
		publish(&d, "d", "b", json_integer(1), NULL);
		publish(&d, "d", "failed", json_integer(1), NULL);
		publish(&d, "d", "a", json_integer(1), NULL);
		desk_require_number(&d, "n:one", 2 * i);
		desk_require_number(&d, "n:two", i);
		ctl_run(&d, &run, "queues", NULL);
		text_require("queues", run.out, "a handler");
		run_release(&run);
		if (i == 1)
			again(&d);
	}
	/* and it can be taken back */
	json_decref(desk_script(&d,
	    json_pack("[o,o]", bind_step("unbind", "one", "d", "new"),
		bind_step("bind", "two", "d", "b"))));
	publish(&d, "d", "new", json_integer(1), NULL);
	publish(&d, "d", "b", json_integer(1), NULL);
	desk_require_number(&d, "n:two", 3);
	ck_assert_int_eq(desk_number(&d, "n:one"), 4);
	/* there is no such thing to bind */
	answer = desk_ask(&d,
	    json_pack("{s:[o]}", "json",
		bind_step("bind", "one", "nowhere", "x")),
	    "call", "hubtest.script", NULL);
	ck_assert(json_is_false(json_object_get(answer, "ok")));
	text_require("message", ctl_text(answer, "message"), "nowhere");
	json_decref(answer);
	daemon_stop(&d);
}
END_TEST

/* What waits in a queue waits for the handler of the next start. */
START_TEST(messages_outlive_the_service)
{
	struct daemon d;
	struct daemon_conf conf = routing;
	char *amqp;

	daemon_start(&d, &routing);
	for (int i = 0; i < 20; i++)
		publish(&d, "", "parked", json_integer(i), NULL);
	ck_assert_int_eq(kill(d.pid, SIGKILL), 0);
	daemon_wait(&d);
	daemon_require_no_child(&d);
	amqp = text_format("%s",
	    "queues = ( { name = \"parked\";"
	    " handler = \"messages.record\"; } );");
	conf.amqp = amqp;
	daemon_configure(&d, &conf);
	daemon_start_again(&d);
	desk_require_number(&d, "n:parked", 20);
	free(amqp);
	daemon_stop(&d);
}
END_TEST

/* Its messages are still there, can be seen, and wait for it to be back. */
START_TEST(a_queue_that_the_config_has_no_more)
{
	struct daemon d;
	struct daemon_conf conf = routing;
	struct run run;

	daemon_start(&d, &routing);
	publish(&d, "", "parked", json_integer(1), NULL);
	conf.amqp = EXCHANGES;
	daemon_configure(&d, &conf);
	ctl_run(&d, &run, "reload", NULL);
	ck_assert_msg(run.status == 0, "%s", run.err);
	run_release(&run);
	ck_assert_int_eq(desk_queue(&d, "parked", "queued"), 1);
	ctl_run(&d, &run, "dead", "parked", NULL);
	ck_assert_int_eq(run.status, 1);
	text_require("dead", run.err, "there is no queue 'parked'");
	run_release(&run);
	conf.amqp = "queues = ( { name = \"parked\";"
		    " handler = \"messages.record\"; } );";
	daemon_configure(&d, &conf);
	ctl_run(&d, &run, "reload", NULL);
	ck_assert_msg(run.status == 0, "%s", run.err);
	run_release(&run);
	desk_require_number(&d, "n:parked", 1);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE_MEMORY(each_exchange_routes_its_way),
		CASE(a_message_has_its_properties),
		CASE(mandatory_wants_a_queue),
		CASE(priorities_go_first),
		CASE(a_message_is_tried_again),
		CASE_MEMORY(dead_letters_say_why),
		CASE(messages_that_wait_too_long_are_dead),
		CASE(full_queues_refuse_or_let_go),
		CASE(dead_ones_are_kept_and_tried_again),
		CASE(an_answer_goes_to_the_queue_named),
		CASE(a_request_waits_for_its_answer),
		CASE(bindings_of_handlers_stay),
		CASE(messages_outlive_the_service),
		CASE(a_queue_that_the_config_has_no_more),
	};

	return SUITE_RUN("messages", cases);
}
