/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * call_work - messages and jobs for handlers: publish, submit, bind, request,
 * progress.
 *
 * Called by modules only, from inside a handler. All but brood_request() and
 * brood_progress() leave with the success of the call: here they become parts
 * of its effects, which are checked as far as that is possible without the hub,
 * so that a mistake shows where it was made. Ids are made here, so that what is
 * sent twice is known to be the same.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/call_impl.h"
#include "core/child.h"
#include "core/hub_client.h"
#include "core/module.h"
#include "core/uid.h"

/* Progress is told so often at most. */
#define PROGRESS_NS (100 * NS_PER_MS)
#define PERMILLE 1000

static int
work_check_name(struct brood_call *call, const char *what, const char *name)
{
	if (name != NULL && strlen(name) > CALL_NAME_BYTES)
		return call_wrong(call, "%s has more than %d bytes", what,
		    CALL_NAME_BYTES);
	return 0;
}

static int
work_check_priority(struct brood_call *call, int priority)
{
	if (priority < 0 || priority > 255)
		return call_wrong(call, "a priority is 0 to 255, not %d",
		    priority);
	return 0;
}

/* --------------------------------------------------------------- messages */

static int
work_header(struct brood_call *call, struct buf *attrs, const char *name,
    const json_t *value)
{
	const struct msg_ATTR attr = {
		.what = CALL_HEADER,
		.name = msg_text(name),
		.value = msg_text(json_string_value(value)),
	};

	if (!json_is_string(value) ||
	    strlen(json_string_value(value)) != json_string_length(value))
		return call_wrong(call, "the header %.64s is no text", name);
	if (name[0] == '\0')
		return call_wrong(call, "a header needs a name");
	if (work_check_name(call, "a header's name", name) == -1)
		return -1;
	if (msg_encode(attrs, MSG_ATTR, 0, &attr) == -1)
		return call_wrong(call, "more than %d bytes of headers",
		    CALL_MESSAGE_HEADER_BYTES);
	return 0;
}

static int
work_headers(struct brood_call *call, struct buf *attrs, const json_t *headers)
{
	const char *name;
	json_t *value;

	if (headers == NULL)
		return 0;
	if (!json_is_object(headers))
		return call_wrong(call, "headers are an object of strings");
	if (json_object_size(headers) > CALL_MESSAGE_HEADERS)
		return call_wrong(call, "more than %d headers",
		    CALL_MESSAGE_HEADERS);
	json_object_foreach((json_t *)(uintptr_t)headers, name, value)
	{
		if (work_header(call, attrs, name, value) == -1)
			return -1;
	}
	return 0;
}

