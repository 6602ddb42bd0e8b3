/* SPDX-License-Identifier: BSD-2-Clause */
/* A broker's messages: once each, whoever dies. */
#include "broker_fixture.h"
#include "hub/dispatch_impl.h"
#include "hub/work_impl.h"

/* A worker (1) and an amqp child (2) that publishes. */
static void
all_here(void)
{
	with_broker();
	connect_worker(1);
	connect_publisher(2);
}

static struct buf effects;

static const struct buf *
one_more(void)
{
	buf_init(&effects, 1 << 16);
	add_incr(&effects, "n", 1);
	return &effects;
}

START_TEST(is_run_and_settled)
{
	const struct msg_RUN *run;
	uint32_t request;
	uint64_t uid;

	all_here();
	request = deliver(2, "a");
	turn();
	want_nothing(2);
	run = &want(1, MSG_RUN)->msg.RUN;
	uid = run->uid;
	ck_assert_int_eq(run->door, DOOR_MESSAGE);
	ck_assert_uint_eq(run->attempt, 1);
	ck_assert_uint_eq(run->max_attempts, 3);
	ck_assert(msg_is(run->handler, "m.h"));
	ck_assert(msg_is(run->path, "q"));
	ck_assert(msg_is(run->body, "the body"));
	ck_assert(!fx.hub.sync);
	done(1, uid, 1, NULL);
	ck_assert_msg(!fx.hub.sync, "nothing was caused that needs an fsync");
	turn();
	want(1, MSG_OK);
	want_settled(2, request, SETTLED_DONE);
	want_counts(0, 0, 0);
	want_waiting_in_outbox(0);
	ck_assert_uint_eq(seen_count(&fx.hub), 1);
}
END_TEST

START_TEST(is_known_when_it_is_done)
{
	uint32_t request;
	uint64_t uid;

	all_here();
	deliver(2, "a");
	turn();
	uid = want_run(1, 1);
	done(1, uid, 1, one_more());
	ck_assert_msg(fx.hub.sync, "what it caused is to be on the disk");
	turn();
	want(2, MSG_SETTLED);
	request = deliver(2, "a");
	turn();
	want_settled(2, request, SETTLED_SEEN);
	/* another attempt is another one, and so is one without an id */
	deliver_again(2, "a", 2);
	deliver(2, "");
	turn();
	want_counts(0, 1, 1);
	killed();
	connect_amqp(2);
	request = deliver(2, "a");
	turn();
	want(2, MSG_BINDINGS);
	want_settled(2, request, SETTLED_SEEN);
	want_number("n", 1);
	/* the worker has had no answer */
	connect_worker(1);
	done(1, uid, 1, &effects);
	turn();
	want(1, MSG_OK);
	want_number("n", 1);
	buf_release(&effects);
}
END_TEST

START_TEST(sent_back_by_an_operator)
{
	struct msg_PUBLISH publish = { .message_id = msg_text("a") };
	struct msg_DELIVER msg = { .attempt = 1 };
	struct buf attrs;

	all_here();
	deliver(2, "a");
	turn();
	done(1, want_run(1, 1), 1, NULL);
	turn();
	want(1, MSG_OK);
	want(2, MSG_SETTLED);
	buf_init(&attrs, 1 << 16);
	work_put_attr(&attrs, CALL_HEADER, RETRY_AGAIN, msg_text("1"));
	publish.attrs = bytes_of(&attrs);
	deliver_with(2, &publish, &msg);
	buf_release(&attrs);
	turn();
	want_run(1, 1);
}
END_TEST

START_TEST(twice_at_a_time)
{
	uint32_t first, second;
	uint64_t uid;

	all_here();
	first = deliver(2, "a");
	second = deliver(2, "a");
	turn();
	uid = want_run(1, 1);
	want_counts(0, 0, 1);
	done(1, uid, 1, NULL);
	turn();
	want_settled(2, first, SETTLED_DONE);
	want_settled(2, second, SETTLED_DONE);
}
END_TEST

START_TEST(without_deduplication)
{
	all_here();
	fx.conf->queue.v[0].deduplicate = false;
	deliver(2, "a");
	deliver(2, "a");
	turn();
	want_counts(0, 1, 1);
}
END_TEST

