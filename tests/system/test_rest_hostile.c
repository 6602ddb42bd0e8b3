/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_rest_hostile - requests that no client should send. Each is answered
 * with a clear error, or not at all; no worker dies of one; and the service
 * goes on for everybody else.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/echo.h"
#include "lib/http.h"
#include "lib/suite.h"
#include "lib/text.h"

/* Bytes, NULs and all, and the statuses that will do. */
struct hostile {
	const char *what;
	const char *bytes;
	size_t len;
	int status[4];
};
#define NONE (-1) /* just the end of the connection */
#define BYTES(text) text, sizeof(text) - 1
#define HOST "Host: x\r\n"
#define GET(target) BYTES("GET " target " HTTP/1.1\r\n" HOST "\r\n")
#define WITH(header) BYTES("GET /hello HTTP/1.1\r\n" HOST header "\r\n\r\n")
#define POST(headers) BYTES("POST /echo HTTP/1.1\r\n" HOST headers)

/* What a worker is like before and after: the same one, with no restart. */
struct family {
	pid_t pids[16];
	size_t n;
};

static void
family_note(const struct daemon *d, struct family *family)
{
	ck_assert_uint_ge(family->n = ctl_pids(d, family->pids, 16), 1);
}

static void
family_require_same(const struct daemon *d, const struct family *before)
{
	json_t *status = ctl_status(d);

	for (size_t i = 0; i < before->n; i++)
		ck_assert_msg(ctl_child(status, before->pids[i]) != NULL,
		    "child %d died", before->pids[i]);
	ck_assert_int_eq(ctl_int(ctl_pool_row(status, "rest"), "restarts"), 0);
	json_decref(status);
	ck_assert_int_eq(http_status(d, "/hello", NULL), 200);
}

static void
try_one(const struct daemon *d, const struct hostile *hostile)
{
	struct reply reply;
	int fd = raw_connect(d);
	bool fine = false;

	raw_send(fd, hostile->bytes, hostile->len);
	/* an answer must not depend on more to come */
	shutdown(fd, SHUT_WR);
	raw_reply(fd, &reply, false);
	for (size_t i = 0; i < 4; i++)
		if (hostile->status[i] != 0 &&
		    reply.status ==
			(hostile->status[i] == NONE ? 0 : hostile->status[i]))
			fine = true;
	ck_assert_msg(fine, "%s: %d, not %d: %s%s", hostile->what, reply.status,
	    hostile->status[0], reply.head, reply.body);
	if (reply.status >= 400 && reply.body_len > 0)
		reply_require_problem(&reply, reply.status);
	reply_release(&reply);
	ck_assert_msg(raw_ended(fd), "%s: left open", hostile->what);
	close(fd);
}

static void
try_all(const struct hostile *hostile, size_t n)
{
	struct daemon d;
	struct family family;

	echo_start(&d, NULL);
	family_note(&d, &family);
	for (size_t i = 0; i < n; i++)
		try_one(&d, &hostile[i]);
	family_require_same(&d, &family);
	daemon_stop(&d);
}
#define TRY_ALL(table) try_all(table, sizeof(table) / sizeof((table)[0]))

START_TEST(request_lines)
{
	static const struct hostile table[] = {
		{ "nothing", BYTES(""), { NONE } },
		{ "one byte", BYTES("G"), { 400, NONE } },
		{ "a TLS hello",
		    BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc"
			  "\x03\x03\r\n\r\n"),
		    { 400, NONE } },
		{ "NULs", BYTES("\0\0\0\0\0\0\0\0\r\n\r\n"), { 400, NONE } },
		{ "no target", BYTES("GET\r\n" HOST "\r\n"), { 400 } },
		{ "no version", BYTES("GET /hello\r\n" HOST "\r\n"),
		    { 400, 505 } },
		{ "another protocol",
		    BYTES("GET /hello HTTX/1.1\r\n" HOST "\r\n"),
		    { 400, 505 } },
		{ "another version",
		    BYTES("GET /hello HTTP/9.9\r\n" HOST "\r\n"),
		    { 505, 400 } },
		{ "half a version", BYTES("GET /hello HTTP/1\r\n" HOST "\r\n"),
		    { 400, 505 } },
		{ "no method", BYTES(" /hello HTTP/1.1\r\n" HOST "\r\n"),
		    { 400 } },
		{ "a blank too many",
		    BYTES("GET /hel lo HTTP/1.1\r\n" HOST "\r\n"), { 400 } },
		{ "a control byte in the target",
		    BYTES("GET /hel\x01lo HTTP/1.1\r\n" HOST "\r\n"), { 400 } },
		{ "a NUL in the target",
		    BYTES("GET /hello\0x HTTP/1.1\r\n" HOST "\r\n"), { 400 } },
		{ "a method of control bytes",
		    BYTES("\x01\x02 /hello HTTP/1.1\r\n" HOST "\r\n"),
		    { 400, 405, 501 } },
		{ "a method with a bracket",
		    BYTES("G(T /hello HTTP/1.1\r\n" HOST "\r\n"),
		    { 400, 405, 501 } },
		{ "a carriage return alone",
		    BYTES("GET /hello\r HTTP/1.1\r\n" HOST "\r\n"), { 400 } },
		{ "CONNECT", BYTES("CONNECT x:80 HTTP/1.1\r\n" HOST "\r\n"),
		    { 404, 405, 400, 501 } },
		{ "a relative target", GET("hello"), { 400, 404 } },
		{ "an asterisk to GET", GET("*"), { 400, 404, 405 } },
		{ "half of a request", BYTES("GET /hello HTTP/1.1\r\nHo"),
		    { 400, NONE, 408 } },
	};

	TRY_ALL(table);
}
END_TEST

