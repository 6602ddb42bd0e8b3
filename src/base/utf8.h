/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * utf8 - what is well-formed UTF-8 (RFC 3629; Unicode, table 3-7): no overlong
 * forms, no surrogates, nothing beyond U+10FFFF. Pure.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* The length of the sequence at p, which has `len` bytes, one at least, or is
 * terminated (SIZE_MAX: a NUL continues nothing, so none is read beyond it); 0
 * when it is none. A NUL is a sequence of one. */
size_t utf8_sequence(const char *p, size_t len);

/* Nothing but such sequences, and no NUL; an empty text is one. */
bool utf8_is_text(const char *p, size_t len);

#endif
