/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * redo - changes of shared data that the store does not have yet, in a mapped
 * file: a change is durable against the end of any process once it is written
 * there, without a system call. The store takes them over a moment later, many
 * at once and the last of a key only.
 *
 * The file is a ring of records, each with a number, its length and a checksum,
 * in a mapping that is shared with the page cache. A record that was cut off by
 * the end of the process fails its checksum and has not happened; nobody was
 * told of it. Records stay readable until they are overwritten: the answers in
 * them are how the next hub knows what a client repeats.
 */
#ifndef HUB_REDO_H
#define HUB_REDO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/data.h"

struct redo;
struct why;

struct redo_record {
	uint64_t lsn;			/* 1, 2, 3 … */
	uint64_t session, seq;		/* who asked for it; 0: nobody */
	uint16_t id;			/* of the request: MSG_SET … */
	uint8_t done;			/* STORED's, of the reply */
	uint64_t version;		/* of this change; also of one that
					   makes the key go */
	/* the key as it is now; version 0: it is gone. A number's digits are
	 * not kept */
	struct data_value value;
};

/*
 * Opens or creates; a file that is there keeps its own size. NULL with the
 * reason: it is damaged, somebody else's or in use, and is not touched. A new
 * file has its blocks, so that a full disk is no SIGBUS later.
 */
struct redo *redo_open(const char *path, size_t size, struct why *why);
void redo_close(struct redo *redo);
/* Could it be opened? For broodd -t: keeps and changes nothing; a file that is
 * not there is fine. -1 with the reason. */
int redo_check(const char *path, struct why *why);
size_t redo_size(const struct redo *redo);

/* The next record's lsn is at least lsn + 1: the store is ahead of this file,
 * which is new or was lost, and whose records are dropped. */
void redo_continue(struct redo *redo, uint64_t lsn);

/* Those that are readable behind `after`, oldest first, valid for the call; -1
 * ends it early. */
void redo_each(const struct redo *redo, uint64_t after,
    int (*each)(void *ctx, const struct redo_record *record), void *ctx);

/* Is there room, without overwriting what the store has not taken? */
bool redo_has_room(const struct redo *redo, const struct redo_record *record);
/* Writes it under the next lsn, which it returns. There is room. */
uint64_t redo_append(struct redo *redo, const struct redo_record *record);

/* The store has taken all up to here. */
void redo_taken(struct redo *redo, uint64_t lsn);
uint64_t redo_last(const struct redo *redo);
/* Bytes of those that it has not taken. */
size_t redo_pending(const struct redo *redo);

#endif
