/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http - the phases of a connection, and who is to know of them.
 *
 *   http_add ─► IDLE ─target─► HEAD ─request─► BODY ─request─► ANSWER ─┐
 *                ▲                                 └─► WAIT ─► ANSWER ─┤
 *                └──────────────────────completed──────────────────────┤
 *                                                          closed ◄────┘
 *
 * Knows neither what requests mean (exchange) nor whose library parses them
 * (engine). A connection that has been answered past the library is DEAD, and
 * whatever the library still says of it is nobody's business.
 */
#include "rest/http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/conf.h"
#include "rest/conn.h"
#include "rest/engine.h"
#include "rest/exchange.h"
#include "rest/front.h"
#include "rest/patience.h"

struct http {
	struct rest *rest;
	struct engine *plain, *tls;
	struct patience patience;
	unsigned pages; /* sent by the library, not yet closed */
	bool stopping;
};

struct patience *
http_patience(const struct rest *rest)
{
	return &rest->http->patience;
}

int
http_add(struct conn *conn)
{
	struct http *http = conn->rest->http;

	if (engine_add(conn->tls ? http->tls : http->plain, conn) == -1)
		return -1;
	conn->phase = CONN_IDLE;
	patience_receive(conn, clock_now_ns());
	return 0;
}

/* ---- what the engine brings */

void
http_on_target(struct conn *conn, const char *target)
{
	struct rest *rest = conn->rest;

	if (conn->phase != CONN_IDLE)
		return;
	exchange_begin(conn, target);
	conn->phase = CONN_HEAD;
	conn->open = true;
	/* The first request's time runs since its first byte. */
	if (conn->used)
		patience_receive(conn, rest->now_ns);
	conn->used = true;
}

static int
http_reply(struct conn *conn)
{
	struct rest *rest = conn->rest;
	int queued;

	/* Its next request may be on its way already. */
	if (rest->draining && !conn->last)
		conn->last = conn->linger = true;
	queued = engine_queue(conn, &conn->ex.reply);
	exchange_replied(conn);
	conn->phase = CONN_ANSWER;
	rest->answering++;
	deadline_add(&rest->http->patience.sending, &conn->deadline,
	    rest->now_ns);
	return queued;
}

static int
http_follow(struct conn *conn, enum exchange_next next)
{
	switch (next) {
	case EXCHANGE_RECEIVE:
		return 0;
	case EXCHANGE_REPLY:
		return http_reply(conn);
	case EXCHANGE_WAIT:
		conn->phase = CONN_WAIT;
		deadline_del(&conn->deadline);
		engine_suspend(conn);
		return 0;
	case EXCHANGE_REFUSE:
		if (!conn->tls)
			conn_say(conn);
		return -1;
	case EXCHANGE_AGAIN:
	case EXCHANGE_CLOSE:
		break;
	}
	conn->phase = CONN_DEAD;
	return -1;
}

void
http_resume(struct conn *conn, enum exchange_next next)
{
	conn->rest->now_ns = clock_now_ns();
	if (next == EXCHANGE_AGAIN)
		conn->phase = CONN_BODY;
	else
		http_follow(conn, next);
	engine_resume(conn);
}

int
http_on_request(struct conn *conn, const char *method, const char *path,
    const char *version, const char *part, size_t len)
{
	if (conn->phase == CONN_HEAD) {
		conn->phase = CONN_BODY;
		len = engine_fields(conn, method, path, version);
		return http_follow(conn,
		    exchange_head(conn, method, path,
			(unsigned)(version[7] - '0'), len));
	}
	if (conn->phase != CONN_BODY)
		return -1;
	if (len > 0)
		return http_follow(conn, exchange_body(conn, part, len));
	return http_follow(conn, exchange_serve(conn));
}

static const char *
http_outcome(const struct conn *conn, enum http_end end)
{
	if (end == HTTP_END_WHOLE || conn->phase == CONN_DEAD)
		return conn->ex.outcome;
	if (end == HTTP_END_STOPPED)
		return "the worker ended";
	if (end == HTTP_END_SLOW)
		return "the client took no more of its answer";
	if (conn->phase == CONN_ANSWER)
		return "the client went away before its answer was out";
	return "the request did not come whole";
}

