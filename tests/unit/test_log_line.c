/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_log_line - any message, any field, any length: the line is one line, it
 * is no longer than allowed, and JSON parses back to what went in. Jansson is
 * the judge of JSON and, by being strict, of UTF-8.
 */
#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log_line.h"
#include "run_suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const enum log_format formats[] = { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

static struct log_head
plain_head(enum log_format format)
{
	return (struct log_head){
		.level = LOG_LEVEL_NOTICE,
		.format = format,
		.wall_ns = INT64_C(1769903999123000000),
		.role = "rest",
		.pid = 4242,
		.slot = -1,
	};
}

static struct log_head
full_head(enum log_format format)
{
	struct log_head head = plain_head(format);

	head.slot = 3;
	head.generation = 2;
	head.request = "7f3a";
	return head;
}

/* What is true of every line. (Check keeps a record of each assertion, so there
 * is not one for each byte.) */
static void
assert_is_a_line(const struct log_line *line)
{
	size_t i = 0;

	ck_assert_uint_gt(line->len, 0);
	ck_assert_uint_le(line->len, LOG_LINE_MAX);
	while (i < line->len && (unsigned char)line->bytes[i] >= ' ')
		i++;
	ck_assert_uint_eq(i, line->len - 1);
	ck_assert_int_eq(line->bytes[i], '\n');
}

static json_t *
parse(const struct log_line *line)
{
	json_error_t error;
	json_t *object;

	assert_is_a_line(line);
	object = json_loadb(line->bytes, line->len, JSON_REJECT_DUPLICATES,
	    &error);
	ck_assert_msg(json_is_object(object), "%s in %.*s", error.text,
	    (int)line->len, line->bytes);
	return object;
}

static const char *
text_of(const struct log_line *line)
{
	static char text[LOG_LINE_MAX];

	assert_is_a_line(line);
	memcpy(text, line->bytes, line->len - 1);
	text[line->len - 1] = '\0';
	return text;
}

static const char *
member(json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	ck_assert_ptr_nonnull(text);
	return text;
}

START_TEST(a_text_line)
{
	struct log_head head = full_head(LOG_FORMAT_TEXT);
	const struct log_field fields[] = {
		{ "key", "value", 0 },
		{ "count", NULL, -7 },
	};
	struct log_line line;

	log_line_build(&line, &head, "message", fields, 2);
	ck_assert_str_eq(text_of(&line),
	    "2026-01-31T23:59:59.123Z notice "
	    "rest[4242] slot=3 gen=2 id=7f3a message key=value count=-7");
	head = plain_head(LOG_FORMAT_TEXT);
	log_line_build(&line, &head, "message", NULL, 0);
	ck_assert_str_eq(text_of(&line),
	    "2026-01-31T23:59:59.123Z notice rest[4242] message");
}
END_TEST

START_TEST(a_json_line)
{
	struct log_head head = full_head(LOG_FORMAT_JSON);
	const struct log_field fields[] = {
		{ "key", "value", 0 },
		{ "count", NULL, INT64_MIN },
	};
	struct log_line line;

	log_line_build(&line, &head, "message", fields, 2);
	ck_assert_str_eq(text_of(&line),
	    "{\"time\":\"2026-01-31T23:59:59.123Z\",\"level\":\"notice\","
	    "\"role\":\"rest\",\"pid\":4242,\"slot\":3,\"generation\":2,"
	    "\"id\":\"7f3a\",\"message\":\"message\",\"key\":\"value\","
	    "\"count\":-9223372036854775808}");
	json_decref(parse(&line));
	head = plain_head(LOG_FORMAT_JSON);
	log_line_build(&line, &head, "message", NULL, 0);
	ck_assert_str_eq(text_of(&line),
	    "{\"time\":\"2026-01-31T23:59:59.123Z\",\"level\":\"notice\","
	    "\"role\":\"rest\",\"pid\":4242,\"message\":\"message\"}");
}
END_TEST

