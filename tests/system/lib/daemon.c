/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon - starts, stops and judges a real broodd.
 *
 * The port is reserved by a socket that is bound with SO_REUSEADDR and never
 * listens: the kernel gives it to nobody by itself, yet lets the daemon, which
 * sets SO_REUSEADDR too, listen on it. So tests run side by side.
 */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon.h"
#include "proc.h"
#include "suite.h"
#include "text.h"

/* Masters that this test runs now: no orphans, although children of ours. */
#define RUNNING_MAX 4
static pid_t running[RUNNING_MAX];

/* Replaces one pid by another in the list; 0: a free place. */
static void
running_swap(pid_t from, pid_t to)
{
	for (size_t i = 0; i < RUNNING_MAX; i++)
		if (running[i] == from) {
			running[i] = to;
			return;
		}
}

/* Children of ours, or those that became ours, and no running master. */
static size_t
orphans(pid_t *pids, size_t max)
{
	size_t n = proc_children(getpid(), pids, max), kept = 0;

	for (size_t i = 0; i < n; i++) {
		bool known = false;

		for (size_t k = 0; k < RUNNING_MAX; k++)
			if (running[k] == pids[i])
				known = true;
		if (!known)
			pids[kept++] = pids[i];
	}
	return kept;
}

/* ------------------------------------------------------------- its folder */

int
daemon_reserve_port(int *fd)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);
	int on = 1;

	*fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ne(*fd, -1);
	setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	ck_assert_int_eq(bind(*fd, (struct sockaddr *)&in, len), 0);
	ck_assert_int_eq(getsockname(*fd, (struct sockaddr *)&in, &len), 0);
	return ntohs(in.sin_port);
}

void
daemon_init(struct daemon *daemon)
{
	*daemon = (struct daemon){ .pidfd = -1 };
	snprintf(daemon->dir, sizeof(daemon->dir), "%s/XXXXXX", suite_dir());
	ck_assert_ptr_nonnull(mkdtemp(daemon->dir));
	ck_assert_int_eq(chmod(daemon->dir, 0755), 0);
	snprintf(daemon->conf, sizeof(daemon->conf), "%s/brood.conf",
	    daemon->dir);
	snprintf(daemon->socket, sizeof(daemon->socket), "%s/run/control.sock",
	    daemon->dir);
	snprintf(daemon->hub_socket, sizeof(daemon->hub_socket),
	    "%s/run/hub.sock", daemon->dir);
	snprintf(daemon->pid_file, sizeof(daemon->pid_file),
	    "%s/run/broodd.pid", daemon->dir);
	snprintf(daemon->errors, sizeof(daemon->errors), "%s/stderr",
	    daemon->dir);
	daemon->port = daemon_reserve_port(&daemon->port_fd);
}

void
daemon_release(struct daemon *daemon)
{
	close(daemon->port_fd);
	if (daemon->pidfd != -1)
		close(daemon->pidfd);
	text_remove_tree(daemon->dir);
}

/* --------------------------------------------------------------- starting */

void
daemon_args(const char *argv[DAEMON_ARGS], const char *const options[])
{
	static char wrap[512], broodd[512];
	const char *given = getenv("BROOD_WRAP");
	size_t n = 0;

	snprintf(wrap, sizeof(wrap), "%s", given != NULL ? given : "");
	snprintf(broodd, sizeof(broodd), "%s/broodd", suite_build());
	for (char *p = strtok(wrap, " "); p != NULL && n < DAEMON_ARGS - 16;
	     p = strtok(NULL, " "))
		argv[n++] = p;
	argv[n++] = broodd;
	for (size_t i = 0; options[i] != NULL && n < DAEMON_ARGS - 1; i++)
		argv[n++] = options[i];
	argv[n] = NULL;
}

static void
pass_descriptors(const struct daemon *daemon, int *ready_fd)
{
	char pid[16];

	/* out of the way of those with a number of their own */
	*ready_fd = fcntl(*ready_fd, F_DUPFD, 20);
	if (daemon->listen_fd > 0) {
		snprintf(pid, sizeof(pid), "%d", getpid());
		setenv("LISTEN_PID", pid, 1);
		setenv("LISTEN_FDS", "1", 1);
		dup2(daemon->listen_fd, 3);
	}
	if (daemon->stray_fd > 0)
		dup2(daemon->stray_fd, 60);
}

