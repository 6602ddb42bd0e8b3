/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rabbit_props - properties as bytes: taken apart and put together. Pure.
 */
#include "amqp/rabbit_props.h"

#include <string.h>

/* In the order of their flags, from the highest bit. */
enum prop_kind { SHORT, TABLE, OCTET, LONG };
static const struct prop {
	enum prop_kind kind;
	size_t offset;
} prop[] = {
	{ SHORT, offsetof(struct props, content_type) },
	{ SHORT, offsetof(struct props, content_encoding) },
	{ TABLE, offsetof(struct props, headers) },
	{ OCTET, offsetof(struct props, delivery_mode) },
	{ OCTET, offsetof(struct props, priority) },
	{ SHORT, offsetof(struct props, correlation_id) },
	{ SHORT, offsetof(struct props, reply_to) },
	{ SHORT, offsetof(struct props, expiration) },
	{ SHORT, offsetof(struct props, message_id) },
	{ LONG, offsetof(struct props, timestamp) },
	{ SHORT, offsetof(struct props, type) },
	{ SHORT, offsetof(struct props, user_id) },
	{ SHORT, offsetof(struct props, app_id) },
	{ SHORT, offsetof(struct props, cluster_id) },
};
#define PROPS (sizeof(prop) / sizeof(prop[0]))
#define FLAG(i) (1u << (15 - (i)))

/* ------------------------------------------------------------------ split */

static size_t
value_size(enum prop_kind kind, const char *p, size_t left, size_t *head)
{
	const unsigned char *u = (const unsigned char *)p;

	*head = 0;
	switch (kind) {
	case OCTET:
		return 1;
	case LONG:
		return 8;
	case SHORT:
		*head = 1;
		return left < 1 ? 0 : u[0];
	default:
		*head = 4;
		return left < 4 ? 0 :
				  (size_t)u[0] << 24 | (size_t)u[1] << 16 |
			(size_t)u[2] << 8 | u[3];
	}
}

int
props_split(struct msg_bytes bytes, struct props *props)
{
	const unsigned char *u = (const unsigned char *)bytes.p;
	size_t at = 2;
	unsigned flags;

	memset(props, 0, sizeof(*props));
	if (bytes.len < 2)
		return -1;
	flags = (unsigned)u[0] << 8 | u[1];
	if ((flags & 3u) != 0) /* there are no more than these */
		return -1;
	for (size_t i = 0; i < PROPS; i++) {
		size_t left = bytes.len - at, head, size;
		char *member = (char *)props + prop[i].offset;

		if ((flags & FLAG(i)) == 0)
			continue;
		size = value_size(prop[i].kind, bytes.p + at, left, &head);
		if (head > left || size > left - head)
			return -1;
		if (prop[i].kind == OCTET)
			*(uint8_t *)member = u[at];
		else
			*(struct msg_bytes *)(void *)member =
			    (struct msg_bytes){ bytes.p + at + head, size };
		at += head + size;
	}
	return at == bytes.len ? 0 : -1;
}

/* ------------------------------------------------------------------- write */

static int
put_value(enum prop_kind kind, const char *member, struct buf *out)
{
	const struct msg_bytes *value = (const void *)member;
	char head[4];

	switch (kind) {
	case OCTET:
		return buf_append(out, member, 1);
	case LONG:
		return buf_append(out, value->p, 8);
	case SHORT:
		head[0] = (char)value->len;
		if (buf_append(out, head, 1) < 0)
			return -1;
		break;
	case TABLE:
		for (int i = 0; i < 4; i++)
			head[i] = (char)(value->len >> (24 - 8 * i));
		if (buf_append(out, head, 4) < 0)
			return -1;
		break;
	}
	return buf_append(out, value->p, value->len);
}

static bool
is_set(const struct props *props, size_t i)
{
	const char *member = (const char *)props + prop[i].offset;

	if (prop[i].kind == OCTET)
		return *(const uint8_t *)member != 0;
	return ((const struct msg_bytes *)(const void *)member)->len > 0;
}

/* Of those that are not empty, or 0. */
static unsigned
flags_of(const struct props *props)
{
	unsigned flags = 0;

	for (size_t i = 0; i < PROPS; i++)
		flags |= is_set(props, i) ? FLAG(i) : 0;
	return flags;
}

bool
props_are_none(const struct props *props)
{
	return flags_of(props) == 0;
}

int
props_put(const struct props *props, struct buf *out)
{
	unsigned flags = flags_of(props);
	char head[2];

	head[0] = (char)(flags >> 8);
	head[1] = (char)flags;
	if (buf_append(out, head, 2) < 0)
		return -1;
	for (size_t i = 0; i < PROPS; i++)
		if (is_set(props, i) &&
		    put_value(prop[i].kind,
			(const char *)props + prop[i].offset, out) < 0)
			return -1;
	return 0;
}

/* Sent on, these would route copies once more (CC, BCC), count what the broker
 * counts (x-delivery-count), or make it take a second death for a loop and drop
 * the message (x-death). */
bool
props_is_spent(struct msg_bytes name)
{
	return msg_is(name, "CC") || msg_is(name, "BCC") ||
	    msg_is(name, "x-death") || msg_is(name, "x-delivery-count");
}
