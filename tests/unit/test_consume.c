/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_consume - deliveries from a broker of the test's own to a hub of the
 * test's own and back: acks in whatever order, what is too large, a full hub,
 * lost connections on both sides, consumers that are cancelled or missing, and
 * the drain.
 */
#include "conf_fixture.h"
#include "fake_hub.h"
#include "fake_rabbit.h"

#include "amqp/consume_impl.h"
#include "amqp/look.h"
#include "amqp/status.h"
#include "amqp/topology.h"
#include "base/clock.h"
#include "base/log.h"

static struct slot slot;
static struct loop loop;
static struct child child = { .slot = &slot };
static struct amqp amqp;
static int looks;
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
look_soon(struct look *look)
{
	(void)look;
	looks++;
}

bool
look_count(const struct look *look, size_t queue, struct rabbit_count *count)
{
	(void)look;
	*count = (struct rabbit_count){ .ready = 5, .consumers = 1 };
	return queue == 0;
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
at_once(void)
{
	return true;
}

static bool
is_up(void)
{
	return consume_link(amqp.consume)->up;
}

static bool
is_readable(int fd)
{
	return poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0) == 1;
}

static bool
hub_is_called(void)
{
	return is_readable(fake_hub.listen_fd);
}

static bool
hub_is_told(void)
{
	return is_readable(fake_hub.wire.fd);
}

static bool
is_idle(void)
{
	return consume_is_idle(amqp.consume);
}

static struct consume_count
count_of(size_t queue)
{
	struct consume_count count;

	consume_count(amqp.consume, queue, &count);
	return count;
}

static bool
one_is_settled(void)
{
	return count_of(0).acked >= 1;
}

static bool
three_are_settled(void)
{
	return count_of(0).acked >= 3;
}

static void
make(void)
{
	load_text("modules = ( { name = \"m\"; path = \"/m.so\"; } );"
		  "tasks: { workers: { max = 9; }; };"
		  "hub: { max_message = 65536; max_value = 4096; };"
		  "amqp: { broker = \"amqp://h\"; reconnect_min = 0.01;"
		  "queues = ( { name = \"q\"; handler = \"m.h\"; }, { name = "
		  "\"waits\"; }, { name = \"p\"; handler = \"m.h\"; plain = "
		  "true; prefetch = 7; } ); };");
	ck_assert_msg(conf != NULL, "%s", error_text(0));
}

static void
set_up(void)
{
	log_set_level(LOG_LEVEL_COUNT);
	conf_set_up();
	fake_hub_set_up();
	fake_rabbit_set_up();
	make();
	looks = 0;
	ck_assert_int_eq(loop_init(&loop), 0);
	loop.before_wait = before_wait;
	amqp = (struct amqp){ .child = &child, .conf = conf, .loop = &loop };
	amqp.hub = hub_client_new(&loop,
	    &(struct hub_client_options){ .path = fake_hub.path,
		.max_frame = conf->hub.max_message });
	hub_client_stay(amqp.hub);
	amqp.topology = topology_new(&amqp);
	amqp.consume = consume_new(&amqp);
	fake_hub_accept();
	consume_start(amqp.consume);
	run_until(is_up);
	buf_clear(&fake_rabbit.log);
}

static void
tear_down(void)
{
	consume_free(amqp.consume);
	hub_client_free(amqp.hub);
	topology_free(amqp.topology);
	loop_release(&loop);
	fake_rabbit_tear_down();
	fake_hub_tear_down();
	conf_tear_down();
}

static void
deliver(uint64_t tag, const char *body)
{
	fake_rabbit_event(&(struct rabbit_event){
	    .kind = RABBIT_DELIVERY,
	    .tag = tag,
	    .consumer = "0.brood",
	    .text = "",
	    .refused = "",
	    .attempt = 2,
	    .redelivered = tag == 3,
	    .size = strlen(body),
	    .message = { .body = msg_text(body), .key = msg_text("q") },
	});
}

