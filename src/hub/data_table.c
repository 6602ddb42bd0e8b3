/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * data_table - a hash, a skip list, a heap and a list through the same entries.
 *
 * An entry is one allocation with its key behind it; its value is another,
 * which is used again for a new value of about the same size, so that a key
 * that changes all the time costs no allocation. The hash is keyed: nobody who
 * chooses keys can make them collide.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"
#include "hub/mix.h"

static struct mix_key data_secret;

#define HASH_FUNCTION(bytes, len, hash) \
	((hash) = (unsigned)mix_bytes(&data_secret, (bytes), (len)))
#include "hub/data_table.h"

#include <utlist.h>

#define DATA_CHUNK 16  /* what malloc(3) rounds to, and its own word */
#define DATA_SHARE 24  /* of the hash's buckets and of the heap */
#define DATA_WASTE 256 /* of a value's memory may be unused for good */

/* ---------------------------------------------------------------- memory */

static size_t
data_chunk(size_t len)
{
	size_t chunk = (len + sizeof(size_t) + DATA_CHUNK - 1) / DATA_CHUNK *
	    DATA_CHUNK;

	return chunk < 2 * DATA_CHUNK ? 2 * DATA_CHUNK : chunk;
}

/* What fits into the chunk anyway. */
static size_t
data_fitting(size_t len)
{
	return data_chunk(len) - sizeof(size_t);
}

static size_t
entry_size(size_t levels, size_t key_len)
{
	return sizeof(struct data_entry) + levels * sizeof(void *) + key_len +
	    1;
}

/* Towers are of random height: every key counts as one of the average and a
 * bit, so that a key costs what was planned for it, and no limit is passed. */
static size_t
key_cost(size_t key_len)
{
	return data_chunk(entry_size(2, key_len)) + DATA_SHARE;
}

size_t
data_cost(size_t key_len, size_t len)
{
	return key_cost(key_len) + (len > 0 ? data_chunk(len) : 0);
}

size_t
data_entry_cost(const struct data_entry *entry)
{
	return key_cost(entry->key_len) +
	    (entry->bytes != NULL ? data_chunk(entry->size) : 0);
}

static void
table_count(struct data_table *table, struct data_rule *rule, size_t more,
    size_t less)
{
	table->bytes += more - less;
	rule->bytes += more - less;
	if (rule->cache)
		table->cache_bytes += more - less;
}

/* ----------------------------------------------------------------- order */

static int
key_compare(const struct data_entry *entry, struct msg_bytes key)
{
	size_t len = entry->key_len < key.len ? entry->key_len : key.len;
	int order = memcmp(data_entry_key(entry), key.p, len);

	if (order != 0)
		return order;
	return (entry->key_len > key.len) - (entry->key_len < key.len);
}

/* For each level the link that leads to the first key not before this one. */
static void
order_find(const struct data_table *table, struct msg_bytes key,
    struct data_entry **link[DATA_LEVELS])
{
	struct data_entry **at = (struct data_entry **)table->head;

	for (int level = DATA_LEVELS - 1; level >= 0; level--) {
		while (at[level] != NULL && key_compare(at[level], key) < 0)
			at = at[level]->next;
		link[level] = &at[level];
	}
}

static unsigned
order_levels(struct data_table *table)
{
	unsigned levels = 1;
	uint64_t bits;

	table->random ^= table->random << 13;
	table->random ^= table->random >> 7;
	table->random ^= table->random << 17;
	for (bits = table->random; levels < DATA_LEVELS && (bits & 3) == 0;
	     bits >>= 2)
		levels++;
	return levels;
}

struct data_entry *
data_table_at(const struct data_table *table, struct msg_bytes key,
    bool strictly)
{
	struct data_entry **link[DATA_LEVELS], *entry;

	order_find(table, key, link);
	entry = *link[0];
	if (strictly && entry != NULL && key_compare(entry, key) == 0)
		entry = entry->next[0];
	return entry;
}

/* ------------------------------------------------- the heap of their ends */

