/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_faults - what happens to the machine under a service: its master is
 * killed, descriptors or processes run out. And the opposite: nothing happens
 * at all, and nobody wakes up.
 */
#include <check.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/gate.h"
#include "lib/http.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/text.h"

START_TEST(master_killed_leaves_nobody)
{
	struct daemon d;
	pid_t pids[16];
	int fds[16];
	size_t n;
	char *unix_path;

	daemon_start(&d,
	    &(struct daemon_conf){
		.service = "stop_timeout = 3600.0; start_timeout = 60.0;",
		.listen = "\"127.0.0.1:$PORT\", \"unix:$DIR/rest.sock\"" });
	unix_path = text_format("%s/rest.sock", d.dir);
	ck_assert_uint_ge(n = ctl_pids(&d, pids, 16), 2);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_ge(fds[i] = proc_open(pids[i]), 0);
	kill(d.pid, SIGKILL);
	ck_assert_int_eq(daemon_wait(&d), 128 + SIGKILL);
	for (size_t i = 0; i < n; i++) {
		ck_assert_msg(proc_wait(fds[i]), "child %d lives on", pids[i]);
		close(fds[i]);
	}
	daemon_require_no_child(&d);
	/* what it could not remove is in nobody's way */
	ck_assert_int_eq(access(d.pid_file, F_OK), 0);
	ck_assert_int_eq(access(d.socket, F_OK), 0);
	ck_assert_int_eq(access(unix_path, F_OK), 0);
	daemon_start_again(&d);
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	close(raw_connect_unix(unix_path));
	free(unix_path);
	daemon_stop(&d);
}
END_TEST

/* A worker in the middle of a long call must not outlive the master either. */
START_TEST(master_killed_during_a_call)
{
	struct daemon d;
	pid_t pids[16];
	size_t n;
	int client, gate;

	daemon_start(&d,
	    &(struct daemon_conf){
		.service = "stop_timeout = 3600.0; start_timeout = 60.0;",
		.modules = MODULE_GATE,
		.route = { GATE_ROUTES },
		.rest = "request_timeout = 3600.0;" });
	gate = gate_make(&d);
	client = gate_call(&d);
	ctl_require_pool(&d, "rest", "busy", 1, 1);
	ck_assert_uint_ge(n = ctl_pids(&d, pids, 16), 2);
	kill(d.pid, SIGKILL);
	daemon_wait(&d);
	daemon_require_no_child(&d);
	ck_assert(raw_ended(client));
	close(client);
	close(gate);
	daemon_release(&d);
}
END_TEST

/* Wake-ups of the master and all its children so far. */
static long
wake_ups(pid_t master)
{
	pid_t pids[32];
	size_t n = proc_children(master, pids, 32);
	long sum = proc_field(master, "voluntary_ctxt_switches");

	for (size_t i = 0; i < n; i++)
		sum += proc_field(pids[i], "voluntary_ctxt_switches");
	return sum;
}

START_TEST(idle_family_sleeps)
{
	struct daemon d;
	struct pollfd p = { .events = POLLIN };
	long before;

	daemon_start(&d,
	    &(struct daemon_conf){
		.service =
		    "heartbeat_interval = 600.0; heartbeat_timeout = 3600.0;"
		    "start_timeout = 60.0;",
		.rest = "idle_timeout = 0.05;" });
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	ctl_require_pool(&d, "rest", "ready", 2, 2);
	p.fd = d.pidfd;
	/* let what the request and the status left behind come to rest */
	ck_assert_int_eq(poll(&p, 1, 500), 0);
	before = wake_ups(d.pid);
	ck_assert_int_gt(before, 0);
	ck_assert_int_eq(poll(&p, 1, 1500), 0);
	ck_assert_int_eq(wake_ups(d.pid), before);
	daemon_stop(&d);
}
END_TEST

/* Descriptors run out: the master goes on, and recovers when there are some. */
START_TEST(master_survives_fd_exhaustion)
{
	struct daemon d;
	struct rlimit old, none = { 3, 0 };
	pid_t pids[16];
	size_t from;
	char *line;

	daemon_start(&d, &(struct daemon_conf){ 0 });
	ck_assert_int_eq(prlimit(d.pid, RLIMIT_NOFILE, NULL, &old), 0);
	none.rlim_max = old.rlim_max;
	ck_assert_uint_ge(ctl_pids(&d, pids, 16), 2);
	ck_assert_int_eq(prlimit(d.pid, RLIMIT_NOFILE, &none, NULL), 0);
	from = daemon_log_size(&d);
	kill(pids[0], SIGKILL);
	line = daemon_await_line(&d, &from, "Too many open files");
	ck_assert_msg(line != NULL, "the master says nothing");
	free(line);
	/* its sibling is not bothered */
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	ck_assert_int_eq(prlimit(d.pid, RLIMIT_NOFILE, &old, NULL), 0);
	ctl_require_pool(&d, "rest", "ready", 2, 2);
	daemon_stop(&d);
}
END_TEST

/* Fork fails: the same. Root has no limit on processes, so not as root. */
START_TEST(master_survives_fork_failure)
{
	struct daemon d;
	struct rlimit old, none = { 1, 0 };
	pid_t pids[16];
	size_t from;
	char *line;

	if (getuid() == 0)
		return;
	daemon_start(&d, &(struct daemon_conf){ 0 });
	ck_assert_int_eq(prlimit(d.pid, RLIMIT_NPROC, NULL, &old), 0);
	none.rlim_max = old.rlim_max;
	ck_assert_uint_ge(ctl_pids(&d, pids, 16), 2);
	ck_assert_int_eq(prlimit(d.pid, RLIMIT_NPROC, &none, NULL), 0);
	from = daemon_log_size(&d);
	kill(pids[0], SIGKILL);
	line = daemon_await_line(&d, &from, "fork");
	ck_assert_msg(line != NULL, "the master says nothing");
	free(line);
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	ck_assert_int_eq(prlimit(d.pid, RLIMIT_NPROC, &old, NULL), 0);
	ctl_require_pool(&d, "rest", "ready", 2, 2);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE(master_killed_leaves_nobody),
		CASE(master_killed_during_a_call),
		CASE(idle_family_sleeps),
		CASE(master_survives_fd_exhaustion),
		CASE(master_survives_fork_failure),
	};

	return SUITE_RUN("faults", cases);
}
