/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rmq - another program on the same broker: publishes, looks into queues and
 * takes messages out of them, by librabbitmq.
 *
 * What goes wrong fails the test. A connection does not outlive the broker's
 * end: open another one.
 */
#ifndef SYSTEM_RMQ_H
#define SYSTEM_RMQ_H

#include <amqp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "daemon.h"

typedef amqp_connection_state_t rmq;

struct letter {
	const char *exchange, *key; /* NULL: "" */
	const void *body;
	size_t len;				    /* 0: strlen(body) */
	const char *type;			    /* NULL: application/json */
	const char *id, *correlation_id, *reply_to; /* NULL: none */
	int priority;				    /* 0: none */
	bool mandatory;
	amqp_table_t headers;
	/* of one that was taken out */
	bool redelivered;
	amqp_message_t message;
	char *text;			  /* its body, NUL-terminated */
	char *taken_exchange, *taken_key; /* that it was published with */
};

/* To the vhost of this test. */
rmq rmq_open(void);
void rmq_close(rmq c);
/* The beginning of most tests: a vhost, and a service there that consumes that
 * queue so many times; then opens. */
rmq rmq_start(struct daemon *daemon, const struct daemon_conf *conf,
    const char *queue, long consumers);

/* Durable; `arguments` may be NULL. */
void rmq_queue(rmq c, const char *name, const amqp_table_t *arguments);
void rmq_exchange(rmq c, const char *name, const char *type);
void rmq_bind(rmq c, const char *queue, const char *exchange, const char *key);
void rmq_drop_queue(rmq c, const char *name);
void rmq_drop_exchange(rmq c, const char *name);

/* Persistent. Written, not confirmed; see rmq_flush(). */
void rmq_post(rmq c, const struct letter *letter);
/* To the default exchange: a body of printf's, with that id (or NULL). */
void rmq_post_text(rmq c, const char *queue, const char *id, const char *format,
    ...) __attribute__((format(printf, 4, 5)));
/* Waits until the broker has taken all that was posted. */
void rmq_flush(rmq c);

/* From now on the broker says what it has on its disk; waits until that are
 * all of the `count` messages that were posted since. */
void rmq_confirms(rmq c);
void rmq_await_confirms(rmq c, uint64_t count);

/* Takes one out for good; false: there is none. */
bool rmq_take(rmq c, const char *queue, struct letter *letter);
/* The same, once there is one. */
void rmq_await(const struct daemon *daemon, rmq c, const char *queue,
    struct letter *letter);
void rmq_free(struct letter *letter);

/* Texts, good until the eighth call after: a header, numbers in digits, "" if
 * there is none; a property. */
const char *rmq_header(const struct letter *letter, const char *name);
const char *rmq_text(amqp_bytes_t bytes);
#define rmq_property(letter, name) rmq_text((letter)->message.properties.name)

/* Messages that are ready in it, its consumers; -1: there is no such queue. */
long rmq_ready(rmq c, const char *queue);
long rmq_consumers(rmq c, const char *queue);
/* Waits until it is so many. */
void rmq_require_ready(const struct daemon *daemon, rmq c, const char *queue,
    long wanted);
/* Waits until there are at most that many. */
void rmq_require_ready_below(const struct daemon *daemon, rmq c,
    const char *queue, long most);
void rmq_require_consumers(const struct daemon *daemon, rmq c,
    const char *queue, long wanted);

#endif
