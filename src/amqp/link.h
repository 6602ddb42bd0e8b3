/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * link - a connection to one of the brokers that is kept up.
 *
 *   down ──(backoff)──► open ──► up()  ──► events ──► down()
 *                         └─ fails: the next broker of the list, then backoff
 *
 * "Up" is said when the owner's up() has set everything up, not when there is a
 * socket. Backoff is jittered and doubles from amqp.reconnect_min to
 * reconnect_max; it begins anew after a connection that has lasted.
 */
#ifndef AMQP_LINK_H
#define AMQP_LINK_H

#include "amqp/amqp.h"
#include "amqp/rabbit.h"
#include "base/backoff.h"
#include "base/loop.h"
#include "base/why.h"

struct link;

struct link_owner {
	const char *name;		/* "consuming": for logs, the broker */
	/* Connected: declare, consume, … RABBIT_OK: it is up. Else `why`, and
	 * the link is closed and tried again. */
	enum rabbit_result (*up)(void *ctx, struct rabbit *rabbit,
	    struct why *why);
	/* It is gone (told only after an up() that was OK). */
	void (*down)(void *ctx, const char *why);
	/* Anything but RABBIT_NONE and RABBIT_GONE. */
	void (*event)(void *ctx, const struct rabbit_event *event);
	/* At the end of each round of the loop while it is up: all that had
	 * come from the broker and from the hub was handed over. What is
	 * queued for writing by then leaves at once. May be NULL. */
	void (*turn)(void *ctx);
};

struct link {
	struct link *next;		/* of amqp->links */
	struct amqp *amqp;
	const struct link_owner *owner;
	void *ctx;
	struct rabbit *rabbit;		/* NULL: down */
	bool up;
	size_t broker;			/* index in conf->amqp.broker */
	int64_t since_ns;		/* up or down since */
	int64_t again_ns;		/* next attempt; 0: none is due */
	unsigned attempts;		/* in vain, since it was last up */
	bool busy;			/* within event() or turn() */
	bool failing;			/* link_fail() while busy */
	bool away;			/* the last attempt found no broker */
	struct why why;			/* why it is down, for people */
	struct backoff backoff;
	struct loop_io io;
	struct loop_timer again, beat;
	char where[URL_TEXT_SIZE];	/* the broker, without a password */
};

void link_init(struct link *link, struct amqp *amqp,
    const struct link_owner *owner, void *ctx);
/* Connects now, and from then on. */
void link_start(struct link *link);
/* Closes in order (or destroys), for good. down() is not told. */
void link_stop(struct link *link);
/* The owner is not content: down(), and again later. */
void link_fail(struct link *link, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Something was queued for writing: looks for room when need be. The end of a
 * round does it anyway. */
void link_write(struct link *link);
/* By amqp.c, at the end of each round: the turns of all links. True when there
 * is more to be read, so that nobody may sleep. */
bool link_turns(struct amqp *amqp);
/* "in 4 s", for people: when it is tried again; "" when it is up. */
#define LINK_TEXT_SIZE 32
const char *link_again_text(const struct link *link, char buf[LINK_TEXT_SIZE]);

#endif
