/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proc - processes as the kernel sees them, and waits with an end.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proc.h"
#include "suite.h"
#include "text.h"

int64_t
proc_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int
proc_open(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

bool
proc_wait(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int rc;

	do
		rc = poll(&p, 1, suite_patience_ms());
	while (rc == -1 && errno == EINTR);
	return rc == 1;
}

bool
proc_until(int pidfd, bool (*is_so)(void *ctx), void *ctx)
{
	int64_t end = proc_now_ms() + suite_patience_ms();
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	bool over = false;

	for (int pause_ms = 1;; pause_ms = pause_ms < 50 ? pause_ms * 2 : 50) {
		if (is_so(ctx))
			return true;
		if (over || proc_now_ms() > end)
			return false;
		/* one more question after the end: the last answer stands */
		over = poll(&p, 1, pause_ms) == 1;
	}
}

size_t
proc_children(pid_t pid, pid_t *out, size_t max)
{
	char path[64];
	size_t n = 0;
	int child;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	if ((in = fopen(path, "re")) == NULL)
		return 0;
	while (n < max && fscanf(in, "%d", &child) == 1)
		out[n++] = child;
	fclose(in);
	return n;
}

static char *
status_line(pid_t pid, const char *field, char *line, size_t size)
{
	char path[64], *value = NULL;
	size_t len = strlen(field);
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if ((in = fopen(path, "re")) == NULL)
		return NULL;
	while (value == NULL && fgets(line, (int)size, in) != NULL)
		if (strncmp(line, field, len) == 0 && line[len] == ':')
			value = line + len + 1;
	fclose(in);
	return value;
}

bool
proc_is_zombie(pid_t pid)
{
	char line[256], *value = status_line(pid, "State", line, sizeof(line));

	return value == NULL || strchr(value, 'Z') != NULL ||
	    strchr(value, 'X') != NULL;
}

const char *
proc_name(pid_t pid, char *buf, size_t size)
{
	char line[256], *value = status_line(pid, "Name", line, sizeof(line));

	snprintf(buf, size, "%s", value != NULL ? value + 1 : "gone");
	buf[strcspn(buf, "\n")] = '\0';
	return buf;
}

long
proc_field(pid_t pid, const char *field)
{
	char line[256], *value = status_line(pid, field, line, sizeof(line));

	return value != NULL ? strtol(value, NULL, 10) : -1;
}

/* ------------------------------------------------------ running a program */

struct pipe_end {
	int fd;
	char *data;
	size_t len;
};

static void
take_output(struct pipe_end *end)
{
	ssize_t n;

	end->data = realloc(end->data, end->len + 65537);
	n = read(end->fd, end->data + end->len, 65536);
	if (n <= 0) {
		close(end->fd);
		end->fd = -1;
		n = 0;
	}
	end->len += (size_t)n;
	end->data[end->len] = '\0';
}

static void
give_input(struct pollfd *p, const char **input)
{
	ssize_t n = write(p->fd, *input, strlen(*input));

	if (n > 0)
		*input += n;
	if ((n == -1 && errno != EAGAIN) || **input == '\0') {
		close(p->fd);
		p->fd = -1;
	}
}

static _Noreturn void
run_child(const char *const argv[], int in, int out, int err)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_DFL);
	if (dup2(in, 0) == -1 || dup2(out, 1) == -1 || dup2(err, 2) == -1)
		_exit(126);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

void
run_program(struct run *run, const char *const argv[], const char *input)
{
	int in[2], out[2], err[2], wait_status;
	int64_t end = proc_now_ms() + suite_patience_ms() * 2;
	struct pipe_end ends[2] = { 0 };
	struct pollfd p[3];
	pid_t pid;

	ck_assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 &&
	    pipe2(err, O_CLOEXEC) == 0);
	ck_assert_int_ge(pid = fork(), 0);
	if (pid == 0)
		run_child(argv, in[0], out[1], err[1]);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	fcntl(in[1], F_SETFL, O_NONBLOCK);
	ends[0].fd = out[0];
	ends[1].fd = err[0];
	p[2] = (struct pollfd){ .fd = in[1], .events = POLLOUT };
	if (input == NULL)
		input = "";
	while (ends[0].fd != -1 || ends[1].fd != -1) {
		for (int i = 0; i < 2; i++)
			p[i] = (struct pollfd){ .fd = ends[i].fd,
				.events = POLLIN };
		ck_assert_msg(poll(p, 3, 1000) >= 0 && proc_now_ms() < end,
		    "%s does not end", argv[0]);
		for (int i = 0; i < 2; i++)
			if (p[i].revents != 0)
				take_output(&ends[i]);
		if (p[2].fd != -1 && p[2].revents != 0)
			give_input(&p[2], &input);
	}
	if (p[2].fd != -1)
		close(p[2].fd);
	ck_assert_int_eq(waitpid(pid, &wait_status, 0), pid);
	*run = (struct run){
		.status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) :
						   128 + WTERMSIG(wait_status),
		.out = ends[0].data,
		.out_len = ends[0].len,
		.err = ends[1].data,
		.err_len = ends[1].len,
	};
}

void
run_release(struct run *run)
{
	free(run->out);
	free(run->err);
	*run = (struct run){ 0 };
}
