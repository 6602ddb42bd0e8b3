/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Publishing, with a broker, a hub and a link that are played here: what is
 * asked of each of them is written down as a line of text.
 */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/publish_impl.h"
#include "amqp/status.h"
#include "amqp/topology.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "core/call.h"
#include "core/retry.h"
#include "run_suite.h"

static struct amqp amqp;
static struct loop loop;
static struct conf *conf;
static struct publish *publish;
static struct link *the_link;
static char said[16384]; /* by publish, a word each */
static uint64_t published;
static bool failing; /* link_fail() was called */
static char correlation[64];
/* what the broker is to say next */
static enum rabbit_result bind_result, key_result;
static const char *exchange_fault;
static bool key_known;

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void
say(const char *format, ...)
{
	size_t len = strlen(said);
	va_list ap;

	va_start(ap, format);
	vsnprintf(said + len, sizeof(said) - len, format, ap);
	va_end(ap);
	strncat(said, " ", sizeof(said) - strlen(said) - 1);
}

/* ------------------------------------------------------------ the others */

void
link_init(struct link *link, struct amqp *of, const struct link_owner *owner,
    void *ctx)
{
	*link = (struct link){ .amqp = of, .owner = owner, .ctx = ctx };
	the_link = link;
}

void
link_start(struct link *link)
{
	(void)link;
}

void
link_stop(struct link *link)
{
	(void)link;
}

void
link_fail(struct link *link, const char *format, ...)
{
	(void)link;
	(void)format;
	failing = true;
}

enum rabbit_result
topology_declare(struct topology *topology, struct rabbit *rabbit,
    struct why *why)
{
	(void)topology;
	(void)rabbit;
	(void)why;
	say("declare");
	return RABBIT_OK;
}

void
topology_forget_keys(struct topology *topology)
{
	(void)topology;
	key_known = false;
}

bool
topology_knows_key(const struct topology *topology, struct msg_bytes key)
{
	(void)topology;
	return key_known || !msg_is(key, "q.retry.4s");
}

enum rabbit_result
topology_declare_key(struct topology *topology, struct rabbit *rabbit,
    struct msg_bytes key, struct why *why)
{
	(void)topology;
	(void)rabbit;
	(void)key;
	say("key");
	key_known = key_result == RABBIT_OK;
	why_set(why, "it says no");
	return key_result;
}

const char *
topology_exchange_fault(const struct topology *topology,
    struct msg_bytes exchange)
{
	(void)topology;
	return msg_is(exchange, "bad") ? exchange_fault : NULL;
}

const char *
topology_queue_fault(const struct topology *topology, size_t queue)
{
	(void)topology;
	(void)queue;
	return NULL;
}

bool
topology_is_bound(const struct topology *topology)
{
	(void)topology;
	return true;
}

void
topology_on_bind(struct topology *topology, const struct msg_BIND *bind)
{
	(void)topology;
	(void)bind;
	say("bound");
}

enum rabbit_result
rabbit_confirms(struct rabbit *rabbit, unsigned *code, struct why *why)
{
	(void)rabbit;
	(void)code;
	(void)why;
	published = 0;
	return RABBIT_OK;
}

enum rabbit_result
rabbit_consume(struct rabbit *rabbit, const char *queue, const char *tag,
    unsigned prefetch, bool no_ack, unsigned *code, struct why *why)
{
	(void)rabbit;
	(void)prefetch;
	(void)code;
	(void)why;
	ck_assert_str_eq(queue, DIRECT_REPLY_TO);
	ck_assert_str_eq(tag, REQUEST_TAG);
	ck_assert(no_ack);
	return RABBIT_OK;
}

enum rabbit_result
rabbit_bind(struct rabbit *rabbit, const char *queue, const char *exchange,
    struct msg_bytes key, bool on, bool wait, unsigned *code, struct why *why)
{
	(void)rabbit;
	(void)queue;
	(void)exchange;
	(void)key;
	ck_assert(wait);
	*code = 404;
	why_set(why, "no such thing");
	say(on ? "bind" : "unbind");
	return bind_result;
}

