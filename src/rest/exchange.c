/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exchange - one request from its target to its answer.
 *
 *   begin ─► head ─► body … body ─► serve ─► replied ─► end
 *              │                      ▲  │
 *              └─ decided already ────┘  └ inline, relay or jobs make the reply
 *                 (a small body is dropped on the way, so that the connection
 *                 can go on)
 *
 * Called by http only. Everything a handler gets to see has been checked here;
 * every limit on a request that does not depend on time is kept here. Holds the
 * memory of a request: it grows with what has come, never with what was
 * announced.
 */
#include "rest/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/child.h"
#include "core/conf.h"
#include "rest/access.h"
#include "rest/inline.h"
#include "rest/jobs.h"
#include "rest/relay.h"
#include "rest/submit.h"
#include "rest/uri.h"

/* A body that is not wanted is read up to here to keep the connection. */
#define DROP_MAX ((size_t)65536)
/* The largest step into memory that only an announced length asks for. */
#define BODY_TRUST ((size_t)65536)
#define BODY_FIRST ((size_t)4096)

/* A value that was made for a handler and lives as long as the request. */
struct kept {
	struct kept *next;
	char text[];
};

/* ---- replies */

bool
exchange_is_head(const struct exchange *ex)
{
	return ex->method != NULL && strcmp(ex->method, "HEAD") == 0;
}

void
exchange_problem(struct conn *conn, int status, const char *detail)
{
	struct exchange *ex = &conn->ex;
	struct problem problem = {
		.status = status,
		.detail = detail,
		.instance = status != 414 ? ex->path : NULL,
	};

	if (ex->id[0] == '\0')
		call_make_id(NULL, ex->id);
	problem.id = ex->id;
	free(ex->reply.body);
	ex->reply.status = status;
	ex->reply.detail = detail;
	ex->reply.type = PROBLEM_TYPE;
	ex->reply.body = problem_body(&problem, &ex->reply.len);
	ex->decided = true;
}

static void
exchange_retry_after(struct exchange *ex, int64_t ns)
{
	snprintf(ex->retry_after, sizeof(ex->retry_after), "%lld",
	    (long long)problem_seconds(ns));
	ex->reply.retry_after = ex->retry_after;
}

void
exchange_problem_later(struct conn *conn, const char *detail,
    int64_t retry_after_ns)
{
	exchange_problem(conn, 503, detail);
	exchange_retry_after(&conn->ex, retry_after_ns);
}

char *
exchange_answer(struct conn *conn, size_t *len)
{
	struct exchange *ex = &conn->ex;
	struct problem problem = {
		.status = ex->reply.status,
		.detail = ex->reply.detail,
		.instance = ex->path,
		.id = ex->id,
		.retry_after_ns = conn->rest->conf->rest.retry_after,
	};

	return problem_answer(&problem, exchange_is_head(ex), len);
}

void
exchange_replied(struct conn *conn)
{
	struct exchange *ex = &conn->ex;

	ex->status = ex->reply.status;
	ex->sent = exchange_is_head(ex) || ex->status == 204 ||
		ex->status == 304 ?
	    0 :
	    ex->reply.len;
	ex->reply.body = NULL;
	if (ex->reply.with != NULL)
		call_result_release(ex->reply.with);
	ex->reply.with = NULL;
}

/* ---- the head */

static void
exchange_take_query(struct exchange *ex, const char *query)
{
	size_t len = strlen(query);
	ssize_t n;

	if (len == 0)
		return;
	ex->query = mem_try_alloc(QUERY_ROOM(len));
	n = ex->query != NULL ? query_decode(ex->query, query, len) : -1;
	if (n == -1)
		head_bad(&ex->head, 400,
		    "the query is not valid: a %-encoding "
		    "is broken, or a control byte or what is not UTF-8 is in "
		    "it");
	else
		ex->query_len = (size_t)n;
}

void
exchange_begin(struct conn *conn, const char *target)
{
	struct exchange *ex = &conn->ex;
	const char *query;

	head_init(&ex->head);
	ex->method = ex->path = NULL;
	ex->match.route = NULL;
	ex->target_len = strlen(target);
	ex->query_len = ex->body_len = ex->body_size = ex->dropped = 0;
	ex->decided = false;
	ex->status = 0;
	ex->sent = 0;
	ex->id[0] = '\0';
	ex->reply = (struct reply){ 0 };
	ex->outcome = NULL;
	conn->waiting.tries = 0;
	ex->started_ns = conn->rest->now_ns;
	if (conn->rest->conf->log.access)
		ex->started_ns = clock_now_ns();

	head_target(&ex->head, target, ex->target_len, &conn->rest->limits);
	if (ex->head.status != 0)
		return;
	query = strchr(target, '?');
	if (query != NULL)
		exchange_take_query(ex, query + 1);
}

