/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_amqp_status - the one line: for each thing that can be wrong with the
 * broker what somebody reads, which of several comes first, and the JSON.
 */
#include "conf_fixture.h"
#include "fake_child.h"
#include "fake_rabbit.h"

#include "amqp/consume.h"
#include "amqp/look.h"
#include "amqp/publish.h"
#include "amqp/status.h"
#include "amqp/topology.h"
#include "base/clock.h"

static struct amqp amqp;
static struct status *status;
static struct link in, out, look;
static struct publish_count publishes;
static struct consume_count counts;
static const char *faults[4], *slow;
static bool ready, bound;
static int told;

const struct link *
consume_link(const struct consume *consume)
{
	(void)consume;
	return &in;
}

const struct link *
publish_link(const struct publish *publish)
{
	(void)publish;
	return &out;
}

const struct link *
look_link(const struct look *of)
{
	(void)of;
	return &look;
}

void
consume_count(const struct consume *consume, size_t queue,
    struct consume_count *count)
{
	(void)consume;
	memset(count, 0, sizeof(*count));
	if (queue == 0)
		*count = counts;
}

const char *
consume_slow(const struct consume *consume)
{
	(void)consume;
	return slow;
}

void
consume_tick(struct consume *consume, int64_t now_ns)
{
	(void)consume;
	(void)now_ns;
}

void
publish_count(const struct publish *publish, struct publish_count *count)
{
	(void)publish;
	*count = publishes;
}

void
publish_tell(struct publish *publish)
{
	(void)publish;
	told++;
}

const char *
topology_fault(const struct topology *topology, size_t n)
{
	(void)topology;
	return n < 4 ? faults[n] : NULL;
}

const char *
topology_queue_trouble(const struct topology *topology, size_t queue)
{
	(void)topology;
	return queue == 0 ? faults[0] : NULL;
}

bool
topology_ready(const struct topology *topology)
{
	(void)topology;
	return ready;
}

bool
topology_is_bound(const struct topology *topology)
{
	(void)topology;
	return bound;
}

size_t
topology_bindings(const struct topology *topology, size_t *made)
{
	(void)topology;
	*made = 17;
	return 1000;
}

/* For link.c. */
void
amqp_alive(void *ctx)
{
	(void)ctx;
}

void
topology_on_link(struct topology *topology, size_t broker)
{
	(void)topology;
	(void)broker;
}

void
topology_on_loss(struct topology *topology)
{
	(void)topology;
}

/* In the midst of a minute, so that it does not matter how long it takes. */
static int64_t
five_minutes_ago(void)
{
	return clock_now_ns() - 330 * NS_PER_S;
}

static void
comes_up(struct link *link)
{
	link->up = true;
	link->since_ns = five_minutes_ago();
	link->why.text[0] = '\0';
	link->again_ns = 0;
}

static void
goes_down(struct link *link, const char *why)
{
	link->up = false;
	link->since_ns = five_minutes_ago();
	link->again_ns = clock_now_ns();
	why_set(&link->why, "%s", why);
}

static void
set_up(void)
{
	fake_child_set_up();
	conf_set_up();
	fake_rabbit_set_up();
	load_text("amqp: { broker = \"amqp://h\"; queues = ( { name = \"q\"; "
		  "}, { name = \"r\"; } ); };");
	ck_assert_msg(conf != NULL, "%s", error_text(0));
	memset(&publishes, 0, sizeof(publishes));
	memset(&faults, 0, sizeof(faults));
	slow = NULL;
	memset(&in, 0, sizeof(in));
	strcpy(in.where, "amqp://h:5672/");
	look = out = in;
	comes_up(&in);
	comes_up(&out);
	comes_up(&look);
	counts = (struct consume_count){ .consuming = true, .unsettled = 3 };
	ready = bound = true;
	told = 0;
	ck_assert_int_eq(loop_init(&fake.child.loop), 0);
	amqp = (struct amqp){ .child = &fake.child, .conf = conf };
	amqp.loop = &fake.child.loop;
	status = amqp.status = status_new(&amqp);
}

