/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_topology - what handlers have bound and unbound at run time, and when
 * schedules have last run.
 */
#include <string.h>

#include "hub/store_db.h"

void
store_put_binding(struct store *store, const char *queue, const char *exchange,
    const char *key, bool on)
{
	struct sqlite3_stmt *sql = store_write(store, SQL_PUT_BINDING);

	store_text(store, sql, 1, queue, strlen(queue));
	store_text(store, sql, 2, exchange, strlen(exchange));
	store_text(store, sql, 3, key, strlen(key));
	store_int(store, sql, 4, on);
	store_run(store, sql);
}

int
store_each_binding(struct store *store,
    int (*each)(void *ctx, const char *queue, const char *exchange,
	const char *key, bool on),
    void *ctx)
{
	struct sqlite3_stmt *sql = store_sql(store, SQL_EACH_BINDING);
	int got = 0;

	while (got == 0 && store_step(store, sql))
		got = each(ctx, store_get_text(sql, 0), store_get_text(sql, 1),
		    store_get_text(sql, 2), store_get_int(sql, 3) != 0);
	store_done(sql);
	return got;
}

void
store_put_schedule(struct store *store, const char *name, int64_t last_ms,
    uint64_t last_uid)
{
	struct sqlite3_stmt *sql = store_write(store, SQL_PUT_SCHEDULE);

	store_text(store, sql, 1, name, strlen(name));
	store_int(store, sql, 2, last_ms);
	store_int(store, sql, 3, (int64_t)last_uid);
	store_run(store, sql);
}

bool
store_find_schedule(struct store *store, const char *name, int64_t *last_ms,
    uint64_t *last_uid)
{
	struct sqlite3_stmt *sql = store_sql(store, SQL_SCHEDULE);
	bool found;

	store_text(store, sql, 1, name, strlen(name));
	found = store_step(store, sql);
	if (found) {
		*last_ms = store_get_int(sql, 0);
		*last_uid = (uint64_t)store_get_int(sql, 1);
	}
	store_done(sql);
	return found;
}
