/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * local - start, stop and restart: what must work without a master.
 *
 * A start runs broodd, which detaches and returns when the service is ready or
 * says why it is not. A stop asks the master and then waits on a pidfd until
 * the process is gone; a master that does not answer gets a signal in place of
 * the question. Nothing here sleeps or polls by time, and all of it ends with
 * the command's deadline.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "ctl/broodd.h"
#include "ctl/client.h"
#include "ctl/ctl.h"
#include "ctl/remote.h"
#include "ctl/wait.h"

/* How long a master that is asked to stop may take to say its first word. */
#define FIRST_WORD_NS (5 * NS_PER_S)

static int
local_needs_config(const struct ctl *ctl)
{
	return ctl_fail(ctl, CMD_USAGE,
	    "%s starts a service and needs its config: -c CONFIG, not -s",
	    ctl->cmd->name);
}

/* Until when a master that is asked to stop has to say its first word. */
static int64_t
local_patience(const struct ctl *ctl)
{
	int64_t left_ns = ctl_left_ns(ctl);

	return clock_now_ns() +
	    (left_ns / 2 < FIRST_WORD_NS ? left_ns / 2 : FIRST_WORD_NS);
}

/* Runs broodd -d. Returns the exit status, with a sentence in either case. */
static int
local_start(const struct ctl *ctl, struct why *why)
{
	struct why ignored;
	pid_t owner;
	int code;

	code = broodd_run(ctl, "-d", why);
	if (code != 0)
		return code;
	owner = ctl->pid_file != NULL ? ctl_owner(ctl, NULL, &ignored) : -1;
	if (owner == 0) {
		why_set(why,
		    "broodd said that it is ready, but nobody holds pid file "
		    "%s: it died at once; see the log",
		    ctl->pid_file);
		return CMD_FAILED;
	}
	if (owner == -1)
		why_set(why, "started");
	else
		why_set(why, "started (pid %d)", (int)owner);
	return CMD_OK;
}

/*
 * A pidfd of the process that holds the pid file: CMD_OK with *pidfd, which is
 * -1 when the process is gone. The lock is looked at again afterwards: were
 * the process gone and its pid given away in between, we would wait for, and
 * signal, a stranger.
 */
static int
local_watch(const struct ctl *ctl, pid_t pid, int *pidfd, struct why *why)
{
	struct why ignored;

	*pidfd = fd_of_pid(pid);
	if (*pidfd == -1 && errno != ESRCH) {
		why_set(why, "cannot watch process %d: %m", (int)pid);
		return CMD_FAILED;
	}
	if (*pidfd != -1 && ctl->pid_file != NULL &&
	    ctl_owner(ctl, NULL, &ignored) != pid)
		fd_close(pidfd);
	return CMD_OK;
}

/* True when the service runs, but not for long any more. */
static bool
local_is_stopping(const struct ctl *ctl)
{
	struct why ignored;
	json_t *answer;
	const char *state;
	bool stopping;

	if (remote_ask(ctl, CMD_ID_status, NULL, 0, local_patience(ctl),
		&answer, &ignored) != CLIENT_FINE)
		return false;
	state = json_string_value(
	    json_object_get(json_object_get(answer, "data"), "state"));
	stopping = state != NULL && strcmp(state, "stopping") == 0;
	json_decref(answer);
	return stopping;
}

/* Somebody's stop goes on draining: ours is the next turn. */
static int
local_await_end(const struct ctl *ctl, pid_t pid, struct why *why)
{
	int pidfd, code;

	code = local_watch(ctl, pid, &pidfd, why);
	if (code != CMD_OK || pidfd == -1)
		return code;
	ctl_event(ctl, "it is stopping; waiting for its end");
	if (wait_fd(pidfd, POLLIN, ctl->deadline_ns) != 1) {
		why_set(why,
		    "process %d has not ended in time; nothing was "
		    "started",
		    (int)pid);
		code = CMD_FAILED;
	}
	fd_close(&pidfd);
	return code;
}

int
ctl_start(struct ctl *ctl, char *const *args, int n)
{
	struct why why;
	pid_t owner = 0;
	int code = CMD_OK;

	(void)args;
	(void)n;
	if (ctl->socket_option != NULL)
		return local_needs_config(ctl);
	/* A config in error: broodd says so itself, and more of it. */
	if (ctl_locate(ctl, &why) == 0)
		owner = ctl_owner(ctl, NULL, &why);
	if (owner == -1)
		return ctl_fail(ctl, CTL_DENIED, "%s", why.text);
	if (owner > 0 && !local_is_stopping(ctl))
		return ctl_done(ctl, "already running (pid %d)", (int)owner);
	if (owner > 0)
		code = local_await_end(ctl, owner, &why);
	if (code == CMD_OK)
		code = local_start(ctl, &why);
	if (code != CMD_OK)
		return ctl_fail(ctl, code, "%s", why.text);
	return ctl_done(ctl, "%s", why.text);
}

/* TERM, and CONT so that a stopped process gets to see it. */
static int
local_signal(int pidfd, pid_t pid, struct why *why)
{
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0) == 0) {
		syscall(SYS_pidfd_send_signal, pidfd, SIGCONT, NULL, 0);
		return CMD_OK;
	}
	if (errno == ESRCH)
		return CMD_OK;
	why_set(why, "cannot signal process %d: %m", (int)pid);
	return errno == EPERM ? CTL_DENIED : CMD_FAILED;
}

