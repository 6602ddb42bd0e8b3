/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rest - the role: a worker that serves REST requests.
 *
 * Called by core/child only. Sets the parts of a worker up in an order in which
 * each finds what it needs, tells them to drain, and says when that is done.
 *
 * A drain loses no request. Listeners stay with the master, so what waits to be
 * accepted is another worker's. Who is in the middle of a request gets its
 * answer, with "Connection: close"; who has just had one, or has just
 * connected, may bring one more within a second and gets the same.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/why.h"
#include "core/child.h"
#include "rest/ctldoor.h"
#include "rest/front.h"
#include "rest/http.h"
#include "rest/linger.h"

static void
rest_bad_route(const struct conf_route *route, const struct why *reason,
    struct conf_errors *errors, struct why *why)
{
	why_set(why, "%s:%d: %s", route->file, route->line, reason->text);
	if (errors != NULL)
		conf_errors_add(errors, "%s:%d: %s", route->file, route->line,
		    reason->text);
}

/*
 * The routes as a table. Without `errors` the first thing wrong ends it: NULL
 * with the reason. With them all is tried, and the result is NULL.
 */
static struct route_table *
rest_routes(const struct conf *conf, const struct module_registry *modules,
    struct conf_errors *errors, struct why *why)
{
	struct route_table *table = route_table_new();
	bool failed = errors != NULL;
	struct why reason;

	for (size_t i = 0; i < conf->route.n; i++) {
		const struct conf_route *c = &conf->route.v[i];
		struct route route = {
			.pattern = c->path,
			.handler = module_find(modules, c->handler, &reason),
			.handler_name = c->handler,
			.timeout_ns = c->timeout,
			.max_body = c->max_body,
			.json = c->input == CONF_INPUT_JSON,
			.file = c->file,
			.line = c->line,
		};

		if (route.timeout_ns == 0)
			route.timeout_ns = conf->rest.request_timeout;
		if (route.max_body == 0)
			route.max_body = conf->rest.max_body;
		if (route.handler == NULL)
			rest_bad_route(c, &reason, errors, why);
		if (route_add(table, c->method, &route, &reason) == -1)
			rest_bad_route(c, &reason, errors, why);
		else if (route.handler != NULL)
			continue;
		failed = true;
		if (errors == NULL)
			break;
	}
	if (!failed)
		return table;
	route_table_free(table);
	return NULL;
}

static void
rest_check(const struct conf *conf, const struct module_registry *modules,
    struct conf_errors *errors)
{
	rest_routes(conf, modules, errors, NULL);
	http_check(conf, errors);
}

static int
rest_init(struct child *child, struct why *why)
{
	struct rest *rest = mem_alloc(sizeof(*rest));

	child->role_data = rest;
	rest->child = child;
	rest->conf = child->conf;
	rest->loop = &child->loop;
	rest->limits.max_uri = rest->conf->rest.max_uri;
	rest->limits.max_header = rest->conf->rest.max_header;
	rest->guard = guard_new();
	linger_start(rest);
	rest->routes = rest_routes(rest->conf, child->modules, NULL, why);
	if (rest->routes == NULL || http_start(rest, why) == -1)
		return -1;
	return front_start(rest, why);
}

void
rest_settle(struct rest *rest)
{
	if (rest->draining && !rest->stopping && front_done(rest) &&
	    linger_done(rest) && rest->calls == NULL)
		child_drained(rest->child);
}

static void
rest_drain(struct child *child)
{
	struct rest *rest = child->role_data;

	rest->draining = true;
	front_drain(rest);
	http_drain(rest);
	rest_settle(rest);
}

static void
rest_control(struct child *child, int fd)
{
	ctldoor_open(child->role_data, fd);
}

static void
rest_fini(struct child *child)
{
	struct rest *rest = child->role_data;

	rest->stopping = true;
	ctldoor_stop(rest);
	http_stop(rest);
	front_stop(rest);
	linger_stop(rest);
	route_table_free(rest->routes);
	guard_free(rest->guard);
	free(rest);
	child->role_data = NULL;
}

const struct role rest_role = {
	.check = rest_check,
	.init = rest_init,
	.drain = rest_drain,
	.control = rest_control,
	.fini = rest_fini,
};
