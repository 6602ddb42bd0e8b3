/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * outbox_impl - what outbox.c and outbox_look.c share; nobody else includes it.
 */
#ifndef HUB_OUTBOX_IMPL_H
#define HUB_OUTBOX_IMPL_H

#include "base/buf.h"
#include "base/loop.h"
#include "hub/outbox.h"

enum entry_state { READY, UNDER_WAY, HELD, GONE };

struct entry {
	uint64_t seq, uid;
	int64_t at_ms;
	char *body; /* NULL: in the store alone */
	uint32_t len;
	enum entry_state state;
	bool was_held; /* and is not confirmed since */
};

struct outbox_watch {
	struct outbox_watch *prev, *next;
	uint64_t handle, uid;
	outbox_watch_fn *fn;
	void *ctx;
};

struct outbox {
	struct hub *hub;
	struct entry *v;
	size_t n, size;
	size_t gone; /* of v */
	size_t next; /* none is READY before it */
	uint64_t seq, seq_kept;
	uint64_t token; /* makes message ids unlike another machine's */
	size_t bytes, cached;
	size_t under_way, under_way_bytes, held;
	struct peer *peer; /* NULL: nobody takes them */
	uint32_t epoch, window;
	bool draining;
	struct loop_timer again;
	char held_why[256];
	uint64_t confirmed, returned;
	struct outbox_watch *watches;
	uint64_t handle;
	struct buf scratch;
};

void entry_set(struct outbox *outbox, struct entry *entry,
    enum entry_state state);
/* Those between these that are gone leave the store, a run at a time. */
void outbox_erase(struct outbox *outbox, size_t first, size_t last);
/* And memory, when they are half of it. */
void outbox_compact(struct outbox *outbox);
size_t outbox_count_live(const struct outbox *outbox);

void outbox_watches_tell(struct outbox *outbox, uint64_t uid, enum sent_how how,
    const char *why);
void outbox_watches_free(struct outbox *outbox);

#endif
