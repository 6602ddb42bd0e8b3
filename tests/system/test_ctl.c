/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_ctl - start, stop, restart, reload and status from the command line, as
 * an init script or a person runs them, with the exit codes of the LSB.
 */
#include <check.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/http.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/text.h"

/* A folder and a config, and nobody started. */
static void
prepare(struct daemon *d)
{
	daemon_init(d);
	daemon_configure(d,
	    &(struct daemon_conf){ .log = "target = \"$DIR/brood.log\";" });
}

static void
require_ctl(const struct daemon *d, const char *cmd, int code, const char *out,
    const char *err)
{
	struct run run;

	ctl_run(d, &run, cmd, NULL);
	ck_assert_msg(run.status == code, "%s: %d, not %d: %s%s", cmd,
	    run.status, code, run.out, run.err);
	text_require(cmd, run.out, out);
	text_require(cmd, run.err, err);
	run_release(&run);
}

/* It is gone when the command returns, not a little later. */
static void
require_gone(struct daemon *d)
{
	struct pollfd p = { .fd = d->pidfd, .events = POLLIN };

	ck_assert_int_eq(poll(&p, 1, 0), 1);
	ck_assert_int_eq(daemon_wait(d), 0);
	daemon_require_clean(d);
}

START_TEST(life)
{
	struct daemon d;
	pid_t first;

	prepare(&d);
	require_ctl(&d, "status", 3, "", "");
	require_ctl(&d, "stop", 0, "not running", "");
	require_ctl(&d, "reload", 7, "", "running");
	require_ctl(&d, "start", 0, "started", "");
	daemon_adopt(&d);
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	require_ctl(&d, "status", 0, "rest", "");
	require_ctl(&d, "start", 0, "already running", "");
	require_ctl(&d, "reload", 0, "generation 2", "");
	first = d.pid;
	require_ctl(&d, "restart", 0, "started", "");
	ck_assert_int_eq(waitpid(first, NULL, 0), first);
	daemon_adopt(&d);
	ck_assert_int_ne(d.pid, first);
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	require_ctl(&d, "stop", 0, "stopped", "");
	require_gone(&d);
	require_ctl(&d, "status", 3, "", "");
	/* restart of what does not run is a start */
	require_ctl(&d, "restart", 0, "started", "");
	daemon_adopt(&d);
	require_ctl(&d, "stop", 0, "stopped", "");
	require_gone(&d);
	daemon_release(&d);
}
END_TEST

START_TEST(dead_with_a_pid_file)
{
	struct daemon d;

	prepare(&d);
	require_ctl(&d, "start", 0, "started", "");
	daemon_adopt(&d);
	kill(d.pid, SIGKILL);
	daemon_wait(&d);
	daemon_require_no_child(&d);
	require_ctl(&d, "status", 1, "", "");
	require_ctl(&d, "stop", 0, "", "");
	require_ctl(&d, "start", 0, "started", "");
	daemon_adopt(&d);
	require_ctl(&d, "status", 0, "", "");
	require_ctl(&d, "stop", 0, "stopped", "");
	require_gone(&d);
	daemon_release(&d);
}
END_TEST

START_TEST(broken_config)
{
	struct daemon d;

	prepare(&d);
	require_ctl(&d, "start", 0, "started", "");
	daemon_adopt(&d);
	daemon_configure(&d,
	    &(struct daemon_conf){ .log = "target = \"$DIR/brood.log\";",
		.rest = "connection = 3;" });
	require_ctl(&d, "reload", 78, "", "connections");
	/* a restart looks before it leaps */
	require_ctl(&d, "restart", 78, "", "connections");
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	/* what runs can be looked at and stopped all the same */
	require_ctl(&d, "status", 0, "rest", "");
	require_ctl(&d, "stop", 0, "stopped", "");
	require_gone(&d);
	daemon_configure(&d,
	    &(struct daemon_conf){ .log = "target = \"$DIR/brood.log\";",
		.rest = "connection = 3;" });
	require_ctl(&d, "start", 78, "", "connections");
	daemon_require_clean(&d);
	daemon_release(&d);
}
END_TEST

