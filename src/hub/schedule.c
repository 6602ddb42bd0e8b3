/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * schedule - begins the runs of tasks.schedule in time.
 *
 * One timer for the earliest of all. What is due is decided in schedule_plan.c;
 * a run becomes a job here, and its moment is stored with it. A run that cannot
 * be begun (the queue or the disk is full) is tried again a moment later, and
 * its catch_up decides what becomes of it meanwhile.
 *
 * The uid of a run's job is its moment, in uid.h's unit, with a number of its
 * schedule in place of slot and counter: the same run is the same job whoever
 * begins it again.
 */
#include "hub/schedule.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/call.h"
#include "core/uid.h"
#include "hub/work.h"

#define UID_LOW_BITS 22 /* slot and counter */
#define AGAIN_MS 1000	/* after a run was refused */
#define WAIT_MS 10000	/* for the run before */
#define LOOK_NS (600 * NS_PER_S)

struct schedule {
	const struct conf_schedule *conf;
	struct schedule_plan plan;
	uint64_t number; /* no other schedule has it */
	int64_t last_ms; /* see schedule_decide() */
	uint64_t last_uid;
	int64_t next_ms;
	/* moments up to here are made up for, one after the other */
	int64_t behind_ms;
	char *body;
	/* since the hub began */
	uint64_t runs, skipped;
	int64_t ended_ms;
	char *outcome, *why;
	bool refused, skipping; /* said once */
};

struct schedules {
	struct hub *hub;
	struct schedule *v;
	size_t n;
	int64_t start_ms;
	struct loop_timer timer;
};

static int64_t
wall_now_ms(void)
{
	return clock_wall_ns() / NS_PER_MS;
}

static void
schedules_arm(struct schedules *schedules)
{
	int64_t next_ms = INT64_MAX, left_ms, at_ns;

	for (size_t i = 0; i < schedules->n; i++)
		if (schedules->v[i].next_ms < next_ms)
			next_ms = schedules->v[i].next_ms;
	left_ms = next_ms == INT64_MAX ? INT64_MAX : next_ms - wall_now_ms();
	/* Not too long at a time: the two clocks do not run quite alike. */
	if (left_ms > LOOK_NS / NS_PER_MS)
		at_ns = LOOK_NS;
	else if (left_ms < 0)
		at_ns = 0;
	else
		at_ns = (left_ms + 1) * NS_PER_MS;
	if (schedules->n > 0 && !schedules->hub->draining)
		loop_timer_set(schedules->hub->loop, &schedules->timer,
		    clock_now_ns() + at_ns);
}

/* -------------------------------------------------------------------- runs */

static uint64_t
schedule_uid(const struct schedule *schedule, int64_t moment_ms)
{
	return (uint64_t)(moment_ms - uid_wall_ms(0)) << UID_LOW_BITS |
	    schedule->number;
}

static void
schedule_moved(struct schedules *schedules, struct schedule *schedule,
    int64_t last_ms)
{
	if (last_ms == schedule->last_ms)
		return;
	schedule->last_ms = last_ms;
	store_put_schedule(schedules->hub->store, schedule->conf->name, last_ms,
	    schedule->last_uid);
}

/* -1: not now. */
static int
schedule_begin(struct schedules *schedules, struct schedule *schedule,
    int64_t moment_ms)
{
	const struct conf_schedule *conf = schedule->conf;
	char id[CALL_ID_SIZE];
	struct msg_SUBMIT submit = {
		.uid = schedule_uid(schedule, moment_ms),
		.token = uid_token(),
		.handler = msg_text(conf->handler),
		.type = msg_text("application/json"),
		.body = msg_text(schedule->body),
		.attrs = msg_text(""),
		.method = msg_text(""),
		.path = msg_text(conf->name),
		.peer = msg_text(""),
		.expires_ms = -1,
		.max_attempts = (uint32_t)conf->max_attempts,
		.timeout_ms = conf->timeout / NS_PER_MS,
		.unique = msg_text(""),
		.then = msg_text(""),
		.on_failure = msg_text(""),
		.idempotency = msg_text(""),
		.id = msg_text(call_make_id(NULL, id)),
		.traceparent = msg_text(""),
	};
	struct work_new new = {
		.kind = JOB_SCHEDULED,
		.queue = -1,
		.submit = &submit,
		.schedule = conf->name,
	};
	struct why why = { "" };
	uint64_t uid, token;
	enum hub_code code;
	bool existing;

	code = work_would_add(schedules->hub, &new, 0, 0, &why);
	if (code == HUB_OK)
		code = work_add(schedules->hub, &new, &uid, &token, &existing);
	if (code != HUB_OK) {
		if (!schedule->refused)
			log_warning("schedule %s cannot begin a run: %s%s%s; "
				    "trying again",
			    conf->name, hub_code_name(code),
			    *why.text != '\0' ? ": " : "", why.text);
		schedule->refused = true;
		return -1;
	}
	schedule->refused = schedule->skipping = false;
	schedule->last_uid = uid;
	schedule->runs += !existing;
	schedule_moved(schedules, schedule, moment_ms);
	return 0;
}

