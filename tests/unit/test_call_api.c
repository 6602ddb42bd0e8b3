/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_call_api - every promise of brood.h about the input, the reply, its
 * headers and the log.
 */
#include <limits.h>

#include "call_fixture.h"

/* ------------------------------------------------------------- the input */

static enum brood_outcome
reads_everything(struct brood_call *call)
{
	size_t len;

	ck_assert_str_eq(brood_call_body(call, &len), "12345");
	ck_assert_uint_eq(len, 5);
	ck_assert_str_eq(brood_call_body(call, NULL), "12345");
	ck_assert_str_eq(brood_call_param(call, "there"), "param");
	ck_assert_str_eq(brood_call_query(call, "there"), "query");
	ck_assert_str_eq(brood_call_header(call, "there"), "header");
	ck_assert_str_eq(brood_call_cookie(call, "there"), "cookie");
	ck_assert_ptr_null(brood_call_param(call, "absent"));
	ck_assert_ptr_null(brood_call_query(call, "absent"));
	ck_assert_ptr_null(brood_call_header(call, "absent"));
	ck_assert_ptr_null(brood_call_cookie(call, "absent"));
	ck_assert_str_eq(brood_call_method(call), "POST");
	ck_assert_str_eq(brood_call_path(call), "/some/path");
	ck_assert_str_eq(brood_call_peer(call), "127.0.0.1:9");
	ck_assert_str_eq(brood_call_id(call), "an-id");
	return BROOD_DONE;
}

START_TEST(a_handler_sees_its_request)
{
	body("12345");
	run(reads_everything);
	ck_assert_int_eq(result.status, 204);
	check_blameless();
}
END_TEST

static enum brood_outcome
finds_nothing(struct brood_call *call)
{
	ck_assert_ptr_null(brood_call_param(call, "there"));
	ck_assert_ptr_null(brood_call_header(call, "there"));
	return BROOD_DONE;
}

START_TEST(a_door_without_names_has_no_values)
{
	request.lookup = NULL;
	run(finds_nothing);
	ck_assert_int_eq(result.status, 204);
}
END_TEST

static const char sent_trace[] =
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

static enum brood_outcome
passes_trace_on(struct brood_call *call)
{
	ck_assert_str_eq(brood_call_traceparent(call), sent_trace);
	return BROOD_DONE;
}

static enum brood_outcome
makes_trace(struct brood_call *call)
{
	const char *trace = brood_call_traceparent(call);

	ck_assert(call_traceparent_ok(trace));
	ck_assert_str_ne(trace, sent_trace);
	/* and it is the same all through the call */
	ck_assert_ptr_eq(brood_call_traceparent(call), trace);
	return BROOD_DONE;
}

START_TEST(the_trace_context_is_passed_on_or_made)
{
	request.traceparent = sent_trace;
	run(passes_trace_on);
	request.traceparent = "00-nonsense";
	run(makes_trace);
	request.traceparent = NULL;
	run(makes_trace);
}
END_TEST

static enum brood_outcome
has_time(struct brood_call *call)
{
	double left = brood_call_remaining(call);

	ck_assert(left > 0 && left <= 60);
	ck_assert(!brood_cancelled(call));
	/* an order for another call, then one for this */
	fake.child.slot->cancel = fake.child.slot->call.started_ns - 1;
	ck_assert(!brood_cancelled(call));
	fake.child.slot->cancel = fake.child.slot->call.started_ns;
	ck_assert(brood_cancelled(call));
	return BROOD_DONE;
}

static enum brood_outcome
is_late(struct brood_call *call)
{
	ck_assert(brood_call_remaining(call) <= 0);
	ck_assert(brood_cancelled(call));
	return BROOD_RETRY;
}

static enum brood_outcome
has_for_ever(struct brood_call *call)
{
	ck_assert(brood_call_remaining(call) > 1e9);
	return BROOD_DONE;
}

START_TEST(the_deadline_is_told_as_time_left_and_as_cancelled)
{
	run(has_time);
	/* an order to cancel was for that call, not for the next */
	run(has_time);
	request.timeout_ns = INT64_MAX;
	run(has_for_ever);
	request.timeout_ns = 0;
	run(is_late);
	check_problem(504, "the handler did not finish in time");
}
END_TEST

/* ------------------------------------------------------------- the reply */

static int number;

static enum brood_outcome
replies_json(struct brood_call *call)
{
	return brood_reply(call, 201,
	    json_pack("{s:i,s:[s,n]}", "a", 1, "b", "\xc3\xa9"));
}

static enum brood_outcome
replies_scalar(struct brood_call *call)
{
	return brood_reply(call, 200, json_integer(7));
}

static enum brood_outcome
replies_bytes(struct brood_call *call)
{
	char bytes[] = "a\0b";

	brood_reply_bytes(call, 200, "application/octet-stream", bytes, 3);
	bytes[0] = 'x';
	return BROOD_DONE;
}

static enum brood_outcome
replies_nothing(struct brood_call *call)
{
	return brood_reply(call, 202, NULL);
}

