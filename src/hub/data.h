/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * data - the shared data: keys and values in memory, their versions, ends and
 * limits. Knows no peers and no files, takes the clock as an argument, and can
 * be tested in full.
 *
 * Whoever changes something here makes it durable as the key's rule says
 * (hub.data in brood.conf): keys.c through the redo file, effects.c with its
 * transaction. data_load() puts back what was stored.
 */
#ifndef HUB_DATA_H
#define HUB_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/conf.h"
#include "core/msg.h"

struct data;

/* Keys that begin so are the hub's own (leases, lock_keep.c): loaded, peeked at
 * and listed by their prefix, and to everybody else not there. */
#define DATA_OWN '\001'

struct data_value {
	const char *key;
	size_t key_len;
	enum data_kind kind;
	uint64_t version;
	int64_t expires_ms;		/* wall clock; -1: never */
	const char *bytes;		/* of DATA_NUMBER: its digits */
	size_t len;
	int64_t number;			/* of DATA_NUMBER */
};

/* What a change did, to be made durable and to be told. */
struct data_change {
	enum hub_code code;		/* HUB_OK; else nothing changed */
	bool done;			/* false: a condition did not hold */
	int durability;			/* CONF_DURABLE_… of the key */
	struct data_value now;		/* version 0: it is gone. Borrowed */
	const char *why;		/* a constant sentence for a code */
};

/* Called for each key that goes by itself: its end came (expired) or a cache
 * had to make room. */
typedef void data_gone_fn(void *ctx, const struct data_value *value,
    bool expired);

struct data *data_new(const struct conf *conf, data_gone_fn *gone, void *ctx);
void data_free(struct data *data);

/* NULL when there is none, or its end has come. */
const struct data_value *data_find(struct data *data, struct msg_bytes key,
    int64_t wall_ms);

/* As it is, ended or not, and without counting as a use. */
const struct data_value *data_peek(struct data *data, struct msg_bytes key);

void data_set(struct data *data, const struct msg_SET *set, int64_t wall_ms,
    struct data_change *change);
void data_incr(struct data *data, const struct msg_INCR *incr, int64_t wall_ms,
    struct data_change *change);
void data_delete(struct data *data, const struct msg_DELETE *del,
    int64_t wall_ms, struct data_change *change);

/* As it was stored or is to be again, whatever there is; version 0: it goes.
 * Versions go on from there. Nobody is told, and no limit applies: a config
 * with less memory than before takes no more until it is below. */
void data_load(struct data *data, const struct data_value *value);
/* Versions go on behind this one. */
void data_set_version(struct data *data, uint64_t version);

/* Keys behind `after` that begin with `prefix`, in the order of their bytes;
 * `each` returns false to end it. */
void data_list(struct data *data, struct msg_bytes prefix,
    struct msg_bytes after, int64_t wall_ms,
    bool (*each)(void *ctx, const struct data_value *value), void *ctx);

/* Lets go what has ended, at most `most` keys; returns when the next one does
 * (INT64_MAX: none has an end). */
int64_t data_expire(struct data *data, int64_t wall_ms, size_t most);

/* The wall clock was set, by so much: ends are as far off as they were. */
void data_shift(struct data *data, int64_t by_ms);

int data_durability(const struct data *data, struct msg_bytes key);
uint64_t data_last_version(const struct data *data);
void data_count(const struct data *data, size_t *keys, size_t *bytes);

#endif
