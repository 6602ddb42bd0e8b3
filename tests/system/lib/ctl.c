/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ctl - asks the master, with broodctl or on its socket.
 */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctl.h"
#include "http.h"
#include "suite.h"
#include "text.h"

void
ctl_run(const struct daemon *daemon, struct run *run, ...)
{
	char *tool = text_format("%s/broodctl", suite_build());
	const char *argv[20] = { tool, "-c", daemon->conf };
	size_t n = 3;
	va_list ap;

	va_start(ap, run);
	while (n < 19 && (argv[n] = va_arg(ap, const char *)) != NULL)
		n++;
	va_end(ap);
	argv[n] = NULL;
	run_program(run, argv, NULL);
	free(tool);
}

/* ------------------------------------------------------------- the socket */

/* A line of any length without its newline, to free; NULL at the end. */
static char *
read_line(int fd)
{
	size_t len = 0, size = 4096;
	char *line = malloc(size);

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		char *newline;
		ssize_t n;

		if (poll(&p, 1, suite_patience_ms()) != 1)
			break;
		/* look before taking: what follows the newline stays */
		n = recv(fd, line + len, size - 1 - len, MSG_PEEK);
		if (n <= 0)
			break;
		newline = memchr(line + len, '\n', (size_t)n);
		if (newline != NULL)
			n = newline + 1 - (line + len);
		n = recv(fd, line + len, (size_t)n, 0);
		len += (size_t)n;
		if (newline != NULL) {
			line[len - 1] = '\0';
			return line;
		}
		if (len + 1 >= size)
			line = realloc(line, size *= 2);
	}
	free(line);
	return NULL;
}

json_t *
ctl_read(int fd)
{
	char *line;

	while ((line = read_line(fd)) != NULL) {
		json_error_t error;
		json_t *answer = json_loads(line, 0, &error);

		ck_assert_msg(json_is_object(answer), "no JSON object: %s",
		    line);
		free(line);
		if (json_object_get(answer, "event") == NULL)
			return answer;
		json_decref(answer);
	}
	return NULL;
}

json_t *
ctl_line(const struct daemon *daemon, const char *line)
{
	int fd = raw_connect_unix(daemon->socket);
	json_t *answer;

	raw_text(fd, line);
	raw_text(fd, "\n");
	answer = ctl_read(fd);
	close(fd);
	return answer;
}

json_t *
ctl_ask(const struct daemon *daemon, const char *cmd, ...)
{
	json_t *args = json_array(), *request, *answer;
	const char *arg;
	va_list ap;
	char *line;

	va_start(ap, cmd);
	while ((arg = va_arg(ap, const char *)) != NULL)
		json_array_append_new(args, json_string(arg));
	va_end(ap);
	request = json_pack("{s:s,s:o}", "cmd", cmd, "args", args);
	line = json_dumps(request, JSON_COMPACT);
	answer = ctl_line(daemon, line);
	json_decref(request);
	free(line);
	return answer;
}

/* --------------------------------------------------------------- status */

void
ctl_reload(const struct daemon *daemon)
{
	json_t *answer = ctl_ask(daemon, "reload", NULL);

	ck_assert_msg(ctl_int(answer, "code") == 0, "reload: %s",
	    ctl_text(answer, "message"));
	json_decref(answer);
}

void
ctl_reload_refused(const struct daemon *daemon, const char *part, ...)
{
	json_t *answer = ctl_ask(daemon, "reload", NULL);
	va_list ap;

	ck_assert_msg(ctl_int(answer, "code") == 1, "not refused: %s",
	    ctl_text(answer, "message"));
	va_start(ap, part);
	for (; part != NULL; part = va_arg(ap, const char *))
		text_require("the reason", ctl_text(answer, "message"), part);
	va_end(ap);
	json_decref(answer);
}

json_t *
ctl_status(const struct daemon *daemon)
{
	json_t *answer = ctl_ask(daemon, "status", NULL);
	json_t *data = json_incref(json_object_get(answer, "data"));
	char *text = json_dumps(answer, 0);

	ck_assert_msg(json_is_object(data), "no status: %s",
	    text != NULL ? text : "(nothing)");
	free(text);
	json_decref(answer);
	return data;
}

