/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_control - the control socket and those who should not be talking to it,
 * and what the commands answer to those who should.
 */
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/http.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/text.h"

static void
require_line(const struct daemon *d, const char *line, int code,
    const char *part)
{
	json_t *answer = ctl_line(d, line);
	char *text;

	ck_assert_msg(answer != NULL, "no answer to %.100s", line);
	text = json_dumps(answer, 0);
	ck_assert_msg(ctl_int(answer, "code") == code, "%.100s: %s", line,
	    text);
	ck_assert(json_is_boolean(json_object_get(answer, "ok")));
	ck_assert_int_eq(json_is_true(json_object_get(answer, "ok")),
	    code == 0);
	text_require(line, ctl_text(answer, "message"), part);
	free(text);
	json_decref(answer);
}

START_TEST(nonsense)
{
	struct daemon d;
	char *long_name, *line;

	daemon_start(&d, &(struct daemon_conf){ 0 });
	require_line(&d, "{\"cmd\":\"statsu\"}", 2, "status");
	require_line(&d, "{\"cmd\":\"frobnicate\",\"args\":[]}", 2,
	    "frobnicate");
	require_line(&d, "{\"cmd\":\"start\",\"args\":[]}", 2, "start");
	require_line(&d, "{\"cmd\":\"scale\",\"args\":[\"rest\"]}", 2, "POOL");
	require_line(&d, "{\"cmd\":\"scale\",\"args\":[1,2]}", 2, "POOL");
	require_line(&d, "{\"cmd\":\"scale\",\"args\":[\"best\",\"1\"]}", 2,
	    "best");
	require_line(&d, "{\"cmd\":\"status\",\"args\":[\"x\"]}", 2, "status");
	require_line(&d, "{\"cmd\":\"log\",\"args\":[\"loud\"]}", 2, "loud");
	require_line(&d, "{\"cmd\":7}", 2, "");
	require_line(&d, "{}", 2, "");
	require_line(&d, "[]", 2, "");
	require_line(&d, "garbage", 2, "");
	require_line(&d, "{\"cmd\":\"status\"", 2, "");
	require_line(&d, "{\"cmd\":\"status\"} {}", 2, "");
	require_line(&d, "\x01\x02\xff\xfe", 2, "");
	require_line(&d, "{\"cmd\":\"\\u0000\"}", 2, "");
	require_line(&d, "", 2, "");
	long_name = text_repeat('x', 5000);
	line = text_format("{\"cmd\":\"%s\"}", long_name);
	require_line(&d, line, 2, "xxx");
	free(line);
	line = text_format("{\"cmd\":\"scale\",\"args\":[\"%s\",\"1\"]}",
	    long_name);
	require_line(&d, line, 2, "xxx");
	free(line);
	free(long_name);
	/* deeper than anything needs to be */
	line = text_repeat('[', 60000);
	require_line(&d, line, 2, "");
	free(line);
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	daemon_stop(&d);
}
END_TEST

START_TEST(oversized_line)
{
	struct daemon d;
	char *big = text_repeat('x', 10000);
	json_t *answer;
	int fd;

	daemon_start(&d,
	    &(struct daemon_conf){ .control = "max_line = 1024;" });
	fd = raw_connect_unix(d.socket);
	raw_text(fd, big);
	answer = ctl_read(fd);
	if (answer != NULL)
		ck_assert_int_ne(ctl_int(answer, "code"), 0);
	json_decref(answer);
	ck_assert(raw_ended(fd));
	close(fd);
	free(big);
	json_decref(ctl_status(&d));
	daemon_stop(&d);
}
END_TEST

