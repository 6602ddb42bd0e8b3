/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_db - the one file that knows SQLite: opens the store, migrates it,
 * keeps its statements prepared, and ends the turn's transaction.
 *
 * WAL with synchronous = NORMAL: a commit is a write and no fsync; one that
 * must survive a power cut is followed by an fsync of the log, which is all
 * that synchronous = FULL adds. The log is moved into the file by store_tidy(),
 * a few megabytes at a time and when nobody waits, never in the middle of a
 * commit.
 * The lock is held for ever (locking_mode EXCLUSIVE): a second hub cannot open
 * the file, and the log's index is in our memory.
 */
#include "hub/store_db.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/child.h"

/* A log of so many pages is moved into the file; one that has grown to twice
 * that nobody tidied: then at the commit. */
#define LOG_PAGES 1000
/* What a statement may add to the log beyond what is bound: the pages that it
 * touches. */
#define WRITE_BYTES (4 * 4096)
/* quick_check reads everything: up to here it takes no time worth speaking of.
 * Of a larger file, what a start needs (the data, the jobs that wait) is read
 * whole anyway. */
#define CHECK_BYTES (INT64_C(64) << 20)
/* Somebody who only looks at the store is gone soon. */
#define LOCK_WAIT_MS 2000

static const char *const migrations[] = {
#define MIGRATION(from, sql) [from] = sql,
#include "hub/store.def"
};
_Static_assert(sizeof migrations / sizeof migrations[0] == STORE_SCHEMA,
    "STORE_SCHEMA is the number of migrations");

static const char *const statements[] = {
#define STATEMENT(id, sql) sql,
#include "hub/store.def"
};

/* --- failure */

void
store_on_failure(struct store *store,
    void (*fn)(void *ctx, int exit_status, const char *reason), void *ctx)
{
	store->fail = fn;
	store->fail_ctx = ctx;
}

void
store_fail(struct store *store, bool damaged, const char *format, ...)
{
	int status = damaged ? CHILD_EXIT_CONFIG : EXIT_FAILURE;
	char reason[WHY_SIZE];
	va_list ap;

	va_start(ap, format);
	vsnprintf(reason, sizeof reason, format, ap);
	va_end(ap);
	log_error("%s; the hub ends, %s", reason,
	    damaged ? "and is not started again before a reload" :
		      "nothing of this turn was answered; another one is "
		      "started");
	if (store->fail != NULL)
		store->fail(store->fail_ctx, status, reason);
	_exit(status);
}

static bool
is_damage(int code)
{
	return (code & 0xff) == SQLITE_CORRUPT ||
	    (code & 0xff) == SQLITE_NOTADB;
}

static _Noreturn void
store_refused(struct store *store, const char *what)
{
	int code = sqlite3_extended_errcode(store->db);
	int error = sqlite3_system_errno(store->db);

	store_fail(store, is_damage(code), "the store %s refused %s: %s%s%s",
	    store->path, what, sqlite3_errmsg(store->db),
	    error != 0 ? ": " : "", error != 0 ? strerror(error) : "");
}

/* --- statements */

struct sqlite3_stmt *
store_sql(struct store *store, enum store_statement id)
{
	struct sqlite3_stmt **sql = &store->statement[id];

	if (*sql == NULL &&
	    sqlite3_prepare_v3(store->db, statements[id], -1,
		SQLITE_PREPARE_PERSISTENT, sql, NULL) != SQLITE_OK)
		store_refused(store, statements[id]);
	return *sql;
}

struct sqlite3_stmt *
store_write(struct store *store, enum store_statement id)
{
	if (!store->open) {
		store_run(store, store_sql(store, SQL_BEGIN));
		store->open = true;
		store->writes = store->written = 0;
	}
	store->writes++;
	return store_sql(store, id);
}

void
store_int(struct store *store, struct sqlite3_stmt *sql, int at, int64_t value)
{
	store->written += sizeof value;
	if (sqlite3_bind_int64(sql, at, value) != SQLITE_OK)
		store_refused(store, sqlite3_sql(sql));
}

void
store_bytes(struct store *store, struct sqlite3_stmt *sql, int at,
    const char *bytes, size_t len)
{
	store->written += len;
	if (sqlite3_bind_blob64(sql, at, bytes, len, SQLITE_STATIC) !=
	    SQLITE_OK)
		store_refused(store, sqlite3_sql(sql));
}

void
store_text(struct store *store, struct sqlite3_stmt *sql, int at,
    const char *text, size_t len)
{
	store->written += len;
	if (sqlite3_bind_text64(sql, at, text, len, SQLITE_STATIC,
		SQLITE_UTF8) != SQLITE_OK)
		store_refused(store, sqlite3_sql(sql));
}

