/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_retry - delay steps, and the names of the queues beside a queue.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "core/retry.h"
#include "run_suite.h"

static struct conf *conf;
static struct conf_queue queue[3];
static char name0[] = "q", name1[] = "q.retry.4s", name2[] = "longer";

static void
set_up(void)
{
	conf = conf_defaults();
	conf->tasks.backoff_min = NS_PER_S;
	conf->tasks.backoff_max = 10 * NS_PER_S;
	memset(queue, 0, sizeof(queue));
	queue[0].name = name0;
	queue[1].name = name1; /* conf_check would not have it */
	queue[2].name = name2;
	conf->queue.v = queue;
	conf->queue.n = 3;
}

static void
tear_down(void)
{
	conf->queue.v = NULL;
	conf->queue.n = 0;
	conf_free(conf);
}

START_TEST(steps_double_up_to_the_last)
{
	static const int64_t want[] = { 1000, 2000, 4000, 8000, 10000, 10000 };

	for (unsigned i = 0; i < 6; i++)
		ck_assert_int_eq(retry_backoff_ms(conf, queue, i + 1), want[i]);
	ck_assert_int_eq(retry_backoff_ms(conf, queue, 0), 1000);
	ck_assert_int_eq(retry_backoff_ms(conf, queue, 1000000), 10000);
	ck_assert_int_eq(retry_step_ms(conf, queue, 0), 0);
	ck_assert_int_eq(retry_step_ms(conf, queue, -5), 0);
	ck_assert_int_eq(retry_step_ms(conf, queue, 1), 1000);
	ck_assert_int_eq(retry_step_ms(conf, queue, 1000), 1000);
	ck_assert_int_eq(retry_step_ms(conf, queue, 1001), 2000);
	ck_assert_int_eq(retry_step_ms(conf, queue, 8001), 10000);
	ck_assert_int_eq(retry_step_ms(conf, queue, INT64_MAX), 10000);
}
END_TEST

START_TEST(a_queue_has_its_own)
{
	queue[0].backoff_min = 250 * NS_PER_MS;
	ck_assert_int_eq(retry_step_ms(conf, queue, 10), 250);
	ck_assert_int_eq(retry_backoff_ms(conf, queue, 2), 500);
	/* longer than the longest of tasks */
	queue[0].backoff_min = 60 * NS_PER_S;
	ck_assert_int_eq(retry_backoff_ms(conf, queue, 9), 60000);
	queue[0].backoff_max = INT64_C(31536000) * NS_PER_S;
	ck_assert_int_eq(retry_backoff_ms(conf, queue, 90), 31536000000);
	queue[0].backoff_min = 1;
	ck_assert_int_eq(retry_backoff_ms(conf, queue, 1), 1);
	ck_assert_int_eq(retry_step_ms(conf, queue, INT64_MAX), 31536000000);
}
END_TEST

START_TEST(each_step_has_a_name_and_back)
{
	static const int64_t step[] = { 1, 250, 999, 1000, 1500, 4000, 600000,
		31536000000 };
	char buf[RETRY_NAME_SIZE];
	enum retry_kind kind;
	int64_t back;

	for (size_t i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
		retry_name(&queue[2], step[i], buf);
		ck_assert_uint_le(strlen(buf), 6 + RETRY_SUFFIX_MAX);
		ck_assert_ptr_eq(retry_parse(conf, msg_text(buf), &kind, &back),
		    &queue[2]);
		ck_assert_int_eq(kind, RETRY_DELAY);
		ck_assert_int_eq(back, step[i]);
	}
	ck_assert_str_eq(retry_name(queue, 250, buf), "q.retry.250ms");
	ck_assert_str_eq(retry_name(queue, 4000, buf), "q.retry.4s");
	ck_assert_str_eq(retry_name(queue, 0, buf), "q");
	ck_assert_ptr_eq(retry_parse(conf, msg_text("q"), &kind, &back), queue);
	ck_assert_int_eq(kind, RETRY_WORK);
	ck_assert_str_eq(retry_dead_name(queue, buf), "q.dead");
	ck_assert_ptr_eq(retry_parse(conf, msg_text("q.dead"), &kind, &back),
	    queue);
	ck_assert_int_eq(kind, RETRY_DEAD);
	/* a queue's own name comes first */
	ck_assert_ptr_eq(retry_parse(conf, msg_text("q.retry.4s"), &kind,
			     &back),
	    &queue[1]);
	ck_assert_int_eq(kind, RETRY_WORK);
}
END_TEST

START_TEST(other_names_are_nobodys)
{
	static const char *const name[] = { "", "x", "q.", "q.x", "q.deadx",
		"q.dea", "q.retry", "q.retry.", "q.retry.s", "q.retry.4",
		"q.retry.04s", "q.retry.0s", "q.retry.1000ms", "q.retry.4m",
		"q.retry.4sx", "q.retry.-4s", "q.retry.4 s",
		"q.retry.99999999999999999999s", "q.retry.31536001s",
		"xq.dead" };
	enum retry_kind kind;
	int64_t step;

	for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++)
		ck_assert_msg(retry_parse(conf, msg_text(name[i]), &kind,
				  &step) == NULL,
		    "%s", name[i]);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("retry");
	TCase *tcase = tcase_create("retry");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, steps_double_up_to_the_last);
	tcase_add_test(tcase, a_queue_has_its_own);
	tcase_add_test(tcase, each_step_has_a_name_and_back);
	tcase_add_test(tcase, other_names_are_nobodys);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
