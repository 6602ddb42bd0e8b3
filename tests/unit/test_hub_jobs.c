/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_hub_jobs - which job is next, when one is due or expires, what is
 * counted. Many of them: test_jobs_index.
 */
#include "jobs_fixture.h"

/* --- one after the other */

START_TEST(nothing_is_next_of_nothing)
{
	int64_t again_ns = 0;

	ck_assert_ptr_null(jobs_next(jobs, 5, &again_ns));
	ck_assert_int_eq(again_ns, INT64_MAX);
	ck_assert_int_eq(jobs_due(jobs, 5), INT64_MAX);
	ck_assert_ptr_null(jobs_expired(jobs, 5, &again_ns));
	ck_assert_int_eq(again_ns, INT64_MAX);
	ck_assert_ptr_null(jobs_find(jobs, 1));
	assert_counts(0, 0, 0);
}
END_TEST

START_TEST(the_oldest_is_first)
{
	for (uint64_t uid = 1; uid <= 1000; uid++)
		put("a", uid, 0);
	for (uint64_t uid = 1; uid <= 1000; uid++)
		ck_assert_uint_eq(next_at(0), uid);
	ck_assert_uint_eq(next_at(0), 0);
	assert_counts(0, 0, 1000);
}
END_TEST

START_TEST(every_priority_has_its_rank)
{
	for (unsigned p = 0; p <= 255; p++)
		put(p % 2 ? "a" : "b", p + 1, p);
	for (unsigned p = 256; p-- > 0;)
		ck_assert_uint_eq(next_at(0), p + 1);
}
END_TEST

START_TEST(waiting_calls_come_before_everything)
{
	struct job call = { .uid = 2,
		.lane = jobs_lane(jobs, "a"),
		.state = JOB_QUEUED,
		.kind = JOB_CALL,
		.expires_ms = -1 };
	enum hub_code code;

	jobs_set_max(jobs, 1);
	put("a", 1, 255);
	ck_assert_uint_eq(jobs_calls(jobs), 0);
	/* and their number is not limited here */
	ck_assert_ptr_nonnull(jobs_add(jobs, &call, &code));
	ck_assert_uint_eq(jobs_calls(jobs), 1);
	ck_assert_uint_eq(next_at(0), 2);
	ck_assert_uint_eq(jobs_calls(jobs), 0);
	ck_assert_uint_eq(next_at(0), 1);
}
END_TEST

START_TEST(too_many_are_refused)
{
	struct job job = { .uid = 3,
		.lane = jobs_lane(jobs, "a"),
		.state = JOB_QUEUED,
		.expires_ms = -1 };
	enum hub_code code;

	jobs_set_max(jobs, 2);
	put("a", 1, 0);
	put_later("a", 2, 10, -1);
	ck_assert_ptr_null(jobs_add(jobs, &job, &code));
	ck_assert_int_eq(code, HUB_FULL);
	ck_assert_ptr_null(jobs_find(jobs, 3));
	/* those that run do not wait */
	ck_assert_uint_eq(next_at(0), 1);
	ck_assert_ptr_nonnull(jobs_add(jobs, &job, &code));
	ck_assert_int_eq(code, HUB_OK);
}
END_TEST

START_TEST(a_job_is_due_in_time)
{
	put_later("a", 1, 30, -1);
	put_later("a", 2, 10, -1);
	put_later("a", 3, 20, -1);
	assert_counts(3, 0, 0);
	ck_assert_uint_eq(next_at(0), 0);
	ck_assert_int_eq(jobs_due(jobs, 9), 10);
	ck_assert_int_eq(jobs_due(jobs, 20), 30);
	assert_counts(1, 2, 0);
	ck_assert_uint_eq(next_at(0), 2);
	ck_assert_uint_eq(next_at(0), 3);
	ck_assert_uint_eq(next_at(0), 0);
	ck_assert_int_eq(jobs_due(jobs, INT64_MAX - 1), INT64_MAX);
	ck_assert_uint_eq(next_at(0), 1);
}
END_TEST

