/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cron - the five fields of cron(5): parsed here, and the next moment found.
 *
 * Called by schedule. The rules of a time zone are the C library's, which knows
 * one zone at a time, that of $TZ: it is changed for the length of cron_next()
 * and put back, which is safe in a process of one thread and in no other.
 */
#include "hub/cron.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/why.h"

#define DAY_S INT64_C(86400)
#define HORIZON_DAYS (5 * 366)
#define ZONEINFO "/usr/share/zoneinfo/"

/* ----------------------------------------------------------------- parsing */

static const char *const month_names[] = { "jan", "feb", "mar", "apr", "may",
	"jun", "jul", "aug", "sep", "oct", "nov", "dec", NULL };
static const char *const weekday_names[] = { "sun", "mon", "tue", "wed", "thu",
	"fri", "sat", NULL };

static const struct cron_field {
	const char *name;
	int min, max;
	const char *const *names; /* of min, min + 1 … */
} fields[5] = {
	{ "minute", 0, 59, NULL },
	{ "hour", 0, 23, NULL },
	{ "day of month", 1, 31, NULL },
	{ "month", 1, 12, month_names },
	{ "day of week", 0, 7, weekday_names },
};

static const struct {
	const char *word, *text;
} shorthands[] = {
	{ "@hourly", "0 * * * *" },
	{ "@daily", "0 0 * * *" },
	{ "@midnight", "0 0 * * *" },
	{ "@weekly", "0 0 * * 0" },
	{ "@monthly", "0 0 1 * *" },
	{ "@yearly", "0 0 1 1 *" },
	{ "@annually", "0 0 1 1 *" },
};

#define WORD_SIZE 64

/* A number or a name at *at, which moves behind it. */
static int
field_value(const struct cron_field *field, const char **at, struct why *why)
{
	size_t len = strcspn(*at, ",-/");
	char word[WORD_SIZE];
	char *end;
	long value;

	if (len == 0)
		return why_set(why, "%s: there is a value missing",
		    field->name);
	if (len >= sizeof(word))
		return why_set(why, "%s: '%.20s…' is too long", field->name,
		    *at);
	mem_copy_string(word, len + 1, *at);
	*at += len;
	for (int i = 0; field->names != NULL && field->names[i] != NULL; i++)
		if (strcasecmp(word, field->names[i]) == 0)
			return field->min + i;
	if (strspn(word, "0123456789") != len)
		return why_set(why, "%s: '%s' is no number%s%s", field->name,
		    word,
		    field->names != NULL ? " and none of the names, like " : "",
		    field->names != NULL ? field->names[1] : "");
	value = strtol(word, &end, 10);
	if (value < field->min || value > field->max)
		return why_set(why, "%s: %s is not within %d to %d",
		    field->name, word, field->min, field->max);
	return (int)value;
}

/* "*", "5", "mon-fri", with "/2" behind a range. */
static int
field_range(const struct cron_field *field, const char **at, uint64_t *set,
    struct why *why)
{
	int low = field->min, high = field->max, step = 1;
	const char *start = *at;
	bool range = true;
	char *end;
	long n;

	if (**at == '*') {
		++*at;
	} else {
		low = high = field_value(field, at, why);
		if (low == -1)
			return -1;
		range = **at == '-';
		if (range) {
			++*at;
			high = field_value(field, at, why);
			if (high == -1)
				return -1;
		}
		/* "fri-sun": the Sunday at the end of the week */
		if (range && high == 0 && low > 0 && field->max == 7)
			high = 7;
	}
	if (low > high)
		return why_set(why, "%s: the range %.*s goes backwards",
		    field->name, (int)(*at - start), start);
	if (**at == '/') {
		if (!range)
			return why_set(why,
			    "%s: a step needs a range or *, as in %d-%d/2 or "
			    "*/2",
			    field->name, low, field->max);
		++*at;
		n = isdigit((unsigned char)**at) ? strtol(*at, &end, 10) : 0;
		if (n < 1 || n > field->max)
			return why_set(why,
			    "%s: the step behind / is not within 1 to %d",
			    field->name, field->max);
		step = (int)n;
		*at = end;
	}
	if (**at != ',' && **at != '\0')
		return why_set(why, "%s: what is '%.20s'?", field->name, *at);
	for (int value = low; value <= high; value += step)
		*set |= UINT64_C(1) << value;
	return 0;
}

