/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watch - prefixes, and who watches each.
 *
 * A prefix is there while somebody watches it. An event looks up the beginning
 * of its key for each length that any prefix has. A peer whose watches overlap
 * is told once of each event: `told` is the number of the last one.
 */
#include "hub/watch.h"

#include <stdlib.h>
#include <uthash.h>
#include <utlist.h>

#include "base/mem.h"
#include "hub/peer.h"

struct watch {
	struct watch_prefix *prefix;
	struct peer *peer;
	struct watch *prev, *next;	     /* of the prefix */
	struct watch *peer_prev, *peer_next; /* of the peer */
};

struct watch_prefix {
	struct watch *watches;
	UT_hash_handle hh;
	size_t len;
	char text[];
};

struct watch_peer {
	struct watch *watches;
	int n;
	uint64_t told;
};

struct watches {
	struct watch_prefix *by_text;
	/* lengths that prefixes have, and how many have it */
	struct watch_length {
		size_t len, n;
	} * length;
	size_t lengths;
	size_t n;
	uint64_t events;
};

/* ---------------------------------------------------------------- telling */

static size_t
watch_tell_prefix(struct watches *watches, struct watch_prefix *prefix,
    const struct msg_EVENT *event)
{
	struct watch_peer *mine;
	struct watch *watch;
	size_t told = 0;

	for (watch = prefix->watches; watch != NULL; watch = watch->next) {
		mine = watch->peer->watches;
		if (mine->told == watches->events)
			continue;
		mine->told = watches->events;
		peer_send(watch->peer, MSG_EVENT, 0, event);
		told++;
	}
	return told;
}

size_t
watch_tell(struct hub *hub, enum data_event what,
    const struct data_value *value)
{
	struct watches *watches = hub->watches;
	struct msg_EVENT event = {
		.what = (uint8_t)what,
		.key = { value->key, value->key_len },
		.kind = (uint8_t)value->kind,
		.version = value->version,
	};
	struct watch_prefix *prefix;
	size_t len, told = 0;

	if (watches == NULL || watches->n == 0)
		return 0;
	if (what == DATA_NOTIFIED || what == DATA_WAS_SET)
		event.value = (struct msg_bytes){ value->bytes, value->len };
	watches->events++;
	for (size_t i = 0; i < watches->lengths; i++) {
		len = watches->length[i].len;
		if (len > value->key_len)
			continue;
		HASH_FIND(hh, watches->by_text, value->key, (unsigned)len,
		    prefix);
		if (prefix != NULL)
			told += watch_tell_prefix(watches, prefix, &event);
	}
	return told;
}

/* --------------------------------------------------------------- watching */

static void
watch_count_length(struct watches *watches, size_t len, bool more)
{
	size_t i = 0;

	while (i < watches->lengths && watches->length[i].len != len)
		i++;
	if (!more) {
		if (--watches->length[i].n == 0)
			watches->length[i] =
			    watches->length[--watches->lengths];
		return;
	}
	if (i == watches->lengths) {
		watches->length = mem_grow(watches->length, ++watches->lengths,
		    sizeof(*watches->length));
		watches->length[i] = (struct watch_length){ .len = len };
	}
	watches->length[i].n++;
}

static struct watch_prefix *
watch_find_prefix(struct watches *watches, struct msg_bytes text)
{
	struct watch_prefix *prefix;

	HASH_FIND(hh, watches->by_text, text.p, (unsigned)text.len, prefix);
	return prefix;
}

static struct watch *
watch_find(struct watch_prefix *prefix, const struct peer *peer)
{
	struct watch_peer *mine = peer->watches;
	struct watch *watch = NULL;

	if (prefix != NULL && mine != NULL)
		watch = mine->watches;
	while (watch != NULL && watch->prefix != prefix)
		watch = watch->peer_next;
	return watch;
}

