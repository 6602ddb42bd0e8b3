/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_outbox - what is to be published, until the broker has it; and who
 * publishes it.
 */
#include "broker_fixture.h"
#include "hub/store.h"

static const struct msg_PUBLISH *
message(const char *body)
{
	static struct msg_PUBLISH publish;

	publish = (struct msg_PUBLISH){
		.uid = uid_make(),
		.key = msg_text("q"),
		.body = msg_text(body),
		.ttl_ms = -1,
	};
	return &publish;
}

static void
publish(const char *body)
{
	hub_tick(&fx.hub);
	outbox_publish(&fx.hub, message(body));
}

static void
want_body(unsigned n, const char *body, uint64_t *seq)
{
	struct msg_PUBLISH sent;
	uint64_t its = want_send(n, &sent);

	ck_assert_msg(msg_is(sent.body, body), "%.*s in place of %s",
	    (int)sent.body.len, sent.body.p, body);
	if (seq != NULL)
		*seq = its;
}

START_TEST(is_sent_after_the_commit)
{
	struct msg_PUBLISH sent;

	with_broker();
	connect_publisher(2);
	publish("one");
	ck_assert(fx.hub.sync);
	want_nothing(2);
	turn();
	want_send(2, &sent);
	ck_assert(msg_is(sent.body, "one"));
	ck_assert_uint_ne(sent.uid, 0);
	ck_assert_uint_gt(sent.message_id.len, 0);
}
END_TEST

START_TEST(is_sent_again_as_it_was)
{
	struct msg_PUBLISH sent;
	char id[64];
	uint64_t first, second;

	with_broker();
	connect_publisher(2);
	publish("one");
	turn();
	first = want_send(2, &sent);
	snprintf(id, sizeof(id), "%.*s", (int)sent.message_id.len,
	    sent.message_id.p);
	killed();
	want_waiting_in_outbox(1);
	connect_publisher(2);
	second = want_send(2, &sent);
	ck_assert_uint_eq(first, second);
	ck_assert(msg_is(sent.message_id, id));
	say_sent(2, second, SENT_CONFIRMED, "");
	turn();
	killed();
	want_waiting_in_outbox(0);
	/* a number is not given out twice */
	publish("two");
	turn();
	connect_publisher(2);
	ck_assert_uint_gt(want_send(2, NULL), first);
}
END_TEST

START_TEST(a_window_and_an_order)
{
	uint64_t seq[4];

	with_broker();
	connect_amqp(2);
	for (int i = 0; i < 4; i++)
		publish((const char *[]){ "a", "b", "c", "d" }[i]);
	turn();
	want(2, MSG_BINDINGS);
	want_nothing(2);
	say_link(2, 1, true, 2);
	turn();
	want_body(2, "a", &seq[0]);
	want_body(2, "b", &seq[1]);
	want_nothing(2);
	say_sent(2, seq[1], SENT_CONFIRMED, "");
	turn();
	want_body(2, "c", &seq[2]);
	want_nothing(2);
	/* the connection is lost, and there is another one */
	say_link(2, 2, false, 0);
	turn();
	want_nothing(2);
	say_sent_in(2, 1, seq[0], SENT_CONFIRMED, "");
	say_link(2, 2, true, 2);
	turn();
	want_body(2, "a", NULL);
	want_body(2, "c", NULL);
	want_nothing(2);
	want_waiting_in_outbox(3);
}
END_TEST

START_TEST(blocked_for_a_while)
{
	uint64_t seq;

	with_broker();
	connect_publisher(2);
	connect_amqp(3);
	say_link(3, fx_epoch, true, 100);
	publish("a");
	turn();
	want_body(2, "a", &seq);
	say_link(2, fx_epoch, false, 0);
	publish("b");
	turn();
	want(3, MSG_BINDINGS);
	want_nothing(2);
	want_nothing(3);
	/* what is under way is waited for, then it is the other's turn */
	say_sent(2, seq, SENT_CONFIRMED, "");
	turn();
	want_nothing(2);
	want_body(3, "b", NULL);
}
END_TEST

START_TEST(the_publisher_leaves)
{
	with_broker();
	connect_publisher(2);
	publish("a");
	turn();
	want_body(2, "a", NULL);
	connect_amqp(3);
	say_link(3, fx_epoch, true, 100);
	leave(2);
	turn();
	want(3, MSG_BINDINGS);
	want_body(3, "a", NULL);
}
END_TEST

