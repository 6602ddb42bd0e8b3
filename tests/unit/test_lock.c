/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_lock - who gets a lock when, and who loses it: a real hub in a process
 * of its own, several clients.
 */
#include "hub_fixture.h"
#include "run_suite.h"

#define LONG_MS 3600000

static struct client a, b, c;

static void
set_up(void)
{
	hub_set_up();
	hub_conf->hub.max_locks = 100;
	hub_start();
	client_open(&a, 1);
	client_open(&b, 2);
	client_open(&c, 3);
}

static void
tear_down(void)
{
	client_close(&a);
	client_close(&b);
	client_close(&c);
	hub_tear_down();
}

static uint32_t
ask_later(struct client *client, const char *name, int64_t lease_ms,
    int64_t wait_ms)
{
	struct msg_LOCK lock = { .name = msg_text(name),
		.lease_ms = lease_ms,
		.wait_ms = wait_ms };
	uint32_t request = client_queue(client, MSG_LOCK, &lock);

	client_flush(client);
	/* it has been read when this is answered */
	client_queue(client, MSG_GET, &(struct msg_GET){ .key = { "k", 1 } });
	client_flush(client);
	return request;
}

/* The fence, 0: not locked. */
static uint64_t
lock(struct client *client, const char *name, int64_t lease_ms)
{
	struct msg_LOCK msg = { .name = msg_text(name), .lease_ms = lease_ms };

	ck_assert_int_eq(client_ask(client, MSG_LOCK, &msg), MSG_LOCKED);
	return client->msg.LOCKED.fence;
}

static uint64_t
prolong(struct client *client, const char *name, uint64_t fence)
{
	struct msg_LOCK msg = { .name = msg_text(name),
		.lease_ms = LONG_MS,
		.fence = fence };

	ck_assert_int_eq(client_ask(client, MSG_LOCK, &msg), MSG_LOCKED);
	return client->msg.LOCKED.fence;
}

static bool
unlock(struct client *client, const char *name, uint64_t fence)
{
	struct msg_UNLOCK msg = { .name = msg_text(name), .fence = fence };

	ck_assert_int_eq(client_ask(client, MSG_UNLOCK, &msg), MSG_STORED);
	return client->msg.STORED.done;
}

/* What ask_later() asked for has not been answered, the rest has. */
static void
require_waiting(struct client *client)
{
	ck_assert_int_eq(client_next(client), MSG_VALUE);
}

static uint64_t
require_locked(struct client *client)
{
	ck_assert_int_eq(client_next(client), MSG_LOCKED);
	return client->msg.LOCKED.fence;
}

/* Of what ask_later() asked for, in whatever order: the fence. */
static uint64_t
await_both(struct client *client)
{
	uint64_t fence = 0;

	for (int i = 0; i < 2; i++)
		if (client_next(client) == MSG_LOCKED)
			fence = client->msg.LOCKED.fence;
	return fence;
}

START_TEST(one_at_a_time)
{
	uint64_t first = lock(&a, "l", LONG_MS), second;

	ck_assert_uint_gt(first, 0);
	ck_assert_uint_eq(lock(&b, "l", LONG_MS), 0);
	ck_assert_uint_gt(lock(&b, "other", LONG_MS), first);
	ck_assert(!unlock(&b, "l", first));
	ck_assert(!unlock(&a, "l", first + 1));
	ck_assert(!unlock(&a, "none", first));
	ck_assert(unlock(&a, "l", first));
	ck_assert(!unlock(&a, "l", first));
	second = lock(&b, "l", LONG_MS);
	ck_assert_uint_gt(second, first);
}
END_TEST

START_TEST(to_hold_it_again_prolongs_it)
{
	uint64_t fence = lock(&a, "l", LONG_MS);

	ck_assert_uint_eq(lock(&a, "l", LONG_MS), fence);
	ck_assert_uint_eq(prolong(&a, "l", fence), fence);
	ck_assert_uint_eq(prolong(&a, "l", fence + 1), 0);
	ck_assert_uint_eq(prolong(&b, "l", fence), 0);
	ck_assert_uint_eq(prolong(&b, "none", 1), 0);
	ck_assert(unlock(&a, "l", fence));
	ck_assert_uint_eq(prolong(&a, "l", fence), 0);
}
END_TEST

START_TEST(those_who_wait_get_it_in_their_order)
{
	uint64_t fence = lock(&a, "l", LONG_MS), next;

	ask_later(&b, "l", LONG_MS, LONG_MS);
	require_waiting(&b);
	ask_later(&c, "l", LONG_MS, LONG_MS);
	require_waiting(&c);
	ck_assert(unlock(&a, "l", fence));
	/* who comes now is behind them */
	ck_assert_uint_eq(lock(&a, "l", LONG_MS), 0);
	next = require_locked(&b);
	ck_assert_uint_gt(next, fence);
	ck_assert(unlock(&b, "l", next));
	ck_assert_uint_gt(require_locked(&c), next);
}
END_TEST

