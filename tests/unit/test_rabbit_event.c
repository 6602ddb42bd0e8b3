/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_rabbit_event - what a broker says, as events: messages in pieces, too
 * large or out of turn; confirms, returns, closings; silence.
 */
#include "fake_broker.h"

static struct rabbit_event event;
static unsigned code;

static void
expect_gone(struct rabbit *rabbit, const char *text)
{
	ck_assert_int_eq(fake_next(rabbit, &event), RABBIT_GONE);
	ck_assert_msg(strstr(event.text, text) != NULL, "%s", event.text);
	/* and it stays so */
	ck_assert_int_eq(rabbit_next(rabbit, &event), RABBIT_GONE);
	ck_assert_int_eq(rabbit_purge(rabbit, "q", NULL, &code, &why),
	    RABBIT_LOST);
	ck_assert_ptr_nonnull(strstr(why.text, text));
	rabbit_close(rabbit);
	fake_end();
}

static void
expect_body(struct rabbit *rabbit, uint64_t tag, const char *body)
{
	ck_assert_msg(fake_next(rabbit, &event) == RABBIT_DELIVERY, "%d %s",
	    event.kind, event.text);
	ck_assert_uint_eq(event.tag, tag);
	ck_assert_str_eq(event.consumer, "c");
	ck_assert(msg_is(event.message.exchange, "e"));
	ck_assert(msg_is(event.message.key, "k"));
	ck_assert_str_eq(event.refused, "");
	ck_assert_uint_eq(event.size, strlen(body));
	ck_assert(msg_is(event.message.body, body));
	ck_assert_uint_eq(event.attempt, 1);
	ck_assert_uint_eq(event.status, 200);
}

/* ----------------------------------------------------------------- messages */

static void
deliver_in_pieces(struct rabbit *broker)
{
	fake_login(broker, 131072);
	fake_deliver(broker, 1);
	fake_head(broker, 6);
	fake_flush(broker);
	fake_raw(broker, AMQP_FRAME_BODY, 1, "ab", 2);
	fake_raw(broker, AMQP_FRAME_HEARTBEAT, 0, "", 0);
	fake_raw(broker, AMQP_FRAME_BODY, 1, "", 0);
	fake_flush(broker);
	fake_raw(broker, AMQP_FRAME_BODY, 1, "cdef", 4);
	fake_deliver(broker, 2);
	fake_head(broker, 0);
	fake_deliver(broker, 3);
	fake_head(broker, 3);
	fake_raw(broker, AMQP_FRAME_BODY, 1, "xyz", 3);
	fake_flush(broker);
	fake_swallow(broker);
}

START_TEST(bodies_are_put_together)
{
	struct rabbit *rabbit;

	fake_start(deliver_in_pieces);
	rabbit = fake_open();
	expect_body(rabbit, 1, "abcdef");
	expect_body(rabbit, 2, "");
	expect_body(rabbit, 3, "xyz");
	ck_assert_int_eq(rabbit_next(rabbit, &event), RABBIT_NONE);
	ck_assert(!rabbit_has_more(rabbit));
	rabbit->out_dead = true; /* nobody would answer a close */
	rabbit_close(rabbit);
	fake_end();
}
END_TEST

#define LARGE ((size_t)40 << 20)

static void
deliver_large(struct rabbit *broker)
{
	static char piece[100000];

	fake_deliver(broker, 1);
	fake_head(broker, LARGE);
	for (size_t at = 0; at < LARGE; at += sizeof(piece)) {
		size_t left = LARGE - at;

		fake_raw(broker, AMQP_FRAME_BODY, 1, piece,
		    left < sizeof(piece) ? left : sizeof(piece));
		fake_flush(broker);
	}
	fake_deliver(broker, 2);
	fake_head(broker, 2);
	fake_raw(broker, AMQP_FRAME_BODY, 1, "ok", 2);
	fake_flush(broker);
}

