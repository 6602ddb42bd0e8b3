/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attrs - a request's parameters, query, headers and cookies for a handler that
 * runs in another process.
 *
 * Called by relay and jobs. The order is that in which exchange_lookup() finds
 * things, so the first of a name is the one that counts on either side. What
 * can come is bounded by rest.max_uri and rest.max_header; the frame of each
 * part adds some twenty bytes.
 */
#include "rest/attrs.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "core/call.h"
#include "core/msg.h"
#include "rest/engine.h"
#include "rest/rest.h"
#include "rest/uri.h"

struct attrs {
	struct buf *out;
	bool full;
};

static void
attr_add(struct attrs *attrs, enum call_lookup what, const char *name,
    size_t name_len, const char *value, size_t value_len)
{
	const struct msg_ATTR attr = {
		.what = (uint8_t)what,
		.name = { name, name_len },
		.value = { value, value_len },
	};

	if (msg_encode(attrs->out, MSG_ATTR, 0, &attr) == -1)
		attrs->full = true;
}

static void
attr_text(struct attrs *attrs, enum call_lookup what, const char *name,
    const char *value)
{
	attr_add(attrs, what, name, strlen(name), value, strlen(value));
}

static void
attrs_cookies(struct attrs *attrs, const char *header)
{
	struct cookie cookie;

	while (cookie_next(&header, &cookie))
		attr_add(attrs, CALL_COOKIE, cookie.name, cookie.name_len,
		    cookie.value, cookie.value_len);
}

static void
attrs_field(void *ctx, const char *name, size_t name_len, const char *value,
    size_t value_len)
{
	attr_add(ctx, CALL_HEADER, name, name_len, value, value_len);
}

int
attrs_encode(struct conn *conn, struct buf *out)
{
	const struct exchange *ex = &conn->ex;
	const struct route *route = ex->match.route;
	const char *name = route->names, *end;
	const char *cookies;
	struct attrs attrs = { .out = out };

	for (size_t i = 0; i < route->params; i++) {
		attr_text(&attrs, CALL_PARAM, name, ex->match.value[i]);
		name += strlen(name) + 1;
	}
	name = ex->query;
	end = name != NULL ? name + ex->query_len : NULL;
	while (name != end) {
		const char *value = name + strlen(name) + 1;

		attr_text(&attrs, CALL_QUERY, name, value);
		name = value + strlen(value) + 1;
	}
	engine_each_field(conn, attrs_field, &attrs);
	cookies = engine_field(conn, "Cookie");
	if (cookies != NULL)
		attrs_cookies(&attrs, cookies);
	return attrs.full ? -1 : 0;
}
