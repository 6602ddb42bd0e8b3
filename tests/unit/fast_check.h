/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fast_check - Check's assertions for what is asserted a million times: they
 * tell the parent process nothing until one fails. For what comes behind it.
 */
#ifndef TESTS_UNIT_FAST_CHECK_H
#define TESTS_UNIT_FAST_CHECK_H

#include <check.h>
#include <string.h>

#define FAST_INT(type, format, a, op, b)                                 \
	do {                                                             \
		type fast_a = (a), fast_b = (b);                         \
		if (!(fast_a op fast_b))                                 \
			ck_abort_msg("%s " #op " %s: " format ", " format, \
			    #a, #b, fast_a, fast_b);                     \
	} while (0)
#define FAST_TRUE(cond, text)                      \
	do {                                       \
		if (!(cond))                       \
			ck_abort_msg("%s", text);  \
	} while (0)

#undef ck_assert
#define ck_assert(c) FAST_TRUE(c, #c)
#undef ck_assert_int_eq
#define ck_assert_int_eq(a, b) FAST_INT(long long, "%lld", a, ==, b)
#undef ck_assert_int_ne
#define ck_assert_int_ne(a, b) FAST_INT(long long, "%lld", a, !=, b)
#undef ck_assert_int_le
#define ck_assert_int_le(a, b) FAST_INT(long long, "%lld", a, <=, b)
#undef ck_assert_int_ge
#define ck_assert_int_ge(a, b) FAST_INT(long long, "%lld", a, >=, b)
#undef ck_assert_uint_eq
#define ck_assert_uint_eq(a, b) FAST_INT(unsigned long long, "%llu", a, ==, b)
#undef ck_assert_uint_ne
#define ck_assert_uint_ne(a, b) FAST_INT(unsigned long long, "%llu", a, !=, b)
#undef ck_assert_uint_le
#define ck_assert_uint_le(a, b) FAST_INT(unsigned long long, "%llu", a, <=, b)
#undef ck_assert_uint_lt
#define ck_assert_uint_lt(a, b) FAST_INT(unsigned long long, "%llu", a, <, b)
#undef ck_assert_uint_ge
#define ck_assert_uint_ge(a, b) FAST_INT(unsigned long long, "%llu", a, >=, b)
#undef ck_assert_uint_gt
#define ck_assert_uint_gt(a, b) FAST_INT(unsigned long long, "%llu", a, >, b)
#undef ck_assert_ptr_eq
#define ck_assert_ptr_eq(a, b) FAST_TRUE((a) == (b), #a " == " #b)
#undef ck_assert_ptr_nonnull
#define ck_assert_ptr_nonnull(p) FAST_TRUE((p) != NULL, #p " != NULL")
#undef ck_assert_ptr_null
#define ck_assert_ptr_null(p) FAST_TRUE((p) == NULL, #p " == NULL")
#undef ck_assert_mem_eq
#define ck_assert_mem_eq(a, b, n) \
	FAST_TRUE(memcmp(a, b, n) == 0, #a " has the bytes of " #b)
#undef ck_assert_str_eq
#define ck_assert_str_eq(a, b)                                         \
	do {                                                           \
		const char *fast_a = (a), *fast_b = (b);               \
		if (strcmp(fast_a, fast_b) != 0)                       \
			ck_abort_msg("%s: \"%s\", \"%s\"", #a " == " #b, \
			    fast_a, fast_b);                           \
	} while (0)
#undef ck_assert_msg
#define ck_assert_msg(c, ...)                      \
	do {                                       \
		if (!(c))                          \
			ck_abort_msg(__VA_ARGS__); \
	} while (0)

#endif
