/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_call - what a handler's outcome becomes, whatever it said before, and
 * what call_run() does around it: the slot, the bell, the guard.
 */
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "call_fixture.h"

static enum brood_outcome
is_done(struct brood_call *call)
{
	(void)call;
	return BROOD_DONE;
}

static enum brood_outcome
gives_up(struct brood_call *call)
{
	(void)call;
	return BROOD_RETRY;
}

static enum brood_outcome
refuses(struct brood_call *call)
{
	(void)call;
	return BROOD_REJECT;
}

START_TEST(an_outcome_alone_is_an_answer)
{
	run(is_done);
	ck_assert_int_eq(result.status, 204);
	ck_assert_int_eq(result.outcome, BROOD_DONE);
	ck_assert_ptr_null(result.body);
	ck_assert_ptr_null(result.problem);

	run(gives_up);
	ck_assert_int_eq(result.outcome, BROOD_RETRY);
	ck_assert_int_eq(result.retry_after_ns, 7 * NS_PER_S);
	check_problem(503, "this cannot be done now; try again later");
	call_result_release(&result);

	run(refuses);
	ck_assert_int_eq(result.outcome, BROOD_REJECT);
	check_problem(422, "the input cannot be processed");
	check_blameless();
}
END_TEST

/* What the next handler is to use. */
static int number;
static double seconds;

static enum brood_outcome
replies_and_returns(struct brood_call *call)
{
	ck_assert_int_eq(brood_reply_header(call, "X-Some", "header"), 0);
	brood_reply(call, 200, json_true());
	return (enum brood_outcome)number;
}

START_TEST(what_is_no_outcome_is_a_mistake)
{
	static const int outcomes[] = { -1, 3, 42, INT_MAX, INT_MIN };
	char text[64];

	number = outcomes[_i];
	run(replies_and_returns);
	check_problem(500, "the handler made a mistake; the log has more");
	ck_assert_uint_eq(result.headers, 0);
	snprintf(text, sizeof(text), "returned %d, which is no outcome",
	    number);
	check_blamed(text);
}
END_TEST

START_TEST(a_reply_stands_against_the_outcome)
{
	static const char *const name[] = { "", "BROOD_RETRY", "BROOD_REJECT" };
	char text[64];

	number = _i;
	run(replies_and_returns);
	check_reply(200, "application/json", "true");
	ck_assert_uint_eq(result.headers, 1);
	snprintf(text, sizeof(text), "replied 200, then returned %s", name[_i]);
	check_blamed(text);
}
END_TEST

static enum brood_outcome
replies_after_refusing(struct brood_call *call)
{
	brood_reject(call, 409, "first %s", "word");
	return brood_reply(call, 200, json_true());
}

static enum brood_outcome
replies_after_giving_up(struct brood_call *call)
{
	brood_retry(call, 2, "first word");
	return brood_reply_bytes(call, 200, "text/plain", "x", 1);
}

static enum brood_outcome
replies_thrice(struct brood_call *call)
{
	brood_reply(call, 201, json_pack("{s:i}", "first", 1));
	brood_reply(call, 202, json_pack("{s:i}", "second", 2));
	return brood_reply_bytes(call, 203, "text/plain", "third", 5);
}

static enum brood_outcome
refuses_after_replying(struct brood_call *call)
{
	brood_reply(call, 200, json_true());
	return brood_reject(call, 400, "second word");
}

static enum brood_outcome
forgets_to_return_it(struct brood_call *call)
{
	brood_reject(call, 418, "no coffee");
	return BROOD_DONE;
}

START_TEST(the_first_word_stands)
{
	run(replies_after_refusing);
	ck_assert_int_eq(result.outcome, BROOD_REJECT);
	check_problem(409, "first word");
	check_blamed("brood_reply() after brood_reject()");
}
END_TEST

START_TEST(not_now_stands_too)
{
	run(replies_after_giving_up);
	ck_assert_int_eq(result.outcome, BROOD_RETRY);
	ck_assert_int_eq(result.retry_after_ns, 2 * NS_PER_S);
	check_problem(503, "first word");
	check_blamed("brood_reply_bytes() after brood_retry()");
}
END_TEST

