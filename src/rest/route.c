/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * route - a tree of path segments.
 *
 *   /           ┌ upload            POST
 *   (root) ─────┤ report ─ {}       GET POST
 *               │          └ raw    GET
 *               └ {} ─ status       GET
 *
 * Compiled once from the config by exchange_routes(), asked once per request.
 * A node has its literal children sorted for bsearch and at most one parameter
 * child; what a parameter is called belongs to the route, so "/a/{x}" for GET
 * and "/a/{y}" for POST are one node. The walk goes back where a literal turns
 * out to lead nowhere, and visits a node at most once per request.
 */
#include "rest/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/why.h"
#include "rest/pattern.h"
#include "rest/uri.h"

static const char *const methods[] = {
	"GET",
	"HEAD",
	"POST",
	"PUT",
	"PATCH",
	"DELETE",
	"OPTIONS",
};
enum { METHOD_GET, METHOD_HEAD, METHOD_OPTIONS = 6, METHODS = 7 };

/* Methods that everybody has heard of and no route can have (RFC 9110, 9.1). */
static const char *const refused[] = { "CONNECT", "TRACE" };

struct node {
	char *literal;
	size_t len;
	struct node **child; /* by segment_compare() */
	size_t children;
	struct node *param;
	struct route *route[METHODS];
};

struct route_table {
	struct node root;
	unsigned all; /* methods of any route: "OPTIONS *" */
};

static int
method_index(const char *method)
{
	for (int i = 0; i < METHODS; i++)
		if (strcmp(methods[i], method) == 0)
			return i;
	return -1;
}

static bool
method_refused(const char *method)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		if (strcmp(refused[i], method) == 0)
			return true;
	return false;
}

/* ---- the tree */

static int
segment_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	if (a_len != b_len)
		return a_len < b_len ? -1 : 1;
	return memcmp(a, b, a_len);
}

