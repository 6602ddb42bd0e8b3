/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_modes - routes of mode wait, and inline handlers that send something:
 * what the client sees of a call that runs elsewhere, of those who die over it,
 * and that nobody else has to wait for it.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/gate.h"
#include "lib/http.h"
#include "lib/modes.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/text.h"

#define ONE "start = 1; min_spare = 0; max_spare = 1; max = 1;"
#define TWO "start = 2; min_spare = 0; max_spare = 2; max = 2;"

/* ---- the same as inline */

static const struct {
	const char *method, *path, *body;
} both[] = {
	{ "GET", "/%s/echo?q=1&a=%%C3%%A9&b=&q=2", NULL },
	{ "POST", "/%s/echo/1/2%%2F3", "a body" },
	{ "POST", "/%s/big?n=700000", "" },
	{ "POST", "/%s/text", "" },
	{ "POST", "/%s/refuse", "" },
	{ "POST", "/%s/later", "" },
	{ "POST", "/%s/json", "{\"a\": 1}" },
	{ "POST", "/%s/json", "{\"a\": " },
	{ "HEAD", "/%s/echo", NULL },
};

static void
ask_mode(const struct daemon *d, size_t i, const char *mode,
    struct reply *reply)
{
	const char *type = text_has(both[i].path, "json") ?
	    "Content-Type: application/json" :
	    "Content-Type: text/x";
	char path[100];
	const struct ask ask = {
		.method = both[i].method,
		.path = path,
		.body = both[i].body,
		.header = { type, "X-Request-Id: the-id", "X-Empty;",
		    "Cookie: sid=1; a=\"b\"; sid=2; c",
		    "traceparent: "
		    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		    "X-Test: first", "X-Test: second" },
	};

	snprintf(path, sizeof(path), "/%s%s", mode,
	    strchr(both[i].path + 1, '/'));
	for (char *p = path; (p = strstr(p, "%%")) != NULL; p++)
		memmove(p, p + 1, strlen(p));
	http_require(d, &ask, reply);
}

/* Two echos differ in what is the process's own. */
static char *
without_own(const char *body)
{
	static const char *const own[] = { "pid", "peer", "remaining", "path",
		"detail", "instance" };
	json_t *json = json_loads(body, 0, NULL);
	char *text;

	if (json == NULL)
		return strdup(body);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		json_object_del(json, own[i]);
	text = json_dumps(json, JSON_SORT_KEYS | JSON_INDENT(1));
	json_decref(json);
	return text;
}

static void
require_header_alike(const struct reply *a, const struct reply *b,
    const char *name)
{
	const char *value = reply_header(a, name);
	char *of_a = strdup(value != NULL ? value : "(none)");

	value = reply_header(b, name);
	ck_assert_msg(strcmp(of_a, value != NULL ? value : "(none)") == 0,
	    "%s: %s and %s", name, of_a, value);
	free(of_a);
}

START_TEST(as_inline)
{
	static const char *const names[] = { "Content-Type", "X-Made",
		"Retry-After", "X-Request-Id" };
	struct daemon d;
	int gate = modes_start(&d, &(struct daemon_conf){ 0 });

	for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++) {
		struct reply here, there;
		char *a, *b;

		ask_mode(&d, i, "inline", &here);
		ask_mode(&d, i, "wait", &there);
		ck_assert_msg(here.status == there.status, "%s: %d and %d: %s",
		    both[i].path, here.status, there.status, there.body);
		a = without_own(here.body);
		b = without_own(there.body);
		ck_assert_msg(strcmp(a, b) == 0, "%s: %.2000s and %.2000s",
		    both[i].path, a, b);
		for (size_t k = 0; k < 4; k++)
			require_header_alike(&here, &there, names[k]);
		free(a);
		free(b);
		reply_release(&here);
		reply_release(&there);
	}
	close(gate);
	daemon_stop(&d);
}
END_TEST

/* Several on one connection, one behind the other before the first is answered;
 * and a client that says at once that it has no more to say. */