START_TEST(half_a_line)
{
	struct daemon d;
	int silent, half, slow;
	struct pollfd p = { .events = POLLIN };

	daemon_start(&d, &(struct daemon_conf){ .control = "timeout = 0.3;" });
	silent = raw_connect_unix(d.socket);
	half = raw_connect_unix(d.socket);
	raw_text(half, "{\"cmd\":\"sta");
	json_decref(ctl_status(&d));
	ck_assert(raw_ended(silent));
	ck_assert(raw_ended(half));
	close(silent);
	close(half);
	/* one byte at a time is no way round the limit */
	slow = raw_connect_unix(d.socket);
	p.fd = slow;
	while (poll(&p, 1, 20) == 0)
		raw_text(slow, " ");
	ck_assert(raw_ended(slow));
	close(slow);
	/* an end of file in the middle */
	half = raw_connect_unix(d.socket);
	raw_text(half, "{\"cmd\":\"status\"}");
	shutdown(half, SHUT_WR);
	ck_assert(raw_ended(half));
	close(half);
	json_decref(ctl_status(&d));
	daemon_stop(&d);
}
END_TEST

/* It asks and never reads; the answer is larger than a socket's buffer. */
START_TEST(client_that_never_reads)
{
	struct daemon d;
	int fds[4], small = 1;

	daemon_start(&d,
	    &(struct daemon_conf){ .control = "timeout = 0.3; max_clients = 4;",
		.workers = "start = 60; max_spare = 60; max = 60;" });
	for (int i = 0; i < 4; i++) {
		fds[i] = raw_connect_unix(d.socket);
		setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &small,
		    sizeof(small));
		raw_text(fds[i], "{\"cmd\":\"status\"}\n");
	}
	/* they are cut off, which makes room for us */
	json_decref(ctl_status(&d));
	for (int i = 0; i < 4; i++) {
		ck_assert(raw_ended(fds[i]));
		close(fds[i]);
	}
	daemon_stop(&d);
}
END_TEST

START_TEST(too_many_clients)
{
	struct daemon d;
	int fds[40];

	daemon_start(&d,
	    &(struct daemon_conf){
		.control = "timeout = 0.5; max_clients = 3;" });
	for (int i = 0; i < 40; i++)
		fds[i] = raw_connect_unix(d.socket);
	/* whether they are turned away or wait for their turn: it ends */
	for (int i = 0; i < 40; i++) {
		ck_assert(raw_ended(fds[i]));
		close(fds[i]);
	}
	json_decref(ctl_status(&d));
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	daemon_stop(&d);
}
END_TEST

START_TEST(client_that_leaves)
{
	struct daemon d;

	daemon_start(&d, &(struct daemon_conf){ 0 });
	for (int i = 0; i < 100; i++) {
		int fd = raw_connect_unix(d.socket);

		raw_text(fd,
		    i % 2 == 0 ?
			"{\"cmd\":\"status\"}\n" :
			"{\"cmd\":\"scale\",\"args\":[\"rest\",\"3\"]}\n");
		close(fd);
	}
	ctl_require_pool(&d, "rest", "ready", 3, 3);
	daemon_stop(&d);
}
END_TEST

