/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_amqp_ahead - quick messages are given to busy workers in advance, and a
 * long one among them holds up nobody but its own worker; what was done before
 * it is told of, whatever it does.
 */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
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

#define QUICK 300 /* enough of them for the queue to be known as quick */
#define ROUNDS 4
#define AROUND 150 /* the one that matters */

static const struct daemon_conf mixed = {
	.module = { "hello", "hubtest" },
	.modules = MODULE_GATE_WITH("notes = \"$DIR/notes\";"),
	.route = { ROUTE("GET", "/hello", "hello.hello") },
	.task_workers = "start = 2; min_spare = 0; max_spare = 2; max = 2;",
	.amqp = "broker = \"$BROKER\"; refresh = 0.2; prefetch = 100;"
		"queues = ( { name = \"mix\"; handler = \"gate.some\";"
		"  backoff_min = 0.001; backoff_max = 0.001; },"
		"  { name = \"notes\"; handler = \"gate.note\";"
		"  max_attempts = 1; } );",
};

static struct daemon d;
static rmq c;
static int gate, notes;

static int
notes_make(void)
{
	char *path = text_format("%s/notes", d.dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fchmod(fd, 0666), 0);
	free(path);
	return fd;
}

/* How often gate.note has run. */
static long
noted(void)
{
	struct stat st;

	ck_assert_int_eq(fstat(notes, &st), 0);
	return (long)st.st_size;
}

static bool
noted_so_often(void *ctx)
{
	return noted() >= *(long *)ctx;
}

/* It has, and no more often. */
static void
require_noted(long n)
{
	if (!proc_until(d.pidfd, noted_so_often, &n))
		ck_abort_msg("gate.note has run %ld times, not %ld", noted(),
		    n);
	ck_assert_int_eq(noted(), n);
}

static void
start(void)
{
	c = rmq_start(&d, &mixed, "mix", 1);
	rmq_require_consumers(&d, c, "notes", 1);
	gate = gate_make(&d);
	notes = notes_make();
}

static void
stop(void)
{
	close(gate);
	close(notes);
	rmq_close(c);
	daemon_stop(&d);
}

static void
post_to(const char *queue, const char *body, int n)
{
	for (int i = 0; i < n; i++)
		rmq_post_text(c, queue, NULL, "%s", body);
}

static void
post(const char *body, int n)
{
	post_to("mix", body, n);
}

/* All is done but so many, which have begun. */
static void
require_left_in(const char *queue, int n)
{
	rmq_flush(c);
	rmq_require_ready(&d, c, queue, 0);
	desk_require_queue(&d, queue, "unacked", n);
}

static void
require_left(int n)
{
	require_left_in("mix", n);
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

static void
post_around(const char *body)
{
	post_to("notes", "false", AROUND);
	post_to("notes", body, 1);
	post_to("notes", "false", AROUND);
}

/* Those before a long one are acknowledged while it lasts. */
START_TEST(a_long_one_keeps_nothing_secret)
{
	start();
	post_to("notes", "false", QUICK);
	require_noted(QUICK);
	for (int i = 0; i < ROUNDS; i++) {
		post_around("true");
		require_noted(QUICK + (i + 1) * (2 * AROUND + 1));
		require_left_in("notes", 1);
		gate_let(gate, 1);
		require_left_in("notes", 0);
	}
	ck_assert_int_eq(noted(), QUICK + ROUNDS * (2 * AROUND + 1));
	stop();
}
END_TEST

/* Those before one that crashes are done once, as are those behind it. */
START_TEST(a_crash_keeps_nothing_secret)
{
	start();
	post_to("notes", "false", QUICK);
	require_noted(QUICK);
	for (int i = 0; i < ROUNDS; i++) {
		post_around("null");
		require_noted(QUICK + (i + 1) * (2 * AROUND + 1));
	}
	rmq_require_ready(&d, c, "notes.dead", ROUNDS);
	require_left_in("notes", 0);
	ck_assert_int_eq(noted(), QUICK + ROUNDS * (2 * AROUND + 1));
	stop();
}
END_TEST

int
main(int argc, char *argv[])
{
	const struct suite_case cases[] = {
		CASE(a_long_one_holds_up_nobody),
		CASE(a_worker_dies_with_some_in_advance),
		CASE(a_long_one_keeps_nothing_secret),
		CASE(a_crash_keeps_nothing_secret),
	};

	(void)argc;
	broker_main_shared(argv, sizeof(cases) / sizeof(cases[0]));
	return SUITE_RUN("amqp_ahead", cases);
}
