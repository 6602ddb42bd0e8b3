/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_amqp_publish - what handlers publish to a broker: through the durable
 * outbox, confirmed, in order, with its properties; while the broker is away or
 * takes nothing it waits, within its bounds.
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
#include "lib/http.h"
#include "lib/modes.h"
#include "lib/rmq.h"
#include "lib/suite.h"
#include "lib/text.h"

#define OUTBOX_MAX 5

#define FAST                                                    \
	"broker = \"$BROKER\"; timeout = 1.0; heartbeat = 2.0;" \
	"reconnect_min = 0.02; reconnect_max = 0.2; refresh = 0.2;"

static struct daemon d;
static rmq c;

static const struct daemon_conf publishing = {
	.module = { "hello", "hubtest", "messages" },
	.route = { ROUTE("POST", "/script", "hubtest.script"),
	    ROUTE("GET", "/hello", "hello.hello") },
	.amqp = FAST
	"outbox_max = 5;"
	"exchanges = ( { name = \"f\"; type = \"fanout\"; },"
	"  { name = \"lonely\"; } );"
	"queues = ( { name = \"out\"; bind = ( { exchange = \"f\"; } ); },"
	"  { name = \"q\"; handler = \"messages.record\"; },"
	"  { name = \"work\"; handler = \"hubtest.script\"; } );",
};

static void
start(const struct daemon_conf *conf)
{
	c = rmq_start(&d, conf, "q", 1);
}

static void
stop(void)
{
	rmq_close(c);
	daemon_stop(&d);
}

/* A request whose handler publishes that number to the exchange f. */
static int
request(int n)
{
	char *body = text_format(
	    "[{\"do\":\"publish\",\"exchange\":\"f\",\"body\":%d}]", n);
	int status = http_status(&d, "/script", body);

	free(body);
	return status;
}

/* The queue `out` has exactly these numbers in this order. */
static void
require_numbers(int from, int to)
{
	struct letter letter;

	rmq_require_ready(&d, c, "out", to - from + 1);
	for (int i = from; i <= to; i++) {
		ck_assert(rmq_take(c, "out", &letter));
		ck_assert_int_eq(atoi(letter.text), i);
		ck_assert_str_ne(rmq_property(&letter, message_id), "");
		rmq_free(&letter);
	}
	ck_assert(!rmq_take(c, "out", &letter));
}

START_TEST(a_message_has_its_properties)
{
	struct letter letter;

	start(&publishing);
	json_decref(desk_script(&d,
	    json_pack("[{s:s,s:s,s:{s:i},s:i,s:i,s:s,s:s,s:s,s:{s:s}}]", "do",
		"publish", "exchange", "f", "body", "x", 1, "priority", 7,
		"ttl", 1000, "message_id", "m-1", "correlation_id", "c-1",
		"reply_to", "q", "headers", "x-one", "eins")));
	rmq_await(&d, c, "out", &letter);
	ck_assert_str_eq(letter.text, "{\"x\":1}");
	ck_assert_str_eq(letter.taken_exchange, "f");
	ck_assert_str_eq(rmq_property(&letter, message_id), "m-1");
	ck_assert_str_eq(rmq_property(&letter, correlation_id), "c-1");
	ck_assert_str_eq(rmq_property(&letter, reply_to), "q");
	ck_assert_str_eq(rmq_property(&letter, content_type),
	    "application/json");
	ck_assert_str_eq(rmq_property(&letter, expiration), "1000000");
	ck_assert_int_eq(letter.message.properties.priority, 7);
	ck_assert_int_eq(letter.message.properties.delivery_mode, 2);
	ck_assert_str_eq(rmq_header(&letter, "x-one"), "eins");
	ck_assert_str_ne(rmq_header(&letter, "x-request-id"), "");
	ck_assert_str_ne(rmq_header(&letter, "traceparent"), "");
	/* of a first attempt nothing is to be said */
	ck_assert_str_eq(rmq_header(&letter, "x-brood-attempt"), "");
	rmq_free(&letter);
	desk_require_outbox(&d, "messages", 0);
	stop();
}
END_TEST

