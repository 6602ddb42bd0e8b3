/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * suite - the main() of a system test.
 *
 * Every test is a case of its own, so that CK_RUN_CASE=name runs it alone and
 * a failure names it. Tests may start processes: whatever a failed one leaves
 * behind is adopted by the suite, killed, and its logs are printed.
 */
#ifndef SYSTEM_SUITE_H
#define SYSTEM_SUITE_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>

struct suite_case {
	const char *name;
	const TTest *test;
	bool memory;
};

/*
 * For an array local to main(): a TTest is known at run time only. A
 * CASE_MEMORY is worth its time in valgrind, and the only kind that is run
 * when VALGRIND is set in the environment.
 */
#define CASE(fn)               \
	{                      \
#fn, fn, false \
	}
#define CASE_MEMORY(fn)       \
	{                     \
#fn, fn, true \
	}

/* Runs them and returns the exit status for main(). */
int suite_run(const char *name, const struct suite_case *cases, size_t n);

#define SUITE_RUN(name, cases) \
	suite_run(name, cases, sizeof(cases) / sizeof((cases)[0]))

/* The folder of this run, below which a test makes its own. */
const char *suite_dir(void);

/*
 * How long anything may take before a test gives up on it: no requirement,
 * only the end of every wait. Longer when a checker slows everything down.
 */
int suite_patience_ms(void);

/* The build folder, BROOD_BUILD. */
const char *suite_build(void);

#endif
