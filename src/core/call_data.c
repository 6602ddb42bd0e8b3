/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * call_data - shared data for handlers: keys and locks.
 *
 * Called by modules from inside a handler. Each function is one question to the
 * hub; with `on_success` it is none, but a part of what leaves with the call.
 * What comes back is copied for the handler, as the next question needs the
 * buffer. Locks are given back when the result of the call is released, which
 * is after what the call sends has left: whoever gets the lock next sees it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/call_impl.h"
#include "core/child.h"
#include "core/hub_client.h"

/* Keys of one page of brood_list(). */
#define LIST_PAGE 256
#define LOCKS_MAX 1024
/* Of a call's time, what is left when it stops to wait for a lock. */
#define LOCK_LEFT_MS 20

struct call_locks {
	struct hub_client *hub;
	size_t n;
	struct call_lock {
		char *name;
		uint64_t fence;
	} lock[];
};

int
brood_get(struct brood_call *call, const char *key, struct brood_value *value)
{
	const struct msg_GET get = { .key = msg_text(key) };
	union msg reply;

	if (call_check_key(call, "key", key) == -1 ||
	    call_ask(call, MSG_GET, &get, MSG_VALUE, &reply) == -1)
		return -1;
	if (!reply.VALUE.found)
		return 0;
	if (value != NULL)
		call_value(&call->notes, value, reply.VALUE.kind,
		    reply.VALUE.value, reply.VALUE.version, reply.VALUE.ttl_ms);
	return 1;
}

static int64_t
set_ttl_ms(const struct brood_set *how)
{
	return how->ttl > 0 ? call_ms(how->ttl) : -1;
}

static int
call_set(struct brood_call *call, const char *key, enum data_kind kind,
    struct msg_bytes value, const struct brood_set *how)
{
	static const struct brood_set plainly;
	struct msg_SET set = { .key = msg_text(key),
		.kind = kind,
		.value = value };
	union msg reply;

	if (how == NULL)
		how = &plainly;
	if (how->if_absent && how->if_version)
		return call_wrong(call,
		    "if_absent and if_version do not go together");
	if (call_check_key(call, "key", key) == -1)
		return -1;
	set.only = how->if_absent ? DATA_IF_ABSENT :
	    how->if_version	  ? DATA_IF_VERSION :
				    DATA_ANY;
	set.version = how->if_version ? how->version : 0;
	set.ttl_ms = set_ttl_ms(how);
	if (how->on_success)
		return call_effect(call, MSG_SET, &set) == -1 ? -1 : 1;
	if (call->child->hub != NULL)
		set.seq = hub_next_seq(call->child->hub);
	if (call_ask(call, MSG_SET, &set, MSG_STORED, &reply) == -1)
		return -1;
	if (how->new_version != NULL)
		*how->new_version = reply.STORED.version;
	return reply.STORED.done != 0;
}

int
brood_set(struct brood_call *call, const char *key, const json_t *value,
    const struct brood_set *how)
{
	struct msg_bytes text;

	if (call_dump(call, value, &text) == -1)
		return -1;
	return call_set(call, key, DATA_JSON, text, how);
}

int
brood_set_bytes(struct brood_call *call, const char *key, const void *value,
    size_t len, const struct brood_set *how)
{
	return call_set(call, key, DATA_BYTES,
	    (struct msg_bytes){ value, value != NULL ? len : 0 }, how);
}

int
brood_incr(struct brood_call *call, const char *key, int64_t by,
    const struct brood_set *how, int64_t *sum)
{
	struct msg_INCR incr = { .key = msg_text(key),
		.by = by,
		.ttl_ms = how != NULL ? set_ttl_ms(how) : -1 };
	union msg reply;

	if (call_check_key(call, "key", key) == -1)
		return -1;
	if (how != NULL && how->on_success)
		return call_effect(call, MSG_INCR, &incr) == -1 ? -1 : 1;
	if (call->child->hub != NULL)
		incr.seq = hub_next_seq(call->child->hub);
	if (call_ask(call, MSG_INCR, &incr, MSG_NUMBER, &reply) == -1)
		return -1;
	if (sum != NULL)
		*sum = reply.NUMBER.value;
	return 1;
}

int
brood_delete(struct brood_call *call, const char *key,
    const struct brood_set *how)
{
	struct msg_DELETE del = { .key = msg_text(key) };
	union msg reply;

	if (call_check_key(call, "key", key) == -1)
		return -1;
	if (how != NULL && how->if_version) {
		del.only = DATA_IF_VERSION;
		del.version = how->version;
	}
	if (how != NULL && how->on_success)
		return call_effect(call, MSG_DELETE, &del) == -1 ? -1 : 1;
	if (call->child->hub != NULL)
		del.seq = hub_next_seq(call->child->hub);
	if (call_ask(call, MSG_DELETE, &del, MSG_STORED, &reply) == -1)
		return -1;
	return reply.STORED.done != 0;
}

/* ------------------------------------------------------------------- lists */

struct listing {
	bool (
	    *each)(void *ctx, const char *key, const struct brood_value *value);
	void *ctx;
	char *after; /* the last key shown */
	int shown;
	bool stop; /* `each` has seen enough */
};

static void
list_show(struct listing *list, const struct msg_ITEM *item)
{
	struct call_note *notes = NULL;
	struct brood_value value;

	free(list->after);
	list->after = msg_string(item->key);
	call_value(&notes, &value, item->kind, item->value, item->version,
	    item->ttl_ms);
	list->shown++;
	if (!list->each(list->ctx, list->after, &value))
		list->stop = true;
	call_forget(&notes);
}

