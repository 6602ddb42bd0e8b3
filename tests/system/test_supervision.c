/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_supervision - children that die, hang or keep dying: they are replaced
 * or held, what happened is told, and the others go on.
 */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/gate.h"
#include "lib/http.h"
#include "lib/load.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/text.h"

#define FAST                                              \
	"start_timeout = 60.0; respawn_min_delay = 0.01;" \
	"respawn_max_delay = 0.2; respawn_hold = 3;"

static void
touch(const struct daemon *d, const char *name)
{
	char *path = text_format("%s/%s", d->dir, name);

	text_write(path, "");
	free(path);
}

static void
untouch(const struct daemon *d, const char *name)
{
	char *path = text_format("%s/%s", d->dir, name);

	ck_assert_int_eq(unlink(path), 0);
	free(path);
}

struct gone {
	pid_t pid;
};

static bool
is_gone(json_t *status, void *ctx)
{
	const struct gone *gone = ctx;

	return ctl_child(status, gone->pid) == NULL;
}

static bool
successor_knows(json_t *status, void *ctx)
{
	json_t *row;
	size_t i;

	(void)ctx;
	for (i = 0; (row = ctl_row(status, i)) != NULL; i++)
		if (ctl_int(row, "restarts") > 0 &&
		    text_has(ctl_text(row, "why"), "SIGKILL"))
			return true;
	return false;
}

START_TEST(killed_worker_is_replaced)
{
	struct daemon d;
	struct load *load;
	pid_t pids[16];
	json_t *status;

	daemon_start(&d,
	    &(struct daemon_conf){
		.service = "start_timeout = 60.0; respawn_young = 0.0;",
		.log = "level = \"debug\"; access = false;" });
	load = load_start(&d, "/hello", 8, true);
	for (long i = 1; i <= 5; i++) {
		load_await(load, 100);
		ck_assert_uint_ge(ctl_pids(&d, pids, 16), 2);
		kill(pids[0], SIGKILL);
		ctl_require_pool(&d, "rest", "restarts", i, i);
		ctl_require_pool(&d, "rest", "ready", 2, 8);
	}
	load_await(load, 100);
	load_end(load);
	status = ctl_status(&d);
	text_require("last_restart",
	    ctl_text(ctl_pool_row(status, "rest"), "last_restart"), "SIGKILL");
	json_decref(status);
	/* the row of its successor knows as well */
	ctl_require(&d, "a row with restarts and why", successor_knows, NULL);
	daemon_stop(&d);
}
END_TEST

/* An operator who ends a worker in good order costs nobody a request. */
START_TEST(worker_told_to_go)
{
	struct daemon d;
	struct load *keep, *fresh;
	pid_t pids[16];

	daemon_start(&d, &(struct daemon_conf){ 0 });
	keep = load_start(&d, "/hello", 4, true);
	fresh = load_start(&d, "/hello", 4, false);
	for (int i = 0; i < 5; i++) {
		struct gone gone;

		load_await(keep, 50);
		load_await(fresh, 50);
		ck_assert_uint_ge(ctl_pids(&d, pids, 16), 2);
		gone.pid = pids[0];
		kill(pids[0], SIGTERM);
		ctl_require(&d, "the worker gone", is_gone, &gone);
		ctl_require_pool(&d, "rest", "ready", 2, 8);
	}
	load_stop(keep);
	load_stop(fresh);
	daemon_stop(&d);
}
END_TEST

/* Signals that mean something to the master mean nothing to a worker. */
START_TEST(signals_a_worker_ignores)
{
	static const int signals[] = { SIGHUP, SIGUSR1, SIGUSR2, SIGINT,
		SIGQUIT, SIGPIPE };
	struct daemon d;
	pid_t pids[16];
	size_t n;

	daemon_start(&d,
	    &(struct daemon_conf){ .modules = MODULE_GATE,
		.route = { GATE_ROUTES } });
	ck_assert_uint_ge(n = ctl_pids(&d, pids, 16), 2);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < sizeof(signals) / sizeof(int); k++)
			kill(pids[i], signals[k]);
	for (int i = 0; i < 10; i++) {
		pid_t pid = gate_who(&d);

		ck_assert(pid == pids[0] || pid == pids[1]);
	}
	ck_assert_int_eq(ctl_pool(&d, "rest", "restarts"), 0);
	daemon_stop(&d);
}
END_TEST

