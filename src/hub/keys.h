/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keys - shared data as a service: requests about keys answered, changes made
 * durable as their rule says, loaded again at the start.
 *
 * A change lives in memory (data.h) at once. Unless its rule is "none" it is
 * also in the redo file before it is answered, and a moment later in the store;
 * with "full" it is in the store, with an fsync, at the end of the turn. The
 * redo file remembers who asked for what, so that a request that is repeated to
 * the next hub is answered and not done again.
 */
#ifndef HUB_KEYS_H
#define HUB_KEYS_H

#include "hub/data.h"
#include "hub/hub.h"

/* Needs hub->store; makes hub->data and hub->redo with all that was stored. -1
 * with the reason: the start is refused. */
int keys_start(struct hub *hub, struct why *why);
/* What it would find wrong with the redo file; part of hub_role.check. */
int keys_check(const struct conf *conf, struct why *why);
/* All that the redo file has goes to the store first. */
void keys_stop(struct hub *hub);

/* At the end of the turn, before its commit: keys whose end has come go, and
 * the store takes changes over if it is time, or if it writes anyway. Returns
 * when it wants to be called again (monotonic). */
int64_t keys_turn(struct hub *hub);
/* The turn is committed. */
void keys_committed(struct hub *hub);

/* The store takes over all that the redo file has, in the open transaction;
 * before anybody else lets a key go from it. To store a key needs no such
 * thing. */
void keys_take_redo(struct hub *hub);

/* A change that came with no request of a client (desk.c, effects.c) is made
 * durable as its rule says, and whoever watches the key is told. */
void keys_keep(struct hub *hub, const struct data_change *change);

/* A key of the hub's own, DATA_OWN and `name`, as durable as any. NULL bytes:
 * it goes. */
void keys_put_own(struct hub *hub, struct msg_bytes name, const void *bytes,
    size_t len);

/* HUB_OK when a change of this key can be made durable now. */
enum hub_code keys_room(struct hub *hub, struct msg_bytes key,
    size_t value_len, const char **why);

/* The wall clock was set, by so much: keys end when they would have. */
void keys_clock(struct hub *hub, int64_t by_ms);

/* A session (hub_client.h) is connected no more; by peer.c. */
void keys_on_peer_gone(struct hub *hub, struct peer *peer);

#endif
