/* SPDX-License-Identifier: BSD-2-Clause */
/* Jobs through their states, calls and their ends, what each attempt counts. */
#include "work_fixture.h"

/* --- the states of a job */

START_TEST(succeeds)
{
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = submit_job(0);
	ck_assert_uint_eq(want_run(1, 1), uid);
	want_state(uid, "running", 1);
	done(1, uid, 1, NULL);
	turn();
	want(1, MSG_OK);
	want_state(uid, "succeeded", 1);
	want_counts(0, 0, 0);
}
END_TEST

START_TEST(says_what_it_is_to_run)
{
	struct msg_SUBMIT submit = {
		.handler = msg_text("some.handler"),
		.body = msg_text("the body"),
		.type = msg_text("text/plain"),
		.path = msg_text("/path"),
		.id = msg_text("request-7"),
		.timeout_ms = 1500,
		.max_attempts = 3,
	};
	const struct msg_RUN *run;
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = submit_with(0, &submit);
	turn();
	run = &want(1, MSG_RUN)->msg.RUN;
	ck_assert_uint_eq(run->uid, uid);
	ck_assert(msg_is(run->handler, "some.handler"));
	ck_assert(msg_is(run->body, "the body"));
	ck_assert(msg_is(run->path, "/path"));
	ck_assert(msg_is(run->id, "request-7"));
	ck_assert_int_eq(run->door, DOOR_JOB);
	ck_assert_int_eq(run->timeout_ns, 1500 * NS_PER_MS);
	ck_assert_uint_eq(run->max_attempts, 3);
	ck_assert_uint_eq(run->redelivered, 0);
}
END_TEST

START_TEST(a_worker_has_one_at_a_time)
{
	uint64_t first, second;

	connect_client(0, false);
	connect_worker(1);
	first = submit_job(0);
	second = submit_job(0);
	ck_assert_uint_eq(want_run(1, 1), first);
	want_nothing(1);
	done(1, first, 1, NULL);
	turn();
	want(1, MSG_OK);
	ck_assert_uint_eq(want_run(1, 1), second);
}
END_TEST

START_TEST(a_worker_of_another_generation_has_none)
{
	connect_client(0, false);
	connect_worker(1)->generation = GENERATION + 1;
	leave(1);
	fx.client[1].peer.generation = GENERATION + 1;
	fx.client[1].connected = true;
	dispatch_on_worker(&fx.hub, &fx.client[1].peer);
	submit_job(0);
	want_nothing(1);
	want_counts(0, 1, 0);
}
END_TEST

START_TEST(is_tried_again)
{
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = submit_job(0);
	want_run(1, 1);
	done_badly(1, uid, 1, BROOD_RETRY, 503, "the moon is not full");
	turn();
	want(1, MSG_OK);
	want_state(uid, "waiting", 1);
	want_error(uid, 1, "the moon is not full");
	later(500);
	turn();
	want_nothing(1);
	later(1000);
	turn();
	want_run(1, 2);
	done(1, uid, 2, NULL);
	turn();
	want_state(uid, "succeeded", 2);
}
END_TEST

START_TEST(is_tried_when_it_says)
{
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = submit_job(0);
	want_run(1, 1);
	send_done(1,
	    &(struct msg_DONE){
		.uid = uid,
		.attempt = 1,
		.outcome = BROOD_RETRY,
		.retry_after_ns = 60 * NS_PER_S,
	    });
	turn();
	later(59000);
	turn();
	want_state(uid, "waiting", 1);
	later(2000);
	turn();
	want_state(uid, "running", 2);
}
END_TEST

START_TEST(is_dead_in_the_end)
{
	struct msg_SUBMIT submit = { .max_attempts = 2 };
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = submit_with(0, &submit);
	for (unsigned i = 1; i <= 2; i++) {
		turn();
		done_badly(1, uid, i, BROOD_RETRY, 503, "no");
		later(10000);
	}
	turn();
	want_state(uid, "dead", 2);
	want_error(uid, 2, "no");
}
END_TEST

