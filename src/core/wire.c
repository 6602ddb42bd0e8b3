/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire - frames over a non-blocking stream socket, in both directions.
 *
 * Used by hub/peer and core/hub_client alike. Reading takes one read(2) at a
 * time, so that a peer that never stops sending cannot hold up the others, and
 * gives back the memory that a large frame has left behind. What is to be sent
 * stays where it is until most of it is out: moving it up after each write
 * would cost the square of a long queue.
 */
#include "core/wire.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/fd.h"

/* Beyond a whole frame, for the beginning of the next ones. */
#define WIRE_AHEAD 65536
/* An empty buffer larger than this is given back. */
#define WIRE_KEEP 262144

void
wire_init(struct wire *wire, int fd, enum msg_from peer, size_t max_frame,
    size_t max_out)
{
	*wire = (struct wire){
		.fd = fd,
		.max_frame = max_frame,
		.peer = peer,
	};
	buf_init(&wire->in, MSG_HEAD + max_frame + WIRE_AHEAD);
	buf_init(&wire->out, max_out);
}

void
wire_release(struct wire *wire)
{
	fd_close(&wire->fd);
	buf_release(&wire->in);
	buf_release(&wire->out);
	wire->taken = wire->sent = 0;
}

/* Without the NUL of buf_clear(): nobody reads a frame as a text. */
static inline void
buf_empty(struct buf *buf)
{
	if (buf->size > WIRE_KEEP)
		buf_release(buf);
	else
		buf->len = 0;
}

int
wire_read(struct wire *wire)
{
	ssize_t n;

	if (wire->taken == wire->in.len)
		buf_empty(&wire->in);
	else
		buf_consume(&wire->in, wire->taken);
	wire->taken = 0;
	n = buf_read_fd(&wire->in, wire->fd);
	return n > 0 ? 1 : (int)n;
}

int
wire_next(struct wire *wire, struct msg_head *head, union msg *msg,
    struct why *why)
{
	ptrdiff_t n;

	if (wire->taken == wire->in.len)
		return 0;
	n = msg_decode(wire->in.data + wire->taken, wire->in.len - wire->taken,
	    wire->max_frame, wire->peer, head, msg, why);
	if (n <= 0)
		return (int)n;
	wire->taken += (size_t)n;
	return 1;
}

static void
wire_move_up(struct wire *wire)
{
	buf_consume(&wire->out, wire->sent);
	wire->sent = 0;
}

int
wire_send(struct wire *wire, enum msg_id id, uint32_t request, const void *msg)
{
	if (msg_encode(&wire->out, id, request, msg) == 0)
		return 0;
	if (wire->sent == 0)
		return -1;
	wire_move_up(wire);
	return msg_encode(&wire->out, id, request, msg);
}

int
wire_flush(struct wire *wire)
{
	ssize_t n;

	while (wire->sent < wire->out.len) {
		n = send(wire->fd, wire->out.data + wire->sent,
		    wire->out.len - wire->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN) {
			if (wire->sent > wire->out.len / 2)
				wire_move_up(wire);
			return 0;
		}
		if (n == -1)
			return -1;
		wire->sent += (size_t)n;
	}
	buf_empty(&wire->out);
	wire->sent = 0;
	return 1;
}