/*
 * Asks over the open connection. CLIENT_FINE: *answer is the master's. A
 * master drains for as long as it is configured to, but its first word comes at
 * once: CLIENT_MUTE with time left means that it is stuck.
 */
static enum client_end
local_ask(const struct ctl *ctl, struct client *client, json_t **answer,
    struct why *why)
{
	json_t *request = remote_request(CMD_ID_stop, NULL, 0);
	enum client_end end;

	client->deadline_ns = local_patience(ctl);
	end = client_send(client, request, why);
	json_decref(request);
	if (end != CLIENT_FINE)
		return end;
	if (client_heard(client, client->deadline_ns))
		client->deadline_ns = ctl->deadline_ns;
	return remote_answer(ctl, client, answer, why);
}

/* The question did not reach the master, or it died over it: CMD_OK when it is
 * on its way out now, one way or the other. */
static int
local_insist(const struct ctl *ctl, int pidfd, pid_t pid, enum client_end end,
    struct why *why)
{
	char text[WHY_SIZE + 64];

	if (end == CLIENT_DENIED)
		return CTL_DENIED;
	if (end == CLIENT_GONE && wait_fd(pidfd, POLLIN, 0) == 1)
		return CMD_OK;
	if (end == CLIENT_MUTE && ctl_left_ns(ctl) == 0)
		return CMD_OK; /* it was draining all the while */
	snprintf(text, sizeof(text), "%s; sending SIGTERM to process %d",
	    why->text, (int)pid);
	ctl_event(ctl, text);
	return local_signal(pidfd, pid, why);
}

/* What the master's own answer means; without one it is as good as asked. */
static int
local_judge(const json_t *answer, struct why *why)
{
	const char *message = json_string_value(
	    json_object_get(answer, "message"));

	if (json_is_true(json_object_get(answer, "ok")))
		return CMD_OK;
	why_set(why, "%s",
	    message != NULL ? message :
			      "the master refused to stop and did not say why");
	return CMD_FAILED;
}

/* Asks, and where that does not work signals; then waits for the end. */
static int
local_stop_process(const struct ctl *ctl, int pidfd, pid_t pid,
    struct client *client, enum client_end end, struct why *why)
{
	json_t *answer = NULL;
	int code;

	if (end == CLIENT_FINE)
		end = local_ask(ctl, client, &answer, why);
	if (end == CLIENT_FINE)
		code = local_judge(answer, why);
	else
		code = local_insist(ctl, pidfd, pid, end, why);
	json_decref(answer);
	if (code != CMD_OK)
		return code;

	if (wait_fd(pidfd, POLLIN, ctl->deadline_ns) == 1) {
		why_set(why, "stopped");
		return CMD_OK;
	}
	why_set(why,
	    "process %d is still there and goes on draining; kill -QUIT %d "
	    "ends that, kill -KILL %d everything",
	    (int)pid, (int)pid, (int)pid);
	return CMD_FAILED;
}

/* Stops the service. Returns the exit status, with a sentence in any case. */
static int
local_stop(const struct ctl *ctl, struct why *why)
{
	struct client client = { .fd = -1 };
	enum client_end end;
	bool stale = false;
	pid_t pid = 0;
	int pidfd = -1, code = CMD_OK;

	if (ctl->pid_file != NULL)
		pid = ctl_owner(ctl, &stale, why);
	if (pid == -1)
		return CTL_DENIED;
	if (pid == 0 && ctl->pid_file != NULL) {
		why_set(why,
		    stale ? "not running; it had died and left its "
			    "pid file behind" :
			    "not running");
		return CMD_OK;
	}

	end = client_open(&client, ctl->socket, local_patience(ctl), why);
	if (pid == 0)
		pid = client.peer; /* -s */
	if (pid > 0)
		code = local_watch(ctl, pid, &pidfd, why);
	else if (end == CLIENT_ABSENT)
		why_set(why, "not running");
	else
		code = end == CLIENT_DENIED ? CTL_DENIED : CMD_FAILED;

	if (pidfd != -1)
		code = local_stop_process(ctl, pidfd, pid, &client, end, why);
	else if (pid > 0 && code == CMD_OK)
		why_set(why, "stopped");
	fd_close(&pidfd);
	client_close(&client);
	return code;
}

int
ctl_stop(struct ctl *ctl, char *const *args, int n)
{
	struct why why;
	int code;

	(void)args;
	(void)n;
	if (ctl_locate(ctl, &why) == -1)
		return ctl_fail(ctl, CTL_CONFIG, "%s", why.text);
	code = local_stop(ctl, &why);
	if (code != CMD_OK)
		return ctl_fail(ctl, code, "%s", why.text);
	return ctl_done(ctl, "%s", why.text);
}

int
ctl_restart(struct ctl *ctl, char *const *args, int n)
{
	struct why why;
	bool located;
	int code;

	(void)args;
	(void)n;
	if (ctl->socket_option != NULL)
		return local_needs_config(ctl);
	/* Before anything is touched; broodd itself has said what is wrong. */
	located = ctl_locate(ctl, &why) == 0;
	code = broodd_run(ctl, "-td", &why);
	if (code == CMD_OK && !located)
		code = CTL_CONFIG;
	if (code != CMD_OK)
		return ctl_fail(ctl, code, "%s\nnothing was touched", why.text);
	code = local_stop(ctl, &why);
	if (code == CMD_OK) {
		ctl_event(ctl, why.text);
		code = local_start(ctl, &why);
	}
	if (code != CMD_OK)
		return ctl_fail(ctl, code, "%s", why.text);
	return ctl_done(ctl, "%s", why.text);
}
