/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control - a connection of the operator's socket, as the commands see it.
 */
#ifndef MASTER_CONTROL_H
#define MASTER_CONTROL_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "core/cmd.h"
#include "master/family.h"

struct control_client {
	struct control_client *next;
	struct master *master;
	int fd;
	struct loop_io io;
	struct loop_timer timeout;	/* for a whole line, for taking bytes */
	struct buf in, out;
	bool asked;			/* its one request has come */
	bool eof;			/* says no more, but may listen */
	bool done;			/* close once `out` is empty */
	/* a command that waits: looks, and answers when it is time */
	void (*wait)(struct control_client *client);
	/* what it waits for */
	struct pool *pool;
	int wanted;
	int last;			/* of the last event; not twice */
};

/* Says how it goes. */
void control_event(struct control_client *client, const char *text);

/* The one answer; `data` may be NULL, its reference is stolen. */
void control_answer(struct control_client *client, int code,
    const char *message, json_t *data);

/* A string, with '?' in place of what is not UTF-8 and JSON cannot carry. */
json_t *control_text(const char *text);

/* The connection is somebody else's now: close it without a word. */
void control_forget(struct control_client *client);

/* --- command.c */
void command_run(struct control_client *client, const json_t *request);

#endif
