/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_ctl_member - the options of single commands: the table makes sense, each
 * kind of value gets its type, and one that is not the command's is refused.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/member.h"
#include "run_suite.h"

static size_t
find(const char *name)
{
	for (size_t i = 0; i < member_count; i++)
		if (strcmp(member_info[i].name, name) == 0)
			return i;
	ck_abort_msg("there is no option %s", name);
	return 0;
}

START_TEST(the_table_makes_sense)
{
	const char *near;
	char *words, *rest, *word;
	int id;

	for (size_t i = 0; i < member_count; i++) {
		ck_assert_int_eq(member_info[i].argument == NULL,
		    member_info[i].kind == MEMBER_FLAG);
		ck_assert_str_ne(member_info[i].help, "");
		for (size_t k = 0; k < i; k++) {
			ck_assert_str_ne(member_info[i].name,
			    member_info[k].name);
			ck_assert_str_ne(member_info[i].member,
			    member_info[k].member);
		}
		words = rest = strdup(member_info[i].commands);
		while ((word = strsep(&rest, " ")) != NULL) {
			id = cmd_parse(word, &near);
			ck_assert_msg(id != -1, "there is no command '%s'",
			    word);
			ck_assert_int_eq(cmd_info[id].where, CMD_HUB);
		}
		free(words);
	}
}
END_TEST

START_TEST(values_get_their_type)
{
	struct ctl ctl = { 0 };
	struct why why;
	char *text;

	ck_assert_int_eq(member_take(&ctl, find("delay"), "1.5", &why), 0);
	ck_assert_int_eq(member_take(&ctl, find("priority"), "-3", &why), 0);
	ck_assert_int_eq(member_take(&ctl, find("unique"), "a b", &why), 0);
	ck_assert_int_eq(member_take(&ctl, find("mandatory"), NULL, &why), 0);
	ck_assert_int_eq(member_take(&ctl, find("headers"), "{\"a\":\"b\"}",
			     &why),
	    0);
	/* the last one stands */
	ck_assert_int_eq(member_take(&ctl, find("unique"), "c", &why), 0);
	text = json_dumps(ctl.members, JSON_COMPACT | JSON_SORT_KEYS);
	ck_assert_str_eq(text,
	    "{\"delay\":1.5,\"headers\":{\"a\":\"b\"},\"mandatory\":true,"
	    "\"priority\":-3,\"unique\":\"c\"}");
	free(text);
	json_decref(ctl.members);
}
END_TEST

START_TEST(values_that_are_none)
{
	static const struct {
		const char *option, *value, *why;
	} rows[] = {
		{ "delay", "", "--delay : not a number of seconds" },
		{ "delay", "soon", "--delay soon: not a number of seconds" },
		{ "delay", "1s", "--delay 1s: not a number of seconds" },
		{ "delay", "nan", "--delay nan: not a number of seconds" },
		{ "delay", "1e999", "--delay 1e999: not a number of seconds" },
		{ "priority", "", "--priority : not a whole number" },
		{ "priority", "1.5", "--priority 1.5: not a whole number" },
		{ "priority", "99999999999999999999",
		    "--priority 99999999999999999999: not a whole number" },
		{ "unique", "\377", "--unique: not UTF-8" },
		{ "headers", "{", "--headers: not JSON: " },
	};
	struct ctl ctl = { 0 };
	struct why why;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_int_eq(member_take(&ctl, find(rows[i].option),
				     rows[i].value, &why),
		    -1);
		ck_assert_msg(strncmp(why.text, rows[i].why,
				  strlen(rows[i].why)) == 0,
		    "%s", why.text);
	}
	ck_assert_ptr_null(ctl.members);
}
END_TEST

START_TEST(only_for_its_commands)
{
	struct ctl ctl = { .cmd = &cmd_info[CMD_ID_submit] };
	struct why why;

	ck_assert_int_eq(member_check(&ctl, &why), 0);
	ck_assert_int_eq(member_take(&ctl, find("priority"), "1", &why), 0);
	ck_assert_int_eq(member_check(&ctl, &why), 0);
	ctl.cmd = &cmd_info[CMD_ID_publish];
	ck_assert_int_eq(member_check(&ctl, &why), 0);
	ctl.cmd = &cmd_info[CMD_ID_status];
	ck_assert_int_eq(member_check(&ctl, &why), -1);
	ck_assert_str_eq(why.text,
	    "--priority is not for status, but for: submit publish");
	json_decref(ctl.members);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("ctl_member");
	TCase *tests = tcase_create("member");

	tcase_add_test(tests, the_table_makes_sense);
	tcase_add_test(tests, values_get_their_type);
	tcase_add_test(tests, values_that_are_none);
	tcase_add_test(tests, only_for_its_commands);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