START_TEST(is_tried_again)
{
	struct msg_PUBLISH publish;
	uint32_t request;
	uint64_t seq;

	all_here();
	request = deliver(2, "a");
	turn();
	done_badly(1, want_run(1, 1), 1, BROOD_RETRY, 503, "not now");
	ck_assert(fx.hub.sync);
	turn();
	want(1, MSG_OK);
	want_settled(2, request, SETTLED_RETRY);
	seq = want_send(2, &publish);
	ck_assert(msg_is(publish.exchange, ""));
	ck_assert_msg(msg_is(publish.key, "q.retry.1s"), "%.*s",
	    (int)publish.key.len, publish.key.p);
	ck_assert(msg_is(publish.message_id, "a"));
	ck_assert(msg_is(publish.body, "the body"));
	ck_assert_str_eq(header_of(&publish, RETRY_ATTEMPT), "2");
	ck_assert_ptr_null(header_of(&publish, "x-death-reason"));
	say_sent(2, seq, SENT_CONFIRMED, "");
	turn();
	want_waiting_in_outbox(0);
}
END_TEST

START_TEST(keeps_its_first_key)
{
	struct msg_PUBLISH publish = {
		.exchange = msg_text("topics"),
		.key = msg_text("one.two"),
		.message_id = msg_text("a"),
		.reply_to = msg_text("answers"),
	}, sent;
	struct msg_DELIVER msg = { .attempt = 1 };
	struct msg_bytes value;
	const struct msg_RUN *run;

	all_here();
	deliver_with(2, &publish, &msg);
	turn();
	done_badly(1, want_run(1, 1), 1, BROOD_RETRY, 503, "not now");
	turn();
	want(2, MSG_SETTLED);
	want_send(2, &sent);
	ck_assert_str_eq(header_of(&sent, RETRY_EXCHANGE), "topics");
	ck_assert_str_eq(header_of(&sent, RETRY_KEY), "one.two");
	ck_assert(msg_is(sent.reply_to, "answers"));
	/* as it comes back */
	sent.key = msg_text("q");
	msg.attempt = 2;
	msg.uid = 0;
	deliver_with(2, &sent, &msg);
	turn();
	want(1, MSG_OK);
	run = &want(1, MSG_RUN)->msg.RUN;
	ck_assert_uint_eq(run->attempt, 2);
	ck_assert(msg_attr(run->attrs, CALL_PROPERTY, "exchange", &value));
	ck_assert(msg_is(value, "topics"));
	ck_assert(msg_attr(run->attrs, CALL_PROPERTY, "routing_key", &value));
	ck_assert(msg_is(value, "one.two"));
	ck_assert(!msg_attr(run->attrs, CALL_HEADER, RETRY_ATTEMPT, &value));
}
END_TEST

START_TEST(a_poison_dies_of_its_last_attempt)
{
	struct msg_PUBLISH publish;
	uint32_t request;

	all_here();
	for (unsigned attempt = 1; attempt <= 3; attempt++) {
		request = deliver_again(2, "a", attempt);
		turn();
		want_run(1, attempt);
		die(1, SIGSEGV);
		leave(1);
		turn();
		want_settled(2, request,
		    attempt < 3 ? SETTLED_RETRY : SETTLED_DEAD);
		want_send(2, &publish);
		connect_worker(1);
	}
	ck_assert(msg_is(publish.exchange, ""));
	ck_assert(msg_is(publish.key, "q.dead"));
	ck_assert(msg_is(publish.body, "the body"));
	ck_assert_str_eq(header_of(&publish, "x-death-reason"), "dead");
	ck_assert_str_eq(header_of(&publish, "x-death-signal"), "SIGSEGV");
	ck_assert_str_eq(header_of(&publish, "x-death-attempts"), "3");
	ck_assert_str_eq(header_of(&publish, "x-death-queue"), "q");
	ck_assert_ptr_nonnull(header_of(&publish, "x-death-time"));
	ck_assert_ptr_nonnull(header_of(&publish, "x-death-host"));
	ck_assert_ptr_null(header_of(&publish, RETRY_ATTEMPT));
	want_counts(0, 0, 0);
}
END_TEST

