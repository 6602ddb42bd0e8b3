/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keys - requests about shared data: GET SET INCR DELETE LIST.
 *
 * Each is answered in its turn. What changes something is done once whatever
 * the client repeats: its session's memory (session.h) has the answer.
 */
#include "hub/keys.h"

#include "base/log.h"
#include "hub/keys_impl.h"
#include "hub/peer.h"
#include "hub/store.h"

#define KEYS_LIST_MAX 1000
#define KEYS_LIST_BYTES 1048576

static int64_t
keys_ttl(const struct hub *hub, const struct data_value *value)
{
	if (value->expires_ms < 0)
		return -1;
	return value->expires_ms > hub->wall_ms ?
	    value->expires_ms - hub->wall_ms :
	    0;
}

void
hub_on_GET(struct hub *hub, struct peer *peer, uint32_t request,
    const struct msg_GET *msg)
{
	struct msg_VALUE reply = { .ttl_ms = -1 };
	const struct data_value *value;

	value = data_find(hub->data, msg->key, hub->wall_ms);
	if (value != NULL) {
		reply.found = 1;
		reply.kind = (uint8_t)value->kind;
		reply.version = value->version;
		reply.ttl_ms = keys_ttl(hub, value);
		reply.value = (struct msg_bytes){ value->bytes, value->len };
	}
	peer_send(peer, MSG_VALUE, request, &reply);
}

/* --------------------------------------------------------------- changes */

static struct session *
keys_session(struct hub *hub, struct peer *peer)
{
	if (peer->keys == NULL)
		peer->keys = sessions_enter(hub->keys->sessions, peer->session);
	return peer->keys;
}

static void
keys_reply(struct peer *peer, uint32_t request, const struct answer *answer)
{
	struct msg_STORED stored = { .done = answer->done,
		.version = answer->version };
	struct msg_NUMBER number = { .value = answer->number,
		.version = answer->version };

	if (answer->id == MSG_INCR)
		peer_send(peer, MSG_NUMBER, request, &number);
	else
		peer_send(peer, MSG_STORED, request, &stored);
}

/* Answers what has been done before; false: it is to be done now. */
static bool
keys_repeated(struct hub *hub, struct peer *peer, uint32_t request,
    enum msg_id id, uint64_t seq)
{
	const struct answer *answer;

	if (seq == 0)
		return false;
	switch (session_look(keys_session(hub, peer), seq, &answer)) {
	case SESSION_KNOWN:
		if (answer->id == id)
			keys_reply(peer, request, answer);
		else
			peer_cut(peer, "gives two requests one number");
		return true;
	case SESSION_OLD:
		peer_fail(peer, request, HUB_STALE,
		    "too many requests were unanswered to tell whether this "
		    "one was done");
		return true;
	default:
		return false;
	}
}

/* Answers, remembers, and makes durable what was done. */
static void
keys_finish(struct hub *hub, struct peer *peer, uint32_t request,
    enum msg_id id, uint64_t seq, const struct data_change *change)
{
	struct answer answer = {
		.seq = seq,
		.version = change->now.version,
		.number = change->now.number,
		.id = (uint16_t)id,
		.done = change->done,
	};

	if (change->code != HUB_OK) {
		peer_fail(peer, request, change->code, "%s", change->why);
		return;
	}
	if (seq != 0)
		session_remember(keys_session(hub, peer), &answer);
	if (change->done)
		keys_write(hub, id, peer->session, seq, change);
	else if (seq != 0)
		keys_write_refusal(hub, id, peer->session, seq, change);
	keys_reply(peer, request, &answer);
}

static bool
keys_refused(struct hub *hub, struct peer *peer, uint32_t request,
    struct msg_bytes key, size_t len)
{
	const char *why;
	enum hub_code code = keys_room(hub, key, len, &why);

	if (code == HUB_OK)
		return false;
	peer_fail(peer, request, code, "%s", why);
	return true;
}

void
hub_on_SET(struct hub *hub, struct peer *peer, uint32_t request,
    const struct msg_SET *msg)
{
	struct data_change change;

	if (keys_repeated(hub, peer, request, MSG_SET, msg->seq) ||
	    keys_refused(hub, peer, request, msg->key, msg->value.len))
		return;
	keys_prepare(hub, msg->key, msg->value.len);
	data_set(hub->data, msg, hub->wall_ms, &change);
	keys_finish(hub, peer, request, MSG_SET, msg->seq, &change);
}

void
hub_on_INCR(struct hub *hub, struct peer *peer, uint32_t request,
    const struct msg_INCR *msg)
{
	struct data_change change;

	if (keys_repeated(hub, peer, request, MSG_INCR, msg->seq) ||
	    keys_refused(hub, peer, request, msg->key, 0))
		return;
	keys_prepare(hub, msg->key, 0);
	data_incr(hub->data, msg, hub->wall_ms, &change);
	keys_finish(hub, peer, request, MSG_INCR, msg->seq, &change);
}

void
hub_on_DELETE(struct hub *hub, struct peer *peer, uint32_t request,
    const struct msg_DELETE *msg)
{
	struct data_change change;

	if (keys_repeated(hub, peer, request, MSG_DELETE, msg->seq))
		return;
	keys_prepare(hub, msg->key, 0);
	data_delete(hub->data, msg, hub->wall_ms, &change);
	keys_finish(hub, peer, request, MSG_DELETE, msg->seq, &change);
}

/* --------------------------------------------------------------- listing */

struct keys_listing {
	struct hub *hub;
	uint32_t left;
	bool values, more;
	size_t max;
};

static bool
keys_on_item(void *ctx, const struct data_value *value)
{
	struct keys_listing *listing = ctx;
	struct buf *items = &listing->hub->keys->items;
	struct msg_ITEM item = {
		.key = { value->key, value->key_len },
		.kind = (uint8_t)value->kind,
		.version = value->version,
		.ttl_ms = keys_ttl(listing->hub, value),
	};

	if (listing->values)
		item.value = (struct msg_bytes){ value->bytes, value->len };
	/* the first one fits whatever its size */
	listing->more = listing->left == 0 ||
	    (items->len > 0 &&
		items->len + value->key_len + item.value.len > listing->max) ||
	    msg_encode(items, MSG_ITEM, 0, &item) == -1;
	if (listing->more)
		return false;
	listing->left--;
	return true;
}

void
hub_on_LIST(struct hub *hub, struct peer *peer, uint32_t request,
    const struct msg_LIST *msg)
{
	size_t max = hub->conf->hub.max_message / 2;
	struct keys_listing listing = {
		.hub = hub,
		.left = msg->limit,
		.values = msg->values == 1,
		.max = max < KEYS_LIST_BYTES ? max : KEYS_LIST_BYTES,
	};
	struct msg_ITEMS reply = { .more = 0 };
	struct buf *items = &hub->keys->items;

	if (listing.left == 0 || listing.left > KEYS_LIST_MAX)
		listing.left = KEYS_LIST_MAX;
	buf_clear(items);
	if (msg->prefix.len == 0 || msg->prefix.p[0] != DATA_OWN)
		data_list(hub->data, msg->prefix, msg->after, hub->wall_ms,
		    keys_on_item, &listing);
	reply.more = listing.more;
	reply.items = (struct msg_bytes){ items->data, items->len };
	peer_send(peer, MSG_ITEMS, request, &reply);
	if (items->size > KEYS_LIST_BYTES)
		buf_release(items);
}

void
keys_on_peer_gone(struct hub *hub, struct peer *peer)
{
	if (peer->keys != NULL)
		session_leave(hub->keys->sessions, peer->keys);
	peer->keys = NULL;
}
