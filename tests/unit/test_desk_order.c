/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_desk_order - what the operator is told of a broker: dead, retry, purge,
 * queues, publish and hub against an amqp child that the test plays, which may
 * say what it likes, or nothing, or leave.
 */
#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "hub_fixture.h"
#include "run_suite.h"

static const char config[] =
    "service: { state_dir = \"%s\"; run_dir = \"%s\"; };\n"
    "hub: { reserve = 0; min_free = 0; };\n"
    "amqp: { broker = \"%s\";\n"
    "  exchanges = ({ name = \"x\"; });\n"
    "  queues = ({ name = \"q\"; bind = ({ exchange = \"x\"; }); },\n"
    "            { name = \"q/r\"; }); };\n";

static struct client amqp;
static int desk[HUB_DESKS]; /* the operator's ends */
static char line[65536];

static void
read_config(const char *broker)
{
	struct conf_errors errors = { 0 };
	char *path = mem_printf("%s/brood.conf", hub_dir);
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	fprintf(file, config, hub_dir, hub_dir, broker);
	ck_assert_int_eq(fclose(file), 0);
	conf_free(hub_conf);
	hub_conf = conf_load(path, &errors);
	ck_assert_msg(hub_conf != NULL, "%s",
	    errors.n > 0 ? errors.v[0] : "no config");
	free(path);
}

static void
start(const char *broker)
{
	int pair[2];

	hub_set_up();
	read_config(broker);
	for (int i = 0; i < HUB_DESKS; i++) {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC,
				     0, pair),
		    0);
		desk[i] = pair[0];
		hub_desk_fd[i] = pair[1];
	}
	slot_reset(&hub_board.slot[HUB_CLIENT_SLOT], ROLE_AMQP, 1);
	hub_board.slot[HUB_CLIENT_SLOT].pid = getpid();
	hub_start();
	for (int i = 0; i < HUB_DESKS; i++) {
		close(hub_desk_fd[i]);
		hub_desk_fd[i] = -1;
	}
}

static void
set_up(void)
{
	start("amqp://broker.test/");
}

static void
set_up_local(void)
{
	start("local");
}

static void
tear_down(void)
{
	hub_stop();
	hub_tear_down();
	for (int i = 0; i < HUB_DESKS; i++)
		close(desk[i]);
}

/* --- the operator */

static const char *
desk_line(int i)
{
	size_t len = 0;

	for (; len == 0 || line[len - 1] != '\n'; len++) {
		struct pollfd pfd = { .fd = desk[i], .events = POLLIN };

		ck_assert_uint_lt(len, sizeof(line) - 1);
		ck_assert_int_eq(poll(&pfd, 1, HUB_PATIENCE_MS), 1);
		ck_assert_int_eq(read(desk[i], line + len, 1), 1);
	}
	line[len] = '\0';
	return line;
}

static void
desk_ask(int i, const char *request)
{
	ck_assert_ptr_nonnull(strstr(desk_line(i), "\"go\""));
	ck_assert_int_eq(dprintf(desk[i], "%s\n", request),
	    (int)strlen(request) + 1);
}

/* The answer has each of these; NULL ends them. */
static void
desk_expect(int i, ...)
{
	const char *text = desk_line(i), *part;
	va_list ap;

	va_start(ap, i);
	while ((part = va_arg(ap, const char *)) != NULL)
		ck_assert_msg(strstr(text, part) != NULL, "no %s in %s", part,
		    text);
	va_end(ap);
}

/* --- the amqp child */

static void
amqp_open(void)
{
	client_open(&amqp, 7);
	ck_assert_int_eq(client_next(&amqp), MSG_BINDINGS);
}

static void
amqp_note(enum msg_id id, const void *msg)
{
	client_queue(&amqp, id, msg);
	client_flush(&amqp);
}

static void
amqp_link(bool publishing, const char *json)
{
	struct msg_LINK link = {
		.epoch = 1,
		.publishing = publishing,
		.window = 10,
		.json = msg_text(json),
	};

	amqp_note(MSG_LINK, &link);
}

/* The next frame is an order for that; its id. */
static uint64_t
amqp_order(enum amqp_order what, const char *queue, const char *message)
{
	ck_assert_int_eq(client_next(&amqp), MSG_ORDER);
	ck_assert_int_eq(amqp.msg.ORDER.what, what);
	ck_assert(msg_is(amqp.msg.ORDER.queue, queue));
	ck_assert(msg_is(amqp.msg.ORDER.message, message));
	return amqp.msg.ORDER.id;
}

