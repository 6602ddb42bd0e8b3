/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_reload - a new generation replaces the old one without one failed
 * request, or it does not come up and the old one goes on as if nothing had
 * happened.
 */
#include <check.h>
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

/* Are all children of this generation, and is it the current one? */
static bool
all_of_generation(json_t *status, void *ctx)
{
	json_t *row;
	size_t i;

	if (ctl_int(status, "generation") != *(long *)ctx)
		return false;
	for (i = 0; (row = ctl_row(status, i)) != NULL; i++)
		if (ctl_int(row, "generation") != *(long *)ctx)
			return false;
	return json_array_size(json_object_get(status, "children")) > 0;
}

START_TEST(under_load)
{
	struct daemon d;
	struct load *keep, *fresh;

	daemon_start(&d, &(struct daemon_conf){ 0 });
	keep = load_start(&d, "/hello", 4, true);
	fresh = load_start(&d, "/hello", 4, false);
	for (long generation = 2; generation <= 6; generation++) {
		load_await(keep, 50);
		load_await(fresh, 50);
		ctl_reload(&d);
		ctl_require(&d, "all of the new generation", all_of_generation,
		    &generation);
	}
	load_await(keep, 50);
	load_await(fresh, 50);
	load_stop(keep);
	load_stop(fresh);
	ck_assert_int_eq(ctl_pool(&d, "rest", "restarts"), 0);
	daemon_stop(&d);
}
END_TEST

START_TEST(takes_the_new_config)
{
	struct daemon d;
	struct reply reply;

	daemon_start(&d, &(struct daemon_conf){ 0 });
	ck_assert_int_eq(http_status(&d, "/new", NULL), 404);
	daemon_configure(&d,
	    &(struct daemon_conf){
		.modules = "{ name = \"hello\"; path = \"$SO/hello.so\";"
			   "  settings = { greeting = \"good day\"; }; }",
		.route = { ROUTE("GET", "/new", "hello.hello") } });
	/* nothing is read before it is told to */
	ck_assert_int_eq(http_status(&d, "/new", NULL), 404);
	ctl_reload(&d);
	http_require(&d, &(struct ask){ .path = "/new" }, &reply);
	ck_assert_int_eq(reply.status, 200);
	text_require("the answer", reply.body, "good day, world!");
	reply_release(&reply);
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 404);
	daemon_stop(&d);
}
END_TEST

/* The same path, other code. */
START_TEST(takes_the_new_module)
{
	struct daemon d;
	char *from, *to;

	daemon_start(&d, &(struct daemon_conf){ 0 });
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	from = text_format("%s/tests/modules/gate.so", suite_build());
	to = text_format("%s/hello.so", d.dir);
	text_copy(from, to);
	ctl_reload_refused(&d, "hello.hello", NULL);
	daemon_configure(&d,
	    &(struct daemon_conf){
		.route = { ROUTE("GET", "/who", "hello.who") } });
	ctl_reload(&d);
	ck_assert_int_gt(gate_who(&d), 0);
	free(from);
	free(to);
	daemon_stop(&d);
}
END_TEST

static void
require_untouched(const struct daemon *d, long generation)
{
	ck_assert_int_eq(http_status(d, "/hello", NULL), 200);
	ctl_require(d, "the old generation alone", all_of_generation,
	    &generation);
	ctl_require_pool(d, "rest", "ready", 2, 2);
}

START_TEST(broken_config_is_refused)
{
	struct daemon d;

	daemon_start(&d, &(struct daemon_conf){ 0 });
	/* all there is to say, not just the first */
	daemon_configure(&d,
	    &(struct daemon_conf){
		.rest = "connection = 3; request_timeout = \"soon\";",
		.workers = "start = 0;" });
	ctl_reload_refused(&d, "connections", "request_timeout", "start", NULL);
	require_untouched(&d, 1);
	text_write(d.conf, "rest = { listen = [ ;\n");
	ctl_reload_refused(&d, "brood.conf:1", NULL);
	require_untouched(&d, 1);
	unlink(d.conf);
	ctl_reload_refused(&d, "brood.conf", NULL);
	require_untouched(&d, 1);
	daemon_configure(&d, &(struct daemon_conf){ 0 });
	ctl_reload(&d);
	daemon_stop(&d);
}
END_TEST

