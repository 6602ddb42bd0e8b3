/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * status - what has been found so far: kept, counted, shown, watched.
 *
 * The set of addresses is a key each, so it is as large as the shared data may
 * be, survives every process, and a list of it comes sorted. Counts are kept
 * beside it rather than made when somebody asks; they change in the same step.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "modules/cruncher/cruncher.h"

#define KEY_SIZE (sizeof(KEY_DOMAIN) + ADDRESS_MAX + 1)

static const struct brood_set with_success = { .on_success = true };

/* --- collecting */

/* 1: it is new; 0: known, or no address that anybody could keep; -1. */
static int
keep_address(struct brood_call *call, const char *address)
{
	struct brood_set once = { .on_success = true, .if_absent = true };
	json_t *value;
	char key[KEY_SIZE];
	int rc;

	snprintf(key, sizeof(key), KEY_ADDRESS "%s", address);
	rc = brood_get(call, key, NULL);
	if (rc != 0)
		return rc == 1 ? 0 : -1;
	value = json_true();
	rc = brood_set(call, key, value, &once);
	json_decref(value);
	snprintf(key, sizeof(key), KEY_DOMAIN "%s", strchr(address, '@') + 1);
	if (rc == -1 || brood_incr(call, key, 1, &with_success, NULL) == -1 ||
	    brood_incr(call, KEY_COUNT "addresses", 1, &with_success, NULL) ==
		-1)
		return -1;
	return 1;
}

/* Texts write "…@apple.com." at the end of a sentence. */
static bool
is_spam_domain(const char *domain)
{
	size_t len = strlen(domain);

	while (len > 0 && domain[len - 1] == '.')
		len--;
	return len == strlen(cruncher_settings.spam_domain) &&
	    strncasecmp(domain, cruncher_settings.spam_domain, len) == 0;
}

/* Once for each local part, in this call (`warned`) and ever. */
static int
warn(struct brood_call *call, const char *address, json_t *warned)
{
	struct brood_set once = { .on_success = true, .if_absent = true };
	struct brood_message message = {
		.type = "text/plain",
		.priority = cruncher_priority(call),
	};
	const char *at = strchr(address, '@');
	char key[KEY_SIZE], local[ADDRESS_MAX + 1];
	int rc;

	snprintf(local, sizeof(local), "%.*s", (int)(at - address), address);
	if (!is_spam_domain(at + 1) || json_object_get(warned, local) != NULL)
		return 0;
	json_object_set_new(warned, local, json_true());
	snprintf(key, sizeof(key), KEY_WARNED "%s", local);
	rc = brood_get(call, key, NULL);
	if (rc != 0)
		return rc == 1 ? 0 : -1;
	if (brood_set(call, key, json_object_get(warned, local), &once) == -1 ||
	    brood_incr(call, KEY_COUNT "warned", 1, &with_success, NULL) == -1)
		return -1;
	return brood_publish_message(call, EXCHANGE_SPAMMER, local, "spam me!",
	    strlen("spam me!"), &message);
}

/* A list of the queue `status`. */
enum brood_outcome
cruncher_collect(struct brood_call *call)
{
	json_t *list = brood_call_json(call), *item, *warned;
	const char *address;
	size_t i;
	int rc = 0;

	if (list == NULL)
		return BROOD_REJECT;
	if (!json_is_array(list))
		return brood_reject(call, 422, "this is not a list");
	warned = json_object();
	json_array_foreach(list, i, item)
	{
		address = json_string_value(item);
		if (address == NULL || strchr(address, '@') == NULL) {
			json_decref(warned);
			return brood_reject(call, 422,
			    "item %zu is not an address", i);
		}
		if (strlen(address) > ADDRESS_MAX)
			rc = brood_incr(call, KEY_COUNT "too_long", 1,
			    &with_success, NULL);
		else if ((rc = keep_address(call, address)) == 1)
			rc = warn(call, address, warned);
		if (rc == -1)
			break;
	}
	json_decref(warned);
	return rc == -1 ? cruncher_failed(call) : BROOD_DONE;
}

/* --- showing */

struct gather {
	json_t *into;
	size_t skip; /* of a key's beginning */
};

static bool
gather_number(void *ctx, const char *key, const struct brood_value *value)
{
	struct gather *gather = ctx;

	json_object_set_new(gather->into, key + gather->skip,
	    json_integer(strtoll(value->bytes, NULL, 10)));
	return true;
}

