/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rabbit_table - AMQP tables as bytes: walked, shown, written. Pure.
 *
 * A table is entries of a short name, the letter of a kind, and a value. What
 * walks over one checks all that is in it, so that who looks closer can trust
 * the lengths that it reads; depth is bounded, for the bytes are a stranger's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "amqp/rabbit_props.h"
#include "base/utf8.h"

static uint64_t
read_number(const char *p, size_t len)
{
	uint64_t n = 0;

	for (size_t i = 0; i < len; i++)
		n = n << 8 | (unsigned char)p[i];
	return n;
}

/* The bytes of a value of that kind: fixed ones; SIZE_MAX: a length of four
 * bytes goes before; 0 and false: there is no such kind. */
static bool
kind_size(char kind, size_t *size)
{
	switch (kind) {
	case 'V':
		*size = 0;
		return true;
	case 't':
	case 'b':
	case 'B':
		*size = 1;
		return true;
	case 's':
	case 'u':
	case 'U':
		*size = 2;
		return true;
	case 'I':
	case 'i':
	case 'f':
		*size = 4;
		return true;
	case 'D':
		*size = 5;
		return true;
	case 'l':
	case 'L':
	case 'd':
	case 'T':
		*size = 8;
		return true;
	case 'S':
	case 'x':
	case 'A':
	case 'F':
		*size = SIZE_MAX;
		return true;
	default:
		return false;
	}
}

static int next_checked(struct msg_bytes table, size_t *at,
    struct table_field *field, bool named, int depth);

/* Takes one value of field->kind. */
static int
take_value(struct msg_bytes bytes, size_t *at, struct table_field *field,
    int depth)
{
	size_t size, left = bytes.len - *at, inner = 0;
	struct table_field member;
	int more;

	if (!kind_size(field->kind, &size))
		return -1;
	if (size == SIZE_MAX) {
		if (left < 4)
			return -1;
		size = 4 + read_number(bytes.p + *at, 4);
	}
	if (size > left)
		return -1;
	field->value = (struct msg_bytes){ bytes.p + *at, size };
	*at += size;
	if (field->kind != 'A' && field->kind != 'F')
		return 1;
	do
		more = next_checked((struct msg_bytes){ field->value.p + 4,
					size - 4 },
		    &inner, &member, field->kind == 'F', depth + 1);
	while (more > 0);
	return more < 0 ? -1 : 1;
}

static int
next_checked(struct msg_bytes table, size_t *at, struct table_field *field,
    bool named, int depth)
{
	size_t len;

	if (depth > TABLE_DEPTH)
		return -1;
	if (*at >= table.len)
		return 0;
	field->name = (struct msg_bytes){ "", 0 };
	if (named) {
		len = (unsigned char)table.p[(*at)++];
		if (len > table.len - *at)
			return -1;
		field->name = (struct msg_bytes){ table.p + *at, len };
		*at += len;
		if (*at >= table.len)
			return -1;
	} else if (*at >= table.len)
		return -1;
	field->kind = table.p[(*at)++];
	return take_value(table, at, field, depth);
}

int
table_next(struct msg_bytes table, size_t *at, struct table_field *field)
{
	return next_checked(table, at, field, true, 0);
}

/* ------------------------------------------------------------------- shown */

static int render(const struct table_field *field, bool nested,
    struct buf *out);

static int
put_char(struct buf *out, char c)
{
	return buf_append(out, &c, 1);
}

/* What is no UTF-8, and a NUL, becomes U+FFFD; in quotes as in JSON. */
static int
render_text(const char *p, size_t len, bool quoted, struct buf *out)
{
	int rc = quoted ? put_char(out, '"') : 0;

	for (size_t i = 0, n; i < len && rc == 0; i += n) {
		n = p[i] != '\0' ? utf8_sequence(p + i, len - i) : 0;
		if (n == 0) {
			n = 1;
			rc = buf_append(out, "\xef\xbf\xbd", 3);
		} else if (quoted && (p[i] == '"' || p[i] == '\\'))
			rc = buf_printf(out, "\\%c", p[i]);
		else if (quoted && (unsigned char)p[i] < 0x20)
			rc = buf_printf(out, "\\u%04x", (unsigned char)p[i]);
		else
			rc = buf_append(out, p + i, n);
		if (rc > 0)
			rc = 0;
	}
	if (rc == 0 && quoted)
		rc = put_char(out, '"');
	return rc;
}

