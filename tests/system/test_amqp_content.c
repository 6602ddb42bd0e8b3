/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_amqp_content - messages that nobody would send: of no bytes and of a
 * hundred million, with tables among the headers, in no character set, with too
 * many headers; the same one twice; a hundred thousand at once.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/broker.h"
#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/desk.h"
#include "lib/proc.h"
#include "lib/rmq.h"
#include "lib/suite.h"
#include "lib/text.h"

/* The sanitizers look at every byte, and see nothing new in most. */
#ifdef __SANITIZE_ADDRESS__
#define HUGE_BYTES 20000000u
#else
#define HUGE_BYTES 100000000u
#endif

static struct daemon d;
static rmq c;

static const struct daemon_conf lenient = {
	.module = { "hello", "hubtest", "messages" },
	.tasks = "backoff_min = 0.02; backoff_max = 0.05; max_attempts = 2;",
	.amqp = "broker = \"$BROKER\"; refresh = 0.2; timeout = 5.0;"
		"reconnect_min = 0.02; reconnect_max = 0.2; max_headers = 4096;"
		"queues = ( { name = \"q\"; handler = \"messages.record\"; },"
		"  { name = \"twice\"; handler = \"messages.record\";"
		"    deduplicate = false; },"
		"  { name = \"refuses\"; handler = \"messages.refuse\"; },"
		"  { name = \"lent\"; handler = \"messages.record\";"
		"    passive = true; },"
		"  { name = \"work\"; handler = \"hubtest.script\"; } );",
};

static void
start(void)
{
	broker_open();
	c = rmq_open();
	rmq_queue(c, "lent", NULL);
	broker_service(&d, &lenient, NULL);
	rmq_require_consumers(&d, c, "q", 1);
	rmq_require_consumers(&d, c, "refuses", 1);
}

static void
stop(void)
{
	rmq_close(c);
	daemon_stop(&d);
}

/* After whatever came before, the queue goes on. */
static void
require_flow(const char *queue, long before)
{
	char *key = text_format("n:%s", queue);

	rmq_post_text(c, queue, NULL, "1");
	desk_require_number(&d, key, before + 1);
	rmq_require_ready(&d, c, queue, 0);
	free(key);
}

START_TEST(no_bytes_at_all)
{
	json_t *one;
	amqp_bytes_t nothing = amqp_empty_bytes;

	start();
	ck_assert_int_eq(amqp_basic_publish(c, 1, nothing,
			     amqp_cstring_bytes("q"), 0, 0, NULL, nothing),
	    AMQP_STATUS_OK);
	desk_require_number(&d, "n:q", 1);
	one = desk_trace(&d, "q", 0);
	ck_assert_str_eq(ctl_text(one, "text"), "");
	ck_assert_ptr_null(json_object_get(one, "message_id"));
	ck_assert_ptr_null(json_object_get(one, "content_type"));
	json_decref(one);
	require_flow("q", 1);
	stop();
}
END_TEST

START_TEST(a_body_in_no_character_set)
{
	struct letter letter = { .key = "q",
		.body = "\xff\xfe\x00[\"",
		.len = 5,
		.type = "text/xml; charset=ebcdic" };

	start();
	rmq_post(c, &letter);
	desk_require_number(&d, "n:q", 1);
	/* a handler that wants JSON has it dead-lettered, as it was */
	letter.key = "work";
	letter.type = "application/json";
	rmq_post(c, &letter);
	rmq_await(&d, c, "work.dead", &letter);
	ck_assert_int_eq(letter.len, 5);
	ck_assert_mem_eq(letter.text, "\xff\xfe\x00[\"", 5);
	ck_assert_str_eq(rmq_header(&letter, "x-death-reason"), "rejected");
	rmq_free(&letter);
	require_flow("q", 1);
	stop();
}
END_TEST

/* ----------------------------------------------------------------- headers */