static bool
schedule_runs(const struct schedules *schedules,
    const struct schedule *schedule)
{
	struct job *job = schedule->last_uid == 0 ?
	    NULL :
	    jobs_find(work_jobs(schedules->hub), schedule->last_uid);

	return job != NULL && !job_is_finished(job->state);
}

/* Begins what is due, n runs the last of which is planned for run_ms. */
static void
schedule_do(struct schedules *schedules, struct schedule *schedule, int n,
    int64_t run_ms)
{
	bool alone = !schedule->conf->overlap;
	bool all = schedule->plan.catch_up == CONF_CATCH_UP_ALL;
	int64_t moment_ms = run_ms;

	if (alone && all && n > 1 && schedule->behind_ms < run_ms)
		schedule->behind_ms = run_ms;
	if (all)
		moment_ms = schedule_after(&schedule->plan, schedule->last_ms);
	if (alone && schedule_runs(schedules, schedule)) {
		if (all && moment_ms <= schedule->behind_ms) {
			/* schedules_on_end() goes on, most likely */
			schedule->next_ms = wall_now_ms() + WAIT_MS;
			return;
		}
		schedule->skipped += (uint64_t)n;
		if (!schedule->skipping)
			log_notice("schedule %s: the last run has not ended; "
				   "skipping runs until it has",
			    schedule->conf->name);
		schedule->skipping = true;
		schedule_moved(schedules, schedule, run_ms);
		return;
	}
	/* One of those that wait for each other; the rest when it has ended. */
	if (alone)
		n = 1;
	for (int i = 0; i < n; i++) {
		if (schedule_begin(schedules, schedule, moment_ms) == -1) {
			schedule->next_ms = wall_now_ms() + AGAIN_MS;
			return;
		}
		moment_ms = schedule_after(&schedule->plan, moment_ms);
	}
}

static void
schedule_look(struct schedules *schedules, struct schedule *schedule,
    int64_t now_ms)
{
	int64_t run_ms;
	int n;

	n = schedule_decide(&schedule->plan, schedule->last_ms,
	    schedules->start_ms, now_ms, &run_ms, &schedule->next_ms);
	if (n > 0)
		schedule_do(schedules, schedule, n, run_ms);
	else
		schedule_moved(schedules, schedule, run_ms);
}

static void
schedules_look(void *ctx)
{
	struct schedules *schedules = ctx;
	int64_t now_ms = wall_now_ms();

	for (size_t i = 0; i < schedules->n && !schedules->hub->draining; i++)
		if (schedules->v[i].next_ms <= now_ms)
			schedule_look(schedules, &schedules->v[i], now_ms);
	schedules_arm(schedules);
}

void
schedules_clock(struct hub *hub)
{
	struct schedules *schedules = hub->schedules;
	int64_t now_ms = wall_now_ms();

	if (schedules == NULL)
		return;
	for (size_t i = 0; i < schedules->n; i++) {
		schedules->v[i].next_ms = 0;
		schedules->v[i].behind_ms = now_ms;
	}
	schedules_arm(schedules);
}

void
schedules_on_end(struct hub *hub, const char *name, const char *outcome,
    const char *why)
{
	struct schedules *schedules = hub->schedules;
	struct schedule *schedule;

	for (size_t i = 0; schedules != NULL && i < schedules->n; i++) {
		schedule = &schedules->v[i];
		if (strcmp(schedule->conf->name, name) != 0)
			continue;
		free(schedule->outcome);
		free(schedule->why);
		schedule->outcome = mem_strdup(outcome);
		schedule->why = why != NULL ? mem_strdup(why) : NULL;
		schedule->ended_ms = wall_now_ms();
		/* one may wait for this; it is not out of `jobs` yet */
		schedule->next_ms = 0;
		schedules_arm(schedules);
	}
}

