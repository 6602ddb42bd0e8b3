/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_rest - routes, methods, what a handler sees of a request, and what the
 * client sees of the answer.
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

START_TEST(routes)
{
	struct daemon d;
	struct reply reply;
	json_t *seen;

	echo_start(&d, NULL);
	seen = echo_ask(&d, &(struct ask){ .path = "/items/42" });
	echo_require(seen, "params", "id", "42");
	echo_require(seen, NULL, "path", "/items/42");
	echo_require(seen, NULL, "method", "GET");
	json_decref(seen);
	seen = echo_ask(&d,
	    &(struct ask){ .path = "/items/42", .method = "PUT", .body = "x" });
	echo_require(seen, NULL, "method", "PUT");
	json_decref(seen);
	/* the literal goes before the parameter */
	http_require(&d, &(struct ask){ .path = "/items/new" }, &reply);
	ck_assert_int_eq(reply.status, 200);
	ck_assert_msg(text_has(reply.body, "hello, world!"), "%s", reply.body);
	reply_release(&reply);
	/* ... but only for its own method */
	seen = echo_ask(&d,
	    &(struct ask){ .path = "/items/new",
		.method = "PUT",
		.body = "x" });
	echo_require(seen, "params", "id", "new");
	json_decref(seen);
	seen = echo_ask(&d, &(struct ask){ .path = "/x/1/y/2%2F3%20%C3%A9" });
	echo_require(seen, "params", "a", "1");
	echo_require(seen, "params", "b", "2/3 \303\251");
	json_decref(seen);
	daemon_stop(&d);
}
END_TEST

START_TEST(no_such_route)
{
	static const char *const paths[] = { "/", "/nothing", "/hello/",
		"/items", "/items/", "/items/1/2", "//hello", "/hell",
		"/helloo", "/../hello", "/x/1/y" };
	struct daemon d;

	echo_start(&d, NULL);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct reply reply;

		http_require(&d,
		    &(struct ask){ .path = paths[i], .as_is = true }, &reply);
		ck_assert_msg(reply.status == 404, "%s: %d", paths[i],
		    reply.status);
		reply_require_problem(&reply, 404);
		reply_release(&reply);
	}
	daemon_stop(&d);
}
END_TEST

/* The methods of an Allow header, in any order. */
static void
require_allow(const struct reply *reply, const char *const methods[])
{
	const char *allow = reply_header(reply, "Allow");
	size_t len = 0, n = 0;

	ck_assert_msg(allow != NULL, "no Allow: %s", reply->head);
	for (; methods[n] != NULL; n++) {
		text_require("Allow", allow, methods[n]);
		len += strlen(methods[n]);
	}
	ck_assert_msg(strlen(allow) <= len + 2 * (n - 1), "Allow: %s", allow);
}

