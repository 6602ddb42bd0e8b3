/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * buf - a bounded, growing run of bytes.
 *
 * Owns its memory, grows it by doubling and always keeps a byte behind the
 * content for the NUL. Whatever fails (the limit, or no memory: peers choose
 * these sizes, so that is an error like another) leaves content and length as
 * they were. The bytes appended must not lie in the buffer itself.
 */
#include "base/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define BUF_FIRST 128 /* bytes of the first allocation */
#define BUF_READ 4096 /* bytes a read should at least have room for */

/* Room for `more` bytes and the NUL. */
static int
buf_reserve(struct buf *buf, size_t more)
{
	size_t need, size;
	char *data;

	if (more > buf->max - buf->len || buf->len + more == SIZE_MAX) {
		errno = ENOBUFS;
		return -1;
	}
	need = buf->len + more + 1;
	if (need <= buf->size)
		return 0;

	size = buf->size > 0 ? buf->size : BUF_FIRST;
	while (size < need)
		size = size > SIZE_MAX / 2 ? need : size * 2;
	/* No more than can ever be used; `need` is within it. */
	if (size - 1 > buf->max)
		size = buf->max + 1;

	data = realloc(buf->data, size);
	if (data == NULL)
		return -1;
	data[buf->len] = '\0';
	buf->data = data;
	buf->size = size;
	return 0;
}

static void
buf_set_len(struct buf *buf, size_t len)
{
	buf->len = len;
	buf->data[len] = '\0';
}

void
buf_init(struct buf *buf, size_t max)
{
	*buf = (struct buf){ .max = max };
}

void
buf_release(struct buf *buf)
{
	free(buf->data);
	buf_init(buf, buf->max);
}

void
buf_clear(struct buf *buf)
{
	if (buf->data != NULL)
		buf_set_len(buf, 0);
}

void
buf_reuse(struct buf *buf, size_t keep)
{
	if (buf->size > keep)
		buf_release(buf);
	else
		buf_clear(buf);
}

int
buf_append(struct buf *buf, const void *bytes, size_t len)
{
	if (buf_reserve(buf, len) == -1)
		return -1;
	if (len > 0)
		memcpy(buf->data + buf->len, bytes, len);
	buf_set_len(buf, buf->len + len);
	return 0;
}

char *
buf_extend(struct buf *buf, size_t len)
{
	char *at;

	if (buf_reserve(buf, len) == -1)
		return NULL;
	at = buf->data + buf->len;
	buf_set_len(buf, buf->len + len);
	return at;
}

int
buf_printf(struct buf *buf, const char *format, ...)
{
	int saved = errno; /* what "%m" means, both times */
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (n < 0 || buf_reserve(buf, (size_t)n) == -1)
		return -1;

	errno = saved;
	va_start(ap, format);
	vsnprintf(buf->data + buf->len, (size_t)n + 1, format, ap);
	va_end(ap);
	buf->len += (size_t)n;
	return 0;
}

void
buf_consume(struct buf *buf, size_t n)
{
	assert(n <= buf->len);
	if (n == 0)
		return;
	memmove(buf->data, buf->data + n, buf->len - n);
	buf_set_len(buf, buf->len - n);
}

char *
buf_detach(struct buf *buf, size_t *len)
{
	char *data = buf->data != NULL ? buf->data : mem_strdup("");

	if (len != NULL)
		*len = buf->len;
	buf_init(buf, buf->max);
	return data;
}

ssize_t
buf_read_fd(struct buf *buf, int fd)
{
	size_t room = buf->max - buf->len;
	ssize_t n;

	if (room == 0) {
		errno = ENOBUFS;
		return -1;
	}
	if (buf_reserve(buf, room < BUF_READ ? room : BUF_READ) == -1)
		return -1;
	do
		n = read(fd, buf->data + buf->len, buf->size - 1 - buf->len);
	while (n == -1 && errno == EINTR);
	if (n > 0)
		buf_set_len(buf, buf->len + (size_t)n);
	return n;
}

ssize_t
buf_write_fd(struct buf *buf, int fd)
{
	ssize_t n;

	if (buf->len == 0)
		return 0;
	do
		n = write(fd, buf->data, buf->len);
	while (n == -1 && errno == EINTR);
	if (n > 0)
		buf_consume(buf, (size_t)n);
	return n;
}
