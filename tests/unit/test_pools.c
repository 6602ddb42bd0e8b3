/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_pools - which config has an amqp pool, how large it may be, and who is
 * still to be there while the family stops.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf_fixture.h"
#include "master/family.h"
#include "run_suite.h"

#define BROKER "amqp: { broker = \"amqp://h/\"; "

static struct master master;
static struct policy_limits limits;

static void
take(const char *text)
{
	conf_free(conf);
	conf = conf_load(put_file("brood.conf", text), &errors);
	ck_assert_msg(conf != NULL, "%s",
	    errors.n > 0 ? errors.v[0] : "no config");
}

static void
set_up(void)
{
	conf_set_up();
	memset(&master, 0, sizeof(master));
}

static void
tear_down(void)
{
	pools_free(&master);
	conf_tear_down();
}

START_TEST(an_amqp_pool_goes_with_a_broker)
{
	struct pool *pool;

	take("");
	pools_add(&master, conf);
	ck_assert_ptr_nonnull(pools_find(&master, "task"));
	ck_assert_ptr_null(pools_find(&master, "amqp"));
	take(BROKER "};");
	pools_add(&master, conf);
	pool = pools_find(&master, "amqp");
	ck_assert_ptr_nonnull(pool);
	ck_assert(pool_in(pool, conf));
	ck_assert(pool_is_sized(pool));
	ck_assert_int_eq(pool->policy.target, 1);
	take("amqp: { broker = \"local\"; };");
	ck_assert(!pool_in(pool, conf));
}
END_TEST

START_TEST(an_amqp_pool_is_as_large_as_its_config_says)
{
	struct pool pool = { .role_id = ROLE_AMQP };

	take(BROKER "children = 3; };");
	pool_read_limits(&pool, conf, &limits);
	ck_assert(limits.fixed);
	ck_assert_int_eq(limits.start, 3);
	ck_assert_int_eq(limits.max, POOL_AMQP_MAX);
	ck_assert_int_eq(limits.min_spare, 0);
}
END_TEST

/* Two generations of everybody have to find their slots. */
START_TEST(an_amqp_pool_finds_its_slots)
{
	struct pool pool = { .role_id = ROLE_AMQP };
	char *text;
	int needed;

	take(BROKER "children = 2; };");
	needed = conf_children_max(conf);
	text = mem_printf("service: { max_children = %d; }; " BROKER
			  "children = 2; };",
	    needed + 7);
	take(text);
	free(text);
	pool_read_limits(&pool, conf, &limits);
	ck_assert_int_eq(limits.start, 2);
	ck_assert_int_eq(limits.max, 2 + 3);
}
END_TEST

/* And the hub room for what they prefetch. */
START_TEST(an_amqp_pool_finds_room_in_the_hub)
{
	struct pool pool = { .role_id = ROLE_AMQP };

	take("modules: ( { name = \"m\"; path = \"m.so\"; } );"
	     "tasks: { max_waiting = 100; };" BROKER
	     "children = 2; prefetch = 10; queues: ("
	     "  { name = \"a\"; handler = \"m.h\"; },"
	     "  { name = \"b\"; handler = \"m.h\"; prefetch = 15; },"
	     "  { name = \"c\"; prefetch = 1000; } ); };");
	pool_read_limits(&pool, conf, &limits);
	ck_assert_int_eq(limits.start, 2);
	ck_assert_int_eq(limits.max, 100 / 25);
}
END_TEST

START_TEST(others_are_not_fixed)
{
	struct pool pool = { .role_id = ROLE_TASK };

	take(BROKER "};");
	pool_read_limits(&pool, conf, &limits);
	ck_assert(!limits.fixed);
}
END_TEST

/* What the broker has delivered is finished, and so are the workers there. */
START_TEST(they_stop_in_an_order)
{
	static const enum role_id order[] = { ROLE_REST, ROLE_AMQP, ROLE_TASK,
		ROLE_HUB };

	master.phase = PHASE_RUNNING;
	for (size_t i = 0; i < 4; i++)
		ck_assert(stop_keeps(&master, order[i]));
	master.phase = PHASE_STOPPING;
	for (int stage = STOP_REST; stage <= STOP_HUB; stage++) {
		master.stage = (enum stop_stage)stage;
		for (int i = 0; i < 4; i++)
			ck_assert_int_eq(stop_keeps(&master, order[i]),
			    i > stage);
		ck_assert_int_eq(stop_keeps(&master, ROLE_BACKGROUND),
		    stop_keeps(&master, ROLE_TASK));
	}
	master.stage = STOP_NOW;
	ck_assert(!stop_keeps(&master, ROLE_HUB));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("pools");
	TCase *tests = tcase_create("pools");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, an_amqp_pool_goes_with_a_broker);
	tcase_add_test(tests, an_amqp_pool_is_as_large_as_its_config_says);
	tcase_add_test(tests, an_amqp_pool_finds_its_slots);
	tcase_add_test(tests, an_amqp_pool_finds_room_in_the_hub);
	tcase_add_test(tests, others_are_not_fixed);
	tcase_add_test(tests, they_stop_in_an_order);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