static void
amqp_report(uint64_t id, enum hub_code code, const char *why, const char *json)
{
	struct msg_REPORT report = {
		.id = id,
		.code = code,
		.why = msg_text(why),
		.json = msg_text(json),
	};

	amqp_note(MSG_REPORT, &report);
}

/* --- dead */

START_TEST(dead_shows_the_brokers_dead_letters)
{
	uint64_t id;

	amqp_open();
	desk_ask(0, "{\"cmd\":\"dead\",\"limit\":7}");
	id = amqp_order(ORDER_DEAD, "", "");
	ck_assert_uint_eq(amqp.msg.ORDER.limit, 7);
	amqp_report(id, HUB_OK, "",
	    "{\"messages\":[{\"queue\":\"q\",\"id\":\"a/b\","
	    "\"reason\":\"rejected\"},{\"queue\":\"q\",\"id\":\"\"},7],"
	    "\"more\":true}");
	desk_expect(0, "\"ok\":true", "\"name\":\"q/a/b\"", "\"jobs\":[]",
	    "\"reason\":\"rejected\"", "\"more\":true", NULL);
	/* those of a queue, whichever of its names */
	desk_ask(1, "{\"cmd\":\"dead\",\"args\":[\"q/r.dead\"]}");
	id = amqp_order(ORDER_DEAD, "q/r", "");
	amqp_report(id, HUB_OK, "", "{\"messages\":[]}");
	desk_expect(1, "\"ok\":true", "\"messages\":[]", NULL);
	desk_ask(2, "{\"cmd\":\"dead\",\"args\":[\"nope\"]}");
	desk_expect(2, "\"code\":1", "there is no queue 'nope'", NULL);
	client_close(&amqp);
}
END_TEST

START_TEST(reports_may_be_anything)
{
	amqp_open();
	desk_ask(0, "{\"cmd\":\"dead\"}");
	amqp_report(amqp_order(ORDER_DEAD, "", ""), HUB_OK, "", "{{");
	desk_expect(0, "\"code\":1", "is no JSON", "\"jobs\":[]", NULL);
	desk_ask(1, "{\"cmd\":\"dead\"}");
	amqp_report(amqp_order(ORDER_DEAD, "", ""), HUB_OK, "", "[7]");
	desk_expect(1, "\"code\":1", "the report has none", NULL);
	desk_ask(2, "{\"cmd\":\"queues\"}");
	amqp_report(amqp_order(ORDER_QUEUES, "", ""), HUB_OK, "",
	    "{\"queues\":[7,null,{\"name\":7},{\"name\":\"q\",\"ready\":\"x\","
	    "\"dead\":4,\"fault\":7},{\"name\":\"other\",\"ready\":9}]}");
	desk_expect(2, "\"ok\":true", "\"dead\":4", NULL);
	ck_assert_ptr_null(strstr(line, "other"));
	ck_assert_ptr_null(strstr(line, "fault"));
	client_close(&amqp);
}
END_TEST

/* After a reload both are new, and the hub is the first. */
START_TEST(one_that_is_to_come_is_waited_for)
{
	desk_ask(0, "{\"cmd\":\"purge\",\"args\":[\"q\"],\"yes\":true}");
	amqp_open();
	amqp_report(amqp_order(ORDER_PURGE, "q", ""), HUB_OK, "",
	    "{\"purged\":3}");
	desk_expect(0, "\"ok\":true", NULL);
	client_close(&amqp);
}
END_TEST

START_TEST(a_broker_that_is_away_is_said_to_be)
{
	hub_board.slot[HUB_CLIENT_SLOT].pid = 0;
	desk_ask(0, "{\"cmd\":\"dead\"}");
	desk_expect(0, "\"code\":1", "there is no amqp child", "\"jobs\":[]",
	    NULL);
	hub_board.slot[HUB_CLIENT_SLOT].pid = getpid();
	amqp_open();
	desk_ask(1, "{\"cmd\":\"retry\",\"args\":[\"all\"]}");
	amqp_report(amqp_order(ORDER_RETRY, "", ""), HUB_GONE,
	    "nobody listens at broker.test", "");
	desk_expect(1, "\"code\":1", "0 run again; but: nobody listens", NULL);
	/* it dies over it */
	desk_ask(2, "{\"cmd\":\"purge\",\"args\":[\"q\"],\"yes\":true}");
	amqp_order(ORDER_PURGE, "q", "");
	client_close(&amqp);
	desk_expect(2, "\"code\":1", "has ended over it", NULL);
	/* it says nothing */
	amqp_open();
	desk_ask(3, "{\"cmd\":\"queues\",\"wait\":0.05}");
	desk_expect(3, "\"code\":1", "does not answer", "\"name\":\"q\"", NULL);
	client_close(&amqp);
}
END_TEST

