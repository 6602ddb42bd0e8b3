/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * amqp - what the files of this folder share.
 *
 *   amqp      the role: start, drain, end      rabbit*   rabbitmq-c, wrapped
 *   link      a connection that is kept up     url       broker addresses
 *   topology  what is declared                 mismatch  a 406 in words (pure)
 *   consume   deliveries, acks                 publish   outbox, confirms
 *   request   brood_request() over a broker    orders    dead, retry, purge
 *   status    how it is, in one line and as JSON
 *   bindings  those that handlers made           arguments a queue's (pure)
 *   pass      …on the broker                     beside    delay queues
 *   look      the queues as the broker has them, and what is mended
 *
 * An amqp child holds three connections to the broker (for consuming,
 * publishing and looking: what the broker refuses closes the channel that it
 * was asked on, with all that is under way there) and a line to the hub, and no
 * state that matters: what the broker has not had acknowledged it delivers
 * again, what the hub has not had confirmed it sends again, and the hub knows
 * what is done. So each connection, the child, the hub and the broker may die
 * at any moment.
 *
 *   broker ──deliver──► consume ──DELIVER──► hub ──► task worker
 *   broker ◄───ack───── consume ◄──SETTLED── hub ◄── DONE
 *   broker ◄──publish── publish ◄───SEND──── hub (outbox)
 *   broker ──confirm──► publish ────SENT───► hub
 *
 * It never runs a handler, and waits for nothing but for the answers of a
 * broker while it sets a connection up, amqp.timeout each at most.
 */
#ifndef AMQP_AMQP_H
#define AMQP_AMQP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/child.h"
#include "core/conf.h"
#include "core/hub_client.h"
#include "core/msg.h"

struct consume;
struct link;
struct look;
struct orders;
struct publish;
struct status;
struct topology;

struct amqp {
	struct child *child;
	const struct conf *conf;
	struct loop *loop;
	struct hub_client *hub;
	struct topology *topology;
	struct consume *consume;
	struct look *look;
	struct publish *publish;
	struct orders *orders;
	struct status *status;
	struct link *links;		/* see link.h */
	bool draining;
	struct loop_timer patience;	/* how long a drain takes at most */
	char path[CONF_PATH_SIZE];	/* the hub's socket */
};

extern const struct role amqp_role;

/* The child is alive though its loop does not turn: between two blocking
 * steps. */
void amqp_alive(void *amqp);

#endif