/* The next DELIVER that the hub gets is of that body. */
static uint32_t
hub_gets(const char *body)
{
	struct msg_bytes parts;
	struct why why;
	enum msg_id id;
	union msg part;
	size_t at = 0;

	fake_hub_want(MSG_DELIVER);
	parts = fake_hub.msg.DELIVER.publish;
	ck_assert(msg_is(fake_hub.msg.DELIVER.queue, "q"));
	ck_assert_uint_eq(fake_hub.msg.DELIVER.attempt, 2);
	ck_assert_int_eq(msg_part(parts, &at, MSG_ID_BIT(PUBLISH), &id, &part,
			     &why),
	    1);
	ck_assert(msg_is(part.PUBLISH.body, body));
	ck_assert_uint_eq(part.PUBLISH.uid, fake_hub.msg.DELIVER.uid);
	return fake_hub.head.request;
}

static void
hub_settles(uint32_t handle, enum settled_how how)
{
	fake_hub_send(MSG_SETTLED, handle,
	    &(struct msg_SETTLED){ .how = (uint8_t)how });
}

START_TEST(consumes_what_has_a_handler)
{
	struct consume_count q = count_of(0), waits = count_of(1);

	ck_assert(q.consuming);
	ck_assert_uint_eq(q.ready, 5);
	ck_assert_uint_eq(count_of(2).prefetch, 7);
	ck_assert(!waits.consuming);
	ck_assert_uint_eq(waits.ready, 0);
	consume_mend(amqp.consume);
	fake_rabbit_was_asked("");
}
END_TEST

START_TEST(acks_after_the_work_in_any_order)
{
	uint32_t one, two, three;

	deliver(1, "one");
	deliver(2, "two");
	deliver(3, "three");
	run_until(at_once);
	one = hub_gets("one");
	two = hub_gets("two");
	three = hub_gets("three");
	fake_rabbit_was_asked("");
	ck_assert_uint_eq(count_of(0).unsettled, 3);
	hub_settles(two, SETTLED_RETRY);
	run_until(one_is_settled);
	fake_rabbit_was_asked("ack 2\n");
	hub_settles(one, SETTLED_DONE);
	hub_settles(three, SETTLED_SEEN);
	run_until(three_are_settled);
	ck_assert_uint_eq(count_of(0).unsettled, 0);
	ck_assert_uint_eq(count_of(0).retried, 1);
	ck_assert_uint_eq(count_of(0).seen, 1);
	ck_assert_uint_eq(count_of(0).redelivered, 1);
	ck_assert(consume_is_idle(amqp.consume));
	ck_assert_ptr_nonnull(strstr(fake_rabbit.log.data, "ack 3 multiple\n"));
}
END_TEST

START_TEST(one_ack_for_many)
{
	uint32_t handle[3];

	deliver(1, "one");
	deliver(2, "two");
	deliver(3, "three");
	run_until(at_once);
	handle[0] = hub_gets("one");
	handle[1] = hub_gets("two");
	handle[2] = hub_gets("three");
	for (int i = 2; i >= 0; i--)
		wire_send(&fake_hub.wire, MSG_SETTLED, handle[i],
		    &(struct msg_SETTLED){ .how = SETTLED_DONE });
	wire_flush(&fake_hub.wire);
	run_until(three_are_settled);
	fake_rabbit_was_asked("ack 3 multiple\n");
}
END_TEST

static bool
two_are_settled(void)
{
	return count_of(0).acked >= 2;
}

static bool
an_ack_was_sent(void)
{
	return fake_rabbit.log.len > 0;
}

/* To be asked in the loop: it may be up again when that has ended. */
static bool
is_down(void)
{
	return is_idle() && !count_of(0).consuming;
}

static bool
twenty_are_here(void)
{
	return count_of(0).delivered >= 20;
}

/* So quick that the prefetch is 20; without 2 of them there is still twice what
 * can be begun. */
static void
deliver_quick_ones(uint32_t handle[20])
{
	consume_tick(amqp.consume, NS_PER_S);
	for (unsigned i = 0; i < 20; i++)
		deliver(i + 1, "x");
	run_until(twenty_are_here);
	consume_tick(amqp.consume, NS_PER_S + 10 * NS_PER_MS);
	run_until(at_once);
	fake_rabbit_was_asked("cancel 0.brood\nconsume q 0.brood 20\n");
	for (unsigned i = 0; i < 20; i++)
		handle[i] = hub_gets("x");
}