static void
tear_down(void)
{
	status_free(status);
	loop_release(&fake.child.loop);
	fake_rabbit_tear_down();
	conf_tear_down();
	fake_child_tear_down();
}

static void
says(bool trouble, const char *line)
{
	json_t *json = status_json(status);

	ck_assert_ptr_nonnull(json);
	ck_assert_str_eq(json_string_value(json_object_get(json, "line")),
	    line);
	ck_assert_int_eq(json_is_true(json_object_get(json, "trouble")),
	    trouble);
	json_decref(json);
}

START_TEST(all_is_well)
{
	says(false,
	    "connected to amqp://h:5672/ (Fake 1) for 5 min, consumes 1 queue, "
	    "3 unacked");
}
END_TEST

START_TEST(before_anything)
{
	ready = false;
	says(false, "waits for the hub");
	ready = true;
	in.up = out.up = look.up = false;
	says(false, "connecting to amqp://h:5672/");
}
END_TEST

START_TEST(no_broker)
{
	goes_down(&in, "amqp://h:5672/: wrong user or password");
	goes_down(&out, "whatever");
	says(true,
	    "no broker for 5 min: amqp://h:5672/: wrong user or password; next "
	    "try now");
	/* where it was is said once, and always */
	goes_down(&in, "the connection was reset");
	says(true,
	    "no broker for 5 min: amqp://h:5672/: the connection was reset; "
	    "next try now");
}
END_TEST

START_TEST(half_a_broker)
{
	goes_down(&out, "no sign of life");
	says(true,
	    "consumes; the connection for publishing is down for 5 min: "
	    "amqp://h:5672/: no sign of life; next try now");
	comes_up(&out);
	goes_down(&in, "no sign of life");
	says(true,
	    "publishes; the connection for consuming is down for 5 min: "
	    "amqp://h:5672/: no sign of life; next try now");
}
END_TEST

START_TEST(an_alarm)
{
	publishes.blocked = true;
	strcpy(publishes.blocked_why, "low on memory");
	says(true,
	    "blocked by the broker for 0 s: low on memory (an alarm of its "
	    "own: it takes no messages until it is over); connected to "
	    "amqp://h:5672/ (Fake 1) for 5 min");
}
END_TEST

START_TEST(faults_of_the_topology)
{
	faults[0] = "queue \"q\": is missing";
	says(true, "queue \"q\": is missing");
	faults[1] = faults[2] = "another";
	says(true, "queue \"q\": is missing (and 2 more)");
}
END_TEST

START_TEST(messages_that_are_stuck_or_held)
{
	counts.stuck = 2;
	says(true,
	    "queue \"q\": larger than hub.max_message, and left "
	    "unacknowledged, for the broker has no dead-letter exchange for "
	    "the queue: 2 messages; connected to amqp://h:5672/ (Fake 1) for 5 "
	    "min");
	counts.stuck = 0;
	strcpy(publishes.held_why, "no such exchange");
	says(true,
	    "messages are held: no such exchange; connected to amqp://h:5672/ "
	    "(Fake 1) for 5 min");
}
END_TEST

START_TEST(no_answer)
{
	goes_down(&look, "no answer within 5 s");
	says(true,
	    "connected to amqp://h:5672/ (Fake 1) for 5 min, but it does not "
	    "answer: no answer within 5 s");
}
END_TEST

/* Quorum queues that have lost their majority, a disk that hangs. */
START_TEST(confirms_that_do_not_come)
{
	publishes.under_way = 12;
	publishes.stalled_ns = NS_PER_S;
	says(false,
	    "connected to amqp://h:5672/ (Fake 1) for 5 min, consumes 1 queue, "
	    "3 unacked");
	publishes.stalled_ns = 61 * NS_PER_S;
	says(true,
	    "the broker has confirmed none of 12 messages under way for 61 s: "
	    "a queue that has lost its majority, or a slow disk; connected to "
	    "amqp://h:5672/ (Fake 1) for 5 min");
}
END_TEST

