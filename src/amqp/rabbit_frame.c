/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rabbit_frame - bytes from the broker become frames.
 *
 * Each is checked as it is taken: its kind, channel and length; a method's
 * tables, which the library would follow as deep as they go. What comes while
 * somebody waits for an answer is kept for later, but for the bodies of
 * messages that are too large anyway.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/rabbit_impl.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"

#define EARLY_KEEP 65536 /* memory that is kept when there is nothing */

int
rabbit_lose(struct rabbit *rabbit, const char *format, ...)
{
	va_list ap;

	if (!rabbit->gone && rabbit->why.text[0] == '\0') {
		va_start(ap, format);
		vsnprintf(rabbit->why.text, sizeof(rabbit->why.text), format,
		    ap);
		va_end(ap);
	}
	rabbit->gone = true;
	return -1;
}

void
rabbit_clean(char *to, size_t size, const void *text, size_t len)
{
	const char *p = text;
	size_t n = 0;

	for (size_t i = 0, step; i < len; i += step) {
		step = p[i] != '\0' ? utf8_sequence(p + i, len - i) : 0;
		if (n + step + 1 > size || n + 2 > size)
			break;
		if (step == 0 || (unsigned char)p[i] < 0x20 || p[i] == 0x7f) {
			to[n++] = '?';
			step = 1;
		} else {
			memcpy(to + n, p + i, step);
			n += step;
		}
	}
	to[n] = '\0';
}

/* -------------------------------------------------------------------- bytes */

int
rabbit_fill(struct rabbit *rabbit)
{
	size_t room;
	struct why why;
	ssize_t n;

	if (rabbit->in_start == rabbit->in_end)
		rabbit->in_start = rabbit->in_end = 0;
	/* a frame always fits, once it is at the front */
	if (rabbit->in_size - rabbit->in_end <
	    RABBIT_FRAME_MAX + RABBIT_FRAME_HEAD + 1) {
		memmove(rabbit->in, rabbit->in + rabbit->in_start,
		    rabbit->in_end - rabbit->in_start);
		rabbit->in_end -= rabbit->in_start;
		rabbit->in_start = 0;
	}
	room = rabbit->in_size - rabbit->in_end;
	n = net_recv(&rabbit->net, rabbit->in + rabbit->in_end, room, &why);
	if (n < 0)
		return rabbit_lose(rabbit, "%s", why.text);
	/* TLS gives a record at a time */
	rabbit->starved = rabbit->net.tls != NULL ? n == 0 : (size_t)n < room;
	if (n > 0)
		rabbit->heard_ns = clock_now_ns();
	rabbit->in_end += (size_t)n;
	return (int)n;
}

static uint32_t
read32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];
}

static uint64_t
read64(const unsigned char *p)
{
	return (uint64_t)read32(p) << 32 | read32(p + 4);
}

/* The first frame of `bytes`: its length; 0: it is not all there. */
static int
take(struct rabbit *rabbit, const char *bytes, size_t len, struct frame *frame)
{
	const unsigned char *p = (const unsigned char *)bytes;
	uint32_t size;

	if (len < RABBIT_FRAME_HEAD)
		return 0;
	size = read32(p + 3);
	*frame = (struct frame){ .type = p[0],
		.channel = (uint16_t)(p[1] << 8 | p[2]),
		.payload = { bytes + RABBIT_FRAME_HEAD, size } };
	if (size > RABBIT_FRAME_MAX)
		return rabbit_lose(rabbit,
		    "the broker sent a frame of %u bytes, more than agreed",
		    size);
	if (frame->channel > RABBIT_CHANNEL)
		return rabbit_lose(rabbit,
		    "the broker sent something on channel %u, which we do not "
		    "use",
		    frame->channel);
	if (len < RABBIT_FRAME_HEAD + size + 1)
		return 0;
	if (p[RABBIT_FRAME_HEAD + size] != RABBIT_FRAME_END)
		return rabbit_lose(rabbit,
		    "the broker sent a frame that does not end as one");
	return (int)(RABBIT_FRAME_HEAD + size + 1);
}

/* Bodies that will not be kept are not carried further either. */
static void
look_at_size(struct rabbit *rabbit, struct frame *frame)
{
	const struct msg_bytes *payload = &frame->payload;

	if (frame->type == AMQP_FRAME_HEADER && payload->len >= 12)
		rabbit->dropping = read64((const unsigned char *)payload->p +
				       4) > rabbit->max_message;
	if (frame->type == AMQP_FRAME_BODY && rabbit->dropping) {
		frame->type = RABBIT_FRAME_SKIPPED;
		frame->skipped = payload->len;
		frame->payload = (struct msg_bytes){ "", 0 };
	}
}

static int
frame_of_early(struct rabbit *rabbit, struct frame *frame)
{
	int n = take(rabbit, rabbit->early.data + rabbit->early_at,
	    rabbit->early.len - rabbit->early_at, frame);

	if (n <= 0)
		return rabbit_lose(rabbit, "what was kept makes no sense");
	rabbit->early_at += (size_t)n;
	if (frame->type == RABBIT_FRAME_SKIPPED)
		frame->skipped = read64(
		    (const unsigned char *)frame->payload.p);
	return 1;
}

