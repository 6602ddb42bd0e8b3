/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_call - broodctl call: the same handlers through another door, the hub's,
 * where a task worker runs them.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/echo.h"
#include "lib/gate.h"
#include "lib/http.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/text.h"

START_TEST(replies)
{
	struct daemon d;
	struct run run;
	json_t *answer, *seen;

	echo_start(&d, NULL);
	ctl_run(&d, &run, "call", "hello.hello", NULL);
	ck_assert_msg(run.status == 0, "%s%s", run.out, run.err);
	text_require("stdout", run.out, "hello, world!");
	run_release(&run);

	ctl_run(&d, &run, "call", "hello.echo", "{\"a\": [1, \"\\u00e4\"]}",
	    NULL);
	ck_assert_int_eq(run.status, 0);
	ck_assert_str_eq(run.out, "{\"a\":[1,\"\303\244\"]}\n");
	run_release(&run);

	ctl_run(&d, &run, "--json", "call", "misbehave.echo", "[1]", NULL);
	ck_assert_int_eq(run.status, 0);
	ck_assert_ptr_nonnull(answer = json_loads(run.out, 0, NULL));
	ck_assert(json_is_true(json_object_get(answer, "ok")));
	seen = json_object_get(json_object_get(answer, "data"), "json");
	ck_assert_int_eq(ctl_int(json_object_get(answer, "data"), "status"),
	    200);
	echo_require(seen, NULL, "method", "CALL");
	echo_require(seen, NULL, "path", "");
	echo_require(seen, NULL, "body", "[1]");
	ck_assert_str_ne(ctl_text(seen, "id"), "");
	json_decref(answer);
	run_release(&run);

	ctl_run(&d, &run, "call", "misbehave.no_reply", NULL);
	ck_assert_int_eq(run.status, 0);
	ck_assert_str_eq(run.out, "");
	run_release(&run);

	/* bytes that are no JSON come as they are */
	ctl_run(&d, &run, "call", "misbehave.big", "{\"n\": 300000}", NULL);
	ck_assert_int_eq(run.status, 0);
	ck_assert_uint_eq(strspn(run.out, "x"), 300000);
	run_release(&run);
	daemon_stop(&d);
}
END_TEST

START_TEST(body_from_stdin)
{
	struct daemon d;
	struct run run;
	char *tool = text_format("%s/broodctl", suite_build());
	char *big = text_repeat('y', 900000);
	json_t *seen;

	daemon_start(&d,
	    &(struct daemon_conf){ .module = { ECHO_MODULES },
		.route = { ECHO_ROUTES },
		.hub = "max_message = 1048576;" });
	run_program(&run,
	    (const char *const[]){ tool, "-c", d.conf, "call", "misbehave.echo",
		"-", NULL },
	    big);
	ck_assert_msg(run.status == 0, "%s", run.err);
	ck_assert_ptr_nonnull(seen = json_loads(run.out, 0, NULL));
	ck_assert_int_eq(ctl_int(seen, "body_length"), 900000);
	json_decref(seen);
	run_release(&run);
	free(big);
	/* larger than hub.max_message */
	big = text_repeat('y', 1048577);
	run_program(&run,
	    (const char *const[]){ tool, "-c", d.conf, "call", "misbehave.echo",
		"-", NULL },
	    big);
	ck_assert_int_eq(run.status, 1);
	text_require("stderr", run.err, "1048576 bytes");
	run_release(&run);
	free(big);
	free(tool);
	daemon_stop(&d);
}
END_TEST

START_TEST(problems)
{
	static const struct {
		const char *handler, *json, *part;
	} table[] = {
		{ "hello.nothing", NULL, "hello.nothing" },
		{ "nothing", NULL, "nothing" },
		{ "misbehave.reject", NULL, "it will never do" },
		{ "misbehave.retry", NULL, "not now" },
		{ "misbehave.bad_outcome", NULL, "500" },
		{ "hello.echo", NULL, "JSON" },
		{ "hello.echo", "[1,", "JSON" },
	};
	struct daemon d;

	echo_start(&d, NULL);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct run run;

		ctl_run(&d, &run, "call", table[i].handler, table[i].json,
		    NULL);
		ck_assert_msg(run.status != 0 && run.status < 126, "%s: %d",
		    table[i].handler, run.status);
		text_require(table[i].handler, run.err, table[i].part);
		run_release(&run);
	}
	ck_assert_int_eq(ctl_pool(&d, "task", "restarts"), 0);
	daemon_stop(&d);
}
END_TEST