START_TEST(the_first_reply_of_many_stands)
{
	run(replies_thrice);
	check_reply(201, "application/json", "{\"first\":1}");
	check_blamed("brood_reply() after brood_reply()");
}
END_TEST

START_TEST(a_reply_cannot_be_taken_back)
{
	run(refuses_after_replying);
	check_reply(200, "application/json", "true");
	check_blamed("brood_reject() after brood_reply()");
}
END_TEST

START_TEST(a_rejection_cannot_be_forgotten)
{
	run(forgets_to_return_it);
	ck_assert_int_eq(result.outcome, BROOD_REJECT);
	check_problem(418, "no coffee");
	check_blamed("did not return what brood_reject() gave it");
}
END_TEST

static enum brood_outcome
refuses_with(struct brood_call *call)
{
	return brood_reject(call, number, "no");
}

START_TEST(a_rejection_is_a_4xx)
{
	static const struct {
		int asked, got;
	} status[] = {
		{ 400, 400 },
		{ 404, 404 },
		{ 499, 499 },
		{ 399, 422 },
		{ 500, 422 },
		{ 200, 422 },
		{ 0, 422 },
		{ -1, 422 },
	};

	for (size_t i = 0; i < COUNT(status); i++) {
		number = status[i].asked;
		run(refuses_with);
		check_problem(status[i].got, "no");
		call_result_release(&result);
	}
	check_blameless();
}
END_TEST

static enum brood_outcome
comes_back_after(struct brood_call *call)
{
	return brood_retry(call, seconds, "not now");
}

START_TEST(when_to_try_again)
{
	static const struct {
		double after;
		int64_t ns;
	} after[] = {
		{ 0, 7 * NS_PER_S },
		{ -1, 7 * NS_PER_S },
		{ NAN, 7 * NS_PER_S },
		{ 0.5, NS_PER_S / 2 },
		{ 3600, 3600 * NS_PER_S },
		{ INFINITY, INT64_MAX },
	};

	for (size_t i = 0; i < COUNT(after); i++) {
		seconds = after[i].after;
		run(comes_back_after);
		check_problem(503, "not now");
		ck_assert_int_eq(result.retry_after_ns, after[i].ns);
		call_result_release(&result);
	}
	check_blameless();
}
END_TEST

static enum brood_outcome
refuses_in_latin1(struct brood_call *call)
{
	return brood_reject(call, 400,
	    "caf\xe9\n\xc3\xa9 \xe2\x82\xac "
	    "\xf0\x9f\x90\xa3 \xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \xe2\x82");
}

static enum brood_outcome
refuses_at_length(struct brood_call *call)
{
	return brood_reject(call, 400, "%5000s", "end");
}

START_TEST(a_sentence_is_bounded_utf8)
{
	run(refuses_in_latin1);
	check_problem(400,
	    "caf??\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa3 "
	    "?? ??? ???? ??");
	call_result_release(&result);
	run(refuses_at_length);
	ck_assert_uint_eq(strlen(result.problem), 1023);
}
END_TEST

/* ---------------------------------------- around it: slot, bell and guard */

static enum brood_outcome
looks_at_its_slot(struct brood_call *call)
{
	struct slot_snapshot seen;

	slot_snapshot(fake.child.slot, &seen);
	ck_assert(seen.in_call);
	ck_assert_str_eq(seen.call.id, "an-id");
	ck_assert_str_eq(seen.call.method, "POST");
	ck_assert_str_eq(seen.call.path, "/some/path");
	ck_assert_str_eq(seen.call.handler, "test.handler");
	ck_assert_str_eq(seen.call.peer, "127.0.0.1:9");
	ck_assert_int_eq(seen.call.door, DOOR_REST);
	ck_assert_int_eq(seen.call.deadline_ns - seen.call.started_ns,
	    request.timeout_ns);
	ck_assert_int_eq(board_count_spare(fake.child.board, ROLE_REST), 0);
	return number == 500 ? brood_reply(call, 500, NULL) : BROOD_DONE;
}