/* application/json, or anything that ends in +json (RFC 6839). */
static bool
is_json_type(const char *type)
{
	size_t len = strcspn(type, "; \t");

	return (len == 16 && strncasecmp(type, "application/json", 16) == 0) ||
	    (len > 5 && strncasecmp(type + len - 5, "+json", 5) == 0);
}

static bool
exchange_has_body(const struct exchange *ex)
{
	return ex->head.chunked || ex->head.length > 0;
}

/* A route fits; does the request fit the route? */
static void
exchange_fit(struct conn *conn)
{
	struct exchange *ex = &conn->ex;
	const struct head *head = &ex->head;

	ex->max_body = ex->match.route->max_body;
	if (head->length > 0 && (uint64_t)head->length > ex->max_body) {
		exchange_problem(conn, 413, "the body is too large");
	} else if (head->coding != NULL) {
		exchange_problem(conn, 415, "no content coding is understood");
		ex->reply.identity = true;
	} else if (ex->match.route->json && exchange_has_body(ex) &&
	    (head->type == NULL || !is_json_type(head->type))) {
		exchange_problem(conn, 415,
		    "the body must be application/json");
	}
}

static char *
exchange_scratch(struct exchange *ex, size_t len)
{
	ex->scratch = ex->small;
	if (ROUTE_SCRATCH(len) > sizeof(ex->small))
		ex->scratch = mem_alloc(ROUTE_SCRATCH(len));
	return ex->scratch;
}

/* What is it about? Leaves a reply where there is no handler to ask. */
static void
exchange_route(struct conn *conn)
{
	struct exchange *ex = &conn->ex;
	const char *path = uri_target_path(ex->path);
	enum route_result result = ROUTE_BAD_PATH;

	if (path != NULL) {
		ex->path = path;
		result = route_find(conn->rest->routes, ex->method, path,
		    exchange_scratch(ex, strlen(path)), &ex->match);
	}
	switch (result) {
	case ROUTE_FOUND:
		exchange_fit(conn);
		return;
	case ROUTE_OPTIONS:
		ex->decided = true;
		ex->reply.status = 204;
		break;
	case ROUTE_NOT_FOUND:
		exchange_problem(conn, 404, "nothing is here");
		break;
	case ROUTE_NOT_ALLOWED:
		exchange_problem(conn, 405, "the method is not allowed here");
		break;
	case ROUTE_UNKNOWN_METHOD:
		exchange_problem(conn, 501, "the method is not known");
		break;
	case ROUTE_BAD_PATH:
		exchange_problem(conn, 400,
		    "the path is not valid: a "
		    "%-encoding is broken, or a control byte or what is not "
		    "UTF-8 is in it");
		break;
	}
	if (result == ROUTE_OPTIONS || result == ROUTE_NOT_ALLOWED)
		ex->reply.allow = route_allow(ex->match.allow, ex->allow);
}

enum exchange_next
exchange_head(struct conn *conn, const char *method, const char *path,
    unsigned minor, size_t fields_len)
{
	struct exchange *ex = &conn->ex;
	struct head *head = &ex->head;

	ex->method = method;
	ex->path = path;
	head_method(head, method, strlen(method));
	if (fields_len > conn->rest->limits.max_header)
		head_bad(head, 431, "the header fields are too large");
	head_finish(head, minor);
	call_make_id(head->id, ex->id);
	conn->last = head->close || (minor == 0 && !head->keep);

	if (head->status != 0) {
		exchange_problem(conn, head->status, head->detail);
		conn->last = conn->linger = true;
		return EXCHANGE_REPLY;
	}
	exchange_route(conn);
	if (!ex->decided || !exchange_has_body(ex))
		return EXCHANGE_RECEIVE;
	if (!head->expect && ex->reply.status != 413 &&
	    head->length <= (int64_t)DROP_MAX)
		return EXCHANGE_RECEIVE;
	conn->last = conn->linger = true;
	return EXCHANGE_REPLY;
}

/* ---- the body */