/* A master that does not answer is told by a signal. */
START_TEST(stop_of_a_mute_master)
{
	struct daemon d;
	struct run run;

	prepare(&d);
	require_ctl(&d, "start", 0, "started", "");
	daemon_adopt(&d);
	kill(d.pid, SIGSTOP);
	ctl_run(&d, &run, "--timeout", "0.5", "status", NULL);
	ck_assert_int_eq(run.status, 4);
	run_release(&run);
	ctl_run(&d, &run, "--timeout", "20", "stop", NULL);
	ck_assert_msg(run.status == 0, "%s%s", run.out, run.err);
	run_release(&run);
	require_gone(&d);
	daemon_release(&d);
}
END_TEST

START_TEST(json)
{
	static const char *const cmds[] = { "start", "status", "reload",
		"restart", "stop" };
	struct daemon d;

	prepare(&d);
	for (size_t i = 0; i < 5; i++) {
		struct run run;
		json_t *answer;

		ctl_run(&d, &run, "--json", cmds[i], NULL);
		ck_assert_msg(run.status == 0, "%s: %s%s", cmds[i], run.out,
		    run.err);
		answer = json_loads(run.out, 0, NULL);
		ck_assert_msg(answer != NULL, "%s: %s", cmds[i], run.out);
		ck_assert(json_is_true(json_object_get(answer, "ok")));
		/* status is its facts, without an envelope */
		ck_assert_int_eq(ctl_int(answer, "code"), i == 1 ? -1 : 0);
		ck_assert_str_eq(run.err, "");
		json_decref(answer);
		run_release(&run);
		if (i == 0)
			daemon_adopt(&d);
		if (i == 3) {
			waitpid(d.pid, NULL, 0);
			daemon_adopt(&d);
		}
	}
	require_gone(&d);
	daemon_release(&d);
}
END_TEST

START_TEST(socket_by_name)
{
	struct daemon d;
	struct run run;
	char *tool = text_format("%s/broodctl", suite_build());

	daemon_start(&d, &(struct daemon_conf){ 0 });
	run_program(&run,
	    (const char *const[]){ tool, "-s", d.socket, "status", NULL },
	    NULL);
	ck_assert_msg(run.status == 0, "%s", run.err);
	run_release(&run);
	run_program(&run,
	    (const char *const[]){ tool, "-s", d.socket, "stop", NULL }, NULL);
	ck_assert_msg(run.status == 0, "%s", run.err);
	run_release(&run);
	require_gone(&d);
	free(tool);
	daemon_release(&d);
}
END_TEST

START_TEST(usage)
{
	static const struct {
		const char *args[3];
		const char *part;
	} table[] = {
		{ { "statsu" }, "status" },
		{ { "scale", "rest" }, "scale" },
		{ { "--nonsense", "status" }, "--nonsense" },
		{ { "--timeout", "soon", "status" }, "soon" },
		{ { "log", "a", "b" }, "log" },
	};
	struct daemon d;
	struct run run;

	prepare(&d);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		ctl_run(&d, &run, table[i].args[0], table[i].args[1],
		    table[i].args[2], NULL);
		ck_assert_msg(run.status == 2, "%s: %d", table[i].args[0],
		    run.status);
		text_require("stderr", run.err, table[i].part);
		run_release(&run);
	}
	ctl_run(&d, &run, "--help", NULL);
	ck_assert_int_eq(run.status, 0);
	text_require("help", run.out, "scale POOL N|auto");
	run_release(&run);
	daemon_release(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE_MEMORY(life),
		CASE(dead_with_a_pid_file),
		CASE(broken_config),
		CASE(stop_of_a_mute_master),
		CASE_MEMORY(json),
		CASE(socket_by_name),
		CASE(usage),
	};

	return SUITE_RUN("ctl", cases);
}
