/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uid - numbers that no two calls, jobs or messages of a family share.
 *
 *   63      22     8      0
 *   │ 41 ms │ 14   │ 8    │
 *   0       slot   counter
 *
 * Used by every child; uid_init() after the fork, so that parent and child do
 * not go on alike. A counter that runs over borrows from the next millisecond:
 * the number is ahead of the clock for a moment and never behind another one.
 */
#include "core/uid.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"

#define EPOCH_MS INT64_C(1577836800000) /* 2020-01-01T00:00:00Z */
#define SLOT_BITS 14
#define COUNTER_BITS 8
#define TIME_MASK ((UINT64_C(1) << 41) - 1)
#define DIGITS 13 /* of 64 bits */
/* The clock may be put back by so much; what is further ahead is garbage. */
#define AHEAD_MS (UINT64_C(7) * 24 * 3600 * 1000)

static struct {
	uint64_t slot;	    /* where it belongs in the number */
	uint64_t time;	    /* of the last one made */
	uint64_t counter;   /* the same */
	uint64_t token[32]; /* random, not given away yet */
	size_t tokens;
	_Atomic uint64_t *last; /* in the scoreboard, or NULL */
} uid_state;

/* Without i, l, o and u (Crockford's). */
static const char base32[] = "0123456789abcdefghjkmnpqrstvwxyz";

static void
uid_random(void *bytes, size_t len)
{
	while (getrandom(bytes, len, 0) != (ssize_t)len)
		if (errno != EINTR) {
			log_error("no random bytes: %s", strerror(errno));
			abort();
		}
}

void
uid_init(unsigned slot)
{
	uint8_t random;

	memset(&uid_state, 0, sizeof(uid_state));
	uid_state.slot = (uint64_t)(slot & ((1U << SLOT_BITS) - 1))
	    << COUNTER_BITS;
	/* whoever had the slot before in this millisecond began elsewhere */
	uid_random(&random, sizeof(random));
	uid_state.counter = random;
}

static uint64_t
uid_now(void)
{
	int64_t ms = clock_wall_ns() / NS_PER_MS - EPOCH_MS;

	return ms > 0 ? (uint64_t)ms & TIME_MASK : 0;
}

void
uid_follow(_Atomic uint64_t *last)
{
	uint64_t time = last != NULL ? *last : 0;

	uid_state.last = last;
	if (time >= uid_state.time && time <= uid_now() + AHEAD_MS)
		uid_state.time = time + 1;
}

uint64_t
uid_make(void)
{
	uint64_t now = uid_now();

	if (now > uid_state.time)
		uid_state.time = now;
	else if (uid_state.counter == (1U << COUNTER_BITS) - 1)
		uid_state.time++;
	uid_state.counter++;
	uid_state.counter &= (1U << COUNTER_BITS) - 1;
	if (uid_state.last != NULL)
		atomic_store_explicit(uid_state.last, uid_state.time,
		    memory_order_relaxed);
	return uid_state.time << (SLOT_BITS + COUNTER_BITS) | uid_state.slot |
	    uid_state.counter;
}

uint64_t
uid_token(void)
{
	uint64_t token;

	do {
		if (uid_state.tokens == 0) {
			uid_random(uid_state.token, sizeof(uid_state.token));
			uid_state.tokens = sizeof(uid_state.token) /
			    sizeof(uid_state.token[0]);
		}
		uid_state.tokens--;
		token = uid_state.token[uid_state.tokens];
		/* what was given away is nowhere else */
		uid_state.token[uid_state.tokens] = 0;
	} while (token == 0);
	return token;
}

int64_t
uid_wall_ms(uint64_t uid)
{
	return (int64_t)(uid >> (SLOT_BITS + COUNTER_BITS) & TIME_MASK) +
	    EPOCH_MS;
}

static char *
put_digits(char *p, uint64_t number)
{
	for (int i = DIGITS - 1; i >= 0; i--) {
		p[i] = base32[number & 31];
		number >>= 5;
	}
	return p + DIGITS;
}

char *
uid_format(uint64_t uid, uint64_t token, char buf[UID_TEXT_SIZE])
{
	char *p = put_digits(buf, uid);

	*p++ = '-';
	p = put_digits(p, token);
	*p = '\0';
	return buf;
}

/* Exactly DIGITS of them, and no more than 64 bits. */
static bool
get_digits(const char *p, uint64_t *number)
{
	*number = 0;
	for (int i = 0; i < DIGITS; i++) {
		const char *digit = p[i] != '\0' ? strchr(base32, p[i]) : NULL;

		if (digit == NULL || (i == 0 && digit - base32 > 15))
			return false;
		*number = *number << 5 | (uint64_t)(digit - base32);
	}
	return true;
}

bool
uid_parse(const char *text, uint64_t *uid, uint64_t *token)
{
	return get_digits(text, uid) && text[DIGITS] == '-' &&
	    get_digits(text + DIGITS + 1, token) &&
	    text[UID_TEXT_SIZE - 1] == '\0' && *uid > 0 && *uid <= INT64_MAX &&
	    *token != 0;
}
