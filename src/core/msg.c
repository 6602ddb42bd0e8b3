/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * msg - structs to bytes and back, as the rows of msg.def have it.
 *
 * Three functions are made of each row: how many bytes its fields take, how
 * they are written, how they are read. A number is its bytes, a TEXT or BYTES
 * its length (32 bits) and what it says. Called by both ends of the hub's
 * connections and by whoever packs parts into a message. Reading promises that
 * whatever comes is either refused with a reason or a message whose every
 * length lies inside of the frame; nothing is copied or allocated for it.
 */
#include "core/msg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/why.h"

/* ------------------------------------------------------------- the fields */

static inline char *
put_bytes(char *p, struct msg_bytes bytes)
{
	uint32_t len = bytes.p != NULL ? (uint32_t)bytes.len : 0;

	memcpy(p, &len, sizeof(len));
	p += sizeof(len);
	if (len > 0)
		memcpy(p, bytes.p, len);
	return p + len;
}

#define SIZE_U8(v) sizeof(v)
#define SIZE_U32(v) sizeof(v)
#define SIZE_U64(v) sizeof(v)
#define SIZE_I64(v) sizeof(v)
#define SIZE_TEXT(v) SIZE_BYTES(v)
#define SIZE_BYTES(v) (sizeof(uint32_t) + ((v).p != NULL ? (v).len : 0))

#define PUT_NUMBER(p, v) ((char *)memcpy((p), &(v), sizeof(v)) + sizeof(v))
#define PUT_U8(p, v) PUT_NUMBER(p, v)
#define PUT_U32(p, v) PUT_NUMBER(p, v)
#define PUT_U64(p, v) PUT_NUMBER(p, v)
#define PUT_I64(p, v) PUT_NUMBER(p, v)
#define PUT_TEXT(p, v) put_bytes(p, v)
#define PUT_BYTES(p, v) put_bytes(p, v)

/* What is still to be read of a frame. */
struct cursor {
	const char *p, *end;
	const char *wrong; /* NULL: nothing so far */
};

static inline void
get_number(struct cursor *c, void *v, size_t size)
{
	if ((size_t)(c->end - c->p) < size) {
		c->wrong = "is too short";
		return;
	}
	memcpy(v, c->p, size);
	c->p += size;
}

static inline void
get_bytes(struct cursor *c, struct msg_bytes *v)
{
	uint32_t len = 0;

	get_number(c, &len, sizeof(len));
	if (c->wrong == NULL && (size_t)(c->end - c->p) < len)
		c->wrong = "has a length that leaves it";
	if (c->wrong != NULL)
		return;
	v->p = c->p;
	v->len = len;
	c->p += len;
}

static inline void
get_text(struct cursor *c, struct msg_bytes *v)
{
	get_bytes(c, v);
	/* most are empty */
	if (c->wrong == NULL && v->len > 0 &&
	    memchr(v->p, '\0', v->len) != NULL)
		c->wrong = "has a NUL in a text";
}

#define GET_U8(c, v) get_number(c, v, sizeof(*(v)))
#define GET_U32(c, v) get_number(c, v, sizeof(*(v)))
#define GET_U64(c, v) get_number(c, v, sizeof(*(v)))
#define GET_I64(c, v) get_number(c, v, sizeof(*(v)))
#define GET_TEXT(c, v) get_text(c, v)
#define GET_BYTES(c, v) get_bytes(c, v)

/* --------------------------------------------------------------- the rows */

/* clang-format off: it takes an unfinished body for something else */

#define MSG(id, name, from, kind)                \
	static size_t size_##id(const void *msg) \
	{                                        \
		const struct msg_##id *m = msg;  \
		size_t size = 0;                 \
		(void)m;
#define FIELD(type, name) size += SIZE_##type(m->name);
#define END          \
	return size; \
	}
#include "core/msg.def"

#define MSG(id, name, from, kind)                      \
	static void put_##id(char *p, const void *msg) \
	{                                              \
		const struct msg_##id *m = msg;        \
		(void)m;
#define FIELD(type, name) p = PUT_##type(p, m->name);
#define END      \
	(void)p; \
	}
#include "core/msg.def"