START_TEST(percent_encoding)
{
	static const struct hostile table[] = {
		{ "no hex", GET("/items/%zz"), { 400 } },
		{ "one digit", GET("/items/%4"), { 400 } },
		{ "no digit", GET("/items/%"), { 400 } },
		{ "a NUL", GET("/items/a%00b"), { 400 } },
		{ "in a literal", GET("/hello%zz"), { 400 } },
		{ "in the query", GET("/echo?q=%zz"), { 400 } },
		{ "a NUL in the query", GET("/echo?q=a%00b"), { 400 } },
		{ "at the end of the query", GET("/echo?q=%"), { 400 } },
		{ "in a name of the query", GET("/echo?%g1=1"), { 400 } },
	};

	TRY_ALL(table);
}
END_TEST

START_TEST(headers)
{
	static const struct hostile table[] = {
		{ "no Host", BYTES("GET /hello HTTP/1.1\r\n\r\n"), { 400 } },
		{ "two Hosts", WITH("Host: y"), { 400 } },
		{ "no colon", WITH("nonsense"), { 400 } },
		{ "no name", WITH(": value"), { 400 } },
		{ "a blank before the colon", WITH("X-A : b"), { 400 } },
		{ "a blank in the name", WITH("X A: b"), { 400 } },
		{ "a control byte in the name", WITH("X\x01: b"), { 400 } },
		{ "a NUL in the name", WITH("X\0: b"), { 400 } },
		{ "a NUL in the value", WITH("X: a\0b"), { 400 } },
		{ "a folded line", WITH("X: a\r\n b"), { 400 } },
		{ "a carriage return in the value", WITH("X: a\rb"), { 400 } },
	};

	TRY_ALL(table);
}
END_TEST

