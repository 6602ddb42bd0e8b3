/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peers - all clients of the hub: accepts them, gives each its turn, sends what
 * is queued, forgets those that have left.
 *
 * Peers are freed in peers_turn() and peers_stop() alone: until then a pointer
 * to one that has left stays good, and what is sent to it is dropped. With
 * hub.max_clients of them the others wait in the listening socket's backlog.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/why.h"
#include "hub/broker.h"
#include "hub/keys.h"
#include "hub/peer_io.h"

#define PEERS_ACCEPT 64		       /* connections in one turn */
#define PEERS_PAUSE_NS (NS_PER_S / 10) /* when accept(2) fails */

/* --------------------------------------------------------------- turns */

static void
peer_free(struct peers *peers, struct peer *peer)
{
	DL_DELETE(peers->first, peer);
	peers->n--;
	wire_release(&peer->io->wire);
	free(peer->io);
	free(peer);
}

static void
peers_forget(struct peers *peers)
{
	struct hub *hub = peers->hub;
	struct peer_io *io;

	/* whoever is told may cut others off */
	while ((io = peers->gone) != NULL) {
		peers->gone = io->next_gone;
		lock_on_peer_gone(hub, io->peer);
		watch_on_peer_gone(hub, io->peer);
		keys_on_peer_gone(hub, io->peer);
		work_on_peer_gone(hub, io->peer);
		dispatch_on_peer_gone(hub, io->peer);
		broker_on_peer_gone(hub, io->peer);
		peer_free(peers, io->peer);
	}
}

void
peers_turn(struct hub *hub)
{
	struct peers *peers = hub->peers;
	struct peer_io *io;
	int n;

	/* each once; any of them may be cut off while another is served */
	DL_COUNT2(peers->more, io, n, next_more);
	for (; n > 0 && peers->more != NULL; n--) {
		io = peers->more;
		DL_DELETE2(peers->more, io, prev_more, next_more);
		io->more = false;
		peer_work(io->peer);
		if (!io->gone && !io->more)
			peer_want(io);
	}
	peers_forget(peers);
	if (peers->full && !hub->draining &&
	    peers->n < (size_t)hub->conf->hub.max_clients &&
	    loop_io_want(hub->loop, &peers->listen, LOOP_READ) == 0)
		peers->full = false;
}

bool
peers_busy(const struct hub *hub)
{
	struct peer_io *io;

	if (hub->peers->gone != NULL || hub->peers->flush != NULL)
		return true;
	for (io = hub->peers->more; io != NULL; io = io->next_more) {
		if (peer_unread(io) <= PEER_HIGH)
			return true;
	}
	return false;
}

/* What it has said may be the confirms of what it published: up to the end of
 * its stream it is listened to. */
static void
peer_deafen(struct peer_io *io)
{
	io->deaf = true;
	io->wire.sent = io->wire.out.len;
	peer_want(io);
}

void
peers_flush(struct hub *hub)
{
	struct peers *peers = hub->peers;
	struct peer_io *io, *next;

	DL_FOREACH_SAFE2(peers->flush, io, next, next_flush)
	{
		DL_DELETE2(peers->flush, io, prev_flush, next_flush);
		io->to_flush = false;
		if (wire_flush(&io->wire) == -1)
			peer_deafen(io);
		else
			peer_want(io);
	}
}

/* ------------------------------------------------------------- accepting */

static void
peer_new(struct peers *peers, int fd)
{
	struct peer *peer = mem_alloc(sizeof(*peer));
	struct peer_io *io = mem_alloc(sizeof(*io));
	struct hub *hub = peers->hub;
	struct ucred who;
	socklen_t len = sizeof(who);

	peer->hub = hub;
	peer->io = io;
	io->peer = peer;
	io->since_ns = hub->now_ns;
	wire_init(&io->wire, fd, MSG_FROM_CLIENT, hub->conf->hub.max_message,
	    hub->conf->hub.max_unread);
	/* until we know who it is */
	io->wire.max_frame = sizeof(struct msg_HELLO);
	DL_APPEND(peers->first, peer);
	peers->n++;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == -1 ||
	    loop_io_add(hub->loop, &io->io, fd, LOOP_READ, peer_on_io, peer) ==
		-1) {
		log_warning("cannot take a client: %s", strerror(errno));
		peer_free(peers, peer);
		return;
	}
	peer->pid = who.pid;
	if (!loop_timer_is_set(&peers->hello))
		loop_timer_set(hub->loop, &peers->hello,
		    hub->now_ns + hub->conf->control.timeout);
}

