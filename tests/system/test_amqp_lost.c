/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_amqp_lost - a broker that was there and goes: restarted, killed, stopped
 * in its tracks, cut off; and queues and exchanges that are not as the config
 * wants them, or cease to be. Each time `status` says what it is, nothing is
 * lost, and work goes on by itself.
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
#include "lib/http.h"
#include "lib/proxy.h"
#include "lib/rmq.h"
#include "lib/suite.h"
#include "lib/text.h"

#define FAST                                                    \
	"broker = \"$BROKER\"; timeout = 1.0; heartbeat = 1.0;" \
	"reconnect_min = 0.02; reconnect_max = 0.2; refresh = 0.2;"

static struct daemon d;

static const struct daemon_conf relay = {
	.module = { "hello", "hubtest", "messages" },
	.modules = MODULE_GATE,
	.route = { ROUTE("GET", "/hello", "hello.hello") },
	.amqp = FAST
	"queues = ( { name = \"q\"; handler = \"messages.record\"; },"
	"  { name = \"gate\"; handler = \"gate.pass\"; prefetch = 2; },"
	"  { name = \"out\"; } );",
};

/* With this address of the broker (NULL: its own), and its queues declared. */
static void
start(const struct daemon_conf *conf, const char *url)
{
	rmq c;

	broker_service(&d, conf, url);
	c = rmq_open();
	rmq_require_consumers(&d, c, "q", 1);
	rmq_close(c);
}

static json_t *
publish_step(const char *exchange, const char *key, int n)
{
	return json_pack("{s:s,s:s,s:s,s:i}", "do", "publish", "exchange",
	    exchange, "key", key, "body", n);
}

/* A call that publishes a number, which is accepted. */
static void
publish(const char *exchange, const char *key, int n)
{
	json_decref(
	    desk_script(&d, json_pack("[o]", publish_step(exchange, key, n))));
}

static void
post(const char *queue, int n)
{
	rmq c = rmq_open();
	char *id = text_format("m-%d", n);

	rmq_post_text(c, queue, id, "%d", n);
	rmq_flush(c);
	rmq_close(c);
	free(id);
}

/* All that was posted to q so far, `n`, came once; what was published to `out`
 * is there, in order, from 1 on. */
static void
require_all(long n, int published)
{
	rmq c = rmq_open();

	rmq_require_consumers(&d, c, "q", 1);
	desk_require_number(&d, "n:q", n);
	rmq_require_ready(&d, c, "out", published);
	rmq_require_ready(&d, c, "q", 0);
	rmq_close(c);
}

static void
require_order(int published)
{
	struct letter letter;
	rmq c = rmq_open();

	for (int i = 1; i <= published; i++) {
		ck_assert(rmq_take(c, "out", &letter));
		ck_assert_int_eq(atoi(letter.text), i);
		rmq_free(&letter);
	}
	ck_assert(!rmq_take(c, "out", &letter));
	rmq_close(c);
}

START_TEST(the_broker_goes_and_comes_back)
{
	static const char *const ends[] = { "stop", "kill" };

	broker_open();
	start(&relay, NULL);
	post("q", 1);
	publish("", "out", 1);
	require_all(1, 1);
	for (int i = 0; i < 2; i++) {
		broker_do(ends[i]);
		broker_require_note(&d, true, "(nobody listens|[Rr]efused)");
		/* what a handler says meanwhile waits in the outbox */
		publish("", "out", 2 * i + 2);
		ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
		broker_do("start");
		post("q", i + 2);
		publish("", "out", 2 * i + 3);
		require_all(i + 2, 2 * i + 3);
		broker_require_note(&d, false, "^connected");
	}
	require_order(5);
	daemon_stop(&d);
}
END_TEST

