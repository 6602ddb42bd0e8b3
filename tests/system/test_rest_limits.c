/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_rest_limits - every limit of the config that a client can run into, and
 * clients that come to stay: abandoned, half-open, dripping, not reading.
 */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/echo.h"
#include "lib/gate.h"
#include "lib/http.h"
#include "lib/suite.h"
#include "lib/text.h"

static void
require_no_death(const struct daemon *d)
{
	ck_assert_int_eq(ctl_pool(d, "rest", "restarts"), 0);
	ck_assert_int_eq(http_status(d, "/hello", NULL), 200);
}

START_TEST(oversized)
{
	struct daemon d;
	struct reply reply;
	char *big = text_repeat('x', 3000), *text;

	echo_start(&d, "max_uri = 1024; max_header = 2048; max_body = 1000;");
	/* the target */
	text = text_format("/items/%s", big);
	http_require(&d, &(struct ask){ .path = text }, &reply);
	reply_require_problem(&reply, 414);
	reply_release(&reply);
	free(text);
	text = text_format("/echo?q=%s", big);
	http_require(&d, &(struct ask){ .path = text }, &reply);
	reply_require_problem(&reply, 414);
	reply_release(&reply);
	free(text);
	/* headers, one big or many small ones */
	text = text_format("X-Big: %s", big);
	http_require(&d, &(struct ask){ .path = "/hello", .header = { text } },
	    &reply);
	reply_require_problem(&reply, 431);
	reply_release(&reply);
	free(text);
	/* the body, announced or not */
	http_require(&d,
	    &(struct ask){ .path = "/echo",
		.body = big,
		.header = { "Expect:" } },
	    &reply);
	reply_require_problem(&reply, 413);
	reply_release(&reply);
	http_require(&d,
	    &(struct ask){ .path = "/echo",
		.body = big,
		.header = { "Transfer-Encoding: chunked", "Expect:" } },
	    &reply);
	reply_require_problem(&reply, 413);
	reply_release(&reply);
	/* exactly as much as is allowed */
	http_require(&d,
	    &(struct ask){ .path = "/echo", .body = big, .body_len = 1000 },
	    &reply);
	ck_assert_int_eq(reply.status, 200);
	reply_release(&reply);
	http_require(&d,
	    &(struct ask){ .path = "/echo", .body = big, .body_len = 1001 },
	    &reply);
	reply_require_problem(&reply, 413);
	reply_release(&reply);
	free(big);
	require_no_death(&d);
	daemon_stop(&d);
}
END_TEST

/*
 * Much larger than any socket buffer, and refused at its first byte: the answer
 * still has to arrive, although the client goes on sending.
 */
START_TEST(refused_while_sending)
{
	struct daemon d;
	char *big = text_repeat('x', 20000000);
	static const struct {
		const char *path;
		int status;
	} table[] = { { "/echo", 413 }, { "/nothing", 404 } };

	echo_start(&d, "max_body = 1000;");
	for (size_t i = 0; i < 4; i++) {
		struct reply reply;
		struct ask ask = { .path = table[i / 2].path,
			.body = big,
			.header = { "Expect:",
			    i % 2 == 0 ? NULL :
					 "Transfer-Encoding: chunked" } };

		http_ask(&d, &ask, &reply);
		ck_assert_msg(reply.status == table[i / 2].status, "%s: %d",
		    ask.path, reply.status);
		reply_release(&reply);
	}
	free(big);
	require_no_death(&d);
	daemon_stop(&d);
}
END_TEST

START_TEST(headers_without_end)
{
	struct daemon d;
	struct reply reply;
	int fd;

	echo_start(&d, "max_header = 4096;");
	fd = raw_connect(&d);
	raw_text(fd, "GET /hello HTTP/1.1\r\nHost: x\r\n");
	for (int i = 0; i < 10000; i++)
		if (!raw_text(fd, "X-A: b\r\n"))
			break;
	/* the reset may come before the answer could be read */
	raw_reply(fd, &reply, false);
	ck_assert_msg(reply.status == 431 || reply.status == 0, "%d",
	    reply.status);
	reply_release(&reply);
	close(fd);
	/* a request line without end */
	fd = raw_connect(&d);
	for (int i = 0; i < 10000; i++)
		if (!raw_text(fd, "aaaaaaaaaaaaaaaa"))
			break;
	raw_reply(fd, &reply, false);
	ck_assert_msg(reply.status / 100 == 4 || reply.status == 501 ||
		reply.status == 0,
	    "%d", reply.status);
	reply_release(&reply);
	close(fd);
	require_no_death(&d);
	daemon_stop(&d);
}
END_TEST

