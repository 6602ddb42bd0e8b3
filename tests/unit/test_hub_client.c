/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_hub_client - asking a hub that answers, dies in between, comes back, or
 * never does; from a loop and from a handler that runs in it.
 */
#include "core/hub_client.h"

#include <signal.h>

#include "base/clock.h"
#include "fake_hub.h"
#include "run_suite.h"

#define MAX_FRAME (1 << 20)

static struct loop loop;
static struct hub_client *client;

/* What callbacks have seen, a letter each. */
static char seen[64];
static size_t wanted; /* the loop stops at so many */

static void
see(char what)
{
	size_t n = strlen(seen);

	ck_assert_uint_lt(n + 1, sizeof(seen));
	seen[n] = what;
	if (n + 1 == wanted)
		loop_stop(&loop);
}

static void
on_note(void *ctx, enum msg_id id, const union msg *msg)
{
	(void)ctx;
	if (id == MSG_RUN)
		see('R');
	else if (msg_is(msg->EVENT.key, "loop"))
		see('E');
	else
		see('?');
}

static void
set_up(void)
{
	fake_hub_set_up();
	memset(seen, 0, sizeof(seen));
	wanted = 0;
	ck_assert_int_eq(loop_init(&loop), 0);
	client = hub_client_new(&loop,
	    &(struct hub_client_options){
		.path = fake_hub.path,
		.slot = 5,
		.generation = 2,
		.max_frame = MAX_FRAME,
		.on_note = on_note,
	    });
}

static void
tear_down(void)
{
	hub_client_free(client);
	loop_release(&loop);
	fake_hub_tear_down();
}

/* Until callbacks have seen so many more things in all. */
static void
run_until(size_t n)
{
	wanted = n;
	if (strlen(seen) < n)
		ck_assert_int_eq(loop_run(&loop), 0);
	loop.stop = false;
}

static int64_t
soon(void)
{
	return clock_now_ns() + 20 * NS_PER_S;
}

static union msg reply;
static enum hub_code code;

static enum msg_id
ask(const char *key, int64_t deadline_ns)
{
	return hub_ask(client, MSG_GET,
	    &(struct msg_GET){ .key = msg_text(key) }, deadline_ns, &reply,
	    &code);
}

static void
on_reply(void *ctx, enum msg_id id, const union msg *msg, enum hub_code why)
{
	const char *letter = ctx;

	if (id == MSG_NONE)
		see(why == HUB_TIMEOUT ? 't' : 'g');
	else if (id == MSG_FAIL)
		see('f');
	else if (msg->VALUE.version == (unsigned char)*letter)
		see(*letter);
	else
		see('!');
}

static uint32_t
send_get(const char *letter, int64_t deadline_ns)
{
	uint32_t handle = hub_send(client, MSG_GET,
	    &(struct msg_GET){ .key = msg_text(letter) }, deadline_ns, on_reply,
	    (void *)(uintptr_t)letter);

	ck_assert_uint_ne(handle, 0);
	return handle;
}

/* Of a GET whose key is one letter: its version is that letter. */
static void
answer_letter(void)
{
	fake_hub_answer(MSG_VALUE,
	    &(struct msg_VALUE){ .found = 1,
		.version = (unsigned char)fake_hub.msg.GET.key.p[0],
		.value = fake_hub.msg.GET.key });
}

static void
want_get(const char *key)
{
	fake_hub_want(MSG_GET);
	FAKE_WANT(msg_is(fake_hub.msg.GET.key, key));
}

/* ----------------------------------------------------------------- asking */

static void
answers_twice(void)
{
	fake_hub_accept();
	want_get("a");
	answer_letter();
	want_get("b");
	fake_hub_fail(HUB_FULL, "no room");
	FAKE_WANT(!fake_hub_take());
}

