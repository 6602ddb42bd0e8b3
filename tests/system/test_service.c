/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_service - being a daemon: start, ready, stop, pid file, privileges, and
 * how a stop drains.
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

static void
require_mode(const char *path, mode_t mode)
{
	struct stat st;

	ck_assert_msg(stat(path, &st) == 0, "no %s", path);
	ck_assert_msg((st.st_mode & 07777) == mode, "%s has mode %04o", path,
	    st.st_mode & 07777);
}

START_TEST(starts_serves_stops)
{
	struct daemon d;
	char *text;

	daemon_start(&d, &(struct daemon_conf){ 0 });
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	text = text_read(d.pid_file, NULL);
	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(atoi(text), d.pid);
	free(text);
	require_mode(d.socket, 0600);
	text = text_format("%s/run", d.dir);
	require_mode(text, 0755);
	free(text);
	text = text_format("%s/state", d.dir);
	require_mode(text, 0750);
	free(text);
	daemon_stop(&d);
}
END_TEST

START_TEST(int_and_quit_stop)
{
	static const int signals[] = { SIGINT, SIGQUIT };

	for (size_t i = 0; i < 2; i++) {
		struct daemon d;

		daemon_start(&d, &(struct daemon_conf){ 0 });
		kill(d.pid, signals[i]);
		ck_assert_int_eq(daemon_wait(&d), 0);
		daemon_require_clean(&d);
		daemon_release(&d);
	}
}
END_TEST

