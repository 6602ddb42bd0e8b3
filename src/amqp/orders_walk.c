/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * orders_walk - through dead-letter queues, message by message: to look at them
 * (DEAD), or to send them back to where they came from (RETRY).
 *
 * Called by orders. A queue is consumed without acks, as many messages as it
 * had at the beginning, so that those that die again meanwhile are not met
 * twice; what is not acknowledged goes back to its place when the connection is
 * closed. A message is taken from its dead-letter queue when the broker has
 * confirmed that the work queue has it: whatever dies in between, it is in one
 * of them, or in both, and then the hub knows it by its number (RETRY_AGAIN).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/orders_impl.h"
#include "amqp/publish.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/retry.h"

/* Of a consumer: each queue has one of its own. */
#define WALK_TAG_SIZE 48
/* The queue has no more when nothing has come for so long. */
#define WALK_QUIET_NS (2 * NS_PER_S)
/* Of a listing, though the order wants more. */
#define WALK_LIMIT 10000

static void
walk_add(struct walk *walk, const struct letters *letters)
{
	for (size_t i = 0; i < walk->n; i++)
		if (strcmp(walk->letters[i].name, letters->name) == 0)
			return;
	walk->letters = mem_grow(walk->letters, walk->n + 1,
	    sizeof(*walk->letters));
	walk->letters[walk->n++] = *letters;
}

bool
walk_begin(struct orders *orders, struct order *order, struct why *why)
{
	const struct conf *conf = orders->amqp->conf;
	struct walk *walk = &order->walk;
	struct publish_count count;
	struct letters letters;
	bool known = false;

	for (size_t i = 0; i < conf->queue.n; i++) {
		const struct conf_queue *queue = &conf->queue.v[i];

		if (order->queue[0] != '\0' &&
		    strcmp(order->queue, queue->name) != 0)
			continue;
		known = true;
		if (letters_of(conf, queue, &letters))
			walk_add(walk, &letters);
	}
	if (!known && order->queue[0] != '\0') {
		why_set(why, "there is no queue \"%s\" in the config",
		    order->queue);
		return false;
	}
	publish_count(orders->amqp->publish, &count);
	if (order->what == ORDER_RETRY && count.blocked) {
		why_set(why, "the broker takes no messages: %s",
		    count.blocked_why);
		return false;
	}
	if (order->limit == 0 || order->limit > WALK_LIMIT)
		order->limit = order->what == ORDER_DEAD ? WALK_LIMIT : 0;
	walk->messages = json_array();
	flights_init(&walk->sent, 0);
	return true;
}

void
walk_release(struct walk *walk)
{
	free(walk->letters);
	json_decref(walk->messages);
	flights_release(&walk->sent);
}

json_t *
walk_result(const struct order *order, bool more)
{
	const struct walk *walk = &order->walk;

	more = more || walk->more;
	if (order->what == ORDER_DEAD)
		return json_pack("{s:O, s:b}", "messages", walk->messages,
		    "more", (int)more);
	return json_pack("{s:I, s:I, s:b}", "retried",
	    (json_int_t)walk->retried, "failed", (json_int_t)walk->failed,
	    "more", (int)more);
}

int64_t
walk_wakes_ns(const struct walk *walk)
{
	return walk->open && walk->left > 0 ? walk->quiet_ns : CLOCK_NEVER;
}

static enum orders_next
walk_end(struct orders *orders, struct order *order)
{
	const struct walk *walk = &order->walk;
	struct why why = { "" };
	enum hub_code code = HUB_OK;

	if (walk->failed > 0) {
		code = HUB_FULL;
		why_set(&why, "%" PRIu64 " stay where they are: %s",
		    walk->failed, walk->why.text);
	} else if (order->what == ORDER_RETRY && order->message[0] != '\0' &&
	    walk->retried == 0 && !walk->more) {
		code = HUB_NOT_FOUND;
		why_set(&why, "there is no dead letter \"%s\"", order->message);
	}
	return orders_report(orders, order, code, why.text,
	    walk_result(order, false));
}

/* -------------------------------------------------------------- messages */

