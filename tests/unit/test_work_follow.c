/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages: their queues, what a full or an old one means, how they end. */
#include "work_fixture.h"

static void
exchange_conf(size_t i, const char *name, int type)
{
	struct conf *conf = fx.conf;

	reconfigure();
	conf->exchange.v = realloc(conf->exchange.v,
	    (i + 1) * sizeof(*conf->exchange.v));
	conf->exchange.n = i + 1;
	conf->exchange.v[i] = (struct conf_exchange){
		.name = mem_strdup(name),
		.type = type,
	};
}

static void
bind_conf(size_t queue, const char *exchange, const char *key)
{
	struct conf_binds *bind = &fx.conf->queue.v[queue].bind;

	bind->v = realloc(bind->v, (bind->n + 1) * sizeof(*bind->v));
	bind->v[bind->n++] = (struct conf_bind){
		.exchange = mem_strdup(exchange),
		.key = mem_strdup(key),
	};
}

static void
replace(char **text, const char *with)
{
	reconfigure();
	free(*text);
	*text = mem_strdup(with);
}

/* Two queues on a fanout exchange, one for dead letters. */
static void
with_queues(void)
{
	exchange_conf(0, "all", CONF_EXCHANGE_FANOUT);
	exchange_conf(1, "dead", CONF_EXCHANGE_FANOUT);
	queue_conf(0, "one", "m.one");
	queue_conf(1, "two", "m.two");
	queue_conf(2, "letters", "");
	bind_conf(0, "all", "");
	bind_conf(1, "all", "");
	bind_conf(2, "dead", "");
}

static void
ready(void)
{
	reconfigured();
	connect_client(0, false);
}

static size_t
waiting_in(const char *queue)
{
	size_t waiting, queued, running;
	char *name = mem_printf("queue:%s", queue);

	lane_count(jobs_lane(work_jobs(&fx.hub), name), &waiting, &queued,
	    &running);
	free(name);
	return waiting + queued;
}

/* The body and the headers of the oldest message in a queue. */
static void
want_in(const char *queue, const char *body, const char *part)
{
	char *name = mem_printf("queue:%s", queue), *text;
	struct job *job = lane_first(jobs_lane(work_jobs(&fx.hub), name));
	struct stored_job stored;

	free(name);
	ck_assert_ptr_nonnull(job);
	ck_assert(store_find_job(fx.hub.store, job->uid, &stored));
	ck_assert_ptr_nonnull(
	    memmem(stored.submit, stored.submit_len, body, strlen(body)));
	text = memmem(stored.submit, stored.submit_len, part, strlen(part));
	ck_assert_msg(text != NULL, "%s is not in it", part);
	stored_job_release(&stored);
}

static const struct msg_RUN *
run_of(unsigned worker)
{
	const struct msg_RUN *run = &want(worker, MSG_RUN)->msg.RUN;

	show_call(worker, run->uid, run->attempt);
	return run;
}

START_TEST(each_queue_has_its_own)
{
	const struct msg_RUN *run;

	with_queues();
	ready();
	connect_worker(1);
	connect_worker(2);
	publish_to(0, "all", "key", "hello");
	turn();
	want(0, MSG_DONE_OK);
	for (unsigned i = 1; i <= 2; i++) {
		run = run_of(i);
		ck_assert_int_eq(run->door, DOOR_MESSAGE);
		ck_assert(msg_is(run->body, "hello"));
		ck_assert(msg_is(run->handler,
		    msg_is(run->path, "one") ? "m.one" : "m.two"));
		ck_assert_ptr_nonnull(
		    memmem(run->attrs.p, run->attrs.len, "routing_key", 11));
		done(i, run->uid, 1, NULL);
	}
	turn();
	want_counts(0, 0, 0);
}
END_TEST

