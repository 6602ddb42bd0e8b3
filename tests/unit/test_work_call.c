/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls that somebody waits for, and brood_request(). */
#include "hub/work_impl.h"
#include "work_fixture.h"

static struct msg_CALL the_call;

/* By client 0. */
static void
call_again(uint32_t request)
{
	hub_tick(&fx.hub);
	hub_on_CALL(&fx.hub, &fx.client[0].peer, request, &the_call);
}

static uint64_t
call(uint32_t request)
{
	hub_tick(&fx.hub);
	the_call = (struct msg_CALL){
		.uid = uid_make(),
		.handler = msg_text("m.h"),
		.door = DOOR_REST,
		.method = msg_text("POST"),
		.path = msg_text("/here"),
		.body = msg_text("input"),
		.deadline_ns = fx.hub.now_ns + 10 * NS_PER_S,
		.timeout_ns = 5 * NS_PER_S,
	};
	call_again(request);
	return the_call.uid;
}

START_TEST(is_answered)
{
	const struct msg_RUN *run;
	const struct letter *letter;
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = call(7);
	turn();
	run = &want(1, MSG_RUN)->msg.RUN;
	ck_assert_uint_eq(run->uid, uid);
	ck_assert_int_eq(run->door, DOOR_REST);
	ck_assert(msg_is(run->method, "POST"));
	ck_assert(msg_is(run->body, "input"));
	ck_assert_uint_eq(run->max_attempts, 1);
	ck_assert_int_eq(run->timeout_ns, 5 * NS_PER_S);
	want_nothing(0);
	done(1, uid, 1, NULL);
	turn();
	want(1, MSG_OK);
	letter = want(0, MSG_RESULT);
	ck_assert_uint_eq(letter->request, 7);
	ck_assert_uint_eq(letter->msg.RESULT.status, 200);
	ck_assert(msg_is(letter->msg.RESULT.body, "result"));
	want_counts(0, 0, 0);
}
END_TEST

START_TEST(comes_before_jobs)
{
	uint64_t uid;

	connect_client(0, false);
	submit_job(0);
	uid = call(7);
	turn();
	connect_worker(1);
	turn();
	ck_assert_uint_eq(want_run(1, 1), uid);
}
END_TEST

START_TEST(says_that_its_handler_crashed)
{
	connect_client(0, false);
	connect_worker(1);
	call(7);
	turn();
	want_run(1, 1);
	leave(1);
	die(1, SIGSEGV);
	dispatch_on_deaths(&fx.hub);
	turn();
	want_fail(0, HUB_CRASHED);
	want_counts(0, 0, 0);
}
END_TEST

START_TEST(is_not_begun_in_time)
{
	connect_client(0, false);
	call(7);
	turn();
	later(11000);
	turn();
	want_fail(0, HUB_TIMEOUT);
	want_counts(0, 0, 0);
}
END_TEST

START_TEST(is_refused)
{
	connect_client(0, false);
	fx.conf->tasks.max_waiting = 1;
	call(1);
	call(2);
	turn();
	want_fail(0, HUB_FULL);
	the_call.uid++;
	the_call.deadline_ns = 1;
	call_again(3);
	the_call.handler = msg_text("nonsense");
	call_again(4);
	turn();
	want_fail(0, HUB_TIMEOUT);
	want_fail(0, HUB_BAD);
}
END_TEST

START_TEST(its_effects_come_with_it)
{
	struct buf parts;
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	buf_init(&parts, 1 << 20);
	add_incr(&parts, "n", 1);
	uid = call(7);
	turn();
	want_run(1, 1);
	done(1, uid, 1, &parts);
	turn();
	want(0, MSG_RESULT);
	want_number("n", 1);
	buf_release(&parts);
}
END_TEST

START_TEST(its_effects_are_refused)
{
	struct buf parts;
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	buf_init(&parts, 1 << 20);
	add_incr(&parts, "n", 1);
	add_publish(&parts, "nowhere", "k", "x");
	uid = call(7);
	turn();
	want_run(1, 1);
	done(1, uid, 1, &parts);
	turn();
	want_fail(0, HUB_NOT_FOUND);
	want_fail(1, HUB_NOT_FOUND);
	want_number("n", 0);
	buf_release(&parts);
}
END_TEST

START_TEST(a_conflict)
{
	struct msg_EXPECT expect = { .key = msg_text("k"), .version = 9 };
	struct buf parts;
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	buf_init(&parts, 1 << 20);
	add_part(&parts, MSG_EXPECT, &expect);
	uid = call(7);
	turn();
	want_run(1, 1);
	done(1, uid, 1, &parts);
	turn();
	want_nothing(0);
	want_fail(1, HUB_CONFLICT);
	ck_assert_uint_eq(want_run(1, 1), uid);
	done(1, uid, 1, NULL);
	turn();
	want(0, MSG_RESULT);
	buf_release(&parts);
}
END_TEST

