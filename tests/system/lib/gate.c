/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gate - calls that last until the test lets them through.
 *
 * The test holds the FIFO open for reading and writing, so that nobody's open()
 * waits and nobody sees an end of file; a call waits in its read().
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include "gate.h"
#include "text.h"

int
gate_make(const struct daemon *daemon)
{
	char *path = text_format("%s/gate", daemon->dir);
	int fd;

	ck_assert_msg(mkfifo(path, 0666) == 0, "%s: %s", path, strerror(errno));
	/* the umask does not know that the children are another user */
	ck_assert_int_eq(chmod(path, 0666), 0);
	ck_assert_int_ge(fd = open(path, O_RDWR | O_CLOEXEC), 0);
	free(path);
	return fd;
}

void
gate_let(int gate, int n)
{
	while (n-- > 0)
		ck_assert_int_eq(write(gate, "x", 1), 1);
}

int
gate_call(const struct daemon *daemon)
{
	int fd = raw_connect(daemon);

	raw_text(fd, "GET /pass HTTP/1.1\r\nHost: x\r\n\r\n");
	return fd;
}

static pid_t
pid_of(struct reply *reply)
{
	json_t *json;
	pid_t pid;

	ck_assert_msg(reply->status == 200, "status %d: %s", reply->status,
	    reply->body);
	json = reply_json(reply);
	pid = (pid_t)ctl_int(json, "pid");
	json_decref(json);
	reply_release(reply);
	return pid;
}

pid_t
gate_answer(int fd)
{
	struct reply reply;

	ck_assert_msg(raw_reply(fd, &reply, false),
	    "the connection ended without an answer");
	close(fd);
	return pid_of(&reply);
}

pid_t
gate_who(const struct daemon *daemon)
{
	struct reply reply;

	http_require(daemon, &(struct ask){ .path = "/who" }, &reply);
	return pid_of(&reply);
}
