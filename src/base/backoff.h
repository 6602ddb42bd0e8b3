/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * backoff - the next delay of a thing that keeps failing.
 *
 * Doubles from min to max; each delay is jittered down by up to a quarter so
 * that children that died together do not come back together. Pure: the caller
 * brings the random number and keeps the clock.
 */
#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

#include <stdint.h>

struct backoff {
	int64_t min_ns, max_ns;
	unsigned failures;	/* in a row */
};

void backoff_init(struct backoff *b, int64_t min_ns, int64_t max_ns);

/* Counts a failure and returns how long to wait after it. `random` is any 32
 * bits. The first delay is about min_ns. */
int64_t backoff_next(struct backoff *b, uint32_t random);

/* After a success. */
void backoff_reset(struct backoff *b);

#endif
