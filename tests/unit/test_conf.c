/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_conf - what conf_load() makes of keys: the values that it stores, and
 * for whatever can be wrong with a key, or with two of them together, an error
 * that says where and what to do.
 */
#include <sys/stat.h>

#include "base/clock.h"
#include "conf_fixture.h"

#define M "modules = ( { name = \"m\"; path = \"m.so\"; } );"

struct wrong {
	const char *text, *error;
};

/* Of keys by themselves. */
static const struct wrong wrong_key[] = {
	{ "\nrest = {\n wokers = { }; };",
	    "3: unknown key 'rest.wokers'; did you mean 'rest.workers'?" },
	{ "srevice = { };",
	    "1: unknown key 'srevice'; did you mean 'service'?" },
	{ "service = { usr = \"x\"; };",
	    "1: unknown key 'service.usr'; did you mean 'service.user'?" },
	{ "rest = { start = 4; };",
	    "1: unknown key 'rest.start'; did you mean 'rest.workers.start'?" },
	{ "backlog = 4;",
	    "1: unknown key 'backlog'; did you mean 'rest.backlog'?" },
	{ "colour = 4;",
	    "1: unknown key 'colour'; brood.conf(5) describes those there "
	    "are" },
	{ "rest = { workers = { start = { }; }; };",
	    "1: 'rest.workers.start' is a group, but must be a whole number" },
	{ "rest = { backlog = \"5\"; };",
	    "1: 'rest.backlog' is the text \"5\", but must be a whole number" },
	{ "rest = { backlog = 5.5; };",
	    "1: 'rest.backlog' is the number 5.5, but must be a whole number" },
	{ "rest = { backlog = true; };",
	    "1: 'rest.backlog' is true, but must be a whole number" },
	{ "rest = { backlog = [ 1 ]; };",
	    "1: 'rest.backlog' is a list, but must be a whole number" },
	{ "rest = { backlog = 0; };",
	    "1: 'rest.backlog' is 0, but must be from 1 to 65535 connections" },
	{ "rest = { backlog = 4294967300; };",
	    "1: 'rest.backlog' is 4294967300, but must be from 1 to 65535 "
	    "connections" },
	{ "rest = { unix_mode = 01000; };",
	    "1: 'rest.unix_mode' is 01000, but must be from 0 to 0777 "
	    "(octal)" },
	{ "rest = { idle_timeout = \"1\"; };",
	    "1: 'rest.idle_timeout' is the text \"1\", but must be a number of "
	    "seconds, 30.0 say" },
	{ "rest = { idle_timeout = 0; };",
	    "1: 'rest.idle_timeout' is 0, but must be from 0.01 to 86400 "
	    "seconds" },
	{ "rest = { idle_timeout = 1e9; };",
	    "1: 'rest.idle_timeout' is 1e+09, but must be from 0.01 to 86400 "
	    "seconds" },
	{ "rest = { idle_timeout = 1e400; };",
	    "1: 'rest.idle_timeout' is too large a number" },
	{ "rest = { max_body = -1; };",
	    "1: 'rest.max_body' is -1, but must be from 0 to 4294967296 "
	    "bytes" },
	{ "rest = { max_body = \"5G\"; };",
	    "1: 'rest.max_body' is 5368709120, but must be from 0 to "
	    "4294967296 bytes" },
	{ "rest = { max_body = \"5kB\"; };",
	    "1: 'rest.max_body' is the text \"5kB\", but must be a number of "
	    "bytes, or one in quotes with k, M or G, \"64k\" say" },
	{ "rest = { max_body = \"99999999999G\"; };",
	    "1: 'rest.max_body' is the text \"99999999999G\", but must be a "
	    "number of bytes, or one in quotes with k, M or G, \"64k\" say" },
	{ "rest = { max_body = \"\"; };",
	    "1: 'rest.max_body' is the text \"\", but must be a number of "
	    "bytes, or one in quotes with k, M or G, \"64k\" say" },
	{ "rest = { max_body = 1.5; };",
	    "1: 'rest.max_body' is the number 1.5, but must be a whole number "
	    "of bytes" },
	{ "log = { access = 1; };",
	    "1: 'log.access' is the number 1, but must be true or false" },
	{ "log = { level = \"wraning\"; };",
	    "1: 'log.level' is \"wraning\", but must be one of "
	    "debug|info|notice|warning|error; did you mean \"warning\"?" },
	{ "log = { format = \"\"; };",
	    "1: 'log.format' is \"\", but must be one of text|json" },
	{ "log = { format = 1; };",
	    "1: 'log.format' is the number 1, but must be one of the texts" },
	{ "log = { target = 1; };",
	    "1: 'log.target' is the number 1, but must be a text in quotes" },
	{ "log = { target = \"\"; };",
	    "1: 'log.target' is empty; give it a value" },
	{ "log = { target = \"/a\\nb\"; };",
	    "1: 'log.target' has a control character in it (0x0a)" },
	{ "log = { target = \"/a\xff\"; };",
	    "1: 'log.target' is no valid UTF-8" },
	{ "log = { target = \"stdder\"; };",
	    "1: 'log.target' is \"stdder\", but must be \"stderr\", "
	    "\"syslog\" or a path with a '/' in it; did you mean \"stderr\"?" },
	{ "service = { name = \"a b\"; };",
	    "1: 'service.name' is \"a b\", but may only have letters, digits, "
	    "'_' and '-'" },
	{ "service = { group = \"0123456789012345678901234567890123456789"
	  "0123456789012345678901234\"; };",
	    "1: 'service.group' has 65 characters, but must have from 0 to "
	    "64" },
	{ "service = 5;",
	    "1: 'service' is a single value, but must be a group, { … }" },
	{ "service = ( { } );",
	    "1: 'service' is a list, but must be a group, { … }" },
	{ "modules = { };",
	    "1: 'modules' is a group, but must be a list of groups, "
	    "( { … }, { … } )" },
	{ "modules = [ 1 ];",
	    "1: 'modules' is an array, but must be a list of groups, "
	    "( { … }, { … } )" },
	{ "modules = 1;",
	    "1: 'modules' is a single value, but must be a list of groups, "
	    "( { … }, { … } )" },
	{ "modules = ( 1 );",
	    "1: 'modules[0]' is a single value, but must be a group, { … }" },
	{ "modules = (\n { name = \"m\"; } );",
	    "2: 'modules[0]' has no 'path'; it must be given (the shared "
	    "object; without a slash it is looked for in the module folder)" },
	{ "modules = ( { name = \"m\"; path = \"m\"; settings = 1; } );",
	    "1: 'modules[0].settings' is the number 1, but must be a group, "
	    "{ … }" },
	{ M "rest = { routes = ( { method = \"GET\"; path = \"/\";\n handler = "
	    "\"m.h\"; timout = 1; } ); };",
	    "2: unknown key 'rest.routes[0].timout'; did you mean "
	    "'rest.routes[0].timeout'?" },
	{ M "rest = { routes = ( { method = \"GET\"; path = \"/\"; handler = "
	    "\"greet\"; } ); };",
	    "1: 'rest.routes[0].handler' is \"greet\", but must be "
	    "MODULE.HANDLER, \"hello.greet\" say" },
	{ M "rest = { routes = ( { method = \"GET\"; path = \"/\"; handler = "
	    "\"m.h.x\"; } ); };",
	    "1: 'rest.routes[0].handler' is \"m.h.x\", but must be "
	    "MODULE.HANDLER, \"hello.greet\" say" },
	{ "rest = { listen = 80; };",
	    "1: 'rest.listen' is the number 80, but must be a list of texts, "
	    "[ \"…\", \"…\" ]" },
	{ "rest = { listen = [ 80 ]; };",
	    "1: 'rest.listen' is the number 80, but must be a list of nothing "
	    "but texts in quotes" },
	{ "rest = { listen = []; };",
	    "1: 'rest.listen' has 0 addresses, but must have from 1 to 64" },
	{ "rest = { listen = [ \"a\\x01\" ]; };",
	    "1: 'rest.listen' has a control character in it (0x01)" },
};