START_TEST(waits_for_a_handler)
{
	with_queues();
	ready();
	connect_worker(1);
	publish_to(0, "dead", "", "hello");
	turn();
	want_nothing(1);
	ck_assert_uint_eq(waiting_in("letters"), 1);
	killed();
	connect_worker(1);
	turn();
	want_nothing(1);
	ck_assert_uint_eq(waiting_in("letters"), 1);
	/* the reload that names one */
	replace(&fx.conf->queue.v[2].handler, "m.late");
	reconfigured();
	connect_worker(1);
	turn();
	ck_assert(msg_is(run_of(1)->handler, "m.late"));
}
END_TEST

START_TEST(its_queue_is_gone)
{
	with_queues();
	ready();
	publish_to(0, "", "two", "hello");
	turn();
	replace(&fx.conf->queue.v[1].name, "other");
	reconfigured();
	connect_worker(1);
	turn();
	want_nothing(1);
	ck_assert_uint_eq(waiting_in("two"), 1);
}
END_TEST

START_TEST(is_dead_with_a_letter)
{
	with_queues();
	fx.conf->queue.v[0].max_attempts = 2;
	replace(&fx.conf->queue.v[0].dead_letter_exchange, "dead");
	ready();
	connect_worker(1);
	publish_to(0, "", "one", "hello");
	for (unsigned i = 1; i <= 2; i++) {
		turn();
		done_badly(1, run_of(1)->uid, i, BROOD_RETRY, 503, "not now");
		ck_assert_uint_eq(waiting_in("letters"), i - 1);
		later(10000);
		turn();
		want(1, MSG_OK);
	}
	ck_assert_uint_eq(waiting_in("letters"), 1);
	want_in("letters", "hello", "x-death-reason");
	want_in("letters", "not now", "x-death-attempts");
	want_counts(0, 1, 0);
}
END_TEST

START_TEST(is_rejected_with_a_letter)
{
	with_queues();
	replace(&fx.conf->queue.v[0].dead_letter_exchange, "dead");
	replace(&fx.conf->queue.v[0].dead_letter_key, "k");
	ready();
	connect_worker(1);
	publish_to(0, "", "one", "hello");
	turn();
	done_badly(1, run_of(1)->uid, 1, BROOD_REJECT, 422, "never");
	/* all of it or nothing */
	killed();
	ck_assert_uint_eq(waiting_in("letters"), 0);
	ck_assert_uint_eq(waiting_in("one") +
		(size_t)jobs_calls(work_jobs(&fx.hub)),
	    1);
	connect_worker(1);
	turn();
	done_badly(1, run_of(1)->uid, 1, BROOD_REJECT, 422, "never");
	turn();
	want_in("letters", "rejected", "never");
	want_counts(0, 1, 0);
}
END_TEST

START_TEST(is_kept_without_a_letter)
{
	uint64_t uid;

	with_queues();
	ready();
	connect_worker(1);
	publish_to(0, "", "one", "hello");
	turn();
	uid = run_of(1)->uid;
	done_badly(1, uid, 1, BROOD_REJECT, 422, "never");
	turn();
	want_state(uid, "failed", 1);
}
END_TEST

START_TEST(its_letter_finds_no_queue)
{
	uint64_t uid;

	with_queues();
	exchange_conf(2, "void", CONF_EXCHANGE_FANOUT);
	replace(&fx.conf->queue.v[0].dead_letter_exchange, "void");
	ready();
	connect_worker(1);
	publish_to(0, "", "one", "hello");
	turn();
	uid = run_of(1)->uid;
	done_badly(1, uid, 1, BROOD_REJECT, 422, "never");
	turn();
	want_state(uid, "failed", 1);
	ck_assert_uint_gt(effects_unroutable(&fx.hub), 0);
}
END_TEST

START_TEST(is_too_old)
{
	with_queues();
	fx.conf->queue.v[0].ttl = 5 * NS_PER_S;
	replace(&fx.conf->queue.v[0].dead_letter_exchange, "dead");
	ready();
	publish_to(0, "", "one", "hello");
	turn();
	ck_assert_uint_eq(waiting_in("one"), 1);
	later(6000);
	turn();
	ck_assert_uint_eq(waiting_in("one"), 0);
	want_in("letters", "hello", "expired");
}
END_TEST

