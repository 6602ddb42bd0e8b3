/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * desk - connections of the operator's tool, each with one request.
 *
 *   we: {"go":true,"id":ID}   it: one line, the request   we: one line, the
 *   answer
 *
 * Whoever says ID in a submit or a publish can send it again, to the hub after
 * this one: what has been done is not done twice.
 *
 * Called by the hub's role with a connection whose peer the master has checked;
 * what comes on it is checked here and in desk_ask.c. Whoever sends half a line
 * or reads nothing for control.timeout is cut off. An answer is put together in
 * the turn and leaves at its end.
 */
#include "hub/desk.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/uid.h"
#include "hub/desk_impl.h"
#include "hub/work.h"

/* An answer: a listing is bounded by what it may show; this is for one value
 * or one result with all its escapes. */
#define ANSWER_MAX ((size_t)256 * 1024 * 1024)

struct desk {
	struct desk_conn *conns;
	int n;
};

#define RUN_CMD_LOCAL(name) NULL
#define RUN_CMD_MASTER(name) NULL
#define RUN_CMD_HUB(name) desk_##name
static desk_fn *const desk_row[CMD_COUNT] = {
#define CMD(name, arguments, min, max, where, timeout_s, help) \
	[CMD_ID_##name] = RUN_##where(name),
#include "core/cmd.def"
#undef CMD
};

static void
desk_close(struct desk_conn *conn)
{
	struct hub *hub = conn->hub;

	if (conn->call != 0)
		work_abandon(hub, conn->call);
	desk_order_forget(conn);
	desk_publish_forget(conn);
	DL_DELETE(hub->desk->conns, conn);
	hub->desk->n--;
	loop_timer_cancel(hub->loop, &conn->timer);
	loop_io_del(hub->loop, &conn->io);
	fd_close(&conn->fd);
	buf_release(&conn->in);
	buf_release(&conn->out);
	free(conn);
}

static void
desk_patience(struct desk_conn *conn)
{
	loop_timer_set(conn->hub->loop, &conn->timer,
	    clock_now_ns() + conn->hub->conf->control.timeout);
}

/* ------------------------------------------------------------------ answers */

/* A message may quote what is no UTF-8; JSON cannot. */
static json_t *
desk_text(const char *text)
{
	json_t *string = json_string(text);
	char *copy;

	if (string != NULL)
		return string;
	copy = mem_strdup(text);
	for (char *p = copy; *p != '\0'; p++)
		if (*p & 0x80)
			*p = '?';
	string = json_string(copy);
	free(copy);
	return string;
}

void
desk_answer(struct desk_conn *conn, enum cmd_code code, const char *message,
    json_t *data)
{
	json_t *answer = json_pack("{s:b, s:i, s:o}", "ok", code == CMD_OK,
	    "code", (int)code, "message", desk_text(message));
	char *text;

	if (data != NULL)
		json_object_set_new(answer, "data", data);
	text = json_dumps(answer, JSON_COMPACT);
	json_decref(answer);
	if (text == NULL || buf_printf(&conn->out, "%s\n", text) == -1)
		buf_printf(&conn->out,
		    "{\"ok\":false,\"code\":1,"
		    "\"message\":\"the answer does not fit\"}\n");
	free(text);
	conn->answered = true;
}

void
desk_done(struct desk_conn *conn, json_t *data, const char *format, ...)
{
	struct why why;
	va_list ap;

	va_start(ap, format);
	vsnprintf(why.text, sizeof(why.text), format, ap);
	va_end(ap);
	desk_answer(conn, CMD_OK, why.text, data);
}

void
desk_fail(struct desk_conn *conn, enum cmd_code code, const char *format, ...)
{
	struct why why;
	va_list ap;

	va_start(ap, format);
	vsnprintf(why.text, sizeof(why.text), format, ap);
	va_end(ap);
	desk_answer(conn, code, why.text, NULL);
}

/* -------------------------------------------------------------------- lines */

static void
desk_line(struct desk_conn *conn, const char *line, size_t len)
{
	struct desk_ask ask;
	json_error_t error;
	json_t *request;

	conn->asked = true;
	loop_timer_cancel(conn->hub->loop, &conn->timer);
	request = json_loadb(line, len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES,
	    &error);
	if (request == NULL)
		desk_fail(conn, CMD_USAGE, "the request is no JSON: %s",
		    error.text);
	else if (!json_is_object(request))
		desk_fail(conn, CMD_USAGE, "the request is no JSON object");
	else if (desk_ask_read(&ask, conn, request))
		desk_row[ask.cmd - cmd_info](&ask);
	json_decref(request);
}

static void
desk_read(struct desk_conn *conn)
{
	ssize_t n = buf_read_fd(&conn->in, conn->fd);
	const char *feed;

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == 0 || (n == -1 && errno != ENOBUFS)) {
		/* Nobody waits for the answer any more. */
		conn->broken = true;
		return;
	}
	if (conn->asked) {
		/* One request a connection; what else comes is dropped. */
		buf_clear(&conn->in);
		return;
	}
	feed = conn->in.len > 0 ? memchr(conn->in.data, '\n', conn->in.len) :
				  NULL;
	if (feed != NULL) {
		desk_line(conn, conn->in.data, (size_t)(feed - conn->in.data));
		buf_clear(&conn->in);
	} else if (n == -1) {
		conn->asked = true;
		desk_fail(conn, CMD_USAGE,
		    "the request is larger than hub.max_message (%zu bytes)",
		    conn->hub->conf->hub.max_message);
	}
}