/* Where the child is, or where it would go. */
static size_t
node_position(const struct node *node, const struct segment *s, bool *found)
{
	size_t low = 0, high = node->children, middle;
	int order;

	*found = false;
	while (low < high) {
		middle = (low + high) / 2;
		order = segment_compare(s->text, s->len,
		    node->child[middle]->literal, node->child[middle]->len);
		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static struct node *
node_add(struct node *node, const struct segment *s)
{
	struct node *child;
	bool found;
	size_t at;

	if (s->text[0] == '{') {
		if (node->param == NULL)
			node->param = mem_alloc(sizeof(*node->param));
		return node->param;
	}
	at = node_position(node, s, &found);
	if (found)
		return node->child[at];
	child = mem_alloc(sizeof(*child));
	child->literal = mem_printf("%.*s", (int)s->len, s->text);
	child->len = s->len;
	node->child = mem_grow(node->child, node->children + 1,
	    sizeof(*node->child));
	memmove(node->child + at + 1, node->child + at,
	    (node->children - at) * sizeof(*node->child));
	node->child[at] = child;
	node->children++;
	return child;
}

static void
node_release(struct node *node)
{
	for (size_t i = 0; i < node->children; i++) {
		node_release(node->child[i]);
		free(node->child[i]);
	}
	if (node->param != NULL)
		node_release(node->param);
	free(node->param);
	for (int i = 0; i < METHODS; i++) {
		if (node->route[i] != NULL)
			free(node->route[i]->names);
		free(node->route[i]);
	}
	free(node->child);
	free(node->literal);
}

struct route_table *
route_table_new(void)
{
	return mem_alloc(sizeof(struct route_table));
}

void
route_table_free(struct route_table *table)
{
	if (table == NULL)
		return;
	node_release(&table->root);
	free(table);
}

/* ---- routes */

/* "x", NUL, "y", NUL of "/{x}/a/{y}"; and the pattern itself, as `segment`
 * points into what is borrowed. */
static void
route_take_names(struct route *route, const struct segment *segment, int n)
{
	size_t len = strlen(route->pattern) + 1;
	char *names = mem_alloc(2 * len);

	route->names = names;
	route->pattern = memcpy(names + len, route->pattern, len);
	route->params = 0;
	for (int i = 0; i < n; i++) {
		if (segment[i].text[0] != '{')
			continue;
		memcpy(names, segment[i].text + 1, segment[i].len - 2);
		names += segment[i].len - 1;
		route->params++;
	}
}

int
route_add(struct route_table *table, const char *method,
    const struct route *route, struct why *why)
{
	struct segment segment[ROUTE_SEGMENTS];
	struct node *node = &table->root;
	struct route *copy;
	int m = method_index(method), n;

	if (m == -1)
		return why_set(why,
		    "no route can have the method \"%s\": "
		    "there are GET, HEAD, POST, PUT, PATCH, DELETE and "
		    "OPTIONS",
		    method);
	n = pattern_split(route->pattern, segment, why);
	if (n == -1)
		return -1;
	for (int i = 0; i < n; i++)
		node = node_add(node, &segment[i]);
	if (node->route[m] != NULL && node->route[m]->file == NULL)
		return why_set(why,
		    "%s %s would never be reached: rest.jobs_path takes the "
		    "same paths; choose another path for one of them",
		    method, route->pattern);
	if (node->route[m] != NULL)
		return why_set(why,
		    "%s %s would never be reached: %s in line "
		    "%d of %s takes the same paths",
		    method, route->pattern, node->route[m]->pattern,
		    node->route[m]->line, node->route[m]->file);
	copy = mem_alloc(sizeof(*copy));
	*copy = *route;
	route_take_names(copy, segment, n);
	node->route[m] = copy;
	table->all |= 1u << m;
	return 0;
}

/* ---- requests */

struct walk {
	const struct segment *segment;
	int segments;
	int method;
	unsigned allow;
	/* the parameters of the branch being tried, by segment number */
	int param[ROUTE_SEGMENTS];
	int params;
};

static const struct route *
node_route(const struct node *node, struct walk *walk)
{
	const struct route *route = NULL;

	for (int i = 0; i < METHODS; i++)
		if (node->route[i] != NULL)
			walk->allow |= 1u << i;
	if (walk->method >= 0)
		route = node->route[walk->method];
	if (route == NULL && walk->method == METHOD_HEAD)
		route = node->route[METHOD_GET];
	return route;
}

static const struct route *
walk_down(struct walk *walk, const struct node *node, int at)
{
	const struct segment *s = &walk->segment[at];
	const struct route *route;
	bool found;
	size_t i;

	if (at == walk->segments)
		return node_route(node, walk);
	i = node_position(node, s, &found);
	if (found) {
		route = walk_down(walk, node->child[i], at + 1);
		if (route != NULL)
			return route;
	}
	if (node->param == NULL || s->len == 0)
		return NULL;
	walk->param[walk->params++] = at;
	route = walk_down(walk, node->param, at + 1);
	if (route == NULL)
		walk->params--;
	return route;
}

/* Decodes the segments into scratch. 0, or -1. */
static int
segments_decode(struct segment *segment, int n, char **scratch)
{
	for (int i = 0; i < n; i++) {
		ssize_t len = uri_decode(*scratch, segment[i].text,
		    segment[i].len, false);

		if (len == -1)
			return -1;
		segment[i].text = *scratch;
		segment[i].len = (size_t)len;
		*scratch += len + 1;
	}
	return 0;
}

static unsigned
allow_implied(unsigned allow)
{
	if (allow & 1u << METHOD_GET)
		allow |= 1u << METHOD_HEAD;
	return allow | 1u << METHOD_OPTIONS;
}

static enum route_result
route_missing(const struct walk *walk, const char *method,
    struct route_match *match)
{
	if (walk->method == -1 && !method_refused(method))
		return ROUTE_UNKNOWN_METHOD;
	if (walk->allow == 0)
		return ROUTE_NOT_FOUND;
	match->allow = allow_implied(walk->allow);
	return walk->method == METHOD_OPTIONS ? ROUTE_OPTIONS :
						ROUTE_NOT_ALLOWED;
}

enum route_result
route_find(const struct route_table *table, const char *method,
    const char *path, char *scratch, struct route_match *match)
{
	struct segment segment[ROUTE_SEGMENTS];
	struct walk walk = { .segment = segment,
		.method = method_index(method) };
	bool encoded;

	match->route = NULL;
	match->allow = 0;
	if (path[0] == '*' && path[1] == '\0') {
		if (walk.method != METHOD_OPTIONS)
			return ROUTE_BAD_PATH;
		match->allow = allow_implied(table->all);
		return ROUTE_OPTIONS;
	}
	if (path[0] != '/' || !uri_path_ok(path, &encoded))
		return ROUTE_BAD_PATH;
	walk.segments = path_split(path, segment);
	if (walk.segments == -1) {
		/* Too long for any route, but it may be wrong as well. */
		if (uri_decode(scratch, path, strlen(path), false) == -1)
			return ROUTE_BAD_PATH;
		return route_missing(&walk, method, match);
	}
	if (encoded && segments_decode(segment, walk.segments, &scratch) == -1)
		return ROUTE_BAD_PATH;

	match->route = walk_down(&walk, &table->root, 0);
	if (match->route == NULL)
		return route_missing(&walk, method, match);
	for (int i = 0; i < walk.params; i++) {
		const struct segment *s = &segment[walk.param[i]];

		match->value[i] = s->text;
		if (encoded)
			continue; /* ends with a NUL already */
		memcpy(scratch, s->text, s->len);
		scratch[s->len] = '\0';
		match->value[i] = scratch;
		scratch += s->len + 1;
	}
	return ROUTE_FOUND;
}

const char *
route_param(const struct route_match *match, const char *name)
{
	const char *known = match->route->names;

	for (size_t i = 0; i < match->route->params; i++) {
		if (strcmp(known, name) == 0)
			return match->value[i];
		known += strlen(known) + 1;
	}
	return NULL;
}

const char *
route_allow(unsigned allow, char buf[ROUTE_ALLOW_SIZE])
{
	int n = 0;

	buf[0] = '\0';
	for (int i = 0; i < METHODS; i++)
		if (allow & 1u << i)
			n += snprintf(buf + n, ROUTE_ALLOW_SIZE - (size_t)n,
			    "%s%s", n > 0 ? ", " : "", methods[i]);
	return buf;
}