/* Somebody else, and the socket's mode is wide open: the uid still counts. */
START_TEST(peer_of_another_uid)
{
	struct daemon d;
	pid_t pid;
	int status;

	if (getuid() != 0)
		return;
	daemon_start(&d, &(struct daemon_conf){ 0 });
	ck_assert_int_eq(chmod(d.socket, 0666), 0);
	pid = fork();
	if (pid == 0) {
		char bytes[4096];
		ssize_t n;
		int fd;

		if (setgid(65534) == -1 || setuid(65534) == -1)
			_exit(2);
		fd = raw_connect_unix(d.socket);
		raw_text(fd, "{\"cmd\":\"stop\",\"args\":[]}\n");
		n = read(fd, bytes, sizeof(bytes) - 1);
		bytes[n > 0 ? n : 0] = '\0';
		_exit(strstr(bytes, "\"ok\":true") != NULL ? 1 : 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	json_decref(ctl_status(&d));
	daemon_stop(&d);
}
END_TEST

static void
require_keys(json_t *object, const char *const keys[])
{
	for (size_t i = 0; keys[i] != NULL; i++)
		ck_assert_msg(json_object_get(object, keys[i]) != NULL,
		    "no \"%s\"", keys[i]);
}

START_TEST(shape_of_status)
{
	static const char *const top[] = { "service", "version", "pid", "state",
		"uptime", "generation", "config", "log_level", "reload",
		"listen", "pools", "children", NULL };
	static const char *const pool[] = { "role", "target", "wanted", "ready",
		"busy", "spare", "starting", "draining", "min_spare",
		"max_spare", "max", "calls", "errors", "restarts", "held",
		"retry_in", "last_restart", NULL };
	static const char *const child[] = { "slot", "role", "pid", "state",
		"generation", "uptime", "calls", "errors", "connections",
		"heartbeat_age", "rss_bytes", "call", "restarts", "why", NULL };
	struct daemon d;
	struct run run;
	json_t *data, *row;

	daemon_start(&d, &(struct daemon_conf){ 0 });
	ctl_run(&d, &run, "--json", "status", NULL);
	ck_assert_msg(run.status == 0, "%s%s", run.out, run.err);
	ck_assert_ptr_nonnull(data = json_loads(run.out, 0, NULL));
	ck_assert(json_is_true(json_object_get(data, "ok")));
	require_keys(data, top);
	ck_assert_str_eq(ctl_text(data, "service"), "test");
	ck_assert_str_eq(ctl_text(data, "state"), "running");
	ck_assert_str_eq(ctl_text(data, "config"), d.conf);
	ck_assert_int_eq(ctl_int(data, "pid"), d.pid);
	ck_assert_uint_eq(json_array_size(json_object_get(data, "listen")), 1);
	ck_assert_ptr_nonnull(row = ctl_pool_row(data, "rest"));
	require_keys(row, pool);
	/* two REST workers, a hub and a task worker */
	ck_assert_uint_eq(json_array_size(json_object_get(data, "children")),
	    4);
	ck_assert_ptr_nonnull(row = ctl_row(data, 0));
	require_keys(row, child);
	ck_assert_str_eq(ctl_text(row, "state"), "ready");
	ck_assert_int_gt(ctl_int(row, "rss_bytes"), 100000);
	json_decref(data);
	run_release(&run);
	/* for people */
	ctl_run(&d, &run, "status", NULL);
	ck_assert_int_eq(run.status, 0);
	text_require("status", run.out, "rest");
	text_require("status", run.out, "ready");
	run_release(&run);
	daemon_stop(&d);
}
END_TEST

START_TEST(log_and_explain)
{
	struct daemon d;
	struct run run;
	json_t *status;
	size_t from;
	char *line;

	daemon_start(&d, &(struct daemon_conf){ .log = "level = \"notice\";" });
	ctl_run(&d, &run, "log", "debug", NULL);
	ck_assert_int_eq(run.status, 0);
	run_release(&run);
	status = ctl_status(&d);
	ck_assert_str_eq(ctl_text(status, "log_level"), "debug");
	json_decref(status);
	/* the children heard of it as well */
	from = daemon_log_size(&d);
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	line = daemon_await_line(&d, &from, "/hello");
	ck_assert_ptr_nonnull(line);
	free(line);
	ctl_run(&d, &run, "log", "loud", NULL);
	ck_assert_int_eq(run.status, 2);
	text_require("stderr", run.err, "loud");
	run_release(&run);
	ctl_run(&d, &run, "explain", "rest", NULL);
	ck_assert_int_eq(run.status, 0);
	text_require("explain", run.out, "2");
	run_release(&run);
	ctl_run(&d, &run, "explain", "nothing", NULL);
	ck_assert_int_eq(run.status, 2);
	run_release(&run);
	ctl_run(&d, &run, "--json", "explain", "rest", NULL);
	ck_assert_int_eq(run.status, 0);
	status = json_loads(run.out, 0, NULL);
	ck_assert(json_is_array(
	    json_object_get(json_object_get(status, "data"), "decisions")));
	json_decref(status);
	run_release(&run);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE_MEMORY(nonsense),
		CASE(oversized_line),
		CASE(half_a_line),
		CASE(client_that_never_reads),
		CASE(too_many_clients),
		CASE(client_that_leaves),
		CASE(peer_of_another_uid),
		CASE(shape_of_status),
		CASE(log_and_explain),
	};

	return SUITE_RUN("control", cases);
}
