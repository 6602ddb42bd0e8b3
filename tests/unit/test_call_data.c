/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_call_data - shared data as a handler sees it, against a hub that the
 * test plays: what is asked, what becomes of the answers, what leaves with the
 * success of the call, and when locks are given back.
 */
#include "call_hub_fixture.h"

static void
ends(void)
{
	FAKE_WANT(!fake_hub_take());
}

/* -------------------------------------------------------------------- get */

static void
has_three_kinds(void)
{
	fake_hub_accept();
	fake_hub_want(MSG_GET);
	FAKE_WANT(msg_is(fake_hub.msg.GET.key, "json"));
	fake_hub_answer(MSG_VALUE,
	    &(struct msg_VALUE){ .found = 1,
		.kind = DATA_JSON,
		.version = 7,
		.ttl_ms = 1500,
		.value = msg_text("{\"a\":1}") });
	fake_hub_want(MSG_GET);
	fake_hub_answer(MSG_VALUE,
	    &(struct msg_VALUE){ .found = 1,
		.kind = DATA_NUMBER,
		.version = 8,
		.ttl_ms = -1,
		.value = msg_text("-42") });
	fake_hub_want(MSG_GET);
	fake_hub_answer(MSG_VALUE,
	    &(struct msg_VALUE){ .found = 1,
		.kind = DATA_BYTES,
		.version = 9,
		.ttl_ms = -1,
		.value = { "a\0b", 3 } });
	fake_hub_want(MSG_GET);
	fake_hub_answer(MSG_VALUE, &(struct msg_VALUE){ .found = 0 });
	fake_hub_want(MSG_GET);
	fake_hub_answer(MSG_VALUE, &(struct msg_VALUE){ .found = 1 });
	fake_hub_want(MSG_GET);
	fake_hub_fail(HUB_BAD, "no such luck");
	ends();
}

static enum brood_outcome
gets(struct brood_call *call)
{
	struct brood_value a, b, c;

	ck_assert_int_eq(brood_get(call, "json", &a), 1);
	ck_assert_int_eq(brood_get(call, "number", &b), 1);
	ck_assert_int_eq(brood_get(call, "bytes", &c), 1);
	ck_assert_int_eq(brood_get(call, "none", &c), 0);
	ck_assert_int_eq(brood_get(call, "there", NULL), 1);
	ck_assert_str_eq(brood_why(call), "");
	ck_assert_int_eq(brood_get(call, "fails", &c), -1);
	ck_assert_str_eq(brood_why(call), "no such luck");

	/* all of them are still there */
	ck_assert_int_eq(json_integer_value(json_object_get(a.json, "a")), 1);
	ck_assert_str_eq(a.bytes, "{\"a\":1}");
	ck_assert_uint_eq(a.version, 7);
	ck_assert(a.ttl > 1.4 && a.ttl < 1.6);
	ck_assert_int_eq(json_integer_value(b.json), -42);
	ck_assert_str_eq(b.bytes, "-42");
	ck_assert(b.ttl < 0);
	ck_assert_ptr_null(c.json);
	ck_assert_uint_eq(c.len, 3);
	ck_assert_int_eq(memcmp(c.bytes, "a\0b", 4), 0);
	return BROOD_DONE;
}

START_TEST(values_have_three_kinds)
{
	run_with(gets, has_three_kinds);
	ck_assert_int_eq(result.status, 204);
	check_blameless();
}
END_TEST

static enum brood_outcome
asks_for_bad_keys(struct brood_call *call)
{
	char key[600];

	memset(key, 'k', sizeof(key));
	key[sizeof(key) - 1] = '\0';
	ck_assert_int_eq(brood_get(call, "", NULL), -1);
	check_why(call, "empty");
	ck_assert_int_eq(brood_get(call, NULL, NULL), -1);
	ck_assert_int_eq(brood_get(call, key, NULL), -1);
	check_why(call, "hub.max_key");
	ck_assert_int_eq(brood_set(call, "key", NULL, NULL), -1);
	check_why(call, "no JSON");
	ck_assert_int_eq(brood_incr(call, "", 1, NULL, NULL), -1);
	ck_assert_int_eq(brood_delete(call, "", NULL), -1);
	ck_assert_int_eq(brood_lock(call, "", 1, 1, NULL), -1);
	ck_assert_int_eq(brood_lock(call, "l", 0, 1, NULL), -1);
	ck_assert_int_eq(brood_unlock(call, ""), -1);
	ck_assert_int_eq(brood_unlock(call, "never held"), 0);
	ck_assert_int_eq(brood_notify(call, "", NULL), -1);
	return BROOD_DONE;
}

