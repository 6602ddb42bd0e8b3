/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chan - the control channel between the master and one child.
 *
 * Non-blocking on both ends. The receiver checks size, kind, direction and
 * descriptor before it looks at a message (chan.def); what fails the check is
 * EPROTO, and the peer is cut off.
 */
#ifndef CORE_CHAN_H
#define CORE_CHAN_H

#include <stdint.h>

enum chan_id {
	CHAN_NONE,
#define CHAN(id, name, from, carries) CHAN_##id,
#include "core/chan.def"
#undef CHAN
	CHAN_COUNT
};

enum chan_from { CHAN_MASTER, CHAN_CHILD };
enum chan_carries { CHAN_PLAIN, CHAN_FD };

/* Its name, "?" beyond the table. */
const char *chan_name(enum chan_id id);

/* Sends; `fd` stays the caller's, -1 for none. 0, or -1 (EAGAIN: full). */
int chan_send(int sock, enum chan_id id, int fd);

/*
 * Receives one message sent by `from`. Returns 1 with *id and *fd (the caller's
 * to close, -1 for none); 0 at end of file; -1 with EAGAIN, or EPROTO.
 */
int chan_recv(int sock, enum chan_from from, enum chan_id *id, int *fd);

#endif
