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

#define HELLO ROUTE("GET", "/hello", "hello.hello")

static void
reload(const struct daemon *d)
{
	json_t *answer = ctl_ask(d, "reload", NULL);

	ck_assert_msg(ctl_int(answer, "code") == 0, "reload: %s",
	    ctl_text(answer, "message"));
	json_decref(answer);
}

static void
reload_refused(const struct daemon *d, const char *part)
{
	json_t *answer = ctl_ask(d, "reload", NULL);

	ck_assert_msg(ctl_int(answer, "code") == 1, "not refused: %s",
	    ctl_text(answer, "message"));
	text_require("the reason", ctl_text(answer, "message"), part);
	json_decref(answer);
}

/* Are all children of this generation, and is it the current one? */
static bool
all_of_generation(json_t *status, void *ctx)
{
	json_t *row;
	size_t i;

	if (ctl_int(status, "generation") != *(long *)ctx)
		return false;
	json_array_foreach(json_object_get(status, "children"), i, row)
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
		reload(&d);
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

	daemon_start(&d, &(struct daemon_conf){ .routes = HELLO });
	ck_assert_int_eq(http_status(&d, "/new", NULL), 404);
	daemon_configure(&d, &(struct daemon_conf){
	    .modules = "{ name = \"hello\"; path = \"$SO/hello.so\";"
	    "  settings = { greeting = \"good day\"; }; }",
	    .routes = ROUTE("GET", "/new", "hello.hello") });
	/* nothing is read before it is told to */
	ck_assert_int_eq(http_status(&d, "/new", NULL), 404);
	reload(&d);
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

	daemon_start(&d, &(struct daemon_conf){ .routes = HELLO });
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	from = text_format("%s/tests/modules/gate.so", suite_build());
	to = text_format("%s/hello.so", d.dir);
	text_copy(from, to);
	reload_refused(&d, "hello.hello");
	daemon_configure(&d, &(struct daemon_conf){
	    .routes = ROUTE("GET", "/who", "hello.who") });
	reload(&d);
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
	json_t *answer;
	const char *message;

	daemon_start(&d, &(struct daemon_conf){ 0 });
	/* all there is to say, not just the first */
	daemon_configure(&d, &(struct daemon_conf){
	    .rest = "connection = 3; request_timeout = \"soon\";",
	    .workers = "start = 0;" });
	answer = ctl_ask(&d, "reload", NULL);
	ck_assert_int_eq(ctl_int(answer, "code"), 1);
	message = ctl_text(answer, "message");
	text_require("the reason", message, "connections");
	text_require("the reason", message, "request_timeout");
	text_require("the reason", message, "start");
	json_decref(answer);
	require_untouched(&d, 1);
	text_write(d.conf, "rest = { listen = [ ;\n");
	reload_refused(&d, "brood.conf:1");
	require_untouched(&d, 1);
	unlink(d.conf);
	reload_refused(&d, "brood.conf");
	require_untouched(&d, 1);
	daemon_configure(&d, &(struct daemon_conf){ 0 });
	reload(&d);
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
	daemon_configure(&d, &(struct daemon_conf){
	    .service = "start_timeout = 5.0; kill_grace = 0.05;" });
	ck_assert_ptr_null(daemon_try(&d, &(int){ 0 }));
	load = load_start(&d, "/hello", 4, true);
	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		char *list = text_format(MODULE("hello")
		    ", { name = \"%s\"; path = \"$SO/%s.so\"; }",
		    modules[i].name, modules[i].name);

		daemon_configure(&d, &(struct daemon_conf){ .modules = list,
		    .service = "start_timeout = 2.0; kill_grace = 0.05;" });
		reload_refused(&d, modules[i].reason);
		require_untouched(&d, 1);
		free(list);
	}
	daemon_configure(&d, &(struct daemon_conf){ .modules = MODULE("hello")
	    ", { name = \"x\"; path = \"$DIR/is-not-there.so\"; }" });
	reload_refused(&d, "is-not-there.so");
	require_untouched(&d, 1);
	/* and all that is wrong with several of them */
	daemon_configure(&d, &(struct daemon_conf){ .modules = MODULE("hello")
	    "," MODULE("wrong_abi") "," MODULE("no_symbol") });
	reload_refused(&d, "wrong_abi");
	reload_refused(&d, "no_symbol");
	require_untouched(&d, 1);
	load_await(load, 50);
	load_stop(load);
	daemon_configure(&d, &(struct daemon_conf){ 0 });
	reload(&d);
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
	reload_refused(&d, "in use");
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
	reload(&d);
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
	    "\"unix:$DIR/rest.sock\"", second);
	daemon_configure(&d, &(struct daemon_conf){ .listen = listen });
	reload(&d);
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
	reload(&d);
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