START_TEST(held_ones_do_not_stop_the_others)
{
	struct outbox_count count;
	uint64_t seq;

	with_broker();
	connect_publisher(2);
	publish("a");
	turn();
	want_body(2, "a", &seq);
	say_sent(2, seq, SENT_HELD, "no such exchange");
	publish("b");
	turn();
	want_body(2, "b", &seq);
	say_sent(2, seq, SENT_RETURNED, "NO_ROUTE");
	turn();
	outbox_count(&fx.hub, &count);
	ck_assert_uint_eq(count.messages, 1);
	ck_assert_uint_eq(count.held, 1);
	ck_assert_str_eq(count.held_why, "no such exchange");
	ck_assert_uint_eq(count.returned, 1);
	ck_assert_uint_eq(count.under_way, 0);
	ck_assert_uint_eq(outbox_purge_held(&fx.hub), 1);
	turn();
	killed();
	want_waiting_in_outbox(0);
}
END_TEST

/* Nobody else has what is to wait there, or is dead. */
START_TEST(returned_by_a_queue_of_ours)
{
	struct msg_PUBLISH copy = *message("a");
	struct outbox_count count;
	uint64_t seq;

	with_broker();
	connect_publisher(2);
	copy.key = msg_text("q.retry.1s");
	outbox_publish(&fx.hub, &copy);
	turn();
	want_body(2, "a", &seq);
	say_sent(2, seq, SENT_RETURNED, "NO_ROUTE");
	turn();
	outbox_count(&fx.hub, &count);
	ck_assert_uint_eq(count.held, 1);
	ck_assert_uint_eq(count.messages, 1);
	ck_assert_str_eq(count.held_why, "NO_ROUTE");
}
END_TEST

START_TEST(bodies_come_from_the_store)
{
	char *large = mem_alloc(3000);

	with_broker();
	fx.conf->tasks.cache = 2000;
	memset(large, 'x', 2999);
	publish("small");
	publish(large);
	turn();
	connect_publisher(2);
	want_body(2, "small", NULL);
	want_body(2, large, NULL);
	free(large);
}
END_TEST

START_TEST(is_full)
{
	struct why why;
	struct buf parts;

	with_broker();
	connect_client(0, false);
	fx.conf->amqp.outbox_max = 2;
	publish("a");
	ck_assert_int_eq(outbox_would_add(&fx.hub, 1, 10, &why), HUB_OK);
	ck_assert_int_eq(outbox_would_add(&fx.hub, 2, 10, &why), HUB_FULL);
	fx.conf->amqp.outbox_bytes = 10;
	ck_assert_int_eq(outbox_would_add(&fx.hub, 1, 10, &why), HUB_FULL);
	ck_assert_ptr_nonnull(strstr(why.text, "amqp.outbox_bytes"));
	buf_init(&parts, 1 << 16);
	add_publish(&parts, "", "q", "b");
	commit(0, uid_make(), &parts);
	turn();
	want_fail(0, HUB_FULL);
	want_waiting_in_outbox(1);
	/* what an accepted call causes is never refused */
	publish("c");
	publish("d");
	want_waiting_in_outbox(3);
	buf_release(&parts);
}
END_TEST

/* What no broker takes would be held for ever. */
START_TEST(headers_are_bounded)
{
	static char large[70000];
	const struct {
		size_t n, name, value;
	} bad[] = { { CALL_MESSAGE_HEADERS + 1, 1, 1 },
		{ 1, CALL_NAME_BYTES + 1, 1 },
		{ 1, 1, CALL_MESSAGE_HEADER_BYTES } };
	struct msg_ATTR attr = { .what = CALL_HEADER };
	struct msg_PUBLISH said = *message("x");
	struct buf parts, attrs;

	with_broker();
	connect_client(0, false);
	memset(large, 'x', sizeof(large));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		buf_init(&parts, SIZE_MAX - 1);
		buf_init(&attrs, SIZE_MAX - 1);
		attr.name = (struct msg_bytes){ large, bad[i].name };
		attr.value = (struct msg_bytes){ large, bad[i].value };
		for (size_t n = 0; n < bad[i].n; n++)
			ck_assert_int_eq(msg_encode(&attrs, MSG_ATTR, 0, &attr),
			    0);
		said.uid = uid_make();
		said.attrs = bytes_of(&attrs);
		add_part(&parts, MSG_PUBLISH, &said);
		commit(0, uid_make(), &parts);
		turn();
		want_fail(0, HUB_BAD);
		buf_release(&parts);
		buf_release(&attrs);
	}
	want_waiting_in_outbox(0);
}
END_TEST