int
rabbit_publish(struct rabbit *rabbit, const struct msg_PUBLISH *message,
    bool transient, uint64_t *number, struct why *why)
{
	(void)rabbit;
	ck_assert_uint_eq(message->mandatory,
	    !msg_is(message->key, DIRECT_ADDRESS "abc"));
	if (msg_is(message->key, "unsendable"))
		return why_set(why, "too many headers");
	*number = ++published;
	if (msg_is(message->reply_to, DIRECT_REPLY_TO))
		snprintf(correlation, sizeof(correlation), "%.*s",
		    (int)message->correlation_id.len,
		    message->correlation_id.p);
	say("%s:%.*s", transient ? "ask" : "pub", (int)message->key.len,
	    message->key.p);
	return 0;
}

void
status_changed(struct status *status)
{
	(void)status;
}

json_t *
status_json(struct status *status)
{
	(void)status;
	return json_object();
}

void
hub_note(struct hub_client *client, enum msg_id id, const void *msg)
{
	const struct msg_LINK *link = msg;
	const struct msg_SENT *sent = msg;
	enum msg_id part;
	union msg one;
	size_t at = 0;

	(void)client;
	if (id == MSG_LINK) {
		say("link:%u:%u", link->epoch, link->publishing);
		return;
	}
	ck_assert_int_eq(id, MSG_SENT);
	say("sent:%u", sent->epoch);
	while (msg_part(sent->all, &at, MSG_ID_BIT(SENT_ONE), &part, &one,
		   NULL) == 1)
		say("%" PRIu64 "%c", one.SENT_ONE.seq, "crh"[one.SENT_ONE.how]);
}

uint32_t
hub_send(struct hub_client *client, enum msg_id id, const void *msg,
    int64_t deadline_ns, hub_reply_fn *fn, void *ctx)
{
	const struct msg_ANSWER *answer = msg;

	(void)client;
	(void)deadline_ns;
	(void)fn;
	(void)ctx;
	ck_assert_int_eq(id, MSG_ANSWER);
	say("answer:%" PRIu64 ":%s:%.*s", answer->uid,
	    hub_code_name(answer->code), (int)answer->body.len, answer->body.p);
	return 1;
}

/* --------------------------------------------------------------- the test */

static void
set_up(void)
{
	conf = conf_defaults();
	ck_assert_int_eq(loop_init(&loop), 0);
	amqp = (struct amqp){ .conf = conf, .loop = &loop };
	publish = publish_new(&amqp);
	amqp.publish = publish;
	said[0] = '\0';
	bind_result = key_result = RABBIT_OK;
	exchange_fault = NULL;
	key_known = failing = false;
}

static void
tear_down(void)
{
	publish_free(publish);
	loop_release(&loop);
	conf_free(conf);
}

static void
want(const char *text)
{
	ck_assert_str_eq(said, text);
	said[0] = '\0';
}

static void
turn(void)
{
	the_link->owner->turn(publish);
}

static void
up(void)
{
	struct why why;

	ck_assert_int_eq(the_link->owner->up(publish, NULL, &why), RABBIT_OK);
	the_link->up = true;
	turn();
}

static void
event(const struct rabbit_event *said_by_broker)
{
	the_link->owner->event(publish, said_by_broker);
	turn();
	if (failing) {
		failing = false;
		the_link->up = false;
		the_link->owner->down(publish, "failed");
	}
}

static void
send_part(uint32_t epoch, uint64_t seq, uint64_t uid, enum msg_id id,
    const void *part)
{
	struct buf what;

	buf_init(&what, 65536);
	msg_encode(&what, id, 0, part);
	publish_on_send(publish,
	    &(struct msg_SEND){
		.epoch = epoch,
		.seq = seq,
		.uid = uid,
		.deadline_ns = clock_now_ns() + NS_PER_S * 100,
		.what = { what.data, what.len },
	    });
	buf_release(&what);
}

static void
send_to(uint32_t epoch, uint64_t seq, const char *exchange, const char *key)
{
	char id[24];

	snprintf(id, sizeof(id), "m%" PRIu64, seq);
	send_part(epoch, seq, 0, MSG_PUBLISH,
	    &(struct msg_PUBLISH){
		.uid = 1000 + seq,
		.exchange = msg_text(exchange),
		.key = msg_text(key),
		.message_id = msg_text(id),
		.ttl_ms = -1,
	    });
}

/* The key is the number. */
static void
send(uint32_t epoch, uint64_t from, uint64_t to)
{
	char key[24];

	for (uint64_t i = from; i <= to; i++) {
		snprintf(key, sizeof(key), "%" PRIu64, i);
		send_to(epoch, i, "x", key);
	}
}

