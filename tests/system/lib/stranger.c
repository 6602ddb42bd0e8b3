/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stranger - starts a program, reads its lines, ends it.
 */
#include "stranger.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker.h"
#include "proc.h"
#include "suite.h"

#define CHUNK 4096
#define CRUNCHER "tests/interop/cruncher.py"

void
stranger_start(struct stranger *stranger, const char *const argv[])
{
	int out[2];

	*stranger = (struct stranger){ .name = argv[0] };
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	ck_assert_int_ge(stranger->pid = fork(), 0);
	if (stranger->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_DFL);
		dup2(out[1], 1);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	close(out[1]);
	stranger->out = out[0];
}

static void
read_more(struct stranger *stranger)
{
	struct pollfd p = { .fd = stranger->out, .events = POLLIN };
	ssize_t n;

	ck_assert_msg(poll(&p, 1, suite_patience_ms()) == 1,
	    "%s prints nothing more; so far: %.*s", stranger->name,
	    (int)stranger->len, stranger->text != NULL ? stranger->text : "");
	stranger->text = realloc(stranger->text, stranger->len + CHUNK);
	n = read(stranger->out, stranger->text + stranger->len, CHUNK);
	ck_assert_msg(n > 0, "%s has ended", stranger->name);
	stranger->len += (size_t)n;
}

const char *
stranger_line(struct stranger *stranger)
{
	char *line, *end = NULL;

	for (;;) {
		if (stranger->text != NULL)
			end = memchr(stranger->text + stranger->at, '\n',
			    stranger->len - stranger->at);
		if (end != NULL)
			break;
		read_more(stranger);
	}
	line = stranger->text + stranger->at;
	*end = '\0';
	stranger->at = (size_t)(end + 1 - stranger->text);
	return line;
}

void
stranger_require(struct stranger *stranger, const char *line)
{
	ck_assert_str_eq(stranger_line(stranger), line);
}

void
stranger_stop(struct stranger *stranger)
{
	int status, pidfd = proc_open(stranger->pid);

	kill(stranger->pid, SIGTERM);
	ck_assert_msg(proc_wait(pidfd), "%s does not end", stranger->name);
	ck_assert_int_eq(waitpid(stranger->pid, &status, 0), stranger->pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	    "%s: wait status %d", stranger->name, status);
	close(pidfd);
	close(stranger->out);
	free(stranger->text);
}

/* --------------------------------------------------------------------- pika */

void
pika_start(struct stranger *stranger, const char *service, const char *argument)
{
	stranger_start(stranger,
	    (const char *const[]){ CRUNCHER, broker_url(), service, argument,
		NULL });
	stranger_require(stranger, "ready");
}

/* Status 0 is required; the output, to free. */
static char *
run_to_end(const char *const argv[], const char *input)
{
	struct run run;
	char *out;

	run_program(&run, argv, input);
	ck_assert_msg(run.status == 0, "%s: status %d: %s%s", argv[0],
	    run.status, run.out, run.err);
	out = run.out;
	run.out = NULL;
	run_release(&run);
	return out;
}

char *
pika_run(const char *service, const char *argument, const char *input)
{
	return run_to_end((const char *const[]){ CRUNCHER, broker_url(),
			      service, argument, NULL },
	    input);
}

/* --------------------------------------------------------------- amqp-tools */

void
tool_publish(const char *exchange, const char *key, const char *text)
{
	free(run_to_end((const char *const[]){ "amqp-publish", "-u",
			    broker_url(), "-e", exchange, "-r", key, "-b", text,
			    NULL },
	    NULL));
}

struct get {
	const char *queue;
	char *text;
};

static bool
can_get(void *ctx)
{
	struct get *get = ctx;
	struct run run;
	bool found;

	run_program(&run,
	    (const char *const[]){ "amqp-get", "-u", broker_url(), "-q",
		get->queue, NULL },
	    NULL);
	found = run.status == 0 && run.out_len > 0;
	if (found) {
		get->text = run.out;
		run.out = NULL;
	}
	run_release(&run);
	return found;
}

void
tool_require_get(const struct daemon *daemon, const char *queue,
    const char *text)
{
	struct get get = { queue, NULL };

	ck_assert_msg(proc_until(daemon->pidfd, can_get, &get),
	    "%s: no message", queue);
	ck_assert_str_eq(get.text, text);
	free(get.text);
}
