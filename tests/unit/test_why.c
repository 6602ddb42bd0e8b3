/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_why - the sentence fits, nobody has to look at it, errno survives it.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/why.h"
#include "run_suite.h"

START_TEST(a_sentence_is_written)
{
	struct why why;

	errno = ENOENT;
	ck_assert_int_eq(why_set(&why, "cannot open %s: %m", "it"), -1);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_str_eq(why.text, "cannot open it: No such file or directory");
}
END_TEST

START_TEST(nobody_has_to_look)
{
	errno = EAGAIN;
	ck_assert_int_eq(why_set(NULL, "%s", "unheard"), -1);
	ck_assert_int_eq(errno, EAGAIN);
}
END_TEST

START_TEST(a_long_sentence_is_cut)
{
	struct why why;

	why_set(&why, "%*s", 10 * WHY_SIZE, "x");
	ck_assert_uint_eq(strlen(why.text), WHY_SIZE - 1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("why");
	TCase *tests = tcase_create("why");

	tcase_add_test(tests, a_sentence_is_written);
	tcase_add_test(tests, nobody_has_to_look);
	tcase_add_test(tests, a_long_sentence_is_cut);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
