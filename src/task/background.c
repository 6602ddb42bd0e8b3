/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * background - the role: one process for one entry of tasks.background, which
 * runs its handler once, for as long as that likes.
 *
 * Called by core/child only. The handler runs from the loop, after the process
 * was ready, and has no deadline; while it waits (brood_wait()) the master's
 * orders are read, and one to drain makes brood_cancelled() true. What it sends
 * with its success is committed before the process ends: with status 0 when it
 * is done or was told to stop, with 75 (EX_TEMPFAIL) when it failed. The master
 * starts it again as the entry says.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/child.h"
#include "core/hub_client.h"
#include "core/uid.h"
#include "task/run.h"
#include "task/task.h"

struct background {
	struct child *child;
	const struct conf_background *entry;
	struct loop_timer begin;
	bool running;
	char path[CONF_PATH_SIZE];
};

static void
background_check(const struct conf *conf, const struct module_registry *modules,
    struct conf_errors *errors)
{
	for (size_t i = 0; i < conf->background.n; i++) {
		const struct conf_background *c = &conf->background.v[i];

		run_check(c->handler, c->file, c->line, modules, errors);
	}
}

/* A run of the entry: the same as one from the hub. */
static struct run *
background_run(const struct background *background, struct why *why)
{
	char *input = json_dumps(background->entry->input, JSON_COMPACT);
	struct msg_RUN msg = {
		.uid = uid_make(),
		.attempt = 1,
		.max_attempts = 1,
		.handler = msg_text(background->entry->handler),
		.door = DOOR_BACKGROUND,
		.method = msg_text(""),
		.path = msg_text(background->entry->name),
		.peer = msg_text(""),
		.id = msg_text(""),
		.traceparent = msg_text(""),
		.attrs = msg_text(""),
		.type = msg_text("application/json"),
		.body = msg_text(input),
		.timeout_ns = INT64_MAX,
	};
	struct run *run = run_new(&msg, why);

	free(input);
	return run;
}

/* 0; -1 with the reason: nothing of it was done. */
static int
background_commit(struct background *background,
    const struct call_result *result, enum hub_code *code, struct why *why)
{
	struct msg_COMMIT commit = {
		.uid = result->uid,
		.effects = { result->effects.data, result->effects.len },
	};
	union msg reply;

	*code = HUB_OK;
	if (result->effects_n == 0)
		return 0;
	switch (hub_ask(background->child->hub, MSG_COMMIT, &commit,
	    CLOCK_NEVER, &reply, code)) {
	case MSG_DONE_OK:
		return 0;
	case MSG_FAIL:
		*code = reply.FAIL.code;
		return why_set(why, "what it sends is refused: %.*s",
		    (int)reply.FAIL.why.len, reply.FAIL.why.p);
	default:
		return why_set(why, "what it sends is refused: %s",
		    hub_code_name(*code));
	}
}

/* Ends the process unless it is to be run again. */
static void
background_conclude(struct background *background,
    const struct call_result *result)
{
	struct child *child = background->child;
	const char *name = background->entry->name;
	enum hub_code code;
	struct why why;

	if (background_commit(background, result, &code, &why) == -1) {
		/* what it relied on has changed meanwhile */
		if (code == HUB_CONFLICT && !child->draining) {
			loop_timer_set(&child->loop, &background->begin, 0);
			return;
		}
		child_fail(child, CHILD_EXIT_FAILED, "%s: %s", name, why.text);
	}
	if (!child->draining &&
	    (result->outcome != BROOD_DONE || result->status >= 400))
		child_fail(child, CHILD_EXIT_FAILED, "%s: %s", name,
		    result->problem != NULL ? result->problem : "it failed");
	if (!child->draining)
		log_debug("background %s is done", name);
	child_drained(child);
}

static void
background_begin(void *ctx)
{
	struct background *background = ctx;
	struct call_result result;
	struct run *run;
	struct why why;

	run = background_run(background, &why);
	if (run == NULL) {
		child_fail(background->child, CHILD_EXIT_FAILED, "%s: %s",
		    background->entry->name, why.text);
		return;
	}
	background->running = true;
	run_call(background->child, run, &result);
	background->running = false;
	background_conclude(background, &result);
	call_result_release(&result);
	run_free(run);
}

static int
background_init(struct child *child, struct why *why)
{
	struct background *background = mem_alloc(sizeof(*background));
	struct hub_client_options options = {
		.path = conf_hub_socket(child->conf, background->path),
		.slot = child->spec.slot,
		.generation = child->spec.generation,
		.max_frame = child->conf->hub.max_message,
	};
	int entry = child->spec.entry;

	if (entry < 0 || (size_t)entry >= child->conf->background.n)
		return why_set(why, "there is no entry %d in tasks.background",
		    entry);
	background->child = child;
	background->entry = &child->conf->background.v[entry];
	child->role_data = background;
	child->hub = hub_client_new(&child->loop, &options);
	loop_timer_init(&background->begin, background_begin, background);
	loop_timer_set(&child->loop, &background->begin, 0);
	return 0;
}

/* In the middle of the handler when that waits; its end is the drain's. */
static void
background_drain(struct child *child)
{
	struct background *background = child->role_data;

	if (!background->running)
		child_drained(child);
}

static void
background_fini(struct child *child)
{
	struct background *background = child->role_data;

	loop_timer_cancel(&child->loop, &background->begin);
	hub_client_free(child->hub);
	child->hub = NULL;
	free(background);
	child->role_data = NULL;
}

const struct role background_role = {
	.check = background_check,
	.init = background_init,
	.drain = background_drain,
	.fini = background_fini,
};
