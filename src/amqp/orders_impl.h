/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * orders_impl - what the files of orders share.
 *
 *   orders         one order after the other, the connection, reports
 *   orders_walk    through dead-letter queues, message by message
 *   orders_letter  what is read from a dead message and put into it (pure)
 *   orders_queues  QUEUES and PURGE
 */
#ifndef AMQP_ORDERS_IMPL_H
#define AMQP_ORDERS_IMPL_H

#include <jansson.h>

#include "amqp/flight.h"
#include "amqp/orders.h"
#include "amqp/rabbit.h"
#include "base/buf.h"
#include "base/loop.h"
#include "base/why.h"

/* The longest that other work of the child waits for a slice of ours. */
#define ORDERS_SLICE_NS (5 * NS_PER_MS)
/* Unacknowledged at a time when all of a queue goes back; bytes that wait to be
 * written: beyond it nothing is read. */
#define ORDERS_WINDOW 256
#define ORDERS_UNWRITTEN ((size_t)(1 << 20))

/* --- orders_letter.c */

/* A dead-letter queue, and whose: NULL when it is for several. */
struct letters {
	char name[256];
	const struct conf_queue *queue;
};
/* Of that queue of the config; false: there is none that we know. */
bool letters_of(const struct conf *conf, const struct conf_queue *queue,
    struct letters *letters);

struct letter {
	const struct conf_queue *queue;	/* where it died; NULL: not ours */
	char id[256];			/* its message id, or "~" and a hash */
	char origin[256];		/* that queue, as the message says */
};
void letter_read(const struct conf *conf, const struct letters *letters,
    const struct msg_PUBLISH *message, struct letter *letter);
/* For people; a new reference. */
json_t *letter_json(const struct letters *letters, const struct letter *letter,
    const struct msg_PUBLISH *message, uint64_t size);
/* What goes back to its queue; `attrs` is for its headers. */
void letter_revive(const struct letter *letter,
    const struct msg_PUBLISH *message, struct msg_PUBLISH *again,
    struct buf *attrs);

/* --- orders_walk.c */

struct walk {
	struct letters *letters;	/* the queues to go through */
	size_t n, at;
	bool open;			/* consuming letters[at] */
	uint64_t left;			/* messages of it still to come */
	int64_t quiet_ns;		/* then there is no more to come */
	json_t *messages;		/* DEAD */
	size_t json_size;
	bool more;
	struct flights sent;		/* RETRY: seq is a delivery's tag */
	uint64_t retried, failed;
	struct why why;			/* of the last that failed */
};

/* --- orders.c */

struct order {
	struct order *prev, *next;
	uint64_t id;
	enum amqp_order what;
	char queue[256], message[256];
	uint32_t limit;
	int64_t deadline_ns;
	bool begun;
	struct walk walk;
	json_t *queues;		/* QUEUES */
	size_t at;
};

struct orders {
	struct amqp *amqp;
	struct order *all;	/* the first is carried out */
	struct rabbit *rabbit;
	bool confirms;		/* the channel has them */
	struct loop_io io;
	struct loop_timer step, idle, beat;
	json_t *missing;	/* queues that were not there: when */
};

/* What to do next with an order. */
enum orders_next {
	ORDERS_DONE,		/* it was answered */
	ORDERS_AGAIN,		/* there is more to do now */
	ORDERS_WAIT,		/* for the broker */
};

/* Answers; `json` may be NULL and is released. ORDERS_DONE. */
enum orders_next orders_report(struct orders *orders, struct order *order,
    enum hub_code code, const char *why, json_t *json);
/* The connection is of no use any more. ORDERS_DONE. */
enum orders_next orders_lost(struct orders *orders, struct order *order,
    const char *why);

bool walk_begin(struct orders *orders, struct order *order, struct why *why);
enum orders_next walk_step(struct orders *orders, struct order *order);
void walk_on_event(struct orders *orders, struct order *order,
    const struct rabbit_event *event);
/* When walk_step() is to be called though nothing has come. */
int64_t walk_wakes_ns(const struct walk *walk);
/* What was done until now; `more`: it is not all. */
json_t *walk_result(const struct order *order, bool more);
void walk_release(struct walk *walk);

enum orders_next orders_purge(struct orders *orders, struct order *order);
enum orders_next orders_queues(struct orders *orders, struct order *order);

#endif