static enum brood_outcome
replies_no_bytes(struct brood_call *call)
{
	return brood_reply_bytes(call, 200, "text/plain", NULL, 0);
}

START_TEST(a_reply_is_json_or_bytes)
{
	run(replies_json);
	check_reply(201, "application/json",
	    "{\"a\":1,\"b\":[\"\xc3\xa9\",null]}");
	call_result_release(&result);
	run(replies_scalar);
	check_reply(200, "application/json", "7");
	call_result_release(&result);
	run(replies_bytes);
	ck_assert_str_eq(result.type, "application/octet-stream");
	ck_assert_uint_eq(result.body_len, 3);
	ck_assert_int_eq(memcmp(result.body, "a\0b", 4), 0);
	call_result_release(&result);
	run(replies_nothing);
	ck_assert_int_eq(result.status, 202);
	ck_assert_ptr_null(result.body);
	ck_assert_ptr_null(result.type);
	ck_assert_ptr_null(result.problem);
	call_result_release(&result);
	run(replies_no_bytes);
	check_reply(200, "text/plain", "");
	check_blameless();
}
END_TEST

static json_t *kept;

static enum brood_outcome
replies_what_it_keeps(struct brood_call *call)
{
	brood_reply(call, number, json_incref(kept));
	brood_reply(call, number, json_incref(kept));
	return BROOD_DONE;
}

START_TEST(a_reply_steals_one_reference_whatever_becomes_of_it)
{
	static const int status[] = { 200, 204, 999 };

	kept = json_object();
	for (size_t i = 0; i < COUNT(status); i++) {
		number = status[i];
		run(replies_what_it_keeps);
		ck_assert_uint_eq(kept->refcount, 1);
		call_result_release(&result);
	}
	json_decref(kept);
}
END_TEST

static enum brood_outcome
replies_status(struct brood_call *call)
{
	return brood_reply(call, number, json_true());
}

START_TEST(a_status_is_200_to_599)
{
	static const int good[] = { 200, 299, 404, 599 };

	for (size_t i = 0; i < COUNT(good); i++) {
		number = good[i];
		run(replies_status);
		check_reply(number, "application/json", "true");
		call_result_release(&result);
	}
	check_blameless();
}
END_TEST

START_TEST(another_status_is_a_mistake)
{
	static const int bad[] = { 100, 199, 600, 0, -200, INT_MAX };

	number = bad[_i];
	run(replies_status);
	check_problem(500, "the handler made a mistake; the log has more");
	check_blamed("which is not 200 to 599");
}
END_TEST

START_TEST(some_statuses_have_no_body)
{
	static const int status[] = { 204, 205, 304 };

	number = status[_i];
	run(replies_status);
	ck_assert_int_eq(result.status, number);
	ck_assert_ptr_null(result.body);
	ck_assert_ptr_null(result.problem);
	check_blamed("replied with a body and the status");
}
END_TEST

static enum brood_outcome
replies_in_circles(struct brood_call *call)
{
	json_t *outer = json_array(), *inner = json_array();

	json_array_append(outer, inner);
	json_array_append(inner, outer);
	brood_reply(call, 200, json_incref(outer));
	json_array_clear(inner);
	json_decref(inner);
	json_decref(outer);
	return BROOD_DONE;
}

START_TEST(what_is_no_json_is_a_mistake)
{
	run(replies_in_circles);
	check_problem(500, "the handler made a mistake; the log has more");
	check_blamed("cannot be written as JSON");
}
END_TEST

static const char *media_type;

static enum brood_outcome
replies_as(struct brood_call *call)
{
	return brood_reply_bytes(call, 200, media_type, "x", 1);
}

START_TEST(a_media_type_is_no_place_for_headers)
{
	static const char *const bad[] = { "text/plain\r\nX: y", "", NULL,
		"a\x7f", "\x01" };

	media_type = bad[_i];
	run(replies_as);
	check_problem(500, "the handler made a mistake; the log has more");
	check_blamed("no valid media type");
}
END_TEST

/* ----------------------------------------------------------- its headers */

#define X16 "xxxxxxxxxxxxxxxx"
#define X64 X16 X16 X16 X16
static const struct {
	const char *name, *value;
	bool good;
} headers[] = {
	{ "X-Some", "value", true },
	{ "x", "", true },
	{ "!#$%&'*+-.^_`|~09azAZ", "tab\tand \xc3\xa9", true },
	{ "Set-Cookie", "a=b; HttpOnly", true },
	{ "", "value", false },
	{ NULL, "value", false },
	{ "X-Some", NULL, false },
	{ "X Some", "value", false },
	{ "X-Some:", "value", false },
	{ "X-S\xc3\xb6me", "value", false },
	{ "X-Some\r\nX-Other", "value", false },
	{ "X-Some", "a\r\nX-Other: b", false },
	{ "X-Some", "a\nb", false },
	{ "X-Some", "\x7f", false },
	{ "Content-Length", "7", false },
	{ "transfer-encoding", "chunked", false },
	{ "CONNECTION", "close", false },
	{ "Date", "today", false },
	{ "Content-Type", "text/html", false },
	{ "X-Request-ID", "mine", false },
	/* a reply may be a message */
	{ X64 X64 X64 X64, "long", false },
};