/* All in one piece; nothing is acked, however long the test takes. */
static void
held_are(const uint32_t *handle, unsigned n, bool (*settled)(void))
{
	for (unsigned i = 0; i < n; i++)
		wire_send(&fake_hub.wire, MSG_SETTLED, handle[i],
		    &(struct msg_SETTLED){ .how = SETTLED_DONE });
	wire_flush(&fake_hub.wire);
	run_until(settled);
	fake_rabbit_was_asked("");
	loop_timer_set(&loop, &amqp.consume->held,
	    clock_now_ns() + 3600 * NS_PER_S);
}

START_TEST(acks_wait_for_what_is_before_them)
{
	uint32_t handle[20];

	deliver_quick_ones(handle);
	held_are(handle + 1, 1, one_is_settled);
	hub_settles(handle[0], SETTLED_DONE);
	run_until(two_are_settled);
	fake_rabbit_was_asked("ack 2 multiple\n");
}
END_TEST

START_TEST(not_many_acks_wait)
{
	uint32_t handle[20];

	deliver_quick_ones(handle);
	held_are(handle + 1, 2, two_are_settled);
	hub_settles(handle[3], SETTLED_DONE);
	run_until(three_are_settled);
	fake_rabbit_was_asked("ack 4\nack 3\nack 2\n");
	hub_settles(handle[0], SETTLED_DONE);
	run_until(an_ack_was_sent);
	fake_rabbit_was_asked("ack 1 multiple\n");
}
END_TEST

START_TEST(acks_do_not_wait_for_long)
{
	uint32_t handle[20];

	deliver_quick_ones(handle);
	hub_settles(handle[1], SETTLED_DONE);
	run_until(one_is_settled);
	fake_rabbit_was_asked("");
	run_until(an_ack_was_sent);
	fake_rabbit_was_asked("ack 2\n");
}
END_TEST

START_TEST(acks_that_wait_end_with_the_connection)
{
	uint32_t handle[20];

	deliver_quick_ones(handle);
	held_are(handle + 1, 1, one_is_settled);
	fake_rabbit_event(
	    &(struct rabbit_event){ .kind = RABBIT_GONE, .text = "reset" });
	run_until(is_down);
	ck_assert_ptr_null(strstr(fake_rabbit.log.data, "ack"));
}
END_TEST

START_TEST(acks_do_not_wait_in_a_drain)
{
	uint32_t handle[20];

	deliver_quick_ones(handle);
	held_are(handle + 1, 1, one_is_settled);
	amqp.draining = true;
	run_until(at_once);
	fake_rabbit_was_asked("ack 2\n");
}
END_TEST

START_TEST(a_hub_without_room_is_asked_again)
{
	deliver(1, "one");
	run_until(at_once);
	hub_gets("one");
	fake_hub_fail(HUB_FULL, "no room");
	run_until(hub_is_told);
	fake_rabbit_was_asked("");
	hub_settles(hub_gets("one"), SETTLED_DONE);
	run_until(one_is_settled);
	fake_rabbit_was_asked("ack 1 multiple\n");
}
END_TEST

START_TEST(a_new_hub_gets_it_again)
{
	deliver(1, "one");
	run_until(at_once);
	hub_gets("one");
	fake_hub_drop();
	run_until(hub_is_called);
	fake_hub_accept();
	hub_settles(hub_gets("one"), SETTLED_DONE);
	run_until(one_is_settled);
	fake_rabbit_was_asked("ack 1 multiple\n");
}
END_TEST

START_TEST(a_lost_broker_is_forgotten)
{
	uint32_t handle;

	deliver(1, "one");
	run_until(at_once);
	handle = hub_gets("one");
	fake_rabbit_event(
	    &(struct rabbit_event){ .kind = RABBIT_GONE, .text = "reset" });
	run_until(is_down);
	ck_assert_uint_eq(hub_pending(amqp.hub), 0);
	hub_settles(handle, SETTLED_DONE);
	run_until(is_up);
	/* the tag means nothing on the new connection */
	ck_assert_ptr_null(strstr(fake_rabbit.log.data, "ack"));
	ck_assert_ptr_nonnull(strstr(fake_rabbit.log.data, "consume q "));
	ck_assert_uint_eq(count_of(0).acked, 0);
}
END_TEST

/* It came without its body. */
static void
deliver_large(const char *consumer)
{
	fake_rabbit_event(&(struct rabbit_event){
	    .kind = RABBIT_DELIVERY,
	    .tag = 9,
	    .consumer = consumer,
	    .refused = "it is too large",
	    .size = 100000000,
	    .message = { .body = { "", 0 } },
	});
}

