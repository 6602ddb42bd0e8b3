/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn - small things about one connection that more than one file needs.
 */
#ifndef REST_CONN_H
#define REST_CONN_H

#include "rest/rest.h"

struct conn *conn_of(struct deadline *deadline);
struct conn *conn_of_waiting(struct waiting *waiting);

/* Out of every list and loop, its descriptor closed unless -1. */
void conn_free(struct conn *conn);

/* Have bytes come that nobody has read? */
bool conn_has_unread(const struct conn *conn);

/* Has the client sent all it ever will, and all of it been read? */
bool conn_has_ended(const struct conn *conn);

/*
 * The library closes the connection without a word; has the client closed it
 * first? If not, what came was not even a request line.
 */
bool conn_was_garbage(const struct conn *conn);

/*
 * Have bytes come since it fell idle? They are the beginning of a request then.
 * Asks the kernel, in milliseconds; false for Unix sockets.
 */
bool conn_has_begun(const struct conn *conn, int64_t now_ns);

/*
 * Sends the exchange's reply, a problem, behind the library's back, after which
 * the library is to close. The connection must be plain, and nothing of an
 * answer be under way.
 */
void conn_say(struct conn *conn);

#endif
