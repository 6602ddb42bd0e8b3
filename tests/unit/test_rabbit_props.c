/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_rabbit_props - properties and headers of messages: read, shown, kept as
 * they came, and written.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/rabbit.h"
#include "amqp/rabbit_props.h"
#include "base/why.h"
#include "core/call.h"
#include "core/retry.h"
#include "run_suite.h"

#define MAX_HEADERS 65536
#define BYTES(text)                    \
	{                              \
		text, sizeof(text) - 1 \
	}
/* The same where no initializer stands. */
#define LITERAL(text) ((struct msg_bytes)BYTES(text))
#define TRACE "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static struct buf attrs, again, table, out;
static struct why why;
static struct msg_PUBLISH message;
static uint32_t attempt, status;

static void
set_up(void)
{
	buf_init(&attrs, 1 << 22);
	buf_init(&again, 1 << 22);
	buf_init(&table, 1 << 22);
	buf_init(&out, 131072);
}

static void
tear_down(void)
{
	buf_release(&attrs);
	buf_release(&again);
	buf_release(&table);
	buf_release(&out);
}

static int
decode(struct msg_bytes bytes)
{
	memset(&message, 0, sizeof(message));
	return props_decode(bytes, MAX_HEADERS, &message, &attrs, &attempt,
	    &status, &why);
}

static struct msg_bytes
of(const struct buf *buf)
{
	return (
	    struct msg_bytes){ buf->data != NULL ? buf->data : "", buf->len };
}

/* The value of an attr; NULL: there is none. */
static const char *
attr_of(const struct buf *buf, enum call_lookup what, const char *name)
{
	static char text[300000];
	enum msg_id id;
	union msg part;
	size_t at = 0;
	int found = 0, more;

	while ((more = msg_part(of(buf), &at, MSG_ID_BIT(ATTR), &id, &part,
		    &why)) > 0) {
		if (part.ATTR.what != what || !msg_is(part.ATTR.name, name))
			continue;
		found++;
		memcpy(text, part.ATTR.value.p, part.ATTR.value.len);
		text[part.ATTR.value.len] = '\0';
	}
	ck_assert_int_eq(more, 0);
	ck_assert_int_le(found, 1);
	return found > 0 ? text : NULL;
}

/* Adds an entry to `table`. */
static void
put(const char *name, char kind, struct msg_bytes value)
{
	struct table_field field = { msg_text(name), value, kind };

	ck_assert_int_eq(table_put(&table, &field), 0);
}

static void
put_text(const char *name, const char *value)
{
	ck_assert_int_eq(table_put_text(&table, msg_text(name),
			     msg_text(value)),
	    0);
}

static int
decode_table(void)
{
	struct props props = { .headers = of(&table) };

	buf_clear(&out);
	ck_assert_int_eq(props_put(&props, &out), 0);
	return decode(of(&out));
}

/* What decode() gave, sent on and read again; `table` is the new one's. */
static void
send_on(void)
{
	struct props props;

	message.attrs = of(&attrs);
	buf_clear(&out);
	ck_assert_msg(props_encode(&message, false, &out, &why) == 0, "%s",
	    why.text);
	ck_assert_int_eq(props_split(of(&out), &props), 0);
	buf_clear(&table);
	buf_append(&table, props.headers.p, props.headers.len);
}

/* The kind of an entry of `table`; 0: it is not there. */
static char
kind_of(const char *name)
{
	struct table_field field;
	size_t at = 0;
	char kind = 0;

	while (table_next(of(&table), &at, &field) > 0)
		if (msg_is(field.name, name)) {
			ck_assert_int_eq(kind, 0);
			kind = field.kind;
		}
	return kind;
}

static void
add_attr(enum call_lookup what, const char *name, const char *value)
{
	struct msg_ATTR attr = { .what = (uint8_t)what,
		.name = msg_text(name),
		.value = msg_text(value) };

	ck_assert_int_eq(msg_encode(&attrs, MSG_ATTR, 0, &attr), 0);
}

/* ----------------------------------------------------------------- members */