START_TEST(is_rejected)
{
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = submit_job(0);
	done_badly(1, uid, 1, BROOD_REJECT, 422, "this is no letter");
	turn();
	want_state(uid, "failed", 1);
	want_error(uid, 1, "this is no letter");
}
END_TEST

START_TEST(nobody_has_its_handler)
{
	uint64_t uid;
	struct why why;

	connect_client(0, false);
	connect_worker(1);
	uid = submit_job(0);
	done_badly(1, uid, 1, BROOD_REJECT, 501, "no such handler");
	turn();
	want_state(uid, "dead", 1);
	/* after the reload that brings it back */
	ck_assert_int_eq(work_retry(&fx.hub, uid, &why), HUB_OK);
	turn();
	want_state(uid, "running", 1);
	done(1, uid, 1, NULL);
	turn();
	want_state(uid, "succeeded", 1);
	ck_assert_int_eq(work_retry(&fx.hub, uid, &why), HUB_CONFLICT);
	ck_assert_int_eq(work_retry(&fx.hub, uid + 1, &why), HUB_NOT_FOUND);
}
END_TEST

START_TEST(waits_for_its_time)
{
	struct msg_SUBMIT submit = { .delay_ms = 5000 };
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = submit_with(0, &submit);
	turn();
	want_state(uid, "waiting", 0);
	later(6000);
	turn();
	want_state(uid, "running", 1);
}
END_TEST

START_TEST(the_clock_is_set)
{
	struct msg_SUBMIT submit = { .delay_ms = 5000 };
	uint64_t uid;

	connect_client(0, false);
	uid = submit_with(0, &submit);
	turn();
	fx.ahead_ms -= 3600000;
	work_clock(&fx.hub, -3600000);
	turn();
	want_state(uid, "waiting", 0);
	later(6000);
	turn();
	want_state(uid, "queued", 0);
}
END_TEST

START_TEST(expires)
{
	struct msg_SUBMIT submit = { .expires_ms = 5000 };
	uint64_t uid;

	connect_client(0, false);
	uid = submit_with(0, &submit);
	turn();
	want_state(uid, "queued", 0);
	later(6000);
	turn();
	want_state(uid, "failed", 0);
	want_error(uid, 1, "expired");
}
END_TEST

START_TEST(begun_in_time_does_not_expire)
{
	struct msg_SUBMIT submit = { .expires_ms = 5000 };
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = submit_with(0, &submit);
	turn();
	done_badly(1, uid, 1, BROOD_RETRY, 503, "");
	turn();
	later(60000);
	killed();
	connect_worker(1);
	turn();
	want_state(uid, "running", 2);
}
END_TEST

START_TEST(higher_priority_first)
{
	struct msg_SUBMIT submit = { .priority = 1 };
	uint64_t low, high;

	connect_client(0, false);
	low = submit_with(0, &submit);
	submit = (struct msg_SUBMIT){ .priority = 200 };
	high = submit_with(0, &submit);
	connect_worker(1);
	turn();
	ck_assert_uint_eq(want_run(1, 1), high);
	done(1, high, 1, NULL);
	turn();
	want(1, MSG_OK);
	ck_assert_uint_eq(want_run(1, 1), low);
}
END_TEST

START_TEST(a_large_result_is_not_kept)
{
	uint64_t uid;
	json_t *json;

	connect_client(0, false);
	connect_worker(1);
	fx.conf->tasks.max_result = 3;
	uid = submit_job(0);
	done(1, uid, 1, NULL);
	turn();
	json = report(uid);
	ck_assert_str_eq(json_string_value(json_object_get(json, "state")),
	    "succeeded");
	ck_assert_ptr_nonnull(
	    strstr(json_string_value(json_object_get(json, "problem")),
		"max_result"));
	json_decref(json);
}
END_TEST

/* --- what is sent twice */