/* ------------------------------------------------------------------ report */

static json_t *
report_moment(int64_t moment_ms)
{
	char text[CLOCK_TEXT_SIZE];

	return json_string(clock_format_wall(moment_ms * NS_PER_MS, text));
}

static json_t *
schedule_report(const struct schedules *schedules,
    const struct schedule *schedule)
{
	const struct conf_schedule *conf = schedule->conf;
	json_t *report = json_pack("{s:s, s:s, s:b, s:I, s:I}", "name",
	    conf->name, "handler", conf->handler, "running",
	    (int)schedule_runs(schedules, schedule), "runs",
	    (json_int_t)schedule->runs, "skipped",
	    (json_int_t)schedule->skipped);
	int64_t next_ms, run_ms;

	if (schedule->plan.is_cron)
		json_object_set_new(report, "cron", json_string(conf->cron));
	else
		json_object_set_new(report, "every",
		    json_real(clock_to_seconds(conf->every)));
	if (*conf->timezone != '\0')
		json_object_set_new(report, "timezone",
		    json_string(conf->timezone));
	schedule_decide(&schedule->plan, schedule->last_ms, schedules->start_ms,
	    wall_now_ms(), &run_ms, &next_ms);
	if (next_ms != INT64_MAX)
		json_object_set_new(report, "next", report_moment(next_ms));
	if (schedule->last_uid != 0)
		json_object_set_new(report, "last",
		    report_moment(uid_wall_ms(schedule->last_uid)));
	if (schedule->outcome != NULL) {
		json_object_set_new(report, "outcome",
		    json_string(schedule->outcome));
		json_object_set_new(report, "ended",
		    report_moment(schedule->ended_ms));
	}
	if (schedule->why != NULL)
		json_object_set_new(report, "why", json_string(schedule->why));
	return report;
}

json_t *
schedules_report(struct hub *hub)
{
	struct schedules *schedules = hub->schedules;
	json_t *list = json_array();

	for (size_t i = 0; schedules != NULL && i < schedules->n; i++)
		json_array_append_new(list,
		    schedule_report(schedules, &schedules->v[i]));
	return list;
}

/* ------------------------------------------------------------------- start */

/* A number of as many bits as there are, no schedule's before it. */
static uint64_t
schedules_number(const struct schedules *schedules, size_t i)
{
	uint64_t mask = ((uint64_t)1 << UID_LOW_BITS) - 1;
	uint64_t number = schedules->v[i].plan.seed & mask;

	for (size_t k = 0; k < i; k++)
		if (schedules->v[k].number == number) {
			number = (number + 1) & mask;
			k = (size_t)-1;
		}
	return number;
}

int
schedules_start(struct hub *hub, struct why *why)
{
	const struct conf *conf = hub->conf;
	struct schedules *schedules = mem_alloc(sizeof(*schedules));
	struct schedule *schedule;

	schedules->hub = hub;
	schedules->start_ms = wall_now_ms();
	schedules->v = mem_array(conf->schedule.n + 1, sizeof(*schedule));
	loop_timer_init(&schedules->timer, schedules_look, schedules);
	hub->schedules = schedules;
	for (size_t i = 0; i < conf->schedule.n; i++) {
		schedule = &schedules->v[i];
		schedule->conf = &conf->schedule.v[i];
		if (schedule_plan_init(&schedule->plan, schedule->conf, why) ==
		    -1)
			return -1;
		schedule->number = schedules_number(schedules, i);
		schedule->body = json_dumps(schedule->conf->input,
		    JSON_COMPACT | JSON_ENCODE_ANY);
		schedule->behind_ms = schedules->start_ms;
		schedules->n++;
		/* From now on, also for the hub after this one. */
		if (!store_find_schedule(hub->store, schedule->conf->name,
			&schedule->last_ms, &schedule->last_uid))
			schedule_moved(schedules, schedule,
			    schedules->start_ms);
	}
	schedules_arm(schedules);
	return 0;
}

void
schedules_stop(struct hub *hub)
{
	struct schedules *schedules = hub->schedules;

	if (schedules == NULL)
		return;
	loop_timer_cancel(hub->loop, &schedules->timer);
	for (size_t i = 0; i < hub->conf->schedule.n; i++) {
		free(schedules->v[i].body);
		free(schedules->v[i].outcome);
		free(schedules->v[i].why);
	}
	free(schedules->v);
	free(schedules);
	hub->schedules = NULL;
}
