/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broodd - runs the program broodd.
 *
 * Called by start and restart. The broodd that lies beside this broodctl is the
 * one, so that a build tree or a private installation uses its own; then the
 * place it was configured to be installed in, then PATH.
 */
#include "ctl/broodd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "ctl/wait.h"

#define BROODD_NOT_FOUND 127	 /* a shell's status for it */
#define BROODD_GRACE_NS NS_PER_S /* from TERM to KILL */

/* Its path, which the caller frees; without a slash: look in PATH. */
static char *
broodd_find(void)
{
	char self[4096], *slash, *path;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		if (slash != NULL) {
			*slash = '\0';
			path = mem_printf("%s/broodd", self);
			if (access(path, X_OK) == 0)
				return path;
			free(path);
		}
	}
	if (access(SBINDIR "/broodd", X_OK) == 0)
		return mem_strdup(SBINDIR "/broodd");
	return mem_strdup("broodd");
}

/* In the child: becomes broodd. Standard output is for our answer alone. */
_Noreturn static void
broodd_exec(const char *path, const char *option, const char *config)
{
	const char *argv[] = { path, option, "-c", config, NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	signal(SIGPIPE, SIG_DFL);
	if (null != -1) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	}
	execvp(path, (char *const *)(uintptr_t)argv);
	dprintf(STDERR_FILENO, "broodctl: cannot run %s: %s\n", path,
	    strerror(errno));
	_exit(BROODD_NOT_FOUND);
}

static int
broodd_explain(const char *path, const char *option, int status,
    struct why *why)
{
	int code;

	if (WIFSIGNALED(status)) {
		why_set(why, "%s %s was killed by signal %d (%s)", path, option,
		    WTERMSIG(status), strsignal(WTERMSIG(status)));
		return CMD_FAILED;
	}
	code = WEXITSTATUS(status);
	if (code == BROODD_NOT_FOUND)
		why_set(why,
		    "broodd is neither beside broodctl nor in %s nor in PATH",
		    SBINDIR);
	else if (code != 0)
		why_set(why,
		    "%s %s failed with exit status %d; it says why above", path,
		    option, code);
	return code;
}

/* The front end only: what it has detached goes on without it. */
static void
broodd_end(pid_t pid, int pidfd)
{
	int status;

	kill(pid, SIGTERM);
	if (wait_fd(pidfd, POLLIN, clock_now_ns() + BROODD_GRACE_NS) != 1)
		kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

int
broodd_run(const struct ctl *ctl, const char *option, struct why *why)
{
	int pidfd, status, code;
	char *path;
	pid_t pid;

	/* What is not flushed would be there twice. */
	fflush(stdout);
	path = broodd_find();
	pid = fork();
	if (pid == 0)
		broodd_exec(path, option, ctl->config);
	pidfd = pid != -1 ? fd_of_pid(pid) : -1;
	if (pidfd == -1) {
		why_set(why, "cannot fork and watch %s: %m", path);
		if (pid != -1)
			kill(pid, SIGTERM);
		code = CMD_FAILED;
	} else if (wait_fd(pidfd, POLLIN, ctl->deadline_ns) == 1) {
		waitpid(pid, &status, 0);
		code = broodd_explain(path, option, status, why);
	} else {
		broodd_end(pid, pidfd);
		why_set(why,
		    "%s %s has not come to an end in time; broodctl status and "
		    "the log tell what became of it",
		    path, option);
		code = CMD_FAILED;
	}
	fd_close(&pidfd);
	free(path);
	return code;
}
