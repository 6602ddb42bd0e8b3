/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_call_id - request ids and trace contexts: what is taken from a client,
 * and that no two of ours are the same.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call_fixture.h"

/* the longest that is taken, and one more */
#define ID_64                              \
	"01234567890123456789012345678901" \
	"01234567890123456789012345678901"
#define ID_65 ID_64 "2"

static const char sent_trace[] =
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

START_TEST(a_sane_id_is_kept)
{
	static const char *const sane[] = { "a", "A9._~:+/=@-", "4bf92f35-77b3",
		ID_64 };
	char buf[CALL_ID_SIZE];

	for (size_t i = 0; i < COUNT(sane); i++) {
		ck_assert_ptr_eq(call_make_id(sane[i], buf), buf);
		ck_assert_str_eq(buf, sane[i]);
	}
}
END_TEST

START_TEST(any_other_id_is_replaced)
{
	static const char *const other[] = { NULL, "", "a b", "a\nb", "a\"",
		"\x7f", "\xc3\xa9", "a,b", ID_65 };
	char buf[CALL_ID_SIZE];

	for (size_t i = 0; i < COUNT(other); i++) {
		call_make_id(other[i], buf);
		ck_assert_uint_eq(strlen(buf), 20);
		ck_assert_uint_eq(strspn(buf,
				      "0123456789abcdefghjkmnpqrstvwxyz"),
		    20);
	}
}
END_TEST

static int
compare_ids(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Four processes that make ids at once, each from the same beginning. */
START_TEST(no_two_ids_are_the_same)
{
	enum { PROCESSES = 4, EACH = 2000, ALL = PROCESSES * EACH };
	static char ids[ALL][CALL_ID_SIZE];
	int fd[2];

	call_make_id(NULL, ids[0]);
	ck_assert_int_eq(pipe(fd), 0);
	for (int p = 0; p < PROCESSES; p++) {
		if (fork() != 0)
			continue;
		for (int i = 0; i < EACH; i++) {
			call_make_id(NULL, ids[0]);
			if (write(fd[1], ids[0], CALL_ID_SIZE) != CALL_ID_SIZE)
				_exit(1);
		}
		_exit(0);
	}
	close(fd[1]);
	/* writes of this size are not torn (pipe(7), PIPE_BUF) */
	for (int i = 0; i < ALL; i++)
		ck_assert_int_eq(read(fd[0], ids[i], CALL_ID_SIZE),
		    CALL_ID_SIZE);
	close(fd[0]);
	qsort(ids, ALL, CALL_ID_SIZE, compare_ids);
	for (int i = 1; i < ALL; i++)
		ck_assert_str_ne(ids[i - 1], ids[i]);
}
END_TEST

START_TEST(a_traceparent_is_checked)
{
	static const struct {
		const char *text;
		bool ok;
	} traces[] = {
		{ sent_trace, true },
		{ "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff",
		    true },
		{ "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		    false },
		{ "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		    false },
		{ "00-00000000000000000000000000000000-b7ad6b7169203331-01",
		    false },
		{ "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
		    false },
		{ "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
		    false },
		{ "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
		    false },
		{ "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
		    false },
		{ "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-011",
		    false },
		{ "00-0af7651916cd43dd8448eb211c80319cb-7ad6b7169203331-01",
		    false },
		{ "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
		    false },
		{ "", false },
	};
	char buf[CALL_TRACEPARENT_SIZE], other[CALL_TRACEPARENT_SIZE];

	for (size_t i = 0; i < COUNT(traces); i++)
		ck_assert_msg(call_traceparent_ok(traces[i].text) ==
			traces[i].ok,
		    "%s", traces[i].text);
	ck_assert(call_traceparent_ok(call_make_traceparent(buf)));
	ck_assert_str_ne(buf, call_make_traceparent(other));
	ck_assert_str_eq(buf + 53, "00");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("call_id");
	TCase *tests;

	tests = add_case(suite, "id");
	tcase_add_test(tests, a_sane_id_is_kept);
	tcase_add_test(tests, any_other_id_is_replaced);
	tcase_add_test(tests, no_two_ids_are_the_same);
	tcase_add_test(tests, a_traceparent_is_checked);
	return run_suite(suite);
}