static void
peers_on_hello_time(void *ctx)
{
	struct peers *peers = ctx;
	struct hub *hub = peers->hub;
	int64_t timeout = hub->conf->control.timeout, next = CLOCK_NEVER;
	struct peer *peer;

	hub_tick(hub);
	for (peer = peers->first; peer != NULL; peer = peer->next) {
		if (peer->welcome || peer->io->gone)
			continue;
		if (peer->io->since_ns + timeout <= hub->now_ns)
			peer_cut(peer, "has not said hello");
		else if (peer->io->since_ns + timeout < next)
			next = peer->io->since_ns + timeout;
	}
	loop_timer_set(hub->loop, &peers->hello, next);
}

static void
peers_on_pause_over(void *ctx)
{
	struct peers *peers = ctx;

	if (!peers->hub->draining && !peers->full)
		loop_io_want(peers->hub->loop, &peers->listen, LOOP_READ);
}

static void
peers_on_connection(void *ctx, unsigned events)
{
	struct peers *peers = ctx;
	struct hub *hub = peers->hub;
	int fd;

	(void)events;
	hub_tick(hub);
	for (int i = 0; i < PEERS_ACCEPT; i++) {
		if (peers->n >= (size_t)hub->conf->hub.max_clients) {
			log_warning("%zu clients are connected "
				    "(hub.max_clients); others have to wait",
			    peers->n);
			peers->full = true;
			loop_io_want(hub->loop, &peers->listen, 0);
			return;
		}
		fd = accept4(peers->listen.fd, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			peer_new(peers, fd);
			continue;
		}
		if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR)
			return;
		log_warning("cannot accept a client: %s; trying again soon",
		    strerror(errno));
		loop_io_want(hub->loop, &peers->listen, 0);
		loop_timer_set(hub->loop, &peers->pause,
		    hub->now_ns + PEERS_PAUSE_NS);
		return;
	}
}

int
peers_start(struct hub *hub, struct why *why)
{
	struct peers *peers = mem_alloc(sizeof(*peers));
	int fd = hub->child->spec.hub_fd;

	hub->peers = peers;
	peers->hub = hub;
	loop_timer_init(&peers->pause, peers_on_pause_over, peers);
	loop_timer_init(&peers->hello, peers_on_hello_time, peers);
	if (fd_nonblock(fd) == -1 ||
	    loop_io_add(hub->loop, &peers->listen, fd, LOOP_READ,
		peers_on_connection, peers) == -1)
		return why_set(why, "cannot listen on the hub's socket: %s",
		    strerror(errno));
	return 0;
}

void
peers_drain(struct hub *hub)
{
	loop_io_del(hub->loop, &hub->peers->listen);
}

void
peers_stop(struct hub *hub)
{
	struct peers *peers = hub->peers;
	struct peer *peer;

	if (peers == NULL)
		return;
	for (peer = peers->first; peer != NULL; peer = peer->next)
		peer_leave(peer);
	peers_forget(peers);
	loop_io_del(hub->loop, &peers->listen);
	loop_timer_cancel(hub->loop, &peers->pause);
	loop_timer_cancel(hub->loop, &peers->hello);
	HASH_CLEAR(hh, peers->by_session);
	free(peers);
	hub->peers = NULL;
}

struct peer *
peers_find(struct hub *hub, uint64_t session)
{
	struct peer_io *io;

	/* work that stops has nobody left to answer */
	if (hub->peers == NULL)
		return NULL;
	HASH_FIND(hh, hub->peers->by_session, &session, sizeof(session), io);
	return io != NULL ? io->peer : NULL;
}

struct peer *
peers_first(struct hub *hub)
{
	return hub->peers->first;
}

size_t
peers_count(const struct hub *hub)
{
	return hub->peers->n;
}
