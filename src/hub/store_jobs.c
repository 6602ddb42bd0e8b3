/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_jobs - jobs as they are stored, their results, and the calls that are
 * known to be done.
 *
 * A finished job has a place in the order in which jobs ended, which is what is
 * purged by. Those that failed are kept longer and have places of their own,
 * above all others.
 */
#include <string.h>

#include "base/clock.h"
#include "core/conf.h"
#include "hub/store_db.h"

#define NO_PLACE (-(INT64_C(1) << 60))

/* A place is the class, milliseconds since 2020, and a number. */
#define PLACE_SHIFT 20
#define PLACE_EPOCH_MS INT64_C(1577836800000)
#define PLACE_MS_MAX ((INT64_C(1) << (STORE_CLASS_SHIFT - PLACE_SHIFT)) - 1)

static int
class_of(enum job_state state)
{
	return state == JOB_FAILED || state == JOB_DEAD ? STORE_FAILED :
							  STORE_ENDED;
}

/* Counted when first needed: a start need not wait for it. */
static void
finished_know(struct store *store)
{
	if (store->finished_known)
		return;
	for (int class = 0; class < STORE_CLASSES; class ++) {
		struct sqlite3_stmt *sql = store_sql(store, SQL_COUNT_FINISHED);

		store_int(store, sql, 1, store_class_first(class));
		store_int(store, sql, 2, store_class_last(class));
		store_step(store, sql);
		store->finished[class] = (size_t)store_get_int(sql, 0);
		store->last_place[class] = store_get_int(sql, 1);
		store_done(sql);
	}
	store->finished_known = true;
}

/* Only grows, also when the clock is put back. */
static int64_t
place_new(struct store *store, int class, int64_t wall_ms)
{
	int64_t ms = wall_ms - PLACE_EPOCH_MS, place;

	finished_know(store);
	if (ms < 0)
		ms = 0;
	if (ms > PLACE_MS_MAX)
		ms = PLACE_MS_MAX;
	place = store_class_first(class) + (ms << PLACE_SHIFT);
	if (place <= store->last_place[class])
		place = store->last_place[class] + 1;
	store->last_place[class] = place;
	return place;
}

/* --- writing */

static int
flags_of(const struct job *job)
{
	return (job->retrying ? STORE_RETRYING : 0) |
	    (job->redelivered ? STORE_REDELIVERED : 0) |
	    (job->cancelled ? STORE_CANCELLED : 0);
}

/* What of `submit` has a column. */
static bool
job_idempotency(struct msg_bytes submit, struct msg_SUBMIT *out)
{
	enum msg_id id;
	union msg msg;
	size_t at = 0;

	if (msg_part(submit, &at, MSG_ID_BIT(SUBMIT), &id, &msg, NULL) != 1)
		return false;
	*out = msg.SUBMIT;
	return out->idempotency.len > 0;
}

bool
store_add_job(struct store *store, const struct job *job,
    struct msg_bytes submit, uint64_t *token)
{
	struct sqlite3_stmt *sql = store_write(store, SQL_ADD_JOB);
	const char *lane = lane_name(job->lane);
	bool large = submit.len > STORE_INLINE;
	struct msg_SUBMIT said;