START_TEST(the_same_commit_again)
{
	struct buf parts;
	uint64_t uid = uid_make(), job;

	connect_client(0, false);
	buf_init(&parts, 1 << 20);
	job = add_submit(&parts, "m.h", "x");
	add_incr(&parts, "n", 2);
	commit(0, uid, &parts);
	turn();
	ck_assert_uint_eq(want(0, MSG_DONE_OK)->msg.DONE_OK.uid, job);
	commit(0, uid, &parts);
	turn();
	ck_assert_uint_eq(want(0, MSG_DONE_OK)->msg.DONE_OK.uid, job);
	killed();
	connect_client(0, false);
	commit(0, uid, &parts);
	turn();
	ck_assert_uint_eq(want(0, MSG_DONE_OK)->msg.DONE_OK.uid, job);
	want_number("n", 2);
	want_counts(0, 1, 0);
	buf_release(&parts);
}
END_TEST

START_TEST(the_same_done_again)
{
	struct buf parts;
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	buf_init(&parts, 1 << 20);
	add_incr(&parts, "n", 1);
	uid = submit_job(0);
	want_run(1, 1);
	done(1, uid, 1, &parts);
	done(1, uid, 1, &parts);
	turn();
	want(1, MSG_OK);
	want(1, MSG_OK);
	want_number("n", 1);
	/* the answer never left: the next hub is asked again */
	killed();
	connect_worker(1);
	done(1, uid, 1, &parts);
	turn();
	want(1, MSG_OK);
	want_number("n", 1);
	buf_release(&parts);
}
END_TEST

START_TEST(an_attempt_that_does_not_count)
{
	struct buf parts;
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	buf_init(&parts, 1 << 20);
	add_incr(&parts, "n", 1);
	uid = submit_job(0);
	want_run(1, 1);
	done(1, uid, 7, &parts);
	done(1, uid + 1, 1, &parts);
	later(10000);
	turn();
	want_fail(1, HUB_STALE);
	done(1, uid, 1, NULL);
	turn();
	want_number("n", 0);
	buf_release(&parts);
}
END_TEST

START_TEST(one_with_that_key)
{
	struct msg_SUBMIT submit = { .unique = msg_text("key") };
	uint64_t first, second;

	connect_client(0, false);
	connect_worker(1);
	first = submit_with(0, &submit);
	turn();
	want(0, MSG_DONE_OK);
	submit.uid = submit.token = 0;
	second = submit_with(0, &submit);
	ck_assert_uint_ne(first, second);
	turn();
	{
		const struct msg_DONE_OK *ok =
		    &want(0, MSG_DONE_OK)->msg.DONE_OK;

		ck_assert_uint_eq(ok->uid, first);
		ck_assert_uint_eq(ok->existing, 1);
	}
	killed();
	ck_assert_uint_eq(
	    jobs_find_unique(work_jobs(&fx.hub), msg_text("key"))->uid, first);
	connect_client(0, false);
	connect_worker(1);
	turn();
	done(1, first, 1, NULL);
	submit.uid = submit.token = 0;
	second = submit_with(0, &submit);
	turn();
	ck_assert_uint_eq(want(0, MSG_DONE_OK)->msg.DONE_OK.uid, second);
}
END_TEST

START_TEST(idempotency)
{
	struct msg_SUBMIT submit = {
		.idempotency = msg_text("key"),
		.fingerprint = 1,
	};
	uint64_t first;

	connect_client(0, false);
	connect_worker(1);
	first = submit_with(0, &submit);
	turn();
	want(0, MSG_DONE_OK);
	done(1, first, 1, NULL);
	turn();
	for (int i = 0; i < 2; i++) {
		submit.uid = submit.token = 0;
		submit_with(0, &submit);
		turn();
		ck_assert_uint_eq(want(0, MSG_DONE_OK)->msg.DONE_OK.uid, first);
		killed();
		connect_client(0, false);
	}
	submit.uid = submit.token = 0;
	submit.fingerprint = 2;
	submit_with(0, &submit);
	turn();
	want_fail(0, HUB_MISMATCH);
}
END_TEST

/* --- conflicts and refusals */

START_TEST(a_conflict_runs_it_again)
{
	struct msg_EXPECT expect = { .key = msg_text("k"), .version = 99 };
	struct buf parts;
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	buf_init(&parts, 1 << 20);
	add_incr(&parts, "n", 1);
	add_part(&parts, MSG_EXPECT, &expect);
	uid = submit_job(0);
	want_run(1, 1);
	for (int i = 0; i < 3; i++) {
		done(1, uid, 1, &parts);
		turn();
		want_fail(1, HUB_CONFLICT);
		ck_assert_uint_eq(want_run(1, 1), uid);
	}
	want_number("n", 0);
	done(1, uid, 1, NULL);
	turn();
	want_state(uid, "succeeded", 1);
	buf_release(&parts);
}
END_TEST

