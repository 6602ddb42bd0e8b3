/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * link - a connection that is kept up, whatever becomes of it.
 *
 * Used by consume, publish and look, one each. What the owner does in its
 * callbacks may end the connection: link_fail() within event() or turn() only
 * notes it, and the connection is closed when the owner has returned, since the
 * event is in its memory.
 *
 * A connection that failed goes to the next broker of the list at once; the
 * wait is once round the list, and after each connection that was lost.
 */
#include "amqp/link.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/status.h"
#include "amqp/topology.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

/* A connection that was up for longer was a good one. */
#define LINK_LASTED_NS (10 * NS_PER_S)

static void link_read(struct link *link);

static void
link_close(struct link *link)
{
	if (link->rabbit == NULL)
		return;
	loop_io_del(link->amqp->loop, &link->io);
	loop_timer_cancel(link->amqp->loop, &link->beat);
	rabbit_close(link->rabbit);
	link->rabbit = NULL;
	topology_on_loss(link->amqp->topology);
}

static void
link_wait(struct link *link, int64_t delay_ns)
{
	link->again_ns = clock_now_ns() + delay_ns;
	loop_timer_set(link->amqp->loop, &link->again, link->again_ns);
}

static int64_t
link_delay(struct link *link)
{
	return backoff_next(&link->backoff, (uint32_t)mrand48());
}

static void
link_next_broker(struct link *link)
{
	link->broker = (link->broker + 1) % link->amqp->conf->amqp.broker.n;
}

/* It was up, and is no more. */
static void
link_lost(struct link *link)
{
	int64_t now_ns = clock_now_ns();

	log_warning("%s: lost %s: %s", link->owner->name, link->where,
	    link->why.text);
	if (now_ns - link->since_ns > LINK_LASTED_NS)
		backoff_reset(&link->backoff);
	link->up = false;
	link->since_ns = now_ns;
	link->attempts = 0;
	link_close(link);
	link_next_broker(link);
	link_wait(link, link_delay(link));
	link->owner->down(link->ctx, link->why.text);
}

/* It did not come up. */
static void
link_in_vain(struct link *link, const char *why)
{
	/* said once, however often it is tried */
	if (strcmp(why, link->why.text) != 0 || link->attempts == 0)
		log_warning("%s: %s", link->owner->name, why);
	mem_copy_string(link->why.text, sizeof(link->why.text), why);
	link_close(link);
	link_next_broker(link);
	link->attempts++;
	if (link->attempts % link->amqp->conf->amqp.broker.n == 0)
		link_wait(link, link_delay(link));
	else
		link_wait(link, 0);
}

void
link_fail(struct link *link, const char *format, ...)
{
	va_list ap;

	if (link->rabbit == NULL || link->failing)
		return;
	va_start(ap, format);
	vsnprintf(link->why.text, sizeof(link->why.text), format, ap);
	va_end(ap);
	if (link->busy)
		link->failing = true;
	else if (link->up)
		link_lost(link);
}

/* After a callback of the owner's. False: it is over. */
static bool
link_goes_on(struct link *link)
{
	link->busy = false;
	if (link->failing) {
		link->failing = false;
		link_lost(link);
	}
	return link->rabbit != NULL;
}

void
link_write(struct link *link)
{
	unsigned want = LOOP_READ;

	if (!link->up)
		return;
	if (rabbit_unwritten(link->rabbit) > 0 && !rabbit_write(link->rabbit)) {
		/* what it says of that is the reason */
		link_read(link);
		return;
	}
	if (rabbit_unwritten(link->rabbit) > 0)
		want |= LOOP_WRITE;
	loop_io_want(link->amqp->loop, &link->io, want);
}

static void
link_read(struct link *link)
{
	struct rabbit_event event;
	enum rabbit_event_kind kind;

	hub_cork(link->amqp->hub, true);
	while (link->up &&
	    (kind = rabbit_next(link->rabbit, &event)) != RABBIT_NONE) {
		if (kind == RABBIT_GONE) {
			link_fail(link, "%s", event.text);
			break;
		}
		link->busy = true;
		link->owner->event(link->ctx, &event);
		if (!link_goes_on(link))
			break;
	}
	hub_cork(link->amqp->hub, false);
}

static void
link_on_io(void *ctx, unsigned events)
{
	struct link *link = ctx;

	if (events & LOOP_READ)
		link_read(link);
	if (events & LOOP_WRITE)
		link_write(link);
}

/* Heartbeats are served by reading. */
static void
link_on_beat(void *ctx)
{
	struct link *link = ctx;

	link_read(link);
	if (link->up)
		loop_timer_set(link->amqp->loop, &link->beat,
		    clock_now_ns() + link->amqp->conf->amqp.heartbeat / 3);
}