static int
field_parse(const struct cron_field *field, const char *text, uint64_t *set,
    struct why *why)
{
	*set = 0;
	for (;;) {
		if (field_range(field, &text, set, why) == -1)
			return -1;
		if (*text == '\0')
			return 0;
		text++;
	}
}

static int
cron_shorthand(const char *text, const char **stands_for, struct why *why)
{
	size_t n = sizeof(shorthands) / sizeof(shorthands[0]);

	for (size_t i = 0; i < n; i++)
		if (strcasecmp(text, shorthands[i].word) == 0) {
			*stands_for = shorthands[i].text;
			return 0;
		}
	return why_set(why,
	    "there is no %.20s; there are @hourly, @daily, @midnight, "
	    "@weekly, @monthly, @yearly and @annually",
	    text);
}

int
cron_parse(struct cron *cron, const char *text, struct why *why)
{
	char copy[256], *rest = copy, *word, *word_of[5];
	uint64_t set[5];
	size_t n = 0;

	if (text[strspn(text, " \t")] == '@' &&
	    cron_shorthand(text + strspn(text, " \t"), &text, why) == -1)
		return -1;
	if (strlen(text) >= sizeof(copy))
		return why_set(why, "it is longer than %zu characters",
		    sizeof(copy) - 1);
	mem_copy_string(copy, sizeof(copy), text);
	while ((word = strsep(&rest, " \t")) != NULL) {
		if (*word == '\0')
			continue;
		if (n < 5)
			word_of[n] = word;
		n++;
	}
	if (n != 5)
		return why_set(why,
		    "it has %zu fields in place of five: minute, hour, day of "
		    "month, month, day of week",
		    n);
	for (size_t i = 0; i < 5; i++)
		if (field_parse(&fields[i], word_of[i], &set[i], why) == -1)
			return -1;
	*cron = (struct cron){
		.minutes = set[0],
		.hours = (uint32_t)set[1],
		.days = (uint32_t)set[2],
		.months = (uint32_t)set[3],
		/* 7 is Sunday too */
		.weekdays = (uint32_t)((set[4] | set[4] >> 7) & 0x7f),
		.any_hour = *word_of[1] == '*',
		.any_day = *word_of[2] == '*',
		.any_weekday = *word_of[4] == '*',
	};
	return 0;
}

/* ---------------------------------------------------------------- the zone */

bool
cron_timezone_ok(const char *name)
{
	char path[sizeof(ZONEINFO) + 64], *content;
	bool ok;

	if (*name == '\0' || strcmp(name, "UTC") == 0)
		return true;
	if (*name == '/' || strstr(name, "..") != NULL || strlen(name) > 64)
		return false;
	snprintf(path, sizeof(path), ZONEINFO "%s", name);
	content = fd_read_file(path, (size_t)1 << 20, NULL);
	ok = content != NULL && strncmp(content, "TZif", 4) == 0;
	free(content);
	return ok;
}

/* What $TZ was, for zone_leave(); NULL: it was not set. */
static char *
zone_enter(const char *name)
{
	const char *before = getenv("TZ");
	char *saved = before != NULL ? mem_strdup(before) : NULL;
	char value[80];

	snprintf(value, sizeof(value), "%s%.64s",
	    strcmp(name, "UTC") == 0 ? "" : ":", name);
	setenv("TZ", strcmp(name, "UTC") == 0 ? "UTC0" : value, 1);
	tzset();
	return saved;
}

