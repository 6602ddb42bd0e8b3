/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * buf - a bounded, growing run of bytes.
 *
 * Every buffer has a limit, given at its birth: an append beyond it changes
 * nothing and returns -1 with ENOBUFS, so that what a peer sends cannot grow
 * without end. The bytes are followed by a NUL that does not count.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>
#include <sys/types.h>

struct buf {
	char *data;	/* NULL until the first append */
	size_t len;
	size_t size;	/* allocated */
	size_t max;	/* len never exceeds it */
};

void buf_init(struct buf *buf, size_t max);
void buf_release(struct buf *buf);
void buf_clear(struct buf *buf);	/* keeps the memory */
/* The same, but what was large once is not kept for ever: memory of more than
 * `keep` bytes is given back. */
void buf_reuse(struct buf *buf, size_t keep);

int buf_append(struct buf *buf, const void *bytes, size_t len);
/* Appends `len` bytes for the caller to fill in: where they are until the next
 * append. NULL with errno as buf_append()'s -1. */
char *buf_extend(struct buf *buf, size_t len);
int buf_printf(struct buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Drops the first n bytes. */
void buf_consume(struct buf *buf, size_t n);

/* Hands over the memory, which the caller frees; buf is as after buf_init. */
char *buf_detach(struct buf *buf, size_t *len);

/*
 * One read(2) or write(2) of what fits. Returns the bytes moved, 0 at end of
 * file (read), or -1 with errno: EAGAIN when the descriptor is not ready,
 * ENOBUFS when the buffer is full (read).
 */
ssize_t buf_read_fd(struct buf *buf, int fd);
ssize_t buf_write_fd(struct buf *buf, int fd);	/* consumes what was written */

#endif
