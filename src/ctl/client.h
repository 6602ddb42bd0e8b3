/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client - one connection to the control socket: a JSON object a line, both
 * ways (core/cmd.def has the protocol).
 *
 * Nothing waits longer than the client's deadline, and no line grows beyond
 * CLIENT_MAX_LINE. What goes wrong is told apart, because what the operator has
 * to do differs, and comes with a sentence on what, where and what to do.
 */
#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/why.h"

#define CLIENT_MAX_LINE ((size_t)256 * 1024 * 1024)

enum client_end {
	CLIENT_FINE,
	CLIENT_ABSENT,	/* no socket, or nobody listens on it */
	CLIENT_DENIED,	/* not ours to ask */
	CLIENT_MUTE,	/* no answer before the deadline */
	CLIENT_GONE,	/* the end where an answer was due */
	CLIENT_BROKEN,	/* garbage where an answer was due */
	CLIENT_FAILED,	/* something on this side */
};

struct client {
	int fd;			/* -1 when not connected */
	const char *path;	/* borrowed */
	pid_t peer;		/* the pid that listens, 0: not known */
	int64_t deadline_ns;	/* may be changed between two calls */
	struct buf in;
	size_t searched;	/* bytes of `in` known to hold no newline */
};

/* `client` can be closed after any outcome. */
enum client_end client_open(struct client *client, const char *path,
    int64_t deadline_ns, struct why *why);
void client_close(struct client *client);

/* Sends one line. */
enum client_end client_send(struct client *client, const json_t *line,
    struct why *why);

/* Receives one line, an object, which the caller decrefs. */
enum client_end client_receive(struct client *client, json_t **line,
    struct why *why);

/* True when the peer has said something, or left, before `until_ns`. */
bool client_heard(struct client *client, int64_t until_ns);

#endif
