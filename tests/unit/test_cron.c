/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_cron - every form a field may have, and every way to get one wrong; the
 * next moment by hand where it is tricky, and against a model that walks
 * through the minutes one by one, around the nights in which clocks change.
 */
#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/why.h"
#include "fast_check.h"
#include "hub/cron.h"
#include "run_suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ----------------------------------------------------------------- parsing */

static uint64_t
bits(int low, int high, int step)
{
	uint64_t set = 0;

	for (int i = low; i <= high; i += step)
		set |= UINT64_C(1) << i;
	return set;
}

static struct cron
parsed(const char *text)
{
	struct cron cron;
	struct why why = { "" };

	ck_assert_msg(cron_parse(&cron, text, &why) == 0, "%s: %s", text,
	    why.text);
	return cron;
}

START_TEST(a_star_is_everything)
{
	struct cron cron = parsed("* * * * *");

	ck_assert_uint_eq(cron.minutes, bits(0, 59, 1));
	ck_assert_uint_eq(cron.hours, bits(0, 23, 1));
	ck_assert_uint_eq(cron.days, bits(1, 31, 1));
	ck_assert_uint_eq(cron.months, bits(1, 12, 1));
	ck_assert_uint_eq(cron.weekdays, bits(0, 6, 1));
	ck_assert(cron.any_day && cron.any_weekday && cron.any_hour);
}
END_TEST

START_TEST(lists_ranges_and_steps)
{
	struct cron cron = parsed("5,10-12,*/30 8-18/5 1,31 2-4 1-5");

	ck_assert_uint_eq(cron.minutes,
	    bits(5, 5, 1) | bits(10, 12, 1) | bits(0, 59, 30));
	ck_assert_uint_eq(cron.hours, bits(8, 18, 5));
	ck_assert_uint_eq(cron.days, bits(1, 1, 1) | bits(31, 31, 1));
	ck_assert_uint_eq(cron.months, bits(2, 4, 1));
	ck_assert_uint_eq(cron.weekdays, bits(1, 5, 1));
	ck_assert(!cron.any_day && !cron.any_weekday && !cron.any_hour);
}
END_TEST

START_TEST(every_single_value)
{
	char text[64];

	for (int i = 0; i <= 59; i++) {
		snprintf(text, sizeof(text), "%d * * * *", i);
		ck_assert_uint_eq(parsed(text).minutes, bits(i, i, 1));
	}
	for (int i = 0; i <= 23; i++) {
		snprintf(text, sizeof(text), "* %d * * *", i);
		ck_assert_uint_eq(parsed(text).hours, bits(i, i, 1));
	}
	for (int i = 1; i <= 31; i++) {
		snprintf(text, sizeof(text), "* * %02d * *", i);
		ck_assert_uint_eq(parsed(text).days, bits(i, i, 1));
	}
	for (int i = 1; i <= 12; i++) {
		snprintf(text, sizeof(text), "* * * %d *", i);
		ck_assert_uint_eq(parsed(text).months, bits(i, i, 1));
	}
	for (int i = 0; i <= 7; i++) {
		snprintf(text, sizeof(text), "* * * * %d", i);
		ck_assert_uint_eq(parsed(text).weekdays, bits(i % 7, i % 7, 1));
	}
}
END_TEST

START_TEST(names_of_months_and_days)
{
	static const char *const months[] = { "jan", "feb", "mar", "apr", "may",
		"jun", "jul", "aug", "sep", "oct", "nov", "dec" };
	static const char *const days[] = { "sun", "mon", "tue", "wed", "thu",
		"fri", "sat" };
	char text[64];

	for (int i = 0; i < 12; i++) {
		snprintf(text, sizeof(text), "0 0 1 %s *", months[i]);
		ck_assert_uint_eq(parsed(text).months, bits(i + 1, i + 1, 1));
	}
	for (int i = 0; i < 7; i++) {
		snprintf(text, sizeof(text), "0 0 * * %s", days[i]);
		ck_assert_uint_eq(parsed(text).weekdays, bits(i, i, 1));
	}
	ck_assert_uint_eq(parsed("0 0 * JAN-Mar Mon-fri").months,
	    bits(1, 3, 1));
	ck_assert_uint_eq(parsed("0 0 * * Mon-fri/2").weekdays, bits(1, 5, 2));
	ck_assert_uint_eq(parsed("0 0 * * fri-sun").weekdays,
	    bits(5, 6, 1) | 1);
	ck_assert_uint_eq(parsed("0 0 * * 5-7").weekdays, bits(5, 6, 1) | 1);
	ck_assert_uint_eq(parsed("0 0 * * sun-tue").weekdays, bits(0, 2, 1));
}
END_TEST