static int
render_members(const struct table_field *field, struct buf *out)
{
	bool named = field->kind == 'F';
	struct msg_bytes inner = { field->value.p + 4, field->value.len - 4 };
	struct table_field member;
	size_t at = 0;
	int rc = put_char(out, named ? '{' : '[');

	while (rc == 0) {
		bool first = at == 0;

		if (next_checked(inner, &at, &member, named, 0) <= 0)
			break;
		if (!first)
			rc = put_char(out, ',');
		if (rc == 0 && named)
			rc = render_text(member.name.p, member.name.len, true,
			    out);
		if (rc == 0 && named)
			rc = put_char(out, ':');
		if (rc == 0)
			rc = render(&member, true, out);
	}
	return rc == 0 ? put_char(out, named ? '}' : ']') : rc;
}

static int
render_decimal(const struct table_field *field, struct buf *out)
{
	unsigned scale = (unsigned char)field->value.p[0];
	int32_t n = (int32_t)read_number(field->value.p + 1, 4);

	return scale == 0 ? buf_printf(out, "%" PRId32, n) :
			    buf_printf(out, "%" PRId32 "e-%u", n, scale);
}

static int
render_real(const struct table_field *field, struct buf *out)
{
	uint64_t bits = read_number(field->value.p, field->value.len);
	uint32_t half = (uint32_t)bits;
	double wide;
	float narrow;

	if (field->kind == 'd') {
		memcpy(&wide, &bits, sizeof(wide));
		return buf_printf(out, "%.17g", wide);
	}
	memcpy(&narrow, &half, sizeof(narrow));
	return buf_printf(out, "%.9g", (double)narrow);
}

static int
render(const struct table_field *field, bool nested, struct buf *out)
{
	const char *p = field->value.p;
	size_t len = field->value.len;
	uint64_t n = len <= 8 ? read_number(p, len) : 0;

	switch (field->kind) {
	case 'V':
		return buf_append(out, "null", 4);
	case 't':
		return n != 0 ? buf_append(out, "true", 4) :
				buf_append(out, "false", 5);
	case 'b':
		return buf_printf(out, "%d", (int8_t)n);
	case 's':
	case 'U':
		return buf_printf(out, "%d", (int16_t)n);
	case 'I':
		return buf_printf(out, "%" PRId32, (int32_t)n);
	case 'l':
		return buf_printf(out, "%" PRId64, (int64_t)n);
	case 'D':
		return render_decimal(field, out);
	case 'f':
	case 'd':
		return render_real(field, out);
	case 'S':
	case 'x':
		return render_text(p + 4, len - 4, nested, out);
	case 'A':
	case 'F':
		return render_members(field, out);
	default: /* B u i L T */
		return buf_printf(out, "%" PRIu64, n);
	}
}

int
table_render(const struct table_field *field, struct buf *out)
{
	return render(field, false, out) < 0 ? -1 : 0;
}

bool
table_is_text(const struct table_field *field)
{
	return field->kind == 'S' &&
	    utf8_is_text(field->value.p + 4, field->value.len - 4);
}

/* ------------------------------------------------------------------ written */

int
table_put(struct buf *out, const struct table_field *field)
{
	char *to = buf_extend(out, 2 + field->name.len + field->value.len);

	if (to == NULL)
		return -1;
	*to++ = (char)field->name.len;
	memcpy(to, field->name.p, field->name.len);
	to += field->name.len;
	*to++ = field->kind;
	memcpy(to, field->value.p, field->value.len);
	return 0;
}

int
table_put_text(struct buf *out, struct msg_bytes name, struct msg_bytes value)
{
	char *to = buf_extend(out, 6 + name.len + value.len);

	if (to == NULL)
		return -1;
	*to++ = (char)name.len;
	memcpy(to, name.p, name.len);
	to += name.len;
	*to++ = 'S';
	for (int shift = 24; shift >= 0; shift -= 8)
		*to++ = (char)(value.len >> shift);
	memcpy(to, value.p, value.len);
	return 0;
}