/* Time, level and pid stand in what syslog reads; local time is UTC here. */
START_TEST(a_syslog_line)
{
	struct log_head head = full_head(LOG_FORMAT_TEXT);
	struct log_line line;
	json_t *object;

	head.tag = "broodd";
	log_line_build(&line, &head, "message", NULL, 0);
	ck_assert_str_eq(text_of(&line),
	    "<29>Jan 31 23:59:59 broodd[4242]: "
	    "rest slot=3 gen=2 id=7f3a message");
	head.level = LOG_LEVEL_ERROR;
	head.wall_ns = 0;
	log_line_build(&line, &head, "message", NULL, 0);
	ck_assert_str_eq(text_of(&line),
	    "<27>Jan  1 00:00:00 broodd[4242]: "
	    "rest slot=3 gen=2 id=7f3a message");

	head.format = LOG_FORMAT_JSON;
	log_line_build(&line, &head, "message", NULL, 0);
	ck_assert_ptr_eq(strstr(text_of(&line),
			     "<27>Jan  1 00:00:00 broodd[4242]: {\"time\":"),
	    text_of(&line));
	object = json_loads(strchr(text_of(&line), '{'), 0, NULL);
	ck_assert_str_eq(member(object, "message"), "message");
	json_decref(object);
}
END_TEST

static const struct {
	const char *in, *text, *value, *json;
} escapes[] = {
	{ "", "", "\"\"", "" },
	{ "plain", "plain", "plain", "plain" },
	{ "two words", "two words", "\"two words\"", "two words" },
	{ "a=b", "a=b", "\"a=b\"", "a=b" },
	{ "say \"x\"", "say \"x\"", "\"say \\\"x\\\"\"", "say \\\"x\\\"" },
	{ "a\\b", "a\\b", "\"a\\\\b\"", "a\\\\b" },
	{ "a\nb", "a\\nb", "\"a\\nb\"", "a\\nb" },
	{ "a\tb", "a\\x09b", "\"a\\x09b\"", "a\\u0009b" },
	{ "\x1b[31m", "\\x1B[31m", "\"\\x1B[31m\"", "\\u001b[31m" },
	{ "\x7f", "\\x7F", "\"\\x7F\"", "\\u007f" },
	{ "\x01", "\\x01", "\"\\x01\"", "\\u0001" },
	/* U+009B begins a terminal sequence, too. */
	{ "\xc2\x9b", "\\xC2\\x9B", "\"\\xC2\\x9B\"", "\\u009b" },
	{ "\u00a0", "\u00a0", "\u00a0", "\u00a0" },
	{ "é€😀", "é€😀", "é€😀", "é€😀" },
	{ "\xff", "\\xFF", "\"\\xFF\"", "\uFFFD" },
	{ "a\xc3", "a\\xC3", "\"a\\xC3\"", "a\uFFFD" },
	{ "\xc3(", "\\xC3(", "\"\\xC3(\"", "\uFFFD(" },
	{ "\xe2\x82", "\\xE2\\x82", "\"\\xE2\\x82\"", "\uFFFD\uFFFD" },
	/* overlong, surrogate, beyond U+10FFFF */
	{ "\xc0\xaf", "\\xC0\\xAF", "\"\\xC0\\xAF\"", "\uFFFD\uFFFD" },
	{ "\xe0\x80\xaf", "\\xE0\\x80\\xAF", "\"\\xE0\\x80\\xAF\"",
	    "\uFFFD\uFFFD\uFFFD" },
	{ "\xed\xa0\x80", "\\xED\\xA0\\x80", "\"\\xED\\xA0\\x80\"",
	    "\uFFFD\uFFFD\uFFFD" },
	{ "\xf4\x90\x80\x80", "\\xF4\\x90\\x80\\x80",
	    "\"\\xF4\\x90\\x80\\x80\"", "\uFFFD\uFFFD\uFFFD\uFFFD" },
};

