/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_call_wait - notifications, watches, waiting, and the ways in which a
 * handler learns that it is to stop.
 */
#include <signal.h>

#include "call_hub_fixture.h"

static enum brood_wake woke;
static struct brood_event event;

static void
ends(void)
{
	FAKE_WANT(!fake_hub_take());
}

static void
is_notified(void)
{
	fake_hub_accept();
	fake_hub_want(MSG_NOTIFY);
	FAKE_WANT(msg_is(fake_hub.msg.NOTIFY.topic, "topic"));
	FAKE_WANT(msg_is(fake_hub.msg.NOTIFY.value, "[1]"));
	FAKE_WANT(fake_hub.msg.NOTIFY.kind == DATA_JSON);
	fake_hub_answer(MSG_NUMBER, &(struct msg_NUMBER){ .value = 3 });
	ends();
}

static enum brood_outcome
notifies(struct brood_call *call)
{
	json_t *json = json_pack("[i]", 1);

	ck_assert_int_eq(brood_notify(call, "topic", json), 3);
	json_decref(json);
	return BROOD_DONE;
}

START_TEST(a_notification_is_counted)
{
	run_with(notifies, is_notified);
}
END_TEST

static void
want_watch(const char *prefix, bool on)
{
	fake_hub_want(MSG_WATCH);
	FAKE_WANT(msg_is(fake_hub.msg.WATCH.prefix, prefix));
	FAKE_WANT(fake_hub.msg.WATCH.on == on);
	fake_hub_answer(MSG_OK, &(struct msg_OK){ 0 });
}

static void
tells_of_keys(void)
{
	fake_hub_accept();
	want_watch("a:", true);
	want_watch("b:", true);
	/* left over from somebody else's watch */
	fake_hub_event("c:1", "0");
	fake_hub_event("b:1", "{\"x\":2}");
	fake_hub_send(MSG_EVENT, 0,
	    &(struct msg_EVENT){ .what = DATA_HAS_EXPIRED,
		.key = msg_text("a:2") });
	fake_hub_want(MSG_GET);
	fake_hub_answer(MSG_VALUE, &(struct msg_VALUE){ .found = 0 });
	/* the next hub is told of the watches; what happened is not known */
	fake_hub_accept();
	want_watch("a:", true);
	want_watch("b:", true);
	fake_hub_event("a:3", "3");
	/* the call ends */
	want_watch("a:", false);
	want_watch("b:", false);
	ends();
}

static enum brood_outcome
watches(struct brood_call *call)
{
	ck_assert_int_eq(brood_watch(call, "a:"), 1);
	ck_assert_int_eq(brood_watch(call, "b:"), 1);
	ck_assert_int_eq(brood_watch(call, "a:"), 1);
	ck_assert_int_eq(brood_wait(call, -1, &event), BROOD_WAKE_EVENT);
	ck_assert_int_eq(event.what, BROOD_SET);
	ck_assert_str_eq(event.key, "b:1");
	ck_assert_uint_eq(event.value.version, 3);
	/* it stays while something else is asked for */
	ck_assert_int_eq(brood_get(call, "k", NULL), 0);
	ck_assert_int_eq(json_integer_value(
			     json_object_get(event.value.json, "x")),
	    2);
	ck_assert(!event.gap);
	ck_assert_int_eq(brood_wait(call, 20, &event), BROOD_WAKE_EVENT);
	ck_assert_int_eq(event.what, BROOD_EXPIRED);
	ck_assert_str_eq(event.key, "a:2");
	ck_assert_ptr_null(event.value.bytes);
	ck_assert_int_eq(brood_wait(call, -1, &event), BROOD_WAKE_EVENT);
	ck_assert_str_eq(event.key, "a:3");
	ck_assert(event.gap);
	return BROOD_DONE;
}

START_TEST(a_watch_wakes_up)
{
	run_with(watches, tells_of_keys);
}
END_TEST

static enum brood_outcome
waits_a_moment(struct brood_call *call)
{
	ck_assert_int_eq(brood_wait(call, 0, NULL), BROOD_WAKE_TIME);
	ck_assert_int_eq(brood_wait(call, 0.001, &event), BROOD_WAKE_TIME);
	ck_assert(!brood_cancelled(call));
	return BROOD_DONE;
}