START_TEST(a_full_queue_refuses)
{
	with_queues();
	fx.conf->queue.v[0].max_length = 2;
	ready();
	for (int i = 0; i < 2; i++) {
		publish_to(0, "", "one", "hello");
		turn();
		want(0, MSG_DONE_OK);
	}
	publish_to(0, "", "one", "hello");
	/* nor does the other one get it */
	publish_to(0, "all", "", "hello");
	turn();
	want_fail(0, HUB_FULL);
	want_fail(0, HUB_FULL);
	ck_assert_uint_eq(waiting_in("one"), 2);
	ck_assert_uint_eq(waiting_in("two"), 0);
}
END_TEST

START_TEST(two_at_once_are_one_too_many)
{
	struct buf parts;

	with_queues();
	fx.conf->queue.v[0].max_length = 1;
	ready();
	buf_init(&parts, 1 << 20);
	add_publish(&parts, "", "one", "a");
	add_publish(&parts, "", "one", "b");
	commit(0, uid_make(), &parts);
	turn();
	want_fail(0, HUB_FULL);
	ck_assert_uint_eq(waiting_in("one"), 0);
	buf_release(&parts);
}
END_TEST

START_TEST(a_full_queue_drops_its_head)
{
	with_queues();
	fx.conf->queue.v[0].max_length = 2;
	fx.conf->queue.v[0].overflow = CONF_OVERFLOW_DROP_HEAD;
	replace(&fx.conf->queue.v[0].dead_letter_exchange, "dead");
	ready();
	publish_to(0, "", "one", "first");
	publish_to(0, "", "one", "second");
	publish_to(0, "", "one", "third");
	turn();
	ck_assert_uint_eq(waiting_in("one"), 2);
	want_in("one", "second", "second");
	want_in("letters", "first", "maxlen");
}
END_TEST

/* Its dead letters come back to it: no end without care. */
START_TEST(a_full_queue_that_circles)
{
	with_queues();
	for (int i = 0; i < 2; i++) {
		fx.conf->queue.v[i].max_length = 2;
		fx.conf->queue.v[i].overflow = CONF_OVERFLOW_DROP_HEAD;
		replace(&fx.conf->queue.v[i].dead_letter_exchange, "all");
	}
	ready();
	for (int i = 0; i < 10; i++)
		publish_to(0, "all", "", "hello");
	turn();
	ck_assert_uint_le(waiting_in("one"), 4);
	ck_assert_uint_le(waiting_in("two"), 4);
}
END_TEST

START_TEST(priorities)
{
	struct msg_PUBLISH publish = {
		.key = msg_text("one"),
		.ttl_ms = -1,
	};
	struct buf parts;
	const char *bodies[] = { "low", "too high", "high" };
	const uint8_t priority[] = { 0, 200, 5 };

	with_queues();
	fx.conf->queue.v[0].max_priority = 5;
	ready();
	buf_init(&parts, 1 << 20);
	for (int i = 0; i < 3; i++) {
		publish.uid = uid_make();
		publish.body = msg_text(bodies[i]);
		publish.priority = priority[i];
		add_part(&parts, MSG_PUBLISH, &publish);
	}
	commit(0, uid_make(), &parts);
	turn();
	connect_worker(1);
	for (int i = 0; i < 3; i++) {
		const struct msg_RUN *run;

		turn();
		run = run_of(1);
		ck_assert(msg_is(run->body, bodies[(i + 1) % 3]));
		done(1, run->uid, 1, NULL);
		turn();
		want(1, MSG_OK);
	}
	buf_release(&parts);
}
END_TEST