START_TEST(asks)
{
	fake_hub_fork(answers_twice);
	ck_assert_int_eq(ask("a", soon()), MSG_VALUE);
	ck_assert_int_eq(code, HUB_OK);
	ck_assert(msg_is(reply.VALUE.value, "a"));
	ck_assert_int_eq(ask("b", soon()), MSG_FAIL);
	ck_assert_int_eq(code, HUB_FULL);
	ck_assert(msg_is(reply.FAIL.why, "no room"));
	hub_client_free(client);
	client = NULL;
}
END_TEST

static void
says_who_it_is(void)
{
	fake_hub_accept();
	FAKE_WANT(fake_hub.msg.HELLO.slot == 5);
	FAKE_WANT(fake_hub.msg.HELLO.generation == 2);
	FAKE_WANT(fake_hub.msg.HELLO.worker == 0);
	FAKE_WANT(fake_hub.msg.HELLO.session != 0);
	want_get("a");
	answer_letter();
}

START_TEST(the_hello)
{
	fake_hub_fork(says_who_it_is);
	ck_assert_int_eq(ask("a", soon()), MSG_VALUE);
}
END_TEST

/* Each time the same session asks the same again. */
static void
dies_twice(void)
{
	uint64_t session;
	uint32_t request;

	fake_hub_accept();
	session = fake_hub.session;
	want_get("a");
	request = fake_hub.head.request;
	fake_hub_accept();
	FAKE_WANT(fake_hub.session == session);
	want_get("a");
	FAKE_WANT(fake_hub.head.request == request);
	fake_hub_accept();
	want_get("a");
	answer_letter();
	FAKE_WANT(!fake_hub_take());
}

START_TEST(a_dead_hub_is_a_delay)
{
	fake_hub_fork(dies_twice);
	ck_assert_int_eq(ask("a", soon()), MSG_VALUE);
	ck_assert_int_eq(code, HUB_OK);
	ck_assert(msg_is(reply.VALUE.value, "a"));
	hub_client_free(client);
	client = NULL;
}
END_TEST

static void
garbles(void)
{
	fake_hub_accept();
	want_get("a");
	FAKE_WANT(write(fake_hub.wire.fd, "HTTP/1.1 200 OK\r\n", 17) == 17);
	fake_hub_accept();
	want_get("a");
	answer_letter();
}

START_TEST(garbage_is_a_dead_hub)
{
	fake_hub_fork(garbles);
	ck_assert_int_eq(ask("a", soon()), MSG_VALUE);
}
END_TEST

static void
refuses_first(void)
{
	fake_hub_drop();
	fake_hub_wait(fake_hub.listen_fd);
	int fd = accept4(fake_hub.listen_fd, NULL, NULL,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);

	wire_init(&fake_hub.wire, fd, MSG_FROM_CLIENT, MAX_FRAME, MAX_FRAME);
	fake_hub_want(MSG_HELLO);
	fake_hub_fail(HUB_BAD, "who are you");
	fake_hub_accept();
	want_get("a");
	answer_letter();
}

START_TEST(a_refused_hello_is_tried_again)
{
	fake_hub_fork(refuses_first);
	ck_assert_int_eq(ask("a", soon()), MSG_VALUE);
}
END_TEST

START_TEST(a_deadline_ends_it)
{
	/* in the backlog: nobody accepts */
	ck_assert_int_eq(ask("a", clock_now_ns() + 5 * NS_PER_MS), MSG_NONE);
	ck_assert_int_eq(code, HUB_TIMEOUT);
	ck_assert_int_eq(ask("a", clock_now_ns() - 1), MSG_NONE);
	ck_assert_int_eq(code, HUB_TIMEOUT);
}
END_TEST

START_TEST(no_hub_at_all)
{
	close(fake_hub.listen_fd);
	fake_hub.listen_fd = -1;
	ck_assert_int_eq(ask("a", clock_now_ns() + 5 * NS_PER_MS), MSG_NONE);
	ck_assert_int_eq(code, HUB_GONE);
	/* a note is lost, and no more */
	hub_note(client, MSG_ABANDON, &(struct msg_ABANDON){ .uid = 1 });
}
END_TEST

