/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rest - what the files of a REST worker share.
 *
 * A connection's way through them:
 *
 *   accept ─► FRESH ─first byte─► IDLE ─request line─► HEAD ─► BODY ─► ANSWER
 *     front     │                  ▲   http, exchange          │        ▲│
 *               │                  │                 waiting   ▼        ││
 *               │                  │                         WAIT ──────┘│
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
#include "core/conf.h"
#include "core/msg.h"
#include "core/role.h"
#include "rest/deadline.h"
#include "rest/head.h"
#include "rest/problem.h"
#include "rest/route.h"

struct child;
struct conn;
struct engine;
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
	struct waiting *waiting;	/* all that do */
	unsigned waits;			/* how many */
	struct head_limits limits;
	struct call_result result;	/* of the call being answered */
	unsigned answering;		/* connections in that phase */
	bool draining, stopping;
	struct loop_timer give_up;	/* the end of a drain's patience */
	char hub_path[CONF_PATH_SIZE];
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
	const char *location;
	const char *applied;	/* Preference-Applied */
	bool identity;		/* say that no content coding is taken */
	struct call_result *with;	/* has more headers, or NULL */
};

/* What becomes of a request. */
enum exchange_next {
	EXCHANGE_RECEIVE,	/* go on receiving */
	EXCHANGE_WAIT,		/* the hub was asked: see waiting.h */
	EXCHANGE_REPLY,		/* send ex->reply */
	EXCHANGE_REFUSE,	/* the same, though the body has not all come */
	EXCHANGE_AGAIN,		/* serve it once more, from its start */
	EXCHANGE_CLOSE,		/* the answer is out already, or nobody's */
};

/*
 * What the hub says: `msg` of the kind that was asked for with HUB_OK, else a
 * code, and a FAIL or NULL.
 */
typedef enum exchange_next waiting_fn(struct conn *conn, const union msg *msg,
    enum hub_code code);

/* A request on its way through the hub. */
struct waiting {
	struct waiting *prev, *next;	/* of rest->waiting */
	uint32_t request;		/* in the hub client; 0: none */
	enum msg_id wanted;		/* the kind of its answer */
	waiting_fn *fn;
	uint64_t call;			/* mode wait: the call's uid */
	uint64_t job, token;		/* mode job, once it is known */
	struct prefer applied;		/* what is granted of Prefer */
	unsigned tries;			/* of an inline call */
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
	/* of a handler that ran here, while what it sends is committed */
	struct call_result *held;
	/* for the access log */
	const char *outcome;		/* how it ended, if unusually */
	int status;
	size_t sent;
	int64_t took_ns;
};

enum conn_phase {
	CONN_FRESH,	/* no byte has come */
	CONN_IDLE,	/* with the HTTP library, between requests */
	CONN_HEAD,	/* there is a request line */
	CONN_BODY,	/* the head is whole and was taken */
	CONN_WAIT,	/* the hub is asked for what makes the reply */
	CONN_ANSWER,	/* the HTTP library is sending the reply */
	CONN_DEAD,	/* answered behind the HTTP library's back */
	CONN_LINGER,	/* what still comes is read and forgotten */
};

struct conn {
	struct rest *rest;
	struct deadline deadline;
	struct loop_io io;		/* while FRESH, WAIT or LINGER */
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
	struct engine *engine;
	char peer[ADDRESS_TEXT_SIZE];
	struct exchange ex;
	struct waiting waiting;
};

extern const struct role rest_role;

/* Tells the child that everything in hand is done, if so. */
void rest_settle(struct rest *rest);

#endif