START_TEST(all_or_nothing_and_in_order)
{
	json_t *steps = json_array();

	start(&publishing);
	/* not one of a call that fails */
	ck_assert_int_eq(http_status(&d, "/script",
			     "[{\"do\":\"publish\",\"exchange\":\"f\","
			     "  \"body\":0},{\"do\":\"reject\"}]"),
	    422);
	/* more at a time than the outbox holds: nobody could ever send it */
	for (int i = 0; i < OUTBOX_MAX + 1; i++)
		json_array_append_new(steps,
		    json_pack("{s:s,s:s,s:i}", "do", "publish", "exchange", "f",
			"body", i));
	json_array_remove(steps, 0);
	json_decref(desk_script(&d, steps));
	require_numbers(1, OUTBOX_MAX);
	/* they came before the broker's confirms did */
	desk_require_outbox(&d, "messages", 0);
	for (int i = 1; i <= 20; i++) {
		ck_assert_int_eq(request(i), 200);
		desk_require_outbox(&d, "messages", 0);
	}
	require_numbers(1, 20);
	/* and from a message to a message */
	rmq_post_text(c, "work", NULL, "%s",
	    "[{\"do\":\"publish\",\"key\":\"q\",\"body\":1}]");
	desk_require_number(&d, "n:q", 1);
	stop();
}
END_TEST

START_TEST(what_no_queue_takes_is_reported)
{
	char *line;
	size_t from = 0;

	start(&publishing);
	json_decref(desk_script(&d,
	    json_pack("[{s:s,s:s,s:s,s:s,s:i}]", "do", "publish", "exchange",
		"lonely", "key", "the-key", "message_id", "the-id", "body",
		1)));
	line = daemon_await_line(&d, &from, "the-id.*\"lonely\".*\"the-key\"");
	ck_assert_msg(line != NULL, "the log does not tell of a return");
	free(line);
	desk_require_outbox(&d, "returned", 1);
	desk_require_outbox(&d, "messages", 0);
	stop();
}
END_TEST

/* What no broker would take is refused to who publishes it, and does not wait
 * for ever. */
START_TEST(what_cannot_be_a_message_is_refused)
{
	struct run run;
	char *name = text_repeat('n', 256);
	char *headers = text_format("{\"%s\":\"x\"}", name);
	json_t *done;

	start(&publishing);
	done = desk_script(&d,
	    json_pack("[{s:s,s:s,s:i,s:{s:s}}]", "do", "publish", "exchange",
		"f", "body", 1, "headers", name, "x"));
	text_require("why", ctl_text(json_array_get(done, 0), "why"),
	    "a header's name has more than 255 bytes");
	json_decref(done);
	ctl_run(&d, &run, "publish", "f", "k", "1", "--headers", headers, NULL);
	ck_assert_int_eq(run.status, 1);
	text_require("publish", run.err, "a header's name has more than 255");
	run_release(&run);
	desk_require_outbox(&d, "messages", 0);
	free(headers);
	free(name);
	stop();
}
END_TEST

/* -------------------------------------------------- while nobody takes it */

/* The outbox fills, and then requests that publish are refused, and no
 * others. */
static void
fill_the_outbox(void)
{
	struct ask ask = {
		.path = "/script",
		.body = "[{\"do\":\"publish\",\"exchange\":\"f\",\"body\":9}]"
	};
	struct reply reply;

	for (int i = 1; i <= OUTBOX_MAX; i++)
		ck_assert_int_eq(request(i), 200);
	desk_require_outbox(&d, "messages", OUTBOX_MAX);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(request(99), 503);
	http_require(&d, &ask, &reply);
	reply_require_problem(&reply, 503);
	text_require("the answer", reply.body, "outbox");
	ck_assert_ptr_nonnull(reply_header(&reply, "Retry-After"));
	reply_release(&reply);
	ck_assert_int_eq(http_status(&d, "/script", "[]"), 200);
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
}

static void
require_delivery(void)
{
	require_numbers(1, OUTBOX_MAX);
	desk_require_outbox(&d, "messages", 0);
	ck_assert_int_eq(request(1), 200);
	require_numbers(1, 1);
	broker_require_note(&d, false, "^connected");
}