static void
zone_leave(char *saved)
{
	if (saved != NULL)
		setenv("TZ", saved, 1);
	else
		unsetenv("TZ");
	tzset();
	free(saved);
}

/* What clocks on the wall show at that moment, as seconds since 1970 of a day
 * that knows no zones: it can be reckoned with. */
static int64_t
wall_of(int64_t at_s)
{
	time_t t = (time_t)at_s;
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL)
		return at_s;
	return at_s + tm.tm_gmtoff;
}

/*
 * The first moment at which clocks show `wall`, or, when they skip it, the
 * first one after the gap. The two offsets of the days around it are those that
 * count: no zone changes its clocks twice in two days.
 */
static int64_t
moment_of(int64_t wall)
{
	int64_t before = wall - DAY_S, after = wall + DAY_S;
	int64_t a = wall - (wall_of(before) - before);
	int64_t b = wall - (wall_of(after) - after);
	int64_t low, high, middle;

	low = a < b ? a : b;
	high = a < b ? b : a;
	if (wall_of(low) == wall)
		return low;
	if (wall_of(high) == wall)
		return high;
	/* Skipped: at `low` clocks show less, at `high` more. */
	while (high - low > 1) {
		middle = low + (high - low) / 2;
		if (wall_of(middle) < wall)
			low = middle;
		else
			high = middle;
	}
	return high;
}

/* -------------------------------------------------------------------- next */

static bool
cron_fits_day(const struct cron *cron, int64_t wall)
{
	time_t t = (time_t)wall;
	struct tm tm;
	bool day, weekday;

	gmtime_r(&t, &tm);
	if ((cron->months >> (tm.tm_mon + 1) & 1) == 0)
		return false;
	day = cron->days >> tm.tm_mday & 1;
	weekday = cron->weekdays >> tm.tm_wday & 1;
	return cron->any_day || cron->any_weekday ? day && weekday :
						    day || weekday;
}

static bool
cron_fits_minute(const struct cron *cron, int64_t wall)
{
	return (cron->hours >> (wall % DAY_S / 3600) & 1) != 0 &&
	    (cron->minutes >> (wall % 3600 / 60) & 1) != 0;
}

/* Fixed times: each minute that fits on the wall, once, where it comes. */
static int64_t
cron_next_fixed(const struct cron *cron, int64_t after_s)
{
	int64_t wall = wall_of(after_s) / 60 * 60 + 60, end, moment;

	end = wall + HORIZON_DAYS * DAY_S;
	while (wall < end) {
		if (!cron_fits_day(cron, wall)) {
			wall = (wall / DAY_S + 1) * DAY_S;
			continue;
		}
		if (cron_fits_minute(cron, wall)) {
			moment = moment_of(wall);
			if (moment > after_s)
				return moment;
		}
		wall += 60;
	}
	return INT64_MAX;
}

/* Every so often: each minute that passes, by what the wall shows then. */
static int64_t
cron_next_passing(const struct cron *cron, int64_t after_s)
{
	int64_t at = after_s / 60 * 60 + 60, end, wall, tomorrow;

	end = at + HORIZON_DAYS * DAY_S;
	while (at < end) {
		wall = wall_of(at);
		if (cron_fits_day(cron, wall)) {
			if (cron_fits_minute(cron, wall))
				return at;
			at += 60;
			continue;
		}
		tomorrow = moment_of((wall / DAY_S + 1) * DAY_S);
		/* where clocks go back at midnight it may have been already */
		at = tomorrow > at ? tomorrow : at + 60;
	}
	return INT64_MAX;
}

int64_t
cron_next(const struct cron *cron, const char *zone, int64_t after_s)
{
	bool other = zone != NULL && *zone != '\0';
	char *saved = NULL;
	int64_t next;

	if (other)
		saved = zone_enter(zone);
	else
		tzset();
	next = cron->any_hour ? cron_next_passing(cron, after_s) :
				cron_next_fixed(cron, after_s);
	if (other)
		zone_leave(saved);
	return next;
}
