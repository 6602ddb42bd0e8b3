/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * publish_tell - what the hub and the log are told of published messages.
 *
 * Called by publish. SENTs of a turn go together; a message that is held or
 * returned is somebody's mistake that comes a thousand times a second, so logs
 * are bounded, and the counts are whole.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/publish_impl.h"
#include "amqp/status.h"
#include "amqp/topology.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/call.h"
#include "core/retry.h"

/* Of a SENT; its frame is far below the smallest hub.max_message. */
#define SENT_BYTES 32768
/* Returns that are logged in full, in each of these times. */
#define RETURNS_LOGGED 20
#define RETURNS_NS (10 * NS_PER_S)
/* A reason that was logged is not logged again within this time. */
#define HELD_NS (60 * NS_PER_S)

void
publish_flush_sent(struct publish *publish)
{
	struct msg_SENT sent = {
		.epoch = publish->epoch,
		.all = { publish->sent.data, publish->sent.len },
	};

	if (publish->sent.len == 0)
		return;
	hub_note(publish->amqp->hub, MSG_SENT, &sent);
	buf_clear(&publish->sent);
}

void
publish_sent(struct publish *publish, uint64_t seq, enum sent_how how,
    const char *why)
{
	struct msg_SENT_ONE one = {
		.seq = seq,
		.how = (uint8_t)how,
		.why = msg_text(why),
	};

	msg_encode(&publish->sent, MSG_SENT_ONE, 0, &one);
	if (publish->sent.len > SENT_BYTES)
		publish_flush_sent(publish);
}

void
publish_hold(struct publish *publish, uint64_t seq, const char *why)
{
	struct publish_count *count = &publish->count;
	int64_t now_ns = clock_now_ns();
	bool same = strcmp(count->held_why, why) == 0;

	count->held++;
	publish->held_ns = now_ns;
	snprintf(count->held_why, sizeof(count->held_why), "%s", why);
	if (!same || now_ns >= publish->held_logged_ns + HELD_NS) {
		publish->held_logged_ns = now_ns;
		log_warning("message %" PRIu64 " of the outbox is held: %s; "
			    "tried again each amqp.refresh",
		    seq, why);
	}
	publish_sent(publish, seq, SENT_HELD, why);
	if (!same)
		status_changed(publish->amqp->status);
}

/* False: enough was logged for now. */
static bool
publish_may_log_return(struct publish *publish)
{
	int64_t now_ns = clock_now_ns();

	if (now_ns >= publish->returns_since_ns + RETURNS_NS) {
		if (publish->returns_silent > 0)
			log_warning("%" PRIu64 " more messages were returned "
				    "meanwhile",
			    publish->returns_silent);
		publish->returns_since_ns = now_ns;
		publish->returns_logged = 0;
		publish->returns_silent = 0;
	}
	if (publish->returns_logged++ < RETURNS_LOGGED)
		return true;
	publish->returns_silent++;
	return false;
}

static void
publish_log_return(struct publish *publish, const struct rabbit_event *event)
{
	const struct msg_PUBLISH *message = &event->message;
	struct publish_count *count = &publish->count;

	count->returned++;
	snprintf(count->last_return, sizeof(count->last_return),
	    "exchange \"%.*s\", key \"%.*s\": %u %s",
	    (int)message->exchange.len, message->exchange.p,
	    (int)message->key.len, message->key.p, event->code, event->text);
	status_changed(publish->amqp->status);
	if (!publish_may_log_return(publish))
		return;
	log_warning("message %.*s was returned by the broker, no queue takes "
		    "it: %s",
	    (int)message->message_id.len, message->message_id.p,
	    count->last_return);
}

/* For a queue of ours, which will be there again, or a dead letter, whose
 * exchange has lost its queue: nobody has another copy. */
static bool
publish_must_arrive(const struct publish *publish,
    const struct msg_PUBLISH *message)
{
	enum retry_kind kind;
	struct msg_bytes reason;
	int64_t step_ms;

	if (message->exchange.len == 0)
		return retry_parse(publish->amqp->conf, message->key, &kind,
			   &step_ms) != NULL;
	return msg_attr(message->attrs, CALL_HEADER, DEATH_REASON, &reason);
}

void
publish_on_return(struct publish *publish, const struct rabbit_event *event)
{
	const struct msg_PUBLISH *message = &event->message;
	struct flight *flight = flights_returned(&publish->flights,
	    flight_mark(message->exchange, message->key, message->message_id),
	    event->code);
	struct why why;

	publish_log_return(publish, event);
	if (flight == NULL)
		return;
	if (flight->seq == 0) {
		why_set(&why,
		    "no queue takes it: exchange \"%.*s\", key \"%.*s\"",
		    (int)message->exchange.len, message->exchange.p,
		    (int)message->key.len, message->key.p);
		requests_fail(publish->requests, flight->uid, HUB_UNROUTABLE,
		    why.text);
		return;
	}
	flight->keep = publish_must_arrive(publish, message);
	if (flight->keep)
		topology_forget_keys(publish->amqp->topology);
}

void
publish_tell(struct publish *publish)
{
	json_t *json = status_json(publish->amqp->status);
	char *text = json_dumps(json, JSON_COMPACT);
	struct msg_LINK link = {
		.epoch = publish->epoch,
		.publishing = publish->up && !publish->blocked &&
		    !publish->draining &&
		    topology_is_bound(publish->amqp->topology),
		.window = publish->count.window,
		.json = msg_text(text),
	};

	publish_flush_sent(publish);
	hub_note(publish->amqp->hub, MSG_LINK, &link);
	publish->tell = false;
	free(text);
	json_decref(json);
}
