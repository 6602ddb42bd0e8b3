/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rabbit_event - frames become events: messages are put together, the rest is
 * told apart.
 *
 * A message comes as a method, a head and pieces of its body, and nothing of
 * the channel in between. Its parts are kept here until it is whole, but for a
 * body in one piece, which stays where it was read.
 */
#include <stdio.h>
#include <string.h>

#include "amqp/rabbit_impl.h"
#include "base/clock.h"
#include "base/utf8.h"

/* By so much it may grow on its way through the hub (its WORK_SLACK). */
#define AROUND 16384
#define BODY_KEEP 65536 /* memory that is kept between messages */

static void
copy(char to[256], amqp_bytes_t from)
{
	size_t n = from.len < 255 ? from.len : 255;

	if (n > 0)
		memcpy(to, from.bytes, n);
	to[n] = '\0';
}

/* A name as the message's: what is no text is refused, and left out. */
static struct msg_bytes
name_of(struct content *content, char to[256], amqp_bytes_t from,
    const char *what)
{
	copy(to, from);
	if (!utf8_is_text(from.bytes, from.len)) {
		why_set(&content->refused, "its %s is no UTF-8 text", what);
		to[0] = '\0';
	}
	return msg_text(to);
}

static void
content_begin(struct content *content, enum rabbit_event_kind kind,
    amqp_bytes_t exchange, amqp_bytes_t key)
{
	static const struct msg_bytes none = { "", 0 };

	content->stage = CONTENT_HEAD;
	content->kind = kind;
	content->redelivered = content->dropped = false;
	content->got = content->tag = content->code = 0;
	content->consumer[0] = content->text[0] = '\0';
	content->refused.text[0] = '\0';
	content->whole = NULL;
	content->message = (struct msg_PUBLISH){ .type = none,
		.body = none,
		.ttl_ms = -1,
		.message_id = none,
		.correlation_id = none,
		.reply_to = none,
		.attrs = none,
		.id = none,
		.traceparent = none };
	content->message.exchange = name_of(content, content->exchange,
	    exchange, "exchange");
	content->message.key = name_of(content, content->key, key, "key");
	buf_reuse(&content->body, BODY_KEEP);
}

static uint64_t
read64(const char *p)
{
	uint64_t n = 0;

	for (int i = 0; i < 8; i++)
		n = n << 8 | (unsigned char)p[i];
	return n;
}

static int
content_head(struct rabbit *rabbit, const struct frame *frame)
{
	struct content *content = &rabbit->content;
	struct msg_PUBLISH *message = &content->message;
	struct why why;

	if (content->stage != CONTENT_HEAD || frame->payload.len < 14 ||
	    frame->payload.p[1] != AMQP_BASIC_CLASS)
		return rabbit_lose(rabbit,
		    "the broker sent the head of a message out of turn");
	content->size = read64(frame->payload.p + 4);
	content->stage = CONTENT_BODY;
	buf_clear(&content->head);
	if (buf_append(&content->head, frame->payload.p + 12,
		frame->payload.len - 12) < 0)
		return rabbit_lose(rabbit, "no memory for a message");
	if (props_decode((struct msg_bytes){ content->head.data,
			     content->head.len },
		rabbit->max_headers, message, &content->attrs,
		&content->attempt, &content->status, &why) < 0 &&
	    content->refused.text[0] == '\0')
		content->refused = why;
	if (content->attrs.len > 0)
		message->attrs = (struct msg_bytes){ content->attrs.data,
			content->attrs.len };
	if (content->size > rabbit->max_message ||
	    msg_size(MSG_PUBLISH, message) + content->size + AROUND >
		rabbit->max_message) {
		content->dropped = true;
		why_set(&content->refused,
		    "it has %llu bytes, more than 'hub.max_message' (%zu) "
		    "holds",
		    (unsigned long long)content->size, rabbit->max_message);
	}
	return 0;
}

