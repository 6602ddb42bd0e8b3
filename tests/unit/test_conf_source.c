/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_conf_source - what is said about files, characters and @include, and
 * that numbers come out as they were written.
 */
#include <errno.h>
#include <sys/stat.h>

#include "conf_fixture.h"

static const struct {
	const char *text, *error;
} wrong[] = {
	{ "a = 12k;",
	    "brood.conf:1: '12k' is no number; a text, \"64k\" say, goes in "
	    "quotes" },
	{ "\n\na = 30s;",
	    "brood.conf:3: '30s' is no number; a text, \"64k\" say, goes in "
	    "quotes" },
	{ "a = 08;",
	    "brood.conf:1: the number 08 begins with 0, which makes it octal, "
	    "but has a digit beyond 7" },
	{ "a = 99999999999999999999;",
	    "brood.conf:1: the number 99999999999999999999 is too large" },
	{ "a = 0xFFFFFFFFFFFFFFFFFF;",
	    "brood.conf:1: the number 0xFFFFFFFFFFFFFFFFFF is too large" },
	{ "a = -nan;",
	    "brood.conf:1: '-nan' is no number; a text, \"64k\" say, goes in "
	    "quotes" },
	{ "a = 1; /* no\nend *",
	    "brood.conf:1: the comment that starts here has no end; write */" },
	{ "a = \"b;\n\n",
	    "brood.conf:1: the text that starts here has no closing quote on "
	    "its line" },
	{ "a = \"b\\",
	    "brood.conf:1: the text that starts here has no closing quote on "
	    "its line" },
	{ "@include routes.conf\n",
	    "brood.conf:1: @include wants a file name in quotes" },
	{ "\n@include \"nix.conf\"\n",
	    "brood.conf:2: cannot include nix.conf: No such file or "
	    "directory" },
	{ "@include \"/\"\n",
	    "brood.conf:1: cannot include /: it is a folder" },
	{ "@include \"brood.conf\"\n",
	    "brood.conf:1: included more than 10 deep; does the file include "
	    "itself?" },
	{ "service = {\n name = \"a\"; name = \"b\"; };",
	    "brood.conf:2: duplicate setting name" },
	{ "service = { name = ; };",
	    "brood.conf:1: syntax error; a ';' or a bracket is missing here or "
	    "above" },
	{ "rest = { listen = [ \"a\", 1 ]; };",
	    "brood.conf:1: mismatched element type in array" },
};

START_TEST(characters_that_are_wrong)
{
	expect_error(wrong[_i].text, wrong[_i].error);
}
END_TEST

START_TEST(a_number_longer_than_any)
{
	char text[128] = "a = ";

	memset(text + 4, '7', 100);
	expect_error(text, "brood.conf:1: a number is too long");
}
END_TEST

START_TEST(every_line_is_looked_at)
{
	load_text("a = 1x;\nb = 2;\nc = \"x;\nd = 08;\n");
	ck_assert_uint_eq(errors.n, 3);
	ck_assert_ptr_nonnull(strstr(error_text(0), ":1: '1x' is no number"));
	ck_assert_ptr_nonnull(strstr(error_text(1), ":3: the text that"));
	ck_assert_ptr_nonnull(strstr(error_text(2), ":4: the number 08"));
}
END_TEST

static const struct {
	const char *text;
	double number;
} numbers[] = {
	{ "0", 0 },
	{ "7", 7 },
	{ "-7", -7 },
	{ "+7", 7 },
	{ "017", 15 },
	{ "0x1F", 31 },
	{ "0x1FL", 31 },
	{ "5L", 5 },
	{ "5LL", 5 },
	{ "4294967296", 4294967296.0 },
	{ "-4294967297", -4294967297.0 },
	{ "9007199254740991", 9007199254740991.0 },
	{ "1.5", 1.5 },
	{ "-1.5", -1.5 },
	{ ".5", 0.5 },
	{ "2.", 2 },
	{ "1e3", 1000 },
	{ "-1e-3", -0.001 },
	{ "2.5E+2", 250 },
};