/* One byte after the other until the server has had enough. */
static int
drip(const struct daemon *d, const char *begin, const char *drop)
{
	struct reply reply;
	int fd = raw_connect(d), status;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	raw_text(fd, begin);
	while (poll(&p, 1, 20) == 0)
		raw_text(fd, drop);
	raw_reply(fd, &reply, false);
	status = reply.status;
	if (status != 0)
		reply_require_problem(&reply, status);
	reply_release(&reply);
	ck_assert(raw_ended(fd));
	close(fd);
	return status;
}

START_TEST(dripping)
{
	struct daemon d;

	echo_start(&d, "receive_timeout = 0.3; idle_timeout = 3600.0;");
	ck_assert_int_eq(drip(&d, "GET /", "x"), 408);
	ck_assert_int_eq(drip(&d, "GET /hello HTTP/1.1\r\nHost: x\r\nX: ", "x"),
	    408);
	ck_assert_int_eq(drip(&d,
			     "POST /echo HTTP/1.1\r\nHost: x\r\n"
			     "Content-Length: 100000\r\n\r\n",
			     "x"),
	    408);
	ck_assert_int_eq(drip(&d,
			     "POST /echo HTTP/1.1\r\nHost: x\r\n"
			     "Transfer-Encoding: chunked\r\n\r\n",
			     "1\r\nx\r\n"),
	    408);
	require_no_death(&d);
	daemon_stop(&d);
}
END_TEST

/* Sends nothing at all, or nothing more: the same end. */
START_TEST(silent)
{
	struct daemon d;
	struct reply reply;
	int fd;

	echo_start(&d, "receive_timeout = 0.2; idle_timeout = 0.2;");
	fd = raw_connect(&d);
	ck_assert(raw_ended(fd));
	close(fd);
	fd = raw_connect(&d);
	raw_text(fd,
	    "POST /echo HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 10\r\n\r\nabc");
	raw_reply(fd, &reply, false);
	ck_assert_int_eq(reply.status, 408);
	reply_release(&reply);
	ck_assert(raw_ended(fd));
	close(fd);
	require_no_death(&d);
	daemon_stop(&d);
}
END_TEST

static bool
nobody_connected(json_t *status, void *ctx)
{
	size_t i;
	json_t *row;
	long sum = 0;

	(void)ctx;
	for (i = 0; (row = ctl_row(status, i)) != NULL; i++)
		sum += ctl_int(row, "connections");
	return sum == 0;
}

START_TEST(abandoned)
{
	static const char request[] = "POST /echo HTTP/1.1\r\nHost: x\r\n"
				      "Content-Length: 100\r\n\r\nhalf of it";
	struct linger reset = { 1, 0 };
	struct daemon d;

	echo_start(&d, "idle_timeout = 3600.0; receive_timeout = 3600.0;");
	for (size_t i = 0; i < 300; i++) {
		int fd = raw_connect(&d);

		raw_send(fd, request, i % sizeof(request));
		if (i % 2 == 0)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset,
			    sizeof(reset));
		close(fd);
	}
	/* asked for and not waited for */
	for (size_t i = 0; i < 20; i++) {
		int fd = raw_connect(&d);

		raw_text(fd, "GET /big?n=3000000 HTTP/1.1\r\nHost: x\r\n\r\n");
		close(fd);
	}
	ctl_require(&d, "no connection left", nobody_connected, NULL);
	require_no_death(&d);
	daemon_stop(&d);
}
END_TEST

/* The last bytes of half a request, and the end of the connection with them:
 * the only worker is busy meanwhile and finds both at once. */
START_TEST(half_closed)
{
	static const char *const parts[][2] = {
		{ "POST ", "/hello" },
		{ "GET /who HTTP/1.1\r\nHo", "st: x\r\nX" },
		{ "POST /who HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\na",
		    "bc" },
	};
	struct daemon d;
	int gate, call;

	daemon_start(&d,
	    &(struct daemon_conf){
		.workers = "start = 1; min_spare = 0; max_spare = 1; max = 1;",
		.rest = "idle_timeout = 3600.0; receive_timeout = 3600.0;",
		.modules = MODULE_GATE,
		.route = { GATE_ROUTES, ROUTE("POST", "/who", "gate.who") } });
	gate = gate_make(&d);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		int fd = raw_connect(&d);

		raw_text(fd, parts[i][0]);
		/* by then it has read them */
		gate_who(&d);
		gate_who(&d);
		call = gate_call(&d);
		ctl_require_pool(&d, "rest", "busy", 1, 1);
		raw_text(fd, parts[i][1]);
		shutdown(fd, SHUT_WR);
		gate_let(gate, 1);
		gate_answer(call);
		ck_assert_msg(raw_ended(fd), "%s: left open", parts[i][0]);
		close(fd);
	}
	ck_assert_int_eq(ctl_pool(&d, "rest", "restarts"), 0);
	close(gate);
	daemon_stop(&d);
}
END_TEST

