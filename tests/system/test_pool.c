/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_pool - the size of a pool: it grows and shrinks by itself, is scaled by
 * the operator, and renews its members, without one failed request.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/gate.h"
#include "lib/http.h"
#include "lib/load.h"
#include "lib/suite.h"
#include "lib/text.h"

START_TEST(grows_when_busy)
{
	struct daemon d;
	json_t *answer, *data, *decisions;
	pid_t pids[4];
	int gate, clients[4];

	daemon_start(&d,
	    &(struct daemon_conf){ /* nobody waits behind another one's call */
		.rest = "request_timeout = 3600.0; connections = 1;",
		.workers = "start = 2; min_spare = 1; max_spare = 2; max = 4;",
		.modules = MODULE_GATE,
		.route = { GATE_ROUTES } });
	gate = gate_make(&d);
	ck_assert_int_eq(ctl_pool(&d, "rest", "ready"), 2);
	for (int i = 0; i < 4; i++)
		clients[i] = gate_call(&d);
	ctl_require_pool(&d, "rest", "busy", 4, 4);
	ck_assert_int_eq(ctl_pool(&d, "rest", "ready"), 4);
	answer = ctl_ask(&d, "explain", "rest", NULL);
	ck_assert_int_eq(ctl_int(answer, "code"), 0);
	data = json_object_get(answer, "data");
	ck_assert_str_ne(ctl_text(data, "now"), "");
	decisions = json_object_get(data, "decisions");
	ck_assert_uint_ge(json_array_size(decisions), 1);
	text_require("the first decision",
	    ctl_text(json_array_get(decisions, json_array_size(decisions) - 1),
		"text"),
	    "spare");
	json_decref(answer);
	gate_let(gate, 4);
	for (int i = 0; i < 4; i++) {
		pids[i] = gate_answer(clients[i]);
		for (int k = 0; k < i; k++)
			ck_assert_int_ne(pids[i], pids[k]);
	}
	close(gate);
	daemon_stop(&d);
}
END_TEST

START_TEST(shrinks_when_idle)
{
	struct daemon d;
	int gate, clients[6];

	daemon_start(&d,
	    &(struct daemon_conf){ /* nobody waits behind another one's call */
		.rest = "request_timeout = 3600.0; connections = 1;",
		.workers = "start = 2; min_spare = 1; max_spare = 3; max = 8;"
			   "shrink_delay = 0.3;",
		.modules = MODULE_GATE,
		.route = { GATE_ROUTES } });
	gate = gate_make(&d);
	for (int i = 0; i < 6; i++)
		clients[i] = gate_call(&d);
	ctl_require_pool(&d, "rest", "busy", 6, 6);
	gate_let(gate, 6);
	for (int i = 0; i < 6; i++)
		gate_answer(clients[i]);
	ctl_require_pool(&d, "rest", "ready", 2, 3);
	ctl_require_pool(&d, "rest", "draining", 0, 0);
	/* nobody was lost over it, they were retired */
	ck_assert_int_eq(ctl_pool(&d, "rest", "restarts"), 0);
	ck_assert_int_gt(gate_who(&d), 0);
	close(gate);
	daemon_stop(&d);
}
END_TEST

static void
scale(const struct daemon *d, const char *n, int code)
{
	json_t *answer = ctl_ask(d, "scale", "rest", n, NULL);

	ck_assert_msg(ctl_int(answer, "code") == code, "scale rest %s: %s", n,
	    ctl_text(answer, "message"));
	json_decref(answer);
}

