/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * topology_impl - what topology.c (which things, when, what is at fault),
 * declare.c (one thing on the broker), pass.c (the bindings that handlers made)
 * and beside.c (delay and dead-letter queues, on first use) share. For these
 * only.
 */
#ifndef AMQP_TOPOLOGY_IMPL_H
#define AMQP_TOPOLOGY_IMPL_H

#include "amqp/bindings.h"
#include "amqp/mismatch.h"
#include "amqp/topology.h"
#include "base/why.h"

/* What can be at fault with a queue, worst first: it is not there, it cannot be
 * consumed, its NAME.dead is not there, it lacks a binding. */
enum topology_fault_kind {
	FAULT_DECLARE, FAULT_CONSUME, FAULT_DEAD, FAULT_BIND, FAULTS
};

struct topology_key;

struct topology {
	struct amqp *amqp;
	const struct conf *conf;
	bool ready;
	struct bindings *bindings, *coming;
	size_t connected_to, declared_at;	/* brokers of the list */
	/* fresh: made, or mended, since the last pass */
	struct topology_exchange { char *fault; bool fresh; } *exchange;
	struct topology_queue { char *fault[FAULTS]; bool fresh; } *queue;
	struct pass {
		bool under_way;
		bool all;		/* not only those of fresh things */
		bool gate;		/* nothing is published meanwhile */
		bool done;		/* there has been one */
		const struct bindings_entry *at;	/* the last one made */
		size_t n;		/* made so far */
	} pass;
	struct topology_key *keys;		/* beside.c's */
};

bool topology_set_fault(struct topology *t, char **fault, const char *why);

/* --- declare.c. RABBIT_LOST with the reason, else RABBIT_OK: what the broker
 * refuses is a fault */

enum rabbit_result topology_do_exchange(struct topology *t,
    struct rabbit *rabbit, size_t exchange, struct why *why);
/* With its dead-letter queue and the config's bindings. */
enum rabbit_result topology_do_queue(struct topology *t, struct rabbit *rabbit,
    size_t queue, struct why *why);
/* The config's bindings. */
enum rabbit_result topology_do_binds(struct topology *t, struct rabbit *rabbit,
    size_t queue, struct why *why);
/* One binding, waited for. RABBIT_REFUSED: the fault says it. */
enum rabbit_result topology_do_bind(struct topology *t, struct rabbit *rabbit,
    const char *queue, const char *exchange, struct msg_bytes key, bool on,
    char **fault, struct why *why);
/* May it be consumed now? */
enum rabbit_result topology_do_probe(struct topology *t, struct rabbit *rabbit,
    size_t queue, struct why *why);

/* --- pass.c */

/* If one is needed: there has been none, or something is fresh. */
void topology_pass_begin(struct topology *t);

#endif
