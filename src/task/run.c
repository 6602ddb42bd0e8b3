/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run - from a RUN to a call_request, and the call.
 *
 * Called by task.c, for what the hub sends, and by background.c, which makes
 * one of its config entry. What a handler looks up by name is in the attrs; the
 * type of the body, which is a field of its own, is found under its names too.
 */
#include "task/run.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/why.h"
#include "core/child.h"
#include "core/conf.h"

/* Copies to *at, which moves on. */
static const char *
run_copy(char **at, struct msg_bytes bytes)
{
	char *copy = *at;

	memcpy(copy, bytes.p, bytes.len);
	copy[bytes.len] = '\0';
	*at += bytes.len + 1;
	return copy;
}

static struct run *
run_alloc(const struct msg_RUN *msg, struct why *why)
{
	/* with a NUL for each */
	size_t size = sizeof(struct run) + msg->handler.len + msg->method.len +
	    msg->path.len + msg->peer.len + msg->id.len + msg->traceparent.len +
	    msg->type.len + msg->body.len + 8;
	struct run *run = mem_try_alloc(size);

	if (run == NULL)
		why_set(why, "no memory for a call of %zu bytes", size);
	return run;
}

struct run *
run_new(const struct msg_RUN *msg, struct why *why)
{
	struct run *run;
	char *at;

	if (msg->door <= DOOR_NONE || msg->door >= DOOR_COUNT) {
		why_set(why, "there is no door %u", msg->door);
		return NULL;
	}
	run = run_alloc(msg, why);
	if (run == NULL)
		return NULL;
	*run = (struct run){
		.uid = msg->uid,
		.after = msg->after,
		.attempt = msg->attempt,
		.max_attempts = msg->max_attempts,
		.door = msg->door,
		.body_len = msg->body.len,
		.json_required = msg->json_required != 0,
		.timeout_ns = msg->timeout_ns,
	};
	at = run->text;
	run->handler = run_copy(&at, msg->handler);
	run->method = run_copy(&at, msg->method);
	run->path = run_copy(&at, msg->path);
	run->peer = run_copy(&at, msg->peer);
	run->id = run_copy(&at, msg->id);
	run->traceparent = run_copy(&at, msg->traceparent);
	run->type = run_copy(&at, msg->type);
	run->body = run_copy(&at, msg->body);
	if (attrs_read(&run->attrs, msg->attrs, why) == 0)
		return run;
	run_free(run);
	return NULL;
}

void
run_free(struct run *run)
{
	attrs_release(&run->attrs);
	free(run);
}

static const char *
run_lookup(void *ctx, enum call_lookup what, const char *name)
{
	const struct run *run = ctx;
	const char *value = attrs_find(&run->attrs, what, name);

	if (value != NULL || run->type[0] == '\0')
		return value;
	if (what == CALL_HEADER && strcasecmp(name, "Content-Type") == 0)
		return run->type;
	if (what == CALL_PROPERTY && strcmp(name, "content_type") == 0)
		return run->type;
	return NULL;
}

/* The module may have had it when the work was taken: a reload changed that. */
static void
run_unknown(const struct why *why, struct call_result *result)
{
	memset(result, 0, sizeof(*result));
	buf_init(&result->effects, 0);
	result->outcome = BROOD_REJECT;
	result->status = 501;
	result->problem = mem_strdup(why->text);
}

/* A request's, or what stands for one (brood_call_method()). */
static const char *
run_method(const struct run *run)
{
	static const char *const names[DOOR_COUNT] = {
		[DOOR_CONTROL] = "CALL",
		[DOOR_JOB] = "JOB",
		[DOOR_MESSAGE] = "MESSAGE",
		[DOOR_SCHEDULE] = "SCHEDULE",
		[DOOR_BACKGROUND] = "BACKGROUND",
	};

	if (run->method[0] != '\0' || names[run->door] == NULL)
		return run->method;
	return names[run->door];
}

void
run_call(struct child *child, const struct run *run, struct call_result *result)
{
	struct why why;
	char id[CALL_ID_SIZE];
	struct call_request request = {
		.door = run->door,
		.uid = run->uid,
		.attempt = run->attempt,
		.max_attempts = run->max_attempts,
		.handler_name = run->handler,
		.handler = module_find(child->modules, run->handler, &why),
		.method = run_method(run),
		.path = run->path,
		.peer = run->peer,
		.id = call_make_id(run->id, id),
		.traceparent = run->traceparent[0] != '\0' ? run->traceparent :
							     NULL,
		.body = run->body,
		.body_len = run->body_len,
		.max_json_depth = child->conf->rest.max_json_depth,
		.json_required = run->json_required,
		.timeout_ns = run->timeout_ns,
		.lookup = run_lookup,
		.door_ctx = (void *)run,
		.guard_fd = -1,
	};

	if (request.handler == NULL)
		run_unknown(&why, result);
	else
		call_run(child, &request, result);
}

void
run_check(const char *handler, const char *file, int line,
    const struct module_registry *modules, struct conf_errors *errors)
{
	struct why why;

	if (module_find(modules, handler, &why) == NULL)
		conf_errors_add(errors, "%s:%d: %s", file, line, why.text);
}