/* More than two heartbeats without a sign of life. */
START_TEST(the_broker_is_stopped_in_its_tracks)
{
	broker_open();
	start(&relay, NULL);
	post("q", 1);
	require_all(1, 0);
	broker_do("pause");
	publish("", "out", 1);
	broker_require_note(&d, true,
	    "(heartbeat|sign of life|answer|[Tt]imed? ?out|silent)");
	publish("", "out", 2);
	broker_do("resume");
	post("q", 2);
	require_all(2, 2);
	require_order(2);
	daemon_stop(&d);
}
END_TEST

/* What was delivered and is being worked on when the connection is lost comes
 * again, and is not done again. */
START_TEST(what_runs_when_the_line_is_cut)
{
	struct proxy proxy;
	int gate, accepted;
	rmq c;

	broker_open();
	proxy_start(&proxy, broker_port());
	start(&relay,
	    broker_url_of("guest", "guest", proxy.port, broker_vhost()));
	gate = gate_make(&d);
	c = rmq_open();
	rmq_require_consumers(&d, c, "gate", 1);
	for (int i = 0; i < 4; i++)
		rmq_post_text(c, "gate", i % 2 == 0 ? "even" : "odd", "%d", i);
	rmq_require_ready(&d, c, "gate", 2);
	accepted = proxy.accepted;
	proxy_cut(&proxy);
	/* it is delivered again, on other connections */
	proxy_await(&proxy, accepted + 3);
	rmq_require_consumers(&d, c, "gate", 1);
	rmq_require_ready(&d, c, "gate", 2);
	/* two ids: two calls */
	gate_let(gate, 2);
	rmq_require_ready(&d, c, "gate", 0);
	desk_require_queue(&d, "gate", "unacked", 0);
	close(gate);
	rmq_close(c);
	daemon_stop(&d);
	proxy_stop(&proxy);
}
END_TEST

/* The connection stands and nothing comes through: only heartbeats tell. */
START_TEST(a_half_open_connection)
{
	struct proxy proxy;

	broker_open();
	proxy_start(&proxy, broker_port());
	start(&relay,
	    broker_url_of("guest", "guest", proxy.port, broker_vhost()));
	post("q", 1);
	require_all(1, 0);
	proxy_set(&proxy, PROXY_MUTE);
	broker_require_note(&d, true,
	    "(heartbeat|sign of life|answer|[Tt]imed? ?out|silent)");
	publish("", "out", 1);
	proxy_cut(&proxy);
	proxy_set(&proxy, PROXY_PASSES);
	post("q", 2);
	require_all(2, 1);
	daemon_stop(&d);
	proxy_stop(&proxy);
}
END_TEST

/* ---------------------------------------------------------- its topology */

START_TEST(the_queue_is_deleted_under_its_consumer)
{
	rmq c;

	broker_open();
	start(&relay, NULL);
	c = rmq_open();
	rmq_require_consumers(&d, c, "q", 1);
	for (int i = 1; i <= 3; i++) {
		rmq_drop_queue(c, "q");
		/* it is declared anew, and consumed */
		rmq_require_consumers(&d, c, "q", 1);
		rmq_post_text(c, "q", NULL, "%d", i);
		desk_require_number(&d, "n:q", i);
	}
	rmq_close(c);
	daemon_stop(&d);
}
END_TEST

static const struct daemon_conf of_others = {
	.module = { "hello", "hubtest", "messages" },
	.amqp = FAST
	"exchanges = ( { name = \"theirs\"; passive = true; },"
	"  { name = \"ours\"; type = \"fanout\"; } );"
	"queues = ( { name = \"q\"; handler = \"messages.record\"; bind = ("
	"    { exchange = \"ours\"; } ); },"
	"  { name = \"lent\"; handler = \"messages.record\";"
	"    passive = true; } );",
};

