/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_look - the rounds of looking, over a broker of the test's own: in which
 * order, what is found, what is mended, and that a broker which does not answer
 * ends the connection.
 */
#include "conf_fixture.h"
#include "fake_rabbit.h"

#include "amqp/consume.h"
#include "amqp/look.h"
#include "amqp/status.h"
#include "amqp/topology.h"
#include "base/clock.h"
#include "base/log.h"

static struct slot slot;
static struct loop loop;
static struct child child = { .slot = &slot };
static struct amqp amqp;
static int seen, mended;
static bool (*enough)(void);

void
status_changed(struct status *status)
{
	(void)status;
}

void
amqp_alive(void *ctx)
{
	(void)ctx;
}

void
consume_mend(struct consume *consume)
{
	(void)consume;
	mended++;
}

void
consume_seen(struct consume *consume, size_t queue, uint32_t consumers)
{
	(void)consume;
	ck_assert_uint_lt(queue, 2);
	ck_assert_uint_eq(consumers, 1);
	seen++;
}

static int64_t
before_wait(void *ctx)
{
	(void)ctx;
	if (link_turns(&amqp))
		return 0;
	if (enough())
		loop_stop(&loop);
	return CLOCK_NEVER;
}

static void
run_until(bool (*condition)(void))
{
	enough = condition;
	ck_assert_int_eq(loop_run(&loop), 0);
}

static bool
both_are_seen(void)
{
	return seen >= 2;
}

static bool
six_are_seen(void)
{
	return seen >= 6;
}

static bool
something_is_mended(void)
{
	return mended > 0;
}

static bool
all_is_bound(void)
{
	return topology_is_bound(amqp.topology);
}

static bool
is_lost(void)
{
	return look_link(amqp.look)->why.text[0] != '\0';
}

static void
set_up(void)
{
	struct why why;

	log_set_level(LOG_LEVEL_COUNT);
	conf_set_up();
	fake_rabbit_set_up();
	load_text("amqp: { broker = \"amqp://h\"; refresh = 0.1;"
		  "exchanges = ( { name = \"e\"; } );"
		  "queues = ( { name = \"q\"; bind = ( { exchange = \"e\"; } "
		  "); }, { name = \"r\"; } ); };");
	ck_assert_msg(conf != NULL, "%s", error_text(0));
	seen = mended = 0;
	fake_rabbit.count = (struct rabbit_count){ .ready = 3, .consumers = 1 };
	ck_assert_int_eq(loop_init(&loop), 0);
	loop.before_wait = before_wait;
	amqp = (struct amqp){ .child = &child, .conf = conf, .loop = &loop };
	amqp.hub = hub_client_new(&loop,
	    &(struct hub_client_options){ .path = "/nowhere",
		.max_frame = 65536 });
	amqp.topology = topology_new(&amqp);
	amqp.look = look_new(&amqp);
	ck_assert_int_eq(topology_declare(amqp.topology, NULL, &why),
	    RABBIT_OK);
	buf_clear(&fake_rabbit.log);
	look_start(amqp.look);
}

static void
tear_down(void)
{
	look_free(amqp.look);
	topology_free(amqp.topology);
	hub_client_free(amqp.hub);
	loop_release(&loop);
	fake_rabbit_tear_down();
	conf_tear_down();
}

START_TEST(everything_in_turn_again_and_again)
{
	struct rabbit_count count;

	ck_assert(!look_count(amqp.look, 0, &count));
	run_until(both_are_seen);
	fake_rabbit_was_asked("open h:5672 looking\n"
			      "exchange e direct passive\nqueue q {} passive\n"
			      "queue r {} passive\n");
	ck_assert(look_count(amqp.look, 0, &count));
	ck_assert_uint_eq(count.ready, 3);
	run_until(six_are_seen);
	ck_assert_int_eq(mended, 0);
}
END_TEST

START_TEST(a_queue_that_is_gone_is_made_again)
{
	fake_rabbit_refuse("queue q {} passive", 404, "NOT_FOUND");
	run_until(something_is_mended);
	ck_assert_ptr_nonnull(strstr(fake_rabbit.log.data,
	    "queue q {} passive\nqueue q {}\nbind q e \n"));
	ck_assert_ptr_null(topology_fault(amqp.topology, 0));
}
END_TEST

START_TEST(an_exchange_that_is_gone_is_made_again)
{
	fake_rabbit_refuse("exchange e direct passive", 404, "NOT_FOUND");
	run_until(something_is_mended);
	ck_assert_ptr_nonnull(strstr(fake_rabbit.log.data,
	    "exchange e direct passive\nexchange e direct\nbind q e \n"));
	ck_assert_ptr_null(topology_fault(amqp.topology, 0));
}
END_TEST

START_TEST(what_is_at_fault_is_tried_each_time)
{
	struct rabbit_count count;

	fake_rabbit_refuse("queue q {}", 405, "RESOURCE_LOCKED");
	topology_queue_lost(amqp.topology, 0, "was deleted");
	look_soon(amqp.look);
	run_until(both_are_seen);
	ck_assert_int_eq(mended, 0);
	ck_assert_ptr_nonnull(topology_queue_fault(amqp.topology, 0));
	ck_assert(!look_count(amqp.look, 0, &count));
	fake_rabbit.refusals = 0;
	run_until(something_is_mended);
	ck_assert_ptr_null(topology_fault(amqp.topology, 0));
}
END_TEST

START_TEST(many_bindings_between)
{
	struct msg_BIND bind = { .on = 1,
		.queue = msg_text("q"),
		.exchange = msg_text("e") };
	char key[32];
	size_t made;

	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "%d", i);
		bind.key = msg_text(key);
		topology_on_bind(amqp.topology, &bind);
	}
	topology_exchange_lost(amqp.topology, msg_text("e"), "was deleted");
	run_until(something_is_mended);
	ck_assert(!topology_is_bound(amqp.topology));
	run_until(all_is_bound);
	ck_assert_uint_eq(topology_bindings(amqp.topology, &made), 1000);
	ck_assert_uint_eq(made, 1000);
}
END_TEST

START_TEST(no_answer)
{
	struct rabbit_count count;

	fake_rabbit_refuse("queue r", 0, "no answer within 5 s");
	run_until(is_lost);
	ck_assert_str_eq(look_link(amqp.look)->why.text,
	    "no answer within 5 s");
	ck_assert(!look_count(amqp.look, 0, &count));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("look");
	TCase *tcase = tcase_create("look");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, everything_in_turn_again_and_again);
	tcase_add_test(tcase, a_queue_that_is_gone_is_made_again);
	tcase_add_test(tcase, an_exchange_that_is_gone_is_made_again);
	tcase_add_test(tcase, what_is_at_fault_is_tried_each_time);
	tcase_add_test(tcase, many_bindings_between);
	tcase_add_test(tcase, no_answer);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
