/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * linger - connections that have had our last word.
 *
 * A socket that is closed with bytes unread, or that gets some afterwards,
 * resets the connection, and the reset destroys what the client has not yet
 * read of its answer. So what still comes is read and forgotten, for a while.
 */
#ifndef REST_LINGER_H
#define REST_LINGER_H

#include "rest/rest.h"

void linger_start(struct rest *rest);
void linger_stop(struct rest *rest);

/* True when nobody is left. */
bool linger_done(const struct rest *rest);

/* Takes the connection over, with its descriptor. -1: it stays the caller's. */
int linger_add(struct conn *conn);

#endif