START_TEST(scaled_by_hand)
{
	struct daemon d;
	struct load *keep, *fresh;
	json_t *status, *row;

	daemon_start(&d, &(struct daemon_conf){ 0 });
	keep = load_start(&d, "/hello", 4, true);
	fresh = load_start(&d, "/hello", 4, false);
	scale(&d, "8", 0);
	status = ctl_status(&d);
	row = ctl_pool_row(status, "rest");
	ck_assert_int_eq(ctl_int(row, "ready"), 8);
	ck_assert_int_eq(ctl_int(row, "target"), 8);
	json_decref(status);
	load_await(keep, 200);
	load_await(fresh, 200);
	for (int i = 0; i < 3; i++) {
		scale(&d, "1", 0);
		ck_assert_int_eq(ctl_pool(&d, "rest", "ready"), 1);
		load_await(keep, 100);
		load_await(fresh, 100);
		scale(&d, "6", 0);
		ck_assert_int_eq(ctl_pool(&d, "rest", "ready"), 6);
		load_await(keep, 100);
		load_await(fresh, 100);
	}
	load_stop(keep);
	load_stop(fresh);
	scale(&d, "auto", 0);
	status = ctl_status(&d);
	ck_assert_str_eq(ctl_text(ctl_pool_row(status, "rest"), "target"),
	    "auto");
	json_decref(status);
	/* more than max, nonsense, and no such pool */
	scale(&d, "9", 1);
	scale(&d, "-1", 2);
	scale(&d, "many", 2);
	scale(&d, "99999999999999999999", 2);
	daemon_stop(&d);
}
END_TEST

static bool
all_renewed(json_t *status, void *ctx)
{
	const pid_t *old = ctx;

	for (size_t i = 0; old[i] != 0; i++)
		if (ctl_child(status, old[i]) != NULL)
			return false;
	return true;
}

/* Every worker there is gets replaced, again and again, under load. */
static void
renew(const char *rest)
{
	struct daemon d;
	struct load *keep, *fresh;

	daemon_start(&d,
	    &(struct daemon_conf){ .rest = rest,
		.log = "level = \"notice\";" });
	keep = load_start(&d, "/hello", 4, true);
	fresh = load_start(&d, "/hello", 4, false);
	for (int i = 0; i < 5; i++) {
		pid_t pids[64] = { 0 };

		ctl_pids(&d, pids, 63);
		ctl_require(&d, "all workers renewed", all_renewed, pids);
	}
	load_stop(keep);
	load_stop(fresh);
	/* in good order, which is no restart */
	ck_assert_int_eq(ctl_pool(&d, "rest", "restarts"), 0);
	daemon_stop(&d);
}

START_TEST(max_requests)
{
	renew("max_requests = 300;");
}
END_TEST

START_TEST(max_lifetime)
{
	renew("max_lifetime = 0.5;");
}
END_TEST

/* The only worker is due, but what is to replace it does not come up: it serves
 * on, for as long as that takes. */
START_TEST(replacement_comes_first)
{
	struct daemon d;
	char *hang;
	pid_t first;

	daemon_start(&d,
	    &(struct daemon_conf){ .rest = "max_requests = 3;",
		.service = "start_timeout = 60.0; stop_timeout = 0.1;"
			   "kill_grace = 0.05;",
		.workers = "start = 1; min_spare = 0; max_spare = 1; max = 1;",
		.modules = MODULE_GATE_WITH("hang_if = \"$DIR/hang\";"),
		.route = { GATE_ROUTES } });
	hang = text_format("%s/hang", d.dir);
	text_write(hang, "");
	first = gate_who(&d);
	for (int i = 0; i < 30; i++)
		ck_assert_int_eq(gate_who(&d), first);
	ctl_require_pool(&d, "rest", "starting", 1, 1);
	ck_assert_int_eq(gate_who(&d), first);
	free(hang);
	daemon_stop(&d);
}
END_TEST

/* No process serves for long, and still nobody is turned away. */
START_TEST(hardly_a_request_a_process)
{
	struct daemon d;
	pid_t last = 0;

	daemon_start(&d,
	    &(struct daemon_conf){ .rest = "max_requests = 1;",
		.modules = MODULE_GATE,
		.route = { GATE_ROUTES } });
	for (int changes = 0; changes < 20;) {
		pid_t pid = gate_who(&d);

		if (pid != last)
			changes++;
		last = pid;
	}
	ck_assert_int_eq(ctl_pool(&d, "rest", "restarts"), 0);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE_MEMORY(grows_when_busy),
		CASE(shrinks_when_idle),
		CASE(scaled_by_hand),
		CASE(max_requests),
		CASE(max_lifetime),
		CASE(replacement_comes_first),
		CASE(hardly_a_request_a_process),
	};

	return SUITE_RUN("pool", cases);
}
