/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session - a ring of answers for each session, by its number modulo the ring.
 *
 * Sessions that are not connected are in a list, the one that left first at its
 * head; beyond the limit that one goes. A number that is new to the ring and
 * not older than it was never done: what was done is in the redo file, from
 * which the ring was filled.
 */
#include "hub/session.h"

#include <stdlib.h>
#include <uthash.h>
#include <utlist.h>

#include "base/mem.h"

struct session {
	uint64_t id, last; /* the highest seq */
	bool connected;
	struct session *prev, *next; /* while it is not */
	UT_hash_handle hh;
	struct answer answer[SESSION_ANSWERS];
};

struct sessions {
	struct session *by_id;
	struct session *away; /* not connected */
	size_t aways, max;
};

struct sessions *
sessions_new(size_t max)
{
	struct sessions *sessions = mem_alloc(sizeof(*sessions));

	sessions->max = max;
	return sessions;
}

static void
session_drop(struct sessions *sessions, struct session *session)
{
	DL_DELETE(sessions->away, session);
	sessions->aways--;
	HASH_DEL(sessions->by_id, session);
	free(session);
}

void
sessions_free(struct sessions *sessions)
{
	struct session *session, *next;

	if (sessions == NULL)
		return;
	HASH_ITER(hh, sessions->by_id, session, next)
	{
		HASH_DEL(sessions->by_id, session);
		free(session);
	}
	free(sessions);
}

struct session *
sessions_enter(struct sessions *sessions, uint64_t id)
{
	struct session *session;

	HASH_FIND(hh, sessions->by_id, &id, sizeof(id), session);
	if (session == NULL) {
		session = mem_alloc(sizeof(*session));
		session->id = id;
		HASH_ADD(hh, sessions->by_id, id, sizeof(id), session);
	} else if (!session->connected) {
		DL_DELETE(sessions->away, session);
		sessions->aways--;
	}
	session->connected = true;
	return session;
}

void
session_leave(struct sessions *sessions, struct session *session)
{
	session->connected = false;
	DL_APPEND(sessions->away, session);
	if (++sessions->aways > sessions->max)
		session_drop(sessions, sessions->away);
}

enum session_seen
session_look(const struct session *session, uint64_t seq,
    const struct answer **answer)
{
	*answer = &session->answer[seq % SESSION_ANSWERS];
	if ((*answer)->seq == seq)
		return SESSION_KNOWN;
	return session->last >= SESSION_ANSWERS &&
		seq <= session->last - SESSION_ANSWERS ?
	    SESSION_OLD :
	    SESSION_NEW;
}

void
session_remember(struct session *session, const struct answer *answer)
{
	session->answer[answer->seq % SESSION_ANSWERS] = *answer;
	if (answer->seq > session->last)
		session->last = answer->seq;
}

size_t
sessions_count(const struct sessions *sessions)
{
	return HASH_COUNT(sessions->by_id);
}
