/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * jobs_heap - a binary heap of jobs by a moment, from which any of them can be
 * taken: each knows where it stands.
 */
#include "base/mem.h"
#include "hub/jobs_impl.h"

static void
heap_place(struct heap *heap, size_t at, struct heap_entry entry)
{
	heap->v[at] = entry;
	*heap->index_of(entry.job) = (uint32_t)at + 1;
}

static void
heap_up(struct heap *heap, size_t at, struct heap_entry entry)
{
	while (at > 0 && heap->v[(at - 1) / 2].key > entry.key) {
		heap_place(heap, at, heap->v[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	heap_place(heap, at, entry);
}

static void
heap_down(struct heap *heap, size_t at, struct heap_entry entry)
{
	for (;;) {
		size_t child = 2 * at + 1;

		if (child + 1 < heap->n &&
		    heap->v[child + 1].key < heap->v[child].key)
			child++;
		if (child >= heap->n || heap->v[child].key >= entry.key)
			break;
		heap_place(heap, at, heap->v[child]);
		at = child;
	}
	heap_place(heap, at, entry);
}

void
heap_push(struct heap *heap, int64_t key, struct job *job)
{
	if (heap->n == heap->size) {
		heap->size = heap->size > 0 ? 2 * heap->size : 64;
		heap->v = mem_grow(heap->v, heap->size, sizeof heap->v[0]);
	}
	heap->n++;
	heap_up(heap, heap->n - 1, (struct heap_entry){ key, job });
}

void
heap_drop(struct heap *heap, struct job *job)
{
	uint32_t index = *heap->index_of(job);
	struct heap_entry last;

	if (index == 0)
		return;
	*heap->index_of(job) = 0;
	last = heap->v[--heap->n];
	if (last.job == job)
		return;
	if (last.key < heap->v[index - 1].key)
		heap_up(heap, index - 1, last);
	else
		heap_down(heap, index - 1, last);
}

int64_t
heap_first(const struct heap *heap)
{
	return heap->n > 0 ? heap->v[0].key : INT64_MAX;
}
