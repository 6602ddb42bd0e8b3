/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * histogram - how long things took, in fixed memory.
 *
 * Log-linear buckets: four to each power of two from 1 µs to about 17 minutes,
 * so a quantile is right to within 12.5 %. Plain data without pointers, fit for
 * shared memory: one writer, readers that tolerate a count in flight.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BUCKETS 124

struct histogram {
	_Atomic uint32_t count[HISTOGRAM_BUCKETS];
	_Atomic uint64_t sum_us;
};

void histogram_add(struct histogram *h, int64_t ns);

/* Adds the counts of `from` to `into`; for sums over children. */
void histogram_merge(struct histogram *into, const struct histogram *from);

uint64_t histogram_count(const struct histogram *h);

/* The value that a share of `q` (0 to 1) of all lie at or below, in ns, as the
 * middle of its bucket; 0 when empty. */
int64_t histogram_quantile(const struct histogram *h, double q);

#endif