START_TEST(numbers_come_out_as_written)
{
	const json_t *x;
	char text[256];

	snprintf(text, sizeof(text),
	    "modules = ( { name = \"m\"; path = \"m\"; settings = { x = %s; }; "
	    "} );",
	    numbers[_i].text);
	ck_assert_ptr_nonnull(load_text(text));
	x = json_object_get(conf->module.v[0].settings, "x");
	ck_assert(json_is_number(x));
	ck_assert(json_number_value(x) == numbers[_i].number);
}
END_TEST

/* libconfig's own reader of these is at fault: see conf_source.h. */
START_TEST(all_of_64_bits)
{
	const json_t *x;

	ck_assert_ptr_nonnull(load_text(
	    "modules = ( { name = \"m\"; path = \"m\"; settings = { x = [ "
	    "9223372036854775807, 1 ]; }; } );"));
	x = json_object_get(conf->module.v[0].settings, "x");
	ck_assert(json_integer_value(json_array_get(x, 0)) == INT64_MAX);
}
END_TEST

START_TEST(comments_and_names_are_left_alone)
{
	const json_t *x;

	ck_assert_ptr_nonnull(load_text(
	    "# 12k \"\n// 08 /*\n/* 9z\n \" */\n"
	    "modules /* here */ = ( { name = \"a\"; path = \"//x # /* 12k\"; "
	    "settings : { a12k-0x = 1, *b08 = \"\\\"#\" \"//\" } } ) # end"));
	ck_assert_str_eq(conf->module.v[0].path, "//x # /* 12k");
	ck_assert_int_eq(conf->module.v[0].line, 5);
	x = conf->module.v[0].settings;
	ck_assert(json_integer_value(json_object_get(x, "a12k-0x")) == 1);
	ck_assert_str_eq(json_string_value(json_object_get(x, "*b08")),
	    "\"#//");
}
END_TEST

START_TEST(an_empty_file_is_a_config)
{
	ck_assert_ptr_nonnull(load_text(""));
	ck_assert_ptr_nonnull(load_text("# nothing"));
	ck_assert_ptr_nonnull(load_text("\r\n \t\r\nlog = {\r\n};\r\n"));
}
END_TEST

START_TEST(includes_name_the_right_file)
{
	put_file("outer.inc",
	    "{ method = \"GET\"; path = \"/a\";\n"
	    "  handlr = \"m.h\"; },\n @include \"inner.inc\"\n{ path = 1; }");
	put_file("inner.inc", "# here\n{ methd = \"GET\"; }, ");
	load_text("rest = {\n routes = (\n  @include \"outer.inc\" );\n"
		  " wokers = 1; };");
	ck_assert_uint_eq(errors.n, 10);
	ck_assert_str_eq(error_text(0),
	    "outer.inc:2: unknown key 'rest.routes[0].handlr'; did you mean "
	    "'rest.routes[0].handler'?");
	ck_assert_str_eq(error_text(1),
	    "outer.inc:1: 'rest.routes[0]' has no 'handler'; it must be given "
	    "(MODULE.HANDLER)");
	ck_assert_str_eq(error_text(2),
	    "inner.inc:2: unknown key 'rest.routes[1].methd'; did you mean "
	    "'rest.routes[1].method'?");
	ck_assert_ptr_nonnull(strstr(error_text(6),
	    "outer.inc:4: 'rest.routes[2].path' is the number 1"));
	ck_assert_ptr_nonnull(
	    strstr(error_text(9), "brood.conf:4: unknown key 'rest.wokers'"));
}
END_TEST

START_TEST(what_is_included_counts)
{
	put_file("a.inc", "service = { name = \"a\"; };\n# no newline");
	ck_assert_ptr_nonnull(load_text("@include \"a.inc\" log = { level = "
					"\"debug\"; };"));
	ck_assert_str_eq(conf->service.name, "a");
	ck_assert_int_eq(conf->log.level, 0);
	ck_assert_uint_eq(conf->files.n, 2);
	put_file("routes.inc",
	    "{ method = \"GET\"; path = \"/\"; handler = \"m.h\"; }");
	ck_assert_ptr_nonnull(load_text(
	    "modules = ( { name = \"m\"; path = \"m\"; } );\nrest = { routes = "
	    "(\n@include \"routes.inc\"\n); };"));
	ck_assert_ptr_nonnull(strstr(conf->route.v[0].file, "/routes.inc"));
	ck_assert_int_eq(conf->route.v[0].line, 1);
}
END_TEST