START_TEST(what_others_declare_is_not_there_yet)
{
	rmq c;

	c = rmq_start(&d, &of_others, "q", 1);
	broker_require_note(&d, true, "(theirs|lent)");
	/* the rest works; and this waits */
	publish("theirs", "k", 1);
	publish("ours", "", 2);
	desk_require_number(&d, "n:q", 1);
	rmq_exchange(c, "theirs", "direct");
	rmq_queue(c, "late", NULL);
	rmq_bind(c, "late", "theirs", "k");
	broker_require_note(&d, true, "lent");
	rmq_queue(c, "lent", NULL);
	rmq_require_consumers(&d, c, "lent", 1);
	rmq_post_text(c, "lent", NULL, "3");
	desk_require_number(&d, "n:lent", 1);
	broker_require_note(&d, false, "^connected");
	rmq_close(c);
	daemon_stop(&d);
}
END_TEST

START_TEST(an_exchange_ceases_to_be)
{
	struct letter letter;
	int last;
	rmq c;

	broker_open();
	broker_service(&d, &of_others, NULL);
	c = rmq_open();
	rmq_queue(c, "lent", NULL);
	rmq_exchange(c, "theirs", "direct");
	rmq_queue(c, "late", NULL);
	rmq_bind(c, "late", "theirs", "k");
	broker_require_note(&d, false, "^connected");
	publish("theirs", "k", 1);
	rmq_require_ready(&d, c, "late", 1);
	rmq_drop_exchange(c, "theirs");
	publish("theirs", "k", 2);
	broker_require_note(&d, true, "theirs");
	publish("ours", "", 3);
	desk_require_number(&d, "n:q", 1);
	rmq_exchange(c, "theirs", "direct");
	rmq_bind(c, "late", "theirs", "k");
	broker_require_note(&d, false, "^connected");
	publish("theirs", "k", 4);
	/* the second was there as well, or was returned before the binding */
	do {
		rmq_await(&d, c, "late", &letter);
		last = atoi(letter.text);
		rmq_free(&letter);
	} while (last != 4);
	rmq_close(c);
	daemon_stop(&d);
}
END_TEST

START_TEST(a_queue_that_is_there_with_other_arguments)
{
	amqp_table_entry_t entry = { amqp_cstring_bytes("x-max-priority"),
		{ .kind = AMQP_FIELD_KIND_I32, .value.i32 = 7 } };
	amqp_table_t table = { 1, &entry };
	rmq c;

	broker_open();
	c = rmq_open();
	rmq_queue(c, "q", &table);
	broker_service(&d, &relay, NULL);
	broker_require_note(&d, true, "\"q\".*x-(max-priority|dead-letter)");
	/* the others do their work */
	rmq_require_consumers(&d, c, "gate", 1);
	publish("", "out", 1);
	rmq_require_ready(&d, c, "out", 1);
	/* and so does this one, once somebody has removed it */
	rmq_drop_queue(c, "q");
	rmq_require_consumers(&d, c, "q", 1);
	broker_require_note(&d, false, "^connected");
	rmq_close(c);
	daemon_stop(&d);
}
END_TEST

START_TEST(an_exchange_of_another_type)
{
	rmq c;

	broker_open();
	c = rmq_open();
	rmq_exchange(c, "ours", "topic");
	rmq_exchange(c, "theirs", "direct");
	rmq_queue(c, "lent", NULL);
	broker_service(&d, &of_others, NULL);
	broker_require_note(&d, true, "\"ours\".*(fanout|topic)");
	rmq_require_consumers(&d, c, "q", 1);
	rmq_close(c);
	daemon_stop(&d);
}
END_TEST

int
main(int argc, char *argv[])
{
	const struct suite_case cases[] = {
		CASE_MEMORY(the_broker_goes_and_comes_back),
		CASE(the_broker_is_stopped_in_its_tracks),
		CASE(what_runs_when_the_line_is_cut),
		CASE_MEMORY(a_half_open_connection),
		CASE(the_queue_is_deleted_under_its_consumer),
		CASE(what_others_declare_is_not_there_yet),
		CASE(an_exchange_ceases_to_be),
		CASE_MEMORY(a_queue_that_is_there_with_other_arguments),
		CASE(an_exchange_of_another_type),
	};

	(void)argc;
	broker_main(argv, sizeof(cases) / sizeof(cases[0]));
	return SUITE_RUN("amqp_lost", cases);
}
