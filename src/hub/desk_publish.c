/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * desk_publish - a message by order of the operator.
 *
 * Called by desk. It is the effect of nobody's call, checked and stored like
 * one of a handler. With local queues all is known at once. Of a broker it is
 * said what is known: it is in the outbox, which is a promise; and for a moment
 * it is waited for what the broker says of it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/why.h"
#include "core/call.h"
#include "hub/broker.h"
#include "hub/desk_impl.h"
#include "hub/effects.h"
#include "hub/outbox.h"
#include "hub/store.h"

/* So long a broker that is there may take to confirm a message, unless the
 * operator has other ideas ("wait"). */
#define CONFIRM_MS 2000

/* "headers", an object of strings, as parts; false when the answer is out. */
static bool
ask_headers(struct desk_ask *ask, struct buf *attrs)
{
	const json_t *headers = json_object_get(ask->request, "headers");
	struct msg_ATTR attr = { .what = CALL_HEADER };
	const char *name;
	json_t *value;

	if (headers != NULL && !json_is_object(headers))
		desk_ask_fail(ask, "headers: not an object of strings");
	json_object_foreach((json_t *)(uintptr_t)headers, name, value)
	{
		attr.name = msg_text(name);
		attr.value = msg_text(json_string_value(value));
		if (!json_is_string(value) ||
		    strlen(json_string_value(value)) !=
			json_string_length(value))
			desk_ask_fail(ask, "headers: '%.40s' is no text", name);
		else if (msg_encode(attrs, MSG_ATTR, 0, &attr) == -1)
			desk_ask_fail(ask,
			    "headers: they are larger than hub.max_message");
	}
	return !ask->bad;
}

/* -------------------------------------------------------------- a broker's */

static json_t *
publish_data(const char *state, int routed)
{
	return json_pack("{s:s, s:o}", "state", state, "routed",
	    routed < 0 ? json_null() : json_boolean(routed));
}

static void
publish_settle(struct desk_conn *conn)
{
	if (conn->watch != 0)
		outbox_unwatch(conn->hub, conn->watch);
	conn->watch = 0;
	conn->late = NULL;
	loop_timer_cancel(conn->hub->loop, &conn->timer);
}

void
desk_publish_forget(struct desk_conn *conn)
{
	if (conn->late != NULL)
		publish_settle(conn);
}

static void
publish_accepted(struct desk_conn *conn, const char *why)
{
	desk_done(conn, publish_data("accepted", -1),
	    "accepted: it is in the outbox%s%s", *why != '\0' ? "; " : "", why);
}

static void
publish_on_sent(void *ctx, enum sent_how how, const char *why)
{
	struct desk_conn *conn = ctx;
	struct why text;

	conn->watch = 0;
	publish_settle(conn);
	switch (how) {
	case SENT_CONFIRMED:
		desk_done(conn, publish_data("confirmed", 1),
		    "confirmed by the broker");
		break;
	case SENT_RETURNED:
		why_set(&text, "returned by the broker: %s",
		    *why != '\0' ? why : "no queue takes it");
		desk_answer(conn, conn->mandatory ? CMD_FAILED : CMD_OK,
		    text.text, publish_data("returned", 0));
		break;
	case SENT_HELD:
		why_set(&text, "the broker does not take it now: %s", why);
		publish_accepted(conn, text.text);
		break;
	}
}

static void
publish_late(struct desk_conn *conn)
{
	publish_settle(conn);
	publish_accepted(conn, "the broker has not confirmed it yet");
}

/* Stores it, unless the hub before this one has: then it is asked for again, by
 * its id. False when the answer is out. */
static bool
publish_store(struct desk_ask *ask, const struct msg_PUBLISH *publish)
{
	struct hub *hub = ask->conn->hub;
	struct effects_result result = { 0 };

	if (store_is_done(hub->store, publish->uid))
		return true;
	if (!desk_apply(ask, MSG_PUBLISH, publish, &result))
		return false;
	store_add_done(hub->store, publish->uid, hub->wall_ms);
	return true;
}

/* What becomes of it may be known in a moment. */
static void
publish_wait(struct desk_ask *ask, uint64_t uid, int64_t wait_ms)
{
	struct desk_conn *conn = ask->conn;
	struct hub *hub = conn->hub;
	struct why why;

	if (broker_publisher(hub, &why) == NULL) {
		publish_accepted(conn, why.text);
		return;
	}
	conn->watch = outbox_watch(hub, uid, publish_on_sent, conn);
	if (conn->watch == 0) {
		publish_accepted(conn, "or was, and the broker has it");
		return;
	}
	conn->late = publish_late;
	loop_timer_set(hub->loop, &conn->timer,
	    clock_now_ns() + wait_ms * NS_PER_MS);
}

/* ----------------------------------------------------------------- publish */

static void
publish_here(struct desk_ask *ask, const struct msg_PUBLISH *publish)
{
	struct effects_result result = { 0 };
	bool routed;

	if (!desk_apply(ask, MSG_PUBLISH, publish, &result))
		return;
	routed = result.unroutable == 0;
	desk_done(ask->conn,
	    publish_data(routed ? "queued" : "returned", routed), "%s",
	    routed ? "published" : "no queue takes it: nothing was kept");
}

void
desk_publish(struct desk_ask *ask)
{
	struct hub *hub = ask->conn->hub;
	char id[CALL_ID_SIZE];
	bool is_json;
	size_t len;
	char *body = desk_ask_body(ask, &len, &is_json);
	struct msg_PUBLISH publish = {
		.exchange = msg_text(ask->arg[0]),
		.key = msg_text(ask->arg[1]),
		.type = msg_text(desk_ask_type(ask, is_json, len)),
		.body = { body, len },
		.priority = (uint8_t)desk_ask_int(ask, "priority", 0, 255, 0),
		.mandatory = desk_ask_flag(ask, "mandatory"),
		.ttl_ms = desk_ask_ms(ask, "ttl", -1),
		.message_id = msg_text(desk_ask_text(ask, "message_id")),
		.correlation_id = msg_text(
		    desk_ask_text(ask, "correlation_id")),
		.reply_to = msg_text(desk_ask_text(ask, "reply_to")),
		.id = msg_text(call_make_id(NULL, id)),
	};
	int64_t wait_ms = desk_ask_ms(ask, "wait", CONFIRM_MS);
	uint64_t token;
	struct buf attrs;

	desk_ask_id(ask, &publish.uid, &token);
	ask->conn->mandatory = publish.mandatory;
	buf_init(&attrs, hub->conf->hub.max_message);
	if (ask_headers(ask, &attrs)) {
		publish.attrs = (struct msg_bytes){ attrs.data, attrs.len };
		if (!conf_has_broker(hub->conf))
			publish_here(ask, &publish);
		else if (publish_store(ask, &publish))
			publish_wait(ask, publish.uid, wait_ms);
	}
	buf_release(&attrs);
	free(body);
}
