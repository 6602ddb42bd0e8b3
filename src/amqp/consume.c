/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * consume - consumers of the queues that have a handler.
 *
 * Called by amqp.c (start, drain), link.c (up, down, events) and look.c, which
 * says how many consumers the broker has. What becomes of a delivery is in
 * delivery.c.
 *
 *   no consumer ──basic.consume──► consuming ──basic.cancel──► no consumer
 *        ▲    (up, or mended)          │         (its queue was deleted)
 *        └── fault of the queue        └── the broker has none: link_fail
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/consume_impl.h"
#include "amqp/look.h"
#include "amqp/status.h"
#include "amqp/topology.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define TAG_SIZE 256
#define WORTH_S 0.01 /* see consumer_adapt() */
/* For so long it is told that a handler took too long: it may be hours until
 * the next one does. */
#define SLOW_NS (3600 * NS_PER_S)

/* The index comes first: it is what a delivery is known by. */
static const char *
consumer_tag(const struct consume *consume, size_t index, char tag[TAG_SIZE])
{
	snprintf(tag, TAG_SIZE, "%zu.%.200s", index,
	    consume->amqp->conf->service.name);
	return tag;
}

static struct consumer *
consumer_find(struct consume *consume, const char *tag)
{
	unsigned long index = strtoul(tag, NULL, 10);

	return index < consume->n ? &consume->consumer[index] : NULL;
}

/* ------------------------------------------------------------- consumers */

static enum rabbit_result
consumer_start(struct consumer *consumer, struct rabbit *rabbit,
    struct why *why)
{
	struct consume *consume = consumer->consume;
	struct topology *topology = consume->amqp->topology;
	const struct conf_queue *conf =
	    &consume->amqp->conf->queue.v[consumer->queue];
	enum rabbit_result result;
	unsigned code = 0;
	char tag[TAG_SIZE];

	if (consumer->consuming || consume->amqp->draining ||
	    topology_queue_fault(topology, consumer->queue) != NULL)
		return RABBIT_OK;
	result = rabbit_consume(rabbit, conf->name,
	    consumer_tag(consume, (size_t)(consumer - consume->consumer), tag),
	    consumer->prefetch, false, &code, why);
	amqp_alive(consume->amqp);
	if (result == RABBIT_OK) {
		consumer->consuming = true;
		consumer->missing = 0;
	} else if (result == RABBIT_REFUSED) {
		/* with the channel all its consumers are gone; the next
		 * connection leaves this one out */
		topology_queue_refused(topology, consumer->queue, code,
		    why->text);
		look_soon(consume->amqp->look);
	}
	return result;
}

static enum rabbit_result
consume_start_all(struct consume *consume, struct rabbit *rabbit,
    struct why *why)
{
	enum rabbit_result result = RABBIT_OK;

	for (size_t i = 0; result == RABBIT_OK && i < consume->n; i++)
		result = consumer_start(&consume->consumer[i], rabbit, why);
	return result;
}

static void
consume_forget(struct consume *consume)
{
	for (size_t i = 0; i < consume->n; i++) {
		consume->consumer[i].consuming = false;
		consume->consumer[i].missing = 0;
		consume->consumer[i].stuck = 0;
		consume->consumer[i].renew = false;
	}
	deliveries_forget(consume);
}

static enum rabbit_result
consume_up(void *ctx, struct rabbit *rabbit, struct why *why)
{
	struct consume *consume = ctx;
	enum rabbit_result result;

	result = topology_declare(consume->amqp->topology, rabbit, why);
	if (result == RABBIT_OK)
		result = consume_start_all(consume, rabbit, why);
	if (result != RABBIT_OK)
		consume_forget(consume);
	status_changed(consume->amqp->status);
	return result;
}

static void
consume_down(void *ctx, const char *why)
{
	struct consume *consume = ctx;

	(void)why;
	consume_forget(consume);
	status_changed(consume->amqp->status);
}

static void
consume_on_cancelled(struct consume *consume, const char *tag)
{
	struct consumer *consumer = consumer_find(consume, tag);

	if (consumer == NULL)
		return;
	consumer->consuming = false;
	topology_queue_lost(consume->amqp->topology, consumer->queue,
	    "was deleted, or moved, while it was consumed; is declared again");
	look_soon(consume->amqp->look);
}

