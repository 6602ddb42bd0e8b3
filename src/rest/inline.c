/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inline - runs a handler, and has what it sends committed.
 *
 *   serve ─► call_run() ─► nothing sent ──────────────────────────► reply
 *     ▲                └─► COMMIT ─► done ────────────────────────► reply
 *     └── a few times ─────────────┴ CONFLICT ─┴─ else ─► the hub's reason
 *
 * Called by exchange. A handler that sends nothing costs what it cost before
 * there was a hub. One whose conditions (if_version, on_success) turn out not
 * to hold runs again from its start, as if the first run had never been.
 */
#include "rest/inline.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/conf.h"
#include "rest/engine.h"
#include "rest/exchange.h"
#include "rest/uri.h"
#include "rest/waiting.h"

/* Runs in all, while what a handler relies on changes under it. */
#define INLINE_TRIES 20

/* ---- the call */

static const char *
inline_lookup(void *ctx, enum call_lookup what, const char *name)
{
	struct conn *conn = ctx;
	struct exchange *ex = &conn->ex;
	const char *cookies, *value = NULL;
	size_t len;

	switch (what) {
	case CALL_PARAM:
		return route_param(&ex->match, name);
	case CALL_QUERY:
		return query_find(ex->query, ex->query_len, name);
	case CALL_HEADER:
		return engine_field(conn, name);
	case CALL_COOKIE:
		cookies = engine_field(conn, "Cookie");
		if (cookies != NULL)
			value = cookie_find(cookies, name, &len);
		return value != NULL ? exchange_keep(ex, value, len) : NULL;
	case CALL_PROPERTY:
	case CALL_RAW:
		break;
	}
	return NULL;
}

static void
inline_call(struct conn *conn, struct call_result *result)
{
	struct exchange *ex = &conn->ex;
	struct rest *rest = conn->rest;
	const struct route *route = ex->match.route;
	struct call_request request = {
		.door = DOOR_REST,
		.handler_name = route->handler_name,
		.handler = route->handler,
		.method = ex->method,
		.path = ex->path,
		.peer = conn->peer,
		.id = ex->id,
		.body = ex->body_len > 0 ? ex->body : "",
		.body_len = ex->body_len,
		.max_json_depth = rest->conf->rest.max_json_depth,
		.json_required = route->json,
		.timeout_ns = route->timeout_ns,
		.retry_after_ns = rest->conf->rest.retry_after,
		.lookup = inline_lookup,
		.door_ctx = conn,
		/* nothing of ours is half-way out: the library takes up a
		 * request only when the answer to the last has left */
		.guard_fd = conn->tls ? -1 : conn->fd,
	};

	if (ex->head.traceparent != NULL &&
	    call_traceparent_ok(ex->head.traceparent))
		request.traceparent = ex->head.traceparent;
	guard_prepare(rest->guard, ex->id, exchange_is_head(ex),
	    &request.crash_text, &request.overrun_text);
	call_run(rest->child, &request, result);
	rest->now_ns += result->took_ns;
}

/* ---- what it sends */

static enum exchange_next
inline_committed(struct conn *conn, const union msg *msg, enum hub_code code)
{
	struct exchange *ex = &conn->ex;

	if (code == HUB_OK)
		return exchange_conclude(conn, ex->held);
	if (code != HUB_CONFLICT || ++conn->waiting.tries >= INLINE_TRIES ||
	    clock_now_ns() - ex->started_ns >= ex->match.route->timeout_ns)
		return waiting_refused(conn, msg, code);
	call_result_release(ex->held);
	free(ex->held);
	ex->held = NULL;
	return EXCHANGE_AGAIN;
}

static enum exchange_next
inline_commit(struct conn *conn, const struct call_result *result)
{
	struct exchange *ex = &conn->ex;
	const struct msg_COMMIT commit = {
		.uid = result->uid,
		.effects = { result->effects.data, result->effects.len },
	};
	int64_t deadline_ns;

	ex->held = mem_alloc(sizeof(*ex->held));
	*ex->held = *result;
	if (__builtin_add_overflow(clock_now_ns(), ex->match.route->timeout_ns,
		&deadline_ns))
		deadline_ns = CLOCK_NEVER;
	return waiting_ask(conn, MSG_COMMIT, &commit, MSG_DONE_OK, deadline_ns,
	    inline_committed);
}

enum exchange_next
inline_serve(struct conn *conn)
{
	struct call_result *result = &conn->rest->result;

	inline_call(conn, result);
	if (result->answered) {
		conn->ex.status = result->status;
		call_result_release(result);
		conn->last = conn->linger = true;
		return EXCHANGE_CLOSE;
	}
	if (result->effects_n > 0)
		return inline_commit(conn, result);
	return exchange_conclude(conn, result);
}
