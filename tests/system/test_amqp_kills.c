/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kill -9 of amqp children, of the hub, of task and REST workers and of the
 * master, and of the broker, which is restarted in good order too, again and
 * again, with thousands of messages in flight; then nothing is lost, each
 * effect is there once, and the dead-letter queue has exactly the poison: see
 * tests/modules/letters.c.
 *
 * Messages have ids. Meanwhile clients have numbers accepted by REST, which
 * publishes them; one that gets no answer does not know.
 *
 * Normally some thousand messages and tens of kills. KILLS=full: 100,000
 * messages, 200 kills, three of the broker. KILLS_SEED repeats a run, as far as
 * the kernel's scheduler allows.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/broker.h"
#include "lib/chance.h"
#include "lib/ctl.h"
#include "lib/desk.h"
#include "lib/http.h"
#include "lib/kills.h"
#include "lib/proc.h"
#include "lib/rmq.h"
#include "lib/suite.h"
#include "lib/text.h"

#define CLIENTS 2

static struct {
	struct kills kills;
	int messages, requests; /* whose numbers come after the messages' */
	int times, master_every, broker_every;
	long through;
} t;

static bool
is_poison(int n)
{
	return n % 1000 == 7 || n % 1000 == 107;
}

/* ------------------------------------------------------------- the clients */

/* While the service is down they ask in vain, which costs a number only where
 * it may have been accepted. */
static bool
submit(int n)
{
	char *body = text_format("{\"n\":%d}", n);
	struct ask ask = { .path = "/submit", .body = body };
	struct reply reply;
	bool told;

	kills_await_service(&t.kills);
	told = http_ask(&t.kills.daemon, &ask, &reply) == CURLE_OK &&
	    reply.status >= 200 && reply.status < 300;
	reply_release(&reply);
	free(body);
	/* they are the seasoning, not the meal */
	poll(NULL, 0, 2);
	return told;
}

static void
post_messages(void)
{
	rmq c = rmq_open();
	char id[32];

	rmq_confirms(c);
	for (int n = 0; n < t.messages; n++) {
		snprintf(id, sizeof(id), "m-%d", n);
		rmq_post_text(c, "work", id, "{\"n\":%d}", n);
	}
	rmq_await_confirms(c, (uint64_t)t.messages);
	rmq_close(c);
}

/* --------------------------------------------------------------- the kills */

static void
kill_something(int i)
{
	static const char *const roles[] = { "hub", "task", "task", "rest",
		"amqp", "amqp" };

	if (i % t.broker_every == t.broker_every / 2 && chance(2) == 0) {
		broker_do("restart");
	} else if (i % t.broker_every == t.broker_every / 2) {
		broker_do("kill");
		broker_do("start");
	} else if (i % t.master_every == t.master_every - 1) {
		kills_master(&t.kills);
	} else {
		kills_child(&t.kills, roles[chance(6)]);
	}
}

/* --------------------------------------------------------------- progress */

static bool
more_is_through(void *ctx)
{
	long now = desk_number(&t.kills.daemon, "through");

	(void)ctx;
	if (now <= t.through)
		return false;
	t.through = now;
	return true;
}

/* Waits until so many marks are there, of which a message has two. */
static void
await_progress(long wanted)
{
	while (t.through < wanted)
		ck_assert_msg(proc_until(t.kills.daemon.pidfd, more_is_through,
				  NULL),
		    "seed %u: nothing goes on any more after %ld", t.kills.seed,
		    t.through);
}

struct left {
	char *text;
};

/* Queues that have messages, ready or not, but for the dead. */
static bool
no_message_left(void *ctx)
{
	struct left *left = ctx;
	char *line, *rest;
	bool none = true;

	free(left->text);
	left->text = broker_ctl("list_queues", "-p", broker_vhost(),
	    "--no-table-headers", "name", "messages", NULL);
	for (line = strtok_r(left->text, "\n", &rest); line != NULL && none;
	     line = strtok_r(NULL, "\n", &rest)) {
		char *tab = strchr(line, '\t');

		if (tab != NULL && atol(tab) != 0 &&
		    strncmp(line, "work.dead\t", 10) != 0) {
			none = false;
			left->text = memmove(left->text, line,
			    strlen(line) + 1);
		}
	}
	return none && !more_is_through(NULL);
}

static bool
outbox_is_empty(void *ctx)
{
	(void)ctx;
	return desk_outbox(&t.kills.daemon, "messages") == 0;
}

/* As long as something goes on. */
static void
await_the_end(void)
{
	struct left left = { NULL };

	for (;;) {
		long before = t.through;

		if (proc_until(t.kills.daemon.pidfd, outbox_is_empty, NULL) &&
		    proc_until(t.kills.daemon.pidfd, no_message_left, &left) &&
		    outbox_is_empty(NULL))
			break;
		ck_assert_msg(t.through > before,
		    "seed %u: messages are left: %s", t.kills.seed, left.text);
	}
	free(left.text);
}

