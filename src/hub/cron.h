/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cron - the five fields of cron(5) and when they come next. Pure but for the
 * time zone's rules, which the C library reads.
 *
 *   minute hour day-of-month month day-of-week
 *   numbers, names (jan, mon), lists, ranges, steps; 7 is Sunday; L is not
 *   known. @hourly @daily @midnight @weekly @monthly @yearly @annually.
 *
 * Day-of-month and day-of-week: when both are restricted either fits, as in
 * cron(5); one that begins with * is not restricted. When clocks go forward, a
 * fixed time that is skipped comes at the first moment after the gap; when they
 * go back, it comes once, the first time. What has a * at the start of its hour
 * goes by what clocks show then, through both (as Debian's cron does).
 */
#ifndef HUB_CRON_H
#define HUB_CRON_H

#include <stdbool.h>
#include <stdint.h>

struct why;

struct cron {
	uint64_t minutes;
	uint32_t hours, days, months, weekdays;	/* bit n: value n */
	bool any_day, any_weekday, any_hour;	/* the field began with * */
};

/* -1 with the reason: which field, what is wrong with it. */
int cron_parse(struct cron *cron, const char *text, struct why *why);

/*
 * The first moment after `after_s` (seconds since 1970) in that zone (NULL or
 * "": the machine's); INT64_MAX when there is none in the next five years
 * (30 February).
 */
int64_t cron_next(const struct cron *cron, const char *zone,
    int64_t after_s);

/* Is there such a zone? "" is the machine's. */
bool cron_timezone_ok(const char *name);

#endif
