/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_msg - every row of msg.def as a frame and back, and all that is refused
 * when it comes from a peer.
 */
#include "core/msg.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/why.h"
#include "run_suite.h"

#define MAX_FRAME 65536

static struct buf out;
static struct msg_head head;
static union msg msg;
static struct why why;

static void
set_up(void)
{
	buf_init(&out, MAX_FRAME);
	why.text[0] = '\0';
}

static void
tear_down(void)
{
	buf_release(&out);
}

static ptrdiff_t
decode(enum msg_from from)
{
	return msg_decode(out.data, out.len, MAX_FRAME, from, &head, &msg,
	    &why);
}

/* ------------------------------------------------------- each of the rows */

/* Every number another one, every text other bytes. */
static unsigned next_value;

#define VALUE_U8 (uint8_t)(0x80 + ++next_value)
#define VALUE_U32 0xfedc0000u + ++next_value
#define VALUE_U64 UINT64_C(0xfedcba9800000000) + ++next_value
#define VALUE_I64 INT64_MIN + (int64_t)++next_value
#define VALUE_TEXT msg_text(text[++next_value % 3])
#define VALUE_BYTES                          \
	(struct msg_bytes)                   \
	{                                    \
		"\0\xff\n", ++next_value % 4 \
	}

static const char *const text[] = { "", "k\xc3\xa9y", "a text" };

#define SAME_NUMBER(a, b) ck_assert((a) == (b))
#define SAME_U8(a, b) SAME_NUMBER(a, b)
#define SAME_U32(a, b) SAME_NUMBER(a, b)
#define SAME_U64(a, b) SAME_NUMBER(a, b)
#define SAME_I64(a, b) SAME_NUMBER(a, b)
#define SAME_TEXT(a, b) SAME_BYTES(a, b)
#define SAME_BYTES(a, b)                                            \
	do {                                                        \
		ck_assert_uint_eq((a).len, (b).len);                \
		ck_assert_ptr_nonnull((b).p);                       \
		ck_assert_int_eq(memcmp((a).p, (b).p, (a).len), 0); \
	} while (0)

/* clang-format off */
#define MSG(id, name, from, kind) \
	static void fill_##id(union msg *to) { \
		struct msg_##id *m = &to->id; \
		m->none = 0;
#define FIELD(type, name) m->name = VALUE_##type;
#define END }
#include "core/msg.def"

#define MSG(id, name, from, kind) \
	static void same_##id(const union msg *a, const union msg *b) { \
		const struct msg_##id *m = &a->id, *n = &b->id; \
		(void)m; (void)n;
#define FIELD(type, name) SAME_##type(m->name, n->name);
#define END }
#include "core/msg.def"
/* clang-format on */

