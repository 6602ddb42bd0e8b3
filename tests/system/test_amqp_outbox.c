/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_amqp_outbox - faults in mid-stream while thousands are published: hubs
 * and children that die, an exchange and a queue that are deleted, a queue that
 * is full, an exchange that is refused. Nothing is lost, and order is kept.
 */
#include <check.h>
#include <poll.h>
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
#include "lib/proc.h"
#include "lib/rmq.h"
#include "lib/suite.h"
#include "lib/text.h"

#define BATCH 100
#define SMALL 10
#define RELOADS 10

#define FAST "timeout = 2.0; heartbeat = 2.0;" KEEN
#define KEEN                    \
	"broker = \"$BROKER\";" \
	"reconnect_min = 0.02; reconnect_max = 0.2; refresh = 0.2;"

#define TOPOLOGY                                                    \
	"exchanges = ( { name = \"x\"; } );"                        \
	"queues = ( { name = \"out\"; bind = ( { exchange = \"x\";" \
	"    key = \"k\"; } ); },"                                  \
	"  { name = \"small\"; max_length = 10; },"                 \
	"  { name = \"q\"; handler = \"messages.record\"; } );"

static struct daemon d;
static rmq c;

static const struct daemon_conf publishing = {
	.module = { "hello", "hubtest", "messages" },
	.service = "respawn_min_delay = 0.001; respawn_max_delay = 0.1;"
		   "respawn_young = 0.0; respawn_hold = 1000;",
	.route = { ROUTE("POST", "/script", "hubtest.script") },
	.amqp = FAST TOPOLOGY,
};

/* A drain waits for the broker for that long. */
static const struct daemon_conf patient = {
	.module = { "hello", "hubtest", "messages" },
	.service = "stop_timeout = 60.0; heartbeat_timeout = 60.0;",
	.route = { ROUTE("POST", "/script", "hubtest.script") },
	.amqp = "timeout = 50.0;" KEEN TOPOLOGY,
};

static void
start_with(const struct daemon_conf *conf)
{
	c = rmq_start(&d, conf, "q", 1);
}

static void
start(void)
{
	start_with(&publishing);
}

static void
stop(void)
{
	rmq_close(c);
	daemon_stop(&d);
}

/* These numbers, in one call. */
static void
publish(const char *exchange, const char *key, int from, int n)
{
	json_t *steps = json_array();
	char *body;

	for (int i = from; i < from + n; i++)
		json_array_append_new(steps,
		    json_pack("{s:s,s:s,s:s,s:i}", "do", "publish", "exchange",
			exchange, "key", key, "body", i));
	body = json_dumps(steps, JSON_COMPACT);
	json_decref(steps);
	ck_assert_int_eq(http_status(&d, "/script", body), 200);
	free(body);
}

/* The queue has 0 … n - 1 in this order; some of them again, later (`twice`),
 * or not. */
static void
require_stream(const char *queue, int n, bool twice)
{
	struct letter letter;
	int next = 0, number;

	while (rmq_take(c, queue, &letter)) {
		number = atoi(letter.text);
		rmq_free(&letter);
		ck_assert_msg(number <= next, "%d comes before %d", number,
		    next);
		ck_assert_msg(twice || number == next, "%d comes twice",
		    number);
		next += number == next;
	}
	ck_assert_int_eq(next, n);
}

/* The queue gets 0 … n - 1, each once; what was held comes later. */
static void
require_each(const char *queue, int n)
{
	bool *seen = calloc((size_t)n, sizeof(*seen));
	struct letter letter;
	int number;

	for (int i = 0; i < n; i++) {
		rmq_await(&d, c, queue, &letter);
		number = atoi(letter.text);
		ck_assert(number >= 0 && number < n && !seen[number]);
		seen[number] = true;
		rmq_free(&letter);
	}
	free(seen);
	desk_require_outbox(&d, "messages", 0);
	ck_assert(!rmq_take(c, queue, &letter));
}

/* The child that publishes knows what is under way, whatever hub asks. */
START_TEST(hubs_die)
{
	start();
	for (int i = 0; i < 20; i++) {
		publish("x", "k", i * BATCH, BATCH);
		if (i % 4 == 1)
			ctl_kill(&d, "hub");
	}
	desk_require_outbox(&d, "messages", 0);
	require_stream("out", 20 * BATCH, false);
	stop();
}
END_TEST