static int
content_body(struct rabbit *rabbit, const struct frame *frame)
{
	struct content *content = &rabbit->content;
	uint64_t n = frame->type == RABBIT_FRAME_SKIPPED ? frame->skipped :
							   frame->payload.len;

	if (content->stage != CONTENT_BODY || n > content->size - content->got)
		return rabbit_lose(rabbit,
		    "the broker sent a message's body out of turn");
	content->got += n;
	if (content->dropped || n == 0)
		return 0;
	if (frame->type == RABBIT_FRAME_SKIPPED)
		return rabbit_lose(rabbit, "a body was skipped in vain");
	if (n == content->size)
		content->whole = frame->payload.p;
	else if (buf_append(&content->body, frame->payload.p, n) < 0)
		return rabbit_lose(rabbit, "no memory for a message");
	return 0;
}

/* All of it is here? */
static bool
content_end(struct rabbit *rabbit, struct rabbit_event *event)
{
	struct content *content = &rabbit->content;

	if (content->stage != CONTENT_BODY || content->got < content->size)
		return false;
	content->stage = CONTENT_NONE;
	if (!content->dropped && content->size > 0)
		content->message.body = (struct msg_bytes){ content->whole !=
				NULL ?
			    content->whole :
			    content->body.data,
			(size_t)content->size };
	*event = (struct rabbit_event){ .kind = content->kind,
		.tag = content->tag,
		.redelivered = content->redelivered,
		.consumer = content->consumer,
		.code = content->code,
		.text = content->text,
		.message = content->message,
		.attempt = content->attempt,
		.status = content->status,
		.size = content->size,
		.refused = content->refused.text };
	return true;
}

/* ------------------------------------------------------------------ methods */

static void
on_deliver(struct content *content, const amqp_basic_deliver_t *deliver)
{
	content_begin(content, RABBIT_DELIVERY, deliver->exchange,
	    deliver->routing_key);
	content->tag = deliver->delivery_tag;
	content->redelivered = deliver->redelivered;
	copy(content->consumer, deliver->consumer_tag);
}

static void
on_get_ok(struct content *content, const amqp_basic_get_ok_t *ok)
{
	content_begin(content, RABBIT_DELIVERY, ok->exchange, ok->routing_key);
	content->tag = ok->delivery_tag;
	content->redelivered = ok->redelivered;
}

static void
on_return(struct content *content, const amqp_basic_return_t *returned)
{
	content_begin(content, RABBIT_RETURN, returned->exchange,
	    returned->routing_key);
	content->code = returned->reply_code;
	rabbit_clean(content->text, sizeof(content->text),
	    returned->reply_text.bytes, returned->reply_text.len);
}

static void
set_text(struct rabbit *rabbit, struct rabbit_event *event, amqp_bytes_t text)
{
	rabbit_clean(rabbit->text, sizeof(rabbit->text), text.bytes, text.len);
	event->text = rabbit->text;
}

static void
on_cancel(struct rabbit *rabbit, struct rabbit_event *event,
    const amqp_basic_cancel_t *cancel)
{
	amqp_basic_cancel_ok_t ok = { .consumer_tag = cancel->consumer_tag };

	if (!cancel->nowait)
		rabbit_method(rabbit, RABBIT_CHANNEL,
		    AMQP_BASIC_CANCEL_OK_METHOD, &ok);
	copy(rabbit->content.consumer, cancel->consumer_tag);
	event->kind = RABBIT_CANCELLED;
	event->consumer = rabbit->content.consumer;
}

static void
on_channel_close(struct rabbit *rabbit, struct rabbit_event *event,
    const amqp_channel_close_t *close)
{
	event->kind = RABBIT_CHANNEL_CLOSED;
	event->code = close->reply_code;
	set_text(rabbit, event, close->reply_text);
	rabbit_reopen(rabbit);
}

static void
on_connection_close(struct rabbit *rabbit, const amqp_connection_close_t *close)
{
	amqp_connection_close_ok_t ok = { 0 };
	char text[256];

	rabbit_clean(text, sizeof(text), close->reply_text.bytes,
	    close->reply_text.len);
	rabbit_unwrite(rabbit);
	rabbit_method(rabbit, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok);
	rabbit_write(rabbit);
	rabbit_lose(rabbit, "the broker closed the connection: %s", text);
}

static void
on_confirm(struct rabbit_event *event, uint64_t tag, bool multiple, bool ok)
{
	event->kind = RABBIT_CONFIRM;
	event->tag = tag;
	event->multiple = multiple;
	event->ok = ok;
}