static void
ask(uint32_t epoch, uint64_t uid)
{
	send_part(epoch, 0, uid, MSG_PUBLISH,
	    &(struct msg_PUBLISH){ .uid = uid, .key = msg_text("rpc") });
}

static void
confirm(uint64_t number, bool multiple, bool ok)
{
	event(&(struct rabbit_event){
	    .kind = RABBIT_CONFIRM,
	    .tag = number,
	    .multiple = multiple,
	    .ok = ok,
	});
}

static void
closed(void)
{
	event(&(struct rabbit_event){
	    .kind = RABBIT_CHANNEL_CLOSED,
	    .code = 404,
	    .text = "NOT_FOUND",
	});
}

static void
down(void)
{
	the_link->up = false;
	the_link->owner->down(publish, "gone");
	/* what the timer does */
	turn();
}

START_TEST(publishes_and_confirms)
{
	up();
	want("declare link:1:1 ");
	send(1, 1, 2);
	send_to(1, 3, "", DIRECT_ADDRESS "abc");
	want("pub:1 pub:2 pub:" DIRECT_REPLY_TO ".abc ");
	confirm(2, true, true);
	want("sent:1 1c 2c ");
	ck_assert(!publish_is_idle(publish));
	confirm(3, false, true);
	want("sent:1 3c ");
	ck_assert(publish_is_idle(publish));
}
END_TEST

START_TEST(another_epoch_is_not_published)
{
	up();
	said[0] = '\0';
	send(7, 1, 1);
	want("");
	ask(7, 55);
	want("answer:55:GONE: ");
}
END_TEST

START_TEST(returned)
{
	struct rabbit_event back = {
		.kind = RABBIT_RETURN,
		.code = 312,
		.text = "NO_ROUTE",
		.message = { .exchange = msg_text("x"),
		    .key = msg_text("2"),
		    .message_id = msg_text("m2") },
	};
	struct publish_count count;

	up();
	send(1, 1, 3);
	said[0] = '\0';
	event(&back);
	want("");
	confirm(3, true, true);
	want("sent:1 1c 2r 3c ");
	publish_count(publish, &count);
	ck_assert_uint_eq(count.returned, 1);
	ck_assert_str_eq(count.last_return,
	    "exchange \"x\", key \"2\": 312 NO_ROUTE");
}
END_TEST

/* A dead letter that no queue takes stays in the outbox. */
START_TEST(letters_are_held)
{
	struct buf attrs;
	struct rabbit_event back = {
		.kind = RABBIT_RETURN,
		.code = 312,
		.text = "NO_ROUTE",
		.message = { .exchange = msg_text("x"),
		    .key = msg_text("1"),
		    .message_id = msg_text("m1") },
	};

	buf_init(&attrs, 1000);
	msg_encode(&attrs, MSG_ATTR, 0,
	    &(struct msg_ATTR){ .what = CALL_HEADER,
		.name = msg_text("x-death-reason"),
		.value = msg_text("dead") });
	back.message.attrs = (struct msg_bytes){ attrs.data, attrs.len };
	up();
	send(1, 1, 1);
	said[0] = '\0';
	event(&back);
	confirm(1, false, true);
	want("sent:1 1h ");
	/* and published when it comes again */
	send(1, 1, 1);
	want("pub:1 ");
	buf_release(&attrs);
}
END_TEST

START_TEST(nacked)
{
	up();
	send(1, 1, 2);
	said[0] = '\0';
	confirm(1, false, false);
	want("sent:1 1h ");
	confirm(2, false, true);
	want("sent:1 2c ");
}
END_TEST

START_TEST(faults_and_the_unsendable_are_held)
{
	exchange_fault = "it is another";
	up();
	said[0] = '\0';
	send_to(1, 1, "bad", "a");
	send_to(1, 2, "x", "unsendable");
	send_to(1, 3, "x", "c");
	turn();
	want("pub:c sent:1 1h 2h ");
}
END_TEST

START_TEST(connection_lost)
{
	up();
	send(1, 1, 2);
	ask(1, 55);
	said[0] = '\0';
	down();
	want("answer:55:GONE: link:2:0 ");
	send(2, 1, 1);
	want("");
	up();
	want("declare link:3:1 ");
	send(3, 1, 2);
	want("pub:1 pub:2 ");
}
END_TEST

