/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mem - allocation that does not fail, and one that may.
 *
 * Out of memory for a small thing: a child is better off as a fresh process,
 * so mem_alloc() and friends print a line and abort. Sizes that come from
 * outside go through mem_try_alloc() and are answered with an error. The
 * master allocates nothing whose size a peer chooses.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>

/* Zeroed memory; never NULL. Free it with free(3). */
void *mem_alloc(size_t size);
void *mem_array(size_t n, size_t size);   /* checks n * size for overflow */
void *mem_grow(void *p, size_t n, size_t size);     /* realloc, the same */
char *mem_strdup(const char *s);
char *mem_printf(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
char *mem_vprintf(const char *format, va_list ap)
    __attribute__((format(printf, 1, 0)));

/* NULL with ENOMEM when there is none; not zeroed. */
void *mem_try_alloc(size_t size);

/* Gives what is free back to the system; worth its price after a peak only. */
void mem_trim(void);

/* Copies at most size - 1 bytes and a NUL; returns dst. Never reads further. */
char *mem_copy_string(char *dst, size_t size, const char *src);

#endif
