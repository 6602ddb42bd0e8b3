/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * redo_impl - what redo.c (the ring) and redo_file.c (the file around it)
 * share.
 */
#ifndef HUB_REDO_IMPL_H
#define HUB_REDO_IMPL_H

#include "hub/mix.h"
#include "hub/redo.h"

#define REDO_PAGE 4096		/* the ring begins behind it */

/* The file begins so. */
struct redo_head {
	char magic[12];
	uint32_t format;
	uint64_t size; /* of the ring */
	struct mix_key key;
	uint64_t check; /* of all before it */
	uint64_t start; /* place of the oldest record */
};

/* Makes the file whole or not at all: a hub that is killed meanwhile leaves the
 * other name. The descriptor, or -1 with errno. */
int redo_create(const char *path, size_t size);

/* The size of the ring, 0 with the reason: it is no good. */
size_t redo_judge(int fd, const char *path, struct why *why);

#endif
