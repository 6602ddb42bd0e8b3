/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session - what a client has been answered, so that what it repeats after it
 * lost its connection is answered as before, and not done twice. Pure.
 *
 * A session is a process; its changing requests have growing numbers. The last
 * SESSION_ANSWERS numbers of each are remembered: a client that has more of
 * them unanswered at once learns that older ones cannot be told (SESSION_OLD).
 */
#ifndef HUB_SESSION_H
#define HUB_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_ANSWERS 256

struct answer {
	uint64_t seq;			/* 0: none */
	uint64_t version;
	int64_t number;
	uint16_t id;			/* of the request: MSG_SET … */
	uint8_t done;
};

struct session;
struct sessions;

/* At most `max` of those that are not connected are kept. */
struct sessions *sessions_new(size_t max);
void sessions_free(struct sessions *sessions);

/* Finds or makes it; it is connected until session_leave(). */
struct session *sessions_enter(struct sessions *sessions, uint64_t id);
void session_leave(struct sessions *sessions, struct session *session);

enum session_seen { SESSION_NEW, SESSION_KNOWN, SESSION_OLD };
/* SESSION_KNOWN: *answer is what it was told. */
enum session_seen session_look(const struct session *session, uint64_t seq,
    const struct answer **answer);
void session_remember(struct session *session, const struct answer *answer);

size_t sessions_count(const struct sessions *sessions);

#endif