START_TEST(too_large_is_for_the_broker)
{
	deliver_large("0.brood");
	run_until(at_once);
	fake_rabbit_was_asked("reject 9\n");
	ck_assert_uint_eq(count_of(0).rejected, 1);
	ck_assert(consume_is_idle(amqp.consume));
	ck_assert(fake_hub_is_quiet());
}
END_TEST

START_TEST(too_large_for_a_frame_with_all_the_rest)
{
	char body[65500];

	memset(body, 'x', sizeof(body));
	body[sizeof(body) - 1] = '\0';
	deliver(1, body);
	run_until(at_once);
	fake_rabbit_was_asked("reject 1\n");
}
END_TEST

START_TEST(too_large_says_the_hub)
{
	deliver(1, "one");
	run_until(at_once);
	hub_gets("one");
	fake_hub_fail(HUB_TOO_LARGE, "with all the rest");
	run_until(is_idle);
	fake_rabbit_was_asked("reject 1\n");
	ck_assert_uint_eq(count_of(0).unsettled, 0);
}
END_TEST

START_TEST(a_drain_does_not_insist)
{
	deliver(1, "one");
	run_until(at_once);
	hub_gets("one");
	amqp.draining = true;
	consume_drain(amqp.consume);
	fake_hub_fail(HUB_NOT_FOUND, "no broker");
	run_until(is_idle);
	ck_assert_ptr_null(strstr(fake_rabbit.log.data, "ack"));
	ck_assert_uint_eq(hub_pending(amqp.hub), 0);
}
END_TEST

START_TEST(too_large_and_nowhere_to_go_stays)
{
	deliver_large("1.brood");
	run_until(at_once);
	/* for the prefetch it does not count */
	fake_rabbit_was_asked("cancel 1.brood\nconsume p 1.brood 7\n");
	ck_assert_uint_eq(count_of(2).stuck, 1);
	ck_assert_uint_eq(count_of(2).unsettled, 1);
	ck_assert(consume_is_idle(amqp.consume));
}
END_TEST

START_TEST(a_cancelled_consumer_comes_back)
{
	bool mended;
	struct why why;

	fake_rabbit_event(&(struct rabbit_event){ .kind = RABBIT_CANCELLED,
	    .consumer = "0.brood" });
	run_until(at_once);
	ck_assert(!count_of(0).consuming);
	ck_assert_int_eq(looks, 1);
	consume_mend(amqp.consume);
	fake_rabbit_was_asked("");
	topology_mend(amqp.topology, consume_link(amqp.consume)->rabbit,
	    &mended, &why);
	ck_assert(mended);
	buf_clear(&fake_rabbit.log);
	consume_mend(amqp.consume);
	fake_rabbit_was_asked("consume q 0.brood 9\n");
	ck_assert(count_of(0).consuming);
}
END_TEST

START_TEST(a_consumer_that_the_broker_has_not)
{
	consume_seen(amqp.consume, 0, 0);
	ck_assert(is_up());
	consume_seen(amqp.consume, 0, 1);
	consume_seen(amqp.consume, 0, 0);
	consume_seen(amqp.consume, 1, 0);
	consume_seen(amqp.consume, 1, 0);
	ck_assert(is_up());
	consume_seen(amqp.consume, 0, 0);
	ck_assert(!is_up());
	ck_assert_str_eq(consume_link(amqp.consume)->why.text,
	    "the broker has lost our consumer of queue \"q\"");
}
END_TEST

START_TEST(a_queue_that_may_not_be_consumed)
{
	fake_rabbit_refuse("consume q", 403, "ACCESS_REFUSED");
	fake_rabbit_event(
	    &(struct rabbit_event){ .kind = RABBIT_GONE, .text = "reset" });
	run_until(is_idle);
	run_until(is_up);
	/* once refused it is left out, and the other one is consumed */
	ck_assert(!count_of(0).consuming);
	ck_assert(count_of(2).consuming);
	ck_assert_ptr_nonnull(topology_queue_fault(amqp.topology, 0));
	ck_assert_int_gt(looks, 0);
}
END_TEST