START_TEST(conflicts_for_ever)
{
	struct msg_EXPECT expect = { .key = msg_text("k"), .version = 99 };
	struct buf parts;
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	buf_init(&parts, 1 << 20);
	add_part(&parts, MSG_EXPECT, &expect);
	uid = submit_job(0);
	for (int i = 0; i <= 100; i++) {
		want_state(uid, "running", 1);
		done(1, uid, 1, &parts);
		turn();
		fx.client[1].read = fx.client[1].ins;
		forget_letters(fx.client[1].in, &fx.client[1].ins);
		fx.client[1].read = 0;
	}
	want_state(uid, "waiting", 1);
	buf_release(&parts);
}
END_TEST

START_TEST(effects_that_make_no_sense)
{
	struct buf parts;
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	buf_init(&parts, 1 << 20);
	add_incr(&parts, "n", 1);
	add_publish(&parts, "nowhere", "k", "x");
	uid = submit_job(0);
	want_run(1, 1);
	done(1, uid, 1, &parts);
	turn();
	want_fail(1, HUB_NOT_FOUND);
	want_state(uid, "failed", 1);
	want_number("n", 0);
	buf_release(&parts);
}
END_TEST

START_TEST(too_many_wait)
{
	struct msg_SUBMIT submit = { 0 };

	connect_client(0, false);
	fx.conf->tasks.max_queued = 2;
	submit_job(0);
	submit_job(0);
	submit_with(0, &submit);
	turn();
	want_fail(0, HUB_FULL);
	want_counts(0, 2, 0);
}
END_TEST

/* It finds an end, and others run meanwhile. */
START_TEST(a_job_that_submits_itself)
{
	struct msg_SUBMIT other = { .handler = msg_text("o.o") };
	uint64_t others = 0, uid;

	connect_client(0, false);
	connect_worker(1);
	fx.conf->tasks.max_queued = 20;
	fx.conf->tasks.max_attempts = 2;
	submit_job(0);
	other.uid = uid_make();
	other.token = 1;
	submit_with(0, &other);
	for (int i = 0; i < 200; i++) {
		struct letter *letter;
		struct buf parts;

		turn();
		while ((letter = received(1)) != NULL) {
			if (letter->id != MSG_RUN)
				continue;
			uid = letter->msg.RUN.uid;
			buf_init(&parts, 1 << 20);
			if (msg_is(letter->msg.RUN.handler, "m.h")) {
				add_submit(&parts, "m.h", "x");
				add_submit(&parts, "m.h", "x");
			} else {
				others++;
			}
			done(1, uid, letter->msg.RUN.attempt, &parts);
			buf_release(&parts);
		}
		forget_letters(fx.client[1].in, &fx.client[1].ins);
		fx.client[1].read = 0;
		later(100);
	}
	ck_assert_uint_eq(others, 1);
	{
		size_t by_state[JOB_STATE_COUNT];

		jobs_count(work_jobs(&fx.hub), by_state);
		ck_assert_uint_le(by_state[JOB_WAITING] + by_state[JOB_QUEUED] +
			by_state[JOB_RUNNING],
		    21);
	}
}
END_TEST

/* --- workers die */

START_TEST(its_worker_is_killed)
{
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = submit_job(0);
	want_run(1, 1);
	leave(1);
	die(1, SIGSEGV);
	dispatch_on_deaths(&fx.hub);
	turn();
	want_state(uid, "waiting", 1);
	want_error(uid, 1, "killed by SIGSEGV");
	connect_worker(2);
	later(2000);
	turn();
	{
		const struct msg_RUN *run = &want(2, MSG_RUN)->msg.RUN;

		ck_assert_uint_eq(run->attempt, 2);
		ck_assert_uint_eq(run->redelivered, 1);
	}
}
END_TEST

