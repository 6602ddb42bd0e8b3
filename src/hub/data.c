/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * data - the rules of the shared data: what may be stored, which conditions
 * hold, what goes when there is no room.
 *
 * Memory is bounded by refusing. Only keys under a prefix that is declared a
 * cache go to make room, the least recently used first: for their own limit
 * those of that prefix, for hub.max_memory those of any.
 *
 * Ends are moments of the wall clock, as they outlive the process. When the
 * clock is set, data_shift() moves them with it, so that a ttl lasts as long as
 * it said.
 */
#include "hub/data.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "hub/data_impl.h"

/* ---------------------------------------------------------------- values */

static void
data_describe(const struct data_entry *entry, struct data_value *value,
    char digits[24])
{
	*value = (struct data_value){
		.key = data_entry_key(entry),
		.key_len = entry->key_len,
		.kind = (enum data_kind)entry->kind,
		.version = entry->version,
		.expires_ms = entry->expires_ms == DATA_NO_END ?
		    -1 :
		    entry->expires_ms,
		.bytes = entry->bytes != NULL ? entry->bytes : "",
		.len = entry->len,
		.number = entry->number,
	};
	if (entry->kind != DATA_NUMBER)
		return;
	value->len = (size_t)snprintf(digits, 24, "%" PRId64, entry->number);
	value->bytes = digits;
}

static int64_t
data_end(int64_t wall_ms, int64_t ttl_ms)
{
	if (ttl_ms < 0 || ttl_ms >= DATA_NO_END - wall_ms)
		return DATA_NO_END;
	return wall_ms + ttl_ms;
}

/* ----------------------------------------------------------------- going */

static void
data_let_go(struct data *data, struct data_entry *entry, bool expired)
{
	struct data_value value;
	char digits[24];

	data_describe(entry, &value, digits);
	if (data->gone != NULL)
		data->gone(data->ctx, &value, expired);
	data_table_remove(&data->table, entry);
}

/* The key, if it is there and its end has not come. */
struct data_entry *
data_live(struct data *data, struct msg_bytes key, int64_t wall_ms)
{
	struct data_entry *entry;

	if (key.len > 0 && key.p[0] == DATA_OWN)
		return NULL;
	entry = data_table_find(&data->table, key);
	if (entry == NULL || entry->expires_ms > wall_ms)
		return entry;
	data_let_go(data, entry, true);
	return NULL;
}

int64_t
data_expire(struct data *data, int64_t wall_ms, size_t most)
{
	struct data_entry *entry;

	while ((entry = data_table_first_end(&data->table)) != NULL &&
	    entry->expires_ms <= wall_ms && most-- > 0)
		data_let_go(data, entry, true);
	return entry != NULL ? entry->expires_ms : INT64_MAX;
}

/* Lets the least recently used go until `more` bytes fit. */
static void
data_make_room(struct data *data, struct data_rule *rule,
    const struct data_entry *own, size_t more)
{
	struct data_table *table = &data->table;
	struct data_entry *entry;

	while (rule->cache && rule->max > 0 && rule->bytes + more > rule->max &&
	    (entry = data_table_oldest(table, rule)) != NULL && entry != own)
		data_let_go(data, entry, false);
	while (table->bytes + more > data->conf->hub.max_memory &&
	    (entry = data_table_oldest(table, NULL)) != NULL && entry != own)
		data_let_go(data, entry, false);
}

/* -------------------------------------------------------------- changing */

static void
data_answer(struct data *data, struct data_change *change,
    const struct data_rule *rule)
{
	change->code = HUB_OK;
	change->done = true;
	change->durability = rule->durability;
	change->now = data->changed;
}

/* A condition did not hold: the reply names the version that is there. */
static void
data_decline(struct data *data, struct data_change *change,
    const struct data_entry *entry, struct msg_bytes key)
{
	change->code = HUB_OK;
	change->done = false;
	change->durability = data_durability(data, key);
	if (entry == NULL)
		return;
	data_describe(entry, &data->changed, data->digits[1]);
	change->now = data->changed;
}

