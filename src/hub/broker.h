/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker - the hub's side of the amqp children: which of them publishes, what
 * they say of the broker, orders to them.
 *
 * An amqp child is told the bindings that handlers made (BINDINGS) when it has
 * said hello. The first that says LINK with `publishing` publishes, until it
 * says otherwise or leaves.
 */
#ifndef HUB_BROKER_H
#define HUB_BROKER_H

#include <jansson.h>

#include "hub/hub.h"

int broker_start(struct hub *hub, struct why *why);
void broker_stop(struct hub *hub);

/* By peer.c: one has said hello, has left. */
void broker_on_peer(struct hub *hub, struct peer *peer);
void broker_on_peer_gone(struct hub *hub, struct peer *peer);

/* NULL: none is connected to the broker; `why` says what they say of it. */
struct peer *broker_publisher(struct hub *hub, struct why *why);
uint32_t broker_epoch(const struct hub *hub);	/* the publisher's */
/* They are in trouble with it, all that there are, and do not just begin. */
bool broker_is_away(const struct hub *hub);

/* Asks one of them, or the first to come to a new hub; `fn` comes once, with
 * msg NULL and a reason when there is none, at the deadline, or when it left.
 * Returns a handle for broker_forget(), 0 when fn was called already. */
typedef void broker_report_fn(void *ctx, const struct msg_REPORT *report,
    const char *why);
uint64_t broker_order(struct hub *hub, const struct msg_ORDER *order,
    int64_t deadline_ns, broker_report_fn *fn, void *ctx);
void broker_forget(struct hub *hub, uint64_t handle);

/* What the children say of themselves, an array; a new reference. */
json_t *broker_report(const struct hub *hub);

#endif
