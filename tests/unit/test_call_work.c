/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_call_work - messages and jobs as a handler sends them: what becomes of
 * each argument, what is refused, and asking somebody else for an answer.
 */
#include "call_hub_fixture.h"

static const union msg *msg;

/* ---------------------------------------------------------------- messages */

static enum brood_outcome
publishes(struct brood_call *call)
{
	json_t *json = json_pack("{s:i}", "n", 1);
	json_t *headers = json_pack("{s:s, s:s}", "X-One", "1", "X-Two", "");
	const struct brood_message message = {
		.type = "text/plain",
		.priority = 255,
		.ttl = 0.5,
		.mandatory = true,
		.message_id = "m",
		.correlation_id = "c",
		.reply_to = "r",
		.headers = headers,
	};

	ck_assert_int_eq(brood_publish(call, "mails", "new.de", json), 0);
	ck_assert_int_eq(brood_publish_message(call, "", "queue", "a\0b", 3,
			     &message),
	    0);
	ck_assert_int_eq(brood_publish_message(call, NULL, "queue", NULL, 3,
			     NULL),
	    0);
	json_decref(json);
	json_decref(headers);
	return BROOD_DONE;
}

START_TEST(messages_leave_with_the_success)
{
	struct why why;
	enum msg_id id;
	union msg attr;
	size_t at = 0, in = 0;
	uint64_t uid;

	request.traceparent =
	    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
	run(publishes);
	ck_assert_uint_eq(result.effects_n, 3);
	msg = effect(&at, MSG_PUBLISH);
	uid = msg->PUBLISH.uid;
	ck_assert_uint_ne(uid, 0);
	check_text(msg->PUBLISH.exchange, "mails");
	check_text(msg->PUBLISH.key, "new.de");
	check_text(msg->PUBLISH.type, "application/json");
	check_text(msg->PUBLISH.body, "{\"n\":1}");
	check_text(msg->PUBLISH.id, "an-id");
	check_text(msg->PUBLISH.traceparent, request.traceparent);
	ck_assert_int_eq(msg->PUBLISH.ttl_ms, -1);
	ck_assert_uint_gt(msg->PUBLISH.message_id.len, 20);
	ck_assert_uint_eq(msg->PUBLISH.reply_to.len, 0);
	ck_assert_int_eq(msg->PUBLISH.mandatory, 0);

	msg = effect(&at, MSG_PUBLISH);
	ck_assert_uint_gt(msg->PUBLISH.uid, uid);
	check_text(msg->PUBLISH.exchange, "");
	check_text(msg->PUBLISH.type, "text/plain");
	ck_assert_uint_eq(msg->PUBLISH.body.len, 3);
	ck_assert_int_eq(msg->PUBLISH.priority, 255);
	ck_assert_int_eq(msg->PUBLISH.ttl_ms, 500);
	ck_assert_int_eq(msg->PUBLISH.mandatory, 1);
	check_text(msg->PUBLISH.message_id, "m");
	check_text(msg->PUBLISH.correlation_id, "c");
	check_text(msg->PUBLISH.reply_to, "r");
	ck_assert_int_eq(msg_part(msg->PUBLISH.attrs, &in, MSG_ID_BIT(ATTR),
			     &id, &attr, &why),
	    1);
	ck_assert_int_eq(attr.ATTR.what, CALL_HEADER);
	check_text(attr.ATTR.name, "X-One");
	check_text(attr.ATTR.value, "1");

	msg = effect(&at, MSG_PUBLISH);
	check_text(msg->PUBLISH.type, "application/octet-stream");
	ck_assert_uint_eq(msg->PUBLISH.body.len, 0);
	no_more_effects(at);
}
END_TEST

static int
publish(struct brood_call *call, const char *exchange,
    const struct brood_message *message)
{
	return brood_publish_message(call, exchange, "k", "x", 1, message);
}

