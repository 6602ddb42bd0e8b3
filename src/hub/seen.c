/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seen - which messages of the broker are done.
 *
 * In memory, what is known has numbers that grow: the one with number n is in
 * ring[n % size], and in a hash (open addressing, linear probing). Those of a
 * transaction are written as one row, by seen_write(), which the store calls
 * before each commit: so they are in one transaction with what they caused,
 * whoever commits it. Called by delivery.c and work_end.c.
 */
#include "hub/seen.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "hub/store.h"

#define OLD_NS (60 * NS_PER_S)
#define OLD_MORE_NS (20 * NS_PER_MS)

struct seen {
	struct hub *hub;
	size_t max;
	uint64_t first, next; /* numbers: of the oldest, of the next one */
	uint64_t *ring;
	size_t ring_mask;
	uint64_t *hash; /* 0: empty */
	unsigned hash_shift;
	size_t hash_mask;
	struct buf fresh; /* not written yet */
	bool held;
	struct loop_timer old;
};

/* --- the hash */

static size_t
hash_home(const struct seen *seen, uint64_t uid)
{
	return (
	    size_t)((uid * UINT64_C(0x9e3779b97f4a7c15)) >> seen->hash_shift);
}

static size_t
hash_find(const struct seen *seen, uint64_t uid)
{
	size_t i = hash_home(seen, uid);

	while (seen->hash[i] != 0 && seen->hash[i] != uid)
		i = (i + 1) & seen->hash_mask;
	return i;
}

/* What stands behind it and would not be found any more moves up. */
static void
hash_drop(struct seen *seen, uint64_t uid)
{
	size_t hole = hash_find(seen, uid), i = hole, home;

	if (seen->hash[hole] == 0)
		return;
	for (;;) {
		i = (i + 1) & seen->hash_mask;
		if (seen->hash[i] == 0)
			break;
		home = hash_home(seen, seen->hash[i]);
		if (((i - home) & seen->hash_mask) <
		    ((i - hole) & seen->hash_mask))
			continue;
		seen->hash[hole] = seen->hash[i];
		hole = i;
	}
	seen->hash[hole] = 0;
}

/* --- memory */

static void
seen_forget(struct seen *seen, uint64_t next)
{
	for (; seen->first < next && seen->first < seen->next; seen->first++)
		hash_drop(seen, seen->ring[seen->first & seen->ring_mask]);
}

static bool
seen_put(struct seen *seen, uint64_t uid)
{
	size_t i;

	if (seen->next - seen->first > seen->ring_mask)
		seen_forget(seen, seen->first + 1);
	i = hash_find(seen, uid);
	if (uid == 0 || seen->hash[i] == uid)
		return false;
	seen->hash[i] = uid;
	seen->ring[seen->next++ & seen->ring_mask] = uid;
	return true;
}

bool
seen_has(const struct hub *hub, uint64_t uid)
{
	const struct seen *seen = hub->seen;

	return seen != NULL && uid != 0 &&
	    seen->hash[hash_find(seen, uid)] == uid;
}

size_t
seen_count(const struct hub *hub)
{
	return hub->seen != NULL ?
	    (size_t)(hub->seen->next - hub->seen->first) :
	    0;
}

bool
seen_is_fresh(const struct hub *hub)
{
	return hub->seen != NULL && hub->seen->fresh.len > 0;
}

void
seen_hold(struct hub *hub, bool held)
{
	if (hub->seen != NULL)
		hub->seen->held = held;
}

/* --- the store */

static void
seen_write(void *ctx)
{
	struct seen *seen = ctx;
	struct msg_bytes uids = { seen->fresh.data, seen->fresh.len };

	if (uids.len == 0 || (seen->held && !store_is_open(seen->hub->store)))
		return;
	store_add_seen(seen->hub->store, seen->next - 1, seen->hub->wall_ms,
	    uids);
	buf_clear(&seen->fresh);
	/* a sixteenth at a time */
	if (seen->next - seen->first <= seen->max + seen->max / 16)
		return;
	seen_forget(seen, seen->next - seen->max);
	store_drop_seen(seen->hub->store, seen->first - 1);
}

void
seen_add(struct hub *hub, uint64_t uid)
{
	struct seen *seen = hub->seen;

	if (seen != NULL && seen->max > 0 && seen_put(seen, uid))
		buf_append(&seen->fresh, &uid, sizeof(uid));
}

static void
seen_on_old(void *ctx)
{
	struct seen *seen = ctx;
	struct hub *hub = seen->hub;
	uint64_t last;

	hub_tick(hub);
	last = store_old_seen(hub->store,
	    hub->wall_ms - hub->conf->hub.remember / NS_PER_MS);
	if (last != 0) {
		seen_forget(seen, last + 1);
		store_drop_seen(hub->store, last);
	}
	loop_timer_set(hub->loop, &seen->old,
	    hub->now_ns + (last != 0 ? OLD_MORE_NS : OLD_NS));
}

/* A row keeps its numbers, whatever is in it: the next one's are larger. */
static int
seen_load(void *ctx, uint64_t last, struct msg_bytes uids)
{
	struct seen *seen = ctx;
	size_t n = uids.len / sizeof(uint64_t);
	uint64_t uid;

	if (last + 1 != seen->next + n) {
		seen_forget(seen, seen->next);
		seen->first = seen->next = last + 1 - n;
	}
	for (size_t i = 0; i < n; i++) {
		memcpy(&uid, uids.p + i * sizeof(uid), sizeof(uid));
		if (!seen_put(seen, uid))
			seen->ring[seen->next++ & seen->ring_mask] = 0;
	}
	return 0;
}

/* --- start and end */

int
seen_start(struct hub *hub, struct why *why)
{
	struct seen *seen = mem_alloc(sizeof(*seen));
	size_t most, size = 64;

	(void)why;
	hub->seen = seen;
	seen->hub = hub;
	seen->max = (size_t)hub->conf->amqp.remember;
	seen->first = seen->next = 1;
	/* a transaction of its own beyond what is kept */
	most = seen->max + seen->max / 16 + 65536;
	while (size < most)
		size *= 2;
	seen->ring = mem_array(size, sizeof(*seen->ring));
	seen->ring_mask = size - 1;
	seen->hash = mem_array(2 * size, sizeof(*seen->hash));
	seen->hash_mask = 2 * size - 1;
	seen->hash_shift = (unsigned)__builtin_clzll(seen->hash_mask);
	buf_init(&seen->fresh, SIZE_MAX - 1);
	store_each_seen(hub->store, seen_load, seen);
	store_before_commit(hub->store, seen_write, seen);
	loop_timer_init(&seen->old, seen_on_old, seen);
	loop_timer_set(hub->loop, &seen->old, hub->now_ns + OLD_NS);
	return 0;
}

void
seen_stop(struct hub *hub)
{
	struct seen *seen = hub->seen;

	if (seen == NULL)
		return;
	seen->held = false;
	seen_write(seen);
	store_before_commit(hub->store, NULL, NULL);
	loop_timer_cancel(hub->loop, &seen->old);
	buf_release(&seen->fresh);
	free(seen->ring);
	free(seen->hash);
	free(seen);
	hub->seen = NULL;
}