START_TEST(crashes)
{
	static const char *const handlers[] = { "misbehave.crash",
		"misbehave.abort", "misbehave.exit0", "misbehave.spin",
		"misbehave.vanish" };
	struct daemon d;

	daemon_init(&d);
	d.crashes = true;
	daemon_configure(&d,
	    &(struct daemon_conf){ .module = { ECHO_MODULES },
		.service = "start_timeout = 60.0; kill_grace = 0.1;",
		.route = { ECHO_ROUTES },
		.tasks = "timeout = 0.5;" });
	daemon_start_again(&d);
	for (long i = 0; i < 5; i++) {
		struct run run;
		json_t *status;

		/* what would not end does so with the patience of who asks */
		ctl_run(&d, &run, "--timeout",
		    strcmp(handlers[i], "misbehave.spin") == 0 ? "5" : "60",
		    "call", handlers[i], NULL);
		ck_assert_msg(run.status == 1, "%s: %d %s%s", handlers[i],
		    run.status, run.out, run.err);
		ck_assert_str_ne(run.err, "");
		run_release(&run);
		ctl_require_pool(&d, "task", "restarts", i + 1, i + 1);
		ctl_require_pool(&d, "task", "ready", 1, 4);
		status = ctl_status(&d);
		text_require("last_restart",
		    ctl_text(ctl_pool_row(status, "task"), "last_restart"),
		    handlers[i]);
		json_decref(status);
	}
	daemon_stop(&d);
}
END_TEST

/* The hub is asked by hand: half a line, garbage, and silence. */
START_TEST(impolite_clients)
{
	static const char *const lines[] = {
		"garbage\n", "{}\n", "[]\n", "\n", "{\"cmd\":7}\n",
		"{\"cmd\":\"call\"}\n", "{\"cmd\":\"status\"}\n",
		"{\"cmd\":\"call\",\"args\":[7]}\n",
		"{\"cmd\":\"call\",\"args\":\"hello.hello\"}\n",
		"{\"cmd\":\"call\",\"args\":[\"hello.hello\"]",
		"{\"cmd\":\"call\",\"args\":[\"a\\u0000b\"]}\n",
		"{\"cmd\":\"call\",\"args\":[\"hello.hello\"],\"body\":7}\n",
		"{\"cmd\":\"call\",\"args\":[\"hello.hello\"],\"ttl\":7}\n",
		"{\"cmd\":\"call\",\"args\":[\"hello.hello\"],\"wait\":-1}\n",
		"{\"cmd\":\"call\",\"args\":[\"m.h\"],\"wait\":\"x\"}\n",
		"{\"cmd\":\"set\",\"args\":[\"m\"],\"body\":\"\",\"json\":1}\n"
	};
	struct daemon d;
	json_t *answer;
	char *big;
	int fd;

	daemon_start(&d,
	    &(struct daemon_conf){ .module = { ECHO_MODULES },
		.route = { ECHO_ROUTES },
		.control = "timeout = 0.5;" });
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		fd = raw_connect_unix(d.socket);
		raw_text(fd, "{\"cmd\":\"call\"}\n");
		answer = ctl_read(fd);
		ck_assert(json_is_true(json_object_get(answer, "go")));
		json_decref(answer);
		raw_text(fd, lines[i]);
		answer = ctl_read(fd);
		if (answer != NULL)
			ck_assert_msg(ctl_int(answer, "code") != 0, "%s",
			    lines[i]);
		json_decref(answer);
		ck_assert_msg(raw_ended(fd), "%s: left open", lines[i]);
		close(fd);
	}
	/* without end */
	fd = raw_connect_unix(d.socket);
	raw_text(fd, "{\"cmd\":\"call\"}\n");
	big = text_repeat('x', 1 << 20);
	for (int i = 0; i < 20 && raw_text(fd, big); i++)
		;
	free(big);
	ck_assert(raw_ended(fd));
	close(fd);
	/* nobody minds */
	ck_assert_int_eq(ctl_pool(&d, "hub", "restarts"), 0);
	ck_assert_int_eq(ctl_pool(&d, "task", "restarts"), 0);
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	daemon_stop(&d);
}
END_TEST

/* Every worker is busy: status still answers, a call waits for its turn. */
START_TEST(busy_workers)
{
	struct daemon d;
	struct run run;
	int gate, clients[2];

	daemon_start(&d,
	    &(struct daemon_conf){
		.task_workers = "start = 2; min_spare = 0; max = 2;",
		.rest = "request_timeout = 3600.0;",
		.tasks = "timeout = 3600.0;",
		.module = { "hello" },
		.modules = MODULE_GATE,
		.route = { ROUTE_WITH("GET", "/pass", "gate.pass",
		    "mode = \"wait\";") } });
	gate = gate_make(&d);
	for (int i = 0; i < 2; i++)
		clients[i] = gate_call(&d);
	ctl_require_pool(&d, "task", "busy", 2, 2);
	ctl_run(&d, &run, "status", NULL);
	ck_assert_int_eq(run.status, 0);
	text_require("status", run.out, "gate.pass");
	run_release(&run);
	ctl_run(&d, &run, "--timeout", "0.5", "call", "hello.hello", NULL);
	ck_assert_int_eq(run.status, 1);
	run_release(&run);
	gate_let(gate, 2);
	for (int i = 0; i < 2; i++)
		gate_answer(clients[i]);
	ctl_run(&d, &run, "call", "hello.hello", NULL);
	ck_assert_msg(run.status == 0, "%s", run.err);
	run_release(&run);
	close(gate);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE_MEMORY(replies),
		CASE(body_from_stdin),
		CASE_MEMORY(problems),
		CASE(crashes),
		CASE(impolite_clients),
		CASE(busy_workers),
	};

	return SUITE_RUN("call", cases);
}