START_TEST(rejected_goes_where_the_queue_says)
{
	struct msg_PUBLISH publish;
	uint32_t request;

	all_here();
	free(fx.conf->queue.v[0].dead_letter_exchange);
	fx.conf->queue.v[0].dead_letter_exchange = mem_strdup("graves");
	request = deliver(2, "a");
	turn();
	done_badly(1, want_run(1, 1), 1, BROOD_REJECT, 422, "no such thing");
	turn();
	want_settled(2, request, SETTLED_DEAD);
	want_send(2, &publish);
	ck_assert(msg_is(publish.exchange, "graves"));
	ck_assert(msg_is(publish.key, "q"));
	ck_assert_str_eq(header_of(&publish, "x-death-reason"), "rejected");
	ck_assert_str_eq(header_of(&publish, "x-death-detail"),
	    "no such thing");
	ck_assert_ptr_null(header_of(&publish, "x-death-signal"));
}
END_TEST

START_TEST(an_unknown_handler)
{
	struct msg_PUBLISH publish;

	all_here();
	deliver(2, "a");
	turn();
	done_badly(1, want_run(1, 1), 1, BROOD_REJECT, 501, "no such handler");
	turn();
	want(2, MSG_SETTLED);
	want_send(2, &publish);
	ck_assert_str_eq(header_of(&publish, "x-death-reason"), "dead");
}
END_TEST

START_TEST(what_is_no_message_to_us)
{
	struct msg_PUBLISH publish = { .message_id = msg_text("a") }, sent;
	struct msg_DELIVER msg = { .refused = msg_text("headers of a mile") };
	uint32_t request;

	all_here();
	request = deliver_with(2, &publish, &msg);
	turn();
	want_settled(2, request, SETTLED_DEAD);
	want_send(2, &sent);
	ck_assert(msg_is(sent.key, "q.dead"));
	ck_assert_str_eq(header_of(&sent, "x-death-reason"), "undecodable");
	ck_assert_str_eq(header_of(&sent, "x-death-detail"),
	    "headers of a mile");
	want_nothing(1);
	request = deliver_with(2, &publish, &msg);
	turn();
	want_settled(2, request, SETTLED_SEEN);
}
END_TEST

START_TEST(nonsense_is_refused)
{
	struct msg_PUBLISH publish = { .message_id = msg_text("a") };
	struct msg_DELIVER msg = { .queue = msg_text("another") };

	all_here();
	connect_client(0, false);
	deliver_with(2, &publish, &msg);
	deliver(0, "a");
	hub_on_DELIVER(&fx.hub, &fx.client[2].peer, ++fx.request,
	    &(struct msg_DELIVER){
		.uid = 1,
		.queue = msg_text("q"),
		.publish = msg_text("garbage"),
	    });
	turn();
	want_fail(2, HUB_NOT_FOUND);
	want_fail(2, HUB_BAD);
	want_fail(0, HUB_BAD);
	want_counts(0, 0, 0);
}
END_TEST

START_TEST(there_is_a_bound)
{
	with_broker();
	connect_publisher(2);
	fx.conf->tasks.max_waiting = 2;
	deliver(2, "a");
	deliver(2, "b");
	deliver(2, "c");
	turn();
	want_fail(2, HUB_FULL);
	/* but one that is here already */
	deliver(2, "a");
	turn();
	want_nothing(2);
	want_counts(0, 2, 0);
}
END_TEST

START_TEST(too_large_to_be_passed_on)
{
	struct msg_PUBLISH publish = { .message_id = msg_text("a") };
	struct msg_DELIVER msg = { .attempt = 1 };
	char *body = mem_alloc(200000);

	all_here();
	fx.conf->hub.max_message = 100000;
	publish.body = (struct msg_bytes){ body, 90000 };
	deliver_with(2, &publish, &msg);
	turn();
	want_fail(2, HUB_TOO_LARGE);
	free(body);
}
END_TEST

