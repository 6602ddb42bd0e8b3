/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * render_hub - the hub and its queues, or a broker's, as text for a person.
 *
 * Called by hub and by the sections of status. Pure: JSON in, text out.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/format.h"
#include "ctl/render.h"
#include "ctl/render_impl.h"

/* --------------------------------------------------------------------- hub */

static double
number_of(const json_t *object, const char *key)
{
	double number;

	render_get(object, key, &number);
	return number;
}

static void
render_outbox(const json_t *outbox, FILE *out)
{
	char a[CELL], b[CELL], c[CELL], d[CELL];

	if (!json_is_object(outbox))
		return;
	if (json_object_get(outbox, "max_messages") == NULL &&
	    render_text(outbox, "waits_for") != NULL) {
		fprintf(out, "outbox  %s messages wait for %s\n",
		    render_show(outbox, "messages", "-", a),
		    render_show(outbox, "waits_for", "-", b));
		return;
	}
	fprintf(out, "outbox  %s messages of %s, %s of %s",
	    render_show(outbox, "messages", "-", a),
	    render_show(outbox, "max_messages", "-", b),
	    render_show_as(outbox, "bytes", format_bytes, "-", c),
	    render_show_as(outbox, "max_bytes", format_bytes, "-", d));
	if (number_of(outbox, "messages") > 0)
		fprintf(out, ", the oldest for %s, %s under way",
		    render_show_as(outbox, "oldest", format_age, "-", a),
		    render_show(outbox, "under_way", "-", b));
	if (render_text(outbox, "waits_for") != NULL)
		fprintf(out, "; they wait: %s",
		    render_show(outbox, "waits_for", "-", a));
	if (number_of(outbox, "held") > 0)
		fprintf(out, "; %s held: %s",
		    render_show(outbox, "held", "-", a),
		    render_show(outbox, "held_why", "not said", b));
	fprintf(out, "; %s confirmed, %s returned as no queue took them",
	    render_show(outbox, "confirmed", "-", a),
	    render_show(outbox, "returned", "-", b));
	fprintf(out, "; %s of %s ids of done messages remembered\n",
	    render_show(outbox, "remembered", "-", a),
	    render_show(outbox, "remember", "-", b));
}

static void
render_amqp(const json_t *children, FILE *out)
{
	char slot[CELL], line[CELL];
	const json_t *child;

	for (size_t i = 0; i < json_array_size(children); i++) {
		child = json_array_get(children, i);
		fprintf(out, "amqp    slot %s: %s\n",
		    render_show(child, "slot", "-", slot),
		    render_show(child, "line", "has not said yet", line));
	}
	if (json_is_array(children) && json_array_size(children) == 0)
		fprintf(out, "amqp    no child is there\n");
}

void
render_hub(const json_t *data, FILE *out)
{
	const json_t *keys = json_object_get(data, "data");
	const json_t *work = json_object_get(data, "work");
	const json_t *store = json_object_get(data, "store");
	char a[CELL], b[CELL], c[CELL], d[CELL];

	fprintf(out, "hub     pid %s, generation %s, up %s, %s clients\n",
	    render_show(data, "pid", "-", a),
	    render_show(data, "generation", "-", b),
	    render_show_as(data, "uptime", format_age, "-", c),
	    render_show(data, "clients", "-", d));
	fprintf(out, "data    %s keys, %s of %s",
	    render_show(keys, "keys", "-", a),
	    render_show_as(keys, "bytes", format_bytes, "-", b),
	    render_show_as(keys, "max_bytes", format_bytes, "-", c));
	fprintf(out, "; %s locks, %s wait for one, %s watches\n",
	    render_show(keys, "locks", "-", a),
	    render_show(keys, "lock_waiters", "-", b),
	    render_show(keys, "watches", "-", c));
	fprintf(out, "work    %s queued of %s, %s waiting, %s running",
	    render_show(work, "queued", "-", a),
	    render_show(work, "max_queued", "-", b),
	    render_show(work, "waiting", "-", c),
	    render_show(work, "running", "-", d));
	fprintf(out, "; %s calls wait; %s of %s workers busy",
	    render_show(work, "calls_waiting", "-", a),
	    render_show(work, "busy", "-", b),
	    render_show(work, "workers", "-", c));
	if (strcmp(render_show(work, "unroutable", "0", a), "0") != 0)
		fprintf(out, "; %s messages had no queue to go to", a);
	fprintf(out, "\nstore   %s, %s free on its disk",
	    render_show_as(store, "bytes", format_bytes, "-", a),
	    render_show_as(store, "free", format_bytes, "-", b));
	if (render_text(store, "refuses") != NULL)
		fprintf(out, "; new work is refused: %s",
		    render_show(store, "refuses", "", a));
	fputc('\n', out);
	render_outbox(json_object_get(data, "outbox"), out);
	render_amqp(json_object_get(data, "amqp"), out);
}

