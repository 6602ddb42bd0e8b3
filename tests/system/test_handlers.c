/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_handlers - handlers that do what no handler should. Their client is told
 * so, the log and `status` name the call, the worker is replaced, and nobody
 * else notices.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/http.h"
#include "lib/load.h"
#include "lib/suite.h"
#include "lib/text.h"

#define BAD(name)                                        \
	{                                                \
		"GET", "/" name, "misbehave." name, NULL \
	}

/* clang-format off */
#define ROUTES \
	ROUTE("GET", "/hello", "hello.hello"), \
	{ "GET", "/short", "misbehave.slow", "timeout = 0.2;" }, \
	BAD("crash"), BAD("abort"), BAD("exit0"), BAD("vanish"), \
	BAD("overflow"), BAD("spin"), BAD("sigblock"), BAD("slow"), \
	BAD("cancelled"), BAD("double_reply"), BAD("no_reply"), \
	BAD("reply_after_reject"), BAD("reply_then_reject"), BAD("reject"), \
	BAD("retry"), BAD("bad_status"), BAD("bad_outcome"), BAD("bad_type"), \
	BAD("leak")
/* clang-format on */

static void
start(struct daemon *d, const char *rest, const char *workers)
{
	daemon_init(d);
	d->crashes = true;
	daemon_configure(d,
	    &(struct daemon_conf){
		.service = "start_timeout = 60.0; kill_grace = 0.1;",
		.module = { "hello", "misbehave" },
		.route = { ROUTES },
		.rest = rest,
		.workers = workers });
	daemon_start_again(d);
}

/* A handler that takes its process down, and what is to be said of it. */
struct fatal {
	const char *name;
	int status;
	bool mute;	 /* or just the end of the connection */
	const char *how; /* in the log and in status */
};

static void
die_once(const struct daemon *d, const struct fatal *fatal, long restarts)
{
	char *path = text_format("/%s", fatal->name);
	char *id = text_format("id-of-%s", fatal->name);
	char *header = text_format("X-Request-Id: %s", id), *line;
	struct ask ask = { .path = path, .header = { header } };
	size_t from = daemon_log_size(d);
	struct reply reply;
	json_t *status;
	const char *last;

	http_ask(d, &ask, &reply);
	ck_assert_msg(reply.status == fatal->status ||
		(fatal->mute && reply.status == 0),
	    "%s: %d, not %d", fatal->name, reply.status, fatal->status);
	if (reply.status != 0) {
		reply_require_problem(&reply, reply.status);
		ck_assert_str_eq(reply_header(&reply, "X-Request-Id"), id);
	}
	reply_release(&reply);
	ctl_require_pool(d, "rest", "restarts", restarts, restarts);
	ctl_require_pool(d, "rest", "ready", 2, 8);
	status = ctl_status(d);
	last = ctl_text(ctl_pool_row(status, "rest"), "last_restart");
	text_require("last_restart", last, fatal->how);
	text_require("last_restart", last, id);
	text_require("last_restart", last, "GET");
	text_require("last_restart", last, path);
	text_require("last_restart", last, fatal->name);
	json_decref(status);
	line = daemon_await_line(d, &from, id);
	ck_assert_ptr_nonnull(line);
	free(line);
	ck_assert_int_eq(http_status(d, "/hello", NULL), 200);
	free(path);
	free(id);
	free(header);
}

START_TEST(crashes)
{
	static const struct fatal table[] = {
		{ "crash", 502, false, "SIGSEGV" },
		{ "abort", 502, false, "SIGABRT" },
		{ "overflow", 502, false, "SIGSEGV" },
		{ "exit0", 502, false, "exit" },
		{ "vanish", 502, true, "exited with status 0" },
	};
	struct daemon d;

	start(&d, "", NULL);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		die_once(&d, &table[i], (long)i + 1);
	daemon_stop(&d);
}
END_TEST

START_TEST(overruns)
{
	static const struct fatal table[] = {
		{ "spin", 504, false, "deadline" },
		/* deaf to every signal: only its end can be told */
		{ "sigblock", 504, true, "deadline" },
	};
	struct daemon d;
	struct reply reply;

	start(&d, "request_timeout = 0.3;", NULL);
	die_once(&d, &table[0], 1);
	die_once(&d, &table[1], 2);
	http_require(&d, &(struct ask){ .path = "/slow?s=3600" }, &reply);
	reply_require_problem(&reply, 504);
	reply_release(&reply);
	ctl_require_pool(&d, "rest", "restarts", 3, 3);
	/* the route's own limit */
	http_require(&d, &(struct ask){ .path = "/short?s=3600" }, &reply);
	reply_require_problem(&reply, 504);
	reply_release(&reply);
	ctl_require_pool(&d, "rest", "restarts", 4, 4);
	daemon_stop(&d);
}
END_TEST

