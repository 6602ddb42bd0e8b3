/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pattern - paths as segments. Pure.
 */
#ifndef REST_PATTERN_H
#define REST_PATTERN_H

#include <stddef.h>

#include "rest/route.h"

struct why;

/* Points into the path: not terminated. */
struct segment {
	const char *text;
	size_t len;
};

/* Splits a path that begins with a slash: "/" is one empty segment. Returns the
 * number of them, or -1 when there are more than ROUTE_SEGMENTS. */
int path_split(const char *path, struct segment segment[ROUTE_SEGMENTS]);

/* The same for a route's pattern, where a parameter is a segment in braces.
 * -1 with the reason when it is none. */
int pattern_split(const char *pattern, struct segment segment[ROUTE_SEGMENTS],
    struct why *why);

#endif