void
http_on_completed(struct conn *conn, enum http_end end)
{
	struct rest *rest = conn->rest;

	if (!conn->open)
		return;
	conn->open = false;
	exchange_end(conn, http_outcome(conn, end));
	if (conn->slow)
		engine_timeout(conn, 0);
	conn->slow = false;
	if (conn->phase == CONN_ANSWER)
		rest->answering--;
	if (conn->phase == CONN_DEAD)
		return;
	if (end != HTTP_END_WHOLE)
		conn->last = true;
	conn->phase = CONN_IDLE;
	deadline_add(&rest->http->patience.idle, &conn->deadline, rest->now_ns);
}

void
http_on_closed(struct conn *conn)
{
	struct http *http = conn->rest->http;
	int fd = -1;

	deadline_del(&conn->deadline);
	if (!http->stopping && conn_was_garbage(conn)) {
		if (http->pages > 0)
			http->pages--; /* it was told so, if not by us */
		else
			front_say(conn, 400, "this is no request line", false);
		conn->linger = true;
	}
	/* The library closes its descriptor; with a second one the socket
	 * lives on. */
	if (conn->linger && !http->stopping)
		fd = fcntl(conn->fd, F_DUPFD_CLOEXEC, 0);
	conn->http = NULL;
	conn->fd = fd;
	if (fd != -1)
		front_linger(conn);
	else
		front_forget(conn);
}

void
http_on_page(struct rest *rest, int status)
{
	struct http *http = rest->http;
	struct conn *conn;
	const char *detail = "the request is malformed";

	if (http == NULL || http->stopping)
		return;
	conn = patience_suspect(&http->patience, status, clock_now_ns());
	if (conn == NULL) {
		http->pages++;
		return;
	}
	if (status == 413)
		detail = "the body is too large";
	else if (status == 414)
		detail = "the request target is too long";
	else if (status == 431)
		detail = "the header fields are too large";
	else if (status == 505)
		detail = "this is an HTTP/1.1 server";
	patience_refuse(conn, status, detail);
}

/* ---- start and stop */

static int64_t
http_before_wait(void *ctx)
{
	struct http *http = ctx;
	int64_t plain = engine_due(http->plain);
	int64_t tls = engine_due(http->tls);

	front_take_turns(http->rest);
	return plain < tls ? plain : tls;
}

static int
http_watch(struct rest *rest, struct engine *engine, struct why *why)
{
	if (engine != NULL && engine_watch(engine, rest->loop) == -1)
		return why_set(why, "cannot watch libmicrohttpd: %s",
		    strerror(errno));
	return 0;
}

int
http_start(struct rest *rest, struct why *why)
{
	struct http *http = mem_alloc(sizeof(*http));
	bool tls = rest->conf->tls_certificate != NULL;

	rest->http = http;
	http->rest = rest;
	patience_init(&http->patience, rest);
	http->plain = engine_new(rest, rest->conf, false, why);
	if (http->plain == NULL)
		return -1;
	if (tls)
		http->tls = engine_new(rest, rest->conf, true, why);
	if (tls && http->tls == NULL)
		return -1;
	if (http_watch(rest, http->plain, why) == -1 ||
	    http_watch(rest, http->tls, why) == -1)
		return -1;
	rest->loop->before_wait = http_before_wait;
	rest->loop->before_wait_ctx = http;
	return 0;
}

void
http_stop(struct rest *rest)
{
	struct http *http = rest->http;

	if (http == NULL)
		return;
	rest->loop->before_wait = NULL;
	http->stopping = true;
	engine_free(http->plain);
	engine_free(http->tls);
	patience_release(rest, &http->patience);
	free(http);
	rest->http = NULL;
}

void
http_drain(struct rest *rest)
{
	patience_drain(&rest->http->patience);
}

void
http_check(const struct conf *conf, struct conf_errors *errors)
{
	struct engine *engine;
	struct why why;

	if (conf->tls_certificate == NULL)
		return;
	engine = engine_new(NULL, conf, true, &why);
	if (engine == NULL)
		conf_errors_add(errors, "%s: %s", conf->file, why.text);
	engine_free(engine);
}
