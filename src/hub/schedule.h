/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * schedule - begins the runs of tasks.schedule in time.
 *
 * The upper half, schedule_plan.c, is pure; the lower one is schedule.c.
 *
 * A run is a job (JOB_SCHEDULED) whose uid is made of the schedule and the
 * moment, and whose moment is stored in the same transaction: a run is begun
 * once, whoever is killed when. While the last run has not ended, and overlap
 * is not allowed, the next is skipped and counted; but of those that catch_up =
 * "all" makes up for, each waits for the one before.
 */
#ifndef HUB_SCHEDULE_H
#define HUB_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "hub/cron.h"
#include "hub/hub.h"

/* When a run is due; pure, for tests. */
struct schedule_plan {
	struct cron cron;
	bool is_cron;
	int64_t every_ms;
	const char *timezone;
	int catch_up;			/* CONF_CATCH_UP_… */
	int64_t jitter_ms;
	uint64_t seed;			/* of the jitter: a hash of the name */
};
/*
 * After a last run at last_ms (0: never, and then `start_ms`, when the service
 * began, counts) what is to be done at now_ms: the number of runs to begin now
 * (0 or more; all of them for `all`, bounded by SCHEDULE_MOST) and in *next_ms
 * when to look again (INT64_MAX: never). *run_ms is the planned moment of the
 * last of them, and what last_ms has to be the next time, also when there are
 * none: runs may have been left out, or the clock put back.
 *
 * A run is missed when it is more than SCHEDULE_LATE_MS late. A moment is not
 * run twice when the clock goes back, but one that was more than
 * SCHEDULE_BACK_MS ahead was a wrong clock's, and does not count.
 */
#define SCHEDULE_MOST 1000
#define SCHEDULE_LATE_MS (60 * INT64_C(1000))
#define SCHEDULE_BACK_MS (24 * 3600 * INT64_C(1000))
int schedule_decide(const struct schedule_plan *plan, int64_t last_ms,
    int64_t start_ms, int64_t now_ms, int64_t *run_ms, int64_t *next_ms);

/* The next planned moment after one, without jitter; INT64_MAX. */
int64_t schedule_after(const struct schedule_plan *plan, int64_t after_ms);
/* How much later the run of a moment begins. */
int64_t schedule_jitter(const struct schedule_plan *plan, int64_t moment_ms);
/* Reads a row of the config; -1 with what is wrong with it. */
int schedule_plan_init(struct schedule_plan *plan,
    const struct conf_schedule *conf, struct why *why);

/* Part of hub_role.check. */
void schedules_check(const struct conf *conf, struct conf_errors *errors);
int schedules_start(struct hub *hub, struct why *why);
void schedules_stop(struct hub *hub);
/* The wall clock has jumped: think again. Called by hub_tick(). */
void schedules_clock(struct hub *hub);
/* For report: a JSON array. */
json_t *schedules_report(struct hub *hub);
/* A run has ended; `outcome` is a state's name. By work. */
void schedules_on_end(struct hub *hub, const char *name, const char *outcome,
    const char *why);

#endif
