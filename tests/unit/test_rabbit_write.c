/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_rabbit_write - what is written to a broker: never more than the kernel
 * takes, whole frames whatever happens to the channel, bodies in the broker's
 * pieces; requests, their refusals, and answers nobody waits for.
 */
#include "fake_broker.h"

#include "core/call.h"

static unsigned code;
static struct rabbit_event event;

static struct msg_PUBLISH
message_of(const char *body, size_t len)
{
	return (struct msg_PUBLISH){ .exchange = msg_text("e"),
		.key = msg_text("k"),
		.body = { body, len },
		.ttl_ms = -1 };
}

static void
drop(struct rabbit *rabbit)
{
	rabbit->out_dead = true; /* nobody would answer a close */
	rabbit_close(rabbit);
	fake_end();
}

/* One message as the broker gets it: its body's bytes. */
static size_t
take_message(struct rabbit *broker, size_t most)
{
	struct frame frame;
	size_t size, got = 0;

	fake_expect(broker, AMQP_BASIC_PUBLISH_METHOD);
	FAKE_REQUIRE(fake_frame(broker, &frame));
	FAKE_REQUIRE(frame.type == AMQP_FRAME_HEADER);
	size = 0;
	for (int i = 0; i < 8; i++)
		size = size << 8 | (unsigned char)frame.payload.p[4 + i];
	while (got < size) {
		FAKE_REQUIRE(fake_frame(broker, &frame));
		FAKE_REQUIRE(frame.type == AMQP_FRAME_BODY ||
		    frame.type == RABBIT_FRAME_SKIPPED);
		got += frame.type == AMQP_FRAME_BODY ? frame.payload.len :
						       frame.skipped;
		FAKE_REQUIRE(frame.payload.len + 8 <= most);
	}
	FAKE_REQUIRE(got == size);
	return size;
}

static void
take_small_frames(struct rabbit *broker)
{
	fake_login(broker, 4096);
	FAKE_REQUIRE(take_message(broker, 4096) == 0);
	FAKE_REQUIRE(take_message(broker, 4096) == 4088);
	FAKE_REQUIRE(take_message(broker, 4096) == 4089);
	FAKE_REQUIRE(take_message(broker, 4096) == 100000);
}

START_TEST(bodies_go_in_pieces)
{
	static const size_t size[] = { 0, 4088, 4089, 100000 };
	static char body[100000];
	struct rabbit *rabbit;
	uint64_t number = 99;

	fake_start(take_small_frames);
	rabbit = fake_open();
	for (size_t i = 0; i < 4; i++) {
		struct msg_PUBLISH message = message_of(body, size[i]);

		ck_assert_int_eq(rabbit_publish(rabbit, &message, false,
				     &number, &why),
		    0);
		ck_assert_uint_eq(number, 0);
	}
	while (rabbit_unwritten(rabbit) > 0)
		ck_assert(rabbit_write(rabbit));
	drop(rabbit);
}
END_TEST

static int gate[2];

static void
wait_for_gate(void)
{
	char byte;

	FAKE_REQUIRE(read(gate[0], &byte, 1) == 1);
}

#define LARGE ((size_t)20 << 20)

static void
read_late(struct rabbit *broker)
{
	fake_login(broker, 131072);
	wait_for_gate();
	FAKE_REQUIRE(take_message(broker, 131072) == LARGE);
	FAKE_REQUIRE(take_message(broker, 131072) == 2);
}

static char *
large_body(void)
{
	return calloc(1, LARGE);
}

START_TEST(a_full_socket_stops_nobody)
{
	char *body = large_body();
	struct msg_PUBLISH message = message_of(body, LARGE);
	struct rabbit *rabbit;

	ck_assert_int_eq(pipe(gate), 0);
	fake_start(read_late);
	rabbit = fake_open();
	ck_assert_int_eq(rabbit_publish(rabbit, &message, false, NULL, &why),
	    0);
	message = message_of("ok", 2);
	ck_assert_int_eq(rabbit_publish(rabbit, &message, false, NULL, &why),
	    0);
	ck_assert(rabbit_write(rabbit));
	ck_assert_uint_gt(rabbit_unwritten(rabbit), 0);
	ck_assert_int_eq(rabbit_next(rabbit, &event), RABBIT_NONE);
	ck_assert_int_eq(write(gate[1], "", 1), 1);
	while (rabbit_unwritten(rabbit) > 0) {
		struct pollfd pfd = { rabbit_fd(rabbit), POLLOUT, 0 };

		ck_assert_int_eq(poll(&pfd, 1, -1), 1);
		ck_assert(rabbit_write(rabbit));
	}
	/* so much memory is not kept */
	ck_assert_uint_lt(rabbit->out.size, LARGE);
	free(body);
	drop(rabbit);
}
END_TEST

