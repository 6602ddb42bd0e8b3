/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_cmd - commands and roles by their names, and that the rows of cmd.def
 * and role.def are sound.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/cmd.h"
#include "core/role.h"
#include "run_suite.h"

START_TEST(every_command_is_found)
{
	const struct cmd_info *info = &cmd_info[_i];
	const char *near;

	ck_assert_int_eq(cmd_parse(info->name, &near), _i);
	ck_assert_ptr_null(near);
	ck_assert_ptr_nonnull(info->arguments);
	ck_assert_int_ge(info->min, 0);
	ck_assert_int_le(info->min, info->max);
	ck_assert_int_gt(info->timeout_s, 0);
	ck_assert_int_gt(strlen(info->help), 0);
	ck_assert_int_eq(info->arguments[0] == '\0', info->max == 0);
}
END_TEST

static const struct {
	const char *word, *near;
} unknown[] = {
	{ "relaod", "reload" },
	{ "stauts", "status" },
	{ "restrat", "restart" },
	{ "expalin", "explain" },
	{ "frobnicate", NULL },
	{ "", NULL },
};

START_TEST(unknown_commands_have_a_neighbour)
{
	const char *near = "untouched";

	ck_assert_int_eq(cmd_parse(unknown[_i].word, &near), -1);
	ck_assert_pstr_eq(near, unknown[_i].near);
}
END_TEST

START_TEST(every_role_is_found)
{
	for (int id = 0; id < ROLE_COUNT; id++) {
		ck_assert_int_eq(role_parse(role_info[id].name), id);
		ck_assert_int_gt(strlen(role_info[id].help), 0);
	}
	ck_assert_int_eq(role_parse("rest"), ROLE_REST);
	ck_assert_int_eq(role_parse("REST"), -1);
	ck_assert_int_eq(role_parse(""), -1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("cmd");
	TCase *tests = tcase_create("cmd");

	tcase_add_loop_test(tests, every_command_is_found, 0, CMD_COUNT);
	tcase_add_loop_test(tests, unknown_commands_have_a_neighbour, 0,
	    sizeof(unknown) / sizeof(unknown[0]));
	tcase_add_test(tests, every_role_is_found);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
