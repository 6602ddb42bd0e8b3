/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * desk_ask - what the operator asked for, checked: the command, its arguments,
 * its options and a body.
 *
 * Called by desk and by the commands. Whatever is wrong is said with what to do
 * about it, once, and the request counts as bad from then on, so that a command
 * reads all it needs and looks at the end.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/why.h"
#include "core/uid.h"
#include "hub/desk_impl.h"
#include "hub/work.h"

#define SECONDS_MAX 3.1536e9 /* a century */

/* What a request of each command may have beside "cmd" and "args". */
static const char *const ask_options[CMD_COUNT] = {
	[CMD_ID_call] = "json body type wait",
	[CMD_ID_submit] =
	    "id json body type delay priority expires unique max_attempts "
	    "backoff_min backoff_max time_limit then on_failure",
	[CMD_ID_publish] =
	    "id json body type priority ttl mandatory message_id "
	    "correlation_id reply_to headers wait",
	[CMD_ID_jobs] = "limit",
	[CMD_ID_dead] = "limit wait",
	[CMD_ID_retry] = "wait",
	[CMD_ID_purge] = "yes wait",
	[CMD_ID_queues] = "wait",
	[CMD_ID_set] = "json body ttl if_absent if_version",
	[CMD_ID_list] = "limit after",
};

void
desk_ask_fail(struct desk_ask *ask, const char *format, ...)
{
	struct why why;
	va_list ap;

	if (ask->bad)
		return;
	ask->bad = true;
	va_start(ap, format);
	vsnprintf(why.text, sizeof(why.text), format, ap);
	va_end(ap);
	desk_fail(ask->conn, CMD_USAGE, "%s", why.text);
}

/* True when `name` is a word of `words`. */
static bool
ask_has_word(const char *words, const char *name)
{
	size_t len = strlen(name);
	const char *at = words;

	while (at != NULL && (at = strstr(at, name)) != NULL) {
		if ((at == words || at[-1] == ' ') &&
		    (at[len] == '\0' || at[len] == ' '))
			return true;
		at += len;
	}
	return false;
}

static void
ask_read_members(struct desk_ask *ask)
{
	const char *known = ask_options[ask->cmd - cmd_info], *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)ask->request, name, value)
	{
		if (strcmp(name, "cmd") == 0 || strcmp(name, "args") == 0)
			continue;
		if (!ask_has_word(known, name))
			desk_ask_fail(ask, "%s has no option '%.40s'%s%s",
			    ask->cmd->name, name,
			    known != NULL ? "; there are: " : "",
			    known != NULL ? known : "");
	}
}

bool
desk_ask_read(struct desk_ask *ask, struct desk_conn *conn,
    const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "cmd"));
	const json_t *args = json_object_get(request, "args");
	const char *near = NULL;
	int id = name != NULL ? cmd_parse(name, &near) : -1;
	size_t min;

	*ask = (struct desk_ask){ .conn = conn, .request = request };
	if (id == -1 || cmd_info[id].where != CMD_HUB) {
		desk_ask_fail(ask, "the hub has no command '%.40s'%s%s%s",
		    name != NULL ? name : "",
		    near != NULL ? "; did you mean '" : "",
		    near != NULL ? near : "", near != NULL ? "'?" : "");
		return false;
	}
	ask->cmd = &cmd_info[id];
	ask->n = json_array_size(args);
	/* the value of set is no argument here, but "json" or "body" */
	min = (size_t)ask->cmd->min - (id == CMD_ID_set);
	if ((args != NULL && !json_is_array(args)) || ask->n < min ||
	    ask->n > (size_t)ask->cmd->max || ask->n > DESK_ARGS)
		desk_ask_fail(ask, "wrong arguments; it is: %s %s",
		    ask->cmd->name, ask->cmd->arguments);
	for (size_t i = 0; i < ask->n && !ask->bad; i++) {
		ask->arg[i] = json_string_value(json_array_get(args, i));
		if (ask->arg[i] == NULL ||
		    strlen(ask->arg[i]) !=
			json_string_length(json_array_get(args, i)))
			desk_ask_fail(ask,
			    "argument %zu is no text, or has a NUL in it",
			    i + 1);
	}
	if (!ask->bad)
		ask_read_members(ask);
	return !ask->bad;
}

