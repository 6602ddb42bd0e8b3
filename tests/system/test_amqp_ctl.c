/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_amqp_ctl - the operator and a broker's queues: status, queues, publish,
 * dead, retry, purge and scale, as text and as JSON.
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
#include "lib/proc.h"
#include "lib/rmq.h"
#include "lib/suite.h"
#include "lib/text.h"

static struct daemon d;
static rmq c;

#define CONF_OF(broker, handler)                                               \
	{                                                                      \
		.module = { "hello", "hubtest", "messages" },                  \
		.modules = MODULE_GATE,                                        \
		.route = { ROUTE("GET", "/hello", "hello.hello") },            \
		.tasks = "backoff_min = 0.02; backoff_max = 0.05;"             \
			 "max_attempts = 2;",                                  \
		.task_workers = "start = 3; max = 3;",                         \
		.amqp = broker "refresh = 0.2;"                                \
			       "exchanges = ( { name = \"x\"; },"              \
			       "  { name = \"lonely\"; } );"                   \
			       "queues = ("                                    \
			       "  { name = \"gate\"; handler = \"gate.pass\";" \
			       "    prefetch = 2; },"                          \
			       "  { name = \"work\"; handler = \"" handler     \
			       "\"; bind = ( { exchange = \"x\";"              \
			       "      key = \"k\"; } ); },"                    \
			       "  { name = \"parked\"; },"                     \
			       "  { name = \"short\"; ttl = 0.05; },"          \
			       "  { name = \"killed\";"                        \
			       "    handler = \"messages.killed\"; } );",      \
	}
#define CONF(handler) CONF_OF("broker = \"$BROKER\";", handler)

static const struct daemon_conf refusing = CONF("messages.refuse");
static const struct daemon_conf recording = CONF("messages.record");

static void
start(const struct daemon_conf *conf)
{
	c = rmq_start(&d, conf, "work", 1);
	rmq_require_consumers(&d, c, "gate", 1);
}

static void
stop(void)
{
	rmq_close(c);
	daemon_stop(&d);
}

/* One command: its exit status, and that its output matches each pattern.
 * Returns the output, to free. */
static char *
said(int status, const char *const patterns[3], const char *a, const char *b,
    const char *e)
{
	struct run run;
	char *out;

	ctl_run(&d, &run, a, b, e, NULL);
	out = text_format("%s%s", run.out, run.err);
	ck_assert_msg(run.status == status, "%s: status %d: %s", a, run.status,
	    out);
	for (int i = 0; i < 3 && patterns[i] != NULL; i++)
		text_require(a, out, patterns[i]);
	run_release(&run);
	return out;
}

#define RUN(status, a, b, e, ...) \
	free(said(status, (const char *const[3]){ __VA_ARGS__ }, a, b, e))

/* ------------------------------------------------------------ what is shown */

START_TEST(status_shows_the_connection)
{
	json_t *status, *row;

	start(&recording);
	broker_require_note(&d, false,
	    "connected to amqp://127\\.0\\.0\\.1:.*RabbitMQ.*3 queues");
	status = ctl_status(&d);
	row = ctl_row_of(status, "amqp", 0);
	ck_assert(json_is_false(json_object_get(row, "trouble")));
	json_decref(status);
	RUN(0, "status", NULL, NULL, "connected to amqp://127.0.0.1",
	    "outbox  0 messages of", "QUEUE ");
	RUN(0, "hub", NULL, NULL, "amqp    slot ", "connected to");
	/* what is wrong stands at the end of it, in words */
	broker_do("kill");
	broker_require_note(&d, true, "no broker");
	RUN(0, "status", NULL, NULL, ", amqp: no broker");
	RUN(1, "queues", NULL, NULL, "QUEUE ", "no broker", "UNACKED");
	RUN(0, "publish", "x", "k", "accepted: it is in the outbox");
	broker_do("start");
	broker_require_note(&d, false, "connected to");
	desk_require_number(&d, "n:work", 1);
	rmq_close(c);
	c = rmq_open();
	stop();
}
END_TEST

static void
require_row(const char *queue, const char *member, long wanted)
{
	desk_require_queue(&d, queue, member, wanted);
}

