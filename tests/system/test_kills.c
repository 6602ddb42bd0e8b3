/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kill -9 of the hub, of task workers, of REST workers and of the master, again
 * and again, in the middle of work of all kinds; then what was accepted must
 * have been done, each thing once: see tests/modules/kills.c.
 *
 * A client that gets no answer does not know. So for each number N there is
 * what it was told (yes or nothing), and what the keys say. A job has an
 * idempotency key and is asked for until there is an answer.
 *
 * Normally some hundred numbers and tens of kills. KILLS=full: 10,000 jobs and
 * hundreds of kills. KILLS_SEED repeats a run, as far as the kernel's scheduler
 * allows.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/chance.h"
#include "lib/ctl.h"
#include "lib/desk.h"
#include "lib/http.h"
#include "lib/kills.h"
#include "lib/suite.h"
#include "lib/text.h"

#define CLIENTS 4

enum kind { SUBMIT, JOB, CALL, PLAIN, ADD, KINDS };
static const char *const paths[KINDS] = {
	[SUBMIT] = "/submit",
	[JOB] = "/job",
	[CALL] = "/call",
	[PLAIN] = "/plain",
	[ADD] = "/add",
};

static struct {
	struct kills kills;
	int numbers, times, master_every;
	int done_fd[2]; /* a byte for each number that is through */
} t;

/* ------------------------------------------------------------- the clients */

/* 0: it is not known what has become of it; -1: nobody listens. */
static int
ask(int number)
{
	bool is_job = number % KINDS == JOB;
	char *body = text_format("{\"n\":%d}", number);
	char *key = text_format("Idempotency-Key: k%d", number);
	struct ask ask = { .path = paths[number % KINDS],
		.body = body,
		.header = { "Content-Type: application/json",
		    is_job ? key : NULL } };
	struct reply reply;
	CURLcode rc = http_ask(&t.kills.daemon, &ask, &reply);
	int status = rc == CURLE_OK ? reply.status : 0;

	reply_release(&reply);
	free(body);
	free(key);
	return rc == CURLE_COULDNT_CONNECT ? -1 : status;
}

/* Until something is known, or may be: nothing is done twice by a client. */
static bool
ask_until_known(int number)
{
	int status;

	do {
		kills_await_service(&t.kills);
		status = ask(number);
		if (status >= 200 && status < 300)
			return true;
		ck_assert_msg(status <= 0 || status >= 500,
		    "seed %u: %s of %d is answered %d", t.kills.seed,
		    paths[number % KINDS], number, status);
	} while (status == -1 || number % KINDS == JOB);
	return false;
}

static bool
carry_out(int number)
{
	bool told = ask_until_known(number);

	ck_assert_int_eq(write(t.done_fd[1], "", 1), 1);
	return told;
}

/* --------------------------------------------------------------- the kills */

static void
kill_something(int i)
{
	static const char *const roles[] = { "hub", "task", "task", "rest" };

	if (i % t.master_every == t.master_every - 1)
		kills_master(&t.kills);
	else if (i % t.master_every == t.master_every / 2)
		/* no kill, but a new hub and new workers amid it all */
		ctl_reload(&t.kills.daemon);
	else
		kills_child(&t.kills, roles[chance(4)]);
}

/* Waits until so many numbers are through; false when all are. */
static bool
await_progress(int n, int *through)
{
	struct pollfd ready = { .fd = t.done_fd[0], .events = POLLIN };
	char bytes[256];

	while (n > 0 && *through < t.numbers) {
		ssize_t got;

		ck_assert_msg(poll(&ready, 1, 4 * suite_patience_ms()) == 1,
		    "seed %u: nothing goes on any more", t.kills.seed);
		got = read(t.done_fd[0], bytes,
		    n < (int)sizeof(bytes) ? (size_t)n : sizeof(bytes));
		ck_assert_int_gt(got, 0);
		n -= (int)got;
		*through += (int)got;
	}
	return *through < t.numbers;
}

static bool
nothing_left(void *ctx)
{
	json_t *answer = desk_ask(&t.kills.daemon, NULL, "hub", NULL);
	json_t *data = json_object_get(answer, "data");
	json_t *work = json_object_get(data, "work");
	bool left = work == NULL || ctl_int(work, "waiting") != 0 ||
	    ctl_int(work, "queued") != 0 || ctl_int(work, "running") != 0 ||
	    ctl_int(work, "calls_waiting") != 0;

	(void)ctx;
	json_decref(answer);
	return !left;
}

static bool
no_lock_left(void *ctx)
{
	json_t *answer = desk_ask(&t.kills.daemon, NULL, "hub", NULL);
	json_t *data = json_object_get(json_object_get(answer, "data"), "data");
	bool left = data == NULL || ctl_int(data, "locks") != 0;

	(void)ctx;
	json_decref(answer);
	return !left;
}