START_TEST(a_limit_holds_for_queue_and_handler)
{
	struct msg_SUBMIT submit = { .handler = msg_text("m.one") };
	size_t by_state[JOB_STATE_COUNT];

	with_queues();
	fx.conf->limit.v = calloc(1, sizeof(*fx.conf->limit.v));
	fx.conf->limit.n = 1;
	fx.conf->limit.v[0] = (struct conf_limit){
		.handler = mem_strdup("m.one"),
		.concurrency = 1,
		.per = NS_PER_S,
		.timeout = 7 * NS_PER_S,
		.max_attempts = 9,
	};
	ready();
	publish_to(0, "", "one", "hello");
	publish_to(0, "", "one", "hello");
	submit_with(0, &submit);
	for (unsigned i = 1; i <= 3; i++)
		connect_worker(i);
	for (int i = 0; i < 3; i++) {
		turn();
		jobs_count(work_jobs(&fx.hub), by_state);
		ck_assert_uint_eq(by_state[JOB_RUNNING], 1);
		for (unsigned n = 1; n <= 3; n++) {
			struct letter *letter = received(n);

			if (letter == NULL || letter->id != MSG_RUN)
				continue;
			ck_assert_uint_eq(letter->msg.RUN.max_attempts, 9);
			ck_assert_int_eq(letter->msg.RUN.timeout_ns,
			    7 * NS_PER_S);
			done(n, letter->msg.RUN.uid, 1, NULL);
			turn();
			want(n, MSG_OK);
			break;
		}
	}
	want_counts(0, 0, 0);
}
END_TEST

START_TEST(replies)
{
	struct msg_PUBLISH publish = {
		.uid = uid_make(),
		.key = msg_text("one"),
		.reply_to = msg_text("letters"),
		.correlation_id = msg_text("c-17"),
		.ttl_ms = -1,
	};
	struct buf parts;
	uint64_t uid;

	with_queues();
	ready();
	connect_worker(1);
	buf_init(&parts, 1 << 20);
	add_part(&parts, MSG_PUBLISH, &publish);
	commit(0, uid_make(), &parts);
	turn();
	uid = run_of(1)->uid;
	done(1, uid, 1, NULL);
	turn();
	want_in("letters", "result", "c-17");
	buf_release(&parts);
}
END_TEST

START_TEST(replies_when_it_fails)
{
	struct msg_PUBLISH publish = {
		.uid = uid_make(),
		.key = msg_text("one"),
		.reply_to = msg_text("letters"),
		.correlation_id = msg_text("c-17"),
		.ttl_ms = -1,
	};
	struct buf parts;

	with_queues();
	ready();
	connect_worker(1);
	buf_init(&parts, 1 << 20);
	add_part(&parts, MSG_PUBLISH, &publish);
	commit(0, uid_make(), &parts);
	turn();
	done_badly(1, run_of(1)->uid, 1, BROOD_REJECT, 422, "never");
	turn();
	want_in("letters", "never", "application/problem+json");
	buf_release(&parts);
}
END_TEST

static void
add(TCase *tests)
{
	tcase_add_test(tests, each_queue_has_its_own);
	tcase_add_test(tests, waits_for_a_handler);
	tcase_add_test(tests, its_queue_is_gone);
	tcase_add_test(tests, is_dead_with_a_letter);
	tcase_add_test(tests, is_rejected_with_a_letter);
	tcase_add_test(tests, is_kept_without_a_letter);
	tcase_add_test(tests, its_letter_finds_no_queue);
	tcase_add_test(tests, is_too_old);
	tcase_add_test(tests, a_full_queue_refuses);
	tcase_add_test(tests, two_at_once_are_one_too_many);
	tcase_add_test(tests, a_full_queue_drops_its_head);
	tcase_add_test(tests, a_full_queue_that_circles);
	tcase_add_test(tests, priorities);
	tcase_add_test(tests, a_limit_holds_for_queue_and_handler);
	tcase_add_test(tests, replies);
	tcase_add_test(tests, replies_when_it_fails);
}

int
main(void)
{
	return run_work_suite("work_follow", add);
}
