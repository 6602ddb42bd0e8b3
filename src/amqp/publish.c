/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * publish - the publishing connection, and what becomes of it.
 *
 * Owned by amqp; publish_send.c decides what goes out on it.
 *
 * A broker that does not like a message closes the channel, and does not say
 * which one it was: what is under way is then of unknown fate. All of it is
 * forgotten, everything is declared anew, and the hub sends it again (a new
 * epoch); it is published one at a time up to the last that was under way. The
 * one that is alone when the channel is closed again is the one, and is held.
 * A connection that is lost twice before anything is confirmed is treated the
 * same.
 */
#include "amqp/publish.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "amqp/publish_impl.h"
#include "amqp/status.h"
#include "amqp/topology.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/retry.h"

/* Connections in vain until one message at a time is sent. */
#define IN_VAIN_MAX 2
/* How long a message waits that a connection was lost over, each time. */
#define DEADLY_NS (60 * NS_PER_S)

/* ----------------------------------------------------------- the channel */

static enum rabbit_result
publish_set_up(struct publish *publish, struct rabbit *rabbit, struct why *why)
{
	struct topology *topology = publish->amqp->topology;
	enum rabbit_result result;
	unsigned code;

	result = topology_declare(topology, rabbit, why);
	if (result == RABBIT_OK)
		result = rabbit_confirms(rabbit, &code, why);
	if (result == RABBIT_OK)
		result = rabbit_consume(rabbit, DIRECT_REPLY_TO, REQUEST_TAG, 0,
		    true, &code, why);
	return result;
}

/* What was sent before is not known any more; the hub sends it again. */
static void
publish_new_epoch(struct publish *publish, bool all)
{
	publish_flush_sent(publish);
	publish_drop(publish, all);
	publish->alone = false;
	publish->epoch++;
	publish->tell = true;
	loop_timer_set(publish->amqp->loop, &publish->turn, 0);
	status_changed(publish->amqp->status);
}

static enum rabbit_result
publish_on_up(void *ctx, struct rabbit *rabbit, struct why *why)
{
	struct publish *publish = ctx;
	enum rabbit_result result;

	topology_forget_keys(publish->amqp->topology);
	result = publish_set_up(publish, rabbit, why);
	if (result != RABBIT_OK)
		return result;
	publish->up = true;
	publish->blocked = false;
	publish->confirmed = false;
	publish_new_epoch(publish, true);
	return RABBIT_OK;
}

/* The one that was alone when the connection was lost. */
static void
publish_blame_death(struct publish *publish, const struct flight *flight,
    const char *why)
{
	struct publish_suspect *suspect = publish_suspect(publish, flight->seq,
	    true);
	struct why text;

	if (++suspect->deaths < IN_VAIN_MAX)
		return;
	suspect->not_before_ns = clock_now_ns() + DEADLY_NS;
	why_set(&text, "the connection is lost each time it is published: %s",
	    why);
	publish_hold(publish, flight->seq, text.text);
}

static void
publish_on_down(void *ctx, const char *why)
{
	struct publish *publish = ctx;
	const struct flight *single = flights_single(&publish->flights);
	struct why text;

	publish->up = false;
	if (publish->flights.unsettled > 0 && !publish->confirmed &&
	    !publish->blocked)
		publish->in_vain++;
	else
		publish->in_vain = 0;
	if (publish->in_vain >= IN_VAIN_MAX) {
		if (single != NULL && single->seq != 0)
			publish_blame_death(publish, single, why);
		else
			publish->careful_seq = flights_last_seq(
			    &publish->flights);
	}
	publish->blocked = false;
	why_set(&text,
	    "the connection to the broker was lost before an answer came: %s",
	    why);
	flights_forget(&publish->flights);
	requests_fail_all(publish->requests, HUB_GONE, text.text);
	publish_new_epoch(publish, true);
}

static void
publish_set_up_again(struct publish *publish)
{
	enum rabbit_result result;
	struct why why = { "" };

	publish_new_epoch(publish, true);
	result = publish_set_up(publish, publish->link.rabbit, &why);
	if (result != RABBIT_OK)
		link_fail(&publish->link, "%s", why.text);
}

void
publish_renew(struct publish *publish, const char *why)
{
	requests_fail_all(publish->requests, HUB_GONE, why);
	publish_set_up_again(publish);
}

static void
publish_on_closed(struct publish *publish, const struct rabbit_event *event)
{
	const struct flight *single = flights_single(&publish->flights);
	struct why why;

	why_set(&why, "the broker refuses it: %u %s", event->code, event->text);
	if (single != NULL && single->seq != 0) {
		/* an exchange that was deleted is there again now */
		if (publish_suspect(publish, single->seq, false) == NULL) {
			publish_suspect(publish, single->seq, true);
		} else {
			publish_hold(publish, single->seq, why.text);
			publish_close_exchange(publish, event->code,
			    event->text, why.text);
		}
	} else if (single != NULL) {
		requests_fail(publish->requests, single->uid, HUB_UNROUTABLE,
		    why.text);
	} else {
		publish->careful_seq = flights_last_seq(&publish->flights);
		log_warning("the broker has closed the channel that publishes: "
			    "%u %s; sending again what was under way, one at "
			    "a time",
		    event->code, event->text);
	}
	flights_forget(&publish->flights);
	publish_renew(publish,
	    "the broker closed the channel before an answer came");
}

/* ------------------------------------------------------------- confirms */