static void
login_and_deliver_large(struct rabbit *broker)
{
	fake_login(broker, 131072);
	deliver_large(broker);
	fake_swallow(broker);
}

static void
expect_large(struct rabbit *rabbit)
{
	ck_assert_int_eq(fake_next(rabbit, &event), RABBIT_DELIVERY);
	ck_assert_uint_eq(event.size, LARGE);
	ck_assert_uint_eq(event.message.body.len, 0);
	ck_assert_ptr_nonnull(strstr(event.refused,
	    "it has 41943040 bytes, more than 'hub.max_message'"));
	ck_assert(msg_is(event.message.key, "k"));
	ck_assert_uint_eq(rabbit->content.body.size, 0);
	expect_body(rabbit, 2, "ok");
}

START_TEST(too_large_is_dropped_as_it_comes)
{
	struct rabbit *rabbit;

	fake_start(login_and_deliver_large);
	rabbit = fake_open();
	expect_large(rabbit);
	rabbit->out_dead = true;
	rabbit_close(rabbit);
	fake_end();
}
END_TEST

static void
purge_after_large(struct rabbit *broker)
{
	amqp_queue_purge_ok_t ok = { 7 };

	fake_login(broker, 131072);
	fake_expect(broker, AMQP_QUEUE_PURGE_METHOD);
	deliver_large(broker);
	fake_say(broker, 1, AMQP_QUEUE_PURGE_OK_METHOD, &ok);
	fake_swallow(broker);
}

/* What comes before an answer is kept, in order, without large bodies. */
START_TEST(nothing_is_lost_during_a_request)
{
	struct rabbit *rabbit;
	uint32_t purged;

	fake_start(purge_after_large);
	rabbit = fake_open();
	ck_assert_int_eq(rabbit_purge(rabbit, "q", &purged, &code, &why),
	    RABBIT_OK);
	ck_assert_uint_eq(purged, 7);
	ck_assert_uint_lt(rabbit->early.len, 65536);
	ck_assert(rabbit_has_more(rabbit));
	expect_large(rabbit);
	ck_assert_int_eq(rabbit_next(rabbit, &event), RABBIT_NONE);
	ck_assert_uint_eq(rabbit->early.len, 0);
	rabbit->out_dead = true;
	rabbit_close(rabbit);
	fake_end();
}
END_TEST

static void
deliver_half(struct rabbit *broker)
{
	amqp_queue_purge_ok_t ok = { 7 };

	fake_login(broker, 131072);
	fake_deliver(broker, 1);
	fake_head(broker, 6);
	fake_raw(broker, AMQP_FRAME_BODY, 1, "abc", 3);
	fake_flush(broker);
	fake_expect(broker, AMQP_QUEUE_PURGE_METHOD);
	fake_raw(broker, AMQP_FRAME_BODY, 1, "def", 3);
	fake_say(broker, 1, AMQP_QUEUE_PURGE_OK_METHOD, &ok);
	fake_swallow(broker);
}

START_TEST(a_request_in_the_middle_of_a_message)
{
	struct rabbit *rabbit;

	fake_start(deliver_half);
	rabbit = fake_open();
	while (rabbit->content.got < 3)
		ck_assert_int_eq(rabbit_next(rabbit, &event), RABBIT_NONE);
	ck_assert_int_eq(rabbit_purge(rabbit, "q", NULL, &code, &why),
	    RABBIT_OK);
	expect_body(rabbit, 1, "abcdef");
	rabbit->out_dead = true;
	rabbit_close(rabbit);
	fake_end();
}
END_TEST