START_TEST(a_wait_has_an_end)
{
	uint64_t fence = lock(&a, "l", LONG_MS);

	ask_later(&b, "l", LONG_MS, 1);
	ck_assert_uint_eq(await_both(&b), 0);
	ck_assert(unlock(&a, "l", fence));
	ck_assert_uint_gt(lock(&c, "l", LONG_MS), fence);
}
END_TEST

START_TEST(a_lease_has_an_end)
{
	uint64_t fence = lock(&a, "l", 1), next;

	ask_later(&b, "l", LONG_MS, LONG_MS);
	next = await_both(&b);
	ck_assert_uint_gt(next, fence);
	/* who hung learns that it is no longer his */
	ck_assert(!unlock(&a, "l", fence));
	ck_assert_uint_eq(prolong(&a, "l", fence), 0);
	ck_assert(unlock(&b, "l", next));
}
END_TEST

START_TEST(a_connection_that_goes_takes_its_leases_along)
{
	uint64_t fence = lock(&a, "l", LONG_MS);

	lock(&a, "l2", LONG_MS);
	ask_later(&b, "l", LONG_MS, LONG_MS);
	require_waiting(&b);
	ask_later(&c, "l2", LONG_MS, LONG_MS);
	require_waiting(&c);
	client_close(&a);
	ck_assert_uint_gt(require_locked(&b), fence);
	ck_assert_uint_gt(require_locked(&c), fence);
	client_open(&a, 1);
	ck_assert_uint_eq(lock(&a, "l", LONG_MS), 0);
}
END_TEST

START_TEST(a_connection_that_goes_does_not_wait_any_more)
{
	uint64_t fence = lock(&a, "l", LONG_MS);

	/* it waits for what it holds as well, and is gone before both */
	ask_later(&b, "l", LONG_MS, LONG_MS);
	require_waiting(&b);
	lock(&b, "l2", LONG_MS);
	ask_later(&c, "l", LONG_MS, LONG_MS);
	require_waiting(&c);
	client_close(&b);
	client_open(&b, 2);
	ck_assert_uint_gt(lock(&b, "l2", LONG_MS), fence);
	ck_assert(unlock(&a, "l", fence));
	ck_assert_uint_gt(require_locked(&c), fence);
}
END_TEST

START_TEST(fences_grow_over_restarts)
{
	uint64_t fence = 0, got;

	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 700; i++) {
			got = lock(&a, "l", LONG_MS);
			ck_assert_uint_gt(got, fence);
			fence = got;
			ck_assert(unlock(&a, "l", fence));
		}
		if (round % 2)
			hub_kill();
		else
			hub_stop();
		client_close(&a);
		hub_start();
		client_open(&a, 1);
	}
}
END_TEST

static void
restart(bool in_order)
{
	if (in_order)
		hub_stop();
	else
		hub_kill();
	/* not before: they would give back what they hold */
	client_close(&a);
	client_close(&b);
	hub_start();
}

START_TEST(a_lease_outlives_the_hub)
{
	uint64_t fence = lock(&a, "l", LONG_MS), next;

	for (int round = 0; round < 6; round++) {
		restart(round % 2);
		/* its holder is not back yet */
		client_open(&b, 2);
		ck_assert_uint_eq(lock(&b, "l", LONG_MS), 0);
		ask_later(&b, "l", LONG_MS, LONG_MS);
		require_waiting(&b);
		client_open(&a, 1);
		ck_assert_uint_eq(prolong(&a, "l", fence), fence);
		ck_assert_uint_eq(lock(&a, "l", LONG_MS), fence);
	}
	ck_assert(unlock(&a, "l", fence));
	next = require_locked(&b);
	ck_assert_uint_gt(next, fence);
	/* the new one as well; and what was given back is */
	restart(false);
	client_open(&a, 1);
	ck_assert_uint_eq(lock(&a, "l", LONG_MS), 0);
	client_open(&b, 2);
	ck_assert(unlock(&b, "l", next));
	restart(false);
	client_open(&a, 1);
	client_open(&b, 2);
	ck_assert_uint_gt(lock(&a, "l", LONG_MS), next);
}
END_TEST

START_TEST(it_ends_in_time_though_its_holder_never_comes_back)
{
	uint64_t fence = lock(&a, "l", 300);

	restart(false);
	client_open(&b, 2);
	ask_later(&b, "l", LONG_MS, LONG_MS);
	ck_assert_uint_gt(await_both(&b), fence);
	client_open(&a, 1);
	ck_assert_uint_eq(prolong(&a, "l", fence), 0);
}
END_TEST