START_TEST(a_call_publishes)
{
	struct msg_PUBLISH publish = { .uid = uid_make(),
		.ttl_ms = -1,
		.key = msg_text("anything"),
		.mandatory = 1 };
	struct buf parts;

	with_broker();
	connect_client(0, false);
	connect_publisher(2);
	buf_init(&parts, 1 << 16);
	add_part(&parts, MSG_PUBLISH, &publish);
	commit(0, uid_make(), &parts);
	turn();
	want(0, MSG_DONE_OK);
	want_send(2, &publish);
	ck_assert(msg_is(publish.key, "anything"));
	want_counts(0, 0, 0);
	buf_clear(&parts);
	add_publish(&parts, "unheard", "of", "it");
	commit(0, uid_make(), &parts);
	turn();
	want_fail(0, HUB_NOT_FOUND);
	buf_release(&parts);
}
END_TEST

static const struct msg_BIND bind_more = {
	.on = 1,
	.queue = { "q", 1 },
	.exchange = { "x", 1 },
	.key = { "more", 4 },
};

START_TEST(bindings)
{
	struct letter *letter;
	struct buf parts;
	enum msg_id id;
	union msg msg;
	size_t at = 0;

	with_broker();
	reconfigure();
	fx.conf->exchange.v = mem_array(1, sizeof(*fx.conf->exchange.v));
	fx.conf->exchange.n = 1;
	fx.conf->exchange.v[0].name = mem_strdup("x");
	hub_begin();
	connect_client(0, false);
	connect_publisher(2);
	buf_init(&parts, 1 << 16);
	add_part(&parts, MSG_BIND, &bind_more);
	commit(0, uid_make(), &parts);
	turn();
	letter = want(2, MSG_SEND);
	ck_assert_int_eq(msg_part(letter->msg.SEND.what, &at, MSG_ID_BIT(BIND),
			     &id, &msg, NULL),
	    1);
	ck_assert(msg_is(msg.BIND.key, "more"));
	connect_amqp(3);
	turn();
	letter = want(3, MSG_BINDINGS);
	at = 0;
	ck_assert_int_eq(msg_part(letter->msg.BINDINGS.bindings, &at,
			     MSG_ID_BIT(BIND), &id, &msg, NULL),
	    1);
	ck_assert(msg_is(msg.BIND.exchange, "x"));
	ck_assert_uint_eq(msg.BIND.on, 1);
	buf_release(&parts);
}
END_TEST

static struct {
	int calls;
	enum sent_how how;
	char why[64];
} told;

static void
on_sent(void *ctx, enum sent_how how, const char *why)
{
	(void)ctx;
	told.calls++;
	told.how = how;
	snprintf(told.why, sizeof(told.why), "%s", why);
}

START_TEST(somebody_watches_one)
{
	const struct msg_PUBLISH *one;
	uint64_t seq, uid, handle;

	with_broker();
	connect_publisher(2);
	one = message("a");
	uid = one->uid;
	outbox_publish(&fx.hub, one);
	ck_assert_uint_eq(outbox_watch(&fx.hub, uid + 1, on_sent, NULL), 0);
	ck_assert_uint_ne(outbox_watch(&fx.hub, uid, on_sent, NULL), 0);
	handle = outbox_watch(&fx.hub, uid, on_sent, NULL);
	outbox_unwatch(&fx.hub, handle);
	turn();
	want_body(2, "a", &seq);
	say_sent(2, seq, SENT_RETURNED, "NO_ROUTE");
	ck_assert_int_eq(told.calls, 1);
	ck_assert_int_eq(told.how, SENT_RETURNED);
	ck_assert_str_eq(told.why, "NO_ROUTE");
}
END_TEST

START_TEST(many_come_and_go)
{
	struct outbox_count count;
	uint64_t held = 0, seq;
	char text[16];

	with_broker();
	connect_publisher(2);
	for (int i = 0; i < 3000; i++) {
		snprintf(text, sizeof(text), "%d", i);
		publish(text);
		turn();
		want_body(2, text, &seq);
		if (i == 0)
			say_sent(2, held = seq, SENT_HELD, "not now");
		else
			say_sent(2, seq, SENT_CONFIRMED, "");
		fx.client[2].read = 0;
		forget_letters(fx.client[2].in, &fx.client[2].ins);
	}
	turn();
	outbox_count(&fx.hub, &count);
	ck_assert_uint_eq(count.messages, 1);
	ck_assert_uint_eq(count.confirmed, 2999);
	killed();
	want_waiting_in_outbox(1);
	connect_publisher(2);
	ck_assert_uint_eq(want_send(2, NULL), held);
}
END_TEST

