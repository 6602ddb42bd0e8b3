/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * data_table - where the keys are: found by their name (a hash), in the order
 * of their bytes (a skip list), by their end (a heap) and, of caches, by their
 * last use (a list). For data.c alone, which decides what may be there.
 *
 * Memory is counted as the C library takes it: a key's and a value's chunk, and
 * their share of the tables.
 */
#ifndef HUB_DATA_TABLE_H
#define HUB_DATA_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "core/msg.h"

#define DATA_LEVELS 16		/* of the skip list: 4^16 keys */
#define DATA_NO_END INT64_MAX	/* expires_ms of a key without one */

/* What holds for the keys with a prefix. */
struct data_rule {
	const char *prefix;
	size_t prefix_len;
	int durability;			/* CONF_DURABLE_… */
	bool cache;
	size_t max;			/* bytes; 0: no limit of its own */
	size_t bytes;
	/* of a cache: the last used is first */
	struct data_entry *first, *last;
};

struct data_entry {
	UT_hash_handle hh;
	struct data_rule *rule;
	uint64_t version;
	int64_t expires_ms;
	int64_t number;			/* DATA_NUMBER */
	char *bytes;			/* others; NULL: none were needed yet */
	uint32_t len, size;		/* of them, of their memory */
	size_t heap_index;		/* while it has an end */
	uint64_t used;			/* of a cache: when, in uses */
	struct data_entry *lru_prev, *lru_next;
	uint32_t key_len;
	uint8_t kind;
	uint8_t levels;
	struct data_entry *next[];	/* `levels` of them, then the key */
};

struct data_table {
	struct data_entry *by_key;
	struct data_entry *head[DATA_LEVELS];
	struct data_entry **heap;
	size_t heap_len, heap_size;
	struct data_rule *rule;		/* the first one has no prefix */
	size_t rules;
	size_t keys, bytes, cache_bytes;
	uint64_t uses;
	uint64_t random;
};

static inline const char *
data_entry_key(const struct data_entry *entry)
{
	return (const char *)&entry->next[entry->levels];
}

void data_table_init(struct data_table *table);
void data_table_release(struct data_table *table);

struct data_rule *data_table_rule(const struct data_table *table,
    struct msg_bytes key);

struct data_entry *data_table_find(struct data_table *table,
    struct msg_bytes key);
/* Of a cache: it was used now. */
void data_table_use(struct data_table *table, struct data_entry *entry);
/* There is none with this key. NULL: no memory. */
struct data_entry *data_table_add(struct data_table *table,
    struct msg_bytes key);
void data_table_remove(struct data_table *table, struct data_entry *entry);

/* What a key would take, and what this one takes. */
size_t data_cost(size_t key_len, size_t len);
size_t data_entry_cost(const struct data_entry *entry);

/* Its value becomes these bytes, or a number. -1: no memory. */
int data_table_put(struct data_table *table, struct data_entry *entry,
    enum data_kind kind, const char *bytes, size_t len);
void data_table_put_number(struct data_table *table, struct data_entry *entry,
    int64_t number);
void data_table_set_end(struct data_table *table, struct data_entry *entry,
    int64_t expires_ms);

/* The one whose end comes first, NULL when none has one. */
struct data_entry *data_table_first_end(const struct data_table *table);
/* The one of all caches, or of this one, that was not used for longest. */
struct data_entry *data_table_oldest(const struct data_table *table,
    const struct data_rule *rule);
/* The first key that is not before this one; or, strictly, behind it. */
struct data_entry *data_table_at(const struct data_table *table,
    struct msg_bytes key, bool strictly);

#endif
