/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * call - the command call: runs a handler in a worker and prints its reply.
 *
 * The master only passes the connection on; from {"go":true} it is a worker
 * that answers, so an end of file means that this worker died. The body is read
 * and checked before anybody is bothered with it.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "ctl/client.h"
#include "ctl/ctl.h"
#include "ctl/remote.h"
#include "ctl/wait.h"

#define CALL_BODY_MAX ((size_t)64 * 1024 * 1024)

/* All of stdin, at most buf->max bytes, before the deadline. */
static int
call_read_stdin(const struct ctl *ctl, struct buf *buf, struct why *why)
{
	ssize_t n;
	char more;

	for (;;) {
		if (wait_fd(STDIN_FILENO, POLLIN, ctl->deadline_ns) == 0)
			return why_set(why,
			    "standard input has not ended in time; --timeout "
			    "gives it longer");
		if (buf->len == buf->max) {
			/* Full: it must have ended here. */
			n = read(STDIN_FILENO, &more, 1);
			if (n > 0)
				return why_set(why,
				    "standard input has more than %zu bytes, "
				    "the most that a body may have",
				    buf->max);
		} else {
			n = buf_read_fd(buf, STDIN_FILENO);
		}
		if (n == 0)
			return 0;
		if (n == -1 && errno != EINTR && errno != EAGAIN)
			return why_set(why, "cannot read standard input: %m");
	}
}

static json_t *
call_body_of_stdin(const struct ctl *ctl, struct why *why)
{
	size_t max = ctl->max_body > 0 && ctl->max_body < CALL_BODY_MAX ?
	    ctl->max_body :
	    CALL_BODY_MAX;
	json_t *body = NULL;
	struct buf buf;

	buf_init(&buf, max);
	if (call_read_stdin(ctl, &buf, why) == 0) {
		body = json_stringn(buf.len > 0 ? buf.data : "", buf.len);
		if (body == NULL)
			why_set(why,
			    "standard input is not UTF-8 text, and nothing "
			    "else can be passed this way");
	}
	buf_release(&buf);
	return body;
}

/* The line that the worker reads; NULL with the reason and *code. */
static json_t *
call_line(const struct ctl *ctl, char *const *args, int n, int *code,
    struct why *why)
{
	json_t *line = json_pack("{s:s}", "handler", args[0]);
	json_t *body = NULL;
	json_error_t error;

	*code = CMD_USAGE;
	if (line == NULL) {
		why_set(why, "the name of the handler is not UTF-8");
		return NULL;
	}
	if (n < 2)
		return line;
	if (strcmp(args[1], "-") == 0) {
		body = call_body_of_stdin(ctl, why);
		*code = CMD_FAILED;
	} else {
		body = json_loads(args[1], JSON_DECODE_ANY | JSON_ALLOW_NUL,
		    &error);
		if (body == NULL)
			why_set(why,
			    "the argument is not JSON: %s, at character %d",
			    error.text, error.column);
	}
	if (body == NULL) {
		json_decref(line);
		return NULL;
	}
	json_object_set_new(line, strcmp(args[1], "-") == 0 ? "body" : "json",
	    body);
	return line;
}

/* Bytes as they are, and on a terminal a newline if they have none. */
static void
call_print_reply(const json_t *data)
{
	const json_t *json = json_object_get(data, "json");
	const json_t *body = json_object_get(data, "body");
	const char *text = json_string_value(body);
	size_t len = json_string_length(body);

	if (json != NULL) {
		ctl_print_json(json, 17);
	} else if (text != NULL && len > 0) {
		fwrite(text, 1, len, stdout);
		if (text[len - 1] != '\n' && isatty(STDOUT_FILENO))
			putchar('\n');
	}
}

/* The message of an answer with a status reads "422 Unprocessable…: why". */
static int
call_finish(const struct ctl *ctl, const char *handler, const json_t *answer)
{
	const json_t *data = json_object_get(answer, "data");
	const char *message = json_string_value(
	    json_object_get(answer, "message"));
	json_int_t status = json_integer_value(json_object_get(data, "status"));
	bool good = status >= 200 && status < 400;

	/* No status: it did not come to a reply, and the answer says why. */
	if (status == 0)
		return ctl_answer(ctl, answer);
	if (ctl->json) {
		ctl_print_json(answer, 17);
		return good ? CMD_OK : CMD_FAILED;
	}
	call_print_reply(data);
	if (good)
		return CMD_OK;
	if (message == NULL || *message == '\0')
		return ctl_fail(ctl, CMD_FAILED, "%s answered %d", handler,
		    (int)status);
	return ctl_fail(ctl, CMD_FAILED, "%s answered %s", handler, message);
}

/* From the connection to the final answer. */
static enum client_end
call_converse(const struct ctl *ctl, struct client *client, char *const *args,
    const json_t *line, json_t **answer, struct why *why)
{
	json_t *request = remote_request(CMD_ID_call, args, 1);
	enum client_end end;

	*answer = NULL;
	end = client_open(client, ctl->socket, ctl->deadline_ns, why);
	if (end == CLIENT_FINE)
		end = client_send(client, request, why);
	json_decref(request);
	if (end == CLIENT_FINE)
		end = remote_answer(ctl, client, answer, why);
	if (end != CLIENT_FINE || json_object_get(*answer, "ok") != NULL)
		return end;

	json_decref(*answer);
	*answer = NULL;
	end = client_send(client, line, why);
	if (end == CLIENT_FINE)
		end = remote_answer(ctl, client, answer, why);
	if (end == CLIENT_GONE)
		why_set(why,
		    "the worker that ran %s died before it answered; the log "
		    "names the cause",
		    args[0]);
	else if (end == CLIENT_MUTE)
		why_set(why,
		    "no answer in time from the worker that runs %s; broodctl "
		    "status shows what it is doing",
		    args[0]);
	return end;
}

int
ctl_call(struct ctl *ctl, char *const *args, int n)
{
	struct client client = { .fd = -1 };
	enum client_end end;
	struct why why;
	json_t *line, *answer;
	int code;

	if (ctl_locate(ctl, &why) == -1)
		return ctl_fail(ctl, CTL_CONFIG, "%s", why.text);
	line = call_line(ctl, args, n, &code, &why);
	if (line == NULL)
		return ctl_fail(ctl, code, "%s", why.text);
	end = call_converse(ctl, &client, args, line, &answer, &why);
	if (end == CLIENT_FINE)
		code = call_finish(ctl, args[0], answer);
	else
		code = remote_fail(ctl, end, &why);
	client_close(&client);
	json_decref(answer);
	json_decref(line);
	return code;
}
