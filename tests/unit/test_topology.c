/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_topology - what the broker is asked for, in which order, what becomes of
 * a refusal, and how things are mended; over a broker of the test's own.
 */
#include "conf_fixture.h"
#include "fake_rabbit.h"

#include "amqp/status.h"
#include "amqp/topology.h"
#include "base/log.h"

#define MODULE "modules = ( { name = \"m\"; path = \"/m.so\"; } );"
#define BROKER "broker = \"amqp://h\";"
#define EXPIRED                                                             \
	"PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue " \
	"'q' in vhost '/': received none but current is the value '10' of " \
	"type 'long'"

static struct slot slot;
static struct child child = { .slot = &slot };
static struct amqp amqp = { .child = &child };
static struct topology *topology;
static struct rabbit rabbit;
static struct why why;

void
status_changed(struct status *status)
{
	(void)status;
}

void
amqp_alive(void *ctx)
{
	((struct amqp *)ctx)->child->slot->heartbeat_ns++;
}

static void
set_up(void)
{
	log_set_level(LOG_LEVEL_COUNT);
	conf_set_up();
	fake_rabbit_set_up();
	topology = NULL;
}

static void
tear_down(void)
{
	if (topology != NULL)
		topology_free(topology);
	fake_rabbit_tear_down();
	conf_tear_down();
}

static void
make(const char *text)
{
	load_text(text);
	ck_assert_msg(conf != NULL, "%s", error_text(0));
	amqp.conf = conf;
	topology = topology_new(&amqp);
	topology_on_link(topology, 0);
}

static void
make_usual(void)
{
	make(MODULE "amqp: {" BROKER
		    "exchanges = ( { name = \"e\"; type = \"fanout\"; } );"
		    "queues = ( { name = \"q\"; handler = \"m.h\"; bind = ( { "
		    "exchange = \"e\"; key = \"k\"; } ); }, { name = "
		    "\"r\"; } ); };");
}

static void
say_bindings(bool more, bool on, const char *format, int n)
{
	struct buf parts;
	struct msg_BINDINGS bindings = { .more = more };
	char key[64];

	buf_init(&parts, 1 << 26);
	for (int i = 0; i < n; i++) {
		snprintf(key, sizeof(key), "%s%d", format, i);
		msg_encode(&parts, MSG_BIND, 0,
		    &(struct msg_BIND){ .on = on,
			.queue = msg_text("q"),
			.exchange = msg_text("e"),
			.key = msg_text(key) });
	}
	bindings.bindings = (struct msg_bytes){ parts.data, parts.len };
	if (parts.data == NULL)
		bindings.bindings.p = "";
	topology_on_bindings(topology, &bindings);
	buf_release(&parts);
}

static void
declare(void)
{
	ck_assert_int_eq(topology_declare(topology, &rabbit, &why), RABBIT_OK);
}

static bool
mend(void)
{
	bool mended;

	ck_assert_int_eq(topology_mend(topology, &rabbit, &mended, &why),
	    RABBIT_OK);
	return mended;
}

/* Steps until the pass is over: how many. */
static int
pass(void)
{
	int n = 0;

	for (; topology_is_binding(topology); n++)
		ck_assert_int_eq(topology_pass_step(topology, &rabbit, &why),
		    RABBIT_OK);
	return n;
}

#define Q_DEAD "queue q.dead {}\n"
#define Q                                           \
	"queue q {\"x-dead-letter-exchange\":\"\"," \
	"\"x-dead-letter-routing-key\":\"q.dead\"}\n"

START_TEST(everything_in_its_order)
{
	make_usual();
	ck_assert(!topology_ready(topology));
	say_bindings(true, true, "", 0);
	ck_assert(!topology_ready(topology));
	say_bindings(false, true, "", 0);
	ck_assert(topology_ready(topology));
	declare();
	fake_rabbit_was_asked(
	    "exchange e fanout\n" Q_DEAD Q "bind q e k\nqueue r {}\n");
	ck_assert_ptr_null(topology_fault(topology, 0));
	ck_assert_int_gt(slot.heartbeat_ns, 0);
	/* another connection to the same broker has nothing to do */
	topology_on_link(topology, 0);
	declare();
	fake_rabbit_was_asked("");
	topology_on_loss(topology);
	topology_on_link(topology, 1);
	declare();
	ck_assert_uint_gt(fake_rabbit.log.len, 0);
}
END_TEST