/* --- orders */

static char reported[128];

static void
on_report(void *ctx, const struct msg_REPORT *report, const char *why)
{
	(void)ctx;
	if (report != NULL)
		snprintf(reported, sizeof(reported), "%.*s",
		    (int)report->json.len, report->json.p);
	else
		snprintf(reported, sizeof(reported), "%s", why);
}

START_TEST(an_order_and_its_report)
{
	struct msg_ORDER order = { .what = ORDER_PURGE,
		.queue = msg_text("q") };
	struct msg_REPORT report = { .json = msg_text("{\"purged\":3}") };
	uint64_t handle;
	json_t *all;

	with_broker();
	ck_assert_uint_eq(broker_order(&fx.hub, &order,
			      fx.hub.now_ns + NS_PER_S, on_report, NULL),
	    0);
	ck_assert_str_eq(reported, "there is no amqp child");
	connect_publisher(2);
	handle = broker_order(&fx.hub, &order, fx.hub.now_ns + NS_PER_S,
	    on_report, NULL);
	ck_assert_uint_ne(handle, 0);
	turn();
	report.id = want(2, MSG_ORDER)->msg.ORDER.id;
	hub_on_REPORT(&fx.hub, &fx.client[2].peer, 0, &report);
	ck_assert_str_eq(reported, "{\"purged\":3}");
	/* once */
	reported[0] = '\0';
	hub_on_REPORT(&fx.hub, &fx.client[2].peer, 0, &report);
	ck_assert_str_eq(reported, "");
	handle = broker_order(&fx.hub, &order, fx.hub.now_ns + NS_PER_S,
	    on_report, NULL);
	broker_forget(&fx.hub, handle);
	broker_order(&fx.hub, &order, fx.hub.now_ns + NS_PER_S, on_report,
	    NULL);
	leave(2);
	ck_assert_str_eq(reported, "the amqp child has ended over it");
	connect_publisher(3);
	all = broker_report(&fx.hub);
	ck_assert_str_eq(json_string_value(
			     json_object_get(json_array_get(all, 0), "line")),
	    "all is well");
	json_decref(all);
}
END_TEST

/* --- requests */

static struct msg_PUBLISH question;

static uint64_t
ask(unsigned n)
{
	struct buf part;

	if (question.uid == 0)
		question = (struct msg_PUBLISH){ .uid = uid_make(),
			.key = msg_text("q"),
			.ttl_ms = -1 };
	buf_init(&part, 1 << 16);
	add_part(&part, MSG_PUBLISH, &question);
	hub_tick(&fx.hub);
	hub_on_REQUEST(&fx.hub, &fx.client[n].peer, ++fx.request,
	    &(struct msg_REQUEST){ .publish = bytes_of(&part),
		.deadline_ns = fx.hub.now_ns + 10 * NS_PER_S });
	buf_release(&part);
	return question.uid;
}

static void
answer(unsigned n, struct msg_ANSWER *msg)
{
	msg->uid = question.uid;
	hub_tick(&fx.hub);
	hub_on_ANSWER(&fx.hub, &fx.client[n].peer, ++fx.request, msg);
}

START_TEST(a_request_and_its_answer)
{
	struct msg_ANSWER yes = { .status = 201,
		.type = msg_text("text/plain"),
		.body = msg_text("yes") };
	const struct letter *letter;

	with_broker();
	connect_client(0, false);
	connect_publisher(2);
	ask(0);
	turn();
	letter = want(2, MSG_SEND);
	ck_assert_uint_eq(letter->msg.SEND.seq, 0);
	ck_assert_uint_eq(letter->msg.SEND.uid, question.uid);
	ck_assert_uint_eq(letter->msg.SEND.epoch, fx_epoch);
	answer(2, &yes);
	turn();
	want(2, MSG_OK);
	letter = want(0, MSG_RESULT);
	ck_assert_uint_eq(letter->msg.RESULT.status, 201);
	ck_assert(msg_is(letter->msg.RESULT.body, "yes"));
	ck_assert_int_eq(letter->msg.RESULT.outcome, BROOD_DONE);
	want_waiting_in_outbox(0);
}
END_TEST