bool
store_step(struct store *store, struct sqlite3_stmt *sql)
{
	switch (sqlite3_step(sql)) {
	case SQLITE_ROW:
		return true;
	case SQLITE_DONE:
		return false;
	default:
		store_refused(store, sqlite3_sql(sql));
	}
}

void
store_done(struct sqlite3_stmt *sql)
{
	sqlite3_reset(sql);
}

int
store_run(struct store *store, struct sqlite3_stmt *sql)
{
	store_step(store, sql);
	sqlite3_reset(sql);
	return sqlite3_changes(store->db);
}

int64_t
store_get_int(struct sqlite3_stmt *sql, int column)
{
	return sqlite3_column_int64(sql, column);
}

struct msg_bytes
store_get(struct sqlite3_stmt *sql, int column)
{
	struct msg_bytes bytes = { NULL, 0 };

	if (sqlite3_column_type(sql, column) == SQLITE_NULL)
		return bytes;
	bytes.p = sqlite3_column_blob(sql, column);
	bytes.len = (size_t)sqlite3_column_bytes(sql, column);
	if (bytes.p == NULL)
		bytes.p = "";
	return bytes;
}

const char *
store_get_text(struct sqlite3_stmt *sql, int column)
{
	return (const char *)sqlite3_column_text(sql, column);
}

/* --- the turn's transaction */

static int
on_log_grown(void *ctx, struct sqlite3 *db, const char *name, int pages)
{
	struct store *store = ctx;

	(void)db, (void)name;
	store->log_pages = pages;
	return SQLITE_OK;
}

static void
store_sync_log(struct store *store)
{
	sqlite3_file *log = NULL;

	sqlite3_file_control(store->db, "main", SQLITE_FCNTL_JOURNAL_POINTER,
	    &log);
	/* as SQLite does at a commit with synchronous = FULL */
	if (log == NULL || log->pMethods == NULL ||
	    log->pMethods->xSync(log, SQLITE_SYNC_NORMAL) != SQLITE_OK)
		store_fail(store, false,
		    "cannot sync the log of the store %s: %s", store->path,
		    strerror(errno));
	store->unsynced = false;
}

bool
store_is_open(const struct store *store)
{
	return store->open;
}

void
store_before_commit(struct store *store, void (*fn)(void *ctx), void *ctx)
{
	store->before_commit = fn;
	store->before_commit_ctx = ctx;
}

void
store_commit(struct store *store, bool sync)
{
	if (store->before_commit != NULL)
		store->before_commit(store->before_commit_ctx);
	if (store->open) {
		store_room_for(store,
		    2 * store->written + store->writes * WRITE_BYTES);
		store_run(store, store_sql(store, SQL_COMMIT));
		store->open = false;
		store->unsynced = true;
		store->looked = false;
	}
	if (sync && store->unsynced)
		store_sync_log(store);
	if (store->log_pages > 2 * LOG_PAGES)
		store_tidy(store);
}

