/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * call - runs one handler, with everything that has to happen around it.
 *
 * Called by every door (a REST request, broodctl), which turns the result into
 * its own terms. Promises a result whatever the handler does and returns; when
 * the handler takes the process down instead, child_guard tells the peer and
 * the scoreboard tells the master. Around the handler, in this order:
 *
 *   not spare any more ─ the slot says which call ─ log lines carry the id ─
 *   guard ─ HANDLER ─ guard off ─ verdict ─ slot cleared, timed ─ spare again
 *
 * The verdict: what the handler said first (a reply, a rejection, "not now")
 * stands. What its return value says against that is the module's mistake and
 * is logged; without anything said, the return value alone decides.
 */
#include "core/call.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/call_impl.h"
#include "core/child.h"
#include "core/uid.h"

char call_type_json[] = "application/json";

void
call_complain(struct brood_call *call, const char *format, ...)
{
	char text[256];
	va_list ap;

	if (call->complained)
		return;
	call->complained = true;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	log_error("handler %s: %s: a mistake of the module",
	    call->request->handler_name, text);
}

/* Drops what was noted as the reply's body, but not its headers. */
static void
call_drop_reply(struct call_result *result)
{
	if (result->type != call_type_json)
		free(result->type);
	free(result->body);
	free(result->problem);
	result->type = result->body = result->problem = NULL;
	result->body_len = 0;
}

static void
call_drop_headers(struct call_result *result)
{
	while (result->headers > 0) {
		result->headers--;
		free(result->header[result->headers].name);
		free(result->header[result->headers].value);
	}
}

void
call_result_release(struct call_result *result)
{
	call_drop_reply(result);
	call_drop_headers(result);
	buf_release(&result->effects);
	result->effects_n = 0;
	call_unlock_all(result->locks);
	result->locks = NULL;
}

/* The answer where the handler gave none. */
static void
call_problem(struct call_result *result, enum brood_outcome outcome, int status,
    const char *sentence)
{
	call_drop_reply(result);
	result->outcome = outcome;
	result->status = status;
	if (sentence != NULL)
		result->problem = mem_strdup(sentence);
}

static void
call_fail(struct call_result *result)
{
	/* Headers of an answer that never was would only mislead. */
	call_drop_headers(result);
	call_problem(result, BROOD_DONE, 500,
	    "the handler made a mistake; the log has more");
}

/* True when the handler gave up because it had to. */
static bool
call_conclude_stopped(struct brood_call *call)
{
	struct child *child = call->child;
	bool cancelled = board_is_cancelled(child->board, child->spec.slot,
	    call->result->uid);

	if (!cancelled && !brood_cancelled(call))
		return false;
	if (cancelled)
		call_problem(call->result, BROOD_RETRY, 409,
		    "the call was cancelled");
	else if (call->deadline_ns == CLOCK_NEVER)
		call_problem(call->result, BROOD_RETRY, 503,
		    "the process is to stop");
	else
		call_problem(call->result, BROOD_RETRY, 504,
		    "the handler did not finish in time");
	return true;
}

/* Nothing was said: the outcome is all there is. */
static void
call_conclude_silent(struct brood_call *call, enum brood_outcome outcome)
{
	struct call_result *result = call->result;

	switch (outcome) {
	case BROOD_DONE:
		call_problem(result, outcome, 204, NULL);
		return;
	case BROOD_RETRY:
		if (call_conclude_stopped(call))
			return;
		result->retry_after_ns = call->request->retry_after_ns;
		call_problem(result, outcome, 503,
		    "this cannot be done now; try again later");
		return;
	case BROOD_REJECT:
		if (call->json_problem != NULL)
			call_problem(result, outcome, 400, call->json_problem);
		else
			call_problem(result, outcome, 422,
			    "the input cannot be processed");
		return;
	}
}

