/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run_suite - the end of every unit test's main().
 */
#ifndef TESTS_UNIT_RUN_SUITE_H
#define TESTS_UNIT_RUN_SUITE_H

#include <check.h>
#include <stdlib.h>

/* Runs and frees the suite; the exit status for main(). */
static inline int
run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The same with one case, whose tests all have a fixture and may each take so
 * long. */
static inline int
run_tests(const char *name, double timeout_s, SFun set_up, SFun tear_down,
    void (*add)(TCase *tests))
{
	Suite *suite = suite_create(name);
	TCase *tests = tcase_create(name);

	tcase_set_timeout(tests, timeout_s);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	add(tests);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}

#endif
