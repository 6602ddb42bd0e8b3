/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ctldoor - runs a handler for broodctl.
 *
 *   we: {"go":true}   it: one line, the call   we: one line, the answer
 *
 * The connection is a Unix socket whose peer the master has checked; what comes
 * on it is checked here. It never blocks the worker (but for the handler, like
 * any other call), is bounded in size by rest.max_body and in time by
 * control.timeout, and holds up a drain for no longer than that.
 */
#include "rest/ctldoor.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/child.h"
#include "core/cmd.h"
#include "core/conf.h"
#include "rest/rest.h"

/* The line beside the body: names, and escapes of it. */
#define CTLDOOR_SLACK ((size_t)65536)

/* Sent by a signal handler; see core/child.h. */
static const char crash_line[] =
    "{\"ok\":false,\"code\":1,"
    "\"message\":\"the handler crashed; the log and broodctl status have "
    "more\"}\n";
static const char overrun_line[] =
    "{\"ok\":false,\"code\":1,"
    "\"message\":\"the handler did not finish in time\"}\n";

struct ctldoor {
	struct ctldoor *next, **link; /* of rest->calls */
	struct rest *rest;
	struct loop_io io;
	struct loop_timer timer;
	int fd;
	struct buf in, out;
	bool answered; /* the end follows what is in `out` */
};

static void
ctldoor_close(struct ctldoor *door)
{
	struct rest *rest = door->rest;

	*door->link = door->next;
	if (door->next != NULL)
		door->next->link = door->link;
	loop_timer_cancel(rest->loop, &door->timer);
	loop_io_del(rest->loop, &door->io);
	fd_close(&door->fd);
	buf_release(&door->in);
	buf_release(&door->out);
	free(door);
	rest_settle(rest);
}

static void
ctldoor_patience(struct ctldoor *door)
{
	loop_timer_set(door->rest->loop, &door->timer,
	    clock_now_ns() + door->rest->conf->control.timeout);
}

/* Sends what it can, and waits for what is next. */
static void
ctldoor_flush(struct ctldoor *door)
{
	if (buf_write_fd(&door->out, door->fd) == -1 && errno != EAGAIN) {
		ctldoor_close(door);
		return;
	}
	if (door->out.len == 0 && door->answered) {
		ctldoor_close(door);
		return;
	}
	if (loop_io_want(door->rest->loop, &door->io,
		door->out.len > 0 ? LOOP_WRITE : LOOP_READ) == -1)
		ctldoor_close(door);
}

/* ---- the answer */

/* Takes over `data`, which may be NULL. */
static void
ctldoor_answer(struct ctldoor *door, enum cmd_code code, const char *message,
    json_t *data)
{
	json_t *answer = json_pack("{s:b, s:i, s:s}", "ok", code == CMD_OK,
	    "code", (int)code, "message", message);
	char *text;

	if (data != NULL)
		json_object_set_new(answer, "data", data);
	text = json_dumps(answer, JSON_COMPACT);
	json_decref(answer);
	if (text == NULL || buf_printf(&door->out, "%s\n", text) == -1)
		buf_printf(&door->out,
		    "{\"ok\":false,\"code\":1,"
		    "\"message\":\"the reply does not fit\"}\n");
	free(text);
	door->answered = true;
}

static bool
is_json(const struct call_result *result)
{
	return result->type != NULL &&
	    strncasecmp(result->type, "application/json", 16) == 0;
}

static json_t *
ctldoor_data(const struct call_result *result)
{
	json_t *data = json_pack("{s:i}", "status", result->status);
	json_t *value = NULL;

	if (result->type != NULL)
		json_object_set_new(data, "type", json_string(result->type));
	if (result->body == NULL)
		return data;
	if (is_json(result))
		value = json_loadb(result->body, result->body_len,
		    JSON_DECODE_ANY, NULL);
	if (value != NULL) {
		json_object_set_new(data, "json", value);
		return data;
	}
	value = json_stringn(result->body, result->body_len);
	if (value == NULL)
		value = json_pack("s+%", "(bytes that are not UTF-8)", "",
		    (size_t)0);
	json_object_set_new(data, "body", value);
	return data;
}

static void
ctldoor_conclude(struct ctldoor *door, const struct call_result *result)
{
	const char *title = problem_title(result->status);
	char *message;

	if (result->status < 400) {
		ctldoor_answer(door, CMD_OK, "", ctldoor_data(result));
		return;
	}
	message = result->problem != NULL ?
	    mem_printf("%d %s: %s", result->status, title, result->problem) :
	    mem_printf("%d %s", result->status, title);
	ctldoor_answer(door, CMD_FAILED, message, ctldoor_data(result));
	free(message);
}

/* ---- the call */

static const char *
ctldoor_lookup(void *ctx, enum call_lookup what, const char *name)
{
	(void)ctx;
	(void)what;
	(void)name;
	return NULL;
}