static void
deliver_odd_names(struct rabbit *broker)
{
	static char key[3] = { 'k', 0, (char)0xff };
	amqp_basic_deliver_t deliver = {
		.consumer_tag = amqp_cstring_bytes("c"),
		.delivery_tag = 1,
		.exchange = amqp_cstring_bytes("e"),
		.routing_key = { sizeof(key), key },
	};

	fake_login(broker, 131072);
	FAKE_REQUIRE(
	    rabbit_method(broker, 1, AMQP_BASIC_DELIVER_METHOD, &deliver) == 0);
	fake_head(broker, 2);
	fake_raw(broker, AMQP_FRAME_BODY, 1, "ok", 2);
	fake_flush(broker);
	fake_swallow(broker);
}

START_TEST(what_is_no_text_is_refused)
{
	struct rabbit *rabbit;

	fake_start(deliver_odd_names);
	rabbit = fake_open();
	ck_assert_int_eq(fake_next(rabbit, &event), RABBIT_DELIVERY);
	ck_assert_str_eq(event.refused, "its key is no UTF-8 text");
	ck_assert_uint_eq(event.message.key.len, 0);
	ck_assert(msg_is(event.message.body, "ok"));
	rabbit->out_dead = true;
	rabbit_close(rabbit);
	fake_end();
}
END_TEST

/* ------------------------------------------------------------------- faults */

static void
body_without_head(struct rabbit *broker)
{
	fake_deliver(broker, 1);
	fake_raw(broker, AMQP_FRAME_BODY, 1, "x", 1);
}

static void
body_too_long(struct rabbit *broker)
{
	fake_deliver(broker, 1);
	fake_head(broker, 1);
	fake_raw(broker, AMQP_FRAME_BODY, 1, "xy", 2);
}

static void
head_without_method(struct rabbit *broker)
{
	fake_head(broker, 1);
}

static void
method_within_message(struct rabbit *broker)
{
	fake_deliver(broker, 1);
	fake_deliver(broker, 2);
}

static void
short_head(struct rabbit *broker)
{
	fake_deliver(broker, 1);
	fake_raw(broker, AMQP_FRAME_HEADER, 1, "\0\x3c\0\0", 4);
}

static void
other_channel(struct rabbit *broker)
{
	fake_raw(broker, AMQP_FRAME_BODY, 2, "x", 1);
}

static void
other_kind(struct rabbit *broker)
{
	fake_raw(broker, 9, 1, "x", 1);
}

static void
our_own_kind(struct rabbit *broker)
{
	fake_raw(broker, RABBIT_FRAME_SKIPPED, 1, "12345678", 8);
}

static void
unknown_method(struct rabbit *broker)
{
	fake_raw(broker, AMQP_FRAME_METHOD, 1, "\0\x63\0\x63", 4);
}

static void
short_method(struct rabbit *broker)
{
	fake_raw(broker, AMQP_FRAME_METHOD, 1, "\0\x3c", 2);
}

static void
cut_method(struct rabbit *broker)
{
	fake_raw(broker, AMQP_FRAME_METHOD, 1, "\0\x3c\0\x3c\x05x", 6);
}

static void
method_of_clients(struct rabbit *broker)
{
	amqp_basic_qos_t qos = { 0 };

	rabbit_method(broker, 1, AMQP_BASIC_QOS_METHOD, &qos);
}

static void
no_end(struct rabbit *broker)
{
	fake_bytes(broker, "\x08\0\0\0\0\0\0\x00", 8);
}

static void
goodbye(struct rabbit *broker)
{
	fake_close(broker, 0, 320,
	    "CONNECTION_FORCED - broker forced connection closure with reason "
	    "'shutdown'");
}

static void
nothing(struct rabbit *broker)
{
	(void)broker;
}

static const struct fault {
	void (*say)(struct rabbit *broker);
	const char *text;
} fault[] = {
	{ body_without_head, "a message's body out of turn" },
	{ body_too_long, "a message's body out of turn" },
	{ head_without_method, "the head of a message out of turn" },
	{ short_head, "the head of a message out of turn" },
	{ method_within_message, "in the middle of a message" },
	{ other_channel, "on channel 2" },
	{ other_kind, "of no kind there is (9)" },
	{ our_own_kind, "of no kind there is" },
	{ unknown_method, "what is no method" },
	{ short_method, "what is no method" },
	{ cut_method, "what is no method" },
	{ method_of_clients, "no sense here: AMQP_BASIC_QOS_METHOD" },
	{ no_end, "does not end as one" },
	{ goodbye,
	    "the broker closed the connection: CONNECTION_FORCED - broker "
	    "forced connection closure with reason 'shutdown'" },
	{ nothing, "the broker closed the connection" },
};

