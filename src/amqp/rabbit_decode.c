/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rabbit_decode - properties to a struct msg_PUBLISH. Pure.
 *
 * What the struct cannot say travels beside it in an attr of kind CALL_RAW
 * named "properties": in hex, encoded as it was, only what is needed (the
 * headers that are no text, timestamp, type, app-id…). user-id is left out (the
 * broker refuses another's), and so are headers that would make a broker do
 * something once more when the message is sent on.
 */
#include <string.h>

#include "amqp/rabbit.h"
#include "amqp/rabbit_props.h"
#include "base/utf8.h"
#include "base/why.h"
#include "core/call.h"
#include "core/retry.h"

/* -1: it is no number of 32 bits. */
static int64_t
parse_number(struct msg_bytes text)
{
	int64_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return -1;
		n = n * 10 + (text.p[i] - '0');
		if (n > UINT32_MAX)
			return -1;
	}
	return text.len > 0 ? n : -1;
}

static uint32_t
parse_positive(struct msg_bytes text, uint32_t otherwise)
{
	int64_t n = parse_number(text);

	return n > 0 ? (uint32_t)n : otherwise;
}

struct decoding {
	struct msg_PUBLISH *message;
	struct buf *attrs, text, raw; /* raw: headers that are no text */
	uint32_t *attempt, *status;
	size_t entries;
};

/* A header that is a member of the message; false: like any other. */
static bool
decode_special(struct decoding *d, const struct table_field *field)
{
	char id[CALL_ID_SIZE], checked[CALL_ID_SIZE];
	struct msg_bytes value = { field->value.p + 4, field->value.len - 4 };

	if (!table_is_text(field))
		return false;
	if (msg_is(field->name, PROPS_REQUEST_ID) && value.len > 0 &&
	    value.len < sizeof(id)) {
		memcpy(id, value.p, value.len);
		id[value.len] = '\0';
		if (strcmp(call_make_id(id, checked), id) != 0)
			return false;
		d->message->id = value;
		return true;
	}
	if (msg_is(field->name, PROPS_TRACEPARENT) &&
	    value.len == CALL_TRACEPARENT_SIZE - 1) {
		memcpy(id, value.p, value.len);
		id[value.len] = '\0';
		if (!call_traceparent_ok(id))
			return false;
		d->message->traceparent = value;
		return true;
	}
	return false;
}

static int
decode_header(struct decoding *d, const struct table_field *field,
    struct why *why)
{
	struct msg_ATTR attr = { .what = CALL_HEADER, .name = field->name };

	if (++d->entries > PROPS_HEADERS_MAX)
		return why_set(why, "it has more than %d headers",
		    PROPS_HEADERS_MAX);
	if (!utf8_is_text(field->name.p, field->name.len))
		return why_set(why, "a header's name is no UTF-8 text");
	if (decode_special(d, field))
		return 0;
	buf_clear(&d->text);
	if (table_is_text(field))
		attr.value = (struct msg_bytes){ field->value.p + 4,
			field->value.len - 4 };
	else if (table_render(field, &d->text) < 0 ||
	    (!props_is_spent(field->name) && table_put(&d->raw, field) < 0))
		return why_set(why, "its headers are too large");
	else
		attr.value = (struct msg_bytes){ d->text.data, d->text.len };
	if (msg_is(field->name, RETRY_ATTEMPT))
		*d->attempt = parse_positive(attr.value, 1);
	else if (msg_is(field->name, RETRY_STATUS))
		*d->status = parse_positive(attr.value, 200);
	if (msg_encode(d->attrs, MSG_ATTR, 0, &attr) < 0)
		return why_set(why, "its headers are too large");
	return 0;
}

static int
decode_headers(struct decoding *d, struct msg_bytes table, size_t max,
    struct why *why)
{
	struct table_field field;
	size_t at = 0;
	int more;

