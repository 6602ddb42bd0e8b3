/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_prefer - the preferences of RFC 7240 that brood knows, among others and
 * among nonsense.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "rest/prefer.h"
#include "run_suite.h"

static const struct {
	const char *value;
	const char *understood; /* as prefer_format() has it; NULL: nothing */
} table[] = {
	{ "respond-async", "respond-async" },
	{ "Respond-ASYNC", "respond-async" },
	{ "wait=10", "wait=10" },
	{ "wait=0", "wait=0" },
	{ "respond-async, wait=10", "respond-async, wait=10" },
	{ "wait=10,respond-async", "respond-async, wait=10" },
	{ "  wait = 10 ; foo=\"a,b;c\" , respond-async;x", /* BWS, parameters */
	    "respond-async, wait=10" },
	{ "wait=\"7\"", "wait=7" },
	{ "respond-async=", "respond-async" },
	{ "respond-async=\"\"", "respond-async" },
	{ "return=minimal, handling=lenient, wait=1", "wait=1" },
	{ "foo=\"wait=9, respond-async\", wait=3", "wait=3" },
	{ "foo=\"a\\\"b, wait=9\", wait=3", "wait=3" },
	{ ",, ,wait=3,", "wait=3" },
	{ "wait=3\t", "wait=3" },
	/* only the first of a name counts, whatever it says */
	{ "wait=3, wait=4", "wait=3" },
	{ "wait=x, wait=4", NULL },
	{ "respond-async=no, respond-async", NULL },
	/* figures that no clock has */
	{ "wait=99999999999999999999999999", "wait=1000000000" },
	/* malformed */
	{ "", NULL },
	{ "   ", NULL },
	{ "=", NULL },
	{ ";;;===\"", NULL },
	{ "wait", NULL },
	{ "wait=", NULL },
	{ "wait=-1", NULL },
	{ "wait=1.5", NULL },
	{ "wait=1 0", NULL },
	{ "wait=\"7", NULL },
	{ "wait=\"7\"x", NULL },
	{ "wait=7\"", NULL },
	{ "respond-async=1", NULL },
	{ "\"respond-async\"", NULL },
	{ "respondasync", NULL },
	{ "wait:10", NULL },
	{ "wait=\xff", NULL },
};

START_TEST(values)
{
	struct prefer prefer = { 0 };
	char buf[PREFER_SIZE];
	const char *value = table[_i].value, *got;
	size_t len = strlen(value);
	/* of its own size, so that a checker sees a byte too many read */
	char *copy = mem_alloc(len + 1);

	memcpy(copy, value, len);
	copy = realloc(copy, len > 0 ? len : 1);
	prefer_parse(&prefer, copy, len);
	got = prefer_format(&prefer, buf);
	if (table[_i].understood == NULL)
		ck_assert_msg(got == NULL, "%s: %s", value, got);
	else
		ck_assert_msg(got != NULL &&
			strcmp(got, table[_i].understood) == 0,
		    "%s: %s", value, got != NULL ? got : "nothing");
	free(copy);
}
END_TEST

START_TEST(several_fields)
{
	struct prefer prefer = { 0 };

	prefer_parse(&prefer, "wait=5", 6);
	prefer_parse(&prefer, "respond-async, wait=9", 21);
	ck_assert(prefer.respond_async);
	ck_assert(prefer.wait);
	ck_assert_uint_eq(prefer.wait_s, 5);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("prefer");
	TCase *tests = tcase_create("prefer");

	tcase_add_loop_test(tests, values, 0, sizeof(table) / sizeof(table[0]));
	tcase_add_test(tests, several_fields);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