static void
publish_on_settled(void *ctx, const struct flight *flight, bool ok)
{
	struct publish *publish = ctx;
	struct publish_suspect *suspect;

	if (flight->seq == 0) {
		if (!ok)
			requests_fail(publish->requests, flight->uid, HUB_FULL,
			    "the broker has no room for it");
		return;
	}
	if (!ok) {
		publish_hold(publish, flight->seq,
		    "the broker has no room for it: a queue that it goes to "
		    "is full (x-overflow) or has failed");
		return;
	}
	if (flight->keep) {
		publish_hold(publish, flight->seq,
		    "no queue takes it, and it must not be lost");
		return;
	}
	suspect = publish_suspect(publish, flight->seq, false);
	if (suspect != NULL)
		*suspect = (struct publish_suspect){ .seq = 0 };
	publish->count.confirmed++;
	publish_sent(publish, flight->seq,
	    flight->code != 0 ? SENT_RETURNED : SENT_CONFIRMED,
	    flight->code != 0 ? "no queue takes it" : "");
}

static void
publish_on_confirm(struct publish *publish, const struct rabbit_event *event)
{
	publish->confirmed = true;
	publish->progress_ns = clock_now_ns();
	flights_confirm(&publish->flights, event->tag, event->multiple,
	    event->ok, publish_on_settled, publish);
	if (publish->flights.unsettled == 0)
		publish->alone = false;
}

static void
publish_on_blocked(struct publish *publish, const char *why)
{
	publish->blocked = why != NULL;
	mem_copy_string(publish->count.blocked_why,
	    sizeof(publish->count.blocked_why), why != NULL ? why : "");
	if (why != NULL)
		log_warning("the broker takes no messages: %s", why);
	else
		log_notice("the broker takes messages again");
	publish->tell = true;
	status_changed(publish->amqp->status);
}

static void
publish_on_event(void *ctx, const struct rabbit_event *event)
{
	struct publish *publish = ctx;

	switch (event->kind) {
	case RABBIT_CONFIRM:
		publish_on_confirm(publish, event);
		break;
	case RABBIT_RETURN:
		publish_on_return(publish, event);
		break;
	case RABBIT_DELIVERY:
		requests_on_reply(publish->requests, event);
		break;
	case RABBIT_BLOCKED:
		publish_on_blocked(publish, event->text);
		break;
	case RABBIT_UNBLOCKED:
		publish_on_blocked(publish, NULL);
		break;
	case RABBIT_CHANNEL_CLOSED:
		publish_on_closed(publish, event);
		break;
	case RABBIT_CANCELLED:
		link_fail(&publish->link,
		    "the broker sends no answers to requests any more");
		break;
	case RABBIT_NONE:
	case RABBIT_GONE:
		break;
	}
}

/* At the end of each turn of the loop in which anything was done. */
static void
publish_on_turn(void *ctx)
{
	struct publish *publish = ctx;

	publish_pump(publish);
	publish_flush_sent(publish);
	if (publish->tell)
		publish_tell(publish);
}

/* ---------------------------------------------------------- for the role */

static const struct link_owner publish_owner = {
	.name = "publishing",
	.up = publish_on_up,
	.down = publish_on_down,
	.event = publish_on_event,
	.turn = publish_on_turn,
};

struct publish *
publish_new(struct amqp *amqp)
{
	struct publish *publish = mem_alloc(sizeof(*publish));
	unsigned window = (unsigned)amqp->conf->amqp.publish_window;

	publish->amqp = amqp;
	publish->count.window = window;
	flights_init(&publish->flights, window);
	publish->requests = requests_new(amqp);
	buf_init(&publish->sent, SIZE_MAX / 2);
	loop_timer_init(&publish->turn, publish_on_turn, publish);
	link_init(&publish->link, amqp, &publish_owner, publish);
	return publish;
}

void
publish_start(struct publish *publish)
{
	link_start(&publish->link);
}

void
publish_drain(struct publish *publish)
{
	publish->draining = true;
	publish->tell = true;
	loop_timer_set(publish->amqp->loop, &publish->turn, 0);
}

/* A broker that takes nothing is not waited for: the hub has it all. */
bool
publish_is_idle(const struct publish *publish)
{
	if (!publish->up || publish->blocked)
		return true;
	return publish->items == NULL && publish->flights.unsettled == 0 &&
	    requests_waiting(publish->requests) == 0;
}

void
publish_free(struct publish *publish)
{
	publish_flush_sent(publish);
	link_stop(&publish->link);
	publish_drop(publish, true);
	loop_timer_cancel(publish->amqp->loop, &publish->turn);
	requests_free(publish->requests);
	flights_release(&publish->flights);
	buf_release(&publish->sent);
	free(publish);
}

const struct link *
publish_link(const struct publish *publish)
{
	return &publish->link;
}

void
publish_on_hub(struct publish *publish)
{
	buf_clear(&publish->sent); /* the other hub's */
	flights_orphan(&publish->flights);
	publish->careful_seq = 0;
	publish_new_epoch(publish, false);
}

void
publish_count(const struct publish *publish, struct publish_count *count)
{
	*count = publish->count;
	/* what is held comes again each amqp.refresh */
	if (clock_now_ns() >
	    publish->held_ns + 2 * publish->amqp->conf->amqp.refresh)
		count->held_why[0] = '\0';
	if (publish->flights.unsettled > 0)
		count->stalled_ns = clock_now_ns() - publish->progress_ns;
	count->blocked = publish->blocked;
	count->under_way = (unsigned)(publish->flights.unsettled +
	    publish->items_n);
}