START_TEST(too_large_a_question)
{
	static char value[MAX_FRAME + 1];
	const struct msg_SET set = { .key = msg_text("a"),
		.value = { value, sizeof(value) } };

	ck_assert_int_eq(hub_ask(client, MSG_SET, &set, soon(), &reply, &code),
	    MSG_NONE);
	ck_assert_int_eq(code, HUB_TOO_LARGE);
	ck_assert_uint_eq(hub_send(client, MSG_SET, &set, soon(), on_reply,
			      NULL),
	    0);
	ck_assert_uint_eq(hub_pending(client), 0);
}
END_TEST

static void
answers_late(void)
{
	uint32_t late;

	fake_hub_accept();
	want_get("a");
	late = fake_hub.head.request;
	want_get("b");
	fake_hub_send(MSG_VALUE, late, &(struct msg_VALUE){ .version = 'a' });
	answer_letter();
}

START_TEST(a_late_answer_is_not_the_next_ones)
{
	fake_hub_fork(answers_late);
	ck_assert_int_eq(ask("a", clock_now_ns() + NS_PER_MS), MSG_NONE);
	ck_assert_int_eq(ask("b", soon()), MSG_VALUE);
	ck_assert_uint_eq(reply.VALUE.version, 'b');
}
END_TEST

START_TEST(numbers_of_changes_grow)
{
	ck_assert_uint_eq(hub_next_seq(client), 1);
	ck_assert_uint_eq(hub_next_seq(client), 2);
}
END_TEST

/* -------------------------------------------------------------- in a loop */

START_TEST(sends_and_is_answered_from_the_loop)
{
	send_get("a", CLOCK_NEVER);
	send_get("b", soon());
	ck_assert_uint_eq(hub_pending(client), 2);
	fake_hub_accept();
	want_get("a");
	answer_letter();
	want_get("b");
	fake_hub_fail(HUB_BAD, "");
	run_until(2);
	ck_assert_str_eq(seen, "af");
	ck_assert_uint_eq(hub_pending(client), 0);
}
END_TEST

START_TEST(answers_in_another_order)
{
	uint32_t a;

	send_get("a", soon());
	send_get("b", soon());
	fake_hub_accept();
	want_get("a");
	a = fake_hub.head.request;
	want_get("b");
	answer_letter();
	run_until(1);
	fake_hub_send(MSG_VALUE, a, &(struct msg_VALUE){ .version = 'a' });
	run_until(2);
	ck_assert_str_eq(seen, "ba");
}
END_TEST

static void
on_connection(void *ctx, unsigned events)
{
	(void)events;
	loop_stop(ctx);
}

/* The client knocks. */
static void
run_until_connected(void)
{
	struct loop_io io = { .fd = -1 };

	ck_assert_int_eq(loop_io_add(&loop, &io, fake_hub.listen_fd, LOOP_READ,
			     on_connection, &loop),
	    0);
	ck_assert_int_eq(loop_run(&loop), 0);
	loop_io_del(&loop, &io);
	loop.stop = false;
}

START_TEST(what_is_unanswered_is_sent_again_in_its_order)
{
	send_get("a", CLOCK_NEVER);
	send_get("b", CLOCK_NEVER);
	send_get("c", CLOCK_NEVER);
	fake_hub_accept();
	want_get("a");
	want_get("b");
	answer_letter();
	run_until(1);
	fake_hub_drop();
	send_get("d", CLOCK_NEVER);
	/* the loop sees the end, and connects again by itself */
	run_until_connected();
	fake_hub_accept();
	want_get("a");
	answer_letter();
	want_get("c");
	answer_letter();
	want_get("d");
	answer_letter();
	ck_assert(fake_hub_is_quiet());
	run_until(4);
	ck_assert_str_eq(seen, "bacd");
}
END_TEST

