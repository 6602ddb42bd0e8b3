/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flight - a ring of what is under way, by the numbers of its confirms.
 *
 * Numbers of a channel are consecutive, so a confirm finds its message by
 * subtraction; confirms come out of order, so settled ones stay in the ring
 * until those before them are. Called by publish only.
 */
#include "amqp/flight.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define FLIGHTS_MIN 64

void
flights_init(struct flights *flights, size_t recents)
{
	*flights = (struct flights){
		.size = FLIGHTS_MIN,
		.ring = mem_array(FLIGHTS_MIN, sizeof(*flights->ring)),
		.recents = recents,
		.recent = mem_array(recents, sizeof(*flights->recent)),
	};
}

void
flights_release(struct flights *flights)
{
	free(flights->ring);
	free(flights->recent);
	*flights = (struct flights){ .size = 0 };
}

/* FNV-1a, with the length so that "a","bc" is not "ab","c". Whoever makes two
 * that collide has the one's return told as the other's, both of them his. */
static uint64_t
mark_add(uint64_t h, struct msg_bytes bytes)
{
	h = (h ^ bytes.len) * UINT64_C(0x100000001b3);
	for (size_t i = 0; i < bytes.len; i++)
		h = (h ^ (unsigned char)bytes.p[i]) * UINT64_C(0x100000001b3);
	return h;
}

uint64_t
flight_mark(struct msg_bytes exchange, struct msg_bytes key,
    struct msg_bytes message_id)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	return mark_add(mark_add(mark_add(h, exchange), key), message_id);
}

static inline struct flight *
flight_at(const struct flights *flights, size_t i)
{
	return &flights->ring[(flights->head + i) & (flights->size - 1)];
}

static void
flights_grow(struct flights *flights)
{
	struct flight *ring = mem_array(flights->size * 2, sizeof(*ring));

	for (size_t i = 0; i < flights->n; i++)
		ring[i] = *flight_at(flights, i);
	free(flights->ring);
	flights->ring = ring;
	flights->size *= 2;
	flights->head = 0;
}

void
flights_add(struct flights *flights, uint64_t number, uint64_t seq,
    uint64_t uid, uint64_t mark)
{
	if (flights->n == flights->size)
		flights_grow(flights);
	if (flights->n == 0)
		flights->number = number;
	assert(number == flights->number + flights->n);
	*flight_at(flights, flights->n++) = (struct flight){ .seq = seq,
		.uid = uid,
		.mark = mark };
	flights->unsettled++;
}

struct flight *
flights_returned(struct flights *flights, uint64_t mark, unsigned code)
{
	for (size_t i = 0; i < flights->n; i++) {
		struct flight *flight = flight_at(flights, i);

		if (flight->settled || flight->code != 0 ||
		    flight->mark != mark)
			continue;
		flight->code = (uint16_t)(code != 0 ? code : 1);
		return flight;
	}
	return NULL;
}

static void
flight_remember(struct flights *flights, const struct flight *flight)
{
	if (flights->recents == 0 || flight->seq == 0)
		return;
	flights->recent[flights->recent_at] = *flight;
	flights->recent_at = (flights->recent_at + 1) % flights->recents;
	if (flight->seq > flights->recent_last)
		flights->recent_last = flight->seq;
}

static void
flight_settle(struct flights *flights, struct flight *flight, bool ok,
    flight_fn *fn, void *ctx)
{
	if (flight->settled)
		return;
	flight->settled = true;
	flights->unsettled--;
	if (flight->orphan)
		flights->orphans--;
	/* what is held comes again, and is to be published then */
	if (ok && !flight->keep)
		flight_remember(flights, flight);
	if (!flight->orphan)
		fn(ctx, flight, ok);
}

void
flights_confirm(struct flights *flights, uint64_t number, bool multiple,
    bool ok, flight_fn *fn, void *ctx)
{
	/* RabbitMQ may say 0 and multiple: all so far */
	uint64_t last = number == 0 && multiple ?
	    flights->number + flights->n - 1 :
	    number;

	if (flights->n == 0 || last < flights->number ||
	    last - flights->number >= flights->n)
		return;
	for (size_t i = multiple ? 0 : last - flights->number;
	     i <= last - flights->number; i++)
		flight_settle(flights, flight_at(flights, i), ok, fn, ctx);
	while (flights->n > 0 && flight_at(flights, 0)->settled) {
		flights->head = (flights->head + 1) & (flights->size - 1);
		flights->number++;
		flights->n--;
	}
}

void
flights_forget(struct flights *flights)
{
	flights->head = flights->n = 0;
	flights->unsettled = flights->orphans = 0;
}

void
flights_orphan(struct flights *flights)
{
	for (size_t i = 0; i < flights->n; i++) {
		struct flight *flight = flight_at(flights, i);

		/* requests have a memory of their own (request.h) */
		if (flight->settled || flight->orphan || flight->seq == 0)
			continue;
		flight->orphan = true;
		flights->orphans++;
	}
}

static bool
flight_is(const struct flight *flight, uint64_t seq, uint64_t uid,
    uint64_t mark)
{
	return flight->seq == seq && flight->uid == uid && flight->mark == mark;
}

enum flight_known
flights_adopt(struct flights *flights, uint64_t seq, uint64_t uid,
    uint64_t mark)
{
	if (seq == 0 || uid == 0)
		return FLIGHT_UNKNOWN;
	for (size_t i = 0; flights->orphans > 0 && i < flights->n; i++) {
		struct flight *flight = flight_at(flights, i);

		if (flight->settled || !flight->orphan ||
		    !flight_is(flight, seq, uid, mark))
			continue;
		flight->orphan = false;
		flights->orphans--;
		return FLIGHT_UNDER_WAY;
	}
	/* nearly all are newer than any that is remembered */
	if (seq > flights->recent_last)
		return FLIGHT_UNKNOWN;
	for (size_t i = 0; i < flights->recents; i++)
		if (flight_is(&flights->recent[i], seq, uid, mark))
			return flights->recent[i].code != 0 ? FLIGHT_RETURNED :
							      FLIGHT_CONFIRMED;
	return FLIGHT_UNKNOWN;
}

const struct flight *
flights_single(const struct flights *flights)
{
	if (flights->unsettled != 1)
		return NULL;
	for (size_t i = 0; i < flights->n; i++)
		if (!flight_at(flights, i)->settled)
			return flight_at(flights, i);
	return NULL;
}

uint64_t
flights_last_seq(const struct flights *flights)
{
	uint64_t last = 0;

	for (size_t i = 0; i < flights->n; i++) {
		const struct flight *flight = flight_at(flights, i);

		if (!flight->settled && flight->seq > last)
			last = flight->seq;
	}
	return last;
}
