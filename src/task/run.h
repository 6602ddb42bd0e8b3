/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run - a call that came over the hub's line, as a copy of its own: the frame
 * that it arrived in goes with the next thing that is read, and a handler that
 * asks for shared data reads.
 */
#ifndef TASK_RUN_H
#define TASK_RUN_H

#include "core/call.h"
#include "core/msg.h"
#include "task/attrs.h"

struct child;
struct conf;
struct conf_errors;
struct module_registry;
struct why;

struct run {
	struct run *prev, *next;		/* the owner's list */
	uint64_t uid, after;
	unsigned losses;		/* of the line, when it came */
	uint32_t attempt, max_attempts;
	enum call_door door;
	const char *handler, *method, *path, *peer, *id, *traceparent, *type;
	const char *body;
	size_t body_len;
	bool json_required;
	int64_t timeout_ns;			/* INT64_MAX: none */
	struct attrs attrs;
	char text[];			/* what the pointers point into */
};

/* NULL with the reason: it makes no sense, or there is no memory for it. */
struct run *run_new(const struct msg_RUN *msg, struct why *why);
void run_free(struct run *run);

/* Runs its handler; a name that no module has is rejected with 501 in words.
 * The caller releases the result. */
void run_call(struct child *child, const struct run *run,
    struct call_result *result);

/* Adds an error with its place unless a module has that handler. */
void run_check(const char *handler, const char *file, int line,
    const struct module_registry *modules, struct conf_errors *errors);

#endif
