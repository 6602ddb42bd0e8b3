/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_data - shared data as it is stored, and the counters that only grow.
 * Written by the redo file's taking over and by what calls send; read once, by
 * a hub that starts.
 */
#include <string.h>

#include "hub/store_db.h"

void
store_put_data(struct store *store, const struct data_value *value)
{
	struct sqlite3_stmt *sql = store_write(store, SQL_PUT_DATA);

	store_bytes(store, sql, 1, value->key, value->key_len);
	store_int(store, sql, 2, value->kind);
	store_int(store, sql, 3, (int64_t)value->version);
	store_int(store, sql, 4, value->expires_ms);
	if (value->kind == DATA_NUMBER)
		store_int(store, sql, 5, value->number);
	else
		store_bytes(store, sql, 5, value->len > 0 ? value->bytes : "",
		    value->len);
	store_run(store, sql);
}

void
store_drop_data(struct store *store, const char *key, size_t len)
{
	struct sqlite3_stmt *sql = store_write(store, SQL_DROP_DATA);

	store_bytes(store, sql, 1, key, len);
	store_run(store, sql);
}

int
store_each_data(struct store *store,
    int (*each)(void *ctx, const struct data_value *value), void *ctx)
{
	struct sqlite3_stmt *sql = store_sql(store, SQL_EACH_DATA);
	int got = 0;

	while (got == 0 && store_step(store, sql)) {
		struct msg_bytes key = store_get(sql, 0);
		struct data_value value = {
			.key = key.p,
			.key_len = key.len,
			.kind = (enum data_kind)store_get_int(sql, 1),
			.version = (uint64_t)store_get_int(sql, 2),
			.expires_ms = store_get_int(sql, 3),
		};

		if (value.kind == DATA_NUMBER) {
			value.number = store_get_int(sql, 4);
		} else {
			struct msg_bytes bytes = store_get(sql, 4);

			value.bytes = bytes.p;
			value.len = bytes.len;
		}
		got = each(ctx, &value);
	}
	store_done(sql);
	return got;
}

void
store_set_counter(struct store *store, const char *name, uint64_t value)
{
	struct sqlite3_stmt *sql = store_write(store, SQL_PUT_COUNTER);

	store_text(store, sql, 1, name, strlen(name));
	store_int(store, sql, 2, (int64_t)value);
	store_run(store, sql);
}

uint64_t
store_counter(struct store *store, const char *name)
{
	struct sqlite3_stmt *sql = store_sql(store, SQL_COUNTER);
	uint64_t value = 0;

	store_text(store, sql, 1, name, strlen(name));
	if (store_step(store, sql))
		value = (uint64_t)store_get_int(sql, 0);
	store_done(sql);
	return value;
}

void
store_set_redo(struct store *store, uint64_t lsn)
{
	store_set_counter(store, "redo", lsn);
}

uint64_t
store_redo(struct store *store)
{
	return store_counter(store, "redo");
}