static bool
is_held(json_t *status, void *ctx)
{
	json_t *row = ctl_pool_row(status, "rest");

	(void)ctx;
	return json_is_string(json_object_get(row, "held"));
}

static bool
is_not_held(json_t *status, void *ctx)
{
	return !is_held(status, ctx);
}

static bool
is_waiting(json_t *status, void *ctx)
{
	return is_held(status, ctx) &&
	    json_is_number(
		json_object_get(ctl_pool_row(status, "rest"), "retry_in"));
}

/* One of two dies, and whatever is put in its place dies in its start(). */
START_TEST(crash_loop_is_held)
{
	struct daemon d;
	pid_t pids[16];
	json_t *answer;

	daemon_init(&d);
	d.crashes = true;
	daemon_configure(&d,
	    &(struct daemon_conf){ .service = FAST,
		.modules = MODULE_GATE_WITH("crash_if = \"$DIR/crash\";"),
		.route = { GATE_ROUTES } });
	daemon_start_again(&d);
	touch(&d, "crash");
	ck_assert_uint_ge(ctl_pids(&d, pids, 16), 2);
	kill(pids[0], SIGKILL);
	ctl_require(&d, "held with retry_in", is_waiting, NULL);
	/* the other one works, and so does the master */
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(gate_who(&d), pids[1]);
	answer = ctl_ask(&d, "explain", "rest", NULL);
	ck_assert_int_eq(ctl_int(answer, "code"), 0);
	text_require("explain",
	    ctl_text(json_object_get(answer, "data"), "now"), "held");
	json_decref(answer);
	answer = ctl_ask(&d, "scale", "rest", "3", NULL);
	ck_assert_int_eq(ctl_int(answer, "code"), 1);
	text_require("scale", ctl_text(answer, "message"), "held");
	json_decref(answer);
	/* the cause goes away, and all is well without anybody's help */
	untouch(&d, "crash");
	ctl_require_pool(&d, "rest", "ready", 3, 3);
	ctl_require(&d, "not held any more", is_not_held, NULL);
	daemon_stop(&d);
}
END_TEST

/* A child that says that trying again is in vain: it is not tried again. */
START_TEST(exit_78_is_held_until_a_reload)
{
	struct daemon d;
	pid_t pids[16];
	json_t *status;

	daemon_start(&d,
	    &(struct daemon_conf){ .service = FAST,
		.modules = MODULE_GATE_WITH("fail_if = \"$DIR/fail\";"),
		.route = { GATE_ROUTES } });
	touch(&d, "fail");
	ck_assert_uint_ge(ctl_pids(&d, pids, 16), 2);
	kill(pids[0], SIGKILL);
	ctl_require(&d, "held", is_held, NULL);
	status = ctl_status(&d);
	text_require("held", ctl_text(ctl_pool_row(status, "rest"), "held"),
	    "told to fail");
	ck_assert(json_is_null(
	    json_object_get(ctl_pool_row(status, "rest"), "retry_in")));
	json_decref(status);
	ck_assert_int_eq(gate_who(&d), pids[1]);
	untouch(&d, "fail");
	ctl_reload(&d);
	ctl_require_pool(&d, "rest", "ready", 2, 2);
	ctl_require(&d, "not held any more", is_not_held, NULL);
	daemon_stop(&d);
}
END_TEST

/* A start() that never returns is ended by the start-up deadline. */
START_TEST(hanging_start_is_killed)
{
	struct daemon d;
	pid_t pids[16];
	char *line;

	daemon_start(&d,
	    &(struct daemon_conf){
		.service = "start_timeout = 2.0; kill_grace = 0.05;",
		.modules = MODULE_GATE_WITH("hang_if = \"$DIR/hang\";"),
		.route = { GATE_ROUTES } });
	touch(&d, "hang");
	ck_assert_uint_ge(ctl_pids(&d, pids, 16), 2);
	kill(pids[0], SIGKILL);
	line = daemon_await_line(&d, NULL, "start_timeout");
	ck_assert_msg(line != NULL, "not in the log");
	free(line);
	ck_assert_int_eq(gate_who(&d), pids[1]);
	untouch(&d, "hang");
	ctl_require_pool(&d, "rest", "ready", 2, 2);
	daemon_stop(&d);
}
END_TEST

/*
 * A worker whose loop stands still is killed; one that is as mute, but inside a
 * handler, is not. The first proves that the time has passed for the second.
 */
