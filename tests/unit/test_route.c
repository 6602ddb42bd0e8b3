/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_route - precedence, backtracking, parameters, and every result that a
 * method and a path can have.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/why.h"
#include "rest/route.h"
#include "run_suite.h"

static struct route_table *table;
static char scratch[ROUTE_SCRATCH(10000)];
static struct route_match match;

static const struct {
	const char *method, *pattern;
} routes[] = {
	{ "GET", "/" },
	{ "POST", "/upload" },
	{ "GET", "/status" },
	{ "GET", "/a/{x}" },
	{ "POST", "/a/{other}" },
	{ "POST", "/a/b" },
	{ "GET", "/a/{x}/c" },
	{ "GET", "/a/b/d" },
	{ "PUT", "/a/{x}/c" },
	{ "GET", "/dir/" },
	{ "DELETE", "/{first}/{second}/{third}" },
	{ "OPTIONS", "/own" },
	{ "GET", "/own" },
	{ "HEAD", "/head" },
	{ "GET", "/head" },
	{ "GET", "/caf\xc3\xa9" },
	{ "GET", "/deep/{a}/x/{b}/y" },
	{ "GET", "/deep/k/x/{b}/z" },
};

static int
add(const char *method, const char *pattern, struct why *why)
{
	struct route route = { .pattern = pattern,
		.file = "t.conf",
		.line = 7 };

	return route_add(table, method, &route, why);
}

static void
setup(void)
{
	struct why why;

	table = route_table_new();
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		ck_assert_msg(add(routes[i].method, routes[i].pattern, &why) ==
			0,
		    "%s", why.text);
}

static void
teardown(void)
{
	route_table_free(table);
}

static enum route_result
find(const char *method, const char *path)
{
	return route_find(table, method, path, scratch, &match);
}

/* The pattern that answers, NULL when none does. */
static const char *
pattern_of(const char *method, const char *path)
{
	if (find(method, path) != ROUTE_FOUND) {
		ck_assert_ptr_null(match.route);
		return NULL;
	}
	return match.route->pattern;
}

static void
require(const char *method, const char *path, const char *pattern)
{
	const char *got = pattern_of(method, path);

	ck_assert_msg(got != NULL, "%s %s: nothing", method, path);
	ck_assert_msg(strcmp(got, pattern) == 0, "%s %s: %s", method, path,
	    got);
}

static void
require_allow(const char *method, const char *path, const char *allow)
{
	char buf[ROUTE_ALLOW_SIZE];

	ck_assert_int_eq(find(method, path), ROUTE_NOT_ALLOWED);
	ck_assert_str_eq(route_allow(match.allow, buf), allow);
}

START_TEST(literals_match_whole_paths)
{
	require("GET", "/", "/");
	require("POST", "/upload", "/upload");
	require("GET", "/status", "/status");
	ck_assert_int_eq(find("GET", "/statu"), ROUTE_NOT_FOUND);
	ck_assert_int_eq(find("GET", "/status2"), ROUTE_NOT_FOUND);
	ck_assert_int_eq(find("GET", "/Status"), ROUTE_NOT_FOUND);
	ck_assert_int_eq(find("GET", "//"), ROUTE_NOT_FOUND);
}
END_TEST

START_TEST(a_trailing_slash_matters)
{
	require("GET", "/dir/", "/dir/");
	ck_assert_int_eq(find("GET", "/dir"), ROUTE_NOT_FOUND);
	ck_assert_int_eq(find("GET", "/status/"), ROUTE_NOT_FOUND);
}
END_TEST

START_TEST(a_literal_beats_a_parameter)
{
	require("POST", "/a/b", "/a/b");
	require("POST", "/a/c", "/a/{other}");
	require("GET", "/a/b/d", "/a/b/d");
}
END_TEST

START_TEST(the_walk_goes_back)
{
	/* "b" leads to "d" only, so "/a/b/c" is the parameter's */
	require("GET", "/a/b/c", "/a/{x}/c");
	ck_assert_str_eq(route_param(&match, "x"), "b");
	/* and to POST only, so GET is the parameter's as well */
	require("GET", "/a/b", "/a/{x}");
	require("DELETE", "/a/b/d", "/{first}/{second}/{third}");
	ck_assert_str_eq(route_param(&match, "third"), "d");
	/* what a branch took that led nowhere is forgotten */
	require("GET", "/deep/k/x/1/z", "/deep/k/x/{b}/z");
	ck_assert_str_eq(route_param(&match, "b"), "1");
	require("GET", "/deep/k/x/1/y", "/deep/{a}/x/{b}/y");
	ck_assert_str_eq(route_param(&match, "a"), "k");
	ck_assert_str_eq(route_param(&match, "b"), "1");
}
END_TEST