/* A process that is killed while it looks for leaks leaves the helper that does
 * it behind: nothing of ours, but an orphan all the same. */
static void
forget_leaks(void)
{
	const char *options = getenv("ASAN_OPTIONS");
	char *all = text_format("%s:detect_leaks=0",
	    options != NULL ? options : "");

	setenv("ASAN_OPTIONS", all, 1);
	free(all);
}

static _Noreturn void
exec_daemon(struct daemon *daemon, int ready_fd)
{
	char number[16];
	const char *const options[] = { "-c", daemon->conf, "--ready-fd",
		number, NULL };
	const char *argv[DAEMON_ARGS];
	int err = open(daemon->errors, O_WRONLY | O_CREAT | O_APPEND, 0644);

	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_DFL);
	if (daemon->crashes)
		forget_leaks();
	pass_descriptors(daemon, &ready_fd);
	snprintf(number, sizeof(number), "%d", ready_fd);
	daemon_args(argv, options);
	if (err == -1 || dup2(err, 1) == -1 || dup2(err, 2) == -1)
		_exit(126);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

/* The whole of what came through the descriptor before its end. */
static char *
read_verdict(int fd)
{
	char text[4096];
	size_t len = 0;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	do {
		ck_assert_msg(poll(&p, 1, suite_patience_ms()) == 1,
		    "broodd says neither READY nor FAILED");
		n = read(fd, text + len, sizeof(text) - 1 - len);
		ck_assert_int_ge(n, 0);
		len += (size_t)n;
	} while (n > 0);
	text[len] = '\0';
	return strdup(text);
}

void
daemon_spawn(struct daemon *daemon, int ready_fd)
{
	ck_assert_int_ge(daemon->pid = fork(), 0);
	if (daemon->pid == 0)
		exec_daemon(daemon, ready_fd);
	running_swap(0, daemon->pid);
	ck_assert_int_ge(daemon->pidfd = proc_open(daemon->pid), 0);
}

char *
daemon_try(struct daemon *daemon, int *status)
{
	int ready[2];
	char *verdict;

	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	daemon_spawn(daemon, ready[1]);
	close(ready[1]);
	verdict = read_verdict(ready[0]);
	close(ready[0]);
	if (strcmp(verdict, "READY\n") == 0) {
		free(verdict);
		return NULL;
	}
	*status = daemon_wait(daemon);
	if (strncmp(verdict, "FAILED ", 7) == 0 &&
	    strchr(verdict, '\n') != NULL)
		memmove(verdict, verdict + 7, strlen(verdict + 7) + 1);
	else
		ck_abort_msg("neither READY nor FAILED, but \"%s\", status %d",
		    verdict, *status);
	return verdict;
}

void
daemon_start_again(struct daemon *daemon)
{
	int status = 0;
	char *reason = daemon_try(daemon, &status);

	ck_assert_msg(reason == NULL, "the start failed, status %d: %s", status,
	    reason);
}

void
daemon_start(struct daemon *daemon, const struct daemon_conf *conf)
{
	daemon_init(daemon);
	daemon_configure(daemon, conf);
	daemon_start_again(daemon);
}

void
daemon_require_refused(struct daemon *daemon, const char *part, ...)
{
	int status = 0;
	char *reason = daemon_try(daemon, &status);
	va_list ap;

	ck_assert_msg(reason != NULL, "it starts, whatever %s", part);
	ck_assert_int_eq(status, 78);
	va_start(ap, part);
	for (; part != NULL; part = va_arg(ap, const char *))
		text_require("the reason", reason, part);
	va_end(ap);
	free(reason);
}

void
daemon_adopt(struct daemon *daemon)
{
	char *text = text_read(daemon->pid_file, NULL);

	ck_assert_msg(text != NULL, "no pid file");
	daemon->pid = atoi(text);
	free(text);
	if (daemon->pidfd != -1)
		close(daemon->pidfd);
	ck_assert_int_ge(daemon->pidfd = proc_open(daemon->pid), 0);
}

/* --------------------------------------------------------------- stopping */