START_TEST(an_expired_job_is_named_until_it_is_removed)
{
	int64_t next_ms;

	put_later("a", 1, 100, 50);
	put_later("a", 2, 10, 40);
	put("a", 3, 0)->expires_ms = -1;
	ck_assert_ptr_null(jobs_expired(jobs, 39, &next_ms));
	ck_assert_int_eq(next_ms, 40);
	jobs_due(jobs, 40);
	ck_assert_uint_eq(jobs_expired(jobs, 60, &next_ms)->uid, 2);
	ck_assert_uint_eq(jobs_expired(jobs, 60, &next_ms)->uid, 2);
	end(2);
	ck_assert_uint_eq(jobs_expired(jobs, 60, &next_ms)->uid, 1);
	end(1);
	ck_assert_ptr_null(jobs_expired(jobs, 60, &next_ms));
	ck_assert_int_eq(next_ms, INT64_MAX);
}
END_TEST

START_TEST(what_runs_does_not_expire)
{
	int64_t next_ms;

	put_later("a", 1, 0, 50);
	jobs_due(jobs, 0);
	ck_assert_uint_eq(next_at(0), 1);
	ck_assert_ptr_null(jobs_expired(jobs, 60, &next_ms));
	/* back in the queue it does */
	jobs_return(jobs, jobs_find(jobs, 1), 0, 60);
	ck_assert_uint_eq(jobs_expired(jobs, 60, &next_ms)->uid, 1);
}
END_TEST

START_TEST(a_job_that_returns_is_first_or_waits)
{
	put("a", 1, 0);
	put("a", 2, 0);
	ck_assert_uint_eq(next_at(0), 1);
	jobs_return(jobs, jobs_find(jobs, 1), 0, 5);
	assert_counts(0, 2, 0);
	ck_assert_uint_eq(next_at(0), 1);
	jobs_return(jobs, jobs_find(jobs, 1), 6, 5);
	assert_counts(1, 1, 0);
	ck_assert_uint_eq(next_at(0), 2);
	ck_assert_uint_eq(next_at(0), 0);
	ck_assert_int_eq(jobs_due(jobs, 5), 6);
	jobs_due(jobs, 6);
	ck_assert_uint_eq(next_at(0), 1);
}
END_TEST

START_TEST(an_adopted_job_runs)
{
	put("a", 1, 0);
	put_later("a", 2, 10, 20);
	jobs_adopt(jobs, jobs_find(jobs, 1));
	jobs_adopt(jobs, jobs_find(jobs, 2));
	assert_counts(0, 0, 2);
	ck_assert_uint_eq(next_at(0), 0);
	ck_assert_int_eq(jobs_due(jobs, 100), INT64_MAX);
	end(1);
	end(2);
	assert_counts(0, 0, 0);
}
END_TEST

START_TEST(a_state_that_others_write_confuses_nothing)
{
	struct job *job = put("a", 1, 0);

	job->state = JOB_CANCELLED;
	jobs_remove(jobs, job);
	assert_counts(0, 0, 0);
	ck_assert_uint_eq(next_at(0), 0);
	put("a", 2, 0);
	ck_assert_uint_eq(next_at(0), 2);
	jobs_find(jobs, 2)->state = JOB_SUCCEEDED;
	end(2);
	assert_counts(0, 0, 0);
}
END_TEST

