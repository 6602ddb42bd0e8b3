/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_amqp_rpc - questions and answers over a broker: others ask us, we ask
 * others, we ask ourselves.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/broker.h"
#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/desk.h"
#include "lib/rmq.h"
#include "lib/suite.h"
#include "lib/text.h"

static struct daemon d;
static rmq c;

static const struct daemon_conf talking = {
	.module = { "hello", "hubtest", "messages" },
	.tasks = "backoff_min = 0.02; backoff_max = 0.05; max_attempts = 2;",
	.task_workers = "start = 2; min_spare = 1; max_spare = 4; max = 4;",
	.amqp = "broker = \"$BROKER\"; refresh = 0.2; timeout = 1.0;"
		"reconnect_min = 0.02; reconnect_max = 0.2;"
		"exchanges = ( { name = \"lonely\"; } );"
		"queues = ( { name = \"ask\"; handler = \"messages.answer\"; },"
		"  { name = \"refuses\"; handler = \"messages.refuse\"; },"
		"  { name = \"never\"; handler = \"messages.never\"; },"
		"  { name = \"killed\"; handler = \"messages.killed\"; },"
		"  { name = \"work\"; handler = \"hubtest.script\"; },"
		"  { name = \"theirs\"; } );",
};

static void
start(void)
{
	c = rmq_start(&d, &talking, "ask", 1);
	rmq_require_consumers(&d, c, "killed", 1);
	rmq_queue(c, "replies", NULL);
}

static void
stop(void)
{
	rmq_close(c);
	daemon_stop(&d);
}

static void
ask(const char *queue, const char *body, const char *correlation_id)
{
	struct letter letter = {
		.key = queue,
		.body = body,
		.reply_to = "replies",
		.correlation_id = correlation_id,
	};

	rmq_post(c, &letter);
}

START_TEST(others_ask_us)
{
	struct letter letter;

	start();
	ask("ask", "{\"x\":1}", "c-1");
	rmq_await(&d, c, "replies", &letter);
	ck_assert_str_eq(letter.text, "{\"asked\":{\"x\":1}}");
	ck_assert_str_eq(rmq_property(&letter, correlation_id), "c-1");
	ck_assert_str_eq(rmq_property(&letter, content_type),
	    "application/json");
	ck_assert_str_eq(rmq_header(&letter, "x-brood-status"), "200");
	rmq_free(&letter);
	/* any status, and no body at all */
	ask("work", "[{\"do\":\"reply\",\"status\":202,\"value\":\"ok\"}]",
	    "c-2");
	rmq_await(&d, c, "replies", &letter);
	ck_assert_str_eq(letter.text, "\"ok\"");
	ck_assert_str_eq(rmq_property(&letter, correlation_id), "c-2");
	ck_assert_str_eq(rmq_header(&letter, "x-brood-status"), "202");
	rmq_free(&letter);
	stop();
}
END_TEST

/* One that cannot be done is answered, too: with a problem object. */
START_TEST(a_failure_is_an_answer)
{
	static const struct {
		const char *queue, *status, *detail;
	} rows[] = {
		{ "refuses", "422", "not this one" },
		{ "never", "503", "not yet" },
		{ "killed", "502", "SIGKILL" },
	};
	struct letter letter;
	char *dead;

	start();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *problem;

		ask(rows[i].queue, "1", rows[i].queue);
		rmq_await(&d, c, "replies", &letter);
		ck_assert_str_eq(rmq_property(&letter, correlation_id),
		    rows[i].queue);
		ck_assert_str_eq(rmq_property(&letter, content_type),
		    "application/problem+json");
		ck_assert_str_eq(rmq_header(&letter, "x-brood-status"),
		    rows[i].status);
		problem = json_loads(letter.text, 0, NULL);
		ck_assert_int_eq(ctl_int(problem, "status"),
		    atoi(rows[i].status));
		ck_assert_str_ne(ctl_text(problem, "title"), "");
		text_require("detail", ctl_text(problem, "detail"),
		    rows[i].detail);
		json_decref(problem);
		rmq_free(&letter);
		/* and a dead letter all the same */
		dead = text_format("%s.dead", rows[i].queue);
		rmq_await(&d, c, dead, &letter);
		rmq_free(&letter);
		free(dead);
	}
	stop();
}
END_TEST