/* RabbitMQ's words for its consumer_timeout; what it means in ours. */
static void
consume_on_closed(struct consume *consume, const struct rabbit_event *event)
{
	static const char used[] = "Timeout value used: ";
	const char *value = strstr(event->text, used);
	char ms[32] = "";

	if (event->code != 406 ||
	    strstr(event->text, "delivery acknowledgement") == NULL ||
	    strstr(event->text, "timed out") == NULL) {
		link_fail(&consume->link, "the broker closed the channel: %s",
		    event->text);
		return;
	}
	if (value != NULL)
		snprintf(ms, sizeof(ms), " (%ld ms)",
		    strtol(value + strlen(used), NULL, 10));
	snprintf(consume->slow, sizeof(consume->slow),
	    "a message was not done within the broker's consumer_timeout%s, "
	    "and is delivered again: raise that in rabbitmq.conf, or lower "
	    "'timeout' or 'prefetch'",
	    ms);
	consume->slow_ns = clock_now_ns();
	link_fail(&consume->link, "%s", consume->slow);
}

static void
consume_event(void *ctx, const struct rabbit_event *event)
{
	struct consume *consume = ctx;
	struct consumer *consumer;

	switch (event->kind) {
	case RABBIT_DELIVERY:
		consumer = consumer_find(consume, event->consumer);
		if (consumer != NULL)
			delivery_begin(consumer, event);
		break;
	case RABBIT_CANCELLED:
		consume_on_cancelled(consume, event->consumer);
		break;
	case RABBIT_CHANNEL_CLOSED:
		consume_on_closed(consume, event);
		break;
	default:
		break; /* nothing is published here */
	}
}

/* What is stuck takes a place of the prefetch: to the broker a new consumer has
 * all of them. Nor can a consumer's prefetch be changed. */
static void
consume_renew(struct consume *consume)
{
	struct rabbit *rabbit = consume->link.rabbit;
	enum rabbit_result result = RABBIT_OK;
	struct why why;
	char tag[TAG_SIZE];
	unsigned code;

	consume->renew = false;
	for (size_t i = 0; result == RABBIT_OK && i < consume->n; i++) {
		struct consumer *consumer = &consume->consumer[i];

		if (!consumer->renew)
			continue;
		consumer->renew = false;
		if (!consumer->consuming)
			continue;
		consumer->consuming = false;
		result = rabbit_cancel(rabbit, consumer_tag(consume, i, tag),
		    &code, &why);
		if (result == RABBIT_OK)
			result = consumer_start(consumer, rabbit, &why);
	}
	if (result != RABBIT_OK)
		link_fail(&consume->link, "%s", why.text);
}

static void
consume_turn(void *ctx)
{
	struct consume *consume = ctx;

	deliveries_ack(consume);
	if (consume->renew)
		consume_renew(consume);
}

static const struct link_owner consume_owner = {
	.name = "consuming",
	.up = consume_up,
	.down = consume_down,
	.event = consume_event,
	.turn = consume_turn,
};

/* ---------------------------------------------------------------- by others */

struct consume *
consume_new(struct amqp *amqp)
{
	struct consume *consume = mem_alloc(sizeof(*consume));
	const struct conf *conf = amqp->conf;
	struct consumer *consumer;

	consume->amqp = amqp;
	consume->of_queue = mem_array(conf->queue.n + 1,
	    sizeof(*consume->of_queue));
	consume->consumer = mem_array(conf->queue.n + 1,
	    sizeof(*consume->consumer));
	for (size_t i = 0; i < conf->queue.n; i++) {
		if (conf->queue.v[i].handler[0] == '\0')
			continue;
		consumer = &consume->consumer[consume->n++];
		consumer->consume = consume;
		consumer->queue = i;
		consumer->least = (unsigned)conf_prefetch(conf,
		    &conf->queue.v[i]);
		consumer->most = (unsigned)conf_prefetch_most(conf,
		    &conf->queue.v[i]);
		consumer->prefetch = consumer->least;
		consumer->capacity = (unsigned)conf_capacity(conf,
		    &conf->queue.v[i]);
		consume->of_queue[i] = consumer;
	}
	buf_init(&consume->scratch, SIZE_MAX / 2);
	loop_timer_init(&consume->held, deliveries_on_held, consume);
	link_init(&consume->link, amqp, &consume_owner, consume);
	return consume;
}

void
consume_start(struct consume *consume)
{
	link_start(&consume->link);
}

void
consume_free(struct consume *consume)
{
	link_stop(&consume->link);
	deliveries_forget(consume);
	buf_release(&consume->scratch);
	free(consume->of_queue);
	free(consume->consumer);
	free(consume);
}

