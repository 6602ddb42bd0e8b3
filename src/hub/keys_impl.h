/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keys_impl - what keys.c (requests) and keys_keep.c (durability) share.
 */
#ifndef HUB_KEYS_IMPL_H
#define HUB_KEYS_IMPL_H

#include "base/buf.h"
#include "hub/keys.h"
#include "hub/redo.h"
#include "hub/session.h"

struct keys {
	struct sessions *sessions;
	struct buf items;		/* of the LIST being answered */
	int64_t take_ns;		/* when the store is to take changes
					   over; CLOCK_NEVER: it has all */
	uint64_t taken;			/* lsn that the open transaction takes
					   the store to */
	struct keys_sweep {		/* what it is taking over */
		struct msg_bytes *key;	/* in the redo file's memory */
		size_t n, size, at;
		uint64_t up_to;		/* lsn */
	} sweep;
	uint64_t versions;		/* stored: no version is above it */
	bool full;			/* a change of this turn is for power
					   cuts */
};

/* Before a change of a key by the redo file: what it builds on is committed,
 * and there is room for its record. */
void keys_prepare(struct hub *hub, struct msg_bytes key, size_t value_len);

/* A change that was made for `peer`: into the redo file, told to watchers. */
void keys_write(struct hub *hub, enum msg_id id, uint64_t session,
    uint64_t seq, const struct data_change *change);

/* One that did nothing, as its condition did not hold: when it is repeated, it
 * must not be done behind what the same client asked for next. */
void keys_write_refusal(struct hub *hub, enum msg_id id, uint64_t session,
    uint64_t seq, const struct data_change *change);

#endif
