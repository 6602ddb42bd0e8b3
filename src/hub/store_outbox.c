/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_outbox - what waits for the broker, and which of its messages are done.
 *
 * Both are written at one end and dropped at the other, so that the pages they
 * are on are few, however many rows come and go.
 */
#include <string.h>

#include "base/mem.h"
#include "hub/store_db.h"

/* --- outbox */

void
store_add_outbox(struct store *store, uint64_t seq, uint64_t uid,
    int64_t wall_ms, struct msg_bytes what)
{
	struct sqlite3_stmt *sql = store_write(store, SQL_ADD_OUTBOX);

	store_int(store, sql, 1, (int64_t)seq);
	store_int(store, sql, 2, (int64_t)uid);
	store_int(store, sql, 3, wall_ms);
	store_bytes(store, sql, 4, what.p, what.len);
	store_run(store, sql);
}

void
store_drop_outbox(struct store *store, uint64_t first, uint64_t last)
{
	struct sqlite3_stmt *sql = store_write(store, SQL_DROP_OUTBOX);

	store_int(store, sql, 1, (int64_t)first);
	store_int(store, sql, 2, (int64_t)last);
	store_run(store, sql);
}

char *
store_find_outbox(struct store *store, uint64_t seq, size_t *len)
{
	struct sqlite3_stmt *sql = store_sql(store, SQL_FIND_OUTBOX);
	struct msg_bytes what;
	char *copy = NULL;

	store_int(store, sql, 1, (int64_t)seq);
	if (store_step(store, sql)) {
		what = store_get(sql, 0);
		copy = mem_alloc(what.len + 1);
		if (what.len > 0)
			memcpy(copy, what.p, what.len);
		*len = what.len;
	}
	store_done(sql);
	return copy;
}

int
store_each_outbox(struct store *store,
    int (*each)(void *ctx, uint64_t seq, uint64_t uid, int64_t wall_ms,
	size_t len),
    void *ctx)
{
	struct sqlite3_stmt *sql = store_sql(store, SQL_EACH_OUTBOX);
	int got = 0;

	while (got == 0 && store_step(store, sql))
		got = each(ctx, (uint64_t)store_get_int(sql, 0),
		    (uint64_t)store_get_int(sql, 1), store_get_int(sql, 2),
		    (size_t)store_get_int(sql, 3));
	store_done(sql);
	return got;
}

/* --- seen */

void
store_add_seen(struct store *store, uint64_t last, int64_t wall_ms,
    struct msg_bytes uids)
{
	struct sqlite3_stmt *sql = store_write(store, SQL_ADD_SEEN);

	store_int(store, sql, 1, (int64_t)last);
	store_int(store, sql, 2, wall_ms);
	store_bytes(store, sql, 3, uids.p, uids.len);
	store_run(store, sql);
}

void
store_drop_seen(struct store *store, uint64_t last)
{
	struct sqlite3_stmt *sql = store_write(store, SQL_DROP_SEEN);

	store_int(store, sql, 1, (int64_t)last);
	store_run(store, sql);
}

uint64_t
store_old_seen(struct store *store, int64_t before_ms)
{
	struct sqlite3_stmt *sql = store_sql(store, SQL_OLD_SEEN);
	uint64_t last = 0;

	store_int(store, sql, 1, before_ms);
	if (store_step(store, sql))
		last = (uint64_t)store_get_int(sql, 0);
	store_done(sql);
	return last;
}

int
store_each_seen(struct store *store,
    int (*each)(void *ctx, uint64_t last, struct msg_bytes uids), void *ctx)
{
	struct sqlite3_stmt *sql = store_sql(store, SQL_EACH_SEEN);
	int got = 0;

	while (got == 0 && store_step(store, sql))
		got = each(ctx, (uint64_t)store_get_int(sql, 0),
		    store_get(sql, 1));
	store_done(sql);
	return got;
}