START_TEST(an_include_may_have_errors)
{
	put_file("a.inc", "\n\nlog = { level = };");
	expect_error("service = { };\n@include \"a.inc\"\n",
	    "a.inc:3: syntax error; a ';' or a bracket is missing here or "
	    "above");
	put_file("a.inc", "\n/*");
	expect_error("@include \"a.inc\"\n",
	    "a.inc:2: the comment that starts here has no end; write */");
}
END_TEST

START_TEST(files_that_cannot_be_read)
{
	char path[128], fifo[128];

	snprintf(path, sizeof(path), "%s/nix", dir);
	ck_assert_ptr_null(conf_load(path, &errors));
	ck_assert_str_eq(error_text(0),
	    "cannot read the config nix: No such file or directory; name one "
	    "with -c FILE");
	ck_assert_ptr_null(conf_load(dir, &errors));
	ck_assert_ptr_nonnull(strstr(errors.v[1], ": it is a folder"));
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	ck_assert_ptr_null(conf_load(fifo, &errors));
	ck_assert_ptr_nonnull(strstr(errors.v[2], ": it is no regular file"));
	ck_assert_uint_eq(errors.n, 3);
}
END_TEST

START_TEST(a_nul_byte_is_no_text)
{
	const char *path = put_file("brood.conf", "a = 1;");
	FILE *file = fopen(path, "a");

	ck_assert_ptr_nonnull(file);
	fwrite("\0x", 1, 2, file);
	fclose(file);
	ck_assert_ptr_null(conf_load(path, &errors));
	ck_assert_str_eq(error_text(0),
	    "cannot read the config brood.conf: it holds a NUL byte");
}
END_TEST

START_TEST(a_config_has_a_size)
{
	char line[1001];
	FILE *file;
	int n;

	memset(line, '#', 999);
	line[999] = '\n';
	line[1000] = '\0';
	file = fopen(put_file("large.conf", ""), "w");
	ck_assert_ptr_nonnull(file);
	for (n = 0; n < 4300; n++)
		fputs(line, file);
	fclose(file);
	expect_error("@include \"large.conf\"\n",
	    "brood.conf:1: cannot include large.conf: File too large");
}
END_TEST

START_TEST(a_relative_path_is_of_here)
{
	put_file("here.conf", "service = { name = \"here\"; };");
	ck_assert_int_eq(chdir(dir), 0);
	conf = conf_load("./here.conf", &errors);
	ck_assert_ptr_nonnull(conf);
	ck_assert_ptr_nonnull(strstr(conf->file, dir));
	ck_assert_str_eq(conf->file + strlen(conf->file) - 10, "/here.conf");
	ck_assert_ptr_null(strstr(conf->file, "./"));
	ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("conf_source");
	TCase *tests = tcase_create("conf_source");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, conf_set_up, conf_tear_down);
	tcase_add_loop_test(tests, characters_that_are_wrong, 0,
	    sizeof(wrong) / sizeof(wrong[0]));
	tcase_add_test(tests, a_number_longer_than_any);
	tcase_add_test(tests, every_line_is_looked_at);
	tcase_add_loop_test(tests, numbers_come_out_as_written, 0,
	    sizeof(numbers) / sizeof(numbers[0]));
	tcase_add_test(tests, all_of_64_bits);
	tcase_add_test(tests, comments_and_names_are_left_alone);
	tcase_add_test(tests, an_empty_file_is_a_config);
	tcase_add_test(tests, includes_name_the_right_file);
	tcase_add_test(tests, what_is_included_counts);
	tcase_add_test(tests, an_include_may_have_errors);
	tcase_add_test(tests, files_that_cannot_be_read);
	tcase_add_test(tests, a_nul_byte_is_no_text);
	tcase_add_test(tests, a_config_has_a_size);
	tcase_add_test(tests, a_relative_path_is_of_here);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