START_TEST(pipelined_and_half_closed)
{
	struct daemon d;
	struct reply reply;
	int gate = modes_start(&d, &(struct daemon_conf){ 0 }), fd;

	fd = raw_connect(&d);
	raw_text(fd,
	    "GET /wait/echo?q=1 HTTP/1.1\r\nHost: x\r\n\r\n"
	    "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
	    "GET /wait/echo?q=2 HTTP/1.1\r\nHost: x\r\n\r\n"
	    "POST /wait/echo/1/2 HTTP/1.1\r\nHost: x\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
	    "POST /wait/echo/1/2 HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 2\r\n\r\nab"
	    "GET /wait/echo?q=3 HTTP/1.1\r\nHost: x\r\n\r\n");
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < 6; i++) {
		ck_assert_msg(raw_reply(fd, &reply, false), "answer %d", i);
		ck_assert_int_eq(reply.status, 200);
		reply_release(&reply);
	}
	ck_assert(raw_ended(fd));
	close(fd);
	close(gate);
	daemon_stop(&d);
}
END_TEST

/* ---- many wait, and others don't */

START_TEST(a_hundred_wait)
{
	struct daemon d;
	int fds[100];
	int gate = modes_start(&d, &(struct daemon_conf){ .workers = ONE });

	for (int i = 0; i < 100; i++)
		fds[i] = modes_call(&d, "/pass");
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	gate_let(gate, 100);
	for (int i = 0; i < 100; i++)
		modes_answer(fds[i], 200);
	close(gate);
	daemon_stop(&d);
}
END_TEST

/* ---- waits that end otherwise */

START_TEST(deadline)
{
	struct daemon d;
	size_t from = 0;
	int gate = modes_start(&d, &(struct daemon_conf){ 0 });

	modes_answer(modes_call(&d, "/short"), 504);
	modes_await(&d, &from, "gave up /short", 1);
	close(gate);
	daemon_stop(&d);
}
END_TEST

START_TEST(hang_up)
{
	struct daemon d;
	size_t from = 0;
	char *log;
	int gate = modes_start(&d,
	    &(struct daemon_conf){ .task_workers = ONE });
	int runs, queued, other;

	runs = modes_call(&d, "/care/1");
	modes_await(&d, &from, "began /care/1", 1);
	/* it is not even begun when its client goes */
	queued = modes_call(&d, "/care/2");
	close(queued);
	modes_await(&d, &from, "/care/2.*hung up", 1);
	close(runs);
	modes_await(&d, &from, "/care/1.*hung up", 1);
	from = 0;
	modes_await(&d, &from, "gave up /care/1", 1);
	/* on other routes it does not matter */
	other = modes_call(&d, "/pass/3");
	modes_await(&d, &from, "began /pass/3", 1);
	close(other);
	gate_let(gate, 1);
	modes_await(&d, &from, "passed /pass/3", 1);
	log = daemon_log(&d);
	ck_assert_msg(!text_has(log, "began /care/2"), "%s", log);
	free(log);
	close(gate);
	daemon_stop(&d);
}
END_TEST

START_TEST(handler_crashes)
{
	struct daemon d;
	struct reply reply;
	size_t from = 0;
	int gate = modes_start(&d,
	    &(struct daemon_conf){ .task_workers = ONE });
	int fd = modes_call(&d, "/crash");

	d.crashes = true;
	gate_let(gate, 1);
	ck_assert(raw_reply(fd, &reply, false));
	reply_require_problem(&reply, 502);
	/* what of it is the client's business? */
	ck_assert_msg(!text_has(reply.body, "SIG"), "%s", reply.body);
	reply_release(&reply);
	close(fd);
	/* killed from outside: the same */
	fd = modes_call(&d, "/pass/4");
	modes_await(&d, &from, "began /pass/4", 1);
	modes_kill(&d, "task");
	modes_answer(fd, 502);
	fd = modes_call(&d, "/pass/5");
	gate_let(gate, 1);
	modes_answer(fd, 200);
	close(gate);
	daemon_stop(&d);
}
END_TEST

/* ---- the hub dies */

START_TEST(hub_is_killed)
{
	struct daemon d;
	size_t from = 0;
	int fds[10];
	int gate = modes_start(&d,
	    &(struct daemon_conf){ .task_workers = TWO });

	for (int i = 0; i < 10; i++)
		fds[i] = modes_call(&d, "/pass");
	modes_await(&d, &from, "began", 2);
	modes_kill(&d, "hub");
	gate_let(gate, 5);
	modes_await(&d, &from, "passed", 5);
	modes_kill(&d, "hub");
	gate_let(gate, 5);
	for (int i = 0; i < 10; i++)
		modes_answer(fds[i], 200);
	close(gate);
	daemon_stop(&d);
}
END_TEST