static void
heap_place(struct data_table *table, size_t i, struct data_entry *entry)
{
	table->heap[i] = entry;
	entry->heap_index = i;
}

/* Where the entry belongs when place i is free, or its own. */
static void
heap_settle(struct data_table *table, size_t i, struct data_entry *entry)
{
	int64_t end = entry->expires_ms;
	size_t child;

	while (i > 0 && table->heap[(i - 1) / 2]->expires_ms > end) {
		heap_place(table, i, table->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	while ((child = 2 * i + 1) < table->heap_len) {
		if (child + 1 < table->heap_len &&
		    table->heap[child + 1]->expires_ms <
			table->heap[child]->expires_ms)
			child++;
		if (end <= table->heap[child]->expires_ms)
			break;
		heap_place(table, i, table->heap[child]);
		i = child;
	}
	heap_place(table, i, entry);
}

void
data_table_set_end(struct data_table *table, struct data_entry *entry,
    int64_t expires_ms)
{
	bool had = entry->expires_ms != DATA_NO_END;
	struct data_entry *last;

	if (entry->expires_ms == expires_ms)
		return;
	entry->expires_ms = expires_ms;
	if (expires_ms == DATA_NO_END) {
		last = table->heap[--table->heap_len];
		if (last != entry)
			heap_settle(table, entry->heap_index, last);
		return;
	}
	if (had) {
		heap_settle(table, entry->heap_index, entry);
		return;
	}
	if (table->heap_len == table->heap_size) {
		table->heap_size = table->heap_size > 0 ? table->heap_size * 2 :
							  64;
		table->heap = mem_grow(table->heap, table->heap_size,
		    sizeof(struct data_entry *));
	}
	table->heap_len++;
	heap_settle(table, table->heap_len - 1, entry);
}

struct data_entry *
data_table_first_end(const struct data_table *table)
{
	return table->heap_len > 0 ? table->heap[0] : NULL;
}

/* ---------------------------------------------------------- last used */

static void
lru_remove(struct data_rule *rule, struct data_entry *entry)
{
	if (entry->lru_prev != NULL)
		entry->lru_prev->lru_next = entry->lru_next;
	else
		rule->first = entry->lru_next;
	if (entry->lru_next != NULL)
		entry->lru_next->lru_prev = entry->lru_prev;
	else
		rule->last = entry->lru_prev;
	entry->lru_prev = entry->lru_next = NULL;
}

static void
lru_add(struct data_rule *rule, struct data_entry *entry)
{
	entry->lru_next = rule->first;
	if (rule->first != NULL)
		rule->first->lru_prev = entry;
	else
		rule->last = entry;
	rule->first = entry;
}

void
data_table_use(struct data_table *table, struct data_entry *entry)
{
	if (!entry->rule->cache)
		return;
	entry->used = ++table->uses;
	if (entry->rule->first == entry)
		return;
	lru_remove(entry->rule, entry);
	lru_add(entry->rule, entry);
}

struct data_entry *
data_table_oldest(const struct data_table *table, const struct data_rule *rule)
{
	struct data_entry *oldest = NULL;

	if (rule != NULL)
		return rule->last;
	for (size_t i = 0; i < table->rules; i++)
		if (table->rule[i].last != NULL &&
		    (oldest == NULL ||
			table->rule[i].last->used < oldest->used))
			oldest = table->rule[i].last;
	return oldest;
}

/* --------------------------------------------------------------- entries */

struct data_rule *
data_table_rule(const struct data_table *table, struct msg_bytes key)
{
	struct data_rule *best = &table->rule[0], *rule;

	for (size_t i = 1; i < table->rules; i++) {
		rule = &table->rule[i];
		if (rule->prefix_len >= best->prefix_len &&
		    rule->prefix_len <= key.len &&
		    memcmp(rule->prefix, key.p, rule->prefix_len) == 0)
			best = rule;
	}
	return best;
}

struct data_entry *
data_table_find(struct data_table *table, struct msg_bytes key)
{
	struct data_entry *entry;

	HASH_FIND(hh, table->by_key, key.p, (unsigned)key.len, entry);
	return entry;
}

struct data_entry *
data_table_add(struct data_table *table, struct msg_bytes key)
{
	unsigned levels = order_levels(table);
	struct data_entry *entry, **link[DATA_LEVELS];
	char *text;

	entry = mem_try_alloc(entry_size(levels, key.len));
	if (entry == NULL)
		return NULL;
	*entry = (struct data_entry){
		.rule = data_table_rule(table, key),
		.expires_ms = DATA_NO_END,
		.kind = DATA_BYTES,
		.key_len = (uint32_t)key.len,
		.levels = (uint8_t)levels,
	};
	text = (char *)&entry->next[levels];
	memcpy(text, key.p, key.len);
	text[key.len] = '\0';

	order_find(table, key, link);
	for (unsigned i = 0; i < levels; i++) {
		entry->next[i] = *link[i];
		*link[i] = entry;
	}
	HASH_ADD_KEYPTR(hh, table->by_key, text, entry->key_len, entry);
	if (entry->rule->cache) {
		entry->used = ++table->uses;
		lru_add(entry->rule, entry);
	}
	table->keys++;
	table_count(table, entry->rule, data_entry_cost(entry), 0);
	return entry;
}

void
data_table_remove(struct data_table *table, struct data_entry *entry)
{
	struct msg_bytes key = { data_entry_key(entry), entry->key_len };
	struct data_entry **link[DATA_LEVELS];

	order_find(table, key, link);
	for (unsigned i = 0; i < entry->levels; i++)
		*link[i] = entry->next[i];
	HASH_DEL(table->by_key, entry);
	data_table_set_end(table, entry, DATA_NO_END);
	if (entry->rule->cache)
		lru_remove(entry->rule, entry);
	table->keys--;
	table_count(table, entry->rule, 0, data_entry_cost(entry));
	free(entry->bytes);
	free(entry);
}

static void
entry_drop_bytes(struct data_entry *entry)
{
	free(entry->bytes);
	entry->bytes = NULL;
	entry->len = entry->size = 0;
}

int
data_table_put(struct data_table *table, struct data_entry *entry,
    enum data_kind kind, const char *bytes, size_t len)
{
	size_t before = data_entry_cost(entry), size = data_fitting(len);
	char *room = entry->bytes;

	if (len == 0) {
		entry_drop_bytes(entry);
	} else if (len > entry->size || entry->size - len > DATA_WASTE) {
		room = mem_try_alloc(size);
		if (room == NULL)
			return -1;
		entry_drop_bytes(entry);
		entry->bytes = room;
		entry->size = (uint32_t)size;
	}
	if (len > 0)
		memcpy(room, bytes, len);
	entry->len = (uint32_t)len;
	entry->kind = (uint8_t)kind;
	table_count(table, entry->rule, data_entry_cost(entry), before);
	return 0;
}

void
data_table_put_number(struct data_table *table, struct data_entry *entry,
    int64_t number)
{
	size_t before;

	entry->number = number;
	if (entry->kind == DATA_NUMBER)
		return;
	before = data_entry_cost(entry);
	entry_drop_bytes(entry);
	entry->kind = DATA_NUMBER;
	table_count(table, entry->rule, data_entry_cost(entry), before);
}

/* ----------------------------------------------------------------- tables */

void
data_table_init(struct data_table *table)
{
	*table = (struct data_table){ .random = 1 };
	if (data_secret.v[0] == 0 &&
	    getrandom(&data_secret, sizeof(data_secret), 0) !=
		sizeof(data_secret))
		data_secret.v[0] = (uint64_t)(uintptr_t)table;
	table->random = data_secret.v[1] | 1;
}

void
data_table_release(struct data_table *table)
{
	struct data_entry *entry, *next;

	HASH_CLEAR(hh, table->by_key);
	for (entry = table->head[0]; entry != NULL; entry = next) {
		next = entry->next[0];
		free(entry->bytes);
		free(entry);
	}
	free(table->heap);
	free(table->rule);
}
