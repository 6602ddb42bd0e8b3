/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * outbox - what is to be published to the broker: a queue in the store, sent in
 * its order by one amqp child, and dropped when the broker has confirmed it.
 *
 * A row is written in the transaction of the call that publishes, so it leaves
 * with that call's success and survives everything. It is sent only after the
 * commit. The child that publishes (broker.h) has amqp.publish_window of them
 * at a time; when that child or its connection is lost they are sent again, in
 * their order. A held one is sent again each amqp.refresh, and does not stop
 * the others. In memory: the sequence numbers, and bodies up to tasks.cache;
 * the rest is read from the store when its turn comes.
 */
#ifndef HUB_OUTBOX_H
#define HUB_OUTBOX_H

#include "hub/hub.h"

int outbox_start(struct hub *hub, struct why *why);
void outbox_stop(struct hub *hub);

/* HUB_OK when there is room for `more` messages of so many bytes besides what
 * this turn was promised; else HUB_FULL and a sentence. */
enum hub_code outbox_would_add(struct hub *hub, size_t more, size_t bytes,
    struct why *why);
/* Stores it. What an accepted call causes is never refused. A message without a
 * message id gets one, of its uid. */
void outbox_publish(struct hub *hub, const struct msg_PUBLISH *publish);
void outbox_bind(struct hub *hub, const struct msg_BIND *bind);

/* From now on nothing is sent; what is under way is still told of. Quiet: there
 * is none of that, or no outbox. */
void outbox_drain(struct hub *hub);
bool outbox_is_quiet(const struct hub *hub);
bool outbox_is_draining(const struct hub *hub);

/* At the end of the turn, after the commit: sends as many as are taken. */
void outbox_turn(struct hub *hub);
/* By broker.c: a child takes SENDs now, under that epoch, or none does (peer
 * NULL). When it is another one, or another epoch, all that is under way counts
 * as not sent; with a window of 0 it is only sent no more. */
void outbox_on_publisher(struct hub *hub, struct peer *peer, uint32_t epoch,
    uint32_t window);
void outbox_on_sent(struct hub *hub, const struct msg_SENT *sent);

/* By desk: what becomes of the message `uid`, told once: when it is SENT, held
 * included. Returns a handle for outbox_unwatch(); 0: it is not (any more) in
 * the outbox. */
typedef void outbox_watch_fn(void *ctx, enum sent_how how, const char *why);
uint64_t outbox_watch(struct hub *hub, uint64_t uid, outbox_watch_fn *fn,
    void *ctx);
void outbox_unwatch(struct hub *hub, uint64_t handle);

/* Messages, bytes, age of the oldest (ms), held ones and why. */
struct outbox_count {
	size_t messages, bytes, under_way, held;
	int64_t oldest_ms;
	char held_why[256];
	uint64_t confirmed, returned;
};
void outbox_count(const struct hub *hub, struct outbox_count *count);
/* The operator's: drops those that are held. Returns how many. */
size_t outbox_purge_held(struct hub *hub);

#endif
