/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * misbehave - handlers that do what no handler should, for the system tests
 * and for looking at by hand what brood makes of it.
 *
 * Numbers come from the query ("?s=2"), or from the body as JSON ({"s":2}):
 *
 *   slow        sleeps s seconds, deaf to everything, then replies
 *   cancelled   loops until nobody waits any more, then gives up
 *   spin        loops for ever
 *   sigblock    blocks every signal and loops for ever
 *   crash       writes to an address that is not there
 *   overflow    recurses until the stack is used up
 *   abort, exit0, vanish
 *               abort(), exit(0), _exit(0)
 *   leak        touches n more bytes (1 MiB) and never frees them
 *
 * and, where the answer is what matters:
 *
 *   double_reply, no_reply, reply_after_reject, reply_then_reject
 *   reject      with `status` (422) and the sentence `why`
 *   retry       after `after` seconds (brood's default)
 *   bad_status, bad_outcome, bad_type
 *   bad_header  adds every kind of header that is refused, and X-Good: yes
 *   big         replies with n bytes (1 MiB)
 *   echo        replies with all that a handler can see of its call
 */
#include <brood.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile unsigned long turns;

/* The number called `name`, or what it is by default. */
static double
number(struct brood_call *call, const char *name, double otherwise)
{
	const char *text = brood_call_query(call, name);
	const json_t *value;
	size_t len;

	if (text != NULL)
		return strtod(text, NULL);
	brood_call_body(call, &len);
	if (len == 0)
		return otherwise;
	value = json_object_get(brood_call_json(call), name);
	return json_is_number(value) ? json_number_value(value) : otherwise;
}

static enum brood_outcome
slow(struct brood_call *call)
{
	double s = number(call, "s", 1);
	struct timespec left;

	left.tv_sec = (time_t)s;
	left.tv_nsec = (long)((s - (double)left.tv_sec) * 1e9);
	while (nanosleep(&left, &left) == -1)
		;
	return brood_reply(call, 200, json_pack("{s:f}", "slept", s));
}

static enum brood_outcome
cancelled(struct brood_call *call)
{
	while (!brood_cancelled(call))
		turns++;
	return BROOD_RETRY;
}

static enum brood_outcome
spin(struct brood_call *call)
{
	for (turns = 0; turns < (unsigned long)-1;)
		turns++;
	return brood_reply(call, 200, NULL);
}

static enum brood_outcome
block_signals(struct brood_call *call)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	return spin(call);
}

static enum brood_outcome
crash(struct brood_call *call)
{
	/* not NULL, which a sanitizer would catch first */
	int *volatile nowhere = (int *)64;

	*nowhere = 1;
	return brood_reply(call, 200, NULL);
}

static unsigned long
recurse(unsigned long depth)
{
	volatile char frame[1024];

	memset((char *)frame, (int)depth, sizeof(frame));
	/* never true, but the compiler cannot know */
	if (turns == (unsigned long)-1)
		return depth;
	return recurse(depth + 1) + (unsigned long)frame[depth % sizeof(frame)];
}

static enum brood_outcome
overflow(struct brood_call *call)
{
	return brood_reply(call, 200, json_integer((json_int_t)recurse(0)));
}

static enum brood_outcome
call_abort(struct brood_call *call)
{
	(void)call;
	abort();
}

static enum brood_outcome
exit0(struct brood_call *call)
{
	(void)call;
	exit(0);
}

static enum brood_outcome
vanish(struct brood_call *call)
{
	(void)call;
	_exit(0);
}

static enum brood_outcome
leak(struct brood_call *call)
{
	/* still within reach, so that a leak checker lets the tests pass */
	static struct lost {
		struct lost *next;
		char bytes[];
	} * all;
	size_t n = (size_t)number(call, "n", 1 << 20);
	struct lost *lost = malloc(sizeof(*lost) + n);

	if (lost == NULL)
		return BROOD_RETRY;
	memset(lost->bytes, 1, n);
	lost->next = all;
	all = lost;
	return brood_reply(call, 200,
	    json_pack("{s:I}", "leaked", (json_int_t)n));
}

static enum brood_outcome
double_reply(struct brood_call *call)
{
	brood_reply(call, 200, json_pack("{s:i}", "reply", 1));
	return brood_reply(call, 201, json_pack("{s:i}", "reply", 2));
}

static enum brood_outcome
no_reply(struct brood_call *call)
{
	(void)call;
	return BROOD_DONE;
}

static enum brood_outcome
reply_after_reject(struct brood_call *call)
{
	brood_reject(call, 409, "rejected before the reply");
	return brood_reply(call, 200, json_pack("{s:i}", "reply", 1));
}

static enum brood_outcome
reply_then_reject(struct brood_call *call)
{
	brood_reply(call, 200, json_pack("{s:i}", "reply", 1));
	return BROOD_REJECT;
}

static enum brood_outcome
reject(struct brood_call *call)
{
	const char *why = brood_call_query(call, "why");

	return brood_reject(call, (int)number(call, "status", 422), "%s",
	    why != NULL ? why : "it will never do");
}

static enum brood_outcome
retry(struct brood_call *call)
{
	return brood_retry(call, number(call, "after", 0), "not now");
}

static enum brood_outcome
bad_status(struct brood_call *call)
{
	return brood_reply(call, (int)number(call, "status", 999),
	    json_pack("{s:i}", "reply", 1));
}

