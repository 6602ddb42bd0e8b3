/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * confirm - asks before something is gone for good.
 *
 * Called before a command is sent. The question goes to the terminal, where
 * somebody can answer it: a script that nobody watches is refused, for what it
 * cannot have meant by accident is spelled --yes.
 */
#include "ctl/confirm.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl/format.h"
#include "ctl/wait.h"

#define CONFIRM_S 60

/* One line of standard input, without its end; -1: none in time. */
static int
confirm_read(char *line, size_t size)
{
	int64_t until_ns = clock_now_ns() + CONFIRM_S * NS_PER_S;
	ssize_t n;

	for (;;) {
		if (wait_fd(STDIN_FILENO, POLLIN, until_ns) <= 0)
			return -1;
		n = read(STDIN_FILENO, line, size - 1);
		if (n > 0)
			break;
		if (n == 0 || errno != EINTR)
			return -1;
	}
	line[n] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	return 0;
}

int
confirm_purge(struct ctl *ctl, const char *queue)
{
	char answer[64], name[256];

	if (json_is_true(json_object_get(ctl->members, "yes")))
		return CMD_OK;
	if (ctl->json || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return ctl_fail(ctl, CMD_USAGE,
		    "purge asks before messages are gone for good, and there "
		    "is no terminal to ask on; --yes says it beforehand");
	snprintf(name, sizeof(name), "%s", queue);
	if (strcmp(queue, "outbox") == 0)
		fprintf(stderr,
		    "Drop the messages of the outbox that the broker does not "
		    "take? They are gone for good. [y/N] ");
	else
		fprintf(stderr,
		    "Drop all messages of queue %s? They are gone for good. "
		    "[y/N] ",
		    format_clean(name));
	if (confirm_read(answer, sizeof(answer)) == -1) {
		fputc('\n', stderr);
		return ctl_fail(ctl, CMD_FAILED,
		    "no answer: everything stays as it is");
	}
	if (strcasecmp(answer, "y") != 0 && strcasecmp(answer, "yes") != 0)
		return ctl_fail(ctl, CMD_FAILED, "everything stays as it is");
	if (ctl->members == NULL)
		ctl->members = json_object();
	json_object_set_new(ctl->members, "yes", json_true());
	return CMD_OK;
}