bool
link_turns(struct amqp *amqp)
{
	bool more = false;

	for (struct link *link = amqp->links; link != NULL; link = link->next) {
		if (!link->up)
			continue;
		link->busy = true;
		if (link->owner->turn != NULL)
			link->owner->turn(link->ctx);
		if (link_goes_on(link))
			link_write(link);
		/* an answer that was waited for may have brought more */
		if (link->up && rabbit_has_more(link->rabbit)) {
			link_read(link);
			more = true;
		}
	}
	return more;
}

/* Connected: the owner's turn. */
static void
link_set_up(struct link *link)
{
	struct amqp *amqp = link->amqp;
	struct why why = { .text = "" };
	enum rabbit_result result;
	struct rabbit *rabbit = link->rabbit;

	topology_on_link(amqp->topology, link->broker);
	result = link->owner->up(link->ctx, rabbit, &why);
	amqp_alive(amqp);
	if (result != RABBIT_OK) {
		link_in_vain(link, why.text);
		return;
	}
	if (loop_io_add(amqp->loop, &link->io, rabbit_fd(rabbit), LOOP_READ,
		link_on_io, link) == -1)
		child_fail(amqp->child, EXIT_FAILURE,
		    "cannot watch the broker's connection");
	log_notice("%s: connected to %s (%s)", link->owner->name, link->where,
	    rabbit_server(rabbit));
	link->up = true;
	link->attempts = 0;
	link->again_ns = 0;
	link->since_ns = clock_now_ns();
	link->why.text[0] = '\0';
	link_on_beat(link);
}

/* Where one finds a broker, the others need not wait. */
static void
link_rouse_others(struct link *link)
{
	struct link *other = link->amqp->links;

	for (; other != NULL; other = other->next)
		if (loop_timer_is_set(&other->again)) {
			other->broker = link->broker;
			link_wait(other, 0);
		}
}

/* While there is no broker to be found one of the links looks for it, or each
 * of them would wait for each timeout. */
static bool
link_leaves_it(struct link *link)
{
	const struct link *scout = link->amqp->links;

	while (scout->next != NULL)
		scout = scout->next;
	if (scout == link || !scout->away || scout->again_ns == 0)
		return false;
	link->why = scout->why;
	link->again_ns = scout->again_ns + 1;
	loop_timer_set(link->amqp->loop, &link->again, link->again_ns);
	return true;
}

static void
link_try(void *ctx)
{
	struct link *link = ctx;
	const struct conf *conf = link->amqp->conf;
	struct why why = { .text = "" };
	struct url url;

	if (link_leaves_it(link))
		return;
	if (url_parse(conf->amqp.broker.v[link->broker], &url, &why) == -1) {
		link_in_vain(link, why.text);
		return;
	}
	url_text(&url, link->where);
	link->rabbit = rabbit_open(conf, &url, link->owner->name, amqp_alive,
	    link->amqp, &why);
	explicit_bzero(&url, sizeof(url));
	amqp_alive(link->amqp);
	link->away = link->rabbit == NULL;
	if (link->away) {
		link_in_vain(link, why.text);
	} else {
		link_rouse_others(link);
		link_set_up(link);
	}
	status_changed(link->amqp->status);
}

void
link_init(struct link *link, struct amqp *amqp, const struct link_owner *owner,
    void *ctx)
{
	struct url url;

	*link = (struct link){
		.next = amqp->links,
		.amqp = amqp,
		.owner = owner,
		.ctx = ctx,
		.since_ns = clock_now_ns(),
		.io.fd = -1,
	};
	amqp->links = link;
	backoff_init(&link->backoff, amqp->conf->amqp.reconnect_min,
	    amqp->conf->amqp.reconnect_max);
	loop_timer_init(&link->again, link_try, link);
	loop_timer_init(&link->beat, link_on_beat, link);
	if (url_parse(amqp->conf->amqp.broker.v[0], &url, NULL) == 0)
		url_text(&url, link->where);
	explicit_bzero(&url, sizeof(url));
}

void
link_start(struct link *link)
{
	link_wait(link, 0);
}

void
link_stop(struct link *link)
{
	link->up = false;
	loop_timer_cancel(link->amqp->loop, &link->again);
	link_close(link);
}

const char *
link_again_text(const struct link *link, char buf[LINK_TEXT_SIZE])
{
	int64_t left_ns = link->again_ns - clock_now_ns();

	buf[0] = '\0';
	if (link->up || link->again_ns == 0)
		return buf;
	if (left_ns < NS_PER_S / 2)
		snprintf(buf, LINK_TEXT_SIZE, "now");
	else
		snprintf(buf, LINK_TEXT_SIZE, "in %lld s",
		    (long long)((left_ns + NS_PER_S / 2) / NS_PER_S));
	return buf;
}
