/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dead messages: where they are looked for, what is told of them, what goes
 * back.
 */
#include <check.h>

#include "amqp/orders_impl.h"
#include "conf_fixture.h"
#include "core/call.h"
#include "core/retry.h"

static const char *const config =
    "service = { name = \"t\"; };\n"
    "modules = ( { name = \"hello\"; path = \"hello.so\"; } );\n"
    "amqp = { broker = \"amqp://127.0.0.1/\";\n"
    "  exchanges = ( { name = \"dlx\"; }, { name = \"lost\"; } );\n"
    "  queues = (\n"
    "    { name = \"jobs\"; handler = \"hello.world\"; },\n"
    "    { name = \"mail\"; handler = \"hello.world\";\n"
    "      dead_letter_exchange = \"dlx\"; dead_letter_key = \"m\"; },\n"
    "    { name = \"nowhere\"; handler = \"hello.world\";\n"
    "      dead_letter_exchange = \"lost\"; },\n"
    "    { name = \"kept\"; },\n"
    "    { name = \"others\"; bind = ( { exchange = \"dlx\"; key = \"o\"; } "
    "); },\n"
    "    { name = \"graves\"; bind = ( { exchange = \"dlx\"; key = \"m\"; } "
    "); } );\n"
    "};\n";

static struct buf attrs;

static void
set_up(void)
{
	conf_set_up();
	load_text(config);
	ck_assert_msg(conf != NULL, "%s", error_text(0));
	buf_init(&attrs, 65536);
}

static void
tear_down(void)
{
	buf_release(&attrs);
	conf_tear_down();
}

static void
header(const char *name, const char *value)
{
	msg_encode(&attrs, MSG_ATTR, 0,
	    &(struct msg_ATTR){ .what = CALL_HEADER,
		.name = msg_text(name),
		.value = msg_text(value) });
}

static struct msg_PUBLISH
message(const char *id)
{
	return (struct msg_PUBLISH){
		.exchange = msg_text(""),
		.key = msg_text("jobs.dead"),
		.type = msg_text("text/plain"),
		.body = msg_text("body"),
		.ttl_ms = -1,
		.message_id = msg_text(id),
		.attrs = { attrs.data, attrs.len },
	};
}

static const struct letters *
letters(size_t queue)
{
	static struct letters found;

	return letters_of(conf, &conf->queue.v[queue], &found) ? &found : NULL;
}

START_TEST(where_they_are)
{
	ck_assert_str_eq(letters(0)->name, "jobs.dead");
	ck_assert_ptr_eq(letters(0)->queue, &conf->queue.v[0]);
	ck_assert_str_eq(letters(1)->name, "graves");
	ck_assert_ptr_null(letters(1)->queue);
	ck_assert_ptr_null(letters(2));
	/* nobody takes its messages, so none of them dies by us */
	ck_assert_ptr_null(letters(3));
}
END_TEST

START_TEST(ours)
{
	struct msg_PUBLISH dead;
	struct letter letter;
	json_t *json;

	header("x-death-reason", "rejected");
	header("x-death-detail", "no such user");
	header("x-death-queue", "mail");
	header("x-death-attempts", "5");
	header("x-death-time", "2026-01-31T23:59:59.123Z");
	header("x-death-host", "here");
	header("x-death-signal", "SIGSEGV");
	dead = message("m1");
	letter_read(conf, letters(1), &dead, &letter);
	ck_assert_ptr_eq(letter.queue, &conf->queue.v[1]);
	ck_assert_str_eq(letter.id, "m1");
	json = letter_json(letters(1), &letter, &dead, 4);
	ck_assert_str_eq(json_string_value(json_object_get(json, "queue")),
	    "mail");
	ck_assert_str_eq(json_string_value(json_object_get(json, "dead_queue")),
	    "graves");
	ck_assert_str_eq(json_string_value(json_object_get(json, "reason")),
	    "rejected");
	ck_assert_str_eq(json_string_value(json_object_get(json, "detail")),
	    "no such user");
	ck_assert_str_eq(json_string_value(json_object_get(json, "signal")),
	    "SIGSEGV");
	ck_assert_int_eq(json_integer_value(json_object_get(json, "attempts")),
	    5);
	ck_assert_int_eq(json_integer_value(json_object_get(json, "size")), 4);
	json_decref(json);
}
END_TEST

