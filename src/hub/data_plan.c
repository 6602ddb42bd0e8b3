/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * data_plan - whether a change may be: keys, values, sums and conditions, and
 * whether there is room. Changes nothing, but for letting go a key whose end
 * has come.
 */
#include <string.h>

#include "base/utf8.h"
#include "hub/data_impl.h"

/* A whole number that is written in the one way there is: its digits are as
 * good as the text. */
static bool
data_is_number(const char *p, size_t len, int64_t *number)
{
	bool negative = len > 0 && p[0] == '-';
	size_t i = negative ? 1 : 0;
	uint64_t n = 0;

	if (len == i || len - i > 19 || (p[i] == '0' && (len - i > 1 || i)))
		return false;
	for (; i < len; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(p[i] - '0');
	}
	if (n > (uint64_t)INT64_MAX + negative)
		return false;
	*number = negative ? -(int64_t)(n - 1) - 1 : (int64_t)n;
	return true;
}

/* Would `more` bytes fit under this rule, if caches make room? `own` bytes are
 * in use by the very key, which makes none. */
static bool
data_fits(const struct data *data, const struct data_rule *rule, size_t own,
    size_t more)
{
	const struct data_table *table = &data->table;
	size_t evictable = table->cache_bytes - (rule->cache ? own : 0);

	if (rule->max > 0 &&
	    (rule->cache ? own : rule->bytes) + more > rule->max)
		return false;
	return table->bytes - evictable + more <= data->conf->hub.max_memory;
}

static enum hub_code
data_judge_key(const struct data *data, struct msg_bytes key, const char **why)
{
	if (key.len > data->conf->hub.max_key) {
		*why = "the key is longer than hub.max_key";
		return HUB_TOO_LARGE;
	}
	if (key.len == 0 || key.p[0] == DATA_OWN ||
	    !utf8_is_text(key.p, key.len)) {
		*why = "a key is UTF-8 without NUL, not empty, and does not "
		       "begin with a control-A";
		return HUB_BAD;
	}
	return HUB_OK;
}

/* Room for a value of `len` bytes under this key, which may be there. */
static enum hub_code
data_judge_room(const struct data *data, const struct data_entry *entry,
    struct msg_bytes key, size_t len, size_t *more, const char **why)
{
	const struct data_rule *rule = entry != NULL ?
	    entry->rule :
	    data_table_rule(&data->table, key);
	size_t own = entry != NULL ? data_entry_cost(entry) : 0;
	size_t cost = data_cost(key.len, len);

	*more = cost > own ? cost - own : 0;
	if (*more == 0 || data_fits(data, rule, own, *more))
		return HUB_OK;
	*why = rule->max > 0 && rule->max < data->conf->hub.max_memory ?
	    "shared data under this prefix is full (hub.data)" :
	    "shared data is full (hub.max_memory)";
	return HUB_FULL;
}

bool
data_condition(const struct data_entry *entry, unsigned only, uint64_t version)
{
	switch (only) {
	case DATA_IF_ABSENT:
		return entry == NULL;
	case DATA_IF_VERSION:
		return entry != NULL ? entry->version == version : version == 0;
	default:
		return true;
	}
}

enum hub_code
data_plan_set(struct data *data, const struct msg_SET *set, int64_t wall_ms,
    struct data_plan *plan, const char **why)
{
	enum hub_code code;

	if (set->kind > DATA_NUMBER || set->only > DATA_IF_VERSION) {
		*why = "no such kind of value, or condition";
		return HUB_BAD;
	}
	if (set->value.len > data->conf->hub.max_value) {
		*why = "the value is larger than hub.max_value";
		return HUB_TOO_LARGE;
	}
	plan->entry = data_live(data, set->key, wall_ms);
	if (plan->entry == NULL &&
	    (code = data_judge_key(data, set->key, why)) != HUB_OK)
		return code;
	plan->holds = data_condition(plan->entry, set->only, set->version);
	plan->kind = (enum data_kind)set->kind;
	if (plan->kind != DATA_BYTES &&
	    data_is_number(set->value.p, set->value.len, &plan->number))
		plan->kind = DATA_NUMBER;
	else if (plan->kind == DATA_NUMBER) {
		*why = "the value is no whole number of 64 bits";
		return HUB_BAD;
	}
	if (!plan->holds)
		return HUB_OK;
	return data_judge_room(data, plan->entry, set->key,
	    plan->kind == DATA_NUMBER ? 0 : set->value.len, &plan->more, why);
}

enum hub_code
data_plan_incr(struct data *data, const struct msg_INCR *incr, int64_t wall_ms,
    struct data_plan *plan, const char **why)
{
	int64_t before;
	enum hub_code code;

	plan->entry = data_live(data, incr->key, wall_ms);
	if (plan->entry == NULL) {
		if ((code = data_judge_key(data, incr->key, why)) != HUB_OK)
			return code;
	} else if (plan->entry->kind != DATA_NUMBER) {
		*why = "the value is no whole number";
		return HUB_NOT_NUMBER;
	}
	before = plan->entry != NULL ? plan->entry->number : 0;
	if (__builtin_add_overflow(before, incr->by, &plan->number)) {
		*why = "the sum does not fit 64 bits";
		return HUB_NOT_NUMBER;
	}
	if (plan->entry != NULL)
		return HUB_OK;
	return data_judge_room(data, NULL, incr->key, 0, &plan->more, why);
}