/* ------------------------------------------------------------------ options */

int64_t
desk_ask_int(struct desk_ask *ask, const char *name, int64_t min, int64_t max,
    int64_t otherwise)
{
	const json_t *member = json_object_get(ask->request, name);
	int64_t value = json_integer_value(member);

	if (member == NULL)
		return otherwise;
	if (!json_is_integer(member) || value < min || value > max) {
		desk_ask_fail(ask, "%s: not a whole number from %lld to %lld",
		    name, (long long)min, (long long)max);
		return otherwise;
	}
	return value;
}

int64_t
desk_ask_ms(struct desk_ask *ask, const char *name, int64_t otherwise)
{
	const json_t *member = json_object_get(ask->request, name);
	double value = json_number_value(member);

	if (member == NULL)
		return otherwise;
	if (!json_is_number(member) || !(value >= 0) || value > SECONDS_MAX) {
		desk_ask_fail(ask, "%s: not a number of seconds from 0 to %.0f",
		    name, SECONDS_MAX);
		return otherwise;
	}
	return (int64_t)ceil(value * 1000);
}

bool
desk_ask_flag(struct desk_ask *ask, const char *name)
{
	const json_t *member = json_object_get(ask->request, name);

	if (member != NULL && !json_is_boolean(member))
		desk_ask_fail(ask, "%s: neither true nor false", name);
	return json_is_true(member);
}

const char *
desk_ask_text(struct desk_ask *ask, const char *name)
{
	const json_t *member = json_object_get(ask->request, name);
	const char *text = json_string_value(member);

	if (member == NULL)
		return "";
	if (text == NULL || strlen(text) != json_string_length(member)) {
		desk_ask_fail(ask, "%s: no text, or one with a NUL in it",
		    name);
		return "";
	}
	return text;
}

char *
desk_ask_body(struct desk_ask *ask, size_t *len, bool *is_json)
{
	const json_t *text = json_object_get(ask->request, "body");
	const json_t *value = json_object_get(ask->request, "json");
	char *body;

	*len = 0;
	*is_json = value != NULL;
	if (text != NULL && value != NULL)
		desk_ask_fail(ask,
		    "there are both \"body\" and \"json\"; give one");
	else if (text != NULL && !json_is_string(text))
		desk_ask_fail(ask, "\"body\" is not a string");
	if (ask->bad)
		return NULL;
	if (value != NULL) {
		body = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
		*len = body != NULL ? strlen(body) : 0;
	} else {
		*len = json_string_length(text);
		body = mem_try_alloc(*len + 1);
		if (body != NULL && text != NULL)
			memcpy(body, json_string_value(text), *len);
		if (body != NULL)
			body[*len] = '\0';
	}
	if (body == NULL)
		desk_ask_fail(ask, "there is no memory for the body");
	return body;
}

void
desk_ask_id(struct desk_ask *ask, uint64_t *uid, uint64_t *token)
{
	const char *id = desk_ask_text(ask, "id");

	if (*id == '\0') {
		*uid = uid_make();
		*token = uid_token();
	} else if (!uid_parse(id, uid, token)) {
		desk_ask_fail(ask, "id: not one of ours");
	}
}

bool
desk_ask_job(struct desk_ask *ask, uint64_t *uid)
{
	char text[UID_TEXT_SIZE];
	uint64_t token;
	const char *id;
	json_t *report;
	bool same;

	if (!uid_parse(ask->arg[0], uid, &token)) {
		desk_ask_fail(ask,
		    "'%.40s' is not the id of a job; broodctl jobs lists them",
		    ask->arg[0]);
		return false;
	}
	report = work_report(ask->conn->hub, *uid, false);
	id = json_string_value(json_object_get(report, "id"));
	uid_format(*uid, token, text);
	same = id != NULL && strcmp(id, text) == 0;
	json_decref(report);
	if (same)
		return true;
	ask->bad = true;
	desk_fail(ask->conn, CMD_FAILED,
	    "there is no job %s, or not any more (tasks.keep)", text);
	return false;
}