#define MSG(id, name, from, kind)                              \
	static void get_##id(struct cursor *c, union msg *msg) \
	{                                                      \
		struct msg_##id *m = &msg->id;                 \
		m->none = 0;                                   \
		(void)c;
#define FIELD(type, name)        \
	GET_##type(c, &m->name); \
	if (c->wrong != NULL)    \
		return;
#define END }
#include "core/msg.def"

/* clang-format on */

static const struct row {
	const char *name;
	enum msg_from from;
	enum msg_kind kind;
	size_t (*size)(const void *msg);
	void (*put)(char *p, const void *msg);
	void (*get)(struct cursor *c, union msg *msg);
} rows[MSG_COUNT] = {
#define MSG(id, name, from, kind) \
	[MSG_##id] = { name, from, kind, size_##id, put_##id, get_##id },
#define FIELD(type, name)
#define END
#include "core/msg.def"
};

const char *
msg_name(unsigned id)
{
	return id > MSG_NONE && id < MSG_COUNT ? rows[id].name : "?";
}

enum msg_kind
msg_kind(enum msg_id id)
{
	return rows[id].kind;
}

uint64_t
msg_protocol(void)
{
	static const char text[] =
#define MSG(id, name, from, kind) name " " #from " " #kind
#define FIELD(type, name) " " #type " " #name
#define END "\n"
#include "core/msg.def"
	    ;
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (size_t i = 0; i < sizeof(text) - 1; i++)
		hash = (hash ^ (unsigned char)text[i]) *
		    UINT64_C(0x100000001b3);
	return hash;
}

/* ----------------------------------------------------------------- frames */

int
msg_encode(struct buf *out, enum msg_id id, uint32_t request, const void *msg)
{
	size_t size = rows[id].size(msg);
	struct msg_head head = {
		.len = (uint32_t)size,
		.id = (uint16_t)id,
		.request = request,
	};
	char *p;

	if (size > UINT32_MAX - MSG_HEAD) {
		errno = ENOBUFS;
		return -1;
	}
	p = buf_extend(out, MSG_HEAD + size);
	if (p == NULL)
		return -1;
	memcpy(p, &head, MSG_HEAD);
	rows[id].put(p + MSG_HEAD, msg);
	return 0;
}

size_t
msg_size(enum msg_id id, const void *msg)
{
	return MSG_HEAD + rows[id].size(msg);
}

/* What is wrong with a head, or NULL. */
static const char *
head_wrong(const struct msg_head *head, size_t max, enum msg_from from)
{
	const struct row *row = &rows[head->id < MSG_COUNT ? head->id : 0];

	if (row->name == NULL)
		return "is none that there is";
	if (head->zero != 0)
		return "has a bad head";
	if (head->len > max)
		return "is larger than allowed";
	if (from == MSG_FROM_NONE)
		return head->request != 0 ? "has a request id as a part" : NULL;
	if (row->from != from)
		return "does not come from that side";
	if ((row->kind == MSG_KIND_NOTE) != (head->request == 0))
		return "has a request id that does not suit it";
	return NULL;
}

ptrdiff_t
msg_decode(const char *bytes, size_t len, size_t max, enum msg_from from,
    struct msg_head *head, union msg *msg, struct why *why)
{
	struct cursor c = { .wrong = NULL };

	if (len < MSG_HEAD)
		return 0;
	memcpy(head, bytes, MSG_HEAD);
	c.wrong = head_wrong(head, max, from);
	if (c.wrong == NULL) {
		if (len - MSG_HEAD < head->len)
			return 0;
		c.p = bytes + MSG_HEAD;
		c.end = c.p + head->len;
		rows[head->id].get(&c, msg);
		if (c.wrong == NULL && c.p != c.end)
			c.wrong = "has bytes left over";
	}
	if (c.wrong != NULL)
		return why_set(why, "message %u (%s) of %u bytes %s",
		    (unsigned)head->id, msg_name(head->id), head->len, c.wrong);
	return (ptrdiff_t)(MSG_HEAD + head->len);
}

int
msg_part(struct msg_bytes parts, size_t *at, uint64_t allowed, enum msg_id *id,
    union msg *msg, struct why *why)
{
	struct msg_head head;
	ptrdiff_t n;

	if (*at >= parts.len)
		return 0;
	n = msg_decode(parts.p + *at, parts.len - *at, parts.len, MSG_FROM_NONE,
	    &head, msg, why);
	if (n == 0)
		return why_set(why, "the last part is cut off");
	if (n < 0)
		return -1;
	if ((allowed >> head.id & 1) == 0)
		return why_set(why, "%s is no part to be here",
		    msg_name(head.id));
	*at += (size_t)n;
	*id = (enum msg_id)head.id;
	return 1;
}

/* ------------------------------------------------------------------ texts */

struct msg_bytes
msg_text(const char *text)
{
	if (text == NULL)
		text = "";
	return (struct msg_bytes){ text, strlen(text) };
}

char *
msg_string(struct msg_bytes bytes)
{
	char *text = mem_alloc(bytes.len + 1);

	if (bytes.len > 0)
		memcpy(text, bytes.p, bytes.len);
	return text;
}

bool
msg_is(struct msg_bytes bytes, const char *text)
{
	size_t len = strlen(text);

	return bytes.len == len && memcmp(bytes.p, text, len) == 0;
}

bool
msg_begins(struct msg_bytes bytes, const char *prefix)
{
	size_t len = strlen(prefix);

	return bytes.len >= len && memcmp(bytes.p, prefix, len) == 0;
}

bool
msg_attr(struct msg_bytes parts, unsigned what, const char *name,
    struct msg_bytes *value)
{
	enum msg_id id;
	union msg msg;
	size_t at = 0;

	while (msg_part(parts, &at, MSG_ID_BIT(ATTR), &id, &msg, NULL) == 1)
		if (msg.ATTR.what == what && msg_is(msg.ATTR.name, name)) {
			*value = msg.ATTR.value;
			return true;
		}
	return false;
}

/* ------------------------------------------------------------------ codes */

static const struct {
	const char *name;
	int status;
} codes[HUB_CODE_COUNT] = { [HUB_OK] = { "OK", 200 },
#define HUB_CODE(id, status) [HUB_##id] = { #id, status },
	HUB_CODES
#undef HUB_CODE
};

const char *
hub_code_name(uint32_t code)
{
	return code < HUB_CODE_COUNT ? codes[code].name : "?";
}

int
hub_code_status(uint32_t code)
{
	return code < HUB_CODE_COUNT ? codes[code].status : 500;
}