/* One page; `items` is a copy, as `each` may ask the hub itself. */
static int
list_page(struct brood_call *call, struct listing *list, struct msg_bytes items)
{
	struct why why;
	enum msg_id id;
	size_t at = 0;
	union msg msg;
	int n;

	while (
	    (n = msg_part(items, &at, MSG_ID_BIT(ITEM), &id, &msg, &why)) > 0) {
		list_show(list, &msg.ITEM);
		if (list->stop)
			return 0;
	}
	return n == 0 ? 0 : call_wrong(call, "%s", why.text);
}

int
brood_list(struct brood_call *call, const char *prefix,
    bool (*each)(void *ctx, const char *key, const struct brood_value *value),
    void *ctx)
{
	struct listing list = { .each = each, .ctx = ctx };
	struct msg_LIST ask = { .prefix = msg_text(prefix),
		.limit = LIST_PAGE,
		.values = 1 };
	struct msg_bytes items;
	union msg reply;
	bool more = true;
	char *copy;
	int n = 0;

	while (n == 0 && more && !list.stop) {
		ask.after = msg_text(list.after);
		n = call_ask(call, MSG_LIST, &ask, MSG_ITEMS, &reply);
		if (n == -1)
			break;
		/* a page without a key would have us ask for ever */
		more = reply.ITEMS.more && reply.ITEMS.items.len > 0;
		items = reply.ITEMS.items;
		copy = msg_string(items);
		items.p = copy;
		n = list_page(call, &list, items);
		free(copy);
	}
	free(list.after);
	return n == -1 ? -1 : list.shown;
}

/* ------------------------------------------------------------------- locks */

static struct call_lock *
lock_find(const struct brood_call *call, const char *name)
{
	struct call_locks *locks = call->result->locks;

	for (size_t i = 0; locks != NULL && i < locks->n; i++)
		if (strcmp(locks->lock[i].name, name) == 0)
			return &locks->lock[i];
	return NULL;
}

static void
lock_forget(struct call_locks *locks, struct call_lock *lock)
{
	free(lock->name);
	*lock = locks->lock[--locks->n];
}

static void
lock_note(struct brood_call *call, const char *name, uint64_t fence)
{
	struct call_locks *locks = call->result->locks;
	struct call_lock *lock = lock_find(call, name);

	if (lock != NULL) {
		lock->fence = fence;
		return;
	}
	if (locks == NULL)
		locks = mem_alloc(sizeof(*locks) + LOCKS_MAX * sizeof(*lock));
	call->result->locks = locks;
	locks->hub = call->child->hub;
	locks->lock[locks->n].name = mem_strdup(name);
	locks->lock[locks->n++].fence = fence;
}

/* Not until the very end of the call: what is granted then is nobody's, and
 * held as long as its lease. */
static int64_t
lock_wait_ms(const struct brood_call *call, double wait)
{
	int64_t wait_ms = call_ms(wait), left_ms;

	if (call->deadline_ns == CLOCK_NEVER || wait_ms <= 0)
		return wait_ms > 0 ? wait_ms : 0;
	left_ms = (call->deadline_ns - clock_now_ns()) / NS_PER_MS -
	    LOCK_LEFT_MS;
	if (wait_ms > left_ms)
		wait_ms = left_ms;
	return wait_ms > 0 ? wait_ms : 0;
}

int
brood_lock(struct brood_call *call, const char *name, double lease, double wait,
    uint64_t *fence)
{
	struct msg_LOCK ask = { .name = msg_text(name),
		.lease_ms = call_ms(lease) };
	struct call_lock *held;
	union msg reply;

	if (call_check_key(call, "lock's name", name) == -1)
		return -1;
	if (ask.lease_ms <= 0)
		return call_wrong(call, "a lease has to last a while");
	ask.wait_ms = lock_wait_ms(call, wait);
	held = lock_find(call, name);
	if (held != NULL)
		ask.fence = held->fence;
	else if (call->result->locks != NULL &&
	    call->result->locks->n == LOCKS_MAX)
		return call_wrong(call, "one call holds no more than %d locks",
		    LOCKS_MAX);
	if (call_ask(call, MSG_LOCK, &ask, MSG_LOCKED, &reply) == -1)
		return -1;
	if (reply.LOCKED.fence == 0) {
		if (held != NULL)
			lock_forget(call->result->locks, held);
		return 0;
	}
	lock_note(call, name, reply.LOCKED.fence);
	if (fence != NULL)
		*fence = reply.LOCKED.fence;
	return 1;
}

int
brood_unlock(struct brood_call *call, const char *name)
{
	struct msg_UNLOCK ask = { .name = msg_text(name) };
	struct call_lock *held;
	union msg reply;

	if (call_check_key(call, "lock's name", name) == -1)
		return -1;
	held = lock_find(call, name);
	if (held == NULL)
		return 0;
	ask.fence = held->fence;
	if (call_ask(call, MSG_UNLOCK, &ask, MSG_STORED, &reply) == -1)
		return -1;
	lock_forget(call->result->locks, held);
	return reply.STORED.done != 0;
}

void
call_unlock_all(struct call_locks *locks)
{
	struct msg_UNLOCK ask;

	if (locks == NULL)
		return;
	while (locks->n > 0) {
		ask.name = msg_text(locks->lock[0].name);
		ask.fence = locks->lock[0].fence;
		/* nobody waits; a lease that is over is no matter */
		hub_send(locks->hub, MSG_UNLOCK, &ask,
		    clock_now_ns() + 60 * NS_PER_S, NULL, NULL);
		lock_forget(locks, &locks->lock[0]);
	}
	free(locks);
}