START_TEST(broken_modules_are_refused)
{
	static const struct {
		const char *name, *reason;
	} modules[] = {
		{ "wrong_abi", "wrong_abi" },
		{ "no_symbol", "brood_module" },
		{ "start_fails", "start_fails" },
		{ "start_crashes", "SIGABRT" },
		{ "start_exits", "start_exits" },
		{ "start_hangs", "start_hangs" },
		{ "bad_handlers", "bad_handlers" },
	};
	struct daemon d;
	struct load *load;

	daemon_init(&d);
	d.crashes = true;
	daemon_configure(&d,
	    &(struct daemon_conf){
		.service = "start_timeout = 5.0; kill_grace = 0.05;" });
	daemon_start_again(&d);
	load = load_start(&d, "/hello", 4, true);
	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		daemon_configure(&d,
		    &(struct daemon_conf){
			.service = "start_timeout = 2.0; kill_grace = 0.05;",
			.module = { "hello", modules[i].name } });
		ctl_reload_refused(&d, modules[i].reason, NULL);
		require_untouched(&d, 1);
	}
	daemon_configure(&d,
	    &(struct daemon_conf){ .module = { "hello" },
		.modules = "{ name = \"x\"; path = \"$DIR/not-there.so\"; }" });
	ctl_reload_refused(&d, "not-there.so", NULL);
	require_untouched(&d, 1);
	/* and all that is wrong with several of them */
	daemon_configure(&d,
	    &(struct daemon_conf){
		.module = { "hello", "wrong_abi", "no_symbol" } });
	ctl_reload_refused(&d, "wrong_abi", NULL);
	ctl_reload_refused(&d, "no_symbol", NULL);
	require_untouched(&d, 1);
	load_await(load, 50);
	load_stop(load);
	daemon_configure(&d, &(struct daemon_conf){ 0 });
	ctl_reload(&d);
	daemon_stop(&d);
}
END_TEST

/* A port that somebody else has. */
START_TEST(taken_address_is_refused)
{
	struct daemon d, other;
	char *listen;

	daemon_start(&other, &(struct daemon_conf){ 0 });
	daemon_start(&d, &(struct daemon_conf){ 0 });
	listen = text_format("\"127.0.0.1:$PORT\", \"127.0.0.1:%d\"",
	    other.port);
	daemon_configure(&d, &(struct daemon_conf){ .listen = listen });
	ctl_reload_refused(&d, "in use", NULL);
	require_untouched(&d, 1);
	free(listen);
	daemon_stop(&d);
	ck_assert_int_eq(http_status(&other, "/hello", NULL), 200);
	daemon_stop(&other);
}
END_TEST

START_TEST(scale_survives)
{
	struct daemon d;
	json_t *answer, *status;

	daemon_start(&d, &(struct daemon_conf){ 0 });
	answer = ctl_ask(&d, "scale", "rest", "5", NULL);
	ck_assert_int_eq(ctl_int(answer, "code"), 0);
	json_decref(answer);
	ctl_reload(&d);
	status = ctl_status(&d);
	ck_assert_int_eq(ctl_int(ctl_pool_row(status, "rest"), "target"), 5);
	json_decref(status);
	ctl_require_pool(&d, "rest", "ready", 5, 5);
	ctl_require_pool(&d, "rest", "draining", 0, 0);
	ctl_require_pool(&d, "rest", "ready", 5, 5);
	daemon_stop(&d);
}
END_TEST

START_TEST(addresses_come_and_go)
{
	struct daemon d;
	struct load *load;
	struct reply reply;
	char *path, *listen, *url;
	int second_fd, second = daemon_reserve_port(&second_fd);

	daemon_start(&d, &(struct daemon_conf){ 0 });
	path = text_format("%s/rest.sock", d.dir);
	url = text_format("http://127.0.0.1:%d/hello", second);
	load = load_start(&d, "/hello", 4, false);
	listen = text_format("\"127.0.0.1:$PORT\", \"127.0.0.1:%d\","
			     "\"unix:$DIR/rest.sock\"",
	    second);
	daemon_configure(&d, &(struct daemon_conf){ .listen = listen });
	ctl_reload(&d);
	http_require(&d, &(struct ask){ .path = url }, &reply);
	ck_assert_int_eq(reply.status, 200);
	reply_release(&reply);
	http_require(&d, &(struct ask){ .path = "/hello", .unix_path = path },
	    &reply);
	ck_assert_int_eq(reply.status, 200);
	reply_release(&reply);
	load_await(load, 50);
	/* and back: those who left are not listened on any more */
	daemon_configure(&d, &(struct daemon_conf){ 0 });
	ctl_reload(&d);
	ctl_require_pool(&d, "rest", "draining", 0, 0);
	ck_assert_int_eq(http_ask(&d, &(struct ask){ .path = url }, &reply),
	    CURLE_COULDNT_CONNECT);
	reply_release(&reply);
	ck_assert_int_eq(access(path, F_OK), -1);
	load_await(load, 50);
	load_stop(load);
	free(path);
	free(url);
	free(listen);
	close(second_fd);
	daemon_stop(&d);
}
END_TEST