START_TEST(hub_is_killed_before_a_commit)
{
	struct daemon d;
	size_t from = 0;
	int gate = modes_start(&d, &(struct daemon_conf){ 0 });
	int fd = raw_connect(&d);

	raw_text(fd,
	    "POST /count?key=n&gate=1 HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 0\r\n\r\n");
	modes_await(&d, &from, "began /count", 1);
	modes_kill(&d, "hub");
	gate_let(gate, 1);
	modes_answer(fd, 200);
	ck_assert_int_eq(modes_value(&d, "n"), 1);
	close(gate);
	daemon_stop(&d);
}
END_TEST

/* ---- inline, with effects */

START_TEST(sends_with_its_success)
{
	struct daemon d;
	struct reply reply;
	json_t *json;
	int gate = modes_start(&d, &(struct daemon_conf){ 0 });

	for (int i = 1; i <= 3; i++) {
		json = modes_ask(&d,
		    &(struct ask){ .path = "/count?key=a", .body = "" }, 200);
		json_decref(json);
		ck_assert_int_eq(modes_value(&d, "a"), i);
	}
	json = modes_ask(&d,
	    &(struct ask){ .path = "/count?key=a&submit=modes.text",
		.body = "" },
	    200);
	ck_assert_str_ne(ctl_text(json, "id"), "");
	json_decref(json);
	/* nobody takes it, and so nothing has happened */
	http_require(&d,
	    &(struct ask){ .path = "/publish?queue=nowhere", .body = "" },
	    &reply);
	reply_require_problem(&reply, 422);
	reply_release(&reply);
	close(gate);
	daemon_stop(&d);
}
END_TEST

/* Somebody else changes what it has read: it runs again. */
START_TEST(runs_again)
{
	struct daemon d;
	struct run run;
	struct reply reply;
	size_t from = 0;
	json_t *json;
	int gate = modes_start(&d, &(struct daemon_conf){ 0 });
	int fd = raw_connect(&d);

	raw_text(fd,
	    "POST /add?key=n HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 0\r\n\r\n");
	modes_await(&d, &from, "began /add", 1);
	ctl_run(&d, &run, "set", "n", "41", NULL);
	ck_assert_msg(run.status == 0, "%s", run.err);
	run_release(&run);
	gate_let(gate, 2);
	ck_assert(raw_reply(fd, &reply, false));
	ck_assert_msg(reply.status == 200, "%s", reply.body);
	json = reply_json(&reply);
	ck_assert_int_eq(ctl_int(json, "was"), 41);
	json_decref(json);
	reply_release(&reply);
	close(fd);
	ck_assert_int_eq(modes_value(&d, "n"), 42);
	close(gate);
	daemon_stop(&d);
}
END_TEST

/* ---- the worker is replaced while calls wait */

START_TEST(drain)
{
	struct daemon d;
	struct run run;
	size_t from = 0;
	int gate = modes_start(&d, &(struct daemon_conf){ 0 });
	int fd = modes_call(&d, "/pass");

	modes_await(&d, &from, "began", 1);
	ctl_run(&d, &run, "reload", NULL);
	ck_assert_msg(run.status == 0, "%s", run.err);
	run_release(&run);
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	gate_let(gate, 1);
	modes_answer(fd, 200);
	close(gate);
	daemon_stop(&d);
}
END_TEST

/* Who still waits at the end is told so. */
START_TEST(stop)
{
	struct daemon d;
	size_t from = 0;
	int gate = modes_start(&d,
	    &(struct daemon_conf){
		.service = "start_timeout = 60.0; stop_timeout = 0.2;" });
	int fd = modes_call(&d, "/care/1");

	modes_await(&d, &from, "began", 1);
	daemon_stop(&d);
	modes_answer(fd, 503);
	close(gate);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE_MEMORY(as_inline),
		CASE(pipelined_and_half_closed),
		CASE(a_hundred_wait),
		CASE(deadline),
		CASE_MEMORY(hang_up),
		CASE(handler_crashes),
		CASE(hub_is_killed),
		CASE(hub_is_killed_before_a_commit),
		CASE_MEMORY(sends_with_its_success),
		CASE(runs_again),
		CASE(drain),
		CASE(stop),
	};

	return SUITE_RUN("modes", cases);
}
