/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rabbit_write - frames to the broker.
 *
 * What is to be sent is encoded at once, behind what waits already, and leaves
 * when rabbit_write() is called: many publishes and acks in one system call,
 * and never more than the kernel takes.
 */
#include <errno.h>
#include <string.h>

#include "amqp/rabbit_impl.h"
#include "base/clock.h"

#define METHOD_ROOM 2048      /* more than a method without a table takes */
#define WRITE_SOON 131072     /* no need to wait for more */
#define WRITE_MOST (4u << 20) /* in one turn */
#define COMPACT (1u << 20)    /* bytes written that are still kept */
#define OUT_KEEP (1u << 20)   /* memory that is kept when there is nothing */

static uint32_t
read32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 |
	    (uint32_t)u[2] << 8 | u[3];
}

static void
write32(char *p, size_t n)
{
	for (int i = 0; i < 4; i++)
		p[i] = (char)(n >> (24 - 8 * i));
}

/* A frame whose payload of len bytes is yet to be filled in; NULL: no room. */
static char *
begin(struct buf *out, uint8_t type, unsigned channel, size_t len)
{
	char *p = buf_extend(out, RABBIT_FRAME_HEAD + len + 1);

	if (p == NULL)
		return NULL;
	p[0] = (char)type;
	p[1] = (char)(channel >> 8);
	p[2] = (char)channel;
	write32(p + 3, len);
	p[RABBIT_FRAME_HEAD + len] = (char)RABBIT_FRAME_END;
	return p + RABBIT_FRAME_HEAD;
}

static int
put_method(struct buf *out, unsigned channel, amqp_method_number_t id,
    void *decoded, size_t room)
{
	size_t start = out->len;
	char *p = begin(out, AMQP_FRAME_METHOD, channel, room);
	amqp_bytes_t arguments;
	int n;

	if (p == NULL)
		return -1;
	arguments.bytes = p + 4;
	arguments.len = room - 4;
	n = amqp_encode_method(id, decoded, arguments);
	out->len = start;
	if (n < 0) {
		errno = ENOBUFS;
		return -1;
	}
	/* it is all there; only the length was not known */
	p = begin(out, AMQP_FRAME_METHOD, channel, (size_t)n + 4);
	write32(p, id);
	return 0;
}

int
rabbit_method(struct rabbit *rabbit, unsigned channel, amqp_method_number_t id,
    void *decoded)
{
	bool large = id == AMQP_QUEUE_DECLARE_METHOD ||
	    id == AMQP_EXCHANGE_DECLARE_METHOD ||
	    id == AMQP_CONNECTION_START_OK_METHOD;

	return put_method(&rabbit->out, channel, id, decoded,
	    large ? rabbit->frame_max - 8 : METHOD_ROOM);
}

int
rabbit_heartbeat(struct rabbit *rabbit)
{
	return begin(&rabbit->out, AMQP_FRAME_HEARTBEAT, 0, 0) == NULL ? -1 : 0;
}

/* -------------------------------------------------------------- to the wire */

/* The frame at `at` goes on with a message. */
static bool
is_continued(const struct buf *out, size_t at)
{
	return at < out->len &&
	    (out->data[at] == AMQP_FRAME_HEADER ||
		out->data[at] == AMQP_FRAME_BODY);
}

/* The end of the message or method that is being written: RabbitMQ closes the
 * connection when a message is cut short, even on a channel that it closed. */
static size_t
boundary(const struct rabbit *rabbit)
{
	size_t at = 0, written = rabbit->out_at + net_taken(&rabbit->net);

	while (at < written || is_continued(&rabbit->out, at))
		at += RABBIT_FRAME_HEAD + read32(rabbit->out.data + at + 3) + 1;
	return at;
}

/* Drops whole frames only, so that the front stays the start of one. */
static void
compact(struct rabbit *rabbit)
{
	size_t at = 0, next = 0;

	while (next <= rabbit->out_at) {
		at = next;
		next += RABBIT_FRAME_HEAD +
		    read32(rabbit->out.data + next + 3) + 1;
	}
	buf_consume(&rabbit->out, at);
	rabbit->out_at -= at;
}

static void
emptied(struct rabbit *rabbit)
{
	rabbit->out_at = 0;
	buf_reuse(&rabbit->out, OUT_KEEP);
}

bool
rabbit_write(struct rabbit *rabbit)
{
	size_t most = rabbit->out_at + WRITE_MOST;
	struct why why;

	/* somebody who reads as fast as we write is not to hold us */
	while (rabbit->out_at < rabbit->out.len && rabbit->out_at < most &&
	    !rabbit->out_dead) {
		ssize_t n = net_send(&rabbit->net,
		    rabbit->out.data + rabbit->out_at,
		    rabbit->out.len - rabbit->out_at, &why);

		if (n < 0) {
			/* it may have said why, to be read yet */
			rabbit->out_dead = true;
			break;
		}
		if (n == 0)
			break;
		rabbit->out_at += (size_t)n;
		rabbit->said_ns = clock_now_ns();
	}
	if (rabbit->out_at == rabbit->out.len)
		emptied(rabbit);
	else if (rabbit->out_at > COMPACT &&
	    rabbit->out_at > rabbit->out.len / 2)
		compact(rabbit);
	return !rabbit->out_dead && !rabbit->gone;
}

