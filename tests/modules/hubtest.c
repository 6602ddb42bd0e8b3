/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hubtest - a handler that does what its input says, so that a test can have
 * anything of brood.h done through any door.
 *
 * The body of `script` is a list of steps, or an object whose member "steps" is
 * one. It replies with a list of what each came to: {"rc":1, …}, and "why"
 * where rc is -1. A step is an object; "do" says what:
 *
 *   get key | set key value (ttl if_absent version) | incr key (by)
 *   delete key | list prefix | lock name (lease wait) | unlock name
 *   notify topic value | watch prefix | wait seconds
 *   publish exchange key body (priority ttl mandatory message_id reply_to)
 *   submit handler input (delay priority expires unique max_attempts timeout
 *       then on_failure)
 *   bind, unbind queue exchange key | request exchange key body (seconds)
 *   progress done note | see | sleep seconds (deaf) | input (replies with it)
 *   crash | exit | hang | retry (after) | reject (status) | reply status value
 *
 * Changes take "on_success":true. "before":N has a step done only in attempts
 * before the Nth.
 *
 * `loop` is for the background: it adds 1 to the key of its input's "key" and
 * waits to be told to stop; `tick` adds 1 to that key with its success.
 */
#include <brood.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *
text(const json_t *step, const char *name)
{
	return json_string_value(json_object_get(step, name));
}

static const char *
text_or_empty(const json_t *step, const char *name)
{
	const char *value = text(step, name);

	return value != NULL ? value : "";
}

static double
number(const json_t *step, const char *name, double otherwise)
{
	const json_t *value = json_object_get(step, name);

	return json_is_number(value) ? json_number_value(value) : otherwise;
}

static bool
flag(const json_t *step, const char *name)
{
	return json_is_true(json_object_get(step, name));
}

static struct brood_set
how(const json_t *step)
{
	const json_t *version = json_object_get(step, "version");

	return (struct brood_set){
		.ttl = number(step, "ttl", 0),
		.if_absent = flag(step, "if_absent"),
		.if_version = version != NULL,
		.version = (uint64_t)json_integer_value(version),
		.on_success = flag(step, "on_success"),
	};
}

static void
tell_value(json_t *to, const struct brood_value *value)
{
	if (value->json != NULL)
		json_object_set(to, "value", value->json);
	json_object_set_new(to, "version",
	    json_integer((json_int_t)value->version));
	json_object_set_new(to, "ttl", json_real(value->ttl));
}

/* --- shared data */

static int
do_get(struct brood_call *call, const json_t *step, json_t *to)
{
	struct brood_value value;
	int rc = brood_get(call, text_or_empty(step, "key"), &value);

	if (rc == 1)
		tell_value(to, &value);
	return rc;
}

static int
do_set(struct brood_call *call, const json_t *step, json_t *to)
{
	struct brood_set set = how(step);
	uint64_t version = 0;
	int rc;

	if (!set.on_success)
		set.new_version = &version;
	rc = brood_set(call, text_or_empty(step, "key"),
	    json_object_get(step, "value"), &set);
	if (rc == 1 && !set.on_success)
		json_object_set_new(to, "version",
		    json_integer((json_int_t)version));
	return rc;
}

static int
do_incr(struct brood_call *call, const json_t *step, json_t *to)
{
	struct brood_set set = how(step);
	int64_t sum = 0;
	int rc = brood_incr(call, text_or_empty(step, "key"),
	    (int64_t)number(step, "by", 1), &set, &sum);

	if (rc == 1 && !set.on_success)
		json_object_set_new(to, "value", json_integer(sum));
	return rc;
}

static int
do_delete(struct brood_call *call, const json_t *step, json_t *to)
{
	struct brood_set set = how(step);

	(void)to;
	return brood_delete(call, text_or_empty(step, "key"), &set);
}

static bool
add_key(void *ctx, const char *key, const struct brood_value *value)
{
	(void)value;
	json_array_append_new(ctx, json_string(key));
	return true;
}

static int
do_list(struct brood_call *call, const json_t *step, json_t *to)
{
	json_t *keys = json_array();

	json_object_set_new(to, "keys", keys);
	return brood_list(call, text_or_empty(step, "prefix"), add_key, keys);
}

static int
do_lock(struct brood_call *call, const json_t *step, json_t *to)
{
	uint64_t fence = 0;
	int rc = brood_lock(call, text_or_empty(step, "name"),
	    number(step, "lease", 10), number(step, "wait", 0), &fence);

	json_object_set_new(to, "fence", json_integer((json_int_t)fence));
	return rc;
}

static int
do_unlock(struct brood_call *call, const json_t *step, json_t *to)
{
	(void)to;
	return brood_unlock(call, text_or_empty(step, "name"));
}

static int
do_notify(struct brood_call *call, const json_t *step, json_t *to)
{
	(void)to;
	return brood_notify(call, text_or_empty(step, "topic"),
	    json_object_get(step, "value"));
}