START_TEST(a_lost_connection_ends_it)
{
	make_usual();
	fake_rabbit_refuse("queue q ", 0, "it is gone");
	ck_assert_int_eq(topology_declare(topology, &rabbit, &why),
	    RABBIT_LOST);
	ck_assert_str_eq(why.text, "it is gone");
	fake_rabbit_was_asked("exchange e fanout\n" Q_DEAD Q);
	ck_assert_ptr_null(topology_fault(topology, 0));
}
END_TEST

START_TEST(a_refused_queue_is_a_fault_and_the_rest_works)
{
	make_usual();
	fake_rabbit_refuse("queue q ", 406, EXPIRED);
	declare();
	fake_rabbit_was_asked("exchange e fanout\n" Q_DEAD Q "queue r {}\n");
	ck_assert_str_eq(topology_queue_fault(topology, 0),
	    "queue \"q\": the broker has it with x-message-ttl 10, and the "
	    "config wants none (ttl); set ttl = 0.01, or delete the queue on "
	    "the broker once it is empty, or set passive = true");
	ck_assert_ptr_null(topology_queue_fault(topology, 1));
	ck_assert_ptr_nonnull(topology_fault(topology, 0));
	ck_assert_ptr_null(topology_fault(topology, 1));
	ck_assert(!mend());
	fake_rabbit_was_asked(Q_DEAD Q);
	fake_rabbit.refusals = 0;
	ck_assert(mend());
	fake_rabbit_was_asked(Q_DEAD Q "bind q e k\n");
	ck_assert_ptr_null(topology_fault(topology, 0));
	ck_assert(!mend());
	fake_rabbit_was_asked("");
}
END_TEST

START_TEST(a_refused_exchange_takes_its_bindings_along)
{
	make_usual();
	fake_rabbit_refuse("exchange e ", 403, "ACCESS_REFUSED");
	declare();
	fake_rabbit_was_asked("exchange e fanout\n" Q_DEAD Q "queue r {}\n");
	ck_assert_str_eq(topology_exchange_fault(topology, msg_text("e")),
	    "exchange \"e\": the broker's permissions forbid it to our user "
	    "(ACCESS_REFUSED)");
	ck_assert_ptr_null(topology_exchange_fault(topology, msg_text("")));
	ck_assert_ptr_null(topology_queue_fault(topology, 0));
	ck_assert_str_eq(topology_queue_trouble(topology, 0),
	    "queue \"q\" is not bound to exchange \"e\", which is at fault "
	    "itself");
	fake_rabbit.refusals = 0;
	ck_assert(mend());
	fake_rabbit_was_asked("exchange e fanout\nbind q e k\n");
	ck_assert_ptr_null(topology_fault(topology, 0));
}
END_TEST

START_TEST(a_refused_binding_does_not_keep_from_consuming)
{
	make_usual();
	fake_rabbit_refuse("bind q e", 404, "NOT_FOUND - no exchange 'e'");
	declare();
	ck_assert_ptr_null(topology_queue_fault(topology, 0));
	ck_assert_str_eq(topology_fault(topology, 0),
	    "queue \"q\" is not bound to exchange \"e\" with key \"k\": "
	    "NOT_FOUND - no exchange 'e'");
}
END_TEST

START_TEST(passive_ones_are_looked_at)
{
	make(MODULE "amqp: {" BROKER
		    "exchanges = ( { name = \"e\"; passive = true; } ); queues "
		    "= ( { name = \"q\"; passive = true; } ); };");
	fake_rabbit_refuse("queue q", 404, "NOT_FOUND - no queue");
	declare();
	fake_rabbit_was_asked("exchange e direct passive\nqueue q {} "
			      "passive\n");
	ck_assert_str_eq(topology_fault(topology, 0),
	    "queue \"q\" is not on the broker, and passive = true leaves it "
	    "to somebody else to declare it");
}
END_TEST

