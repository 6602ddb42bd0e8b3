/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check - loads the modules and asks the roles in a process that may come to
 * harm.
 *
 * What the child writes to the pipe, each a record of a kind byte, a text and a
 * NUL:
 *
 *   '>' SUBJECT   what it turns to now: whoever reads the pipe after a crash,
 *                 an exit() or a kill knows who did it
 *   '!' ERROR     something that is wrong with the config
 *   '.'           the end: all has been looked at
 *
 * A pipe without its '.' is a check that did not end well, whatever the exit
 * status says. Modules share the process with the writer, so the text is as
 * suspect as they are: control bytes are blanked, length and number bounded.
 */
#include "core/check.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/title.h"
#include "base/why.h"
#include "core/module.h"

#define TEXT_MAX (256U << 10)
#define RECORD_MAX 2000
#define ERRORS_MAX 500

/* ------------------------------------------------------------ in the child */

/* Of the one check that this process is; a module's loading has no context. */
static struct {
	int fd;
	struct conf_errors errors;
	size_t sent;
} report;

static void
write_all(const char *bytes, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = write(report.fd, bytes, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			_exit(EXIT_FAILURE); /* nobody listens any more */
		bytes += n;
		len -= (size_t)n;
	}
}

static void
send_record(char kind, const char *text)
{
	write_all(&kind, 1);
	write_all(text, strlen(text) + 1);
}

/* At once, for the next module may end the process. */
static void
send_errors(void)
{
	for (; report.sent < report.errors.n; report.sent++)
		send_record('!', report.errors.v[report.sent]);
}

static void
on_module(const struct conf_module *entry)
{
	char *subject = mem_printf("%s:%d: module \"%s\"", entry->file,
	    entry->line, entry->name);

	send_errors();
	send_record('>', subject);
	free(subject);
}

static void
on_role(const char *name)
{
	char *subject = mem_printf("the check of the %s role", name);

	send_errors();
	send_record('>', subject);
	free(subject);
}

/* The parent's handlers, mask and descriptors are not for modules, and its
 * standard output is the answer of broodd -t. */
static void
leave_parent_behind(int pipe_fd)
{
	int keep[] = { pipe_fd, log_fd() }, null;
	sigset_t none;

	for (int signo = 1; signo < SIGRTMIN; signo++)
		signal(signo, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	fd_close_all_but(keep, sizeof(keep) / sizeof(keep[0]));
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		fd_close(&null);
	}
	dup2(STDERR_FILENO, STDOUT_FILENO);
}

static void
look_at_everything(const struct conf *conf,
    const struct role *const roles[ROLE_COUNT])
{
	struct module_registry *modules;
	struct why why;

	module_on_load = on_module;
	modules = module_load_all(conf, &report.errors, &why);
	for (int i = 0; i < ROLE_COUNT; i++)
		if (roles[i] != NULL && roles[i]->check != NULL) {
			on_role(role_info[i].name);
			roles[i]->check(conf, modules, &report.errors);
		}
	send_errors();
	send_record('>', "stop() of a module");
	module_stop_all(modules);
}

static _Noreturn void
run_child(int pipe_fd, pid_t parent, const struct conf *conf,
    const struct role *const roles[ROLE_COUNT], const struct privilege *become)
{
	struct why why;

	report.fd = pipe_fd;
	report.sent = 0;
	memset(&report.errors, 0, sizeof(report.errors));
	leave_parent_behind(pipe_fd);
	title_set("%s: check", conf->service.name);
	log_identity("check", -1, 0);
	send_record('>', "the check of this config");
	if (privilege_drop(become, &why) < 0) {
		send_record('!', why.text);
		send_record('.', "");
		_exit(EXIT_FAILURE);
	}
	/* after the drop: a change of uid clears the death signal */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	look_at_everything(conf, roles);
	send_record('.', "");
	/* no atexit(): what the parent registered is not this process's */
	_exit(EXIT_SUCCESS);
}

/* ----------------------------------------------------------- in the parent */

int
check_start(struct check *check, const struct conf *conf,
    const struct role *const roles[ROLE_COUNT], const struct privilege *become,
    struct why *why)
{
	pid_t parent = getpid();
	int fds[2];

