/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kills - handlers for test_kills, which leave their marks NAME:N (marks.h).
 *
 *   submit  (REST) accepted:N, a job `first` and then `second`, a message to
 *           the exchange fan, whose queues are taken by `fan1` and `fan2`
 *   job     job:N, and a job `tail`
 *   call    call:N, and a job `after`
 *   plain   (REST) plain:N at once, not with its success
 *   add     (REST) add:N, and sum + 1 if nobody else has changed it meanwhile
 *   breed   (job) submits itself, twice
 *   count   (message) counted + 1
 *   audit   (REST) tells the marks
 *
 * Those that run in a task worker hold a lock meanwhile, and some take a while.
 */
#include "marks.h"

static json_t *
input(struct brood_call *call)
{
	return json_pack("{s:i}", "n", number_of(call));
}

static enum brood_outcome
reply(struct brood_call *call)
{
	return brood_reply(call, 200, input(call));
}

/* The work, as far as there is any. */
static bool
labour(struct brood_call *call)
{
	int n = number_of(call);
	char lock[32];

	snprintf(lock, sizeof(lock), "lock:%d", n % 16);
	if (brood_lock(call, lock, 60, 5, NULL) != 1)
		return false;
	if (n % 5 == 0)
		brood_wait(call, 0.004, NULL);
	return true;
}

static enum brood_outcome
labour_and_mark(struct brood_call *call, const char *name)
{
	if (!labour(call))
		return brood_retry(call, 0.01, "the lock is taken");
	mark(call, name);
	return reply(call);
}

static enum brood_outcome
submit(struct brood_call *call)
{
	struct brood_job job = { .then = "kills.second" };
	json_t *body = input(call);

	mark(call, "accepted");
	brood_submit(call, "kills.first", body, &job);
	brood_publish(call, "fan", "", body);
	json_decref(body);
	return reply(call);
}

static enum brood_outcome
first(struct brood_call *call)
{
	return labour_and_mark(call, "first");
}

static enum brood_outcome
second(struct brood_call *call)
{
	return labour_and_mark(call, "second");
}

static enum brood_outcome
fan1(struct brood_call *call)
{
	return labour_and_mark(call, "fan1");
}

static enum brood_outcome
fan2(struct brood_call *call)
{
	return labour_and_mark(call, "fan2");
}

static enum brood_outcome
tail(struct brood_call *call)
{
	return labour_and_mark(call, "tail");
}

static enum brood_outcome
after(struct brood_call *call)
{
	return labour_and_mark(call, "after");
}

static enum brood_outcome
go_on(struct brood_call *call, const char *name, const char *handler)
{
	json_t *body = input(call);

	brood_submit(call, handler, body, NULL);
	json_decref(body);
	return labour_and_mark(call, name);
}

static enum brood_outcome
job(struct brood_call *call)
{
	return go_on(call, "job", "kills.tail");
}

static enum brood_outcome
call_(struct brood_call *call)
{
	return go_on(call, "call", "kills.after");
}

static enum brood_outcome
plain(struct brood_call *call)
{
	char key[MARK_SIZE];

	if (brood_incr(call, mark_key(call, "plain", key), 1, NULL, NULL) != 1)
		return brood_retry(call, 0, "%s", brood_why(call));
	return reply(call);
}

static enum brood_outcome
add(struct brood_call *call)
{
	struct brood_set how = { .on_success = true, .if_version = true };
	struct brood_value value = { 0 };
	json_t *sum;
	int rc = brood_get(call, "sum", &value);

	if (rc == -1)
		return brood_retry(call, 0, "%s", brood_why(call));
	how.version = value.version;
	sum = json_integer(json_integer_value(value.json) + 1);
	brood_set(call, "sum", sum, &how);
	json_decref(sum);
	mark(call, "add");
	return reply(call);
}

static enum brood_outcome
breed(struct brood_call *call)
{
	for (int i = 0; i < 2; i++)
		brood_submit(call, "kills.breed", NULL, NULL);
	return BROOD_DONE;
}

static enum brood_outcome
count(struct brood_call *call)
{
	struct brood_set how = { .on_success = true };

	brood_incr(call, "counted", 1, &how, NULL);
	return BROOD_DONE;
}

static const struct brood_handler handlers[] = {
	{ "submit", submit, "submits and publishes" },
	{ "first", first, "of a chain" },
	{ "second", second, "of a chain" },
	{ "fan1", fan1, "takes messages" },
	{ "fan2", fan2, "takes messages" },
	{ "job", job, "submits another one" },
	{ "tail", tail, "is that one" },
	{ "call", call_, "is waited for, and submits a job" },
	{ "after", after, "is that one" },
	{ "plain", plain, "adds 1 at once" },
	{ "add", add, "adds 1 to what it has read" },
	{ "breed", breed, "submits itself" },
	{ "count", count, "adds 1" },
	{ "audit", audit, "lists keys" },
	{ 0 },
};

const struct brood_module brood_module = {
	.abi = BROOD_MODULE_ABI,
	.name = "kills",
	.handlers = handlers,
};