	store_int(store, sql, 1, (int64_t)job->uid);
	store_int(store, sql, 2, (int64_t)job->token);
	store_text(store, sql, 3, lane, strlen(lane));
	store_int(store, sql, 4, job->kind);
	store_int(store, sql, 5, job->state + STORE_STATE_BASE);
	store_int(store, sql, 6, NO_PLACE);
	store_int(store, sql, 7, job->attempts);
	store_int(store, sql, 8, flags_of(job));
	store_int(store, sql, 9, job->priority);
	store_int(store, sql, 10, job->due_ms);
	store_int(store, sql, 11, job->expires_ms);
	store_text(store, sql, 12, job->unique,
	    job->unique != NULL ? strlen(job->unique) : 0);
	if (job_idempotency(submit, &said)) {
		store_bytes(store, sql, 13, said.idempotency.p,
		    said.idempotency.len);
		store_int(store, sql, 14, (int64_t)said.fingerprint);
	} else {
		store_bytes(store, sql, 13, NULL, 0);
		store_bytes(store, sql, 14, NULL, 0);
	}
	store_bytes(store, sql, 15, large ? NULL : submit.p, submit.len);
	if (store_run(store, sql) == 0) {
		sql = store_sql(store, SQL_TOKEN);
		store_int(store, sql, 1, (int64_t)job->uid);
		*token = store_step(store, sql) ?
		    (uint64_t)store_get_int(sql, 0) :
		    0;
		store_done(sql);
		return false;
	}
	if (large) {
		sql = store_write(store, SQL_ADD_BODY);
		store_int(store, sql, 1, (int64_t)job->uid);
		store_bytes(store, sql, 2, submit.p, submit.len);
		store_run(store, sql);
	}
	return true;
}

static void
store_add_error(struct store *store, uint64_t uid, const char *error_json)
{
	struct sqlite3_stmt *sql;

	if (error_json == NULL)
		return;
	sql = store_write(store, SQL_ADD_ERROR);
	store_text(store, sql, 1, error_json, strlen(error_json));
	store_int(store, sql, 2, (int64_t)uid);
	store_run(store, sql);
}

static void
finished_drop(struct store *store, int64_t place)
{
	struct sqlite3_stmt *sql = store_write(store, SQL_DROP_FINISHED);

	finished_know(store);
	store_int(store, sql, 1, place);
	store->finished[place >= store_class_first(STORE_FAILED)] -= (size_t)
	    store_run(store, sql);
}

/* Negative: it is not finished, or not there. */
static int64_t
job_place(struct store *store, uint64_t uid)
{
	struct sqlite3_stmt *sql = store_sql(store, SQL_PLACE);
	int64_t place = -1;

	store_int(store, sql, 1, (int64_t)uid);
	if (store_step(store, sql))
		place = store_get_int(sql, 0);
	store_done(sql);
	return place;
}

/* A finished one runs again. */
static void
job_revive(struct store *store, const struct job *job)
{
	int64_t place = job_place(store, job->uid);
	struct sqlite3_stmt *sql;

	if (place < 0)
		return;
	finished_drop(store, place);
	sql = store_write(store, SQL_REVIVE_JOB);
	store_int(store, sql, 1, job->state + STORE_STATE_BASE);
	store_int(store, sql, 2, job->attempts);
	store_int(store, sql, 3, flags_of(job));
	store_int(store, sql, 4, job->due_ms);
	store_int(store, sql, 5, NO_PLACE);
	store_int(store, sql, 6, job->expires_ms);
	store_int(store, sql, 7, (int64_t)job->uid);
	store_run(store, sql);
}

void
store_update_job(struct store *store, const struct job *job,
    const char *error_json)
{
	struct sqlite3_stmt *sql = store_write(store, SQL_UPDATE_JOB);

	store_int(store, sql, 1, job->state + STORE_STATE_BASE);
	store_int(store, sql, 2, job->attempts);
	store_int(store, sql, 3, flags_of(job));
	store_int(store, sql, 4, job->due_ms);
	store_int(store, sql, 5, (int64_t)job->uid);
	if (store_run(store, sql) == 0)
		job_revive(store, job);
	store_add_error(store, job->uid, error_json);
}

void
store_finish_job(struct store *store, const struct job *job,
    struct msg_bytes done, const char *error_json, int64_t wall_ms)
{
	int class = class_of(job->state);
	int64_t place = place_new(store, class, wall_ms);
	struct sqlite3_stmt *sql = store_write(store, SQL_FINISH_JOB);

