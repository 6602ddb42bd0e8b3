/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * call_api - what brood.h offers on a call: the input, the reply, the log. See
 * call_data.c and the files beside it for what needs the hub.
 *
 * Called by modules only, from inside a handler (brood_log() from start() and
 * stop() as well). Modules are trusted not to corrupt memory but not to be
 * right: what they pass is checked here, and a mistake is logged and costs them
 * the call at most.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/call_impl.h"

/* All names and values together: what an answer's headers have room for. */
#define REPLY_HEADER_BYTES 8192

/* A sentence for the client; a longer one is cut. */
#define SENTENCE_SIZE 1024

const char *
brood_call_body(struct brood_call *call, size_t *len)
{
	if (len != NULL)
		*len = call->request->body_len;
	return call->request->body != NULL ? call->request->body : "";
}

json_t *
brood_call_json(struct brood_call *call)
{
	const struct call_request *request = call->request;

	if (!call->json_tried) {
		call->json_tried = true;
		call->json = call_parse_json(request->body, request->body_len,
		    request->max_json_depth, &call->json_problem);
	}
	return call->json;
}

static const char *
call_lookup(struct brood_call *call, enum call_lookup what, const char *name)
{
	if (call->request->lookup == NULL)
		return NULL;
	return call->request->lookup(call->request->door_ctx, what, name);
}

const char *
brood_call_param(struct brood_call *call, const char *name)
{
	return call_lookup(call, CALL_PARAM, name);
}

const char *
brood_call_query(struct brood_call *call, const char *name)
{
	return call_lookup(call, CALL_QUERY, name);
}

const char *
brood_call_header(struct brood_call *call, const char *name)
{
	return call_lookup(call, CALL_HEADER, name);
}

const char *
brood_call_cookie(struct brood_call *call, const char *name)
{
	return call_lookup(call, CALL_COOKIE, name);
}

const char *
brood_call_property(struct brood_call *call, const char *name)
{
	return call_lookup(call, CALL_PROPERTY, name);
}

enum brood_door
brood_call_door(struct brood_call *call)
{
	return (enum brood_door)call->request->door;
}

unsigned
brood_call_attempt(struct brood_call *call, unsigned *max)
{
	unsigned most = call->request->max_attempts;

	if (max != NULL)
		*max = most > call->attempt ? most : call->attempt;
	return call->attempt;
}

const char *
brood_call_method(struct brood_call *call)
{
	return call->request->method;
}

const char *
brood_call_path(struct brood_call *call)
{
	return call->request->path;
}

const char *
brood_call_peer(struct brood_call *call)
{
	return call->request->peer;
}

const char *
brood_call_id(struct brood_call *call)
{
	return call->request->id;
}

const char *
brood_call_traceparent(struct brood_call *call)
{
	const char *sent = call->request->traceparent;

	if (sent != NULL && call_traceparent_ok(sent))
		return sent;
	if (call->traceparent[0] == '\0')
		call_make_traceparent(call->traceparent);
	return call->traceparent;
}

double
brood_call_remaining(struct brood_call *call)
{
	return clock_to_seconds(call->deadline_ns - clock_now_ns());
}

/* True for the first decision of a call; a later one is a mistake. */
static bool
call_decide(struct brood_call *call, enum call_decision decision,
    const char *function)
{
	static const char *const before[] = {
		[CALL_REPLIED] = "brood_reply()",
		[CALL_REJECTED] = "brood_reject()",
		[CALL_RETRY] = "brood_retry()",
		[CALL_FAILED] = "a reply that cannot be sent",
	};

	if (call->decision != CALL_UNDECIDED) {
		call_complain(call, "%s after %s", function,
		    before[call->decision]);
		return false;
	}
	call->decision = decision;
	return true;
}

/* The answer becomes a 500. */
static void
call_spoil(struct brood_call *call)
{
	call->decision = CALL_FAILED;
}

static bool
call_reply_status(struct brood_call *call, int status)
{
	if (status < 200 || status > 599) {
		call_complain(call,
		    "replied with the status %d, which is not "
		    "200 to 599",
		    status);
		call_spoil(call);
		return false;
	}
	call->result->status = status;
	return true;
}

/* These have no content (RFC 9110, 15.3.5, 15.3.6, 15.4.5). */
static bool
call_reply_has_content(struct brood_call *call, int status)
{
	if (status != 204 && status != 205 && status != 304)
		return true;
	call_complain(call,
	    "replied with a body and the status %d, which "
	    "allows none",
	    status);
	return false;
}

static int
call_dump_bytes(const char *bytes, size_t len, void *ctx)
{
	return buf_append(ctx, bytes, len);
}

enum brood_outcome
brood_reply(struct brood_call *call, int status, json_t *body)
{
	struct buf text;

	if (!call_decide(call, CALL_REPLIED, "brood_reply()") ||
	    !call_reply_status(call, status) || body == NULL ||
	    !call_reply_has_content(call, status))
		goto out;
	buf_init(&text, SIZE_MAX);
	if (json_dump_callback(body, call_dump_bytes, &text,
		JSON_COMPACT | JSON_ENCODE_ANY) == -1) {
		call_complain(call,
		    "replied with a value that cannot be "
		    "written as JSON");
		call_spoil(call);
		buf_release(&text);
		goto out;
	}
	call->result->body = buf_detach(&text, &call->result->body_len);
	call->result->type = call_type_json;
out:
	json_decref(body);
	return BROOD_DONE;
}

