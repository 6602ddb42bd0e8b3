/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * text - files and strings, as tests need them.
 */
#ifndef SYSTEM_TEXT_H
#define SYSTEM_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* The whole file, NUL-terminated, to free; NULL if it can't be read. `len` may
 * be NULL. */
char *text_read(const char *path, size_t *len);

/* Replaces the file in one step (rename); fails the test when it can't. */
void text_write(const char *path, const char *text);

/* mkdir, cp: fail the test when they can't. */
void text_make_dir(const char *path);
void text_copy(const char *from, const char *to);

/* rm -rf of something below a temporary folder. */
void text_remove_tree(const char *path);

bool text_has(const char *text, const char *part);
size_t text_count(const char *text, const char *part);

/* Does a line of the text match the extended regular expression? */
bool text_matches(const char *text, const char *pattern);

/* n times c, to free. */
char *text_repeat(char c, size_t n);

/* printf into fresh memory; never NULL. */
char *text_format(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Fails the test with the whole text unless it has the part. */
void text_require(const char *what, const char *text, const char *part);

#endif
