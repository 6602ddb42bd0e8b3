/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * consume_impl - what consume.c (consumers) and delivery.c (deliveries, acks)
 * share. For these two only.
 */
#ifndef AMQP_CONSUME_IMPL_H
#define AMQP_CONSUME_IMPL_H

#include "amqp/consume.h"
#include "base/buf.h"

/* Of a queue that has a handler. */
struct consumer {
	struct consume *consume;
	size_t queue;			/* index in conf->queue */
	bool consuming;
	unsigned prefetch, unsettled, stuck;
	unsigned least, most;		/* prefetch */
	unsigned capacity;		/* that can be begun at once */
	unsigned held;			/* settled and not acked */
	unsigned missing;		/* looks that found no consumer */
	bool renew;			/* see consume_renew() */
	uint64_t ticked;
	double rate;
	struct consume_count count;	/* the sums of it */
};

/* One message between the broker and the hub. Those of a connection are in a
 * list by their delivery tags. */
struct delivery {
	struct delivery *prev, *next;
	struct delivery *next_done;	/* settled */
	struct consumer *consumer;
	uint64_t tag, size;
	uint32_t handle;		/* of the DELIVER; 0: nobody answers */
	bool settled, acked;
};

struct consume {
	struct amqp *amqp;
	struct link link;
	struct consumer *consumer;	/* n of them */
	size_t n;
	struct consumer **of_queue;	/* by index in conf->queue, or NULL */
	struct delivery *deliveries;	/* utlist.h, in the order of tags */
	struct delivery *done;		/* to be acked */
	struct loop_timer held;		/* …at the latest; not always set */
	size_t open;			/* not settled, but for stuck ones */
	bool renew;			/* one of them is */
	struct buf scratch;
	int64_t ticked_ns;
	int64_t slow_ns;		/* the last time; 0: never */
	char slow[256];			/* see consume_slow() */
};

/* A RABBIT_DELIVERY. */
void delivery_begin(struct consumer *consumer,
    const struct rabbit_event *event);
/* The end of a round: acks. */
void deliveries_ack(struct consume *consume);
/* Of consume.held. */
void deliveries_on_held(void *consume);
/* The connection is gone, and with it the tags. */
void deliveries_forget(struct consume *consume);

#endif