static void
close_channel_in_the_middle(struct rabbit *broker)
{
	amqp_channel_open_ok_t ok = { .channel_id = amqp_empty_bytes };
	amqp_method_number_t id = 0;
	struct frame frame;
	size_t messages = 0, got = 0;

	fake_login(broker, 131072);
	wait_for_gate();
	fake_deliver(broker, 9);
	fake_head(broker, 5);
	fake_close(broker, 1, 404, "NOT_FOUND - no exchange 'e'");
	/* what was begun comes whole, what was not does not come */
	while (id != AMQP_CHANNEL_CLOSE_OK_METHOD) {
		FAKE_REQUIRE(fake_frame(broker, &frame));
		got += frame.type == RABBIT_FRAME_SKIPPED ? frame.skipped : 0;
		if (frame.type != AMQP_FRAME_METHOD)
			continue;
		FAKE_REQUIRE(rabbit_decode(broker, &frame, &id) != NULL);
		messages += id == AMQP_BASIC_PUBLISH_METHOD;
	}
	FAKE_REQUIRE(messages == 1 && got == LARGE);
	fake_expect(broker, AMQP_CHANNEL_OPEN_METHOD);
	fake_say(broker, 1, AMQP_CHANNEL_OPEN_OK_METHOD, &ok);
	FAKE_REQUIRE(take_message(broker, 131072) == 3);
}

START_TEST(a_closed_channel_takes_what_was_meant_for_it)
{
	char *body = large_body();
	struct msg_PUBLISH message = message_of(body, LARGE);
	struct rabbit *rabbit;
	struct pollfd pfd;

	ck_assert_int_eq(pipe(gate), 0);
	fake_start(close_channel_in_the_middle);
	rabbit = fake_open();
	pfd = (struct pollfd){ rabbit_fd(rabbit), POLLIN, 0 };
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(rabbit_publish(rabbit, &message, false, NULL,
				     &why),
		    0);
	ck_assert_int_eq(rabbit_ack(rabbit, 5, false), 0);
	ck_assert_int_eq(rabbit_next(rabbit, &event), RABBIT_NONE);
	ck_assert_int_eq(write(gate[1], "", 1), 1);
	/* not a byte more before it is known */
	ck_assert_int_eq(poll(&pfd, 1, -1), 1);
	ck_assert_int_eq(fake_next(rabbit, &event), RABBIT_CHANNEL_CLOSED);
	ck_assert_uint_eq(event.code, 404);
	ck_assert_str_eq(event.text, "NOT_FOUND - no exchange 'e'");
	message = message_of("new", 3);
	ck_assert_int_eq(rabbit_publish(rabbit, &message, false, NULL, &why),
	    0);
	ck_assert_uint_lt(rabbit_unwritten(rabbit), LARGE);
	while (rabbit_unwritten(rabbit) > 0) {
		ck_assert_int_ne(rabbit_next(rabbit, &event), RABBIT_GONE);
		ck_assert(rabbit_write(rabbit));
	}
	free(body);
	drop(rabbit);
}
END_TEST

static void
refuse(struct rabbit *broker)
{
	amqp_channel_open_ok_t ok = { .channel_id = amqp_empty_bytes };
	amqp_queue_declare_ok_t declared = { amqp_cstring_bytes("q"), 3, 1 };
	amqp_connection_blocked_t blocked = { amqp_cstring_bytes("low") };
	amqp_basic_ack_t ack = { 5, 0 };

	fake_login(broker, 131072);
	fake_expect(broker, AMQP_QUEUE_DECLARE_METHOD);
	fake_deliver(broker, 1);
	fake_head(broker, 0);
	rabbit_method(broker, 1, AMQP_BASIC_ACK_METHOD, &ack);
	rabbit_method(broker, 0, AMQP_CONNECTION_BLOCKED_METHOD, &blocked);
	fake_close(broker, 1, 406, "PRECONDITION_FAILED - \n inequivalent");
	fake_expect(broker, AMQP_CHANNEL_CLOSE_OK_METHOD);
	fake_expect(broker, AMQP_CHANNEL_OPEN_METHOD);
	fake_say(broker, 1, AMQP_CHANNEL_OPEN_OK_METHOD, &ok);
	fake_expect(broker, AMQP_QUEUE_DECLARE_METHOD);
	fake_say(broker, 1, AMQP_QUEUE_DECLARE_OK_METHOD, &declared);
	fake_swallow(broker);
}

