/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * jobs - shows, cancels and announces jobs.
 *
 * Called by exchange for rest.jobs_path/{id}, and by submit. The id of a job
 * has a part that nobody guesses, and whoever has it may ask; all others are
 * told 404 in the same words, whether the job never was, is forgotten or is
 * somebody else's.
 */
#include "rest/jobs.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/child.h"
#include "core/conf.h"
#include "core/uid.h"
#include "rest/exchange.h"
#include "rest/pattern.h"
#include "rest/relay.h"
#include "rest/waiting.h"

/* How much longer than it was asked to the hub may take. */
#define JOBS_SLACK_NS (5 * NS_PER_S)

static const char jobs_type[] = "application/json";

static const char *
state_name(enum job_state state)
{
	static const char *const name[JOB_STATE_COUNT] = {
#define JOB_STATE(id, name) [JOB_##id] = name,
		JOB_STATES
#undef JOB_STATE
	};

	return name[state];
}

/* ---- Prefer */

void
jobs_grant(struct conn *conn)
{
	struct prefer *applied = &conn->waiting.applied;
	int64_t most = conn->rest->conf->rest.request_timeout / NS_PER_S;

	*applied = conn->ex.head.prefer;
	if (applied->wait && applied->wait_s > most)
		applied->wait_s = (uint32_t)most;
}

int64_t
jobs_patience(const struct conn *conn, uint32_t wait_s)
{
	int64_t at = clock_now_ns() + JOBS_SLACK_NS;

	if (wait_s > 0)
		return at + (int64_t)wait_s * NS_PER_S;
	return at + conn->rest->conf->rest.request_timeout;
}

static void
jobs_applied(struct conn *conn)
{
	char buf[PREFER_SIZE];
	const char *applied = prefer_format(&conn->waiting.applied, buf);

	if (applied != NULL)
		applied = exchange_keep(&conn->ex, applied, strlen(applied));
	conn->ex.reply.applied = applied;
}

/* ---- replies */

/* Takes the reference. */
static enum exchange_next
jobs_reply(struct conn *conn, int status, json_t *json)
{
	struct reply *reply = &conn->ex.reply;

	reply->status = status;
	reply->type = jobs_type;
	reply->body = json_dumps(json, JSON_COMPACT);
	if (reply->body == NULL)
		reply->body = mem_strdup("{}");
	reply->len = strlen(reply->body);
	json_decref(json);
	return EXCHANGE_REPLY;
}

/* NULL where jobs have no address. */
static const char *
jobs_href(struct conn *conn, const char *id)
{
	const char *path = conn->rest->conf->rest.jobs_path, *kept;
	char *href;

	if (path[0] == '\0')
		return NULL;
	href = mem_printf("%s/%s", path, id);
	kept = exchange_keep(&conn->ex, href, strlen(href));
	free(href);
	return kept;
}

enum exchange_next
jobs_accept(struct conn *conn, enum job_state state)
{
	char id[UID_TEXT_SIZE];
	const char *href;
	json_t *json;

	uid_format(conn->waiting.job, conn->waiting.token, id);
	href = jobs_href(conn, id);
	conn->ex.reply.location = href;
	jobs_applied(conn);
	json = json_pack("{s:s,s:s,s:s*}", "id", id, "state", state_name(state),
	    "href", href);
	return jobs_reply(conn, 202, json);
}

enum exchange_next
jobs_conclude(struct conn *conn, const struct msg_JOB *job)
{
	struct msg_RESULT said = {
		.status = job->status,
		.type = job->type,
		.headers = job->headers,
		.body = job->body,
		.problem = job->problem,
	};

	jobs_applied(conn);
	if (job->state == JOB_SUCCEEDED) {
		/* it was too large to be kept */
		if (said.problem.len > 0 && said.status < 400)
			said.status = 410;
		return relay_conclude(conn, &said);
	}
	if (said.status < 400)
		said.status = job->state == JOB_CANCELLED ? 409 : 500;
	if (said.problem.len == 0)
		said.problem = msg_text(job->state == JOB_CANCELLED ?
			"the job was cancelled" :
			"the job has failed");
	return relay_conclude(conn, &said);
}

/* ---- one job */

static enum exchange_next
jobs_unknown(struct conn *conn)
{
	exchange_problem(conn, 404, "there is no such job");
	return EXCHANGE_REPLY;
}

static bool
is_json(struct msg_bytes type)
{
	return type.len >= sizeof(jobs_type) - 1 &&
	    strncasecmp(type.p, jobs_type, sizeof(jobs_type) - 1) == 0;
}