START_TEST(heartbeat)
{
	struct daemon d;
	pid_t pids[16], busy = 0;
	json_t *status, *row;
	size_t i;
	int gate, client;

	daemon_start(&d,
	    &(struct daemon_conf){
		.service = "start_timeout = 60.0; heartbeat_interval = 0.1;"
			   "heartbeat_timeout = 0.5; kill_grace = 0.05;",
		.rest = "request_timeout = 3600.0;",
		.modules = MODULE_GATE,
		.route = { GATE_ROUTES } });
	gate = gate_make(&d);
	client = gate_call(&d);
	ctl_require_pool(&d, "rest", "busy", 1, 1);
	status = ctl_status(&d);
	for (i = 0; (row = ctl_row(status, i)) != NULL; i++)
		if (json_is_object(json_object_get(row, "call")))
			busy = (pid_t)ctl_int(row, "pid");
	json_decref(status);
	ck_assert_int_ne(busy, 0);
	for (int round = 1; round <= 2; round++) {
		struct gone gone = { 0 };
		size_t n = ctl_pids(&d, pids, 16);

		for (i = 0; i < n; i++)
			if (pids[i] != busy)
				gone.pid = pids[i];
		ck_assert_int_ne(gone.pid, 0);
		kill(gone.pid, SIGSTOP);
		ctl_require(&d, "the stopped worker gone", is_gone, &gone);
		ctl_require_pool(&d, "rest", "restarts", round, round);
		ctl_require_pool(&d, "rest", "ready", 2, 8);
	}
	status = ctl_status(&d);
	text_require("last_restart",
	    ctl_text(ctl_pool_row(status, "rest"), "last_restart"),
	    "heartbeat");
	ck_assert_ptr_nonnull(ctl_child(status, busy));
	json_decref(status);
	gate_let(gate, 1);
	ck_assert_int_eq(gate_answer(client), busy);
	close(gate);
	daemon_stop(&d);
}
END_TEST

/* What `status` says of a call while it is served. */
START_TEST(status_shows_the_call)
{
	struct daemon d;
	struct reply reply;
	json_t *status, *row, *call = NULL;
	int gate, client;
	size_t i;

	daemon_start(&d,
	    &(struct daemon_conf){ .rest = "request_timeout = 1000.0;",
		.modules = MODULE_GATE,
		.route = { GATE_ROUTES } });
	gate = gate_make(&d);
	client = raw_connect(&d);
	raw_text(client,
	    "GET /pass?x=1 HTTP/1.1\r\nHost: x\r\n"
	    "X-Request-Id: look-at-me\r\n\r\n");
	ctl_require_pool(&d, "rest", "busy", 1, 1);
	status = ctl_status(&d);
	for (i = 0; (row = ctl_row(status, i)) != NULL; i++)
		if (json_is_object(json_object_get(row, "call"))) {
			call = json_object_get(row, "call");
			ck_assert_str_eq(ctl_text(row, "state"), "busy");
		}
	ck_assert_ptr_nonnull(call);
	ck_assert_str_eq(ctl_text(call, "id"), "look-at-me");
	ck_assert_str_eq(ctl_text(call, "door"), "rest");
	ck_assert_str_eq(ctl_text(call, "method"), "GET");
	ck_assert_str_eq(ctl_text(call, "path"), "/pass");
	ck_assert_str_eq(ctl_text(call, "handler"), "gate.pass");
	ck_assert_int_eq(strncmp(ctl_text(call, "peer"), "127.0.0.1:", 10), 0);
	ck_assert(json_is_real(json_object_get(call, "age")));
	ck_assert_int_gt(ctl_int(call, "deadline_in"), 100);
	json_decref(status);
	gate_let(gate, 1);
	ck_assert(raw_reply(client, &reply, false));
	ck_assert_int_eq(reply.status, 200);
	reply_release(&reply);
	ctl_require_pool(&d, "rest", "busy", 0, 0);
	ctl_require_pool(&d, "rest", "calls", 1, 1);
	close(client);
	close(gate);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE(killed_worker_is_replaced),
		CASE(worker_told_to_go),
		CASE(signals_a_worker_ignores),
		CASE(crash_loop_is_held),
		CASE(exit_78_is_held_until_a_reload),
		CASE(hanging_start_is_killed),
		CASE(heartbeat),
		CASE_MEMORY(status_shows_the_call),
	};

	return SUITE_RUN("supervision", cases);
}
