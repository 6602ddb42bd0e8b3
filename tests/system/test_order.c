/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_order - in which order the family starts and stops: the hub is first to
 * come and last to go, and who drains still has those it needs.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/gate.h"
#include "lib/http.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/text.h"

#define WAIT_FOR_GATE \
	ROUTE_WITH("GET", "/pass", "gate.pass", "mode = \"wait\";")

/* The end of the first line that matches; fails the test without one. */
static size_t
place_of(const struct daemon *d, const char *pattern)
{
	size_t from = 0;
	char *line = daemon_await_line(d, &from, pattern);

	ck_assert_msg(line != NULL, "no line \"%s\"", pattern);
	free(line);
	return from;
}

START_TEST(they_start_in_order)
{
	struct daemon d;

	daemon_start(&d, &(struct daemon_conf){ 0 });
	ck_assert_uint_lt(place_of(&d, "hub\\[[0-9]+\\] is ready"),
	    place_of(&d, "(rest|task)\\[[0-9]+\\] is ready"));
	daemon_stop(&d);
}
END_TEST

START_TEST(they_stop_in_order)
{
	struct daemon d;
	int client, gate;
	size_t rest, task, hub;

	daemon_start(&d,
	    &(struct daemon_conf){ .module = { "hubtest" },
		.modules = MODULE_GATE,
		.tasks = "background = ( { name = \"loop\"; handler = "
			 "\"hubtest.loop\"; input = { key = \"k\"; }; } );",
		.route = { WAIT_FOR_GATE } });
	gate = gate_make(&d);
	client = gate_call(&d);
	ctl_require_pool(&d, "task", "busy", 1, 1);
	ck_assert_int_eq(kill(d.pid, SIGTERM), 0);
	place_of(&d, "rest\\[[0-9]+\\] ready: was ordered to drain");
	gate_let(gate, 1);
	gate_answer(client);
	ck_assert_int_eq(daemon_wait(&d), 0);
	rest = place_of(&d, "rest\\[[0-9]+\\] has drained");
	task = place_of(&d, "task\\[[0-9]+\\] ready: was ordered");
	hub = place_of(&d, "hub\\[[0-9]+\\] ready: was ordered");
	ck_assert_uint_lt(rest, task);
	ck_assert_uint_lt(task, hub);
	ck_assert_uint_lt(place_of(&d,
			      "background:loop\\[[0-9]+\\] has drained"),
	    hub);
	daemon_require_clean(&d);
	close(gate);
	daemon_release(&d);
}
END_TEST

/* Those who drain need a hub, so there is another one even then. */
START_TEST(a_hub_lost_while_stopping)
{
	struct daemon d;
	int client, gate;
	pid_t hub;

	daemon_start(&d,
	    &(struct daemon_conf){ .module = { "hello" },
		.modules = MODULE_GATE,
		.service = "start_timeout = 60.0; respawn_young = 0.0;",
		.route = { WAIT_FOR_GATE } });
	gate = gate_make(&d);
	client = gate_call(&d);
	ctl_require_pool(&d, "task", "busy", 1, 1);
	hub = ctl_pid_of(&d, "hub");
	ck_assert_int_eq(kill(d.pid, SIGTERM), 0);
	place_of(&d, "rest\\[[0-9]+\\] ready: was ordered to drain");
	ck_assert_int_eq(kill(hub, SIGKILL), 0);
	place_of(&d, "pool hub: .*SIGKILL");
	gate_let(gate, 1);
	gate_answer(client);
	ck_assert_int_eq(daemon_wait(&d), 0);
	daemon_require_clean(&d);
	close(gate);
	daemon_release(&d);
}
END_TEST

/* A job that takes too long is cut off in the time there is for all, and run
 * again by the next service. */
START_TEST(a_job_cut_off_by_the_stop)
{
	struct daemon d;
	struct daemon_conf conf = { .module = { "hello" },
		.modules = MODULE_GATE,
		.service = "start_timeout = 60.0; stop_timeout = 0.2;"
			   "kill_grace = 0.05;",
		.tasks = "backoff_min = 0.01;",
		.route = { WAIT_FOR_GATE } };
	struct run run;
	int gate;

	daemon_init(&d);
	daemon_configure(&d, &conf);
	daemon_start_again(&d);
	gate = gate_make(&d);
	ctl_run(&d, &run, "submit", "gate.pass", NULL);
	ck_assert_msg(run.status == 0, "%s", run.err);
	run.out[strcspn(run.out, "\n")] = '\0';
	ctl_require_pool(&d, "task", "busy", 1, 1);
	ck_assert_int_eq(kill(d.pid, SIGTERM), 0);
	ck_assert_int_eq(daemon_wait(&d), 0);
	d.crashes = true;
	daemon_require_clean(&d);
	gate_let(gate, 1);
	daemon_start_again(&d);
	ctl_require_pool(&d, "task", "calls", 1, 1);
	free(run.out);
	free(run.err);
	close(gate);
	daemon_stop(&d);
}
END_TEST

/* As a package or systemd leaves it: the hub gets it all the same. */
START_TEST(a_state_dir_of_roots)
{
	struct daemon d;
	char *state;

	daemon_init(&d);
	daemon_configure(&d, &(struct daemon_conf){ 0 });
	state = daemon_expand(&d, "$DIR/state");
	text_make_dir(state);
	ck_assert_int_eq(chmod(state, 0750), 0);
	daemon_start_again(&d);
	daemon_stop(&d);
	free(state);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE(they_start_in_order),
		CASE_MEMORY(they_stop_in_order),
		CASE(a_hub_lost_while_stopping),
		CASE(a_job_cut_off_by_the_stop),
		CASE(a_state_dir_of_roots),
	};

	return SUITE_RUN("order", cases);
}
