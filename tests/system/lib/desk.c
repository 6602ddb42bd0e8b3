/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * desk - the hub's commands through the control socket. Tests of work, messages
 * and schedules look at the service through it.
 */
#include <check.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "desk.h"
#include "http.h"
#include "proc.h"
#include "text.h"

static json_t *
ask(const struct daemon *daemon, json_t *members, const char *cmd, va_list ap)
{
	json_t *line = json_pack("{s:s}", "cmd", cmd), *args = json_array();
	json_t *answer;
	const char *arg;
	char *text;
	int fd;

	while ((arg = va_arg(ap, const char *)) != NULL)
		json_array_append_new(args, json_string(arg));
	json_object_set_new(line, "args", args);
	if (members != NULL)
		json_object_update(line, members);
	json_decref(members);
	text = json_dumps(line, JSON_COMPACT);
	json_decref(line);

	fd = raw_connect_unix(daemon->socket);
	raw_text(fd, "{\"cmd\":\"");
	raw_text(fd, cmd);
	raw_text(fd, "\"}\n");
	answer = ctl_read(fd);
	if (answer != NULL && json_object_get(answer, "go") != NULL) {
		json_decref(answer);
		raw_text(fd, text);
		raw_text(fd, "\n");
		answer = ctl_read(fd);
	}
	close(fd);
	free(text);
	return answer;
}

json_t *
desk_ask(const struct daemon *daemon, json_t *members, const char *cmd, ...)
{
	json_t *answer;
	va_list ap;

	va_start(ap, cmd);
	answer = ask(daemon, members, cmd, ap);
	va_end(ap);
	return answer;
}

json_t *
desk_data(const struct daemon *daemon, json_t *members, const char *cmd, ...)
{
	json_t *answer, *data;
	va_list ap;
	char *text;

	va_start(ap, cmd);
	answer = ask(daemon, members, cmd, ap);
	va_end(ap);
	if (!json_is_true(json_object_get(answer, "ok"))) {
		text = json_dumps(answer, 0);
		ck_abort_msg("%s: %s", cmd, text != NULL ? text : "no answer");
	}
	data = json_incref(json_object_get(answer, "data"));
	json_decref(answer);
	return data;
}

json_t *
desk_json(const char *text)
{
	json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);

	ck_assert_msg(json != NULL, "%s", text);
	return json;
}

json_t *
desk_value(const struct daemon *daemon, const char *key)
{
	json_t *answer = desk_ask(daemon, NULL, "get", key, NULL);
	json_t *value = json_incref(
	    json_object_get(json_object_get(answer, "data"), "json"));

	json_decref(answer);
	return value;
}

long
desk_number(const struct daemon *daemon, const char *key)
{
	json_t *value = desk_value(daemon, key);
	long number = (long)json_integer_value(value);

	json_decref(value);
	return number;
}

/* ------------------------------------------------------------------- waits */

struct wish {
	const struct daemon *daemon;
	const char *name, *member;
	long wanted, last;
	json_t *job;
};

static bool
number_is(void *ctx)
{
	struct wish *wish = ctx;

	wish->last = desk_number(wish->daemon, wish->name);
	return wish->last == wish->wanted;
}

void
desk_require_number(const struct daemon *daemon, const char *key, long wanted)
{
	struct wish wish = { daemon, key, NULL, wanted, 0, NULL };

	if (!proc_until(daemon->pidfd, number_is, &wish))
		ck_abort_msg("%s is %ld and never %ld", key, wish.last, wanted);
}

long
desk_queue(const struct daemon *daemon, const char *queue, const char *member)
{
	/* not asking that all went well: the broker may be away */
	json_t *answer = desk_ask(daemon, NULL, "queues", NULL), *row;
	json_t *data = json_object_get(answer, "data");
	long value = -1;
	size_t i;

	json_array_foreach(json_object_get(data, "queues"), i,
	    row) if (strcmp(ctl_text(row, "name"), queue) == 0)
	    value = ctl_int(row, member);
	json_decref(answer);
	return value;
}

static bool
queue_has(void *ctx)
{
	struct wish *wish = ctx;

	wish->last = desk_queue(wish->daemon, wish->name, wish->member);
	return wish->last == wish->wanted;
}

void
desk_require_queue(const struct daemon *daemon, const char *queue,
    const char *member, long wanted)
{
	struct wish wish = { daemon, queue, member, wanted, 0, NULL };

	if (!proc_until(daemon->pidfd, queue_has, &wish))
		ck_abort_msg("queue %s: %s is %ld and never %ld", queue, member,
		    wish.last, wanted);
}

long
desk_outbox(const struct daemon *daemon, const char *member)
{
	json_t *answer = desk_ask(daemon, NULL, "hub", NULL);
	json_t *data = json_object_get(answer, "data");
	long value = ctl_int(json_object_get(data, "outbox"), member);

	json_decref(answer);
	return value;
}

static bool
outbox_has(void *ctx)
{
	struct wish *wish = ctx;

	wish->last = desk_outbox(wish->daemon, wish->member);
	return wish->last == wish->wanted;
}

void
desk_require_outbox(const struct daemon *daemon, const char *member,
    long wanted)
{
	struct wish wish = { daemon, NULL, member, wanted, 0, NULL };

	if (!proc_until(daemon->pidfd, outbox_has, &wish))
		ck_abort_msg("the outbox's %s is %ld and never %ld", member,
		    wish.last, wanted);
}

static bool
job_is(void *ctx)
{
	struct wish *wish = ctx;

	json_decref(wish->job);
	wish->job = desk_data(wish->daemon, NULL, "job", wish->name, NULL);
	return strcmp(ctl_text(wish->job, "state"), wish->member) == 0;
}

json_t *
desk_await_job(const struct daemon *daemon, const char *id, const char *state)
{
	struct wish wish = { daemon, id, state, 0, 0, NULL };

	if (!proc_until(daemon->pidfd, job_is, &wish))
		ck_abort_msg("never %s: %s", state,
		    json_dumps(wish.job, JSON_INDENT(1)));
	return wish.job;
}

/* -------------------------------------------------------------------- work */

char *
desk_submit(const struct daemon *daemon, const char *handler, json_t *input,
    json_t *options)
{
	json_t *members = options != NULL ? options : json_object(), *data;
	char *id;

	if (input != NULL)
		json_object_set_new(members, "json", input);
	data = desk_data(daemon, members, "submit", handler, NULL);
	id = strdup(ctl_text(data, "id"));
	json_decref(data);
	return id;
}

char *
desk_submit_script(const struct daemon *daemon, const char *steps,
    const char *options)
{
	return desk_submit(daemon, "hubtest.script", desk_json(steps),
	    options != NULL ? desk_json(options) : NULL);
}

json_t *
desk_script(const struct daemon *daemon, json_t *steps)
{
	json_t *data = desk_data(daemon, json_pack("{s:o}", "json", steps),
	    "call", "hubtest.script", NULL);
	json_t *results = json_incref(json_object_get(data, "json"));

	ck_assert_int_eq(ctl_int(data, "status"), 200);
	json_decref(data);
	return results;
}

json_t *
desk_trace(const struct daemon *daemon, const char *queue, size_t i)
{
	char *prefix = text_format("got:%s:", queue);
	json_t *data = desk_data(daemon, NULL, "list", prefix, NULL);
	json_t *one = json_incref(
	    json_object_get(json_array_get(json_object_get(data, "keys"), i),
		"json"));

	ck_assert_msg(one != NULL, "%s has no message %zu", queue, i);
	json_decref(data);
	free(prefix);
	return one;
}