START_TEST(a_handler_that_was_too_slow)
{
	slow = "it took too long";
	says(true,
	    "it took too long; connected to amqp://h:5672/ (Fake 1) for 5 min");
}
END_TEST

START_TEST(bindings_are_made)
{
	bound = false;
	says(false,
	    "connected to amqp://h:5672/ (Fake 1) for 5 min, publishes when "
	    "the bindings that handlers made are there: 17 of 1000");
}
END_TEST

START_TEST(the_drain)
{
	amqp.draining = true;
	publishes.under_way = 4;
	says(false, "draining, 3 unacked, 4 to be confirmed");
}
END_TEST

START_TEST(is_told_when_it_changes)
{
	struct slot_snapshot shot;

	status_turn(status);
	ck_assert_int_eq(told, 1);
	slot_snapshot(fake.child.slot, &shot);
	ck_assert(!shot.note_trouble);
	ck_assert_str_eq(shot.note,
	    "connected to amqp://h:5672/ (Fake 1) for 5 min, consumes 1 queue, "
	    "3 unacked");
	status_turn(status);
	ck_assert_int_eq(told, 1);
	/* at once or, so soon after the last time, with the next tick */
	goes_down(&in, "gone");
	goes_down(&out, "gone");
	status_changed(status);
	fake.child.loop.before_wait = NULL;
	while (told < 2) {
		status_turn(status);
		fake.child.loop.stop = true;
		ck_assert_int_eq(loop_run(&fake.child.loop), 0);
	}
	slot_snapshot(fake.child.slot, &shot);
	ck_assert(shot.note_trouble);
}
END_TEST

START_TEST(json_of_whatever_the_broker_says)
{
	json_t *json, *queue;

	goes_down(&in, "caf\xc3");
	goes_down(&out, "gone");
	faults[0] = "broken \xff text";
	counts.redelivered = 7;
	strcpy(publishes.last_return, "e, k: NO_ROUTE");
	json = status_json(status);
	ck_assert_ptr_nonnull(json);
	ck_assert_ptr_nonnull(
	    strstr(json_string_value(json_object_get(json, "line")), "caf?"));
	ck_assert_str_eq(json_string_value(json_object_get(json, "state")),
	    "connecting");
	ck_assert_str_eq(json_string_value(
			     json_object_get(json, "last_return")),
	    "e, k: NO_ROUTE");
	ck_assert_uint_eq(json_array_size(json_object_get(json, "queues")), 2);
	queue = json_array_get(json_object_get(json, "queues"), 0);
	ck_assert_str_eq(json_string_value(json_object_get(queue, "name")),
	    "q");
	ck_assert_str_eq(json_string_value(json_object_get(queue, "fault")),
	    "broken ? text");
	ck_assert_int_eq(json_integer_value(
			     json_object_get(queue, "redelivered")),
	    7);
	json_decref(json);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("amqp_status");
	TCase *tcase = tcase_create("amqp_status");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, all_is_well);
	tcase_add_test(tcase, before_anything);
	tcase_add_test(tcase, no_broker);
	tcase_add_test(tcase, half_a_broker);
	tcase_add_test(tcase, an_alarm);
	tcase_add_test(tcase, faults_of_the_topology);
	tcase_add_test(tcase, messages_that_are_stuck_or_held);
	tcase_add_test(tcase, no_answer);
	tcase_add_test(tcase, confirms_that_do_not_come);
	tcase_add_test(tcase, a_handler_that_was_too_slow);
	tcase_add_test(tcase, bindings_are_made);
	tcase_add_test(tcase, the_drain);
	tcase_add_test(tcase, is_told_when_it_changes);
	tcase_add_test(tcase, json_of_whatever_the_broker_says);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