START_TEST(who_leaves_is_not_waited_for)
{
	uint64_t id;

	amqp_open();
	desk_ask(0, "{\"cmd\":\"dead\"}");
	id = amqp_order(ORDER_DEAD, "", "");
	ck_assert_int_eq(shutdown(desk[0], SHUT_RDWR), 0);
	desk_ask(1, "{\"cmd\":\"hub\"}");
	desk_expect(1, "\"ok\":true", NULL);
	amqp_report(id, HUB_OK, "", "{\"messages\":[]}");
	amqp_report(id, HUB_OK, "", "{\"messages\":[]}");
	desk_ask(2, "{\"cmd\":\"hub\"}");
	desk_expect(2, "\"ok\":true", NULL);
	client_close(&amqp);
}
END_TEST

/* --- retry, purge */

START_TEST(retry_takes_dead_letters_by_name)
{
	amqp_open();
	desk_ask(0, "{\"cmd\":\"retry\",\"args\":[\"q/r/1\"]}");
	amqp_report(amqp_order(ORDER_RETRY, "q/r", "1"), HUB_OK, "",
	    "{\"retried\":1}");
	desk_expect(0, "\"ok\":true", "\"retried\":1", NULL);
	desk_ask(1, "{\"cmd\":\"retry\",\"args\":[\"q/x y\"]}");
	amqp_report(amqp_order(ORDER_RETRY, "q", "x y"), HUB_OK, "",
	    "{\"retried\":0}");
	desk_expect(1, "\"code\":1", "there is no dead letter q/x y", NULL);
	desk_ask(2, "{\"cmd\":\"retry\",\"args\":[\"q/\"]}");
	amqp_report(amqp_order(ORDER_RETRY, "q", ""), HUB_OK, "",
	    "{\"retried\":12}");
	desk_expect(2, "\"ok\":true", "12 published", NULL);
	desk_ask(3, "{\"cmd\":\"retry\",\"args\":[\"z/1\"]}");
	desk_expect(3, "\"code\":1", "names no queue", NULL);
	client_close(&amqp);
}
END_TEST

START_TEST(purge_has_to_be_meant)
{
	amqp_open();
	desk_ask(0, "{\"cmd\":\"purge\",\"args\":[\"q\"]}");
	desk_expect(0, "\"code\":2", "gone for good", NULL);
	desk_ask(1, "{\"cmd\":\"purge\",\"args\":[\"q.dead\"],\"yes\":true}");
	amqp_report(amqp_order(ORDER_PURGE, "q.dead", ""), HUB_OK, "",
	    "{\"purged\":5}");
	desk_expect(1, "\"ok\":true", "q.dead: 5 dropped", "\"purged\":5",
	    NULL);
	desk_ask(2, "{\"cmd\":\"purge\",\"args\":[\"nope\"],\"yes\":true}");
	desk_expect(2, "\"code\":1", "there is no queue 'nope'", NULL);
	desk_ask(3, "{\"cmd\":\"purge\",\"args\":[\"outbox\"],\"yes\":true}");
	desk_expect(3, "\"ok\":true", "outbox: 0 dropped", NULL);
	client_close(&amqp);
}
END_TEST

START_TEST(purge_of_local_queues)
{
	desk_ask(0, "{\"cmd\":\"publish\",\"args\":[\"\",\"q\"],\"json\":1}");
	desk_expect(0, "\"state\":\"queued\"", "\"routed\":true", NULL);
	desk_ask(1, "{\"cmd\":\"purge\",\"args\":[\"q\"],\"yes\":true}");
	desk_expect(1, "\"ok\":true", "q: 1 dropped", "\"more\":false", NULL);
	desk_ask(2, "{\"cmd\":\"jobs\"}");
	desk_expect(2, "\"jobs\":[]", NULL);
	desk_ask(3, "{\"cmd\":\"purge\",\"args\":[\"outbox\"],\"yes\":true}");
	desk_expect(3, "\"code\":1", "there is no outbox", NULL);
}
END_TEST