/* No hub is there, and none is asked. */
START_TEST(bad_keys_are_not_asked_for)
{
	run(asks_for_bad_keys);
	ck_assert_uint_eq(result.effects_n, 0);
	check_blameless();
}
END_TEST

static bool
shows_none(void *ctx, const char *key, const struct brood_value *value)
{
	(void)ctx, (void)key, (void)value;
	return true;
}

static enum brood_outcome
works_without_a_hub(struct brood_call *call)
{
	json_t *json = json_true();
	const struct brood_set later = { .on_success = true };

	ck_assert_int_eq(brood_get(call, "k", NULL), -1);
	check_why(call, "no hub in this process");
	ck_assert_int_eq(brood_set(call, "k", json, NULL), -1);
	ck_assert_int_eq(brood_set(call, "k", json, &later), -1);
	ck_assert_int_eq(brood_set_bytes(call, "k", "", 0, NULL), -1);
	ck_assert_int_eq(brood_incr(call, "k", 1, NULL, NULL), -1);
	ck_assert_int_eq(brood_delete(call, "k", NULL), -1);
	ck_assert_int_eq(brood_list(call, "k", shows_none, NULL), -1);
	ck_assert_int_eq(brood_lock(call, "k", 1, 0, NULL), -1);
	ck_assert_int_eq(brood_notify(call, "k", json), -1);
	ck_assert_int_eq(brood_watch(call, "k"), -1);
	ck_assert_int_eq(brood_publish(call, "", "k", json), -1);
	ck_assert_ptr_null(brood_submit(call, "a.b", NULL, NULL));
	ck_assert_int_eq(brood_bind(call, "q", "x", "k"), -1);
	brood_progress(call, 0.5, "half");
	check_why(call, "no hub in this process");
	return BROOD_DONE;
}

START_TEST(without_a_hub_everything_says_so)
{
	hub_client_free(fake.child.hub);
	fake.child.hub = NULL;
	run(works_without_a_hub);
	ck_assert_int_eq(result.status, 204);
	ck_assert_uint_eq(result.effects_n, 0);
}
END_TEST

static enum brood_outcome
asks_in_vain(struct brood_call *call)
{
	ck_assert_int_eq(brood_get(call, "k", NULL), -1);
	check_why(call, "did not answer in time");
	ck_assert(brood_cancelled(call));
	return BROOD_RETRY;
}

START_TEST(the_deadline_of_the_call_ends_it)
{
	request.timeout_ns = 5 * NS_PER_MS;
	run(asks_in_vain);
	check_problem(504, "the handler did not finish in time");
}
END_TEST

/* ---------------------------------------------------------------- changes */

static void
takes_changes(void)
{
	const struct msg_SET *set = &fake_hub.msg.SET;

	fake_hub_accept();
	fake_hub_want(MSG_SET);
	FAKE_WANT(msg_is(set->key, "a") && set->kind == DATA_JSON);
	FAKE_WANT(msg_is(set->value, "{\"x\":[1,2]}"));
	FAKE_WANT(set->seq == 1 && set->only == DATA_ANY);
	FAKE_WANT(set->ttl_ms == -1);
	fake_hub_answer(MSG_STORED,
	    &(struct msg_STORED){ .done = 1, .version = 5 });
	fake_hub_want(MSG_SET);
	FAKE_WANT(set->kind == DATA_BYTES && set->value.len == 3);
	FAKE_WANT(set->seq == 2 && set->only == DATA_IF_ABSENT);
	FAKE_WANT(set->ttl_ms == 250);
	fake_hub_answer(MSG_STORED, &(struct msg_STORED){ .done = 0 });
	fake_hub_want(MSG_SET);
	FAKE_WANT(set->only == DATA_IF_VERSION && set->version == 5);
	fake_hub_answer(MSG_STORED,
	    &(struct msg_STORED){ .done = 1, .version = 6 });
	fake_hub_want(MSG_INCR);
	FAKE_WANT(msg_is(fake_hub.msg.INCR.key, "n"));
	FAKE_WANT(fake_hub.msg.INCR.seq == 4 && fake_hub.msg.INCR.by == -2);
	FAKE_WANT(fake_hub.msg.INCR.ttl_ms == -1);
	fake_hub_answer(MSG_NUMBER, &(struct msg_NUMBER){ .value = 40 });
	fake_hub_want(MSG_INCR);
	fake_hub_fail(HUB_NOT_NUMBER, "not a number");
	fake_hub_want(MSG_DELETE);
	FAKE_WANT(fake_hub.msg.DELETE.seq == 6);
	FAKE_WANT(fake_hub.msg.DELETE.only == DATA_IF_VERSION);
	FAKE_WANT(fake_hub.msg.DELETE.version == 6);
	fake_hub_answer(MSG_STORED, &(struct msg_STORED){ .done = 1 });
	ends();
}

