/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exchange - where a message goes: exchanges, queues and the bindings between
 * them, as AMQP 0-9-1 has them. Pure.
 *
 * The default exchange, "", leads to the queue that the key names. A message
 * reaches a queue once however many of its bindings fit. In a topic binding *
 * is one word, # any number of them, words being what is between dots.
 *
 * Exchanges and queues come from the config; bindings from it and, at run time,
 * from handlers. A run-time decision about one (bound or unbound) stands beside
 * the config's and outweighs it, and is stored by whoever calls exchanges_bind.
 */
#ifndef HUB_EXCHANGE_H
#define HUB_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/conf.h"
#include "core/msg.h"

struct exchanges;
struct why;

/* What handlers have said of a binding; it outweighs the config. */
enum exchange_said { EXCHANGE_UNSAID, EXCHANGE_BOUND, EXCHANGE_UNBOUND };

/* All that is wrong with the config's topology beyond what conf_load() sees:
 * unknown exchanges in bindings, reserved names ("amq."…), a dead letter
 * exchange that is none. Part of hub_role.check. */
void exchanges_check(const struct conf *conf, struct conf_errors *errors);

struct exchanges *exchanges_new(const struct conf *conf);
void exchanges_free(struct exchanges *exchanges);

/* 1: changed, or decided for the first time: to be stored; 0: it was so
 * already; -1 with the reason: no such queue or exchange. */
int exchanges_bind(struct exchanges *exchanges, struct msg_bytes queue,
    struct msg_bytes exchange, struct msg_bytes key, bool on, struct why *why);

/* What was said before, and back to that, of a queue and exchange that are
 * there. */
enum exchange_said exchanges_said(const struct exchanges *exchanges,
    struct msg_bytes queue, struct msg_bytes exchange, struct msg_bytes key);
void exchanges_unsay(struct exchanges *exchanges, struct msg_bytes queue,
    struct msg_bytes exchange, struct msg_bytes key, enum exchange_said was);

/* How many bindings handlers have made. */
size_t exchanges_bound(const struct exchanges *exchanges);

/* The queues a message goes to, each once, by their index in conf->queue, at
 * most conf->queue.n of them. -1 with the reason: no such exchange. */
int exchanges_route(const struct exchanges *exchanges,
    struct msg_bytes exchange, struct msg_bytes key, size_t *queue,
    struct why *why);

/* For report: each binding there is. */
void exchanges_each(const struct exchanges *exchanges,
    void (*each)(void *ctx, const char *queue, const char *exchange,
	const char *key, bool configured),
    void *ctx);

/* Does a topic pattern fit a key? */
bool exchange_topic_fits(const char *pattern, size_t pattern_len,
    const char *key, size_t key_len);

#endif