static const struct {
	enum msg_from from;
	enum msg_kind kind;
	const char *name;
	void (*fill)(union msg *to);
	void (*same)(const union msg *a, const union msg *b);
} row[] = {
#define MSG(id, name, from, kind) \
	[MSG_##id] = { from, kind, name, fill_##id, same_##id },
#define FIELD(type, name)
#define END
#include "core/msg.def"
};

START_TEST(comes_back)
{
	uint32_t request = row[_i].kind == MSG_KIND_NOTE ? 0 : 77;
	union msg sent;

	next_value = (unsigned)_i;
	row[_i].fill(&sent);
	ck_assert_int_eq(msg_encode(&out, _i, request, &sent), 0);
	ck_assert_int_eq(decode(row[_i].from), (ptrdiff_t)out.len);
	ck_assert_uint_eq(head.id, _i);
	ck_assert_uint_eq(head.request, request);
	row[_i].same(&sent, &msg);
	ck_assert_str_eq(msg_name((unsigned)_i), row[_i].name);
	ck_assert_int_eq(msg_kind(_i), row[_i].kind);
}
END_TEST

START_TEST(is_not_there_yet)
{
	uint32_t request = row[_i].kind == MSG_KIND_NOTE ? 0 : 1;
	union msg sent;

	row[_i].fill(&sent);
	ck_assert_int_eq(msg_encode(&out, _i, request, &sent), 0);
	for (size_t len = 0; len < out.len; len++) {
		/* in an allocation of just its size, for the sanitizer */
		char *part = malloc(len + 1);

		memcpy(part, out.data, len);
		ck_assert_int_eq(msg_decode(part, len, MAX_FRAME, row[_i].from,
				     &head, &msg, &why),
		    0);
		free(part);
	}
}
END_TEST

START_TEST(comes_from_one_side)
{
	enum msg_from from = row[_i].from;
	uint32_t request = row[_i].kind == MSG_KIND_NOTE ? 0 : 1;
	union msg sent;

	row[_i].fill(&sent);
	ck_assert_int_eq(msg_encode(&out, _i, request, &sent), 0);
	if (from != MSG_FROM_CLIENT)
		ck_assert_int_eq(decode(MSG_FROM_CLIENT), -1);
	if (from != MSG_FROM_HUB)
		ck_assert_int_eq(decode(MSG_FROM_HUB), -1);
	ck_assert_ptr_nonnull(strstr(why.text, "from that side"));
}
END_TEST

START_TEST(has_a_request_id_or_not)
{
	bool note = row[_i].kind == MSG_KIND_NOTE;
	union msg sent;

	if (row[_i].from == MSG_FROM_NONE)
		return;
	row[_i].fill(&sent);
	ck_assert_int_eq(msg_encode(&out, _i, note ? 5 : 0, &sent), 0);
	ck_assert_int_eq(decode(row[_i].from), -1);
	ck_assert_ptr_nonnull(strstr(why.text, "request id"));
}
END_TEST

/* ---------------------------------------------------------------- refused */

static void
encode_get(const char *key, size_t len)
{
	const struct msg_GET get = { .key = { key, len } };

	buf_clear(&out);
	ck_assert_int_eq(msg_encode(&out, MSG_GET, 1, &get), 0);
}

static void
patch(size_t at, uint32_t value, size_t size)
{
	memcpy(out.data + at, &value, size);
}

static void
check_refused(const char *reason)
{
	ck_assert_int_eq(decode(MSG_FROM_CLIENT), -1);
	ck_assert_msg(strstr(why.text, reason) != NULL, "%s", why.text);
}

START_TEST(garbage_is_refused)
{
	encode_get("key", 3);
	patch(offsetof(struct msg_head, id), MSG_COUNT, 2);
	check_refused("none that there is");

	encode_get("key", 3);
	patch(offsetof(struct msg_head, id), MSG_NONE, 2);
	check_refused("none that there is");

	encode_get("key", 3);
	patch(offsetof(struct msg_head, zero), 1, 2);
	check_refused("bad head");

	encode_get("key", 3);
	patch(MSG_HEAD, 4, 4);
	check_refused("a length that leaves it");

	encode_get("key", 3);
	patch(MSG_HEAD, UINT32_MAX, 4);
	check_refused("a length that leaves it");

	encode_get("key", 3);
	patch(MSG_HEAD, 2, 4);
	check_refused("bytes left over");

	encode_get("key", 3);
	patch(offsetof(struct msg_head, len), 3, 4);
	check_refused("too short");

	encode_get("k\0y", 3);
	check_refused("a NUL in a text");
}
END_TEST

/* As soon as the head says so, not when all of it has come. */
START_TEST(too_large_is_refused_at_once)
{
	encode_get("key", 3);
	patch(offsetof(struct msg_head, len), MAX_FRAME + 1, 4);
	out.len = MSG_HEAD;
	check_refused("larger than allowed");
	patch(offsetof(struct msg_head, len), MAX_FRAME, 4);
	ck_assert_int_eq(decode(MSG_FROM_CLIENT), 0);
}
END_TEST

START_TEST(an_encoding_fits_or_is_not_there)
{
	char key[100] = { 0 };
	const struct msg_GET get = { .key = { key, sizeof(key) } };

	buf_release(&out);
	buf_init(&out, 150);
	memset(key, 'k', sizeof(key));
	ck_assert_int_eq(msg_encode(&out, MSG_GET, 1, &get), 0);
	ck_assert_uint_eq(out.len, MSG_HEAD + 4 + sizeof(key));
	ck_assert_int_eq(msg_encode(&out, MSG_GET, 2, &get), -1);
	ck_assert_int_eq(errno, ENOBUFS);
	ck_assert_uint_eq(out.len, MSG_HEAD + 4 + sizeof(key));
	ck_assert_int_eq(decode(MSG_FROM_CLIENT), (ptrdiff_t)out.len);
}
END_TEST

START_TEST(more_than_a_frame_can_say_is_not_encoded)
{
	struct msg_SET set = { .value = { "", UINT32_MAX } };

	ck_assert_int_eq(msg_encode(&out, MSG_SET, 1, &set), -1);
	ck_assert_int_eq(errno, ENOBUFS);
	ck_assert_uint_eq(out.len, 0);
}
END_TEST

START_TEST(bytes_without_a_pointer_are_none)
{
	const struct msg_SET set = { .value = { NULL, 5 } };

	ck_assert_int_eq(msg_encode(&out, MSG_SET, 1, &set), 0);
	ck_assert_int_gt(decode(MSG_FROM_CLIENT), 0);
	ck_assert_uint_eq(msg.SET.value.len, 0);
	ck_assert_ptr_nonnull(msg.SET.value.p);
}
END_TEST

/* ------------------------------------------------------------------ parts */

#define ALLOWED (MSG_ID_BIT(SET) | MSG_ID_BIT(EXPECT))

static void
encode_parts(void)
{
	const struct msg_SET set = { .key = msg_text("a") };
	const struct msg_EXPECT expect = { .key = msg_text("b"), .version = 7 };

	buf_clear(&out);
	ck_assert_int_eq(msg_encode(&out, MSG_SET, 0, &set), 0);
	ck_assert_int_eq(msg_encode(&out, MSG_EXPECT, 0, &expect), 0);
}

static int
part(size_t *at, uint64_t allowed, enum msg_id *id)
{
	return msg_part((struct msg_bytes){ out.data, out.len }, at, allowed,
	    id, &msg, &why);
}

START_TEST(parts_are_walked)
{
	enum msg_id id = MSG_NONE;
	size_t at = 0;

	ck_assert_int_eq(part(&at, ALLOWED, &id), 0);
	encode_parts();
	ck_assert_int_eq(part(&at, ALLOWED, &id), 1);
	ck_assert_int_eq(id, MSG_SET);
	ck_assert(msg_is(msg.SET.key, "a"));
	ck_assert_int_eq(part(&at, ALLOWED, &id), 1);
	ck_assert_int_eq(id, MSG_EXPECT);
	ck_assert_uint_eq(msg.EXPECT.version, 7);
	ck_assert_int_eq(part(&at, ALLOWED, &id), 0);
	ck_assert_int_eq(part(&at, ALLOWED, &id), 0);
}
END_TEST

START_TEST(bad_parts_are_refused)
{
	enum msg_id id;
	size_t at = 0;

	encode_parts();
	ck_assert_int_eq(part(&at, MSG_ID_BIT(EXPECT), &id), -1);
	ck_assert_ptr_nonnull(strstr(why.text, "set is no part to be here"));
	ck_assert_uint_eq(at, 0);

	out.len--;
	ck_assert_int_eq(part(&at, ALLOWED, &id), 1);
	ck_assert_int_eq(part(&at, ALLOWED, &id), -1);
	ck_assert_ptr_nonnull(strstr(why.text, "cut off"));

	encode_parts();
	at = 0;
	patch(offsetof(struct msg_head, request), 1, 4);
	ck_assert_int_eq(part(&at, ALLOWED, &id), -1);
}
END_TEST

/* ------------------------------------------------------------------- rest */

START_TEST(texts)
{
	char *copy;

	ck_assert_uint_eq(msg_text(NULL).len, 0);
	ck_assert_ptr_nonnull(msg_text(NULL).p);
	copy = msg_string((struct msg_bytes){ "abc", 2 });
	ck_assert_str_eq(copy, "ab");
	free(copy);
	copy = msg_string((struct msg_bytes){ NULL, 0 });
	ck_assert_str_eq(copy, "");
	free(copy);
	ck_assert(msg_is((struct msg_bytes){ "abc", 2 }, "ab"));
	ck_assert(!msg_is((struct msg_bytes){ "abc", 2 }, "abc"));
	ck_assert(!msg_is((struct msg_bytes){ "abc", 2 }, "ax"));
}
END_TEST

START_TEST(codes)
{
	ck_assert_str_eq(hub_code_name(HUB_NO_SPACE), "NO_SPACE");
	ck_assert_int_eq(hub_code_status(HUB_NO_SPACE), 507);
	ck_assert_int_eq(hub_code_status(HUB_FULL), 503);
	ck_assert_int_eq(hub_code_status(HUB_OK), 200);
	ck_assert_str_eq(hub_code_name(HUB_CODE_COUNT), "?");
	ck_assert_str_eq(hub_code_name(UINT32_MAX), "?");
	ck_assert_int_eq(hub_code_status(UINT32_MAX), 500);
	ck_assert_str_eq(msg_name(MSG_NONE), "?");
	ck_assert_str_eq(msg_name(MSG_COUNT), "?");
	ck_assert(msg_protocol() != 0);
	ck_assert(msg_protocol() == msg_protocol());
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("msg");
	TCase *tests = tcase_create("msg");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, comes_back, 1, MSG_COUNT);
	tcase_add_loop_test(tests, is_not_there_yet, 1, MSG_COUNT);
	tcase_add_loop_test(tests, comes_from_one_side, 1, MSG_COUNT);
	tcase_add_loop_test(tests, has_a_request_id_or_not, 1, MSG_COUNT);
	tcase_add_test(tests, garbage_is_refused);
	tcase_add_test(tests, too_large_is_refused_at_once);
	tcase_add_test(tests, an_encoding_fits_or_is_not_there);
	tcase_add_test(tests, more_than_a_frame_can_say_is_not_encoded);
	tcase_add_test(tests, bytes_without_a_pointer_are_none);
	tcase_add_test(tests, parts_are_walked);
	tcase_add_test(tests, bad_parts_are_refused);
	tcase_add_test(tests, texts);
	tcase_add_test(tests, codes);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
