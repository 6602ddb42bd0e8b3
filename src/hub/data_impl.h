/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * data_impl - what data.c (what is done) and data_plan.c (whether it may be)
 * share.
 */
#ifndef HUB_DATA_IMPL_H
#define HUB_DATA_IMPL_H

#include "hub/data.h"
#include "hub/data_table.h"

struct data {
	struct data_table table;
	const struct conf *conf;
	data_gone_fn *gone;
	void *ctx;
	uint64_t version;
	struct data_value found, changed;
	char digits[2][24]; /* of the two */
};

/* The key, if it is there and its end has not come. */
struct data_entry *data_live(struct data *data, struct msg_bytes key,
    int64_t wall_ms);

/* What a SET or an INCR is about to do. */
struct data_plan {
	struct data_entry *entry;
	bool holds;
	enum data_kind kind;
	int64_t number;
	size_t more; /* bytes of memory */
};

/* HUB_OK with the plan, a condition that does not hold included; else the code
 * with a sentence. */
enum hub_code data_plan_set(struct data *data, const struct msg_SET *set,
    int64_t wall_ms, struct data_plan *plan, const char **why);
enum hub_code data_plan_incr(struct data *data, const struct msg_INCR *incr,
    int64_t wall_ms, struct data_plan *plan, const char **why);

/* Does `only` hold for what is there (NULL: nothing)? */
bool data_condition(const struct data_entry *entry, unsigned only,
    uint64_t version);

#endif
