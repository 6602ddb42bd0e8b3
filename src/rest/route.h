/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * route - which handler a method and a path lead to. Pure.
 *
 * A pattern is a path of literals and {parameters}, one segment each. At each
 * segment a literal is preferred to a parameter, but a route that fits is
 * always found: "/a/{x}/c" and "/a/b/d" both work, and so do GET "/a/{x}" and
 * POST "/a/b" side by side. A trailing slash matters, and a parameter is never
 * empty.
 */
#ifndef REST_ROUTE_H
#define REST_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct brood_handler;
struct why;

#define ROUTE_SEGMENTS 32	/* a longer pattern is an error */

/* What is done for a request. The first three are CONF_MODE_…. */
enum route_does {
	ROUTE_INLINE,
	ROUTE_WAIT,
	ROUTE_JOB,
	ROUTE_JOB_GET,		/* brood's own: /jobs/{id} */
	ROUTE_JOB_RESULT,	/* and /jobs/{id}/result */
	ROUTE_JOB_CANCEL,
};

struct route {
	const char *pattern;		/* copied */
	enum route_does does;
	const struct brood_handler *handler;	/* NULL: brood's own */
	const char *handler_name;	/* borrowed, "MODULE.HANDLER"; NULL */
	int64_t timeout_ns;		/* of a job: 0 for the configured one */
	size_t max_body;
	bool json;			/* the input must be JSON */
	bool cancel_on_hangup;
	uint32_t priority, max_attempts;	/* of jobs */
	const char *file;		/* borrowed; where it was written, NULL
					   for brood's own */
	int line;
	/* route_add()'s own: the names of the parameters, in order */
	char *names;
	size_t params;
};

struct route_table;

struct route_table *route_table_new(void);
void route_table_free(struct route_table *table);

/*
 * Copies `route`, which leads from `method` ("GET") and its pattern. -1 with a
 * reason that starts with what is wrong: an unknown method, a bad pattern, or
 * another route in the way.
 */
int route_add(struct route_table *table, const char *method,
    const struct route *route, struct why *why);

enum route_result {
	ROUTE_FOUND,
	ROUTE_OPTIONS,		/* nobody's route: answer with `allow` */
	ROUTE_NOT_FOUND,
	ROUTE_NOT_ALLOWED,	/* the method is not in `allow` */
	ROUTE_UNKNOWN_METHOD,
	ROUTE_BAD_PATH,		/* not a path, or its encoding is broken */
};

struct route_match {
	const struct route *route;		/* ROUTE_FOUND */
	const char *value[ROUTE_SEGMENTS];	/* of the parameters, decoded */
	unsigned allow;				/* a set, for route_allow() */
};

/*
 * `path` is as it was sent, without the query; "*" is allowed with OPTIONS.
 * `scratch` has room for ROUTE_SCRATCH(strlen(path)) bytes; the values are in
 * it.
 */
#define ROUTE_SCRATCH(len) ((len) + ROUTE_SEGMENTS + 2)
enum route_result route_find(const struct route_table *table,
    const char *method, const char *path, char *scratch,
    struct route_match *match);

/* The value of {name}, NULL when the route has none. */
const char *route_param(const struct route_match *match, const char *name);

/* Writes "GET, HEAD, OPTIONS" and returns buf. */
#define ROUTE_ALLOW_SIZE 64
const char *route_allow(unsigned allow, char buf[ROUTE_ALLOW_SIZE]);

#endif
