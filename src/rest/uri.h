/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uri - what a request target is made of: %-encoding, queries, cookies.
 *
 * Pure. Bytes that could mislead whoever sees the decoded text (a NUL or other
 * control byte, what is not UTF-8) make the whole text invalid.
 */
#ifndef REST_URI_H
#define REST_URI_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Decodes %XX, and '+' to a space with `plus`, into dst, which has room for
 * len + 1 bytes and may be src. Returns the length before the NUL, or -1.
 */
ssize_t uri_decode(char *dst, const char *src, size_t len, bool plus);

/* True when every byte may stand in a path as it was sent: printable ASCII, or
 * UTF-8 that should have been encoded. *encoded says whether a '%' is in it. */
bool uri_path_ok(const char *path, bool *encoded);

/*
 * The path within a request target: "/a" of "/a" and of "http://host/a", "*" of
 * "*"; NULL when the target is neither.
 */
const char *uri_target_path(const char *target);

/*
 * A decoded query: name, NUL, value, NUL, and so on, `len` bytes.
 * query_decode() needs room for QUERY_ROOM(len) bytes and returns the length,
 * or -1.
 */
#define QUERY_ROOM(len) (2 * (len) + 2)
ssize_t query_decode(char *dst, const char *src, size_t len);
const char *query_find(const char *query, size_t len, const char *name);

/*
 * The next cookie of a Cookie header, as the client sent it: points into the
 * header, which is moved behind it. False at the end.
 */
struct cookie {
	const char *name, *value;
	size_t name_len, value_len;
};
bool cookie_next(const char **header, struct cookie *cookie);

/* The value of the first cookie of that name, *len bytes; NULL without. */
const char *cookie_find(const char *header, const char *name, size_t *len);

#endif