START_TEST(what_was_deleted_is_made_again)
{
	make_usual();
	declare();
	buf_clear(&fake_rabbit.log);
	topology_queue_lost(topology, 0, "was deleted");
	ck_assert_str_eq(topology_queue_fault(topology, 0),
	    "queue \"q\": was deleted");
	ck_assert(mend());
	fake_rabbit_was_asked(Q_DEAD Q "bind q e k\n");
	topology_exchange_lost(topology, msg_text("e"), "was deleted");
	ck_assert_ptr_nonnull(topology_exchange_fault(topology, msg_text("e")));
	ck_assert(mend());
	fake_rabbit_was_asked("exchange e fanout\nbind q e k\n");
	topology_exchange_lost(topology, msg_text("unknown"), "was deleted");
	ck_assert(!mend());
}
END_TEST

START_TEST(a_queue_that_we_may_not_consume)
{
	make_usual();
	declare();
	buf_clear(&fake_rabbit.log);
	topology_queue_refused(topology, 0, 403, "ACCESS_REFUSED");
	ck_assert_ptr_nonnull(topology_queue_fault(topology, 0));
	fake_rabbit_refuse("get q", 403, "ACCESS_REFUSED");
	ck_assert(!mend());
	fake_rabbit.refusals = 0;
	buf_clear(&fake_rabbit.log);
	/* what it finds when it tries goes back */
	fake_rabbit.found = true;
	fake_rabbit_event(
	    &(struct rabbit_event){ .kind = RABBIT_DELIVERY, .tag = 7 });
	ck_assert(mend());
	fake_rabbit_was_asked(Q_DEAD Q "bind q e k\nget q\nreject 7 requeue\n");
	ck_assert_ptr_null(topology_queue_fault(topology, 0));
}
END_TEST

START_TEST(few_bindings_at_once)
{
	make_usual();
	say_bindings(false, true, "x", 2);
	topology_on_bind(topology,
	    &(struct msg_BIND){ .on = 0,
		.queue = msg_text("q"),
		.exchange = msg_text("e"),
		.key = msg_text("k") });
	declare();
	/* the config's binding is not made only to be taken away */
	fake_rabbit_was_asked(
	    "exchange e fanout passive\nexchange e fanout\n" Q_DEAD
	    "queue q {} passive\n" Q "queue r {} passive\nqueue r {}\n"
	    "bind q e x0 nowait\nbind q e x1 nowait\n"
	    "unbind q e k\n");
	ck_assert(!topology_is_binding(topology));
	ck_assert(topology_is_bound(topology));
}
END_TEST

START_TEST(many_bindings_in_steps)
{
	size_t made;

	make_usual();
	say_bindings(false, true, "x", 1000);
	declare();
	ck_assert(topology_is_binding(topology));
	/* queue and exchange were there, so their bindings are */
	ck_assert(topology_is_bound(topology));
	ck_assert_int_eq(pass(), 21);
	ck_assert_uint_eq(topology_bindings(topology, &made), 1000);
	ck_assert_uint_eq(made, 1000);
	/* once is enough */
	topology_on_loss(topology);
	topology_on_link(topology, 0);
	declare();
	ck_assert(!topology_is_binding(topology));
}
END_TEST

START_TEST(nothing_is_published_while_bindings_are_missing)
{
	make_usual();
	say_bindings(false, true, "x", 1000);
	fake_rabbit_refuse("queue q {} passive", 404, "NOT_FOUND");
	declare();
	ck_assert(!topology_is_bound(topology));
	pass();
	ck_assert(topology_is_bound(topology));
	topology_exchange_lost(topology, msg_text("e"), "was deleted");
	ck_assert(mend());
	ck_assert(topology_is_binding(topology));
	ck_assert(!topology_is_bound(topology));
	ck_assert_int_eq(topology_pass_step(topology, &rabbit, &why),
	    RABBIT_OK);
	/* a new hub, and its bindings, in the midst of it */
	say_bindings(false, true, "y", 300);
	ck_assert(!topology_is_bound(topology));
	ck_assert_int_eq(pass(), 7);
	ck_assert(topology_is_bound(topology));
}
END_TEST

