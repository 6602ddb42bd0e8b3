/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * messages - handlers of queues that leave a trace of what came to them, in
 * shared data, where a test can look:
 *
 *   record   with its success sets got:QUEUE:N, N being the order in which
 *            messages came to anybody, to what it saw, and adds 1 to n:QUEUE
 *   answer   replies {"asked": BODY}
 *   refuse   rejects, saying "not this one", and adds 1 to tried:QUEUE
 *   never    wants another attempt, and adds 1 to tried:QUEUE
 *   second   the same at the first attempt, records at the second
 *   killed   adds 1 to tried:QUEUE and takes the process down
 */
#include <brood.h>
#include <signal.h>
#include <stdio.h>

static void
count_try(struct brood_call *call)
{
	const char *queue = brood_call_property(call, "queue");
	char key[300];

	snprintf(key, sizeof(key), "tried:%s", queue != NULL ? queue : "");
	brood_incr(call, key, 1, NULL, NULL);
}

static json_t *
seen(struct brood_call *call)
{
	static const char *const properties[] = { "exchange", "routing_key",
		"queue", "message_id", "correlation_id", "reply_to",
		"content_type", "priority" };
	static const char *const headers[] = { "x-one", "x-death-reason",
		"x-death-detail", "x-death-queue", "x-death-attempts",
		"x-death-time", "x-death-host", "x-death-signal", "x-number",
		"x-table" };
	json_t *to = json_object();
	const char *value;

	for (size_t i = 0; i < sizeof(properties) / sizeof(*properties); i++) {
		value = brood_call_property(call, properties[i]);
		if (value != NULL)
			json_object_set_new(to, properties[i],
			    json_string(value));
	}
	for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++) {
		value = brood_call_header(call, headers[i]);
		if (value != NULL)
			json_object_set_new(to, headers[i], json_string(value));
	}
	json_object_set(to, "body", brood_call_json(call));
	json_object_set_new(to, "text",
	    json_string(brood_call_body(call, NULL)));
	json_object_set_new(to, "attempt",
	    json_integer(brood_call_attempt(call, NULL)));
	json_object_set_new(to, "path", json_string(brood_call_path(call)));
	json_object_set_new(to, "method", json_string(brood_call_method(call)));
	json_object_set_new(to, "door",
	    json_integer((json_int_t)brood_call_door(call)));
	return to;
}

static enum brood_outcome
record(struct brood_call *call)
{
	struct brood_set with_success = { .on_success = true };
	const char *queue = brood_call_property(call, "queue");
	json_t *what;
	int64_t order;
	char key[300];
	int rc;

	if (queue == NULL)
		queue = "";
	if (brood_incr(call, "order", 1, NULL, &order) == -1)
		return BROOD_RETRY;
	snprintf(key, sizeof(key), "got:%s:%06lld", queue, (long long)order);
	what = seen(call);
	rc = brood_set(call, key, what, &with_success);
	json_decref(what);
	snprintf(key, sizeof(key), "n:%s", queue);
	if (rc == -1 || brood_incr(call, key, 1, &with_success, NULL) == -1)
		return BROOD_RETRY;
	return BROOD_DONE;
}

static enum brood_outcome
answer(struct brood_call *call)
{
	json_t *body = brood_call_json(call);

	return brood_reply(call, 200,
	    json_pack("{s:O}", "asked", body != NULL ? body : json_null()));
}

static enum brood_outcome
refuse(struct brood_call *call)
{
	count_try(call);
	return brood_reject(call, 422, "not this one");
}

static enum brood_outcome
never(struct brood_call *call)
{
	count_try(call);
	return brood_retry(call, 0, "not yet");
}

static enum brood_outcome
second(struct brood_call *call)
{
	if (brood_call_attempt(call, NULL) > 1)
		return record(call);
	return never(call);
}

static enum brood_outcome
killed(struct brood_call *call)
{
	count_try(call);
	raise(SIGKILL);
	return BROOD_DONE;
}

static const struct brood_handler handlers[] = {
	{ "record", record, "leaves a trace of a message" },
	{ "answer", answer, "replies with what it was asked" },
	{ "refuse", refuse, "rejects every message" },
	{ "never", never, "always wants another attempt" },
	{ "second", second, "succeeds at the second attempt" },
	{ "killed", killed, "takes the process down" },
	{ 0 },
};

const struct brood_module brood_module = {
	.abi = BROOD_MODULE_ABI,
	.name = "messages",
	.handlers = handlers,
};