	if (table.len > max)
		return why_set(why,
		    "its headers have %zu bytes, more than 'amqp.max_headers', "
		    "which is %zu",
		    table.len, max);
	while ((more = table_next(table, &at, &field)) > 0)
		if (decode_header(d, &field, why) < 0)
			return -1;
	return more == 0 ? 0 :
			   why_set(why,
			       "its headers are no valid table, or nest more "
			       "than %d deep",
			       TABLE_DEPTH);
}

/* What the message has no member for, in hex. */
static int
decode_raw(struct decoding *d, const struct props *all, struct why *why)
{
	static const char digit[] = "0123456789abcdef";
	struct props rest = { .content_encoding = all->content_encoding,
		.headers = { d->raw.data, d->raw.len },
		.timestamp = all->timestamp,
		.type = all->type,
		.app_id = all->app_id,
		.cluster_id = all->cluster_id };
	struct msg_ATTR attr = { .what = CALL_RAW,
		.name = { PROPS_RAW, sizeof(PROPS_RAW) - 1 } };
	struct buf bytes;
	char *hex;
	int rc = -1;

	if (props_are_none(&rest))
		return 0;
	buf_init(&bytes, d->text.max);
	buf_clear(&d->text);
	if (props_put(&rest, &bytes) < 0)
		goto out;
	hex = buf_extend(&d->text, bytes.len * 2);
	if (hex == NULL)
		goto out;
	for (size_t i = 0; i < bytes.len; i++) {
		*hex++ = digit[(unsigned char)bytes.data[i] >> 4];
		*hex++ = digit[(unsigned char)bytes.data[i] & 15];
	}
	attr.value = (struct msg_bytes){ d->text.data, d->text.len };
	rc = msg_encode(d->attrs, MSG_ATTR, 0, &attr);
out:
	buf_release(&bytes);
	return rc < 0 ? why_set(why, "its headers are too large") : 0;
}

/* A text of the message; what is none is not said. */
static int
decode_text(struct msg_bytes from, struct msg_bytes *to, const char *what,
    struct why *why)
{
	if (from.len == 0)
		return 0;
	if (!utf8_is_text(from.p, from.len))
		return why_set(why, "its %s is no UTF-8 text", what);
	*to = from;
	return 0;
}

static int
decode_texts(const struct props *props, struct msg_PUBLISH *message,
    struct why *why)
{
	int rc = 0;

	rc |= decode_text(props->content_type, &message->type, "content type",
	    why);
	rc |= decode_text(props->message_id, &message->message_id, "message id",
	    why);
	rc |= decode_text(props->correlation_id, &message->correlation_id,
	    "correlation id", why);
	rc |= decode_text(props->reply_to, &message->reply_to, "reply-to", why);
	return rc;
}

int
props_decode(struct msg_bytes bytes, size_t max_headers,
    struct msg_PUBLISH *message, struct buf *attrs, uint32_t *attempt,
    uint32_t *status, struct why *why)
{
	struct decoding d = { message, attrs, .attempt = attempt,
		.status = status };
	struct props props;
	int rc;

	buf_clear(attrs);
	*attempt = 1;
	*status = 200;
	if (props_split(bytes, &props) < 0)
		return why_set(why, "its properties make no sense");
	message->priority = props.priority;
	message->ttl_ms = parse_number(props.expiration);
	rc = decode_texts(&props, message, why);
	/* most messages have neither headers nor any of the others */
	buf_init(&d.text, 8 * max_headers + 8192);
	buf_init(&d.raw, max_headers + 8192);
	if (rc == 0)
		rc = decode_headers(&d, props.headers, max_headers, why);
	if (rc == 0)
		rc = decode_raw(&d, &props, why);
	buf_release(&d.text);
	buf_release(&d.raw);
	if (rc < 0) {
		buf_clear(attrs);
		message->id = message->traceparent = (struct msg_bytes){ "",
			0 };
	}
	return rc;
}
