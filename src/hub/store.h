/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store - what outlives the hub, in SQLite (WAL); the only file of the hub that
 * includes its header is store_db.c.
 *
 * Writes join the turn's transaction, which the first of them begins;
 * store_commit() ends it at the end of the turn. A write does not fail: what
 * SQLite refuses ends the process, for the transaction is then gone and memory
 * is ahead of it (hub.h). So that this does not happen for a full disk, new
 * work is refused before (store_has_room()), and a reserve, a file of
 * hub.reserve bytes, is given up for what must still be written; it is taken
 * again once there is room.
 *
 * The schema has a number (PRAGMA user_version). An older one is migrated in
 * one transaction; a newer one, a file that is no database or is damaged
 * (PRAGMA quick_check) refuses the start and says what to do, and is not
 * touched.
 */
#ifndef HUB_STORE_H
#define HUB_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/data.h"
#include "hub/jobs.h"

struct why;
struct store;

#define STORE_SCHEMA 2

/* NULL with the reason, for a person: the start is refused (exit 78). */
struct store *store_open(const char *path, const struct conf *conf,
    struct why *why);
void store_close(struct store *store);

/* The same without keeping or changing anything, for broodd -t; a file that is
 * not there is fine. */
int store_check(const char *path, struct why *why);

/* Told before the process ends because the store refused a statement: by hub.c,
 * with child_fail(). The line is logged already; exit_status is 78 when the
 * file is damaged and a fresh process would not help. When it returns, the
 * process ends all the same. */
void store_on_failure(struct store *store,
    void (*fn)(void *ctx, int exit_status, const char *reason), void *ctx);

/* Makes the turn's writes durable; `sync`: with an fsync, if anything was
 * written since the last one. Does nothing when there is nothing. */
void store_commit(struct store *store, bool sync);
bool store_is_open(const struct store *store);	/* a transaction is */
/* Called at each store_commit(), before it: to write what was put off. */
void store_before_commit(struct store *store, void (*fn)(void *ctx), void *ctx);
/* After what was committed has been told to everybody: moves the log into the
 * file when it has grown, a few megabytes at most. */
void store_tidy(struct store *store);

/* False: refuse new work with HUB_NO_SPACE; *why_not is a sentence. The disk is
 * looked at after each transaction, and when the last look is a second old;
 * while there is no room only then. */
bool store_has_room(struct store *store, const char **why_not);
void store_look(struct store *store);	/* now */
/* Bytes of the file and of its log, of the disk that are free. */
void store_count(struct store *store, int64_t *size, int64_t *free_bytes);

/* --- shared data (store_data.c) */

void store_put_data(struct store *store, const struct data_value *value);
void store_drop_data(struct store *store, const char *key, size_t len);
/* Number of the last change of the redo file that is in the store. */
void store_set_redo(struct store *store, uint64_t lsn);
uint64_t store_redo(struct store *store);
/* Counters that only grow: "fence", "version"; 0 at first. */
void store_set_counter(struct store *store, const char *name, uint64_t value);
uint64_t store_counter(struct store *store, const char *name);
int store_each_data(struct store *store,
    int (*each)(void *ctx, const struct data_value *value), void *ctx);

/* --- jobs (store_jobs.c): see jobs.h for struct job */

/* A new job; `submit` is all that was said of it, kept as it is encoded: a
 * part, with its head. False when there is one with this uid: *token is then
 * that one's. */
bool store_add_job(struct store *store, const struct job *job,
    struct msg_bytes submit, uint64_t *token);
/* State, attempts, due time, and the error of the attempt (NULL: none). */
void store_update_job(struct store *store, const struct job *job,
    const char *error_json);
/* It is finished: the result as DONE is encoded (empty: none). */
void store_finish_job(struct store *store, const struct job *job,
    struct msg_bytes done, const char *error_json, int64_t wall_ms);
void store_drop_job(struct store *store, uint64_t uid);

/* What was stored; the caller frees. False when there is no such job. job.lane
 * is NULL: `lane` is its name. */
struct stored_job {
	struct job job;
	char *lane;
	char *submit, *done, *errors;	/* errors: a JSON array */
	size_t submit_len, done_len;
	int64_t finished_ms;		/* 0: not yet */
};
bool store_find_job(struct store *store, uint64_t uid, struct stored_job *out);
void stored_job_release(struct stored_job *job);

/* Those that are not finished, oldest first. job->lane is NULL: `lane` is its
 * name; job->unique is borrowed. -1 when `each` said so. */
int store_each_job(struct store *store,
    int (*each)(void *ctx, const struct job *job, const char *lane,
	struct msg_bytes submit),
    void *ctx);
/* Newest first (in the order in which they ended, when `states` has finished
 * ones alone), at most `limit`: `states` is a set of 1 << state; `lane`
 * ("queue:NAME" or a handler) NULL: any. Without submit, done and errors. -1
 * when `each` said so. */
int store_list_jobs(struct store *store, unsigned states, const char *lane,
    size_t limit, int (*each)(void *ctx, const struct stored_job *job),
    void *ctx);
/* Idempotency keys of jobs that are kept. */
bool store_find_idempotent(struct store *store, struct msg_bytes key,
    uint64_t *uid, uint64_t *token, uint64_t *fingerprint);
/* Drops what is kept too long, at most `most`; true when there is more. */
bool store_purge(struct store *store, const struct conf *conf, int64_t wall_ms,
    size_t most);

/* --- calls that are done (store_jobs.c): known for hub.remember */

/* False: it was there already, and nothing is to be done again. */
bool store_add_done(struct store *store, uint64_t uid, int64_t wall_ms);
bool store_is_done(struct store *store, uint64_t uid);

/* --- for the broker, of the broker (store_outbox.c) */

/* What is to be sent: an encoded part; `seq` is larger than any before it. */
void store_add_outbox(struct store *store, uint64_t seq, uint64_t uid,
    int64_t wall_ms, struct msg_bytes what);
/* All between these, both included. */
void store_drop_outbox(struct store *store, uint64_t first, uint64_t last);
/* NULL when there is no such row; the caller frees. */
char *store_find_outbox(struct store *store, uint64_t seq, size_t *len);
/* In the order of seq. -1 when `each` said so. */
int store_each_outbox(struct store *store,
    int (*each)(void *ctx, uint64_t seq, uint64_t uid, int64_t wall_ms,
	size_t len),
    void *ctx);

/* Messages that are done, many to a row: uids as they are in memory, the last
 * of which is the one with the number `last`. */
void store_add_seen(struct store *store, uint64_t last, int64_t wall_ms,
    struct msg_bytes uids);
/* Rows up to the one whose last is this. */
void store_drop_seen(struct store *store, uint64_t last);
/* The last number of the rows that are older, of the oldest thousand; 0:
 * none. */
uint64_t store_old_seen(struct store *store, int64_t before_ms);
int store_each_seen(struct store *store,
    int (*each)(void *ctx, uint64_t last, struct msg_bytes uids), void *ctx);

/* --- run-time bindings and schedules (store_topology.c) */

void store_put_binding(struct store *store, const char *queue,
    const char *exchange, const char *key, bool on);
int store_each_binding(struct store *store,
    int (*each)(void *ctx, const char *queue, const char *exchange,
	const char *key, bool on),
    void *ctx);
void store_put_schedule(struct store *store, const char *name,
    int64_t last_ms, uint64_t last_uid);
bool store_find_schedule(struct store *store, const char *name,
    int64_t *last_ms, uint64_t *last_uid);

#endif
