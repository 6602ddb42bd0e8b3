/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rest - the role: a worker that serves REST requests.
 *
 * Called by core/child only. Sets the parts of a worker up in an order in which
 * each finds what it needs, tells them to drain, and says when that is done.
 *
 * A drain loses no request. Listeners stay with the master, so what waits to be
 * accepted is another worker's. Who is in the middle of a request gets its
 * answer, with "Connection: close"; a call that runs elsewhere or a job that is
 * waited for has service.stop_timeout for it, then the client is told 503;
 * who has just had one, or has just
 * connected, may bring one more within a second and gets the same.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/child.h"
#include "core/hub_client.h"
#include "rest/front.h"
#include "rest/http.h"
#include "rest/jobs.h"
#include "rest/linger.h"
#include "rest/waiting.h"

/* What a message has besides a request's head and body. */
#define ROUTE_FRAME ((size_t)4096)

/* The errors of a check are collected, the first of a start ends it. */
static void
rest_bad(const char *file, int line, const struct why *reason,
    struct conf_errors *errors, struct why *why)
{
	why_set(why, "%s:%d: %s", file, line, reason->text);
	if (errors != NULL)
		conf_errors_add(errors, "%s:%d: %s", file, line, reason->text);
}

/* What goes to a task worker goes in one message. */
static int
rest_fits(const struct conf *conf, const struct route *route, struct why *why)
{
	size_t most = conf->rest.max_uri + conf->rest.max_header + ROUTE_FRAME;

	if (route->does == ROUTE_INLINE ||
	    (route->max_body <= conf->hub.max_message &&
		most <= conf->hub.max_message - route->max_body))
		return 0;
	return why_set(why,
	    "%s takes bodies of %zu bytes, which with the %zu that a head may "
	    "have do not fit hub.max_message (%zu): lower max_body, or raise "
	    "that",
	    route->pattern, route->max_body, most, conf->hub.max_message);
}

static struct route
rest_route(const struct conf *conf, const struct conf_route *c)
{
	struct route route = {
		.pattern = c->path,
		.does = (enum route_does)c->mode,
		.handler_name = c->handler,
		.timeout_ns = c->timeout,
		.max_body = c->max_body,
		.json = c->input == CONF_INPUT_JSON,
		.cancel_on_hangup = c->cancel_on_hangup,
		.priority = (uint32_t)c->priority,
		.max_attempts = (uint32_t)c->max_attempts,
		.file = c->file,
		.line = c->line,
	};

	if (route.timeout_ns == 0 && route.does != ROUTE_JOB)
		route.timeout_ns = conf->rest.request_timeout;
	if (route.max_body == 0)
		route.max_body = conf->rest.max_body;
	return route;
}

/* Adds one; what is wrong is told, all of it with `errors`. */
static bool
rest_add_route(struct route_table *table, const struct conf *conf,
    const struct conf_route *c, const struct module_registry *modules,
    struct conf_errors *errors, struct why *why)
{
	struct route route = rest_route(conf, c);
	struct why reason;
	bool good = true;

	route.handler = module_find(modules, c->handler, &reason);
	if (route.handler == NULL) {
		rest_bad(c->file, c->line, &reason, errors, why);
		good = false;
	}
	if (rest_fits(conf, &route, &reason) == -1) {
		rest_bad(c->file, c->line, &reason, errors, why);
		good = false;
	}
	if (route_add(table, c->method, &route, &reason) == -1) {
		rest_bad(c->file, c->line, &reason, errors, why);
		good = false;
	}
	return good;
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
	bool good = errors == NULL;
	struct why reason;

	if (jobs_add_routes(table, conf, &reason) == -1) {
		why_set(why, "%s: %s", conf->file, reason.text);
		if (errors != NULL)
			conf_errors_add(errors, "%s: %s", conf->file,
			    reason.text);
		good = false;
	}
	for (size_t i = 0; i < conf->route.n && (good || errors != NULL); i++)
		good &= rest_add_route(table, conf, &conf->route.v[i], modules,
		    errors, why);
	if (good)
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

static struct hub_client *
rest_hub(struct child *child, char path[CONF_PATH_SIZE])
{
	const struct hub_client_options options = {
		.path = conf_hub_socket(child->conf, path),
		.slot = child->spec.slot,
		.generation = child->spec.generation,
		.max_frame = child->conf->hub.max_message,
	};

	return hub_client_new(&child->loop, &options);
}

static void
rest_give_up(void *ctx)
{
	waiting_give_up(ctx);
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
	loop_timer_init(&rest->give_up, rest_give_up, rest);
	linger_start(rest);
	child->hub = rest_hub(child, rest->hub_path);
	rest->routes = rest_routes(rest->conf, child->modules, NULL, why);
	if (rest->routes == NULL || http_start(rest, why) == -1)
		return -1;
	return front_start(rest, why);
}

void
rest_settle(struct rest *rest)
{
	if (rest->draining && !rest->stopping && front_done(rest) &&
	    linger_done(rest))
		child_drained(rest->child);
}

static void
rest_drain(struct child *child)
{
	struct rest *rest = child->role_data;

	rest->draining = true;
	loop_timer_set(rest->loop, &rest->give_up,
	    clock_now_ns() + rest->conf->service.stop_timeout);
	front_drain(rest);
	http_drain(rest);
	rest_settle(rest);
}

static void
rest_fini(struct child *child)
{
	struct rest *rest = child->role_data;

	rest->stopping = true;
	loop_timer_cancel(rest->loop, &rest->give_up);
	waiting_stop(rest);
	http_stop(rest);
	front_stop(rest);
	linger_stop(rest);
	route_table_free(rest->routes);
	guard_free(rest->guard);
	hub_client_free(child->hub);
	child->hub = NULL;
	free(rest);
	child->role_data = NULL;
}

const struct role rest_role = {
	.check = rest_check,
	.init = rest_init,
	.drain = rest_drain,
	.fini = rest_fini,
};