START_TEST(is_abandoned)
{
	struct msg_ABANDON abandon;
	struct buf parts;
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	buf_init(&parts, 1 << 20);
	add_incr(&parts, "n", 1);
	uid = abandon.uid = call(7);
	turn();
	want_run(1, 1);
	hub_on_ABANDON(&fx.hub, &fx.client[0].peer, 0, &abandon);
	ck_assert(board_is_cancelled(fx.child.board, 1, uid));
	done(1, uid, 1, &parts);
	turn();
	want_fail(1, HUB_STALE);
	want_nothing(0);
	want_number("n", 0);
	/* one that has not begun */
	leave(1);
	abandon.uid = call(7);
	hub_on_ABANDON(&fx.hub, &fx.client[0].peer, 0, &abandon);
	want_counts(0, 0, 0);
	buf_release(&parts);
}
END_TEST

START_TEST(whoever_waits_is_gone)
{
	uint64_t uid;

	connect_client(0, false);
	connect_worker(1);
	uid = call(7);
	turn();
	call(8);
	leave(0);
	want_counts(0, 0, 1);
	ck_assert(board_is_cancelled(fx.child.board, 1, uid));
	leave(1);
	die(1, SIGKILL);
	dispatch_on_deaths(&fx.hub);
	turn();
	want_counts(0, 0, 0);
}
END_TEST

/* --- the hub dies */

static void
add_one(struct buf *parts)
{
	buf_init(parts, 1 << 20);
	add_incr(parts, "n", 1);
}

START_TEST(killed_while_it_runs)
{
	struct buf parts;
	uint64_t uid;

	add_one(&parts);
	connect_client(0, false);
	connect_worker(1);
	uid = call(7);
	turn();
	want_run(1, 1);
	killed();
	connect_worker(2);
	connect_client(0, false);
	call_again(7);
	turn();
	want_nothing(2);
	connect_client(1, true);
	done(1, uid, 1, &parts);
	turn();
	want(0, MSG_RESULT);
	want(1, MSG_OK);
	want_nothing(2);
	want_number("n", 1);
	buf_release(&parts);
}
END_TEST

START_TEST(killed_and_the_done_comes_first)
{
	struct buf parts;
	uint64_t uid;

	add_one(&parts);
	connect_client(0, false);
	connect_worker(1);
	uid = call(7);
	turn();
	want_run(1, 1);
	killed();
	connect_client(1, true);
	done(1, uid, 1, &parts);
	turn();
	want_nothing(1);
	want_number("n", 0);
	connect_client(0, false);
	call_again(7);
	turn();
	want(0, MSG_RESULT);
	want(1, MSG_OK);
	want_number("n", 1);
	buf_release(&parts);
}
END_TEST

START_TEST(killed_before_the_answer_left)
{
	struct buf parts;
	uint64_t uid;

	add_one(&parts);
	connect_client(0, false);
	connect_worker(1);
	uid = call(7);
	turn();
	want_run(1, 1);
	done(1, uid, 1, &parts);
	/* committed, not sent */
	store_commit(fx.hub.store, true);
	killed();
	want_number("n", 1);
	connect_client(0, false);
	call_again(7);
	turn();
	connect_client(1, true);
	done(1, uid, 1, &parts);
	turn();
	want(0, MSG_RESULT);
	want(1, MSG_OK);
	want_number("n", 1);
	buf_release(&parts);
}
END_TEST

START_TEST(a_done_that_nobody_wants)
{
	struct buf parts;
	uint64_t uid;

	add_one(&parts);
	connect_client(0, false);
	connect_worker(1);
	uid = call(7);
	turn();
	want_run(1, 1);
	killed();
	connect_client(1, true);
	done(1, uid, 1, &parts);
	turn();
	hub_tick(&fx.hub);
	fx.hub.work->unpark.fn(fx.hub.work->unpark.ctx);
	turn();
	want_fail(1, HUB_STALE);
	want_number("n", 0);
	buf_release(&parts);
}
END_TEST

/* --- by the operator */

static struct msg_RESULT got;

static void
on_result(void *ctx, const struct msg_RESULT *result)
{
	(void)ctx;
	got = *result;
}

START_TEST(by_the_operator)
{
	struct peer mute = { .hub = &fx.hub, .pid = getpid() };
	struct msg_CALL msg = {
		.handler = msg_text("m.h"),
		.door = DOOR_CONTROL,
		.deadline_ns = CLOCK_NEVER,
	};
	enum hub_code code;
	struct why why;
	uint64_t uid;

	connect_worker(1);
	uid = work_call(&fx.hub, &msg, on_result, NULL, &code, &why);
	ck_assert_int_eq(code, HUB_OK);
	turn();
	ck_assert_uint_eq(want_run(1, 1), uid);
	/* nothing to do with whoever hangs up before its hello */
	work_on_peer_gone(&fx.hub, &mute);
	done(1, uid, 1, NULL);
	ck_assert_uint_eq(got.status, 200);
	uid = work_call(&fx.hub, &msg, on_result, NULL, &code, &why);
	turn();
	leave(1);
	die(1, SIGKILL);
	work_abandon(&fx.hub, uid);
	dispatch_on_deaths(&fx.hub);
	turn();
	want_counts(0, 0, 0);
}
END_TEST

