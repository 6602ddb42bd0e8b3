/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_utf8 - every lead byte with the edges of what may follow it, cut texts,
 * and every code point there is.
 */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "run_suite.h"

static size_t
put(uint32_t point, char out[4])
{
	if (point < 0x80) {
		out[0] = (char)point;
		return 1;
	}
	if (point < 0x800) {
		out[0] = (char)(0xc0 | point >> 6);
		out[1] = (char)(0x80 | (point & 0x3f));
		return 2;
	}
	if (point < 0x10000) {
		out[0] = (char)(0xe0 | point >> 12);
		out[1] = (char)(0x80 | (point >> 6 & 0x3f));
		out[2] = (char)(0x80 | (point & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | point >> 18);
	out[1] = (char)(0x80 | (point >> 12 & 0x3f));
	out[2] = (char)(0x80 | (point >> 6 & 0x3f));
	out[3] = (char)(0x80 | (point & 0x3f));
	return 4;
}

START_TEST(test_every_code_point)
{
	char text[4];

	for (uint32_t point = 0; point < 0x110000 + 0x1000; point++) {
		size_t n = put(point, text);
		bool good = point < 0xd800 ||
		    (point > 0xdfff && point < 0x110000);

		if (utf8_sequence(text, n) != (good ? n : 0))
			ck_abort_msg("U+%04X", point);
		for (size_t cut = 1; cut < n; cut++)
			if (utf8_sequence(text, cut) != 0)
				ck_abort_msg("U+%04X, cut", point);
	}
}
END_TEST

START_TEST(test_no_sequence)
{
	static const char *const bad[] = {
		"\x80",
		"\xbf",
		"\xc0\x80",
		"\xc1\xbf",
		"\xe0\x9f\xbf",
		"\xf0\x8f\xbf\xbf",
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
		"\xff",
		"\xc3",
		"\xc3(",
		"\xe2\x82",
		"\xe2(\xa1",
		"\xe2\x82(",
		"\xf0\x9f\x98",
		"\xf0\x9f(\x80",
		"\xf0\x9f\x98(",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_msg(utf8_sequence(bad[i], SIZE_MAX) == 0, "%zu", i);
		ck_assert(!utf8_is_text(bad[i], strlen(bad[i])));
	}
}
END_TEST

START_TEST(test_text)
{
	ck_assert(utf8_is_text("", 0));
	ck_assert(utf8_is_text("a\x01\x7f\xc3\xa4\xe2\x82\xac", 8));
	ck_assert(!utf8_is_text("a\0b", 3));
	ck_assert(!utf8_is_text("\xe2\x82\xac", 2));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("utf8");
	TCase *tc = tcase_create("utf8");

	tcase_add_test(tc, test_every_code_point);
	tcase_add_test(tc, test_no_sequence);
	tcase_add_test(tc, test_text);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