START_TEST(time_passes)
{
	run(waits_a_moment);
	ck_assert_int_eq(result.status, 204);
}
END_TEST

static enum brood_outcome
waits_for_ever(struct brood_call *call)
{
	woke = brood_wait(call, -1, &event);
	ck_assert(brood_cancelled(call));
	ck_assert_int_eq(brood_wait(call, -1, &event), BROOD_WAKE_STOP);
	return BROOD_RETRY;
}

START_TEST(the_deadline_stops_it)
{
	request.timeout_ns = 2 * NS_PER_MS;
	run(waits_for_ever);
	ck_assert_int_eq(woke, BROOD_WAKE_STOP);
	check_problem(504, "the handler did not finish in time");
}
END_TEST

static enum brood_outcome
is_cancelled(struct brood_call *call)
{
	const struct slot_call *shown = &fake.child.slot->call;

	ck_assert(!brood_cancelled(call));
	ck_assert_uint_eq(shown->uid, 4711);
	ck_assert_uint_eq(shown->attempt, 2);
	/* another call of the slot, before this one */
	board_cancel_call(fake.child.board, FAKE_SLOT, 4710);
	ck_assert(!brood_cancelled(call));
	board_cancel_call(fake.child.board, FAKE_SLOT, 4711);
	return waits_for_ever(call);
}

START_TEST(a_word_in_the_scoreboard_stops_it)
{
	request.uid = 4711;
	request.attempt = 2;
	run(is_cancelled);
	ck_assert_int_eq(woke, BROOD_WAKE_STOP);
	ck_assert_uint_eq(result.uid, 4711);
	check_problem(409, "the call was cancelled");
}
END_TEST

static enum brood_outcome
is_told_on_the_channel(struct brood_call *call)
{
	ck_assert(!brood_cancelled(call));
	ck_assert_int_eq(fake.child.slot->call.deadline_ns, 0);
	ck_assert_int_eq(brood_wait(call, 0.001, NULL), BROOD_WAKE_TIME);
	ck_assert_int_eq(chan_send(fake.master_fd, CHAN_DRAIN, -1), 0);
	return waits_for_ever(call);
}

static void
on_drain(struct child *child)
{
	ck_assert(child->draining);
}

START_TEST(the_channel_stops_the_background)
{
	static const struct role role = { .drain = on_drain };

	fake.child.spec.role = &role;
	ck_assert_int_eq(loop_init(&fake.child.loop), 0);
	request.door = DOOR_BACKGROUND;
	request.timeout_ns = INT64_MAX;
	run(is_told_on_the_channel);
	ck_assert_int_eq(woke, BROOD_WAKE_STOP);
	check_problem(503, "the process is to stop");
	loop_release(&fake.child.loop);
}
END_TEST

/* A value of the background lives until the next wait; here it must not leak,
 * which the sanitizer looks at. */
static void
has_a_value(void)
{
	fake_hub_accept();
	for (int i = 0; i < 3; i++) {
		fake_hub_want(MSG_GET);
		fake_hub_answer(MSG_VALUE,
		    &(struct msg_VALUE){ .found = 1,
			.kind = DATA_JSON,
			.value = msg_text("{}") });
	}
	ends();
}

static enum brood_outcome
gets_now_and_then(struct brood_call *call)
{
	struct brood_value value;

	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(brood_get(call, "k", &value), 1);
		ck_assert(json_is_object(value.json));
		brood_wait(call, 0, NULL);
	}
	return BROOD_DONE;
}

START_TEST(the_background_forgets)
{
	request.door = DOOR_BACKGROUND;
	run_with(gets_now_and_then, has_a_value);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("call_wait");
	TCase *tests = add_case_with_hub(suite, "call_wait");

	tcase_add_test(tests, a_notification_is_counted);
	tcase_add_test(tests, a_watch_wakes_up);
	tcase_add_test(tests, time_passes);
	tcase_add_test(tests, the_deadline_stops_it);
	tcase_add_test(tests, a_word_in_the_scoreboard_stops_it);
	tcase_add_test(tests, the_channel_stops_the_background);
	tcase_add_test(tests, the_background_forgets);
	return run_suite(suite);
}
