/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flight - messages that are published and not confirmed yet, in the order of
 * their numbers, and the last ones that were.
 *
 * A return says no number, so each has a mark, a hash of what a return repeats
 * (exchange, key, message id), and the oldest with that mark is the one. When a
 * hub has died, the next one sends again what it has not heard of: those are
 * recognised here by seq, uid and mark, and not published twice. Pure.
 */
#ifndef AMQP_FLIGHT_H
#define AMQP_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/msg.h"

struct flight {
	uint64_t seq;		/* in the outbox; 0: of a request */
	uint64_t uid;		/* of the message, of the request */
	uint64_t mark;
	uint16_t code;		/* it was returned with that; 0: was not */
	bool keep;		/* and is to be held for that */
	bool settled;
	bool orphan;		/* its hub is gone */
};

struct flights {
	struct flight *ring;	/* `size` of them, a power of two */
	size_t size, head, n;	/* n with the settled ones among them */
	size_t unsettled, orphans;
	uint64_t number;	/* of the one at `head` */
	struct flight *recent;	/* the last `recents` confirmed, a ring */
	size_t recents, recent_at;
	uint64_t recent_last;	/* the highest seq among them, ever */
};

/* `recents`: so many confirmed ones are remembered. */
void flights_init(struct flights *flights, size_t recents);
void flights_release(struct flights *flights);

uint64_t flight_mark(struct msg_bytes exchange, struct msg_bytes key,
    struct msg_bytes message_id);

/* It has the number after that of the last one, or any if there is none. */
void flights_add(struct flights *flights, uint64_t number, uint64_t seq,
    uint64_t uid, uint64_t mark);

/* The oldest that is neither settled nor returned; NULL: it is nobody's. */
struct flight *flights_returned(struct flights *flights, uint64_t mark,
    unsigned code);

/* Calls fn for each that this settles. Unknown numbers are ignored. */
typedef void flight_fn(void *ctx, const struct flight *flight, bool ok);
void flights_confirm(struct flights *flights, uint64_t number, bool multiple,
    bool ok, flight_fn *fn, void *ctx);

/* The channel is gone: so is what was known of them. The recent ones stay. */
void flights_forget(struct flights *flights);

/* The hub is gone: they are nobody's until they are sent again. */
void flights_orphan(struct flights *flights);
/* Of a SEND of a new hub: it is not known (publish it); it is under way, and
 * somebody's again; it was confirmed or returned. */
enum flight_known { FLIGHT_UNKNOWN, FLIGHT_UNDER_WAY, FLIGHT_CONFIRMED,
	FLIGHT_RETURNED };
enum flight_known flights_adopt(struct flights *flights, uint64_t seq,
    uint64_t uid, uint64_t mark);

/* Of those not settled: the only one, or NULL when there are none or more; the
 * highest seq. */
const struct flight *flights_single(const struct flights *flights);
uint64_t flights_last_seq(const struct flights *flights);

#endif
