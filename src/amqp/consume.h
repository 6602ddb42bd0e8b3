/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * consume - from the broker to the hub and back: deliveries, and their acks
 * after the work.
 *
 * Each delivery is a DELIVER under a tag; its SETTLED is an ack, in whatever
 * order they come. A DELIVER that failed (the hub has no room) is sent again a
 * second later; the broker's prefetch bounds how many there are. Tags of a lost
 * connection are forgotten, and the answers to their DELIVERs ignored: the
 * broker delivers those messages again, and the hub knows them.
 *
 * That a queue is consumed is looked at, not assumed: each amqp.refresh the
 * broker is asked how many consumers it has, and a consumer that it has not is
 * set up again.
 */
#ifndef AMQP_CONSUME_H
#define AMQP_CONSUME_H

#include "amqp/link.h"

struct consume *consume_new(struct amqp *amqp);
void consume_start(struct consume *consume);
/* Cancels the consumers; what was delivered is finished. */
void consume_drain(struct consume *consume);
bool consume_is_idle(const struct consume *consume);
void consume_free(struct consume *consume);

const struct link *consume_link(const struct consume *consume);

/* NULL, or that the broker had to wait too long for an ack, of late. */
const char *consume_slow(const struct consume *consume);

/* By look.c: queues may be consumed again that could not be. */
void consume_mend(struct consume *consume);
/* By look.c: the broker has that many consumers of the queue. */
void consume_seen(struct consume *consume, size_t queue, uint32_t consumers);
/* A second has passed: rates. */
void consume_tick(struct consume *consume, int64_t now_ns);

/* Of one queue (index in conf->queue), for people. */
struct consume_count {
	bool consuming;
	unsigned prefetch, unsettled;
	uint32_t ready, consumers;	/* as of the last look */
	uint64_t delivered, redelivered, acked, retried, dead, seen;
	uint64_t rejected;		/* too large: the broker has them */
	unsigned stuck;			/* too large, and nowhere to go to */
	double rate;			/* delivered a second, of late */
};
void consume_count(const struct consume *consume, size_t queue,
    struct consume_count *count);

#endif
