/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bindings - what handlers have bound and unbound at run time.
 *
 * Owned by topology.c. There may be amqp.max_bindings of them, so each is one
 * piece of memory: "queue NUL exchange NUL key" is what it is found by.
 */
#include "amqp/bindings.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/mem.h"

struct bindings_entry {
	UT_hash_handle hh;
	bool on;
	size_t exchange_at, key_at, len;
	char bytes[];
};

struct bindings {
	struct bindings_entry *set;
};

struct bindings *
bindings_new(void)
{
	return mem_alloc(sizeof(struct bindings));
}

void
bindings_free(struct bindings *bindings)
{
	struct bindings_entry *entry, *next;

	if (bindings == NULL)
		return;
	HASH_ITER(hh, bindings->set, entry, next)
	{
		HASH_DEL(bindings->set, entry);
		free(entry);
	}
	free(bindings);
}

static struct bindings_entry *
bindings_entry_new(struct msg_bytes queue, struct msg_bytes exchange,
    struct msg_bytes key)
{
	size_t len = queue.len + 1 + exchange.len + 1 + key.len;
	struct bindings_entry *entry = mem_alloc(sizeof(*entry) + len);
	char *p = entry->bytes;

	entry->exchange_at = queue.len + 1;
	entry->key_at = entry->exchange_at + exchange.len + 1;
	entry->len = len;
	memcpy(p, queue.p, queue.len);
	memcpy(p + entry->exchange_at, exchange.p, exchange.len);
	memcpy(p + entry->key_at, key.p, key.len);
	return entry;
}

void
bindings_say(struct bindings *bindings, const struct msg_BIND *bind)
{
	struct bindings_entry *entry, *old;

	entry = bindings_entry_new(bind->queue, bind->exchange, bind->key);
	HASH_FIND(hh, bindings->set, entry->bytes, entry->len, old);
	if (old != NULL) {
		old->on = bind->on != 0;
		free(entry);
		return;
	}
	entry->on = bind->on != 0;
	HASH_ADD_KEYPTR(hh, bindings->set, entry->bytes, entry->len, entry);
}

size_t
bindings_count(const struct bindings *bindings)
{
	return HASH_COUNT(bindings->set);
}

int
bindings_said(const struct bindings *bindings, const char *queue,
    const char *exchange, const char *key)
{
	struct bindings_entry *entry, *found;

	entry = bindings_entry_new(msg_text(queue), msg_text(exchange),
	    msg_text(key));
	HASH_FIND(hh, bindings->set, entry->bytes, entry->len, found);
	free(entry);
	return found == NULL ? -1 : found->on;
}

bool
bindings_next(const struct bindings *bindings, const struct bindings_entry **at,
    struct binding *binding)
{
	const struct bindings_entry *entry = *at == NULL ? bindings->set :
							   (*at)->hh.next;

	*at = entry;
	if (entry == NULL)
		return false;
	*binding = (struct binding){
		.queue = entry->bytes,
		.exchange = entry->bytes + entry->exchange_at,
		.key = { entry->bytes + entry->key_at,
		    entry->len - entry->key_at },
		.on = entry->on,
	};
	return true;
}
