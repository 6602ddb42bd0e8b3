/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * topology - exchanges, queues and bindings of the config (and those bindings
 * that handlers made) on the broker.
 *
 * Declared by whoever sets a connection up; to declare what is there is
 * nothing. What the broker refuses (a 406: it is there with other arguments; a
 * passive one that is missing) is a fault of that one thing: explained in
 * words, shown in the status, tried again every amqp.refresh, and everything
 * else works.
 */
#ifndef AMQP_TOPOLOGY_H
#define AMQP_TOPOLOGY_H

#include "amqp/amqp.h"
#include "amqp/rabbit.h"

struct topology *topology_new(struct amqp *amqp);
void topology_free(struct topology *topology);

/* From the hub: a BINDINGS, and a SEND with a BIND that was done. */
void topology_on_bindings(struct topology *topology,
    const struct msg_BINDINGS *bindings);
void topology_on_bind(struct topology *topology, const struct msg_BIND *bind);
/* All BINDINGS are here: false until then, so nothing is declared. */
bool topology_ready(const struct topology *topology);

/* Everything. RABBIT_LOST with the reason; faults are no failure. */
enum rabbit_result topology_declare(struct topology *topology,
    struct rabbit *rabbit, struct why *why);
/* Once more what is at fault; *mended: some of it is well now. */
enum rabbit_result topology_mend(struct topology *topology,
    struct rabbit *rabbit, bool *mended, struct why *why);
/* The same for one thing, by its index in the config. */
enum rabbit_result topology_mend_exchange(struct topology *topology,
    struct rabbit *rabbit, size_t exchange, bool *mended, struct why *why);
enum rabbit_result topology_mend_queue(struct topology *topology,
    struct rabbit *rabbit, size_t queue, bool *mended, struct why *why);

/* Are the bindings that handlers made being declared, in steps? By look.c. A
 * step can end the pass. */
bool topology_is_binding(const struct topology *topology);
enum rabbit_result topology_pass_step(struct topology *topology,
    struct rabbit *rabbit, struct why *why);
/* False: some are missing, and what is published could get lost. */
bool topology_is_bound(const struct topology *topology);
/* How many there are, and of the pass that is under way: are made. */
size_t topology_bindings(const struct topology *topology, size_t *made);

/* Why nothing can be published to that exchange, or consumed from that queue
 * (an index in conf->queue); NULL: it can. */
const char *topology_exchange_fault(const struct topology *topology,
    struct msg_bytes exchange);
const char *topology_queue_fault(const struct topology *topology,
    size_t queue);
/* The queue, the exchange was deleted under us: is to be declared again by
 * mend(). `why`: "was deleted". */
void topology_queue_lost(struct topology *topology, size_t queue,
    const char *why);
void topology_exchange_lost(struct topology *topology,
    struct msg_bytes exchange, const char *why);
/* It is there, but the broker lets us not consume it. */
void topology_queue_refused(struct topology *topology, size_t queue,
    unsigned code, const char *why);

/* Before something is published to the default exchange: a delay queue or a
 * dead-letter queue of ours (core/retry.h) is declared on first use. */
enum rabbit_result topology_declare_key(struct topology *topology,
    struct rabbit *rabbit, struct msg_bytes key, struct why *why);
/* It would not have to ask the broker. */
bool topology_knows_key(const struct topology *topology, struct msg_bytes key);
/* The connection that these were known on is gone. */
void topology_forget_keys(struct topology *topology);

/* By link.c: there is a connection to that broker of the list, and one was
 * lost: what was declared on it may be no more. */
void topology_on_link(struct topology *topology, size_t broker);
void topology_on_loss(struct topology *topology);

/* The n-th fault, for people, of all kinds; NULL: there are no more. */
const char *topology_fault(const struct topology *topology, size_t n);
/* Of that queue: what keeps it from being consumed, or what it lacks. */
const char *topology_queue_trouble(const struct topology *topology,
    size_t queue);

/* --- arguments.c: pure */

/* What the broker is told of a queue beyond its name: {"x-max-priority":10…}, a
 * new reference. */
json_t *topology_arguments(const struct conf *conf,
    const struct conf_queue *queue);
/* The same for its NAME.retry.4s (step_ms) and, with step_ms 0, NAME.dead. */
json_t *topology_beside(const struct conf_queue *queue, int64_t step_ms,
    bool moves_safely);
/* Does this server ("RabbitMQ 3.10.8") let go of a message whose delay is over
 * only when its queue has it? Quorum queues do since 3.10, if asked to; classic
 * ones lose it when the server is killed in that moment. */
bool topology_moves_safely(const char *server);
/* Has it a NAME.dead, declared by us? */
bool topology_has_dead(const struct conf_queue *queue);
/* Does the broker have a place for what we reject? */
bool topology_has_letters(const struct conf_queue *queue);

#endif