/* Visible bytes, blanks and tabs; what obs-text is to RFC 9110 passes. */
static bool
call_header_value_ok(const char *value)
{
	const unsigned char *p;

	for (p = (const unsigned char *)value; *p != '\0'; p++)
		if ((*p < 0x20 && *p != '\t') || *p == 0x7f)
			return false;
	return true;
}

enum brood_outcome
brood_reply_bytes(struct brood_call *call, int status, const char *type,
    const void *body, size_t len)
{
	struct call_result *result = call->result;

	if (!call_decide(call, CALL_REPLIED, "brood_reply_bytes()") ||
	    !call_reply_status(call, status))
		return BROOD_DONE;
	if (type == NULL || type[0] == '\0' || strlen(type) > 255 ||
	    !call_header_value_ok(type)) {
		call_complain(call,
		    "replied with bytes of no valid media "
		    "type");
		call_spoil(call);
		return BROOD_DONE;
	}
	if (len > 0 && !call_reply_has_content(call, status))
		return BROOD_DONE;
	result->body = mem_try_alloc(len + 1);
	if (result->body == NULL) {
		call_complain(call,
		    "replied with %zu bytes, for which there "
		    "is no memory",
		    len);
		call_spoil(call);
		return BROOD_DONE;
	}
	if (len > 0)
		memcpy(result->body, body, len);
	result->body[len] = '\0';
	result->body_len = len;
	result->type = mem_strdup(type);
	return BROOD_DONE;
}

/* A token (RFC 9110, 5.6.2). */
static bool
call_header_name_ok(const char *name)
{
	return name[0] != '\0' &&
	    name[strspn(name,
		"!#$%&'*+-.^_`|~0123456789"
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")] ==
	    '\0';
}

/* The message's framing, its connection, and what the reply itself decides. */
static bool
call_header_is_ours(const char *name)
{
	static const char *const ours[] = {
		"Connection",
		"Content-Length",
		"Content-Type",
		"Date",
		"Keep-Alive",
		"Trailer",
		"Transfer-Encoding",
		"Upgrade",
		"X-Request-Id",
	};
	size_t i;

	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strcasecmp(name, ours[i]) == 0)
			return true;
	return false;
}

int
brood_reply_header(struct brood_call *call, const char *name, const char *value)
{
	struct call_result *result = call->result;
	size_t bytes;

	if (name == NULL || value == NULL || !call_header_name_ok(name)) {
		call_complain(call, "added a header whose name is no token");
		return -1;
	}
	/* the reply may leave as a message */
	if (strlen(name) > CALL_NAME_BYTES) {
		call_complain(call,
		    "added a header whose name has more than %d bytes",
		    CALL_NAME_BYTES);
		return -1;
	}
	if (!call_header_value_ok(value)) {
		call_complain(call,
		    "added the header %.64s with control bytes "
		    "in its value",
		    name);
		return -1;
	}
	if (call_header_is_ours(name)) {
		call_complain(call,
		    "added the header %s, which is brood's to "
		    "set",
		    name);
		return -1;
	}
	bytes = call->header_bytes + strlen(name) + strlen(value) + 4;
	if (result->headers == CALL_REPLY_HEADERS ||
	    bytes > REPLY_HEADER_BYTES) {
		call_complain(call,
		    "added more than %d headers or %d bytes "
		    "of them",
		    CALL_REPLY_HEADERS, REPLY_HEADER_BYTES);
		return -1;
	}
	call->header_bytes = bytes;
	result->header[result->headers].name = mem_strdup(name);
	result->header[result->headers].value = mem_strdup(value);
	result->headers++;
	return 0;
}

static char *call_sentence(const char *format, va_list ap)
    __attribute__((format(printf, 1, 0)));

static char *
call_sentence(const char *format, va_list ap)
{
	char text[SENTENCE_SIZE];

	vsnprintf(text, sizeof(text), format, ap);
	return call_clean_text(mem_strdup(text));
}

enum brood_outcome
brood_reject(struct brood_call *call, int status, const char *format, ...)
{
	va_list ap;

	if (!call_decide(call, CALL_REJECTED, "brood_reject()"))
		return BROOD_REJECT;
	call->result->status = status >= 400 && status <= 499 ? status : 422;
	va_start(ap, format);
	call->result->problem = call_sentence(format, ap);
	va_end(ap);
	return BROOD_REJECT;
}

enum brood_outcome
brood_retry(struct brood_call *call, double after, const char *format, ...)
{
	va_list ap;

	if (!call_decide(call, CALL_RETRY, "brood_retry()"))
		return BROOD_RETRY;
	call->result->status = 503;
	call->result->retry_after_ns = after > 0 ?
	    clock_from_seconds(after) :
	    call->request->retry_after_ns;
	va_start(ap, format);
	call->result->problem = call_sentence(format, ap);
	va_end(ap);
	return BROOD_RETRY;
}

void
brood_log(enum brood_level level, const char *format, ...)
{
	static const enum log_level levels[] = {
		[BROOD_DEBUG] = LOG_LEVEL_DEBUG,
		[BROOD_INFO] = LOG_LEVEL_INFO,
		[BROOD_NOTICE] = LOG_LEVEL_NOTICE,
		[BROOD_WARNING] = LOG_LEVEL_WARNING,
		[BROOD_ERROR] = LOG_LEVEL_ERROR,
	};
	enum log_level as = LOG_LEVEL_ERROR;
	char text[LOG_LINE_MAX];
	va_list ap;

	if ((unsigned)level < sizeof(levels) / sizeof(levels[0]))
		as = levels[level];
	if (!log_wanted(as))
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	log_write(as, "%s", text);
}
