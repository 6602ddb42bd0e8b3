/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * render_work - what the hub reports of work, as text for a person: schedules,
 * jobs, dead letters, keys.
 *
 * Called by hub and by the sections of status. Pure: JSON in, text out.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/format.h"
#include "ctl/render.h"
#include "ctl/render_impl.h"

#define VALUE_WIDTH 60 /* of a value in a table */

size_t
render_table(const json_t *list, const struct render_column *column,
    size_t columns, FILE *out)
{
	struct table_column *titles = mem_array(columns, sizeof(*titles));
	size_t rows = json_array_size(list);
	struct table table;
	char buf[CELL];
	const json_t *one;

	for (size_t k = 0; k < columns; k++)
		titles[k] = (struct table_column){ column[k].title,
			column[k].right };
	table_init(&table, titles, columns);
	for (size_t i = 0; i < rows; i++) {
		one = json_array_get(list, i);
		for (size_t k = 0; k < columns; k++)
			table_add(&table, "%s",
			    column[k].format != NULL ?
				render_show_as(one, column[k].key,
				    column[k].format, column[k].otherwise,
				    buf) :
				render_show(one, column[k].key,
				    column[k].otherwise, buf));
	}
	if (rows > 0)
		table_print(&table, out);
	table_release(&table);
	free(titles);
	return rows;
}

void
render_table_below(const json_t *list, const struct render_column *column,
    size_t columns, FILE *out)
{
	if (json_array_size(list) > 0)
		fputc('\n', out);
	render_table(list, column, columns, out);
}

void
render_set(json_t *object, const char *key, const char *format, ...)
{
	char *text;
	va_list ap;

	va_start(ap, format);
	text = mem_vprintf(format, ap);
	va_end(ap);
	json_object_set_new(object, key, json_string(text));
	free(text);
}

/* --------------------------------------------------------------- schedules */

/* "every 30.0s", or the cron text with its zone. */
static void
schedule_add_when(json_t *schedule)
{
	const char *cron = render_text(schedule, "cron");
	const char *zone = render_text(schedule, "timezone");
	char text[FORMAT_SIZE];
	double every;

	if (cron != NULL)
		render_set(schedule, "when", "%s%s%s", cron,
		    zone != NULL ? " " : "", zone != NULL ? zone : "");
	else if (render_get(schedule, "every", &every))
		render_set(schedule, "when", "every %s",
		    format_age(every, text));
	else
		render_set(schedule, "when", "-");
	if (json_is_true(json_object_get(schedule, "running")))
		render_set(schedule, "outcome", "running");
}

void
render_schedules(const json_t *data, FILE *out)
{
	static const struct render_column column[] = {
		{ "SCHEDULE", false, "name", NULL, "-" },
		{ "HANDLER", false, "handler", NULL, "-" },
		{ "WHEN", false, "when", NULL, "-" },
		{ "LAST", false, "last", NULL, "never" },
		{ "OUTCOME", false, "outcome", NULL, "" },
		{ "NEXT", false, "next", NULL, "never" },
		{ "RUNS", true, "runs", NULL, "-" },
		{ "SKIPPED", true, "skipped", NULL, "-" },
		{ "REASON", false, "why", NULL, "" },
	};
	json_t *list = json_is_array(data) ? (json_t *)(uintptr_t)data :
					     json_object_get(data, "schedules");
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		if (json_is_object(one))
			schedule_add_when(one);
	}
	if (render_table(list, column, RENDER_COUNT(column), out) == 0)
		fprintf(out, "there are no schedules\n");
}

/* -------------------------------------------------------------------- jobs */

/* The reason that matters last: the problem, or the last attempt's. */
static const char *
job_reason(const json_t *job)
{
	const json_t *errors = json_object_get(job, "errors");
	const char *problem = render_text(job, "problem");

	if (problem != NULL || json_array_size(errors) == 0)
		return problem;
	return render_text(json_array_get(errors, json_array_size(errors) - 1),
	    "reason");
}

/* "waiting for another attempt", "queue regex", "2 of 5", "40% counting". */
static void
job_add_texts(json_t *job)
{
	const json_t *progress = json_object_get(job, "progress");
	const char *queue = render_text(job, "queue");
	const char *schedule = render_text(job, "schedule");
	const char *reason = job_reason(job);
	double attempts, max, done;
	char buf[CELL];

	if (render_get(job, "attempts", &attempts) &&
	    render_get(job, "max_attempts", &max))
		render_set(job, "tries", "%.0f of %.0f", attempts, max);
	if (queue != NULL || schedule != NULL)
		render_set(job, "from", "%s %s",
		    queue != NULL ? "queue" : "schedule",
		    queue != NULL ? queue : schedule);
	if (json_is_true(json_object_get(job, "retrying")))
		render_set(job, "state", "retrying");
	if (render_get(progress, "done", &done))
		render_set(job, "progress", "%.0f%% %s", done * 100,
		    render_show(progress, "note", "", buf));
	else
		json_object_del(job, "progress");
	if (reason != NULL)
		render_set(job, "reason", "%s", reason);
}

static void
render_more(const json_t *data, FILE *out)
{
	if (json_is_true(json_object_get(data, "more")))
		fprintf(out, "and more; --limit N shows N of them\n");
}

