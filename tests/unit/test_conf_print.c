/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_conf_print - what broodd -T prints loads again and prints the same; what
 * broodd -K prints is the table; secrets are in neither.
 */
#include "conf_fixture.h"
#include "core/conf_table.h"

static char *
print(const struct conf *which)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	ck_assert_ptr_nonnull(out);
	if (which != NULL)
		conf_print(which, out);
	else
		conf_print_keys(out);
	ck_assert_int_eq(fclose(out), 0);
	return text;
}

/* Loads `text`, prints it, loads that, prints it again. */
static char *
print_again(const char *text)
{
	char *once, *twice;

	if (load_text(text) == NULL)
		ck_abort_msg("%s", error_text(0));
	once = print(conf);
	if (load_text(once) == NULL)
		ck_abort_msg("%s", error_text(0));
	twice = print(conf);
	ck_assert_str_eq(once, twice);
	free(once);
	return twice;
}

static void
expect_in(const char *text, const char *part)
{
	ck_assert_msg(strstr(text, part) != NULL, "no %s in %s", part, text);
}

START_TEST(defaults_print_and_load)
{
	struct conf *defaults = conf_defaults();
	char *expected = print(defaults), *text = print_again("");

	ck_assert_str_eq(text, expected);
	expect_in(text, "\tunix_mode = 0660;\n");
	expect_in(text, "\trequest_timeout = 30.0;\n");
	expect_in(text, "\t\tgrow_delay = 0.01;\n");
	expect_in(text, "\tlisten = [ \"127.0.0.1:8080\" ];\n");
	expect_in(text, "modules = ();\n");
	expect_in(text, "\tlevel = \"info\";\n");
	free(text);
	free(expected);
	conf_free(defaults);
}
END_TEST

START_TEST(every_kind_of_value_comes_back)
{
	char *text = print_again(
	    "service = { name = \"x\"; run_dir = \"rel\"; };\n"
	    "log = { target = \"./l/\\\"q\\\\ \xc3\xa4\";\n"
	    "  format = \"json\"; };\n"
	    "modules = (\n"
	    "  { name = \"a\"; path = \"a.so\"; settings = { i = -1; big = "
	    "123456789012; r = 0.1; e = 1.5e-300; h = 1e300; n = 2.0; "
	    "t = true; "
	    "s = \"a\\n\\t\\r\\x01\\\"\\\\\"; l = ( 1, \"x\", { y = ( ); } ); "
	    "v = [ 1, 2 ]; g = { }; }; },\n"
	    "  { name = \"b\"; path = \"./b.so\"; } );\n"
	    "rest = { listen = [ \"*:0\", \"unix:/tmp/x\" ]; unix_mode = 0;\n"
	    "  max_body = 4294967296; max_lifetime = 3600;\n"
	    "  retry_after = 0.125;\n"
	    "  routes = ( { method = \"GET\"; path = \"/{x}\"; handler = "
	    "\"a.b\"; }, { method = \"PUT\"; path = \"/\"; handler = \"b.b\"; "
	    "input = \"json\"; timeout = 0.5; max_body = \"1k\"; } ); };\n");

	expect_in(text, "big = 123456789012; ");
	expect_in(text, "r = 0.1; ");
	expect_in(text, "e = 1.5e-300; ");
	expect_in(text, "h = 1.0e+300; ");
	expect_in(text, "n = 2.0; ");
	expect_in(text, "s = \"a\\n\\t\\r\\x01\\\"\\\\\"; ");
	expect_in(text, "l = ( 1, \"x\", { y = ( ); } ); ");
	expect_in(text, "v = ( 1, 2 ); g = { }; ");
	expect_in(text, "\tunix_mode = 0;\n");
	expect_in(text, "\tmax_body = 4294967296;\n");
	expect_in(text, "\tmax_lifetime = 3600.0;\n");
	expect_in(text, "\tretry_after = 0.125;\n");
	expect_in(text,
	    "\t\tinput = \"json\";\n\t\ttimeout = 0.5;\n"
	    "\t\tmax_body = 1024;\n");
	ck_assert_uint_eq(conf->route.n, 2);
	ck_assert_uint_eq(conf->module.n, 2);
	free(text);
}
END_TEST

START_TEST(secrets_are_left_out)
{
	char *text = print_again(
	    "modules = ( { name = \"a\"; path = \"a\"; settings = { "
	    "db_password = \"hush1\"; x = { API_KEY = \"hush2\"; secrets = ( "
	    "\"hush3\" ); }; url = \"amqp://u:hush4@h:1/p?q\"; plain = "
	    "\"http://h:80/a@b\"; token = 5; }; } );");

	ck_assert_ptr_null(strstr(text, "hush"));
	expect_in(text, "db_password = \"***\"; ");
	expect_in(text, "url = \"amqp://u:***@h:1/p?q\"; ");
	expect_in(text, "plain = \"http://h:80/a@b\"; ");
	expect_in(text, "token = \"***\"; ");
	free(text);
}
END_TEST

static size_t
count_keys(void)
{
	size_t keys = 0, n;

	for (size_t s = 0; s < conf_sections; s++) {
		conf_section[s].rows(&n);
		keys += n;
	}
	return keys;
}

START_TEST(every_key_is_a_line_of_eight_columns)
{
	char *text = print(NULL);
	size_t lines = 0;

	for (char *at = text; *at != '\0'; at = strchr(at, '\n') + 1) {
		size_t tabs = 0, len = strcspn(at, "\n");

		for (size_t i = 0; i < len; i++)
			tabs += at[i] == '\t';
		ck_assert_uint_eq(tabs, 7);
		ck_assert_ptr_null(memmem(at, len, "\t\t", 2));
		lines++;
	}
	ck_assert_uint_eq(lines, count_keys());
	expect_in(text,
	    "rest.routes[].method\tSTRING\trequired\t1\t32\t-\treload\tthe "
	    "method, in capitals\n");
	expect_in(text, "service.user\tSTRING\t\"\"\t0\t64\t-\trestart\t");
	expect_in(text, "rest.unix_mode\tINT\t0660\t0\t0777\tmode\treload\t");
	expect_in(text,
	    "log.level\tCHOICE\t\"info\"\t-\t-\tdebug|info|notice|warning|"
	    "error\treload\t");
	free(text);
}
END_TEST

/* Of the table itself: what else conf.def could get wrong. */
START_TEST(rows_are_sound)
{
	struct conf *defaults = conf_defaults();
	size_t n;

	for (size_t s = 0; s < conf_sections; s++) {
		const struct conf_section *section = &conf_section[s];
		const struct conf_row *row = section->rows(&n);

		ck_assert_ptr_eq(conf_section_find(section->path), section);
		for (size_t i = 0; i < n; i++) {
			ck_assert_ptr_eq(conf_row_find(section, row[i].name),
			    &row[i]);
			ck_assert(row[i].min <= row[i].max);
			ck_assert_msg(row[i].help[0] != '\0' &&
				strpbrk(row[i].help, "\t\n") == NULL,
			    "the help of %s", row[i].name);
			ck_assert(row[i].def != NULL || section->list);
			ck_assert(
			    row[i].apply == CONF_RELOAD || !section->list);
		}
	}
	conf_free(defaults);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("conf_print");
	TCase *tests = tcase_create("conf_print");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, conf_set_up, conf_tear_down);
	tcase_add_test(tests, defaults_print_and_load);
	tcase_add_test(tests, every_kind_of_value_comes_back);
	tcase_add_test(tests, secrets_are_left_out);
	tcase_add_test(tests, every_key_is_a_line_of_eight_columns);
	tcase_add_test(tests, rows_are_sound);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