START_TEST(the_broker_is_away)
{
	start(&publishing);
	rmq_close(c);
	broker_do("kill");
	broker_require_note(&d, true, "no broker");
	fill_the_outbox();
	broker_do("start");
	c = rmq_open();
	require_delivery();
	stop();
}
END_TEST

/* What was accepted is there after a restart of everything. */
START_TEST(the_outbox_is_durable)
{
	start(&publishing);
	rmq_close(c);
	broker_do("stop");
	broker_require_note(&d, true, "no broker");
	for (int i = 1; i <= OUTBOX_MAX; i++)
		ck_assert_int_eq(request(i), 200);
	kill(d.pid, SIGKILL);
	daemon_wait(&d);
	daemon_require_no_child(&d);
	daemon_start_again(&d);
	desk_require_outbox(&d, "messages", OUTBOX_MAX);
	ck_assert_int_eq(request(99), 503);
	broker_do("start");
	c = rmq_open();
	require_delivery();
	stop();
}
END_TEST

static void
alarmed(const char *why)
{
	start(&publishing);
	/* consuming is none of the alarm's business */
	rmq_post_text(c, "q", NULL, "1");
	desk_require_number(&d, "n:q", 1);
	if (strcmp(why, "memory") == 0)
		free(broker_ctl("set_vm_memory_high_watermark", "0", NULL));
	else
		free(broker_ctl("set_disk_free_limit", "9000000000000000",
		    NULL));
	fill_the_outbox();
	broker_require_note(&d, true, why);
	if (strcmp(why, "memory") == 0)
		free(broker_ctl("set_vm_memory_high_watermark", "absolute",
		    "1000000000", NULL));
	else
		free(broker_ctl("set_disk_free_limit", "1000000", NULL));
	require_delivery();
	stop();
}

START_TEST(the_broker_is_low_on_memory)
{
	alarmed("memory");
}
END_TEST

START_TEST(the_broker_is_low_on_disk)
{
	alarmed("disk");
}
END_TEST

/* ------------------------------------------------------------- bindings */

START_TEST(bindings_of_handlers)
{
	start(&publishing);
	json_decref(desk_script(&d,
	    json_pack("[{s:s,s:s,s:s,s:s},{s:s,s:s,s:s,s:i}]", "do", "bind",
		"queue", "out", "exchange", "lonely", "key", "k", "do",
		"publish", "exchange", "lonely", "key", "k", "body", 1)));
	require_numbers(1, 1);
	/* kept by us, for a broker that forgot */
	rmq_drop_queue(c, "out");
	rmq_close(c);
	broker_do("restart");
	c = rmq_open();
	rmq_require_consumers(&d, c, "q", 1);
	json_decref(desk_script(&d,
	    json_pack("[{s:s,s:s,s:s,s:i}]", "do", "publish", "exchange",
		"lonely", "key", "k", "body", 1)));
	require_numbers(1, 1);
	json_decref(desk_script(&d,
	    json_pack("[{s:s,s:s,s:s,s:s},{s:s,s:s,s:s,s:i}]", "do", "unbind",
		"queue", "out", "exchange", "lonely", "key", "k", "do",
		"publish", "exchange", "lonely", "key", "k", "body", 1)));
	desk_require_outbox(&d, "returned", 1);
	rmq_require_ready(&d, c, "out", 0);
	stop();
}
END_TEST

int
main(int argc, char *argv[])
{
	const struct suite_case cases[] = {
		CASE_MEMORY(a_message_has_its_properties),
		CASE(all_or_nothing_and_in_order),
		CASE(what_no_queue_takes_is_reported),
		CASE(what_cannot_be_a_message_is_refused),
		CASE_MEMORY(the_broker_is_away),
		CASE(the_outbox_is_durable),
		CASE(the_broker_is_low_on_memory),
		CASE(the_broker_is_low_on_disk),
		CASE(bindings_of_handlers),
	};

	(void)argc;
	broker_main(argv, sizeof(cases) / sizeof(cases[0]));
	return SUITE_RUN("amqp_publish", cases);
}
