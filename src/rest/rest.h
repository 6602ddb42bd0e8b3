/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rest - what the files of a REST worker share.
 *
 * A connection's way through them:
 *
 *   accept ─► FRESH ─first byte─► IDLE ─request line─► HEAD ─► BODY ─► ANSWER
 *     front     │                  ▲   http, exchange                    │
 *               │                  └─────────── answered ────────────────┤
 *               ▼ not HTTP, or no room                                   │
 *             LINGER ◄── our last word is said, the client may yet talk ─┘
 *     linger    │                                     (DEAD while the HTTP
 *               ▼                                      library winds it up)
 *             closed
 */
#ifndef REST_REST_H
#define REST_REST_H

#include <stdbool.h>
#include <stdint.h>

#include "core/address.h"
#include "core/call.h"
#include "core/role.h"
#include "rest/deadline.h"
#include "rest/head.h"
#include "rest/problem.h"
#include "rest/route.h"

struct child;
struct conf;
struct ctldoor;
struct front;
struct http;
struct lingerers;

/* The worker. */
struct rest {
	struct child *child;
	const struct conf *conf;
	struct loop *loop;
	struct route_table *routes;
	struct guard *guard;
	struct front *front;
	struct http *http;
	struct lingerers *linger;
	struct ctldoor *calls;	/* the calls of broodctl */
	struct head_limits limits;
	struct call_result result;	/* of the call being answered */
	unsigned answering;		/* connections in that phase */
	bool draining, stopping;
	/* a moment of this round of the loop, good enough to age things by */
	int64_t now_ns;
};

/* What a reply is made of; see exchange.h for whose memory it is. */
struct reply {
	int status;
	const char *detail;	/* of a problem of ours, a constant */
	const char *type;	/* NULL without a body */
	char *body;		/* heap, or NULL */
	size_t len;
	const char *allow;	/* values of headers, or NULL */
	const char *retry_after;
	bool identity;		/* say that no content coding is taken */
	struct call_result *with;	/* has more headers, or NULL */
};

struct kept;

/* One request and its answer. */
struct exchange {
	struct head head;
	const char *method, *path;	/* in the HTTP library's memory */
	size_t target_len;
	int64_t started_ns;
	char id[CALL_ID_SIZE];
	/* the query, decoded */
	char *query;
	size_t query_len;
	struct route_match match;
	char small[256], *scratch;	/* the path's parameters are there */
	/* the body so far; a NUL follows it */
	char *body;
	size_t body_len, body_size, max_body;
	bool decided;			/* the reply stands, drop the body */
	size_t dropped;
	struct kept *kept;
	struct reply reply;
	char allow[ROUTE_ALLOW_SIZE], retry_after[24];
	/* for the access log */
	int status;
	size_t sent;
	int64_t took_ns;
};

enum conn_phase {
	CONN_FRESH,	/* no byte has come */
	CONN_IDLE,	/* with the HTTP library, between requests */
	CONN_HEAD,	/* there is a request line */
	CONN_BODY,	/* the head is whole and was taken */
	CONN_ANSWER,	/* the HTTP library is sending the reply */
	CONN_DEAD,	/* answered behind the HTTP library's back */
	CONN_LINGER,	/* what still comes is read and forgotten */
};

struct conn {
	struct rest *rest;
	struct deadline deadline;
	struct loop_io io;		/* while FRESH or LINGER */
	int fd;
	enum conn_phase phase;
	bool tls;
	bool tcp;
	bool refuse;			/* accepted only to be told 503 */
	bool slow;			/* does not take its answer at once */
	bool last;			/* it ends after this answer */
	bool linger;			/* the client may still be sending */
	bool used;			/* has had a request before */
	bool open;			/* the exchange has begun */
	size_t lingered;		/* bytes read and forgotten */
	void *http;			/* the HTTP library's handle */
	char peer[ADDRESS_TEXT_SIZE];
	struct exchange ex;
};

extern const struct role rest_role;

/* Tells the child that everything in hand is done, if so. */
void rest_settle(struct rest *rest);

#endif