START_TEST(the_slot_shows_the_call)
{
	struct slot_snapshot seen;

	run(looks_at_its_slot);
	number = 500;
	run(looks_at_its_slot);
	slot_snapshot(fake.child.slot, &seen);
	ck_assert(!seen.in_call);
	ck_assert_uint_eq(seen.calls, 2);
	ck_assert_uint_eq(seen.errors, 1);
	ck_assert_uint_eq(histogram_count(&fake.child.slot->latency), 2);
	ck_assert_int_ge(result.took_ns, 0);
	ck_assert_int_eq(board_count_spare(fake.child.board, ROLE_REST), 1);
}
END_TEST

START_TEST(who_was_not_spare_is_not_spare_afterwards)
{
	child_set_spare(&fake.child, false);
	run(is_done);
	ck_assert_int_eq(board_count_spare(fake.child.board, ROLE_REST), 0);
}
END_TEST

START_TEST(the_master_is_rung_for_an_earlier_deadline)
{
	run(is_done);
	ck_assert_int_eq(fake_child_said(), CHAN_LOOK);
	run(is_done);
	ck_assert_int_eq(fake_child_said(), CHAN_NONE);
	request.timeout_ns = 1;
	run(is_done);
	ck_assert_int_eq(fake_child_said(), CHAN_LOOK);
}
END_TEST

START_TEST(requests_are_counted_down_to_the_last)
{
	fake.child.board->pool[ROLE_REST].deadline_known_ns = 0;
	fake.child.requests_left = 2;
	run(is_done);
	ck_assert_int_eq(fake_child_said(), CHAN_NONE);
	run(is_done);
	ck_assert_int_eq(fake_child_said(), CHAN_RETIRE);
	run(is_done);
	ck_assert_int_eq(fake_child_said(), CHAN_NONE);
}
END_TEST

static enum brood_outcome
is_told_to_give_up(struct brood_call *call)
{
	struct slot *slot = fake.child.slot;

	/* as the master does it */
	slot->cancel = slot->call.started_ns;
	raise(CHILD_SIGNAL_OVERRUN);
	return brood_reply(call, 200, json_true());
}

START_TEST(an_overrun_is_answered_before_the_handler_is)
{
	char got[32] = "";
	int pair[2];

	ck_assert_int_eq(child_guard_init(fake.child.slot), 0);
	ck_assert_int_eq(fd_seqpacket_pair(pair), 0);
	request.guard_fd = pair[0];
	request.crash_text = "crashed";
	request.overrun_text = "too late";
	run(is_told_to_give_up);
	ck_assert(result.answered);
	check_problem(504, "the handler did not finish in time");
	ck_assert_int_eq(recv(pair[1], got, sizeof(got), 0), 8);
	ck_assert_str_eq(got, "too late");
	call_result_release(&result);

	request.guard_fd = -1;
	run(is_told_to_give_up);
	ck_assert(!result.answered);
	check_reply(200, "application/json", "true");
	close(pair[0]);
	close(pair[1]);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("call");
	TCase *tests;

	tests = add_case(suite, "outcome");
	tcase_add_test(tests, an_outcome_alone_is_an_answer);
	tcase_add_loop_test(tests, what_is_no_outcome_is_a_mistake, 0, 5);
	tcase_add_loop_test(tests, a_reply_stands_against_the_outcome, 1, 3);
	tcase_add_test(tests, the_first_word_stands);
	tcase_add_test(tests, not_now_stands_too);
	tcase_add_test(tests, the_first_reply_of_many_stands);
	tcase_add_test(tests, a_reply_cannot_be_taken_back);
	tcase_add_test(tests, a_rejection_cannot_be_forgotten);
	tcase_add_test(tests, a_rejection_is_a_4xx);
	tcase_add_test(tests, when_to_try_again);
	tcase_add_test(tests, a_sentence_is_bounded_utf8);
	tests = add_case(suite, "around");
	tcase_add_test(tests, the_slot_shows_the_call);
	tcase_add_test(tests, who_was_not_spare_is_not_spare_afterwards);
	tcase_add_test(tests, the_master_is_rung_for_an_earlier_deadline);
	tcase_add_test(tests, requests_are_counted_down_to_the_last);
	tcase_add_test(tests, an_overrun_is_answered_before_the_handler_is);
	return run_suite(suite);
}
