/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * desk_data - shared data by order of the operator: get, set, incr, delete,
 * list.
 *
 * Called by desk. A change is one in memory that keys then makes durable, as
 * for a client; it is answered at the end of the turn like everything here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/why.h"
#include "hub/data.h"
#include "hub/desk_impl.h"
#include "hub/keys.h"

#define LIST_DEFAULT 1000
#define LIST_MAX 100000

static struct msg_bytes
key_of(struct desk_ask *ask)
{
	struct msg_bytes key = msg_text(ask->n > 0 ? ask->arg[0] : "");

	if (key.len == 0)
		desk_ask_fail(ask, "the key is empty");
	return key;
}

/* As members of an object: "json", or "body" for a text, or "bytes", their
 * number, for what is none. */
static void
value_put(json_t *object, const struct data_value *value)
{
	json_t *json = NULL;

	if (value->kind == DATA_NUMBER)
		json = json_integer(value->number);
	else if (value->kind == DATA_JSON)
		json = json_loadb(value->bytes, value->len,
		    JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	if (json != NULL) {
		json_object_set_new(object, "json", json);
		return;
	}
	json = json_stringn(value->bytes, value->len);
	if (json != NULL)
		json_object_set_new(object, "body", json);
	else
		json_object_set_new(object, "bytes",
		    json_integer((json_int_t)value->len));
}

static json_t *
value_report(const struct hub *hub, const struct data_value *value)
{
	json_t *report = json_object();

	json_object_set_new(report, "key",
	    json_stringn(value->key, value->key_len));
	value_put(report, value);
	json_object_set_new(report, "version",
	    json_integer((json_int_t)value->version));
	if (value->expires_ms >= 0)
		json_object_set_new(report, "ttl",
		    json_real(
			(double)(value->expires_ms - hub->wall_ms) / 1000));
	return report;
}

void
desk_get(struct desk_ask *ask)
{
	struct hub *hub = ask->conn->hub;
	struct msg_bytes key = key_of(ask);
	const struct data_value *value;

	if (ask->bad)
		return;
	value = data_find(hub->data, key, hub->wall_ms);
	if (value == NULL)
		desk_fail(ask->conn, CMD_FAILED, "there is no key '%.200s'",
		    ask->arg[0]);
	else
		desk_answer(ask->conn, CMD_OK, "", value_report(hub, value));
}

/* Is there room for it on the disk; false when the answer is out. */
static bool
change_has_room(struct desk_ask *ask, struct msg_bytes key, size_t len)
{
	const char *why = NULL;
	enum hub_code code = keys_room(ask->conn->hub, key, len, &why);

	if (code == HUB_OK)
		return true;
	ask->bad = true;
	desk_fail(ask->conn, CMD_FAILED, "%s",
	    why != NULL ? why : hub_code_name(code));
	return false;
}

/* Makes it durable; false when the answer is out. */
static bool
change_keep(struct desk_ask *ask, const struct data_change *change)
{
	if (change->code == HUB_OK) {
		if (change->done)
			keys_keep(ask->conn->hub, change);
		return true;
	}
	desk_fail(ask->conn, CMD_FAILED, "%s",
	    change->why != NULL ? change->why : hub_code_name(change->code));
	return false;
}

void
desk_set(struct desk_ask *ask)
{
	struct hub *hub = ask->conn->hub;
	bool absent = desk_ask_flag(ask, "if_absent");
	int64_t version = desk_ask_int(ask, "if_version", 0, INT64_MAX, -1);
	struct data_change change = { 0 };
	bool is_json;
	size_t len;
	char *body = desk_ask_body(ask, &len, &is_json);
	struct msg_SET set = {
		.key = key_of(ask),
		.kind = is_json ? DATA_JSON : DATA_BYTES,
		.only = absent	 ? DATA_IF_ABSENT :
		    version >= 0 ? DATA_IF_VERSION :
				   DATA_ANY,
		.version = version > 0 ? (uint64_t)version : 0,
		.ttl_ms = desk_ask_ms(ask, "ttl", -1),
		.value = { .p = body, .len = len },
	};

	if (!is_json && json_object_get(ask->request, "body") == NULL)
		desk_ask_fail(ask, "there is no value; give \"json\"");
	if (absent && version >= 0)
		desk_ask_fail(ask,
		    "if_absent and if_version exclude each "
		    "other");
	/* seconds of no length are no wish, but a mistake */
	if (set.ttl_ms == 0)
		desk_ask_fail(ask, "ttl: it must be more than 0");
	if (ask->bad || !change_has_room(ask, set.key, len))
		goto out;
	data_set(hub->data, &set, hub->wall_ms, &change);
	if (!change_keep(ask, &change))
		goto out;
	if (change.done)
		desk_done(ask->conn,
		    json_pack("{s:I}", "version",
			(json_int_t)change.now.version),
		    "set");
	else
		desk_fail(ask->conn, CMD_FAILED,
		    "not set: the key has version %llu",
		    (unsigned long long)change.now.version);
out:
	free(body);
}

void
desk_incr(struct desk_ask *ask)
{
	struct hub *hub = ask->conn->hub;
	struct msg_INCR incr = { .key = key_of(ask), .by = 1, .ttl_ms = -1 };
	struct data_change change = { 0 };
	char *end;

	if (ask->n > 1) {
		errno = 0;
		incr.by = strtoll(ask->arg[1], &end, 10);
		if (errno != 0 || end == ask->arg[1] || *end != '\0')
			desk_ask_fail(ask,
			    "'%.40s' is not a whole number of 64 bits",
			    ask->arg[1]);
	}
	if (ask->bad || !change_has_room(ask, incr.key, 20))
		return;
	data_incr(hub->data, &incr, hub->wall_ms, &change);
	if (change_keep(ask, &change))
		desk_done(ask->conn,
		    json_pack("{s:I, s:I}", "value",
			(json_int_t)change.now.number, "version",
			(json_int_t)change.now.version),
		    "%lld", (long long)change.now.number);
}

void
desk_delete(struct desk_ask *ask)
{
	struct hub *hub = ask->conn->hub;
	struct msg_DELETE del = { .key = key_of(ask), .only = DATA_ANY };
	struct data_change change = { 0 };

	if (ask->bad || !change_has_room(ask, del.key, 0))
		return;
	if (data_find(hub->data, del.key, hub->wall_ms) == NULL) {
		desk_fail(ask->conn, CMD_FAILED, "there is no key '%.200s'",
		    ask->arg[0]);
		return;
	}
	data_delete(hub->data, &del, hub->wall_ms, &change);
	if (change_keep(ask, &change))
		desk_done(ask->conn, NULL, "deleted");
}

struct listing {
	struct hub *hub;
	json_t *keys;
	size_t max, bytes, max_bytes;
	bool more;
};

static bool
listing_each(void *ctx, const struct data_value *value)
{
	struct listing *listing = ctx;

	listing->bytes += value->key_len + value->len;
	if (json_array_size(listing->keys) == listing->max ||
	    listing->bytes > listing->max_bytes) {
		listing->more = true;
		return false;
	}
	json_array_append_new(listing->keys, value_report(listing->hub, value));
	return true;
}

void
desk_list(struct desk_ask *ask)
{
	struct hub *hub = ask->conn->hub;
	struct listing listing = {
		.hub = hub,
		.max = (size_t)desk_ask_int(ask, "limit", 1, LIST_MAX,
		    LIST_DEFAULT),
		.max_bytes = hub->conf->hub.max_message,
	};
	struct msg_bytes after = msg_text(desk_ask_text(ask, "after"));

	if (ask->bad)
		return;
	/* one value may be larger than the bound of all */
	if (listing.max_bytes < hub->conf->hub.max_value * 2)
		listing.max_bytes = hub->conf->hub.max_value * 2;
	listing.keys = json_array();
	data_list(hub->data, msg_text(ask->n > 0 ? ask->arg[0] : ""), after,
	    hub->wall_ms, listing_each, &listing);
	desk_answer(ask->conn, CMD_OK, "",
	    json_pack("{s:o, s:b}", "keys", listing.keys, "more",
		(int)listing.more));
}
