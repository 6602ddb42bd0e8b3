/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_find - stored jobs read back: one, those that wait, those that people
 * want to see. All of these read the same columns.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "hub/store_db.h"

enum {
	COL_UID,
	COL_TOKEN,
	COL_LANE,
	COL_KIND,
	COL_STATE,
	COL_ATTEMPTS,
	COL_FLAGS,
	COL_PRIORITY,
	COL_DUE,
	COL_EXPIRES,
	COL_UNIQUE,
	COL_ERRORS,
	COL_SUBMIT,
	COL_FINISHED, /* from here on not of those that wait */
	COL_DONE,
};

#define ALL_FINISHED                                               \
	(1U << JOB_SUCCEEDED | 1U << JOB_FAILED | 1U << JOB_DEAD | \
	    1U << JOB_CANCELLED)
#define ALL_FAILED (1U << JOB_FAILED | 1U << JOB_DEAD)

/* A number that is to index something. */
static unsigned
column_below(struct store *store, struct sqlite3_stmt *sql, int column,
    int64_t base, int64_t end)
{
	int64_t value = store_get_int(sql, column) - base;

	if (value < 0 || value >= end)
		store_fail(store, true,
		    "the store %s is damaged: the job "
		    "%lld has %lld in column %d",
		    store->path, (long long)store_get_int(sql, COL_UID),
		    (long long)value + base, column);
	return (unsigned)value;
}

/* unique is borrowed. */
static void
read_job(struct store *store, struct sqlite3_stmt *sql, struct job *job)
{
	int64_t flags = store_get_int(sql, COL_FLAGS);

	*job = (struct job){
		.uid = (uint64_t)store_get_int(sql, COL_UID),
		.token = (uint64_t)store_get_int(sql, COL_TOKEN),
		.kind = column_below(store, sql, COL_KIND, 0, JOB_CALL),
		.state = column_below(store, sql, COL_STATE, STORE_STATE_BASE,
		    JOB_STATE_COUNT),
		.priority = (uint8_t)column_below(store, sql, COL_PRIORITY, 0,
		    256),
		.attempts = (uint16_t)column_below(store, sql, COL_ATTEMPTS, 0,
		    65536),
		.retrying = flags & STORE_RETRYING,
		.redelivered = flags & STORE_REDELIVERED,
		.cancelled = flags & STORE_CANCELLED,
		.due_ms = store_get_int(sql, COL_DUE),
		.expires_ms = store_get_int(sql, COL_EXPIRES),
		.unique = (char *)(uintptr_t)store_get_text(sql, COL_UNIQUE),
	};
}

static char *
copy(struct msg_bytes bytes, size_t *len)
{
	char *p = mem_alloc(bytes.len + 1);

	memcpy(p, bytes.p != NULL ? bytes.p : "", bytes.len);
	*len = bytes.len;
	return p;
}

static void
read_stored(struct store *store, struct sqlite3_stmt *sql,
    struct stored_job *out)
{
	const char *errors = store_get_text(sql, COL_ERRORS);

	memset(out, 0, sizeof *out);
	read_job(store, sql, &out->job);
	if (out->job.unique != NULL)
		out->job.unique = mem_strdup(out->job.unique);
	out->lane = mem_strdup(store_get_text(sql, COL_LANE));
	out->submit = copy(store_get(sql, COL_SUBMIT), &out->submit_len);
	out->done = copy(store_get(sql, COL_DONE), &out->done_len);
	out->errors = mem_printf("[%s]", errors != NULL ? errors : "");
	out->finished_ms = store_get_int(sql, COL_FINISHED);
}

void
stored_job_release(struct stored_job *job)
{
	free(job->job.unique);
	free(job->lane);
	free(job->submit);
	free(job->done);
	free(job->errors);
	memset(job, 0, sizeof *job);
}

bool
store_find_job(struct store *store, uint64_t uid, struct stored_job *out)
{
	struct sqlite3_stmt *sql = store_sql(store, SQL_FIND_JOB);
	bool found;

	store_int(store, sql, 1, (int64_t)uid);
	found = store_step(store, sql);
	if (found)
		read_stored(store, sql, out);
	store_done(sql);
	return found;
}

int
store_each_job(struct store *store,
    int (*each)(void *ctx, const struct job *job, const char *lane,
	struct msg_bytes submit),
    void *ctx)
{
	struct sqlite3_stmt *sql = store_sql(store, SQL_EACH_JOB);
	int got = 0;

	while (got == 0 && store_step(store, sql)) {
		struct job job;

		read_job(store, sql, &job);
		got = each(ctx, &job, store_get_text(sql, COL_LANE),
		    store_get(sql, COL_SUBMIT));
	}
	store_done(sql);
	return got;
}

/* Those of a failure have places of their own; a mixture is in one order. */
static struct sqlite3_stmt *
list_statement(struct store *store, unsigned states)
{
	bool finished = (states & ~ALL_FINISHED) == 0;
	struct sqlite3_stmt *sql = store_sql(store,
	    finished ? SQL_LIST_FINISHED : SQL_LIST_JOBS);
	int first = (states & ALL_FAILED) == states ? STORE_FAILED :
						      STORE_ENDED;
	int last = (states & ALL_FAILED) == 0 ? STORE_ENDED : STORE_FAILED;

	store_int(store, sql, 1, states);
	if (finished) {
		store_int(store, sql, 4, store_class_first(first));
		store_int(store, sql, 5, store_class_last(last));
	}
	return sql;
}

int
store_list_jobs(struct store *store, unsigned states, const char *lane,
    size_t limit, int (*each)(void *ctx, const struct stored_job *job),
    void *ctx)
{
	struct sqlite3_stmt *sql = list_statement(store, states);
	int got = 0;

	store_text(store, sql, 2, lane, lane != NULL ? strlen(lane) : 0);
	store_int(store, sql, 3, (int64_t)limit);
	while (got == 0 && store_step(store, sql)) {
		struct stored_job job;

		read_stored(store, sql, &job);
		got = each(ctx, &job);
		stored_job_release(&job);
	}
	store_done(sql);
	return got;
}

bool
store_find_idempotent(struct store *store, struct msg_bytes key, uint64_t *uid,
    uint64_t *token, uint64_t *fingerprint)
{
	struct sqlite3_stmt *sql = store_sql(store, SQL_IDEMPOTENT);
	bool found;

	store_bytes(store, sql, 1, key.p, key.len);
	found = store_step(store, sql);
	if (found) {
		*uid = (uint64_t)store_get_int(sql, 0);
		*token = (uint64_t)store_get_int(sql, 1);
		*fingerprint = (uint64_t)store_get_int(sql, 2);
	}
	store_done(sql);
	return found;
}