START_TEST(what_could_mislead_is_escaped)
{
	struct log_field field = { "key", escapes[_i].in, 0 };
	struct log_head head = plain_head(LOG_FORMAT_TEXT);
	char expected[200];
	struct log_line line;

	snprintf(expected, sizeof(expected),
	    "2026-01-31T23:59:59.123Z notice rest[4242] %s key=%s",
	    escapes[_i].text, escapes[_i].value);
	log_line_build(&line, &head, escapes[_i].in, &field, 1);
	ck_assert_str_eq(text_of(&line), expected);

	head.format = LOG_FORMAT_JSON;
	snprintf(expected, sizeof(expected),
	    ",\"message\":\"%s\",\"key\":"
	    "\"%s\"}",
	    escapes[_i].json, escapes[_i].json);
	log_line_build(&line, &head, escapes[_i].in, &field, 1);
	ck_assert_str_eq(strstr(text_of(&line), ",\"message\""), expected);
	json_decref(parse(&line));
}
END_TEST

/* An id comes from outside. */
START_TEST(an_id_cannot_forge_a_line)
{
	struct log_head head = full_head(LOG_FORMAT_TEXT);
	struct log_line line;
	json_t *object;
	char id[5000];

	head.request = "1 2\n\"";
	log_line_build(&line, &head, "message", NULL, 0);
	ck_assert_ptr_nonnull(
	    strstr(text_of(&line), " gen=2 id=\"1 2\\n\\\"\" message"));
	head.format = LOG_FORMAT_JSON;
	log_line_build(&line, &head, "message", NULL, 0);
	object = parse(&line);
	ck_assert_str_eq(member(object, "id"), head.request);
	json_decref(object);

	memset(id, '"', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	head.request = id;
	log_line_build(&line, &head, "message", NULL, 0);
	object = parse(&line);
	ck_assert_str_eq(member(object, "message"), "message");
	ck_assert_uint_lt(strlen(member(object, "id")), 256);
	json_decref(object);
}
END_TEST

/* The string that in was, or its beginning and the mark of a cut. */
static bool
is_whole(const char *out, const char *in)
{
	size_t len = strlen(out), cut = strlen("…");

	if (strcmp(out, in) == 0)
		return true;
	ck_assert_uint_ge(len, cut);
	ck_assert_str_eq(out + len - cut, "…");
	ck_assert_int_eq(strncmp(out, in, len - cut), 0);
	return false;
}

static const char *const pieces[] = { "x", "\n", "\"", "é", "€", "😀",
	"\xc2\x9b" };

/* Messages of every length around the limit, of narrow, wide and escaped
 * characters: cut only when they must be, and then as late as possible. */
START_TEST(what_does_not_fit_is_cut_at_a_character)
{
	const char *piece = pieces[_i];
	const struct log_field fields[] = {
		{ "key", "value", 0 },
		{ "count", NULL, 12345 },
	};
	struct log_head head = full_head(LOG_FORMAT_JSON);
	size_t n = strlen(piece), cut = 0, whole = 0;
	char message[LOG_LINE_MAX + 500] = "";
	struct log_line line;
	json_t *object;

	for (size_t len = 0; cut < 100; len += n) {
		ck_assert_uint_lt(len + n, sizeof(message));
		memcpy(message + len, piece, n + 1);
		log_line_build(&line, &head, message, fields, 2);
		if (line.len < LOG_LINE_MAX - 100)
			continue;
		object = parse(&line);
		ck_assert_str_eq(member(object, "key"), "value");
		ck_assert_int_eq(json_integer_value(
				     json_object_get(object, "count")),
		    12345);
		if (is_whole(member(object, "message"), message)) {
			ck_assert_uint_eq(cut, 0);
			whole++;
		} else {
			/* "…", and less than one more character */
			ck_assert_uint_gt(line.len, LOG_LINE_MAX - 3 - 6);
			cut++;
		}
		json_decref(object);
	}
	ck_assert_uint_gt(whole, 0);
}
END_TEST

START_TEST(text_is_cut_as_well)
{
	const struct log_field field = { "key", "value", 0 };
	struct log_head head = full_head(LOG_FORMAT_TEXT);
	char message[2 * LOG_LINE_MAX];
	struct log_line line;

	memset(message, 'x', sizeof(message) - 1);
	message[sizeof(message) - 1] = '\0';
	log_line_build(&line, &head, message, &field, 1);
	ck_assert_uint_eq(line.len, LOG_LINE_MAX);
	ck_assert_ptr_nonnull(strstr(text_of(&line), "xxx… key=value"));
	log_line_build(&line, &head, message, NULL, 0);
	ck_assert_uint_eq(line.len, LOG_LINE_MAX);
	ck_assert_str_eq(strstr(text_of(&line), "…"), "…");
}
END_TEST

/* Fields beyond their share are cut or left out; the message stays. */
START_TEST(too_many_fields)
{
	static char value[6000];
	struct log_field fields[100];
	struct log_head head = full_head(LOG_FORMAT_JSON);
	struct log_line line;
	json_t *object;
	char keys[100][4];

	for (size_t len = 0; len < 5000; len += 97) {
		memset(value, '\\', len);
		value[len] = '\0';
		for (size_t i = 0; i < COUNT(fields); i++) {
			keys[i][0] = (char)('p' + i / 10);
			keys[i][1] = (char)('a' + i % 10);
			keys[i][2] = '\0';
			fields[i] = (struct log_field){ keys[i],
				i % 2 == 0 ? value : NULL, (int64_t)i };
		}
		log_line_build(&line, &head, "message", fields, COUNT(fields));
		object = parse(&line);
		ck_assert_str_eq(member(object, "message"), "message");
		is_whole(member(object, "pa"), value);
		json_decref(object);
	}
}
END_TEST

static uint32_t
step(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33);
}