/* What the old generation is doing it may finish; the new one serves already. */
START_TEST(old_calls_are_finished)
{
	struct daemon d;
	long generation = 2;
	int gate, client;

	daemon_start(&d, &(struct daemon_conf){
	    .service = "stop_timeout = 3600.0; start_timeout = 60.0;",
	    .rest = "request_timeout = 3600.0;",
	    .modules = MODULE_GATE, .routes = ROUTES_GATE });
	gate = gate_make(&d);
	client = gate_call(&d);
	ctl_require_pool(&d, "rest", "busy", 1, 1);
	reload(&d);
	ck_assert_int_eq(ctl_pool(&d, "rest", "draining"), 1);
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

START_TEST(log_changes)
{
	struct daemon d;
	struct reply reply;
	json_t *status, *json;
	size_t from;
	char *line;

	daemon_start(&d, &(struct daemon_conf){ .log = "level = \"info\";" });
	daemon_configure(&d, &(struct daemon_conf){
	    .log = "level = \"debug\"; format = \"json\";" });
	reload(&d);
	status = ctl_status(&d);
	ck_assert_str_eq(ctl_text(status, "log_level"), "debug");
	json_decref(status);
	from = daemon_log_size(&d);
	http_require(&d, &(struct ask){ .path = "/hello",
	    .header = { "X-Request-Id: as-json" } }, &reply);
	reply_release(&reply);
	line = daemon_await_line(&d, &from, "as-json");
	ck_assert_ptr_nonnull(line);
	ck_assert_msg((json = json_loads(line, 0, NULL)) != NULL, "%s", line);
	json_decref(json);
	free(line);
	daemon_stop(&d);
}
END_TEST

struct file_has {
	const char *path, *part;
};

static bool
file_has(void *ctx)
{
	const struct file_has *file = ctx;
	char *text = text_read(file->path, NULL);
	bool has = text_has(text, file->part);

	free(text);
	return has;
}

/* logrotate: the file is renamed, then USR1; children write into the new one
 * although they could not open it themselves. */
START_TEST(usr1_reopens_the_log)
{
	struct daemon d;
	struct file_has file = { NULL, "reopened" };
	char *log, *old, *text;
	struct reply reply;

	daemon_start(&d, &(struct daemon_conf){
	    .log = "target = \"$DIR/brood.log\";" });
	log = text_format("%s/brood.log", d.dir);
	old = text_format("%s/brood.log.1", d.dir);
	http_require(&d, &(struct ask){ .path = "/hello",
	    .header = { "X-Request-Id: before" } }, &reply);
	reply_release(&reply);
	ck_assert_int_eq(rename(log, old), 0);
	http_require(&d, &(struct ask){ .path = "/hello",
	    .header = { "X-Request-Id: between" } }, &reply);
	reply_release(&reply);
	kill(d.pid, SIGUSR1);
	file.path = log;
	ck_assert(proc_until(d.pidfd, file_has, &file));
	/* a status is an answer of the master, behind its messages to all */
	json_decref(ctl_status(&d));
	for (int i = 0; i < 20; i++) {
		http_require(&d, &(struct ask){ .path = "/hello",
		    .header = { "X-Request-Id: after" } }, &reply);
		reply_release(&reply);
	}
	text = text_read(log, NULL);
	ck_assert_uint_eq(text_count(text, "id=after "), 20);
	ck_assert(!text_has(text, "id=before "));
	free(text);
	text = text_read(old, NULL);
	ck_assert_uint_eq(text_count(text, "id=before "), 1);
	ck_assert_uint_eq(text_count(text, "id=between "), 1);
	ck_assert(!text_has(text, "id=after "));
	free(text);
	free(log);
	free(old);
	daemon_stop(&d);
}
END_TEST

/* What only a restart can change is left as it was, and said. */
START_TEST(restart_keys_are_left_alone)
{
	struct daemon d;
	char *line;

	daemon_start(&d, &(struct daemon_conf){
	    .service = "max_children = 64; start_timeout = 60.0;" });
	daemon_configure(&d, &(struct daemon_conf){
	    .service = "max_children = 128; start_timeout = 60.0;" });
	reload(&d);
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
		CASE(log_changes),
		CASE(usr1_reopens_the_log),
		CASE(restart_keys_are_left_alone),
	};

	return SUITE_RUN("reload", cases);
}
