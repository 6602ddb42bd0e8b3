/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * task - the role: a worker that runs what the hub gives it, one call at a
 * time.
 *
 *   hub: RUN   we: the handler   we: DONE, kept until   hub: OK
 *
 * Called by core/child only. A DONE has everything that follows from the call,
 * so the worker is free for the next RUN at once; the client of the hub's line
 * sends it again to a new hub until it is answered, and only then a drain ends.
 *
 * A RUN is copied, and run at the end of the loop's round: a handler that asks
 * for shared data reads from the line that the RUN came on. What arrives while
 * we drain is left alone: a worker that ends with status 0 has not begun what
 * it was given last, and the hub gives it to another one.
 *
 * RUNs that came in advance (RUN.after) are dropped when the hub says so
 * (board_recall()), or is not the one any more that sent them.
 *
 * Calls that take a few microseconds each are told of together, as each
 * telling costs more than that: half of those that are here, so that there is
 * something to do while the hub sends more, but TOLD_LEAST if there are, and no
 * more than took TOLD_NS. Is one of them long against expectation, the hub
 * misses an answer and says so (CHILD_SIGNAL_HURRY), and what is to be told
 * leaves while the handler runs; so it does when the handler kills us.
 */
#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/child.h"
#include "core/hub_client.h"
#include "task/run.h"
#include "task/task.h"

/* By when the hub is told, if handlers are as quick as they were. */
#define TOLD_NS (200 * NS_PER_US)
/* Fewer of them would mean many tellings for the last few. */
#define TOLD_LEAST 4

struct task {
	struct child *child;
	struct run *runs;  /* to be run, in their order */
	size_t waiting;	   /* in that list */
	uint64_t dropped;  /* what comes after that is dropped, too */
	size_t unanswered; /* DONEs */
	char path[CONF_PATH_SIZE];
};

static void
task_check(const struct conf *conf, const struct module_registry *modules,
    struct conf_errors *errors)
{
	for (size_t i = 0; i < conf->schedule.n; i++) {
		const struct conf_schedule *c = &conf->schedule.v[i];

		run_check(c->handler, c->file, c->line, modules, errors);
	}
	for (size_t i = 0; i < conf->queue.n; i++) {
		const struct conf_queue *c = &conf->queue.v[i];

		if (c->handler[0] != '\0')
			run_check(c->handler, c->file, c->line, modules,
			    errors);
	}
	for (size_t i = 0; i < conf->limit.n; i++) {
		const struct conf_limit *c = &conf->limit.v[i];

		run_check(c->handler, c->file, c->line, modules, errors);
	}
}

static void
task_settle(struct task *task)
{
	if (task->child->draining && task->runs == NULL &&
	    task->unanswered == 0)
		child_drained(task->child);
}

/* What a refused DONE comes to is the hub's to decide and to log. */
static void
task_on_answer(void *ctx, enum msg_id id, const union msg *msg,
    enum hub_code code)
{
	struct task *task = ctx;

	(void)code;
	if (id == MSG_FAIL)
		log_debug("the hub does not take a result: %.*s",
		    (int)msg->FAIL.why.len, msg->FAIL.why.p);
	task->unanswered--;
	task_settle(task);
}

/* The reply's headers as parts. */
static void
task_headers(const struct call_result *result, struct buf *parts)
{
	buf_init(parts, SIZE_MAX - 1);
	for (size_t i = 0; i < result->headers; i++) {
		struct msg_ATTR attr = {
			.what = CALL_HEADER,
			.name = msg_text(result->header[i].name),
			.value = msg_text(result->header[i].value),
		};

		msg_encode(parts, MSG_ATTR, 0, &attr);
	}
}

static bool
task_send(struct task *task, const struct msg_DONE *done)
{
	if (hub_send(task->child->hub, MSG_DONE, done, CLOCK_NEVER,
		task_on_answer, task) == 0)
		return false;
	task->unanswered++;
	return true;
}

/* It would be as large the next time. */
static void
task_too_large(struct task *task, const struct run *run,
    const struct call_result *result)
{
	struct why why;

	why_set(&why,
	    "the reply (%zu bytes) and what the call sends (%zu bytes in %zu "
	    "parts) are more than hub.max_message (%zu bytes)",
	    result->body_len, result->effects.len, result->effects_n,
	    task->child->conf->hub.max_message);
	log_error("handler %s: %s", run->handler, why.text);
	task_send(task,
	    &(struct msg_DONE){
		.uid = run->uid,
		.attempt = run->attempt,
		.outcome = BROOD_REJECT,
		.status = 500,
		.problem = msg_text(why.text),
		.took_ns = result->took_ns,
	    });
}