/* Of keys together. */
static const struct wrong wrong_pair[] = {
	{ "rest = { workers = {\n start = 65; }; };",
	    "2: 'rest.workers.start' is 65, but must not be more than "
	    "'rest.workers.max', which is 64" },
	{ "rest = { workers = {\n max = 3; }; };",
	    "2: 'rest.workers.start' is 4, but must not be more than "
	    "'rest.workers.max', which is 3" },
	{ "rest = { workers = {\n min_spare = 9; }; };",
	    "2: 'rest.workers.min_spare' is 9, but must not be more than "
	    "'rest.workers.max_spare', which is 8" },
	{ "rest = { workers = { max = 4;\n min_spare = 5; }; };",
	    "2: 'rest.workers.min_spare' is 5, but must not be more than "
	    "'rest.workers.max', which is 4" },
	{ "rest = { workers = { max = 513; }; };",
	    "1: 'service.max_children' is 1024, but must be at least 1059: "
	    "twice 'rest.workers.max', 'tasks.workers.max' and those of "
	    "'tasks.background', which live side by side with their "
	    "successors during a reload, and the hub" },
	{ "\nservice = { max_children = 127; };",
	    "2: 'service.max_children' is 127, but must be at least 161: "
	    "twice 'rest.workers.max', 'tasks.workers.max' and those of "
	    "'tasks.background', which live side by side with their "
	    "successors during a reload, and the hub" },
	{ "service = { heartbeat_timeout = 10; };",
	    "1: 'service.heartbeat_timeout' is 10, but must be more than twice "
	    "'service.heartbeat_interval', which is 5, or healthy children are "
	    "killed" },
	{ "service = { respawn_max_delay = 0.1; respawn_min_delay = 0.25; };",
	    "1: 'service.respawn_min_delay' is 0.25, but must not be more than "
	    "'service.respawn_max_delay', which is 0.1" },
	{ "rest = {\n listen = [ \"[::1]:80\", \"http://[0::1]:80\" ]; };",
	    "2: 'rest.listen' has \"[0::1]:80\" twice" },
	{ "rest = { listen = [ \"unix:/a\", \"unix:/a\" ]; };",
	    "1: 'rest.listen' has \"unix:/a\" twice" },
	{ "rest = { listen = [ \"example.com:80\" ]; };",
	    "1: 'rest.listen' has \"example.com:80\": 'example.com' is no IPv4 "
	    "address; names are not looked up, but 'localhost' and '*' will "
	    "do" },
	{ "modules = ( { name = \"m\"; path = \"a\"; },\n{ name = \"m\"; path "
	  "= \"b\"; } );",
	    "2: a module named \"m\" is there already, at brood.conf:1" },
	{ "modules = ( { name = \"hello\"; path = \"a\"; } );\nrest = { routes "
	  "= ( { method = \"GET\"; path = \"/\"; handler = \"helo.x\"; } ); };",
	    "2: the handler \"helo.x\" is in no module of this config; did you "
	    "mean \"hello.x\"?" },
	{ "rest = { routes = ( { method = \"GET\"; path = \"/\"; handler = "
	  "\"helo.x\"; } ); };",
	    "1: the handler \"helo.x\" is in no module of this config: no "
	    "entry of 'modules' has the name \"helo\"" },
	{ M "rest = { routes = ( { method = \"GET\"; path = \"/\"; handler = "
	    "\"m.a\"; },\n{ method = \"GET\"; path = \"/\"; handler = \"m.b\"; "
	    "} ); };",
	    "2: GET / is routed already, at brood.conf:1" },
	{ "rest = { tls = { certificate = \"pem\"; }; };",
	    "1: 'rest.tls.certificate' is given, but 'rest.tls.key' is not; "
	    "TLS takes both" },
	{ "rest = { tls = {\n key = \"pem\"; }; };",
	    "2: 'rest.tls.key' is given, but 'rest.tls.certificate' is not; "
	    "TLS takes both" },
	{ "rest = { tls = { certificate = \"pem\";\n key = \"nix\"; }; };",
	    "2: 'rest.tls.key': cannot read nix: No such file or directory" },
	{ "rest = { tls = { certificate = \"brood.conf\"; key = \"pem\"; }; };",
	    "1: 'rest.tls.certificate': brood.conf is not in PEM format" },
	{ "rest = { tls = { certificate = \"pem\"; key = \"large\"; }; };",
	    "1: 'rest.tls.key': cannot read large: it is larger than 1 MB" },
};