START_TEST(a_deadline_in_the_loop)
{
	send_get("a", clock_now_ns() + NS_PER_MS);
	run_until(1);
	ck_assert_str_eq(seen, "t");
	ck_assert_uint_eq(hub_pending(client), 0);
}
END_TEST

START_TEST(forgotten_ones_are_not_answered)
{
	uint32_t a = send_get("a", soon());

	send_get("b", soon());
	hub_forget(client, a);
	hub_forget(client, a);
	hub_forget(client, 4711);
	ck_assert_uint_eq(hub_pending(client), 1);
	fake_hub_accept();
	want_get("a");
	answer_letter();
	want_get("b");
	answer_letter();
	run_until(1);
	ck_assert_str_eq(seen, "b");
	hub_forget(client, a);
}
END_TEST

START_TEST(a_worker_stays_connected)
{
	hub_client_stay(client);
	fake_hub_accept();
	fake_hub_send(MSG_RUN, 0, &(struct msg_RUN){ .uid = 1 });
	run_until(1);
	ck_assert_str_eq(seen, "R");
}
END_TEST

/* ------------------------------------- asking while the loop has something */

static void
answers_others_first(void)
{
	uint32_t a;

	fake_hub_accept();
	want_get("a");
	a = fake_hub.head.request;
	fake_hub_send(MSG_RUN, 0, &(struct msg_RUN){ .uid = 1 });
	fake_hub_event("loop", "1");
	fake_hub_send(MSG_VALUE, a, &(struct msg_VALUE){ .version = 'a' });
	want_get("x");
	answer_letter();
	want_get("b");
	answer_letter();
	FAKE_WANT(!fake_hub_take());
}

START_TEST(what_comes_for_others_is_kept_for_the_loop)
{
	fake_hub_fork(answers_others_first);
	send_get("a", soon());
	ck_assert_int_eq(ask("x", soon()), MSG_VALUE);
	ck_assert_uint_eq(reply.VALUE.version, 'x');
	/* nothing runs but from the loop */
	ck_assert_str_eq(seen, "");
	run_until(3);
	ck_assert_str_eq(seen, "RaE");
	send_get("b", soon());
	run_until(4);
	ck_assert_str_eq(seen, "RaEb");
	hub_client_free(client);
	client = NULL;
}
END_TEST

/* The message that a callback looks at stays what it is while it asks. */
static void
asks_in_between(void *ctx, enum msg_id id, const union msg *msg,
    enum hub_code why)
{
	(void)ctx, (void)why;
	ck_assert_int_eq(id, MSG_VALUE);
	ck_assert(msg_is(msg->VALUE.value, "outer"));
	ck_assert_int_eq(ask("x", soon()), MSG_VALUE);
	ck_assert(msg_is(reply.VALUE.value, "x"));
	ck_assert(msg_is(msg->VALUE.value, "outer"));
	ck_assert_int_eq(ask("y", soon()), MSG_VALUE);
	ck_assert(msg_is(reply.VALUE.value, "y"));
	ck_assert(msg_is(msg->VALUE.value, "outer"));
	see('o');
}

static void
is_asked_in_between(void)
{
	fake_hub_accept();
	fake_hub_want(MSG_GET);
	fake_hub_answer(MSG_VALUE,
	    &(struct msg_VALUE){ .value = msg_text("outer") });
	fake_hub_event("loop", "1");
	want_get("x");
	answer_letter();
	/* dies before the second one is answered */
	want_get("y");
	fake_hub_accept();
	want_get("y");
	answer_letter();
	FAKE_WANT(!fake_hub_take());
}

START_TEST(a_callback_asks)
{
	fake_hub_fork(is_asked_in_between);
	hub_send(client, MSG_GET, &(struct msg_GET){ .key = msg_text("o") },
	    soon(), asks_in_between, NULL);
	run_until(2);
	ck_assert_str_eq(seen, "oE");
	hub_client_free(client);
	client = NULL;
}
END_TEST