START_TEST(queues_show_what_the_broker_has)
{
	json_t *data;
	int gate;

	start(&refusing);
	gate = gate_make(&d);
	for (int i = 0; i < 5; i++)
		rmq_post_text(c, "gate", NULL, "%d", i);
	rmq_post_text(c, "parked", NULL, "1");
	rmq_post_text(c, "work", "m-1", "1");
	require_row("gate", "unacked", 2);
	require_row("gate", "ready", 3);
	require_row("gate", "running", 2);
	require_row("gate", "prefetch", 2);
	require_row("gate", "consumers", 1);
	require_row("parked", "ready", 1);
	require_row("parked", "consumers", 0);
	require_row("work", "dead", 1);
	require_row("work", "ready", 0);
	RUN(0, "queues", NULL, NULL, "READY  UNACKED  RUNNING", "parked",
	    "BOUND BY");
	RUN(0, "queues", "--json", NULL, "\"broker\":true", "\"unacked\":2");
	/* the sum of all that consume */
	RUN(0, "scale", "amqp", "2", "2 ready");
	rmq_require_consumers(&d, c, "gate", 2);
	require_row("gate", "unacked", 4);
	require_row("gate", "prefetch", 4);
	require_row("gate", "ready", 1);
	gate_let(gate, 5);
	require_row("gate", "unacked", 0);
	require_row("gate", "ready", 0);
	data = desk_data(&d, NULL, "queues", NULL);
	ck_assert_uint_eq(json_array_size(json_object_get(data, "exchanges")),
	    2);
	ck_assert_uint_eq(json_array_size(json_object_get(data, "bindings")),
	    1);
	json_decref(data);
	close(gate);
	stop();
}
END_TEST

/* What is told of it otherwise is as old as amqp.refresh. */
START_TEST(queues_show_this_moment)
{
	static const struct daemon_conf seldom = {
		.module = { "hello", "hubtest", "messages" },
		.modules = MODULE_GATE,
		.amqp = "broker = \"$BROKER\"; refresh = 600.0; queues = ("
			"  { name = \"gate\"; handler = \"gate.pass\"; },"
			"  { name = \"work\";"
			"    handler = \"messages.record\"; } );",
	};
	int gate;

	start(&seldom);
	gate = gate_make(&d);
	for (int i = 0; i < 5; i++) {
		rmq_post_text(c, "gate", NULL, "%d", i);
		require_row("gate", "running", 1);
		ck_assert_int_eq(desk_queue(&d, "gate", "unacked"), 1);
		gate_let(gate, 1);
		require_row("gate", "running", 0);
		require_row("gate", "unacked", 0);
	}
	close(gate);
	stop();
}
END_TEST

/* ------------------------------------------------------------------ publish */

START_TEST(publish_tells_what_became_of_it)
{
	struct run run;

	start(&recording);
	broker_require_note(&d, false, "connected to");
	RUN(0, "publish", "x", "k", "confirmed by the broker");
	desk_require_number(&d, "n:work", 1);
	RUN(0, "publish", "lonely", "k", "returned by the broker");
	ctl_run(&d, &run, "publish", "--mandatory", "lonely", "k", NULL);
	ck_assert_int_eq(run.status, 1);
	text_require("mandatory", run.err, "returned by the broker");
	run_release(&run);
	RUN(1, "publish", "nope", "k", "nope");
	stop();
}
END_TEST

/* -------------------------------------------------------------- dead, retry */

static void
reload(const struct daemon_conf *conf)
{

	daemon_configure(&d, conf);
	ctl_reload(&d);
}

START_TEST(dead_letters_are_listed_and_retried)
{
	json_t *data, *one;

	start(&refusing);
	rmq_post_text(c, "work", "m/1", "{\"n\":1}");
	rmq_post_text(c, "work", "m-2", "{\"n\":2}");
	rmq_post_text(c, "work", NULL, "{\"n\":3}");
	rmq_require_ready(&d, c, "work.dead", 3);
	RUN(0, "dead", NULL, NULL, "work/m/1", "work/m-2", "not this one");
	RUN(0, "dead", "gate", NULL, "there are none");
	RUN(0, "dead", "work", "--json", "\"name\":\"work/m-2\"");
	data = desk_data(&d, NULL, "dead", "work", NULL);
	ck_assert_uint_eq(json_array_size(json_object_get(data, "messages")),
	    3);
	one = json_array_get(json_object_get(data, "messages"), 0);
	ck_assert_str_eq(ctl_text(one, "reason"), "rejected");
	ck_assert_str_eq(ctl_text(one, "queue"), "work");
	ck_assert_str_ne(ctl_text(one, "host"), "");
	ck_assert_str_ne(ctl_text(one, "at"), "");
	ck_assert_int_eq(ctl_int(one, "attempts"), 1);
	json_decref(data);
	/* looking has changed nothing */
	rmq_require_ready(&d, c, "work.dead", 3);
	/* mended */
	reload(&recording);
	rmq_require_consumers(&d, c, "work", 1);
	RUN(1, "retry", "work/m-3", NULL, "there is no dead letter");
	RUN(0, "retry", "work/m/1", NULL, "published");
	desk_require_number(&d, "n:work", 1);
	rmq_require_ready(&d, c, "work.dead", 2);
	RUN(0, "retry", "all", NULL, "2 run again");
	desk_require_number(&d, "n:work", 3);
	rmq_require_ready(&d, c, "work.dead", 0);
	RUN(0, "dead", NULL, NULL, "there are none");
	stop();
}
END_TEST