static void
on_method(struct rabbit *rabbit, const struct frame *frame,
    struct rabbit_event *event)
{
	struct content *content = &rabbit->content;
	amqp_method_number_t id;
	void *decoded = rabbit_decode(rabbit, frame, &id);
	const amqp_basic_ack_t *ack = decoded;
	const amqp_basic_nack_t *nack = decoded;

	if (decoded == NULL)
		return;
	if (frame->channel != 0 && content->stage != CONTENT_NONE &&
	    id != AMQP_CHANNEL_CLOSE_METHOD) {
		rabbit_lose(rabbit,
		    "the broker sent something in the middle of a message");
		return;
	}
	switch (id) {
	case AMQP_BASIC_DELIVER_METHOD:
		on_deliver(content, decoded);
		break;
	case AMQP_BASIC_GET_OK_METHOD:
		on_get_ok(content, decoded);
		break;
	case AMQP_BASIC_RETURN_METHOD:
		on_return(content, decoded);
		break;
	case AMQP_BASIC_ACK_METHOD:
		on_confirm(event, ack->delivery_tag, ack->multiple, true);
		break;
	case AMQP_BASIC_NACK_METHOD:
		on_confirm(event, nack->delivery_tag, nack->multiple, false);
		break;
	case AMQP_BASIC_CANCEL_METHOD:
		on_cancel(rabbit, event, decoded);
		break;
	case AMQP_CHANNEL_CLOSE_METHOD:
		on_channel_close(rabbit, event, decoded);
		break;
	case AMQP_CONNECTION_CLOSE_METHOD:
		on_connection_close(rabbit, decoded);
		break;
	case AMQP_CONNECTION_BLOCKED_METHOD:
		event->kind = RABBIT_BLOCKED;
		rabbit->blocked = true;
		set_text(rabbit, event,
		    ((amqp_connection_blocked_t *)decoded)->reason);
		break;
	case AMQP_CONNECTION_UNBLOCKED_METHOD:
		event->kind = RABBIT_UNBLOCKED;
		rabbit->blocked = false;
		break;
	case AMQP_CHANNEL_OPEN_OK_METHOD: /* rabbit_reopen() */
		break;
	case AMQP_QUEUE_UNBIND_OK_METHOD:
		rabbit->unbinds -= rabbit->unbinds > 0;
		break;
	default:
		rabbit_lose(rabbit,
		    "the broker sent what makes no sense here: %s",
		    amqp_method_name(id) != NULL ? amqp_method_name(id) :
						   "no known method");
	}
}

static void
on_frame(struct rabbit *rabbit, const struct frame *frame,
    struct rabbit_event *event)
{
	switch (frame->type) {
	case AMQP_FRAME_METHOD:
		on_method(rabbit, frame, event);
		break;
	case AMQP_FRAME_HEADER:
		if (content_head(rabbit, frame) == 0)
			content_end(rabbit, event);
		break;
	case AMQP_FRAME_BODY:
	case RABBIT_FRAME_SKIPPED:
		if (content_body(rabbit, frame) == 0)
			content_end(rabbit, event);
		break;
	case AMQP_FRAME_HEARTBEAT:
		break;
	default:
		rabbit_lose(rabbit,
		    "the broker sent a frame of no kind there is (%u)",
		    frame->type);
	}
}

enum rabbit_event_kind
rabbit_next(struct rabbit *rabbit, struct rabbit_event *event)
{
	struct frame frame;
	int n;

	memset(event, 0, sizeof(*event));
	event->text = event->consumer = event->refused = "";
	while (!rabbit->gone) {
		n = rabbit_frame(rabbit, true, &frame);
		if (n > 0) {
			on_frame(rabbit, &frame, event);
			if (event->kind != RABBIT_NONE)
				return event->kind;
			continue;
		}
		if (n < 0)
			break;
		/* a short read has shown that there is no more */
		if ((!rabbit->starved || rabbit->out_dead) &&
		    rabbit_fill(rabbit) > 0)
			continue;
		if (rabbit->gone)
			break;
		rabbit->starved = false;
		if (rabbit->out_dead)
			rabbit_lose(rabbit, "the broker closed the connection");
		else if (rabbit_beat(rabbit) == 0)
			return RABBIT_NONE;
	}
	event->kind = RABBIT_GONE;
	event->text = rabbit->why.text;
	return RABBIT_GONE;
}