static size_t header;

static enum brood_outcome
adds_header(struct brood_call *call)
{
	int rc = brood_reply_header(call, headers[header].name,
	    headers[header].value);

	ck_assert_int_eq(rc, headers[header].good ? 0 : -1);
	return brood_reply(call, 200, NULL);
}

START_TEST(a_header_is_checked)
{
	header = (size_t)_i;
	run(adds_header);
	ck_assert_int_eq(result.status, 200);
	if (headers[_i].good) {
		ck_assert_uint_eq(result.headers, 1);
		ck_assert_str_eq(result.header[0].name, headers[_i].name);
		ck_assert_str_eq(result.header[0].value, headers[_i].value);
		check_blameless();
	} else {
		ck_assert_uint_eq(result.headers, 0);
		check_blamed("added");
	}
}
END_TEST

static enum brood_outcome
adds_many(struct brood_call *call)
{
	brood_reply(call, 200, NULL);
	for (int i = 0; i < CALL_REPLY_HEADERS; i++)
		ck_assert_int_eq(brood_reply_header(call, "X", "y"), 0);
	ck_assert_int_eq(brood_reply_header(call, "X", "y"), -1);
	ck_assert_int_eq(brood_reply_header(call, "X", "y"), -1);
	return BROOD_DONE;
}

static enum brood_outcome
adds_long_ones(struct brood_call *call)
{
	static char value[4096];

	memset(value, 'x', sizeof(value) - 1);
	ck_assert_int_eq(brood_reply_header(call, "X", value), 0);
	ck_assert_int_eq(brood_reply_header(call, "X", value), -1);
	ck_assert_int_eq(brood_reply_header(call, "X", "short"), 0);
	return BROOD_DONE;
}

START_TEST(headers_are_bounded_in_number)
{
	run(adds_many);
	ck_assert_uint_eq(result.headers, CALL_REPLY_HEADERS);
	check_blamed("added more than 32 headers");
}
END_TEST

START_TEST(headers_are_bounded_in_size)
{
	run(adds_long_ones);
	ck_assert_uint_eq(result.headers, 2);
	check_blamed("added more than 32 headers or 8192 bytes");
}
END_TEST

/* --------------------------------------------------------------- the log */

static enum brood_outcome
talks(struct brood_call *call)
{
	(void)call;
	brood_log(BROOD_DEBUG, "number %d", 1);
	brood_log(BROOD_INFO, "number %d", 2);
	brood_log(BROOD_NOTICE, "number %d", 3);
	brood_log(BROOD_WARNING, "number %d", 4);
	brood_log(BROOD_ERROR, "number %d\nand more", 5);
	brood_log((enum brood_level)99, "number %d", 6);
	return BROOD_DONE;
}

START_TEST(a_handler_logs_under_the_id_of_its_call)
{
	run(talks);
	ck_assert_uint_eq(fake_child_log_lines(), 5);
	ck_assert(fake_child_logged(" info "));
	ck_assert(fake_child_logged("id=an-id number 2"));
	ck_assert(fake_child_logged("id=an-id number 3"));
	ck_assert(fake_child_logged(" warning "));
	ck_assert(fake_child_logged("number 5"));
	ck_assert(fake_child_logged("number 6"));
	/* and the id is nobody's afterwards */
	brood_log(BROOD_INFO, "outside");
	ck_assert(fake_child_logged("outside"));
	ck_assert(!fake_child_logged("id=an-id outside"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("call_api");
	TCase *tests;

	tests = add_case(suite, "input");
	tcase_add_test(tests, a_handler_sees_its_request);
	tcase_add_test(tests, a_door_without_names_has_no_values);
	tcase_add_test(tests, the_trace_context_is_passed_on_or_made);
	tcase_add_test(tests,
	    the_deadline_is_told_as_time_left_and_as_cancelled);
	tests = add_case(suite, "reply");
	tcase_add_test(tests, a_reply_is_json_or_bytes);
	tcase_add_test(tests,
	    a_reply_steals_one_reference_whatever_becomes_of_it);
	tcase_add_test(tests, a_status_is_200_to_599);
	tcase_add_loop_test(tests, another_status_is_a_mistake, 0, 6);
	tcase_add_loop_test(tests, some_statuses_have_no_body, 0, 3);
	tcase_add_test(tests, what_is_no_json_is_a_mistake);
	tcase_add_loop_test(tests, a_media_type_is_no_place_for_headers, 0, 5);
	tests = add_case(suite, "headers");
	tcase_add_loop_test(tests, a_header_is_checked, 0, COUNT(headers));
	tcase_add_test(tests, headers_are_bounded_in_number);
	tcase_add_test(tests, headers_are_bounded_in_size);
	tests = add_case(suite, "log");
	tcase_add_test(tests, a_handler_logs_under_the_id_of_its_call);
	return run_suite(suite);
}