START_TEST(the_disk_is_full)
{
	all_here();
	fx.conf->hub.min_free = SIZE_MAX / 4;
	reconfigured();
	connect_publisher(2);
	deliver(2, "a");
	turn();
	want_fail(2, HUB_NO_SPACE);
}
END_TEST

/* --- effects */

START_TEST(its_effects_find_no_room)
{
	struct buf parts;
	uint32_t request;
	uint64_t uid;

	all_here();
	fx.conf->amqp.outbox_max = 0;
	buf_init(&parts, 1 << 16);
	add_publish(&parts, "", "q", "more");
	request = deliver(2, "a");
	turn();
	uid = want_run(1, 1);
	done(1, uid, 1, &parts);
	turn();
	want_fail(1, HUB_FULL);
	want_nothing(2);
	want_counts(1, 0, 0);
	later(2000);
	turn();
	fx.conf->amqp.outbox_max = 10;
	ck_assert_uint_eq(want_run(1, 1), uid);
	done(1, uid, 1, &parts);
	turn();
	want_settled(2, request, SETTLED_DONE);
	want_send(2, NULL);
	buf_release(&parts);
}
END_TEST

START_TEST(its_effects_make_no_sense)
{
	struct msg_PUBLISH publish;
	struct buf parts;

	all_here();
	buf_init(&parts, 1 << 16);
	add_incr(&parts, "n", 1);
	add_publish(&parts, "nowhere", "q", "more");
	deliver(2, "a");
	turn();
	done(1, want_run(1, 1), 1, &parts);
	turn();
	want_fail(1, HUB_NOT_FOUND);
	want(2, MSG_SETTLED);
	want_send(2, &publish);
	ck_assert(msg_is(publish.key, "q.dead"));
	want_number("n", 0);
	buf_release(&parts);
}
END_TEST

START_TEST(what_it_relied_on_has_changed)
{
	struct msg_EXPECT expect = { .key = msg_text("n"), .version = 77 };
	struct buf parts;
	uint64_t uid;

	all_here();
	buf_init(&parts, 1 << 16);
	add_part(&parts, MSG_EXPECT, &expect);
	deliver(2, "a");
	turn();
	uid = want_run(1, 1);
	done(1, uid, 1, &parts);
	turn();
	want_fail(1, HUB_CONFLICT);
	/* at once, and as the same attempt */
	ck_assert_uint_eq(want_run(1, 1), uid);
	want_nothing(2);
	buf_release(&parts);
}
END_TEST

START_TEST(replies)
{
	struct msg_PUBLISH publish = {
		.message_id = msg_text("a"),
		.reply_to = msg_text("amq.rabbitmq.reply-to.g1h2AA"),
		.correlation_id = msg_text("42"),
	}, sent;
	struct msg_DELIVER msg = { .attempt = 1 };

	all_here();
	deliver_with(2, &publish, &msg);
	turn();
	done(1, want_run(1, 1), 1, NULL);
	ck_assert_msg(!fx.hub.sync, "an answer to one who waits");
	turn();
	want(1, MSG_OK);
	want(2, MSG_SETTLED);
	want_send(2, &sent);
	ck_assert(msg_is(sent.key, "amq.rabbitmq.reply-to.g1h2AA"));
	ck_assert(msg_is(sent.correlation_id, "42"));
	ck_assert(msg_is(sent.body, "result"));
	ck_assert_str_eq(header_of(&sent, RETRY_STATUS), "200");
	/* and when it fails, of which there is a dead letter too */
	publish.message_id = msg_text("b");
	msg = (struct msg_DELIVER){ .attempt = 1 };
	deliver_with(2, &publish, &msg);
	turn();
	done_badly(1, want_run(1, 1), 1, BROOD_REJECT, 422, "no");
	turn();
	want(2, MSG_SETTLED);
	want_send(2, &sent);
	ck_assert(msg_is(sent.type, "application/problem+json"));
	ck_assert_str_eq(header_of(&sent, RETRY_STATUS), "422");
	want_send(2, &sent);
	ck_assert(msg_is(sent.key, "q.dead"));
}
END_TEST

