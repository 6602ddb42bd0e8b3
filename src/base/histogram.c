/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * histogram - how long things took, in fixed memory.
 *
 * The unit is 250 ns, so that 1 µs is 4 units and every power of two of them
 * has four buckets of equal width:
 *
 *	bucket	 0 …   3	[0, 1 µs) in four of 250 ns
 *	bucket	 4 …   7	[1 µs, 2 µs) in four of 250 ns
 *	bucket	 8 …  11	[2 µs, 4 µs) in four of 500 ns
 *	…
 *	bucket 120 … 123	[2^29 µs, 2^30 µs) in four of 134 s
 *
 * The middle of a bucket is at most 12.5 % away from whatever fell into it,
 * between 1 µs and 2^30 µs (17.9 minutes). Less than nothing counts in the
 * first bucket, more than that in the last. Counts stop at their maximum
 * rather than start again from 0: a wrapped bucket would make every quantile
 * a lie. One writer for each histogram: an add is a load and a store.
 */
#include "base/histogram.h"

#include <assert.h>
#include <stdatomic.h>

#define HISTOGRAM_UNIT_NS 250
#define HISTOGRAM_POWERS 30 /* from 1 µs */

static_assert(HISTOGRAM_BUCKETS == 4 + 4 * HISTOGRAM_POWERS,
    "four buckets below 1 µs, and four to each power of two above");

static unsigned
histogram_bucket(int64_t ns)
{
	uint64_t units;
	unsigned power, bucket;

	if (ns < 0)
		return 0;
	units = (uint64_t)ns / HISTOGRAM_UNIT_NS;
	if (units < 4)
		return (unsigned)units;
	power = 63 - (unsigned)__builtin_clzll(units);
	bucket = 4 * (power - 1) + (unsigned)(units >> (power - 2) & 3);
	return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static int64_t
histogram_middle(unsigned bucket)
{
	int64_t low, width;

	if (bucket < 4) {
		low = bucket;
		width = 1;
	} else {
		width = INT64_C(1) << (bucket / 4 - 1);
		low = (4 + bucket % 4) * width;
	}
	return low * HISTOGRAM_UNIT_NS + width * HISTOGRAM_UNIT_NS / 2;
}

static uint32_t
histogram_load(const struct histogram *h, unsigned bucket)
{
	return atomic_load_explicit(&h->count[bucket], memory_order_relaxed);
}

static void
histogram_bump(struct histogram *h, unsigned bucket, uint32_t n, uint64_t us)
{
	uint32_t count = histogram_load(h, bucket);
	uint64_t sum = atomic_load_explicit(&h->sum_us, memory_order_relaxed);

	count = n < UINT32_MAX - count ? count + n : UINT32_MAX;
	sum = us < UINT64_MAX - sum ? sum + us : UINT64_MAX;
	atomic_store_explicit(&h->count[bucket], count, memory_order_relaxed);
	atomic_store_explicit(&h->sum_us, sum, memory_order_relaxed);
}

void
histogram_add(struct histogram *h, int64_t ns)
{
	uint64_t us = ns > 0 ? (uint64_t)ns / 1000 : 0;

	histogram_bump(h, histogram_bucket(ns), 1, us);
}

void
histogram_merge(struct histogram *into, const struct histogram *from)
{
	uint64_t us = atomic_load_explicit(&from->sum_us, memory_order_relaxed);

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		histogram_bump(into, i, histogram_load(from, i), 0);
	histogram_bump(into, 0, 0, us);
}

uint64_t
histogram_count(const struct histogram *h)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		n += histogram_load(h, i);
	return n;
}

int64_t
histogram_quantile(const struct histogram *h, double q)
{
	uint64_t n = histogram_count(h), rank, seen = 0;
	unsigned last = 0;

	if (n == 0)
		return 0;
	/* The rank of the one wanted, 1 to n; also when q is not a number. */
	if (!(q > 0))
		rank = 1;
	else if (q >= 1)
		rank = n;
	else {
		rank = (uint64_t)(q * (double)n);
		rank += (double)rank < q * (double)n;
	}

	/* A count in flight may leave the sum short of the rank. */
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS && seen < rank; i++) {
		uint32_t count = histogram_load(h, i);

		seen += count;
		if (count > 0)
			last = i;
	}
	return histogram_middle(last);
}
