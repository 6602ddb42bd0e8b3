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
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
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

#define CLIENTS 2
#define BLOCK 1000 /* numbers that are looked at together */

static struct {
	struct daemon daemon;
	unsigned seed, random;
	int messages, requests;
	int kills, master_every, broker_every;
	_Atomic bool up;
	_Atomic int next; /* of the requests */
	_Atomic char *told;
	_Atomic int tolds;
	long through;
} t;

static bool
is_poison(int n)
{
	return n % 1000 == 7 || n % 1000 == 107;
}

/* ------------------------------------------------------------- the clients */

/* 200; 0: nobody knows. */
static int
submit(int n)
{
	char *body = text_format("{\"n\":%d}", n);
	struct ask ask = { .path = "/submit", .body = body };
	struct reply reply = { 0 };
	int status = 0;

	if (http_ask(&t.daemon, &ask, &reply) == CURLE_OK)
		status = reply.status;
	reply_release(&reply);
	free(body);
	return status;
}

/* While the service is down they ask in vain, which costs a number only where
 * it may have been accepted. */
static void *
client(void *ctx)
{
	struct pollfd nothing = { .fd = -1 };
	int n, status;

	(void)ctx;
	while ((n = t.next++) < t.requests) {
		while (!t.up)
			poll(&nothing, 1, 5);
		status = submit(t.messages + n);
		if (status >= 200 && status < 300) {
			t.told[n] = 1;
			t.tolds++;
		}
		/* they are the seasoning, not the meal */
		poll(&nothing, 1, 2);
	}
	return NULL;
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

static unsigned
chance(unsigned n)
{
	return (unsigned)rand_r(&t.random) % n;
}

static void
service_is_up(void)
{
	int status;
	char *why = daemon_try(&t.daemon, &status);

	ck_assert_msg(why == NULL, "seed %u: %s", t.seed, why);
	t.up = true;
}

static void
kill_master(void)
{
	t.up = false;
	kill(t.daemon.pid, SIGKILL);
	ck_assert_int_eq(daemon_wait(&t.daemon), 128 + SIGKILL);
	daemon_require_no_child(&t.daemon);
	service_is_up();
}

/* Any child of that pool; there may be none at this moment. */
static void
kill_one(const char *role)
{
	json_t *status = ctl_status(&t.daemon);
	size_t n = 0;

	while (ctl_row_of(status, role, n) != NULL)
		n++;
	if (n > 0) {
		long pid = ctl_int(ctl_row_of(status, role,
				       chance((unsigned)n)),
		    "pid");

		if (pid > 1)
			kill((pid_t)pid, SIGKILL);
	}
	json_decref(status);
}

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
		kill_master();
	} else {
		kill_one(roles[chance(6)]);
	}
}

/* --------------------------------------------------------------- progress */