START_TEST(drains)
{
	deliver(1, "one");
	run_until(at_once);
	amqp.draining = true;
	consume_drain(amqp.consume);
	fake_rabbit_was_asked("cancel 0.brood\ncancel 1.brood\n");
	ck_assert(!consume_is_idle(amqp.consume));
	hub_settles(hub_gets("one"), SETTLED_DONE);
	run_until(is_idle);
	fake_rabbit_was_asked("ack 1 multiple\n");
	consume_mend(amqp.consume);
	fake_rabbit_was_asked("");
}
END_TEST

START_TEST(rates)
{
	consume_tick(amqp.consume, NS_PER_S);
	deliver(1, "one");
	run_until(at_once);
	consume_tick(amqp.consume, 2 * NS_PER_S);
	ck_assert_double_eq_tol(count_of(0).rate, 0.2, 1e-9);
	for (int i = 3; i < 60; i++)
		consume_tick(amqp.consume, i * NS_PER_S);
	ck_assert_double_eq(count_of(0).rate, 0);
}
END_TEST

static bool
ten_are_here(void)
{
	return count_of(0).delivered >= 10;
}

/* With tasks.workers.max 9, of which each has up to 16. */
START_TEST(quick_ones_are_prefetched)
{
	consume_tick(amqp.consume, NS_PER_S);
	for (unsigned i = 1; i <= 10; i++)
		deliver(i, "one");
	run_until(ten_are_here);
	/* 4000 a second, of which 40 in 10 ms */
	consume_tick(amqp.consume, NS_PER_S + 10 * NS_PER_MS / 4);
	run_until(at_once);
	fake_rabbit_was_asked("cancel 0.brood\nconsume q 0.brood 40\n");
	ck_assert_uint_eq(count_of(0).prefetch, 40);
	/* none at all */
	consume_tick(amqp.consume, NS_PER_S + 5 * NS_PER_MS);
	run_until(at_once);
	fake_rabbit_was_asked("cancel 0.brood\nconsume q 0.brood 9\n");
	ck_assert_uint_eq(count_of(2).prefetch, 7);
}
END_TEST

START_TEST(not_too_many_are_prefetched)
{
	consume_tick(amqp.consume, NS_PER_S);
	for (unsigned i = 1; i <= 10; i++)
		deliver(i, "one");
	run_until(ten_are_here);
	consume_tick(amqp.consume, NS_PER_S + 10 * NS_PER_US);
	run_until(at_once);
	fake_rabbit_was_asked("cancel 0.brood\nconsume q 0.brood 144\n");
	consume_tick(amqp.consume, NS_PER_S + 20 * NS_PER_US);
	amqp.draining = true;
	consume_drain(amqp.consume);
	run_until(at_once);
	fake_rabbit_was_asked("cancel 0.brood\ncancel 1.brood\n");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("consume");
	TCase *tcase = tcase_create("consume");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, consumes_what_has_a_handler);
	tcase_add_test(tcase, acks_after_the_work_in_any_order);
	tcase_add_test(tcase, one_ack_for_many);
	tcase_add_test(tcase, acks_wait_for_what_is_before_them);
	tcase_add_test(tcase, not_many_acks_wait);
	tcase_add_test(tcase, acks_do_not_wait_for_long);
	tcase_add_test(tcase, acks_that_wait_end_with_the_connection);
	tcase_add_test(tcase, acks_do_not_wait_in_a_drain);
	tcase_add_test(tcase, a_hub_without_room_is_asked_again);
	tcase_add_test(tcase, a_new_hub_gets_it_again);
	tcase_add_test(tcase, a_lost_broker_is_forgotten);
	tcase_add_test(tcase, too_large_is_for_the_broker);
	tcase_add_test(tcase, too_large_for_a_frame_with_all_the_rest);
	tcase_add_test(tcase, too_large_says_the_hub);
	tcase_add_test(tcase, a_drain_does_not_insist);
	tcase_add_test(tcase, too_large_and_nowhere_to_go_stays);
	tcase_add_test(tcase, a_cancelled_consumer_comes_back);
	tcase_add_test(tcase, a_consumer_that_the_broker_has_not);
	tcase_add_test(tcase, a_queue_that_may_not_be_consumed);
	tcase_add_test(tcase, drains);
	tcase_add_test(tcase, rates);
	tcase_add_test(tcase, quick_ones_are_prefetched);
	tcase_add_test(tcase, not_too_many_are_prefetched);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