START_TEST(a_request_that_fails)
{
	struct msg_ANSWER no = { .status = 422,
		.type = msg_text("application/problem+json"),
		.body = msg_text("{\"detail\":\"no such thing\"}") };
	const struct letter *letter;

	with_broker();
	connect_client(0, false);
	connect_publisher(2);
	ask(0);
	turn();
	want(2, MSG_SEND);
	answer(2, &no);
	turn();
	letter = want(0, MSG_RESULT);
	ck_assert_int_eq(letter->msg.RESULT.outcome, BROOD_REJECT);
	ck_assert_uint_eq(letter->msg.RESULT.status, 422);
	ck_assert(msg_is(letter->msg.RESULT.problem, "no such thing"));
	question.uid = 0;
	ask(0);
	no = (struct msg_ANSWER){ .code = HUB_UNROUTABLE,
		.why = msg_text("no queue") };
	answer(2, &no);
	turn();
	want_fail(0, HUB_UNROUTABLE);
}
END_TEST

START_TEST(a_request_waits_for_a_child)
{
	with_broker();
	connect_client(0, false);
	ask(0);
	turn();
	want_nothing(0);
	connect_publisher(2);
	ck_assert_uint_eq(want(2, MSG_SEND)->msg.SEND.uid, question.uid);
	/* once */
	say_link(2, fx_epoch, true, 50);
	turn();
	want_nothing(2);
	leave(2);
	turn();
	want_fail(0, HUB_GONE);
}
END_TEST

START_TEST(a_request_without_a_broker)
{
	with_broker();
	connect_client(0, false);
	ask(0);
	connect_amqp(2);
	turn();
	want(2, MSG_BINDINGS);
	want_nothing(0);
	say_link(2, 0, false, 0);
	turn();
	want_nothing(0);
	hub_on_LINK(&fx.hub, &fx.client[2].peer, 0,
	    &(struct msg_LINK){
		.json = msg_text("{\"trouble\":true,\"line\":\"away\"}") });
	turn();
	want_fail(0, HUB_GONE);
	ask(0);
	turn();
	want_fail(0, HUB_GONE);
	want_nothing(2);
}
END_TEST

START_TEST(a_request_and_a_dead_hub)
{
	struct msg_ANSWER yes = { .status = 200, .body = msg_text("yes") };

	with_broker();
	connect_client(0, false);
	connect_publisher(2);
	ask(0);
	turn();
	want(2, MSG_SEND);
	killed();
	connect_publisher(2);
	answer(2, &yes);
	connect_client(0, false);
	ask(0);
	turn();
	want(2, MSG_OK);
	ck_assert(msg_is(want(0, MSG_RESULT)->msg.RESULT.body, "yes"));
	want_nothing(2);
}
END_TEST

START_TEST(requests_that_are_refused)
{
	with_broker();
	connect_client(0, false);
	question = (struct msg_PUBLISH){ .uid = uid_make(),
		.exchange = msg_text("nowhere"),
		.ttl_ms = -1 };
	ask(0);
	fx.conf->tasks.max_waiting = 0;
	question = (struct msg_PUBLISH){ .uid = uid_make(), .ttl_ms = -1 };
	ask(0);
	turn();
	want_fail(0, HUB_NOT_FOUND);
	want_fail(0, HUB_FULL);
}
END_TEST

static void
add(TCase *tests)
{
	tcase_add_test(tests, is_sent_after_the_commit);
	tcase_add_test(tests, is_sent_again_as_it_was);
	tcase_add_test(tests, a_window_and_an_order);
	tcase_add_test(tests, blocked_for_a_while);
	tcase_add_test(tests, the_publisher_leaves);
	tcase_add_test(tests, held_ones_do_not_stop_the_others);
	tcase_add_test(tests, returned_by_a_queue_of_ours);
	tcase_add_test(tests, bodies_come_from_the_store);
	tcase_add_test(tests, is_full);
	tcase_add_test(tests, headers_are_bounded);
	tcase_add_test(tests, a_call_publishes);
	tcase_add_test(tests, bindings);
	tcase_add_test(tests, somebody_watches_one);
	tcase_add_test(tests, many_come_and_go);
	tcase_add_test(tests, an_order_and_its_report);
	tcase_add_test(tests, a_request_and_its_answer);
	tcase_add_test(tests, a_request_that_fails);
	tcase_add_test(tests, a_request_waits_for_a_child);
	tcase_add_test(tests, a_request_without_a_broker);
	tcase_add_test(tests, a_request_and_a_dead_hub);
	tcase_add_test(tests, requests_that_are_refused);
}

int
main(void)
{
	return run_work_suite("outbox", add);
}
