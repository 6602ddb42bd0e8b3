/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peer - the hub's clients: accepts them, checks who they are, reads frames and
 * hands them to hub_on_…(), sends what was queued at the end of the turn.
 *
 * A peer is a child of this family or nobody: its pid (SO_PEERCRED) is the one
 * in the scoreboard's slot that it names. A peer that sends garbage, more than
 * it may, or does not read, is logged and cut off; nothing else happens.
 */
#ifndef HUB_PEER_H
#define HUB_PEER_H

#include <sys/types.h>

#include "hub/hub.h"

struct peer {
	struct hub *hub;
	struct peer *prev, *next;
	pid_t pid;
	unsigned slot, generation;
	enum role_id role;
	uint64_t session;
	bool welcome;			/* it has said hello */
	bool worker;
	/* dispatch's: what it runs, 0 for nothing */
	uint64_t running;
	void *dispatch;
	/* lock's and watch's lists, keys' memory of the session */
	void *locks, *watches, *keys;
	/* peer.c's own */
	struct peer_io *io;
};

int peers_start(struct hub *hub, struct why *why);
/* Cuts all off. */
void peers_stop(struct hub *hub);

/* At the end of the turn, before the commit: goes on with what peers have sent
 * beyond their share of it, and forgets those that have left. */
void peers_turn(struct hub *hub);
/* At the end of the turn, after the commit: sends. */
void peers_flush(struct hub *hub);
/* There is more to do without anything coming in. */
bool peers_busy(const struct hub *hub);
/* Takes no new ones. */
void peers_drain(struct hub *hub);

/* Queues for the end of the turn. A peer that is gone or does not read is seen
 * to elsewhere: nobody need look at a result. */
void peer_send(struct peer *peer, enum msg_id id, uint32_t request,
    const void *msg);
void peer_fail(struct peer *peer, uint32_t request, enum hub_code code,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Logs why and cuts it off, at the end of the turn: `peer` stays valid. */
void peer_cut(struct peer *peer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * A reply that comes later, when the peer may be gone, or gone and back: names
 * it by session. peers_find() is NULL when it is not here.
 */
struct peer *peers_find(struct hub *hub, uint64_t session);
struct peer *peers_first(struct hub *hub);	/* then peer->next */
size_t peers_count(const struct hub *hub);

/* Called by peer.c when one has left, before it is freed; each forgets it. */
void lock_on_peer_gone(struct hub *hub, struct peer *peer);
void watch_on_peer_gone(struct hub *hub, struct peer *peer);
void work_on_peer_gone(struct hub *hub, struct peer *peer);
void dispatch_on_peer_gone(struct hub *hub, struct peer *peer);
/* One has said hello: what its process holds is its again. */
void lock_on_peer(struct hub *hub, struct peer *peer);
/* A worker has said hello; it is free. */
void dispatch_on_worker(struct hub *hub, struct peer *peer);

#endif
