/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * submit - makes a job of a request.
 *
 *   serve ─► COMMIT(SUBMIT) ─► new ────────────────────────────► 202
 *                     │  └───► known, or Prefer: wait ─► JOB_GET ─► 202
 *                     └─ FAIL: 422, 503, 507 …          └─► its own reply
 *
 * Called by exchange, for routes of mode job, and of mode wait when the client
 * sends "Prefer: respond-async". What can be found wrong with the input without
 * the handler is told at once, not by a job that fails later.
 */
#include "rest/submit.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "core/child.h"
#include "core/conf.h"
#include "core/uid.h"
#include "rest/attrs.h"
#include "rest/exchange.h"
#include "rest/idempotency.h"
#include "rest/jobs.h"
#include "rest/relay.h"
#include "rest/waiting.h"

/* ---- what is wrong with it? */

static bool
submit_json_ok(struct conn *conn)
{
	struct exchange *ex = &conn->ex;
	char *problem = NULL;
	json_t *json;

	if (!ex->match.route->json)
		return true;
	json = call_parse_json(ex->body_len > 0 ? ex->body : "", ex->body_len,
	    conn->rest->conf->rest.max_json_depth, &problem);
	if (json == NULL)
		exchange_problem(conn, 400,
		    exchange_keep(ex, problem, strlen(problem)));
	free(problem);
	json_decref(json);
	return json != NULL;
}

static bool
submit_key_ok(struct conn *conn)
{
	const struct head *head = &conn->ex.head;

	if (head->idempotencies == 0 ||
	    (head->idempotencies == 1 &&
		idempotency_key_ok(head->idempotency, head->idempotency_len)))
		return true;
	exchange_problem(conn, 400,
	    "Idempotency-Key must be one value of 1 to 255 visible characters");
	return false;
}

/* ---- the answers */

/* A plain look, or as long a one as the client wants to wait. */
static enum exchange_next submit_look(struct conn *conn, uint32_t wait_s);

static enum exchange_next
submit_looked(struct conn *conn, const union msg *msg, enum hub_code code)
{
	const struct msg_JOB *job = &msg->JOB;

	/* It is stored, whatever we could learn of it. */
	if (code != HUB_OK || job->found == 0 || job->state >= JOB_STATE_COUNT)
		return jobs_accept(conn, JOB_QUEUED);
	/* a success without its reply is not one to be told as a failure */
	if (conn->waiting.applied.wait && job_is_finished(job->state) &&
	    (job->state != JOB_SUCCEEDED || job->problem.len == 0))
		return jobs_conclude(conn, job);
	return jobs_accept(conn, job->state);
}

static enum exchange_next
submit_look(struct conn *conn, uint32_t wait_s)
{
	const struct msg_JOB_GET get = {
		.uid = conn->waiting.job,
		.token = conn->waiting.token,
		.wait_ms = (int64_t)wait_s * 1000,
	};

	return waiting_ask(conn, MSG_JOB_GET, &get, MSG_JOB,
	    jobs_patience(conn, wait_s), submit_looked);
}

static enum exchange_next
submit_stored(struct conn *conn, const union msg *msg, enum hub_code code)
{
	struct waiting *waiting = &conn->waiting;

	if (code != HUB_OK)
		return waiting_refused(conn, msg, code);
	waiting->job = msg->DONE_OK.uid;
	waiting->token = msg->DONE_OK.token;
	if (waiting->applied.wait && waiting->applied.wait_s > 0)
		return submit_look(conn, waiting->applied.wait_s);
	if (msg->DONE_OK.existing)
		return submit_look(conn, 0);
	return jobs_accept(conn, JOB_QUEUED);
}

/* ---- the job */

static void
submit_identify(struct conn *conn, struct msg_SUBMIT *submit, char **scope)
{
	const struct exchange *ex = &conn->ex;
	const struct idempotent request = {
		.method = ex->method,
		.path = ex->path,
		.query = ex->query,
		.query_len = ex->query_len,
		.body = ex->body,
		.body_len = ex->body_len,
	};

	if (ex->head.idempotencies == 0)
		return;
	*scope = idempotency_scope(ex->method, ex->match.route->pattern,
	    ex->head.idempotency, ex->head.idempotency_len);
	submit->idempotency = msg_text(*scope);
	submit->fingerprint = idempotency_fingerprint(&request);
}

/* The one effect of this call, appended to `effects`. */
static int
submit_encode(struct conn *conn, struct buf *effects)
{
	const struct exchange *ex = &conn->ex;
	const struct route *route = ex->match.route;
	struct msg_SUBMIT submit = {
		.uid = uid_make(),
		.token = uid_token(),
		.handler = msg_text(route->handler_name),
		.type = msg_text(ex->head.type),
		.body = { ex->body, ex->body_len },
		.method = msg_text(ex->method),
		.path = msg_text(ex->path),
		.peer = msg_text(conn->peer),
		.priority = route->priority,
		.expires_ms = -1,
		.max_attempts = route->max_attempts,
		.id = msg_text(ex->id),
		.traceparent = relay_traceparent(ex),
	};
	struct buf attrs;
	char *scope = NULL;
	int encoded;

	if (route->timeout_ns > 0)
		submit.timeout_ms = (route->timeout_ns - 1) / NS_PER_MS + 1;
	buf_init(&attrs, effects->max);
	encoded = attrs_encode(conn, &attrs);
	submit.attrs = (struct msg_bytes){ attrs.data, attrs.len };
	submit_identify(conn, &submit, &scope);
	if (encoded == 0)
		encoded = msg_encode(effects, MSG_SUBMIT, 0, &submit);
	buf_release(&attrs);
	free(scope);
	return encoded;
}

enum exchange_next
submit_serve(struct conn *conn)
{
	struct rest *rest = conn->rest;
	struct buf effects;
	struct msg_COMMIT commit = { .uid = uid_make() };
	enum exchange_next next = EXCHANGE_REPLY;

	if (!waiting_room(conn) || !submit_key_ok(conn) ||
	    !submit_json_ok(conn))
		return EXCHANGE_REPLY;
	jobs_grant(conn);
	buf_init(&effects, rest->conf->hub.max_message);
	if (submit_encode(conn, &effects) == -1) {
		exchange_problem(conn, 413, "the request is too large");
	} else {
		commit.effects = (struct msg_bytes){ effects.data,
			effects.len };
		next = waiting_ask(conn, MSG_COMMIT, &commit, MSG_DONE_OK,
		    jobs_patience(conn, 0), submit_stored);
	}
	buf_release(&effects);
	if (next != EXCHANGE_WAIT)
		return next;
	/* the hub client has its own copy */
	exchange_drop_body(&conn->ex);
	child_count_request(rest->child);
	return next;
}