static void
call_conclude(struct brood_call *call, enum brood_outcome outcome)
{
	struct call_result *result = call->result;

	if (outcome != BROOD_DONE && outcome != BROOD_RETRY &&
	    outcome != BROOD_REJECT) {
		call_complain(call, "returned %d, which is no outcome",
		    (int)outcome);
		call_fail(result);
		return;
	}
	switch (call->decision) {
	case CALL_UNDECIDED:
		call_conclude_silent(call, outcome);
		return;
	case CALL_FAILED:
		call_fail(result);
		return;
	case CALL_REPLIED:
		if (outcome != BROOD_DONE)
			call_complain(call, "replied %d, then returned %s",
			    result->status,
			    outcome == BROOD_RETRY ? "BROOD_RETRY" :
						     "BROOD_REJECT");
		result->outcome = BROOD_DONE;
		return;
	case CALL_REJECTED:
		if (outcome != BROOD_REJECT)
			call_complain(call,
			    "did not return what "
			    "brood_reject() gave it");
		result->outcome = BROOD_REJECT;
		return;
	case CALL_RETRY:
		if (outcome != BROOD_RETRY)
			call_complain(call,
			    "did not return what "
			    "brood_retry() gave it");
		result->outcome = BROOD_RETRY;
		return;
	}
}

static void
call_run_handler(struct brood_call *call)
{
	const struct call_request *request = call->request;
	enum brood_outcome outcome;

	if (request->json_required && brood_call_json(call) == NULL) {
		call_conclude(call, BROOD_REJECT);
		return;
	}
	child_guard_begin(request->guard_fd, request->crash_text,
	    request->overrun_text);
	outcome = request->handler->run(call);
	call->result->answered = child_guard_end();
	if (call->result->answered)
		call_problem(call->result, BROOD_RETRY, 504,
		    "the handler did not finish in time");
	else
		call_conclude(call, outcome);
}

/* The child's own bit; the master clears it only once the child is gone. */
static bool
call_was_spare(const struct child *child)
{
	unsigned slot = child->spec.slot;
	uint64_t word = atomic_load_explicit(
	    &child->board->pool[child->spec.role_id].spare[slot / 64],
	    memory_order_relaxed);

	return (word >> slot % 64 & 1) != 0;
}

/* True when the master has to be rung. */
static bool
call_show(struct child *child, const struct brood_call *call)
{
	const struct call_request *request = call->request;
	struct slot_call shown = {
		.started_ns = call->started_ns,
		.deadline_ns = call->deadline_ns,
		.uid = call->result->uid,
		.attempt = call->attempt,
		.door = (int)request->door,
	};

	if (call->deadline_ns == CLOCK_NEVER)
		shown.deadline_ns = 0;

	mem_copy_string(shown.id, sizeof(shown.id), request->id);
	mem_copy_string(shown.method, sizeof(shown.method), request->method);
	mem_copy_string(shown.path, sizeof(shown.path), request->path);
	mem_copy_string(shown.handler, sizeof(shown.handler),
	    request->handler_name);
	mem_copy_string(shown.peer, sizeof(shown.peer), request->peer);
	return slot_call_begin(child->board, child->slot, &shown);
}

/* What the call was going to send leaves with its success or not at all; so do
 * the locks, as whoever has them next is to see it done. */
static void
call_settle(struct call_result *result)
{
	if (result->outcome != BROOD_DONE || result->status >= 400) {
		buf_release(&result->effects);
		result->effects_n = 0;
	}
	if (result->effects_n == 0) {
		call_unlock_all(result->locks);
		result->locks = NULL;
	}
}

void
call_run(struct child *child, const struct call_request *request,
    struct call_result *result)
{
	struct brood_call call = {
		.request = request,
		.result = result,
		.child = child,
		.slot = child->slot,
		.attempt = request->attempt > 0 ? request->attempt : 1,
	};
	bool spare = call_was_spare(child);

	memset(result, 0, sizeof(*result));
	result->uid = request->uid != 0 ? request->uid : uid_make();
	call.started_ns = clock_now_ns();
	if (__builtin_add_overflow(call.started_ns, request->timeout_ns,
		&call.deadline_ns))
		call.deadline_ns = CLOCK_NEVER;
	/* A worker that was not spare before (out of room for connections,
	 * draining) is not to be spare after. */
	if (spare)
		child_set_spare(child, false);
	if (call_show(child, &call))
		child_ring(child);
	log_request(request->id);

	call_run_handler(&call);

	log_request(NULL);
	json_decref(call.json);
	free(call.json_problem);
	call_end_wait(&call);
	call_forget(&call.notes);
	call_settle(result);
	result->took_ns = clock_now_ns() - call.started_ns;
	slot_call_end(child->slot, result->status >= 500, result->took_ns);
	if (spare)
		child_set_spare(child, true);
	child_count_request(child);
}
