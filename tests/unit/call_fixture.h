/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * call_fixture - a request and its result, for the tests of core/call*.c.
 *
 * A handler is a function of the test itself; run() has call_run() run it in a
 * child that is one in name only (fake_child.h), and the check_ functions look
 * at what became of it.
 */
#ifndef TEST_UNIT_CALL_FIXTURE_H
#define TEST_UNIT_CALL_FIXTURE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/why.h"
#include "fake_child.h"
#include "run_suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct call_request request;
static struct call_result result;

/* Every kind has a value called "there", which is the kind's own name. */
static inline const char *
lookup(void *ctx, enum call_lookup what, const char *name)
{
	static const char *const kind[] = {
		[CALL_PARAM] = "param",
		[CALL_QUERY] = "query",
		[CALL_HEADER] = "header",
		[CALL_COOKIE] = "cookie",
		[CALL_PROPERTY] = "property",
	};

	ck_assert_ptr_eq(ctx, &request);
	return strcmp(name, "there") == 0 ? kind[what] : NULL;
}

static inline void
set_up(void)
{
	fake_child_set_up();
	memset(&result, 0, sizeof(result));
	request = (struct call_request){
		.door = DOOR_REST,
		.handler_name = "test.handler",
		.method = "POST",
		.path = "/some/path",
		.peer = "127.0.0.1:9",
		.id = "an-id",
		.body = "",
		.max_json_depth = 4,
		.timeout_ns = 60 * NS_PER_S,
		.retry_after_ns = 7 * NS_PER_S,
		.lookup = lookup,
		.door_ctx = &request,
		.guard_fd = -1,
	};
}

static inline void
tear_down(void)
{
	call_result_release(&result);
	fake_child_tear_down();
}

static inline void
run(brood_handler_fn *fn)
{
	const struct brood_handler handler = { "handler", fn, "" };

	call_result_release(&result);
	/* call_run() is to set every member */
	memset(&result, 0xa5, sizeof(result));
	request.handler = &handler;
	call_run(&fake.child, &request, &result);
	request.handler = NULL;
}

static inline void
body(const char *text)
{
	request.body = text;
	request.body_len = strlen(text);
}

static inline void
check_problem(int status, const char *sentence)
{
	ck_assert_int_eq(result.status, status);
	ck_assert_ptr_null(result.body);
	ck_assert_ptr_nonnull(result.problem);
	ck_assert_str_eq(result.problem, sentence);
}

static inline void
check_reply(int status, const char *type, const char *text)
{
	ck_assert_int_eq(result.status, status);
	ck_assert_int_eq(result.outcome, BROOD_DONE);
	ck_assert_ptr_null(result.problem);
	ck_assert_ptr_nonnull(result.type);
	ck_assert_str_eq(result.type, type);
	ck_assert_str_eq(result.body, text);
	ck_assert_uint_eq(result.body_len, strlen(text));
}

/* One line in the log, which blames the handler and has this in it. */
static inline void
check_blamed(const char *text)
{
	ck_assert_uint_eq(fake_child_log_lines(), 1);
	ck_assert(fake_child_logged(" error "));
	ck_assert(fake_child_logged("handler test.handler: "));
	ck_assert(fake_child_logged("a mistake of the module"));
	ck_assert(fake_child_logged("id=an-id"));
	ck_assert(fake_child_logged(text));
}

static inline void
check_blameless(void)
{
	ck_assert_uint_eq(fake_child_log_lines(), 0);
}

static inline TCase *
add_case(Suite *suite, const char *name)
{
	TCase *tests = tcase_create(name);

	tcase_add_checked_fixture(tests, set_up, tear_down);
	suite_add_tcase(suite, tests);
	return tests;
}

#endif
