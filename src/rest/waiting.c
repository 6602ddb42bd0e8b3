/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * waiting - the sleep of a request between a question to the hub and its
 * answer.
 *
 * Used by inline, relay and jobs, which know what they ask and what the answer
 * means. A request waits for one thing at a time, so all there is to know of it
 * is in its connection, and the number that wait is bounded by rest.max_waiting
 * (commits aside, which are the end of work that is done: rest.connections
 * bounds those).
 *
 * Every wait has an end: hub_client's deadline. A client's hang-up is noticed
 * where its route asks for that, as nobody reads from a connection that waits.
 */
#include "rest/waiting.h"

#include <stdio.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/child.h"
#include "core/conf.h"
#include "core/hub_client.h"
#include "rest/conn.h"
#include "rest/engine.h"
#include "rest/exchange.h"
#include "rest/http.h"

bool
waiting_room(struct conn *conn)
{
	const struct conf_rest *conf = &conn->rest->conf->rest;

	if (conn->rest->waits < (unsigned)conf->max_waiting)
		return true;
	exchange_problem_later(conn, "too many requests wait already",
	    conf->retry_after);
	return false;
}

static void
waiting_enter(struct conn *conn)
{
	DL_APPEND(conn->rest->waiting, &conn->waiting);
	conn->rest->waits++;
}

static void
waiting_leave(struct conn *conn)
{
	DL_DELETE(conn->rest->waiting, &conn->waiting);
	conn->rest->waits--;
	loop_io_del(conn->rest->loop, &conn->io);
}

/* What came in place of an answer, as one code. */
static enum hub_code
waiting_code(const struct waiting *waiting, enum msg_id id,
    const union msg *msg, enum hub_code code)
{
	if (msg == NULL)
		return code != HUB_OK ? code : HUB_GONE;
	if (id == waiting->wanted)
		return HUB_OK;
	if (id != MSG_FAIL) {
		log_error("the hub answers %s where %s was to come",
		    msg_name(id), msg_name(waiting->wanted));
		return HUB_GONE;
	}
	if (msg->FAIL.code == HUB_OK || msg->FAIL.code >= HUB_CODE_COUNT)
		return HUB_BAD;
	return (enum hub_code)msg->FAIL.code;
}

static void
waiting_answered(void *ctx, enum msg_id id, const union msg *msg,
    enum hub_code code)
{
	struct conn *conn = ctx;
	struct waiting *waiting = &conn->waiting;
	enum exchange_next next;

	waiting->request = 0;
	code = waiting_code(waiting, id, msg, code);
	if (code != HUB_OK && id != MSG_FAIL)
		msg = NULL;
	log_request(conn->ex.id);
	next = waiting->fn(conn, msg, code);
	log_request(NULL);
	if (next == EXCHANGE_WAIT)
		return;
	waiting_leave(conn);
	http_resume(conn, next);
}

enum exchange_next
waiting_ask(struct conn *conn, enum msg_id id, const void *msg,
    enum msg_id wanted, int64_t deadline_ns, waiting_fn *fn)
{
	struct waiting *waiting = &conn->waiting;

	waiting->wanted = wanted;
	waiting->fn = fn;
	waiting->request = hub_send(conn->rest->child->hub, id, msg,
	    deadline_ns, waiting_answered, conn);
	if (waiting->request == 0) {
		exchange_problem(conn, 413,
		    "this is more than hub.max_message allows");
		return EXCHANGE_REPLY;
	}
	if (conn->phase != CONN_WAIT)
		waiting_enter(conn);
	return EXCHANGE_WAIT;
}

/* ---- the client goes */

/* The answer is of no interest any more; a call is to end. */
static void
waiting_abandon(struct conn *conn)
{
	struct hub_client *hub = conn->rest->child->hub;
	const struct msg_ABANDON abandon = { .uid = conn->waiting.call };

	hub_forget(hub, conn->waiting.request);
	if (conn->waiting.wanted == MSG_RESULT)
		hub_note(hub, MSG_ABANDON, &abandon);
	waiting_leave(conn);
}

static void
waiting_hung_up(void *ctx, unsigned events)
{
	struct conn *conn = ctx;

	(void)events;
	conn->ex.outcome = "the client hung up, and its call was cancelled";
	waiting_abandon(conn);
	http_resume(conn, EXCHANGE_CLOSE);
}

void
waiting_watch(struct conn *conn)
{
	/* Without it the call goes on, as it does on other routes. */
	if (loop_io_add(conn->rest->loop, &conn->io, conn->fd, LOOP_HANGUP,
		waiting_hung_up, conn) == -1)
		log_warning("cannot watch for a hang-up: %m");
}

/* ---- what went wrong */

/* A handler that says nonsense to the hub is no fault of the client's. */
static int
refusal_status(enum hub_code code)
{
	if (code == HUB_BAD || code == HUB_NOT_FOUND)
		return 500;
	return hub_code_status(code);
}

enum exchange_next
waiting_refused(struct conn *conn, const union msg *msg, enum hub_code code)
{
	int status = refusal_status(code);
	const char *why = "the hub does not answer; try again later";

	if (msg != NULL && msg->FAIL.why.len > 0)
		why = exchange_keep(&conn->ex, msg->FAIL.why.p,
		    msg->FAIL.why.len);
	else if (code == HUB_TIMEOUT)
		why = "the hub did not answer in time";
	/* at a limit there may be many of these; the hub says it once */
	if (status >= 500 && code != HUB_FULL && code != HUB_NO_SPACE)
		log_warning("%s: %s", hub_code_name(code), why);
	if (status == 503)
		exchange_problem_later(conn, why,
		    conn->rest->conf->rest.retry_after);
	else
		exchange_problem(conn, status, why);
	return EXCHANGE_REPLY;
}

/* ---- the end */

void
waiting_give_up(struct rest *rest)
{
	struct conn *conn;

	while (rest->waiting != NULL) {
		conn = conn_of_waiting(rest->waiting);
		waiting_abandon(conn);
		exchange_problem_later(conn,
		    "the worker has to end before there is an answer",
		    rest->conf->rest.retry_after);
		http_resume(conn, EXCHANGE_REPLY);
	}
}

void
waiting_stop(struct rest *rest)
{
	struct conn *conn;

	while (rest->waiting != NULL) {
		conn = conn_of_waiting(rest->waiting);
		hub_forget(rest->child->hub, conn->waiting.request);
		waiting_leave(conn);
		engine_resume(conn);
	}
}
