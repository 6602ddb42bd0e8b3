/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_demo_kill - the e-mail cruncher while its processes are killed, in an
 * order that is the same in each run (KILL_SEED=N tries another one): what was
 * accepted is counted once and mailed once, whoever died when.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/broker.h"
#include "lib/chance.h"
#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/demo.h"
#include "lib/http.h"
#include "lib/suite.h"
#include "lib/text.h"

#define DOCUMENTS 120

#define EDITS                                                                \
	"slow_seconds = 5.0", "slow_seconds = 0.01", "user = ",              \
	    "respawn_min_delay = 0.01; respawn_max_delay = 0.1; user = ",    \
	    "max_attempts = 10;", "max_attempts = 100; backoff_min = 0.01;", \
	    "plain = true; }",                                               \
	    "plain = true; max_attempts = 100; backoff_min = 0.01; }"

static const char *const edits[] = { EDITS, NULL };
static const char *const edits_broker[] = { EDITS, "broker = \"local\";",
	"broker = \"$BROKER\"; reconnect_min = 0.02; reconnect_max = 0.2;",
	NULL };

static void
start(struct daemon *d, bool broker)
{
	chance_seed("KILL_SEED", 11);
	if (broker)
		broker_open();
	demo_start(d, broker ? edits_broker : edits);
}

/* `rest`: also of those that take a client's answer along when they die. */
static void
kill_somebody(const struct daemon *d, bool rest)
{
	json_t *status = ctl_status(d);
	json_t *children = json_object_get(status, "children"), *row;
	pid_t pids[64];
	unsigned n = 0;

	for (size_t i = 0; i < json_array_size(children) && n < 64; i++) {
		row = json_array_get(children, i);
		if ((rest || strcmp(ctl_text(row, "role"), "rest") != 0) &&
		    ctl_int(row, "pid") > 1)
			pids[n++] = (pid_t)ctl_int(row, "pid");
	}
	json_decref(status);
	if (n > 0)
		kill(pids[chance(n)], SIGKILL);
}

/* A document with one user of its own to warn. */
static void
upload(const struct daemon *d, int i)
{
	char *path = text_format("/subscriptions/u%d", i);
	char *text = text_format("u%d@apple.com, v%d@example.org, "
				 "same@example.org",
	    i, i);

	free(demo_send(d, "POST", path, "", 200));
	demo_upload(d, text);
	free(text);
	free(path);
}

static void
require_each_once(const struct daemon *d, int documents)
{
	json_t *status;

	demo_await(d, "regex", documents);
	demo_await(d, "slow", documents);
	demo_await(d, "mails", documents);
	demo_await(d, "addresses", 2 * documents + 1);
	status = demo_status(d);
	ck_assert_int_eq(ctl_int(status, "documents"), documents);
	ck_assert_int_eq(ctl_int(status, "warned"), documents);
	json_decref(status);
	ck_assert_uint_eq(demo_mails(d, NULL), (size_t)documents);
}

static void
kill_some(bool broker)
{
	struct daemon d;

	start(&d, broker);
	for (int i = 0; i < DOCUMENTS; i++) {
		upload(&d, i);
		if (chance(4) == 0)
			kill_somebody(&d, false);
	}
	require_each_once(&d, DOCUMENTS);
	ck_assert_int_gt(ctl_pool(&d, "hub", "restarts"), 0);
	ck_assert_int_gt(ctl_pool(&d, "task", "restarts"), 0);
	daemon_stop(&d);
}

START_TEST(some_are_killed)
{
	kill_some(false);
}
END_TEST

START_TEST(some_are_killed_with_a_broker)
{
	kill_some(true);
}
END_TEST

/* Who gets no answer does not know whether the document was taken: it was, with
 * all that follows, or it was not. */
static void
kill_anybody(bool broker)
{
	struct daemon d;
	json_t *status;
	int known = 0, taken;

	start(&d, broker);
	for (int i = 0; i < DOCUMENTS; i++) {
		char *path = text_format("/subscriptions/u%d", i);

		free(demo_send(&d, "POST", path, "", 200));
		free(path);
	}
	for (int i = 0; i < DOCUMENTS; i++) {
		char *text = text_format("u%d@apple.com, v%d@example.org, "
					 "same@example.org",
		    i, i);
		struct reply reply;

		if (chance(3) == 0)
			kill_somebody(&d, true);
		if (http_ask(&d,
			&(struct ask){ .path = "/upload", .body = text },
			&reply) == CURLE_OK &&
		    reply.status == 202)
			known++;
		reply_release(&reply);
		free(text);
	}
	status = demo_status(&d);
	taken = (int)ctl_int(status, "documents");
	json_decref(status);
	ck_assert_int_ge(taken, known);
	ck_assert_int_le(taken, DOCUMENTS);
	require_each_once(&d, taken);
	daemon_stop(&d);
}

START_TEST(anybody_is_killed)
{
	kill_anybody(false);
}
END_TEST

START_TEST(anybody_is_killed_with_a_broker)
{
	kill_anybody(true);
}
END_TEST

/* The master, and all its children with it, in the middle of the work. */
static void
kill_all(bool broker)
{
	struct daemon d;

	start(&d, broker);
	for (int i = 0; i < DOCUMENTS / 2; i++) {
		upload(&d, i);
		if (i % 12 != 7)
			continue;
		ck_assert_int_eq(kill(d.pid, SIGKILL), 0);
		ck_assert_int_eq(daemon_wait(&d), 128 + SIGKILL);
		daemon_require_no_child(&d);
		daemon_start_again(&d);
	}
	require_each_once(&d, DOCUMENTS / 2);
	daemon_stop(&d);
}

START_TEST(all_are_killed)
{
	kill_all(false);
}
END_TEST

START_TEST(all_are_killed_with_a_broker)
{
	kill_all(true);
}
END_TEST

int
main(int argc, char *argv[])
{
	const struct suite_case cases[] = {
		CASE(some_are_killed),
		CASE(anybody_is_killed),
		CASE(all_are_killed),
		CASE(some_are_killed_with_a_broker),
		CASE(anybody_is_killed_with_a_broker),
		CASE(all_are_killed_with_a_broker),
	};

	(void)argc;
	broker_main_shared(argv, 3);
	return SUITE_RUN("demo_kill", cases);
}
