/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peer - one client of the hub: hello, frames in, frames out.
 *
 * Each peer has its share of a turn, PEER_SHARE frames; what it has sent beyond
 * that waits for the next turn, so that a peer which pipelines a million
 * requests costs the others no more than its share. Who leaves more than
 * PEER_HIGH of its answers unread is not read from until it has caught up; who
 * is sent more than hub.max_unread all the same, a watcher, is cut off.
 */
#include "hub/peer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/why.h"
#include "hub/broker.h"
#include "hub/peer_io.h"

static const char *
peer_name(const struct peer *peer, char *buf, size_t size)
{
	snprintf(buf, size, "%s[%d]",
	    peer->welcome ? role_info[peer->role].name : "a client",
	    (int)peer->pid);
	return buf;
}

/* ------------------------------------------------------------- leaving */

void
peer_leave(struct peer *peer)
{
	struct peer_io *io = peer->io;
	struct peers *peers = peer->hub->peers;

	if (io->gone)
		return;
	io->gone = true;
	loop_io_del(peer->hub->loop, &io->io);
	if (io->to_flush)
		DL_DELETE2(peers->flush, io, prev_flush, next_flush);
	if (io->more)
		DL_DELETE2(peers->more, io, prev_more, next_more);
	if (peer->welcome)
		HASH_DEL(peers->by_session, io);
	LL_APPEND2(peers->gone, io, next_gone);
}

void
peer_cut(struct peer *peer, const char *format, ...)
{
	char name[64], text[WHY_SIZE];
	va_list ap;

	if (peer->io->gone)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	log_warning("%s %s; it is cut off", peer_name(peer, name, sizeof(name)),
	    text);
	/* what it was told before still leaves, if it takes it at once */
	wire_flush(&peer->io->wire);
	peer_leave(peer);
}

/* ------------------------------------------------------------- sending */

static void
peer_to_flush(struct peer_io *io)
{
	struct peers *peers = io->peer->hub->peers;

	if (io->to_flush)
		return;
	io->to_flush = true;
	DL_APPEND2(peers->flush, io, prev_flush, next_flush);
}

size_t
peer_unread(const struct peer_io *io)
{
	return io->wire.out.len - io->wire.sent;
}

void
peer_send(struct peer *peer, enum msg_id id, uint32_t request, const void *msg)
{
	struct peer_io *io = peer->io;

	if (io->gone || io->deaf)
		return;
	if (wire_send(&io->wire, id, request, msg) == -1) {
		peer_cut(peer, "does not read: %zu bytes wait for it",
		    peer_unread(io));
		return;
	}
	peer_to_flush(io);
}

void
peer_fail(struct peer *peer, uint32_t request, enum hub_code code,
    const char *format, ...)
{
	struct msg_FAIL fail = { .code = code };
	char text[WHY_SIZE];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	fail.why = msg_text(text);
	peer_send(peer, MSG_FAIL, request, &fail);
}

void
peer_want(struct peer_io *io)
{
	unsigned want = 0;

	if (peer_unread(io) > 0)
		want |= LOOP_WRITE;
	if (!io->more && peer_unread(io) <= PEER_HIGH)
		want |= LOOP_READ;
	if (loop_io_want(io->peer->hub->loop, &io->io, want) == -1)
		peer_cut(io->peer, "cannot be waited for: %s", strerror(errno));
}

/* ------------------------------------------------------------- receiving */

static void
hub_on_HELLO(struct hub *hub, struct peer *peer, uint32_t request,
    const struct msg_HELLO *hello)
{
	const struct board *board = hub->child->board;
	struct msg_WELCOME welcome = { .protocol = msg_protocol() };
	struct peer_io *before;
	const struct slot *slot;

	if (hello->protocol != welcome.protocol) {
		peer_fail(peer, request, HUB_BAD, "not this hub's protocol");
		peer_cut(peer, "speaks another protocol");
		return;
	}
	slot = hello->slot < board->slots ? &board->slot[hello->slot] : NULL;
	if (peer->welcome || slot == NULL || slot->pid != peer->pid ||
	    slot->role < 0 || slot->role >= ROLE_COUNT ||
	    slot->generation != hello->generation || hello->session == 0) {
		peer_fail(peer, request, HUB_BAD, "not of this family");
		peer_cut(peer, "is not who it says it is (slot %u)",
		    hello->slot);
		return;
	}
	/* the one connection of a process is the last one that it made */
	HASH_FIND(hh, hub->peers->by_session, &hello->session,
	    sizeof(hello->session), before);
	if (before != NULL)
		peer_leave(before->peer);

	peer->slot = hello->slot;
	peer->generation = hello->generation;
	peer->role = (enum role_id)slot->role;
	peer->session = hello->session;
	peer->worker = hello->worker == 1;
	peer->welcome = true;
	peer->io->wire.max_frame = hub->conf->hub.max_message;
	HASH_ADD_KEYPTR(hh, hub->peers->by_session, &peer->session,
	    sizeof(peer->session), peer->io);
	peer_send(peer, MSG_WELCOME, request, &welcome);
	lock_on_peer(hub, peer);
	if (peer->worker)
		dispatch_on_worker(hub, peer);
	broker_on_peer(hub, peer);
}

/* A function for each message that a client may send, from the table. */
typedef void peer_on_fn(struct hub *hub, struct peer *peer, uint32_t request,
    const union msg *msg);

#define ON_MSG_FROM_CLIENT(id)                                       \
	static void peer_on_##id(struct hub *hub, struct peer *peer, \
	    uint32_t request, const union msg *msg)                  \
	{                                                            \
		hub_on_##id(hub, peer, request, &msg->id);           \
	}
#define ON_MSG_FROM_HUB(id)
#define ON_MSG_FROM_NONE(id)
#define MSG(id, name, from, kind) ON_##from(id)
#define FIELD(type, name)
#define END
#include "core/msg.def"
#undef ON_MSG_FROM_CLIENT

#define ON_MSG_FROM_CLIENT(id) [MSG_##id] = peer_on_##id,
static peer_on_fn *const peer_on[MSG_COUNT] = {
#define MSG(id, name, from, kind) ON_##from(id)
#define FIELD(type, name)
#define END
#include "core/msg.def"
};

void
peer_work(struct peer *peer)
{
	struct peer_io *io = peer->io;
	struct msg_head head;
	union msg msg;
	struct why why;
	int n;

	for (int i = 0; i < PEER_SHARE && peer_unread(io) <= PEER_HIGH; i++) {
		n = wire_next(&io->wire, &head, &msg, &why);
		if (n == 0)
			return;
		if (n == -1) {
			peer_cut(peer, "sends garbage: %s", why.text);
			return;
		}
		if (!peer->welcome && head.id != MSG_HELLO) {
			peer_cut(peer, "sends %s before hello",
			    msg_name(head.id));
			return;
		}
		peer->hub->frames++;
		peer_on[head.id](peer->hub, peer, head.request, &msg);
		if (io->gone)
			return;
	}
	io->more = true;
	DL_APPEND2(peer->hub->peers->more, io, prev_more, next_more);
	peer_want(io);
}

void
peer_on_io(void *ctx, unsigned events)
{
	struct peer *peer = ctx;
	struct peer_io *io = peer->io;
	int n;

	hub_tick(peer->hub);
	if (events & LOOP_WRITE)
		peer_to_flush(io);
	if (!(events & LOOP_READ))
		return;
	n = wire_read(&io->wire);
	if (n > 0)
		peer_work(peer);
	else if (n == 0 || errno != EAGAIN)
		peer_leave(peer);
}