static enum brood_outcome
publishes_nonsense(struct brood_call *call)
{
	json_t *list = json_pack("[s]", "x"), *odd = json_pack("{s:i}", "x", 1);
	json_t *nul = json_pack("{s:s#}", "x", "a\0b", 3);
	json_t *many = json_object(), *long_name = json_object();
	char name[300];

	for (int i = 0; i <= CALL_MESSAGE_HEADERS; i++) {
		snprintf(name, sizeof(name), "h%d", i);
		json_object_set_new(many, name, json_string("x"));
	}
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	json_object_set_new(long_name, name, json_string("x"));
	ck_assert_int_eq(publish(call, name, NULL), -1);
	check_why(call, "the exchange has more than 255 bytes");
	ck_assert_int_eq(publish(call, "",
			     &(struct brood_message){ .priority = 256 }),
	    -1);
	check_why(call, "0 to 255, not 256");
	ck_assert_int_eq(publish(call, "",
			     &(struct brood_message){ .priority = -1 }),
	    -1);
	ck_assert_int_eq(publish(call, "",
			     &(struct brood_message){ .reply_to = name }),
	    -1);
	ck_assert_int_eq(publish(call, "",
			     &(struct brood_message){ .headers = list }),
	    -1);
	ck_assert_int_eq(publish(call, "",
			     &(struct brood_message){ .headers = odd }),
	    -1);
	check_why(call, "the header x is no text");
	ck_assert_int_eq(publish(call, "",
			     &(struct brood_message){ .headers = nul }),
	    -1);
	ck_assert_int_eq(publish(call, "",
			     &(struct brood_message){ .headers = many }),
	    -1);
	check_why(call, "more than 1000 headers");
	ck_assert_int_eq(publish(call, "",
			     &(struct brood_message){ .headers = long_name }),
	    -1);
	check_why(call, "a header's name has more than 255 bytes");
	ck_assert_int_eq(brood_publish(call, "", "k", NULL), -1);
	ck_assert_int_eq(brood_bind(call, "", "x", "k"), -1);
	ck_assert_int_eq(brood_bind(call, "q", NULL, "k"), -1);
	ck_assert_int_eq(brood_bind(call, name, "x", "k"), -1);
	json_decref(list);
	json_decref(odd);
	json_decref(nul);
	json_decref(many);
	json_decref(long_name);
	return BROOD_DONE;
}

START_TEST(wrong_messages_are_refused)
{
	run(publishes_nonsense);
	ck_assert_uint_eq(result.effects_n, 0);
	check_blameless();
}
END_TEST

static char large[60000];

static enum brood_outcome
publishes_much(struct brood_call *call)
{
	memset(large, 'x', sizeof(large));
	ck_assert_int_eq(brood_publish_message(call, "", "k", large,
			     sizeof(large), NULL),
	    0);
	ck_assert_int_eq(brood_publish_message(call, "", "k", large,
			     sizeof(large), NULL),
	    -1);
	check_why(call, "hub.max_message");
	return BROOD_DONE;
}

START_TEST(what_would_not_fit_a_frame_is_refused)
{
	hub_conf->hub.max_message = 150000;
	run(publishes_much);
	ck_assert_uint_eq(result.effects_n, 1);
}
END_TEST

static enum brood_outcome
binds(struct brood_call *call)
{
	ck_assert_int_eq(brood_bind(call, "q", "x", "k.*"), 0);
	ck_assert_int_eq(brood_unbind(call, "q", "x", NULL), 0);
	return BROOD_DONE;
}

START_TEST(bindings_leave_with_the_success)
{
	size_t at = 0;

	run(binds);
	msg = effect(&at, MSG_BIND);
	ck_assert_int_eq(msg->BIND.on, 1);
	check_text(msg->BIND.queue, "q");
	check_text(msg->BIND.exchange, "x");
	check_text(msg->BIND.key, "k.*");
	msg = effect(&at, MSG_BIND);
	ck_assert_int_eq(msg->BIND.on, 0);
	check_text(msg->BIND.key, "");
	no_more_effects(at);
}
END_TEST

/* -------------------------------------------------------------------- jobs */

static char first_id[64];

static enum brood_outcome
submits(struct brood_call *call)
{
	json_t *json = json_pack("[i]", 7);
	const struct brood_job job = {
		.delay = 0.0001,
		.priority = 9,
		.expires = 60,
		.unique = "only",
		.max_attempts = 3,
		.backoff_min = 1,
		.backoff_max = 2,
		.timeout = 3,
		.then = "a.next",
		.on_failure = "a.failed",
	};
	const char *id = brood_submit(call, "a.b", json, NULL);
	const char *second;

	ck_assert_ptr_nonnull(id);
	strcpy(first_id, id);
	second = brood_submit(call, "a.c", NULL, &job);
	ck_assert_ptr_nonnull(second);
	ck_assert_str_ne(id, second);
	ck_assert_str_eq(id, first_id);
	json_decref(json);
	return BROOD_DONE;
}

