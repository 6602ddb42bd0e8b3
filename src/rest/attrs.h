/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attrs - what a handler can look up of a request, as parts of a message.
 */
#ifndef REST_ATTRS_H
#define REST_ATTRS_H

struct buf;
struct conn;

/*
 * Appends an ATTR for each parameter of the path, argument of the query, header
 * field and cookie. -1 with ENOBUFS when they do not fit `out`.
 */
int attrs_encode(struct conn *conn, struct buf *out);

#endif