/* ------------------------------------------------------------------ events */

static void
tells_twice(void)
{
	fake_hub_accept();
	fake_hub_want(MSG_WATCH);
	fake_hub_event("one", "1");
	fake_hub_answer(MSG_OK, &(struct msg_OK){ 0 });
	fake_hub_event("two", "2");
	/* the next hub is told by itself what is watched */
	fake_hub_accept();
	fake_hub_want(MSG_WATCH);
	FAKE_WANT(msg_is(fake_hub.msg.WATCH.prefix, "t"));
	FAKE_WANT(fake_hub.msg.WATCH.on == 1);
	fake_hub_answer(MSG_OK, &(struct msg_OK){ 0 });
	fake_hub_event("three", "3");
	FAKE_WANT(!fake_hub_take());
}

START_TEST(waits_for_events)
{
	const struct msg_WATCH watch = { .prefix = msg_text("t"), .on = 1 };

	fake_hub_fork(tells_twice);
	ck_assert_int_eq(hub_ask(client, MSG_WATCH, &watch, soon(), &reply,
			     &code),
	    MSG_OK);
	ck_assert_int_eq(hub_wait_event(client, soon(), -1, &reply), 1);
	ck_assert(msg_is(reply.EVENT.key, "one"));
	ck_assert_int_eq(hub_wait_event(client, soon(), -1, &reply), 1);
	ck_assert(msg_is(reply.EVENT.key, "two"));
	ck_assert_int_eq(hub_wait_event(client, soon(), -1, &reply), 1);
	ck_assert(msg_is(reply.EVENT.key, "three"));
	ck_assert(hub_client_gap(client));
	ck_assert(!hub_client_gap(client));
	hub_client_free(client);
	client = NULL;
}
END_TEST

START_TEST(waits_no_longer_than_told)
{
	int pair[2];

	ck_assert_int_eq(hub_wait_event(client, clock_now_ns() + NS_PER_MS, -1,
			     &reply),
	    0);
	ck_assert_int_eq(pipe(pair), 0);
	ck_assert_int_eq(hub_wait_event(client, clock_now_ns() + NS_PER_MS,
			     pair[0], &reply),
	    0);
	ck_assert_int_eq(write(pair[1], "", 1), 1);
	ck_assert_int_eq(hub_wait_event(client, CLOCK_NEVER, pair[0], &reply),
	    2);
	close(pair[0]);
	close(pair[1]);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("hub_client");
	TCase *tests = tcase_create("hub_client");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, asks);
	tcase_add_test(tests, the_hello);
	tcase_add_test(tests, a_dead_hub_is_a_delay);
	tcase_add_test(tests, garbage_is_a_dead_hub);
	tcase_add_test(tests, a_refused_hello_is_tried_again);
	tcase_add_test(tests, a_deadline_ends_it);
	tcase_add_test(tests, no_hub_at_all);
	tcase_add_test(tests, too_large_a_question);
	tcase_add_test(tests, a_late_answer_is_not_the_next_ones);
	tcase_add_test(tests, numbers_of_changes_grow);
	tcase_add_test(tests, sends_and_is_answered_from_the_loop);
	tcase_add_test(tests, answers_in_another_order);
	tcase_add_test(tests, what_is_unanswered_is_sent_again_in_its_order);
	tcase_add_test(tests, a_deadline_in_the_loop);
	tcase_add_test(tests, forgotten_ones_are_not_answered);
	tcase_add_test(tests, a_worker_stays_connected);
	tcase_add_test(tests, what_comes_for_others_is_kept_for_the_loop);
	tcase_add_test(tests, a_callback_asks);
	tcase_add_test(tests, waits_for_events);
	tcase_add_test(tests, waits_no_longer_than_told);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