static enum brood_outcome
bad_outcome(struct brood_call *call)
{
	(void)call;
	return (enum brood_outcome)42;
}

static enum brood_outcome
bad_type(struct brood_call *call)
{
	return brood_reply_bytes(call, 200, "text/plain\r\nX-Evil: yes", "x",
	    1);
}

static enum brood_outcome
bad_header(struct brood_call *call)
{
	int refused = 0;

	refused -= brood_reply_header(call, "X Bad", "blank in the name");
	refused -= brood_reply_header(call, "", "no name");
	refused -= brood_reply_header(call, "X-Bad", "a\r\nX-Evil: yes");
	refused -= brood_reply_header(call, "content-length", "7");
	refused -= brood_reply_header(call, "Transfer-Encoding", "chunked");
	refused -= brood_reply_header(call, "Connection", "close");
	refused -= brood_reply_header(call, "Date", "yesterday");
	brood_reply_header(call, "X-Good", "yes");
	return brood_reply(call, 200, json_pack("{s:i}", "refused", refused));
}

static enum brood_outcome
big(struct brood_call *call)
{
	size_t n = (size_t)number(call, "n", 1 << 20);
	char *bytes = malloc(n + 1);
	enum brood_outcome outcome;

	if (bytes == NULL)
		return BROOD_RETRY;
	memset(bytes, 'x', n);
	outcome = brood_reply_bytes(call, 200, "text/plain", bytes, n);
	free(bytes);
	return outcome;
}

/* A text as JSON whatever is in it; null for none. */
static json_t *
text_of(const char *text)
{
	json_t *json;

	if (text == NULL)
		return json_null();
	json = json_string(text);
	return json != NULL ? json : json_string("(not UTF-8)");
}

typedef const char *lookup_fn(struct brood_call *call, const char *name);

/* The values of those of the names in `names` that the call has. */
static json_t *
values_of(struct brood_call *call, lookup_fn *lookup, const char *names)
{
	json_t *values = json_object();
	char name[32];
	const char *value;
	size_t len;

	for (; *names != '\0'; names += len + (names[len] == ' ')) {
		len = strcspn(names, " ");
		snprintf(name, sizeof(name), "%.*s", (int)len, names);
		value = lookup(call, name);
		if (value != NULL)
			json_object_set_new(values, name, text_of(value));
	}
	return values;
}

static enum brood_outcome
echo(struct brood_call *call)
{
	size_t len;
	const char *body = brood_call_body(call, &len);
	json_t *seen = json_object();

	json_object_set_new(seen, "method", text_of(brood_call_method(call)));
	json_object_set_new(seen, "path", text_of(brood_call_path(call)));
	json_object_set_new(seen, "peer", text_of(brood_call_peer(call)));
	json_object_set_new(seen, "id", text_of(brood_call_id(call)));
	json_object_set_new(seen, "traceparent",
	    text_of(brood_call_traceparent(call)));
	json_object_set_new(seen, "params",
	    values_of(call, brood_call_param, "id name a b c rest"));
	json_object_set_new(seen, "query",
	    values_of(call, brood_call_query, "q a b c name x y empty"));
	json_object_set_new(seen, "headers",
	    values_of(call, brood_call_header,
		"host content-type content-length accept user-agent "
		"x-request-id traceparent x-test x-empty cookie"));
	json_object_set_new(seen, "cookies",
	    values_of(call, brood_call_cookie, "sid session a b c"));
	json_object_set_new(seen, "body_length", json_integer((json_int_t)len));
	json_object_set_new(seen, "body", text_of(body));
	json_object_set_new(seen, "remaining",
	    json_real(brood_call_remaining(call)));
	return brood_reply(call, 200, seen);
}

static const struct brood_handler handlers[] = {
	{ "slow", slow, "sleeps s seconds" },
	{ "cancelled", cancelled, "loops until it is told to give up" },
	{ "spin", spin, "loops for ever" },
	{ "sigblock", block_signals,
	    "loops for ever with all signals blocked" },
	{ "crash", crash, "SIGSEGV" },
	{ "overflow", overflow, "uses up the stack" },
	{ "abort", call_abort, "abort()" },
	{ "exit0", exit0, "exit(0)" },
	{ "vanish", vanish, "_exit(0)" },
	{ "leak", leak, "leaks n bytes" },
	{ "double_reply", double_reply, "replies twice" },
	{ "no_reply", no_reply, "is done without a reply" },
	{ "reply_after_reject", reply_after_reject, "both" },
	{ "reply_then_reject", reply_then_reject, "both, the other way" },
	{ "reject", reject, "rejects with status and why" },
	{ "retry", retry, "asks for another try after so many seconds" },
	{ "bad_status", bad_status, "replies with a status there is not" },
	{ "bad_outcome", bad_outcome, "returns an outcome there is not" },
	{ "bad_type", bad_type, "replies with a header in its type" },
	{ "bad_header", bad_header, "adds headers that are refused" },
	{ "big", big, "replies with n bytes" },
	{ "echo", echo, "replies with what it sees" },
	{ 0 },
};

const struct brood_module brood_module = {
	.abi = BROOD_MODULE_ABI,
	.name = "misbehave",
	.handlers = handlers,
};
