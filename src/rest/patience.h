/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * patience - how long a client may take, for each thing that it does.
 *
 *   receiving  first byte to last of a request     408 after receive_timeout
 *   idle       between two requests                closed after idle_timeout
 *   sending    to take its answer                  cut off after send_timeout
 *                                                  without a byte
 *   dead       to close, once it was told 408      closed
 *
 * For connections that the HTTP library has; front keeps its own.
 */
#ifndef REST_PATIENCE_H
#define REST_PATIENCE_H

#include "rest/rest.h"

struct patience {
	struct deadline_list receiving, overtime, idle, sending, dead;
	struct loop_timer look;	/* at the receiving ones */
};

void patience_init(struct patience *patience, struct rest *rest);
void patience_release(struct rest *rest, struct patience *patience);

/* A request has begun. */
void patience_receive(struct conn *conn, int64_t since_ns);

/* Who has been idle for a moment is closed, now or then. */
void patience_drain(struct patience *patience);

/*
 * The library is about to answer `status` with a page of its own and does not
 * say to whom. Returns the connection if there is only one it can be.
 */
struct conn *patience_suspect(const struct patience *patience, int status,
    int64_t now_ns);

/* Answers the request, or what there is of it, with a problem and has the
 * connection closed. */
void patience_refuse(struct conn *conn, int status, const char *detail);

#endif