/* While more is here, a message that causes nothing is committed later. */
START_TEST(commits_are_put_off)
{
	uint32_t first, second;
	uint64_t uid;

	all_here();
	first = deliver(2, "a");
	second = deliver(2, "b");
	deliver(2, "c");
	deliver(2, "d");
	turn();
	uid = want_run(1, 1);
	done(1, uid, 1, NULL);
	turn();
	uid = want_run(1, 1);
	want_nothing(2);
	ck_assert(seen_is_fresh(&fx.hub));
	/* nor is it said that it was seen */
	deliver(2, "a");
	turn();
	want_nothing(2);
	/* what is to be committed takes it along */
	done(1, uid, 1, one_more());
	turn();
	want_run(1, 1);
	want(1, MSG_OK);
	want(1, MSG_OK);
	want_settled(2, first, SETTLED_DONE);
	want(2, MSG_SETTLED);
	want_settled(2, second, SETTLED_DONE);
	ck_assert(!seen_is_fresh(&fx.hub));
	buf_release(&effects);
}
END_TEST

START_TEST(not_for_long)
{
	uint32_t request;

	all_here();
	request = deliver(2, "a");
	deliver(2, "b");
	deliver(2, "c");
	turn();
	done(1, want_run(1, 1), 1, NULL);
	turn();
	want_nothing(2);
	later(2);
	turn();
	want_settled(2, request, SETTLED_DONE);
	ck_assert(!seen_is_fresh(&fx.hub));
}
END_TEST

START_TEST(what_was_put_off_runs_again)
{
	uint64_t uid;

	all_here();
	deliver(2, "a");
	deliver(2, "b");
	deliver(2, "c");
	turn();
	uid = want_run(1, 1);
	done(1, uid, 1, NULL);
	turn();
	killed();
	/* the worker has had no answer either, and brings it again */
	connect_worker(1);
	done(1, uid, 1, NULL);
	connect_publisher(2);
	deliver(2, "a");
	turn();
	want(1, MSG_OK);
	want(2, MSG_SETTLED);
}
END_TEST

/* --- deaths */

START_TEST(the_hub_dies_while_it_runs)
{
	uint32_t request;
	uint64_t uid;

	all_here();
	deliver(2, "a");
	turn();
	uid = want_run(1, 1);
	killed();
	/* DELIVER, then DONE */
	connect_amqp(2);
	request = deliver(2, "a");
	turn();
	want(2, MSG_BINDINGS);
	want_counts(0, 0, 1);
	connect_worker(1);
	turn();
	want_nothing(1);
	done(1, uid, 1, one_more());
	turn();
	want(1, MSG_OK);
	want_settled(2, request, SETTLED_DONE);
	want_number("n", 1);
	buf_release(&effects);
}
END_TEST

START_TEST(its_end_comes_first)
{
	uint32_t request;
	uint64_t uid;

	all_here();
	deliver(2, "a");
	turn();
	uid = want_run(1, 1);
	killed();
	connect_worker(1);
	done(1, uid, 1, one_more());
	turn();
	want_nothing(1);
	connect_amqp(2);
	request = deliver(2, "a");
	turn();
	want(1, MSG_OK);
	want(2, MSG_BINDINGS);
	want_settled(2, request, SETTLED_DONE);
	want_number("n", 1);
	buf_release(&effects);
}
END_TEST

START_TEST(its_end_comes_and_nobody_asks)
{
	uint64_t uid;

	all_here();
	deliver(2, "a");
	turn();
	uid = want_run(1, 1);
	killed();
	connect_worker(1);
	done(1, uid, 1, one_more());
	call_unpark(&fx.hub);
	turn();
	want_fail(1, HUB_STALE);
	want_number("n", 0);
	connect_amqp(2);
	deliver(2, "a");
	turn();
	ck_assert_uint_eq(want_run(1, 1), uid);
	buf_release(&effects);
}
END_TEST

START_TEST(the_child_dies)
{
	uint32_t request;
	uint64_t uid;

	all_here();
	deliver(2, "a");
	deliver(2, "b");
	turn();
	uid = want_run(1, 1);
	want_counts(0, 1, 1);
	leave(2);
	turn();
	want_counts(0, 0, 1);
	done(1, uid, 1, one_more());
	turn();
	want(1, MSG_OK);
	connect_amqp(3);
	request = deliver(3, "a");
	deliver(3, "b");
	turn();
	want(3, MSG_BINDINGS);
	want_settled(3, request, SETTLED_SEEN);
	want_number("n", 1);
	want_run(1, 1);
	buf_release(&effects);
}
END_TEST