/* One that asks whether it is still wanted costs nobody a process. */
START_TEST(gives_up_in_time)
{
	struct daemon d;
	struct reply reply;
	pid_t pids[16];
	size_t n;
	json_t *status;

	daemon_init(&d);
	daemon_configure(&d,
	    &(struct daemon_conf){
		.service = "start_timeout = 60.0; kill_grace = 30.0;",
		.module = { "hello", "misbehave" },
		.route = { ROUTES },
		.rest = "request_timeout = 0.3;" });
	daemon_start_again(&d);
	n = ctl_pids(&d, pids, 16);
	http_require(&d, &(struct ask){ .path = "/cancelled" }, &reply);
	reply_require_problem(&reply, 504);
	reply_release(&reply);
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	status = ctl_status(&d);
	for (size_t i = 0; i < n; i++)
		ck_assert_ptr_nonnull(ctl_child(status, pids[i]));
	ck_assert_int_eq(ctl_int(ctl_pool_row(status, "rest"), "restarts"), 0);
	json_decref(status);
	daemon_stop(&d);
}
END_TEST

/* Wrong answers: the first word stands, and the mistake is in the log. */
START_TEST(mistakes)
{
	static const struct {
		const char *path;
		int status;
		const char *body, *log;
	} table[] = {
		{ "/double_reply", 200, "{\"reply\":1}", "double_reply" },
		{ "/no_reply", 204, "", NULL },
		{ "/reply_after_reject", 409, "rejected before the reply",
		    "reply_after_reject" },
		{ "/reply_then_reject", 200, "{\"reply\":1}",
		    "reply_then_reject" },
		{ "/reject?why=because", 422, "because", NULL },
		{ "/reject?status=404", 404, "it will never do", NULL },
		{ "/reject?status=500", 422, "it will never do", NULL },
		{ "/reject?status=-1", 422, "it will never do", NULL },
		{ "/retry", 503, "not now", NULL },
		{ "/bad_status", 500, "", "bad_status" },
		{ "/bad_status?status=0", 500, "", "bad_status" },
		{ "/bad_status?status=100", 500, "", "bad_status" },
		{ "/bad_outcome", 500, "", "bad_outcome" },
		{ "/leak", 200, "leaked", NULL },
	};
	struct daemon d;

	start(&d, "", NULL);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		size_t from = daemon_log_size(&d);
		struct reply reply;
		char *line;

		http_require(&d, &(struct ask){ .path = table[i].path },
		    &reply);
		ck_assert_msg(reply.status == table[i].status, "%s: %d",
		    table[i].path, reply.status);
		if (reply.status >= 400)
			reply_require_problem(&reply, reply.status);
		text_require(table[i].path, reply.body, table[i].body);
		reply_release(&reply);
		if (table[i].log == NULL)
			continue;
		line = daemon_await_line(&d, &from, "mistake");
		ck_assert_msg(line != NULL, "%s: not in the log",
		    table[i].path);
		text_require("the line", line, table[i].log);
		free(line);
	}
	ck_assert_int_eq(ctl_pool(&d, "rest", "restarts"), 0);
	daemon_stop(&d);
}
END_TEST

START_TEST(bad_type)
{
	struct daemon d;
	struct reply reply;

	start(&d, "", NULL);
	http_require(&d, &(struct ask){ .path = "/bad_type" }, &reply);
	ck_assert_int_eq(reply.status, 500);
	ck_assert_ptr_null(reply_header(&reply, "X-Evil"));
	reply_release(&reply);
	daemon_stop(&d);
}
END_TEST

START_TEST(retry_after)
{
	struct daemon d;
	struct reply reply;

	start(&d, "retry_after = 4.0;", NULL);
	http_require(&d, &(struct ask){ .path = "/retry" }, &reply);
	reply_require_problem(&reply, 503);
	ck_assert_str_eq(reply_header(&reply, "Retry-After"), "4");
	reply_release(&reply);
	http_require(&d, &(struct ask){ .path = "/retry?after=2.2" }, &reply);
	reply_require_problem(&reply, 503);
	ck_assert_str_eq(reply_header(&reply, "Retry-After"), "3");
	reply_release(&reply);
	daemon_stop(&d);
}
END_TEST

/* A process to each connection: nobody shares another one's fate. */
START_TEST(others_are_unaffected)
{
	static const char *const paths[] = { "/crash", "/abort", "/exit0",
		"/overflow" };
	struct daemon d;
	struct load *load;

	start(&d, "connections = 1;",
	    "start = 4; min_spare = 2; max_spare = 8; max = 16;");
	load = load_start(&d, "/hello", 3, true);
	for (int i = 0; i < 12; i++) {
		struct reply reply;

		http_ask(&d, &(struct ask){ .path = paths[i % 4] }, &reply);
		ck_assert_int_eq(reply.status, 502);
		reply_release(&reply);
		load_await(load, 10);
	}
	load_stop(load);
	ctl_require_pool(&d, "rest", "restarts", 12, 12);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE(crashes),
		CASE(overruns),
		CASE(gives_up_in_time),
		CASE_MEMORY(mistakes),
		CASE(bad_type),
		CASE(retry_after),
		CASE(others_are_unaffected),
	};

	return SUITE_RUN("handlers", cases);
}