/* Takes the lock as the process in slot 2. */
_Noreturn static void
hold_as_another(int say)
{
	struct msg_HELLO hello = client_hello(77);
	struct client other;

	hello.slot = 2;
	hub_board.slot[2].pid = getpid();
	client_open_mute(&other);
	if (client_ask(&other, MSG_HELLO, &hello) != MSG_WELCOME ||
	    lock(&other, "l", LONG_MS) == 0 || write(say, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

START_TEST(it_ends_with_its_holder_though_there_was_no_hub)
{
	int say[2];
	char byte;
	pid_t pid;

	slot_reset(&hub_board.slot[2], ROLE_TASK, 1);
	ck_assert_int_eq(pipe(say), 0);
	pid = fork();
	if (pid == 0)
		hold_as_another(say[1]);
	ck_assert_int_eq(read(say[0], &byte, 1), 1);
	close(say[0]);
	close(say[1]);
	/* alive */
	restart(false);
	client_open(&b, 2);
	ck_assert_uint_eq(lock(&b, "l", LONG_MS), 0);
	/* dead, and another one is in its slot */
	hub_kill();
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	hub_board.slot[2].pid = getpid();
	hub_start();
	client_close(&b);
	client_open(&b, 2);
	ask_later(&b, "l", LONG_MS, LONG_MS);
	ck_assert_uint_gt(await_both(&b), 0);
	client_open(&a, 1);
}
END_TEST

START_TEST(leases_are_no_keys)
{
	struct msg_LIST list = { .limit = 0 };
	struct msg_SET set = { .key = msg_text("\001l"), .ttl_ms = -1 };

	lock(&a, "l", LONG_MS);
	ck_assert_ptr_null(client_get(&b, "\001l"));
	ck_assert(!client_delete(&b, 1, "\001l"));
	client_ask(&b, MSG_SET, &set);
	ck_assert_uint_eq(client_code(&b), HUB_BAD);
	for (int i = 0; i < 2; i++) {
		list.prefix = msg_text(i ? "\001" : "");
		ck_assert_int_eq(client_ask(&b, MSG_LIST, &list), MSG_ITEMS);
		ck_assert_uint_eq(b.msg.ITEMS.items.len, 0);
	}
	ck_assert_uint_eq(lock(&b, "l", LONG_MS), 0);
}
END_TEST

START_TEST(their_number_is_bounded)
{
	struct msg_LOCK msg = { .lease_ms = LONG_MS };
	char name[32];

	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		ck_assert_uint_gt(lock(&a, name, LONG_MS), 0);
	}
	msg.name = msg_text("one more");
	client_ask(&a, MSG_LOCK, &msg);
	ck_assert_uint_eq(client_code(&a), HUB_FULL);
	msg.name = msg_text("l1");
	msg.wait_ms = LONG_MS;
	for (int i = 0; i < 100; i++)
		client_queue(&b, MSG_LOCK, &msg);
	client_ask(&b, MSG_LOCK, &msg);
	ck_assert_uint_eq(client_code(&b), HUB_FULL);
}
END_TEST

START_TEST(what_makes_no_sense_is_refused)
{
	struct msg_LOCK msg = { .lease_ms = LONG_MS };
	char name[1000];

	client_ask(&a, MSG_LOCK, &msg);
	ck_assert_uint_eq(client_code(&a), HUB_BAD);
	memset(name, 'n', sizeof(name));
	msg.name = (struct msg_bytes){ name, sizeof(name) };
	client_ask(&a, MSG_LOCK, &msg);
	ck_assert_uint_eq(client_code(&a), HUB_TOO_LARGE);
	msg.name.len = 3;
	msg.lease_ms = 0;
	client_ask(&a, MSG_LOCK, &msg);
	ck_assert_uint_eq(client_code(&a), HUB_BAD);
	msg.lease_ms = INT64_MAX;
	msg.wait_ms = INT64_MAX;
	ck_assert_int_eq(client_ask(&a, MSG_LOCK, &msg), MSG_LOCKED);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("lock");
	TCase *tc = tcase_create("lock");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, one_at_a_time);
	tcase_add_test(tc, to_hold_it_again_prolongs_it);
	tcase_add_test(tc, those_who_wait_get_it_in_their_order);
	tcase_add_test(tc, a_wait_has_an_end);
	tcase_add_test(tc, a_lease_has_an_end);
	tcase_add_test(tc, a_connection_that_goes_takes_its_leases_along);
	tcase_add_test(tc, a_connection_that_goes_does_not_wait_any_more);
	tcase_add_test(tc, fences_grow_over_restarts);
	tcase_add_test(tc, a_lease_outlives_the_hub);
	tcase_add_test(tc, it_ends_in_time_though_its_holder_never_comes_back);
	tcase_add_test(tc, it_ends_with_its_holder_though_there_was_no_hub);
	tcase_add_test(tc, leases_are_no_keys);
	tcase_add_test(tc, their_number_is_bounded);
	tcase_add_test(tc, what_makes_no_sense_is_refused);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