/* --------------------------------------------------------- reconciliation */

static void
reconcile(void)
{
	int all = t.messages + t.requests;
	int *done = kills_marks(&t.kills, "done", all);
	int *accepted = kills_marks(&t.kills, "accepted", all);
	int *next = kills_marks(&t.kills, "next", all);

	for (int n = 0; n < all; n++) {
		bool asked = n >= t.messages, good = !asked && !is_poison(n);
		int marks = done[n] + accepted[n];

		kills_check(&t.kills, "done", n, done[n], good, good);
		kills_check(&t.kills, "accepted", n, accepted[n],
		    asked && t.kills.told[n], asked);
		kills_check(&t.kills, "next", n, next[n], marks, marks);
	}
	free(done);
	free(accepted);
	free(next);
	kills_require_right(&t.kills);
	/* else it has shown nothing */
	ck_assert_int_gt(t.kills.tolds, t.requests / 4);
}

/* All poison and nothing else. A letter of ours may be there twice, under one
 * id: the broker had it, and its confirm was lost. */
static void
reconcile_the_dead(void)
{
	char *found = calloc(1, (size_t)t.messages);
	rmq c = rmq_open();
	struct letter letter;
	int n;

	while (rmq_take(c, "work.dead", &letter)) {
		ck_assert_msg(sscanf(letter.text, "{\"n\":%d}", &n) == 1 &&
			n >= 0 && n < t.messages && is_poison(n),
		    "seed %u: %s is dead: %s, %s", t.kills.seed, letter.text,
		    rmq_header(&letter, "x-death-reason"),
		    rmq_header(&letter, "x-death-detail"));
		ck_assert_str_eq(rmq_header(&letter, "x-death-reason"),
		    n % 1000 == 7 ? "dead" : "rejected");
		found[n] = 1;
		rmq_free(&letter);
	}
	for (n = 0; n < t.messages; n++)
		ck_assert_msg(found[n] == is_poison(n),
		    "seed %u: the poison %d is not dead", t.kills.seed, n);
	rmq_close(c);
	free(found);
}

/* ---------------------------------------------------------------- the test */

static void
set_up(void)
{
	bool all;

	broker_open();
	kills_init(&t.kills);
	all = t.kills.full;
	t.messages = all ? 100000 : 2000;
	t.requests = all ? 10000 : 1000;
	t.times = all ? 200 : 25;
	t.master_every = all ? 20 : 12;
	t.broker_every = all ? 67 : 25;
	printf("amqp_kills: %d messages, %d kills\n", t.messages, t.times);
	fflush(stdout);
	daemon_configure(&t.kills.daemon,
	    &(struct daemon_conf){ .service = KILLS_SERVICE,
		.log = "level = \"notice\"; access = false;",
		.module = { "letters" },
		.workers = "start = 2; max = 4;",
		.task_workers = "start = 4; max = 6;",
		/* a kill of ours is an attempt, too */
		.tasks = "max_attempts = 6; backoff_min = 0.01;"
			 "backoff_max = 0.05;",
		.amqp = "broker = \"$BROKER\"; children = 2; prefetch = 200;"
			"reconnect_min = 0.01; reconnect_max = 0.2;"
			"refresh = 0.5;"
			"exchanges = ( { name = \"next\"; type = \"fanout\"; }"
			"  );"
			"queues = ("
			"{ name = \"work\"; handler = \"letters.work\"; },"
			"{ name = \"next\"; handler = \"letters.next\";"
			"  bind = ( { exchange = \"next\"; } ); } );",
		.route = { ROUTE("POST", "/submit", "letters.submit"),
		    ROUTE("GET", "/audit", "letters.audit") } });
	kills_start(&t.kills);
}

START_TEST(kills)
{
	long step;
	rmq c;

	set_up();
	c = rmq_open();
	rmq_require_consumers(&t.kills.daemon, c, "work", 2);
	rmq_close(c);
	post_messages();
	step = 2 * t.messages * 9 / 10 / t.times;
	kills_load(&t.kills, CLIENTS, t.messages, t.messages + t.requests,
	    submit);
	for (int i = 0; i < t.times; i++) {
		await_progress(i * step + chance((unsigned)step));
		kill_something(i);
	}
	kills_join(&t.kills);
	await_the_end();
	reconcile();
	/* what the disk says */
	kills_restart(&t.kills);
	reconcile();
	reconcile_the_dead();
	kills_release(&t.kills);
}
END_TEST

int
main(int argc, char *argv[])
{
	const struct suite_case cases[] = {
		CASE(kills),
	};

	(void)argc;
	broker_main(argv, 1);
	return SUITE_RUN("amqp_kills", cases);
}
