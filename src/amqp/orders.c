/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * orders - the operator's orders, one after the other, on a connection that is
 * there only for them.
 *
 * Owned by amqp. What consumes and publishes is not touched: a queue that is
 * looked at in vain closes a channel, and hundred thousand dead messages are
 * read past others. Work is done in slices of a few milliseconds; only an
 * answer of the broker is waited for, amqp.timeout at most. After a walk the
 * connection is closed, which puts back what was not acknowledged.
 */
#include "amqp/orders.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "amqp/link.h"
#include "amqp/orders_impl.h"
#include "amqp/publish.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

/* The connection is kept so long for the next one. */
#define ORDERS_IDLE_NS (10 * NS_PER_S)
/* They have an end, whatever the order says. */
#define ORDERS_LONGEST_NS (3600 * NS_PER_S)
/* The report is there before the deadline. */
#define ORDERS_EARLY_NS (300 * NS_PER_MS)
/* Operators are not that many. */
#define ORDERS_MAX 64

static void orders_run(struct orders *orders);

/* ------------------------------------------------------------ connection */

static void
orders_close(struct orders *orders)
{
	struct loop *loop = orders->amqp->loop;

	loop_timer_cancel(loop, &orders->idle);
	loop_timer_cancel(loop, &orders->beat);
	if (orders->rabbit == NULL)
		return;
	loop_io_del(loop, &orders->io);
	rabbit_close(orders->rabbit);
	orders->rabbit = NULL;
	orders->confirms = false;
}

static void
orders_on_idle(void *ctx)
{
	struct orders *orders = ctx;

	if (orders->all == NULL)
		orders_close(orders);
}

static void
orders_on_io(void *ctx, unsigned events)
{
	(void)events;
	orders_run(ctx);
}

static void
orders_on_step(void *ctx)
{
	orders_run(ctx);
}

static void
orders_on_beat(void *ctx)
{
	struct orders *orders = ctx;

	loop_timer_set(orders->amqp->loop, &orders->beat,
	    clock_now_ns() + orders->amqp->conf->amqp.heartbeat / 3);
	orders_run(orders);
}

/* To the broker that the others are connected to. */
static bool
orders_connect(struct orders *orders, struct why *why)
{
	struct amqp *amqp = orders->amqp;
	const struct link *link = publish_link(amqp->publish);
	struct url url;

	if (orders->rabbit != NULL)
		return true;
	if (!link->up) {
		why_set(why, "no broker: %s",
		    link->why.text[0] != '\0' ? link->why.text :
						"not connected yet");
		return false;
	}
	if (url_parse(amqp->conf->amqp.broker.v[link->broker], &url, why) < 0)
		return false;
	orders->rabbit = rabbit_open(amqp->conf, &url, "orders", amqp_alive,
	    amqp, why);
	explicit_bzero(&url, sizeof(url));
	if (orders->rabbit == NULL)
		return false;
	if (loop_io_add(amqp->loop, &orders->io, rabbit_fd(orders->rabbit),
		LOOP_READ, orders_on_io, orders) == -1) {
		orders_close(orders);
		why_set(why, "no memory to watch a connection");
		return false;
	}
	loop_timer_set(amqp->loop, &orders->beat,
	    clock_now_ns() + amqp->conf->amqp.heartbeat / 3);
	return true;
}

/* --------------------------------------------------------------- reports */

static bool
order_walks(const struct order *order)
{
	return order->what == ORDER_DEAD || order->what == ORDER_RETRY;
}

static void
order_free(struct orders *orders, struct order *order)
{
	DL_DELETE(orders->all, order);
	if (order_walks(order) && order->begun)
		walk_release(&order->walk);
	json_decref(order->queues);
	free(order);
}

