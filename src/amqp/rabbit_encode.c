/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rabbit_encode - a struct msg_PUBLISH to properties. Pure.
 *
 * Headers come from its attrs, and from what rabbit_decode kept of a message
 * that is sent on: an entry that the attrs still say the same of goes out as it
 * came, a number as a number.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "amqp/rabbit_props.h"
#include "base/hex.h"
#include "base/why.h"
#include "core/call.h"

#define EXPIRATION_MAX INT64_C(4294967295)

static bool
same(struct msg_bytes a, struct msg_bytes b)
{
	return a.len == b.len && memcmp(a.p, b.p, a.len) == 0;
}

struct header {
	struct msg_bytes name, value;
	bool said;
};

struct encoding {
	struct header header[PROPS_HEADERS_MAX + PROPS_HEADERS_MORE];
	size_t n;
	struct buf raw; /* of CALL_RAW, as bytes again */
	struct buf table;
};

/* The last one of a name counts. */
static int
add_header(struct encoding *e, struct msg_bytes name, struct msg_bytes value,
    struct why *why)
{
	if (name.len > 255)
		return why_set(why,
		    "a header's name has more than 255 characters");
	if (props_is_spent(name))
		return 0;
	for (size_t i = 0; i < e->n; i++)
		if (same(e->header[i].name, name)) {
			e->header[i].value = value;
			return 0;
		}
	if (e->n == sizeof(e->header) / sizeof(e->header[0]))
		return why_set(why, "it has more than %d headers",
		    PROPS_HEADERS_MAX);
	e->header[e->n++] = (struct header){ name, value, false };
	return 0;
}

static int
add_raw(struct encoding *e, struct msg_bytes hex, struct why *why)
{
	char *to;

	buf_clear(&e->raw);
	to = buf_extend(&e->raw, hex.len / 2);
	if (to == NULL)
		return why_set(why, "its headers are too large");
	for (size_t i = 0; i + 1 < hex.len; i += 2) {
		int high = hex_digit(hex.p[i]), low = hex_digit(hex.p[i + 1]);

		if (high < 0 || low < 0)
			return why_set(why, "its raw properties are no hex");
		*to++ = (char)(high << 4 | low);
	}
	return 0;
}

static int
gather(struct encoding *e, const struct msg_PUBLISH *message, struct why *why)
{
	enum msg_id id;
	union msg part;
	size_t at = 0;
	int more;

	while ((more = msg_part(message->attrs, &at, MSG_ID_BIT(ATTR), &id,
		    &part, why)) > 0) {
		if (part.ATTR.what == CALL_HEADER &&
		    add_header(e, part.ATTR.name, part.ATTR.value, why) < 0)
			return -1;
		if (part.ATTR.what == CALL_RAW &&
		    msg_is(part.ATTR.name, PROPS_RAW) &&
		    add_raw(e, part.ATTR.value, why) < 0)
			return -1;
	}
	if (more < 0)
		return -1;
	if (message->id.len > 0 &&
	    add_header(e, msg_text(PROPS_REQUEST_ID), message->id, why) < 0)
		return -1;
	if (message->traceparent.len > 0 &&
	    add_header(e, msg_text(PROPS_TRACEPARENT), message->traceparent,
		why) < 0)
		return -1;
	return 0;
}

/* As it came, unless an attr says something else by that name. */
static int
encode_raw_header(struct encoding *e, const struct table_field *field)
{
	struct buf text;
	bool changed = false;

	if (props_is_spent(field->name))
		return 0;
	for (size_t i = 0; i < e->n; i++) {
		struct header *header = &e->header[i];

		if (!same(header->name, field->name))
			continue;
		buf_init(&text, e->table.max);
		changed = table_render(field, &text) < 0 ||
		    !same(header->value,
			(struct msg_bytes){ text.data != NULL ? text.data : "",
			    text.len });
		buf_release(&text);
		header->said = !changed;
		break;
	}
	return changed ? 0 : table_put(&e->table, field);
}

static int
encode_headers(struct encoding *e, struct msg_bytes raw, struct why *why)
{
	struct table_field field;
	size_t at = 0;
	int more;

	while ((more = table_next(raw, &at, &field)) > 0)
		if (encode_raw_header(e, &field) < 0)
			return why_set(why, "its headers are too large");
	if (more < 0)
		return why_set(why, "its raw headers are no table");
	for (size_t i = 0; i < e->n; i++)
		if (!e->header[i].said &&
		    table_put_text(&e->table, e->header[i].name,
			e->header[i].value) < 0)
			return why_set(why, "its headers are too large");
	return 0;
}

static int
encode_short(struct msg_bytes from, struct msg_bytes *to, const char *what,
    struct why *why)
{
	if (from.len > 255)
		return why_set(why, "its %s has more than 255 bytes", what);
	*to = from;
	return 0;
}

static int
encode_texts(const struct msg_PUBLISH *message, struct props *props,
    struct why *why)
{
	if (encode_short(message->type, &props->content_type, "content type",
		why) < 0 ||
	    encode_short(message->message_id, &props->message_id, "message id",
		why) < 0 ||
	    encode_short(message->correlation_id, &props->correlation_id,
		"correlation id", why) < 0 ||
	    encode_short(message->reply_to, &props->reply_to, "reply-to", why) <
		0)
		return -1;
	return 0;
}

static int
encode(struct encoding *e, const struct msg_PUBLISH *message, bool transient,
    struct buf *out, struct why *why)
{
	struct props props = { 0 };
	char expiration[24];

	if (gather(e, message, why) < 0)
		return -1;
	if (e->raw.len > 0 &&
	    props_split((struct msg_bytes){ e->raw.data, e->raw.len }, &props) <
		0)
		return why_set(why, "its raw properties make no sense");
	if (encode_headers(e, props.headers, why) < 0 ||
	    encode_texts(message, &props, why) < 0)
		return -1;
	props.headers = (struct msg_bytes){ e->table.data, e->table.len };
	props.delivery_mode = transient ? 1 : 2;
	props.priority = message->priority;
	props.user_id.len = props.expiration.len = 0;
	if (message->ttl_ms >= 0) {
		int64_t ms = message->ttl_ms < EXPIRATION_MAX ?
		    message->ttl_ms :
		    EXPIRATION_MAX;

		props.expiration.len = (size_t)snprintf(expiration,
		    sizeof(expiration), "%" PRId64, ms);
		props.expiration.p = expiration;
	}
	return props_put(&props, out) < 0 ?
	    why_set(why, "its headers are too large") :
	    0;
}

int
props_encode(const struct msg_PUBLISH *message, bool transient, struct buf *out,
    struct why *why)
{
	static struct encoding e;
	int rc;

	e.n = 0;
	buf_init(&e.raw, out->max);
	buf_init(&e.table, out->max);
	rc = encode(&e, message, transient, out, why);
	buf_release(&e.raw);
	buf_release(&e.table);
	return rc;
}