static void
task_tell(struct task *task, const struct run *run,
    const struct call_result *result)
{
	struct buf headers;
	struct msg_DONE done = {
		.uid = run->uid,
		.attempt = run->attempt,
		.outcome = (uint8_t)result->outcome,
		.status = (uint32_t)result->status,
		.type = msg_text(result->type),
		.body = { result->body, result->body_len },
		.problem = msg_text(result->problem),
		.retry_after_ns = result->retry_after_ns,
		.took_ns = result->took_ns,
		.effects = { result->effects.data, result->effects.len },
	};

	task_headers(result, &headers);
	done.headers = (struct msg_bytes){ headers.data, headers.len };
	if (!task_send(task, &done))
		task_too_large(task, run, result);
	buf_release(&headers);
}

static struct run *
task_take(struct task *task)
{
	struct run *run = task->runs;

	if (run == NULL)
		return NULL;
	DL_DELETE(task->runs, run);
	task->waiting--;
	return run;
}

static void
task_drop(struct task *task)
{
	struct run *run;

	while ((run = task_take(task)) != NULL) {
		task->dropped = run->uid;
		run_free(run);
	}
}

/* Of a hub that is gone. */
static bool
task_is_stale(const struct task *task, const struct run *run)
{
	return run->after != 0 && run->losses != hub_losses(task->child->hub);
}

/* The time that it took. */
static int64_t
task_run(struct task *task, const struct run *run)
{
	struct child *child = task->child;
	struct call_result result;
	int64_t took_ns;

	hub_entrust(child->hub);
	run_call(child, run, &result);
	if (board_drops(child->board, child->spec.slot, run->uid)) {
		task->dropped = run->uid;
		task_drop(task);
	}
	task_tell(task, run, &result);
	took_ns = result.took_ns;
	call_result_release(&result);
	return took_ns;
}

/* Those that are told of together. Who hears of the last one finds us spare. */
static void
task_run_some(struct task *task)
{
	struct child *child = task->child;
	int64_t took_ns = 0;
	size_t untold = 0;
	struct run *run;

	child_set_spare(child, false);
	hub_cork(child->hub, true);
	do {
		run = task_take(task);
		if (run == NULL)
			break;
		if (!task_is_stale(task, run))
			took_ns += task_run(task, run);
		run_free(run);
		untold++;
	} while ((untold < TOLD_LEAST || untold < task->waiting) &&
	    took_ns < TOLD_NS);
	child_set_spare(child, task->runs == NULL);
	hub_cork(child->hub, false);
}

/* The end of a round. The guard stays up until there is nothing more to run. */
static int64_t
task_before_wait(void *ctx)
{
	struct task *task = ctx;

	if (task->runs == NULL)
		return CLOCK_NEVER;
	child_guard_row(true);
	task_run_some(task);
	if (task->runs != NULL)
		return 0;
	child_guard_row(false);
	task_settle(task);
	return CLOCK_NEVER;
}

static void
task_on_note(void *ctx, enum msg_id id, const union msg *msg)
{
	struct task *task = ctx;
	struct run *run;
	struct why why;

	/* events are for handlers, and none is running */
	if (id != MSG_RUN || task->child->draining)
		return;
	if (task->dropped != 0 && msg->RUN.after == task->dropped) {
		task->dropped = msg->RUN.uid;
		return;
	}
	task->dropped = 0;
	run = run_new(&msg->RUN, &why);
	if (run == NULL) {
		child_fail(task->child, EXIT_FAILURE,
		    "what the hub wants run makes no sense: %s", why.text);
		return;
	}
	run->losses = hub_losses(task->child->hub);
	DL_APPEND(task->runs, run);
	task->waiting++;
}

static int
task_init(struct child *child, struct why *why)
{
	struct task *task = mem_alloc(sizeof(*task));
	struct hub_client_options options = {
		.path = conf_hub_socket(child->conf, task->path),
		.slot = child->spec.slot,
		.generation = child->spec.generation,
		.worker = true,
		.max_frame = child->conf->hub.max_message,
		.on_note = task_on_note,
		.ctx = task,
	};

	(void)why;
	task->child = child;
	child->role_data = task;
	child->loop.before_wait = task_before_wait;
	child->loop.before_wait_ctx = task;
	child->hub = hub_client_new(&child->loop, &options);
	hub_client_stay(child->hub);
	return 0;
}

static void
task_drain(struct child *child)
{
	task_settle(child->role_data);
}

static void
task_fini(struct child *child)
{
	struct task *task = child->role_data;
	struct run *run;

	hub_client_free(child->hub);
	child->hub = NULL;
	child->loop.before_wait = NULL;
	while ((run = task_take(task)) != NULL)
		run_free(run);
	free(task);
	child->role_data = NULL;
}

const struct role task_role = {
	.check = task_check,
	.init = task_init,
	.drain = task_drain,
	.fini = task_fini,
};