enum orders_next
orders_report(struct orders *orders, struct order *order, enum hub_code code,
    const char *why, json_t *json)
{
	char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
	struct msg_REPORT report = {
		.id = order->id,
		.code = code,
		.why = msg_text(why),
		.json = msg_text(text),
	};

	if (msg_size(MSG_REPORT, &report) >
	    orders->amqp->conf->hub.max_message) {
		report.code = HUB_TOO_LARGE;
		report.why = msg_text("the list is larger than "
				      "hub.max_message; ask for fewer");
		report.json = msg_text("");
	}
	hub_note(orders->amqp->hub, MSG_REPORT, &report);
	free(text);
	json_decref(json);
	if (order_walks(order))
		orders_close(orders);
	order_free(orders, order);
	loop_timer_set(orders->amqp->loop, &orders->step, 0);
	return ORDERS_DONE;
}

static json_t *
order_result(const struct order *order)
{
	return order_walks(order) && order->begun ? walk_result(order, true) :
						    NULL;
}

enum orders_next
orders_lost(struct orders *orders, struct order *order, const char *why)
{
	orders_close(orders);
	return orders_report(orders, order, HUB_GONE, why, order_result(order));
}

/* ------------------------------------------------------------------ work */

static void
orders_on_event(struct orders *orders, const struct rabbit_event *event)
{
	struct order *order = orders->all;
	struct why why;

	switch (event->kind) {
	case RABBIT_GONE:
		if (order != NULL)
			orders_lost(orders, order, event->text);
		else
			orders_close(orders);
		break;
	case RABBIT_CHANNEL_CLOSED:
		orders->confirms = false;
		if (order != NULL)
			orders_lost(orders, order, event->text);
		break;
	case RABBIT_BLOCKED:
		why_set(&why, "the broker takes no messages: %s", event->text);
		if (order != NULL && order->what == ORDER_RETRY)
			orders_lost(orders, order, why.text);
		break;
	default:
		if (order != NULL && order->begun && order_walks(order))
			walk_on_event(orders, order, event);
		break;
	}
}

static bool
orders_has_room(const struct orders *orders)
{
	return rabbit_unwritten(orders->rabbit) < ORDERS_UNWRITTEN;
}

/* True: there is more to be read now. */
static bool
orders_read(struct orders *orders, int64_t until_ns)
{
	struct rabbit_event event;
	unsigned n = 0;

	while (orders->rabbit != NULL && orders_has_room(orders)) {
		if (rabbit_next(orders->rabbit, &event) == RABBIT_NONE)
			return false;
		orders_on_event(orders, &event);
		if (++n % 16 == 0 && clock_now_ns() > until_ns)
			return true;
	}
	return false;
}

/* An order has a connection from here on, or is answered. */
static enum orders_next
order_begin(struct orders *orders, struct order *order)
{
	struct why why = { "" };

	if (!orders_connect(orders, &why))
		return orders_report(orders, order, HUB_GONE, why.text, NULL);
	if (order_walks(order) && !order->begun) {
		order->begun = true;
		if (!walk_begin(orders, order, &why))
			return orders_report(orders, order, HUB_NOT_FOUND,
			    why.text, NULL);
	}
	return ORDERS_AGAIN;
}

static enum orders_next
order_step(struct orders *orders, struct order *order)
{
	enum orders_next next;

	if (clock_now_ns() >= order->deadline_ns)
		return orders_report(orders, order, HUB_TIMEOUT,
		    "not all of it was done in time", order_result(order));
	next = order_begin(orders, order);
	if (next != ORDERS_AGAIN)
		return next;
	switch (order->what) {
	case ORDER_PURGE:
		return orders_purge(orders, order);
	case ORDER_QUEUES:
		return orders_queues(orders, order);
	default:
		return walk_step(orders, order);
	}
}

/* True: what had to be written first is out. */
static bool
orders_write(struct orders *orders)
{
	unsigned want = LOOP_READ;
	bool waited;

	if (orders->rabbit == NULL)
		return false;
	waited = rabbit_unwritten(orders->rabbit) > 0;
	if (!rabbit_write(orders->rabbit)) {
		if (orders->all != NULL)
			orders_lost(orders, orders->all,
			    "the connection to the broker was lost");
		orders_close(orders);
		return false;
	}
	if (rabbit_unwritten(orders->rabbit) > 0)
		want = LOOP_WRITE | (orders_has_room(orders) ? LOOP_READ : 0);
	loop_io_want(orders->amqp->loop, &orders->io, want);
	return waited && (want & LOOP_WRITE) == 0;
}