START_TEST(its_worker_had_not_begun)
{
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = submit_job(0);
	want(1, MSG_RUN);
	leave(1);
	die(1, SIGKILL);
	dispatch_on_deaths(&fx.hub);
	connect_worker(2);
	turn();
	ck_assert_uint_eq(want_run(2, 1), uid);
}
END_TEST

/* In order, as far as its status goes, but from within the handler. */
START_TEST(its_handler_ends_the_process)
{
	struct slot *slot = &fx.child.board->slot[1];
	struct board_death death = { 0 };
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = submit_job(0);
	want_run(1, 1);
	death.pid = slot->pid;
	leave(1);
	board_death_add(fx.child.board, &death);
	dispatch_on_deaths(&fx.hub);
	want_state(uid, "waiting", 1);
	want_error(uid, 1, "status 0");
	later(5000);
	turn();
	/* the other one drains: it has not begun the next one */
	connect_worker(2);
	turn();
	want(2, MSG_RUN);
	death.pid = fx.child.board->slot[2].pid;
	leave(2);
	board_death_add(fx.child.board, &death);
	dispatch_on_deaths(&fx.hub);
	want_state(uid, "queued", 1);
	turn();
}
END_TEST

START_TEST(a_poison_that_hides)
{
	uint64_t uid;

	connect_client(0, false);
	uid = submit_job(0);
	for (int i = 0; i < 4; i++) {
		connect_worker(1);
		turn();
		want_state(uid, "running", 1);
		leave(1);
		die(1, SIGKILL);
		dispatch_on_deaths(&fx.hub);
		turn();
	}
	want_state(uid, "waiting", 1);
}
END_TEST

START_TEST(a_worker_comes_back)
{
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = submit_job(0);
	want_run(1, 1);
	leave(1);
	turn();
	connect_client(1, true);
	turn();
	want_state(uid, "running", 1);
	done(1, uid, 1, NULL);
	turn();
	want_state(uid, "succeeded", 1);
}
END_TEST

START_TEST(it_takes_too_long)
{
	struct board_death death;
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = submit_job(0);
	want_run(1, 1);
	death = (struct board_death){
		.pid = fx.child.board->slot[1].pid,
		.status = SIGKILL,
		.overran = true,
	};
	board_death_add(fx.child.board, &death);
	leave(1);
	turn();
	want_state(uid, "waiting", 1);
	want_error(uid, 1, "time limit");
}
END_TEST

/* --- the hub dies */

START_TEST(killed_before_the_commit)
{
	struct buf parts;
	uint64_t job, uid = uid_make();

	connect_client(0, false);
	buf_init(&parts, 1 << 20);
	job = add_submit(&parts, "m.h", "x");
	add_incr(&parts, "n", 1);
	commit(0, uid, &parts);
	killed();
	want_counts(0, 0, 0);
	want_number("n", 0);
	connect_client(0, false);
	commit(0, uid, &parts);
	turn();
	ck_assert_uint_eq(want(0, MSG_DONE_OK)->msg.DONE_OK.uid, job);
	want_counts(0, 1, 0);
	want_number("n", 1);
	buf_release(&parts);
}
END_TEST

START_TEST(killed_while_it_runs)
{
	struct buf parts;
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = submit_job(0);
	want_run(1, 1);
	killed();
	want_state(uid, "running", 1);
	/* it is busy and cannot say hello; another one gets nothing of it */
	connect_worker(2);
	turn();
	want_nothing(2);
	connect_worker(1);
	turn();
	want_nothing(1);
	buf_init(&parts, 1 << 20);
	add_incr(&parts, "n", 1);
	done(1, uid, 1, &parts);
	turn();
	want(1, MSG_OK);
	want_state(uid, "succeeded", 1);
	want_number("n", 1);
	buf_release(&parts);
}
END_TEST

