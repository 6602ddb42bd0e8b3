/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_demo_broker - the e-mail cruncher as it is shipped, but for one line:
 * its messages go through a RabbitMQ, and programs that know nothing of brood
 * (amqp-tools; tests/interop/cruncher.py, which is pika) take the place of each
 * of its services in turn, with the same result.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/broker.h"
#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/demo.h"
#include "lib/http.h"
#include "lib/proc.h"
#include "lib/rmq.h"
#include "lib/stranger.h"
#include "lib/suite.h"

/* The one line that is another, and less patience. */
#define BROKER "broker = \"local\"", "broker = \"$BROKER\""
#define QUICK "slow_seconds = 5.0", "slow_seconds = 0.02"

static const char *const through_broker[] = { BROKER, QUICK, NULL };

/* Returns once all is declared: it is ready before that, and others would
 * publish to nobody. */
static void
start(struct daemon *d, const char *const edits[])
{
	rmq c;

	demo_start(d, edits);
	c = rmq_open();
	rmq_require_consumers(d, c, "warnings", 1);
	rmq_close(c);
}

/* ----------------------------------------------------------- what comes out */

static const char *const texts[] = {
	"To: ann@apple.com, bob@apple.com; cid@example.org and ann@apple.com",
	"From: dan@example.net, ann@apple.com",
	"<eve@apple.com> (ann@example.org)",
};
#define N_TEXTS (int)(sizeof(texts) / sizeof(texts[0]))
/* What is for one of the crunchers only. */
#define EXTRA "zoe@example.org"

static const char all_addresses[] = "ann@apple.com\nann@example.org\n"
				    "bob@apple.com\ncid@example.org\n"
				    "dan@example.net\neve@apple.com\n" EXTRA
				    "\n";

static void
require_domain(json_t *status, const char *domain, long n)
{
	ck_assert_int_eq(ctl_int(json_object_get(status, "domains"), domain),
	    n);
}

static void
require_result(struct daemon *d, long documents, long mails)
{
	json_t *status;
	char *list;

	demo_await(d, "addresses", 7);
	demo_await(d, "mails", mails);
	status = demo_status(d);
	ck_assert_int_eq(ctl_int(status, "documents"), documents);
	ck_assert_int_eq(ctl_int(status, "warned"), 3);
	require_domain(status, "apple.com", 3);
	require_domain(status, "example.net", 1);
	require_domain(status, "example.org", 3);
	json_decref(status);
	list = demo_send(d, "GET", "/addresses", NULL, 200);
	ck_assert_str_eq(list, all_addresses);
	free(list);
	ck_assert_uint_eq(demo_mails(d, NULL), (size_t)mails);
	ck_assert_uint_eq(demo_mails(d, "bob"), 1);
}

static void
upload_all(struct daemon *d)
{
	for (int i = 0; i < N_TEXTS; i++)
		demo_upload(d, texts[i]);
}

static void
subscribe(struct daemon *d, const char *path)
{
	free(demo_send(d, "POST", path, "", 200));
}

/* -------------------------------------- somebody in the place of each one */

START_TEST(all_are_ours)
{
	struct daemon d;

	broker_open();
	start(&d, through_broker);
	subscribe(&d, "/subscriptions/ann");
	subscribe(&d, "/subscriptions/bob");
	upload_all(&d);
	tool_publish("", "regex-cruncher", EXTRA);
	demo_await(&d, "slow", N_TEXTS);
	demo_await(&d, "regex", N_TEXTS + 1);
	require_result(&d, N_TEXTS, 2);
	daemon_stop(&d);
}
END_TEST

START_TEST(somebody_uploads)
{
	struct daemon d;

	broker_open();
	start(&d, through_broker);
	subscribe(&d, "/subscriptions/ann");
	subscribe(&d, "/subscriptions/bob");
	for (int i = 0; i < N_TEXTS; i++)
		free(pika_run("upload", NULL, texts[i]));
	tool_publish("", "regex-cruncher", EXTRA);
	demo_await(&d, "slow", N_TEXTS);
	demo_await(&d, "regex", N_TEXTS + 1);
	require_result(&d, 0, 2);
	daemon_stop(&d);
}
END_TEST

/* `ours` is taken away from the config, `theirs` runs in its place; `first`:
 * before us, so that the queues are as it has declared them. */
static void
replace_a_cruncher(const char *ours, const char *queue, const char *theirs,
    const char *seconds, bool first)
{
	const char *const edits[] = { BROKER, QUICK, ours, "", NULL };
	struct stranger stranger;
	struct daemon d;

	broker_open();
	if (first)
		pika_start(&stranger, theirs, seconds);
	start(&d, edits);
	if (!first)
		pika_start(&stranger, theirs, seconds);
	subscribe(&d, "/subscriptions/ann");
	subscribe(&d, "/subscriptions/bob");
	upload_all(&d);
	for (int i = 0; i < N_TEXTS; i++)
		stranger_require(&stranger, "done");
	tool_publish("", queue, EXTRA);
	stranger_require(&stranger, "done");
	require_result(&d, N_TEXTS, 2);
	stranger_stop(&stranger);
	daemon_stop(&d);
}

