/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * orders_queues - QUEUES: how many messages there are, and where; PURGE: and
 * none any more.
 *
 * Called by orders. To ask for a queue that is not there closes the channel and
 * is an error in the broker's log, so that a delay queue, which is declared on
 * first use, was not there is remembered for a while.
 */
#include <stdio.h>
#include <string.h>

#include "amqp/consume.h"
#include "amqp/orders_impl.h"
#include "amqp/publish.h"
#include "amqp/topology.h"
#include "base/clock.h"
#include "core/retry.h"

#define MISSING_NS (60 * NS_PER_S)

enum orders_next
orders_purge(struct orders *orders, struct order *order)
{
	enum retry_kind kind;
	enum rabbit_result result;
	struct why why = { "" };
	int64_t step_ms;
	uint32_t purged = 0;
	unsigned code = 0;

	if (retry_parse(orders->amqp->conf, msg_text(order->queue), &kind,
		&step_ms) == NULL) {
		why_set(&why, "\"%s\" is no queue of the config", order->queue);
		return orders_report(orders, order, HUB_NOT_FOUND, why.text,
		    NULL);
	}
	result = rabbit_purge(orders->rabbit, order->queue, &purged, &code,
	    &why);
	if (result == RABBIT_LOST)
		return orders_lost(orders, order, why.text);
	if (result == RABBIT_REFUSED) {
		orders->confirms = false;
		return orders_report(orders, order,
		    code == 404 ? HUB_NOT_FOUND : HUB_BAD, why.text, NULL);
	}
	return orders_report(orders, order, HUB_OK, "",
	    json_pack("{s:I}", "purged", (json_int_t)purged));
}

/* ---------------------------------------------------------------- queues */

static bool
is_missing(const struct orders *orders, const char *name)
{
	const json_t *when = json_object_get(orders->missing, name);

	return when != NULL &&
	    clock_now_ns() < json_integer_value(when) + MISSING_NS;
}

/* REFUSED: there is none. */
static enum rabbit_result
queue_ask(struct orders *orders, const char *name, struct rabbit_count *count,
    struct why *why)
{
	struct rabbit_queue queue = { .name = name, .passive = true };
	enum rabbit_result result;
	unsigned code = 0;

	*count = (struct rabbit_count){ 0 };
	if (is_missing(orders, name))
		return RABBIT_REFUSED;
	result = rabbit_declare_queue(orders->rabbit, &queue, count, &code,
	    why);
	json_object_del(orders->missing, name);
	if (result != RABBIT_REFUSED)
		return result;
	orders->confirms = false;
	if (code == 404)
		json_object_set_new(orders->missing, name,
		    json_integer(clock_now_ns()));
	return result;
}

/* Of all its delay queues. */
static enum rabbit_result
queue_delayed(struct orders *orders, const struct conf_queue *queue,
    uint64_t *delayed, struct why *why)
{
	const struct conf *conf = orders->amqp->conf;
	struct rabbit_count count;
	char name[RETRY_NAME_SIZE];
	int64_t step_ms = retry_step_ms(conf, queue, 1), last_ms = 0;

	*delayed = 0;
	if (queue->handler[0] == '\0')
		return RABBIT_OK;
	for (; step_ms > last_ms;
	     last_ms = step_ms,
	     step_ms = retry_step_ms(conf, queue, step_ms + 1)) {
		if (queue_ask(orders, retry_name(queue, step_ms, name), &count,
			why) == RABBIT_LOST)
			return RABBIT_LOST;
		*delayed += count.ready;
	}
	return RABBIT_OK;
}

static json_t *
queue_json(const struct orders *orders, size_t i,
    const struct rabbit_count *work, uint64_t dead, uint64_t delayed)
{
	const struct amqp *amqp = orders->amqp;
	const char *fault = topology_queue_trouble(amqp->topology, i);
	struct consume_count count;
	json_t *json;

	consume_count(amqp->consume, i, &count);
	json = json_pack("{s:s, s:I, s:I, s:I, s:f, s:I, s:I, s:I}", "name",
	    amqp->conf->queue.v[i].name, "ready", (json_int_t)work->ready,
	    "unacked", (json_int_t)count.unsettled, "consumers",
	    (json_int_t)work->consumers, "rate", count.rate, "prefetch",
	    (json_int_t)count.prefetch, "dead", (json_int_t)dead, "delayed",
	    (json_int_t)delayed);
	if (fault != NULL)
		json_object_set_new(json, "fault", json_string(fault));
	return json;
}

enum orders_next
orders_queues(struct orders *orders, struct order *order)
{
	const struct conf *conf = orders->amqp->conf;
	const struct conf_queue *queue;
	struct rabbit_count work, dead = { 0 };
	struct letters letters;
	struct why why = { "" };
	uint64_t delayed;

	if (order->queues == NULL)
		order->queues = json_array();
	if (order->at == conf->queue.n) {
		/* what is here, too, is of this moment then */
		publish_tell(orders->amqp->publish);
		return orders_report(orders, order, HUB_OK, "",
		    json_pack("{s:O}", "queues", order->queues));
	}
	queue = &conf->queue.v[order->at];
	if (order->queue[0] == '\0' || strcmp(order->queue, queue->name) == 0) {
		if (queue_ask(orders, queue->name, &work, &why) ==
			RABBIT_LOST ||
		    (letters_of(conf, queue, &letters) &&
			queue_ask(orders, letters.name, &dead, &why) ==
			    RABBIT_LOST) ||
		    queue_delayed(orders, queue, &delayed, &why) == RABBIT_LOST)
			return orders_lost(orders, order, why.text);
		json_array_append_new(order->queues,
		    queue_json(orders, order->at, &work, dead.ready, delayed));
	}
	order->at++;
	return ORDERS_AGAIN;
}
