/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_rabbit_props - any bytes as the properties of a message.
 *
 * What is taken can be sent on, and is then read as the same message with the
 * same headers; attrs are good parts, texts are texts, whatever came.
 */
#include "amqp/rabbit_props.h"
#include "base/utf8.h"
#include "base/why.h"
#include "core/call.h"
#include "fuzz.h"

#define MAX_HEADERS 4096

struct read {
	struct msg_PUBLISH message;
	struct buf attrs;
	uint32_t attempt, status;
};

static int
decode(struct read *read, struct msg_bytes bytes, struct why *why)
{
	memset(&read->message, 0, sizeof(read->message));
	buf_init(&read->attrs, 1 << 20);
	return props_decode(bytes, MAX_HEADERS, &read->message, &read->attrs,
	    &read->attempt, &read->status, why);
}

static void
require_parts(const struct read *read)
{
	struct msg_bytes all = { read->attrs.data, read->attrs.len };
	struct why why;
	enum msg_id id;
	union msg part;
	size_t at = 0;
	int more;

	while ((more = msg_part(all, &at, MSG_ID_BIT(ATTR), &id, &part, &why)) >
	    0) {
		FUZZ_REQUIRE(
		    utf8_is_text(part.ATTR.name.p, part.ATTR.name.len));
		FUZZ_REQUIRE(
		    utf8_is_text(part.ATTR.value.p, part.ATTR.value.len));
	}
	FUZZ_REQUIRE(more == 0);
}

static bool
same(struct msg_bytes a, struct msg_bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* The last header of that name, which counts. */
static struct msg_bytes
header_of(const struct read *read, struct msg_bytes name)
{
	struct msg_bytes all = { read->attrs.data, read->attrs.len };
	struct msg_bytes value = { NULL, 0 };
	enum msg_id id;
	union msg part;
	size_t at = 0;

	while (msg_part(all, &at, MSG_ID_BIT(ATTR), &id, &part, NULL) > 0)
		if (part.ATTR.what == CALL_HEADER && same(part.ATTR.name, name))
			value = part.ATTR.value;
	return value;
}

static void
require_headers(const struct read *one, const struct read *two)
{
	struct msg_bytes all = { one->attrs.data, one->attrs.len };
	enum msg_id id;
	union msg part;
	size_t at = 0;

	while (msg_part(all, &at, MSG_ID_BIT(ATTR), &id, &part, NULL) > 0) {
		struct msg_bytes name = part.ATTR.name;

		if (part.ATTR.what != CALL_HEADER || props_is_spent(name) ||
		    msg_is(name, PROPS_REQUEST_ID) ||
		    msg_is(name, PROPS_TRACEPARENT))
			continue;
		FUZZ_REQUIRE(same(header_of(one, name), header_of(two, name)));
	}
}

static void
send_on(struct read *one)
{
	struct read two;
	struct why why;
	struct buf out;

	one->message.attrs = (struct msg_bytes){ one->attrs.data,
		one->attrs.len };
	buf_init(&out, 1 << 20);
	FUZZ_REQUIRE(props_encode(&one->message, false, &out, &why) == 0);
	if (decode(&two, (struct msg_bytes){ out.data, out.len }, &why) == 0) {
		FUZZ_REQUIRE(same(one->message.type, two.message.type));
		FUZZ_REQUIRE(
		    same(one->message.message_id, two.message.message_id));
		FUZZ_REQUIRE(same(one->message.reply_to, two.message.reply_to));
		FUZZ_REQUIRE(one->message.ttl_ms == two.message.ttl_ms);
		FUZZ_REQUIRE(one->message.priority == two.message.priority);
		require_parts(&two);
		require_headers(one, &two);
	}
	buf_release(&two.attrs);
	buf_release(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes = fuzz_text(data, size);
	struct why why = { "" };
	struct read one;

	if (decode(&one, (struct msg_bytes){ bytes, size }, &why) == 0) {
		require_parts(&one);
		send_on(&one);
	} else {
		FUZZ_REQUIRE(why.text[0] != '\0');
		FUZZ_REQUIRE(one.attrs.len == 0);
	}
	buf_release(&one.attrs);
	free(bytes);
	return 0;
}