static void
expect_wrong(const struct wrong *w)
{
	char error[512];

	snprintf(error, sizeof(error), "brood.conf:%s", w->error);
	expect_error(w->text, error);
}

START_TEST(keys_that_are_wrong)
{
	expect_wrong(&wrong_key[_i]);
}
END_TEST

START_TEST(keys_that_contradict_each_other)
{
	char path[128];

	put_file("pem", "-----BEGIN X-----\n");
	snprintf(path, sizeof(path), "%s/large", dir);
	put_file("large", "");
	ck_assert_int_eq(truncate(path, (1 << 20) + 1), 0);
	expect_wrong(&wrong_pair[_i]);
}
END_TEST

START_TEST(all_errors_are_reported)
{
	load_text("service = { name = \"\"; };\nlog = { level = 1; };\n"
		  "rest = { workers = { start = 65; }; listen = [ \"x\" ];\n"
		  "routes = ( { } ); };\n");
	ck_assert_uint_eq(errors.n, 7);
	ck_assert_str_eq(error_text(0),
	    "brood.conf:1: 'service.name' is empty; give it a value");
	ck_assert_ptr_nonnull(strstr(error_text(1), ":2: 'log.level'"));
	ck_assert_ptr_nonnull(
	    strstr(error_text(2), ":4: 'rest.routes[0]' has no 'method'"));
	ck_assert_ptr_nonnull(strstr(error_text(3), "no 'path'"));
	ck_assert_ptr_nonnull(strstr(error_text(4), "no 'handler'"));
	ck_assert_ptr_nonnull(
	    strstr(error_text(5), ":3: 'rest.workers.start'"));
	ck_assert_ptr_nonnull(
	    strstr(error_text(6), ":3: 'rest.listen' has \"x\": no port"));
}
END_TEST

