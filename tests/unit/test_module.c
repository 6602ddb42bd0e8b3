/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_module - what is loaded, what is refused and in which words, with the
 * modules of tests/modules, each of which is wrong in one way.
 *
 * The modules are looked for in $BROOD_BUILD/tests/modules, by a plain name as
 * in a config file, or in the current folder's modules when it is not set.
 */
#include "core/module.h"

#include <limits.h>

#include "call_fixture.h"
#include "core/conf.h"

#define MODULES_MAX 8

static struct conf conf;
static struct conf_module entry[MODULES_MAX];
static struct conf_errors errors;
static struct why why;

static const char *
build_path(char buf[PATH_MAX], const char *name)
{
	const char *build = getenv("BROOD_BUILD");

	snprintf(buf, PATH_MAX, "%s/%s", build != NULL ? build : ".", name);
	return buf;
}

static void
set_up_modules(void)
{
	char folder[PATH_MAX];

	set_up();
	setenv("BROOD_MODULE_DIR", build_path(folder, "tests/modules"), 1);
	conf.module.v = entry;
	conf.module.n = 0;
}

static void
tear_down_modules(void)
{
	for (size_t i = 0; i < conf.module.n; i++) {
		free(entry[i].name);
		free(entry[i].path);
		json_decref(entry[i].settings);
	}
	conf_errors_release(&errors);
	tear_down();
}

static char file[] = "/etc/test.conf";

/* A row in `modules` of the config; takes over the settings. */
static void
configure(const char *name, const char *path, json_t *settings)
{
	ck_assert_uint_lt(conf.module.n, MODULES_MAX);
	entry[conf.module.n] = (struct conf_module){
		.file = file,
		.line = 10 + (int)conf.module.n,
		.name = strdup(name),
		.path = strdup(path),
		.settings = settings,
	};
	conf.module.n++;
}

/* The only module is refused with all of these words. */
static void
check_refused(const char *first, const char *second)
{
	ck_assert_ptr_null(module_load_all(&conf, NULL, &why));
	ck_assert_msg(strstr(why.text, first) != NULL, "%s", why.text);
	ck_assert_msg(strstr(why.text, second) != NULL, "%s", why.text);
}

START_TEST(a_handler_is_found_by_its_full_name)
{
	struct module_registry *registry;
	const struct brood_handler *h;

	configure("bad", "misbehave.so", NULL);
	configure("life", "lifecycle.so",
	    json_pack("{s:s,s:s}", "file", "/dev/null", "tag", "x"));
	registry = module_load_all(&conf, NULL, &why);
	ck_assert_msg(registry != NULL, "%s", why.text);
	h = module_find(registry, "bad.echo", &why);
	ck_assert_ptr_nonnull(h);
	ck_assert_str_eq(h->name, "echo");
	h = module_find(registry, "life.hello", &why);
	ck_assert_ptr_nonnull(h);
	ck_assert_str_eq(h->help, "greets");
	module_stop_all(registry);
}
END_TEST

static const struct {
	const char *name, *first, *second;
} unknown[] = {
	{ "bad.ecko", "no handler \"bad.ecko\"", "did you mean \"bad.echo\"?" },
	{ "bat.echo", "no handler \"bat.echo\"", "did you mean \"bad.echo\"?" },
	{ "bad.Echo", "no handler", "did you mean \"bad.echo\"?" },
	{ "bad.something_else", "the module \"bad\"", "has none of that name" },
	{ "elsewhere.no_such", "no module is named", "\"elsewhere\"" },
	{ "bad.", "no handler \"bad.\"", "" },
	{ ".echo", "no handler \".echo\"", "" },
	{ "echo", "is no handler", "write MODULE.HANDLER" },
	{ "", "is no handler", "write MODULE.HANDLER" },
	{ "bad.echo.more", "no handler \"bad.echo.more\"", "" },
	{ "ba.echo", "no handler", "did you mean \"bad.echo\"?" },
};

START_TEST(an_unknown_handler_has_its_nearest_named)
{
	struct module_registry *registry;

	configure("bad", "misbehave.so", NULL);
	registry = module_load_all(&conf, NULL, &why);
	ck_assert_ptr_nonnull(registry);
	for (size_t i = 0; i < COUNT(unknown); i++) {
		why.text[0] = '\0';
		ck_assert_ptr_null(
		    module_find(registry, unknown[i].name, &why));
		ck_assert_msg(strstr(why.text, unknown[i].first) != NULL &&
			strstr(why.text, unknown[i].second) != NULL,
		    "%s: %s", unknown[i].name, why.text);
	}
	module_stop_all(registry);
}
END_TEST

