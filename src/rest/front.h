/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * front - connections until the HTTP library has them.
 *
 * Accepts, one at a time so that the workers share evenly, looks at the first
 * bytes, hands over what begins like a request, and answers the rest itself.
 * Counts the connections of the worker, and says when it is full.
 */
#ifndef REST_FRONT_H
#define REST_FRONT_H

#include "rest/rest.h"

struct why;

/* Before each wait: lets others have the next connection, if that is fair. */
void front_take_turns(struct rest *rest);

int front_start(struct rest *rest, struct why *why);
void front_stop(struct rest *rest);

/* Stops accepting, and soon closes who has not said anything. */
void front_drain(struct rest *rest);

/* True when no connection is left. */
bool front_done(const struct rest *rest);

/* Sends a problem on a connection that is in no exchange, and logs it. */
void front_say(struct conn *conn, int status, const char *detail, bool head);

/* The HTTP library has let go of the connection, whose descriptor it closes. */
void front_forget(struct conn *conn);

/* The same, but conn->fd is ours: see linger.h. */
void front_linger(struct conn *conn);

#endif