/* Waiting for a quiet connection would take until stop_timeout. */
START_TEST(idle_connections_do_not_delay_the_stop)
{
	struct daemon d;
	struct reply reply;
	int quiet, kept;

	daemon_start(&d,
	    &(struct daemon_conf){
		.service = "stop_timeout = 3600.0; start_timeout = 60.0;",
		.rest = "idle_timeout = 3600.0; receive_timeout = 3600.0;" });
	quiet = raw_connect(&d);
	kept = raw_connect(&d);
	raw_text(kept, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert(raw_reply(kept, &reply, false));
	ck_assert_int_eq(reply.status, 200);
	reply_release(&reply);
	daemon_stop(&d);
	ck_assert(raw_ended(quiet));
	ck_assert(raw_ended(kept));
	close(quiet);
	close(kept);
}
END_TEST

START_TEST(second_start_is_refused)
{
	struct daemon d, second;
	char *reason, *number;
	int status = 0;

	daemon_start(&d, &(struct daemon_conf){ 0 });
	second = d;
	reason = daemon_try(&second, &status);
	ck_assert_ptr_nonnull(reason);
	number = text_format("%d", d.pid);
	text_require("the reason", reason, number);
	text_require("the reason", reason, "running");
	ck_assert_int_eq(status, 1);
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	free(number);
	free(reason);
	daemon_stop(&d);
}
END_TEST

/* broodd in the background, by its own doing. */
START_TEST(daemon_mode)
{
	struct daemon d;
	const char *argv[DAEMON_ARGS];
	struct run run;
	char *text;
	int status;

	daemon_init(&d);
	daemon_configure(&d,
	    &(struct daemon_conf){ .log = "target = \"$DIR/brood.log\";" });
	daemon_args(argv, (const char *const[]){ "-c", d.conf, "-d", NULL });
	/* returns when the service is ready, and lets go of our pipes */
	run_program(&run, argv, NULL);
	ck_assert_msg(run.status == 0, "status %d: %s", run.status, run.err);
	run_release(&run);
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	text = text_read(d.pid_file, NULL);
	ck_assert_ptr_nonnull(text);
	d.pid = atoi(text);
	free(text);
	/* a session of its own, adopted by us as the next subreaper */
	ck_assert_int_ne(getsid(d.pid), getsid(0));
	ck_assert_int_ge(d.pidfd = proc_open(d.pid), 0);
	kill(d.pid, SIGTERM);
	ck_assert(proc_wait(d.pidfd));
	ck_assert_int_eq(waitpid(d.pid, &status, 0), d.pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	daemon_require_clean(&d);
	daemon_release(&d);
}
END_TEST

START_TEST(daemon_mode_says_why_it_failed)
{
	struct daemon d;
	const char *argv[DAEMON_ARGS];
	struct run run;

	daemon_init(&d);
	daemon_configure(&d,
	    &(struct daemon_conf){ .log = "target = \"$DIR/brood.log\";",
		.route = { ROUTE("GET", "/x", "hello.nothing") } });
	daemon_args(argv, (const char *const[]){ "-c", d.conf, "-d", NULL });
	run_program(&run, argv, NULL);
	ck_assert_int_eq(run.status, 78);
	text_require("stderr", run.err, "hello.nothing");
	run_release(&run);
	daemon_require_clean(&d);
	daemon_release(&d);
}
END_TEST

START_TEST(failed_start_says_why)
{
	struct daemon d;

	daemon_init(&d);
	daemon_configure(&d,
	    &(struct daemon_conf){
		.route = { ROUTE("GET", "/x", "hello.nothing") } });
	daemon_require_refused(&d, "hello.nothing", NULL);
	daemon_require_clean(&d);
	daemon_release(&d);
}
END_TEST

START_TEST(root_needs_a_user)
{
	struct daemon d;

	if (getuid() != 0)
		return;
	daemon_init(&d);
	daemon_configure(&d, &(struct daemon_conf){ .user = "" });
	daemon_require_refused(&d, "service.user", NULL);
	daemon_require_clean(&d);
	daemon_release(&d);
}
END_TEST

static void
require_ids(pid_t pid, const char *field, unsigned id)
{
	char path[64], *text, *wanted;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	ck_assert_ptr_nonnull(text = text_read(path, NULL));
	/* real, effective, saved, file system */
	wanted = text_format("%s:\t%u\t%u\t%u\t%u\n", field, id, id, id, id);
	text_require(path, text, wanted);
	free(wanted);
	free(text);
}

START_TEST(children_are_the_user)
{
	struct daemon d;
	struct passwd *nobody = getpwnam("nobody");
	pid_t pids[16];
	size_t n;

	if (getuid() != 0)
		return;
	ck_assert_ptr_nonnull(nobody);
	daemon_start(&d, &(struct daemon_conf){ 0 });
	ck_assert_uint_ge(n = ctl_pids(&d, pids, 16), 2);
	for (size_t i = 0; i < n; i++) {
		require_ids(pids[i], "Uid", nobody->pw_uid);
		require_ids(pids[i], "Gid", nobody->pw_gid);
		ck_assert_int_eq(proc_field(pids[i], "NoNewPrivs"), 1);
	}
	require_ids(d.pid, "Uid", 0);
	daemon_stop(&d);
}
END_TEST

static bool
has_a_child(void *ctx)
{
	const struct daemon *d = ctx;
	pid_t pids[4];

	return proc_children(d->pid, pids, 4) > 0;
}

/* Ctrl-C reaches the whole group; only the master may take it as an order. */
START_TEST(int_to_the_whole_group)
{
	struct daemon d;
	struct reply reply;
	int client, gate;

	daemon_start(&d,
	    &(struct daemon_conf){
		.service = "stop_timeout = 3600.0; start_timeout = 60.0;",
		.modules = MODULE_GATE,
		.route = { GATE_ROUTES } });
	gate = gate_make(&d);
	client = gate_call(&d);
	ctl_require_pool(&d, "rest", "busy", 1, 1);
	ck_assert_int_eq(kill(-d.pid, SIGINT), 0);
	gate_let(gate, 1);
	ck_assert(raw_reply(client, &reply, false));
	ck_assert_int_eq(reply.status, 200);
	reply_release(&reply);
	close(client);
	close(gate);
	ck_assert_int_eq(daemon_wait(&d), 0);
	daemon_require_clean(&d);
	daemon_release(&d);
}
END_TEST

/* What whoever started us left open is no business of a worker's. */
START_TEST(stray_descriptors)
{
	struct daemon d;
	pid_t pids[16];
	size_t n;
	int stray[2];

	ck_assert_int_eq(pipe2(stray, O_CLOEXEC), 0);
	daemon_init(&d);
	d.stray_fd = stray[1];
	daemon_configure(&d, &(struct daemon_conf){ 0 });
	daemon_start_again(&d);
	n = ctl_pids(&d, pids, 16);
	for (size_t i = 0; i < n; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/proc/%d/fd/60", pids[i]);
		ck_assert_msg(access(path, F_OK) == -1, "child %d has it",
		    pids[i]);
	}
	close(stray[0]);
	close(stray[1]);
	daemon_stop(&d);
}
END_TEST

/* Told to stop before it was ready: it stops, and leaves nobody. */
START_TEST(stop_during_the_start)
{
	struct daemon d;
	int ready[2];

	daemon_init(&d);
	daemon_configure(&d,
	    &(struct daemon_conf){ .module = { "start_hangs" }, .routes = "" });
	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	daemon_spawn(&d, ready[1]);
	close(ready[1]);
	ck_assert(proc_until(d.pidfd, has_a_child, &d));
	kill(d.pid, SIGTERM);
	daemon_wait(&d);
	daemon_require_no_child(&d);
	close(ready[0]);
	daemon_release(&d);
}
END_TEST

static bool
stop_was_noticed(void *ctx)
{
	const struct daemon *d = ctx;
	char *log = daemon_log(d);
	bool gone = text_has(log, "stopping") || text_has(log, "draining");

	free(log);
	return gone;
}

/* The order to stop comes while a call is served: it is finished first. */
START_TEST(stop_drains)
{
	struct daemon d;
	struct reply reply;
	int client, gate;

	daemon_start(&d,
	    &(struct daemon_conf){
		.service = "stop_timeout = 3600.0; start_timeout = 60.0;",
		.modules = MODULE_GATE,
		.route = { GATE_ROUTES } });
	gate = gate_make(&d);
	client = gate_call(&d);
	ctl_require_pool(&d, "rest", "busy", 1, 1);
	kill(d.pid, SIGTERM);
	ck_assert(proc_until(d.pidfd, stop_was_noticed, &d));
	gate_let(gate, 1);
	ck_assert(raw_reply(client, &reply, false));
	ck_assert_int_eq(reply.status, 200);
	reply_release(&reply);
	ck_assert(raw_ended(client));
	close(client);
	close(gate);
	ck_assert_int_eq(daemon_wait(&d), 0);
	daemon_require_clean(&d);
	daemon_release(&d);
}
END_TEST

/* The drain has an end, stop_timeout, and a ladder after it. */
START_TEST(stop_is_bounded)
{
	struct daemon d;
	int client, gate;

	daemon_start(&d,
	    &(struct daemon_conf){
		.service = "stop_timeout = 0.1; kill_grace = 0.05;"
			   "start_timeout = 60.0;",
		.modules = MODULE_GATE,
		.route = { GATE_ROUTES },
		.rest = "request_timeout = 3600.0;" });
	gate = gate_make(&d);
	client = gate_call(&d);
	ctl_require_pool(&d, "rest", "busy", 1, 1);
	daemon_stop(&d);
	close(client);
	close(gate);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE_MEMORY(starts_serves_stops),
		CASE(int_and_quit_stop),
		CASE(idle_connections_do_not_delay_the_stop),
		CASE(second_start_is_refused),
		CASE(daemon_mode),
		CASE(daemon_mode_says_why_it_failed),
		CASE(failed_start_says_why),
		CASE(root_needs_a_user),
		CASE(children_are_the_user),
		CASE(int_to_the_whole_group),
		CASE(stray_descriptors),
		CASE(stop_during_the_start),
		CASE(stop_drains),
		CASE(stop_is_bounded),
	};

	return SUITE_RUN("service", cases);
}
