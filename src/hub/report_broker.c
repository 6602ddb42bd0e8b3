/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report_broker - what the hub shows of a broker: the outbox, and what amqp
 * children say of its queues.
 *
 * Called by report and by desk. What a child says is JSON of its own making
 * (amqp/status.h, amqp/orders.h): what is missing in it, or of another type,
 * shows as nothing. Each child knows of what it consumes itself, so numbers of
 * that kind are sums; what waits at the broker all of them see alike.
 */
#include <string.h>

#include "base/why.h"
#include "hub/broker.h"
#include "hub/desk.h"
#include "hub/outbox.h"
#include "hub/seen.h"

static void
put(json_t *object, const char *name, int64_t value)
{
	json_object_set_new(object, name, json_integer(value));
}

/* Without a broker: of an earlier config. */
static json_t *
report_left(const struct hub *hub)
{
	json_t *report = json_object();

	put(report, "messages", (int64_t)hub->left);
	json_object_set_new(report, "waits_for",
	    json_string("a broker: amqp.broker is \"local\" now"));
	return report;
}

/* Why those that the broker has not refused do not go out; nothing when they
 * do. */
static void
report_waits_for(struct hub *hub, const struct outbox_count *count,
    json_t *report)
{
	struct why why = { "" };

	if (count->messages == count->held)
		return;
	if (outbox_is_draining(hub))
		why_set(&why, "this hub ends, and the next one sends them");
	else if (broker_publisher(hub, &why) != NULL)
		return;
	json_object_set_new(report, "waits_for", json_string(why.text));
}

json_t *
report_outbox(struct hub *hub)
{
	struct outbox_count count = { 0 };
	json_t *report;

	if (!conf_has_broker(hub->conf))
		return report_left(hub);
	report = json_object();
	outbox_count(hub, &count);
	report_waits_for(hub, &count, report);
	put(report, "messages", (int64_t)count.messages);
	put(report, "max_messages", hub->conf->amqp.outbox_max);
	put(report, "bytes", (int64_t)count.bytes);
	put(report, "max_bytes", (int64_t)hub->conf->amqp.outbox_bytes);
	if (count.messages > 0)
		json_object_set_new(report, "oldest",
		    json_real((double)count.oldest_ms / 1000));
	put(report, "under_way", (int64_t)count.under_way);
	put(report, "held", (int64_t)count.held);
	if (count.held > 0 && count.held_why[0] != '\0')
		json_object_set_new(report, "held_why",
		    json_string(count.held_why));
	put(report, "confirmed", (int64_t)count.confirmed);
	put(report, "returned", (int64_t)count.returned);
	put(report, "remembered", (int64_t)seen_count(hub));
	put(report, "remember", hub->conf->amqp.remember);
	return report;
}

/* The row of a queue, borrowed; NULL: there is none. */
static json_t *
row_of(const json_t *report, const json_t *queue)
{
	const char *name = json_string_value(json_object_get(queue, "name"));
	const char *its;
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(report, "queues"), i, row)
	{
		its = json_string_value(json_object_get(row, "name"));
		if (name != NULL && its != NULL && strcmp(its, name) == 0)
			return row;
	}
	return NULL;
}

/* Under another name, where that is given. */
static void
row_add(json_t *row, const json_t *queue, const char *name, const char *as)
{
	const json_t *value = json_object_get(queue, name);
	const json_t *sum = json_object_get(row, as);

	if (json_is_integer(value))
		json_object_set_new(row, as,
		    json_integer(
			json_integer_value(sum) + json_integer_value(value)));
	else if (json_is_real(value))
		json_object_set_new(row, as,
		    json_real(json_number_value(sum) + json_real_value(value)));
}

static void
row_most(json_t *row, const json_t *queue, const char *name)
{
	const json_t *value = json_object_get(queue, name);

	if (json_is_integer(value) &&
	    json_integer_value(value) >=
		json_integer_value(json_object_get(row, name)))
		json_object_set_new(row, name,
		    json_integer(json_integer_value(value)));
}

static void
row_fault(json_t *row, const json_t *queue)
{
	json_t *fault = json_object_get(queue, "fault");

	if (json_string_length(fault) > 0)
		json_object_set(row, "fault", fault);
}

static void
add_child(json_t *report, const json_t *child)
{
	const char *state = json_string_value(json_object_get(child, "state"));
	bool away = state != NULL && strcmp(state, "connecting") == 0;
	const json_t *queue;
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(child, "queues"), i, queue)
	{
		row = row_of(report, queue);
		if (row == NULL)
			continue;
		/* what it saw last is not so any more */
		if (!away) {
			row_most(row, queue, "ready");
			row_most(row, queue, "consumers");
			row_add(row, queue, "rate", "rate");
		}
		row_add(row, queue, "unacked", "unacked");
		row_add(row, queue, "prefetch", "prefetch");
		row_add(row, queue, "delivered", "delivered");
		row_add(row, queue, "redelivered", "redelivered");
		row_add(row, queue, "retried", "retried");
		row_add(row, queue, "seen", "seen");
		row_add(row, queue, "dead", "died");
		row_fault(row, queue);
	}
}

void
report_add_children(struct hub *hub, json_t *report)
{
	json_t *children = broker_report(hub), *child;
	size_t i;

	json_array_foreach(children, i, child)
	{
		add_child(report, child);
	}
	json_decref(children);
}

void
report_add_broker(json_t *report, const json_t *found)
{
	static const char *const names[] = { "ready", "consumers", "dead",
		"delayed" };
	const json_t *queue;
	json_t *row, *value;
	size_t i;

	json_array_foreach(json_object_get(found, "queues"), i, queue)
	{
		row = row_of(report, queue);
		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
			value = json_object_get(queue, names[k]);
			if (row != NULL && json_is_integer(value))
				json_object_set(row, names[k], value);
		}
		if (row != NULL)
			row_fault(row, queue);
	}
}
