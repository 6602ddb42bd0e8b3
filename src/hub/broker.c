/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker - the hub's side of the amqp children: who of them publishes, what
 * they say of the broker, orders to them and their reports.
 *
 * One publishes, so that what is sent in an order arrives in it. It stays until
 * it leaves or has a new connection; while it takes nothing (an alarm of the
 * broker, a drain), what it has under way is waited for, and only then it is
 * another's turn. Called by peer.c, hub.c (messages), desk.c (orders).
 */
#include "hub/broker.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/scoreboard.h"
#include "hub/outbox.h"
#include "hub/peer.h"
#include "hub/store.h"
#include "hub/work.h"

#define BINDINGS_BYTES 60000

struct link {
	struct link *prev, *next;
	struct peer *peer;
	uint32_t epoch, window;
	bool publishing;
	json_t *json; /* NULL: it has not said */
};

struct order {
	struct order *prev, *next;
	struct hub *hub;
	uint64_t id;
	struct peer *peer; /* NULL: to whoever comes first */
	struct buf said;   /* ORDER, until then */
	struct loop_timer timer;
	broker_report_fn *fn;
	void *ctx;
};

struct broker {
	struct link *links;
	struct link *publisher; /* NULL: none */
	struct order *orders;
	uint64_t last_id;
	bool met; /* an amqp child, ever */
};

/* --- who publishes */

static struct link *
link_of(struct hub *hub, const struct peer *peer)
{
	struct link *link = NULL;

	if (hub->broker != NULL)
		DL_SEARCH_SCALAR(hub->broker->links, link, peer, peer);
	return link;
}

static void
broker_choose(struct hub *hub)
{
	struct broker *broker = hub->broker;
	struct link *link = broker->publisher;
	struct outbox_count count;

	outbox_count(hub, &count);
	if (link != NULL && !link->publishing && count.under_way == 0)
		link = NULL;
	if (link == NULL) {
		DL_FOREACH(broker->links, link)
		{
			if (link->publishing)
				break;
		}
	}
	broker->publisher = link;
	if (link == NULL)
		outbox_on_publisher(hub, NULL, 0, 0);
	else
		outbox_on_publisher(hub, link->peer, link->epoch,
		    link->publishing ? link->window : 0);
	requests_on_publisher(hub);
}

struct peer *
broker_publisher(struct hub *hub, struct why *why)
{
	struct broker *broker = hub->broker;
	const struct link *link = broker->publisher;
	const char *line = NULL;

	if (link != NULL && link->publishing)
		return link->peer;
	DL_FOREACH(broker->links, link)
	{
		if (line == NULL)
			line = json_string_value(
			    json_object_get(link->json, "line"));
	}
	why_set(why, "%s",
	    line != NULL	      ? line :
		broker->links != NULL ? "not connected to the broker yet" :
					"there is no amqp child");
	return NULL;
}

uint32_t
broker_epoch(const struct hub *hub)
{
	return hub->broker->publisher != NULL ? hub->broker->publisher->epoch :
						0;
}

bool
broker_is_away(const struct hub *hub)
{
	const struct link *link;

	DL_FOREACH(hub->broker->links, link)
	{
		if (!json_is_true(json_object_get(link->json, "trouble")))
			return false;
	}
	return hub->broker->links != NULL;
}

HUB_ON(LINK)
{
	struct link *link = link_of(hub, peer);
	char *text;

	(void)request;
	if (link == NULL)
		return;
	/* one that has a new connection waits its turn like any other */
	if (link == hub->broker->publisher && link->epoch != msg->epoch &&
	    msg->publishing == 0)
		hub->broker->publisher = NULL;
	link->epoch = msg->epoch;
	link->window = msg->window;
	link->publishing = msg->publishing != 0;
	text = msg_string(msg->json);
	json_decref(link->json);
	link->json = json_loads(text, 0, NULL);
	free(text);
	broker_choose(hub);
}

HUB_ON(SENT)
{
	struct link *link = link_of(hub, peer);

	(void)request;
	if (link == NULL || link != hub->broker->publisher ||
	    link->epoch != msg->epoch)
		return;
	outbox_on_sent(hub, msg);
	if (!link->publishing)
		broker_choose(hub);
}

/* --- they come and go */

/* Those that were given before anybody was there. */
static void
orders_on_peer(struct hub *hub, struct peer *peer)
{
	struct order *order = NULL;
	struct msg_head head;
	union msg msg;

	DL_FOREACH(hub->broker->orders, order)
	{
		if (order->peer != NULL)
			continue;
		order->peer = peer;
		if (msg_decode(order->said.data, order->said.len, SIZE_MAX,
			MSG_FROM_HUB, &head, &msg, NULL) > 0)
			peer_send(peer, MSG_ORDER, 0, &msg.ORDER);
		buf_release(&order->said);
	}
}

struct binder {
	struct peer *peer;
	struct buf parts;
};

static void
bindings_send(struct binder *binder, bool more)
{
	peer_send(binder->peer, MSG_BINDINGS, 0,
	    &(struct msg_BINDINGS){
		.more = more,
		.bindings = { binder->parts.data, binder->parts.len },
	    });
	buf_clear(&binder->parts);
}

static int
bindings_add(void *ctx, const char *queue, const char *exchange,
    const char *key, bool on)
{
	struct binder *binder = ctx;

	msg_encode(&binder->parts, MSG_BIND, 0,
	    &(struct msg_BIND){
		.on = on,
		.queue = msg_text(queue),
		.exchange = msg_text(exchange),
		.key = msg_text(key),
	    });
	if (binder->parts.len >= BINDINGS_BYTES)
		bindings_send(binder, true);
	return 0;
}