/* --------------------------------------------------------- reconciliation */

/* What was said to be done is done, nothing is done twice; returns how many. */
static int
reconcile(enum kind kind, const char *name)
{
	int *marks = kills_marks(&t.kills, name, t.numbers), sum = 0;

	for (int i = 0; i < t.numbers; i++) {
		bool mine = i % KINDS == (int)kind;

		kills_check(&t.kills, name, i, marks[i],
		    mine && t.kills.told[i], mine);
		sum += marks[i];
	}
	free(marks);
	return sum;
}

/* What follows from another thing is there where that is, and once. */
static void
follows(const char *name, const char *from)
{
	int *marks = kills_marks(&t.kills, name, t.numbers);
	int *causes = kills_marks(&t.kills, from, t.numbers);

	for (int i = 0; i < t.numbers; i++)
		kills_check(&t.kills, name, i, marks[i], causes[i], causes[i]);
	free(marks);
	free(causes);
}

static void
reconcile_all(void)
{
	json_t *dead;

	reconcile(SUBMIT, "accepted");
	follows("first", "accepted");
	follows("second", "accepted");
	follows("fan1", "accepted");
	follows("fan2", "accepted");
	ck_assert_int_eq(reconcile(JOB, "job"), (t.numbers + 3) / KINDS);
	follows("tail", "job");
	reconcile(CALL, "call");
	follows("after", "call");
	reconcile(PLAIN, "plain");
	ck_assert_int_eq(desk_number(&t.kills.daemon, "sum"),
	    reconcile(ADD, "add"));
	dead = desk_data(&t.kills.daemon, NULL, "dead", NULL);
	ck_assert_uint_eq(json_array_size(json_object_get(dead, "jobs")), 0);
	json_decref(dead);
	kills_require_right(&t.kills);
	/* else it has shown nothing */
	ck_assert_int_gt(t.kills.tolds, t.numbers / 2);
}

/* ---------------------------------------------------------------- the test */

static void
set_up(void)
{
	bool all;

	kills_init(&t.kills);
	all = t.kills.full;
	t.numbers = all ? 7500 : 300;
	t.times = all ? 400 : 40;
	t.master_every = all ? 20 : 12;
	printf("kills: %d numbers, %d kills\n", t.numbers, t.times);
	fflush(stdout);
	ck_assert_int_eq(pipe2(t.done_fd, O_CLOEXEC), 0);
	daemon_configure(&t.kills.daemon,
	    &(struct daemon_conf){ .service = KILLS_SERVICE,
		.log = "level = \"info\"; access = false;",
		.module = { "kills" },
		.workers = "start = 3; max = 6;",
		.task_workers = "start = 4; max = 6;",
		.tasks = "max_attempts = 1000; backoff_min = 0.01;"
			 "backoff_max = 0.05;",
		.amqp =
		    "exchanges = ( { name = \"fan\"; type = \"fanout\"; } );"
		    "queues = ("
		    "{ name = \"one\"; handler = \"kills.fan1\";"
		    "  bind = ( { exchange = \"fan\"; } ); },"
		    "{ name = \"two\"; handler = \"kills.fan2\";"
		    "  bind = ( { exchange = \"fan\"; } ); } );",
		.route = { ROUTE("POST", "/submit", "kills.submit"),
		    ROUTE_WITH("POST", "/job", "kills.job", "mode = \"job\";"),
		    ROUTE_WITH("POST", "/call", "kills.call",
			"mode = \"wait\";"),
		    ROUTE("POST", "/plain", "kills.plain"),
		    ROUTE("POST", "/add", "kills.add"),
		    ROUTE("GET", "/audit", "kills.audit") } });
	kills_start(&t.kills);
}

START_TEST(kills)
{
	int through = 0;
	unsigned step;

	set_up();
	step = (unsigned)(2 * t.numbers / t.times);
	kills_load(&t.kills, CLIENTS, 0, t.numbers, carry_out);
	for (int i = 0; i < t.times; i++) {
		await_progress((int)chance(step), &through);
		kill_something(i);
	}
	while (await_progress(t.numbers, &through))
		;
	kills_join(&t.kills);
	/* and in the middle of what is left */
	for (int i = 0; i < 4; i++)
		kill_something(i);
	ck_assert_msg(proc_until(t.kills.daemon.pidfd, nothing_left, NULL),
	    "seed %u: work is left", t.kills.seed);
	ck_assert_msg(proc_until(t.kills.daemon.pidfd, no_lock_left, NULL),
	    "seed %u: a lock is left", t.kills.seed);
	reconcile_all();
	/* what the disk says */
	kills_restart(&t.kills);
	reconcile_all();
	kills_release(&t.kills);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE(kills),
	};

	return SUITE_RUN("kills", cases);
}
