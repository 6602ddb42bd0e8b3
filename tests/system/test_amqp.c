/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_amqp - queues of a real broker: messages are taken, worked on and
 * acknowledged, tried again through delay queues, and dead-lettered with the
 * reasons.
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
#include "lib/gate.h"
#include "lib/proc.h"
#include "lib/rmq.h"
#include "lib/suite.h"
#include "lib/text.h"

#define ON_BROKER "broker = \"$BROKER\"; refresh = 0.2;"
#define ONE_WORKER "start = 1; min_spare = 0; max_spare = 1; max = 1;"

static struct daemon d;
static rmq c;

/* A service on a vhost of its own, that consumes from the queue. */
static void
start(const struct daemon_conf *conf, const char *queue)
{
	c = rmq_start(&d, conf, queue, 1);
}

static void
stop(void)
{
	rmq_close(c);
	daemon_stop(&d);
}

static const struct daemon_conf single = {
	.module = { "hello", "hubtest", "messages" },
	.modules = MODULE_GATE,
	.route = { ROUTE("GET", "/hello", "hello.hello") },
	.task_workers = ONE_WORKER,
	.amqp = ON_BROKER
	"exchanges = ( { name = \"t\"; type = \"topic\"; } );"
	"queues = ("
	"  { name = \"gate\"; handler = \"gate.pass\"; prefetch = 3; },"
	"  { name = \"prio\"; handler = \"messages.record\";"
	"    max_priority = 5; },"
	"  { name = \"plain\"; handler = \"messages.record\"; bind = ("
	"    { exchange = \"t\"; key = \"a.#\"; } ); } );",
};

START_TEST(messages_are_done_in_their_order)
{
	struct letter late;

	start(&single, "plain");
	for (int i = 0; i < 40; i++)
		rmq_post_text(c, "plain", NULL, "%d", i);
	desk_require_number(&d, "n:plain", 40);
	for (size_t i = 0; i < 40; i++) {
		json_t *one = desk_trace(&d, "plain", i);

		ck_assert_int_eq(ctl_int(one, "body"), (long)i);
		json_decref(one);
	}
	daemon_stop(&d);
	/* acknowledged, so nothing came back to the queue */
	ck_assert(!rmq_take(c, "plain", &late));
	rmq_close(c);
}
END_TEST

START_TEST(a_handler_sees_the_message)
{
	struct letter letter = {
		.exchange = "t",
		.key = "a.b.c",
		.body = "{\"x\":1}",
		.id = "m-1",
		.correlation_id = "c-1",
		.reply_to = "nobody-there",
		.priority = 3,
	};
	static const char *const wanted[][2] = {
		{ "exchange", "t" },
		{ "routing_key", "a.b.c" },
		{ "queue", "plain" },
		{ "path", "plain" },
		{ "method", "MESSAGE" },
		{ "message_id", "m-1" },
		{ "correlation_id", "c-1" },
		{ "reply_to", "nobody-there" },
		{ "content_type", "application/json" },
		{ "priority", "3" },
		{ "x-one", "eins" },
		{ "x-number", "-7" },
	};
	amqp_table_entry_t headers[] = {
		{ amqp_cstring_bytes("x-one"),
		    { .kind = AMQP_FIELD_KIND_UTF8,
			.value.bytes = amqp_cstring_bytes("eins") } },
		{ amqp_cstring_bytes("x-number"),
		    { .kind = AMQP_FIELD_KIND_I32, .value.i32 = -7 } },
	};
	json_t *one;

	letter.headers = (amqp_table_t){ 2, headers };
	start(&single, "plain");
	rmq_post(c, &letter);
	desk_require_number(&d, "n:plain", 1);
	one = desk_trace(&d, "plain", 0);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		ck_assert_str_eq(ctl_text(one, wanted[i][0]), wanted[i][1]);
	ck_assert_int_eq(ctl_int(one, "attempt"), 1);
	ck_assert_int_eq(ctl_int(json_object_get(one, "body"), "x"), 1);
	json_decref(one);
	stop();
}
END_TEST

START_TEST(the_broker_gives_no_more_than_the_prefetch)
{
	int gate;

	start(&single, "gate");
	gate = gate_make(&d);
	for (int i = 0; i < 10; i++)
		rmq_post_text(c, "gate", NULL, "%d", i);
	rmq_require_ready(&d, c, "gate", 7);
	/* each that is done makes room for one */
	gate_let(gate, 2);
	rmq_require_ready(&d, c, "gate", 5);
	desk_require_queue(&d, "gate", "ready", 5);
	desk_require_queue(&d, "gate", "unacked", 3);
	gate_let(gate, 8);
	rmq_require_ready(&d, c, "gate", 0);
	desk_require_queue(&d, "gate", "unacked", 0);
	close(gate);
	stop();
}
END_TEST

