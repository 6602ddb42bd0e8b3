/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * backoff - the next delay of a thing that keeps failing.
 *
 * Pure arithmetic: no clock, no random source, no allocation. The delay before
 * jitter is min * 2^(failures - 1), at most max; what is returned lies within
 * (3/4 delay, delay]. Nothing here overflows, however often a thing fails.
 */
#include "base/backoff.h"

#include <limits.h>

void
backoff_init(struct backoff *b, int64_t min_ns, int64_t max_ns)
{
	b->min_ns = min_ns > 0 ? min_ns : 0;
	b->max_ns = max_ns > b->min_ns ? max_ns : b->min_ns;
	b->failures = 0;
}

int64_t
backoff_next(struct backoff *b, uint32_t random)
{
	unsigned shift;
	uint64_t delay, quarter, cut;

	if (b->failures < UINT_MAX)
		b->failures++;
	shift = b->failures - 1 < 63 ? b->failures - 1 : 63;

	if (b->min_ns > b->max_ns >> shift)
		delay = (uint64_t)b->max_ns;
	else
		delay = (uint64_t)b->min_ns << shift;

	/* quarter * random / 2^32 in halves, as the product needs 96 bits */
	quarter = delay / 4;
	cut = (quarter >> 32) * random;
	cut += (quarter & UINT32_MAX) * random >> 32;
	return (int64_t)(delay - cut);
}

void
backoff_reset(struct backoff *b)
{
	b->failures = 0;
}