static void
ctldoor_call(struct ctldoor *door, const char *name,
    const struct brood_handler *handler, const char *body, size_t len)
{
	struct rest *rest = door->rest;
	char id[CALL_ID_SIZE];
	struct call_request request = {
		.door = DOOR_CONTROL,
		.handler_name = name,
		.handler = handler,
		.method = "CALL",
		.path = "",
		.peer = "unix",
		.id = call_make_id(NULL, id),
		.body = body,
		.body_len = len,
		.max_json_depth = rest->conf->rest.max_json_depth,
		.timeout_ns = rest->conf->rest.request_timeout,
		.retry_after_ns = rest->conf->rest.retry_after,
		.lookup = ctldoor_lookup,
		.guard_fd = door->fd,
		.crash_text = crash_line,
		.overrun_text = overrun_line,
	};
	struct call_result result;

	call_run(rest->child, &request, &result);
	if (result.answered)
		door->answered = true;
	else
		ctldoor_conclude(door, &result);
	call_result_release(&result);
}

/* The body to call with, from "body" or "json"; the caller frees it. */
static char *
ctldoor_body(const json_t *call, size_t *len, struct why *why)
{
	const json_t *text = json_object_get(call, "body");
	const json_t *value = json_object_get(call, "json");
	char *body;

	if (text != NULL && value != NULL) {
		why_set(why, "there are both \"body\" and \"json\"");
		return NULL;
	}
	if (text != NULL && !json_is_string(text)) {
		why_set(why, "\"body\" is not a string");
		return NULL;
	}
	if (value != NULL) {
		body = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
		*len = body != NULL ? strlen(body) : 0;
	} else {
		*len = text != NULL ? json_string_length(text) : 0;
		body = mem_try_alloc(*len + 1);
		if (body != NULL && text != NULL)
			memcpy(body, json_string_value(text), *len);
		if (body != NULL)
			body[*len] = '\0';
	}
	if (body == NULL)
		why_set(why, "there is no memory for the body");
	return body;
}

static void
ctldoor_run(struct ctldoor *door, const json_t *call)
{
	const char *name = json_string_value(json_object_get(call, "handler"));
	const struct brood_handler *handler;
	struct why why;
	char *body;
	size_t len;

	if (name == NULL) {
		ctldoor_answer(door, CMD_USAGE,
		    "there is no \"handler\" in the call", NULL);
		return;
	}
	handler = module_find(door->rest->child->modules, name, &why);
	if (handler == NULL) {
		ctldoor_answer(door, CMD_USAGE, why.text, NULL);
		return;
	}
	body = ctldoor_body(call, &len, &why);
	if (body == NULL)
		ctldoor_answer(door, CMD_USAGE, why.text, NULL);
	else
		ctldoor_call(door, name, handler, body, len);
	free(body);
}

static void
ctldoor_line(struct ctldoor *door, const char *line, size_t len)
{
	json_error_t error;
	json_t *call = json_loadb(line, len, JSON_ALLOW_NUL, &error);

	if (call == NULL)
		ctldoor_answer(door, CMD_USAGE, error.text, NULL);
	else
		ctldoor_run(door, call);
	json_decref(call);
}

/* ---- the connection */

static void
ctldoor_read(struct ctldoor *door)
{
	ssize_t n = buf_read_fd(&door->in, door->fd);
	const char *feed;

	if (n == -1 && errno == EAGAIN)
		return;
	if (n == -1 && errno == ENOBUFS) {
		ctldoor_answer(door, CMD_USAGE,
		    "the call is larger than rest.max_body", NULL);
		ctldoor_flush(door);
		return;
	}
	if (n <= 0) {
		ctldoor_close(door);
		return;
	}
	feed = memchr(door->in.data, '\n', door->in.len);
	if (feed == NULL)
		return;
	ctldoor_line(door, door->in.data, (size_t)(feed - door->in.data));
	/* The handler's time was not the client's. */
	ctldoor_patience(door);
	ctldoor_flush(door);
}

static void
ctldoor_ready(void *ctx, unsigned events)
{
	struct ctldoor *door = ctx;

	if (events & LOOP_WRITE)
		ctldoor_flush(door);
	else
		ctldoor_read(door);
}

static void
ctldoor_expired(void *ctx)
{
	ctldoor_close(ctx);
}

void
ctldoor_open(struct rest *rest, int fd)
{
	struct ctldoor *door = mem_alloc(sizeof(*door));

	door->rest = rest;
	door->fd = fd;
	door->next = rest->calls;
	door->link = &rest->calls;
	if (door->next != NULL)
		door->next->link = &door->next;
	rest->calls = door;
	buf_init(&door->in, rest->conf->rest.max_body + CTLDOOR_SLACK);
	buf_init(&door->out, SIZE_MAX - 1);
	loop_timer_init(&door->timer, ctldoor_expired, door);
	ctldoor_patience(door);
	if (fd_nonblock(fd) == -1 ||
	    loop_io_add(rest->loop, &door->io, fd, LOOP_READ, ctldoor_ready,
		door) == -1) {
		ctldoor_close(door);
		return;
	}
	buf_printf(&door->out, "{\"go\":true}\n");
	ctldoor_flush(door);
}

void
ctldoor_stop(struct rest *rest)
{
	while (rest->calls != NULL)
		ctldoor_close(rest->calls);
}
