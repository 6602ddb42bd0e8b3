/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log_line - the bytes of one log line; the private half of log.
 *
 * Pure: everything that a line says comes in here, the time included, and a
 * line within LOG_LINE_MAX comes out, whatever bytes it was made from.
 */
#ifndef BASE_LOG_LINE_H
#define BASE_LOG_LINE_H

#include <sys/types.h>

#include "base/log.h"

struct log_head {
	enum log_level level;
	enum log_format format;
	int64_t wall_ns;
	const char *role;
	pid_t pid;
	int slot;		/* -1: none, and no generation */
	unsigned generation;
	const char *request;	/* NULL: none */
	/*
	 * For syslog: what tags the line, else NULL. The line then begins as
	 * RFC 3164 wants, and a text leaves out what that has said already.
	 */
	const char *tag;
};

struct log_line {
	size_t len;
	char bytes[LOG_LINE_MAX];	/* ends with a newline, not a NUL */
};

void log_line_build(struct log_line *line, const struct log_head *head,
    const char *message, const struct log_field *fields, size_t n);

#endif