START_TEST(jobs_leave_with_the_success)
{
	uint64_t uid, token;
	size_t at = 0;

	run(submits);
	msg = effect(&at, MSG_SUBMIT);
	ck_assert(uid_parse(first_id, &uid, &token));
	ck_assert_uint_eq(msg->SUBMIT.uid, uid);
	ck_assert_uint_eq(msg->SUBMIT.token, token);
	check_text(msg->SUBMIT.handler, "a.b");
	check_text(msg->SUBMIT.body, "[7]");
	check_text(msg->SUBMIT.type, "application/json");
	check_text(msg->SUBMIT.id, "an-id");
	check_text(msg->SUBMIT.unique, "");
	ck_assert_int_eq(msg->SUBMIT.delay_ms, 0);
	ck_assert_int_eq(msg->SUBMIT.expires_ms, -1);
	ck_assert_uint_eq(msg->SUBMIT.max_attempts, 0);
	ck_assert_int_eq(msg->SUBMIT.timeout_ms, 0);

	msg = effect(&at, MSG_SUBMIT);
	check_text(msg->SUBMIT.handler, "a.c");
	ck_assert_uint_eq(msg->SUBMIT.body.len, 0);
	/* rounded up: something is not nothing */
	ck_assert_int_eq(msg->SUBMIT.delay_ms, 1);
	ck_assert_uint_eq(msg->SUBMIT.priority, 9);
	ck_assert_int_eq(msg->SUBMIT.expires_ms, 60000);
	check_text(msg->SUBMIT.unique, "only");
	ck_assert_uint_eq(msg->SUBMIT.max_attempts, 3);
	ck_assert_int_eq(msg->SUBMIT.backoff_min_ms, 1000);
	ck_assert_int_eq(msg->SUBMIT.backoff_max_ms, 2000);
	ck_assert_int_eq(msg->SUBMIT.timeout_ms, 3000);
	check_text(msg->SUBMIT.then, "a.next");
	check_text(msg->SUBMIT.on_failure, "a.failed");
	no_more_effects(at);
}
END_TEST

static enum brood_outcome
submits_nonsense(struct brood_call *call)
{
	const struct brood_job jobs[] = {
		{ .priority = -1 },
		{ .priority = 256 },
		{ .max_attempts = -1 },
		{ .then = "nodot" },
		{ .on_failure = "" },
		{ .unique = "" },
	};

	ck_assert_ptr_null(brood_submit(call, NULL, NULL, NULL));
	check_why(call, "MODULE.HANDLER");
	ck_assert_ptr_null(brood_submit(call, "nodot", NULL, NULL));
	for (size_t i = 0; i < COUNT(jobs); i++)
		ck_assert_ptr_null(brood_submit(call, "a.b", NULL, &jobs[i]));
	return BROOD_DONE;
}

START_TEST(wrong_jobs_are_refused)
{
	run(submits_nonsense);
	ck_assert_uint_eq(result.effects_n, 0);
	check_blameless();
}
END_TEST

/* ---------------------------------------------------------------- requests */

static void
answers_requests(void)
{
	struct why why;
	enum msg_id id;
	union msg part;
	size_t at = 0;

	fake_hub_accept();
	fake_hub_want(MSG_REQUEST);
	FAKE_WANT(msg_part(fake_hub.msg.REQUEST.publish, &at,
		      MSG_ID_BIT(PUBLISH), &id, &part, &why) == 1);
	FAKE_WANT(msg_is(part.PUBLISH.key, "rpc"));
	FAKE_WANT(msg_is(part.PUBLISH.body, "{}"));
	FAKE_WANT(part.PUBLISH.mandatory == 1);
	FAKE_WANT(part.PUBLISH.correlation_id.len > 0);
	FAKE_WANT(
	    fake_hub.msg.REQUEST.deadline_ns < clock_now_ns() + 30 * NS_PER_S);
	fake_hub_answer(MSG_RESULT,
	    &(struct msg_RESULT){ .status = 200,
		.type = msg_text("application/json"),
		.body = msg_text("[true]") });
	fake_hub_want(MSG_REQUEST);
	fake_hub_answer(MSG_RESULT,
	    &(struct msg_RESULT){ .status = 422,
		.problem = msg_text("never") });
	fake_hub_want(MSG_REQUEST);
	fake_hub_fail(HUB_TIMEOUT, "nobody answered");
	fake_hub_want(MSG_REQUEST);
	fake_hub_fail(HUB_UNROUTABLE, "no queue takes it");
	FAKE_WANT(!fake_hub_take());
}

