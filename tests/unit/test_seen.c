/* SPDX-License-Identifier: BSD-2-Clause */
/* Which messages of the broker are done. */
#include "broker_fixture.h"

static void
with_memory_of(int n)
{
	if (!conf_has_broker(fx.conf))
		with_broker();
	reconfigure();
	fx.conf->amqp.remember = n;
	hub_begin();
}

/* Numbers as unlike each other as those of messages are. */
static uint64_t
number(uint64_t i)
{
	return ((i + 1) * UINT64_C(0x9e3779b97f4a7c15)) & INT64_MAX;
}

static void
add_all(uint64_t from, uint64_t to, uint64_t in_a_turn)
{
	for (uint64_t i = from; i < to; i++) {
		seen_add(&fx.hub, number(i));
		if (i % in_a_turn == 0)
			turn();
	}
	turn();
}

START_TEST(is_remembered)
{
	with_memory_of(1000);
	ck_assert(!seen_has(&fx.hub, number(1)));
	add_all(1, 100, 7);
	seen_add(&fx.hub, number(1));
	ck_assert_uint_eq(seen_count(&fx.hub), 99);
	for (int hub = 0; hub < 2; hub++) {
		for (uint64_t i = 1; i < 100; i++)
			ck_assert(seen_has(&fx.hub, number(i)));
		ck_assert(!seen_has(&fx.hub, number(0)));
		ck_assert(!seen_has(&fx.hub, number(100)));
		killed();
	}
}
END_TEST

START_TEST(what_was_not_committed_is_not)
{
	with_memory_of(1000);
	add_all(1, 3, 1);
	seen_add(&fx.hub, number(3));
	killed();
	ck_assert(seen_has(&fx.hub, number(2)));
	ck_assert(!seen_has(&fx.hub, number(3)));
}
END_TEST

START_TEST(the_last_ones)
{
	with_memory_of(1000);
	add_all(1, 50000, 37);
	for (int hub = 0; hub < 2; hub++) {
		ck_assert_uint_ge(seen_count(&fx.hub), 1000);
		ck_assert_uint_le(seen_count(&fx.hub), 1200);
		for (uint64_t i = 49000; i < 50000; i++)
			ck_assert(seen_has(&fx.hub, number(i)));
		ck_assert(!seen_has(&fx.hub, number(48000)));
		killed();
	}
	/* the numbers go on behind what is there */
	add_all(50000, 53000, 11);
	ck_assert(seen_has(&fx.hub, number(52999)));
	ck_assert(!seen_has(&fx.hub, number(51000)));
}
END_TEST

START_TEST(fewer_than_before)
{
	with_memory_of(5000);
	add_all(1, 5001, 100);
	with_memory_of(10);
	ck_assert(seen_has(&fx.hub, number(5000)));
	add_all(5001, 5002, 1);
	ck_assert(seen_has(&fx.hub, number(5001)));
	ck_assert(!seen_has(&fx.hub, number(4000)));
	ck_assert_uint_eq(seen_count(&fx.hub), 10);
	with_memory_of(0);
	seen_add(&fx.hub, number(6000));
	ck_assert(!seen_has(&fx.hub, number(6000)));
	with_memory_of(10);
	add_all(6001, 6003, 1);
	ck_assert(seen_has(&fx.hub, number(6002)));
}
END_TEST

START_TEST(the_old_go)
{
	uint64_t last;

	with_memory_of(5000);
	add_all(1, 10, 1);
	later(fx.conf->hub.remember / NS_PER_MS + 1000);
	hub_tick(&fx.hub);
	last = store_old_seen(fx.hub.store,
	    fx.hub.wall_ms - fx.conf->hub.remember / NS_PER_MS);
	ck_assert_uint_eq(last, 9);
	ck_assert_uint_eq(store_old_seen(fx.hub.store, 1), 0);
	store_drop_seen(fx.hub.store, last);
	turn();
	killed();
	ck_assert_uint_eq(seen_count(&fx.hub), 0);
}
END_TEST

static void
add(TCase *tests)
{
	tcase_add_test(tests, is_remembered);
	tcase_add_test(tests, what_was_not_committed_is_not);
	tcase_add_test(tests, the_last_ones);
	tcase_add_test(tests, fewer_than_before);
	tcase_add_test(tests, the_old_go);
}

int
main(void)
{
	return run_work_suite("seen", add);
}