/* The step of a script that asks, and what it came to, a new reference. */
static json_t *
request(const char *exchange, const char *key, double seconds)
{
	json_t *results = desk_script(&d,
	    json_pack("[{s:s,s:s,s:s,s:{s:i},s:f}]", "do", "request",
		"exchange", exchange, "key", key, "body", "x", 1, "seconds",
		seconds));
	json_t *one = json_incref(json_array_get(results, 0));

	json_decref(results);
	return one;
}

START_TEST(we_ask_ourselves)
{
	json_t *answer, *member;

	start();
	for (int i = 0; i < 5; i++) {
		answer = request("", "ask", 20);
		ck_assert_int_eq(ctl_int(answer, "rc"), 1);
		ck_assert_int_eq(ctl_int(answer, "status"), 200);
		member = json_object_get(json_object_get(answer, "json"),
		    "asked");
		ck_assert_int_eq(ctl_int(member, "x"), 1);
		json_decref(answer);
	}
	answer = request("", "refuses", 20);
	ck_assert_int_eq(ctl_int(answer, "rc"), 1);
	ck_assert_int_eq(ctl_int(answer, "status"), 422);
	text_require("detail",
	    ctl_text(json_object_get(answer, "json"), "detail"),
	    "not this one");
	json_decref(answer);
	stop();
}
END_TEST

START_TEST(we_ask_others)
{
	struct letter letter, reply;
	json_t *job, *one;
	char *id;

	start();
	id = desk_submit(&d, "hubtest.script",
	    json_pack("[{s:s,s:s,s:s,s:f}]", "do", "request", "key", "theirs",
		"body", "what?", "seconds", 20.0),
	    NULL);
	rmq_await(&d, c, "theirs", &letter);
	ck_assert_str_eq(letter.text, "\"what?\"");
	reply = (struct letter){
		.key = rmq_property(&letter, reply_to),
		.correlation_id = rmq_property(&letter, correlation_id),
		.body = "{\"that\":true}",
	};
	/* it is not confused by what it has not asked for */
	reply.correlation_id = "nonsense";
	rmq_post(c, &reply);
	reply.correlation_id = rmq_property(&letter, correlation_id);
	rmq_post(c, &reply);
	rmq_free(&letter);
	job = desk_await_job(&d, id, "succeeded");
	one = json_array_get(json_object_get(job, "result"), 0);
	ck_assert_int_eq(ctl_int(one, "rc"), 1);
	ck_assert_int_eq(ctl_int(one, "status"), 200);
	ck_assert(json_is_true(
	    json_object_get(json_object_get(one, "json"), "that")));
	json_decref(job);
	free(id);
	stop();
}
END_TEST

START_TEST(nobody_to_ask)
{
	json_t *answer;

	start();
	answer = request("lonely", "k", 20);
	ck_assert_int_eq(ctl_int(answer, "rc"), -1);
	text_require("why", ctl_text(answer, "why"), "queue");
	json_decref(answer);
	/* somebody who does not answer */
	answer = request("", "theirs", 0.2);
	ck_assert_int_eq(ctl_int(answer, "rc"), 0);
	json_decref(answer);
	stop();
}
END_TEST

START_TEST(no_broker_to_ask_by)
{
	json_t *answer;

	start();
	rmq_close(c);
	broker_do("stop");
	broker_require_note(&d, true, "no broker");
	answer = request("", "ask", 20);
	ck_assert_int_eq(ctl_int(answer, "rc"), -1);
	text_require("why", ctl_text(answer, "why"), "broker");
	json_decref(answer);
	broker_do("start");
	c = rmq_open();
	rmq_require_consumers(&d, c, "ask", 1);
	broker_require_note(&d, false, "^connected");
	answer = request("", "ask", 20);
	ck_assert_int_eq(ctl_int(answer, "rc"), 1);
	json_decref(answer);
	stop();
}
END_TEST

int
main(int argc, char *argv[])
{
	const struct suite_case cases[] = {
		CASE_MEMORY(others_ask_us),
		CASE(a_failure_is_an_answer),
		CASE_MEMORY(we_ask_ourselves),
		CASE(we_ask_others),
		CASE(nobody_to_ask),
		CASE(no_broker_to_ask_by),
	};

	(void)argc;
	broker_main(argv, sizeof(cases) / sizeof(cases[0]));
	return SUITE_RUN("amqp_rpc", cases);
}