START_TEST(one_of_many_is_refused)
{
	make_usual();
	say_bindings(false, true, "x", 60);
	fake_rabbit_refuse("bind q e x3", 403, "ACCESS_REFUSED");
	declare();
	ck_assert(!topology_is_binding(topology));
	ck_assert_ptr_nonnull(strstr(topology_fault(topology, 0), "key \"x3"));
	ck_assert_ptr_null(topology_queue_fault(topology, 0));
}
END_TEST

START_TEST(bindings_of_what_is_not_ours_any_more)
{
	make_usual();
	say_bindings(false, true, "", 0);
	topology_on_bind(topology,
	    &(struct msg_BIND){ .on = 1,
		.queue = msg_text("old"),
		.exchange = msg_text("e"),
		.key = msg_text("k") });
	topology_on_bind(topology,
	    &(struct msg_BIND){ .on = 1,
		.queue = msg_text("q"),
		.exchange = msg_text("old"),
		.key = msg_text("k") });
	declare();
	ck_assert_ptr_null(strstr(fake_rabbit.log.data, "old"));
	ck_assert_ptr_null(topology_fault(topology, 0));
}
END_TEST

START_TEST(queues_beside_on_first_use)
{
	struct msg_bytes delay = msg_text("q.retry.4s");

	make_usual();
	ck_assert(topology_knows_key(topology, msg_text("q")));
	ck_assert(topology_knows_key(topology, msg_text("foreign")));
	ck_assert(!topology_knows_key(topology, delay));
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(topology_declare_key(topology, &rabbit, delay,
				     &why),
		    RABBIT_OK);
	fake_rabbit_was_asked("queue q.retry.4s {\"x-dead-letter-exchange\":"
			      "\"\",\"x-dead-letter-routing-key\":\"q\","
			      "\"x-message-ttl\":4000}\n");
	ck_assert(topology_knows_key(topology, delay));
	topology_forget_keys(topology);
	ck_assert(!topology_knows_key(topology, delay));
	ck_assert_int_eq(topology_declare_key(topology, &rabbit,
			     msg_text("q.dead"), &why),
	    RABBIT_OK);
	fake_rabbit_was_asked(Q_DEAD);
	fake_rabbit_refuse("queue q.retry", 405, "RESOURCE_LOCKED");
	ck_assert_int_eq(topology_declare_key(topology, &rabbit, delay, &why),
	    RABBIT_REFUSED);
	ck_assert_str_eq(why.text,
	    "queue \"q.retry.4s\": another connection has it for itself "
	    "(exclusive)");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("topology");
	TCase *tcase = tcase_create("topology");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, everything_in_its_order);
	tcase_add_test(tcase, a_lost_connection_ends_it);
	tcase_add_test(tcase, a_refused_queue_is_a_fault_and_the_rest_works);
	tcase_add_test(tcase, a_refused_exchange_takes_its_bindings_along);
	tcase_add_test(tcase, a_refused_binding_does_not_keep_from_consuming);
	tcase_add_test(tcase, passive_ones_are_looked_at);
	tcase_add_test(tcase, what_was_deleted_is_made_again);
	tcase_add_test(tcase, a_queue_that_we_may_not_consume);
	tcase_add_test(tcase, few_bindings_at_once);
	tcase_add_test(tcase, many_bindings_in_steps);
	tcase_add_test(tcase, nothing_is_published_while_bindings_are_missing);
	tcase_add_test(tcase, one_of_many_is_refused);
	tcase_add_test(tcase, bindings_of_what_is_not_ours_any_more);
	tcase_add_test(tcase, queues_beside_on_first_use);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