START_TEST(a_refusal_opens_the_channel_again)
{
	struct rabbit_queue queue = { .name = "q", .durable = true };
	struct rabbit_count count;
	struct rabbit *rabbit;

	fake_start(refuse);
	rabbit = fake_open();
	ck_assert_int_eq(rabbit_declare_queue(rabbit, &queue, &count, &code,
			     &why),
	    RABBIT_REFUSED);
	ck_assert_uint_eq(code, 406);
	ck_assert_str_eq(why.text, "PRECONDITION_FAILED - ? inequivalent");
	ck_assert_int_eq(rabbit_declare_queue(rabbit, &queue, &count, &code,
			     &why),
	    RABBIT_OK);
	ck_assert(count.ready == 3 && count.consumers == 1);
	/* the connection's words stay, the old channel's are void */
	ck_assert_int_eq(fake_next(rabbit, &event), RABBIT_BLOCKED);
	ck_assert_int_eq(rabbit_next(rabbit, &event), RABBIT_NONE);
	drop(rabbit);
}
END_TEST

static void
answer_unbinds(struct rabbit *broker)
{
	amqp_queue_unbind_ok_t ok = { 0 };
	amqp_queue_purge_ok_t purged = { 2 };

	fake_login(broker, 131072);
	fake_expect(broker, AMQP_QUEUE_UNBIND_METHOD);
	fake_expect(broker, AMQP_QUEUE_UNBIND_METHOD);
	fake_expect(broker, AMQP_QUEUE_PURGE_METHOD);
	fake_say(broker, 1, AMQP_QUEUE_UNBIND_OK_METHOD, &ok);
	fake_say(broker, 1, AMQP_QUEUE_UNBIND_OK_METHOD, &ok);
	fake_say(broker, 1, AMQP_QUEUE_PURGE_OK_METHOD, &purged);
	fake_expect(broker, AMQP_QUEUE_UNBIND_METHOD);
	fake_expect(broker, AMQP_QUEUE_UNBIND_METHOD);
	fake_say(broker, 1, AMQP_QUEUE_UNBIND_OK_METHOD, &ok);
	fake_close(broker, 1, 404, "that one");
	fake_swallow(broker);
}

START_TEST(answers_nobody_waits_for)
{
	struct rabbit *rabbit;
	uint32_t purged;

	fake_start(answer_unbinds);
	rabbit = fake_open();
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(rabbit_bind(rabbit, "q", "e", msg_text("k"),
				     false, false, &code, &why),
		    RABBIT_OK);
	ck_assert_int_eq(rabbit_purge(rabbit, "q", &purged, &code, &why),
	    RABBIT_OK);
	ck_assert_int_eq(rabbit_bind(rabbit, "q", "e", msg_text("k"), false,
			     false, &code, &why),
	    RABBIT_OK);
	/* the first answer is the other's */
	ck_assert_int_eq(rabbit_bind(rabbit, "q", "e", msg_text("k"), false,
			     true, &code, &why),
	    RABBIT_REFUSED);
	ck_assert_str_eq(why.text, "that one");
	drop(rabbit);
}
END_TEST

static void
swallow(struct rabbit *broker)
{
	fake_login(broker, 8192);
	fake_swallow(broker);
}

