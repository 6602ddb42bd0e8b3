/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_jobs_lane - turns between lanes, and what concurrency, rate, a shared
 * limit and a closed lane keep back.
 */
#include <stdio.h>

#include "core/uid.h"
#include "jobs_fixture.h"

#define SECOND INT64_C(1000000000)

static struct lane *
limit(const char *name, int concurrency, int rate, int64_t per_ns)
{
	struct lane *lane = jobs_lane(jobs, name);

	lane_set_limits(lane,
	    &(struct lane_limits){ .concurrency = concurrency,
		.rate = rate,
		.per_ns = per_ns });
	return lane;
}

static void
fill(const char *lane, uint64_t from, uint64_t n)
{
	for (uint64_t uid = from; uid < from + n; uid++)
		put(lane, uid, 0);
}

START_TEST(lanes_take_turns)
{
	fill("a", 100, 9);
	fill("b", 200, 3);
	fill("c", 300, 1);
	ck_assert_uint_eq(next_at(0), 100);
	ck_assert_uint_eq(next_at(0), 200);
	ck_assert_uint_eq(next_at(0), 300);
	ck_assert_uint_eq(next_at(0), 101);
	ck_assert_uint_eq(next_at(0), 201);
	ck_assert_uint_eq(next_at(0), 102);
	ck_assert_uint_eq(next_at(0), 202);
	ck_assert_uint_eq(next_at(0), 103);
	ck_assert_uint_eq(next_at(0), 104);
}
END_TEST

START_TEST(a_closed_lane_waits)
{
	struct lane *lane = jobs_lane(jobs, "a");
	size_t waiting, queued, running;

	lane_set_open(lane, false);
	fill("a", 100, 2);
	fill("b", 200, 1);
	ck_assert_uint_eq(next_at(0), 200);
	ck_assert_uint_eq(next_at(0), 0);
	lane_count(lane, &waiting, &queued, &running);
	ck_assert_uint_eq(waiting + running, 0);
	ck_assert_uint_eq(queued, 2);
	lane_set_open(lane, true);
	ck_assert_uint_eq(next_at(0), 100);
	lane_set_open(lane, false);
	ck_assert_uint_eq(next_at(0), 0);
	/* what is taken out of a closed one does not come back */
	end(101);
	lane_set_open(lane, true);
	ck_assert_uint_eq(next_at(0), 0);
}
END_TEST

START_TEST(concurrency_holds)
{
	int64_t again_ns;

	limit("a", 2, 0, 0);
	fill("a", 100, 4);
	put("a", 110, 9);
	ck_assert_uint_eq(next_at(0), 110);
	ck_assert_uint_eq(next_at(0), 100);
	ck_assert_ptr_null(jobs_next(jobs, 0, &again_ns));
	ck_assert_int_eq(again_ns, INT64_MAX);
	fill("b", 200, 1);
	ck_assert_uint_eq(next_at(0), 200);
	end(110);
	ck_assert_uint_eq(next_at(0), 101);
	ck_assert_uint_eq(next_at(0), 0);
	jobs_return(jobs, jobs_find(jobs, 101), 0, 0);
	ck_assert_uint_eq(next_at(0), 101);
	limit("a", 0, 0, 0);
	ck_assert_uint_eq(next_at(0), 102);
	ck_assert_uint_eq(next_at(0), 103);
	/* less than run already */
	limit("a", 1, 0, 0);
	fill("a", 120, 1);
	for (uint64_t uid = 100; uid <= 103; uid++) {
		ck_assert_uint_eq(next_at(0), 0);
		end(uid);
	}
	ck_assert_uint_eq(next_at(0), 120);
}
END_TEST

START_TEST(an_adopted_job_counts_for_concurrency)
{
	limit("a", 1, 0, 0);
	fill("a", 100, 2);
	jobs_adopt(jobs, jobs_find(jobs, 101));
	ck_assert_uint_eq(next_at(0), 0);
	end(101);
	ck_assert_uint_eq(next_at(0), 100);
}
END_TEST

