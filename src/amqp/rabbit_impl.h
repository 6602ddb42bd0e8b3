/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rabbit_impl - what the parts of rabbit share, and the one place that knows
 * the headers of librabbitmq.
 *
 *   rabbit_login  open, log in, close     rabbit_call   requests with answers
 *   rabbit_frame  bytes in, frames        rabbit_event  frames to events
 *   rabbit_write  frames out              rabbit_net    TCP and TLS
 *   rabbit_props, rabbit_table, rabbit_decode, rabbit_encode: a message's
 *   properties
 *
 * Of the library only its codec of methods and tables is used. Its connection
 * is not: up to 0.13 its reads and writes may wait without end, its heartbeats
 * come between the pieces of what somebody else writes, and each message takes
 * three system calls.
 *
 *   socket ──► in ──frame──► event ──► rabbit_next()
 *                  └► early (what comes while an answer is waited for) ─┘
 *   publish, ack, … ──► out ──► socket
 */
#ifndef AMQP_RABBIT_IMPL_H
#define AMQP_RABBIT_IMPL_H

#include <amqp.h>
#include <amqp_framing.h>

#include "amqp/rabbit.h"
#include "amqp/rabbit_net.h"
#include "amqp/rabbit_props.h"
#include "base/buf.h"
#include "base/why.h"

#define RABBIT_CHANNEL 1	/* the one that we use */
#define RABBIT_FRAME_MAX 131072
#define RABBIT_FRAME_HEAD 7
#define RABBIT_FRAME_END 0xce
/* A piece of a body that was too large to keep: in `early` only. */
#define RABBIT_FRAME_SKIPPED 0x7e

struct frame {
	uint8_t type;
	uint16_t channel;
	struct msg_bytes payload;
	uint64_t skipped;		/* type SKIPPED: so many bytes */
};

/* A message that comes in pieces. */
struct content {
	enum { CONTENT_NONE, CONTENT_HEAD, CONTENT_BODY } stage;
	enum rabbit_event_kind kind;
	uint64_t tag, size, got;
	bool redelivered;
	unsigned code;
	char consumer[256], exchange[256], key[256], text[256];
	struct buf head, attrs, body;	/* head: the properties' bytes */
	const char *whole;		/* the body, when it came in one */
	struct msg_PUBLISH message;
	uint32_t attempt, status;
	struct why refused;		/* "": it is not */
	bool dropped;			/* without its body */
};

struct rabbit {
	struct net net;
	int64_t timeout_ns, heartbeat_ns;
	size_t max_message, max_headers;
	char where[URL_TEXT_SIZE], server[112], text[256];
	amqp_pool_t pool;		/* of the method at hand */

	char *in;
	size_t in_size, in_start, in_end;
	bool starved;			/* the last read got all there was */
	bool dropping;			/* the body under way is too large */
	struct buf early;
	size_t early_at;
	int64_t heard_ns;

	struct buf out;			/* whole frames, written up to out_at */
	size_t out_at, frame_max;
	int64_t said_ns;
	bool out_dead;			/* cannot be written to */

	struct content content;
	bool confirms, closing, blocked;
	uint64_t published;
	unsigned unbinds;		/* that nobody waits for */
	bool gone;
	struct why why;			/* why it is gone, or will be */
};

/* --- rabbit_login.c: without a connection, for tests and login */

struct rabbit *rabbit_new(const struct conf *conf);
void rabbit_free(struct rabbit *rabbit);

/* --- rabbit_frame.c */

/* The next frame that is here whole, of `early` (when told so) or `in`: 1; 0:
 * there is none; -1: it is gone. The payload is good until more is read. */
int rabbit_frame(struct rabbit *rabbit, bool early, struct frame *frame);
/* Reads what there is at once: bytes; 0: none; -1: it is gone. */
int rabbit_fill(struct rabbit *rabbit);
/* For rabbit_next(), later. */
int rabbit_keep(struct rabbit *rabbit, const struct frame *frame);
/* What the channel has said is void. */
void rabbit_forget_channel(struct rabbit *rabbit);
/* It is gone, for that reason unless there is one already. Returns -1. */
int rabbit_lose(struct rabbit *rabbit, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A text of the broker as one for people: UTF-8, nothing that controls. */
void rabbit_clean(char *to, size_t size, const void *text, size_t len);
/* A method in the pool; NULL: it is gone. */
void *rabbit_decode(struct rabbit *rabbit, const struct frame *frame,
    amqp_method_number_t *id);
/* Is it time for a sign of life, or is the broker's overdue? -1: gone. */
int rabbit_beat(struct rabbit *rabbit);

/* --- rabbit_write.c */

/* Appends a method as a frame; -1 with ENOBUFS. */
int rabbit_method(struct rabbit *rabbit, unsigned channel,
    amqp_method_number_t id, void *decoded);
int rabbit_heartbeat(struct rabbit *rabbit);
/* Takes back what is not begun to be written. */
void rabbit_unwrite(struct rabbit *rabbit);
/* The channel was closed by the broker: closes it, opens it anew. */
void rabbit_reopen(struct rabbit *rabbit);

/* --- rabbit_call.c */

/* Writes everything and waits for one of `replies` (ends with 0) on that
 * channel, whose struct is good until the next call of anything. */
enum rabbit_result rabbit_call(struct rabbit *rabbit, unsigned channel,
    const amqp_method_number_t *replies, amqp_method_t *reply, unsigned *code,
    struct why *why);
/* An object as a table in the pool. */
amqp_table_t rabbit_table(struct rabbit *rabbit, const json_t *object);

#endif
