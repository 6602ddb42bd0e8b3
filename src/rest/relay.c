/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * relay - has a task worker run a handler, and passes its reply on.
 *
 *   serve ─► CALL ─► RESULT ───────────────► its reply
 *              │ └─► FAIL ─────────────────► 502, 503, 504 …
 *              ├──── deadline ─► ABANDON ──► 504
 *              └──── hang-up ──► ABANDON       (cancel_on_hangup)
 *
 * Called by exchange. The client learns no more of a crash than that there was
 * one; the master's report and the log have the rest.
 */
#include "rest/relay.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "core/child.h"
#include "core/conf.h"
#include "core/hub_client.h"
#include "core/uid.h"
#include "rest/attrs.h"
#include "rest/exchange.h"
#include "rest/waiting.h"

struct msg_bytes
relay_traceparent(const struct exchange *ex)
{
	const char *text = ex->head.traceparent;

	return msg_text(
	    text != NULL && call_traceparent_ok(text) ? text : NULL);
}

/* ---- the reply */

static void
relay_headers(struct msg_bytes headers, struct call_result *result)
{
	enum msg_id id;
	union msg part;
	size_t at = 0;

	while (result->headers < CALL_REPLY_HEADERS &&
	    msg_part(headers, &at, MSG_ID_BIT(ATTR), &id, &part, NULL) == 1) {
		result->header[result->headers].name = msg_string(
		    part.ATTR.name);
		result->header[result->headers].value = msg_string(
		    part.ATTR.value);
		result->headers++;
	}
}

enum exchange_next
relay_conclude(struct conn *conn, const struct msg_RESULT *said)
{
	struct call_result *result = mem_alloc(sizeof(*result));

	conn->ex.held = result;
	result->status = (int)said->status;
	if (said->status < 200 || said->status > 599)
		result->status = 500;
	result->retry_after_ns = said->retry_after_ns > 0 ?
	    said->retry_after_ns :
	    conn->rest->conf->rest.retry_after;
	relay_headers(said->headers, result);
	if (said->problem.len > 0) {
		result->problem = msg_string(said->problem);
	} else if (said->type.len > 0) {
		result->type = msg_string(said->type);
		result->body = msg_string(said->body);
		result->body_len = said->body.len;
	}
	return exchange_conclude(conn, result);
}

static enum exchange_next
relay_answered(struct conn *conn, const union msg *msg, enum hub_code code)
{
	const struct msg_ABANDON abandon = { .uid = conn->waiting.call };

	switch (code) {
	case HUB_OK:
		return relay_conclude(conn, &msg->RESULT);
	case HUB_CRASHED:
		exchange_problem(conn, 502, "the handler crashed");
		return EXCHANGE_REPLY;
	case HUB_TIMEOUT:
		if (msg == NULL)
			hub_note(conn->rest->child->hub, MSG_ABANDON, &abandon);
		exchange_problem(conn, 504,
		    "the handler did not finish in time");
		return EXCHANGE_REPLY;
	default:
		return waiting_refused(conn, msg, code);
	}
}

/* ---- the call */

static enum exchange_next
relay_call(struct conn *conn, const struct buf *attrs)
{
	struct exchange *ex = &conn->ex;
	const struct route *route = ex->match.route;
	struct msg_CALL call = {
		.uid = uid_make(),
		.handler = msg_text(route->handler_name),
		.door = DOOR_REST,
		.method = msg_text(ex->method),
		.path = msg_text(ex->path),
		.peer = msg_text(conn->peer),
		.id = msg_text(ex->id),
		.traceparent = relay_traceparent(ex),
		.attrs = { attrs->data, attrs->len },
		.type = msg_text(ex->head.type),
		.body = { ex->body, ex->body_len },
		.json_required = route->json,
		.timeout_ns = route->timeout_ns,
	};

	if (__builtin_add_overflow(clock_now_ns(), route->timeout_ns,
		&call.deadline_ns))
		call.deadline_ns = CLOCK_NEVER;
	conn->waiting.call = call.uid;
	return waiting_ask(conn, MSG_CALL, &call, MSG_RESULT, call.deadline_ns,
	    relay_answered);
}

enum exchange_next
relay_serve(struct conn *conn)
{
	struct rest *rest = conn->rest;
	struct exchange *ex = &conn->ex;
	enum exchange_next next;
	struct buf attrs;

	if (!waiting_room(conn))
		return EXCHANGE_REPLY;
	buf_init(&attrs, rest->conf->hub.max_message);
	if (attrs_encode(conn, &attrs) == -1) {
		exchange_problem(conn, 431, "the header fields are too large");
		next = EXCHANGE_REPLY;
	} else {
		next = relay_call(conn, &attrs);
	}
	buf_release(&attrs);
	if (next != EXCHANGE_WAIT)
		return next;
	/* the hub client has its own copy */
	exchange_drop_body(ex);
	if (ex->match.route->cancel_on_hangup)
		waiting_watch(conn);
	child_count_request(rest->child);
	return next;
}