static enum brood_outcome
changes(struct brood_call *call)
{
	json_t *json = json_pack("{s:[i,i]}", "x", 1, 2);
	uint64_t version = 0;
	int64_t sum = 0;

	ck_assert_int_eq(brood_set(call, "a", json,
			     &(struct brood_set){ .new_version = &version }),
	    1);
	ck_assert_uint_eq(version, 5);
	ck_assert_int_eq(brood_set_bytes(call, "a", "\0\1\2", 3,
			     &(struct brood_set){ .if_absent = true,
				 .ttl = 0.25 }),
	    0);
	ck_assert_int_eq(brood_set(call, "a", json,
			     &(struct brood_set){ .if_version = true,
				 .version = 5 }),
	    1);
	ck_assert_int_eq(brood_set(call, "a", json,
			     &(struct brood_set){ .if_version = true,
				 .if_absent = true }),
	    -1);
	ck_assert_int_eq(brood_incr(call, "n", -2, NULL, &sum), 1);
	ck_assert_int_eq(sum, 40);
	ck_assert_int_eq(brood_incr(call, "a", 1, NULL, NULL), -1);
	check_why(call, "not a number");
	ck_assert_int_eq(brood_delete(call, "a",
			     &(struct brood_set){ .if_version = true,
				 .version = 6 }),
	    1);
	json_decref(json);
	return BROOD_DONE;
}

START_TEST(changes_are_asked_for)
{
	run_with(changes, takes_changes);
	check_blameless();
}
END_TEST

static enum brood_outcome outcome;
static int status;

static enum brood_outcome
changes_with_success(struct brood_call *call)
{
	json_t *json = json_integer(1);
	const struct brood_set how = { .on_success = true };
	const struct brood_set once = { .on_success = true,
		.if_version = true,
		.ttl = 2 };

	ck_assert_int_eq(brood_set(call, "a", json, &once), 1);
	ck_assert_int_eq(brood_set_bytes(call, "b", "x", 1, &how), 1);
	ck_assert_int_eq(brood_incr(call, "c", 5, &how, NULL), 1);
	ck_assert_int_eq(brood_delete(call, "d", &how), 1);
	json_decref(json);
	if (status != 0)
		return brood_reply(call, status, NULL);
	return outcome;
}

START_TEST(changes_leave_with_the_success)
{
	const union msg *msg;
	size_t at = 0;

	outcome = BROOD_DONE;
	status = 0;
	run(changes_with_success);
	ck_assert_uint_eq(result.effects_n, 4);
	ck_assert_uint_ne(result.uid, 0);
	msg = effect(&at, MSG_SET);
	check_text(msg->SET.key, "a");
	check_text(msg->SET.value, "1");
	ck_assert_int_eq(msg->SET.kind, DATA_JSON);
	ck_assert_int_eq(msg->SET.only, DATA_IF_VERSION);
	ck_assert_uint_eq(msg->SET.version, 0);
	ck_assert_int_eq(msg->SET.ttl_ms, 2000);
	msg = effect(&at, MSG_SET);
	ck_assert_int_eq(msg->SET.kind, DATA_BYTES);
	msg = effect(&at, MSG_INCR);
	ck_assert_int_eq(msg->INCR.by, 5);
	msg = effect(&at, MSG_DELETE);
	check_text(msg->DELETE.key, "d");
	no_more_effects(at);
	call_result_release(&result);
	ck_assert_uint_eq(result.effects.len, 0);
}
END_TEST

START_TEST(changes_go_with_a_failure)
{
	static const struct {
		enum brood_outcome outcome;
		int status;
	} ends[] = {
		{ BROOD_RETRY, 0 },
		{ BROOD_REJECT, 0 },
		{ (enum brood_outcome)17, 0 },
		{ BROOD_DONE, 400 },
		{ BROOD_DONE, 503 },
	};

	outcome = ends[_i].outcome;
	status = ends[_i].status;
	run(changes_with_success);
	ck_assert_uint_eq(result.effects_n, 0);
	ck_assert_uint_eq(result.effects.len, 0);
}
END_TEST