START_TEST(members_go_and_come_back)
{
	struct msg_PUBLISH said = { .type = msg_text("text/plain"),
		.priority = 7,
		.ttl_ms = 1500,
		.message_id = msg_text("m"),
		.correlation_id = msg_text("c"),
		.reply_to = msg_text("r"),
		.id = msg_text("request-1"),
		.traceparent = msg_text(TRACE) };
	struct props props;

	add_attr(CALL_HEADER, "colour", "blue");
	add_attr(CALL_HEADER, RETRY_ATTEMPT, "3");
	add_attr(CALL_HEADER, RETRY_STATUS, "404");
	said.attrs = of(&attrs);
	ck_assert_int_eq(props_encode(&said, false, &out, &why), 0);
	ck_assert_int_eq(props_split(of(&out), &props), 0);
	ck_assert_int_eq(props.delivery_mode, 2);
	ck_assert(msg_is(props.expiration, "1500"));
	buf_clear(&attrs);
	ck_assert_int_eq(decode(of(&out)), 0);
	ck_assert(msg_is(message.type, "text/plain"));
	ck_assert_int_eq(message.priority, 7);
	ck_assert_int_eq(message.ttl_ms, 1500);
	ck_assert(msg_is(message.message_id, "m"));
	ck_assert(msg_is(message.correlation_id, "c"));
	ck_assert(msg_is(message.reply_to, "r"));
	ck_assert(msg_is(message.id, "request-1"));
	ck_assert(msg_is(message.traceparent, TRACE));
	ck_assert_str_eq(attr_of(&attrs, CALL_HEADER, "colour"), "blue");
	ck_assert_ptr_null(attr_of(&attrs, CALL_HEADER, PROPS_REQUEST_ID));
	ck_assert_ptr_null(attr_of(&attrs, CALL_RAW, PROPS_RAW));
	ck_assert_uint_eq(attempt, 3);
	ck_assert_uint_eq(status, 404);
}
END_TEST

START_TEST(an_empty_one_has_defaults)
{
	struct msg_PUBLISH said = { .ttl_ms = -1 };
	struct props props;

	ck_assert_int_eq(props_encode(&said, true, &out, &why), 0);
	ck_assert_int_eq(props_split(of(&out), &props), 0);
	ck_assert_int_eq(props.delivery_mode, 1);
	ck_assert_int_eq(decode(LITERAL("\0\0")), 0);
	ck_assert_int_eq(message.ttl_ms, -1);
	ck_assert_uint_eq(attempt, 1);
	ck_assert_uint_eq(status, 200);
	ck_assert_uint_eq(attrs.len, 0);
}
END_TEST

START_TEST(odd_members)
{
	static const struct {
		const char *text;
		int64_t ms;
	} ttl[] = {
		{ "0", 0 },
		{ "", -1 },
		{ "x", -1 },
		{ "-1", -1 },
		{ "5s", -1 },
		{ "4294967295", 4294967295 },
		{ "99999999999999999999", -1 },
	};

	for (size_t i = 0; i < sizeof(ttl) / sizeof(ttl[0]); i++) {
		struct props props = { .expiration = msg_text(ttl[i].text) };

		buf_clear(&out);
		ck_assert_int_eq(props_put(&props, &out), 0);
		ck_assert_int_eq(decode(of(&out)), 0);
		ck_assert_msg(message.ttl_ms == ttl[i].ms, "%s", ttl[i].text);
	}
	/* beyond what a broker takes, which would close the channel */
	message = (struct msg_PUBLISH){ .ttl_ms = INT64_MAX };
	buf_clear(&out);
	ck_assert_int_eq(props_encode(&message, true, &out, &why), 0);
	ck_assert_int_eq(decode(of(&out)), 0);
	ck_assert_int_eq(message.ttl_ms, 4294967295);
	/* a request's id that is none of ours stays a header */
	put_text(PROPS_REQUEST_ID, "not one");
	put_text(PROPS_TRACEPARENT, "neither");
	ck_assert_int_eq(decode_table(), 0);
	ck_assert_uint_eq(message.id.len, 0);
	ck_assert_str_eq(attr_of(&attrs, CALL_HEADER, PROPS_REQUEST_ID),
	    "not one");
	ck_assert_str_eq(attr_of(&attrs, CALL_HEADER, PROPS_TRACEPARENT),
	    "neither");
}
END_TEST

