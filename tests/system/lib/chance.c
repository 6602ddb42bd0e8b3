/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chance - choices that a seed repeats.
 */
#include <check.h>
#include <stdlib.h>
#include <sys/random.h>

#include "chance.h"

static unsigned state;

unsigned
chance_seed(const char *variable, unsigned otherwise)
{
	const char *given = getenv(variable);

	state = given != NULL ? (unsigned)strtoul(given, NULL, 10) : otherwise;
	if (given == NULL && otherwise == 0)
		ck_assert_int_eq(getrandom(&state, sizeof(state), 0),
		    sizeof(state));
	return state;
}

unsigned
chance(unsigned n)
{
	return (unsigned)rand_r(&state) % n;
}
