/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_problem - bodies that are valid whatever is in them, whole answers that
 * an HTTP client would accept, and the texts of the guard with any id.
 */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "rest/problem.h"
#include "run_suite.h"

static json_t *
parse(const char *text, size_t len)
{
	json_error_t error;
	json_t *object = json_loadb(text, len, 0, &error);

	ck_assert_msg(object != NULL, "%s: %.*s", error.text, (int)len, text);
	return object;
}

static void
require_text(json_t *object, const char *key, const char *wanted)
{
	const char *value = json_string_value(json_object_get(object, key));

	if (wanted == NULL)
		ck_assert_msg(value == NULL, "%s", key);
	else
		ck_assert_str_eq(value, wanted);
}

START_TEST(a_body_has_the_members_of_a_problem)
{
	struct problem problem = { .status = 404,
		.detail = "nothing is here",
		.instance = "/a%20b",
		.id = "id-1" };
	size_t len;
	char *body = problem_body(&problem, &len);
	json_t *object = parse(body, len);

	require_text(object, "type", "about:blank");
	require_text(object, "title", "Not Found");
	require_text(object, "detail", "nothing is here");
	require_text(object, "instance", "/a%20b");
	require_text(object, "request_id", "id-1");
	ck_assert_int_eq(json_integer_value(json_object_get(object, "status")),
	    404);
	json_decref(object);
	free(body);
}
END_TEST

START_TEST(what_is_not_there_or_not_utf8_is_left_out)
{
	struct problem problem = { .status = 799,
		.detail = "say \"\\\x01\"",
		.instance = "/\xff" };
	size_t len;
	char *body = problem_body(&problem, &len);
	json_t *object = parse(body, len);

	require_text(object, "title", "Unknown");
	require_text(object, "detail", "say \"\\\x01\"");
	require_text(object, "instance", NULL);
	require_text(object, "request_id", NULL);
	json_decref(object);
	free(body);
}
END_TEST

/* The body of an answer, after checking that its length is as it says. */
static const char *
require_answer(const char *answer, const char *status_line)
{
	const char *end = strstr(answer, "\r\n\r\n");
	const char *length = strstr(answer, "Content-Length: ");

	ck_assert_int_eq(strncmp(answer, status_line, strlen(status_line)), 0);
	ck_assert_ptr_nonnull(end);
	ck_assert_ptr_nonnull(length);
	ck_assert_ptr_nonnull(strstr(answer, "Connection: close\r\n"));
	ck_assert_ptr_nonnull(
	    strstr(answer, "Content-Type: application/problem+json\r\n"));
	if (end[4] != '\0')
		ck_assert_uint_eq(strlen(end + 4),
		    strtoul(length + 16, NULL, 10));
	return end + 4;
}

START_TEST(an_answer_is_whole)
{
	struct problem problem = { .status = 503,
		.detail = "full",
		.id = "abc",
		.retry_after_ns = NS_PER_S + 1 };
	size_t len;
	char *answer = problem_answer(&problem, false, &len);
	const char *body;
	json_t *object;

	ck_assert_uint_eq(len, strlen(answer));
	body = require_answer(answer, "HTTP/1.1 503 Service Unavailable\r\n");
	ck_assert_ptr_nonnull(strstr(answer, "\r\nRetry-After: 2\r\n"));
	ck_assert_ptr_nonnull(strstr(answer, "\r\nX-Request-Id: abc\r\n"));
	ck_assert_ptr_nonnull(strstr(answer, "\r\nDate: "));
	object = parse(body, strlen(body));
	require_text(object, "detail", "full");
	json_decref(object);
	free(answer);
}
END_TEST

START_TEST(an_answer_to_head_has_no_body)
{
	struct problem problem = { .status = 408, .detail = "late" };
	size_t len;
	char *answer = problem_answer(&problem, true, &len);

	ck_assert_str_eq(require_answer(answer,
			     "HTTP/1.1 408 Request Timeout\r\n"),
	    "");
	ck_assert_ptr_null(strstr(answer, "Retry-After"));
	ck_assert_ptr_null(strstr(answer, "Content-Length: 0"));
	free(answer);
}
END_TEST

START_TEST(seconds_are_rounded_up)
{
	ck_assert_int_eq(problem_seconds(0), 0);
	ck_assert_int_eq(problem_seconds(1), 1);
	ck_assert_int_eq(problem_seconds(NS_PER_S), 1);
	ck_assert_int_eq(problem_seconds(NS_PER_S + 1), 2);
}
END_TEST

static void
require_guard(const char *text, const char *status_line, const char *id)
{
	const char *body = require_answer(text, status_line), *field;
	json_t *object = parse(body, strlen(body));

	require_text(object, "request_id", id);
	field = strstr(text, "X-Request-Id: ") + 14;
	ck_assert_int_eq(strncmp(field, id, strlen(id)), 0);
	field += strlen(id);
	field += strspn(field, " ");
	ck_assert_int_eq(strncmp(field, "\r\n", 2), 0);
	json_decref(object);
}

START_TEST(guard_texts_take_any_id)
{
	struct guard *guard = guard_new();
	const char *crash, *overrun;
	char id[65] = "";

	/* longer, then shorter: nothing of the last one stays */
	for (int i = 0; i < 128; i++) {
		size_t len = (size_t)(i < 64 ? i + 1 : 128 - i);

		memset(id, 'a' + i % 26, len);
		id[len] = '\0';
		guard_prepare(guard, id, false, &crash, &overrun);
		require_guard(crash, "HTTP/1.1 502 Bad Gateway\r\n", id);
		require_guard(overrun, "HTTP/1.1 504 Gateway Timeout\r\n", id);
	}
	guard_prepare(guard, "x", true, &crash, &overrun);
	ck_assert_str_eq(require_answer(crash, "HTTP/1.1 502 "), "");
	ck_assert_str_eq(require_answer(overrun, "HTTP/1.1 504 "), "");
	guard_free(guard);
	guard_free(NULL);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("problem");
	TCase *tests = tcase_create("problem");

	tcase_add_test(tests, a_body_has_the_members_of_a_problem);
	tcase_add_test(tests, what_is_not_there_or_not_utf8_is_left_out);
	tcase_add_test(tests, an_answer_is_whole);
	tcase_add_test(tests, an_answer_to_head_has_no_body);
	tcase_add_test(tests, seconds_are_rounded_up);
	tcase_add_test(tests, guard_texts_take_any_id);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
