/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_db - SQLite for store_*.c and nobody else: the file, transactions,
 * statements. Nothing here fails: what SQLite refuses ends the process
 * (store.h), so callers bind, step and read.
 *
 * A statement is used between store_sql() and store_done(), and by one caller
 * at a time: STATEMENT rows are shared by nothing that nests.
 */
#ifndef HUB_STORE_DB_H
#define HUB_STORE_DB_H

#include "hub/store.h"

enum store_statement {
#define STATEMENT(id, sql) SQL_##id,
#include "hub/store.def"
	SQL_COUNT
};

/* Finished jobs, in two rows: those that failed are kept longer. Their class is
 * the highest bit of their place. */
enum { STORE_ENDED, STORE_FAILED, STORE_CLASSES };
#define STORE_CLASS_SHIFT 61
static inline int64_t
store_class_first(int class)
{
	return (int64_t)class << STORE_CLASS_SHIFT;
}
static inline int64_t
store_class_last(int class)
{
	return store_class_first(class + 1) - 1;
}

/* In jobs.state: 0 and 1 take no room in a row (store.def). */
#define STORE_STATE_BASE 2
/* In jobs.flags. */
enum { STORE_RETRYING = 1, STORE_REDELIVERED = 2, STORE_CANCELLED = 4 };

struct sqlite3;
struct sqlite3_stmt;

struct store {
	struct sqlite3 *db;
	char *path;
	struct sqlite3_stmt *statement[SQL_COUNT];
	bool open;			/* a transaction is */
	bool unsynced;			/* committed without an fsync */
	size_t writes, written;		/* statements of this transaction, and
					   the bytes bound */
	int log_pages;			/* of the WAL, after the last commit */
	bool stuck;			/* the log could not be moved */
	void (*fail)(void *ctx, int exit_status, const char *reason);
	void *fail_ctx;
	void (*before_commit)(void *ctx);
	void *before_commit_ctx;

	/* store_jobs.c: of the finished jobs */
	size_t finished[STORE_CLASSES];
	int64_t last_place[STORE_CLASSES];
	bool finished_known;

	/* store_room.c */
	size_t min_free, reserve;
	bool has_reserve;
	bool looked;			/* since the last commit */
	int64_t looked_ns;
	int64_t measured_ns;
	bool has_room;
	int64_t free_bytes;
	char why_not[320];
};

#define STORE_APPLICATION 0x62726f64	/* "brod", in the file's head */
#define STORE_INLINE 2000		/* bytes of a body in its job's row */

/* A write begins the turn's transaction. */
struct sqlite3_stmt *store_sql(struct store *store, enum store_statement id);
struct sqlite3_stmt *store_write(struct store *store, enum store_statement id);
void store_int(struct store *store, struct sqlite3_stmt *sql, int at,
    int64_t value);
/* Borrowed until store_done(); NULL: NULL. */
void store_bytes(struct store *store, struct sqlite3_stmt *sql, int at,
    const char *bytes, size_t len);
void store_text(struct store *store, struct sqlite3_stmt *sql, int at,
    const char *text, size_t len);

bool store_step(struct store *store, struct sqlite3_stmt *sql);	/* a row? */
void store_done(struct sqlite3_stmt *sql);
/* Steps, which gives no row, and is done; returns the rows that changed. */
int store_run(struct store *store, struct sqlite3_stmt *sql);

int64_t store_get_int(struct sqlite3_stmt *sql, int column);
/* Valid until the next step; p NULL: NULL. */
struct msg_bytes store_get(struct sqlite3_stmt *sql, int column);
const char *store_get_text(struct sqlite3_stmt *sql, int column); /* or NULL */

/* Logs, tells store_on_failure() and ends the process. */
_Noreturn void store_fail(struct store *store, bool damaged,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* --- store_check.c: without SQLite, before it may touch the file */

/* Is it one of ours, or not there? *schema: its number, 0 for a new or empty
 * one. -1 with the reason. */
int store_look_at(const char *path, int *schema, int64_t *size,
    struct why *why);
/* Makes sure that it is there, with mode 0600. */
int store_make_file(const char *path, struct why *why);
/* Sentences that say what to do; -1. */
int store_is_newer(const char *path, int schema, struct why *why);
int store_is_damaged(const char *path, const char *reason, struct why *why);

/* --- store_room.c */

/* Before so many bytes are written: gives the reserve up when they may need
 * it. */
void store_room_for(struct store *store, size_t bytes);

#endif
