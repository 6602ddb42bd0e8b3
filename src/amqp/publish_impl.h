/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * publish_impl - what the files of publish share.
 *
 *   publish       the connection: up, down, closed channels
 *   publish_send  SENDs: what may go now, what has to wait, what is held
 *   publish_tell  SENT, LINK, returns, and what is logged
 */
#ifndef AMQP_PUBLISH_IMPL_H
#define AMQP_PUBLISH_IMPL_H

#include "amqp/flight.h"
#include "amqp/publish.h"
#include "amqp/request.h"
#include "base/buf.h"
#include "base/why.h"

/* A SEND whose turn has not come. */
struct publish_item {
	struct publish_item *prev, *next;
	uint64_t seq, uid;
	struct msg_bytes what;	/* behind it */
};

/* What the broker refused by closing its channel or its connection: it goes
 * alone when it comes again, so that it takes no others along. */
struct publish_suspect {
	uint64_t seq;
	int64_t not_before_ns;	/* held until then */
	unsigned deaths;	/* of connections, alone */
};
#define PUBLISH_SUSPECTS 64

/* An exchange that the broker closes channels for: what goes there is held for
 * an amqp.refresh, rather than tried one after the other. */
struct publish_closed {
	char exchange[256];
	int64_t until_ns;
	char why[256];
};
#define PUBLISH_CLOSED 8

struct publish {
	struct amqp *amqp;
	struct link link;
	struct flights flights;
	struct requests *requests;
	struct publish_item *items;	/* in their order */
	size_t items_n;
	struct loop_timer turn;		/* at once: tell, though not up */
	uint32_t epoch;
	bool up;		/* set up: exchanges, confirms, replies */
	bool blocked;
	bool draining;
	bool tell;		/* a LINK is due */
	bool alone;		/* what is under way is a suspect */
	/* One at a time up to it, for one of them closed the channel; 0 */
	uint64_t careful_seq;
	/* Connections in a row that were lost before anything was confirmed. */
	unsigned in_vain;
	bool confirmed;		/* anything, on this connection */
	int64_t progress_ns;	/* the last confirm, or since when one is due */
	struct publish_suspect suspect[PUBLISH_SUSPECTS];
	size_t suspect_at;
	struct publish_closed closed[PUBLISH_CLOSED];
	size_t closed_at;
	struct buf sent;	/* SENT_ONEs, not told yet */
	struct publish_count count;
	/* of what is logged */
	int64_t returns_since_ns;
	unsigned returns_logged;
	uint64_t returns_silent;
	int64_t held_logged_ns, held_ns;
};

/* --- publish_send.c */

/* Publishes what may go. */
void publish_pump(struct publish *publish);
/* Forgets what waits, requests only when `all`: another epoch begins. */
void publish_drop(struct publish *publish, bool all);
/* NULL: it is none (and was not added). */
struct publish_suspect *publish_suspect(struct publish *publish, uint64_t seq,
    bool add);

/* What the broker said when it closed the channel for a message. */
void publish_close_exchange(struct publish *publish, unsigned code,
    const char *text, const char *why);

/* --- publish_tell.c */

void publish_sent(struct publish *publish, uint64_t seq, enum sent_how how,
    const char *why);
/* It is held: counted, logged, told. */
void publish_hold(struct publish *publish, uint64_t seq, const char *why);
void publish_on_return(struct publish *publish,
    const struct rabbit_event *event);
/* Tells what publish_sent() has gathered, in the present epoch. */
void publish_flush_sent(struct publish *publish);

/* --- publish.c */

/* The channel was closed by something that publish_send did itself, while
 * nothing was under way: it is set up anew. */
void publish_renew(struct publish *publish, const char *why);

#endif
