/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_bindings - the set of bindings that handlers made: the last word counts,
 * names are not mixed up, and a hundred thousand of them are no matter.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "amqp/bindings.h"
#include "run_suite.h"

static struct bindings *set;

static void
set_up(void)
{
	set = bindings_new();
}

static void
tear_down(void)
{
	bindings_free(set);
}

static void
say(bool on, const char *queue, const char *exchange, const char *key)
{
	const struct msg_BIND bind = { .on = on,
		.queue = msg_text(queue),
		.exchange = msg_text(exchange),
		.key = msg_text(key) };

	bindings_say(set, &bind);
}

static size_t
count(void)
{
	const struct bindings_entry *at = NULL;
	struct binding binding;
	size_t n = 0;

	while (bindings_next(set, &at, &binding))
		n++;
	return n;
}

START_TEST(the_last_word_counts)
{
	ck_assert_int_eq(bindings_said(set, "q", "e", "k"), -1);
	say(true, "q", "e", "k");
	ck_assert_int_eq(bindings_said(set, "q", "e", "k"), 1);
	say(false, "q", "e", "k");
	ck_assert_int_eq(bindings_said(set, "q", "e", "k"), 0);
	ck_assert_uint_eq(count(), 1);
}
END_TEST

START_TEST(names_are_apart)
{
	const struct bindings_entry *at = NULL;
	struct binding binding;

	say(true, "ab", "c", "");
	ck_assert_int_eq(bindings_said(set, "a", "bc", ""), -1);
	ck_assert_int_eq(bindings_said(set, "ab", "", "c"), -1);
	ck_assert(bindings_next(set, &at, &binding));
	ck_assert_str_eq(binding.queue, "ab");
	ck_assert_str_eq(binding.exchange, "c");
	ck_assert_uint_eq(binding.key.len, 0);
	ck_assert(binding.on);
	ck_assert(!bindings_next(set, &at, &binding));
}
END_TEST

START_TEST(very_many)
{
	char key[32];

	for (int i = 0; i < 100000; i++) {
		snprintf(key, sizeof(key), "key-%d", i);
		say(i % 2 == 0, "queue", "exchange", key);
	}
	ck_assert_uint_eq(count(), 100000);
	ck_assert_int_eq(bindings_said(set, "queue", "exchange", "key-99999"),
	    0);
	ck_assert_int_eq(bindings_said(set, "queue", "exchange", "key-99998"),
	    1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("bindings");
	TCase *tcase = tcase_create("bindings");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, the_last_word_counts);
	tcase_add_test(tcase, names_are_apart);
	tcase_add_test(tcase, very_many);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
