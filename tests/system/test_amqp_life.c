/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_amqp_life - amqp children that stop, reload, die or are several, with
 * messages in hand; and queues of other kinds.
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

#define ON_BROKER                              \
	"broker = \"$BROKER\"; refresh = 0.2;" \
	"reconnect_min = 0.02; reconnect_max = 0.2;"
#define GATE_QUEUE "{ name = \"gate\"; handler = \"gate.pass\"; prefetch = 3; }"
#define ONE_WORKER "start = 1; min_spare = 0; max_spare = 1; max = 1;"

static struct daemon d;
static rmq c;

static const struct daemon_conf gated = {
	.module = { "hello", "hubtest", "messages" },
	.modules = MODULE_GATE,
	.route = { ROUTE("GET", "/hello", "hello.hello") },
	.task_workers = ONE_WORKER,
	.amqp = ON_BROKER
	"queues = (" GATE_QUEUE ","
	"  { name = \"q\"; handler = \"messages.record\"; } );",
};

static void
start(const struct daemon_conf *conf, const char *queue, int consumers)
{
	c = rmq_start(&d, conf, queue, consumers);
}

static void
stop(void)
{
	rmq_close(c);
	daemon_stop(&d);
}

static void
post_to_gate(int n)
{
	char id[16];

	for (int i = 0; i < n; i++) {
		snprintf(id, sizeof(id), "m-%d", i);
		rmq_post_text(c, "gate", id, "%d", i);
	}
	rmq_flush(c);
}

START_TEST(a_stop_finishes_what_was_taken)
{
	int gate;

	start(&gated, "gate", 1);
	gate = gate_make(&d);
	post_to_gate(5);
	rmq_require_ready(&d, c, "gate", 2);
	kill(d.pid, SIGTERM);
	/* nothing more is taken */
	rmq_require_consumers(&d, c, "gate", 0);
	gate_let(gate, 3);
	ck_assert_int_eq(daemon_wait(&d), 0);
	daemon_require_clean(&d);
	rmq_require_ready(&d, c, "gate", 2);
	close(gate);
	rmq_close(c);
	daemon_release(&d);
}
END_TEST

static const struct daemon_conf impatient = {
	.module = { "hello", "hubtest", "messages" },
	.modules = MODULE_GATE,
	.route = { ROUTE("GET", "/hello", "hello.hello") },
	.service = "stop_timeout = 1.0; kill_grace = 0.2;",
	.task_workers = ONE_WORKER,
	.amqp = ON_BROKER "queues = (" GATE_QUEUE " );",
};

/* What is not finished in time is the broker's again. */
START_TEST(a_stop_gives_back_the_rest)
{
	int gate;

	start(&impatient, "gate", 1);
	gate = gate_make(&d);
	post_to_gate(5);
	rmq_require_ready(&d, c, "gate", 2);
	kill(d.pid, SIGTERM);
	daemon_wait(&d);
	daemon_require_no_child(&d);
	rmq_require_ready(&d, c, "gate", 5);
	close(gate);
	rmq_close(c);
	daemon_release(&d);
}
END_TEST

START_TEST(a_reload_changes_queues)
{
	struct daemon_conf other = gated;
	int gate;

	start(&gated, "q", 1);
	gate = gate_make(&d);
	post_to_gate(1);
	rmq_require_ready(&d, c, "gate", 0);
	other.amqp = ON_BROKER
	    "queues = (" GATE_QUEUE ","
	    "  { name = \"r\"; handler = \"messages.record\"; } );";
	daemon_configure(&d, &other);
	/* what runs is not in its way */
	ctl_reload(&d);
	rmq_require_consumers(&d, c, "r", 1);
	rmq_require_consumers(&d, c, "q", 0);
	gate_let(gate, 1);
	rmq_require_consumers(&d, c, "gate", 1);
	desk_require_queue(&d, "gate", "unacked", 0);
	rmq_require_ready(&d, c, "gate", 0);
	rmq_post_text(c, "r", NULL, "1");
	desk_require_number(&d, "n:r", 1);
	close(gate);
	stop();
}
END_TEST

/* ------------------------------------------------------------------- deaths */

/* The message is delivered again while its handler runs: one call, one ack. */
START_TEST(a_child_dies_with_messages_in_hand)
{
	static const char *const roles[] = { "amqp", "hub", "amqp" };
	char id[16];
	int gate, number = 0;

	start(&gated, "gate", 1);
	gate = gate_make(&d);
	for (int i = 0; i < 3; i++) {
		for (int k = 0; k < 3; k++) {
			snprintf(id, sizeof(id), "m-%d", number++);
			rmq_post_text(c, "gate", id, "1");
		}
		rmq_require_ready(&d, c, "gate", 0);
		desk_require_queue(&d, "gate", "unacked", 3);
		ctl_kill(&d, roles[i]);
		/* delivered again, or asked about again */
		rmq_require_consumers(&d, c, "gate", 1);
		desk_require_queue(&d, "gate", "unacked", 3);
		gate_let(gate, 3);
		desk_require_queue(&d, "gate", "unacked", 0);
		rmq_require_ready(&d, c, "gate", 0);
		/* one call too many would wait there still */
		rmq_post_text(c, "q", NULL, "1");
		desk_require_number(&d, "n:q", i + 1);
	}
	close(gate);
	stop();
}
END_TEST