START_TEST(the_child_dies_and_its_message_joins)
{
	uint32_t request;
	uint64_t uid;

	all_here();
	deliver(2, "a");
	turn();
	uid = want_run(1, 1);
	leave(2);
	connect_amqp(3);
	request = deliver(3, "a");
	turn();
	want_counts(0, 0, 1);
	done(1, uid, 1, NULL);
	turn();
	want(3, MSG_BINDINGS);
	want_settled(3, request, SETTLED_DONE);
}
END_TEST

START_TEST(child_and_worker_die)
{
	struct msg_PUBLISH publish;
	uint32_t request;

	all_here();
	deliver(2, "a");
	turn();
	want_run(1, 1);
	leave(2);
	die(1, SIGKILL);
	leave(1);
	turn();
	connect_publisher(3);
	want_send(3, &publish);
	ck_assert_str_eq(header_of(&publish, RETRY_ATTEMPT), "2");
	request = deliver(3, "a");
	turn();
	want_settled(3, request, SETTLED_SEEN);
}
END_TEST

/* Nobody would know it when it is delivered again: so it is that which runs. */
START_TEST(child_and_worker_die_without_an_id)
{
	all_here();
	deliver(2, "");
	turn();
	want_run(1, 1);
	leave(2);
	die(1, SIGKILL);
	leave(1);
	turn();
	want_counts(0, 0, 0);
	want_waiting_in_outbox(0);
}
END_TEST

START_TEST(hub_and_worker_die)
{
	uint64_t uid;

	all_here();
	deliver(2, "a");
	turn();
	uid = want_run(1, 1);
	die(1, SIGKILL);
	killed();
	connect_amqp(2);
	deliver(2, "a");
	connect_worker(3);
	turn();
	ck_assert_uint_eq(want_run(3, 1), uid);
}
END_TEST

START_TEST(a_worker_that_has_not_begun)
{
	uint64_t uid;

	all_here();
	deliver(2, "a");
	turn();
	uid = want(1, MSG_RUN)->msg.RUN.uid;
	die(1, SIGKILL);
	leave(1);
	connect_worker(3);
	turn();
	ck_assert_uint_eq(want_run(3, 1), uid);
	want_waiting_in_outbox(0);
}
END_TEST

START_TEST(the_key_is_kept)
{
	uint64_t uid;

	all_here();
	deliver(2, "a");
	turn();
	uid = want_run(1, 1);
	reconfigured();
	connect_amqp(2);
	deliver(2, "a");
	turn();
	ck_assert_ptr_nonnull(jobs_find(work_jobs(&fx.hub), uid));
}
END_TEST

/* --- orders */

START_TEST(cancelled_while_it_waits)
{
	struct job *job;
	uint32_t request;

	with_broker();
	connect_publisher(2);
	request = deliver(2, "a");
	turn();
	job = lane_first(work_queue_lane(&fx.hub, 0));
	ck_assert_int_eq(work_cancel(&fx.hub, job->uid), HUB_OK);
	turn();
	want_settled(2, request, SETTLED_DEAD);
	want_waiting_in_outbox(0);
}
END_TEST

START_TEST(cancelled_while_it_runs)
{
	uint32_t request;
	uint64_t uid;

	all_here();
	request = deliver(2, "a");
	turn();
	uid = want_run(1, 1);
	ck_assert_int_eq(work_cancel(&fx.hub, uid), HUB_OK);
	turn();
	ck_assert(board_is_cancelled(fx.child.board, 1, uid));
	want_state(uid, "running", 1);
	done_badly(1, uid, 1, BROOD_RETRY, 503, "it was told to");
	turn();
	want_settled(2, request, SETTLED_DEAD);
	want_waiting_in_outbox(0);
}
END_TEST