/* What is under way stays so; nothing more goes out. */
START_TEST(blocked)
{
	struct publish_count count;

	up();
	send(1, 1, 1);
	said[0] = '\0';
	event(&(struct rabbit_event){ .kind = RABBIT_BLOCKED,
	    .text = "low on memory" });
	want("link:1:0 ");
	send(1, 2, 3);
	ask(1, 55);
	want("");
	publish_count(publish, &count);
	ck_assert(count.blocked);
	ck_assert_str_eq(count.blocked_why, "low on memory");
	ck_assert_uint_eq(count.under_way, 4);
	event(&(struct rabbit_event){ .kind = RABBIT_UNBLOCKED });
	want("pub:2 pub:3 ask:rpc link:1:1 ");
	confirm(3, true, true);
	want("sent:1 1c 2c 3c ");
}
END_TEST

/* The channel is closed by one of three: one after the other, the second is
 * it. */
START_TEST(one_closes_the_channel)
{
	up();
	send(1, 1, 3);
	said[0] = '\0';
	closed();
	want("declare link:2:1 ");
	send(2, 1, 3);
	want("pub:1 ");
	confirm(1, false, true);
	want("pub:2 sent:2 1c ");
}
END_TEST

START_TEST(the_culprit_is_held)
{
	up();
	send(1, 1, 4);
	closed();
	send(2, 1, 4);
	confirm(1, false, true);
	/* alone: once more, for an exchange may have been deleted */
	said[0] = '\0';
	closed();
	want("declare link:3:1 ");
	send(3, 2, 4);
	want("pub:2 ");
	closed();
	want("sent:3 2h declare link:4:1 ");
	send(4, 3, 4);
	want("pub:3 ");
	confirm(1, false, true);
	said[0] = '\0';
	confirm(2, false, true);
	want("sent:4 4c ");
	/* nothing to be careful of any more */
	send(4, 5, 6);
	want("pub:5 pub:6 ");
	/* the held one again: alone */
	send(4, 2, 2);
	send(4, 7, 7);
	want("");
	confirm(4, true, true);
	want("pub:2 sent:4 5c 6c ");
	confirm(5, false, true);
	want("pub:7 sent:4 2c ");
}
END_TEST

/* One exchange is refused: one message finds out, the others are held. */
START_TEST(a_refused_exchange)
{
	struct rabbit_event refused = {
		.kind = RABBIT_CHANNEL_CLOSED,
		.code = 403,
		.text = "ACCESS_REFUSED - access to exchange 'x' in vhost '/'",
	};

	up();
	send(1, 1, 1);
	event(&refused);
	send(2, 1, 1);
	said[0] = '\0';
	event(&refused);
	want("sent:2 1h declare link:3:1 ");
	send(3, 2, 3);
	send_to(3, 4, "y", "4");
	turn();
	want("pub:4 sent:3 2h 3h ");
}
END_TEST

START_TEST(a_request_closes_the_channel)
{
	up();
	ask(1, 55);
	said[0] = '\0';
	closed();
	want("answer:55:UNROUTABLE: declare link:2:1 ");
}
END_TEST

/* Whoever asks the broker waits until what went before is confirmed. */
START_TEST(bind_in_order)
{
	struct msg_BIND bind = { .on = 1,
		.queue = msg_text("q"),
		.exchange = msg_text("x"),
		.key = msg_text("k") };

	up();
	send(1, 1, 1);
	said[0] = '\0';
	send_part(1, 2, 0, MSG_BIND, &bind);
	send(1, 3, 3);
	turn();
	want("");
	confirm(1, false, true);
	want("bind bound pub:3 sent:1 1c 2c ");
	bind_result = RABBIT_REFUSED;
	send_part(1, 4, 0, MSG_BIND, &bind);
	confirm(2, false, true);
	want("bind sent:1 3c 4h declare link:2:1 ");
}
END_TEST

START_TEST(delay_queues_are_declared)
{
	up();
	send(1, 1, 1);
	said[0] = '\0';
	send_to(1, 2, "", "q.retry.4s");
	send_to(1, 3, "", "q.retry.4s");
	want("");
	confirm(1, false, true);
	want("key pub:q.retry.4s pub:q.retry.4s sent:1 1c ");
	confirm(3, true, true);
	key_known = false;
	key_result = RABBIT_REFUSED;
	said[0] = '\0';
	send_to(1, 4, "", "q.retry.4s");
	want("key sent:1 4h declare ");
}
END_TEST

