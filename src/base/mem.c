/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mem - allocation that does not fail, and one that may.
 *
 * Everybody's malloc. What cannot fail says so in one line on descriptor 2 and
 * aborts; the line is written directly, because the log may be what ran out of
 * memory. A size that a peer has chosen is for mem_try_alloc() alone.
 */
#include "base/mem.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Noreturn static void
mem_exhausted(void)
{
	static const char text[] = "out of memory, aborting\n";
	ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)n;
	abort();
}

void *
mem_alloc(size_t size)
{
	return mem_array(1, size);
}

void *
mem_array(size_t n, size_t size)
{
	void *p;

	/* calloc(3) may answer NULL to nothing, and checks the product. */
	p = n == 0 || size == 0 ? calloc(1, 1) : calloc(n, size);
	if (p == NULL)
		mem_exhausted();
	return p;
}

void *
mem_grow(void *p, size_t n, size_t size)
{
	/* realloc(3) to nothing frees, and the caller would free again. */
	if (n == 0 || size == 0)
		n = size = 1;
	p = reallocarray(p, n, size);
	if (p == NULL)
		mem_exhausted();
	return p;
}

char *
mem_strdup(const char *s)
{
	char *copy = strdup(s);

	if (copy == NULL)
		mem_exhausted();
	return copy;
}

char *
mem_printf(const char *format, ...)
{
	char *text;
	va_list ap;

	va_start(ap, format);
	text = mem_vprintf(format, ap);
	va_end(ap);
	return text;
}

char *
mem_vprintf(const char *format, va_list ap)
{
	char *text;

	if (vasprintf(&text, format, ap) < 0)
		mem_exhausted();
	return text;
}

void *
mem_try_alloc(size_t size)
{
	return malloc(size != 0 ? size : 1);
}

char *
mem_copy_string(char *dst, size_t size, const char *src)
{
	size_t n;

	if (size == 0)
		return dst;
	n = strnlen(src, size - 1);
	memcpy(dst, src, n);
	dst[n] = '\0';
	return dst;
}

void
mem_trim(void)
{
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}
