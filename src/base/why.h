/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * why - a sentence for the person who waits.
 *
 * A function that can fail for a reason its caller must pass on takes a
 * `struct why *`. On failure it holds one line without a final full stop, and
 * the function returns -1. Nobody has to look at it, and NULL is allowed.
 */
#ifndef BASE_WHY_H
#define BASE_WHY_H

#define WHY_SIZE 512

struct why {
	char text[WHY_SIZE];
};

/* Writes the sentence (truncated to fit) and returns -1. */
int why_set(struct why *why, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