/* Where two parsers could disagree about the end of a request. */
START_TEST(smuggling)
{
	static const struct hostile table[] = {
		{ "length and chunks",
		    POST("Content-Length: 3\r\n"
			 "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
		    { 400 } },
		{ "chunks and length",
		    POST("Transfer-Encoding: chunked\r\n"
			 "Content-Length: 3\r\n\r\n0\r\n\r\n"),
		    { 400 } },
		{ "two lengths",
		    POST("Content-Length: 3\r\n"
			 "Content-Length: 4\r\n\r\nabcd"),
		    { 400 } },
		{ "a list of lengths", POST("Content-Length: 3, 4\r\n\r\nabcd"),
		    { 400 } },
		{ "a negative length", POST("Content-Length: -3\r\n\r\nabc"),
		    { 400 } },
		{ "a signed length", POST("Content-Length: +3\r\n\r\nabc"),
		    { 400 } },
		{ "a length in hex", POST("Content-Length: 0x3\r\n\r\nabc"),
		    { 400 } },
		{ "a length with a tail", POST("Content-Length: 3a\r\n\r\nabc"),
		    { 400 } },
		{ "no length", POST("Content-Length: \r\n\r\nabc"), { 400 } },
		{ "a length beyond 64 bits",
		    POST("Content-Length: "
			 "99999999999999999999999\r\n\r\nabc"),
		    { 400, 413 } },
		{ "a length of 2^64 - 1",
		    POST("Content-Length: "
			 "18446744073709551615\r\n\r\nabc"),
		    { 400, 413 } },
		{ "an unknown coding",
		    POST("Transfer-Encoding: gzip\r\n\r\n"
			 "abc"),
		    { 501, 400 } },
		{ "chunks twice",
		    POST("Transfer-Encoding: chunked\r\n"
			 "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
		    { 400, 501 } },
		{ "chunks that are not last",
		    POST("Transfer-Encoding: chunked,"
			 " gzip\r\n\r\n0\r\n\r\n"),
		    { 400, 501 } },
		{ "nearly chunked",
		    POST("Transfer-Encoding: xchunked\r\n\r\n"
			 "0\r\n\r\n"),
		    { 400, 501 } },
		{ "chunks in 1.0",
		    BYTES("POST /echo HTTP/1.0\r\n" HOST
			  "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
		    { 400, 501 } },
	};

	TRY_ALL(table);
}
END_TEST

#define CHUNKS(text) POST("Transfer-Encoding: chunked\r\n\r\n" text)

START_TEST(chunks)
{
	static const struct hostile table[] = {
		{ "no size", CHUNKS("\r\nabc\r\n0\r\n\r\n"), { 400 } },
		{ "no hex", CHUNKS("xyz\r\nabc\r\n0\r\n\r\n"), { 400 } },
		{ "a negative size", CHUNKS("-3\r\nabc\r\n0\r\n\r\n"),
		    { 400 } },
		{ "a size beyond 64 bits", CHUNKS("FFFFFFFFFFFFFFFFF\r\nabc"),
		    { 400, 413 } },
		{ "a size of 2^64 - 1", CHUNKS("FFFFFFFFFFFFFFFF\r\nabc"),
		    { 400, 413, NONE } },
		{ "too long for its size", CHUNKS("2\r\nabc\r\n0\r\n\r\n"),
		    { 400 } },
		{ "a prefix", CHUNKS("0x3\r\nabc\r\n0\r\n\r\n"), { 400 } },
		{ "no end", CHUNKS("3\r\nabc\r\n"), { 400, NONE, 408 } },
		{ "half a chunk", CHUNKS("ff\r\nabc"), { 400, NONE, 408 } },
	};

	TRY_ALL(table);
}
END_TEST

#define JSON(text, len)                                          \
	"POST /json HTTP/1.1\r\n" HOST                           \
	"Content-Type: application/json\r\nContent-Length: " len \
	"\r\n\r\n" text

START_TEST(json)
{
	static const struct hostile table[] = {
		{ "nothing", BYTES(JSON("", "0")), { 400 } },
		{ "a word", BYTES(JSON("word", "4")), { 400 } },
		{ "an open list", BYTES(JSON("[1,2", "4")), { 400 } },
		{ "a tail", BYTES(JSON("{} {}", "5")), { 400 } },
		{ "a NUL", BYTES(JSON("[\"\0\"]", "5")), { 400 } },
		{ "a NUL behind it", BYTES(JSON("[1]\0", "4")), { 400 } },
		{ "an escaped NUL as a key",
		    BYTES(JSON("{\"\\u0000\":1}", "12")), { 400 } },
		{ "half a surrogate", BYTES(JSON("[\"\\ud800\"]", "10")),
		    { 400 } },
		{ "no UTF-8", BYTES(JSON("[\"\xff\xfe\"]", "6")), { 400 } },
		{ "too long UTF-8", BYTES(JSON("[\"\xc0\x80\"]", "6")),
		    { 400 } },
		{ "a number too big", BYTES(JSON("[1e999]", "7")), { 400 } },
		{ "a control byte", BYTES(JSON("[\"\x01\"]", "5")), { 400 } },
	};
	struct daemon d;
	struct family family;
	struct reply reply;
	char *deep;

	TRY_ALL(table);
	/* as deep as is allowed, one deeper, and absurdly deep */
	echo_start(&d, "max_json_depth = 10;");
	family_note(&d, &family);
	ck_assert_int_eq(raw_status(&d, JSON("[[[[[[[[[[]]]]]]]]]]", "20")),
	    200);
	ck_assert_int_eq(raw_status(&d, JSON("[[[[[[[[[[[]]]]]]]]]]]", "22")),
	    400);
	deep = text_repeat('[', 500000);
	http_require(&d,
	    &(struct ask){ .path = "/json",
		.body = deep,
		.header = { "Content-Type: application/json" } },
	    &reply);
	reply_require_problem(&reply, 400);
	reply_release(&reply);
	free(deep);
	family_require_same(&d, &family);
	daemon_stop(&d);
}
END_TEST

/* The same bytes in every run, thrown at the parser in every shape. */
START_TEST(noise)
{
	static const char *const parts[] = { "GET ", "POST ", "/hello", "/echo",
		" HTTP/1.1", "\r\n", "\r\n", "Host: x", "Content-Length: 5",
		"Transfer-Encoding: chunked", "hello", "%", "?", ":", " ",
		"5\r\n", "0\r\n\r\n", "\xff", "\x01", "Expect: 100-continue",
		"\n", "\r", "Connection: keep-alive", "Cookie: a=b", ";", "=",
		"{}" };
	struct daemon d;
	struct family family;
	unsigned seed = 42;

	echo_start(&d, NULL);
	family_note(&d, &family);
	for (int i = 0; i < 400; i++) {
		int fd = raw_connect(&d);

		for (int k = rand_r(&seed) % 30; k >= 0; k--)
			raw_text(fd,
			    parts[(size_t)rand_r(&seed) %
				(sizeof(parts) / sizeof(parts[0]))]);
		shutdown(fd, SHUT_WR);
		ck_assert_msg(raw_ended(fd), "noise %d: left open", i);
		close(fd);
	}
	family_require_same(&d, &family);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE_MEMORY(request_lines),
		CASE_MEMORY(percent_encoding),
		CASE(headers),
		CASE_MEMORY(smuggling),
		CASE_MEMORY(chunks),
		CASE_MEMORY(json),
		CASE(noise),
	};

	return SUITE_RUN("rest hostile", cases);
}