/* ------------------------------------------------------------------ queues */

static const struct render_column queue_column[] = {
	{ "QUEUE", false, "name", NULL, "-" },
	{ "HANDLER", false, "handler", NULL, "" },
	{ "QUEUED", true, "queued", NULL, "-" },
	{ "WAITING", true, "waiting", NULL, "-" },
	{ "RUNNING", true, "running", NULL, "-" },
	{ "OLDEST", true, "oldest", format_age, "" },
	{ "MAX", true, "max_length", NULL, "" },
	{ "DEAD LETTERS TO", false, "dead_letter_exchange", NULL, "" },
};

/* What a broker knows, and under way here. */
static const struct render_column broker_column[] = {
	{ "QUEUE", false, "name", NULL, "-" },
	{ "HANDLER", false, "handler", NULL, "" },
	{ "READY", true, "ready", NULL, "-" },
	{ "UNACKED", true, "unacked", NULL, "-" },
	{ "RUNNING", true, "running", NULL, "-" },
	{ "PREFETCH", true, "prefetch", NULL, "-" },
	{ "CONSUMERS", true, "consumers", NULL, "-" },
	{ "RATE", true, "rate", format_rate, "-" },
	{ "DELAYED", true, "delayed", NULL, "" },
	{ "DEAD", true, "dead", NULL, "" },
	{ "DEAD LETTERS TO", false, "dead_letter_exchange", NULL, "" },
	{ "FAULT", false, "fault", NULL, "" },
};

/* In the table of a broker's queues when there are any. */
static size_t
render_queue_table(const json_t *queues, FILE *out)
{
	bool broker = false;

	for (size_t i = 0; i < json_array_size(queues); i++)
		broker |= json_object_get(json_array_get(queues, i),
			      "unacked") != NULL;
	return broker ?
	    render_table(queues, broker_column, RENDER_COUNT(broker_column),
		out) :
	    render_table(queues, queue_column, RENDER_COUNT(queue_column), out);
}

void
render_queues(const json_t *data, FILE *out)
{
	static const struct render_column handler_column[] = {
		{ "JOBS OF", false, "name", NULL, "-" },
		{ "QUEUED", true, "queued", NULL, "-" },
		{ "WAITING", true, "waiting", NULL, "-" },
		{ "RUNNING", true, "running", NULL, "-" },
		{ "OLDEST", true, "oldest", format_age, "" },
	};
	static const struct render_column exchange_column[] = {
		{ "EXCHANGE", false, "name", NULL, "-" },
		{ "TYPE", false, "type", NULL, "-" },
	};
	static const struct render_column binding_column[] = {
		{ "FROM EXCHANGE", false, "exchange", NULL, "-" },
		{ "KEY", false, "key", NULL, "" },
		{ "TO QUEUE", false, "queue", NULL, "-" },
		{ "BOUND BY", false, "by", NULL, "" },
	};
	/* an array, or the whole report of `queues` */
	const json_t *queues = json_object_get(data, "queues");
	json_t *bindings = json_object_get(data, "bindings"), *one;
	bool configured;
	size_t i;

	if (render_queue_table(json_is_array(data) ? data : queues, out) == 0)
		fprintf(out, "there are no queues\n");
	json_array_foreach(bindings, i, one)
	{
		configured = json_is_true(json_object_get(one, "configured"));
		render_set(one, "by", configured ? "config" : "a handler");
	}
	render_table_below(json_object_get(data, "exchanges"), exchange_column,
	    RENDER_COUNT(exchange_column), out);
	render_table_below(bindings, binding_column,
	    RENDER_COUNT(binding_column), out);
	render_table_below(json_object_get(data, "handlers"), handler_column,
	    RENDER_COUNT(handler_column), out);
}