START_TEST(local_queues_have_no_delays)
{
	desk_ask(0,
	    "{\"cmd\":\"purge\",\"args\":[\"q.retry.4s\"],\"yes\":true}");
	desk_expect(0, "\"code\":1", "there is no queue", NULL);
	desk_ask(1, "{\"cmd\":\"purge\",\"args\":[\"q.dead\"],\"yes\":true}");
	desk_expect(1, "\"ok\":true", "q.dead: 0 dropped", NULL);
	desk_ask(2, "{\"cmd\":\"queues\"}");
	desk_expect(2, "\"ok\":true", "\"broker\":false", NULL);
	desk_ask(3, "{\"cmd\":\"retry\",\"args\":[\"q/1\"]}");
	desk_expect(3, "\"code\":2", "is not the id of a job", NULL);
}
END_TEST

/* --- queues, hub */

START_TEST(queues_have_what_the_children_say)
{
	amqp_open();
	amqp_link(true,
	    "{\"line\":\"connected\",\"queues\":[{\"name\":\"q\","
	    "\"ready\":3,\"unacked\":2,\"prefetch\":8,\"rate\":1.5,"
	    "\"consumers\":1,\"dead\":6},{\"name\":\"q/r\","
	    "\"fault\":\"it is exclusive\"}]}");
	desk_ask(0, "{\"cmd\":\"queues\"}");
	amqp_report(amqp_order(ORDER_QUEUES, "", ""), HUB_OK, "",
	    "{\"queues\":[{\"name\":\"q\",\"ready\":4,\"dead\":1,"
	    "\"unacked\":99}]}");
	desk_expect(0, "\"ok\":true", "\"ready\":4", "\"unacked\":2",
	    "\"died\":6", "\"dead\":1", "\"fault\":\"it is exclusive\"",
	    "\"broker\":true", NULL);
	desk_ask(1, "{\"cmd\":\"hub\"}");
	desk_expect(1, "\"outbox\":{\"messages\":0", "\"line\":\"connected\"",
	    "\"remember\":", NULL);
	client_close(&amqp);
}
END_TEST

/* --- publish */

static uint64_t
amqp_send(void)
{
	ck_assert_int_eq(client_next(&amqp), MSG_SEND);
	return amqp.msg.SEND.seq;
}

static void
amqp_sent(uint64_t seq, enum sent_how how, const char *why)
{
	struct msg_SENT_ONE one = {
		.seq = seq,
		.how = (uint8_t)how,
		.why = msg_text(why),
	};
	struct msg_SENT sent = { .epoch = 1 };
	struct buf all;

	buf_init(&all, 4096);
	ck_assert_int_eq(msg_encode(&all, MSG_SENT_ONE, 0, &one), 0);
	sent.all = (struct msg_bytes){ all.data, all.len };
	amqp_note(MSG_SENT, &sent);
	buf_release(&all);
}

#define PUBLISH(more) \
	"{\"cmd\":\"publish\",\"args\":[\"x\",\"k\"],\"json\":1" more "}"

START_TEST(publish_says_what_the_broker_said)
{
	amqp_open();
	amqp_link(true, "{}");
	desk_ask(0, PUBLISH(""));
	amqp_sent(amqp_send(), SENT_CONFIRMED, "");
	desk_expect(0, "\"ok\":true", "confirmed by the broker",
	    "\"state\":\"confirmed\"", "\"routed\":true", NULL);
	desk_ask(1, PUBLISH(""));
	amqp_sent(amqp_send(), SENT_RETURNED, "NO_ROUTE");
	desk_expect(1, "\"ok\":true", "returned by the broker: NO_ROUTE",
	    "\"routed\":false", NULL);
	desk_ask(2, PUBLISH(",\"mandatory\":true"));
	amqp_sent(amqp_send(), SENT_RETURNED, "NO_ROUTE");
	desk_expect(2, "\"ok\":false", "\"code\":1", "\"routed\":false", NULL);
	desk_ask(3, PUBLISH(""));
	amqp_sent(amqp_send(), SENT_HELD, "there is no exchange x");
	desk_expect(3, "\"ok\":true", "accepted: it is in the outbox",
	    "there is no exchange x", "\"routed\":null", NULL);
	client_close(&amqp);
}
END_TEST