/* The DONE was on its way to the hub that died. */
START_TEST(killed_before_the_done)
{
	struct buf parts;
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	connect_worker(2);
	uid = submit_job(0);
	turn();
	ck_assert_uint_eq(want_run(2, 1), uid);
	show_call(2, 0, 0);
	killed();
	buf_init(&parts, 1 << 20);
	add_incr(&parts, "n", 1);
	/* worker 1 is here first, and does not get it */
	connect_client(1, true);
	turn();
	want_nothing(1);
	connect_client(2, true);
	done(2, uid, 1, &parts);
	turn();
	want(2, MSG_OK);
	want_nothing(1);
	want_state(uid, "succeeded", 1);
	want_number("n", 1);
	buf_release(&parts);
}
END_TEST

START_TEST(killed_between_done_and_commit)
{
	struct buf parts;
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = submit_job(0);
	want_run(1, 1);
	buf_init(&parts, 1 << 20);
	add_incr(&parts, "n", 1);
	add_submit(&parts, "m.next", "x");
	done(1, uid, 1, &parts);
	killed();
	want_number("n", 0);
	connect_client(1, true);
	done(1, uid, 1, &parts);
	turn();
	want(1, MSG_OK);
	want_number("n", 1);
	want_state(uid, "succeeded", 1);
	want_counts(0, 0, 1);
	buf_release(&parts);
}
END_TEST

/* Worker and hub at once: no attempt is counted that was not known of. */
START_TEST(killed_with_its_worker)
{
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = submit_job(0);
	want_run(1, 1);
	die(1, SIGKILL);
	killed();
	connect_worker(2);
	turn();
	ck_assert_uint_eq(want_run(2, 1), uid);
}
END_TEST

/* The whole family died over a job that took long: that was an attempt. */
START_TEST(killed_with_all)
{
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = submit_job(0);
	want_run(1, 1);
	later(100);
	turn();
	die(1, SIGKILL);
	killed();
	want_state(uid, "running", 1);
	turn();
	want_state(uid, "waiting", 1);
	want_error(uid, 1, "the service ended");
	later(5000);
	connect_worker(1);
	turn();
	ck_assert_uint_eq(want_run(1, 2), uid);
}
END_TEST

START_TEST(killed_while_it_runs_for_long)
{
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = submit_job(0);
	want_run(1, 1);
	later(100);
	turn();
	killed();
	want_state(uid, "running", 1);
	turn();
	later(5000);
	turn();
	want_state(uid, "running", 1);
	connect_client(1, true);
	done(1, uid, 1, NULL);
	turn();
	want_state(uid, "succeeded", 1);
}
END_TEST

/* Twice in a row, and the worker has ended its call meanwhile. */
START_TEST(killed_twice)
{
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = submit_job(0);
	want_run(1, 1);
	later(100);
	turn();
	killed();
	killed();
	show_call(1, 0, 0);
	killed();
	turn();
	connect_client(1, true);
	done(1, uid, 1, NULL);
	turn();
	want(1, MSG_OK);
	want_state(uid, "succeeded", 1);
}
END_TEST

/* --- chains */

START_TEST(then)
{
	struct msg_SUBMIT submit = { .then = msg_text("m.next") };
	const struct msg_RUN *run;
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = submit_with(0, &submit);
	turn();
	want_run(1, 1);
	done(1, uid, 1, NULL);
	turn();
	want(1, MSG_OK);
	run = &want(1, MSG_RUN)->msg.RUN;
	ck_assert(msg_is(run->handler, "m.next"));
	ck_assert(msg_is(run->body, "result"));
	ck_assert(msg_is(run->type, "text/plain"));
	want_nothing(1);
}
END_TEST

START_TEST(on_failure)
{
	struct msg_SUBMIT submit = {
		.then = msg_text("m.next"),
		.on_failure = msg_text("m.mend"),
	};
	const struct msg_RUN *run;
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = submit_with(0, &submit);
	turn();
	want_run(1, 1);
	done_badly(1, uid, 1, BROOD_REJECT, 422, "never");
	turn();
	want(1, MSG_OK);
	run = &want(1, MSG_RUN)->msg.RUN;
	ck_assert(msg_is(run->handler, "m.mend"));
	ck_assert(msg_is(run->type, "application/problem+json"));
	ck_assert_ptr_nonnull(memmem(run->body.p, run->body.len, "never", 5));
	ck_assert_ptr_nonnull(
	    memmem(run->attrs.p, run->attrs.len, "reason", 6));
}
END_TEST

