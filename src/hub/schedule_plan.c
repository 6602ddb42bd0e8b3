/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * schedule_plan - when the runs of a schedule are due: plain numbers and a
 * clock in, a decision out.
 *
 * Called by schedule. Moments are planned ones, on the grid of `every` or of
 * the cron text; the jitter is added to a moment when it is compared with the
 * clock, is the same whenever it is asked for, and never shifts the grid.
 */
#include <string.h>

#include "base/clock.h"
#include "base/why.h"
#include "hub/schedule.h"

#define MS_PER_S 1000
#define HOUR_MS (3600 * INT64_C(1000))

/* FNV-1a, then the finaliser of splitmix64. */
static uint64_t
plan_mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static uint64_t
plan_hash(const char *text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return plan_mix(hash);
}

int
schedule_plan_init(struct schedule_plan *plan, const struct conf_schedule *conf,
    struct why *why)
{
	*plan = (struct schedule_plan){
		.is_cron = *conf->cron != '\0',
		/* the grid is of whole milliseconds */
		.every_ms = (conf->every + NS_PER_MS - 1) / NS_PER_MS,
		.timezone = conf->timezone,
		.catch_up = conf->catch_up,
		.jitter_ms = conf->jitter / NS_PER_MS,
		.seed = plan_hash(conf->name),
	};
	if (!plan->is_cron)
		return 0;
	if (!cron_timezone_ok(conf->timezone))
		return why_set(why,
		    "there is no timezone '%s' in /usr/share/zoneinfo",
		    conf->timezone);
	return cron_parse(&plan->cron, conf->cron, why);
}

int64_t
schedule_after(const struct schedule_plan *plan, int64_t after_ms)
{
	int64_t next_s;

	if (!plan->is_cron)
		return after_ms + plan->every_ms;
	next_s = cron_next(&plan->cron, plan->timezone, after_ms / MS_PER_S);
	return next_s == INT64_MAX ? INT64_MAX : next_s * MS_PER_S;
}

int64_t
schedule_jitter(const struct schedule_plan *plan, int64_t moment_ms)
{
	if (plan->jitter_ms <= 0)
		return 0;
	return (int64_t)(plan_mix(plan->seed ^ (uint64_t)moment_ms) %
	    (uint64_t)(plan->jitter_ms + 1));
}

static int64_t
plan_due(const struct schedule_plan *plan, int64_t moment_ms)
{
	return moment_ms == INT64_MAX ?
	    INT64_MAX :
	    moment_ms + schedule_jitter(plan, moment_ms);
}

/*
 * Where to begin to look for the last moment that is due: unless each of them
 * counts, there is no use in walking through years of downtime.
 */
static int64_t
plan_skip(const struct schedule_plan *plan, int64_t last_ms, int64_t now_ms)
{
	static const int64_t window_ms[] = { HOUR_MS, 24 * HOUR_MS,
		32 * 24 * HOUR_MS };
	int64_t sure_ms = now_ms - plan->jitter_ms, from_ms;

	if (plan->catch_up == CONF_CATCH_UP_ALL || sure_ms <= last_ms)
		return last_ms;
	if (!plan->is_cron) {
		from_ms = (sure_ms - last_ms) / plan->every_ms;
		return from_ms > 1 ? last_ms + (from_ms - 1) * plan->every_ms :
				     last_ms;
	}
	for (size_t i = 0; i < sizeof(window_ms) / sizeof(window_ms[0]); i++) {
		from_ms = sure_ms - window_ms[i];
		if (from_ms <= last_ms)
			return last_ms;
		if (schedule_after(plan, from_ms) <= sure_ms)
			return from_ms;
	}
	return last_ms;
}

int
schedule_decide(const struct schedule_plan *plan, int64_t last_ms,
    int64_t start_ms, int64_t now_ms, int64_t *run_ms, int64_t *next_ms)
{
	int64_t base_ms = last_ms != 0 ? last_ms : start_ms, moment_ms;
	int n = 0;

	/* A wrong clock was put right: what it said does not count. The grid
	 * of `every` means nothing but the distance, and starts anew. */
	if (base_ms > now_ms + SCHEDULE_BACK_MS ||
	    (!plan->is_cron && base_ms > now_ms))
		base_ms = now_ms;
	*run_ms = base_ms;

	base_ms = plan_skip(plan, base_ms, now_ms);
	for (;;) {
		moment_ms = schedule_after(plan, base_ms);
		*next_ms = plan_due(plan, moment_ms);
		if (*next_ms > now_ms || n == SCHEDULE_MOST)
			break;
		*run_ms = base_ms = moment_ms;
		if (plan->catch_up == CONF_CATCH_UP_ALL || n == 0)
			n++;
	}
	if (n > 0 && plan->catch_up == CONF_CATCH_UP_NONE &&
	    plan_due(plan, *run_ms) < now_ms - SCHEDULE_LATE_MS)
		return 0;
	return n;
}

void
schedules_check(const struct conf *conf, struct conf_errors *errors)
{
	const struct conf_schedule *schedule;
	struct schedule_plan plan;
	struct why why;

	for (size_t i = 0; i < conf->schedule.n; i++) {
		schedule = &conf->schedule.v[i];
		if (schedule_plan_init(&plan, schedule, &why) == -1)
			conf_errors_add(errors, "%s:%d: schedule '%s': %s",
			    schedule->file, schedule->line, schedule->name,
			    why.text);
	}
}
