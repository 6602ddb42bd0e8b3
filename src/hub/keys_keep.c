/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keys_keep - shared data survives: redo file, store, and back at the start.
 *
 * The store takes changes over from the redo file in sweeps. A sweep collects
 * the keys of the records that wait, each once, sorts them, so that neighbours
 * in the store are written together, and writes what memory has of them, some
 * in each turn. When it is through, the store knows the number of the last
 * record.
 *
 * At the start the records behind that number are done again in their order,
 * but for those that the store is ahead of: a key may have been swept, or set
 * by what a call sent (effects.c), since. What is gone from the store has no
 * version to tell; so whoever lets a key go from it in a transaction of his own
 * has the store take over all that waits, first (keys_take_redo).
 *
 * A record never builds on what the store has not committed (keys_prepare).
 *
 * Versions grow over all keys and for ever, those of keys that are in memory
 * alone included: the store has a mark that is ahead of them, moved in blocks.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/why.h"
#include "hub/keys_impl.h"
#include "hub/store.h"
#include "hub/watch.h"

#define KEYS_TAKE_NS NS_PER_S /* after the first change */
#define KEYS_TAKE_MOST 256    /* keys in one turn */
#define KEYS_SWEEP 16384      /* keys in one sweep */
#define KEYS_VERSIONS (UINT64_C(1) << 20)
#define KEYS_EXPIRE 256 /* in one turn */

/* ------------------------------------------------------------ taking over */

static int
keys_on_waiting(void *ctx, const struct redo_record *record)
{
	struct hub *hub = ctx;
	struct keys_sweep *sweep = &hub->keys->sweep;
	struct msg_bytes key = { record->value.key, record->value.key_len };
	const struct data_value *now = data_peek(hub->data, key);
	uint64_t version = now != NULL ? now->version : 0;

	sweep->up_to = record->lsn;
	if (key.len == 0)
		return 0;
	/* another one has it, or whoever stored it himself */
	if (version != record->value.version)
		return 0;
	if (sweep->n == sweep->size) {
		sweep->size = sweep->size > 0 ? sweep->size * 2 : 256;
		sweep->key = mem_grow(sweep->key, sweep->size,
		    sizeof(*sweep->key));
	}
	sweep->key[sweep->n++] = key;
	return sweep->n == KEYS_SWEEP ? -1 : 0;
}