START_TEST(priorities_go_first)
{
	static const int given[] = { 0, 3, 1, 9, 3, 5, 0 };
	/* the first is prefetched; 9 counts as 5, and came before that */
	static const int order[] = { 0, 3, 5, 1, 4, 2, 6 };
	int gate;

	start(&single, "prio");
	gate = gate_make(&d);
	rmq_post_text(c, "gate", NULL, "1");
	desk_require_queue(&d, "gate", "unacked", 1);
	for (int i = 0; i < 7; i++) {
		char body[8];
		struct letter letter = { .key = "prio",
			.body = body,
			.priority = given[i] };

		snprintf(body, sizeof(body), "%d", i);
		rmq_post(c, &letter);
		if (i == 0)
			desk_require_queue(&d, "prio", "unacked", 1);
	}
	rmq_flush(c);
	rmq_require_ready(&d, c, "prio", 6);
	gate_let(gate, 1);
	desk_require_number(&d, "n:prio", 7);
	for (size_t i = 0; i < 7; i++) {
		json_t *one = desk_trace(&d, "prio", i);

		ck_assert_int_eq(ctl_int(one, "body"), order[i]);
		json_decref(one);
	}
	close(gate);
	stop();
}
END_TEST

/* ------------------------------------------------------------ tried again */

static const struct daemon_conf retrying = {
	.module = { "hello", "hubtest", "messages" },
	.tasks = "backoff_min = 0.02; backoff_max = 0.05; max_attempts = 4;",
	.amqp = ON_BROKER
	"queues = ("
	"  { name = \"work\"; handler = \"hubtest.script\"; },"
	"  { name = \"again\"; handler = \"messages.second\"; },"
	"  { name = \"slowly\"; handler = \"messages.second\";"
	"    backoff_min = 1000.0; backoff_max = 2000.0; } );",
};

START_TEST(a_message_is_tried_again)
{
	json_t *one;

	start(&retrying, "again");
	rmq_post_text(c, "again", "m-1", "{\"x\":1}");
	rmq_post_text(c, "again", NULL, "{\"x\":2}");
	desk_require_number(&d, "n:again", 2);
	ck_assert_int_eq(desk_number(&d, "tried:again"), 2);
	for (size_t i = 0; i < 2; i++) {
		one = desk_trace(&d, "again", i);
		ck_assert_int_eq(ctl_int(one, "attempt"), 2);
		json_decref(one);
	}
	stop();
}
END_TEST

START_TEST(a_message_waits_in_a_delay_queue)
{
	struct letter letter, back;
	json_t *one;

	start(&retrying, "slowly");
	rmq_post_text(c, "slowly", "m-1", "{\"x\":1}");
	rmq_await(&d, c, "slowly.retry.1000s", &letter);
	ck_assert_str_eq(letter.text, "{\"x\":1}");
	ck_assert_str_eq(rmq_property(&letter, message_id), "m-1");
	ck_assert_str_eq(rmq_header(&letter, "x-brood-attempt"), "2");
	/* what the delay queue would do at its time */
	back = (struct letter){
		.key = "slowly",
		.body = letter.text,
		.len = letter.len,
		.id = "m-1",
		.headers = letter.message.properties.headers,
	};
	rmq_post(c, &back);
	rmq_free(&letter);
	desk_require_number(&d, "n:slowly", 1);
	one = desk_trace(&d, "slowly", 0);
	ck_assert_int_eq(ctl_int(one, "attempt"), 2);
	ck_assert_str_eq(ctl_text(one, "message_id"), "m-1");
	json_decref(one);
	rmq_require_ready(&d, c, "slowly", 0);
	stop();
}
END_TEST

START_TEST(effects_are_those_of_the_last_attempt)
{
	start(&retrying, "work");
	rmq_post_text(c, "work", "m-1", "%s",
	    "[{\"do\":\"incr\",\"key\":\"tries\"},"
	    " {\"do\":\"incr\",\"key\":\"done\",\"on_success\":true},"
	    " {\"do\":\"retry\",\"before\":3}]");
	desk_require_number(&d, "done", 1);
	ck_assert_int_eq(desk_number(&d, "tries"), 3);
	stop();
}
END_TEST

/* ------------------------------------------------------------ dead letters */

static const struct {
	const char *end, *reason, *detail, *attempts, *signal;
	long tries;
} deaths[] = {
	{ "reject", "rejected", "told to reject", "1", "", 1 },
	{ "retry", "dead", "told to retry", "4", "", 4 },
	{ "crash", "dead", "SIGSEGV", "4", "SIGSEGV", 4 },
};