START_TEST(no_text_is_refused)
{
	struct props props = { .content_type = BYTES("a\xff"),
		.message_id = msg_text("m") };

	put_text("h", "v");
	props.headers = of(&table);
	ck_assert_int_eq(props_put(&props, &out), 0);
	ck_assert_int_eq(decode(of(&out)), -1);
	ck_assert_str_eq(why.text, "its content type is no UTF-8 text");
	/* what can be said is said, so that the letter finds its sender */
	ck_assert(msg_is(message.message_id, "m"));
	ck_assert_uint_eq(message.type.len, 0);
	ck_assert_uint_eq(attrs.len, 0);
	props = (struct props){ .message_id = BYTES("m\0n") };
	buf_clear(&out);
	ck_assert_int_eq(props_put(&props, &out), 0);
	ck_assert_int_eq(decode(of(&out)), -1);
	ck_assert_str_eq(why.text, "its message id is no UTF-8 text");
}
END_TEST

/* ------------------------------------------------------------------ headers */

static const struct shown {
	char kind;
	struct msg_bytes value;
	const char *text;
} shown[] = {
	{ 'S', BYTES("\0\0\0\x02hi"), "hi" },
	{ 'S', BYTES("\0\0\0\0"), "" },
	{ 'S',
	    BYTES("\0\0\0\x03"
		  "a\0b"),
	    "a\xef\xbf\xbd"
	    "b" },
	{ 'S',
	    BYTES("\0\0\0\x03"
		  "a\xff"
		  "b"),
	    "a\xef\xbf\xbd"
	    "b" },
	{ 'x', BYTES("\0\0\0\x02hi"), "hi" },
	{ 't', BYTES("\x01"), "true" },
	{ 't', BYTES("\0"), "false" },
	{ 'b', BYTES("\xff"), "-1" },
	{ 'B', BYTES("\xff"), "255" },
	{ 's', BYTES("\xff\xfe"), "-2" },
	{ 'U', BYTES("\xff\xfe"), "-2" },
	{ 'u', BYTES("\xff\xfe"), "65534" },
	{ 'I', BYTES("\x80\0\0\0"), "-2147483648" },
	{ 'i', BYTES("\xff\xff\xff\xff"), "4294967295" },
	{ 'l', BYTES("\xff\xff\xff\xff\xff\xff\xff\xff"), "-1" },
	{ 'L', BYTES("\xff\xff\xff\xff\xff\xff\xff\xff"),
	    "18446744073709551615" },
	{ 'T', BYTES("\0\0\0\0\0\0\x01\0"), "256" },
	{ 'f', BYTES("\x3f\xc0\0\0"), "1.5" },
	{ 'd', BYTES("\xbf\xe0\0\0\0\0\0\0"), "-0.5" },
	{ 'D', BYTES("\x02\0\0\x30\x39"), "12345e-2" },
	{ 'D', BYTES("\0\0\0\0\x07"), "7" },
	{ 'V', BYTES(""), "null" },
	{ 'A', BYTES("\0\0\0\0"), "[]" },
	{ 'A',
	    BYTES("\0\0\0\x0a"
		  "t\x01"
		  "S\0\0\0\x02\"\x01"
		  "V"),
	    "[true,\"\\\"\\u0001\",null]" },
	{ 'F', BYTES("\0\0\0\0"), "{}" },
	{ 'F',
	    BYTES("\0\0\0\x0b\x01"
		  "aB\x07\x01"
		  "bF\0\0\0\0"),
	    "{\"a\":7,\"b\":{}}" },
};

START_TEST(each_kind_is_shown_and_kept)
{
	const struct shown *s = &shown[_i];
	struct table_field field;
	size_t at = 0;

	put("h", s->kind, s->value);
	ck_assert_msg(decode_table() == 0, "%c: %s", s->kind, why.text);
	ck_assert_str_eq(attr_of(&attrs, CALL_HEADER, "h"), s->text);
	/* and goes on as it came */
	send_on();
	ck_assert_int_eq(table_next(of(&table), &at, &field), 1);
	ck_assert_int_eq(field.kind, s->kind);
	ck_assert_uint_eq(field.value.len, s->value.len);
	ck_assert_mem_eq(field.value.p, s->value.p, s->value.len);
	ck_assert_int_eq(table_next(of(&table), &at, &field), 0);
}
END_TEST