/* The plan's key, made if need be; the value is put in by the caller. */
static enum hub_code
data_begin(struct data *data, struct msg_bytes key, struct data_plan *plan,
    const char **why)
{
	struct data_rule *rule;

	if (plan->entry != NULL) {
		data_table_use(&data->table, plan->entry);
		rule = plan->entry->rule;
	} else
		rule = data_table_rule(&data->table, key);
	if (plan->more > 0)
		data_make_room(data, rule, plan->entry, plan->more);
	if (plan->entry == NULL)
		plan->entry = data_table_add(&data->table, key);
	if (plan->entry != NULL)
		return HUB_OK;
	*why = "there is no memory";
	return HUB_FULL;
}

static void
data_finish(struct data *data, struct data_entry *entry,
    struct data_change *change)
{
	entry->version = ++data->version;
	data_describe(entry, &data->changed, data->digits[1]);
	data_answer(data, change, entry->rule);
}

void
data_set(struct data *data, const struct msg_SET *set, int64_t wall_ms,
    struct data_change *change)
{
	struct data_plan plan = { .entry = NULL };
	bool fresh;

	*change = (struct data_change){ .why = "" };
	change->code = data_plan_set(data, set, wall_ms, &plan, &change->why);
	if (change->code != HUB_OK)
		return;
	if (!plan.holds) {
		data_decline(data, change, plan.entry, set->key);
		return;
	}
	fresh = plan.entry == NULL;
	change->code = data_begin(data, set->key, &plan, &change->why);
	if (change->code != HUB_OK)
		return;
	if (plan.kind == DATA_NUMBER)
		data_table_put_number(&data->table, plan.entry, plan.number);
	else if (data_table_put(&data->table, plan.entry, plan.kind,
		     set->value.p, set->value.len) == -1) {
		if (fresh)
			data_table_remove(&data->table, plan.entry);
		change->code = HUB_FULL;
		change->why = "there is no memory";
		return;
	}
	data_table_set_end(&data->table, plan.entry,
	    data_end(wall_ms, set->ttl_ms));
	data_finish(data, plan.entry, change);
}

void
data_incr(struct data *data, const struct msg_INCR *incr, int64_t wall_ms,
    struct data_change *change)
{
	struct data_plan plan = { .entry = NULL };
	bool fresh;

	*change = (struct data_change){ .why = "" };
	change->code = data_plan_incr(data, incr, wall_ms, &plan, &change->why);
	if (change->code != HUB_OK)
		return;
	fresh = plan.entry == NULL;
	change->code = data_begin(data, incr->key, &plan, &change->why);
	if (change->code != HUB_OK)
		return;
	data_table_put_number(&data->table, plan.entry, plan.number);
	if (fresh)
		data_table_set_end(&data->table, plan.entry,
		    data_end(wall_ms, incr->ttl_ms));
	data_finish(data, plan.entry, change);
}

void
data_delete(struct data *data, const struct msg_DELETE *del, int64_t wall_ms,
    struct data_change *change)
{
	struct data_entry *entry = data_live(data, del->key, wall_ms);

	*change = (struct data_change){ .why = "" };
	if (entry == NULL || !data_condition(entry, del->only, del->version)) {
		data_decline(data, change, entry, del->key);
		return;
	}
	data->version++;
	data->changed = (struct data_value){
		.key = del->key.p,
		.key_len = del->key.len,
		.expires_ms = -1,
		.bytes = "",
	};
	data_answer(data, change, entry->rule);
	data_table_remove(&data->table, entry);
}

/* --------------------------------------------------------------- reading */

const struct data_value *
data_find(struct data *data, struct msg_bytes key, int64_t wall_ms)
{
	struct data_entry *entry = data_live(data, key, wall_ms);

	if (entry == NULL)
		return NULL;
	data_table_use(&data->table, entry);
	data_describe(entry, &data->found, data->digits[0]);
	return &data->found;
}