/* Broken modules are not followed by an error for each route. */
START_TEST(one_mistake_is_one_error)
{
	expect_error("modules = { };\nrest = { routes = ( { method = \"GET\"; "
		     "path = \"/\"; handler = \"m.h\"; } ); };",
	    "brood.conf:1: 'modules' is a group, but must be a list of groups, "
	    "( { … }, { … } )");
	expect_error(
	    "modules = ( { name = \"m\"; path = \"m\"; }, { path = \"x\"; } "
	    ");\nrest = { routes = ( { method = \"GET\"; path = \"/\"; handler "
	    "= \"x.h\"; } ); };",
	    "brood.conf:1: 'modules[1]' has no 'name'; it must be given (name "
	    "that routes use for its handlers)");
}
END_TEST

START_TEST(settings_have_a_depth)
{
	char text[512] = "modules = ( { name = \"m\"; path = \"m\"; settings = "
			 "{ x = ";
	size_t len = strlen(text);

	memset(text + len, '(', 65);
	memset(text + len + 65, ')', 65);
	strcpy(text + len + 130, "; }; } );");
	expect_error(text,
	    "brood.conf:1: 'modules[0].settings' is nested more than 64 deep");
}
END_TEST

START_TEST(values_are_stored)
{
	char path[256];

	put_file("pem", "-----BEGIN X-----\n");
	ck_assert_ptr_nonnull(load_text(
	    "service = { run_dir = \"run\"; state_dir = \"/s\"; };\n"
	    "log = { target = \"log/x\"; level = \"error\";\n"
	    " access = false; };\n"
	    "modules = ( { name = \"m\"; path = \"m.so\"; settings = { a = 1; "
	    "b "
	    "= [ 1.5 ]; c = ( true, \"x\" ); d = { }; }; },\n"
	    "  { name = \"n\"; path = \"./n.so\"; } );\n"
	    "rest = { listen = [ \"*:0\", \"*:0\" ]; unix_mode = 0600;\n"
	    "  max_body = \"2m\"; max_uri = \"64\"; max_header = 0x1000;\n"
	    "  idle_timeout = 5; request_timeout = 0.25;\n"
	    "  tls = { certificate = \"pem\"; key = \"./pem\"; };\n"
	    "  routes = ( { method = \"GET\"; path = \"/\"; handler = \"n.h\"; "
	    "input = \"json\"; } ); };"));
	snprintf(path, sizeof(path), "%s/run", dir);
	ck_assert_str_eq(conf->service.run_dir, path);
	ck_assert_str_eq(conf->service.state_dir, "/s");
	snprintf(path, sizeof(path), "%s/log/x", dir);
	ck_assert_str_eq(conf->log.target, path);
	ck_assert_int_eq(conf->log.level, 4);
	ck_assert(!conf->log.access);
	ck_assert_uint_eq(conf->module.n, 2);
	ck_assert_str_eq(conf->module.v[0].path, "m.so");
	snprintf(path, sizeof(path), "%s/n.so", dir);
	ck_assert_str_eq(conf->module.v[1].path, path);
	ck_assert_int_eq(conf->module.v[1].line, 5);
	ck_assert_uint_eq(json_object_size(conf->module.v[0].settings), 4);
	ck_assert_uint_eq(json_object_size(conf->module.v[1].settings), 0);
	ck_assert_uint_eq(conf->rest.listen.n, 2);
	ck_assert_int_eq(conf->rest.unix_mode, 0600);
	ck_assert_uint_eq(conf->rest.max_body, 2 << 20);
	ck_assert_uint_eq(conf->rest.max_uri, 64);
	ck_assert_uint_eq(conf->rest.max_header, 4096);
	ck_assert(conf->rest.idle_timeout == 5 * NS_PER_S);
	ck_assert(conf->rest.request_timeout == 250 * NS_PER_MS);
	ck_assert_str_eq(conf->tls_certificate, "-----BEGIN X-----\n");
	ck_assert_str_eq(conf->tls_key, conf->tls_certificate);
	ck_assert_int_eq(conf->route.v[0].input, CONF_INPUT_JSON);
	ck_assert_int_eq(conf->route.v[0].mode, CONF_MODE_INLINE);
	ck_assert(conf->route.v[0].timeout == 0);
}
END_TEST