START_TEST(what_has_no_member_is_sent_on)
{
	struct props props = { .content_encoding = msg_text("gzip"),
		.timestamp = BYTES("\0\0\0\0\0\0\0\x05"),
		.type = msg_text("T"),
		.user_id = msg_text("guest"),
		.app_id = msg_text("A"),
		.expiration = msg_text("9"),
		.priority = 4 };

	ck_assert_int_eq(props_put(&props, &out), 0);
	ck_assert_int_eq(decode(of(&out)), 0);
	ck_assert_ptr_nonnull(attr_of(&attrs, CALL_RAW, PROPS_RAW));
	message.attrs = of(&attrs);
	message.ttl_ms = -1;
	message.priority = 0;
	buf_clear(&out);
	ck_assert_int_eq(props_encode(&message, false, &out, &why), 0);
	ck_assert_int_eq(props_split(of(&out), &props), 0);
	ck_assert(msg_is(props.content_encoding, "gzip"));
	ck_assert(msg_is(props.type, "T"));
	ck_assert(msg_is(props.app_id, "A"));
	ck_assert_int_eq(props.timestamp.p[7], 5);
	/* that of another would be refused */
	ck_assert_uint_eq(props.user_id.len, 0);
	ck_assert_uint_eq(props.expiration.len, 0);
	ck_assert_int_eq(props.priority, 0);
}
END_TEST

START_TEST(what_is_said_anew_counts)
{
	put("n", 'I', LITERAL("\0\0\0\x05"));
	put("m", 'I', LITERAL("\0\0\0\x06"));
	put_text("t", "old");
	ck_assert_int_eq(decode_table(), 0);
	add_attr(CALL_HEADER, "n", "7");
	add_attr(CALL_HEADER, "t", "new");
	add_attr(CALL_HEADER, "z", "1");
	add_attr(CALL_HEADER, "z", "2");
	/* what a handler looks up, and never a header */
	add_attr(CALL_PROPERTY, "p", "x");
	send_on();
	ck_assert_int_eq(kind_of("n"), 'S');
	ck_assert_int_eq(kind_of("m"), 'I');
	ck_assert_int_eq(kind_of("t"), 'S');
	ck_assert_int_eq(kind_of("p"), 0);
	ck_assert_int_eq(decode(of(&out)), 0);
	ck_assert_str_eq(attr_of(&attrs, CALL_HEADER, "n"), "7");
	ck_assert_str_eq(attr_of(&attrs, CALL_HEADER, "t"), "new");
	ck_assert_str_eq(attr_of(&attrs, CALL_HEADER, "z"), "2");
}
END_TEST

START_TEST(what_a_broker_would_do_again_is_not)
{
	put("CC", 'A',
	    LITERAL("\0\0\0\x06"
		    "S\0\0\0\x01"
		    "q"));
	put("x-death", 'A', LITERAL("\0\0\0\0"));
	put("x-delivery-count", 'l', LITERAL("\0\0\0\0\0\0\0\x02"));
	put_text("BCC", "q");
	put_text("x-first-death-queue", "q");
	ck_assert_int_eq(decode_table(), 0);
	/* handlers may look at them */
	ck_assert_str_eq(attr_of(&attrs, CALL_HEADER, "CC"), "[\"q\"]");
	ck_assert_str_eq(attr_of(&attrs, CALL_HEADER, "x-delivery-count"), "2");
	send_on();
	ck_assert_int_eq(kind_of("CC"), 0);
	ck_assert_int_eq(kind_of("BCC"), 0);
	ck_assert_int_eq(kind_of("x-death"), 0);
	ck_assert_int_eq(kind_of("x-delivery-count"), 0);
	ck_assert_int_eq(kind_of("x-first-death-queue"), 'S');
}
END_TEST

/* ------------------------------------------------------------------- bounds */

START_TEST(depth_is_bounded)
{
	char nested[512];
	size_t len = 0;

	/* an array in an array in … */
	for (int depth = 1; depth < 60; depth++) {
		memmove(nested + 5, nested, len);
		nested[0] = 'A';
		nested[1] = nested[2] = 0;
		nested[3] = (char)(len >> 8);
		nested[4] = (char)len;
		len += 5;
		buf_clear(&table);
		put("h", 'A', (struct msg_bytes){ nested + 1, len - 1 });
		ck_assert_int_eq(decode_table(), depth <= TABLE_DEPTH ? 0 : -1);
	}
	ck_assert_ptr_nonnull(strstr(why.text, "nest more than 32 deep"));
}
END_TEST