START_TEST(somebody_is_the_regex_cruncher)
{
	replace_a_cruncher(" handler = \"cruncher.regex\";", "regex-cruncher",
	    "regex", NULL, true);
}
END_TEST

START_TEST(somebody_is_the_slow_cruncher)
{
	replace_a_cruncher(" handler = \"cruncher.slow\"; concurrency = 1;",
	    "slow-cruncher", "slow", "0.02", false);
}
END_TEST

/* Theirs prints each address once; ours only mails. */
static void
replace_the_collector(bool first)
{
	const char *const edits[] = { BROKER, QUICK,
		" handler = \"cruncher.collect\"; concurrency = 1;", "", NULL };
	struct stranger stranger;
	struct daemon d;
	const char *line;

	broker_open();
	if (first)
		pika_start(&stranger, "status", "apple.com");
	start(&d, edits);
	if (!first)
		pika_start(&stranger, "status", "apple.com");
	subscribe(&d, "/subscriptions/ann");
	subscribe(&d, "/subscriptions/bob");
	upload_all(&d);
	tool_publish("", "regex-cruncher", EXTRA);
	for (int i = 0; i < 7; i++) {
		line = stranger_line(&stranger);
		ck_assert_msg(strstr(all_addresses, line) != NULL, "%s", line);
	}
	demo_await(&d, "slow", N_TEXTS);
	demo_await(&d, "mails", 2);
	ck_assert_uint_eq(demo_mails(&d, "ann"), 1);
	ck_assert_uint_eq(demo_mails(&d, "bob"), 1);
	stranger_stop(&stranger);
	daemon_stop(&d);
}

START_TEST(somebody_collects)
{
	replace_the_collector(false);
}
END_TEST

START_TEST(somebody_collects_already)
{
	replace_the_collector(true);
}
END_TEST

START_TEST(somebody_is_a_spammer)
{
	struct stranger ann;
	struct daemon d;

	broker_open();
	pika_start(&ann, "spammer", "ann");
	start(&d, through_broker);
	subscribe(&d, "/subscriptions/bob");
	upload_all(&d);
	tool_publish("", "slow-cruncher", EXTRA);
	stranger_require(&ann, "ann: spam me!");
	demo_await(&d, "slow", N_TEXTS + 1);
	require_result(&d, N_TEXTS, 1);
	stranger_stop(&ann);
	daemon_stop(&d);
}
END_TEST

/* -------------------------------------------------------------- amqp-tools */

/* amqp-publish -> our crunchers -> amqp-get */
START_TEST(tools_upload_and_collect)
{
	const char *const edits[] = { BROKER, QUICK,
		" handler = \"cruncher.collect\"; concurrency = 1;", "", NULL };
	struct daemon d;

	broker_open();
	start(&d, edits);
	tool_publish("emails", "", "b@example.org a@example.org b@example.org");
	tool_require_get(&d, "status", "[\"a@example.org\",\"b@example.org\"]");
	tool_require_get(&d, "status", "[\"a@example.org\",\"b@example.org\"]");
	daemon_stop(&d);
}
END_TEST

/* amqp-publish -> our collector -> amqp-get; what it cannot use is looked at
 * with amqp-get as well. */
START_TEST(tools_between_the_services)
{
	struct stranger zoe;
	struct daemon d;

	broker_open();
	start(&d, through_broker);
	/* leaves a queue behind that nobody takes */
	pika_start(&zoe, "spammer", "zoe");
	stranger_stop(&zoe);
	tool_publish("", "status", "[\"zoe@apple.com\", \"zoe@example.org\"]");
	tool_require_get(&d, "zoe", "spam me!");
	tool_publish("", "status", "{\"no\": \"list\"}");
	tool_require_get(&d, "broken", "{\"no\": \"list\"}");
	demo_await(&d, "addresses", 2);
	tool_publish("spammer", "nobody", "unroutable");
	tool_publish("", "warnings", "no key that is a user but the queue's");
	demo_await(&d, "mails", 1);
	ck_assert_uint_eq(demo_mails(&d, "warnings"), 1);
	daemon_stop(&d);
}
END_TEST

/* --------------------------------------------------------------- priorities */

static void
warn(rmq c, const char *user, int priority)
{
	rmq_post(c,
	    &(struct letter){ .exchange = "spammer",
		.key = user,
		.body = "spam me!",
		.priority = priority });
	rmq_flush(c);
}

static void
scale_tasks(const struct daemon *d, const char *n)
{
	struct run run;

	ctl_run(d, &run, "scale", "task", n, NULL);
	ck_assert_msg(run.status == 0, "%s%s", run.out, run.err);
	run_release(&run);
}