/* --- cancelled */

START_TEST(cancelled_while_it_waits)
{
	struct msg_SUBMIT submit = { .delay_ms = 5000, .token = 77 };
	struct msg_JOB_CANCEL cancel = { .token = 77 };
	uint64_t uid;

	connect_client(0, false);
	uid = cancel.uid = submit_with(0, &submit);
	turn();
	want(0, MSG_DONE_OK);
	hub_on_JOB_CANCEL(&fx.hub, &fx.client[0].peer, 1, &cancel);
	turn();
	ck_assert_uint_eq(want(0, MSG_JOB)->msg.JOB.state, JOB_CANCELLED);
	want_state(uid, "cancelled", 0);
	hub_on_JOB_CANCEL(&fx.hub, &fx.client[0].peer, 1, &cancel);
	turn();
	want_fail(0, HUB_CONFLICT);
	cancel.token = 78;
	hub_on_JOB_CANCEL(&fx.hub, &fx.client[0].peer, 1, &cancel);
	turn();
	ck_assert_uint_eq(want(0, MSG_JOB)->msg.JOB.found, 0);
}
END_TEST

START_TEST(cancelled_while_it_runs)
{
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = submit_job(0);
	want_run(1, 1);
	ck_assert_int_eq(work_cancel(&fx.hub, uid), HUB_OK);
	ck_assert(board_is_cancelled(fx.child.board, 1, uid));
	turn();
	/* the next hub knows as well */
	killed();
	connect_client(1, true);
	done_badly(1, uid, 1, BROOD_RETRY, 503, "gives up");
	turn();
	want_state(uid, "cancelled", 1);
}
END_TEST

START_TEST(cancelled_and_wanted_again)
{
	struct why why;
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = submit_job(0);
	want_run(1, 1);
	work_cancel(&fx.hub, uid);
	done_badly(1, uid, 1, BROOD_RETRY, 503, "gives up");
	turn();
	want(1, MSG_OK);
	want_state(uid, "cancelled", 1);
	ck_assert_int_eq(work_retry(&fx.hub, uid, &why), HUB_OK);
	turn();
	ck_assert_uint_eq(want_run(1, 1), uid);
	ck_assert(!board_is_cancelled(fx.child.board, 1, uid));
}
END_TEST

START_TEST(done_in_spite_of_it)
{
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = submit_job(0);
	ck_assert_int_eq(work_cancel(&fx.hub, uid), HUB_OK);
	done(1, uid, 1, NULL);
	turn();
	want_state(uid, "succeeded", 1);
}
END_TEST

/* --- asked for */

START_TEST(asked_for_with_waiting)
{
	struct msg_SUBMIT submit = { .token = 77 };
	struct msg_JOB_GET get = { .token = 77, .wait_ms = 60000 };
	const struct msg_JOB *job;
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = get.uid = submit_with(0, &submit);
	turn();
	want(0, MSG_DONE_OK);
	hub_on_JOB_GET(&fx.hub, &fx.client[0].peer, 9, &get);
	turn();
	want_nothing(0);
	done(1, uid, 1, NULL);
	turn();
	job = &want(0, MSG_JOB)->msg.JOB;
	ck_assert_uint_eq(job->found, 1);
	ck_assert_uint_eq(job->state, JOB_SUCCEEDED);
	ck_assert_uint_eq(job->status, 200);
	ck_assert(msg_is(job->body, "result"));
	hub_on_JOB_GET(&fx.hub, &fx.client[0].peer, 9, &get);
	turn();
	ck_assert_uint_eq(want(0, MSG_JOB)->msg.JOB.state, JOB_SUCCEEDED);
	get.token = 78;
	hub_on_JOB_GET(&fx.hub, &fx.client[0].peer, 9, &get);
	turn();
	ck_assert_uint_eq(want(0, MSG_JOB)->msg.JOB.found, 0);
}
END_TEST

