/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * letters - handlers for test_amqp_kills. Each leaves its mark with its
 * success: it adds 1 to the key NAME:N, N being the six digits of the number in
 * the body, and to the key `through`.
 *
 *   submit  (REST) accepted:N, and a message to the exchange `next`
 *   work    (queue) done:N, and a message to the exchange `next`; of each
 *           thousand, number 7 takes its process down whenever it is tried, 107
 *           is rejected, each hundredth succeeds at the second attempt only
 *   next    (queue) next:N
 *   audit   (REST) all keys that begin with ?prefix=, and their numbers
 */
#include <brood.h>
#include <signal.h>
#include <stdio.h>

static int
number_of(struct brood_call *call)
{
	return (int)json_integer_value(
	    json_object_get(brood_call_json(call), "n"));
}

static void
mark(struct brood_call *call, const char *name)
{
	struct brood_set how = { .on_success = true };
	char key[64];

	snprintf(key, sizeof(key), "%s:%06d", name, number_of(call));
	brood_incr(call, key, 1, &how, NULL);
	brood_incr(call, "through", 1, &how, NULL);
}

static enum brood_outcome
pass_on(struct brood_call *call, const char *name)
{
	mark(call, name);
	if (brood_publish(call, "next", "", brood_call_json(call)) == -1)
		return brood_retry(call, 0, "%s", brood_why(call));
	return BROOD_DONE;
}

static enum brood_outcome
submit(struct brood_call *call)
{
	return pass_on(call, "accepted");
}

static enum brood_outcome
work(struct brood_call *call)
{
	int n = number_of(call);

	if (n % 1000 == 7)
		raise(SIGKILL);
	if (n % 1000 == 107)
		return brood_reject(call, 422, "not this one");
	if (n % 100 == 3 && brood_call_attempt(call, NULL) == 1)
		return brood_retry(call, 0, "not yet");
	if (n % 100 == 9)
		brood_wait(call, 0.005, NULL);
	return pass_on(call, "done");
}

static enum brood_outcome
next(struct brood_call *call)
{
	mark(call, "next");
	return BROOD_DONE;
}

static bool
audit_key(void *ctx, const char *key, const struct brood_value *value)
{
	json_object_set(ctx, key, value->json);
	return true;
}

static enum brood_outcome
audit(struct brood_call *call)
{
	json_t *found = json_object();

	if (brood_list(call, brood_call_query(call, "prefix"), audit_key,
		found) == -1) {
		json_decref(found);
		return brood_retry(call, 0, "%s", brood_why(call));
	}
	return brood_reply(call, 200, found);
}

static const struct brood_handler handlers[] = {
	{ "submit", submit, "accepts a number" },
	{ "work", work, "works on a number" },
	{ "next", next, "takes a number that was passed on" },
	{ "audit", audit, "lists keys" },
	{ 0 },
};

const struct brood_module brood_module = {
	.abi = BROOD_MODULE_ABI,
	.name = "letters",
	.handlers = handlers,
};