static const char *
random_string(uint64_t *seed, char *string, size_t size)
{
	size_t len = step(seed) % size;
	bool ascii = step(seed) % 2 == 0;

	for (size_t i = 0; i < len; i++)
		string[i] = (char)(1 + step(seed) % (ascii ? 127 : 255));
	string[len] = '\0';
	return string;
}

START_TEST(any_bytes_make_a_line)
{
	static char message[6000], value[3000], id[400];
	uint64_t seed = (uint64_t)_i + 1;
	struct log_line line;

	for (int i = 0; i < 1000; i++) {
		struct log_head head = full_head(formats[i % 2]);
		const struct log_field fields[] = {
			{ "key", random_string(&seed, value, sizeof(value)),
			    0 },
			{ "count", NULL, i },
		};

		random_string(&seed, message, sizeof(message));
		if (i % 3 == 0)
			head.request = random_string(&seed, id, sizeof(id));
		if (i % 5 == 0)
			head.tag = "broodd";
		log_line_build(&line, &head, message, fields,
		    i % 7 == 0 ? 0 : 2);
		if (head.format == LOG_FORMAT_TEXT || head.tag != NULL)
			assert_is_a_line(&line);
		else
			json_decref(parse(&line));
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("log_line");
	TCase *tests = tcase_create("log_line");

	setenv("TZ", "UTC0", 1);
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, a_text_line);
	tcase_add_test(tests, a_json_line);
	tcase_add_test(tests, a_syslog_line);
	tcase_add_loop_test(tests, what_could_mislead_is_escaped, 0,
	    COUNT(escapes));
	tcase_add_test(tests, an_id_cannot_forge_a_line);
	tcase_add_loop_test(tests, what_does_not_fit_is_cut_at_a_character, 0,
	    COUNT(pieces));
	tcase_add_test(tests, text_is_cut_as_well);
	tcase_add_test(tests, too_many_fields);
	tcase_add_loop_test(tests, any_bytes_make_a_line, 0, 5);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
