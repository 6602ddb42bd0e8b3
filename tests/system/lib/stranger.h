/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stranger - another program that runs beside the service: tests/interop, say.
 *
 * What it prints is read line by line. It dies with the test.
 */
#ifndef SYSTEM_STRANGER_H
#define SYSTEM_STRANGER_H

#include <sys/types.h>

#include "daemon.h"

struct stranger {
	const char *name;
	pid_t pid;
	int out;		/* what it prints */
	char *text;		/* so far; a line that was read ends with NUL */
	size_t len, at;
};

/* argv[0] is looked for in PATH; NULL ends the list. */
void stranger_start(struct stranger *stranger, const char *const argv[]);

/* The next line it prints, without its newline, valid until the next call;
 * fails the test when none comes. */
const char *stranger_line(struct stranger *stranger);

/* Requires that the next line is this. */
void stranger_require(struct stranger *stranger, const char *line);

/* SIGTERM, upon which it has to end with status 0. */
void stranger_stop(struct stranger *stranger);

/* --- tests/interop/cruncher.py, at the broker of this test; `argument` may be
 * NULL. Returns when it consumes. */
void pika_start(struct stranger *stranger, const char *service,
    const char *argument);
/* Runs to its end; what it prints, to free. */
char *pika_run(const char *service, const char *argument, const char *input);

/* --- amqp-tools */
void tool_publish(const char *exchange, const char *key, const char *text);
/* Waits until there is a message in the queue, and requires that it is this. */
void tool_require_get(const struct daemon *daemon, const char *queue,
    const char *text);

#endif
