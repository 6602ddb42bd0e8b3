/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * link - a connection to the broker for the programs of bench/amqp.
 *
 * The plainest use of rabbitmq-c there is: one connection, one channel, and the
 * end of the process when something goes wrong.
 */
#ifndef BENCH_LINK_H
#define BENCH_LINK_H

#include <amqp.h>
#include <amqp_framing.h>
#include <stdbool.h>
#include <stdint.h>

#define CHANNEL 1

void die(const char *format, ...)
    __attribute__((format(printf, 1, 2), noreturn));
/* Ends the process unless the call went well. */
void need(int status, const char *what);
void need_reply(amqp_rpc_reply_t reply, const char *what);

amqp_connection_state_t link_open(const char *url);
void link_consume(amqp_connection_state_t link, const char *queue,
    unsigned prefetch);
/* Each publish from now on has a number, from 1, that the broker confirms. */
void link_confirms(amqp_connection_state_t link);

/* What the broker has confirmed of what was published, in whatever order: at
 * most `size` numbers beyond `settled`. */
struct confirms {
	uint64_t settled;	/* it and all before it are confirmed */
	unsigned size;
	bool *seen;
};
void confirms_init(struct confirms *confirms, unsigned window);
/* The broker's word; then `settled` is as high as it goes. */
void confirms_on_ack(struct confirms *confirms, const amqp_basic_ack_t *ack);

int64_t now_ns(void);
unsigned long number(const char *text);

#endif
