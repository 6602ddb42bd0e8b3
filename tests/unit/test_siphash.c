/* SPDX-License-Identifier: BSD-2-Clause */
/* SipHash-2-4: the vectors of its authors' paper and reference. */
#include <check.h>
#include <stdlib.h>

#include "base/siphash.h"
#include "run_suite.h"

static const struct siphash_key key = {
	UINT64_C(0x0706050403020100),
	UINT64_C(0x0f0e0d0c0b0a0908),
};

START_TEST(vectors)
{
	/* of the bytes 0, 1, 2… of that length */
	static const struct {
		size_t len;
		uint64_t hash;
	} known[] = {
		{ 0, UINT64_C(0x726fdb47dd0e0e31) },
		{ 1, UINT64_C(0x74f839c593dc67fd) },
		{ 7, UINT64_C(0xab0200f58b01d137) },
		{ 8, UINT64_C(0x93f5f5799a932462) },
		{ 15, UINT64_C(0xa129ca6149be45e5) },
	};
	unsigned char bytes[16];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)i;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		ck_assert_uint_eq(siphash(&key, bytes, known[i].len),
		    known[i].hash);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("siphash");
	TCase *tests = tcase_create("siphash");

	tcase_add_test(tests, vectors);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
