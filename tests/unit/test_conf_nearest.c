/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_conf_nearest - what is near, what is not, and which of two is nearer.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/conf.h"
#include "run_suite.h"

static const char *const names[] = {
	"start",
	"min_spare",
	"max_spare",
	"max",
	"grow_delay",
	"listen",
	"request_timeout",
	"receive_timeout",
	"tls",
};

static const struct {
	const char *word, *nearest;
} words[] = {
	{ "start", "start" },
	{ "strat", "start" },
	{ "stat", "start" },
	{ "starts", "start" },
	{ "Start", "start" },
	{ "min_spar", "min_spare" },
	{ "max_spra", "max_spare" },
	{ "minspare", "min_spare" },
	{ "mxa", "max" },
	{ "lsiten", "listen" },
	{ "request_timout", "request_timeout" },
	{ "recieve_timeout", "receive_timeout" },
	{ "grow-delay", "grow_delay" },
	{ "colour", NULL },
	{ "", NULL },
	{ "x", NULL },
	{ "xyz", NULL },
	{ "workers", NULL },
	{ "request", NULL },
	{ "0123456789012345678901234567890123456789012345678901234567890123"
	  "45678",
	    NULL },
};

START_TEST(a_word_has_a_neighbour_or_none)
{
	const char *near = conf_nearest(words[_i].word, names,
	    sizeof(names) / sizeof(names[0]));

	if (words[_i].nearest == NULL)
		ck_assert_msg(near == NULL, "%s: %s", words[_i].word, near);
	else
		ck_assert_pstr_eq(near, words[_i].nearest);
}
END_TEST

START_TEST(of_no_names_none_is_near)
{
	ck_assert_ptr_null(conf_nearest("start", NULL, 0));
	ck_assert_ptr_null(conf_nearest("start", (const char *[]){ "" }, 1));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("conf_nearest");
	TCase *tests = tcase_create("conf_nearest");

	tcase_add_loop_test(tests, a_word_has_a_neighbour_or_none, 0,
	    sizeof(words) / sizeof(words[0]));
	tcase_add_test(tests, of_no_names_none_is_near);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
