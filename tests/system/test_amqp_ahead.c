/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_amqp_ahead - quick messages are given to busy workers in advance, and a
 * long one among them holds up nobody but its own worker.
 */
#include <check.h>
#include <signal.h>
#include <unistd.h>

#include "lib/broker.h"
#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/desk.h"
#include "lib/gate.h"
#include "lib/rmq.h"
#include "lib/suite.h"

#define QUICK 300 /* enough of them for the queue to be known as quick */
#define ROUNDS 10

static const struct daemon_conf mixed = {
	.module = { "hello", "hubtest" },
	.modules = MODULE_GATE,
	.route = { ROUTE("GET", "/hello", "hello.hello") },
	.task_workers = "start = 2; min_spare = 0; max_spare = 2; max = 2;",
	.amqp = "broker = \"$BROKER\"; refresh = 0.2; prefetch = 100;"
		"queues = ( { name = \"mix\"; handler = \"gate.some\";"
		"  backoff_min = 0.001; backoff_max = 0.001; } );",
};

static struct daemon d;
static rmq c;
static int gate;

static void
start(void)
{
	broker_open();
	broker_service(&d, &mixed, NULL);
	c = rmq_open();
	rmq_require_consumers(&d, c, "mix", 1);
	gate = gate_make(&d);
}

static void
stop(void)
{
	close(gate);
	rmq_close(c);
	daemon_stop(&d);
}

static void
post(const char *body, int n)
{
	for (int i = 0; i < n; i++)
		rmq_post_text(c, "mix", NULL, "%s", body);
}

/* All is done but so many, which have begun. */
static void
require_left(int n)
{
	rmq_require_ready(&d, c, "mix", 0);
	desk_require_queue(&d, "mix", "unacked", n);
}

START_TEST(a_long_one_holds_up_nobody)
{
	start();
	post("false", QUICK);
	require_left(0);
	for (int i = 0; i < ROUNDS; i++) {
		post("true", 1);
		post("false", QUICK);
		desk_require_number(&d, "some:false", (i + 2) * QUICK);
		require_left(1);
		gate_let(gate, 1);
		require_left(0);
	}
	ck_assert_int_eq(desk_number(&d, "some:true"), ROUNDS);
	ck_assert_int_eq(desk_number(&d, "some:false"), (ROUNDS + 1) * QUICK);
	stop();
}
END_TEST

/* Those behind it are not begun, and it is no attempt of theirs. */
START_TEST(a_worker_dies_with_some_in_advance)
{
	start();
	post("false", QUICK);
	require_left(0);
	for (int i = 0; i < ROUNDS; i++) {
		post("true", 1);
		post("false", QUICK);
		desk_require_number(&d, "some:true", 2 * i + 1);
		kill((pid_t)desk_number(&d, "some:pid"), SIGKILL);
		/* it begins anew */
		desk_require_number(&d, "some:true", 2 * i + 2);
		gate_let(gate, 1);
		require_left(0);
	}
	ck_assert_int_eq(desk_number(&d, "some:false"), (ROUNDS + 1) * QUICK);
	stop();
}
END_TEST

int
main(int argc, char *argv[])
{
	const struct suite_case cases[] = {
		CASE(a_long_one_holds_up_nobody),
		CASE(a_worker_dies_with_some_in_advance),
	};

	(void)argc;
	broker_main(argv, sizeof(cases) / sizeof(cases[0]));
	return SUITE_RUN("amqp_ahead", cases);
}
