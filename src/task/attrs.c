/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attrs - the parts of a RUN that a handler looks up by name.
 *
 * Called by run.c. The frame that they came in is gone by the time a handler
 * asks, so they are copied: an entry for each, and all texts behind them, in
 * one piece of memory. There are tens of them at most, and a handler asks for
 * two or three: a table to hash into would cost more than it saves.
 */
#include "task/attrs.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/why.h"

#define ATTRS_ALLOWED MSG_ID_BIT(ATTR)

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
	static const struct msg_ATTR none;
	/* what is left of a part without its texts has room for their NULs */
	size_t most = parts.len / msg_size(MSG_ATTR, &none), at = 0;
	enum msg_id id;
	union msg part;
	char *text;
	int rc;

	memset(attrs, 0, sizeof(*attrs));
	if (parts.len == 0)
		return 0;
	attrs->v = mem_try_alloc(most * sizeof(*attrs->v) + parts.len);
	if (attrs->v == NULL)
		return why_set(why, "no memory for %zu bytes", parts.len);
	text = (char *)(attrs->v + most);
	while (
	    (rc = msg_part(parts, &at, ATTRS_ALLOWED, &id, &part, why)) == 1) {
		struct attr *attr = &attrs->v[attrs->n++];

		attr->what = part.ATTR.what;
		attr->name = attrs_copy(&text, part.ATTR.name);
		attr->value = attrs_copy(&text, part.ATTR.value);
	}
	if (rc == -1)
		attrs_release(attrs);
	return rc;
}

void
attrs_release(struct attrs *attrs)
{
	free(attrs->v);
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
