/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * jobs_index - jobs by uid. Linear hashing: the table grows by one bucket with
 * each job, so the millionth costs what the tenth did, where a table that
 * doubles would stop everything to move a million; and a job pays one pointer
 * for it, not the 56 bytes of a uthash handle.
 *
 * Buckets below `split` have been split already: they and their upper halves
 * take one bit more of the hash than the others.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "hub/jobs_impl.h"

#define INDEX_MIN 64

/* Of a uid all bits are meant: its time is above, the maker below. */
static size_t
index_hash(uint64_t uid)
{
	uid ^= uid >> 31;
	uid *= UINT64_C(0x9e3779b97f4a7c15);
	return (size_t)(uid ^ uid >> 32);
}

static struct job **
index_bucket(const struct index *index, uint64_t uid)
{
	size_t hash = index_hash(uid), at = hash & index->mask;

	if (at < index->split)
		at = hash & (index->mask << 1 | 1);
	return &index->bucket[at];
}

void
index_init(struct index *index)
{
	index->n = INDEX_MIN;
	index->mask = INDEX_MIN - 1;
	index->bucket = mem_array(INDEX_MIN, sizeof index->bucket[0]);
}

/* One bucket's jobs are spread over it and a new one. */
static void
index_grow(struct index *index)
{
	size_t upper = index->split + index->mask + 1;
	struct job *job, **from;

	if (upper >= index->n) {
		index->bucket = mem_grow(index->bucket, 2 * index->n,
		    sizeof index->bucket[0]);
		index->n *= 2;
	}
	index->bucket[upper] = NULL;
	from = &index->bucket[index->split];
	while ((job = *from) != NULL) {
		if ((index_hash(job->uid) & (index->mask + 1)) == 0) {
			from = &job->hash_next;
			continue;
		}
		*from = job->hash_next;
		job->hash_next = index->bucket[upper];
		index->bucket[upper] = job;
	}
	if (++index->split > index->mask) {
		index->split = 0;
		index->mask = index->mask << 1 | 1;
	}
}

/* The other way; the memory stays. */
static void
index_shrink(struct index *index)
{
	struct job **to;

	if (index->split == 0) {
		index->mask >>= 1;
		index->split = index->mask + 1;
	}
	index->split--;
	to = &index->bucket[index->split];
	while (*to != NULL)
		to = &(*to)->hash_next;
	*to = index->bucket[index->split + index->mask + 1];
}

static size_t
index_buckets(const struct index *index)
{
	return index->mask + 1 + index->split;
}

void
index_add(struct index *index, struct job *job)
{
	struct job **bucket;

	if (++index->jobs > index_buckets(index))
		index_grow(index);
	bucket = index_bucket(index, job->uid);
	job->hash_next = *bucket;
	*bucket = job;
}

struct job *
index_find(const struct index *index, uint64_t uid)
{
	struct job *job = *index_bucket(index, uid);

	while (job != NULL && job->uid != uid)
		job = job->hash_next;
	return job;
}

void
index_drop(struct index *index, struct job *job)
{
	struct job **at = index_bucket(index, job->uid);

	while (*at != job)
		at = &(*at)->hash_next;
	*at = job->hash_next;
	/* not at once: a queue's length goes up and down */
	if (--index->jobs < index_buckets(index) / 2 &&
	    index_buckets(index) > INDEX_MIN)
		index_shrink(index);
}

struct job *
index_any(const struct index *index)
{
	for (size_t i = 0; i < index_buckets(index); i++)
		if (index->bucket[i] != NULL)
			return index->bucket[i];
	return NULL;
}