const char *
ctl_text(json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

long
ctl_int(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (json_is_boolean(value))
		return json_is_true(value);
	return json_is_number(value) ? (long)json_number_value(value) : -1;
}

static json_t *
find_row(json_t *rows, const char *key, json_t *wanted)
{
	size_t i;
	json_t *row, *found = NULL;

	for (i = 0; (row = json_array_get(rows, i)) != NULL; i++)
		if (json_equal(json_object_get(row, key), wanted))
			found = row;
	json_decref(wanted);
	return found;
}

json_t *
ctl_row_of(json_t *status, const char *role, size_t i)
{
	json_t *rows = json_object_get(status, "children"), *row;
	size_t at;

	for (at = 0; (row = json_array_get(rows, at)) != NULL; at++)
		if (strcmp(ctl_text(row, "role"), role) == 0 && i-- == 0)
			return row;
	return NULL;
}

json_t *
ctl_row(json_t *status, size_t i)
{
	return ctl_row_of(status, "rest", i);
}

pid_t
ctl_pid_of(const struct daemon *daemon, const char *role)
{
	json_t *status = ctl_status(daemon), *row;
	pid_t pid = 0;

	for (size_t i = 0; (row = ctl_row_of(status, role, i)) != NULL; i++)
		if (strcmp(ctl_text(row, "state"), "ready") == 0 ||
		    strcmp(ctl_text(row, "state"), "busy") == 0)
			pid = (pid_t)ctl_int(row, "pid");
	json_decref(status);
	return pid;
}

struct victim {
	const struct daemon *daemon;
	const char *role;
	pid_t pid;
};

static bool
is_there(void *ctx)
{
	struct victim *victim = ctx;

	victim->pid = ctl_pid_of(victim->daemon, victim->role);
	return victim->pid > 0;
}

void
ctl_kill(const struct daemon *daemon, const char *role)
{
	struct victim victim = { daemon, role, 0 };

	ck_assert_msg(proc_until(daemon->pidfd, is_there, &victim),
	    "no %s is ready", role);
	kill(victim.pid, SIGKILL);
}

json_t *
ctl_child(json_t *status, pid_t pid)
{
	return find_row(json_object_get(status, "children"), "pid",
	    json_integer(pid));
}

json_t *
ctl_pool_row(json_t *status, const char *role)
{
	return find_row(json_object_get(status, "pools"), "role",
	    json_string(role));
}

long
ctl_pool(const struct daemon *daemon, const char *role, const char *key)
{
	json_t *status = ctl_status(daemon);
	long value = ctl_int(ctl_pool_row(status, role), key);

	json_decref(status);
	return value;
}

size_t
ctl_pids(const struct daemon *daemon, pid_t *pids, size_t max)
{
	json_t *status = ctl_status(daemon), *row;
	size_t i, n = 0;

	for (i = 0; (row = ctl_row(status, i)) != NULL; i++)
		if (n < max)
			pids[n++] = (pid_t)ctl_int(row, "pid");
	json_decref(status);
	return n;
}

/* ---------------------------------------------------------------- waiting */

struct until {
	const struct daemon *daemon;
	ctl_condition *holds;
	void *ctx;
};

static bool
ask_once(void *ctx)
{
	struct until *until = ctx;
	json_t *status = ctl_status(until->daemon);
	bool holds = until->holds(status, until->ctx);

	json_decref(status);
	return holds;
}

bool
ctl_until(const struct daemon *daemon, ctl_condition *holds, void *ctx)
{
	struct until until = { daemon, holds, ctx };

	return proc_until(daemon->pidfd, ask_once, &until);
}

void
ctl_require(const struct daemon *daemon, const char *what, ctl_condition *holds,
    void *ctx)
{
	if (ctl_until(daemon, holds, ctx))
		return;
	/* more than Check can carry */
	json_dumpf(ctl_status(daemon), stderr, JSON_INDENT(1));
	ck_abort_msg("never: %s", what);
}

struct range {
	const char *role, *key;
	long low, high;
};

static bool
in_range(json_t *status, void *ctx)
{
	struct range *range = ctx;
	long value = ctl_int(ctl_pool_row(status, range->role), range->key);

	return value >= range->low && value <= range->high;
}

void
ctl_require_pool(const struct daemon *daemon, const char *role, const char *key,
    long low, long high)
{
	struct range range = { role, key, low, high };
	char what[128];

	snprintf(what, sizeof(what), "%s.%s in %ld to %ld", role, key, low,
	    high);
	ctl_require(daemon, what, in_range, &range);
}