START_TEST(lists_may_be_empty)
{
	ck_assert_ptr_nonnull(load_text("modules = []; rest = { routes = (); "
					"};"));
	ck_assert_uint_eq(conf->module.n, 0);
	ck_assert_uint_eq(conf->route.n, 0);
}
END_TEST

START_TEST(paths_that_follow_from_others)
{
	char buf[CONF_PATH_SIZE];

	load_text("service = { run_dir = \"/r\"; };");
	ck_assert_str_eq(conf_pid_file(conf, buf), "/r/broodd.pid");
	ck_assert_str_eq(conf_control_socket(conf, buf), "/r/control.sock");
	load_text("service = { pid_file = \"/p\"; }; control = { socket = "
		  "\"/s\"; };");
	ck_assert_str_eq(conf_pid_file(conf, buf), "/p");
	ck_assert_str_eq(conf_control_socket(conf, buf), "/s");
}
END_TEST

START_TEST(a_reload_leaves_some_keys_out)
{
	struct conf_errors ignored = { 0 };
	struct conf *old = conf_defaults();

	load_text("service = { user = \"x\"; stop_timeout = 1; max_children = "
		  "200; };\nlog = { level = \"error\"; }; control = { socket = "
		  "\"/s\"; };\n" M);
	conf_compare(old, conf, &ignored);
	ck_assert_uint_eq(ignored.n, 3);
	ck_assert_str_eq(ignored.v[0],
	    "'service.user' has changed; it takes a restart to apply, until "
	    "then the old value stays");
	ck_assert_ptr_nonnull(strstr(ignored.v[1], "service.max_children"));
	ck_assert_ptr_nonnull(strstr(ignored.v[2], "control.socket"));
	ck_assert_str_eq(conf->service.user, "");
	ck_assert_str_eq(conf->control.socket, "");
	ck_assert_int_eq(conf->service.max_children, 1024);
	ck_assert(conf->service.stop_timeout == NS_PER_S);
	conf_errors_release(&ignored);
	conf_compare(old, conf, &ignored);
	ck_assert_uint_eq(ignored.n, 0);
	conf_free(old);
}
END_TEST

START_TEST(a_reload_can_outgrow_the_slots)
{
	struct conf_errors ignored = { 0 };
	struct conf *old = conf_defaults();

	load_text("service = { max_children = 2048; };\n"
		  "rest = { workers = { max = 600; }; };");
	conf_compare(old, conf, &ignored);
	ck_assert_uint_eq(ignored.n, 2);
	ck_assert_str_eq(ignored.v[1],
	    "1233 children may live side by side during a reload, more than "
	    "the 'service.max_children' that stays, which is 1024; a reload "
	    "of full pools may not find room");
	conf_errors_release(&ignored);
	conf_free(old);
}
END_TEST

START_TEST(errors_are_kept_in_order)
{
	conf_errors_add(&errors, "%s %d", "one", 1);
	conf_errors_add(&errors, "%%");
	ck_assert_uint_eq(errors.n, 2);
	ck_assert_str_eq(errors.v[0], "one 1");
	ck_assert_str_eq(errors.v[1], "%");
	conf_errors_release(&errors);
	ck_assert_uint_eq(errors.n, 0);
	conf_errors_release(&errors);
	conf_free(NULL);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("conf");
	TCase *tests = tcase_create("conf");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, conf_set_up, conf_tear_down);
	tcase_add_loop_test(tests, keys_that_are_wrong, 0,
	    sizeof(wrong_key) / sizeof(wrong_key[0]));
	tcase_add_loop_test(tests, keys_that_contradict_each_other, 0,
	    sizeof(wrong_pair) / sizeof(wrong_pair[0]));
	tcase_add_test(tests, all_errors_are_reported);
	tcase_add_test(tests, one_mistake_is_one_error);
	tcase_add_test(tests, settings_have_a_depth);
	tcase_add_test(tests, values_are_stored);
	tcase_add_test(tests, lists_may_be_empty);
	tcase_add_test(tests, paths_that_follow_from_others);
	tcase_add_test(tests, a_reload_leaves_some_keys_out);
	tcase_add_test(tests, a_reload_can_outgrow_the_slots);
	tcase_add_test(tests, errors_are_kept_in_order);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
