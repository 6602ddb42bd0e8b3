/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_rest_wire - HTTP/1.1 as well-behaved clients speak it: connections that
 * are kept, pipelines, chunks, and asking before sending.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/echo.h"
#include "lib/http.h"
#include "lib/suite.h"
#include "lib/text.h"

START_TEST(keep_alive)
{
	struct daemon d;
	struct reply reply;
	int fd;

	echo_start(&d, NULL);
	fd = raw_connect(&d);
	for (int i = 0; i < 20; i++) {
		raw_text(fd,
		    i % 2 == 0 ? "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n" :
				 "POST /echo HTTP/1.1\r\nHost: x\r\n"
				 "Content-Length: 3\r\n\r\nabc");
		ck_assert(raw_reply(fd, &reply, false));
		ck_assert_int_eq(reply.status, 200);
		ck_assert_ptr_nonnull(reply_header(&reply, "Date"));
		reply_release(&reply);
	}
	/* errors of the application do not end the connection either */
	raw_text(fd, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert(raw_reply(fd, &reply, false));
	ck_assert_int_eq(reply.status, 404);
	reply_release(&reply);
	raw_text(fd,
	    "GET /hello HTTP/1.1\r\nHost: x\r\n"
	    "Connection: close\r\n\r\n");
	ck_assert(raw_reply(fd, &reply, false));
	ck_assert_int_eq(reply.status, 200);
	ck_assert_str_eq(reply_header(&reply, "Connection"), "close");
	reply_release(&reply);
	ck_assert(raw_ended(fd));
	close(fd);
	daemon_stop(&d);
}
END_TEST

START_TEST(idle_connection_is_closed)
{
	struct daemon d;
	struct reply reply;
	int fd;

	daemon_start(&d,
	    &(struct daemon_conf){ .rest = "idle_timeout = 0.2;" });
	fd = raw_connect(&d);
	raw_text(fd, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert(raw_reply(fd, &reply, false));
	reply_release(&reply);
	ck_assert(raw_ended(fd));
	close(fd);
	daemon_stop(&d);
}
END_TEST

START_TEST(pipelining)
{
	struct daemon d;
	int fd;
	static const struct {
		int status;
		const char *part;
	} wanted[] = { { 200, "/items/1" }, { 404, "404" }, { 200, "\"abc\"" },
		{ 200, "hello, world!" } };

	echo_start(&d, NULL);
	fd = raw_connect(&d);
	raw_text(fd,
	    "GET /items/1 HTTP/1.1\r\nHost: x\r\n\r\n"
	    "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
	    "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
	    "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		struct reply reply;

		ck_assert_msg(raw_reply(fd, &reply, false), "no answer %zu", i);
		ck_assert_int_eq(reply.status, wanted[i].status);
		text_require("the answer", reply.body, wanted[i].part);
		reply_release(&reply);
	}
	ck_assert(raw_ended(fd));
	close(fd);
	daemon_stop(&d);
}
END_TEST

/* More than a buffer's worth at once, and not read until all is sent. */
START_TEST(long_pipeline)
{
	struct daemon d;
	struct reply reply;
	int fd;

	echo_start(&d, NULL);
	fd = raw_connect(&d);
	for (int i = 0; i < 1000; i++)
		raw_text(fd, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
	for (int i = 0; i < 1000; i++) {
		ck_assert_msg(raw_reply(fd, &reply, false), "no answer %d", i);
		ck_assert_int_eq(reply.status, 200);
		reply_release(&reply);
	}
	close(fd);
	daemon_stop(&d);
}
END_TEST

/* As a proxy is asked: servers have to take it (RFC 9112, 3.2.2). */
START_TEST(absolute_target)
{
	struct daemon d;

	echo_start(&d, NULL);
	ck_assert_int_eq(raw_status(&d,
			     "GET http://example.com/hello HTTP/1.1"
			     "\r\nHost: example.com\r\n\r\n"),
	    200);
	ck_assert_int_eq(raw_status(&d,
			     "GET http://example.com/no HTTP/1.1"
			     "\r\nHost: example.com\r\n\r\n"),
	    404);
	daemon_stop(&d);
}
END_TEST

START_TEST(http_1_0)
{
	struct daemon d;
	struct reply reply;
	int fd;

	echo_start(&d, NULL);
	fd = raw_connect(&d);
	raw_text(fd, "GET /hello HTTP/1.0\r\n\r\n");
	ck_assert(raw_reply(fd, &reply, false));
	ck_assert_int_eq(reply.status, 200);
	text_require("the answer", reply.body, "hello, world!");
	reply_release(&reply);
	ck_assert(raw_ended(fd));
	close(fd);
	daemon_stop(&d);
}
END_TEST

START_TEST(chunked_upload)
{
	struct daemon d;
	struct reply reply;
	char *big = text_repeat('z', 300000);
	json_t *seen;
	int fd;

	echo_start(&d, NULL);
	seen = echo_ask(&d,
	    &(struct ask){ .path = "/echo",
		.body = big,
		.header = { "Transfer-Encoding: chunked", "Expect:" } });
	ck_assert_int_eq(ctl_int(seen, "body_length"), 300000);
	echo_require(seen, NULL, "body", big);
	json_decref(seen);
	free(big);
	/* extensions and trailers are there to be skipped */
	fd = raw_connect(&d);
	raw_text(fd,
	    "POST /echo HTTP/1.1\r\nHost: x\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n"
	    "5;name=value\r\nhello\r\n1\r\n,\r\n0\r\nX-Trailer: t\r\n\r\n"
	    "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert(raw_reply(fd, &reply, false));
	ck_assert_int_eq(reply.status, 200);
	text_require("the answer", reply.body, "\"hello,\"");
	reply_release(&reply);
	ck_assert(raw_reply(fd, &reply, false));
	ck_assert_int_eq(reply.status, 200);
	reply_release(&reply);
	close(fd);
	daemon_stop(&d);
}
END_TEST

START_TEST(expect_continue)
{
	struct daemon d;
	struct reply reply;
	int fd;

	echo_start(&d, NULL);
	fd = raw_connect(&d);
	raw_text(fd,
	    "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
	    "Expect: 100-continue\r\n\r\n");
	ck_assert(raw_reply(fd, &reply, false));
	ck_assert_int_eq(reply.status, 100);
	reply_release(&reply);
	raw_text(fd, "abc");
	ck_assert(raw_reply(fd, &reply, false));
	ck_assert_int_eq(reply.status, 200);
	text_require("the answer", reply.body, "\"abc\"");
	reply_release(&reply);
	close(fd);
	/* no invitation for what would be refused anyway */
	ck_assert_int_eq(
	    raw_status(&d,
		"POST /small HTTP/1.1\r\nHost: x\r\n"
		"Content-Length: 11\r\nExpect: 100-continue\r\n\r\n"),
	    413);
	ck_assert_int_eq(
	    raw_status(&d,
		"POST /nothing HTTP/1.1\r\nHost: x\r\n"
		"Content-Length: 11\r\nExpect: 100-continue\r\n\r\n"),
	    404);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE(keep_alive),
		CASE(idle_connection_is_closed),
		CASE_MEMORY(pipelining),
		CASE(long_pipeline),
		CASE(absolute_target),
		CASE(http_1_0),
		CASE_MEMORY(chunked_upload),
		CASE_MEMORY(expect_continue),
	};

	return SUITE_RUN("rest wire", cases);
}