static int
work_check_message(struct brood_call *call, const char *exchange,
    const char *key, const struct brood_message *message)
{
	const struct {
		const char *what, *name;
	} names[] = {
		{ "the exchange", exchange },
		{ "the routing key", key },
		{ "the media type", message->type },
		{ "the message id", message->message_id },
		{ "the correlation id", message->correlation_id },
		{ "reply_to", message->reply_to },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (work_check_name(call, names[i].what, names[i].name) == -1)
			return -1;
	return work_check_priority(call, message->priority);
}

/* A message as a part; the texts of `publish` are those of `message`. */
static int
work_message(struct brood_call *call, const char *exchange, const char *key,
    const struct brood_message *message, char id[UID_TEXT_SIZE],
    struct buf *attrs, struct msg_PUBLISH *publish)
{
	*publish = (struct msg_PUBLISH){
		.uid = uid_make(),
		.exchange = msg_text(exchange),
		.key = msg_text(key),
		.type = msg_text(message->type),
		.priority = (uint8_t)message->priority,
		.mandatory = message->mandatory,
		.ttl_ms = message->ttl > 0 ? call_ms(message->ttl) : -1,
		.message_id = msg_text(message->message_id),
		.correlation_id = msg_text(message->correlation_id),
		.reply_to = msg_text(message->reply_to),
		.id = msg_text(call->request->id),
		.traceparent = msg_text(brood_call_traceparent(call)),
	};
	if (work_check_message(call, exchange, key, message) == -1 ||
	    work_headers(call, attrs, message->headers) == -1)
		return -1;
	publish->attrs = (struct msg_bytes){ attrs->data, attrs->len };
	if (message->message_id == NULL)
		publish->message_id = msg_text(
		    uid_format(publish->uid, uid_token(), id));
	return 0;
}

static int
work_publish(struct brood_call *call, const char *exchange, const char *key,
    struct msg_bytes body, const struct brood_message *message,
    const char *type)
{
	struct msg_PUBLISH publish;
	char id[UID_TEXT_SIZE];
	struct buf attrs;
	int n;

	buf_init(&attrs, CALL_MESSAGE_HEADER_BYTES);
	n = work_message(call, exchange, key, message, id, &attrs, &publish);
	if (n == 0) {
		if (message->type == NULL)
			publish.type = msg_text(type);
		publish.body = body;
		n = call_effect(call, MSG_PUBLISH, &publish);
	}
	buf_release(&attrs);
	return n;
}

int
brood_publish(struct brood_call *call, const char *exchange, const char *key,
    const json_t *body)
{
	static const struct brood_message plain;
	struct msg_bytes text;

	if (call_dump(call, body, &text) == -1)
		return -1;
	return work_publish(call, exchange, key, text, &plain,
	    "application/json");
}

int
brood_publish_message(struct brood_call *call, const char *exchange,
    const char *key, const void *body, size_t len,
    const struct brood_message *message)
{
	static const struct brood_message plain;

	return work_publish(call, exchange, key,
	    (struct msg_bytes){ body, body != NULL ? len : 0 },
	    message != NULL ? message : &plain, "application/octet-stream");
}

static int
work_bind(struct brood_call *call, bool on, const char *queue,
    const char *exchange, const char *key)
{
	const struct msg_BIND bind = {
		.on = on,
		.queue = msg_text(queue),
		.exchange = msg_text(exchange),
		.key = msg_text(key),
	};

	if (bind.queue.len == 0 || bind.exchange.len == 0)
		return call_wrong(call,
		    "a binding needs a queue and an exchange");
	if (work_check_name(call, "the queue", queue) == -1 ||
	    work_check_name(call, "the exchange", exchange) == -1 ||
	    work_check_name(call, "the routing key", key) == -1)
		return -1;
	return call_effect(call, MSG_BIND, &bind);
}

int
brood_bind(struct brood_call *call, const char *queue, const char *exchange,
    const char *key)
{
	return work_bind(call, true, queue, exchange, key);
}

int
brood_unbind(struct brood_call *call, const char *queue, const char *exchange,
    const char *key)
{
	return work_bind(call, false, queue, exchange, key);
}

/* ------------------------------------------------------------------- jobs */

static int
work_check_handler(struct brood_call *call, const char *what,
    const char *handler)
{
	struct why why;

	if (handler == NULL || strchr(handler, '.') == NULL ||
	    work_check_name(call, what, handler) == -1)
		return call_wrong(call, "%s is MODULE.HANDLER", what);
	if (call->child->modules != NULL &&
	    module_find(call->child->modules, handler, &why) == NULL)
		return call_wrong(call, "%s", why.text);
	return 0;
}

static int
work_check_job(struct brood_call *call, const char *handler,
    const struct brood_job *job)
{
	if (work_check_handler(call, "a job's handler", handler) == -1 ||
	    (job->then != NULL &&
		work_check_handler(call, "`then`", job->then) == -1) ||
	    (job->on_failure != NULL &&
		work_check_handler(call, "`on_failure`", job->on_failure) ==
		    -1))
		return -1;
	if (job->unique != NULL &&
	    call_check_key(call, "unique key", job->unique) == -1)
		return -1;
	if (job->max_attempts < 0)
		return call_wrong(call, "max_attempts is 1 or more, not %d",
		    job->max_attempts);
	return work_check_priority(call, job->priority);
}

/* 0, which says nothing, for what is not positive. */
static int64_t
work_ms(double seconds)
{
	return seconds > 0 ? call_ms(seconds) : 0;
}

const char *
brood_submit(struct brood_call *call, const char *handler, const json_t *input,
    const struct brood_job *job)
{
	static const struct brood_job plain;
	struct msg_SUBMIT submit;
	struct msg_bytes body = { "", 0 };
	char id[UID_TEXT_SIZE];

	if (job == NULL)
		job = &plain;
	if (work_check_job(call, handler, job) == -1 ||
	    (input != NULL && call_dump(call, input, &body) == -1))
		return NULL;
	submit = (struct msg_SUBMIT){
		.uid = uid_make(),
		.token = uid_token(),
		.handler = msg_text(handler),
		.type = msg_text(input != NULL ? "application/json" : ""),
		.body = body,
		.priority = (uint32_t)job->priority,
		.delay_ms = work_ms(job->delay),
		.expires_ms = job->expires > 0 ? call_ms(job->expires) : -1,
		.max_attempts = (uint32_t)job->max_attempts,
		.backoff_min_ms = work_ms(job->backoff_min),
		.backoff_max_ms = work_ms(job->backoff_max),
		.timeout_ms = work_ms(job->timeout),
		.unique = msg_text(job->unique),
		.then = msg_text(job->then),
		.on_failure = msg_text(job->on_failure),
		.id = msg_text(call->request->id),
		.traceparent = msg_text(brood_call_traceparent(call)),
	};
	if (call_effect(call, MSG_SUBMIT, &submit) == -1)
		return NULL;
	return call_remember(&call->notes,
	    msg_text(uid_format(submit.uid, submit.token, id)));
}

/* --------------------------------------------------------------- requests */

static void
work_answer(struct brood_call *call, const struct msg_RESULT *result,
    struct brood_answer *answer)
{
	struct brood_value value = { 0 };
	struct msg_bytes body = result->body;
	json_t *problem;
	char *text = NULL;

	if (result->problem.len > 0 && body.len == 0) {
		problem = json_pack("{s:i, s:s%}", "status",
		    (int)result->status, "detail", result->problem.p,
		    result->problem.len);
		text = problem != NULL ? json_dumps(problem, JSON_COMPACT) :
					 NULL;
		json_decref(problem);
		body = msg_text(text);
	}
	call_value(&call->notes, &value, DATA_JSON, body, 0, -1);
	*answer = (struct brood_answer){
		.status = (int)result->status,
		.json = value.json,
		.type = text != NULL ?
		    "application/problem+json" :
		    call_remember(&call->notes, result->type),
		.body = value.bytes,
		.len = value.len,
	};
	free(text);
}

/* Asks with an end of its own, before that of the call. */
static int
work_ask_until(struct brood_call *call, const struct msg_REQUEST *ask,
    union msg *reply)
{
	int64_t deadline_ns = call->deadline_ns;
	int n;

	/* the hub says that nobody answered; we only make sure of it */
	if (ask->deadline_ns < deadline_ns - NS_PER_S)
		call->deadline_ns = ask->deadline_ns + NS_PER_S;
	n = call_ask(call, MSG_REQUEST, ask, MSG_RESULT, reply);
	call->deadline_ns = deadline_ns;
	return n;
}

int
brood_request(struct brood_call *call, const char *exchange, const char *key,
    const json_t *body, double seconds, struct brood_answer *answer)
{
	static const struct brood_message how = { .mandatory = true };
	struct msg_REQUEST ask = { .deadline_ns = call->deadline_ns };
	struct msg_PUBLISH publish;
	struct buf parts, attrs;
	char id[UID_TEXT_SIZE];
	union msg reply;
	int64_t until;
	int n = -1;

	buf_init(&parts, SIZE_MAX / 2);
	buf_init(&attrs, CALL_MESSAGE_HEADER_BYTES);
	if (work_message(call, exchange, key, &how, id, &attrs, &publish) ==
		-1 ||
	    call_dump(call, body, &publish.body) == -1)
		goto out;
	publish.type = msg_text("application/json");
	publish.correlation_id = publish.message_id;
	if (msg_encode(&parts, MSG_PUBLISH, 0, &publish) == -1) {
		call_wrong(call, "there is no memory for this");
		goto out;
	}
	ask.publish = (struct msg_bytes){ parts.data, parts.len };
	if (!__builtin_add_overflow(clock_now_ns(), clock_from_seconds(seconds),
		&until) &&
	    until < ask.deadline_ns)
		ask.deadline_ns = until;
	n = work_ask_until(call, &ask, &reply);
	if (n == 0) {
		work_answer(call, &reply.RESULT, answer);
		n = 1;
	} else if (call->code == HUB_TIMEOUT) {
		n = 0;
	}
out:
	buf_release(&parts);
	buf_release(&attrs);
	return n;
}

/* --------------------------------------------------------------- progress */

void
brood_progress(struct brood_call *call, double done, const char *format, ...)
{
	struct msg_PROGRESS progress = { .uid = call->result->uid,
		.attempt = call->attempt };
	int64_t now = clock_now_ns();
	char note[256] = "";
	va_list ap;

	switch (call->request->door) {
	case DOOR_JOB:
	case DOOR_MESSAGE:
	case DOOR_SCHEDULE:
		break;
	default:
		return; /* nobody can ask for it */
	}
	if (call->child->hub == NULL ||
	    (call->progress_ns != 0 && now - call->progress_ns < PROGRESS_NS))
		return;
	call->progress_ns = now;
	if (!(done > 0))
		done = 0;
	progress.permille = done >= 1 ? PERMILLE : (uint32_t)(done * PERMILLE);
	if (format != NULL) {
		va_start(ap, format);
		vsnprintf(note, sizeof(note), format, ap);
		va_end(ap);
		call_clean_text(note);
	}
	progress.note = msg_text(note);
	hub_note(call->child->hub, MSG_PROGRESS, &progress);
}