START_TEST(parameters_are_decoded_after_splitting)
{
	require("GET", "/a/one%20two", "/a/{x}");
	ck_assert_str_eq(route_param(&match, "x"), "one two");
	require("GET", "/a/b%2Fd", "/a/{x}");
	ck_assert_str_eq(route_param(&match, "x"), "b/d");
	require("GET", "/a/a+b", "/a/{x}");
	ck_assert_str_eq(route_param(&match, "x"), "a+b");
	require("GET", "/a/%C3%A9", "/a/{x}");
	ck_assert_str_eq(route_param(&match, "x"), "\xc3\xa9");
	ck_assert_ptr_null(route_param(&match, "y"));
	ck_assert_ptr_null(route_param(&match, ""));
	require("DELETE", "/1/%32/3", "/{first}/{second}/{third}");
	ck_assert_str_eq(route_param(&match, "first"), "1");
	ck_assert_str_eq(route_param(&match, "second"), "2");
	ck_assert_str_eq(route_param(&match, "third"), "3");
}
END_TEST

START_TEST(the_name_is_the_routes_own)
{
	require("POST", "/a/z", "/a/{other}");
	ck_assert_str_eq(route_param(&match, "other"), "z");
	ck_assert_ptr_null(route_param(&match, "x"));
}
END_TEST

START_TEST(a_parameter_is_never_empty)
{
	ck_assert_int_eq(find("GET", "/a/"), ROUTE_NOT_FOUND);
	ck_assert_int_eq(find("GET", "/a//c"), ROUTE_NOT_FOUND);
	ck_assert_int_eq(find("DELETE", "///"), ROUTE_NOT_FOUND);
}
END_TEST

START_TEST(literals_compare_decoded)
{
	require("GET", "/%73tatus", "/status");
	require("GET", "/caf%C3%A9", "/caf\xc3\xa9");
	require("GET", "/caf\xc3\xa9", "/caf\xc3\xa9");
	ck_assert_int_eq(find("GET", "/dir%2F"), ROUTE_NOT_FOUND);
}
END_TEST

