/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_ctl_render_hub - what an operator reads of the hub and of queues, the
 * hub's own and a broker's; wrong shapes are in test_ctl_render_work.
 */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/render.h"
#include "render_fixture.h"
#include "run_suite.h"

#define HUB                                                            \
	"{\"pid\":7,\"generation\":2,\"uptime\":65,\"clients\":9,"     \
	"\"data\":{\"keys\":3,\"bytes\":2048,\"max_bytes\":268435456," \
	"\"locks\":1,\"lock_waiters\":2,\"watches\":4},"               \
	"\"work\":{\"waiting\":5,\"queued\":6,\"running\":1,"          \
	"\"max_queued\":1000000,\"calls_waiting\":8,\"workers\":4,"    \
	"\"busy\":1,\"unroutable\":0},"                                \
	"\"store\":{\"bytes\":115152,\"free\":81976147968}}"
#define HUB_TEXT                                                             \
	"hub     pid 7, generation 2, up 1m05s, 9 clients\n"                 \
	"data    3 keys, 2.0K of 256M; 1 locks, 2 wait for one, 4 watches\n" \
	"work    6 queued of 1000000, 5 waiting, 1 running; 8 calls wait; "  \
	"1 of 4 workers busy\n"                                              \
	"store   112K, 76G free on its disk\n"

START_TEST(a_hub)
{
	expect(render_hub, HUB, HUB_TEXT);
	expect(render_hub,
	    "{\"work\":{\"unroutable\":3},"
	    "\"store\":{\"refuses\":\"its disk is full\"}}",
	    "hub     pid -, generation -, up -, - clients\n"
	    "data    - keys, - of -; - locks, - wait for one, - watches\n"
	    "work    - queued of -, - waiting, - running; - calls wait; "
	    "- of - workers busy; 3 messages had no queue to go to\n"
	    "store   -, - free on its disk; new work is refused: "
	    "its disk is full\n");
}
END_TEST

START_TEST(queues)
{
	expect(render_queues,
	    "{\"queues\":[{\"name\":\"a\",\"handler\":\"m.h\",\"queued\":5,"
	    "\"waiting\":1,\"running\":2,\"oldest\":61.5},"
	    "{\"name\":\"long name\",\"queued\":0,\"waiting\":0,\"running\":0,"
	    "\"max_length\":10}],"
	    "\"handlers\":[{\"name\":\"m.job\",\"queued\":1,\"waiting\":0,"
	    "\"running\":0}],"
	    "\"exchanges\":[{\"name\":\"x\",\"type\":\"topic\"}],"
	    "\"bindings\":[{\"queue\":\"a\",\"exchange\":\"x\",\"key\":\"#\","
	    "\"configured\":true},{\"queue\":\"a\",\"exchange\":\"x\","
	    "\"key\":\"u.1\",\"configured\":false}]}",
	    "QUEUE      HANDLER  QUEUED  WAITING  RUNNING  OLDEST  MAX\n"
	    "a          m.h           5        1        2   1m01s\n"
	    "long name                0        0        0           10\n"
	    "\n"
	    "EXCHANGE  TYPE\n"
	    "x         topic\n"
	    "\n"
	    "FROM EXCHANGE  KEY  TO QUEUE  BOUND BY\n"
	    "x              #    a         config\n"
	    "x              u.1  a         a handler\n"
	    "\n"
	    "JOBS OF  QUEUED  WAITING  RUNNING\n"
	    "m.job         1        0        0\n");
	expect(render_queues, "{}", "there are no queues\n");
}
END_TEST

#define OUTBOX                                                       \
	"\"outbox\":{\"messages\":12,\"max_messages\":100000,"       \
	"\"bytes\":2048,\"max_bytes\":268435456,\"oldest\":61.5,"    \
	"\"under_way\":5,\"held\":2,\"held_why\":\"no exchange x\"," \
	"\"confirmed\":7,\"returned\":1,\"remembered\":3,"           \
	"\"remember\":200000}"

START_TEST(a_hub_with_a_broker)
{
	char *text = rendered(render_hub,
	    "{" OUTBOX ",\"amqp\":[{\"slot\":3,\"line\":\"connected\"},{}]}");

	ck_assert_str_eq(strstr(text, "outbox"),
	    "outbox  12 messages of 100000, 2.0K of 256M, the oldest for "
	    "1m01s, 5 under way; 2 held: no exchange x; 7 confirmed, 1 "
	    "returned as no queue took them; 3 of 200000 ids of done "
	    "messages remembered\n"
	    "amqp    slot 3: connected\n"
	    "amqp    slot -: has not said yet\n");
	free(text);
	text = rendered(render_hub,
	    "{\"outbox\":{\"messages\":4,\"waits_for\":\"a broker\"}}");
	ck_assert_str_eq(strstr(text, "outbox"),
	    "outbox  4 messages wait for a broker\n");
	free(text);
	text = rendered(render_hub,
	    "{\"outbox\":{\"messages\":1,\"max_messages\":2,"
	    "\"under_way\":0,\"waits_for\":\"no broker\"}}");
	ck_assert_ptr_nonnull(
	    strstr(text, "0 under way; they wait: no broker; - confirmed"));
	free(text);
	text = rendered(render_hub,
	    "{\"outbox\":{\"messages\":0,\"held\":0},\"amqp\":[]}");
	ck_assert_str_eq(strstr(text, "outbox"),
	    "outbox  0 messages of -, - of -; - confirmed, - returned as no "
	    "queue took them; - of - ids of done messages remembered\n"
	    "amqp    no child is there\n");
	free(text);
}
END_TEST

START_TEST(queues_of_a_broker)
{
	expect(render_queues,
	    "{\"queues\":[{\"name\":\"a\",\"handler\":\"m.h\",\"queued\":5,"
	    "\"waiting\":1,\"running\":2,\"ready\":100,\"unacked\":7,"
	    "\"prefetch\":8,\"consumers\":1,\"rate\":3.25,\"delayed\":4,"
	    "\"dead\":9},"
	    "{\"name\":\"b\",\"running\":0,"
	    "\"fault\":\"there is one with x-max-priority none\"}]}",
	    "QUEUE  HANDLER  READY  UNACKED  RUNNING  PREFETCH  CONSUMERS  "
	    " RATE  DELAYED  DEAD  FAULT\n"
	    "a      m.h        100        7        2         8          1  "
	    "3.2/s        4     9\n"
	    "b                   -        -        0         -          -  "
	    "    -                 there is one with x-max-priority none\n");
}
END_TEST

START_TEST(sections_of_status)
{
	char *text = rendered(render_status,
	    "{\"hub\":" HUB ",\"queues\":[{\"name\":\"q\"}],"
	    "\"schedules\":[]}");

	ck_assert_ptr_nonnull(strstr(text, "\n\n" HUB_TEXT "\nQUEUE"));
	ck_assert_ptr_null(strstr(text, "schedules"));
	free(text);
	text = rendered(render_status,
	    "{\"hub\":null,\"queues\":null,\"schedules\":null}");
	ck_assert_ptr_nonnull(strstr(text, "\nthe hub does not answer\n"));
	free(text);
	text = rendered(render_status, "{}");
	ck_assert_ptr_null(strstr(text, "hub"));
	free(text);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("ctl_render_hub");
	TCase *tests = tcase_create("render");

	tcase_add_test(tests, a_hub);
	tcase_add_test(tests, a_hub_with_a_broker);
	tcase_add_test(tests, queues);
	tcase_add_test(tests, queues_of_a_broker);
	tcase_add_test(tests, sections_of_status);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