START_TEST(methods)
{
	static const char *const echo_methods[] = { "GET", "HEAD", "POST",
		"DELETE", "OPTIONS", NULL };
	struct daemon d;
	struct reply reply, get;

	echo_start(&d, NULL);
	http_require(&d,
	    &(struct ask){ .path = "/echo", .method = "PATCH", .body = "x" },
	    &reply);
	reply_require_problem(&reply, 405);
	require_allow(&reply, echo_methods);
	reply_release(&reply);

	http_require(&d, &(struct ask){ .path = "/echo", .method = "OPTIONS" },
	    &reply);
	ck_assert_int_eq(reply.status / 100, 2);
	ck_assert_uint_eq(reply.body_len, 0);
	require_allow(&reply, echo_methods);
	reply_release(&reply);

	http_require(&d, &(struct ask){ .path = "/hello" }, &get);
	http_require(&d, &(struct ask){ .path = "/hello", .method = "HEAD" },
	    &reply);
	ck_assert_int_eq(reply.status, 200);
	ck_assert_uint_eq(reply.body_len, 0);
	ck_assert_int_eq(atoi(reply_header(&reply, "Content-Length")),
	    (int)get.body_len);
	ck_assert_str_eq(reply_header(&reply, "Content-Type"),
	    "application/json");
	reply_release(&get);
	reply_release(&reply);

	http_require(&d, &(struct ask){ .path = "/nothing", .method = "HEAD" },
	    &reply);
	ck_assert_int_eq(reply.status, 404);
	ck_assert_uint_eq(reply.body_len, 0);
	reply_release(&reply);

	http_require(&d, &(struct ask){ .path = "/echo", .method = "DELETE" },
	    &reply);
	ck_assert_int_eq(reply.status, 204);
	ck_assert_uint_eq(reply.body_len, 0);
	reply_release(&reply);

	http_require(&d, &(struct ask){ .path = "/hello", .method = "BREW" },
	    &reply);
	ck_assert_msg(reply.status == 405 || reply.status == 501, "%d",
	    reply.status);
	reply_release(&reply);
	ck_assert_int_eq(
	    raw_status(&d, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n") / 100, 2);
	daemon_stop(&d);
}
END_TEST

START_TEST(what_a_handler_sees)
{
	struct daemon d;
	json_t *seen;

	echo_start(&d, NULL);
	seen = echo_ask(&d,
	    &(struct ask){ .path = "/echo?q=a%20b%26&x=1&x=2&empty&y=%C3%A4",
		.body = "{\"some\": \"bytes\"}",
		.header = { "Content-Type: application/json",
		    "X-Test: one  two", "Cookie: sid=abc; a=1;b=x=y",
		    "X-Empty;" } });
	echo_require(seen, NULL, "method", "POST");
	echo_require(seen, NULL, "path", "/echo");
	echo_require(seen, "query", "q", "a b&");
	echo_require(seen, "query", "x", "1");
	echo_require(seen, "query", "empty", "");
	echo_require(seen, "query", "y", "\303\244");
	echo_require(seen, "headers", "x-test", "one  two");
	echo_require(seen, "headers", "x-empty", "");
	echo_require(seen, "headers", "content-type", "application/json");
	echo_require(seen, "cookies", "sid", "abc");
	echo_require(seen, "cookies", "a", "1");
	echo_require(seen, "cookies", "b", "x=y");
	echo_require(seen, NULL, "body", "{\"some\": \"bytes\"}");
	ck_assert_int_eq(ctl_int(seen, "body_length"), 17);
	ck_assert_int_eq(strncmp(ctl_text(seen, "peer"), "127.0.0.1:", 10), 0);
	ck_assert_double_gt(json_number_value(
				json_object_get(seen, "remaining")),
	    0.0);
	json_decref(seen);
	/* bytes are bytes */
	seen = echo_ask(&d,
	    &(struct ask){ .path = "/echo", .body = "a\0b", .body_len = 3 });
	ck_assert_int_eq(ctl_int(seen, "body_length"), 3);
	json_decref(seen);
	daemon_stop(&d);
}
END_TEST

START_TEST(json_routes)
{
	struct daemon d;
	struct reply reply;
	json_t *seen;

	echo_start(&d, NULL);
	seen = echo_ask(&d,
	    &(struct ask){ .path = "/json",
		.body = "[1]",
		.header = {
		    "Content-Type: application/json; charset=utf-8" } });
	echo_require(seen, NULL, "body", "[1]");
	json_decref(seen);
	seen = echo_ask(&d,
	    &(struct ask){ .path = "/json",
		.body = "[1]",
		.header = { "Content-Type: application/vnd.x+json" } });
	json_decref(seen);
	http_require(&d,
	    &(struct ask){ .path = "/json",
		.body = "[1]",
		.header = { "Content-Type: text/plain" } },
	    &reply);
	reply_require_problem(&reply, 415);
	reply_release(&reply);
	http_require(&d,
	    &(struct ask){ .path = "/json",
		.body = "[1,]",
		.header = { "Content-Type: application/json" } },
	    &reply);
	reply_require_problem(&reply, 400);
	reply_release(&reply);
	http_require(&d,
	    &(struct ask){ .path = "/small", .body = "eleven byte" }, &reply);
	reply_require_problem(&reply, 413);
	reply_release(&reply);
	ck_assert_int_eq(http_status(&d, "/small", "ten bytes!"), 200);
	daemon_stop(&d);
}
END_TEST

START_TEST(big_answer)
{
	struct daemon d;
	struct reply reply;

	echo_start(&d, NULL);
	http_require(&d, &(struct ask){ .path = "/big?n=20000000" }, &reply);
	ck_assert_int_eq(reply.status, 200);
	ck_assert_uint_eq(reply.body_len, 20000000);
	ck_assert_uint_eq(strspn(reply.body, "x"), 20000000);
	reply_release(&reply);
	daemon_stop(&d);
}
END_TEST

START_TEST(headers_of_a_handler)
{
	struct daemon d;
	struct reply reply;

	echo_start(&d, NULL);
	http_require(&d, &(struct ask){ .path = "/headers" }, &reply);
	ck_assert_int_eq(reply.status, 200);
	text_require("the answer", reply.body, "{\"refused\":7}");
	ck_assert_str_eq(reply_header(&reply, "X-Good"), "yes");
	ck_assert_ptr_null(reply_header(&reply, "X-Evil"));
	ck_assert_ptr_null(reply_header(&reply, "X-Bad"));
	reply_release(&reply);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE(routes),
		CASE(no_such_route),
		CASE_MEMORY(methods),
		CASE_MEMORY(what_a_handler_sees),
		CASE(json_routes),
		CASE(big_answer),
		CASE(headers_of_a_handler),
	};

	return SUITE_RUN("rest", cases);
}
