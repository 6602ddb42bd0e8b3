/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_config - broodd -t on configs that cannot work: each mistake is told
 * with its place and what to do, all of them at once, and a start refuses the
 * same.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/daemon.h"
#include "lib/http.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/text.h"

static void
run_broodd(const struct daemon *d, struct run *run, const char *option,
    const char *another)
{
	const char *argv[DAEMON_ARGS];

	daemon_args(argv,
	    (const char *const[]){ "-c", d->conf, option, another, NULL });
	run_program(run, argv, NULL);
}

/* -t has to fail with all these parts in its errors, each error on a line that
 * begins with the program's name, and leave nothing behind. */
static void
require_errors(const struct daemon *d, const char *const parts[])
{
	struct run run;

	run_broodd(d, &run, "-t", NULL);
	ck_assert_msg(run.status == 78, "exit status %d: %s%s", run.status,
	    run.out, run.err);
	for (size_t i = 0; parts[i] != NULL; i++)
		text_require("-t", run.err, parts[i]);
	ck_assert_msg(!text_matches(run.err, "^([^b]|b[^r])"), "%s", run.err);
	run_release(&run);
	ck_assert_int_eq(access(d->pid_file, F_OK), -1);
}
#define ERRORS(...)               \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}

static void
require_ok(const struct daemon *d)
{
	struct run run;

	run_broodd(d, &run, "-t", NULL);
	ck_assert_msg(run.status == 0, "%s", run.err);
	ck_assert_str_eq(run.err, "");
	run_release(&run);
}

static void
try(const struct daemon_conf *conf, const char *const parts[])
{
	struct daemon d;

	daemon_init(&d);
	daemon_configure(&d, conf);
	require_errors(&d, parts);
	daemon_release(&d);
}

START_TEST(good)
{
	struct daemon d;
	struct run run;
	char *folder;

	daemon_init(&d);
	daemon_configure(&d, &(struct daemon_conf){ 0 });
	require_ok(&d);
	/* looking makes nothing */
	folder = text_format("%s/run", d.dir);
	ck_assert_int_eq(access(folder, F_OK), -1);
	free(folder);
	/* -v tells more */
	run_broodd(&d, &run, "-t", "-v");
	ck_assert_int_eq(run.status, 0);
	text_require("-t -v", run.out, "hello.hello");
	run_release(&run);
	daemon_release(&d);
}
END_TEST

START_TEST(files)
{
	struct daemon d;

	daemon_init(&d);
	require_errors(&d, ERRORS("brood.conf"));
	text_make_dir(d.conf);
	require_errors(&d, ERRORS("brood.conf"));
	ck_assert_int_eq(rmdir(d.conf), 0);
	text_write(d.conf, "");
	require_errors(&d, ERRORS("brood"));
	text_write(d.conf, "service = {\n  name = \"x\";\n  ]\n};\n");
	require_errors(&d, ERRORS("brood.conf:3", "syntax"));
	text_write(d.conf, "\x01\x02\xff\xfe");
	require_errors(&d, ERRORS("brood.conf:1"));
	text_write(d.conf, "service = { name = \"unterminated");
	require_errors(&d, ERRORS("brood.conf:1"));
	text_write(d.conf, "@include \"not-there.conf\"\n");
	require_errors(&d, ERRORS("not-there.conf"));
	text_write(d.conf, "@include \"brood.conf\"\n");
	require_errors(&d, ERRORS("brood.conf"));
	daemon_release(&d);
}
END_TEST

START_TEST(keys_and_values)
{
	/* everything at once: nobody wants to run it a dozen times */
	try(
	    &(struct daemon_conf){
		.service = "strat_timeout = 1.0;\n stop_timeout = \"soon\";\n"
			   "max_children = 99999999;",
		.log = "level = \"loud\";\n access = 1;",
		.rest = "conections = 5;\n request_timeout = -1.0;\n"
			"max_body = \"10 furlongs\"; unix_mode = 07777;",
		.workers = "start = 0; max = \"many\";",
		.route = { ROUTE("GET", "hello", "hello.hello"),
		    ROUTE("get", "/lower", "hello.hello"),
		    ROUTE("GET", "/a/{b", "hello.hello"),
		    ROUTE("GET", "/x", "nodot") },
		.routes = "{ method = \"GET\"; path = \"/none\"; }" },
	    ERRORS("brood.conf:", "strat_timeout", "start_timeout",
		"stop_timeout", "max_children", "level", "debug", "access",
		"conections", "connections", "request_timeout", "max_body",
		"unix_mode", "rest.workers.start", "rest.workers.max",
		"rest.routes"));
}
END_TEST

