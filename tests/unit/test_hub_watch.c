/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_hub_watch - who is told of which keys and topics, in which order, and
 * what becomes of a watcher that never reads: a real hub in a process of its
 * own.
 */
#include "hub_fixture.h"
#include "run_suite.h"

static struct client a, b;

static void
set_up(void)
{
	hub_set_up();
	hub_conf->hub.max_watches = 8;
	hub_conf->hub.max_unread = 1 << 20;
	hub_conf->hub.max_message = 1 << 20;
	hub_start();
	client_open(&a, 1);
	client_open(&b, 2);
}

static void
tear_down(void)
{
	client_close(&a);
	client_close(&b);
	hub_tear_down();
}

static enum msg_id
watch(struct client *client, const char *prefix, bool on)
{
	struct msg_WATCH msg = { .prefix = msg_text(prefix), .on = on };

	return client_ask(client, MSG_WATCH, &msg);
}

static int64_t
notify(struct client *client, const char *topic, const char *value)
{
	struct msg_NOTIFY msg = { .topic = msg_text(topic),
		.kind = DATA_JSON,
		.value = msg_text(value) };

	ck_assert_int_eq(client_ask(client, MSG_NOTIFY, &msg), MSG_NUMBER);
	return client->msg.NUMBER.value;
}

static void
require_event(struct client *client, enum data_event what, const char *key,
    const char *value)
{
	ck_assert_int_eq(client_next(client), MSG_EVENT);
	ck_assert_uint_eq(client->head.request, 0);
	ck_assert_int_eq(client->msg.EVENT.what, what);
	ck_assert(msg_is(client->msg.EVENT.key, key));
	ck_assert(msg_is(client->msg.EVENT.value, value));
}

START_TEST(changes_of_keys_are_told)
{
	ck_assert_int_eq(watch(&a, "k:", true), MSG_OK);
	client_set(&b, 1, "k:1", "v", -1);
	client_set(&b, 2, "x:1", "v", -1);
	client_incr(&b, 3, "k:n", 5);
	client_delete(&b, 4, "k:1");
	client_delete(&b, 5, "k:none");
	client_set(&b, 6, "k:", "w", 1);
	require_event(&a, DATA_WAS_SET, "k:1", "v");
	ck_assert_uint_gt(a.msg.EVENT.version, 0);
	require_event(&a, DATA_WAS_SET, "k:n", "5");
	ck_assert_uint_eq(a.msg.EVENT.kind, DATA_NUMBER);
	require_event(&a, DATA_WAS_DELETED, "k:1", "");
	require_event(&a, DATA_WAS_SET, "k:", "w");
	require_event(&a, DATA_HAS_EXPIRED, "k:", "");
}
END_TEST

START_TEST(what_is_repeated_is_told_once)
{
	watch(&a, "k", true);
	client_set(&b, 1, "k1", "v", -1);
	client_set(&b, 1, "k1", "v", -1);
	client_set(&b, 2, "k2", "v", -1);
	require_event(&a, DATA_WAS_SET, "k1", "v");
	require_event(&a, DATA_WAS_SET, "k2", "v");
}
END_TEST

START_TEST(notifications_are_told_and_counted)
{
	ck_assert_int_eq(notify(&b, "t", "1"), 0);
	watch(&a, "t", true);
	ck_assert_int_eq(notify(&b, "t", "2"), 1);
	ck_assert_int_eq(notify(&b, "topic", "3"), 1);
	ck_assert_int_eq(notify(&b, "u", "4"), 0);
	watch(&b, "", true);
	/* it is told before the answer comes */
	client_queue(&b, MSG_NOTIFY,
	    &(struct msg_NOTIFY){ .topic = { "t", 1 } });
	client_flush(&b);
	require_event(&b, DATA_NOTIFIED, "t", "");
	ck_assert_int_eq(client_next(&b), MSG_NUMBER);
	ck_assert_int_eq(b.msg.NUMBER.value, 2);
	require_event(&a, DATA_NOTIFIED, "t", "2");
	require_event(&a, DATA_NOTIFIED, "topic", "3");
	require_event(&a, DATA_NOTIFIED, "t", "");
}
END_TEST

