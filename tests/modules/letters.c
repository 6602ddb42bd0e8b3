/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * letters - handlers for test_amqp_kills, which leave their marks NAME:N
 * (marks.h) and with each add 1 to the key `through`.
 *
 *   submit  (REST) accepted:N, and a message to the exchange `next`
 *   work    (queue) done:N, and a message to the exchange `next`; of each
 *           thousand, number 7 takes its process down whenever it is tried, 107
 *           is rejected, each hundredth succeeds at the second attempt only
 *   next    (queue) next:N
 *   audit   (REST) tells the marks
 */
#include <signal.h>

#include "marks.h"

static void
mark_and_count(struct brood_call *call, const char *name)
{
	struct brood_set how = { .on_success = true };

	mark(call, name);
	brood_incr(call, "through", 1, &how, NULL);
}

static enum brood_outcome
pass_on(struct brood_call *call, const char *name)
{
	mark_and_count(call, name);
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
	mark_and_count(call, "next");
	return BROOD_DONE;
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
