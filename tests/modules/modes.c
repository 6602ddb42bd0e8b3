/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * modes - handlers for test_modes: some wait until the test lets them go on,
 * all say in the log that they have begun.
 *
 *   pass    waits for a byte from the FIFO that the setting `fifo` names, then
 *           replies with what it knows of its call
 *   endure  waits until it is told to give up, says so in the log and does
 *   crash   waits like pass, then aborts
 *   text    replies with a text, 201 and a header of its own
 *   refuse  rejects with 409 and a reason
 *   later   asks for another try after 7 seconds
 *   count   adds one to the shared number `?key=` with its success; waits like
 *           pass first when `?gate=` is there, and submits `?submit=` as well
 *   add     as count, but reads the number, passes the gate, and sets it on the
 *           condition that nobody else has
 *   publish publishes to the queue `?queue=`, which must be there
 *   value   replies with the shared number `?key=`
 */
#include <brood.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const json_t *settings;

static int
start(const json_t *given, char why[BROOD_WHY_SIZE])
{
	(void)why;
	settings = given;
	return 0;
}

static void
pass_gate(struct brood_call *call)
{
	const char *fifo = json_string_value(json_object_get(settings, "fifo"));
	int fd = open(fifo, O_RDONLY | O_CLOEXEC);
	ssize_t n;
	char byte;

	brood_log(BROOD_INFO, "began %s", brood_call_path(call));
	if (fd == -1)
		abort();
	do
		n = read(fd, &byte, 1);
	while (n == -1 && errno == EINTR);
	close(fd);
	brood_log(BROOD_INFO, "passed %s", brood_call_path(call));
}

static const char *
or_empty(const char *text)
{
	return text != NULL ? text : "";
}

static json_t *
seen(struct brood_call *call)
{
	unsigned max;
	int attempt = (int)brood_call_attempt(call, &max);
	size_t len;
	const char *body = brood_call_body(call, &len);

	return json_pack("{s:i,s:i,s:s,s:s,s:i,s:i,s:s,s:s%,s:s,s:s}", "pid",
	    (int)getpid(), "door", (int)brood_call_door(call), "method",
	    brood_call_method(call), "path", brood_call_path(call), "attempt",
	    attempt, "max", (int)max, "id", brood_call_id(call), "body", body,
	    len, "x", or_empty(brood_call_query(call, "x")), "test",
	    or_empty(brood_call_header(call, "X-Test")));
}

static enum brood_outcome
pass(struct brood_call *call)
{
	brood_progress(call, 0.5, "at the gate");
	pass_gate(call);
	return brood_reply(call, 200, seen(call));
}

static enum brood_outcome
endure(struct brood_call *call)
{
	brood_log(BROOD_INFO, "began %s", brood_call_path(call));
	while (brood_wait(call, -1, NULL) != BROOD_WAKE_STOP)
		;
	brood_log(BROOD_INFO, "gave up %s", brood_call_path(call));
	return BROOD_RETRY;
}

static enum brood_outcome
crash(struct brood_call *call)
{
	pass_gate(call);
	abort();
}

static enum brood_outcome
text(struct brood_call *call)
{
	brood_reply_header(call, "X-Made", "by hand");
	return brood_reply_bytes(call, 201, "text/plain", "a text", 6);
}

static enum brood_outcome
refuse(struct brood_call *call)
{
	return brood_reject(call, 409, "not with me");
}

static enum brood_outcome
later(struct brood_call *call)
{
	return brood_retry(call, 7, "not now");
}

static enum brood_outcome
count(struct brood_call *call)
{
	const struct brood_set held = { .on_success = true };
	const char *key = or_empty(brood_call_query(call, "key"));
	const char *handler = brood_call_query(call, "submit");
	const char *id = NULL;

	if (brood_call_query(call, "gate") != NULL)
		pass_gate(call);
	if (brood_incr(call, key, 1, &held, NULL) == -1)
		return brood_retry(call, 0, "%s", brood_why(call));
	if (handler != NULL) {
		id = brood_submit(call, handler, NULL, NULL);
		if (id == NULL)
			return brood_retry(call, 0, "%s", brood_why(call));
	}
	return brood_reply(call, 200, json_pack("{s:s}", "id", or_empty(id)));
}

static enum brood_outcome
add(struct brood_call *call)
{
	struct brood_value value = { 0 };
	struct brood_set how = { .on_success = true, .if_version = true };
	const char *key = or_empty(brood_call_query(call, "key"));
	json_int_t was;
	json_t *sum;

	if (brood_get(call, key, &value) == -1)
		return brood_retry(call, 0, "%s", brood_why(call));
	was = json_integer_value(value.json);
	how.version = value.version;
	pass_gate(call);
	sum = json_integer(was + 1);
	if (brood_set(call, key, sum, &how) == -1)
		was = -1;
	json_decref(sum);
	return brood_reply(call, 200, json_pack("{s:I}", "was", was));
}

static enum brood_outcome
publish(struct brood_call *call)
{
	const struct brood_message must = { .mandatory = true };

	if (brood_publish_message(call, "",
		or_empty(brood_call_query(call, "queue")), "x", 1, &must) == -1)
		return brood_retry(call, 0, "%s", brood_why(call));
	return BROOD_DONE;
}

static enum brood_outcome
value(struct brood_call *call)
{
	struct brood_value value = { 0 };

	if (brood_get(call, or_empty(brood_call_query(call, "key")), &value) ==
	    -1)
		return brood_retry(call, 0, "%s", brood_why(call));
	return brood_reply(call, 200,
	    json_pack("{s:I}", "value", json_integer_value(value.json)));
}

static const struct brood_handler handlers[] = {
	{ "pass", pass, "waits until it is let through" },
	{ "endure", endure, "waits until it is told to give up" },
	{ "crash", crash, "waits until it is let through, then crashes" },
	{ "text", text, "replies with a text" },
	{ "refuse", refuse, "rejects" },
	{ "later", later, "not now" },
	{ "count", count, "adds with its success" },
	{ "add", add, "adds unless somebody else has" },
	{ "publish", publish, "publishes to a queue that must be there" },
	{ "value", value, "tells a shared number" },
	{ 0 },
};

const struct brood_module brood_module = {
	.abi = BROOD_MODULE_ABI,
	.name = "modes",
	.start = start,
	.handlers = handlers,
};