void
render_jobs(const json_t *data, FILE *out)
{
	static const struct render_column column[] = {
		{ "JOB", false, "id", NULL, "-" },
		{ "STATE", false, "state", NULL, "-" },
		{ "HANDLER", false, "handler", NULL, "" },
		{ "FROM", false, "from", NULL, "" },
		{ "CREATED", false, "created", NULL, "-" },
		{ "ATTEMPTS", true, "tries", NULL, "" },
		{ "DUE", false, "due", NULL, "" },
		{ "PROGRESS", false, "progress", NULL, "" },
		{ "REASON", false, "reason", NULL, "" },
	};
	json_t *jobs = json_object_get(data, "jobs"), *job;
	size_t i;

	json_array_foreach(jobs, i, job)
	{
		if (json_is_object(job))
			job_add_texts(job);
	}
	if (render_table(jobs, column, RENDER_COUNT(column), out) == 0)
		fprintf(out, "there are none\n");
	render_more(data, out);
}

/* "regex/6f2b": as `retry` takes it; one without an id it takes with all the
 * others of its queue. And why, in one. */
static void
letter_add_texts(json_t *letter)
{
	const char *detail = render_text(letter, "detail");
	char queue[CELL], why[CELL];

	if (render_text(letter, "name") == NULL)
		render_set(letter, "name", "%s/ (no id)",
		    render_show(letter, "queue", "-", queue));
	render_set(letter, "why", "%s%s%s",
	    render_show(letter, "reason", "not said", why),
	    detail != NULL && *detail != '\0' ? ": " : "",
	    detail != NULL ? detail : "");
}

void
render_dead(const json_t *data, FILE *out)
{
	static const struct render_column column[] = {
		{ "DEAD LETTER", false, "name", NULL, "-" },
		{ "DIED", false, "at", NULL, "-" },
		{ "ATTEMPTS", true, "attempts", NULL, "" },
		{ "SIGNAL", false, "signal", NULL, "" },
		{ "HOST", false, "host", NULL, "" },
		{ "TYPE", false, "type", NULL, "" },
		{ "SIZE", true, "size", format_bytes, "" },
		{ "WHY", false, "why", NULL, "" },
	};
	json_t *letters = json_object_get(data, "messages"), *one;
	size_t i;

	if (json_array_size(letters) == 0) {
		render_jobs(data, out);
		return;
	}
	if (json_array_size(json_object_get(data, "jobs")) > 0) {
		render_jobs(data, out);
		fputc('\n', out);
	}
	json_array_foreach(letters, i, one)
	{
		if (json_is_object(one))
			letter_add_texts(one);
	}
	render_table(letters, column, RENDER_COUNT(column), out);
	if (json_array_size(json_object_get(data, "jobs")) == 0)
		render_more(data, out);
}

/* A value as one line of JSON, cut to fit. */
static void
value_text(const json_t *value, size_t max, char buf[CELL])
{
	char *text = json_dumps(value,
	    JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));

	mem_copy_string(buf, CELL, text != NULL ? text : "-");
	free(text);
	format_clean(buf);
	if (max >= CELL || strlen(buf) <= max)
		return;
	/* not in the middle of a character */
	while (max > 0 && ((unsigned char)buf[max] & 0xc0) == 0x80)
		max--;
	mem_copy_string(buf + max, CELL - max, "...");
}

void
render_job(const json_t *data, FILE *out)
{
	static const char *const keys[] = { "id", "state", "handler", "from",
		"request", "created", "due", "started", "finished", "tries",
		"priority", "progress", "status", "problem", "input_bytes",
		"result_bytes" };
	static const struct render_column column[] = {
		{ "ATTEMPT", true, "attempt", NULL, "-" },
		{ "AT", false, "at", NULL, "-" },
		{ "REASON", false, "reason", NULL, "-" },
	};
	const json_t *errors = json_object_get(data, "errors");
	const json_t *input = json_object_get(data, "input");
	const json_t *result = json_object_get(data, "result");
	char buf[CELL];

	if (json_is_object(data))
		job_add_texts((json_t *)(uintptr_t)data);
	for (size_t i = 0; i < RENDER_COUNT(keys); i++)
		if (json_object_get(data, keys[i]) != NULL)
			fprintf(out, "%-13s%s\n",
			    strcmp(keys[i], "tries") == 0 ? "attempts" :
							    keys[i],
			    render_show(data, keys[i], "-", buf));
	if (input != NULL) {
		value_text(input, CELL, buf);
		fprintf(out, "%-13s%s\n", "input", buf);
	}
	if (result != NULL) {
		value_text(result, CELL, buf);
		fprintf(out, "%-13s%s\n", "result", buf);
	}
	render_table_below(errors, column, RENDER_COUNT(column), out);
}

/* -------------------------------------------------------------------- keys */

void
render_list(const json_t *data, FILE *out)
{
	static const struct render_column column[] = {
		{ "KEY", false, "key", NULL, "-" },
		{ "VERSION", true, "version", NULL, "-" },
		{ "TTL", true, "ttl", format_age, "" },
		{ "VALUE", false, "value", NULL, "" },
	};
	json_t *keys = json_object_get(data, "keys"), *one, *value;
	char buf[CELL];
	size_t i;

	json_array_foreach(keys, i, one)
	{
		value = json_object_get(one, "json");
		if (value == NULL)
			value = json_object_get(one, "body");
		if (value != NULL)
			value_text(value, VALUE_WIDTH, buf);
		else
			snprintf(buf, sizeof(buf), "(%lld bytes)",
			    (long long)json_integer_value(
				json_object_get(one, "bytes")));
		if (json_is_object(one))
			json_object_set_new(one, "value", json_string(buf));
	}
	if (render_table(keys, column, RENDER_COUNT(column), out) == 0)
		fprintf(out, "there are none\n");
	if (json_is_true(json_object_get(data, "more")) &&
	    json_array_size(keys) > 0)
		fprintf(out, "and more; --after %s goes on\n",
		    render_show(json_array_get(keys, json_array_size(keys) - 1),
			"key", "-", buf));
}