void
broker_on_peer(struct hub *hub, struct peer *peer)
{
	struct binder binder = { .peer = peer };
	struct link *link;

	if (hub->broker == NULL || peer->role != ROLE_AMQP)
		return;
	link = mem_alloc(sizeof(*link));
	link->peer = peer;
	DL_APPEND(hub->broker->links, link);
	hub->broker->met = true;
	buf_init(&binder.parts, SIZE_MAX - 1);
	store_each_binding(hub->store, bindings_add, &binder);
	bindings_send(&binder, false);
	buf_release(&binder.parts);
	orders_on_peer(hub, peer);
}

static void
order_end(struct order *order, const struct msg_REPORT *report, const char *why)
{
	struct hub *hub = order->hub;
	broker_report_fn *fn = order->fn;
	void *ctx = order->ctx;

	DL_DELETE(hub->broker->orders, order);
	loop_timer_cancel(hub->loop, &order->timer);
	buf_release(&order->said);
	free(order);
	if (fn != NULL)
		fn(ctx, report, why);
}

static void
link_free(struct hub *hub, struct link *link)
{
	DL_DELETE(hub->broker->links, link);
	json_decref(link->json);
	free(link);
}

void
broker_on_peer_gone(struct hub *hub, struct peer *peer)
{
	struct link *link = link_of(hub, peer);
	struct order *order = NULL, *next;

	if (link == NULL)
		return;
	DL_FOREACH_SAFE(hub->broker->orders, order, next)
	{
		if (order->peer == peer)
			order_end(order, NULL,
			    "the amqp child has ended over it");
	}
	if (hub->broker->publisher == link)
		hub->broker->publisher = NULL;
	link_free(hub, link);
	requests_on_peer_gone(hub, peer);
	broker_choose(hub);
}

/* --- orders */

static void
order_on_time(void *ctx)
{
	struct order *order = ctx;

	hub_tick(order->hub);
	order_end(order, NULL, "the amqp child does not answer");
}

/* The first one has not said hello yet: both are new after a reload. */
static bool
broker_expects(const struct hub *hub)
{
	const struct board *board = hub->child->board;

	if (hub->broker->met)
		return false;
	for (unsigned i = 0; i < board->slots; i++)
		if (board->slot[i].pid > 0 && board->slot[i].role == ROLE_AMQP)
			return true;
	return false;
}

uint64_t
broker_order(struct hub *hub, const struct msg_ORDER *said, int64_t deadline_ns,
    broker_report_fn *fn, void *ctx)
{
	struct broker *broker = hub->broker;
	struct msg_ORDER copy = *said;
	struct order *order;
	struct link *link;

	if (broker == NULL || (broker->links == NULL && !broker_expects(hub))) {
		fn(ctx, NULL,
		    broker == NULL ? "there is no broker: amqp.broker is "
				     "\"local\"" :
				     "there is no amqp child");
		return 0;
	}
	/* who publishes is connected */
	link = broker->publisher != NULL ? broker->publisher : broker->links;
	order = mem_alloc(sizeof(*order));
	order->hub = hub;
	order->id = copy.id = ++broker->last_id;
	order->peer = link != NULL ? link->peer : NULL;
	buf_init(&order->said, SIZE_MAX - 1);
	order->fn = fn;
	order->ctx = ctx;
	copy.deadline_ns = deadline_ns;
	loop_timer_init(&order->timer, order_on_time, order);
	loop_timer_set(hub->loop, &order->timer, deadline_ns);
	DL_APPEND(broker->orders, order);
	if (link != NULL)
		peer_send(link->peer, MSG_ORDER, 0, &copy);
	else
		msg_encode(&order->said, MSG_ORDER, 0, &copy);
	return order->id;
}

static struct order *
order_find(struct hub *hub, uint64_t id)
{
	struct order *order = NULL;

	if (hub->broker != NULL)
		DL_SEARCH_SCALAR(hub->broker->orders, order, id, id);
	return order;
}

void
broker_forget(struct hub *hub, uint64_t handle)
{
	struct order *order = order_find(hub, handle);

	if (order == NULL)
		return;
	order->fn = NULL;
	order_end(order, NULL, NULL);
}

HUB_ON(REPORT)
{
	struct order *order = order_find(hub, msg->id);

	(void)request;
	if (order != NULL && order->peer == peer)
		order_end(order, msg, NULL);
}

json_t *
broker_report(const struct hub *hub)
{
	json_t *all = json_array(), *one;
	const struct link *link = NULL;

	if (hub->broker == NULL)
		return all;
	DL_FOREACH(hub->broker->links, link)
	{
		one = json_is_object(link->json) ? json_copy(link->json) :
						   json_object();
		json_object_set_new(one, "pid", json_integer(link->peer->pid));
		json_object_set_new(one, "slot",
		    json_integer(link->peer->slot));
		json_object_set_new(one, "publisher",
		    json_boolean(link == hub->broker->publisher));
		json_array_append_new(all, one);
	}
	return all;
}

/* --- start and end */

int
broker_start(struct hub *hub, struct why *why)
{
	(void)why;
	hub->broker = mem_alloc(sizeof(*hub->broker));
	return 0;
}

void
broker_stop(struct hub *hub)
{
	struct broker *broker = hub->broker;

	if (broker == NULL)
		return;
	while (broker->orders != NULL)
		order_end(broker->orders, NULL, "the hub ends");
	while (broker->links != NULL)
		link_free(hub, broker->links);
	free(broker);
	hub->broker = NULL;
}