size_t
rabbit_unwritten(const struct rabbit *rabbit)
{
	return rabbit->gone ? 0 : rabbit->out.len - rabbit->out_at;
}

void
rabbit_unwrite(struct rabbit *rabbit)
{
	size_t end = boundary(rabbit);

	rabbit->out.len = end;
	if (rabbit->out_at == end)
		emptied(rabbit);
}

void
rabbit_reopen(struct rabbit *rabbit)
{
	amqp_channel_close_ok_t close_ok = { 0 };
	amqp_channel_open_t open = { .out_of_band = amqp_empty_bytes };

	/* what was meant for the old channel must not reach the new one */
	rabbit_unwrite(rabbit);
	rabbit_forget_channel(rabbit);
	rabbit->confirms = false;
	rabbit->published = 0;
	rabbit->unbinds = 0;
	if (rabbit_method(rabbit, RABBIT_CHANNEL, AMQP_CHANNEL_CLOSE_OK_METHOD,
		&close_ok) < 0 ||
	    rabbit_method(rabbit, RABBIT_CHANNEL, AMQP_CHANNEL_OPEN_METHOD,
		&open) < 0)
		rabbit_lose(rabbit, "no memory to open the channel again");
	rabbit_write(rabbit);
}

/* ----------------------------------------------------------------- messages */

static amqp_bytes_t
as_amqp(struct msg_bytes bytes)
{
	amqp_bytes_t to = { bytes.len, (void *)(uintptr_t)bytes.p };

	return to;
}

static int
put_head(struct rabbit *rabbit, const struct msg_PUBLISH *message,
    bool transient, struct why *why)
{
	struct buf *out = &rabbit->out;
	size_t start = out->len, len;
	char *p = begin(out, AMQP_FRAME_HEADER, RABBIT_CHANNEL, 12);
	uint64_t size = message->body.len;

	if (p == NULL)
		return why_set(why, "too much waits to be sent");
	memset(p, 0, 4);
	p[1] = AMQP_BASIC_CLASS;
	write32(p + 4, (size_t)(size >> 32));
	write32(p + 8, (size_t)(size & UINT32_MAX));
	out->len--; /* its end comes after the properties */
	if (props_encode(message, transient, out, why) < 0)
		return -1;
	len = out->len - start - RABBIT_FRAME_HEAD;
	if (len > rabbit->frame_max - 8)
		return why_set(why,
		    "its headers have %zu bytes, more than the broker takes",
		    len);
	write32(out->data + start + 3, len);
	p = buf_extend(out, 1);
	if (p == NULL)
		return why_set(why, "too much waits to be sent");
	*p = (char)RABBIT_FRAME_END;
	return 0;
}

static int
put_body(struct rabbit *rabbit, struct msg_bytes body, struct why *why)
{
	size_t most = rabbit->frame_max - 8;

	for (size_t at = 0; at < body.len;) {
		size_t n = body.len - at < most ? body.len - at : most;
		char *p = begin(&rabbit->out, AMQP_FRAME_BODY, RABBIT_CHANNEL,
		    n);

		if (p == NULL)
			return why_set(why, "too much waits to be sent");
		memcpy(p, body.p + at, n);
		at += n;
	}
	return 0;
}

static int
put_publish(struct rabbit *rabbit, const struct msg_PUBLISH *message,
    struct why *why)
{
	amqp_basic_publish_t publish = {
		.exchange = as_amqp(message->exchange),
		.routing_key = as_amqp(message->key),
		.mandatory = message->mandatory,
	};

	if (message->exchange.len > 255 || message->key.len > 255)
		return why_set(why, "its %s has more than 255 bytes",
		    message->exchange.len > 255 ? "exchange" : "key");
	if (rabbit_method(rabbit, RABBIT_CHANNEL, AMQP_BASIC_PUBLISH_METHOD,
		&publish) < 0)
		return why_set(why, "too much waits to be sent");
	return 0;
}

int
rabbit_publish(struct rabbit *rabbit, const struct msg_PUBLISH *message,
    bool transient, uint64_t *number, struct why *why)
{
	size_t start = rabbit->out.len;

	if (put_publish(rabbit, message, why) < 0 ||
	    put_head(rabbit, message, transient, why) < 0 ||
	    put_body(rabbit, message->body, why) < 0) {
		rabbit->out.len = start;
		return -1;
	}
	if (rabbit->confirms)
		rabbit->published++;
	if (number != NULL)
		*number = rabbit->published;
	if (rabbit->out.len - rabbit->out_at > WRITE_SOON)
		rabbit_write(rabbit);
	return 0;
}

int
rabbit_ack(struct rabbit *rabbit, uint64_t tag, bool multiple)
{
	amqp_basic_ack_t ack = { .delivery_tag = tag, .multiple = multiple };

	return rabbit_method(rabbit, RABBIT_CHANNEL, AMQP_BASIC_ACK_METHOD,
	    &ack);
}

int
rabbit_reject(struct rabbit *rabbit, uint64_t tag, bool requeue)
{
	amqp_basic_reject_t reject = { .delivery_tag = tag,
		.requeue = requeue };

	return rabbit_method(rabbit, RABBIT_CHANNEL, AMQP_BASIC_REJECT_METHOD,
	    &reject);
}