int
rabbit_frame(struct rabbit *rabbit, bool early, struct frame *frame)
{
	int n;

	if (early && rabbit->early_at < rabbit->early.len)
		return frame_of_early(rabbit, frame);
	if (early && rabbit->early.len > 0) {
		/* read to its end, and what was told of it is over */
		rabbit->early_at = 0;
		buf_reuse(&rabbit->early, EARLY_KEEP);
	}
	n = take(rabbit, rabbit->in + rabbit->in_start,
	    rabbit->in_end - rabbit->in_start, frame);
	if (n <= 0)
		return n;
	if (frame->type == RABBIT_FRAME_SKIPPED)
		return rabbit_lose(rabbit,
		    "the broker sent a frame of no kind there is");
	rabbit->in_start += (size_t)n;
	look_at_size(rabbit, frame);
	return 1;
}

bool
rabbit_has_more(const struct rabbit *rabbit)
{
	const unsigned char *p = (const unsigned char *)rabbit->in +
	    rabbit->in_start;
	size_t len = rabbit->in_end - rabbit->in_start;

	return rabbit->gone || rabbit->early_at < rabbit->early.len ||
	    (len >= RABBIT_FRAME_HEAD &&
		len > RABBIT_FRAME_HEAD + (size_t)read32(p + 3)) ||
	    net_has_more(&rabbit->net);
}

int
rabbit_keep(struct rabbit *rabbit, const struct frame *frame)
{
	unsigned char head[RABBIT_FRAME_HEAD] = { frame->type,
		(unsigned char)(frame->channel >> 8),
		(unsigned char)frame->channel };
	unsigned char skipped[8], end = RABBIT_FRAME_END;
	struct msg_bytes payload = frame->payload;

	if (frame->type == RABBIT_FRAME_SKIPPED) {
		for (int i = 0; i < 8; i++)
			skipped[i] = (unsigned char)(frame->skipped >>
			    (56 - 8 * i));
		payload = (struct msg_bytes){ (char *)skipped, 8 };
	}
	for (int i = 0; i < 4; i++)
		head[3 + i] = (unsigned char)(payload.len >> (24 - 8 * i));
	if (buf_append(&rabbit->early, head, sizeof(head)) < 0 ||
	    buf_append(&rabbit->early, payload.p, payload.len) < 0 ||
	    buf_append(&rabbit->early, &end, 1) < 0)
		return rabbit_lose(rabbit,
		    "the broker sent more than %zu bytes before an answer",
		    rabbit->early.max);
	return 0;
}

void
rabbit_forget_channel(struct rabbit *rabbit)
{
	struct buf old = rabbit->early;
	size_t at = rabbit->early_at;
	struct frame frame;

	rabbit->content.stage = CONTENT_NONE;
	rabbit->dropping = false;
	rabbit->early_at = 0;
	buf_init(&rabbit->early, old.max);
	while (at < old.len) {
		int n = take(rabbit, old.data + at, old.len - at, &frame);

		if (n <= 0)
			break;
		at += (size_t)n;
		if (frame.channel == 0)
			rabbit_keep(rabbit, &frame);
	}
	buf_release(&old);
}

/* ------------------------------------------------------------------ methods */

/* The tables in what a broker may send: one, in connection.start. */
static bool
tables_ok(amqp_method_number_t id, struct msg_bytes arguments)
{
	struct table_field field;
	struct msg_bytes table;
	size_t at = 0;
	int more;

	if (id != AMQP_CONNECTION_START_METHOD)
		return true;
	if (arguments.len < 6)
		return false;
	table.p = arguments.p + 6;
	table.len = read32((const unsigned char *)arguments.p + 2);
	if (table.len > arguments.len - 6)
		return false;
	while ((more = table_next(table, &at, &field)) > 0)
		continue;
	return more == 0;
}

void *
rabbit_decode(struct rabbit *rabbit, const struct frame *frame,
    amqp_method_number_t *id)
{
	struct msg_bytes payload = frame->payload;
	amqp_bytes_t arguments;
	void *decoded = NULL;

	*id = 0;
	if (payload.len < 4)
		goto bad;
	*id = read32((const unsigned char *)payload.p);
	arguments.len = payload.len - 4;
	arguments.bytes = (void *)(uintptr_t)(payload.p + 4);
	if (!tables_ok(*id, (struct msg_bytes){ payload.p + 4, arguments.len }))
		goto bad;
	recycle_amqp_pool(&rabbit->pool);
	if (amqp_decode_method(*id, &rabbit->pool, arguments, &decoded) == 0)
		return decoded;
bad:
	rabbit_lose(rabbit, "the broker sent what is no method (0x%x)", *id);
	return NULL;
}

int
rabbit_beat(struct rabbit *rabbit)
{
	int64_t now;

	if (rabbit->heartbeat_ns == 0)
		return 0;
	now = clock_now_ns();
	if (now - rabbit->heard_ns > 2 * rabbit->heartbeat_ns)
		return rabbit_lose(rabbit,
		    "no sign of life from the broker for %lld s (two "
		    "heartbeats)",
		    (long long)((now - rabbit->heard_ns) / NS_PER_S));
	if (now - rabbit->said_ns >= rabbit->heartbeat_ns / 2 &&
	    rabbit->out.len == 0) {
		rabbit_heartbeat(rabbit);
		rabbit_write(rabbit);
	}
	return 0;
}