/* Two milliseconds; whether anybody looks after them at what takes long. */
static void
look_at_long_ones(void)
{
	struct dispatch *dispatch = fx.hub.dispatch;

	later(2);
	hub_tick(&fx.hub);
	ck_assert(loop_timer_is_set(&dispatch->recall));
	loop_timer_cancel(fx.hub.loop, &dispatch->recall);
	dispatch_on_recall(&fx.hub);
	turn();
}

/* The worker is slow to begin, and what is behind the first one is recalled in
 * just that moment: neither knows of the other. */
START_TEST(behind_a_long_one_that_begins_late)
{
	uint64_t first, second;

	all_here();
	for (int i = 0; i < 200; i++)
		lane_took(work_queue_lane(&fx.hub, 0), 0);
	deliver(2, "a");
	deliver(2, "b");
	turn();
	first = want(1, MSG_RUN)->msg.RUN.uid;
	second = want(1, MSG_RUN)->msg.RUN.uid;
	look_at_long_ones();
	connect_worker(3);
	turn();
	want_nothing(3);
	show_call(1, first, 1);
	look_at_long_ones();
	ck_assert_uint_eq(want_run(3, 1), second);
	ck_assert(!loop_timer_is_set(&fx.hub.dispatch->recall));
}
END_TEST

START_TEST(runs_by_its_priority)
{
	struct msg_PUBLISH publish = { .message_id = msg_text("b"),
		.priority = 5 };
	struct msg_DELIVER msg = { .attempt = 1 };
	struct msg_bytes value;
	const struct msg_RUN *run;

	with_broker();
	connect_publisher(2);
	deliver(2, "a");
	deliver_with(2, &publish, &msg);
	turn();
	connect_worker(1);
	turn();
	run = &want(1, MSG_RUN)->msg.RUN;
	ck_assert(msg_attr(run->attrs, CALL_PROPERTY, "message_id", &value));
	ck_assert(msg_is(value, "b"));
}
END_TEST

static void
add(TCase *tests)
{
	tcase_add_test(tests, is_run_and_settled);
	tcase_add_test(tests, is_known_when_it_is_done);
	tcase_add_test(tests, sent_back_by_an_operator);
	tcase_add_test(tests, twice_at_a_time);
	tcase_add_test(tests, without_deduplication);
	tcase_add_test(tests, is_tried_again);
	tcase_add_test(tests, keeps_its_first_key);
	tcase_add_test(tests, a_poison_dies_of_its_last_attempt);
	tcase_add_test(tests, rejected_goes_where_the_queue_says);
	tcase_add_test(tests, an_unknown_handler);
	tcase_add_test(tests, what_is_no_message_to_us);
	tcase_add_test(tests, nonsense_is_refused);
	tcase_add_test(tests, there_is_a_bound);
	tcase_add_test(tests, too_large_to_be_passed_on);
	tcase_add_test(tests, the_disk_is_full);
	tcase_add_test(tests, its_effects_find_no_room);
	tcase_add_test(tests, its_effects_make_no_sense);
	tcase_add_test(tests, what_it_relied_on_has_changed);
	tcase_add_test(tests, replies);
	tcase_add_test(tests, commits_are_put_off);
	tcase_add_test(tests, not_for_long);
	tcase_add_test(tests, what_was_put_off_runs_again);
	tcase_add_test(tests, the_hub_dies_while_it_runs);
	tcase_add_test(tests, its_end_comes_first);
	tcase_add_test(tests, its_end_comes_and_nobody_asks);
	tcase_add_test(tests, the_child_dies);
	tcase_add_test(tests, the_child_dies_and_its_message_joins);
	tcase_add_test(tests, child_and_worker_die);
	tcase_add_test(tests, child_and_worker_die_without_an_id);
	tcase_add_test(tests, hub_and_worker_die);
	tcase_add_test(tests, a_worker_that_has_not_begun);
	tcase_add_test(tests, the_key_is_kept);
	tcase_add_test(tests, cancelled_while_it_waits);
	tcase_add_test(tests, cancelled_while_it_runs);
	tcase_add_test(tests, runs_by_its_priority);
	tcase_add_test(tests, behind_a_long_one_that_begins_late);
}

int
main(void)
{
	return run_work_suite("delivery", add);
}
