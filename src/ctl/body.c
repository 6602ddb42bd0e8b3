/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * body - what a command passes on as a body: JSON from the command line, or
 * standard input.
 *
 * Called before anybody is bothered with the command: it is read to its end and
 * checked first, within the command's deadline and bounded in size.
 */
#include "ctl/body.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "ctl/wait.h"

#define BODY_MAX ((size_t)64 * 1024 * 1024)

/* Which argument it is; 0: the command has none. */
static const int body_argument[CMD_COUNT] = {
	[CMD_ID_call] = 1,
	[CMD_ID_submit] = 1,
	[CMD_ID_publish] = 2,
	[CMD_ID_set] = 1,
};

/* All of stdin, at most buf->max bytes, before the deadline. */
static int
body_read_stdin(const struct ctl *ctl, struct buf *buf, struct why *why)
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
body_of_stdin(const struct ctl *ctl, struct why *why)
{
	size_t max = ctl->max_body > 0 && ctl->max_body < BODY_MAX ?
	    ctl->max_body :
	    BODY_MAX;
	json_t *body = NULL;
	struct buf buf;

	buf_init(&buf, max);
	if (body_read_stdin(ctl, &buf, why) == 0) {
		body = json_stringn(buf.len > 0 ? buf.data : "", buf.len);
		if (body == NULL)
			why_set(why,
			    "standard input is not UTF-8 text, and nothing "
			    "else can be passed this way");
	}
	buf_release(&buf);
	return body;
}

int
body_put(const struct ctl *ctl, char *const *args, int *n, json_t *line,
    int *code, struct why *why)
{
	int at = body_argument[ctl->cmd - cmd_info];
	json_error_t error;
	json_t *body;
	bool input;

	*code = CMD_USAGE;
	if (at == 0 || *n <= at)
		return 0;
	input = strcmp(args[at], "-") == 0;
	if (input) {
		body = body_of_stdin(ctl, why);
		*code = CMD_FAILED;
	} else {
		body = json_loads(args[at], JSON_DECODE_ANY | JSON_ALLOW_NUL,
		    &error);
		if (body == NULL)
			why_set(why,
			    "the argument is not JSON: %s, at character %d",
			    error.text, error.column);
	}
	if (body == NULL)
		return -1;
	json_object_set_new(line, input ? "body" : "json", body);
	*n = at;
	return 0;
}