/* The numbers below a prefix as an object, or NULL. */
static json_t *
numbers_below(struct brood_call *call, const char *prefix)
{
	struct gather gather = { json_object(), strlen(prefix) };

	if (brood_list(call, prefix, gather_number, &gather) != -1)
		return gather.into;
	json_decref(gather.into);
	return NULL;
}

/* Every count there can be, those that are 0 too, so that a reader need not
 * know that nothing is kept of them. */
static json_t *
counts(struct brood_call *call)
{
	static const char *const names[] = { "documents", "addresses", "warned",
		"mails", "regex", "slow" };
	json_t *all = json_object();
	json_t *kept = numbers_below(call, KEY_COUNT);
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		json_object_set_new(all, names[i], json_integer(0));
	if (kept != NULL && json_object_update(all, kept) == 0) {
		json_decref(kept);
		return all;
	}
	json_decref(kept);
	json_decref(all);
	return NULL;
}

static int
add_value(struct brood_call *call, json_t *to, const char *name)
{
	struct brood_value value;
	int rc = brood_get(call, name, &value);

	if (rc == 1 && value.json != NULL)
		json_object_set(to, name, value.json);
	return rc;
}

/* GET /status */
enum brood_outcome
cruncher_status(struct brood_call *call)
{
	json_t *reply = counts(call), *domains;

	if (reply == NULL)
		return cruncher_failed(call);
	domains = numbers_below(call, KEY_DOMAIN);
	if (domains == NULL || json_object_set_new(reply, "domains", domains) ||
	    add_value(call, reply, KEY_DIGEST) == -1 ||
	    add_value(call, reply, KEY_CHANGE) == -1) {
		json_decref(reply);
		return cruncher_failed(call);
	}
	return brood_reply(call, 200, reply);
}

static bool
print_address(void *ctx, const char *key, const struct brood_value *value)
{
	(void)value;
	fprintf(ctx, "%s\n", key + strlen(KEY_ADDRESS));
	return true;
}

/* GET /addresses: a line each, sorted by their bytes, as `sort -u` prints. */
enum brood_outcome
cruncher_list(struct brood_call *call)
{
	enum brood_outcome outcome;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int n;

	if (out == NULL)
		return brood_retry(call, 0, "no memory");
	n = brood_list(call, KEY_ADDRESS, print_address, out);
	if (fclose(out) != 0)
		outcome = brood_retry(call, 0, "no memory");
	else if (n == -1)
		outcome = cruncher_failed(call);
	else
		outcome = brood_reply_bytes(call, 200,
		    "text/plain; charset=utf-8", text, len);
	free(text);
	return outcome;
}

/* --- the schedule and the background */

/* Now and then: all counts and the moment, kept under one key. */
enum brood_outcome
cruncher_digest(struct brood_call *call)
{
	json_t *digest = counts(call);
	int rc;

	if (digest == NULL)
		return cruncher_failed(call);
	json_object_set_new(digest, "at", json_string(cruncher_now()));
	brood_log(BROOD_INFO,
	    "digest: %lld documents, %lld addresses, %lld warned",
	    (long long)json_integer_value(json_object_get(digest, "documents")),
	    (long long)json_integer_value(json_object_get(digest, "addresses")),
	    (long long)json_integer_value(json_object_get(digest, "warned")));
	rc = brood_set(call, KEY_DIGEST, digest, &with_success);
	json_decref(digest);
	return rc == -1 ? cruncher_failed(call) : BROOD_DONE;
}

static int
note_change(struct brood_call *call, const struct brood_event *event)
{
	json_t *change = json_pack("{s:s, s:s, s:s%}", "at", cruncher_now(),
	    "key", event->key, "value",
	    event->what == BROOD_SET ? event->value.bytes : "",
	    event->what == BROOD_SET ? event->value.len : (size_t)0);
	int rc = 0;

	brood_log(BROOD_DEBUG, "%s has changed", event->key);
	if (change != NULL)
		rc = brood_set(call, KEY_CHANGE, change, NULL);
	json_decref(change);
	return rc;
}

/* In the background: keeps which count has changed last. */
enum brood_outcome
cruncher_watch(struct brood_call *call)
{
	struct brood_event event;

	if (brood_watch(call, KEY_COUNT) == -1)
		return cruncher_failed(call);
	for (;;) {
		switch (brood_wait(call, -1, &event)) {
		case BROOD_WAKE_STOP:
			return BROOD_DONE;
		case BROOD_WAKE_EVENT:
			if (note_change(call, &event) == -1)
				return cruncher_failed(call);
			break;
		case BROOD_WAKE_TIME:
			break;
		}
	}
}