const struct data_value *
data_peek(struct data *data, struct msg_bytes key)
{
	struct data_entry *entry = data_table_find(&data->table, key);

	if (entry == NULL)
		return NULL;
	data_describe(entry, &data->found, data->digits[0]);
	return &data->found;
}

void
data_list(struct data *data, struct msg_bytes prefix, struct msg_bytes after,
    int64_t wall_ms, bool (*each)(void *ctx, const struct data_value *value),
    void *ctx)
{
	size_t len = prefix.len < after.len ? prefix.len : after.len;
	int order = memcmp(after.p, prefix.p, len);
	bool behind = order > 0 || (order == 0 && after.len >= prefix.len);
	struct data_entry *entry = data_table_at(&data->table,
	    behind ? after : prefix, behind && after.len > 0);
	struct data_value value;
	char digits[24];

	for (; entry != NULL; entry = entry->next[0]) {
		if (entry->key_len < prefix.len ||
		    memcmp(data_entry_key(entry), prefix.p, prefix.len) != 0)
			return;
		if (entry->expires_ms <= wall_ms ||
		    (prefix.len == 0 && data_entry_key(entry)[0] == DATA_OWN))
			continue;
		data_describe(entry, &value, digits);
		if (!each(ctx, &value))
			return;
	}
}

void
data_shift(struct data *data, int64_t by_ms)
{
	struct data_table *table = &data->table;

	/* all by the same: their order, and so the heap, stays */
	for (size_t i = 0; i < table->heap_len; i++)
		table->heap[i]->expires_ms += by_ms;
}

int
data_durability(const struct data *data, struct msg_bytes key)
{
	return data_table_rule(&data->table, key)->durability;
}

uint64_t
data_last_version(const struct data *data)
{
	return data->version;
}

void
data_count(const struct data *data, size_t *keys, size_t *bytes)
{
	*keys = data->table.keys;
	*bytes = data->table.bytes;
}

/* --------------------------------------------------------- start and end */

void
data_set_version(struct data *data, uint64_t version)
{
	if (version > data->version)
		data->version = version;
}

void
data_load(struct data *data, const struct data_value *value)
{
	struct msg_bytes key = { value->key, value->key_len };
	struct data_entry *entry = data_table_find(&data->table, key);

	data_set_version(data, value->version);
	if (value->version == 0) {
		if (entry != NULL)
			data_table_remove(&data->table, entry);
		return;
	}
	if (entry == NULL)
		entry = data_table_add(&data->table, key);
	if (entry != NULL && value->kind == DATA_NUMBER)
		data_table_put_number(&data->table, entry, value->number);
	else if (entry == NULL ||
	    data_table_put(&data->table, entry, value->kind, value->bytes,
		value->len) == -1) {
		log_error("no memory for what is stored; aborting");
		abort();
	}
	data_table_set_end(&data->table, entry,
	    value->expires_ms < 0 ? DATA_NO_END : value->expires_ms);
	entry->version = value->version;
}

struct data *
data_new(const struct conf *conf, data_gone_fn *gone, void *ctx)
{
	struct data *data = mem_alloc(sizeof(*data));
	struct data_table *table = &data->table;
	const struct conf_data *c;

	data->conf = conf;
	data->gone = gone;
	data->ctx = ctx;
	data_table_init(table);
	table->rules = conf->data.n + 1;
	table->rule = mem_array(table->rules, sizeof(*table->rule));
	table->rule[0].prefix = "";
	table->rule[0].durability = conf->hub.durability;
	for (size_t i = 0; i < conf->data.n; i++) {
		c = &conf->data.v[i];
		table->rule[i + 1] = (struct data_rule){
			.prefix = c->prefix,
			.prefix_len = strlen(c->prefix),
			.durability = c->durability,
			.cache = c->cache,
			.max = c->max_memory,
		};
	}
	return data;
}

void
data_free(struct data *data)
{
	if (data == NULL)
		return;
	data_table_release(&data->table);
	free(data);
}
