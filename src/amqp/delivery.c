/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * delivery - a message from the broker on its way to the hub, and its ack on
 * the way back.
 *
 * Called by consume.c. Acks are gathered until the end of the round: all that
 * is settled at the start of the list goes in one ack ("and everything
 * before"), which costs the broker no more than that of a single message, and
 * all of it in one write. What is settled behind one that is not waits a moment
 * for it, if the broker may send us enough without that ack; then it is acked
 * one by one. Always an ack: what is to become of a message (again later, a
 * dead letter) the hub has seen to before it says SETTLED.
 *
 * The exception is a message that is too large for the hub: rejected, so that
 * the broker itself puts it, whole, where dead messages go; where it knows of
 * no such place, rejecting would be losing it, and it stays unacknowledged.
 */
#include <stdlib.h>
#include <utlist.h>

#include "amqp/consume_impl.h"
#include "amqp/status.h"
#include "amqp/topology.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/uid.h"

/* For so many that are stuck others come in their stead. */
#define STUCK_MAX 100
#define SCRATCH_KEEP 262144
/* That long it is settled and not acked. */
#define DELIVERY_HELD_NS (5 * NS_PER_MS)
/* After the hub had no room for it. */
#define DELIVERY_AGAIN_NS NS_PER_S

static const struct conf_queue *
delivery_queue(const struct consumer *consumer)
{
	return &consumer->consume->amqp->conf->queue.v[consumer->queue];
}

static void
delivery_on_settled(struct delivery *delivery, enum settled_how how)
{
	struct consumer *consumer = delivery->consumer;
	struct consume *consume = consumer->consume;

	delivery->settled = true;
	LL_PREPEND2(consume->done, delivery, next_done);
	consume->open--;
	consumer->unsettled--;
	consumer->held++;
	consumer->count.acked++;
	if (how == SETTLED_RETRY)
		consumer->count.retried++;
	else if (how == SETTLED_DEAD)
		consumer->count.dead++;
	else if (how == SETTLED_SEEN)
		consumer->count.seen++;
}

/* In the list, but nobody answers for it any more. */
static void
delivery_let_go(struct delivery *delivery)
{
	delivery->handle = 0;
	delivery->consumer->unsettled--;
	delivery->consumer->consume->open--;
}

/* To the broker: it is dead. */
static void
delivery_reject(struct delivery *delivery)
{
	struct consumer *consumer = delivery->consumer;
	struct consume *consume = consumer->consume;

	log_warning("queue %s: a message of %llu bytes is larger than "
		    "hub.max_message allows: rejected, a dead letter",
	    delivery_queue(consumer)->name, (unsigned long long)delivery->size);
	consumer->count.rejected++;
	if (rabbit_reject(consume->link.rabbit, delivery->tag, false) < 0)
		link_fail(&consume->link, "cannot reject a message");
	DL_DELETE(consume->deliveries, delivery);
	free(delivery);
}

static void
delivery_get_stuck(struct delivery *delivery)
{
	struct consumer *consumer = delivery->consumer;

	log_error("queue %s: a message of %llu bytes is larger than "
		  "hub.max_message allows, and the broker has no dead-letter "
		  "exchange for the queue: it stays unacknowledged",
	    delivery_queue(consumer)->name, (unsigned long long)delivery->size);
	consumer->stuck++;
	consumer->renew = consumer->stuck <= STUCK_MAX;
	consumer->consume->renew |= consumer->renew;
}

/* The hub cannot be sent it, not now and not later. */
static void
delivery_too_large(struct delivery *delivery)
{
	struct consumer *consumer = delivery->consumer;

	status_changed(consumer->consume->amqp->status);
	if (topology_has_letters(delivery_queue(consumer)))
		delivery_reject(delivery);
	else
		delivery_get_stuck(delivery);
}

static void
delivery_on_answer(void *ctx, enum msg_id id, const union msg *msg,
    enum hub_code code)
{
	struct delivery *delivery = ctx;
	struct amqp *amqp = delivery->consumer->consume->amqp;

	if (id == MSG_SETTLED) {
		delivery_on_settled(delivery, msg->SETTLED.how);
		return;
	}
	if (id == MSG_FAIL)
		log_debug("the hub does not take a message of queue %s now: "
			  "%.*s",
		    delivery_queue(delivery->consumer)->name,
		    (int)msg->FAIL.why.len, msg->FAIL.why.p);
	if (code == HUB_TOO_LARGE || code == HUB_BAD) {
		delivery_let_go(delivery);
		delivery_too_large(delivery);
	} else if (id == MSG_FAIL && amqp->draining) {
		/* a hub without a broker, perhaps: when this child has gone
		 * the broker gives the message to another */
		delivery_let_go(delivery);
	} else {
		hub_repeat(amqp->hub, loop_now(amqp->loop) + DELIVERY_AGAIN_NS);
	}
}

static bool
delivery_send(struct delivery *delivery, const struct rabbit_event *event)
{
	struct consumer *consumer = delivery->consumer;
	struct consume *consume = consumer->consume;
	struct msg_PUBLISH publish = event->message;
	struct msg_DELIVER deliver = {
		.uid = uid_make(),
		.queue = msg_text(delivery_queue(consumer)->name),
		.attempt = event->attempt,
		.redelivered = event->redelivered,
		.refused = msg_text(event->refused),
	};
	bool sent;

	publish.uid = deliver.uid;
	buf_clear(&consume->scratch);
	if (msg_encode(&consume->scratch, MSG_PUBLISH, 0, &publish) == -1)
		return false;
	deliver.publish = (struct msg_bytes){ consume->scratch.data,
		consume->scratch.len };
	delivery->handle = hub_send(consume->amqp->hub, MSG_DELIVER, &deliver,
	    CLOCK_NEVER, delivery_on_answer, delivery);
	sent = delivery->handle != 0;
	buf_reuse(&consume->scratch, SCRATCH_KEEP);
	return sent;
}

void
delivery_begin(struct consumer *consumer, const struct rabbit_event *event)
{
	struct consume *consume = consumer->consume;
	struct delivery *delivery = mem_alloc(sizeof(*delivery));

	delivery->consumer = consumer;
	delivery->tag = event->tag;
	delivery->size = event->size;
	DL_APPEND(consume->deliveries, delivery);
	consumer->count.delivered++;
	if (event->redelivered)
		consumer->count.redelivered++;
	/* it came without its body, or does not fit with all the rest */
	if (event->message.body.len != event->size ||
	    !delivery_send(delivery, event)) {
		delivery_too_large(delivery);
		return;
	}
	consumer->unsettled++;
	consume->open++;
}

/* All that is settled from the start on leaves the list; the last one's tag, or
 * 0. */
static uint64_t
deliveries_take_run(struct consume *consume)
{
	struct delivery *delivery;
	uint64_t tag = 0;

	while ((delivery = consume->deliveries) != NULL && delivery->settled) {
		tag = delivery->tag;
		delivery->acked = true;
		DL_DELETE(consume->deliveries, delivery);
	}
	return tag;
}

/* With half of its prefetch, and twice what can be begun, for others. */
static bool
consumer_may_wait(const struct consumer *consumer)
{
	return consumer->held <= consumer->prefetch / 2 &&
	    consumer->held + 2 * consumer->capacity <= consumer->prefetch;
}

static bool
deliveries_may_wait(const struct consume *consume)
{
	const struct delivery *delivery = NULL;

	if (consume->amqp->draining)
		return false;
	LL_FOREACH2(consume->done, delivery, next_done)
	{
		if (!consumer_may_wait(delivery->consumer))
			return false;
	}
	return true;
}

static void
delivery_free(struct delivery *delivery)
{
	delivery->consumer->held -= delivery->settled;
	free(delivery);
}

static void
deliveries_free_acked(struct consume *consume)
{
	struct delivery **at = &consume->done, *delivery;

	while ((delivery = *at) != NULL) {
		if (!delivery->acked) {
			at = &delivery->next_done;
			continue;
		}
		*at = delivery->next_done;
		delivery_free(delivery);
	}
}

static int
deliveries_ack_each(struct consume *consume)
{
	struct delivery *delivery;
	int result = 0;

	while (result == 0 && (delivery = consume->done) != NULL) {
		result = rabbit_ack(consume->link.rabbit, delivery->tag, false);
		consume->done = delivery->next_done;
		DL_DELETE(consume->deliveries, delivery);
		delivery_free(delivery);
	}
	return result;
}

void
deliveries_on_held(void *ctx)
{
	struct consume *consume = ctx;

	if (deliveries_ack_each(consume) == -1)
		link_fail(&consume->link, "cannot acknowledge");
}

void
deliveries_ack(struct consume *consume)
{
	struct loop *loop = consume->amqp->loop;
	uint64_t upto;
	int result = 0;

	if (consume->done == NULL)
		return;
	upto = deliveries_take_run(consume);
	if (upto != 0)
		result = rabbit_ack(consume->link.rabbit, upto, true);
	deliveries_free_acked(consume);
	if (result == 0 && !deliveries_may_wait(consume))
		result = deliveries_ack_each(consume);
	if (consume->done == NULL)
		loop_timer_cancel(loop, &consume->held);
	else if (!loop_timer_is_set(&consume->held))
		loop_timer_set(loop, &consume->held,
		    loop_now(loop) + DELIVERY_HELD_NS);
	if (result == -1)
		link_fail(&consume->link, "cannot acknowledge");
}

void
deliveries_forget(struct consume *consume)
{
	struct delivery *delivery, *next;

	for (delivery = consume->deliveries; delivery != NULL;
	     delivery = next) {
		next = delivery->next;
		if (!delivery->settled && delivery->handle != 0) {
			hub_forget(consume->amqp->hub, delivery->handle);
			delivery->consumer->unsettled--;
		}
		delivery_free(delivery);
	}
	loop_timer_cancel(consume->amqp->loop, &consume->held);
	consume->deliveries = NULL;
	consume->done = NULL;
	consume->open = 0;
}