static int
do_watch(struct brood_call *call, const json_t *step, json_t *to)
{
	(void)to;
	return brood_watch(call, text_or_empty(step, "prefix"));
}

static int
do_wait(struct brood_call *call, const json_t *step, json_t *to)
{
	static const char *const whats[] = { [BROOD_NOTIFIED] = "notified",
		[BROOD_SET] = "set",
		[BROOD_DELETED] = "deleted",
		[BROOD_EXPIRED] = "expired" };
	struct brood_event event;
	enum brood_wake wake = brood_wait(call, number(step, "seconds", -1),
	    &event);

	json_object_set_new(to, "wake",
	    json_string(wake == BROOD_WAKE_TIME ? "time" :
		    wake == BROOD_WAKE_EVENT	? "event" :
						  "stop"));
	if (wake != BROOD_WAKE_EVENT)
		return 0;
	json_object_set_new(to, "what", json_string(whats[event.what]));
	json_object_set_new(to, "key", json_string(event.key));
	json_object_set_new(to, "gap", json_boolean(event.gap));
	if (event.what == BROOD_NOTIFIED || event.what == BROOD_SET)
		tell_value(to, &event.value);
	return 1;
}

/* --- work */

static int
do_publish(struct brood_call *call, const json_t *step, json_t *to)
{
	struct brood_message message = {
		.type = "application/json",
		.priority = (int)number(step, "priority", 0),
		.ttl = number(step, "ttl", 0),
		.mandatory = flag(step, "mandatory"),
		.message_id = text(step, "message_id"),
		.correlation_id = text(step, "correlation_id"),
		.reply_to = text(step, "reply_to"),
		.headers = json_object_get(step, "headers"),
	};
	char *body = json_dumps(json_object_get(step, "body"),
	    JSON_ENCODE_ANY | JSON_COMPACT);
	int rc = brood_publish_message(call, text_or_empty(step, "exchange"),
	    text_or_empty(step, "key"), body, body != NULL ? strlen(body) : 0,
	    &message);

	(void)to;
	free(body);
	return rc;
}

static int
do_submit(struct brood_call *call, const json_t *step, json_t *to)
{
	struct brood_job job = {
		.delay = number(step, "delay", 0),
		.priority = (int)number(step, "priority", 0),
		.expires = number(step, "expires", 0),
		.unique = text(step, "unique"),
		.max_attempts = (int)number(step, "max_attempts", 0),
		.backoff_min = number(step, "backoff", 0),
		.backoff_max = number(step, "backoff", 0),
		.timeout = number(step, "timeout", 0),
		.then = text(step, "then"),
		.on_failure = text(step, "on_failure"),
	};
	const char *id = brood_submit(call, text_or_empty(step, "handler"),
	    json_object_get(step, "input"), &job);

	if (id != NULL)
		json_object_set_new(to, "id", json_string(id));
	return id != NULL ? 1 : -1;
}

static int
do_bind(struct brood_call *call, const json_t *step, json_t *to)
{
	(void)to;
	return brood_bind(call, text_or_empty(step, "queue"),
	    text_or_empty(step, "exchange"), text_or_empty(step, "key"));
}

static int
do_unbind(struct brood_call *call, const json_t *step, json_t *to)
{
	(void)to;
	return brood_unbind(call, text_or_empty(step, "queue"),
	    text_or_empty(step, "exchange"), text_or_empty(step, "key"));
}

static int
do_request(struct brood_call *call, const json_t *step, json_t *to)
{
	struct brood_answer answer;
	int rc = brood_request(call, text_or_empty(step, "exchange"),
	    text_or_empty(step, "key"), json_object_get(step, "body"),
	    number(step, "seconds", 10), &answer);

	if (rc != 1)
		return rc;
	json_object_set_new(to, "status", json_integer(answer.status));
	json_object_set_new(to, "type", json_string(answer.type));
	if (answer.json != NULL)
		json_object_set(to, "json", answer.json);
	return rc;
}

static int
do_progress(struct brood_call *call, const json_t *step, json_t *to)
{
	(void)to;
	brood_progress(call, number(step, "done", 0), "%s",
	    text_or_empty(step, "note"));
	return 1;
}

/* All that a handler can see of how it was called. */
static int
do_see(struct brood_call *call, const json_t *step, json_t *to)
{
	static const char *const properties[] = { "exchange", "routing_key",
		"queue", "message_id", "correlation_id", "reply_to",
		"content_type", "priority", "job", "reason" };
	unsigned max;
	const char *value;

	(void)step;
	json_object_set_new(to, "door",
	    json_integer((json_int_t)brood_call_door(call)));
	json_object_set_new(to, "attempt",
	    json_integer(brood_call_attempt(call, &max)));
	json_object_set_new(to, "max", json_integer(max));
	json_object_set_new(to, "method", json_string(brood_call_method(call)));
	json_object_set_new(to, "path", json_string(brood_call_path(call)));
	json_object_set_new(to, "id", json_string(brood_call_id(call)));
	json_object_set_new(to, "remaining",
	    json_real(brood_call_remaining(call)));
	json_object_set_new(to, "cancelled",
	    json_boolean(brood_cancelled(call)));
	json_object_set_new(to, "pid", json_integer(getpid()));
	for (size_t i = 0; i < sizeof(properties) / sizeof(*properties); i++) {
		value = brood_call_property(call, properties[i]);
		if (value != NULL)
			json_object_set_new(to, properties[i],
			    json_string(value));
	}
	return 1;
}

