/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peer_io - what peer.c (one client) and peers.c (all of them) share.
 *
 * A peer that has left is in `gone`, and in no other list, until the end of the
 * turn.
 */
#ifndef HUB_PEER_IO_H
#define HUB_PEER_IO_H

#include <uthash.h>
#include <utlist.h>

#include "base/loop.h"
#include "core/wire.h"
#include "hub/peer.h"

#define PEER_SHARE 128		/* frames of one peer in one turn */
#define PEER_HIGH 1048576	/* bytes unread: no more requests of it */

struct peer_io {
	struct peer *peer;
	struct wire wire;
	struct loop_io io;
	int64_t since_ns;
	bool gone;     /* to be forgotten at the end of the turn */
	bool deaf;     /* has closed: what it said before is still read */
	bool to_flush; /* in peers->flush */
	bool more;     /* in peers->more: has frames that are not handled */
	struct peer_io *prev_flush, *next_flush;
	struct peer_io *prev_more, *next_more;
	struct peer_io *next_gone;
	UT_hash_handle hh; /* by peer->session, once it is welcome */
};

struct peers {
	struct hub *hub;
	struct loop_io listen;
	struct loop_timer pause; /* until it accepts again */
	struct loop_timer hello; /* for those that say nothing */
	struct peer *first;
	struct peer_io *by_session;
	struct peer_io *flush, *more, *gone;
	size_t n;
	bool full; /* max_clients: does not accept */
};

/* Out of everything but the list of all; forgotten by peers_turn(). */
void peer_leave(struct peer *peer);
size_t peer_unread(const struct peer_io *io);
/* Waits for what makes sense now. */
void peer_want(struct peer_io *io);
/* Frames that have come, up to the peer's share of a turn. */
void peer_work(struct peer *peer);
void peer_on_io(void *ctx, unsigned events);

#endif
