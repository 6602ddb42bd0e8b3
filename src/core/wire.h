/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire - one end of a connection between the hub and a client: frames in,
 * frames out, non-blocking and bounded.
 *
 * The owner watches the descriptor and calls wire_read() when it is readable,
 * wire_next() until it says 0, and wire_flush() when there is something to
 * send. A frame that wire_next() returned is valid until the next call.
 */
#ifndef CORE_WIRE_H
#define CORE_WIRE_H

#include "base/buf.h"
#include "core/msg.h"

struct why;

struct wire {
	int fd;			/* -1: closed */
	struct buf in, out;
	size_t taken;		/* bytes of `in` that wire_next() has shown */
	size_t sent;		/* bytes of `out` that the kernel has */
	size_t max_frame;
	enum msg_from peer;	/* what the other end may send */
};

/* Owns fd, which is non-blocking. Frames larger than max_frame are refused;
 * more than max_out bytes that the peer does not read are an error. */
void wire_init(struct wire *wire, int fd, enum msg_from peer, size_t max_frame,
    size_t max_out);
void wire_release(struct wire *wire);

/* Reads what is there, up to a bound that is fair to others. 1: something came;
 * 0: the end; -1: EAGAIN or an error. */
int wire_read(struct wire *wire);

/* 1 with a frame; 0: none is whole; -1 with the reason: cut the peer off. */
int wire_next(struct wire *wire, struct msg_head *head, union msg *msg,
    struct why *why);

/* Queues. -1 with ENOBUFS: the peer does not read; cut it off. */
int wire_send(struct wire *wire, enum msg_id id, uint32_t request,
    const void *msg);

/* Writes what it can. 1: all is out; 0: the rest when it is writable; -1. */
int wire_flush(struct wire *wire);

#endif