/* What the old generation is doing it may finish; the new serves already. */
START_TEST(old_calls_are_finished)
{
	struct daemon d;
	long generation = 2;
	int gate, client;

	daemon_start(&d,
	    &(struct daemon_conf){
		.service = "stop_timeout = 3600.0; start_timeout = 60.0;",
		.rest = "request_timeout = 3600.0;",
		.modules = MODULE_GATE,
		.route = { GATE_ROUTES } });
	gate = gate_make(&d);
	client = gate_call(&d);
	ctl_require_pool(&d, "rest", "busy", 1, 1);
	ctl_reload(&d);
	ctl_require_pool(&d, "rest", "draining", 1, 1);
	ck_assert_int_gt(gate_who(&d), 0);
	gate_let(gate, 1);
	gate_answer(client);
	ctl_require(&d, "all of the new generation", all_of_generation,
	    &generation);
	close(gate);
	daemon_stop(&d);
}
END_TEST

START_TEST(hup_does_the_same)
{
	struct daemon d;
	long generation = 2;
	char *line;

	daemon_start(&d, &(struct daemon_conf){ 0 });
	kill(d.pid, SIGHUP);
	ctl_require(&d, "generation 2", all_of_generation, &generation);
	text_write(d.conf, "nonsense");
	kill(d.pid, SIGHUP);
	line = daemon_await_line(&d, NULL, "reload refused");
	ck_assert_ptr_nonnull(line);
	free(line);
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	/* many at once are as good as one */
	daemon_configure(&d, &(struct daemon_conf){ 0 });
	for (int i = 0; i < 20; i++)
		kill(d.pid, SIGHUP);
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	ctl_require_pool(&d, "rest", "ready", 2, 2);
	daemon_stop(&d);
}
END_TEST

struct checker {
	pid_t master;
	size_t children;
	pid_t found;
};

/* The throw-away process that looks at the modules: the newest child. */
static bool
has_a_checker(void *ctx)
{
	struct checker *checker = ctx;
	pid_t pids[16];
	size_t n = proc_children(checker->master, pids, 16);

	if (n <= checker->children)
		return false;
	checker->found = pids[n - 1];
	return true;
}

/* A reload that hangs in a module's start(). */
static int
hanging_reload(struct daemon *d, struct checker *checker)
{
	int fd;

	daemon_start(d, &(struct daemon_conf){ 0 });
	daemon_configure(d,
	    &(struct daemon_conf){ .module = { "hello", "start_hangs" } });
	/* two REST workers, a hub and a task worker */
	*checker = (struct checker){ d->pid, 4, 0 };
	fd = raw_connect_unix(d->socket);
	raw_text(fd, "{\"cmd\":\"reload\"}\n");
	ck_assert(proc_until(d->pidfd, has_a_checker, checker));
	return fd;
}

START_TEST(check_that_is_killed)
{
	struct daemon d;
	struct checker checker;
	json_t *answer;
	int fd = hanging_reload(&d, &checker);

	kill(checker.found, SIGKILL);
	answer = ctl_read(fd);
	ck_assert_int_eq(ctl_int(answer, "code"), 1);
	text_require("the reason", ctl_text(answer, "message"), "killed");
	json_decref(answer);
	close(fd);
	require_untouched(&d, 1);
	daemon_stop(&d);
}
END_TEST

START_TEST(stop_during_a_reload)
{
	struct daemon d;
	struct checker checker;
	int fd = hanging_reload(&d, &checker);

	/* one at a time, and it says so */
	ctl_reload_refused(&d, "under way", NULL);
	daemon_stop(&d);
	ck_assert(raw_ended(fd));
	close(fd);
}
END_TEST

START_TEST(kill_during_a_reload)
{
	struct daemon d;
	struct checker checker;
	int fd = hanging_reload(&d, &checker);

	kill(d.pid, SIGKILL);
	daemon_wait(&d);
	daemon_require_no_child(&d);
	close(fd);
	daemon_release(&d);
}
END_TEST

/* What only a restart can change is left as it was, and said. */
START_TEST(restart_keys_are_left_alone)
{
	struct daemon d;
	char *line;

	daemon_start(&d,
	    &(struct daemon_conf){
		.service = "max_children = 64; start_timeout = 60.0;" });
	daemon_configure(&d,
	    &(struct daemon_conf){
		.service = "max_children = 128; start_timeout = 60.0;" });
	ctl_reload(&d);
	line = daemon_await_line(&d, NULL, "service.max_children");
	ck_assert_ptr_nonnull(line);
	free(line);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE(under_load),
		CASE_MEMORY(takes_the_new_config),
		CASE(takes_the_new_module),
		CASE_MEMORY(broken_config_is_refused),
		CASE(broken_modules_are_refused),
		CASE(taken_address_is_refused),
		CASE(scale_survives),
		CASE(addresses_come_and_go),
		CASE(old_calls_are_finished),
		CASE(hup_does_the_same),
		CASE(check_that_is_killed),
		CASE(stop_during_a_reload),
		CASE(kill_during_a_reload),
		CASE(restart_keys_are_left_alone),
	};

	return SUITE_RUN("reload", cases);
}
