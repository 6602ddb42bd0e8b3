/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * desk_order - what the operator asks of a broker's queues, on its way to an
 * amqp child and back.
 *
 * Called by the commands of desk that a broker has a part in. One order a
 * connection: it is given with what the command itself had to say, and when its
 * report is here, or it is known that there will be none, both become one
 * answer. A client that leaves meanwhile is not waited for; the order is done
 * all the same.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/why.h"
#include "hub/broker.h"
#include "hub/desk_impl.h"

/* The report comes before the client's patience ends. */
#define ORDER_MARGIN_MS 1000

static void
order_answer(struct desk_conn *conn, json_t *report, const char *why)
{
	desk_report_fn *fn = conn->on_report;
	json_t *data = conn->data;

	conn->order = 0;
	conn->data = NULL;
	conn->on_report = NULL;
	fn(conn, data, report, why);
	json_decref(report);
}

static void
order_on_report(void *ctx, const struct msg_REPORT *report, const char *why)
{
	struct desk_conn *conn = ctx;
	struct why text = { "" };
	json_t *json = NULL;

	if (report == NULL) {
		why_set(&text, "%s", why);
		order_answer(conn, NULL, text.text);
		return;
	}
	/* what was begun and not ended has something to show as well */
	if (report->json.len > 0)
		json = json_loadb(report->json.p, report->json.len,
		    JSON_ALLOW_NUL, NULL);
	if (report->code != HUB_OK && report->why.len > 0)
		why_set(&text, "%.*s", (int)report->why.len, report->why.p);
	else if (report->code != HUB_OK)
		why_set(&text, "%s", hub_code_name(report->code));
	else if (json == NULL)
		why_set(&text, "the amqp child's report is no JSON");
	order_answer(conn, json, text.text);
}

void
desk_order(struct desk_ask *ask, const struct msg_ORDER *order, json_t *data,
    desk_report_fn *fn)
{
	struct desk_conn *conn = ask->conn;
	struct hub *hub = conn->hub;
	int64_t wait_ms = desk_ask_ms(ask, "wait",
	    (int64_t)ask->cmd->timeout_s * 1000 - ORDER_MARGIN_MS);
	uint64_t handle;

	if (ask->bad) {
		json_decref(data);
		return;
	}
	conn->data = data;
	conn->on_report = fn;
	handle = broker_order(hub, order, clock_now_ns() + wait_ms * NS_PER_MS,
	    order_on_report, conn);
	/* it may have been answered in there */
	if (conn->on_report != NULL)
		conn->order = handle;
}

void
desk_order_forget(struct desk_conn *conn)
{
	if (conn->order != 0)
		broker_forget(conn->hub, conn->order);
	json_decref(conn->data);
	conn->order = 0;
	conn->data = NULL;
	conn->on_report = NULL;
}

json_int_t
desk_report_int(const json_t *report, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(report, name));

	return value > 0 ? value : 0;
}
