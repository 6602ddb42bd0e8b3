/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_link - a connection that is kept up, over a broker of the test's own:
 * the list of brokers, what its owner is told and when, and failing in the
 * midst of a callback.
 */
#include "fake_rabbit.h"

#include "amqp/link.h"
#include "amqp/status.h"
#include "amqp/topology.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "run_suite.h"

static struct loop loop;
static struct child child;
static struct conf *conf;
static struct amqp amqp;
static struct link link_;
static int ups, downs, events, turns, losses, alive;
static enum rabbit_result up_result;
static bool fail_in_event, fail_in_turn;
static bool (*enough)(void);
/* When it was down for the first time; it may be up again in the same round. */
static struct {
	char why[256];
	int events, open;
} first;

/* What link.c needs of the others. */
void
status_changed(struct status *status)
{
	(void)status;
}

void
amqp_alive(void *ctx)
{
	(void)ctx;
	alive++;
}

void
topology_on_link(struct topology *topology, size_t broker)
{
	(void)topology;
	ck_assert_uint_eq(broker, link_.broker);
}

void
topology_on_loss(struct topology *topology)
{
	(void)topology;
	losses++;
}

static enum rabbit_result
on_up(void *ctx, struct rabbit *rabbit, struct why *why)
{
	ck_assert_ptr_eq(ctx, &link_);
	ck_assert_ptr_eq(rabbit, link_.rabbit);
	ups++;
	why_set(why, "not today");
	return up_result;
}

static void
on_down(void *ctx, const char *why)
{
	ck_assert_ptr_eq(ctx, &link_);
	ck_assert_ptr_null(link_.rabbit);
	ck_assert_str_ne(why, "");
	if (downs++ > 0)
		return;
	mem_copy_string(first.why, sizeof(first.why), why);
	first.events = events;
	first.open = fake_rabbit.open;
}

static void
on_event(void *ctx, const struct rabbit_event *event)
{
	(void)ctx;
	ck_assert_int_ne(event->kind, RABBIT_NONE);
	ck_assert_int_ne(event->kind, RABBIT_GONE);
	events++;
	if (fail_in_event) {
		link_fail(&link_, "enough of %d", events);
		/* it is there as long as we look at its event */
		ck_assert_ptr_nonnull(link_.rabbit);
	}
}

static void
on_turn(void *ctx)
{
	(void)ctx;
	turns++;
	if (fail_in_turn)
		link_fail(&link_, "a bad turn");
}

static const struct link_owner owner = { "testing", on_up, on_down, on_event,
	on_turn };

static int64_t
before_wait(void *ctx)
{
	(void)ctx;
	if (enough())
		loop_stop(&loop);
	return link_turns(&amqp) ? 0 : CLOCK_NEVER;
}

/* Turns the loop until then. */
static void
run_until(bool (*condition)(void))
{
	enough = condition;
	ck_assert_int_eq(loop_run(&loop), 0);
}

static bool
is_up(void)
{
	return link_.up;
}

static bool
is_down_again(void)
{
	return downs > 0;
}

static bool
has_tried_four_times(void)
{
	return link_.attempts >= 4;
}

static void
set_up(void)
{
	static const char *const brokers[] = { "amqp://one:1", "amqp://two:2" };

	log_set_level(LOG_LEVEL_ERROR);
	fake_rabbit_set_up();
	ups = downs = events = turns = losses = alive = 0;
	fail_in_event = fail_in_turn = false;
	up_result = RABBIT_OK;
	conf = conf_defaults();
	ck_assert_int_eq(loop_init(&loop), 0);
	loop.before_wait = before_wait;
	amqp = (struct amqp){ .child = &child, .conf = conf, .loop = &loop };
	amqp.hub = hub_client_new(&loop,
	    &(struct hub_client_options){ .path = "/nowhere",
		.max_frame = 65536 });
	conf->amqp.reconnect_min = NS_PER_MS;
	conf->amqp.reconnect_max = 2 * NS_PER_MS;
	for (size_t i = 0; i < conf->amqp.broker.n; i++)
		free(conf->amqp.broker.v[i]);
	free(conf->amqp.broker.v);
	conf->amqp.broker.v = calloc(2, sizeof(char *));
	conf->amqp.broker.v[0] = strdup(brokers[0]);
	conf->amqp.broker.v[1] = strdup(brokers[1]);
	conf->amqp.broker.n = 2;
	link_init(&link_, &amqp, &owner, &link_);
}

static void
tear_down(void)
{
	link_stop(&link_);
	hub_client_free(amqp.hub);
	loop_release(&loop);
	conf_free(conf);
	fake_rabbit_tear_down();
}