static const char *
walk_tag(const struct walk *walk, char buf[WALK_TAG_SIZE])
{
	snprintf(buf, WALK_TAG_SIZE, "brood-orders-%zu", walk->at);
	return buf;
}

static void
walk_fail(struct walk *walk, const char *why)
{
	walk->failed++;
	mem_copy_string(walk->why.text, sizeof(walk->why.text), why);
}

static void
walk_list(struct orders *orders, struct order *order,
    const struct letter *letter, const struct rabbit_event *event)
{
	struct walk *walk = &order->walk;
	size_t n = json_array_size(walk->messages);
	json_t *json;
	char *text;

	if (n >= order->limit ||
	    walk->json_size > orders->amqp->conf->hub.max_message / 2) {
		walk->more = true;
		walk->left = 0;
		return;
	}
	json = letter_json(&walk->letters[walk->at], letter, &event->message,
	    event->size);
	text = json_dumps(json, JSON_COMPACT);
	walk->json_size += strlen(text) + 1;
	free(text);
	json_array_append_new(walk->messages, json);
}

static void
walk_retry(struct orders *orders, struct walk *walk,
    const struct letter *letter, const struct rabbit_event *event)
{
	struct msg_PUBLISH again;
	struct buf attrs;
	struct why why = { "" };
	uint64_t number;

	if (event->refused != NULL && event->refused[0] != '\0') {
		walk_fail(walk, event->refused);
		return;
	}
	if (letter->queue == NULL) {
		why_set(&why,
		    "\"%s\", where it died, is no queue of the config",
		    letter->origin);
		walk_fail(walk, why.text);
		return;
	}
	buf_init(&attrs, SIZE_MAX - 1);
	letter_revive(letter, &event->message, &again, &attrs);
	if (rabbit_publish(orders->rabbit, &again, false, &number, &why) < 0)
		walk_fail(walk, why.text);
	else
		flights_add(&walk->sent, number, event->tag, 0,
		    flight_mark(again.exchange, again.key, again.message_id));
	buf_release(&attrs);
}

static void
walk_on_message(struct orders *orders, struct order *order,
    const struct rabbit_event *event)
{
	struct walk *walk = &order->walk;
	const struct letters *letters = &walk->letters[walk->at];
	char tag[WALK_TAG_SIZE];
	struct letter letter;

	/* those of the last queue, and those too many, are put back too */
	walk_tag(walk, tag);
	if (!walk->open || walk->left == 0 || strcmp(event->consumer, tag) != 0)
		return;
	walk->left--;
	walk->quiet_ns = clock_now_ns() + WALK_QUIET_NS;
	letter_read(orders->amqp->conf, letters, &event->message, &letter);
	/* a dead-letter queue of several has those of others too */
	if (order->queue[0] != '\0' && letters->queue == NULL &&
	    strcmp(letter.origin, order->queue) != 0)
		return;
	if (order->message[0] != '\0' && strcmp(letter.id, order->message) != 0)
		return;
	if (order->what == ORDER_DEAD) {
		walk_list(orders, order, &letter, event);
		return;
	}
	if (order->limit > 0 &&
	    walk->retried + walk->sent.unsettled >= order->limit) {
		walk->more = true;
		walk->left = 0;
		return;
	}
	walk_retry(orders, walk, &letter, event);
	if (order->message[0] != '\0')
		walk->left = 0;
}

/* -------------------------------------------------------------- confirms */

struct walk_turn {
	struct orders *orders;
	struct walk *walk;
};

static void
walk_on_settled(void *ctx, const struct flight *flight, bool ok)
{
	struct walk_turn *turn = ctx;

	if (!ok) {
		walk_fail(turn->walk,
		    "the broker has no room for them: a queue is full "
		    "(x-overflow) or has failed");
	} else if (flight->code == 0) {
		rabbit_ack(turn->orders->rabbit, flight->seq, false);
		turn->walk->retried++;
	}
}

static void
walk_on_return(struct walk *walk, const struct rabbit_event *event)
{
	const struct msg_PUBLISH *message = &event->message;
	struct why why;

	flights_returned(&walk->sent,
	    flight_mark(message->exchange, message->key, message->message_id),
	    event->code);
	why_set(&why, "there is no queue \"%.*s\" on the broker",
	    (int)message->key.len, message->key.p);
	walk_fail(walk, why.text);
}