int
daemon_wait(struct daemon *daemon)
{
	int status;

	ck_assert_msg(proc_wait(daemon->pidfd), "the master does not end");
	ck_assert_int_eq(waitpid(daemon->pid, &status, 0), daemon->pid);
	running_swap(daemon->pid, 0);
	close(daemon->pidfd);
	daemon->pidfd = -1;
	daemon->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void
require_no_checker_text(const struct daemon *daemon)
{
	static const char *const signs[] = {
		"AddressSanitizer",
		"LeakSanitizer",
		"runtime error:",
		"UndefinedBehaviorSanitizer",
		"== Invalid ",
		"== Conditional",
		"== Use of uninit",
		"== Syscall param",
		"definitely lost: ",
		"== Jump to the invalid",
		"stack smashing",
	};
	char *log = daemon_log(daemon), *first = NULL;

	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		char *found = strstr(log, signs[i]);

		if (found != NULL && (first == NULL || found < first) &&
		    strncmp(found + strlen(signs[i]), "0 bytes", 7) != 0)
			first = found;
	}
	ck_assert_msg(first == NULL, "a checker speaks: %.2000s", first);
	free(log);
}

void
daemon_require_no_child(struct daemon *daemon)
{
	pid_t pids[64];

	/* as their subreaper we inherit them, and can wait for them */
	while (orphans(pids, 64) > 0) {
		char name[64];
		int fd = proc_open(pids[0]);

		ck_assert_msg(fd != -1 && proc_wait(fd),
		    "process %d (%s) outlives the master", pids[0],
		    proc_name(pids[0], name, sizeof(name)));
		close(fd);
		waitpid(pids[0], NULL, 0);
	}
	if (!daemon->crashes)
		require_no_checker_text(daemon);
}

/* LeakSanitizer looks at a process that ends from another one, which is left
 * for a moment when the first is killed meanwhile. */
static void
await_checkers(struct daemon *daemon)
{
#ifdef __SANITIZE_ADDRESS__
	daemon_require_no_child(daemon);
#else
	(void)daemon;
#endif
}

void
daemon_require_clean(struct daemon *daemon)
{
	pid_t pids[64];
	char name[64];
	size_t n;

	await_checkers(daemon);
	n = orphans(pids, 64);
	ck_assert_msg(n == 0, "%zu processes left, one is %d (%s)", n, pids[0],
	    proc_name(pids[0], name, sizeof(name)));
	ck_assert_msg(access(daemon->pid_file, F_OK) == -1,
	    "the pid file is left");
	ck_assert_msg(access(daemon->socket, F_OK) == -1,
	    "the control socket is left");
	ck_assert_msg(access(daemon->hub_socket, F_OK) == -1,
	    "the hub's socket is left");
	if (!daemon->crashes)
		require_no_checker_text(daemon);
}

void
daemon_stop(struct daemon *daemon)
{
	ck_assert_int_eq(kill(daemon->pid, SIGTERM), 0);
	ck_assert_int_eq(daemon_wait(daemon), 0);
	daemon_require_clean(daemon);
	daemon_release(daemon);
}

/* ---------------------------------------------------------------- the log */

char *
daemon_log(const struct daemon *daemon)
{
	char *log = text_read(daemon->errors, NULL);

	return log != NULL ? log : strdup("");
}

size_t
daemon_log_size(const struct daemon *daemon)
{
	struct stat st;

	return stat(daemon->errors, &st) == 0 ? (size_t)st.st_size : 0;
}

struct await {
	const struct daemon *daemon;
	size_t from, end;
	const regex_t *regex;
	char *line;
};

static bool
line_is_there(void *ctx)
{
	struct await *await = ctx;
	char *log = daemon_log(await->daemon);
	char *line = strlen(log) > await->from ? log + await->from : NULL;

	while (line != NULL && await->line == NULL) {
		char *end = strchr(line, '\n');

		if (end == NULL)
			break;
		*end = '\0';
		if (regexec(await->regex, line, 0, NULL, 0) == 0) {
			await->line = strdup(line);
			await->end = (size_t)(end + 1 - log);
		}
		line = end + 1;
	}
	free(log);
	return await->line != NULL;
}

char *
daemon_await_line(const struct daemon *daemon, size_t *from,
    const char *pattern)
{
	regex_t regex;
	struct await await = { .daemon = daemon,
		.regex = &regex,
		.from = from != NULL ? *from : 0 };

	ck_assert_int_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	proc_until(daemon->pidfd, line_is_there, &await);
	regfree(&regex);
	if (await.line != NULL && from != NULL)
		*from = await.end;
	return await.line;
}
