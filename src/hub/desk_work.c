/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * desk_work - work by order of the operator: call, submit, job, cancel.
 *
 * Called by desk. A call is one of work's waiting calls; a job is the effect of
 * nobody's call: it is checked, stored and answered like one of a handler.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/why.h"
#include "core/call.h"
#include "core/uid.h"
#include "hub/desk_impl.h"
#include "hub/effects.h"
#include "hub/work.h"

static struct msg_bytes
bytes_of(const char *p, size_t len)
{
	return (struct msg_bytes){ .p = p, .len = len };
}

/* --------------------------------------------------------------------- call */

static bool
type_is_json(struct msg_bytes type)
{
	return type.len >= 16 &&
	    strncasecmp(type.p, "application/json", 16) == 0;
}

static json_t *
call_data(const struct msg_RESULT *result)
{
	json_t *data = json_pack("{s:I}", "status", (json_int_t)result->status);
	json_t *value = NULL;

	if (result->type.len > 0)
		json_object_set_new(data, "type",
		    json_stringn(result->type.p, result->type.len));
	if (result->problem.len > 0)
		json_object_set_new(data, "problem",
		    json_stringn(result->problem.p, result->problem.len));
	if (result->type.len == 0 && result->body.len == 0)
		return data;
	if (type_is_json(result->type))
		value = json_loadb(result->body.p, result->body.len,
		    JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	if (value != NULL) {
		json_object_set_new(data, "json", value);
		return data;
	}
	value = json_stringn(result->body.p, result->body.len);
	if (value == NULL)
		value = json_string("(bytes that are not UTF-8)");
	json_object_set_new(data, "body", value);
	return data;
}

static void
desk_on_result(void *ctx, const struct msg_RESULT *result)
{
	struct desk_conn *conn = ctx;
	struct why why;

	conn->call = 0;
	if (result->status < 400 && result->problem.len == 0) {
		desk_answer(conn, CMD_OK, "", call_data(result));
		return;
	}
	why_set(&why, "%u%s%.*s", (unsigned)result->status,
	    result->problem.len > 0 ? ": " : "", (int)result->problem.len,
	    result->problem.p);
	desk_answer(conn, CMD_FAILED, why.text, call_data(result));
}

const char *
desk_ask_type(struct desk_ask *ask, bool is_json, size_t len)
{
	const char *type = desk_ask_text(ask, "type");

	if (*type != '\0')
		return type;
	if (is_json)
		return "application/json";
	return len > 0 ? "application/octet-stream" : "";
}

void
desk_call(struct desk_ask *ask)
{
	struct hub *hub = ask->conn->hub;
	int64_t wait_ms = desk_ask_ms(ask, "wait",
	    hub->conf->tasks.timeout / NS_PER_MS);
	char id[CALL_ID_SIZE];
	enum hub_code code;
	struct why why;
	bool is_json;
	size_t len;
	char *body = desk_ask_body(ask, &len, &is_json);
	struct msg_CALL call = {
		.uid = uid_make(),
		.handler = msg_text(ask->arg[0]),
		.door = DOOR_CONTROL,
		.method = msg_text("CALL"),
		.path = msg_text(""),
		.peer = msg_text("unix"),
		.id = msg_text(call_make_id(NULL, id)),
		.traceparent = msg_text(""),
		.attrs = msg_text(""),
		.type = msg_text(desk_ask_type(ask, is_json, len)),
		.body = bytes_of(body, len),
		.deadline_ns = clock_now_ns() + wait_ms * NS_PER_MS,
	};

	if (!ask->bad) {
		ask->conn->call = work_call(hub, &call, desk_on_result,
		    ask->conn, &code, &why);
		if (ask->conn->answered)
			ask->conn->call = 0;
		else if (ask->conn->call == 0)
			desk_fail(ask->conn, CMD_FAILED, "%s", why.text);
	}
	free(body);
}

/* ------------------------------------------------------------------- submit */

bool
desk_apply(struct desk_ask *ask, enum msg_id id, const void *part,
    struct effects_result *result)
{
	struct hub *hub = ask->conn->hub;
	struct why why = { "" };
	enum hub_code code;
	struct buf parts;

	buf_init(&parts, hub->conf->hub.max_message);
	if (msg_encode(&parts, id, 0, part) == -1) {
		code = HUB_TOO_LARGE;
		why_set(&why, "it is larger than hub.max_message");
	} else {
		code = effects_apply(hub, bytes_of(parts.data, parts.len),
		    EFFECTS_NEW, result, &why);
	}
	buf_release(&parts);
	if (code == HUB_OK)
		return true;
	desk_fail(ask->conn, CMD_FAILED, "%s",
	    *why.text != '\0' ? why.text : hub_code_name(code));
	return false;
}

void
desk_submit(struct desk_ask *ask)
{
	char id[CALL_ID_SIZE], text[UID_TEXT_SIZE];
	struct effects_result result = { 0 };
	bool is_json;
	size_t len;
	char *body = desk_ask_body(ask, &len, &is_json);
	struct msg_SUBMIT submit = {
		.handler = msg_text(ask->arg[0]),
		.type = msg_text(desk_ask_type(ask, is_json, len)),
		.body = bytes_of(body, len),
		.peer = msg_text("unix"),
		.priority = (uint32_t)desk_ask_int(ask, "priority", 0, 255, 0),
		.delay_ms = desk_ask_ms(ask, "delay", 0),
		.expires_ms = desk_ask_ms(ask, "expires", -1),
		.max_attempts = (uint32_t)desk_ask_int(ask, "max_attempts", 1,
		    1000, 0),
		.backoff_min_ms = desk_ask_ms(ask, "backoff_min", 0),
		.backoff_max_ms = desk_ask_ms(ask, "backoff_max", 0),
		.timeout_ms = desk_ask_ms(ask, "time_limit", 0),
		.unique = msg_text(desk_ask_text(ask, "unique")),
		.then = msg_text(desk_ask_text(ask, "then")),
		.on_failure = msg_text(desk_ask_text(ask, "on_failure")),
		.id = msg_text(call_make_id(NULL, id)),
	};

	desk_ask_id(ask, &submit.uid, &submit.token);
	if (!ask->bad && desk_apply(ask, MSG_SUBMIT, &submit, &result)) {
		uid_format(result.uid, result.token, text);
		desk_done(ask->conn,
		    json_pack("{s:s, s:b}", "id", text, "existing",
			(int)result.existing),
		    "%s", text);
	}
	free(body);
}

/* ----------------------------------------------------------------- one job */

void
desk_job(struct desk_ask *ask)
{
	uint64_t uid;

	if (desk_ask_job(ask, &uid))
		desk_answer(ask->conn, CMD_OK, "",
		    work_report(ask->conn->hub, uid, true));
}

void
desk_cancel(struct desk_ask *ask)
{
	struct hub *hub = ask->conn->hub;
	struct job *job;
	uint64_t uid;

	if (!desk_ask_job(ask, &uid))
		return;
	switch (work_cancel(hub, uid)) {
	case HUB_OK:
		job = jobs_find(work_jobs(hub), uid);
		desk_done(ask->conn, NULL, "%s",
		    job != NULL && !job_is_finished(job->state) ?
			"it runs, and was told to give up" :
			"cancelled");
		break;
	case HUB_CONFLICT:
		desk_fail(ask->conn, CMD_FAILED,
		    "it has finished already; broodctl job %s shows how",
		    ask->arg[0]);
		break;
	default:
		desk_fail(ask->conn, CMD_FAILED, "there is no job %s",
		    ask->arg[0]);
	}
}