static enum brood_outcome
requests(struct brood_call *call)
{
	struct brood_answer first, second;
	json_t *json = json_object();

	ck_assert_int_eq(brood_request(call, "", "rpc", json, 10, &first), 1);
	ck_assert_int_eq(brood_request(call, "", "rpc", json, 10, &second), 1);
	ck_assert_int_eq(first.status, 200);
	ck_assert_str_eq(first.type, "application/json");
	ck_assert_str_eq(first.body, "[true]");
	ck_assert_uint_eq(first.len, 6);
	ck_assert(json_is_array(first.json));
	ck_assert_int_eq(second.status, 422);
	ck_assert_str_eq(json_string_value(
			     json_object_get(second.json, "detail")),
	    "never");
	ck_assert_int_eq(brood_request(call, "", "rpc", json, 10, &first), 0);
	ck_assert_int_eq(brood_request(call, "", "rpc", json, 10, &first), -1);
	check_why(call, "no queue takes it");
	ck_assert_int_eq(brood_request(call, "", "rpc", NULL, 10, &first), -1);
	json_decref(json);
	return BROOD_DONE;
}

START_TEST(requests_are_answered)
{
	run_with(requests, answers_requests);
	ck_assert_uint_eq(result.effects_n, 0);
}
END_TEST

/* ---------------------------------------------------------------- progress */

static void
is_told_once(void)
{
	const struct msg_PROGRESS *progress = &fake_hub.msg.PROGRESS;

	fake_hub_accept();
	fake_hub_want(MSG_PROGRESS);
	FAKE_WANT(progress->uid == 99 && progress->attempt == 4);
	FAKE_WANT(progress->permille == 500);
	FAKE_WANT(msg_is(progress->note, "half of 10"));
	/* many more: few of them are told, and within bounds */
	while (fake_hub_take()) {
		FAKE_WANT(fake_hub.head.id == MSG_PROGRESS);
		FAKE_WANT(progress->permille <= 1000);
	}
}

static enum brood_outcome
progresses(struct brood_call *call)
{
	unsigned max = 0;

	ck_assert_uint_eq(brood_call_attempt(call, &max), 4);
	ck_assert_uint_eq(max, 6);
	ck_assert_int_eq(brood_call_door(call), BROOD_DOOR_JOB);
	brood_progress(call, 0.5, "half of %d", 10);
	for (int i = 0; i < 1000; i++)
		brood_progress(call, i * 5.0 - 2000, NULL);
	return BROOD_DONE;
}

START_TEST(progress_is_told_now_and_then)
{
	request.door = DOOR_JOB;
	request.uid = 99;
	request.attempt = 4;
	request.max_attempts = 6;
	run_with(progresses, is_told_once);
}
END_TEST

static enum brood_outcome
looks_around(struct brood_call *call)
{
	unsigned max = 0;

	ck_assert_uint_eq(brood_call_attempt(call, &max), 1);
	ck_assert_uint_eq(max, 1);
	ck_assert_uint_eq(brood_call_attempt(call, NULL), 1);
	ck_assert_int_eq(brood_call_door(call), BROOD_DOOR_REST);
	ck_assert_ptr_null(brood_call_property(call, "queue"));
	return BROOD_DONE;
}

START_TEST(a_call_knows_its_door_and_attempt)
{
	run(looks_around);
	ck_assert_uint_ne(result.uid, 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("call_work");
	TCase *tests = add_case_with_hub(suite, "call_work");

	tcase_add_test(tests, messages_leave_with_the_success);
	tcase_add_test(tests, wrong_messages_are_refused);
	tcase_add_test(tests, what_would_not_fit_a_frame_is_refused);
	tcase_add_test(tests, bindings_leave_with_the_success);
	tcase_add_test(tests, jobs_leave_with_the_success);
	tcase_add_test(tests, wrong_jobs_are_refused);
	tcase_add_test(tests, requests_are_answered);
	tcase_add_test(tests, progress_is_told_now_and_then);
	tcase_add_test(tests, a_call_knows_its_door_and_attempt);
	return run_suite(suite);
}
