/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_head - heads that are fine, heads that are not, and every beginning of
 * both: what is fine stays fine in parts, what is not is found at some byte and
 * stays found.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "rest/head.h"
#include "run_suite.h"

static const struct head_limits limits = { .max_uri = 100, .max_header = 300 };

/* The bytes in memory of their own size, for the sanitizer. */
static bool
scan(struct head *head, const char *bytes, size_t len)
{
	char *copy = malloc(len > 0 ? len : 1);
	bool fine;

	memcpy(copy, bytes, len);
	fine = head_scan(head, copy, len, &limits);
	free(copy);
	return fine;
}

#define HOST "Host: x\r\n"

static const char *const fine[] = {
	"GET / HTTP/1.1\r\n" HOST "\r\n",
	"GET / HTTP/1.0\r\n\r\n",
	"GET / HTTP/1.7\r\n" HOST "\r\n",
	"\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
	"GET / HTTP/1.1\n"
	"Host: x\n\n",
	"OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
	"M-SEARCH /a?b=c%20 HTTP/1.1\r\n" HOST "\r\n",
	"POST / HTTP/1.1\r\n" HOST "Content-Length: 12\r\n\r\nabc",
	"POST / HTTP/1.1\r\n" HOST
	"Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
	"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n",
	"POST / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\n\r\n",
	"POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n",
	"GET / HTTP/1.1\r\nHost:\r\nX-Empty:\r\nY:\t tab\tand \xe9 \r\n\r\n",
	/* what follows the head is none of its business */
	"GET / HTTP/1.1\r\n" HOST "\r\n\x01\x02 : \r\n",
};

START_TEST(fine_in_whole_and_in_parts)
{
	const char *text = fine[_i];
	struct head head;

	for (size_t len = 0; len <= strlen(text); len++)
		ck_assert_msg(scan(&head, text, len), "%.*s: %d %s", (int)len,
		    text, head.status, head.detail);
}
END_TEST