START_TEST(a_signal_is_told)
{
	start(&refusing);
	rmq_post_text(c, "killed", "k-1", "1");
	rmq_post_text(c, "work", "m-1", "1");
	rmq_require_ready(&d, c, "killed.dead", 1);
	rmq_require_ready(&d, c, "work.dead", 1);
	RUN(0, "dead", "killed.dead", NULL, "killed/k-1", "SIGKILL");
	/* all of one queue, the other stays */
	RUN(0, "retry", "work/", NULL, "1 published");
	rmq_require_ready(&d, c, "killed.dead", 1);
	stop();
}
END_TEST

/* -------------------------------------------------------------------- purge */

START_TEST(purge_empties_a_queue)
{
	int gate;

	start(&refusing);
	gate = gate_make(&d);
	for (int i = 0; i < 7; i++)
		rmq_post_text(c, "gate", NULL, "%d", i);
	rmq_post_text(c, "work", "m-1", "1");
	require_row("gate", "ready", 5);
	rmq_require_ready(&d, c, "work.dead", 1);
	RUN(2, "purge", "gate", NULL, "no terminal to ask on");
	RUN(0, "purge", "gate", "--yes", "gate: 5 dropped");
	RUN(0, "purge", "work.dead", "--yes", "work.dead: 1 dropped");
	RUN(0, "purge", "parked", "--yes", "parked: 0 dropped");
	RUN(1, "purge", "nope", "--yes", "there is no queue 'nope'");
	RUN(0, "purge", "outbox", "--yes", "outbox: 0 dropped");
	require_row("gate", "ready", 0);
	require_row("gate", "unacked", 2);
	gate_let(gate, 2);
	require_row("gate", "unacked", 0);
	close(gate);
	stop();
}
END_TEST

/* As without a broker: what has waited too long is kept, handler or not. */
START_TEST(what_nobody_took_in_time_is_kept)
{
	start(&recording);
	rmq_post_text(c, "short", "m-1", "1");
	rmq_require_ready(&d, c, "short.dead", 1);
	RUN(0, "dead", NULL, NULL, "short/m-1", "expired");
	stop();
}
END_TEST

/* -------------------------------------------------------------------- scale */

START_TEST(children_come_and_go)
{
	start(&recording);
	RUN(0, "scale", "amqp", "3", "3 ready");
	rmq_require_consumers(&d, c, "work", 3);
	for (int i = 0; i < 50; i++)
		rmq_post_text(c, "work", NULL, "%d", i);
	RUN(0, "scale", "amqp", "0", "0 ready");
	rmq_require_consumers(&d, c, "work", 0);
	RUN(0, "publish", "x", "k", "accepted");
	RUN(1, "queues", NULL, NULL, "there is no amqp child");
	RUN(0, "scale", "amqp", "auto", "1 ready");
	rmq_require_consumers(&d, c, "work", 1);
	/* whoever had them, each was done once */
	desk_require_number(&d, "n:work", 51);
	rmq_require_ready(&d, c, "work", 0);
	stop();
}
END_TEST

/* ----------------------------------------------------------- ends and turns */

static bool
is_draining(json_t *status, void *ctx)
{
	json_t *row = ctl_row_of(status, "amqp", 0);

	(void)ctx;
	return row != NULL && strcmp(ctl_text(row, "state"), "draining") == 0;
}

/* Two messages are with handlers that do not end yet, and more wait. */
static int
start_with_work(const struct daemon_conf *conf)
{
	int gate;

	start(conf);
	gate = gate_make(&d);
	for (int i = 0; i < 5; i++)
		rmq_post_text(c, "gate", NULL, "%d", i);
	require_row("gate", "running", 2);
	rmq_require_ready(&d, c, "gate", 3);
	return gate;
}

/* What was delivered before the stop is done, and acknowledged, before the
 * end; the rest is the broker's. */