static size_t at_fault;

static void
login_and_fail(struct rabbit *broker)
{
	fake_login(broker, 131072);
	fault[at_fault].say(broker);
	fake_flush(broker);
	shutdown(broker->net.fd, SHUT_WR);
	fake_swallow(broker);
}

START_TEST(nonsense_ends_the_connection)
{
	at_fault = (size_t)_i;
	fake_start(login_and_fail);
	expect_gone(fake_open(), fault[_i].text);
}
END_TEST

/* The writes fail first: what was said before that is the reason. */
START_TEST(the_last_words_are_heard)
{
	struct pollfd heard = { .events = POLLIN };
	struct rabbit *rabbit;

	at_fault = 13;
	ck_assert_ptr_eq(fault[at_fault].say, goodbye);
	fake_start(login_and_fail);
	rabbit = fake_open();
	heard.fd = rabbit_fd(rabbit);
	ck_assert_int_eq(poll(&heard, 1, -1), 1);
	rabbit->out_dead = true;
	expect_gone(rabbit, "CONNECTION_FORCED");
}
END_TEST

static void
be_silent(struct rabbit *broker)
{
	fake_login(broker, 131072);
	fake_swallow(broker);
}

START_TEST(silence_is_noticed)
{
	struct rabbit *rabbit;

	fake_start(be_silent);
	rabbit = fake_open();
	rabbit->heartbeat_ns = 20 * NS_PER_S;
	rabbit->heard_ns = clock_now_ns() - 39 * NS_PER_S;
	ck_assert_int_eq(rabbit_next(rabbit, &event), RABBIT_NONE);
	rabbit->heard_ns -= 2 * NS_PER_S;
	expect_gone(rabbit, "no sign of life from the broker for 41 s");
}
END_TEST

START_TEST(silence_is_noticed_in_a_request)
{
	struct rabbit *rabbit;

	fake_start(be_silent);
	rabbit = fake_open();
	rabbit->timeout_ns = NS_PER_S / 20;
	ck_assert_int_eq(rabbit_purge(rabbit, "q", NULL, &code, &why),
	    RABBIT_LOST);
	ck_assert_str_eq(why.text,
	    "timed out: no answer from the broker within 0.05 s");
	rabbit_close(rabbit);
	fake_end();
}
END_TEST

static void
await_heartbeats(struct rabbit *broker)
{
	struct frame frame;
	int beats = 0;

	fake_login(broker, 131072);
	while (beats < 3) {
		while (rabbit_frame(broker, false, &frame) > 0) {
			FAKE_REQUIRE(frame.type == AMQP_FRAME_HEARTBEAT);
			beats++;
			fake_raw(broker, AMQP_FRAME_HEARTBEAT, 0, "", 0);
			fake_flush(broker);
		}
		rabbit_fill(broker);
	}
	fake_close(broker, 0, 320, "three");
	fake_swallow(broker);
}

START_TEST(signs_of_life_are_given)
{
	struct rabbit *rabbit;

	fake_start(await_heartbeats);
	rabbit = fake_open();
	rabbit->heartbeat_ns = 20 * NS_PER_S;
	for (int i = 0; i < 3; i++) {
		struct pollfd pfd = { rabbit_fd(rabbit), POLLIN, 0 };

		rabbit->said_ns -= 10 * NS_PER_S;
		if (i == 2)
			break;
		ck_assert_int_eq(rabbit_next(rabbit, &event), RABBIT_NONE);
		ck_assert_int_eq(poll(&pfd, 1, -1), 1);
	}
	expect_gone(rabbit, "three");
}
END_TEST

