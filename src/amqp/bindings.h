/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bindings - what handlers have bound and unbound at run time, as the hub tells
 * it: a set by queue, exchange and key; the last word on each counts.
 */
#ifndef AMQP_BINDINGS_H
#define AMQP_BINDINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/msg.h"

struct bindings;

struct binding {
	const char *queue, *exchange;	/* terminated */
	struct msg_bytes key;
	bool on;
};

struct bindings *bindings_new(void);
void bindings_free(struct bindings *bindings);
void bindings_say(struct bindings *bindings, const struct msg_BIND *bind);
size_t bindings_count(const struct bindings *bindings);
/* 1: bound, 0: unbound, -1: nothing was said of it. */
int bindings_said(const struct bindings *bindings, const char *queue,
    const char *exchange, const char *key);

/* Each in turn: *at starts as NULL. False: there is no other. */
struct bindings_entry;
bool bindings_next(const struct bindings *bindings,
    const struct bindings_entry **at, struct binding *binding);

#endif
