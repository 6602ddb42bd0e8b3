/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pattern - what a route's path may look like.
 *
 * Called by route, for each route of the config and, to split it, for the path
 * of each request. A pattern that could never match, or not what was meant, is
 * an error that says so: the person who wrote it is there to read it.
 */
#include "rest/pattern.h"

#include <stdbool.h>
#include <string.h>

#include "base/why.h"
#include "rest/uri.h"

int
path_split(const char *path, struct segment segment[ROUTE_SEGMENTS])
{
	int n = 0;

	do {
		if (n == ROUTE_SEGMENTS)
			return -1;
		path++;
		segment[n].text = path;
		segment[n].len = strcspn(path, "/");
		path += segment[n].len;
		n++;
	} while (*path == '/');
	return n;
}

static bool
name_ok(const char *name, size_t len)
{
	return len > 0 &&
	    strspn(name,
		"abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") >= len;
}

static int
segment_check(const struct segment *s, struct why *why)
{
	int len = (int)s->len;

	if (s->text[0] == '{') {
		if (s->text[len - 1] != '}' ||
		    !name_ok(s->text + 1, s->len - 2))
			return why_set(why,
			    "\"%.*s\" is no parameter: write "
			    "{name} with letters, digits, - and _",
			    len, s->text);
		return 0;
	}
	if (memchr(s->text, '{', s->len) || memchr(s->text, '}', s->len))
		return why_set(why,
		    "a parameter is a whole segment, which "
		    "\"%.*s\" is not",
		    len, s->text);
	if (memchr(s->text, '%', s->len) || memchr(s->text, '?', s->len) ||
	    memchr(s->text, '#', s->len))
		return why_set(why,
		    "\"%.*s\" has a %%, ? or #, which cannot "
		    "match: write paths decoded and without a query",
		    len, s->text);
	return 0;
}

static bool
name_seen(const struct segment *segment, int i)
{
	for (int j = 0; j < i; j++)
		if (segment[j].text[0] == '{' &&
		    segment[j].len == segment[i].len &&
		    memcmp(segment[j].text, segment[i].text, segment[i].len) ==
			0)
			return true;
	return false;
}

int
pattern_split(const char *pattern, struct segment segment[ROUTE_SEGMENTS],
    struct why *why)
{
	bool encoded;
	int n;

	if (pattern[0] != '/')
		return why_set(why,
		    "the path \"%s\" does not begin with a "
		    "slash",
		    pattern);
	if (!uri_path_ok(pattern, &encoded))
		return why_set(why,
		    "the path \"%s\" has spaces, control "
		    "bytes or bytes that are not UTF-8",
		    pattern);
	n = path_split(pattern, segment);
	if (n == -1)
		return why_set(why, "the path has more than %d segments",
		    ROUTE_SEGMENTS);
	for (int i = 0; i < n; i++) {
		if (segment[i].len == 0) {
			if (i < n - 1)
				return why_set(why,
				    "the path \"%s\" has an "
				    "empty segment",
				    pattern);
			continue;
		}
		if (segment_check(&segment[i], why) == -1)
			return -1;
		if (segment[i].text[0] == '{' && name_seen(segment, i))
			return why_set(why,
			    "the path names the parameter "
			    "%.*s twice",
			    (int)segment[i].len, segment[i].text);
	}
	return n;
}
