/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * publish_send - SENDs in their order: what may be published now, what has to
 * wait, what is held.
 *
 * Called by publish. Under an alarm RabbitMQ stops reading at the first publish
 * and says so only then, and answers nothing that is sent behind it; so
 * whatever asks for an answer (a bind, the declaration of a delay queue) waits
 * until everything before it is confirmed. What waits is copied; usually
 * nothing does.
 */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "amqp/publish_impl.h"
#include "amqp/status.h"
#include "amqp/topology.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/retry.h"

/* A refused binding is tried again after so many amqp.refresh. */
#define BIND_REFRESHES 6

/* What became of a SEND. LOST: everything did, the link was told. */
enum step { STEP_DONE, STEP_WAIT, STEP_LOST };

struct publish_suspect *
publish_suspect(struct publish *publish, uint64_t seq, bool add)
{
	struct publish_suspect *suspect;

	for (size_t i = 0; i < PUBLISH_SUSPECTS; i++)
		if (publish->suspect[i].seq == seq)
			return &publish->suspect[i];
	if (!add)
		return NULL;
	suspect = &publish->suspect[publish->suspect_at];
	publish->suspect_at = (publish->suspect_at + 1) % PUBLISH_SUSPECTS;
	*suspect = (struct publish_suspect){ .seq = seq };
	return suspect;
}

/* "NOT_FOUND - no exchange 'x' in vhost '/'", "ACCESS_REFUSED - access to
 * exchange 'x'…"; one that refuses a topic takes others. */
void
publish_close_exchange(struct publish *publish, unsigned code, const char *text,
    const char *why)
{
	static const char before[] = "exchange '";
	const char *name = strstr(text, before), *end;
	struct publish_closed *closed;

	if ((code != 403 && code != 404) || name == NULL ||
	    strstr(text, "topic '") != NULL)
		return;
	name += strlen(before);
	end = strchr(name, '\'');
	if (end == NULL || (size_t)(end - name) >= sizeof(closed->exchange))
		return;
	closed = &publish->closed[publish->closed_at];
	publish->closed_at = (publish->closed_at + 1) % PUBLISH_CLOSED;
	memcpy(closed->exchange, name, (size_t)(end - name));
	closed->exchange[end - name] = '\0';
	closed->until_ns = clock_now_ns() + publish->amqp->conf->amqp.refresh;
	mem_copy_string(closed->why, sizeof(closed->why), why);
}

/* Why nothing is published to that exchange now; NULL. */
static const char *
publish_exchange_fault(const struct publish *publish, struct msg_bytes exchange)
{
	const char *fault = topology_exchange_fault(publish->amqp->topology,
	    exchange);

	for (size_t i = 0; fault == NULL && i < PUBLISH_CLOSED; i++) {
		const struct publish_closed *closed = &publish->closed[i];

		if (closed->until_ns != 0 &&
		    msg_is(exchange, closed->exchange) &&
		    clock_now_ns() < closed->until_ns)
			fault = closed->why;
	}
	return fault;
}

static void
publish_refuse(struct publish *publish, uint64_t seq, uint64_t uid,
    const char *why)
{
	if (seq != 0)
		publish_hold(publish, seq, why);
	else
		requests_fail(publish->requests, uid, HUB_GONE, why);
}

/* ----------------------------------------------------------------- bind */

static const char *
publish_bind_fault(const struct publish *publish, const struct msg_BIND *bind)
{
	const struct topology *topology = publish->amqp->topology;
	const struct conf *conf = publish->amqp->conf;
	const char *fault = topology_exchange_fault(topology, bind->exchange);
	size_t queue = conf_find_queue(conf, bind->queue);

	if (fault == NULL && queue < conf->queue.n)
		fault = topology_queue_fault(topology, queue);
	return fault;
}