START_TEST(a_stop_finishes_what_was_delivered)
{
	int gate = start_with_work(&recording);

	ck_assert_int_eq(kill(d.pid, SIGTERM), 0);
	ctl_require(&d, "drains", is_draining, NULL);
	ck_assert_int_eq(rmq_consumers(c, "gate"), 0);
	gate_let(gate, 2);
	ck_assert_int_eq(daemon_wait(&d), 0);
	ck_assert_int_eq(rmq_ready(c, "gate"), 3);
	rmq_close(c);
	daemon_require_clean(&d);
	close(gate);
	daemon_release(&d);
}
END_TEST

/* One that does not end in time is the broker's again. */
START_TEST(a_stop_does_not_wait_for_ever)
{
	static const struct daemon_conf conf = {
		.module = { "hello" },
		.modules = MODULE_GATE,
		.service = "start_timeout = 60.0; stop_timeout = 0.5;"
			   "kill_grace = 0.1;",
		.task_workers = "start = 3; max = 3;",
		.amqp = "broker = \"$BROKER\"; queues = ( { name = \"gate\";"
			"  handler = \"gate.pass\"; prefetch = 2; },"
			"  { name = \"work\"; handler = \"gate.pass\"; } );",
	};
	int gate = start_with_work(&conf);

	ck_assert_int_eq(kill(d.pid, SIGTERM), 0);
	ck_assert_int_eq(daemon_wait(&d), 0);
	d.crashes = true;
	daemon_require_clean(&d);
	rmq_require_ready(&d, c, "gate", 5);
	rmq_close(c);
	close(gate);
	daemon_release(&d);
}
END_TEST

/* The new children consume while the old ones finish theirs. */
START_TEST(a_reload_finishes_what_was_delivered)
{
	int gate = start_with_work(&recording);

	reload(&refusing);
	ctl_require(&d, "drains", is_draining, NULL);
	rmq_require_consumers(&d, c, "gate", 1);
	/* each of them is with one worker, of either generation */
	rmq_require_ready(&d, c, "gate", 1);
	gate_let(gate, 5);
	require_row("gate", "unacked", 0);
	rmq_require_ready(&d, c, "gate", 0);
	require_row("gate", "running", 0);
	ctl_require_pool(&d, "amqp", "draining", 0, 0);
	ck_assert_int_eq(ctl_pool(&d, "amqp", "ready"), 1);
	close(gate);
	stop();
}
END_TEST

/* And where nobody is to consume any more: what waits for the pool's size is
 * told so. */
START_TEST(a_reload_that_leaves_the_broker)
{
	static const struct daemon_conf local = CONF_OF("", "messages.record");
	int gate = start_with_work(&recording), scale;
	json_t *answer;

	scale = raw_connect_unix(d.socket);
	ck_assert(
	    raw_text(scale, "{\"cmd\":\"scale\",\"args\":[\"amqp\",\"0\"]}\n"));
	ctl_require(&d, "drains", is_draining, NULL);
	reload(&local);
	answer = ctl_read(scale);
	text_require("scale", ctl_text(answer, "message"),
	    "a reload has taken the pool away");
	json_decref(answer);
	close(scale);
	rmq_require_consumers(&d, c, "gate", 0);
	gate_let(gate, 2);
	ctl_require_pool(&d, "amqp", "ready", -1, -1);
	RUN(0, "publish", "x", "k", "published");
	desk_require_number(&d, "n:work", 1);
	/* what was under way is the broker's again, and nobody's dead letter */
	rmq_require_ready(&d, c, "gate", 5);
	rmq_require_ready(&d, c, "gate.dead", 0);
	reload(&recording);
	rmq_require_consumers(&d, c, "gate", 1);
	gate_let(gate, 5);
	rmq_require_ready(&d, c, "gate", 0);
	require_row("gate", "unacked", 0);
	close(gate);
	stop();
}
END_TEST

int
main(int argc, char *argv[])
{
	const struct suite_case cases[] = {
		CASE(status_shows_the_connection),
		CASE(queues_show_what_the_broker_has),
		CASE(queues_show_this_moment),
		CASE(publish_tells_what_became_of_it),
		CASE(dead_letters_are_listed_and_retried),
		CASE(a_signal_is_told),
		CASE(what_nobody_took_in_time_is_kept),
		CASE(purge_empties_a_queue),
		CASE(children_come_and_go),
		CASE(a_stop_finishes_what_was_delivered),
		CASE(a_stop_does_not_wait_for_ever),
		CASE(a_reload_finishes_what_was_delivered),
		CASE(a_reload_that_leaves_the_broker),
	};

	(void)argc;
	broker_main(argv, sizeof(cases) / sizeof(cases[0]));
	return SUITE_RUN("amqp_ctl", cases);
}
