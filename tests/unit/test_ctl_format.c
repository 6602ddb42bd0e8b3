/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_ctl_format - figures, texts and tables of broodctl against what they
 * should look like, the absurd ones included.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/format.h"
#include "run_suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef const char *format_fn(double value, char *buf);

static const struct {
	format_fn *format;
	double value;
	const char *text;
} figures[] = {
	{ format_age, 0, "0.0s" },
	{ format_age, 0.44, "0.4s" },
	{ format_age, 9.94, "9.9s" },
	{ format_age, 9.96, "10s" },
	{ format_age, 59.9, "59s" },
	{ format_age, 59.96, "1m00s" },
	{ format_age, 185, "3m05s" },
	{ format_age, 3599, "59m59s" },
	{ format_age, 3600, "1h00m" },
	{ format_age, 15120, "4h12m" },
	{ format_age, 86400, "1d00h" },
	{ format_age, 273600, "3d04h" },
	{ format_age, -5, "0.0s" },
	{ format_age, NAN, "0.0s" },
	{ format_age, INFINITY, "11574074074d01h" },
	{ format_bytes, 0, "0B" },
	{ format_bytes, 1023, "1023B" },
	{ format_bytes, 1024, "1.0K" },
	{ format_bytes, 10240, "10K" },
	{ format_bytes, 3250586, "3.1M" },
	{ format_bytes, 1288490189, "1.2G" },
	{ format_bytes, -1, "0B" },
	{ format_bytes, 1e300, "909T" },
	{ format_us, 0, "0us" },
	{ format_us, 87, "87us" },
	{ format_us, 1200, "1.2ms" },
	{ format_us, 12400, "12ms" },
	{ format_us, 3400000, "3.4s" },
	{ format_us, 1e300, "1000000000s" },
};

START_TEST(figures_read_well)
{
	char buf[FORMAT_SIZE];

	ck_assert_str_eq(figures[_i].format(figures[_i].value, buf),
	    figures[_i].text);
}
END_TEST

static const struct {
	const char *from, *to;
} texts[] = {
	{ "", "" },
	{ "plain", "plain" },
	{ "a\033[31mb", "a?[31mb" },
	{ "a\r\n\tb\177", "a???b?" },
	{ "\302\233K", "??K" }, /* CSI as one character */
	{ "\302\240", "\302\240" },
	{ "na\303\257ve \342\202\254", "na\303\257ve \342\202\254" },
	{ "\302", "\302" },
};

START_TEST(control_characters_are_taken_out)
{
	char *text = strdup(texts[_i].from);

	ck_assert_str_eq(format_clean(text), texts[_i].to);
	free(text);
}
END_TEST

START_TEST(width_counts_characters)
{
	ck_assert_uint_eq(format_width(""), 0);
	ck_assert_uint_eq(format_width("abc"), 3);
	ck_assert_uint_eq(format_width("na\303\257ve \342\202\254"), 7);
}
END_TEST

START_TEST(a_table_is_aligned)
{
	static const struct table_column column[] = {
		{ "NAME", false },
		{ "N", true },
		{ "NONE", true },
		{ "LAST", false },
	};
	struct table table;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	table_init(&table, column, COUNT(column));
	table_add(&table, "%s", "a");
	table_add(&table, "%d", 1);
	table_add(&table, "%s", "");
	table_add(&table, "%s", "");
	table_add(&table, "%s", "l\303\244nger");
	table_add(&table, "%d", 1234);
	table_add(&table, "%s", "");
	table_add(&table, "%s", "x\ny");
	table_print(&table, out);
	fclose(out);
	ck_assert_str_eq(text,
	    "NAME       N  LAST\n"
	    "a          1\n"
	    "l\303\244nger  1234  x?y\n");
	table_release(&table);
	free(text);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("ctl_format");
	TCase *tcase = tcase_create("text");

	tcase_add_loop_test(tcase, figures_read_well, 0, COUNT(figures));
	tcase_add_loop_test(tcase, control_characters_are_taken_out, 0,
	    COUNT(texts));
	tcase_add_test(tcase, width_counts_characters);
	tcase_add_test(tcase, a_table_is_aligned);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