static void
orders_run(struct orders *orders)
{
	struct loop *loop = orders->amqp->loop;
	int64_t until_ns = clock_now_ns() + ORDERS_SLICE_NS, wake_ns;
	enum orders_next next = ORDERS_DONE;
	bool more = orders_read(orders, until_ns);
	struct order *order;

	while ((order = orders->all) != NULL) {
		next = order_step(orders, order);
		if (next == ORDERS_WAIT || clock_now_ns() > until_ns)
			break;
	}
	more = orders_write(orders) || more;
	order = orders->all;
	if (order == NULL) {
		loop_timer_cancel(loop, &orders->step);
		if (!loop_timer_is_set(&orders->idle))
			loop_timer_set(loop, &orders->idle,
			    clock_now_ns() + ORDERS_IDLE_NS);
		return;
	}
	loop_timer_cancel(loop, &orders->idle);
	/* what the library has read already wakes nobody */
	more = more ||
	    (orders->rabbit != NULL && rabbit_has_more(orders->rabbit));
	wake_ns = order->deadline_ns;
	if (order_walks(order) && walk_wakes_ns(&order->walk) < wake_ns)
		wake_ns = walk_wakes_ns(&order->walk);
	if (more || next != ORDERS_WAIT)
		wake_ns = 0;
	loop_timer_set(loop, &orders->step, wake_ns);
}

/* ---------------------------------------------------------- for the role */

struct orders *
orders_new(struct amqp *amqp)
{
	struct orders *orders = mem_alloc(sizeof(*orders));

	orders->amqp = amqp;
	orders->io.fd = -1;
	orders->missing = json_object();
	loop_timer_init(&orders->step, orders_on_step, orders);
	loop_timer_init(&orders->idle, orders_on_idle, orders);
	loop_timer_init(&orders->beat, orders_on_beat, orders);
	return orders;
}

void
orders_free(struct orders *orders)
{
	orders_close(orders);
	loop_timer_cancel(orders->amqp->loop, &orders->step);
	while (orders->all != NULL)
		order_free(orders, orders->all);
	json_decref(orders->missing);
	free(orders);
}

static bool
order_copy(char *dst, size_t size, struct msg_bytes bytes)
{
	if (bytes.len >= size)
		return false;
	memcpy(dst, bytes.p, bytes.len);
	dst[bytes.len] = '\0';
	return true;
}

static int64_t
order_deadline(const struct msg_ORDER *msg)
{
	int64_t now_ns = clock_now_ns(), left_ns;

	left_ns = msg->deadline_ns > now_ns + ORDERS_LONGEST_NS ||
		msg->deadline_ns <= 0 ?
	    ORDERS_LONGEST_NS :
	    msg->deadline_ns - now_ns;
	if (left_ns > 2 * ORDERS_EARLY_NS)
		left_ns -= ORDERS_EARLY_NS;
	return now_ns + left_ns;
}

void
orders_on_order(struct orders *orders, const struct msg_ORDER *msg)
{
	struct order *order = mem_alloc(sizeof(*order)), *one;
	size_t n;
	bool fits;

	DL_COUNT(orders->all, one, n);
	order->id = msg->id;
	order->what = (enum amqp_order)msg->what;
	order->limit = msg->limit;
	order->deadline_ns = order_deadline(msg);
	fits = order_copy(order->queue, sizeof(order->queue), msg->queue) &&
	    order_copy(order->message, sizeof(order->message), msg->message);
	DL_APPEND(orders->all, order);
	if (!fits || msg->what > ORDER_QUEUES)
		orders_report(orders, order, HUB_BAD,
		    "the order makes no sense", NULL);
	else if (n >= ORDERS_MAX)
		orders_report(orders, order, HUB_FULL,
		    "too many orders at a time", NULL);
	else
		loop_timer_set(orders->amqp->loop, &orders->step, 0);
}