START_TEST(a_rate_holds_in_each_window)
{
	int64_t again_ns;

	limit("a", 0, 2, SECOND);
	fill("a", 100, 9);
	ck_assert_uint_eq(next_at(10), 100);
	ck_assert_uint_eq(next_at(SECOND / 2), 101);
	ck_assert_ptr_null(jobs_next(jobs, SECOND / 2, &again_ns));
	ck_assert_int_eq(again_ns, SECOND + 10);
	/* that they have ended is no reason */
	end(100);
	end(101);
	ck_assert_uint_eq(next_at(SECOND + 9), 0);
	ck_assert_uint_eq(next_at(SECOND + 10), 102);
	/* the next window begins with its first */
	ck_assert_uint_eq(next_at(9 * SECOND), 103);
	ck_assert_uint_eq(next_at(9 * SECOND), 104);
	ck_assert_ptr_null(jobs_next(jobs, 9 * SECOND, &again_ns));
	ck_assert_int_eq(again_ns, 10 * SECOND);
	/* another rate begins anew */
	limit("a", 0, 1, SECOND);
	ck_assert_uint_eq(next_at(9 * SECOND), 105);
	ck_assert_uint_eq(next_at(9 * SECOND), 0);
	limit("a", 0, 0, 0);
	ck_assert_uint_eq(next_at(9 * SECOND), 106);
	ck_assert_ptr_nonnull(jobs_next(jobs, 9 * SECOND, &again_ns));
	ck_assert_int_eq(again_ns, INT64_MAX);
}
END_TEST

START_TEST(many_rates_wake_in_their_time)
{
	enum { LANES = 100 };
	int64_t again_ns, now_ns = 0;
	size_t n = 0;

	for (int i = 0; i < LANES; i++) {
		char name[16];

		snprintf(name, sizeof name, "lane%d", i);
		limit(name, 0, 1, (i + 1) * SECOND);
		fill(name, (uint64_t)i * 100 + 1, 3);
	}
	while (n < 3 * LANES) {
		struct job *job = jobs_next(jobs, now_ns, &again_ns);

		if (job != NULL) {
			jobs_remove(jobs, job);
			n++;
			continue;
		}
		ck_assert_int_gt(again_ns, now_ns);
		ck_assert_int_lt(again_ns, INT64_MAX);
		ck_assert_int_eq(again_ns % SECOND, 0);
		now_ns = again_ns;
	}
	/* the slowest lane's third */
	ck_assert_int_eq(now_ns, 2 * LANES * SECOND);
}
END_TEST

START_TEST(a_shared_limit_counts_all_its_lanes)
{
	struct lane *handler = limit("handler", 2, 0, 0);
	struct lane *queue = limit("queue:a", 0, 0, 0);

	lane_share(queue, handler);
	fill("handler", 100, 3);
	fill("queue:a", 200, 3);
	ck_assert_uint_eq(next_at(0), 100);
	ck_assert_uint_eq(next_at(0), 200);
	ck_assert_uint_eq(next_at(0), 0);
	end(200);
	ck_assert_uint_eq(next_at(0), 101);
	end(100);
	/* a queue of a closed handler lane has its own door */
	lane_set_open(handler, false);
	ck_assert_uint_eq(next_at(0), 201);
	ck_assert_uint_eq(next_at(0), 0);
	lane_share(queue, NULL);
	ck_assert_uint_eq(next_at(0), 202);
	lane_set_open(handler, true);
	ck_assert_uint_eq(next_at(0), 102);
	ck_assert_uint_eq(next_at(0), 0);
	/* what runs of it comes along */
	lane_share(queue, handler);
	end(101);
	end(102);
	fill("handler", 110, 1);
	ck_assert_uint_eq(next_at(0), 0);
	end(201);
	ck_assert_uint_eq(next_at(0), 110);
	lane_share(handler, handler);
	lane_share(queue, queue);
}
END_TEST

START_TEST(a_shared_rate_counts_all_its_lanes)
{
	struct lane *handler = limit("handler", 0, 3, SECOND);

	lane_share(jobs_lane(jobs, "queue:a"), handler);
	lane_share(jobs_lane(jobs, "queue:b"), handler);
	fill("queue:a", 100, 3);
	fill("queue:b", 200, 3);
	ck_assert_uint_eq(next_at(0), 100);
	ck_assert_uint_eq(next_at(0), 200);
	ck_assert_uint_eq(next_at(0), 101);
	ck_assert_uint_eq(next_at(SECOND - 1), 0);
	ck_assert_uint_ne(next_at(SECOND), 0);
	ck_assert_uint_ne(next_at(SECOND), 0);
	ck_assert_uint_ne(next_at(SECOND), 0);
	ck_assert_uint_eq(next_at(SECOND), 0);
}
END_TEST

START_TEST(a_full_lane_says_so)
{
	struct lane *lane = jobs_lane(jobs, "a");

	ck_assert(!lane_is_full(lane));
	lane_set_limits(lane, &(struct lane_limits){ .max_length = 2 });
	put("a", 1, 0);
	ck_assert(!lane_is_full(lane));
	put_later("a", 2, 10, -1);
	ck_assert(lane_is_full(lane));
	next_at(0);
	ck_assert(!lane_is_full(lane));
}
END_TEST

