/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chan - the control channel between the master and one child.
 *
 * Non-blocking on both ends. The receiver checks size, kind, direction and
 * descriptor before it looks at a message (msg.def); what fails the check is
 * EPROTO, and the peer is cut off.
 */
#ifndef CORE_CHAN_H
#define CORE_CHAN_H

#include <stdint.h>

enum msg_id {
	MSG_NONE,
#define MSG(id, name, from, carries) MSG_##id,
#include "core/msg.def"
#undef MSG
	MSG_COUNT
};

enum msg_from { MSG_MASTER, MSG_CHILD };
enum msg_carries { MSG_PLAIN, MSG_FD };

/* Its name, "?" beyond the table. */
const char *msg_name(enum msg_id id);

/* Sends; `fd` stays the caller's, -1 for none. 0, or -1 (EAGAIN: full). */
int chan_send(int sock, enum msg_id id, int fd);

/*
 * Receives one message sent by `from`. Returns 1 with *id and *fd (the caller's
 * to close, -1 for none); 0 at end of file; -1 with EAGAIN, or EPROTO.
 */
int chan_recv(int sock, enum msg_from from, enum msg_id *id, int *fd);

#endif
