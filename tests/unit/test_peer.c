/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_peer - who gets in, what becomes of those who send garbage, too much or
 * nothing, and that the others do not notice: a real hub in a process of its
 * own.
 */
#include <sys/resource.h>

#include "hub/peer.h"
#include "hub_fixture.h"
#include "run_suite.h"

static struct client a;

static void
set_up(void)
{
	hub_set_up();
	/* the warnings about what is tried here */
	log_set_level(LOG_LEVEL_COUNT);
}

static void
begin(void)
{
	hub_start();
	client_open(&a, 1);
}

static void
tear_down(void)
{
	/* whatever happened, others are served */
	client_set(&a, 99, "still", "there", -1);
	ck_assert_str_eq(client_get(&a, "still"), "there");
	client_close(&a);
	hub_tear_down();
}

static void
require_cut(struct client *client)
{
	while (client_next(client) != MSG_NONE)
		ck_assert_uint_eq(client->head.id, MSG_FAIL);
	client_close(client);
}

START_TEST(a_wrong_hello_is_cut_off)
{
	struct msg_HELLO good = client_hello(7), bad[6];
	struct client c;

	begin();
	for (size_t i = 0; i < 6; i++)
		bad[i] = good;
	bad[0].protocol++;
	bad[1].slot = 2;
	bad[2].slot = 64;
	bad[3].slot = UINT32_MAX;
	bad[4].generation++;
	bad[5].session = 0;
	for (size_t i = 0; i < 6; i++) {
		client_open_mute(&c);
		ck_assert_int_eq(client_ask(&c, MSG_HELLO, &bad[i]), MSG_FAIL);
		ck_assert_uint_eq(client_code(&c), HUB_BAD);
		require_cut(&c);
	}
	/* twice */
	client_open(&c, 7);
	client_queue(&c, MSG_HELLO, &good);
	client_flush(&c);
	require_cut(&c);
}
END_TEST