static int
body_reserve(struct exchange *ex, size_t len)
{
	size_t size = ex->body_size, need = ex->body_len + len + 1;
	char *body;

	if (need <= size)
		return 0;
	if (size == 0) {
		size = BODY_FIRST;
		if (ex->head.length > 0)
			size = (uint64_t)ex->head.length < BODY_TRUST ?
			    (size_t)ex->head.length + 1 :
			    BODY_TRUST;
	}
	while (size < need)
		size = size > SIZE_MAX / 2 ? need : size * 2;
	if (size - 1 > ex->max_body)
		size = ex->max_body + 1;
	body = realloc(ex->body, size);
	if (body == NULL)
		return -1;
	ex->body = body;
	ex->body_size = size;
	return 0;
}

/*
 * Nobody can be told in the middle of a TLS stream, so over TLS as much again
 * as any body may have is read to get to its end.
 */
static enum exchange_next
exchange_drop(struct conn *conn, size_t len)
{
	size_t max = DROP_MAX;

	if (conn->tls)
		max += conn->rest->conf->rest.max_body;
	conn->ex.dropped += len;
	return conn->ex.dropped > max ? EXCHANGE_REFUSE : EXCHANGE_RECEIVE;
}

enum exchange_next
exchange_body(struct conn *conn, const char *part, size_t len)
{
	struct exchange *ex = &conn->ex;

	if (ex->decided)
		return exchange_drop(conn, len);
	if (len > ex->max_body - ex->body_len) {
		exchange_problem(conn, 413, "the body is too large");
	} else if (body_reserve(ex, len) == -1) {
		exchange_problem_later(conn, "there is no memory for the body",
		    conn->rest->conf->rest.retry_after);
	} else {
		memcpy(ex->body + ex->body_len, part, len);
		ex->body_len += len;
		ex->body[ex->body_len] = '\0';
		return EXCHANGE_RECEIVE;
	}
	return conn->tls ? EXCHANGE_RECEIVE : EXCHANGE_REFUSE;
}

void
exchange_drop_body(struct exchange *ex)
{
	free(ex->body);
	ex->body = NULL;
	ex->body_len = ex->body_size = 0;
}

/* ---- serving */

const char *
exchange_keep(struct exchange *ex, const char *text, size_t len)
{
	struct kept *kept = mem_alloc(sizeof(*kept) + len + 1);

	memcpy(kept->text, text, len);
	kept->next = ex->kept;
	ex->kept = kept;
	return kept->text;
}

enum exchange_next
exchange_conclude(struct conn *conn, struct call_result *result)
{
	struct exchange *ex = &conn->ex;

	ex->reply.with = result;
	if (result->problem != NULL) {
		exchange_problem(conn, result->status, result->problem);
		ex->reply.detail = NULL; /* soon gone */
		if (result->status == 503)
			exchange_retry_after(ex, result->retry_after_ns);
		return EXCHANGE_REPLY;
	}
	ex->reply.status = result->status;
	ex->reply.type = result->type;
	ex->reply.body = result->body;
	ex->reply.len = result->body_len;
	result->body = NULL;
	return EXCHANGE_REPLY;
}

enum exchange_next
exchange_serve(struct conn *conn)
{
	const struct exchange *ex = &conn->ex;

	if (ex->decided)
		return EXCHANGE_REPLY;
	switch (ex->match.route->does) {
	case ROUTE_INLINE:
		return inline_serve(conn);
	case ROUTE_WAIT:
		if (!ex->head.prefer.respond_async)
			return relay_serve(conn);
		return submit_serve(conn);
	case ROUTE_JOB:
		return submit_serve(conn);
	case ROUTE_JOB_GET:
		return jobs_get(conn);
	case ROUTE_JOB_RESULT:
		return jobs_result(conn);
	case ROUTE_JOB_CANCEL:
		return jobs_cancel(conn);
	}
	return EXCHANGE_CLOSE;
}

/* ---- the end */

void
exchange_end(struct conn *conn, const char *outcome)
{
	struct exchange *ex = &conn->ex;
	struct kept *kept;

	access_log(conn, outcome);
	while ((kept = ex->kept) != NULL) {
		ex->kept = kept->next;
		free(kept);
	}
	if (ex->reply.with != NULL)
		call_result_release(ex->reply.with);
	if (ex->held != NULL)
		call_result_release(ex->held);
	free(ex->held);
	if (ex->scratch != ex->small)
		free(ex->scratch);
	free(ex->reply.body);
	free(ex->query);
	free(ex->body);
	ex->scratch = ex->query = ex->body = ex->reply.body = NULL;
	ex->reply.with = NULL;
	ex->held = NULL;
}