START_TEST(groups)
{
	try(&(struct daemon_conf){ .whole = "sevice = { };\nrest = 3;\n"
					    "modules = { };\nlog = ( );\n" },
	    ERRORS("sevice", "service", "'rest'", "'modules'", "'log'"));
	/* given twice */
	try(&(struct daemon_conf){ .rest = "backlog = 3; backlog = 4;" },
	    ERRORS("brood.conf"));
	/* between the keys */
	try(
	    &(struct daemon_conf){
		.workers =
		    "start = 9; min_spare = 8; max_spare = 2; max = 4;" },
	    ERRORS("start", "max"));
}
END_TEST

START_TEST(routes_and_handlers)
{
	try(&(struct daemon_conf){ .route = { ROUTE("GET", "/a", "helo.hello"),
				       ROUTE("GET", "/b", "hello.hello"),
				       ROUTE("GET", "/b", "hello.echo") } },
	    ERRORS("helo.hello", "hello", "/b"));
	/* what only the module knows */
	try(&(struct daemon_conf){ .route = { ROUTE("GET", "/a", "hello.hallo"),
				       ROUTE("GET", "/b", "hello.nothing") } },
	    ERRORS("hello.hallo", "hello.hello", "hello.nothing"));
}
END_TEST

START_TEST(modules)
{
	struct daemon d;
	char *path;

	daemon_init(&d);
	path = text_format("%s/text.so", d.dir);
	text_write(path, "this is no shared object\n");
	free(path);
	daemon_configure(&d,
	    &(struct daemon_conf){
		.modules =
		    "{ name = \"missing\"; path = \"$DIR/missing.so\"; },"
		    "{ name = \"text\"; path = \"$DIR/text.so\"; },"
		    "{ name = \"failing\"; path = \"$SO/start_fails.so\";"
		    "  settings = { why = \"no moon tonight\"; }; }",
		.module = { "no_symbol", "wrong_abi", "hello", "no_table",
		    "no_name", "bad_handlers" } });
	require_errors(&d,
	    ERRORS("missing.so", "text.so", "no moon tonight", "no_symbol",
		"wrong_abi", "no_table", "no_name", "bad_handlers"));
	daemon_release(&d);
}
END_TEST

/* Modules that take down the process that looks at them. */
START_TEST(modules_that_kill)
{
	try(&(struct daemon_conf){ .module = { "start_crashes" },
		.routes = "" },
	    ERRORS("start_crashes", "SIGABRT"));
	try(&(struct daemon_conf){ .module = { "start_exits" }, .routes = "" },
	    ERRORS("start_exits"));
	try(&(struct daemon_conf){ .service = "start_timeout = 1.0;",
		.module = { "start_hangs" },
		.routes = "" },
	    ERRORS("start_hangs"));
}
END_TEST

/* Whoever finds it, the parser, a module or the kernel: all in one run. */
START_TEST(every_kind_at_once)
{
	struct daemon other, d;
	char *listen;

	daemon_start(&other, &(struct daemon_conf){ 0 });
	daemon_init(&d);
	listen = text_format("\"127.0.0.1:%d\"", other.port);
	daemon_configure(&d,
	    &(struct daemon_conf){ .listen = listen,
		.log = "target = \"$DIR/brood.conf/x/brood.log\";",
		.rest = "conections = 5;",
		.module = { "hello", "wrong_abi", "start_fails" },
		.route = { ROUTE("GET", "/a", "hello.hallo") } });
	require_errors(&d,
	    ERRORS("in use", "log.target", "conections", "wrong_abi",
		"start_fails", "hello.hallo"));
	free(listen);
	daemon_release(&d);
	daemon_stop(&other);
}
END_TEST

START_TEST(names_twice)
{
	try(&(struct daemon_conf){ .module = { "hello", "hello" } },
	    ERRORS("hello"));
}
END_TEST