static enum step
publish_bind(struct publish *publish, uint64_t seq, const struct msg_BIND *bind)
{
	struct rabbit *rabbit = publish->link.rabbit;
	char *queue, *exchange;
	const struct publish_suspect *suspect;
	const char *fault;
	enum rabbit_result result;
	struct why why = { "" }, held;
	unsigned code = 0;

	if (publish->flights.unsettled > 0)
		return STEP_WAIT;
	suspect = publish_suspect(publish, seq, false);
	if (suspect != NULL && suspect->not_before_ns > clock_now_ns())
		fault = "the broker has refused to bind it";
	else
		fault = publish_bind_fault(publish, bind);
	if (fault != NULL) {
		publish_hold(publish, seq, fault);
		return STEP_DONE;
	}
	queue = msg_string(bind->queue);
	exchange = msg_string(bind->exchange);
	result = rabbit_bind(rabbit, queue, exchange, bind->key, bind->on != 0,
	    true, &code, &why);
	free(queue);
	free(exchange);
	if (result == RABBIT_LOST) {
		link_fail(&publish->link, "%s", why.text);
		return STEP_LOST;
	}
	if (result == RABBIT_OK) {
		topology_on_bind(publish->amqp->topology, bind);
		publish_sent(publish, seq, SENT_CONFIRMED, "");
		return STEP_DONE;
	}
	why_set(&held, "the broker refuses to %s: %s",
	    bind->on != 0 ? "bind" : "unbind", why.text);
	publish_hold(publish, seq, held.text);
	/* it costs a channel each time */
	publish_suspect(publish, seq, true)->not_before_ns = clock_now_ns() +
	    BIND_REFRESHES * publish->amqp->conf->amqp.refresh;
	publish_renew(publish, held.text);
	return STEP_LOST;
}

/* -------------------------------------------------------------- publish */

/* A delay queue or dead-letter queue of ours is there before it is sent to. */
static enum step
publish_declare(struct publish *publish, uint64_t seq, uint64_t uid,
    const struct msg_PUBLISH *message)
{
	struct topology *topology = publish->amqp->topology;
	enum rabbit_result result;
	struct why why = { "" };

	if (message->exchange.len != 0 ||
	    topology_knows_key(topology, message->key))
		return STEP_DONE;
	if (publish->flights.unsettled > 0)
		return STEP_WAIT;
	result = topology_declare_key(topology, publish->link.rabbit,
	    message->key, &why);
	if (result == RABBIT_OK)
		return STEP_DONE;
	if (result == RABBIT_LOST) {
		link_fail(&publish->link, "%s", why.text);
		return STEP_LOST;
	}
	publish_refuse(publish, seq, uid, why.text);
	publish_renew(publish, why.text);
	return STEP_LOST;
}

/* False: it is under way already, or is done. */
static bool
publish_is_new(struct publish *publish, uint64_t seq,
    const struct msg_PUBLISH *message, uint64_t mark)
{
	switch (flights_adopt(&publish->flights, seq, message->uid, mark)) {
	case FLIGHT_UNKNOWN:
		return true;
	case FLIGHT_UNDER_WAY:
		break;
	case FLIGHT_CONFIRMED:
		publish_sent(publish, seq, SENT_CONFIRMED, "");
		break;
	case FLIGHT_RETURNED:
		publish_sent(publish, seq, SENT_RETURNED, "no queue takes it");
		break;
	}
	return false;
}

static enum step
publish_message(struct publish *publish, uint64_t seq, uint64_t uid,
    struct msg_PUBLISH *message)
{
	uint64_t mark = flight_mark(message->exchange, message->key,
	    message->message_id);
	const struct publish_suspect *suspect = seq != 0 ?
	    publish_suspect(publish, seq, false) :
	    NULL;
	char correlation[REQUEST_CORRELATION_SIZE];
	struct why why = { "" };
	const char *fault;
	enum step step;
	uint64_t number;