static int
do_sleep(struct brood_call *call, const json_t *step, json_t *to)
{
	double s = number(step, "seconds", 1);
	struct timespec left = { (time_t)s,
		(long)((s - (double)(time_t)s) * 1e9) };

	(void)call;
	(void)to;
	while (nanosleep(&left, &left) == -1)
		continue;
	return 1;
}

typedef int step_fn(struct brood_call *call, const json_t *step, json_t *to);

static const struct {
	const char *name;
	step_fn *fn;
} table[] = {
	{ "get", do_get },
	{ "set", do_set },
	{ "incr", do_incr },
	{ "delete", do_delete },
	{ "list", do_list },
	{ "lock", do_lock },
	{ "unlock", do_unlock },
	{ "notify", do_notify },
	{ "watch", do_watch },
	{ "wait", do_wait },
	{ "publish", do_publish },
	{ "submit", do_submit },
	{ "bind", do_bind },
	{ "unbind", do_unbind },
	{ "request", do_request },
	{ "progress", do_progress },
	{ "see", do_see },
	{ "sleep", do_sleep },
};

/* --- ends; true with *outcome when the step is one */
static bool
ends(struct brood_call *call, const json_t *step, enum brood_outcome *outcome)
{
	const char *what = text_or_empty(step, "do");

	if (strcmp(what, "crash") == 0)
		raise(SIGSEGV);
	if (strcmp(what, "exit") == 0)
		exit(0);
	while (strcmp(what, "hang") == 0)
		pause();
	if (strcmp(what, "retry") == 0)
		*outcome = brood_retry(call, number(step, "after", 0),
		    "told to retry");
	else if (strcmp(what, "reject") == 0)
		*outcome = brood_reject(call, (int)number(step, "status", 422),
		    "told to reject");
	else if (strcmp(what, "reply") == 0)
		*outcome = brood_reply(call, (int)number(step, "status", 200),
		    json_incref(json_object_get(step, "value")));
	else if (strcmp(what, "input") == 0)
		*outcome = brood_reply_bytes(call, 200, "text/plain",
		    brood_call_body(call, NULL),
		    strlen(brood_call_body(call, NULL)));
	else
		return false;
	return true;
}

static void
take(struct brood_call *call, const json_t *step, json_t *results)
{
	const char *what = text_or_empty(step, "do");
	json_t *to = json_object();
	int rc = -2;

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (strcmp(what, table[i].name) == 0)
			rc = table[i].fn(call, step, to);
	json_object_set_new(to, "rc", json_integer(rc));
	if (rc == -1)
		json_object_set_new(to, "why", json_string(brood_why(call)));
	json_array_append_new(results, to);
}

static enum brood_outcome
script(struct brood_call *call)
{
	json_t *steps = brood_call_json(call), *step, *results;
	enum brood_outcome outcome;
	size_t i;

	if (steps == NULL)
		return BROOD_REJECT;
	if (json_is_object(steps))
		steps = json_object_get(steps, "steps");
	results = json_array();
	json_array_foreach(steps, i, step)
	{
		if (brood_call_attempt(call, NULL) >=
		    (unsigned)number(step, "before", 1e9))
			continue;
		if (ends(call, step, &outcome)) {
			json_decref(results);
			return outcome;
		}
		take(call, step, results);
	}
	return brood_reply(call, 200, results);
}

/* --- for the background, schedules and counting */

static enum brood_outcome
loop(struct brood_call *call)
{
	const char *key = text(brood_call_json(call), "key");

	if (key == NULL)
		return BROOD_REJECT;
	if (brood_incr(call, key, 1, NULL, NULL) == -1)
		return BROOD_RETRY;
	while (brood_wait(call, -1, NULL) != BROOD_WAKE_STOP)
		continue;
	return BROOD_DONE;
}

static enum brood_outcome
tick(struct brood_call *call)
{
	struct brood_set with_success = { .on_success = true };
	const char *key = text(brood_call_json(call), "key");

	if (brood_incr(call, key != NULL ? key : "ticks", 1, &with_success,
		NULL) == -1)
		return BROOD_RETRY;
	return BROOD_DONE;
}

static const struct brood_handler handlers[] = {
	{ "script", script, "does what its input says" },
	{ "loop", loop, "waits to be told to stop" },
	{ "tick", tick, "adds 1 to a key with its success" },
	{ 0 },
};

const struct brood_module brood_module = {
	.abi = BROOD_MODULE_ABI,
	.name = "hubtest",
	.handlers = handlers,
};