START_TEST(a_unique_key_finds_its_job)
{
	struct job job = { .uid = 1,
		.lane = jobs_lane(jobs, "a"),
		.state = JOB_QUEUED,
		.expires_ms = -1,
		.unique = strdup("mail to joe") };
	enum hub_code code;

	ck_assert_ptr_nonnull(jobs_add(jobs, &job, &code));
	ck_assert_uint_eq(jobs_find_unique(jobs, msg_text("mail to joe"))->uid,
	    1);
	ck_assert_ptr_null(jobs_find_unique(jobs, msg_text("mail to jo")));
	ck_assert_ptr_null(jobs_find_unique(jobs, msg_text("")));
	ck_assert_uint_eq(next_at(0), 1);
	ck_assert_ptr_nonnull(jobs_find_unique(jobs, msg_text("mail to joe")));
	end(1);
	ck_assert_ptr_null(jobs_find_unique(jobs, msg_text("mail to joe")));
}
END_TEST

START_TEST(what_waits_moves_with_the_clock)
{
	int64_t next_ms;

	put_later("a", 1, 30, 90);
	put_later("a", 2, 10, INT64_MAX);
	put_later("a", 3, 20, -1);
	jobs_shift(jobs, 1000);
	ck_assert_int_eq(jobs_due(jobs, 1009), 1010);
	ck_assert_ptr_null(jobs_expired(jobs, 1089, &next_ms));
	ck_assert_int_eq(next_ms, 1090);
	jobs_shift(jobs, -1005);
	ck_assert_int_eq(jobs_find(jobs, 1)->due_ms, 25);
	ck_assert_int_eq(jobs_due(jobs, 15), 25);
	ck_assert_uint_eq(next_at(0), 2);
	ck_assert_uint_eq(next_at(0), 3);
	ck_assert_uint_eq(next_at(0), 0);
	ck_assert_uint_eq(jobs_expired(jobs, 85, &next_ms)->uid, 1);
}
END_TEST

START_TEST(names_of_states)
{
	for (int state = 0; state < JOB_STATE_COUNT; state++)
		ck_assert_int_eq(job_state_parse(
				     job_state_name((enum job_state)state)),
		    state);
	ck_assert_int_eq(job_state_parse("asleep"), -1);
	ck_assert_str_eq(job_state_name(JOB_STATE_COUNT), "?");
}
END_TEST

START_TEST(the_delay_doubles)
{
	ck_assert_int_eq(jobs_backoff_ms(1, 1000, 60000, 0), 1000);
	ck_assert_int_eq(jobs_backoff_ms(2, 1000, 60000, 0), 2000);
	ck_assert_int_eq(jobs_backoff_ms(4, 1000, 60000, 0), 8000);
	ck_assert_int_eq(jobs_backoff_ms(40, 1000, 60000, 0), 60000);
	ck_assert_int_eq(jobs_backoff_ms(1, 0, 0, UINT32_MAX), 0);
	ck_assert_int_eq(jobs_backoff_ms(0, 1000, 60000, 0), 1000);
	ck_assert_int_eq(jobs_backoff_ms(3, 1000, 10, 0), 1000);
	ck_assert_int_gt(jobs_backoff_ms(1, 1000, 60000, UINT32_MAX), 749);
}
END_TEST

static void
add_tests(TCase *tests)
{
	tcase_add_test(tests, nothing_is_next_of_nothing);
	tcase_add_test(tests, the_oldest_is_first);
	tcase_add_test(tests, every_priority_has_its_rank);
	tcase_add_test(tests, waiting_calls_come_before_everything);
	tcase_add_test(tests, too_many_are_refused);
	tcase_add_test(tests, a_job_is_due_in_time);
	tcase_add_test(tests, an_expired_job_is_named_until_it_is_removed);
	tcase_add_test(tests, what_runs_does_not_expire);
	tcase_add_test(tests, a_job_that_returns_is_first_or_waits);
	tcase_add_test(tests, an_adopted_job_runs);
	tcase_add_test(tests, a_state_that_others_write_confuses_nothing);
	tcase_add_test(tests, a_unique_key_finds_its_job);
	tcase_add_test(tests, what_waits_moves_with_the_clock);
	tcase_add_test(tests, names_of_states);
	tcase_add_test(tests, the_delay_doubles);
}

int
main(void)
{
	return run_jobs_suite("jobs", add_tests);
}