static const struct daemon_conf counting = {
	.module = { "hello", "kills" },
	.service = "respawn_min_delay = 0.001; respawn_max_delay = 0.1;"
		   "respawn_young = 0.0; respawn_hold = 1000;",
	.task_workers = "start = 2; min_spare = 0; max_spare = 2; max = 2;",
	.log = "level = \"info\";",
	.amqp = ON_BROKER
	"prefetch = 2000;"
	"queues = ( { name = \"count\"; handler = \"kills.count\"; } );",
};

struct passed {
	long at_least;
};

static bool
has_counted(void *ctx)
{
	return desk_number(&d, "counted") >= ((struct passed *)ctx)->at_least;
}

START_TEST(a_child_dies_with_thousands_in_flight)
{
	char id[16];
	int n = 5000;

	start(&counting, "count", 1);
	for (int i = 0; i < n; i++) {
		snprintf(id, sizeof(id), "m-%d", i);
		rmq_post_text(c, "count", id, "{}");
	}
	for (int i = 0; i < 4; i++) {
		struct passed passed = { i * n / 5 + 1 };

		ck_assert(proc_until(d.pidfd, has_counted, &passed));
		ctl_kill(&d, "amqp");
		rmq_require_consumers(&d, c, "count", 1);
	}
	desk_require_number(&d, "counted", n);
	rmq_require_ready(&d, c, "count", 0);
	desk_require_queue(&d, "count", "unacked", 0);
	ck_assert_int_eq(desk_number(&d, "counted"), n);
	stop();
}
END_TEST

/* The broker's patience with consumers ends: the channel is closed, and the
 * message comes again while its handler runs. With an id it is done once. */
START_TEST(a_handler_that_takes_longer_than_the_broker_waits)
{
	int gate;

	broker_open();
	free(broker_eval("application:set_env(rabbit, consumer_timeout, 500),"
			 "application:set_env(rabbit, channel_tick_interval, "
			 "200)."));
	broker_service(&d, &gated, NULL);
	free(broker_eval("application:set_env(rabbit, consumer_timeout, "
			 "1800000)."));
	c = rmq_open();
	rmq_require_consumers(&d, c, "gate", 1);
	gate = gate_make(&d);
	rmq_post_text(c, "gate", "m-1", "1");
	free(daemon_await_line(&d, NULL,
	    "warning amqp.*consumer_timeout \\(500 ms\\)"));
	broker_require_note(&d, true,
	    "consumer_timeout \\(500 ms\\).*raise.*connected to");
	rmq_require_consumers(&d, c, "gate", 1);
	desk_require_queue(&d, "gate", "unacked", 1);
	/* a second call would wait there for ever */
	gate_let(gate, 1);
	desk_require_queue(&d, "gate", "unacked", 0);
	rmq_require_ready(&d, c, "gate", 0);
	rmq_post_text(c, "q", NULL, "1");
	desk_require_number(&d, "n:q", 1);
	close(gate);
	stop();
}
END_TEST

/* -------------------------------------------------------------- other kinds */

static const struct daemon_conf kinds = {
	.module = { "hello", "hubtest", "messages" },
	.tasks = "backoff_min = 0.02; backoff_max = 0.05; max_attempts = 2;",
	.amqp = ON_BROKER
	"children = 3;"
	"queues = ( { name = \"quorum\"; handler = \"messages.second\";"
	"    type = \"quorum\"; },"
	"  { name = \"plain\"; handler = \"messages.second\"; plain = true; },"
	"  { name = \"lazy\"; handler = \"messages.second\";"
	"    arguments = { x-queue-mode = \"lazy\"; }; },"
	"  { name = \"refuses\"; handler = \"messages.refuse\";"
	"    type = \"quorum\"; } );",
};

START_TEST(queues_of_all_kinds)
{
	static const char *const names[] = { "quorum", "plain", "lazy" };
	struct letter letter;
	char key[32];

	broker_open();
	c = rmq_open();
	/* as the reference's programs do, before or after us */
	rmq_queue(c, "plain", NULL);
	broker_service(&d, &kinds, NULL);
	for (size_t i = 0; i < 3; i++) {
		rmq_require_consumers(&d, c, names[i], 3);
		rmq_post_text(c, names[i], "m-1", "1");
		snprintf(key, sizeof(key), "n:%s", names[i]);
		desk_require_number(&d, key, 1);
		rmq_require_ready(&d, c, names[i], 0);
	}
	rmq_queue(c, "plain", NULL);
	rmq_require_consumers(&d, c, "refuses", 3);
	rmq_post_text(c, "refuses", "m-1", "1");
	rmq_await(&d, c, "refuses.dead", &letter);
	ck_assert_str_eq(rmq_header(&letter, "x-death-reason"), "rejected");
	rmq_free(&letter);
	broker_require_note(&d, false, "^connected");
	stop();
}
END_TEST

int
main(int argc, char *argv[])
{
	const struct suite_case cases[] = {
		CASE_MEMORY(a_stop_finishes_what_was_taken),
		CASE(a_stop_gives_back_the_rest),
		CASE_MEMORY(a_reload_changes_queues),
		CASE(a_child_dies_with_messages_in_hand),
		CASE(a_child_dies_with_thousands_in_flight),
		CASE(a_handler_that_takes_longer_than_the_broker_waits),
		CASE(queues_of_all_kinds),
	};

	(void)argc;
	broker_main(argv, sizeof(cases) / sizeof(cases[0]));
	return SUITE_RUN("amqp_life", cases);
}