/* ------------------------------------------------------------------- others */

static void
say_everything(struct rabbit *broker)
{
	amqp_basic_ack_t ack = { 5, 1 };
	amqp_basic_nack_t nack = { 6, 0, 0 };
	amqp_basic_return_t returned = { 312, amqp_cstring_bytes("NO_ROUTE"),
		amqp_cstring_bytes("e"), amqp_cstring_bytes("k") };
	amqp_basic_cancel_t cancel = { amqp_cstring_bytes("c"), 1 };
	amqp_connection_blocked_t blocked = { amqp_cstring_bytes(
	    "low on memory") };
	amqp_connection_unblocked_t unblocked = { 0 };

	fake_login(broker, 131072);
	rabbit_method(broker, 1, AMQP_BASIC_ACK_METHOD, &ack);
	rabbit_method(broker, 1, AMQP_BASIC_NACK_METHOD, &nack);
	rabbit_method(broker, 1, AMQP_BASIC_RETURN_METHOD, &returned);
	fake_head(broker, 2);
	rabbit_method(broker, 0, AMQP_CONNECTION_BLOCKED_METHOD, &blocked);
	fake_raw(broker, AMQP_FRAME_BODY, 1, "ok", 2);
	rabbit_method(broker, 0, AMQP_CONNECTION_UNBLOCKED_METHOD, &unblocked);
	rabbit_method(broker, 1, AMQP_BASIC_CANCEL_METHOD, &cancel);
	fake_flush(broker);
	fake_swallow(broker);
}

START_TEST(each_has_its_event)
{
	struct rabbit *rabbit;

	fake_start(say_everything);
	rabbit = fake_open();
	ck_assert_int_eq(fake_next(rabbit, &event), RABBIT_CONFIRM);
	ck_assert(event.tag == 5 && event.multiple && event.ok);
	ck_assert_int_eq(fake_next(rabbit, &event), RABBIT_CONFIRM);
	ck_assert(event.tag == 6 && !event.multiple && !event.ok);
	/* of another channel, so it may come in the middle of the return */
	ck_assert_int_eq(fake_next(rabbit, &event), RABBIT_BLOCKED);
	ck_assert_str_eq(event.text, "low on memory");
	ck_assert_int_eq(fake_next(rabbit, &event), RABBIT_RETURN);
	ck_assert_uint_eq(event.code, 312);
	ck_assert_str_eq(event.text, "NO_ROUTE");
	ck_assert(msg_is(event.message.body, "ok"));
	ck_assert_int_eq(fake_next(rabbit, &event), RABBIT_UNBLOCKED);
	ck_assert_int_eq(fake_next(rabbit, &event), RABBIT_CANCELLED);
	ck_assert_str_eq(event.consumer, "c");
	rabbit->out_dead = true;
	rabbit_close(rabbit);
	fake_end();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("rabbit_event");
	TCase *tcase = tcase_create("rabbit_event");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, fake_set_up, fake_tear_down);
	tcase_add_test(tcase, bodies_are_put_together);
	tcase_add_test(tcase, too_large_is_dropped_as_it_comes);
	tcase_add_test(tcase, nothing_is_lost_during_a_request);
	tcase_add_test(tcase, a_request_in_the_middle_of_a_message);
	tcase_add_test(tcase, what_is_no_text_is_refused);
	tcase_add_loop_test(tcase, nonsense_ends_the_connection, 0,
	    (int)(sizeof(fault) / sizeof(fault[0])));
	tcase_add_test(tcase, the_last_words_are_heard);
	tcase_add_test(tcase, silence_is_noticed);
	tcase_add_test(tcase, silence_is_noticed_in_a_request);
	tcase_add_test(tcase, signs_of_life_are_given);
	tcase_add_test(tcase, each_has_its_event);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