	if (!publish_is_new(publish, seq, message, mark))
		return STEP_DONE;
	fault = publish_exchange_fault(publish, message->exchange);
	if (fault == NULL && suspect != NULL &&
	    suspect->not_before_ns > clock_now_ns())
		fault = "connections were lost each time it was published";
	if (fault != NULL) {
		publish_refuse(publish, seq, uid, fault);
		return STEP_DONE;
	}
	if (suspect != NULL && publish->flights.unsettled > 0)
		return STEP_WAIT;
	step = publish_declare(publish, seq, uid, message);
	if (step != STEP_DONE)
		return step;
	if (seq == 0) {
		message->correlation_id = msg_text(
		    requests_correlation(publish->requests, uid, correlation));
		message->reply_to = msg_text(DIRECT_REPLY_TO);
		if (message->correlation_id.len == 0)
			return STEP_DONE;
	}
	/* That nobody takes it is to be seen whether or not it was asked for.
	 * What goes to a direct reply-to RabbitMQ would return in any case. */
	message->mandatory = message->exchange.len != 0 ||
	    !msg_begins(message->key, DIRECT_ADDRESS);
	if (rabbit_publish(publish->link.rabbit, message, seq == 0, &number,
		&why) < 0) {
		publish_refuse(publish, seq, uid, why.text);
		return STEP_DONE;
	}
	if (publish->flights.unsettled == 0)
		publish->progress_ns = clock_now_ns();
	flights_add(&publish->flights, number, seq,
	    seq != 0 ? message->uid : uid, mark);
	publish->alone = suspect != NULL;
	publish->count.published++;
	return STEP_DONE;
}

/* ------------------------------------------------------------- in order */

/* One message at a time, while it is to be found out which one is at fault. */
static bool
publish_may(struct publish *publish, uint64_t seq)
{
	if (!publish->up || publish->blocked || publish->alone)
		return false;
	if (publish->careful_seq == 0)
		return true;
	if (publish->flights.unsettled > 0)
		return false;
	if (seq > publish->careful_seq)
		publish->careful_seq = 0;
	return true;
}

static enum step
publish_try(struct publish *publish, uint64_t seq, uint64_t uid,
    struct msg_bytes what)
{
	enum msg_id id;
	union msg msg;
	size_t at = 0;
	struct why why = { "" };

	if (!publish_may(publish, seq))
		return STEP_WAIT;
	if (msg_part(what, &at, MSG_ID_BIT(PUBLISH) | MSG_ID_BIT(BIND), &id,
		&msg, &why) != 1) {
		publish_refuse(publish, seq, uid, why.text);
		return STEP_DONE;
	}
	if (id == MSG_BIND)
		return publish_bind(publish, seq, &msg.BIND);
	return publish_message(publish, seq, uid, &msg.PUBLISH);
}

static void
publish_item_free(struct publish *publish, struct publish_item *item)
{
	DL_DELETE(publish->items, item);
	publish->items_n--;
	free(item);
}

void
publish_drop(struct publish *publish, bool all)
{
	struct publish_item *item = NULL, *next;

	DL_FOREACH_SAFE(publish->items, item, next)
	{
		if (item->seq == 0 && !all)
			continue;
		if (item->seq == 0)
			requests_fail(publish->requests, item->uid, HUB_GONE,
			    "the connection to the broker was lost");
		publish_item_free(publish, item);
	}
}

void
publish_pump(struct publish *publish)
{
	struct publish_item *item;

	while ((item = publish->items) != NULL) {
		/* LOST: the items are gone, this one too */
		if (publish_try(publish, item->seq, item->uid, item->what) !=
		    STEP_DONE)
			break;
		publish_item_free(publish, item);
	}
}

static void
publish_put_off(struct publish *publish, const struct msg_SEND *send)
{
	struct publish_item *item = mem_alloc(sizeof(*item) + send->what.len);

	item->seq = send->seq;
	item->uid = send->uid;
	item->what = (struct msg_bytes){ (char *)(item + 1), send->what.len };
	memcpy(item + 1, send->what.p, send->what.len);
	DL_APPEND(publish->items, item);
	publish->items_n++;
}

void
publish_on_send(struct publish *publish, const struct msg_SEND *send)
{
	bool stale = send->epoch != publish->epoch || !publish->up;

	if (send->seq == 0 &&
	    !requests_add(publish->requests, send->uid, send->deadline_ns))
		return;
	if (stale) {
		if (send->seq == 0)
			requests_fail(publish->requests, send->uid, HUB_GONE,
			    "the connection to the broker was lost");
		return;
	}
	if (publish->items == NULL &&
	    publish_try(publish, send->seq, send->uid, send->what) != STEP_WAIT)
		return;
	publish_put_off(publish, send);
}
