/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attrs - what a handler can look up by name, as a RUN carries it: parameters,
 * the query, headers and cookies of a request, headers and properties of a
 * message.
 */
#ifndef TASK_ATTRS_H
#define TASK_ATTRS_H

#include <stddef.h>

#include "core/call.h"
#include "core/msg.h"

struct why;

struct attrs {
	struct attr {
		enum call_lookup what;
		const char *name, *value;	/* behind the last of v */
	} *v;
	size_t n;
};

/* Copies parts, all of them ATTR. -1 with the reason when they are not, and
 * then there is nothing to release. */
int attrs_read(struct attrs *attrs, struct msg_bytes parts, struct why *why);
void attrs_release(struct attrs *attrs);

/* The first value of that name, NULL if there is none. Names of headers are
 * compared without regard to case (RFC 9110, 5.1), all others as they are. */
const char *attrs_find(const struct attrs *attrs, enum call_lookup what,
    const char *name);

#endif
