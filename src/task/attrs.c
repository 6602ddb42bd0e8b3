/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attrs - the parts of a RUN that a handler looks up by name.
 *
 * Called by run.c. The frame that they came in is gone by the time a handler
 * asks, so they are copied: all texts into one piece of memory, with an entry
 * for each that points into it. There are tens of them at most, and a handler
 * asks for two or three: a table to hash into would cost more than it saves.
 */
#include "task/attrs.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/why.h"

#define ATTRS_ALLOWED MSG_ID_BIT(ATTR)

/* How many there are and how long their texts, with a NUL for each. */
static int
attrs_measure(struct msg_bytes parts, size_t *n, size_t *size, struct why *why)
{
	enum msg_id id;
	union msg part;
	size_t at = 0;
	int rc;

	*n = *size = 0;
	while (
	    (rc = msg_part(parts, &at, ATTRS_ALLOWED, &id, &part, why)) == 1) {
		*n += 1;
		*size += part.ATTR.name.len + part.ATTR.value.len + 2;
	}
	return rc;
}

/* Copies a text to *at, which moves on. */
static const char *
attrs_copy(char **at, struct msg_bytes text)
{
	char *copy = *at;

	memcpy(copy, text.p, text.len);
	copy[text.len] = '\0';
	*at += text.len + 1;
	return copy;
}

int
attrs_read(struct attrs *attrs, struct msg_bytes parts, struct why *why)
{
	enum msg_id id;
	union msg part;
	size_t n, size, at = 0;
	char *text;

	memset(attrs, 0, sizeof(*attrs));
	if (attrs_measure(parts, &n, &size, why) == -1)
		return -1;
	if (n == 0)
		return 0;
	attrs->v = mem_array(n, sizeof(*attrs->v));
	attrs->text = text = mem_alloc(size);
	while (msg_part(parts, &at, ATTRS_ALLOWED, &id, &part, why) == 1) {
		struct attr *attr = &attrs->v[attrs->n++];

		attr->what = part.ATTR.what;
		attr->name = attrs_copy(&text, part.ATTR.name);
		attr->value = attrs_copy(&text, part.ATTR.value);
	}
	return 0;
}

void
attrs_release(struct attrs *attrs)
{
	free(attrs->v);
	free(attrs->text);
	memset(attrs, 0, sizeof(*attrs));
}

const char *
attrs_find(const struct attrs *attrs, enum call_lookup what, const char *name)
{
	for (size_t i = 0; i < attrs->n; i++) {
		const struct attr *attr = &attrs->v[i];

		if (attr->what == what &&
		    (what == CALL_HEADER ? strcasecmp(attr->name, name) :
					   strcmp(attr->name, name)) == 0)
			return attr->value;
	}
	return NULL;
}