static const struct {
	const char *path, *variant, *first, *second;
} refused[] = {
	{ "absent.so", "", "module \"m\": /", "No such file or directory" },
	{ "/nowhere/at.so", "",
	    "module \"m\": /nowhere/at.so: ", "No such file or directory" },
	{ "/", "", "/ is not a file", "" },
	{ "/etc/passwd", "",
	    "/etc/passwd cannot be loaded: ", "invalid ELF header" },
	{ "/dev/null", "", "/dev/null is not a file", "" },
	{ "no_symbol.so", "", "is no module", "the symbol brood_module" },
	{ "wrong_abi.so", "", "module ABI 43", "broodd has 2" },
	{ "no_name.so", "", "has no name", "" },
	{ "no_table.so", "", "has no table of handlers", "" },
	{ "bad_handlers.so", "twice", "two handlers named \"hello\"", "" },
	{ "bad_handlers.so", "name", "\"Hello-Again\"", "use a-z, 0-9 and _" },
	{ "bad_handlers.so", "empty", "a handler named \"\"", "" },
	{ "bad_handlers.so", "function", "no function for its handler",
	    "\"hello\"" },
	{ "bad_handlers.so", "endless", "more than 4096 handlers",
	    "must end with" },
	{ "start_fails.so", "", "start() failed and gave no reason", "" },
};

START_TEST(what_is_wrong_with_a_module_is_said)
{
	setenv("BAD_HANDLERS", refused[_i].variant, 1);
	configure("m", refused[_i].path, NULL);
	check_refused(refused[_i].first, refused[_i].second);
}
END_TEST

START_TEST(a_start_that_fails_gives_its_reason)
{
	configure("m", "start_fails.so",
	    json_pack("{s:s}", "why", "no licence\nfor \x1b[31mthis"));
	check_refused("start_fails.so: no licence for  [31mthis", "");
}
END_TEST

START_TEST(a_reason_without_an_end_is_ended)
{
	configure("m", "start_fails.so", json_pack("{s:b}", "long", 1));
	check_refused("start_fails.so: xxxxxxxx", "");
	ck_assert_ptr_nonnull(strchr(why.text, 'x'));
	ck_assert_uint_eq(strspn(strstr(why.text, ".so: ") + 5, "x"),
	    BROOD_WHY_SIZE - 1);
}
END_TEST

START_TEST(one_file_is_one_module)
{
	configure("one", "misbehave.so", NULL);
	configure("two", "misbehave.so", NULL);
	check_refused("module \"two\": ", "loaded as module \"one\" already");
}
END_TEST

START_TEST(a_check_reports_every_module_once)
{
	struct module_registry *registry;
	const struct brood_handler *h;

	configure("gone", "absent.so", NULL);
	configure("good", "misbehave.so", NULL);
	configure("old", "wrong_abi.so", NULL);
	registry = module_load_all(&conf, &errors, NULL);
	ck_assert_ptr_nonnull(registry);
	ck_assert_uint_eq(errors.n, 2);
	ck_assert_ptr_nonnull(
	    strstr(errors.v[0], "/etc/test.conf:10: module \"gone\": /"));
	ck_assert_ptr_nonnull(
	    strstr(errors.v[1], "/etc/test.conf:12: module \"old\": /"));

	/* routes to those two are not wrong as well; to others they are */
	ck_assert_ptr_nonnull(module_find(registry, "good.echo", &why));
	ck_assert_ptr_null(module_find(registry, "good.none", &why));
	h = module_find(registry, "gone.anything", &why);
	ck_assert_ptr_nonnull(h);
	run(h->run);
	ck_assert_int_eq(result.status, 503);
	ck_assert_ptr_nonnull(module_find(registry, "old.hello", &why));
	module_stop_all(registry);
}
END_TEST

START_TEST(no_modules_are_fine)
{
	struct module_registry *registry = module_load_all(&conf, NULL, &why);

	ck_assert_ptr_nonnull(registry);
	ck_assert_ptr_null(module_find(registry, "a.b", &why));
	module_stop_all(registry);
	module_stop_all(NULL);
}
END_TEST