START_TEST(what_cannot_be_said_is_not)
{
	struct msg_PUBLISH message = message_of("x", 1);
	static char text[70000];
	struct rabbit *rabbit;
	struct msg_ATTR attr = { .what = CALL_HEADER, .name = msg_text("h") };
	struct buf attrs;
	json_t *arguments = json_object();
	struct rabbit_queue queue = { .name = "q", .arguments = arguments };

	memset(text, 'x', sizeof(text) - 1);
	fake_start(swallow);
	rabbit = fake_open();
	buf_init(&attrs, 1 << 20);
	message.key = (struct msg_bytes){ text, 256 };
	ck_assert_int_eq(rabbit_publish(rabbit, &message, false, NULL, &why),
	    -1);
	ck_assert_str_eq(why.text, "its key has more than 255 bytes");
	message.key = msg_text("k");
	message.message_id = (struct msg_bytes){ text, 256 };
	ck_assert_int_eq(rabbit_publish(rabbit, &message, false, NULL, &why),
	    -1);
	ck_assert_str_eq(why.text, "its message id has more than 255 bytes");
	message.message_id.len = 255;
	attr.value = (struct msg_bytes){ text, 9000 };
	ck_assert_int_eq(msg_encode(&attrs, MSG_ATTR, 0, &attr), 0);
	message.attrs = (struct msg_bytes){ attrs.data, attrs.len };
	ck_assert_int_eq(rabbit_publish(rabbit, &message, false, NULL, &why),
	    -1);
	ck_assert_ptr_nonnull(strstr(why.text, "more than the broker takes"));
	ck_assert_int_eq(rabbit_bind(rabbit, "q", "e",
			     (struct msg_bytes){ text, 256 }, true, true, &code,
			     &why),
	    RABBIT_REFUSED);
	json_object_set_new(arguments, "x", json_string(text));
	ck_assert_int_eq(rabbit_declare_queue(rabbit, &queue, NULL, &code,
			     &why),
	    RABBIT_REFUSED);
	ck_assert_str_eq(why.text, "its arguments are too large for a frame");
	/* nothing of all that is on its way */
	ck_assert_uint_eq(rabbit_unwritten(rabbit), 0);
	json_decref(arguments);
	buf_release(&attrs);
	drop(rabbit);
}
END_TEST

static void
take_arguments(struct rabbit *broker)
{
	amqp_queue_declare_ok_t ok = { amqp_cstring_bytes("q"), 0, 0 };
	amqp_queue_declare_t *declare;
	amqp_table_t *table;

	fake_login(broker, 131072);
	declare = fake_expect(broker, AMQP_QUEUE_DECLARE_METHOD);
	table = &declare->arguments;
	FAKE_REQUIRE(table->num_entries == 5);
	FAKE_REQUIRE(table->entries[0].value.kind == AMQP_FIELD_KIND_I64);
	FAKE_REQUIRE(table->entries[0].value.value.i64 == 5);
	FAKE_REQUIRE(table->entries[1].value.kind == AMQP_FIELD_KIND_UTF8);
	FAKE_REQUIRE(table->entries[2].value.kind == AMQP_FIELD_KIND_BOOLEAN);
	FAKE_REQUIRE(table->entries[3].value.kind == AMQP_FIELD_KIND_ARRAY);
	FAKE_REQUIRE(table->entries[3].value.value.array.num_entries == 2);
	FAKE_REQUIRE(table->entries[4].value.kind == AMQP_FIELD_KIND_TABLE);
	FAKE_REQUIRE(table->entries[4].value.value.table.num_entries == 1);
	fake_say(broker, 1, AMQP_QUEUE_DECLARE_OK_METHOD, &ok);
	fake_swallow(broker);
}

START_TEST(arguments_keep_their_kinds)
{
	json_t *arguments = json_pack("{s:i, s:s, s:b, s:[i, f], s:{s:n}}", "a",
	    5, "b", "text", "c", 1, "d", 1, 2.5, "e", "f");
	struct rabbit_queue queue = { .name = "q", .arguments = arguments };
	struct rabbit *rabbit;

	fake_start(take_arguments);
	rabbit = fake_open();
	ck_assert_int_eq(rabbit_declare_queue(rabbit, &queue, NULL, &code,
			     &why),
	    RABBIT_OK);
	json_decref(arguments);
	drop(rabbit);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("rabbit_write");
	TCase *tcase = tcase_create("rabbit_write");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, fake_set_up, fake_tear_down);
	tcase_add_test(tcase, bodies_go_in_pieces);
	tcase_add_test(tcase, a_full_socket_stops_nobody);
	tcase_add_test(tcase, a_closed_channel_takes_what_was_meant_for_it);
	tcase_add_test(tcase, a_refusal_opens_the_channel_again);
	tcase_add_test(tcase, answers_nobody_waits_for);
	tcase_add_test(tcase, what_cannot_be_said_is_not);
	tcase_add_test(tcase, arguments_keep_their_kinds);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