/* --- brood_request() */

static struct msg_PUBLISH the_request;

static void
request_again(int64_t ns)
{
	struct buf parts;
	struct msg_REQUEST msg;

	buf_init(&parts, 1 << 20);
	add_part(&parts, MSG_PUBLISH, &the_request);
	hub_tick(&fx.hub);
	msg = (struct msg_REQUEST){
		.publish = bytes_of(&parts),
		.deadline_ns = fx.hub.now_ns + ns,
	};
	hub_on_REQUEST(&fx.hub, &fx.client[0].peer, 5, &msg);
	buf_release(&parts);
}

static void
request(const char *key)
{
	the_request = (struct msg_PUBLISH){
		.uid = uid_make(),
		.key = msg_text(key),
		.body = msg_text("question"),
		.ttl_ms = -1,
		.correlation_id = msg_text("c1"),
	};
	request_again(60 * NS_PER_S);
}

static void
with_a_queue(void)
{
	queue_conf(0, "q", "m.h");
	reconfigured();
	connect_client(0, false);
	connect_worker(1);
}

START_TEST(a_request)
{
	const struct msg_RESULT *result;
	uint64_t uid;

	with_a_queue();
	request("q");
	turn();
	uid = want_run(1, 1);
	want_nothing(0);
	done(1, uid, 1, NULL);
	turn();
	result = &want(0, MSG_RESULT)->msg.RESULT;
	ck_assert_uint_eq(result->status, 200);
	ck_assert(msg_is(result->body, "result"));
	want(1, MSG_OK);
	want_nothing(1);
}
END_TEST

START_TEST(a_request_that_fails)
{
	const struct msg_RESULT *result;

	with_a_queue();
	request("q");
	turn();
	done_badly(1, want_run(1, 1), 1, BROOD_REJECT, 422, "no");
	turn();
	result = &want(0, MSG_RESULT)->msg.RESULT;
	ck_assert_uint_eq(result->status, 422);
	ck_assert(msg_is(result->problem, "no"));
}
END_TEST

START_TEST(a_request_to_nobody)
{
	with_a_queue();
	request("x");
	turn();
	want_fail(0, HUB_UNROUTABLE);
}
END_TEST

START_TEST(a_request_and_a_kill)
{
	uint64_t uid;

	with_a_queue();
	request("q");
	turn();
	uid = want_run(1, 1);
	killed();
	connect_client(0, false);
	request_again(60 * NS_PER_S);
	turn();
	want_counts(0, 0, 1);
	connect_client(1, true);
	done(1, uid, 1, NULL);
	/* committed, not sent, and the worker is gone too */
	store_commit(fx.hub.store, true);
	killed();
	connect_client(0, false);
	request_again(60 * NS_PER_S);
	turn();
	ck_assert(msg_is(want(0, MSG_RESULT)->msg.RESULT.body, "result"));
	want_counts(0, 0, 0);
}
END_TEST

START_TEST(a_request_in_vain)
{
	with_a_queue();
	leave(1);
	request("q");
	turn();
	leave(0);
	ck_assert_uint_eq(HASH_COUNT(fx.hub.work->directs), 0);
	connect_client(0, false);
	request_again(1);
	turn();
	fx.hub.work->directs->timer.fn(fx.hub.work->directs);
	turn();
	want_fail(0, HUB_TIMEOUT);
}
END_TEST

static void
add(TCase *tests)
{
	tcase_add_test(tests, is_answered);
	tcase_add_test(tests, comes_before_jobs);
	tcase_add_test(tests, says_that_its_handler_crashed);
	tcase_add_test(tests, is_not_begun_in_time);
	tcase_add_test(tests, is_refused);
	tcase_add_test(tests, its_effects_come_with_it);
	tcase_add_test(tests, its_effects_are_refused);
	tcase_add_test(tests, a_conflict);
	tcase_add_test(tests, is_abandoned);
	tcase_add_test(tests, whoever_waits_is_gone);
	tcase_add_test(tests, killed_while_it_runs);
	tcase_add_test(tests, killed_and_the_done_comes_first);
	tcase_add_test(tests, killed_before_the_answer_left);
	tcase_add_test(tests, a_done_that_nobody_wants);
	tcase_add_test(tests, by_the_operator);
	tcase_add_test(tests, a_request);
	tcase_add_test(tests, a_request_that_fails);
	tcase_add_test(tests, a_request_to_nobody);
	tcase_add_test(tests, a_request_and_a_kill);
	tcase_add_test(tests, a_request_in_vain);
}

int
main(void)
{
	return run_work_suite("work_call", add);
}
