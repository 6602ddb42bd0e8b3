/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * beside - the delay and dead-letter queues of core/retry.h, declared when they
 * are first published to.
 *
 * Called by publish.c before it publishes to the default exchange. What was
 * declared is known until a connection is lost: the broker may be another one
 * then, or have forgotten.
 */
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "amqp/topology_impl.h"
#include "base/mem.h"
#include "core/retry.h"

struct topology_key {
	UT_hash_handle hh;
	char name[];
};

static struct topology_key *
beside_find(const struct topology *t, struct msg_bytes key)
{
	struct topology_key *found;

	HASH_FIND(hh, t->keys, key.p, key.len, found);
	return found;
}

static void
beside_add(struct topology *t, struct msg_bytes key)
{
	struct topology_key *entry = mem_alloc(sizeof(*entry) + key.len + 1);

	memcpy(entry->name, key.p, key.len);
	HASH_ADD_KEYPTR(hh, t->keys, entry->name, key.len, entry);
}

bool
topology_knows_key(const struct topology *t, struct msg_bytes key)
{
	enum retry_kind kind;
	int64_t step_ms;

	return beside_find(t, key) != NULL ||
	    retry_parse(t->conf, key, &kind, &step_ms) == NULL ||
	    kind == RETRY_WORK;
}

enum rabbit_result
topology_declare_key(struct topology *t, struct rabbit *rabbit,
    struct msg_bytes key, struct why *why)
{
	struct rabbit_queue queue = { .durable = true };
	struct mismatch_thing thing = { .of = MISMATCH_BESIDE };
	const struct conf_queue *conf;
	enum rabbit_result result;
	enum retry_kind kind;
	int64_t step_ms = 0;
	json_t *arguments;
	unsigned code = 0;
	struct why words;
	char *name;

	if (beside_find(t, key) != NULL)
		return RABBIT_OK;
	conf = retry_parse(t->conf, key, &kind, &step_ms);
	if (conf == NULL || kind == RETRY_WORK)
		return RABBIT_OK;
	name = msg_string(key);
	arguments = topology_beside(conf, kind == RETRY_DELAY ? step_ms : 0,
	    topology_moves_safely(rabbit_server(rabbit)));
	queue.name = thing.name = name;
	queue.arguments = arguments;
	result = rabbit_declare_queue(rabbit, &queue, NULL, &code, why);
	if (result == RABBIT_OK) {
		beside_add(t, key);
	} else if (result == RABBIT_REFUSED) {
		mismatch_explain(&thing, code, why->text, &words);
		*why = words;
	}
	json_decref(arguments);
	free(name);
	return result;
}

void
topology_forget_keys(struct topology *t)
{
	struct topology_key *entry, *next;

	HASH_ITER(hh, t->keys, entry, next)
	{
		HASH_DEL(t->keys, entry);
		free(entry);
	}
}
