/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rabbit - rabbitmq-c in our own terms: one connection with one channel.
 *
 * All that the library's manual warns of is dealt with here, so that nobody
 * else has to know it: frames are read until none is left before anybody
 * sleeps; contents are put together here, bounded; nothing is written that the
 * kernel does not take at once (rabbit_write()); heartbeats are served by
 * rabbit_next(), which is to be called at least every half interval; after an
 * error the connection is only destroyed. rabbit_impl.h is the one place that
 * includes the library's headers.
 *
 * A message is a struct msg_PUBLISH in both directions: headers are its attrs
 * (CALL_HEADER, as text; what is no text in a form like JSON's), `id` and
 * `traceparent` are the headers x-request-id and traceparent, `priority`,
 * `message_id`… the properties of those names, ttl_ms is `expiration`. What
 * these cannot say (a nested table, a number among the headers, timestamp,
 * type, app-id…) is kept as it was encoded, in hex, in an attr of kind
 * CALL_RAW, and sent on as it came, but for what attrs say anew.
 */
#ifndef AMQP_RABBIT_H
#define AMQP_RABBIT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/msg.h"
#include "core/url.h"

struct conf;
struct why;
struct rabbit;

/* What became of a request to the broker. */
enum rabbit_result {
	RABBIT_OK,
	RABBIT_REFUSED,		/* it said no, and closed the channel, which is
				   open again (without consumers, confirms): why
				   is its sentence, *code AMQP's (404, 406…) */
	RABBIT_LOST = -1,	/* the connection is gone */
};

/* Connects, logs in, opens the channel: blocks for amqp.timeout for each of
 * these at most. `what`: "consuming"… for the connection's name. NULL with a
 * sentence that names the broker and says what is wrong in words (nobody
 * listens, it is no AMQP server, wrong user or password, no such vhost, its
 * certificate…). Calls `alive` (or NULL) between the steps. */
struct rabbit *rabbit_open(const struct conf *conf, const struct url *url,
    const char *what, void (*alive)(void *ctx), void *ctx, struct why *why);
/* In good order, within amqp.timeout; a dead one is only destroyed. */
void rabbit_close(struct rabbit *rabbit);
int rabbit_fd(const struct rabbit *rabbit);
/* "RabbitMQ 3.10.8", as the broker calls itself. */
const char *rabbit_server(const struct rabbit *rabbit);

/* --- topology; each waits for the answer, amqp.timeout at most */

struct rabbit_exchange {
	const char *name, *type;	/* "direct" */
	bool passive, durable, auto_delete;
	const json_t *arguments;	/* an object, or NULL */
};
enum rabbit_result rabbit_declare_exchange(struct rabbit *rabbit,
    const struct rabbit_exchange *exchange, unsigned *code, struct why *why);

struct rabbit_queue {
	const char *name;
	bool passive, durable, exclusive, auto_delete;
	const json_t *arguments;
};
struct rabbit_count {
	uint32_t ready, consumers;
};
/* `count` may be NULL. */
enum rabbit_result rabbit_declare_queue(struct rabbit *rabbit,
    const struct rabbit_queue *queue, struct rabbit_count *count,
    unsigned *code, struct why *why);

/* `wait` false: the broker does not answer, and closes the channel when it does
 * not like it. */
enum rabbit_result rabbit_bind(struct rabbit *rabbit, const char *queue,
    const char *exchange, struct msg_bytes key, bool on, bool wait,
    unsigned *code, struct why *why);
enum rabbit_result rabbit_purge(struct rabbit *rabbit, const char *queue,
    uint32_t *purged, unsigned *code, struct why *why);

/* --- consuming */

/* With a prefetch of its own (0: no limit). `tag` names the consumer. */
enum rabbit_result rabbit_consume(struct rabbit *rabbit, const char *queue,
    const char *tag, unsigned prefetch, bool no_ack, unsigned *code,
    struct why *why);
enum rabbit_result rabbit_cancel(struct rabbit *rabbit, const char *tag,
    unsigned *code, struct why *why);
/* Written at once or with the next rabbit_write(). */
int rabbit_ack(struct rabbit *rabbit, uint64_t tag, bool multiple);
int rabbit_reject(struct rabbit *rabbit, uint64_t tag, bool requeue);
/* One message: RABBIT_OK with *found; its content comes as a RABBIT_DELIVERY
 * of rabbit_next() with consumer "". */
enum rabbit_result rabbit_get(struct rabbit *rabbit, const char *queue,
    bool *found, unsigned *code, struct why *why);

/* --- publishing */

/* From now on each rabbit_publish() has a number, from 1, that the broker
 * confirms. */
enum rabbit_result rabbit_confirms(struct rabbit *rabbit, unsigned *code,
    struct why *why);

/* Queues it: written as far as the kernel takes it without blocking, the rest
 * by rabbit_write(). Persistent unless `transient`. `attempt` 0: no header.
 * *number: of the confirm. -1: it can never be sent (headers beyond a frame),
 * with the reason. */
int rabbit_publish(struct rabbit *rabbit, const struct msg_PUBLISH *message,
    bool transient, uint64_t *number, struct why *why);
/* Goes on writing. False: the connection is gone. */
bool rabbit_write(struct rabbit *rabbit);
/* Bytes that are not written yet: look for EPOLLOUT while there are any. */
size_t rabbit_unwritten(const struct rabbit *rabbit);

/* --- what the broker says */

enum rabbit_event_kind {
	RABBIT_NONE,		/* there is nothing more; sleep */
	RABBIT_DELIVERY,
	RABBIT_RETURN,		/* message, code, text; before its confirm */
	RABBIT_CONFIRM,		/* tag, multiple, ok */
	RABBIT_CANCELLED,	/* consumer: its queue is gone */
	RABBIT_BLOCKED,		/* text: the alarm; takes no publishes */
	RABBIT_UNBLOCKED,
	RABBIT_CHANNEL_CLOSED,	/* code, text; open again, without anything */
	RABBIT_GONE,		/* text: why; only rabbit_close() from now on */
};

/* Borrowed until the next rabbit_next(), and until the next call that waits. */
struct rabbit_event {
	enum rabbit_event_kind kind;
	uint64_t tag;
	bool multiple, ok, redelivered;
	const char *consumer;		/* its tag */
	unsigned code;
	const char *text;
	struct msg_PUBLISH message;	/* uid 0 */
	uint32_t attempt;		/* from its header; 1 without it */
	uint32_t status;		/* from its header; 200 without it */
	uint64_t size;			/* of the body as the broker has it */
	/* Why it cannot be a message to us, or "": larger than
	 * hub.max_message (then it has no body), headers beyond
	 * amqp.max_headers (then none), an id that is no UTF-8 text… */
	const char *refused;
};

/* Reads without blocking, and serves heartbeats. Until it says RABBIT_NONE
 * there is more. */
enum rabbit_event_kind rabbit_next(struct rabbit *rabbit,
    struct rabbit_event *event);
/* Something was read already, while an answer was waited for, that
 * rabbit_next() has not shown. No system call. */
bool rabbit_has_more(const struct rabbit *rabbit);

#endif