void
store_tidy(struct store *store)
{
	int code;

	if (store->open || store->log_pages < LOG_PAGES)
		return;
	store_room_for(store, (size_t)store->log_pages * 4096);
	code = sqlite3_wal_checkpoint_v2(store->db, NULL,
	    SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	if (is_damage(code))
		store_refused(store, "a checkpoint");
	/* a full disk: the log goes on growing, and it is tried again */
	if (code != SQLITE_OK && !store->stuck)
		log_warning("the log of the store %s cannot be moved into it: "
			    "%s; it is tried again",
		    store->path, sqlite3_errmsg(store->db));
	store->stuck = code != SQLITE_OK;
	if (!store->stuck)
		store->unsynced = false;
	store->log_pages = 0;
}

/* --- opening */

static int
on_version(void *ctx, int columns, char **text, char **names)
{
	(void)columns, (void)names;
	snprintf(ctx, WHY_SIZE, "%s", text[0] != NULL ? text[0] : "");
	return 0;
}

/* One row of one column; "" without one. */
static int
store_ask(struct store *store, const char *sql, char answer[WHY_SIZE])
{
	answer[0] = '\0';
	return sqlite3_exec(store->db, sql, on_version, answer, NULL);
}

static int
store_explain(struct store *store, struct why *why)
{
	int code = sqlite3_extended_errcode(store->db);
	int error = sqlite3_system_errno(store->db);

	if (is_damage(code))
		return store_is_damaged(store->path, sqlite3_errmsg(store->db),
		    why);
	if ((code & 0xff) == SQLITE_BUSY)
		return why_set(why,
		    "the store %s is in use by another process: "
		    "is the service running already, or somebody looking at it "
		    "with sqlite3?",
		    store->path);
	return why_set(why, "cannot open the store %s: %s%s%s", store->path,
	    sqlite3_errmsg(store->db), error != 0 ? ": " : "",
	    error != 0 ? strerror(error) : "");
}

/* How long another process may still have the store. */
#define STORE_PATIENCE_MS 3000

/* Debian's SQLite zeroes what is deleted unless told not to. A page that is
 * not needed at once is not written before the commit (cache_spill), so that
 * a full disk shows itself there, where there is the reserve. */
static const char pragmas[] = "PRAGMA locking_mode = EXCLUSIVE;"
			      "PRAGMA journal_mode = WAL;"
			      "PRAGMA synchronous = NORMAL;"
			      "PRAGMA wal_autocheckpoint = 0;"
			      "PRAGMA journal_size_limit = 67108864;"
			      "PRAGMA cache_size = -16384;"
			      "PRAGMA cache_spill = OFF;"
			      "PRAGMA cell_size_check = ON;"
			      "PRAGMA foreign_keys = OFF;"
			      "PRAGMA secure_delete = OFF;"
			      "PRAGMA temp_store = MEMORY;"
			      "PRAGMA trusted_schema = OFF;"
			      /* takes the lock */
			      "BEGIN EXCLUSIVE; COMMIT";

/* Changes nothing when it refuses. */
static int
store_migrate(struct store *store, struct why *why)
{
	char text[WHY_SIZE];
	int schema;

	if (store_ask(store, "PRAGMA user_version", text) != SQLITE_OK)
		return store_explain(store, why);
	schema = atoi(text);
	if (schema > STORE_SCHEMA)
		return store_is_newer(store->path, schema, why);
	if (schema == STORE_SCHEMA)
		return 0;
	if (sqlite3_exec(store->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) !=
	    SQLITE_OK)
		return store_explain(store, why);
	for (; schema < STORE_SCHEMA; schema++)
		if (sqlite3_exec(store->db, migrations[schema], NULL, NULL,
			NULL) != SQLITE_OK)
			return store_explain(store, why);
	snprintf(text, sizeof text,
	    "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
	    STORE_APPLICATION, STORE_SCHEMA);
	if (sqlite3_exec(store->db, text, NULL, NULL, NULL) != SQLITE_OK ||
	    /* so that the head says so, which is looked at without SQLite */
	    sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_FULL,
		NULL, NULL) != SQLITE_OK)
		return store_explain(store, why);
	return 0;
}

static int
store_prove(struct store *store, int64_t size, struct why *why)
{
	char text[WHY_SIZE];

	if (size > CHECK_BYTES)
		return 0;
	if (store_ask(store, "PRAGMA quick_check(1)", text) != SQLITE_OK)
		return store_explain(store, why);
	if (strcmp(text, "ok") == 0)
		return 0;
	return store_is_damaged(store->path, text, why);
}

struct store *
store_open(const char *path, const struct conf *conf, struct why *why)
{
	struct store *store;
	int64_t size;
	int schema;

	if (store_look_at(path, &schema, &size, why) < 0 ||
	    store_make_file(path, why) < 0)
		return NULL;
	store = mem_alloc(sizeof *store);
	store->path = mem_strdup(path);
	store->min_free = conf->hub.min_free;
	store->reserve = conf->hub.reserve;
	if (sqlite3_open_v2(path, &store->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
		NULL) != SQLITE_OK ||
	    /* the hub of a master that was killed is about to end */
	    sqlite3_busy_timeout(store->db, STORE_PATIENCE_MS) != SQLITE_OK ||
	    /* one that is refused stays as it is, its log included */
	    sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
		NULL) != SQLITE_OK ||
	    sqlite3_busy_timeout(store->db, LOCK_WAIT_MS) != SQLITE_OK ||
	    sqlite3_exec(store->db, pragmas, NULL, NULL, NULL) != SQLITE_OK) {
		store_explain(store, why);
		goto fail;
	}
	sqlite3_wal_hook(store->db, on_log_grown, store);
	if (store_prove(store, size, why) < 0 || store_migrate(store, why) < 0)
		goto fail;
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	store_look(store);
	return store;
fail:
	store_close(store);
	return NULL;
}

void
store_close(struct store *store)
{
	if (store == NULL)
		return;
	if (store->open)
		store_commit(store, true);
	for (size_t i = 0; i < SQL_COUNT; i++)
		sqlite3_finalize(store->statement[i]);
	sqlite3_close(store->db);
	free(store->path);
	free(store);
}
