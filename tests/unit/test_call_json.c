/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_call_json - what is JSON, what is not and why, and how deep is too deep.
 */
#include "call_fixture.h"

static json_t *parsed;

static enum brood_outcome
parses(struct brood_call *call)
{
	json_t *json = brood_call_json(call);

	ck_assert_ptr_eq(brood_call_json(call), json);
	json_decref(parsed);
	parsed = json_incref(json);
	return json != NULL ? BROOD_DONE : BROOD_REJECT;
}

static const struct {
	const char *text;
	const char *problem; /* or its beginning; NULL: it is fine */
} texts[] = {
	{ "{}", NULL },
	{ " [1, 2.5, \"\\u00e9\", null, true] \n", NULL },
	{ "\"text\"", NULL },
	{ "17", NULL },
	{ "null", NULL },
	{ "[[[[]]]]", NULL },
	{ "{\"a\":{\"b\":{\"c\":{}}}}", NULL },
	/* brackets in texts, after escapes too, are no levels */
	{ "\"[[[[[[[[\"", NULL },
	{ "\"\\\"[[[[[[[[\"", NULL },
	{ "[\"\\\\\",[],[],[],[],[],[]]", NULL },
	{ "{\"a\":1,\"a\":2}", NULL },
	{ "", "the body is empty where JSON is expected" },
	{ " ", "the body is not valid JSON: line 1, column 1: " },
	{ "{\"a\":1,}", "the body is not valid JSON: line 1, column 8: " },
	{ "{\n  \"a\": x\n}",
	    "the body is not valid JSON: line 2, column 8: " },
	{ "{} {}", "the body is not valid JSON: line 1, column 4: " },
	{ "[1", "the body is not valid JSON: line 1, column 2: " },
	{ "\"\xff\"", "the body is not valid JSON: line 1, column 1: " },
	{ "\"\\u0000\"",
	    "the body is not valid JSON: line 1, column 8: the "
	    "escape \\u0000 is not accepted" },
	{ "99999999999999999999",
	    "the body is not valid JSON: line 1, column "
	    "20: too big integer" },
	{ "1e999",
	    "the body is not valid JSON: line 1, column 5: real number "
	    "overflow" },
	{ "[[[[[]]]]]",
	    "the JSON is nested deeper than 4 levels, at line 1, "
	    "column 5" },
	{ "[\n [\n  [{\"a\":[]}]]]",
	    "the JSON is nested deeper than 4 levels, "
	    "at line 3, column 9" },
	{ "[[[[[",
	    "the JSON is nested deeper than 4 levels, at line 1, "
	    "column 5" },
	/* no text ends this one, so all of it is text to the scan */
	{ "\"[[[[[[[[", "the body is not valid JSON: " },
	{ "]]]]]]]]", "the body is not valid JSON: " },
	{ "\"\\", "the body is not valid JSON: " },
};

START_TEST(json_is_parsed_or_refused_with_the_reason)
{
	const char *problem = texts[_i].problem;

	body(texts[_i].text);
	run(parses);
	if (problem == NULL) {
		ck_assert_ptr_nonnull(parsed);
		ck_assert_int_eq(result.status, 204);
	} else {
		ck_assert_ptr_null(parsed);
		ck_assert_int_eq(result.status, 400);
		ck_assert_int_eq(result.outcome, BROOD_REJECT);
		ck_assert_ptr_nonnull(result.problem);
		ck_assert_msg(strncmp(result.problem, problem,
				  strlen(problem)) == 0,
		    "%s", result.problem);
		/* it goes into the answer as JSON itself */
		json_t *sentence = json_string(result.problem);
		ck_assert_ptr_nonnull(sentence);
		json_decref(sentence);
	}
	check_blameless();
	json_decref(parsed);
	parsed = NULL;
}
END_TEST

START_TEST(of_equal_names_the_last_counts)
{
	body("{\"a\":1,\"a\":2}");
	run(parses);
	ck_assert_int_eq(json_integer_value(json_object_get(parsed, "a")), 2);
	json_decref(parsed);
	parsed = NULL;
}
END_TEST

START_TEST(a_million_levels_do_no_harm)
{
	size_t n = 1000000;
	char *deep = malloc(n + 1);

	memset(deep, '[', n);
	deep[n] = '\0';
	body(deep);
	request.max_json_depth = 2048;
	run(parses);
	check_problem(400,
	    "the JSON is nested deeper than 2048 levels, at "
	    "line 1, column 2049");
	free(deep);
}
END_TEST

static enum brood_outcome
must_not_run(struct brood_call *call)
{
	(void)call;
	ck_abort_msg("the handler ran");
}

START_TEST(json_that_is_required_is_checked_before_the_handler)
{
	request.json_required = true;
	body("{\"a\":");
	run(must_not_run);
	ck_assert_int_eq(result.status, 400);
	call_result_release(&result);
	body("{\"a\":1}");
	run(parses);
	ck_assert_int_eq(result.status, 204);
	json_decref(parsed);
	parsed = NULL;
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("call_json");
	TCase *tests;

	tests = add_case(suite, "json");
	tcase_add_loop_test(tests, json_is_parsed_or_refused_with_the_reason, 0,
	    COUNT(texts));
	tcase_add_test(tests, of_equal_names_the_last_counts);
	tcase_add_test(tests, a_million_levels_do_no_harm);
	tcase_add_test(tests,
	    json_that_is_required_is_checked_before_the_handler);
	return run_suite(suite);
}
