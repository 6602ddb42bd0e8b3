/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_task_attrs - what a handler looks up by name: the first of that name,
 * headers without regard to case, and nothing but attrs in the parts.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/why.h"
#include "run_suite.h"
#include "task/attrs.h"

static struct buf parts;
static struct attrs attrs;

static void
set_up(void)
{
	buf_init(&parts, 1 << 20);
}

static void
tear_down(void)
{
	attrs_release(&attrs);
	buf_release(&parts);
}

static void
add(enum call_lookup what, const char *name, const char *value)
{
	struct msg_ATTR attr = {
		.what = (uint8_t)what,
		.name = msg_text(name),
		.value = msg_text(value),
	};

	ck_assert_int_eq(msg_encode(&parts, MSG_ATTR, 0, &attr), 0);
}

static int
take(void)
{
	struct why why;
	int rc = attrs_read(&attrs, (struct msg_bytes){ parts.data, parts.len },
	    &why);

	/* what was read is gone by the time it is asked for */
	if (parts.data != NULL)
		memset(parts.data, 'x', parts.len);
	return rc;
}

START_TEST(finds_by_kind_and_name)
{
	add(CALL_PARAM, "id", "42");
	add(CALL_QUERY, "id", "43");
	add(CALL_HEADER, "X-Id", "44");
	add(CALL_COOKIE, "id", "45");
	add(CALL_PROPERTY, "routing_key", "");
	ck_assert_int_eq(take(), 0);
	ck_assert_str_eq(attrs_find(&attrs, CALL_PARAM, "id"), "42");
	ck_assert_str_eq(attrs_find(&attrs, CALL_QUERY, "id"), "43");
	ck_assert_str_eq(attrs_find(&attrs, CALL_HEADER, "X-Id"), "44");
	ck_assert_str_eq(attrs_find(&attrs, CALL_COOKIE, "id"), "45");
	ck_assert_str_eq(attrs_find(&attrs, CALL_PROPERTY, "routing_key"), "");
	ck_assert_ptr_null(attrs_find(&attrs, CALL_PROPERTY, "id"));
	ck_assert_ptr_null(attrs_find(&attrs, CALL_PARAM, "i"));
	ck_assert_ptr_null(attrs_find(&attrs, CALL_PARAM, "id2"));
	ck_assert_ptr_null(attrs_find(&attrs, CALL_PARAM, ""));
}
END_TEST

START_TEST(headers_ignore_case_and_others_do_not)
{
	add(CALL_HEADER, "Content-Type", "text/plain");
	add(CALL_PARAM, "Name", "x");
	ck_assert_int_eq(take(), 0);
	ck_assert_str_eq(attrs_find(&attrs, CALL_HEADER, "content-TYPE"),
	    "text/plain");
	ck_assert_ptr_null(attrs_find(&attrs, CALL_PARAM, "name"));
}
END_TEST

START_TEST(first_of_several)
{
	add(CALL_HEADER, "Accept", "one");
	add(CALL_HEADER, "ACCEPT", "two");
	add(CALL_QUERY, "a", "1");
	add(CALL_QUERY, "a", "2");
	ck_assert_int_eq(take(), 0);
	ck_assert_str_eq(attrs_find(&attrs, CALL_HEADER, "accept"), "one");
	ck_assert_str_eq(attrs_find(&attrs, CALL_QUERY, "a"), "1");
}
END_TEST

START_TEST(nothing_and_much)
{
	char name[32];

	ck_assert_int_eq(take(), 0);
	ck_assert_uint_eq(attrs.n, 0);
	ck_assert_ptr_null(attrs_find(&attrs, CALL_PARAM, "x"));
	buf_clear(&parts);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "name-%d", i);
		add(CALL_PARAM, name, name + 5);
	}
	ck_assert_int_eq(take(), 0);
	ck_assert_uint_eq(attrs.n, 1000);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "name-%d", i);
		ck_assert_str_eq(attrs_find(&attrs, CALL_PARAM, name),
		    name + 5);
	}
}
END_TEST

START_TEST(refuses_other_parts)
{
	struct msg_EXPECT expect = { .key = msg_text("k"), .version = 1 };

	add(CALL_PARAM, "a", "1");
	ck_assert_int_eq(msg_encode(&parts, MSG_EXPECT, 0, &expect), 0);
	ck_assert_int_eq(take(), -1);
	ck_assert_uint_eq(attrs.n, 0);

	buf_clear(&parts);
	buf_append(&parts, "garbage", 7);
	ck_assert_int_eq(take(), -1);

	buf_clear(&parts);
	add(CALL_PARAM, "a", "1");
	parts.len--;
	ck_assert_int_eq(take(), -1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("attrs");
	TCase *tests = tcase_create("attrs");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, finds_by_kind_and_name);
	tcase_add_test(tests, headers_ignore_case_and_others_do_not);
	tcase_add_test(tests, first_of_several);
	tcase_add_test(tests, nothing_and_much);
	tcase_add_test(tests, refuses_other_parts);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