/* A copy of lifecycle.so, for it to be a second module. */
static void
copy_lifecycle(const char *folder, char path[PATH_MAX])
{
	char from[PATH_MAX];
	size_t len;
	char *bytes = fd_read_file(build_path(from,
				       "tests/modules/lifecycle.so"),
	    1 << 24, &len);
	FILE *out;

	ck_assert_ptr_nonnull(bytes);
	snprintf(path, PATH_MAX, "%s/copy.so", folder);
	out = fopen(path, "w");
	ck_assert_uint_eq(fwrite(bytes, 1, len, out), len);
	fclose(out);
	free(bytes);
}

START_TEST(modules_stop_in_reverse_order)
{
	struct module_registry *registry;
	char folder[] = "/tmp/brood-test.XXXXXX";
	char path[PATH_MAX], notes[80];
	char *text;
	size_t len;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	copy_lifecycle(folder, path);
	snprintf(notes, sizeof(notes), "%s/notes", folder);
	configure("one", "lifecycle.so",
	    json_pack("{s:s,s:s}", "file", notes, "tag", "one"));
	configure("two", path,
	    json_pack("{s:s,s:s}", "file", notes, "tag", "two"));
	registry = module_load_all(&conf, NULL, &why);
	ck_assert_msg(registry != NULL, "%s", why.text);
	module_stop_all(registry);
	text = fd_read_file(notes, 4096, &len);
	ck_assert_str_eq(text, "start one\nstart two\nstop two\nstop one\n");
	free(text);
	unlink(notes);
	unlink(path);
	rmdir(folder);
}
END_TEST

/* ----------------------------------------------- the one to be copied */

static const char *name_param;

static const char *
find_name(void *ctx, enum call_lookup what, const char *name)
{
	(void)ctx;
	return what == CALL_PARAM && strcmp(name, "name") == 0 ? name_param :
								 NULL;
}

static void
check_hello(struct module_registry *registry, const char *name,
    const char *text)
{
	name_param = name;
	request.lookup = find_name;
	run(module_find(registry, "hello.hello", &why)->run);
	check_reply(200, "application/json", text);
}

START_TEST(hello_greets)
{
	struct module_registry *registry;
	char path[PATH_MAX];

	configure("hello", build_path(path, "modules/hello.so"), NULL);
	registry = module_load_all(&conf, NULL, &why);
	ck_assert_msg(registry != NULL, "%s", why.text);
	check_hello(registry, NULL, "{\"message\":\"hello, world!\"}");
	check_hello(registry, NULL, "{\"message\":\"hello, world!\"}");
	check_hello(registry, "\"Zo\xc3\xab\"",
	    "{\"message\":\"hello, \\\"Zo\xc3\xab\\\"!\"}");
	name_param = "Zo\xeb";
	run(module_find(registry, "hello.hello", &why)->run);
	check_problem(400, "the name is not UTF-8");
	body("{\"a\": [1]}");
	run(module_find(registry, "hello.echo", &why)->run);
	check_reply(200, "application/json", "{\"a\":[1]}");
	body("{\"a\": [1}");
	run(module_find(registry, "hello.echo", &why)->run);
	ck_assert_int_eq(result.status, 400);
	check_blameless();
	module_stop_all(registry);
}
END_TEST

START_TEST(hello_has_a_setting)
{
	struct module_registry *registry;
	char path[PATH_MAX];

	configure("hello", build_path(path, "modules/hello.so"),
	    json_pack("{s:s}", "greeting", "moin"));
	registry = module_load_all(&conf, NULL, &why);
	ck_assert_msg(registry != NULL, "%s", why.text);
	check_hello(registry, NULL, "{\"message\":\"moin, world!\"}");
	module_stop_all(registry);
	json_object_set_new(entry[0].settings, "greeting", json_integer(7));
	check_refused("the setting \"greeting\" must be a text", "");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("module");
	TCase *tests = tcase_create("module");

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, set_up_modules, tear_down_modules);
	tcase_add_test(tests, a_handler_is_found_by_its_full_name);
	tcase_add_test(tests, an_unknown_handler_has_its_nearest_named);
	tcase_add_loop_test(tests, what_is_wrong_with_a_module_is_said, 0,
	    COUNT(refused));
	tcase_add_test(tests, a_start_that_fails_gives_its_reason);
	tcase_add_test(tests, a_reason_without_an_end_is_ended);
	tcase_add_test(tests, one_file_is_one_module);
	tcase_add_test(tests, a_check_reports_every_module_once);
	tcase_add_test(tests, no_modules_are_fine);
	tcase_add_test(tests, modules_stop_in_reverse_order);
	tcase_add_test(tests, hello_greets);
	tcase_add_test(tests, hello_has_a_setting);
	return run_suite(suite);
}