START_TEST(children_die)
{
	start();
	for (int i = 0; i < 20; i++) {
		publish("x", "k", i * BATCH, BATCH);
		if (i % 4 == 1)
			ctl_kill(&d, "amqp");
	}
	desk_require_outbox(&d, "messages", 0);
	require_stream("out", 20 * BATCH, true);
	stop();
}
END_TEST

/* What is under way is waited for by the hub that sent it and by the child that
 * has it. */
START_TEST(reloads_send_nothing_twice)
{
	int n = 0;

	start_with(&patient);
	for (int i = 0; i < RELOADS; i++) {
		int fd = raw_connect_unix(d.socket);
		struct pollfd p = { .fd = fd, .events = POLLIN };
		json_t *answer;

		ck_assert(raw_text(fd, "{\"cmd\":\"reload\",\"args\":[]}\n"));
		while (poll(&p, 1, 0) == 0) {
			publish("x", "k", n, BATCH);
			n += BATCH;
		}
		answer = ctl_read(fd);
		ck_assert_msg(ctl_int(answer, "code") == 0, "reload: %s",
		    ctl_text(answer, "message"));
		json_decref(answer);
		close(fd);
	}
	desk_require_outbox(&d, "messages", 0);
	require_stream("out", n, false);
	stop();
}
END_TEST

START_TEST(the_exchange_is_deleted)
{
	start();
	for (int i = 0; i < 20; i++) {
		publish("x", "k", i * BATCH, BATCH);
		if (i % 8 == 7)
			rmq_drop_exchange(c, "x");
	}
	desk_require_outbox(&d, "messages", 0);
	/* what came before its binding was there again had no queue, and was
	 * reported; so look at whatever is behind the last one */
	ck_assert(rmq_ready(c, "out") > 0);
	broker_require_note(&d, false, "^connected");
	publish("x", "k", 0, 1);
	desk_require_outbox(&d, "messages", 0);
	stop();
}
END_TEST

/* To a queue of ours: it is declared again, and nothing was lost. */
START_TEST(the_queue_is_deleted)
{
	start();
	rmq_drop_queue(c, "out");
	publish("", "out", 0, BATCH);
	require_each("out", BATCH);
	stop();
}
END_TEST

/* What has no place waits, and others go on meanwhile. */
START_TEST(the_queue_is_full)
{
	start();
	publish("", "small", 0, BATCH);
	desk_require_outbox(&d, "held", BATCH - SMALL);
	broker_require_note(&d, true, "held.*full");
	publish("x", "k", 0, BATCH);
	rmq_require_ready(&d, c, "out", BATCH);
	require_each("small", BATCH);
	broker_require_note(&d, false, "^connected");
	stop();
}
END_TEST

/* One that the broker refuses is found, and does not stop the others. */
START_TEST(an_exchange_is_refused)
{
	start();
	free(broker_ctl("set_permissions", "-p", broker_vhost(), "guest", ".*",
	    "^(amq.default|out)$", ".*", NULL));
	publish("x", "k", 0, BATCH);
	desk_require_outbox(&d, "held", BATCH);
	broker_require_note(&d, true, "");
	publish("", "out", 0, BATCH);
	rmq_require_ready(&d, c, "out", BATCH);
	free(broker_ctl("set_permissions", "-p", broker_vhost(), "guest", ".*",
	    ".*", ".*", NULL));
	desk_require_outbox(&d, "messages", 0);
	rmq_require_ready(&d, c, "out", 2 * BATCH);
	stop();
}
END_TEST

int
main(int argc, char *argv[])
{
	const struct suite_case cases[] = {
		CASE_MEMORY(hubs_die),
		CASE(children_die),
		CASE(reloads_send_nothing_twice),
		CASE_MEMORY(the_exchange_is_deleted),
		CASE(the_queue_is_deleted),
		CASE(the_queue_is_full),
		CASE(an_exchange_is_refused),
	};

	(void)argc;
	broker_main_shared(argv, sizeof(cases) / sizeof(cases[0]));
	return SUITE_RUN("amqp_outbox", cases);
}