START_TEST(a_lane_is_listed_in_its_order)
{
	static const uint64_t order[] = { 5, 6, 3, 1, 2, 4 };
	struct lane *lane = jobs_lane(jobs, "a");
	struct job *job;

	ck_assert_ptr_null(lane_first(lane));
	put("a", 1, 0);
	put("a", 2, 0);
	put("a", 3, 7);
	put("a", 4, 0);
	put("a", 5, 255);
	put("a", 6, 255);
	put_later("a", 7, 10, -1);
	job = lane_first(lane);
	for (size_t i = 0; i < COUNT(order); i++) {
		ck_assert_ptr_nonnull(job);
		ck_assert_uint_eq(job->uid, order[i]);
		job = lane_after(lane, job);
	}
	ck_assert_ptr_null(job);
}
END_TEST

START_TEST(the_age_of_a_lane)
{
	struct lane *lane = jobs_lane(jobs, "a");
	uint64_t uid = UINT64_C(123456789) << 22;

	ck_assert_int_eq(lane_oldest_ms(lane), 0);
	put("a", uid, 3);
	put("a", 2 * uid, 5);
	ck_assert_int_eq(lane_oldest_ms(lane), uid_wall_ms(uid));
	end(uid);
	ck_assert_int_eq(lane_oldest_ms(lane), uid_wall_ms(2 * uid));
	end(2 * uid);
	/* one that was to wait is not old */
	put_later("a", uid, INT64_MAX / 2, -1);
	jobs_due(jobs, INT64_MAX / 2);
	ck_assert_int_eq(lane_oldest_ms(lane), INT64_MAX / 2);
}
END_TEST

START_TEST(lanes_are_found_again)
{
	struct lane *lane = jobs_lane(jobs, "a");
	size_t n = 0;

	ck_assert_ptr_eq(jobs_lane(jobs, "a"), lane);
	ck_assert_ptr_ne(jobs_lane(jobs, "ab"), lane);
	ck_assert_str_eq(lane_name(lane), "a");
	for (lane = jobs_first_lane(jobs); lane != NULL; lane = lane_next(lane))
		n++;
	ck_assert_uint_eq(n, 2);
}
END_TEST

/* Once a hundred or so have been; a long one counts for as many. */
START_TEST(only_messages_of_quick_lanes_are_given_in_advance)
{
	struct job *job = put("a", 1, 0);
	int64_t again_ns;

	ck_assert_ptr_null(jobs_next_quick(jobs, 0, &again_ns));
	for (int i = 0; i < 200; i++)
		lane_took(job->lane, 10000);
	ck_assert(lane_is_quick(job->lane));
	/* no message */
	ck_assert_ptr_null(jobs_next_quick(jobs, 0, &again_ns));
	job->kind = JOB_DELIVERED;
	lane_took(job->lane, INT64_C(5000000000));
	ck_assert(!lane_is_quick(job->lane));
	ck_assert_ptr_null(jobs_next_quick(jobs, 0, &again_ns));
	for (int i = 0; i < 200; i++)
		lane_took(job->lane, -1);
	ck_assert_ptr_eq(jobs_next_quick(jobs, 0, &again_ns), job);
	ck_assert_int_eq(job->state, JOB_RUNNING);
	ck_assert_ptr_null(jobs_next_quick(jobs, 0, &again_ns));
}
END_TEST

static void
add_tests(TCase *tests)
{
	tcase_add_test(tests, lanes_take_turns);
	tcase_add_test(tests, a_closed_lane_waits);
	tcase_add_test(tests, concurrency_holds);
	tcase_add_test(tests, an_adopted_job_counts_for_concurrency);
	tcase_add_test(tests, a_rate_holds_in_each_window);
	tcase_add_test(tests, many_rates_wake_in_their_time);
	tcase_add_test(tests, a_shared_limit_counts_all_its_lanes);
	tcase_add_test(tests, a_shared_rate_counts_all_its_lanes);
	tcase_add_test(tests, a_full_lane_says_so);
	tcase_add_test(tests, a_lane_is_listed_in_its_order);
	tcase_add_test(tests, the_age_of_a_lane);
	tcase_add_test(tests, lanes_are_found_again);
	tcase_add_test(tests,
	    only_messages_of_quick_lanes_are_given_in_advance);
}

int
main(void)
{
	return run_jobs_suite("jobs_lane", add_tests);
}