/* The broker has let it expire; bytes that are no UTF-8. */
START_TEST(the_brokers)
{
	struct msg_PUBLISH dead;
	struct letter letter;
	json_t *json;
	char id[30];

	header("x-first-death-reason", "expired");
	header("x-first-death-queue", "jobs");
	dead = message("");
	dead.type = msg_text("t\xff\xc3");
	letter_read(conf, letters(0), &dead, &letter);
	ck_assert_ptr_eq(letter.queue, &conf->queue.v[0]);
	ck_assert_int_eq(letter.id[0], '~');
	strcpy(id, letter.id);
	json = letter_json(letters(0), &letter, &dead, 4);
	ck_assert_str_eq(json_string_value(json_object_get(json, "reason")),
	    "expired");
	ck_assert_ptr_null(json_object_get(json, "attempts"));
	json_decref(json);
	/* the same is the same, another another */
	letter_read(conf, letters(0), &dead, &letter);
	ck_assert_str_eq(letter.id, id);
	dead.body = msg_text("bodz");
	letter_read(conf, letters(0), &dead, &letter);
	ck_assert_str_ne(letter.id, id);
}
END_TEST

START_TEST(a_queue_that_is_not_ours)
{
	struct msg_PUBLISH dead;
	struct letter letter;

	header("x-death-queue", "foreign");
	dead = message("m1");
	letter_read(conf, letters(1), &dead, &letter);
	ck_assert_ptr_null(letter.queue);
	ck_assert_str_eq(letter.origin, "foreign");
}
END_TEST

static const char *
attr(const struct msg_PUBLISH *of, const char *name)
{
	static char value[256];
	enum msg_id id;
	union msg msg;
	size_t at = 0;

	while (
	    msg_part(of->attrs, &at, MSG_ID_BIT(ATTR), &id, &msg, NULL) == 1) {
		if (!msg_is(msg.ATTR.name, name))
			continue;
		snprintf(value, sizeof(value), "%.*s", (int)msg.ATTR.value.len,
		    msg.ATTR.value.p);
		return value;
	}
	return NULL;
}

START_TEST(goes_back)
{
	struct msg_PUBLISH dead, again, twice;
	struct letter letter;
	struct buf out, second;

	header("x-death-reason", "dead");
	header("x-first-death-queue", "jobs");
	header(RETRY_ATTEMPT, "4");
	header("mine", "stays");
	dead = message("m1");
	dead.key = msg_text("jobs.dead");
	letter_read(conf, letters(0), &dead, &letter);
	buf_init(&out, 65536);
	buf_init(&second, 65536);
	letter_revive(&letter, &dead, &again, &out);
	ck_assert(msg_is(again.exchange, ""));
	ck_assert(msg_is(again.key, "jobs"));
	ck_assert(msg_is(again.message_id, "m1"));
	ck_assert_ptr_null(attr(&again, "x-death-reason"));
	ck_assert_ptr_null(attr(&again, "x-first-death-queue"));
	ck_assert_ptr_null(attr(&again, RETRY_ATTEMPT));
	ck_assert_str_eq(attr(&again, "mine"), "stays");
	ck_assert_str_eq(attr(&again, RETRY_AGAIN), "1");
	letter_revive(&letter, &again, &twice, &second);
	ck_assert_str_eq(attr(&twice, RETRY_AGAIN), "2");
	buf_release(&out);
	buf_release(&second);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("orders_letter");
	TCase *tcase = tcase_create("orders_letter");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, where_they_are);
	tcase_add_test(tcase, ours);
	tcase_add_test(tcase, the_brokers);
	tcase_add_test(tcase, a_queue_that_is_not_ours);
	tcase_add_test(tcase, goes_back);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