START_TEST(watches_that_overlap_tell_once)
{
	watch(&a, "", true);
	watch(&a, "k", true);
	watch(&a, "k:", true);
	watch(&a, "k:", true);
	client_set(&b, 1, "k:1", "v", -1);
	client_set(&b, 2, "z", "v", -1);
	require_event(&a, DATA_WAS_SET, "k:1", "v");
	require_event(&a, DATA_WAS_SET, "z", "v");
	ck_assert_int_eq(watch(&a, "", false), MSG_OK);
	ck_assert_int_eq(watch(&a, "k", false), MSG_OK);
	ck_assert_int_eq(watch(&a, "never", false), MSG_OK);
	client_set(&b, 3, "z", "v", -1);
	client_set(&b, 4, "k:2", "v", -1);
	require_event(&a, DATA_WAS_SET, "k:2", "v");
	ck_assert_int_eq(watch(&a, "k:", false), MSG_OK);
	ck_assert_int_eq(notify(&b, "k:1", ""), 0);
}
END_TEST

START_TEST(their_number_is_bounded)
{
	char prefix[1000];

	for (int i = 0; i < 8; i++) {
		snprintf(prefix, sizeof(prefix), "p%d", i);
		ck_assert_int_eq(watch(&a, prefix, true), MSG_OK);
	}
	ck_assert_int_eq(watch(&a, "one more", true), MSG_FAIL);
	ck_assert_uint_eq(client_code(&a), HUB_FULL);
	ck_assert_int_eq(watch(&a, "p3", true), MSG_OK);
	watch(&a, "p3", false);
	ck_assert_int_eq(watch(&a, "one more", true), MSG_OK);
	memset(prefix, 'p', sizeof(prefix) - 1);
	prefix[999] = '\0';
	ck_assert_int_eq(watch(&b, prefix, true), MSG_FAIL);
	ck_assert_uint_eq(client_code(&b), HUB_TOO_LARGE);
}
END_TEST

START_TEST(who_goes_is_told_nothing_more)
{
	watch(&a, "k", true);
	client_close(&a);
	client_open(&a, 1);
	ck_assert_int_eq(notify(&b, "k", ""), 0);
	ck_assert_int_eq(watch(&a, "k", true), MSG_OK);
	ck_assert_int_eq(notify(&b, "k", ""), 1);
}
END_TEST

/* Others go on, and it alone is cut off. */
START_TEST(who_never_reads_is_cut_off)
{
	static char value[60000];
	struct client c;
	int n = 0;

	memset(value, 'v', sizeof(value) - 1);
	watch(&a, "k", true);
	client_open(&c, 3);
	watch(&c, "k", true);
	while (notify(&b, "k", value) == 2) {
		ck_assert_int_eq(client_next(&c), MSG_EVENT);
		ck_assert_int_lt(++n, 1000);
	}
	/* the one that was cut off has what was sent, and then the end */
	for (n = 0; client_next(&a) == MSG_EVENT; n++)
		;
	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(a.wire.out.len, 0);
	ck_assert_int_eq(client_next(&c), MSG_EVENT);
	ck_assert_int_eq(notify(&b, "k", "v"), 1);
	client_close(&c);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("hub_watch");
	TCase *tc = tcase_create("hub_watch");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, changes_of_keys_are_told);
	tcase_add_test(tc, what_is_repeated_is_told_once);
	tcase_add_test(tc, notifications_are_told_and_counted);
	tcase_add_test(tc, watches_that_overlap_tell_once);
	tcase_add_test(tc, their_number_is_bounded);
	tcase_add_test(tc, who_goes_is_told_nothing_more);
	tcase_add_test(tc, who_never_reads_is_cut_off);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