static bool
more_is_through(void *ctx)
{
	long now = desk_number(&t.daemon, "through");

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
		ck_assert_msg(proc_until(t.daemon.pidfd, more_is_through, NULL),
		    "seed %u: nothing goes on any more after %ld", t.seed,
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
	json_t *answer = desk_ask(&t.daemon, NULL, "hub", NULL);
	json_t *outbox = json_object_get(json_object_get(answer, "data"),
	    "outbox");
	bool empty = ctl_int(outbox, "messages") == 0;

	(void)ctx;
	json_decref(answer);
	return empty;
}

/* As long as something goes on. */
static void
await_the_end(void)
{
	struct left left = { NULL };

	for (;;) {
		long before = t.through;

		if (proc_until(t.daemon.pidfd, outbox_is_empty, NULL) &&
		    proc_until(t.daemon.pidfd, no_message_left, &left) &&
		    outbox_is_empty(NULL))
			break;
		ck_assert_msg(t.through > before,
		    "seed %u: messages are left: %s", t.seed, left.text);
	}
	free(left.text);
}

/* --------------------------------------------------------- reconciliation */

/* The marks of a block of numbers. */
static json_t *
audit(const char *name, int block)
{
	char *path = text_format("/audit?prefix=%s:%03d", name, block);
	struct ask ask = { .path = path };
	struct reply reply;
	json_t *found;

	http_require(&t.daemon, &ask, &reply);
	ck_assert_int_eq(reply.status, 200);
	found = reply_json(&reply);
	reply_release(&reply);
	free(path);
	return found;
}

static long
count_of(json_t *found, const char *name, int n)
{
	char key[64];

	snprintf(key, sizeof(key), "%s:%06d", name, n);
	return (long)json_integer_value(json_object_get(found, key));
}

/* True when it is as it should be; else says what it is. */
static bool
reconcile_number(int n, json_t *first, const char *name, json_t *next)
{
	long marks = count_of(first, name, n);
	long passed_on = count_of(next, "next", n);
	bool told = n >= t.messages && t.told[n - t.messages];
	bool right = n < t.messages ? marks == (is_poison(n) ? 0 : 1) :
				      marks <= 1 && marks >= told;

	if (right && passed_on == marks)
		return true;
	printf("seed %u: %s:%d is %ld, told %d; next:%d is %ld\n", t.seed, name,
	    n, marks, told, n, passed_on);
	return false;
}

static void
reconcile(void)
{
	int wrong = 0;

	for (int from = 0; from < t.messages + t.requests; from += BLOCK) {
		const char *name = from < t.messages ? "done" : "accepted";
		json_t *first = audit(name, from / BLOCK);
		json_t *next = audit("next", from / BLOCK);

		for (int n = from;
		     n < from + BLOCK && n < t.messages + t.requests; n++)
			wrong += !reconcile_number(n, first, name, next);
		json_decref(first);
		json_decref(next);
	}
	ck_assert_msg(wrong == 0, "seed %u: %d numbers are wrong", t.seed,
	    wrong);
	/* else it has shown nothing */
	ck_assert_int_gt(t.tolds, t.requests / 4);
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
		    "seed %u: %s is dead: %s, %s", t.seed, letter.text,
		    rmq_header(&letter, "x-death-reason"),
		    rmq_header(&letter, "x-death-detail"));
		ck_assert_str_eq(rmq_header(&letter, "x-death-reason"),
		    n % 1000 == 7 ? "dead" : "rejected");
		found[n] = 1;
		rmq_free(&letter);
	}
	for (n = 0; n < t.messages; n++)
		ck_assert_msg(found[n] == is_poison(n),
		    "seed %u: the poison %d is not dead", t.seed, n);
	rmq_close(c);
	free(found);
}

/* ---------------------------------------------------------------- the test */

static void
set_up(void)
{
	const char *full = getenv("KILLS"), *seed = getenv("KILLS_SEED");
	bool all = full != NULL && strcmp(full, "full") == 0;

	t.messages = all ? 100000 : 2000;
	t.requests = all ? 10000 : 1000;
	t.kills = all ? 200 : 25;
	t.master_every = all ? 20 : 12;
	t.broker_every = all ? 67 : 25;
	if (seed != NULL)
		t.seed = (unsigned)strtoul(seed, NULL, 10);
	else
		ck_assert_int_eq(getrandom(&t.seed, sizeof(t.seed), 0),
		    sizeof(t.seed));
	t.random = t.seed;
	printf("amqp_kills: %d messages, %d kills, KILLS_SEED=%u\n", t.messages,
	    t.kills, t.seed);
	fflush(stdout);
	t.told = calloc((size_t)t.requests, 1);
	broker_open();
	daemon_init(&t.daemon);
	t.daemon.crashes = true;
	daemon_configure(&t.daemon,
	    &(struct daemon_conf){
		.service = "kill_grace = 0.2; respawn_min_delay = 0.001;"
			   "respawn_max_delay = 0.1; respawn_young = 0.0;"
			   "respawn_hold = 1000; stop_timeout = 10.0;",
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
	service_is_up();
}

START_TEST(kills)
{
	pthread_t clients[CLIENTS];
	long step;
	rmq c;

	set_up();
	c = rmq_open();
	rmq_require_consumers(&t.daemon, c, "work", 2);
	rmq_close(c);
	post_messages();
	step = 2 * t.messages * 9 / 10 / t.kills;
	for (int i = 0; i < CLIENTS; i++)
		ck_assert_int_eq(pthread_create(&clients[i], NULL, client,
				     NULL),
		    0);
	for (int i = 0; i < t.kills; i++) {
		await_progress(i * step + chance((unsigned)step));
		kill_something(i);
	}
	for (int i = 0; i < CLIENTS; i++)
		pthread_join(clients[i], NULL);
	await_the_end();
	reconcile();
	/* what the disk says */
	kill(t.daemon.pid, SIGTERM);
	ck_assert_int_eq(daemon_wait(&t.daemon), 0);
	daemon_require_no_child(&t.daemon);
	service_is_up();
	reconcile();
	reconcile_the_dead();
	daemon_stop(&t.daemon);
	free((void *)t.told);
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