#define BYTES(text) text, sizeof(text) - 1
static const struct {
	const char *bytes;
	size_t len;
	int status;
} bad[] = {
	{ BYTES("GARBAGE\r\n\r\n"), 400 },
	{ BYTES("GET\r\n"), 400 },
	{ BYTES("GET /\r\n"), 400 },
	{ BYTES("GET / \r\n"), 400 },
	{ BYTES(" / HTTP/1.1\r\n"), 400 },
	{ BYTES("G(T / HTTP/1.1\r\n"), 400 },
	{ BYTES("G\xc3T / HTTP/1.1\r\n"), 400 },
	{ BYTES("GET  / HTTP/1.1\r\n"), 400 },
	{ BYTES("GET /  HTTP/1.1\r\n"), 400 },
	{ BYTES("GET / a HTTP/1.1\r\n"), 400 },
	{ BYTES("GET /\x01 HTTP/1.1\r\n"), 400 },
	{ BYTES("GET /\0 HTTP/1.1\r\n"), 400 },
	{ BYTES("GET /\x7f HTTP/1.1\r\n"), 400 },
	{ BYTES("GET / HTTP/1.1 \r\n"), 400 },
	{ BYTES("GET / HTTP/11\r\n"), 400 },
	{ BYTES("GET / HTTP/1.x\r\n"), 400 },
	{ BYTES("GET / http/1.1\r\n"), 400 },
	{ BYTES("GET / HTTP/2.0\r\n"), 505 },
	{ BYTES("GET / HTTP/0.9\r\n"), 505 },
	{ BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505 },
	{ BYTES("\x16\x03\x01"), 400 },
	{ BYTES("\0"), 400 },
	{ BYTES("GET / HTTP/1.1\r\n\r\n"), 400 },
	{ BYTES("GET / HTTP/1.1\r\n" HOST HOST "\r\n"), 400 },
	{ BYTES("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400 },
	{ BYTES("GET / HTTP/1.1\r\nnonsense\r\n"), 400 },
	{ BYTES("GET / HTTP/1.1\r\n: x\r\n"), 400 },
	{ BYTES("GET / HTTP/1.1\r\nX : y\r\n"), 400 },
	{ BYTES("GET / HTTP/1.1\r\nX\x01: y\r\n"), 400 },
	{ BYTES("GET / HTTP/1.1\r\nX: y\0z\r\n"), 400 },
	{ BYTES("GET / HTTP/1.1\r\nX: y\rz\r\n"), 400 },
	{ BYTES("GET / HTTP/1.1\r\nX: 1234567\x01"
		"89\r\n"),
	    400 },
	{ BYTES("GET / HTTP/1.1\r\nX: 123456789012345\x7f\r\n"), 400 },
	{ BYTES("GET / HTTP/1.1\r\nX: y\r\n folded\r\n"), 400 },
	{ BYTES("POST / HTTP/1.1\r\nContent-Length:\r\n"), 400 },
	{ BYTES("POST / HTTP/1.1\r\nContent-Length: +1\r\n"), 400 },
	{ BYTES("POST / HTTP/1.1\r\nContent-Length: -1\r\n"), 400 },
	{ BYTES("POST / HTTP/1.1\r\nContent-Length: 1 \r\n"), 400 },
	{ BYTES("POST / HTTP/1.1\r\nContent-Length: 1,1\r\n"), 400 },
	{ BYTES("POST / HTTP/1.1\r\nContent-Length: 0x1\r\n"), 400 },
	{ BYTES("POST / HTTP/1.1\r\n"
		"Content-Length: 99999999999999999999\r\n"),
	    413 },
	{ BYTES("POST / HTTP/1.1\r\nContent-Length: 1\r\n"
		"content-length: 2\r\n"),
	    400 },
	{ BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n"
		"Transfer-Encoding: chunked\r\n\r\n"),
	    400 },
	{ BYTES("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
		"Transfer-Encoding: chunked\r\n"),
	    400 },
	{ BYTES("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n"), 501 },
	{ BYTES("POST / HTTP/1.1\r\nTransfer-Encoding: chunked \r\n"), 501 },
	{ BYTES("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400 },
	{ BYTES("POST / HTTP/1.1\r\nExpect: money\r\n"), 417 },
};

START_TEST(bad_from_some_byte_on)
{
	struct head head;
	bool found = false;

	for (size_t len = 0; len <= bad[_i].len; len++) {
		bool is_fine = scan(&head, bad[_i].bytes, len);

		ck_assert_msg(!found || !is_fine, "%.*s", (int)len,
		    bad[_i].bytes);
		found |= !is_fine;
	}
	ck_assert_msg(found, "%s", bad[_i].bytes);
	ck_assert_msg(head.status == bad[_i].status, "%s: %d %s", bad[_i].bytes,
	    head.status, head.detail);
	ck_assert_ptr_nonnull(head.detail);
}
END_TEST

/* The status of `before`, n times an "x", and `after`. */
static int
status_of(const char *before, int n, const char *after)
{
	char text[2000];
	struct head head;
	size_t len = strlen(before);

	strcpy(text, before);
	memset(text + len, 'x', (size_t)n);
	strcpy(text + len + n, after);
	scan(&head, text, strlen(text));
	return head.status;
}

START_TEST(limits_are_exact)
{
	/* "/" and 99 more, then 100 more */
	ck_assert_int_eq(status_of("GET /", 99, " HTTP/1.1\r\n"), 0);
	ck_assert_int_eq(status_of("GET /", 100, " HTTP/1.1\r\n"), 414);
	/* without an end it is too long a little later */
	ck_assert_int_eq(status_of("GET /", 99, ""), 0);
	ck_assert_int_eq(status_of("GET /", 200, ""), 414);
	/* 300 bytes of fields: "Host: x" 9, "X: " 3, CR LF CR LF 4 */
	ck_assert_int_eq(status_of("GET / HTTP/1.1\r\n" HOST "X: ", 284,
			     "\r\n\r\n"),
	    0);
	ck_assert_int_eq(status_of("GET / HTTP/1.1\r\n" HOST "X: ", 285,
			     "\r\n\r\n"),
	    431);
	ck_assert_int_eq(status_of("GET / HTTP/1.1\r\n" HOST "X: ", 300, ""),
	    431);
	/* what comes after the head does not count */
	ck_assert_int_eq(status_of("GET / HTTP/1.1\r\n" HOST "\r\n", 900, ""),
	    0);
	ck_assert_int_eq(status_of("", 100, " / HTTP/1.1\r\n"), 501);
}
END_TEST

static void
note(struct head *head, const char *name, const char *value)
{
	head_field(head, name, strlen(name), value, strlen(value));
}

START_TEST(fields_are_noted)
{
	struct head head;

	head_init(&head);
	note(&head, "HOST", "x");
	note(&head, "content-length", "0042");
	note(&head, "Content-Type", "text/plain");
	note(&head, "Content-Encoding", "identity");
	note(&head, "x-request-id", "first");
	note(&head, "X-Request-Id", "second");
	note(&head, "Traceparent", "00-");
	note(&head, "Connection", "keep-alive , Close");
	note(&head, "Expect", "100-continue");
	note(&head, "prefer", "wait=5");
	note(&head, "Prefer", "respond-async");
	note(&head, "Idempotency-Key", "first");
	note(&head, "idempotency-key", "last \t");
	head_finish(&head, 1);
	ck_assert_int_eq(head.status, 0);
	ck_assert_int_eq(head.length, 42);
	ck_assert_str_eq(head.type, "text/plain");
	ck_assert_ptr_null(head.coding);
	ck_assert_str_eq(head.id, "first");
	ck_assert_str_eq(head.traceparent, "00-");
	ck_assert(head.close);
	ck_assert(head.keep);
	ck_assert(head.expect);
	ck_assert(!head.chunked);
	ck_assert(head.prefer.respond_async);
	ck_assert_uint_eq(head.prefer.wait_s, 5);
	ck_assert_uint_eq(head.idempotencies, 2);
	ck_assert_uint_eq(head.idempotency_len, 4);
	note(&head, "Content-Encoding", "gzip");
	ck_assert_str_eq(head.coding, "gzip");
}
END_TEST

START_TEST(a_word_is_found_only_whole)
{
	struct head head;

	head_init(&head);
	note(&head, "Connection", "closed, disclose, clos,,");
	note(&head, "Connection", "");
	ck_assert(!head.close);
	ck_assert(!head.keep);
}
END_TEST

START_TEST(the_first_fault_stays)
{
	struct head head;

	head_init(&head);
	head_bad(&head, 431, "one");
	head_bad(&head, 400, "two");
	ck_assert_int_eq(head.status, 431);
	ck_assert_str_eq(head.detail, "one");
}
END_TEST

START_TEST(a_head_request_is_known)
{
	static const char text[] = "HEAD / HTTP/1.1\r\nbad\r\n";
	struct head head;

	ck_assert(!scan(&head, text, strlen(text)));
	ck_assert(head.head_method);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("head");
	TCase *tests = tcase_create("head");

	tcase_add_loop_test(tests, fine_in_whole_and_in_parts, 0,
	    sizeof(fine) / sizeof(fine[0]));
	tcase_add_loop_test(tests, bad_from_some_byte_on, 0,
	    sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(tests, limits_are_exact);
	tcase_add_test(tests, fields_are_noted);
	tcase_add_test(tests, a_word_is_found_only_whole);
	tcase_add_test(tests, the_first_fault_stays);
	tcase_add_test(tests, a_head_request_is_known);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