/* The first one is with us already; of the others the broker chooses. */
START_TEST(urgent_warnings_first)
{
	const char *const edits[] = { BROKER, QUICK,
		"workers = { start = 4; min_spare = 1; max_spare = 4; max = 16",
		"workers = { start = 1; min_spare = 0; max_spare = 1; max = 1",
		NULL };
	struct daemon d;
	char *log;
	rmq c;

	broker_open();
	start(&d, edits);
	c = rmq_open();
	subscribe(&d, "/subscriptions/ann");
	subscribe(&d, "/subscriptions/bob");
	subscribe(&d, "/subscriptions/cid");
	demo_upload(&d, "ann@apple.com");
	demo_await(&d, "slow", 1);
	demo_await(&d, "mails", 1); /* so all is bound */
	scale_tasks(&d, "0");
	warn(c, "ann", 0);
	rmq_require_ready(&d, c, "warnings", 0);
	warn(c, "bob", 0);
	warn(c, "cid", 9);
	rmq_require_ready(&d, c, "warnings", 2);
	scale_tasks(&d, "1");
	demo_await(&d, "mails", 4);
	log = daemon_log(&d);
	ck_assert_ptr_nonnull(strstr(log, "mailed bob"));
	ck_assert_ptr_nonnull(strstr(log, "mailed cid"));
	ck_assert(strstr(log, "mailed cid") < strstr(log, "mailed bob"));
	free(log);
	rmq_close(c);
	daemon_stop(&d);
}
END_TEST

/* --------------------------------------------------------- bindings and RPC */

/* At run time, on the broker. */
START_TEST(subscriptions_bind)
{
	struct daemon d;

	broker_open();
	start(&d, through_broker);
	subscribe(&d, "/subscriptions/ann");
	subscribe(&d, "/subscriptions/ann");
	demo_upload(&d, "ann@apple.com bob@apple.com");
	demo_await(&d, "mails", 1);
	free(demo_send(&d, "DELETE", "/subscriptions/ann", NULL, 200));
	subscribe(&d, "/subscriptions/cid");
	demo_upload(&d, "cid@apple.com dan@apple.com");
	demo_await(&d, "mails", 2);
	demo_await(&d, "slow", 2);
	/* by hand, since nobody is warned twice: ann is bound no more */
	tool_publish("spammer", "ann", "spam me!");
	tool_publish("spammer", "cid", "spam me!");
	demo_await(&d, "mails", 3);
	ck_assert_uint_eq(demo_mails(&d, "ann"), 1);
	ck_assert_uint_eq(demo_mails(&d, "cid"), 2);
	ck_assert_uint_eq(demo_mails(&d, NULL), 3);
	daemon_stop(&d);
}
END_TEST

START_TEST(count_is_asked_and_answered)
{
	struct daemon d;
	char *answer;

	broker_open();
	start(&d, through_broker);
	/* nobody waits for an answer before there is a broker */
	demo_upload(&d, "");
	demo_await(&d, "regex", 1);
	for (int i = 0; i < 10; i++) {
		answer = demo_send(&d, "POST", "/count",
		    "a@b.c d@e.f \xff\xfe a@b.c", 200);
		ck_assert_str_eq(answer, "{\"count\":2}");
		free(answer);
	}
	answer = pika_run("ask", "count", "a@b.c d@e.f g@h.i");
	ck_assert_str_eq(answer, "{\"count\":3}\n");
	free(answer);
	daemon_stop(&d);
}
END_TEST

START_TEST(somebody_counts)
{
	const char *const edits[] = { BROKER, QUICK,
		"name = \"count\"; handler = \"cruncher.counter\";",
		"name = \"count\";", NULL };
	struct stranger counter;
	struct daemon d;
	char *answer;

	broker_open();
	start(&d, edits);
	pika_start(&counter, "count", NULL);
	answer = demo_send(&d, "POST", "/count", "a@b.c d@e.f", 200);
	ck_assert_str_eq(answer, "{\"count\": 2}");
	free(answer);
	stranger_stop(&counter);
	daemon_stop(&d);
}
END_TEST

int
main(int argc, char *argv[])
{
	const struct suite_case cases[] = {
		CASE_MEMORY(all_are_ours),
		CASE(somebody_uploads),
		CASE(somebody_is_the_regex_cruncher),
		CASE(somebody_is_the_slow_cruncher),
		CASE(somebody_collects),
		CASE(somebody_collects_already),
		CASE(somebody_is_a_spammer),
		CASE(tools_upload_and_collect),
		CASE(tools_between_the_services),
		CASE(urgent_warnings_first),
		CASE(subscriptions_bind),
		CASE_MEMORY(count_is_asked_and_answered),
		CASE(somebody_counts),
	};

	(void)argc;
	broker_main_shared(argv, (int)(sizeof(cases) / sizeof(cases[0])));
	return SUITE_RUN("demo_broker", cases);
}
