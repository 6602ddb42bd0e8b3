/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keys - shared data and locks over REST, one handler for each function, with
 * what it takes in the query: key, by, ttl, absent, prefix, lease, wait. A
 * value is the body.
 *
 * Each replies with {"rc": what the function returned, …}.
 *
 *   hold     takes the lock, writes its pid to the FIFO $FIFO (a setting) and
 *            never comes back
 *   careful  under the lock `key`: gets it, adds 1, sets it
 *   deaf     background: watches all keys and never looks
 */
#include <brood.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *fifo;

static int
start(const json_t *settings, char why[BROOD_WHY_SIZE])
{
	(void)why;
	fifo = json_string_value(json_object_get(settings, "fifo"));
	return 0;
}

static const char *
query(struct brood_call *call, const char *name)
{
	const char *value = brood_call_query(call, name);

	return value != NULL ? value : "";
}

static double
number(struct brood_call *call, const char *name, double otherwise)
{
	const char *value = brood_call_query(call, name);

	return value != NULL ? strtod(value, NULL) : otherwise;
}

static enum brood_outcome
answer(struct brood_call *call, int rc, json_t *more)
{
	json_t *reply = json_pack("{s:i}", "rc", rc);

	if (rc == -1)
		json_object_set_new(reply, "why", json_string(brood_why(call)));
	if (more != NULL) {
		json_object_update(reply, more);
		json_decref(more);
	}
	return brood_reply(call, rc == -1 ? 500 : 200, reply);
}

static json_t *
describe(const struct brood_value *value)
{
	json_t *json = json_pack("{s:I,s:f}", "version",
	    (json_int_t)value->version, "ttl", value->ttl);

	if (value->json != NULL)
		json_object_set(json, "value", value->json);
	else
		json_object_set_new(json, "bytes",
		    json_integer((json_int_t)value->len));
	return json;
}

static enum brood_outcome
get(struct brood_call *call)
{
	struct brood_value value;
	int rc = brood_get(call, query(call, "key"), &value);

	return answer(call, rc, rc == 1 ? describe(&value) : NULL);
}

static enum brood_outcome
set(struct brood_call *call)
{
	uint64_t version = 0;
	struct brood_set how = {
		.ttl = number(call, "ttl", 0),
		.if_absent = brood_call_query(call, "absent") != NULL,
		.if_version = brood_call_query(call, "version") != NULL,
		.version = (uint64_t)number(call, "version", 0),
		.new_version = &version,
	};
	json_t *json = brood_call_json(call);
	const char *body;
	size_t len;
	int rc;

	if (json != NULL) {
		rc = brood_set(call, query(call, "key"), json, &how);
	} else {
		body = brood_call_body(call, &len);
		rc = brood_set_bytes(call, query(call, "key"), body, len, &how);
	}
	return answer(call, rc,
	    json_pack("{s:I}", "version", (json_int_t)version));
}

static enum brood_outcome
incr(struct brood_call *call)
{
	struct brood_set how = { .ttl = number(call, "ttl", 0) };
	int64_t sum = 0;
	int rc = brood_incr(call, query(call, "key"),
	    (int64_t)number(call, "by", 1), &how, &sum);

	return answer(call, rc, json_pack("{s:I}", "sum", (json_int_t)sum));
}

static enum brood_outcome
del(struct brood_call *call)
{
	return answer(call, brood_delete(call, query(call, "key"), NULL), NULL);
}

static bool
on_listed(void *ctx, const char *key, const struct brood_value *value)
{
	json_object_set_new(ctx, key, describe(value));
	return true;
}

static enum brood_outcome
list(struct brood_call *call)
{
	json_t *items = json_object();
	int rc = brood_list(call, query(call, "prefix"), on_listed, items);

	return answer(call, rc, json_pack("{s:o}", "items", items));
}

static enum brood_outcome
lock(struct brood_call *call)
{
	uint64_t fence = 0;
	int rc = brood_lock(call, query(call, "key"), number(call, "lease", 60),
	    number(call, "wait", 0), &fence);

	return answer(call, rc, json_pack("{s:I}", "fence", (json_int_t)fence));
}

static enum brood_outcome
hold(struct brood_call *call)
{
	char text[32];
	int fd, rc;

	rc = brood_lock(call, query(call, "key"), number(call, "lease", 3600),
	    0, NULL);
	fd = open(fifo, O_WRONLY);
	snprintf(text, sizeof(text), "%d %d\n", rc, (int)getpid());
	if (fd == -1 || write(fd, text, strlen(text)) == -1)
		return BROOD_RETRY;
	for (;;)
		pause();
}

static enum brood_outcome
careful(struct brood_call *call)
{
	const char *key = query(call, "key");
	struct brood_value value = { .json = NULL };
	json_t *sum;
	int rc;

	if (brood_lock(call, key, 60, 30, NULL) != 1)
		return brood_retry(call, 0, "not locked: %s", brood_why(call));
	if (brood_get(call, key, &value) == -1)
		return answer(call, -1, NULL);
	sum = json_integer(json_integer_value(value.json) + 1);
	rc = brood_set(call, key, sum, NULL);
	json_decref(sum);
	brood_unlock(call, key);
	return answer(call, rc, NULL);
}

static enum brood_outcome
deaf(struct brood_call *call)
{
	brood_watch(call, "");
	while (!brood_cancelled(call))
		usleep(10000);
	return BROOD_DONE;
}

const struct brood_module brood_module = {
	.abi = BROOD_MODULE_ABI,
	.name = "keys",
	.start = start,
	.handlers =
	    (const struct brood_handler[]){
		{ "get", get, "a key's value" },
		{ "set", set, "stores the body" },
		{ "incr", incr, "adds to a number" },
		{ "delete", del, "lets a key go" },
		{ "list", list, "keys with a prefix" },
		{ "lock", lock, "takes a lock for the length of the call" },
		{ "hold", hold, "takes a lock for ever" },
		{ "careful", careful, "adds 1 under a lock" },
		{ "deaf", deaf, "watches and never looks" },
		{ NULL, NULL, NULL },
	    },
};