START_TEST(a_process_that_is_no_child_is_cut_off)
{
	struct msg_HELLO hello = client_hello(7);
	struct client c;
	int status;
	pid_t pid;

	begin();
	/* its pid is not the slot's */
	pid = fork();
	if (pid == 0) {
		client_open_mute(&c);
		if (client_ask(&c, MSG_HELLO, &hello) != MSG_FAIL)
			_exit(1);
		require_cut(&c);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(nothing_is_done_before_the_hello)
{
	struct msg_SET set = { .key = msg_text("k"), .ttl_ms = -1 };
	struct client c;

	begin();
	client_open_mute(&c);
	client_queue(&c, MSG_SET, &set);
	client_flush(&c);
	require_cut(&c);
	ck_assert_ptr_null(client_get(&a, "k"));
}
END_TEST

START_TEST(what_follows_the_hello_at_once_is_done)
{
	struct msg_HELLO hello = client_hello(7);
	struct msg_INCR incr = { .key = msg_text("n"), .by = 1, .ttl_ms = -1 };
	struct client c;

	begin();
	client_open_mute(&c);
	client_queue(&c, MSG_HELLO, &hello);
	for (int i = 0; i < 10; i++)
		client_queue(&c, MSG_INCR, &incr);
	client_flush(&c);
	ck_assert_int_eq(client_next(&c), MSG_WELCOME);
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(client_next(&c), MSG_NUMBER);
		ck_assert_int_eq(c.msg.NUMBER.value, i + 1);
	}
	client_close(&c);
}
END_TEST

START_TEST(the_last_connection_of_a_process_counts)
{
	struct client c;

	begin();
	client_open(&c, 1);
	ck_assert_int_eq(client_next(&a), MSG_NONE);
	client_close(&a);
	a = c;
}
END_TEST

START_TEST(garbage_is_cut_off)
{
	struct client c;
	uint32_t random = 1;
	char bytes[64];

	begin();
	for (int round = 0; round < 200; round++) {
		client_open_mute(&c);
		if (round % 2) {
			client_close(&c);
			client_open(&c, 7);
		}
		for (size_t i = 0; i < sizeof(bytes); i++) {
			random = random * 1664525 + 1013904223;
			bytes[i] = (char)(random >> 24);
		}
		/* a plausible length now and then */
		if (round % 3 == 0)
			memcpy(bytes, &(uint32_t){ 52 }, 4);
		else
			bytes[3] = 0x7f;
		ck_assert_int_eq(send(c.wire.fd, bytes, sizeof(bytes),
				     MSG_NOSIGNAL),
		    sizeof(bytes));
		require_cut(&c);
	}
}
END_TEST

START_TEST(a_frame_that_is_too_large_is_cut_off)
{
	uint32_t head[3] = { 100 << 20, MSG_SET, 1 };
	struct client c;

	begin();
	client_open(&c, 7);
	ck_assert_int_eq(send(c.wire.fd, head, sizeof(head), MSG_NOSIGNAL),
	    sizeof(head));
	require_cut(&c);
}
END_TEST

START_TEST(before_the_hello_less_is_too_large)
{
	uint32_t head[3] = { 1024, MSG_HELLO, 1 };
	struct client c;

	begin();
	client_open_mute(&c);
	ck_assert_int_eq(send(c.wire.fd, head, sizeof(head), MSG_NOSIGNAL),
	    sizeof(head));
	require_cut(&c);
}
END_TEST

START_TEST(half_a_frame_costs_nobody_anything)
{
	uint32_t head[3] = { 1 << 20, MSG_SET, 1 };
	struct client c[50];

	begin();
	for (int i = 0; i < 50; i++) {
		client_open(&c[i], 100 + (uint64_t)i);
		ck_assert_int_eq(send(c[i].wire.fd, head, sizeof(head),
				     MSG_NOSIGNAL),
		    sizeof(head));
	}
	ck_assert(client_set(&a, 1, "k", "v", -1));
	for (int i = 0; i < 50; i++)
		client_close(&c[i]);
}
END_TEST

START_TEST(who_says_nothing_is_cut_off)
{
	struct client c;

	hub_conf->control.timeout = 1000000; /* a millisecond */
	begin();
	client_open_mute(&c);
	require_cut(&c);
}
END_TEST

START_TEST(others_wait_while_there_are_too_many)
{
	struct msg_HELLO hello = client_hello(100);
	struct client c[8], late;

	hub_conf->hub.max_clients = 8;
	begin();
	for (int i = 0; i < 7; i++)
		client_open(&c[i], 10 + (uint64_t)i);
	client_open_mute(&late);
	client_queue(&late, MSG_HELLO, &hello);
	client_flush(&late);
	ck_assert(client_set(&a, 1, "k", "v", -1));
	ck_assert_int_eq(wire_read(&late.wire), -1);
	client_close(&c[3]);
	ck_assert_int_eq(client_next(&late), MSG_WELCOME);
	client_close(&late);
	for (int i = 0; i < 7; i++)
		if (i != 3)
			client_close(&c[i]);
}
END_TEST

/* It asks for far more than it reads: it is served as it reads, in order, and
 * what waits for it stays bounded. */
START_TEST(who_reads_slowly_is_served_slowly)
{
	static char value[100000];
	struct msg_SET set = { .key = msg_text("k"),
		.ttl_ms = -1,
		.value = { value, sizeof(value) } };
	struct msg_GET get = { .key = msg_text("k") };
	struct client c;
	int n = 5000;

	begin();
	client_open(&c, 7);
	ck_assert_int_eq(client_ask(&c, MSG_SET, &set), MSG_STORED);
	for (int i = 0; i < n; i++)
		client_queue(&c, MSG_GET, &get);
	while (wire_flush(&c.wire) == 0) {
		/* another is served meanwhile */
		ck_assert_ptr_null(client_get(&a, "none"));
		ck_assert_int_eq(client_next(&c), MSG_VALUE);
		n--;
	}
	for (; n > 0; n--) {
		ck_assert_int_eq(client_next(&c), MSG_VALUE);
		ck_assert_uint_eq(c.msg.VALUE.value.len, sizeof(value));
	}
	client_close(&c);
}
END_TEST

START_TEST(who_hangs_up_in_the_middle_is_forgotten)
{
	struct msg_INCR incr = { .key = msg_text("n"), .by = 1, .ttl_ms = -1 };
	struct client c;

	begin();
	for (int round = 0; round < 100; round++) {
		client_open(&c, 7);
		for (int i = 0; i < 500; i++)
			client_queue(&c, MSG_INCR, &incr);
		wire_flush(&c.wire);
		client_close(&c);
	}
	/* what has come whole was done, be it read by nobody */
	client_open(&c, 8);
	ck_assert_int_ge(client_incr(&c, 1, "n", 0), 0);
	client_close(&c);
}
END_TEST

/* Work that ends after them may still have something to answer. */
START_TEST(nobody_is_found_without_peers)
{
	struct hub none = { .peers = NULL };

	begin();
	ck_assert_ptr_null(peers_find(&none, 7));
}
END_TEST

START_TEST(a_thousand_clients)
{
	struct rlimit limit;
	struct client *c;
	int n = 1000;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < 2200)
		n = (int)limit.rlim_cur - 100;
	c = mem_array((size_t)n, sizeof(*c));
	begin();
	for (int i = 0; i < n; i++)
		client_open(&c[i], 1000 + (uint64_t)i);
	for (int round = 0; round < 3; round++) {
		struct msg_INCR incr = { .seq = (uint64_t)round + 1,
			.key = msg_text("n"),
			.by = 1,
			.ttl_ms = -1 };

		for (int i = 0; i < n; i++) {
			client_queue(&c[i], MSG_INCR, &incr);
			client_flush(&c[i]);
		}
		for (int i = 0; i < n; i++)
			ck_assert_int_eq(client_next(&c[i]), MSG_NUMBER);
	}
	ck_assert_int_eq(client_incr(&a, 1, "n", 0), 3 * n);
	for (int i = 0; i < n; i++)
		client_close(&c[i]);
	free(c);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("peer");
	TCase *tc = tcase_create("peer");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_wrong_hello_is_cut_off);
	tcase_add_test(tc, a_process_that_is_no_child_is_cut_off);
	tcase_add_test(tc, nothing_is_done_before_the_hello);
	tcase_add_test(tc, what_follows_the_hello_at_once_is_done);
	tcase_add_test(tc, the_last_connection_of_a_process_counts);
	tcase_add_test(tc, garbage_is_cut_off);
	tcase_add_test(tc, a_frame_that_is_too_large_is_cut_off);
	tcase_add_test(tc, before_the_hello_less_is_too_large);
	tcase_add_test(tc, half_a_frame_costs_nobody_anything);
	tcase_add_test(tc, who_says_nothing_is_cut_off);
	tcase_add_test(tc, others_wait_while_there_are_too_many);
	tcase_add_test(tc, who_reads_slowly_is_served_slowly);
	tcase_add_test(tc, who_hangs_up_in_the_middle_is_forgotten);
	tcase_add_test(tc, nobody_is_found_without_peers);
	tcase_add_test(tc, a_thousand_clients);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