const struct link *
consume_link(const struct consume *consume)
{
	return &consume->link;
}

const char *
consume_slow(const struct consume *consume)
{
	return consume->slow_ns != 0 &&
		clock_now_ns() - consume->slow_ns < SLOW_NS ?
	    consume->slow :
	    NULL;
}

void
consume_drain(struct consume *consume)
{
	struct rabbit *rabbit = consume->link.rabbit;
	struct why why;
	unsigned code;
	char tag[TAG_SIZE];

	if (!consume->link.up)
		return;
	for (size_t i = 0; i < consume->n; i++) {
		if (!consume->consumer[i].consuming)
			continue;
		consume->consumer[i].consuming = false;
		if (rabbit_cancel(rabbit, consumer_tag(consume, i, tag), &code,
			&why) == RABBIT_OK)
			continue;
		link_fail(&consume->link, "%s", why.text);
		return;
	}
}

bool
consume_is_idle(const struct consume *consume)
{
	if (consume->link.up && rabbit_unwritten(consume->link.rabbit) > 0)
		return false;
	return consume->open == 0;
}

void
consume_mend(struct consume *consume)
{
	struct why why;

	if (consume->link.up &&
	    consume_start_all(consume, consume->link.rabbit, &why) != RABBIT_OK)
		link_fail(&consume->link, "%s", why.text);
}

void
consume_seen(struct consume *consume, size_t queue, uint32_t consumers)
{
	struct consumer *consumer = consume->of_queue[queue];

	if (consumer == NULL || !consumer->consuming || consumers > 0) {
		if (consumer != NULL)
			consumer->missing = 0;
		return;
	}
	/* once may be a look before our basic.consume */
	if (++consumer->missing < 2)
		return;
	log_warning("queue %s: the broker has no consumer of it, and we are "
		    "one; connecting anew",
	    consume->amqp->conf->queue.v[queue].name);
	link_fail(&consume->link,
	    "the broker has lost our consumer of queue "
	    "\"%s\"",
	    consume->amqp->conf->queue.v[queue].name);
}

/*
 * As many as are begun at once is right for messages that take their time: the
 * rest is better off with other consumers. For quick ones it would be a wait
 * for the broker after each. So: what is done in WORTH_S, at the rate at which
 * they were done until now, which grows with it.
 */
static void
consumer_adapt(struct consumer *consumer, double rate)
{
	double worth = rate * WORTH_S;
	unsigned wanted = worth >= consumer->most ? consumer->most :
	    worth > consumer->least		  ? (unsigned)worth :
						    consumer->least;

	if (!consumer->consuming || wanted == consumer->prefetch ||
	    (wanted < consumer->most && wanted > consumer->least &&
		wanted < 2 * consumer->prefetch &&
		2 * wanted > consumer->prefetch))
		return;
	consumer->prefetch = wanted;
	consumer->renew = true;
	consumer->consume->renew = true;
}

void
consume_tick(struct consume *consume, int64_t now_ns)
{
	double seconds = clock_to_seconds(now_ns - consume->ticked_ns);

	if (consume->ticked_ns == 0 || seconds <= 0) {
		consume->ticked_ns = now_ns;
		return;
	}
	consume->ticked_ns = now_ns;
	for (size_t i = 0; i < consume->n; i++) {
		struct consumer *consumer = &consume->consumer[i];
		uint64_t n = consumer->count.delivered;
		double rate = (double)(n - consumer->ticked) / seconds;

		/* half of it is from the last three seconds */
		consumer->rate += (rate - consumer->rate) * 0.2;
		if (consumer->rate < 0.01)
			consumer->rate = 0;
		consumer->ticked = n;
		consumer_adapt(consumer, rate);
	}
}

void
consume_count(const struct consume *consume, size_t queue,
    struct consume_count *count)
{
	const struct consumer *consumer = consume->of_queue[queue];
	struct rabbit_count looked;

	memset(count, 0, sizeof(*count));
	if (consumer != NULL) {
		*count = consumer->count;
		count->consuming = consumer->consuming;
		count->prefetch = consumer->prefetch;
		count->unsettled = consumer->unsettled + consumer->stuck;
		count->stuck = consumer->stuck;
		count->rate = consumer->rate;
	}
	if (look_count(consume->amqp->look, queue, &looked)) {
		count->ready = looked.ready;
		count->consumers = looked.consumers;
	}
}