START_TEST(not_reading)
{
	struct daemon d;
	int fds[8], small = 4096;

	echo_start(&d, "send_timeout = 0.3; idle_timeout = 3600.0;");
	for (int i = 0; i < 8; i++) {
		fds[i] = raw_connect(&d);
		setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &small,
		    sizeof(small));
		raw_text(fds[i],
		    "GET /big?n=30000000 HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	/* the workers have not been waiting for them */
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	ctl_require(&d, "those who don't read cut off", nobody_connected, NULL);
	for (int i = 0; i < 8; i++)
		close(fds[i]);
	require_no_death(&d);
	daemon_stop(&d);
}
END_TEST

START_TEST(a_thousand_half_open)
{
	struct rlimit limit;
	struct daemon d;
	int fds[1000];

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur < 1200 && limit.rlim_max >= 1200) {
		limit.rlim_cur = 1200;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	echo_start(&d, "receive_timeout = 3600.0; idle_timeout = 3600.0;");
	for (int i = 0; i < 1000; i++) {
		fds[i] = raw_connect(&d);
		raw_text(fds[i], i % 2 == 0 ? "" : "GET /hello HTTP/1.1\r\nH");
	}
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	/* they can still make up their minds */
	for (int i = 1; i < 1000; i += 100) {
		struct reply reply;

		raw_text(fds[i], "ost: x\r\n\r\n");
		ck_assert(raw_reply(fds[i], &reply, false));
		ck_assert_int_eq(reply.status, 200);
		reply_release(&reply);
	}
	for (int i = 0; i < 1000; i++)
		close(fds[i]);
	ctl_require(&d, "no connection left", nobody_connected, NULL);
	require_no_death(&d);
	daemon_stop(&d);
}
END_TEST

static bool
all_connected(json_t *status, void *ctx)
{
	size_t i;
	json_t *row;
	long sum = 0;

	for (i = 0; (row = ctl_row(status, i)) != NULL; i++)
		sum += ctl_int(row, "connections");
	return sum >= *(long *)ctx;
}

START_TEST(saturated)
{
	struct daemon d;
	struct reply reply;
	long wanted = 6;
	int fds[6], fd;

	daemon_start(&d,
	    &(struct daemon_conf){
		.workers = "start = 2; min_spare = 0; max_spare = 2; max = 2;",
		.rest = "connections = 3; idle_timeout = 3600.0;"
			"receive_timeout = 3600.0; retry_after = 6.5;" });
	for (int i = 0; i < 6; i++)
		fds[i] = raw_connect(&d);
	ctl_require(&d, "all connections taken", all_connected, &wanted);
	fd = raw_connect(&d);
	raw_text(fd, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
	raw_reply(fd, &reply, false);
	reply_require_problem(&reply, 503);
	ck_assert_str_eq(reply_header(&reply, "Retry-After"), "7");
	reply_release(&reply);
	ck_assert(raw_ended(fd));
	close(fd);
	/* those who are in are served */
	for (int i = 0; i < 6; i++) {
		raw_text(fds[i], "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
		ck_assert(raw_reply(fds[i], &reply, false));
		ck_assert_int_eq(reply.status, 200);
		reply_release(&reply);
	}
	for (int i = 0; i < 6; i++)
		close(fds[i]);
	ctl_require(&d, "no connection left", nobody_connected, NULL);
	require_no_death(&d);
	daemon_stop(&d);
}
END_TEST

/* A process to each connection, as the model has it. */
START_TEST(one_connection_a_process)
{
	struct daemon d;
	struct reply reply;
	int fds[5];

	daemon_start(&d,
	    &(struct daemon_conf){
		.workers = "start = 1; min_spare = 1; max_spare = 2; max = 8;",
		.rest = "connections = 1; idle_timeout = 3600.0;" });
	for (int i = 0; i < 5; i++) {
		fds[i] = raw_connect(&d);
		raw_text(fds[i], "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
		ck_assert(raw_reply(fds[i], &reply, false));
		ck_assert_int_eq(reply.status, 200);
		reply_release(&reply);
	}
	ctl_require_pool(&d, "rest", "ready", 6, 8);
	for (int i = 0; i < 5; i++)
		close(fds[i]);
	require_no_death(&d);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE_MEMORY(oversized),
		CASE(refused_while_sending),
		CASE(headers_without_end),
		CASE(dripping),
		CASE(silent),
		CASE(abandoned),
		CASE(half_closed),
		CASE(not_reading),
		CASE(a_thousand_half_open),
		CASE(saturated),
		CASE(one_connection_a_process),
	};

	return SUITE_RUN("rest limits", cases);
}
