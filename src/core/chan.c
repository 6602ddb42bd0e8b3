/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chan - the control channel between the master and one child.
 *
 * A packet is a magic and a message id, and nothing else: what there is to know
 * stands in the scoreboard. SOCK_SEQPACKET keeps packets whole, so there is no
 * half-read state to carry.
 */
#include "core/chan.h"

#include <errno.h>
#include <stddef.h>

#include "base/fd.h"

#define CHAN_MAGIC 0x62726f64u

struct chan_packet {
	uint32_t magic;
	uint32_t id;
};

static const struct {
	const char *name;
	enum chan_from from;
	enum chan_carries carries;
} chan_row[CHAN_COUNT] = {
#define CHAN(id, name, from, carries) [CHAN_##id] = { name, from, carries },
#include "core/chan.def"
#undef CHAN
};

const char *
chan_name(enum chan_id id)
{
	if (id <= CHAN_NONE || id >= CHAN_COUNT)
		return "?";
	return chan_row[id].name;
}

int
chan_send(int sock, enum chan_id id, int fd)
{
	struct chan_packet packet = { CHAN_MAGIC, id };

	return fd_send(sock, &packet, sizeof packet, fd);
}

int
chan_recv(int sock, enum chan_from from, enum chan_id *id, int *fd)
{
	struct chan_packet packet;

	ssize_t n = fd_recv(sock, &packet, sizeof packet, fd);
	if (n == 0)
		return 0;
	if (n < 0) {
		if (errno == EMSGSIZE)
			errno = EPROTO;
		return -1;
	}
	if ((size_t)n != sizeof packet || packet.magic != CHAN_MAGIC ||
	    packet.id <= CHAN_NONE || packet.id >= CHAN_COUNT ||
	    chan_row[packet.id].from != from ||
	    (chan_row[packet.id].carries == CHAN_FD) != (*fd >= 0)) {
		fd_close(fd);
		errno = EPROTO;
		return -1;
	}
	*id = packet.id;
	return 1;
}
