/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon - detaches the master and waits for its first word.
 *
 * The process that was started stays until the service serves, so that its exit
 * status means something to an init script. Two pipes lead to it: one for the
 * master's own words (master.h), closed by the master; one for its exit status,
 * which tells a wrong config (78) from a busy port (1). Only broodd.c calls
 * this, before there is a loop: it blocks.
 */
#include "master/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"

/* From the daemon to the one that waits for it. */
struct line {
	int ready[2];
	int status[2]; /* one int */
};

static _Noreturn void
run_detached(struct conf *conf, const struct master_options *options,
    struct line *line)
{
	struct master_options own = *options;
	int status, null = open("/dev/null", O_RDWR | O_CLOEXEC);

	fd_close(&line->ready[0]);
	fd_close(&line->status[0]);
	/* whoever waits tells it; here it would stay open for good */
	fd_close(&own.ready_fd);
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	if (null > STDERR_FILENO)
		fd_close(&null);
	own.ready_fd = line->ready[1];
	status = master_run(conf, &own);
	/* after a start that went well nobody waits for it any more */
	if (write(line->status[1], &status, sizeof(status)) < 0)
		fd_close(&line->status[1]);
	exit(status);
}

/* -1 with errno when the master could not be forked. */
static int
detach(struct conf *conf, const struct master_options *options,
    struct line *line)
{
	pid_t pid = fork();

	if (pid == 0) {
		/* no session leader, so no terminal, ever */
		if (setsid() < 0 || (pid = fork()) < 0 || pid > 0)
			_exit(pid > 0 ? EXIT_SUCCESS : EXIT_FAILURE);
		run_detached(conf, options, line);
	}
	fd_close(&line->ready[1]);
	fd_close(&line->status[1]);
	if (pid > 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	return pid > 0 ? 0 : -1;
}

/* What the master says until it closes its end; false when it says nothing in
 * time. */
static bool
read_words(int fd, struct buf *words, int64_t timeout_ns)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t deadline_ns = clock_now_ns() + timeout_ns, left_ns;
	int n;

	for (;;) {
		left_ns = deadline_ns - clock_now_ns();
		if (left_ns <= 0)
			return false;
		n = poll(&p, 1, (int)(left_ns / NS_PER_MS) + 1);
		if (n > 0 && buf_read_fd(words, fd) <= 0)
			return true;
	}
}

/* From the master's words to a status and a reason. */
static int
understand(const char *words, const struct line *line, const char *log,
    char **reason)
{
	static const char failed[] = "FAILED ";
	int status;

	if (strcmp(words, "READY\n") == 0)
		return EXIT_SUCCESS;
	/* comes when the last child is gone, for which there is stop_timeout */
	if (read(line->status[0], &status, sizeof(status)) != sizeof(status) ||
	    status == 0)
		status = EXIT_FAILURE;
	if (strncmp(words, failed, sizeof(failed) - 1) == 0) {
		words += sizeof(failed) - 1;
		*reason = mem_printf("%.*s", (int)strcspn(words, "\n"), words);
	} else
		*reason = mem_printf("the service ended before it was ready; "
				     "its log (%s) may say why",
		    log);
	return status;
}

int
daemon_run(struct conf *conf, const struct master_options *options,
    char **reason)
{
	/* the master keeps to start_timeout; this is for one that is stopped */
	int64_t timeout_ns = 4 * conf->service.start_timeout + 30 * NS_PER_S;
	struct line line = { { -1, -1 }, { -1, -1 } };
	int status = EXIT_FAILURE;
	struct buf buf;

	*reason = NULL;
	buf_init(&buf, 4096);
	if (pipe2(line.ready, O_CLOEXEC) < 0 ||
	    pipe2(line.status, O_CLOEXEC) < 0 ||
	    detach(conf, options, &line) < 0) {
		*reason = mem_printf("cannot go to the background: %s",
		    strerror(errno));
		goto out;
	}
	if (!read_words(line.ready[0], &buf, timeout_ns)) {
		*reason = mem_printf("the service is not ready yet, but goes "
				     "on trying; its log (%s) says more",
		    conf->log.target);
		goto out;
	}
	status = understand(buf.data != NULL ? buf.data : "", &line,
	    conf->log.target, reason);
out:
	for (int i = 0; i < 2; i++) {
		fd_close(&line.ready[i]);
		fd_close(&line.status[i]);
	}
	buf_release(&buf);
	conf_free(conf);
	return status;
}