static void
require_death(size_t i, const struct letter *letter)
{
	ck_assert_str_eq(rmq_header(letter, "x-death-reason"),
	    deaths[i].reason);
	text_require("detail", rmq_header(letter, "x-death-detail"),
	    deaths[i].detail);
	ck_assert_str_eq(rmq_header(letter, "x-death-queue"), "work");
	ck_assert_str_eq(rmq_header(letter, "x-death-attempts"),
	    deaths[i].attempts);
	ck_assert_str_ne(rmq_header(letter, "x-death-time"), "");
	ck_assert_str_ne(rmq_header(letter, "x-death-host"), "");
	text_require("signal", rmq_header(letter, "x-death-signal"),
	    deaths[i].signal);
	/* what it was stays with it */
	ck_assert_str_eq(rmq_header(letter, "x-one"), "eins");
	ck_assert_str_eq(rmq_property(letter, correlation_id), "c-1");
	ck_assert_str_eq(rmq_property(letter, content_type),
	    "application/json");
	text_require("body", letter->text, deaths[i].end);
}

START_TEST(dead_letters_say_why)
{
	amqp_table_entry_t header = { amqp_cstring_bytes("x-one"),
		{ .kind = AMQP_FIELD_KIND_UTF8,
		    .value.bytes = amqp_cstring_bytes("eins") } };
	struct letter letter;
	char id[16], key[16];

	start(&retrying, "work");
	for (size_t i = 0; i < sizeof(deaths) / sizeof(deaths[0]); i++) {
		char *body = text_format(
		    "[{\"do\":\"incr\",\"key\":\"%s\"},{\"do\":\"%s\"}]",
		    deaths[i].end, deaths[i].end);

		snprintf(id, sizeof(id), "m-%zu", i);
		letter = (struct letter){
			.key = "work",
			.body = body,
			.id = id,
			.correlation_id = "c-1",
			.headers = { 1, &header },
		};
		rmq_post(c, &letter);
		rmq_await(&d, c, "work.dead", &letter);
		ck_assert_str_eq(rmq_property(&letter, message_id), id);
		require_death(i, &letter);
		rmq_free(&letter);
		snprintf(key, sizeof(key), "%s", deaths[i].end);
		ck_assert_int_eq(desk_number(&d, key), deaths[i].tries);
		free(body);
	}
	/* the rest flows on */
	rmq_post_text(c, "again", NULL, "1");
	desk_require_number(&d, "n:again", 1);
	rmq_require_ready(&d, c, "work", 0);
	rmq_require_ready(&d, c, "work.dead", 0);
	stop();
}
END_TEST

static const struct daemon_conf buried = {
	.module = { "hello", "hubtest", "messages" },
	.amqp = ON_BROKER
	"exchanges = ( { name = \"grave\"; type = \"topic\"; } );"
	"queues = ("
	"  { name = \"graveyard\"; handler = \"messages.record\";"
	"    bind = ( { exchange = \"grave\"; key = \"#\"; } ); },"
	"  { name = \"refuses\"; handler = \"messages.refuse\";"
	"    dead_letter_exchange = \"grave\"; },"
	"  { name = \"keyed\"; handler = \"messages.refuse\";"
	"    dead_letter_exchange = \"grave\"; dead_letter_key = \"k\"; },"
	"  { name = \"short\"; ttl = 0.05; dead_letter_exchange = \"grave\"; },"
	"  { name = \"ring\"; max_length = 2; overflow = \"drop-head\";"
	"    dead_letter_exchange = \"grave\"; } );",
};

/* Our own deaths and the broker's end up in one place. */
START_TEST(dead_letters_go_where_the_config_says)
{
	static const struct {
		const char *queue, *key, *reason;
	} rows[] = {
		{ "refuses", "refuses", "rejected" },
		{ "keyed", "k", "rejected" },
		{ "short", "short", "" },
		{ "ring", "ring", "" },
	};
	json_t *one;

	start(&buried, "refuses");
	rmq_require_consumers(&d, c, "graveyard", 1);
	rmq_require_consumers(&d, c, "keyed", 1);
	rmq_post_text(c, "ring", NULL, "3");
	rmq_post_text(c, "ring", NULL, "0");
	for (int i = 0; i < 4; i++) {
		rmq_post_text(c, rows[i].queue, NULL, "%d", i);
		desk_require_number(&d, "n:graveyard", i + 1);
		one = desk_trace(&d, "graveyard", (size_t)i);
		ck_assert_str_eq(ctl_text(one, "routing_key"), rows[i].key);
		ck_assert_str_eq(ctl_text(one, "x-death-reason"),
		    rows[i].reason);
		ck_assert_int_eq(ctl_int(one, "body"), i);
		json_decref(one);
	}
	stop();
}
END_TEST

int
main(int argc, char *argv[])
{
	const struct suite_case cases[] = {
		CASE_MEMORY(messages_are_done_in_their_order),
		CASE(a_handler_sees_the_message),
		CASE(the_broker_gives_no_more_than_the_prefetch),
		CASE(priorities_go_first),
		CASE_MEMORY(a_message_is_tried_again),
		CASE(a_message_waits_in_a_delay_queue),
		CASE(effects_are_those_of_the_last_attempt),
		CASE(dead_letters_say_why),
		CASE(dead_letters_go_where_the_config_says),
	};

	(void)argc;
	broker_main_shared(argv, sizeof(cases) / sizeof(cases[0]));
	return SUITE_RUN("amqp", cases);
}