START_TEST(shorthands)
{
	static const char *const rows[][2] = {
		{ "@hourly", "0 * * * *" },
		{ "@daily", "0 0 * * *" },
		{ "@midnight", "0 0 * * *" },
		{ "@weekly", "0 0 * * sun" },
		{ "@monthly", "0 0 1 * *" },
		{ "@yearly", "0 0 1 1 *" },
		{ "@annually", "0 0 1 1 *" },
		{ " @Daily", "0 0 * * *" },
		{ "  0\t0  * * * ", "0 0 * * *" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct cron one = parsed(rows[i][0]);
		struct cron other = parsed(rows[i][1]);

		/* by members: what is between them is anything */
		ck_assert_uint_eq(one.minutes, other.minutes);
		ck_assert_uint_eq(one.hours, other.hours);
		ck_assert_uint_eq(one.days, other.days);
		ck_assert_uint_eq(one.months, other.months);
		ck_assert_uint_eq(one.weekdays, other.weekdays);
		ck_assert_int_eq(one.any_day, other.any_day);
		ck_assert_int_eq(one.any_weekday, other.any_weekday);
		ck_assert_int_eq(one.any_hour, other.any_hour);
	}
}
END_TEST

START_TEST(what_is_wrong_is_named)
{
	static const char *const rows[][2] = {
		{ "", "it has 0 fields in place of five" },
		{ "* * * *", "it has 4 fields in place of five" },
		{ "0 * * * * *", "it has 6 fields in place of five" },
		{ "60 * * * *", "minute: 60 is not within 0 to 59" },
		{ "* 24 * * *", "hour: 24 is not within 0 to 23" },
		{ "* * 0 * *", "day of month: 0 is not within 1 to 31" },
		{ "* * 32 * *", "day of month: 32 is not within 1 to 31" },
		{ "* * * 13 *", "month: 13 is not within 1 to 12" },
		{ "* * * 0 *", "month: 0 is not within 1 to 12" },
		{ "* * * * 8", "day of week: 8 is not within 0 to 7" },
		{ "x * * * *", "minute: 'x' is no number" },
		{ "jan * * * *", "minute: 'jan' is no number" },
		{ "* * * foo *",
		    "month: 'foo' is no number and none of the "
		    "names, like feb" },
		{ "* * * january *", "month: 'january' is no number" },
		{ "* * * * monday", "day of week: 'monday' is no number" },
		{ "* * L * *", "day of month: 'L' is no number" },
		{ "5/10 * * * *", "minute: a step needs a range or *" },
		{ "*/0 * * * *", "minute: the step behind / is not within" },
		{ "*/60 * * * *", "minute: the step behind / is not within" },
		{ "*/ * * * *", "minute: the step behind / is not within" },
		{ "*/-1 * * * *", "minute: the step behind / is not within" },
		{ "*/99999999999999999999 * * * *", "minute: the step" },
		{ "99999999999999999999 * * * *", "minute: 9999999999999" },
		{ "-1 * * * *", "minute: there is a value missing" },
		{ "1- * * * *", "minute: there is a value missing" },
		{ "1,,2 * * * *", "minute: there is a value missing" },
		{ ", * * * *", "minute: there is a value missing" },
		{ "1, * * * *", "minute: there is a value missing" },
		{ "1-2-3 * * * *", "minute: what is '-3'?" },
		{ "**  * * * *", "minute: what is '*'?" },
		{ "*5 * * * *", "minute: what is '5'?" },
		{ "*/5x * * * *", "minute: what is 'x'?" },
		{ "10-5 * * * *", "minute: the range 10-5 goes backwards" },
		{ "* 22-2 * * *", "hour: the range 22-2 goes backwards" },
		{ "* * * nov-feb *", "month: the range nov-feb goes" },
		{ "* * * * sat-fri", "day of week: the range sat-fri goes" },
		{ "@reboot", "there is no @reboot; there are @hourly" },
		{ "@", "there is no @; there are" },
		{ "+5 * * * *", "minute: '+5' is no number" },
		{ "0x5 * * * *", "minute: '0x5' is no number" },
	};
	struct cron cron;
	struct why why;

	for (size_t i = 0; i < COUNT(rows); i++) {
		ck_assert_msg(cron_parse(&cron, rows[i][0], &why) == -1, "'%s'",
		    rows[i][0]);
		ck_assert_msg(strncmp(why.text, rows[i][1],
				  strlen(rows[i][1])) == 0,
		    "'%s': %s", rows[i][0], why.text);
	}
}
END_TEST

START_TEST(garbage_is_refused)
{
	char text[512];
	struct cron cron;
	struct why why;

	memset(text, '1', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(cron_parse(&cron, text, &why), -1);
	memset(text, ',', 200);
	text[200] = '\0';
	ck_assert_int_eq(cron_parse(&cron, text, &why), -1);
	memset(text, '1', 100);
	strcpy(text + 100, " * * * *");
	ck_assert_int_eq(cron_parse(&cron, text, &why), -1);
	ck_assert_int_eq(cron_parse(&cron, "\377\200 * * * *", &why), -1);
}
END_TEST

/* ---------------------------------------------------------------- by hand */

/* "2026-03-29 01:30" in UTC. */
static int64_t
utc(const char *text)
{
	struct tm tm = { 0 };

	ck_assert_ptr_nonnull(strptime(text, "%Y-%m-%d %H:%M", &tm));
	return timegm(&tm);
}

static const char *
utc_text(int64_t at)
{
	static char text[2][32];
	static int turn;
	time_t t = (time_t)at;
	struct tm tm;

	if (at == INT64_MAX)
		return "never";
	turn = !turn;
	gmtime_r(&t, &tm);
	strftime(text[turn], sizeof(text[turn]), "%Y-%m-%d %H:%M", &tm);
	ck_assert_int_eq(at % 60, 0);
	return text[turn];
}

static const struct {
	const char *cron, *zone, *after, *next;
} by_hand[] = {
	{ "* * * * *", "UTC", "2026-11-22 10:00", "2026-11-22 10:01" },
	{ "0 0 * * *", "UTC", "2026-12-31 23:59", "2027-01-01 00:00" },
	{ "0 0 * * *", "UTC", "2027-01-01 00:00", "2027-01-02 00:00" },
	{ "30 4 1,15 * *", "UTC", "2026-11-02 00:00", "2026-11-15 04:30" },
	/* both days restricted: either; the 13th or a Friday */
	{ "0 0 13 * fri", "UTC", "2026-11-07 00:00", "2026-11-13 00:00" },
	{ "0 0 13 * fri", "UTC", "2026-11-13 00:00", "2026-11-20 00:00" },
	{ "0 0 13 * fri", "UTC", "2026-12-11 00:00", "2026-12-13 00:00" },
	/* one of them begins with *: both have to fit */
	{ "0 0 */2 * mon", "UTC", "2026-11-20 00:00", "2026-11-23 00:00" },
	{ "0 0 */2 * tue", "UTC", "2026-11-20 00:00", "2026-12-01 00:00" },
	{ "0 0 13 * *", "UTC", "2026-11-14 00:00", "2026-12-13 00:00" },
	{ "0 0 * * mon", "UTC", "2026-11-22 00:00", "2026-11-23 00:00" },
	{ "0 0 * * 7", "UTC", "2026-11-22 00:00", "2026-11-29 00:00" },
	/* days that not every month has */
	{ "0 0 31 * *", "UTC", "2026-01-31 00:00", "2026-03-31 00:00" },
	{ "0 0 29 2 *", "UTC", "2026-01-01 00:00", "2028-02-29 00:00" },
	{ "0 0 29 2 *", "UTC", "2028-02-29 00:00", "2032-02-29 00:00" },
	{ "0 0 30 2 *", "UTC", "2026-01-01 00:00", "never" },
	{ "*/5 * 30 2 *", "UTC", "2026-01-01 00:00", "never" },
	{ "0 0 31 4,6 *", "UTC", "2026-01-01 00:00", "never" },
	/* or a Monday, which there always is */
	{ "0 0 30 2 mon", "UTC", "2026-01-01 00:00", "2026-02-02 00:00" },

	/* Berlin: 2026-03-29 02:00 CET becomes 03:00 CEST, 01:00 UTC */
	{ "0 2 * * *", "Europe/Berlin", "2026-03-28 12:00",
	    "2026-03-29 01:00" },
	{ "30 2 * * *", "Europe/Berlin", "2026-03-28 12:00",
	    "2026-03-29 01:00" },
	{ "30 2 * * *", "Europe/Berlin", "2026-03-29 01:00",
	    "2026-03-30 00:30" },
	{ "30 2 29 3 *", "Europe/Berlin", "2026-01-01 00:00",
	    "2026-03-29 01:00" },
	{ "15,45 2 * * *", "Europe/Berlin", "2026-03-29 01:00",
	    "2026-03-30 00:15" },
	{ "0 3 * * *", "Europe/Berlin", "2026-03-28 12:00",
	    "2026-03-29 01:00" },
	{ "59 1 * * *", "Europe/Berlin", "2026-03-28 12:00",
	    "2026-03-29 00:59" },
	{ "30 * * * *", "Europe/Berlin", "2026-03-29 00:30",
	    "2026-03-29 01:30" },
	{ "0 */2 * * *", "Europe/Berlin", "2026-03-28 23:00",
	    "2026-03-29 02:00" },
	/* 2026-10-25 03:00 CEST becomes 02:00 CET, 01:00 UTC */
	{ "30 2 * * *", "Europe/Berlin", "2026-10-24 12:00",
	    "2026-10-25 00:30" },
	{ "30 2 * * *", "Europe/Berlin", "2026-10-25 00:30",
	    "2026-10-26 01:30" },
	{ "30 2 * * *", "Europe/Berlin", "2026-10-25 01:15",
	    "2026-10-26 01:30" },
	{ "0 3 * * *", "Europe/Berlin", "2026-10-25 00:59",
	    "2026-10-25 02:00" },
	{ "30 * * * *", "Europe/Berlin", "2026-10-25 00:30",
	    "2026-10-25 01:30" },
	{ "*/20 * * * *", "Europe/Berlin", "2026-10-25 00:40",
	    "2026-10-25 01:00" },
	{ "0 */2 * * *", "Europe/Berlin", "2026-10-25 00:00",
	    "2026-10-25 01:00" },

	/* New York: 2026-03-08 02:00 EST becomes 03:00, 07:00 UTC */
	{ "30 2 * * *", "America/New_York", "2026-03-08 00:00",
	    "2026-03-08 07:00" },
	{ "0 0 * * *", "America/New_York", "2026-03-08 05:00",
	    "2026-03-09 04:00" },
	/* 2026-11-01 02:00 EDT becomes 01:00 EST, 06:00 UTC */
	{ "30 1 * * *", "America/New_York", "2026-11-01 00:00",
	    "2026-11-01 05:30" },
	{ "30 1 * * *", "America/New_York", "2026-11-01 05:30",
	    "2026-11-02 06:30" },
	{ "30 * * * *", "America/New_York", "2026-11-01 05:30",
	    "2026-11-01 06:30" },

	/* Lord Howe moves by half an hour: 2026-10-04 02:00 becomes 02:30,
	 * 2026-10-03 15:30 UTC */
	{ "15 2 * * *", "Australia/Lord_Howe", "2026-10-03 00:00",
	    "2026-10-03 15:30" },
	{ "30 2 * * *", "Australia/Lord_Howe", "2026-10-03 00:00",
	    "2026-10-03 15:30" },
	{ "45 2 * * *", "Australia/Lord_Howe", "2026-10-03 00:00",
	    "2026-10-03 15:45" },
	/* 2026-04-05 02:00 becomes 01:30, 2026-04-04 15:00 UTC */
	{ "45 1 * * *", "Australia/Lord_Howe", "2026-04-04 00:00",
	    "2026-04-04 14:45" },
	{ "45 1 * * *", "Australia/Lord_Howe", "2026-04-04 14:45",
	    "2026-04-05 15:15" },
	{ "45 * * * *", "Australia/Lord_Howe", "2026-04-04 14:45",
	    "2026-04-04 15:15" },
	{ "0 2 * * *", "Australia/Lord_Howe", "2026-04-04 00:00",
	    "2026-04-04 15:30" },

	/* Apia left out 2011-12-30 */
	{ "0 12 30 12 *", "Pacific/Apia", "2011-12-01 00:00",
	    "2011-12-30 10:00" },
	{ "0 12 31 12 *", "Pacific/Apia", "2011-12-01 00:00",
	    "2011-12-30 22:00" },
	/* Kathmandu is 5:45 ahead */
	{ "0 0 * * *", "Asia/Kathmandu", "2026-01-01 00:00",
	    "2026-01-01 18:15" },
};

/* A machine without zones knows UTC alone. */
static bool
has_zone(const char *zone)
{
	return cron_timezone_ok(zone);
}

START_TEST(the_next_moment_by_hand)
{
	struct cron cron = parsed(by_hand[_i].cron);
	int64_t next;

	if (!has_zone(by_hand[_i].zone))
		return;
	next = cron_next(&cron, by_hand[_i].zone, utc(by_hand[_i].after));
	ck_assert_msg(strcmp(utc_text(next), by_hand[_i].next) == 0,
	    "%s in %s after %s: %s, not %s", by_hand[_i].cron, by_hand[_i].zone,
	    by_hand[_i].after, utc_text(next), by_hand[_i].next);
}
END_TEST

START_TEST(seconds_do_not_matter)
{
	struct cron cron = parsed("* * * * *");
	struct cron fixed = parsed("30 10 * * *");
	int64_t at = utc("2026-11-22 10:29");

	for (int i = 0; i < 60; i++) {
		ck_assert_int_eq(cron_next(&cron, "UTC", at + i), at + 60);
		ck_assert_int_eq(cron_next(&fixed, "UTC", at + i), at + 60);
	}
	ck_assert_int_eq(cron_next(&fixed, "UTC", at + 60), at + 60 + 86400);
}
END_TEST

/* --------------------------------------------------------------- the model */

static int64_t
wall(int64_t at)
{
	time_t t = (time_t)at;
	struct tm tm;

	localtime_r(&t, &tm);
	return timegm(&tm);
}

static bool
fits(const struct cron *cron, int64_t shown)
{
	time_t t = (time_t)shown;
	struct tm tm;
	bool day, weekday, days;

	gmtime_r(&t, &tm);
	day = (cron->days >> tm.tm_mday & 1) != 0;
	weekday = (cron->weekdays >> tm.tm_wday & 1) != 0;
	days = cron->any_day || cron->any_weekday ? day && weekday :
						    day || weekday;
	return days && (cron->minutes >> tm.tm_min & 1) != 0 &&
	    (cron->hours >> tm.tm_hour & 1) != 0 &&
	    (cron->months >> (tm.tm_mon + 1) & 1) != 0;
}

/*
 * Walks through the minutes from a day before: what goes by the clocks looks at
 * each; a fixed time comes when clocks first show it or go beyond it.
 */
static int64_t
model(const struct cron *cron, int64_t after, int64_t until)
{
	int64_t at = after / 60 * 60 - 86400, seen = wall(at), shown;

	for (at += 60; at <= until; at += 60) {
		shown = wall(at);
		if (cron->any_hour) {
			if (at > after && fits(cron, shown))
				return at;
			continue;
		}
		for (; seen < shown; seen += 60)
			if (fits(cron, seen + 60) && at > after)
				return at;
	}
	return INT64_MAX;
}

static uint64_t state;

static unsigned
any(unsigned n)
{
	state = state * UINT64_C(6364136223846793005) + 1;
	return (unsigned)((state >> 33) % n);
}

static void
random_text(char *text, size_t size)
{
	static const char *const minutes[] = { "*", "*/7", "0", "30", "15,45",
		"59", "0-10", "*/30" };
	static const char *const hours[] = { "*", "*/2", "1", "2", "3", "0",
		"1-3", "23", "0,2", "*/5" };
	static const char *const days[] = { "*", "*", "*", "29", "25", "1-8",
		"*/2" };
	static const char *const weekdays[] = { "*", "*", "*", "sun", "sat,mon",
		"*/3" };

	snprintf(text, size, "%s %s %s * %s", minutes[any(COUNT(minutes))],
	    hours[any(COUNT(hours))], days[any(COUNT(days))],
	    weekdays[any(COUNT(weekdays))]);
}

static const struct {
	const char *zone, *change;
} nights[] = {
	{ "UTC", "2026-06-15 01:00" },
	{ "Europe/Berlin", "2026-03-29 01:00" },
	{ "Europe/Berlin", "2026-10-25 01:00" },
	{ "America/New_York", "2026-03-08 07:00" },
	{ "America/New_York", "2026-11-01 06:00" },
	{ "Australia/Lord_Howe", "2026-04-04 15:00" },
	{ "Australia/Lord_Howe", "2026-10-03 15:30" },
	/* at midnight, forward and back */
	{ "America/Havana", "2026-03-08 05:00" },
	{ "America/Havana", "2026-11-01 05:00" },
	{ "Asia/Beirut", "2026-03-28 22:00" },
	{ "Asia/Beirut", "2026-10-24 21:00" },
};

START_TEST(the_next_moment_as_the_model_says)
{
	const char *zone = nights[_i].zone;
	int64_t change = utc(nights[_i].change), after, next, expected;
	char text[64], tz[64];
	struct cron cron;

	if (!has_zone(zone))
		return;
	snprintf(tz, sizeof(tz), ":%s", zone);
	setenv("TZ", tz, 1);
	tzset();
	state = (uint64_t)_i + 1;
	for (int round = 0; round < 100; round++) {
		random_text(text, sizeof(text));
		cron = parsed(text);
		after = change - 7200 + (int64_t)any(14400);
		expected = model(&cron, after, after + 10 * 86400);
		next = cron_next(&cron, zone, after);
		if (expected == INT64_MAX) {
			ck_assert_int_gt(next, after + 10 * 86400);
			continue;
		}
		ck_assert_msg(next == expected, "'%s' in %s after %s: %s/%s",
		    text, zone, utc_text(after / 60 * 60), utc_text(next),
		    utc_text(expected));
		/* the machine's zone is the same now */
		ck_assert_int_eq(cron_next(&cron, NULL, after), expected);
		ck_assert_int_eq(cron_next(&cron, "", after), expected);
	}
}
END_TEST

/* -------------------------------------------------------------------- zones */

START_TEST(the_zone_of_the_process_stays)
{
	struct cron cron = parsed("0 12 * * *");
	int64_t before;

	if (!has_zone("Europe/Berlin") || !has_zone("America/New_York"))
		return;
	setenv("TZ", ":Europe/Berlin", 1);
	tzset();
	before = wall(utc("2026-07-01 12:00"));
	ck_assert_str_eq(utc_text(before), "2026-07-01 14:00");
	cron_next(&cron, "America/New_York", utc("2026-07-01 12:00"));
	ck_assert_str_eq(getenv("TZ"), ":Europe/Berlin");
	ck_assert_int_eq(wall(utc("2026-07-01 12:00")), before);

	unsetenv("TZ");
	tzset();
	before = wall(utc("2026-07-01 12:00"));
	cron_next(&cron, "America/New_York", utc("2026-07-01 12:00"));
	ck_assert_ptr_null(getenv("TZ"));
	ck_assert_int_eq(wall(utc("2026-07-01 12:00")), before);
}
END_TEST

START_TEST(zones_that_are_none)
{
	static const char *const names[] = { "Europe", "Europe/Atlantis",
		"/etc/passwd", "../../../etc/passwd", "Europe/../../passwd",
		"zone.tab", "Europe/Berlin ", "CET-1CEST" };

	ck_assert(cron_timezone_ok(""));
	ck_assert(cron_timezone_ok("UTC"));
	for (size_t i = 0; i < COUNT(names); i++)
		ck_assert_msg(!cron_timezone_ok(names[i]), "%s", names[i]);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("cron");
	TCase *parse = tcase_create("parse");
	TCase *next = tcase_create("next");

	tcase_add_test(parse, a_star_is_everything);
	tcase_add_test(parse, lists_ranges_and_steps);
	tcase_add_test(parse, every_single_value);
	tcase_add_test(parse, names_of_months_and_days);
	tcase_add_test(parse, shorthands);
	tcase_add_test(parse, what_is_wrong_is_named);
	tcase_add_test(parse, garbage_is_refused);
	tcase_add_loop_test(next, the_next_moment_by_hand, 0, COUNT(by_hand));
	tcase_add_test(next, seconds_do_not_matter);
	tcase_add_loop_test(next, the_next_moment_as_the_model_says, 0,
	    COUNT(nights));
	tcase_add_test(next, the_zone_of_the_process_stays);
	tcase_add_test(next, zones_that_are_none);
	tcase_set_timeout(next, 120);
	suite_add_tcase(suite, parse);
	suite_add_tcase(suite, next);
	return run_suite(suite);
}