static void
watch_add(struct watches *watches, struct peer *peer, struct msg_bytes text)
{
	struct watch_prefix *prefix = watch_find_prefix(watches, text);
	struct watch_peer *mine = peer->watches;
	struct watch *watch = mem_alloc(sizeof(*watch));

	if (prefix == NULL) {
		prefix = mem_alloc(sizeof(*prefix) + text.len + 1);
		prefix->len = text.len;
		memcpy(prefix->text, text.p, text.len);
		HASH_ADD(hh, watches->by_text, text, (unsigned)text.len,
		    prefix);
		watch_count_length(watches, text.len, true);
	}
	watch->prefix = prefix;
	watch->peer = peer;
	DL_APPEND(prefix->watches, watch);
	DL_APPEND2(mine->watches, watch, peer_prev, peer_next);
	mine->n++;
	watches->n++;
}

static void
watch_remove(struct watches *watches, struct watch *watch)
{
	struct watch_prefix *prefix = watch->prefix;
	struct watch_peer *mine = watch->peer->watches;

	DL_DELETE(prefix->watches, watch);
	DL_DELETE2(mine->watches, watch, peer_prev, peer_next);
	mine->n--;
	watches->n--;
	free(watch);
	if (prefix->watches != NULL)
		return;
	watch_count_length(watches, prefix->len, false);
	HASH_DEL(watches->by_text, prefix);
	free(prefix);
}

void
hub_on_WATCH(struct hub *hub, struct peer *peer, uint32_t request,
    const struct msg_WATCH *msg)
{
	struct watch_prefix *prefix;
	struct watch_peer *mine;
	struct watch *watch;
	struct msg_OK ok = { .none = 0 };

	if (msg->prefix.len > hub->conf->hub.max_key) {
		peer_fail(peer, request, HUB_TOO_LARGE,
		    "the prefix is longer than hub.max_key");
		return;
	}
	if (peer->watches == NULL)
		peer->watches = mem_alloc(sizeof(struct watch_peer));
	mine = peer->watches;
	prefix = watch_find_prefix(hub->watches, msg->prefix);
	watch = watch_find(prefix, peer);
	if (msg->on == 0 && watch != NULL)
		watch_remove(hub->watches, watch);
	if (msg->on != 0 && watch == NULL) {
		if (mine->n >= hub->conf->hub.max_watches) {
			peer_fail(peer, request, HUB_FULL,
			    "a process watches at most %d prefixes "
			    "(hub.max_watches)",
			    hub->conf->hub.max_watches);
			return;
		}
		watch_add(hub->watches, peer, msg->prefix);
	}
	peer_send(peer, MSG_OK, request, &ok);
}

void
hub_on_NOTIFY(struct hub *hub, struct peer *peer, uint32_t request,
    const struct msg_NOTIFY *msg)
{
	struct data_value value = {
		.key = msg->topic.p,
		.key_len = msg->topic.len,
		.kind = (enum data_kind)msg->kind,
		.bytes = msg->value.p,
		.len = msg->value.len,
	};
	struct msg_NUMBER reply = { .version = 0 };

	if (msg->topic.len == 0 || msg->kind > DATA_NUMBER)
		peer_fail(peer, request, HUB_BAD,
		    "a topic is not empty, and a value of a known kind");
	else if (msg->topic.len > hub->conf->hub.max_key ||
	    msg->value.len > hub->conf->hub.max_value)
		peer_fail(peer, request, HUB_TOO_LARGE,
		    "the topic or the value is larger than hub.max_key or "
		    "hub.max_value");
	else {
		reply.value = (int64_t)watch_tell(hub, DATA_NOTIFIED, &value);
		peer_send(peer, MSG_NUMBER, request, &reply);
	}
}

void
watch_on_peer_gone(struct hub *hub, struct peer *peer)
{
	struct watch_peer *mine = peer->watches;

	if (mine == NULL)
		return;
	while (mine->watches != NULL)
		watch_remove(hub->watches, mine->watches);
	free(mine);
	peer->watches = NULL;
}

/* ---------------------------------------------------------- start and end */

struct watches *
watches_new(void)
{
	return mem_alloc(sizeof(struct watches));
}

void
watches_free(struct watches *watches)
{
	if (watches == NULL)
		return;
	free(watches->length);
	free(watches);
}

size_t
watches_count(const struct hub *hub)
{
	return hub->watches->n;
}