START_TEST(comes_up)
{
	ck_assert_str_eq(link_.where, "amqp://one:1/");
	link_start(&link_);
	run_until(is_up);
	fake_rabbit_was_asked("open one:1 testing\n");
	ck_assert_int_eq(ups, 1);
	ck_assert_int_gt(alive, 0);
	ck_assert_int_eq(link_.again_ns, 0);
	link_stop(&link_);
	ck_assert_int_eq(downs, 0);
	ck_assert_int_eq(fake_rabbit.open, 0);
}
END_TEST

START_TEST(goes_round_the_brokers)
{
	char again[LINK_TEXT_SIZE];

	fake_rabbit.away = true;
	link_start(&link_);
	run_until(has_tried_four_times);
	fake_rabbit_was_asked("open one:1 testing\nopen two:2 testing\n"
			      "open one:1 testing\nopen two:2 testing\n");
	ck_assert_str_eq(link_.why.text, "amqp://two:2/: nobody listens");
	ck_assert_str_eq(link_again_text(&link_, again), "now");
	ck_assert_int_eq(downs, 0);
	fake_rabbit.away = false;
	run_until(is_up);
	ck_assert_str_eq(link_.why.text, "");
	ck_assert_str_eq(link_again_text(&link_, again), "");
}
END_TEST

START_TEST(is_not_up_when_its_owner_is_not_content)
{
	up_result = RABBIT_REFUSED;
	link_start(&link_);
	run_until(has_tried_four_times);
	ck_assert_int_eq(ups, 4);
	ck_assert_int_eq(downs, 0);
	ck_assert_int_eq(fake_rabbit.open, 0);
	ck_assert_str_eq(link_.why.text, "not today");
	ck_assert(!link_.up);
}
END_TEST

START_TEST(is_lost_and_comes_up_again)
{
	link_start(&link_);
	run_until(is_up);
	fake_rabbit_event(
	    &(struct rabbit_event){ .kind = RABBIT_GONE, .text = "a reset" });
	run_until(is_down_again);
	ck_assert_int_eq(losses, 1);
	ck_assert_str_eq(first.why, "a reset");
	run_until(is_up);
	/* the next of the list */
	fake_rabbit_was_asked("open one:1 testing\nopen two:2 testing\n");
	ck_assert_int_eq(downs, 1);
	ck_assert_int_eq(ups, 2);
}
END_TEST

START_TEST(fails_within_an_event)
{
	fail_in_event = true;
	fake_rabbit_event(&(struct rabbit_event){ .kind = RABBIT_CONFIRM });
	fake_rabbit_event(&(struct rabbit_event){ .kind = RABBIT_CONFIRM });
	link_start(&link_);
	run_until(is_down_again);
	ck_assert_int_eq(first.events, 1);
	ck_assert_str_eq(first.why, "enough of 1");
	ck_assert_int_eq(first.open, 0);
}
END_TEST

START_TEST(fails_within_a_turn)
{
	fail_in_turn = true;
	link_start(&link_);
	run_until(is_down_again);
	ck_assert_str_eq(first.why, "a bad turn");
	fail_in_turn = false;
	run_until(is_up);
	ck_assert_int_gt(turns, 0);
}
END_TEST

START_TEST(fails_at_any_other_time)
{
	link_fail(&link_, "before it is up it is nothing");
	ck_assert_int_eq(downs, 0);
	link_start(&link_);
	run_until(is_up);
	link_fail(&link_, "%d", 42);
	ck_assert_int_eq(downs, 1);
	ck_assert_str_eq(link_.why.text, "42");
	ck_assert(!link_.up);
	link_fail(&link_, "twice");
	ck_assert_int_eq(downs, 1);
}
END_TEST

START_TEST(hands_over_what_came_with_an_answer)
{
	link_start(&link_);
	run_until(is_up);
	/* nothing to wake up for: it was read while somebody waited */
	fake_rabbit_event(&(struct rabbit_event){ .kind = RABBIT_CONFIRM });
	ck_assert(link_turns(&amqp));
	ck_assert_int_eq(events, 1);
	ck_assert(!link_turns(&amqp));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("link");
	TCase *tcase = tcase_create("link");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, comes_up);
	tcase_add_test(tcase, goes_round_the_brokers);
	tcase_add_test(tcase, is_not_up_when_its_owner_is_not_content);
	tcase_add_test(tcase, is_lost_and_comes_up_again);
	tcase_add_test(tcase, fails_within_an_event);
	tcase_add_test(tcase, fails_within_a_turn);
	tcase_add_test(tcase, fails_at_any_other_time);
	tcase_add_test(tcase, hands_over_what_came_with_an_answer);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