	check->pid = 0;
	check->fd = -1;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return why_set(why, "cannot make a pipe: %s", strerror(errno));
	if (fd_nonblock(fds[0]) < 0)
		goto fail;
	/* what is buffered would be written twice if a module calls exit() */
	fflush(NULL);
	check->pid = fork();
	if (check->pid < 0)
		goto fail;
	if (check->pid == 0)
		run_child(fds[1], parent, conf, roles, become);
	fd_close(&fds[1]);
	check->fd = fds[0];
	return 0;
fail:
	why_set(why, "cannot fork: %s", strerror(errno));
	fd_close(&fds[0]);
	fd_close(&fds[1]);
	return -1;
}

static char *
clean_copy(const char *text, size_t len)
{
	char *copy;

	if (len > RECORD_MAX)
		len = RECORD_MAX;
	copy = mem_printf("%.*s", (int)len, text);
	for (char *at = copy; *at != '\0'; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = ' ';
	return copy;
}

static void
add_bad_end(const char *subject, int status, struct conf_errors *errors)
{
	const char *name;

	if (WIFEXITED(status)) {
		conf_errors_add(errors, "%s ended the process with exit(%d)",
		    subject, WEXITSTATUS(status));
		return;
	}
	name = sigabbrev_np(WTERMSIG(status));
	if (WTERMSIG(status) == SIGKILL)
		conf_errors_add(errors,
		    "%s was killed: it took longer than service.start_timeout, "
		    "or memory ran out",
		    subject);
	else
		conf_errors_add(errors, "%s crashed with SIG%s (%s)", subject,
		    name != NULL ? name : "?", strsignal(WTERMSIG(status)));
}

void
check_collect(const char *text, size_t len, int wait_status,
    struct conf_errors *errors)
{
	char *subject = mem_strdup("the check of this config"), *copy;
	const char *end = text + len, *nul;
	bool complete = false;
	size_t taken = 0;

	for (; text < end; text = nul + 1) {
		nul = memchr(text, '\0', (size_t)(end - text));
		if (nul == NULL)
			break; /* cut short by a crash */
		if (nul == text)
			continue;
		copy = clean_copy(text + 1, (size_t)(nul - text - 1));
		complete = *text == '.';
		if (*text == '!' && taken++ < ERRORS_MAX)
			conf_errors_add(errors, "%s", copy);
		if (*text == '>') {
			free(subject);
			subject = copy;
		} else
			free(copy);
	}
	if (!complete)
		add_bad_end(subject, wait_status, errors);
	free(subject);
}

/* True when the child has ended, false when it has to be. */
static bool
read_until_end(const struct check *check, int pid_fd, struct buf *text,
    int64_t deadline_ns)
{
	struct pollfd p[] = {
		{ .fd = check->fd, .events = POLLIN },
		{ .fd = pid_fd, .events = POLLIN },
	};
	int64_t left_ns;
	ssize_t n;

	for (;;) {
		left_ns = deadline_ns - clock_now_ns();
		if (left_ns <= 0)
			return false;
		if (poll(p, 2, (int)(left_ns / NS_PER_MS) + 1) < 0 &&
		    errno != EINTR)
			return false;
		while ((n = buf_read_fd(text, check->fd)) > 0)
			;
		if (n < 0 && errno == ENOBUFS)
			return false;
		if (n == 0 && pid_fd < 0)
			return true;
		if (n == 0)
			p[0].fd = -1;
		/* not the end of the pipe: a module may have forked */
		if (p[1].revents != 0)
			return true;
	}
}

void
check_wait(struct check *check, int64_t timeout_ns, struct conf_errors *errors)
{
	int pid_fd = fd_of_pid(check->pid), status = 0;
	struct buf text;

	buf_init(&text, TEXT_MAX);
	/* without a pidfd (valgrind) the end of the pipe has to do */
	if (!read_until_end(check, pid_fd, &text, clock_now_ns() + timeout_ns))
		kill(check->pid, SIGKILL);
	while (waitpid(check->pid, &status, 0) < 0 && errno == EINTR)
		;
	check_collect(text.data != NULL ? text.data : "", text.len, status,
	    errors);
	buf_release(&text);
	fd_close(&pid_fd);
	fd_close(&check->fd);
	check->pid = 0;
}