START_TEST(changes_go_with_a_redirection)
{
	status = 303;
	run(changes_with_success);
	ck_assert_uint_eq(result.effects_n, 4);
}
END_TEST

static enum brood_outcome
changes_too_much(struct brood_call *call)
{
	const struct brood_set how = { .on_success = true };

	ck_assert_int_eq(brood_incr(call, "a", 1, &how, NULL), 1);
	ck_assert_int_eq(brood_incr(call, "a", 1, &how, NULL), 1);
	ck_assert_int_eq(brood_incr(call, "a", 1, &how, NULL), -1);
	check_why(call, "tasks.max_effects");
	return BROOD_DONE;
}

START_TEST(one_call_sends_so_much)
{
	hub_conf->tasks.max_effects = 2;
	run(changes_too_much);
	ck_assert_uint_eq(result.effects_n, 2);
}
END_TEST

/* ------------------------------------------------------------------- lists */

static void
add_item(struct buf *items, const char *key, const char *value)
{
	FAKE_WANT(msg_encode(items, MSG_ITEM, 0,
		      &(struct msg_ITEM){ .key = msg_text(key),
			  .kind = DATA_JSON,
			  .ttl_ms = -1,
			  .value = msg_text(value) }) == 0);
}

static void
answer_items(struct buf *items, bool more)
{
	fake_hub_answer(MSG_ITEMS,
	    &(struct msg_ITEMS){ .more = more,
		.items = { items->data, items->len } });
	buf_clear(items);
}

static void
lists_two_pages(void)
{
	struct buf items;

	buf_init(&items, 10000);
	fake_hub_accept();
	fake_hub_want(MSG_LIST);
	FAKE_WANT(msg_is(fake_hub.msg.LIST.prefix, "u:"));
	FAKE_WANT(fake_hub.msg.LIST.after.len == 0);
	FAKE_WANT(fake_hub.msg.LIST.limit > 0 && fake_hub.msg.LIST.values);
	add_item(&items, "u:1", "1");
	add_item(&items, "u:2", "2");
	answer_items(&items, true);
	/* the handler asks in between */
	fake_hub_want(MSG_GET);
	fake_hub_answer(MSG_VALUE, &(struct msg_VALUE){ .found = 0 });
	fake_hub_want(MSG_LIST);
	FAKE_WANT(msg_is(fake_hub.msg.LIST.after, "u:2"));
	add_item(&items, "u:3", "3");
	add_item(&items, "u:4", "4");
	answer_items(&items, false);
	/* the second listing is ended by who looks at it */
	fake_hub_want(MSG_LIST);
	add_item(&items, "u:1", "1");
	add_item(&items, "u:2", "2");
	answer_items(&items, true);
	buf_release(&items);
	ends();
}

static int shown;
static bool asking;

static bool
show(void *ctx, const char *key, const struct brood_value *value)
{
	char wanted[16];

	shown++;
	snprintf(wanted, sizeof(wanted), "u:%d", shown);
	ck_assert_str_eq(key, wanted);
	if (asking && shown == 2)
		ck_assert_int_eq(brood_get(ctx, "other", NULL), 0);
	ck_assert_str_eq(key, wanted);
	ck_assert_int_eq(json_integer_value(value->json), shown);
	return asking;
}

static enum brood_outcome
lists(struct brood_call *call)
{
	asking = true;
	ck_assert_int_eq(brood_list(call, "u:", show, call), 4);
	ck_assert_int_eq(shown, 4);
	asking = false;
	shown = 0;
	ck_assert_int_eq(brood_list(call, "u:", show, call), 1);
	return BROOD_DONE;
}

START_TEST(a_list_has_pages)
{
	run_with(lists, lists_two_pages);
}
END_TEST

static void
lists_nonsense(void)
{
	fake_hub_accept();
	fake_hub_want(MSG_LIST);
	fake_hub_answer(MSG_ITEMS,
	    &(struct msg_ITEMS){ .more = 1, .items = msg_text("nonsense") });
	fake_hub_want(MSG_LIST);
	fake_hub_answer(MSG_OK, &(struct msg_OK){ 0 });
	ends();
}

static enum brood_outcome
lists_in_vain(struct brood_call *call)
{
	ck_assert_int_eq(brood_list(call, "u:", shows_none, NULL), -1);
	ck_assert_int_eq(brood_list(call, "u:", shows_none, NULL), -1);
	check_why(call, "answered list with ok");
	return BROOD_DONE;
}

START_TEST(a_list_of_nonsense)
{
	run_with(lists_in_vain, lists_nonsense);
}
END_TEST