START_TEST(says_how_far_it_is)
{
	struct msg_PROGRESS progress = {
		.attempt = 1,
		.permille = 400,
		.note = msg_text("four of ten"),
	};
	json_t *json;
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = progress.uid = submit_job(0);
	hub_on_PROGRESS(&fx.hub, &fx.client[1].peer, 0, &progress);
	progress.attempt = 2;
	progress.permille = 1;
	hub_on_PROGRESS(&fx.hub, &fx.client[1].peer, 0, &progress);
	json = report(uid);
	ck_assert_double_eq_tol(json_real_value(json_object_get(
				    json_object_get(json, "progress"), "done")),
	    0.4, 0.0001);
	ck_assert_ptr_nonnull(json_object_get(json, "started"));
	json_decref(json);
	turn();
}
END_TEST

/* --- bodies */

START_TEST(bodies_come_from_the_store)
{
	struct msg_SUBMIT submit = { .body = msg_text("far away") };
	uint64_t uid;

	connect_client(0, false);
	fx.conf->tasks.cache = 0;
	uid = submit_with(0, &submit);
	turn();
	connect_worker(1);
	turn();
	{
		const struct msg_RUN *run = &want(1, MSG_RUN)->msg.RUN;

		ck_assert_uint_eq(run->uid, uid);
		ck_assert(msg_is(run->body, "far away"));
	}
	done(1, uid, 1, NULL);
	turn();
	want_state(uid, "succeeded", 1);
}
END_TEST

static void
add(TCase *tests)
{
	tcase_add_test(tests, succeeds);
	tcase_add_test(tests, says_what_it_is_to_run);
	tcase_add_test(tests, a_worker_has_one_at_a_time);
	tcase_add_test(tests, a_worker_of_another_generation_has_none);
	tcase_add_test(tests, is_tried_again);
	tcase_add_test(tests, is_tried_when_it_says);
	tcase_add_test(tests, is_dead_in_the_end);
	tcase_add_test(tests, is_rejected);
	tcase_add_test(tests, nobody_has_its_handler);
	tcase_add_test(tests, waits_for_its_time);
	tcase_add_test(tests, the_clock_is_set);
	tcase_add_test(tests, expires);
	tcase_add_test(tests, begun_in_time_does_not_expire);
	tcase_add_test(tests, higher_priority_first);
	tcase_add_test(tests, a_large_result_is_not_kept);
	tcase_add_test(tests, the_same_commit_again);
	tcase_add_test(tests, the_same_done_again);
	tcase_add_test(tests, an_attempt_that_does_not_count);
	tcase_add_test(tests, one_with_that_key);
	tcase_add_test(tests, idempotency);
	tcase_add_test(tests, a_conflict_runs_it_again);
	tcase_add_test(tests, conflicts_for_ever);
	tcase_add_test(tests, effects_that_make_no_sense);
	tcase_add_test(tests, too_many_wait);
	tcase_add_test(tests, a_job_that_submits_itself);
	tcase_add_test(tests, its_worker_is_killed);
	tcase_add_test(tests, its_worker_had_not_begun);
	tcase_add_test(tests, its_handler_ends_the_process);
	tcase_add_test(tests, a_poison_that_hides);
	tcase_add_test(tests, a_worker_comes_back);
	tcase_add_test(tests, it_takes_too_long);
	tcase_add_test(tests, killed_before_the_commit);
	tcase_add_test(tests, killed_while_it_runs);
	tcase_add_test(tests, killed_before_the_done);
	tcase_add_test(tests, killed_between_done_and_commit);
	tcase_add_test(tests, killed_with_its_worker);
	tcase_add_test(tests, killed_with_all);
	tcase_add_test(tests, killed_while_it_runs_for_long);
	tcase_add_test(tests, killed_twice);
	tcase_add_test(tests, then);
	tcase_add_test(tests, on_failure);
	tcase_add_test(tests, cancelled_while_it_waits);
	tcase_add_test(tests, cancelled_while_it_runs);
	tcase_add_test(tests, cancelled_and_wanted_again);
	tcase_add_test(tests, done_in_spite_of_it);
	tcase_add_test(tests, asked_for_with_waiting);
	tcase_add_test(tests, says_how_far_it_is);
	tcase_add_test(tests, bodies_come_from_the_store);
}

int
main(void)
{
	return run_work_suite("work", add);
}