START_TEST(bad_paths_are_told_from_missing_ones)
{
	static const char *const bad[] = {
		"",
		"status",
		"/%",
		"/%4",
		"/%4g",
		"/a%00b",
		"/a%0ab",
		"/a%7f",
		"/%ff",
		"/%c3",
		"/%c0%af",
		"/%ed%a0%80",
		"/a b",
		"/a\x01",
		"/\xff",
		"/a/%zz/c",
		"*x",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(find("GET", bad[i]) == ROUTE_BAD_PATH, "%s",
		    bad[i]);
	ck_assert_int_eq(find("GET", "/none%20here"), ROUTE_NOT_FOUND);
}
END_TEST

START_TEST(head_goes_where_get_goes)
{
	require("HEAD", "/status", "/status");
	ck_assert_int_eq(find("HEAD", "/upload"), ROUTE_NOT_ALLOWED);
	require("HEAD", "/head", "/head");
	ck_assert_int_eq(find("HEAD", "/nowhere"), ROUTE_NOT_FOUND);
}
END_TEST

START_TEST(a_missing_method_is_told_what_there_is)
{
	require_allow("DELETE", "/status", "GET, HEAD, OPTIONS");
	require_allow("GET", "/upload", "POST, OPTIONS");
	require_allow("DELETE", "/a/q", "GET, HEAD, POST, OPTIONS");
	/* those of the literal and of the parameter */
	require_allow("PATCH", "/a/b", "GET, HEAD, POST, OPTIONS");
	require_allow("PATCH", "/a/z/c", "GET, HEAD, PUT, DELETE, OPTIONS");
	require_allow("TRACE", "/status", "GET, HEAD, OPTIONS");
	ck_assert_int_eq(find("DELETE", "/nowhere"), ROUTE_NOT_FOUND);
	ck_assert_int_eq(find("TRACE", "/nowhere"), ROUTE_NOT_FOUND);
}
END_TEST

START_TEST(methods_nobody_knows)
{
	ck_assert_int_eq(find("BREW", "/status"), ROUTE_UNKNOWN_METHOD);
	ck_assert_int_eq(find("get", "/status"), ROUTE_UNKNOWN_METHOD);
	ck_assert_int_eq(find("", "/status"), ROUTE_UNKNOWN_METHOD);
}
END_TEST

START_TEST(options)
{
	char buf[ROUTE_ALLOW_SIZE];

	ck_assert_int_eq(find("OPTIONS", "/status"), ROUTE_OPTIONS);
	ck_assert_str_eq(route_allow(match.allow, buf), "GET, HEAD, OPTIONS");
	ck_assert_int_eq(find("OPTIONS", "/nowhere"), ROUTE_NOT_FOUND);
	require("OPTIONS", "/own", "/own");
	ck_assert_int_eq(find("OPTIONS", "*"), ROUTE_OPTIONS);
	ck_assert_str_eq(route_allow(match.allow, buf),
	    "GET, HEAD, POST, PUT, DELETE, OPTIONS");
	ck_assert_int_eq(find("GET", "*"), ROUTE_BAD_PATH);
}
END_TEST

START_TEST(paths_longer_than_any_pattern)
{
	char path[2 * ROUTE_SEGMENTS + 20] = "";

	for (int i = 0; i < ROUTE_SEGMENTS + 1; i++)
		strcat(path, "/a");
	ck_assert_int_eq(find("GET", path), ROUTE_NOT_FOUND);
	strcat(path, "%zz");
	ck_assert_int_eq(find("GET", path), ROUTE_BAD_PATH);
	memset(path, '/', ROUTE_SEGMENTS);
	path[ROUTE_SEGMENTS] = '\0';
	ck_assert_int_eq(find("GET", path), ROUTE_NOT_FOUND);
}
END_TEST

START_TEST(a_long_value_fits)
{
	char *path = mem_alloc(9001);

	memset(path, 'x', 9000);
	memcpy(path, "/a/", 3);
	require("GET", path, "/a/{x}");
	ck_assert_uint_eq(strlen(route_param(&match, "x")), 8997);
	free(path);
}
END_TEST

START_TEST(bad_patterns)
{
	static const struct {
		const char *method, *pattern, *why;
	} bad[] = {
		{ "BREW", "/x", "no route can have the method \"BREW\"" },
		{ "get", "/x", "no route can have the method \"get\"" },
		{ "TRACE", "/x", "no route can have the method \"TRACE\"" },
		{ "GET", "", "does not begin with a slash" },
		{ "GET", "x", "does not begin with a slash" },
		{ "GET", "*", "does not begin with a slash" },
		{ "GET", "/x//y", "empty segment" },
		{ "GET", "/x{y}", "whole segment" },
		{ "GET", "/x}", "whole segment" },
		{ "GET", "/{", "is no parameter" },
		{ "GET", "/{}", "is no parameter" },
		{ "GET", "/{x", "is no parameter" },
		{ "GET", "/{x}y", "is no parameter" },
		{ "GET", "/{x y}", "spaces" },
		{ "GET", "/{x.y}", "is no parameter" },
		{ "GET", "/%41", "write paths decoded" },
		{ "GET", "/x?y", "without a query" },
		{ "GET", "/x#y", "without a query" },
		{ "GET", "/x y", "spaces" },
		{ "GET", "/\xff", "not UTF-8" },
		{ "GET", "/{x}/b/{x}", "twice" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct why why = { "" };

		ck_assert_int_eq(add(bad[i].method, bad[i].pattern, &why), -1);
		ck_assert_msg(strstr(why.text, bad[i].why) != NULL, "%s: %s",
		    bad[i].pattern, why.text);
	}
}
END_TEST

START_TEST(routes_in_each_others_way)
{
	struct why why;

	ck_assert_int_eq(add("GET", "/a/{y}", &why), -1);
	ck_assert_ptr_nonnull(strstr(why.text, "/a/{x} in line 7 of t.conf"));
	ck_assert_int_eq(add("GET", "/status", &why), -1);
	ck_assert_int_eq(add("GET", "/a/{y}/c", &why), -1);
	/* the same place, another method */
	ck_assert_int_eq(add("PATCH", "/a/{y}", &why), 0);
	require("PATCH", "/a/5", "/a/{y}");
	ck_assert_str_eq(route_param(&match, "y"), "5");
	/* one of brood's own is in no file */
	ck_assert_int_eq(route_add(table, "GET",
			     &(struct route){ .pattern = "/jobs/{id}" }, &why),
	    0);
	ck_assert_int_eq(add("GET", "/jobs/{x}", &why), -1);
	ck_assert_ptr_nonnull(strstr(why.text, "rest.jobs_path"));
}
END_TEST

START_TEST(the_longest_pattern)
{
	char pattern[6 * ROUTE_SEGMENTS + 20] = "", path[sizeof(pattern)] = "";
	struct why why;

	for (int i = 0; i < ROUTE_SEGMENTS; i++) {
		snprintf(pattern + strlen(pattern), 10, "/{%c%c}", 'a' + i / 26,
		    'a' + i % 26);
		strcat(path, "/v");
	}
	ck_assert_int_eq(add("PUT", pattern, &why), 0);
	require("PUT", path, pattern);
	ck_assert_str_eq(route_param(&match, "bf"), "v");
	strcat(pattern, "/x");
	ck_assert_int_eq(add("PUT", pattern, &why), -1);
	ck_assert_ptr_nonnull(strstr(why.text, "more than 32 segments"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("route");
	TCase *tests = tcase_create("route");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, literals_match_whole_paths);
	tcase_add_test(tests, a_trailing_slash_matters);
	tcase_add_test(tests, a_literal_beats_a_parameter);
	tcase_add_test(tests, the_walk_goes_back);
	tcase_add_test(tests, parameters_are_decoded_after_splitting);
	tcase_add_test(tests, the_name_is_the_routes_own);
	tcase_add_test(tests, a_parameter_is_never_empty);
	tcase_add_test(tests, literals_compare_decoded);
	tcase_add_test(tests, bad_paths_are_told_from_missing_ones);
	tcase_add_test(tests, head_goes_where_get_goes);
	tcase_add_test(tests, a_missing_method_is_told_what_there_is);
	tcase_add_test(tests, methods_nobody_knows);
	tcase_add_test(tests, options);
	tcase_add_test(tests, paths_longer_than_any_pattern);
	tcase_add_test(tests, a_long_value_fits);
	tcase_add_test(tests, bad_patterns);
	tcase_add_test(tests, routes_in_each_others_way);
	tcase_add_test(tests, the_longest_pattern);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