/* Its result, as far as it can be shown within JSON. */
static void
jobs_add_result(json_t *shown, const struct msg_JOB *job)
{
	json_t *result = NULL;

	if (job->state != JOB_SUCCEEDED || job->type.len == 0 ||
	    json_object_get(shown, "result") != NULL ||
	    json_object_get(shown, "result_bytes") != NULL)
		return;
	if (is_json(job->type))
		result = json_loadb(job->body.p, job->body.len,
		    JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	if (result != NULL)
		json_object_set_new(shown, "result", result);
	else
		json_object_set_new(shown, "result_bytes",
		    json_integer((json_int_t)job->body.len));
}

static enum exchange_next
jobs_show(struct conn *conn, const struct msg_JOB *job)
{
	char id[UID_TEXT_SIZE];
	json_t *shown = json_loadb(job->json.p, job->json.len, 0, NULL);
	const char *href;

	if (!json_is_object(shown)) {
		json_decref(shown);
		exchange_problem(conn, 500, "the job cannot be shown");
		return EXCHANGE_REPLY;
	}
	uid_format(conn->waiting.job, conn->waiting.token, id);
	href = jobs_href(conn, id);
	json_object_set_new(shown, "href", json_string(href));
	jobs_add_result(shown, job);
	jobs_applied(conn);
	return jobs_reply(conn, 200, shown);
}

static bool
job_is_there(const struct msg_JOB *job)
{
	return job->found != 0 && job->state < JOB_STATE_COUNT;
}

static enum exchange_next
jobs_got(struct conn *conn, const union msg *msg, enum hub_code code)
{
	if (code == HUB_NOT_FOUND ||
	    (code == HUB_OK && !job_is_there(&msg->JOB)))
		return jobs_unknown(conn);
	if (code != HUB_OK)
		return waiting_refused(conn, msg, code);
	return jobs_show(conn, &msg->JOB);
}

/* Its own reply, as if the client had waited for it. */
static enum exchange_next
jobs_got_result(struct conn *conn, const union msg *msg, enum hub_code code)
{
	if (code == HUB_OK && job_is_there(&msg->JOB))
		return job_is_finished(msg->JOB.state) ?
		    jobs_conclude(conn, &msg->JOB) :
		    jobs_accept(conn, msg->JOB.state);
	return jobs_got(conn, msg, code);
}

static enum exchange_next
jobs_cancelled(struct conn *conn, const union msg *msg, enum hub_code code)
{
	const struct msg_JOB *job = &msg->JOB;

	if (code == HUB_CONFLICT ||
	    (code == HUB_OK && job_is_there(job) &&
		job_is_finished(job->state) && job->state != JOB_CANCELLED)) {
		exchange_problem(conn, 409, "the job is finished");
		return EXCHANGE_REPLY;
	}
	return jobs_got(conn, msg, code);
}

/* Which job is it about? */
static bool
jobs_named(struct conn *conn)
{
	const char *id = route_param(&conn->ex.match, "id");

	return uid_parse(id, &conn->waiting.job, &conn->waiting.token);
}

static enum exchange_next
jobs_ask(struct conn *conn, waiting_fn *fn)
{
	struct waiting *waiting = &conn->waiting;
	struct msg_JOB_GET get = { 0 };

	if (!jobs_named(conn))
		return jobs_unknown(conn);
	if (!waiting_room(conn))
		return EXCHANGE_REPLY;
	jobs_grant(conn);
	waiting->applied.respond_async = false;
	get.uid = waiting->job;
	get.token = waiting->token;
	if (waiting->applied.wait)
		get.wait_ms = (int64_t)waiting->applied.wait_s * 1000;
	return waiting_ask(conn, MSG_JOB_GET, &get, MSG_JOB,
	    jobs_patience(conn, waiting->applied.wait_s), fn);
}

enum exchange_next
jobs_get(struct conn *conn)
{
	return jobs_ask(conn, jobs_got);
}

enum exchange_next
jobs_result(struct conn *conn)
{
	return jobs_ask(conn, jobs_got_result);
}

enum exchange_next
jobs_cancel(struct conn *conn)
{
	struct msg_JOB_CANCEL cancel = { 0 };

	if (!jobs_named(conn))
		return jobs_unknown(conn);
	if (!waiting_room(conn))
		return EXCHANGE_REPLY;
	conn->waiting.applied = (struct prefer){ 0 };
	cancel.uid = conn->waiting.job;
	cancel.token = conn->waiting.token;
	return waiting_ask(conn, MSG_JOB_CANCEL, &cancel, MSG_JOB,
	    jobs_patience(conn, 0), jobs_cancelled);
}

/* ---- where they are */

static int
jobs_add_route(struct route_table *table, const struct conf *conf,
    const char *method, const char *below, enum route_does does,
    struct why *why)
{
	char *pattern = mem_printf("%s/{id}%s", conf->rest.jobs_path, below);
	const struct route route = {
		.pattern = pattern,
		.does = does,
		.max_body = conf->rest.max_body,
	};
	int added = route_add(table, method, &route, why);

	free(pattern);
	return added;
}

int
jobs_add_routes(struct route_table *table, const struct conf *conf,
    struct why *why)
{
	const char *path = conf->rest.jobs_path;
	struct why reason;

	if (path[0] == '\0')
		return 0;
	if (path[strlen(path) - 1] == '/' || strchr(path, '{') != NULL)
		return why_set(why,
		    "rest.jobs_path is \"%s\", but must not end with a slash "
		    "nor have parameters: \"/jobs\" say",
		    path);
	if (jobs_add_route(table, conf, "GET", "", ROUTE_JOB_GET, &reason) ==
		-1 ||
	    jobs_add_route(table, conf, "GET", "/result", ROUTE_JOB_RESULT,
		&reason) == -1 ||
	    jobs_add_route(table, conf, "DELETE", "", ROUTE_JOB_CANCEL,
		&reason) == -1)
		return why_set(why, "rest.jobs_path: %s", reason.text);
	return 0;
}
