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

static int
run_fill(struct run *run, const struct msg_RUN *msg, struct why *why)
{
	const struct {
		const char **to;
		struct msg_bytes from;
	} texts[] = {
		{ &run->handler, msg->handler },
		{ &run->method, msg->method },
		{ &run->path, msg->path },
		{ &run->peer, msg->peer },
		{ &run->id, msg->id },
		{ &run->traceparent, msg->traceparent },
		{ &run->type, msg->type },
		{ &run->body, msg->body },
	};
	size_t i, size = 0;
	char *at;

	for (i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		size += texts[i].from.len + 1;
	run->text = at = mem_try_alloc(size);
	if (at == NULL)
		return why_set(why, "no memory for a call of %zu bytes", size);
	for (i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		*texts[i].to = run_copy(&at, texts[i].from);
	return attrs_read(&run->attrs, msg->attrs, why);
}

struct run *
run_new(const struct msg_RUN *msg, struct why *why)
{
	struct run *run = mem_alloc(sizeof(*run));

	run->uid = msg->uid;
	run->after = msg->after;
	run->attempt = msg->attempt;
	run->max_attempts = msg->max_attempts;
	run->door = msg->door;
	run->body_len = msg->body.len;
	run->json_required = msg->json_required != 0;
	run->timeout_ns = msg->timeout_ns;
	if (msg->door <= DOOR_NONE || msg->door >= DOOR_COUNT) {
		why_set(why, "there is no door %u", msg->door);
	} else if (run_fill(run, msg, why) == 0) {
		return run;
	}
	run_free(run);
	return NULL;
}

void
run_free(struct run *run)
{
	attrs_release(&run->attrs);
	free(run->text);
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