	store_int(store, sql, 1, job->state + STORE_STATE_BASE);
	store_int(store, sql, 2, job->attempts);
	store_int(store, sql, 3, place);
	store_int(store, sql, 4, (int64_t)job->uid);
	if (store_run(store, sql) == 0)
		return;
	sql = store_write(store, SQL_ADD_FINISHED);
	store_int(store, sql, 1, place);
	store_int(store, sql, 2, (int64_t)job->uid);
	store_int(store, sql, 3, wall_ms);
	store_bytes(store, sql, 4, done.len > 0 ? done.p : NULL, done.len);
	store_run(store, sql);
	store->finished[class]++;
	store_add_error(store, job->uid, error_json);
}

static void
job_erase(struct store *store, uint64_t uid)
{
	static const enum store_statement from[] = { SQL_DROP_JOB,
		SQL_DROP_BODY };

	for (size_t i = 0; i < sizeof from / sizeof from[0]; i++) {
		struct sqlite3_stmt *sql = store_write(store, from[i]);

		store_int(store, sql, 1, (int64_t)uid);
		store_run(store, sql);
	}
}

void
store_drop_job(struct store *store, uint64_t uid)
{
	int64_t place = job_place(store, uid);

	if (place >= 0)
		finished_drop(store, place);
	job_erase(store, uid);
}

/* --- calls that are done */

bool
store_add_done(struct store *store, uint64_t uid, int64_t wall_ms)
{
	struct sqlite3_stmt *sql = store_write(store, SQL_ADD_DONE);

	store_int(store, sql, 1, (int64_t)uid);
	store_int(store, sql, 2, wall_ms);
	return store_run(store, sql) > 0;
}

bool
store_is_done(struct store *store, uint64_t uid)
{
	struct sqlite3_stmt *sql = store_sql(store, SQL_IS_DONE);
	bool found;

	store_int(store, sql, 1, (int64_t)uid);
	found = store_step(store, sql);
	store_done(sql);
	return found;
}

/* --- what is kept too long */

/* The oldest of its class, if it is not to be kept. */
static bool
purge_one(struct store *store, int class, size_t keep, int64_t before_ms)
{
	struct sqlite3_stmt *sql = store_sql(store, SQL_OLDEST);
	int64_t place = 0, at_ms = 0;
	uint64_t uid = 0;
	bool found;

	store_int(store, sql, 1, store_class_first(class));
	store_int(store, sql, 2, store_class_last(class));
	found = store_step(store, sql);
	if (found) {
		place = store_get_int(sql, 0);
		uid = (uint64_t)store_get_int(sql, 1);
		at_ms = store_get_int(sql, 2);
	}
	store_done(sql);
	if (!found || (store->finished[class] <= keep && at_ms >= before_ms))
		return false;
	finished_drop(store, place);
	job_erase(store, uid);
	return true;
}

static bool
purge_done(struct store *store, int64_t before_ms)
{
	struct sqlite3_stmt *sql = store_sql(store, SQL_OLDEST_DONE);
	uint64_t uid = 0;
	bool found;

	found = store_step(store, sql) && store_get_int(sql, 1) < before_ms;
	if (found)
		uid = (uint64_t)store_get_int(sql, 0);
	store_done(sql);
	if (!found)
		return false;
	sql = store_write(store, SQL_DROP_DONE);
	store_int(store, sql, 1, (int64_t)uid);
	store_run(store, sql);
	return true;
}

bool
store_purge(struct store *store, const struct conf *conf, int64_t wall_ms,
    size_t most)
{
	size_t keep_max = (size_t)conf->tasks.keep_max;
	size_t keep_dead_max = (size_t)conf->tasks.keep_dead_max;
	int64_t keep_ms = conf->tasks.keep / NS_PER_MS;
	int64_t remember_ms = conf->hub.remember / NS_PER_MS;

	finished_know(store);
	while (most > 0 &&
	    (purge_one(store, STORE_ENDED, keep_max, wall_ms - keep_ms) ||
		purge_one(store, STORE_FAILED, keep_dead_max, INT64_MIN) ||
		purge_done(store, wall_ms - remember_ms)))
		most--;
	return most == 0;
}