static void
desk_ready(void *ctx, unsigned events)
{
	struct desk_conn *conn = ctx;

	hub_tick(conn->hub);
	/* What is writable leaves at the end of the turn. */
	if (events & LOOP_READ)
		desk_read(conn);
}

static void
desk_expired(void *ctx)
{
	struct desk_conn *conn = ctx;

	if (conn->late != NULL) {
		conn->late(conn);
	} else if (conn->out.len == 0 && !conn->asked) {
		conn->asked = true;
		desk_fail(conn, CMD_USAGE,
		    "no whole line within control.timeout");
	} else {
		log_warning("a client of broodctl reads nothing for "
			    "control.timeout; cutting it off");
		conn->broken = true;
	}
}

void
desk_open(struct hub *hub, int fd)
{
	struct desk_conn *conn = mem_alloc(sizeof(*conn));
	char id[UID_TEXT_SIZE];

	if (hub->desk == NULL)
		hub->desk = mem_alloc(sizeof(*hub->desk));
	conn->hub = hub;
	conn->fd = fd;
	buf_init(&conn->in, hub->conf->hub.max_message);
	buf_init(&conn->out, ANSWER_MAX);
	loop_timer_init(&conn->timer, desk_expired, conn);
	conn->io.fd = -1;
	DL_APPEND(hub->desk->conns, conn);
	hub->desk->n++;
	if (fd_nonblock(fd) == -1 ||
	    loop_io_add(hub->loop, &conn->io, fd, LOOP_READ, desk_ready,
		conn) == -1) {
		desk_close(conn);
		return;
	}
	desk_patience(conn);
	if (hub->desk->n <= hub->conf->control.max_clients) {
		buf_printf(&conn->out, "{\"go\":true,\"id\":\"%s\"}\n",
		    uid_format(uid_make(), uid_token(), id));
		return;
	}
	conn->asked = true;
	desk_fail(conn, CMD_FAILED,
	    "control.max_clients (%d) are being served; try again",
	    hub->conf->control.max_clients);
}

/* False when the connection is no more. */
static bool
desk_send(struct desk_conn *conn)
{
	size_t before = conn->out.len;

	while (conn->out.len > 0 && !conn->broken) {
		if (buf_write_fd(&conn->out, conn->fd) >= 0)
			continue;
		if (errno == EAGAIN)
			break;
		conn->broken = true;
	}
	if (conn->broken || (conn->answered && conn->out.len == 0)) {
		desk_close(conn);
		return false;
	}
	if (conn->out.len > 0 &&
	    (conn->out.len != before || !loop_timer_is_set(&conn->timer)))
		desk_patience(conn);
	if (loop_io_want(conn->hub->loop, &conn->io,
		conn->out.len > 0 ? LOOP_READ | LOOP_WRITE : LOOP_READ) == -1) {
		desk_close(conn);
		return false;
	}
	return true;
}

void
desk_flush(struct hub *hub)
{
	struct desk_conn *conn, *next;

	if (hub->desk == NULL)
		return;
	for (conn = hub->desk->conns; conn != NULL; conn = next) {
		next = conn->next;
		/* one that is asked and waits for its call has nothing to do */
		if (conn->broken || conn->out.len > 0)
			desk_send(conn);
	}
}

void
desk_stop(struct hub *hub)
{
	struct desk_conn *conn, *next;

	if (hub->desk == NULL)
		return;
	for (conn = hub->desk->conns; conn != NULL; conn = next) {
		next = conn->next;
		if (conn->late != NULL)
			conn->late(conn);
		if (!conn->answered)
			desk_fail(conn, CMD_FAILED,
			    "the hub stops or is replaced; ask again");
		/* one try: whoever reads gets it */
		if (desk_send(conn))
			desk_close(conn);
	}
	free(hub->desk);
	hub->desk = NULL;
}
