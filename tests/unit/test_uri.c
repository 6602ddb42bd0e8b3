/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_uri - %-encoding, UTF-8, request targets, queries and cookies.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "rest/uri.h"
#include "run_suite.h"

static char buf[2000];

static void
require_decoded(const char *text, bool plus, const char *wanted)
{
	char place[200];
	ssize_t n = uri_decode(buf, text, strlen(text), plus);

	ck_assert_msg(n >= 0, "%s", text);
	ck_assert_str_eq(buf, wanted);
	ck_assert_int_eq(n, (ssize_t)strlen(wanted));
	strcpy(place, text);
	ck_assert_int_eq(uri_decode(place, place, strlen(text), plus), n);
	ck_assert_str_eq(place, wanted);
}

START_TEST(decodes)
{
	require_decoded("", false, "");
	require_decoded("abc", false, "abc");
	require_decoded("%41%62%7e", false, "Ab~");
	require_decoded("a+b%2B", false, "a+b+");
	require_decoded("a+b%2B", true, "a b+");
	require_decoded("%20", false, " ");
	require_decoded("%c3%A9\xc3\xa9", false, "\xc3\xa9\xc3\xa9");
	require_decoded("%F0%9F%90%A3", false, "\xf0\x9f\x90\xa3");
	require_decoded("%f4%8f%bf%bf", false, "\xf4\x8f\xbf\xbf");
}
END_TEST

START_TEST(refuses_to_decode)
{
	static const char *const bad[] = {
		"%",
		"%4",
		"%4g",
		"%g4",
		"%%41",
		"a%",
		"% 1",
		"%00",
		"a%00b",
		"%0a",
		"%0d",
		"%09",
		"%1f",
		"%7f",
		"%80",
		"%ff",
		"%c3",
		"%c3%",
		"%c3a",
		"%c0%80",
		"%c1%bf",
		"%e0%80%80",
		"%e0%9f%bf",
		"%ed%a0%80",
		"%f0%8f%bf%bf",
		"%f4%90%80%80",
		"%f5%80%80%80",
		"%e2%82",
		"\xff",
		"\x01",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(uri_decode(buf, bad[i], strlen(bad[i]), true) ==
			-1,
		    "%s", bad[i]);
	/* not a byte beyond the length */
	ck_assert_int_eq(uri_decode(buf, "a%41", 2, false), -1);
	ck_assert_int_eq(uri_decode(buf, "a%41", 1, false), 1);
}
END_TEST

START_TEST(paths)
{
	bool encoded;

	ck_assert(uri_path_ok("/a/~b;c=d", &encoded));
	ck_assert(!encoded);
	ck_assert(uri_path_ok("/a%41", &encoded));
	ck_assert(encoded);
	ck_assert(uri_path_ok("/\xc3\xa9", &encoded));
	ck_assert(!uri_path_ok("/\xc3", &encoded));
	ck_assert(!uri_path_ok("/a b", &encoded));
	ck_assert(!uri_path_ok("/a\tb", &encoded));
	ck_assert(!uri_path_ok("/a\x7f", &encoded));
}
END_TEST

START_TEST(targets)
{
	ck_assert_str_eq(uri_target_path("/a/b"), "/a/b");
	ck_assert_str_eq(uri_target_path("//a"), "//a");
	ck_assert_str_eq(uri_target_path("*"), "*");
	ck_assert_str_eq(uri_target_path("http://host:80/a"), "/a");
	ck_assert_str_eq(uri_target_path("HTTPS://host"), "/");
	ck_assert_ptr_null(uri_target_path(""));
	ck_assert_ptr_null(uri_target_path("a"));
	ck_assert_ptr_null(uri_target_path("**"));
	ck_assert_ptr_null(uri_target_path("host:80"));
	ck_assert_ptr_null(uri_target_path("ftp://host/a"));
	ck_assert_ptr_null(uri_target_path("http://"));
	ck_assert_ptr_null(uri_target_path("http:///a"));
}
END_TEST

START_TEST(queries)
{
	static const char text[] =
	    "a=1&b=two+words&c&d=&e=%26%3d&a=2&&=x&f=g=h";
	ssize_t n = query_decode(buf, text, strlen(text));
	size_t len = (size_t)n;

	ck_assert_int_gt(n, 0);
	ck_assert_str_eq(query_find(buf, len, "a"), "1");
	ck_assert_str_eq(query_find(buf, len, "b"), "two words");
	ck_assert_str_eq(query_find(buf, len, "c"), "");
	ck_assert_str_eq(query_find(buf, len, "d"), "");
	ck_assert_str_eq(query_find(buf, len, "e"), "&=");
	ck_assert_str_eq(query_find(buf, len, "f"), "g=h");
	ck_assert_str_eq(query_find(buf, len, ""), "x");
	ck_assert_ptr_null(query_find(buf, len, "g"));
	ck_assert_ptr_null(query_find(buf, len, "A"));
	ck_assert_int_eq(query_decode(buf, "", 0), 0);
	ck_assert_ptr_null(query_find(buf, 0, "a"));
}
END_TEST

START_TEST(bad_queries)
{
	static const char *const bad[] = { "a=%", "a=%zz", "%g1=1", "a=%00",
		"a=%0a", "x&y=%ff", "a=1&b=%4" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(query_decode(buf, bad[i], strlen(bad[i])) == -1,
		    "%s", bad[i]);
}
END_TEST

/* A single character takes the most room for its length: "a" and two NULs. */
START_TEST(the_room_for_a_query_is_enough)
{
	for (size_t len = 0; len < 200; len++) {
		char text[200], *room = malloc(QUERY_ROOM(len));
		ssize_t n;

		for (size_t i = 0; i < len; i++)
			text[i] = i % 2 == 0 ? 'a' : '&';
		n = query_decode(room, text, len);
		ck_assert_int_ge(n, 0);
		ck_assert_uint_le((size_t)n, QUERY_ROOM(len));
		free(room);
	}
}
END_TEST

static void
require_cookie(const char *header, const char *name, const char *wanted)
{
	size_t len;
	const char *found = cookie_find(header, name, &len);

	if (wanted == NULL) {
		ck_assert_msg(found == NULL, "%s in %s", name, header);
		return;
	}
	ck_assert_msg(found != NULL, "%s in %s", name, header);
	ck_assert_uint_eq(len, strlen(wanted));
	ck_assert_int_eq(memcmp(found, wanted, len), 0);
}

START_TEST(cookies)
{
	require_cookie("a=1; b=two;c=\"3\" ; d=", "a", "1");
	require_cookie("a=1; b=two;c=\"3\" ; d=", "b", "two");
	require_cookie("a=1; b=two;c=\"3\" ; d=", "c", "\"3\"");
	require_cookie("a=1; b=two;c=\"3\" ; d=", "d", "");
	require_cookie("ab=1; a=2", "a", "2");
	require_cookie("a=x=y", "a", "x=y");
	require_cookie("a=x,y", "a", "x,y");
	require_cookie("a", "a", NULL);
	require_cookie("", "a", NULL);
	require_cookie(";;; ;", "a", NULL);
	require_cookie("A=1", "a", NULL);
	require_cookie("a=1; a=2", "a", "1");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("uri");
	TCase *tests = tcase_create("uri");

	tcase_add_test(tests, decodes);
	tcase_add_test(tests, refuses_to_decode);
	tcase_add_test(tests, paths);
	tcase_add_test(tests, targets);
	tcase_add_test(tests, queries);
	tcase_add_test(tests, bad_queries);
	tcase_add_test(tests, the_room_for_a_query_is_enough);
	tcase_add_test(tests, cookies);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