START_TEST(ports_and_folders)
{
	struct daemon other, d;
	char *listen, *path;

	daemon_start(&other, &(struct daemon_conf){ 0 });
	daemon_init(&d);
	path = text_format("%s/file", d.dir);
	text_write(path, "");
	listen = text_format(
	    "\"127.0.0.1:%d\", \"unix:$DIR/no/dir.sock\","
	    "\"1.2.3.4.5:80\", \"127.0.0.1:99999\", \"192.0.2.1:8080\"",
	    other.port);
	daemon_configure(&d, &(struct daemon_conf){ .listen = listen });
	require_errors(&d, ERRORS("1.2.3.4.5", "99999"));
	free(listen);
	listen = text_format("\"127.0.0.1:%d\", \"unix:$DIR/no/dir.sock\","
			     "\"192.0.2.1:8080\"",
	    other.port);
	daemon_configure(&d,
	    &(struct daemon_conf){ .listen = listen,
		.log = "target = \"$DIR/file/x/brood.log\";",
		.service = "pid_file = \"$DIR/file/broodd.pid\";" });
	require_errors(&d,
	    ERRORS("in use", "no/dir.sock", "192.0.2.1", "file/x", "pid_file"));
	free(listen);
	free(path);
	daemon_release(&d);
	/* a running service's own address is no error */
	require_ok(&other);
	daemon_stop(&other);
}
END_TEST

START_TEST(unwritable_folders)
{
	struct daemon d;
	char *path;

	if (getuid() == 0) {
		/* to root everything is writable, but not what is a file */
		daemon_init(&d);
		path = text_format("%s/run", d.dir);
		text_write(path, "");
		free(path);
		daemon_configure(&d, &(struct daemon_conf){ 0 });
		require_errors(&d, ERRORS("/run"));
		daemon_release(&d);
		return;
	}
	daemon_init(&d);
	path = text_format("%s/closed", d.dir);
	ck_assert_int_eq(mkdir(path, 0500), 0);
	daemon_configure(&d,
	    &(struct daemon_conf){
		.whole = "service = { run_dir = \"$DIR/closed/run\";"
			 "  state_dir = \"$DIR/closed/state\"; };"
			 "log = { target = \"$DIR/closed/brood.log\"; };"
			 "rest = { listen = [ \"127.0.0.1:$PORT\" ]; };" });
	require_errors(&d, ERRORS("closed/run", "closed/state", "log.target"));
	free(path);
	daemon_release(&d);
}
END_TEST

START_TEST(users)
{
	struct daemon d;

	if (getuid() != 0)
		return;
	daemon_init(&d);
	daemon_configure(&d, &(struct daemon_conf){ .user = "no-such-user" });
	require_errors(&d, ERRORS("no-such-user"));
	daemon_configure(&d, &(struct daemon_conf){ .user = "root" });
	require_errors(&d, ERRORS("root"));
	daemon_release(&d);
}
END_TEST

/* What -T prints is a config, of the same meaning. */
START_TEST(round_trip)
{
	struct daemon d;
	struct run first, second;

	daemon_init(&d);
	daemon_configure(&d,
	    &(struct daemon_conf){
		.log = "level = \"warning\"; format = \"json\";",
		.modules =
		    "{ name = \"hello\"; path = \"$SO/hello.so\";"
		    "  settings = { greeting = \"a \\\"b\\\" \\\\ c\\n\";"
		    "  deep = { list = ( 1, 2.5, true, \"x\", ( ) ); }; }; }",
		.rest = "max_body = \"2M\"; idle_timeout = 0.25;"
			"unix_mode = 0600;" });
	run_broodd(&d, &first, "-T", NULL);
	ck_assert_msg(first.status == 0, "%s", first.err);
	text_require("-T", first.out, "idle_timeout");
	text_require("-T", first.out, "0.25");
	text_require("-T", first.out, "2097152");
	/* a default that nobody gave */
	text_require("-T", first.out, "heartbeat_interval");
	text_write(d.conf, first.out);
	require_ok(&d);
	run_broodd(&d, &second, "-T", NULL);
	ck_assert_str_eq(first.out, second.out);
	run_release(&first);
	run_release(&second);
	daemon_release(&d);
}
END_TEST

/* A start says the same as -t, in its own way. */
START_TEST(start_refuses_the_same)
{
	struct daemon d;

	daemon_init(&d);
	daemon_configure(&d,
	    &(struct daemon_conf){ .rest = "conections = 5;",
		.workers = "start = 0;" });
	daemon_require_refused(&d, "conections", "start", NULL);
	daemon_require_clean(&d);
	daemon_release(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE(good),
		CASE(files),
		CASE_MEMORY(keys_and_values),
		CASE(groups),
		CASE_MEMORY(routes_and_handlers),
		CASE_MEMORY(modules),
		CASE(modules_that_kill),
		CASE(every_kind_at_once),
		CASE(names_twice),
		CASE(ports_and_folders),
		CASE(unwritable_folders),
		CASE(users),
		CASE_MEMORY(round_trip),
		CASE(start_refuses_the_same),
	};

	return SUITE_RUN("config", cases);
}