/* A hub dies: the next one sends again what it has not heard of. */
START_TEST(another_hub)
{
	up();
	send(1, 1, 3);
	ask(1, 55);
	confirm(1, false, true);
	said[0] = '\0';
	publish_on_hub(publish);
	turn();
	want("link:2:1 ");
	send(2, 1, 4);
	ask(2, 55);
	turn();
	want("pub:4 sent:2 1c ");
	confirm(5, true, true);
	want("sent:2 2c 3c 4c ");
}
END_TEST

START_TEST(request_and_answer)
{
	struct rabbit_event reply = {
		.kind = RABBIT_DELIVERY,
		.consumer = REQUEST_TAG,
		.status = 200,
		.refused = "",
		.message = { .body = msg_text("yes"), .type = msg_text("t") },
	};

	up();
	said[0] = '\0';
	ask(1, 55);
	want("ask:rpc ");
	confirm(1, false, true);
	want("");
	ck_assert(!publish_is_idle(publish));
	/* somebody else's, nonsense */
	reply.message.correlation_id = msg_text("nonsense");
	event(&reply);
	want("");
	reply.message.correlation_id = msg_text(correlation);
	event(&reply);
	want("answer:55:OK:yes ");
	ck_assert(publish_is_idle(publish));
	event(&reply);
	want("");
	/* a new hub has not heard of it */
	publish_on_hub(publish);
	turn();
	said[0] = '\0';
	ask(2, 55);
	want("answer:55:OK:yes ");
}
END_TEST

START_TEST(request_without_a_queue)
{
	up();
	ask(1, 55);
	said[0] = '\0';
	event(&(struct rabbit_event){
	    .kind = RABBIT_RETURN,
	    .code = 312,
	    .text = "NO_ROUTE",
	    .message = { .key = msg_text("rpc") },
	});
	want("answer:55:UNROUTABLE: ");
	confirm(1, false, true);
	want("");
}
END_TEST

START_TEST(requests_are_bounded)
{
	conf->tasks.max_waiting = 2;
	up();
	said[0] = '\0';
	ask(1, 1);
	ask(1, 2);
	ask(1, 3);
	want("ask:rpc ask:rpc answer:3:FULL: ");
}
END_TEST

/* One message that the connection does not survive. */
START_TEST(a_deadly_message)
{
	up();
	for (uint32_t epoch = 1; epoch < 5; epoch += 2) {
		send(epoch, 1, 2);
		down();
		up();
	}
	/* one at a time from here on */
	said[0] = '\0';
	send(5, 1, 2);
	want("pub:1 ");
	down();
	up();
	send(7, 1, 2);
	want("link:6:0 declare link:7:1 pub:1 ");
	down();
	want("sent:7 1h link:8:0 ");
	up();
	said[0] = '\0';
	send(9, 1, 2);
	turn();
	want("pub:2 sent:9 1h ");
}
END_TEST

START_TEST(drains)
{
	up();
	send(1, 1, 1);
	said[0] = '\0';
	publish_drain(publish);
	turn();
	want("link:1:0 ");
	/* it was on its way */
	send(1, 2, 2);
	want("pub:2 ");
	ck_assert(!publish_is_idle(publish));
	confirm(2, true, true);
	want("sent:1 1c 2c ");
	ck_assert(publish_is_idle(publish));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("publish");
	TCase *tcase = tcase_create("publish");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, publishes_and_confirms);
	tcase_add_test(tcase, another_epoch_is_not_published);
	tcase_add_test(tcase, returned);
	tcase_add_test(tcase, letters_are_held);
	tcase_add_test(tcase, nacked);
	tcase_add_test(tcase, faults_and_the_unsendable_are_held);
	tcase_add_test(tcase, connection_lost);
	tcase_add_test(tcase, blocked);
	tcase_add_test(tcase, one_closes_the_channel);
	tcase_add_test(tcase, the_culprit_is_held);
	tcase_add_test(tcase, a_refused_exchange);
	tcase_add_test(tcase, a_request_closes_the_channel);
	tcase_add_test(tcase, bind_in_order);
	tcase_add_test(tcase, delay_queues_are_declared);
	tcase_add_test(tcase, another_hub);
	tcase_add_test(tcase, request_and_answer);
	tcase_add_test(tcase, request_without_a_queue);
	tcase_add_test(tcase, requests_are_bounded);
	tcase_add_test(tcase, a_deadly_message);
	tcase_add_test(tcase, drains);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