/* ------------------------------------------------------------------- locks */

static void
want_lock(const char *name, uint64_t held, uint64_t fence)
{
	fake_hub_want(MSG_LOCK);
	FAKE_WANT(msg_is(fake_hub.msg.LOCK.name, name));
	FAKE_WANT(fake_hub.msg.LOCK.fence == held);
	FAKE_WANT(fake_hub.msg.LOCK.lease_ms == 1500);
	FAKE_WANT(fake_hub.msg.LOCK.wait_ms == 100);
	fake_hub_answer(MSG_LOCKED, &(struct msg_LOCKED){ .fence = fence });
}

static void
want_unlock(const char *name, uint64_t fence)
{
	fake_hub_want(MSG_UNLOCK);
	FAKE_WANT(msg_is(fake_hub.msg.UNLOCK.name, name));
	FAKE_WANT(fake_hub.msg.UNLOCK.fence == fence);
	fake_hub_answer(MSG_STORED, &(struct msg_STORED){ .done = 1 });
}

static void
locks(void)
{
	fake_hub_accept();
	want_lock("a", 0, 11);
	want_lock("b", 0, 0);
	want_lock("a", 11, 12);
	want_lock("c", 0, 3);
	want_unlock("c", 3);
	/* at the end of the call */
	want_unlock("a", 12);
	ends();
}

static enum brood_outcome
takes_locks(struct brood_call *call)
{
	uint64_t fence = 0;

	ck_assert_int_eq(brood_lock(call, "a", 1.5, 0.1, &fence), 1);
	ck_assert_uint_eq(fence, 11);
	ck_assert_int_eq(brood_lock(call, "b", 1.5, 0.1, &fence), 0);
	ck_assert_int_eq(brood_lock(call, "a", 1.5, 0.1, &fence), 1);
	ck_assert_uint_eq(fence, 12);
	ck_assert_int_eq(brood_lock(call, "c", 1.5, 0.1, NULL), 1);
	ck_assert_int_eq(brood_unlock(call, "c"), 1);
	ck_assert_int_eq(brood_unlock(call, "c"), 0);
	return BROOD_DONE;
}

START_TEST(locks_end_with_the_call)
{
	run_with(takes_locks, locks);
}
END_TEST

static void
locks_and_commits(void)
{
	fake_hub_accept();
	want_lock("a", 0, 1);
	fake_hub_want(MSG_COMMIT);
	fake_hub_answer(MSG_DONE_OK, &(struct msg_DONE_OK){ 0 });
	want_unlock("a", 1);
	ends();
}

static enum brood_outcome
changes_under_a_lock(struct brood_call *call)
{
	const struct brood_set how = { .on_success = true };

	ck_assert_int_eq(brood_lock(call, "a", 1.5, 0.1, NULL), 1);
	ck_assert_int_eq(brood_incr(call, "n", 1, &how, NULL), 1);
	return BROOD_DONE;
}

/* Whoever has the lock next sees what the call has sent. */
START_TEST(locks_end_after_the_effects)
{
	struct hub_client *hub = fake.child.hub;
	struct msg_COMMIT commit = { 0 };
	enum hub_code code;
	union msg reply;

	fake_hub_fork(locks_and_commits);
	run(changes_under_a_lock);
	ck_assert_ptr_nonnull(result.locks);
	commit.uid = result.uid;
	ck_assert_int_eq(hub_ask(hub, MSG_COMMIT, &commit,
			     clock_now_ns() + 20 * NS_PER_S, &reply, &code),
	    MSG_DONE_OK);
	hang_up();
	fake_hub_join();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("call_data");
	TCase *tests = add_case_with_hub(suite, "call_data");

	tcase_add_test(tests, values_have_three_kinds);
	tcase_add_test(tests, bad_keys_are_not_asked_for);
	tcase_add_test(tests, without_a_hub_everything_says_so);
	tcase_add_test(tests, the_deadline_of_the_call_ends_it);
	tcase_add_test(tests, changes_are_asked_for);
	tcase_add_test(tests, changes_leave_with_the_success);
	tcase_add_loop_test(tests, changes_go_with_a_failure, 0, 5);
	tcase_add_test(tests, changes_go_with_a_redirection);
	tcase_add_test(tests, one_call_sends_so_much);
	tcase_add_test(tests, a_list_has_pages);
	tcase_add_test(tests, a_list_of_nonsense);
	tcase_add_test(tests, locks_end_with_the_call);
	tcase_add_test(tests, locks_end_after_the_effects);
	return run_suite(suite);
}