START_TEST(publish_does_not_wait_for_ever)
{
	amqp_open();
	/* nobody takes it at all */
	amqp_link(false, "{\"line\":\"no broker: wrong password\"}");
	desk_ask(0, PUBLISH(""));
	desk_expect(0, "\"ok\":true", "accepted: it is in the outbox",
	    "wrong password", NULL);
	amqp_link(true, "{}");
	amqp_sent(amqp_send(), SENT_CONFIRMED, "");
	/* not confirmed in time */
	desk_ask(1, PUBLISH(",\"wait\":0.05"));
	desk_expect(1, "\"ok\":true", "has not confirmed it yet",
	    "\"state\":\"accepted\"", NULL);
	/* and late it is nobody's news */
	amqp_sent(amqp_send(), SENT_CONFIRMED, "");
	desk_ask(2, PUBLISH(",\"wait\":60"));
	amqp_send();
	ck_assert_int_eq(shutdown(desk[2], SHUT_RDWR), 0);
	desk_ask(3, "{\"cmd\":\"hub\"}");
	desk_expect(3, "\"messages\":1", NULL);
	client_close(&amqp);
}
END_TEST

/* Whoever was not answered sends it again, to this hub or the next. */
START_TEST(publish_is_done_once)
{
	char request[256], id[UID_TEXT_SIZE];

	uid_format(uid_make(), uid_token(), id);
	snprintf(request, sizeof(request), PUBLISH(",\"id\":\"%s\""), id);
	amqp_open();
	desk_ask(0, request);
	desk_expect(0, "accepted", NULL);
	desk_ask(1, request);
	desk_expect(1, "\"ok\":true", "accepted", NULL);
	amqp_link(true, "{}");
	amqp_sent(amqp_send(), SENT_CONFIRMED, "");
	desk_ask(2, request);
	desk_expect(2, "\"ok\":true", "the broker has it", NULL);
	desk_ask(3, "{\"cmd\":\"hub\"}");
	desk_expect(3, "\"messages\":0", "\"confirmed\":1", NULL);
	client_close(&amqp);
}
END_TEST

START_TEST(a_held_message_can_be_purged)
{
	amqp_open();
	amqp_link(true, "{}");
	desk_ask(0, PUBLISH(""));
	amqp_sent(amqp_send(), SENT_HELD, "there is no exchange x");
	desk_expect(0, "accepted", NULL);
	desk_ask(1, "{\"cmd\":\"hub\"}");
	desk_expect(1, "\"held\":1", "\"held_why\":\"there is no exchange x\"",
	    NULL);
	desk_ask(2, "{\"cmd\":\"purge\",\"args\":[\"outbox\"],\"yes\":true}");
	desk_expect(2, "\"ok\":true", "outbox: 1 dropped", NULL);
	desk_ask(3, "{\"cmd\":\"hub\"}");
	desk_expect(3, "\"outbox\":{\"messages\":0", "\"held\":0", NULL);
	client_close(&amqp);
}
END_TEST

/* The next hub has it: it was accepted. */
START_TEST(a_hub_that_stops_says_that_it_was_accepted)
{
	amqp_open();
	amqp_link(true, "{}");
	desk_ask(0, PUBLISH(",\"wait\":60"));
	amqp_send();
	hub_stop();
	desk_expect(0, "\"ok\":true", "accepted: it is in the outbox", NULL);
	hub_start();
	client_close(&amqp);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("desk_order");
	TCase *broker = tcase_create("broker");
	TCase *local = tcase_create("local");

	tcase_add_checked_fixture(broker, set_up, tear_down);
	tcase_add_test(broker, dead_shows_the_brokers_dead_letters);
	tcase_add_test(broker, reports_may_be_anything);
	tcase_add_test(broker, a_broker_that_is_away_is_said_to_be);
	tcase_add_test(broker, who_leaves_is_not_waited_for);
	tcase_add_test(broker, retry_takes_dead_letters_by_name);
	tcase_add_test(broker, purge_has_to_be_meant);
	tcase_add_test(broker, queues_have_what_the_children_say);
	tcase_add_test(broker, publish_says_what_the_broker_said);
	tcase_add_test(broker, publish_does_not_wait_for_ever);
	tcase_add_test(broker, publish_is_done_once);
	tcase_add_test(broker, a_held_message_can_be_purged);
	tcase_add_test(broker, one_that_is_to_come_is_waited_for);
	tcase_add_test(broker, a_hub_that_stops_says_that_it_was_accepted);
	tcase_add_checked_fixture(local, set_up_local, tear_down);
	tcase_add_test(local, purge_of_local_queues);
	tcase_add_test(local, local_queues_have_no_delays);
	suite_add_tcase(suite, broker);
	suite_add_tcase(suite, local);
	return run_suite(suite);
}