static amqp_table_entry_t
text_entry(const char *name, const char *value)
{
	return (amqp_table_entry_t){ amqp_cstring_bytes(name),
		{ .kind = AMQP_FIELD_KIND_UTF8,
		    .value.bytes = amqp_cstring_bytes(value) } };
}

START_TEST(a_table_among_the_headers)
{
	amqp_field_value_t list[] = {
		{ .kind = AMQP_FIELD_KIND_I64, .value.i64 = 1LL << 40 },
		{ .kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1 },
	};
	amqp_table_entry_t inner[] = { text_entry("a", "b"),
		{ amqp_cstring_bytes("list"),
		    { .kind = AMQP_FIELD_KIND_ARRAY,
			.value.array = { 2, list } } } };
	amqp_table_entry_t headers[] = { text_entry("x-one", "eins"),
		{ amqp_cstring_bytes("x-table"),
		    { .kind = AMQP_FIELD_KIND_TABLE,
			.value.table = { 2, inner } } } };
	struct letter letter = { .key = "q",
		.body = "1",
		.headers = { 2, headers } };
	json_t *one, *table;

	start();
	rmq_post(c, &letter);
	desk_require_number(&d, "n:q", 1);
	one = desk_trace(&d, "q", 0);
	ck_assert_str_eq(ctl_text(one, "x-one"), "eins");
	table = json_loads(ctl_text(one, "x-table"), 0, NULL);
	ck_assert_str_eq(ctl_text(table, "a"), "b");
	ck_assert_int_eq(json_integer_value(
			     json_array_get(json_object_get(table, "list"), 0)),
	    1LL << 40);
	json_decref(table);
	json_decref(one);
	/* and it is still a table when it is dead */
	letter.key = "refuses";
	rmq_post(c, &letter);
	rmq_await(&d, c, "refuses.dead", &letter);
	ck_assert_str_eq(rmq_header(&letter, "x-one"), "eins");
	ck_assert_str_eq(rmq_header(&letter, "x-table"), "kind F");
	rmq_free(&letter);
	stop();
}
END_TEST

/* What cannot be a message to us goes to the dead-letter queue, with the
 * reason and whatever of it can be kept. */
static void
require_refused(const char *what, struct letter *letter)
{
	struct letter dead;

	letter->key = "q";
	letter->body = "{\"kept\":1}";
	rmq_post(c, letter);
	rmq_await(&d, c, "q.dead", &dead);
	ck_assert_msg(*rmq_header(&dead, "x-death-reason") != '\0', "%s", what);
	ck_assert_msg(*rmq_header(&dead, "x-death-detail") != '\0', "%s", what);
	ck_assert_str_eq(rmq_header(&dead, "x-death-queue"), "q");
	ck_assert_str_eq(dead.text, "{\"kept\":1}");
	rmq_free(&dead);
}

START_TEST(what_cannot_be_decoded)
{
	struct letter letter = { .id = "\xff\xfe\xfd" };
	char *big = text_repeat('x', 5000);
	amqp_table_entry_t header = text_entry("x-big", big);

	start();
	require_refused("an id that is no text", &letter);
	letter = (struct letter){ .headers = { 1, &header } };
	require_refused("a header too large", &letter);
	require_flow("q", 0);
	free(big);
	stop();
}
END_TEST

/* ------------------------------------------------------------------- sizes */

START_TEST(a_hundred_megabytes)
{
	struct letter letter = { .key = "q",
		.body = text_repeat('x', HUGE_BYTES),
		.len = HUGE_BYTES,
		.id = "huge" };

	start();
	rmq_post(c, &letter);
	require_flow("q", 0);
	free((void *)(uintptr_t)letter.body);
	rmq_await(&d, c, "q.dead", &letter);
	ck_assert_uint_eq(letter.len, HUGE_BYTES);
	ck_assert_str_eq(rmq_property(&letter, message_id), "huge");
	rmq_free(&letter);
#ifndef __SANITIZE_ADDRESS__
	/* not in our memory, at no time */
	ck_assert_int_lt(proc_field(ctl_pid_of(&d, "amqp"), "VmHWM"), 90000);
#endif
	stop();
}
END_TEST