START_TEST(size_is_bounded)
{
	char *large = calloc(1, MAX_HEADERS);

	memset(large, 'x', MAX_HEADERS - 1);
	put_text("h", large);
	ck_assert_int_eq(decode_table(), -1);
	ck_assert_ptr_nonnull(strstr(why.text, "more than 'amqp.max_headers'"));
	free(large);
	buf_clear(&table);
	for (int i = 0; i <= PROPS_HEADERS_MAX; i++)
		put_text("h", "x");
	ck_assert_int_eq(decode_table(), -1);
	ck_assert_str_eq(why.text, "it has more than 1000 headers");
	buf_clear(&attrs);
	for (int i = 0; i < 1100; i++) {
		char name[16];

		snprintf(name, sizeof(name), "h%d", i);
		add_attr(CALL_HEADER, name, "x");
		/* as many as came, and why it is dead */
		if (i != PROPS_HEADERS_MAX + 20)
			continue;
		message = (struct msg_PUBLISH){ .attrs = of(&attrs) };
		ck_assert_int_eq(props_encode(&message, false, &out, &why), 0);
		buf_clear(&out);
	}
	message = (struct msg_PUBLISH){ .attrs = of(&attrs) };
	ck_assert_int_eq(props_encode(&message, false, &out, &why), -1);
	ck_assert_str_eq(why.text, "it has more than 1000 headers");
}
END_TEST

static const struct {
	struct msg_bytes bytes;
} bad[] = {
	{ BYTES("") }, { BYTES("\0") },
	{ BYTES("\0\x01") }, /* more flags: there are none */
	{ BYTES("\0\0x") },  /* a byte left over */
	{ BYTES("\x80\0") }, /* no length */
	{ BYTES("\x80\0\x05"
		"abcd") },	   /* cut */
	{ BYTES("\x20\0\0\0\0") }, /* half a length */
	{ BYTES("\x20\0\xff\xff\xff\xff") },
	{ BYTES("\x20\0\0\0\0\x01\x05") },    /* an entry without its name */
	{ BYTES("\x20\0\0\0\0\x02\x01x") },   /* without its kind */
	{ BYTES("\x20\0\0\0\0\x03\x01xI") },  /* without its value */
	{ BYTES("\x20\0\0\0\0\x04\x01xQz") }, /* of no kind */
	{ BYTES("\x20\0\0\0\0\x07\x01xS\0\0\0\x01") },
	{ BYTES("\x20\0\0\0\0\x08\x01xA\0\0\0\x01S") },
	{ BYTES("\0\x40\0\0\0\0\0\0\0") }, /* a short timestamp */
};

START_TEST(nonsense_is_refused)
{
	ck_assert_int_eq(decode(bad[_i].bytes), -1);
	ck_assert_uint_gt(strlen(why.text), 0);
	ck_assert_uint_eq(attrs.len, 0);
}
END_TEST

static const char *const bad_raw[] = { "xx", "00xx", "8000", "0001",
	"20000000000301784900" };

START_TEST(raw_nonsense_is_refused)
{
	add_attr(CALL_RAW, PROPS_RAW, bad_raw[_i]);
	message = (struct msg_PUBLISH){ .attrs = of(&attrs) };
	ck_assert_int_eq(props_encode(&message, false, &out, &why), -1);
	ck_assert_ptr_nonnull(strstr(why.text, "raw"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("rabbit_props");
	TCase *tcase = tcase_create("rabbit_props");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, members_go_and_come_back);
	tcase_add_test(tcase, an_empty_one_has_defaults);
	tcase_add_test(tcase, odd_members);
	tcase_add_test(tcase, no_text_is_refused);
	tcase_add_loop_test(tcase, each_kind_is_shown_and_kept, 0,
	    (int)(sizeof(shown) / sizeof(shown[0])));
	tcase_add_test(tcase, what_has_no_member_is_sent_on);
	tcase_add_test(tcase, what_is_said_anew_counts);
	tcase_add_test(tcase, what_a_broker_would_do_again_is_not);
	tcase_add_test(tcase, depth_is_bounded);
	tcase_add_test(tcase, size_is_bounded);
	tcase_add_loop_test(tcase, nonsense_is_refused, 0,
	    (int)(sizeof(bad) / sizeof(bad[0])));
	tcase_add_loop_test(tcase, raw_nonsense_is_refused, 0,
	    (int)(sizeof(bad_raw) / sizeof(bad_raw[0])));
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