void
walk_on_event(struct orders *orders, struct order *order,
    const struct rabbit_event *event)
{
	struct walk *walk = &order->walk;

	switch (event->kind) {
	case RABBIT_DELIVERY:
		walk_on_message(orders, order, event);
		break;
	case RABBIT_CONFIRM:
		flights_confirm(&walk->sent, event->tag, event->multiple,
		    event->ok, walk_on_settled,
		    &(struct walk_turn){ orders, walk });
		break;
	case RABBIT_RETURN:
		walk_on_return(walk, event);
		break;
	case RABBIT_CANCELLED:
		walk->left = 0;
		break;
	default:
		break;
	}
}

/* ---------------------------------------------------------------- queues */

/* What stays unacknowledged counts, so those that have to read on past other
 * messages have no limit. */
static unsigned
walk_prefetch(const struct order *order)
{
	const struct letters *letters = &order->walk.letters[order->walk.at];
	unsigned prefetch = order->what == ORDER_DEAD ?
	    (unsigned)(order->limit + 1) :
	    ORDERS_WINDOW;

	if (order->message[0] != '\0' ||
	    (order->queue[0] != '\0' && letters->queue == NULL))
		return 0;
	return prefetch;
}

/* RABBIT_REFUSED: there is no such queue, so nothing is dead. */
static enum rabbit_result
walk_open(struct orders *orders, struct order *order, struct why *why)
{
	struct walk *walk = &order->walk;
	struct rabbit_queue queue = { .name = walk->letters[walk->at].name,
		.passive = true };
	struct rabbit_count count;
	enum rabbit_result result = RABBIT_OK;
	char tag[WALK_TAG_SIZE];
	unsigned code = 0;

	if (!orders->confirms)
		result = rabbit_confirms(orders->rabbit, &code, why);
	orders->confirms = result == RABBIT_OK;
	if (result == RABBIT_OK)
		result = rabbit_declare_queue(orders->rabbit, &queue, &count,
		    &code, why);
	if (result == RABBIT_OK && count.ready > 0)
		result = rabbit_consume(orders->rabbit, queue.name,
		    walk_tag(walk, tag), walk_prefetch(order), false, &code,
		    why);
	if (result != RABBIT_OK) {
		orders->confirms = false;
		if (result == RABBIT_REFUSED && code != 404)
			walk_fail(walk, why->text);
		return result;
	}
	walk->open = count.ready > 0;
	walk->left = count.ready;
	walk->quiet_ns = clock_now_ns() + WALK_QUIET_NS;
	return RABBIT_OK;
}

/* Done with one queue. */
static enum rabbit_result
walk_shut(struct orders *orders, struct walk *walk, struct why *why)
{
	enum rabbit_result result = RABBIT_OK;
	char tag[WALK_TAG_SIZE];
	unsigned code;

	if (walk->open)
		result = rabbit_cancel(orders->rabbit, walk_tag(walk, tag),
		    &code, why);
	if (result == RABBIT_REFUSED)
		orders->confirms = false;
	walk->open = false;
	walk->at++;
	return result;
}

enum orders_next
walk_step(struct orders *orders, struct order *order)
{
	struct walk *walk = &order->walk;
	struct why why = { "" };
	enum rabbit_result result;

	if (walk->open && walk->left > 0 && clock_now_ns() < walk->quiet_ns)
		return ORDERS_WAIT;
	/* acknowledged before the connection that they came on is closed */
	if (walk->sent.unsettled > 0 || rabbit_unwritten(orders->rabbit) > 0)
		return ORDERS_WAIT;
	if (walk->open) {
		result = walk_shut(orders, walk, &why);
		if (result == RABBIT_LOST)
			return orders_lost(orders, order, why.text);
		return ORDERS_AGAIN;
	}
	if (walk->at == walk->n || walk->more)
		return walk_end(orders, order);
	result = walk_open(orders, order, &why);
	if (result == RABBIT_LOST)
		return orders_lost(orders, order, why.text);
	if (!walk->open)
		walk->at++;
	return ORDERS_AGAIN;
}