/* The broker has no place for what we reject of a queue that is not ours. */
START_TEST(a_hundred_megabytes_for_a_queue_of_others)
{
	struct letter letter = { .key = "lent",
		.body = text_repeat('x', HUGE_BYTES),
		.len = HUGE_BYTES };

	start();
	rmq_require_consumers(&d, c, "lent", 1);
	rmq_post(c, &letter);
	free((void *)(uintptr_t)letter.body);
	rmq_flush(c);
	broker_require_note(&d, true, "lent.*(large|size|max_message)");
	rmq_post_text(c, "lent", NULL, "1");
	desk_require_number(&d, "n:lent", 1);
	daemon_stop(&d);
	/* it is not lost */
	ck_assert_int_eq(rmq_ready(c, "lent"), 1);
	rmq_close(c);
}
END_TEST

/* ------------------------------------------------------------- known by id */

START_TEST(what_is_done_is_not_done_again)
{
	start();
	rmq_post_text(c, "q", "m-1", "1");
	desk_require_number(&d, "n:q", 1);
	rmq_post_text(c, "q", "m-1", "1");
	rmq_post_text(c, "q", "m-2", "2");
	desk_require_number(&d, "n:q", 2);
	/* a new hub knows it as well */
	ctl_kill(&d, "hub");
	rmq_post_text(c, "q", "m-1", "1");
	rmq_post_text(c, "q", "m-2", "2");
	rmq_post_text(c, "q", "m-3", "3");
	desk_require_number(&d, "n:q", 3);
	rmq_require_ready(&d, c, "q", 0);
	desk_require_queue(&d, "q", "unacked", 0);
	ck_assert_int_eq(desk_number(&d, "n:q"), 3);
	/* another queue is another message */
	rmq_post_text(c, "twice", "m-1", "1");
	rmq_post_text(c, "twice", "m-1", "1");
	desk_require_number(&d, "n:twice", 2);
	stop();
}
END_TEST

/* ------------------------------------------------------------------- many */

static const struct daemon_conf counting = {
	.module = { "hello", "kills" },
	.task_workers = "start = 2; min_spare = 0; max_spare = 2; max = 2;",
	.log = "level = \"info\";",
	.amqp =
	    "broker = \"$BROKER\"; prefetch = 200;"
	    "queues = ( { name = \"count\"; handler = \"kills.count\"; } );",
};

START_TEST(a_hundred_thousand_wait_at_the_start)
{
#ifdef __SANITIZE_ADDRESS__
	int n = 5000;
#else
	int n = 100000;
#endif
	long last = 0, now;

	c = rmq_start(&d, &counting, "count", 1);
	daemon_stop(&d);
	for (int i = 0; i < n; i++)
		rmq_post_text(c, "count", NULL, "{\"n\":%d}", i % 100);
	rmq_flush(c);
	broker_service(&d, &counting, NULL);
	/* each wait has its end; this is as many as it takes */
	while ((now = rmq_ready(c, "count")) > 0 && now != last) {
		last = now;
		if (now > n / 20)
			rmq_require_ready_below(&d, c, "count", now - n / 20);
		else
			rmq_require_ready(&d, c, "count", 0);
	}
	desk_require_number(&d, "counted", n);
	stop();
}
END_TEST

int
main(int argc, char *argv[])
{
	const struct suite_case cases[] = {
		CASE(no_bytes_at_all),
		CASE_MEMORY(a_body_in_no_character_set),
		CASE_MEMORY(a_table_among_the_headers),
		CASE_MEMORY(what_cannot_be_decoded),
		CASE(a_hundred_megabytes),
		CASE(a_hundred_megabytes_for_a_queue_of_others),
		CASE(what_is_done_is_not_done_again),
		CASE(a_hundred_thousand_wait_at_the_start),
	};

	(void)argc;
	broker_main_shared(argv, sizeof(cases) / sizeof(cases[0]));
	return SUITE_RUN("amqp_content", cases);
}