static int
keys_compare(const void *a, const void *b)
{
	const struct msg_bytes *x = a, *y = b;
	int order = memcmp(x->p, y->p, x->len < y->len ? x->len : y->len);

	return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

/* Goes on with the sweep, or begins one; `most` keys. */
static void
keys_take(struct hub *hub, size_t most)
{
	struct keys *keys = hub->keys;
	struct keys_sweep *sweep = &keys->sweep;
	const struct data_value *now;
	struct msg_bytes key;

	if (sweep->up_to <= keys->taken) {
		sweep->n = sweep->at = 0;
		redo_each(hub->redo, keys->taken, keys_on_waiting, hub);
		if (sweep->n > 1)
			qsort(sweep->key, sweep->n, sizeof(*sweep->key),
			    keys_compare);
	}
	for (; sweep->at < sweep->n && most > 0; sweep->at++, most--) {
		key = sweep->key[sweep->at];
		now = data_peek(hub->data, key);
		if (now != NULL)
			store_put_data(hub->store, now);
		else
			store_drop_data(hub->store, key.p, key.len);
	}
	if (sweep->at < sweep->n)
		return;
	keys->taken = sweep->up_to;
	store_set_redo(hub->store, keys->taken);
	keys->take_ns = redo_last(hub->redo) > keys->taken ?
	    hub->now_ns + KEYS_TAKE_NS :
	    CLOCK_NEVER;
}

void
keys_take_redo(struct hub *hub)
{
	while (hub->keys->taken < redo_last(hub->redo))
		keys_take(hub, SIZE_MAX);
}

void
keys_committed(struct hub *hub)
{
	struct keys *keys = hub->keys;

	keys->full = false;
	redo_taken(hub->redo, keys->taken);
}

static void
keys_commit_now(struct hub *hub)
{
	store_commit(hub->store, false);
	hub->data_uncommitted = false;
	keys_committed(hub);
}

/* ---------------------------------------------------------------- changes */

enum hub_code
keys_room(struct hub *hub, struct msg_bytes key, size_t value_len,
    const char **why)
{
	(void)value_len;
	if (store_has_room(hub->store, why) ||
	    data_durability(hub->data, key) == CONF_DURABLE_NONE)
		return HUB_OK;
	return HUB_NO_SPACE;
}

void
keys_prepare(struct hub *hub, struct msg_bytes key, size_t value_len)
{
	struct redo_record record = {
		.value = { .key_len = key.len, .len = value_len },
	};

	if (hub->data_uncommitted)
		keys_commit_now(hub);
	/* one that is larger than allowed will be refused */
	if (key.len + value_len > redo_size(hub->redo) / 4 ||
	    redo_has_room(hub->redo, &record))
		return;
	keys_take_redo(hub);
	keys_commit_now(hub);
}

static void
keys_take_soon(struct hub *hub)
{
	if (hub->keys->take_ns == CLOCK_NEVER)
		hub->keys->take_ns = hub->now_ns + KEYS_TAKE_NS;
}

static void
keys_tell(struct hub *hub, const struct data_change *change)
{
	watch_tell(hub,
	    change->now.version == 0 ? DATA_WAS_DELETED : DATA_WAS_SET,
	    &change->now);
}

void
keys_write(struct hub *hub, enum msg_id id, uint64_t session, uint64_t seq,
    const struct data_change *change)
{
	struct redo_record record = {
		.session = session,
		.seq = seq,
		.id = (uint16_t)id,
		.done = change->done,
		.version = data_last_version(hub->data),
		.value = change->now,
	};
	struct keys *keys = hub->keys;

	if (change->durability != CONF_DURABLE_NONE) {
		redo_append(hub->redo, &record);
		keys_take_soon(hub);
	}
	if (change->durability == CONF_DURABLE_FULL)
		keys->full = hub->sync = true;
	keys_tell(hub, change);
}

void
keys_write_refusal(struct hub *hub, enum msg_id id, uint64_t session,
    uint64_t seq, const struct data_change *change)
{
	struct redo_record record = {
		.session = session,
		.seq = seq,
		.id = (uint16_t)id,
		.value = { .key = "", .version = change->now.version },
	};

	if (change->durability == CONF_DURABLE_NONE)
		return;
	redo_append(hub->redo, &record);
	keys_take_soon(hub);
}

void
keys_keep(struct hub *hub, const struct data_change *change)
{
	if (change->code != HUB_OK || !change->done)
		return;
	if (change->durability != CONF_DURABLE_NONE) {
		if (change->now.version != 0)
			store_put_data(hub->store, &change->now);
		else {
			keys_take_redo(hub);
			store_drop_data(hub->store, change->now.key,
			    change->now.key_len);
		}
		hub->data_uncommitted = true;
	}
	if (change->durability == CONF_DURABLE_FULL)
		hub->sync = true;
	keys_tell(hub, change);
}

void
keys_put_own(struct hub *hub, struct msg_bytes name, const void *bytes,
    size_t len)
{
	char *key = mem_alloc(name.len + 1);
	uint64_t version = data_last_version(hub->data) + 1;
	struct redo_record record = {
		.id = MSG_LOCK,
		.done = 1,
		.version = version,
		.value = { .key = key,
		    .key_len = name.len + 1,
		    .kind = DATA_BYTES,
		    .version = bytes != NULL ? version : 0,
		    .expires_ms = -1,
		    .bytes = bytes,
		    .len = len },
	};

	key[0] = DATA_OWN;
	memcpy(key + 1, name.p, name.len);
	keys_prepare(hub, (struct msg_bytes){ key, name.len + 1 }, len);
	data_set_version(hub->data, version);
	data_load(hub->data, &record.value);
	redo_append(hub->redo, &record);
	keys_take_soon(hub);
	free(key);
}

/* Its end has come, or its cache needs the room. */
static void
keys_on_gone(void *ctx, const struct data_value *value, bool expired)
{
	struct hub *hub = ctx;
	struct msg_bytes key = { value->key, value->key_len };

	if (data_durability(hub->data, key) != CONF_DURABLE_NONE)
		store_drop_data(hub->store, value->key, value->key_len);
	watch_tell(hub, expired ? DATA_HAS_EXPIRED : DATA_WAS_DELETED, value);
}

static bool
keys_on_ending(void *ctx, const struct data_value *value)
{
	struct hub *hub = ctx;
	struct msg_bytes key = { value->key, value->key_len };

	if (value->expires_ms >= 0 &&
	    data_durability(hub->data, key) != CONF_DURABLE_NONE)
		store_put_data(hub->store, value);
	return true;
}

void
keys_clock(struct hub *hub, int64_t by_ms)
{
	struct msg_bytes all = { "", 0 };

	log_notice("the wall clock was set %s by %" PRId64 " ms; the ends of "
		   "keys are moved with it",
	    by_ms < 0 ? "back" : "forward", by_ms < 0 ? -by_ms : by_ms);
	data_shift(hub->data, by_ms);
	keys_take_redo(hub);
	data_list(hub->data, all, all, hub->wall_ms, keys_on_ending, hub);
}

/* ------------------------------------------------------------------ turns */

static bool
keys_time_to_take(const struct hub *hub)
{
	const struct keys *keys = hub->keys;

	return hub->now_ns >= keys->take_ns ||
	    keys->sweep.up_to > keys->taken ||
	    redo_last(hub->redo) - keys->taken > KEYS_SWEEP ||
	    redo_pending(hub->redo) > redo_size(hub->redo) / 2;
}

int64_t
keys_turn(struct hub *hub)
{
	struct keys *keys = hub->keys;
	int64_t end_ms, end_ns = CLOCK_NEVER;

	end_ms = data_expire(hub->data, hub->wall_ms, KEYS_EXPIRE);
	if (end_ms <= hub->wall_ms)
		end_ns = 0;
	else if (end_ms - hub->wall_ms < INT64_MAX / NS_PER_MS / 2)
		end_ns = hub->now_ns + (end_ms - hub->wall_ms) * NS_PER_MS;

	if (data_last_version(hub->data) + KEYS_VERSIONS / 2 > keys->versions) {
		keys->versions = data_last_version(hub->data) + KEYS_VERSIONS;
		store_set_counter(hub->store, "version", keys->versions);
		hub->sync = true;
	}
	if (keys->full)
		keys_take_redo(hub);
	else if (redo_last(hub->redo) > keys->taken && keys_time_to_take(hub))
		keys_take(hub, KEYS_TAKE_MOST);
	if (redo_last(hub->redo) == keys->taken)
		return end_ns;
	if (keys->sweep.up_to > keys->taken)
		return 0;
	return keys->take_ns < end_ns ? keys->take_ns : end_ns;
}

/* ---------------------------------------------------------- start and end */

static int
keys_on_stored(void *ctx, const struct data_value *value)
{
	struct hub *hub = ctx;
	struct msg_bytes key = { value->key, value->key_len };

	/* stored when its rule was another */
	if (data_durability(hub->data, key) == CONF_DURABLE_NONE)
		store_drop_data(hub->store, value->key, value->key_len);
	else
		data_load(hub->data, value);
	return 0;
}

static int
keys_on_redone(void *ctx, const struct redo_record *record)
{
	struct hub *hub = ctx;
	struct answer answer = {
		.seq = record->seq,
		.version = record->value.version,
		.number = record->value.number,
		.id = record->id,
		.done = record->done,
	};
	const struct data_value *now;
	struct session *session;

	if (record->session != 0 && record->seq != 0) {
		session = sessions_enter(hub->keys->sessions, record->session);
		session_remember(session, &answer);
		session_leave(hub->keys->sessions, session);
	}
	now = data_peek(hub->data,
	    (struct msg_bytes){ record->value.key, record->value.key_len });
	if (record->lsn > hub->keys->taken && record->value.key_len > 0 &&
	    (now == NULL || now->version < record->version))
		data_load(hub->data, &record->value);
	data_set_version(hub->data, record->version);
	return 0;
}

/* To free. */
static char *
keys_redo_path(const struct conf *conf)
{
	char store[CONF_PATH_SIZE];

	return mem_printf("%s-redo", conf_hub_store(conf, store));
}

int
keys_check(const struct conf *conf, struct why *why)
{
	char *path = keys_redo_path(conf);
	int result = redo_check(path, why);

	free(path);
	return result;
}

static int
keys_open_redo(struct hub *hub, struct why *why)
{
	char *path = keys_redo_path(hub->conf);

	hub->redo = redo_open(path, hub->conf->hub.redo_size, why);
	free(path);
	return hub->redo != NULL ? 0 : -1;
}

/* hub.redo_size has changed: the store takes all, then the file is a new one.
 * If we die in between there is none, and nothing was in it. */
static int
keys_resize_redo(struct hub *hub, struct why *why)
{
	char *path = keys_redo_path(hub->conf);

	keys_take_redo(hub);
	store_commit(hub->store, true);
	redo_close(hub->redo);
	hub->redo = NULL;
	unlink(path);
	free(path);
	if (keys_open_redo(hub, why) == -1)
		return -1;
	redo_continue(hub->redo, hub->keys->taken);
	return 0;
}

int
keys_start(struct hub *hub, struct why *why)
{
	struct keys *keys = mem_alloc(sizeof(*keys));

	hub->keys = keys;
	keys->sessions = sessions_new((size_t)hub->conf->hub.max_clients);
	keys->take_ns = CLOCK_NEVER;
	buf_init(&keys->items, hub->conf->hub.max_message);
	hub->data = data_new(hub->conf, keys_on_gone, hub);
	if (keys_open_redo(hub, why) == -1)
		return -1;
	if (store_each_data(hub->store, keys_on_stored, hub) == -1)
		return why_set(why, "cannot read the stored data");
	keys->taken = store_redo(hub->store);
	keys->versions = store_counter(hub->store, "version");
	redo_continue(hub->redo, keys->taken);
	redo_each(hub->redo, 0, keys_on_redone, hub);
	redo_taken(hub->redo, keys->taken);
	data_set_version(hub->data, keys->versions);
	if (redo_size(hub->redo) != hub->conf->hub.redo_size / 8 * 8 &&
	    keys_resize_redo(hub, why) == -1)
		return -1;
	if (redo_last(hub->redo) > keys->taken)
		keys->take_ns = hub->now_ns + KEYS_TAKE_NS;
	return 0;
}

void
keys_stop(struct hub *hub)
{
	if (hub->keys == NULL)
		return;
	if (hub->redo != NULL) {
		keys_take_redo(hub);
		store_commit(hub->store, true);
	}
	redo_close(hub->redo);
	data_free(hub->data);
	sessions_free(hub->keys->sessions);
	buf_release(&hub->keys->items);
	free(hub->keys->sweep.key);
	free(hub->keys);
	hub->redo = NULL;
	hub->data = NULL;
	hub->keys = NULL;
}
