/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * work_follow - what the end of a job causes: the job for `then` or
 * `on_failure`, the reply to a message, its dead letter, its next attempt.
 *
 * Called by work_end.c and delivery.c, in the turn of the end, so all of it is
 * one transaction with it. Nothing of it is refused for want of room: the job
 * was accepted, and with it what comes of it.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "brood.h"
#include "core/call.h"
#include "core/retry.h"
#include "core/uid.h"
#include "hub/dispatch.h"
#include "hub/effects.h"
#include "hub/exchange.h"
#include "hub/outbox.h"
#include "hub/work_impl.h"

#define PROBLEM_TYPE "application/problem+json"

static struct msg_bytes
follow_property(const struct msg_SUBMIT *submit, const char *name)
{
	struct msg_bytes value = { "", 0 };

	msg_attr(submit->attrs, CALL_PROPERTY, name, &value);
	return value;
}

/* RFC 9457; the caller frees. */
static char *
follow_problem(const struct job *job, unsigned status, const char *why)
{
	char id[UID_TEXT_SIZE], *text;
	json_t *problem = json_pack("{s:s,s:s,s:i,s:s,s:s,s:i}", "type",
	    "about:blank", "title", "The work has failed", "status",
	    (int)status, "job", uid_format(job->uid, job->token, id), "state",
	    job_state_name(job->state), "attempts", (int)job->attempts);
	json_t *detail = json_string(why);

	json_object_set_new(problem, "detail",
	    detail != NULL ? detail : json_string("no UTF-8 text"));
	text = json_dumps(problem, JSON_COMPACT);
	json_decref(problem);
	return text;
}

/* Its number may be that of a job that the hub before us made in the same
 * millisecond. */
static void
follow_add(struct hub *hub, const struct work_new *new,
    struct msg_SUBMIT *submit)
{
	uint64_t token;
	bool existing;

	while (work_add(hub, new, NULL, &token, &existing) == HUB_OK &&
	    existing && token != submit->token)
		submit->uid = uid_make();
}

static void
follow_job(struct hub *hub, const struct job *job,
    const struct msg_SUBMIT *before, struct msg_bytes handler,
    struct msg_bytes type, struct msg_bytes body, const char *reason)
{
	char id[UID_TEXT_SIZE];
	struct buf attrs;
	struct why why;

	buf_init(&attrs, SIZE_MAX - 1);
	work_put_attr(&attrs, CALL_PROPERTY, "job",
	    msg_text(uid_format(job->uid, job->token, id)));
	if (reason != NULL)
		work_put_attr(&attrs, CALL_PROPERTY, "reason",
		    msg_text(reason));
	struct msg_SUBMIT next = {
		.uid = uid_make(),
		.token = uid_token(),
		.handler = handler,
		.type = type,
		.body = body,
		.attrs = { attrs.data, attrs.len },
		.priority = job->priority,
		.expires_ms = -1,
		.id = before->id,
		.traceparent = before->traceparent,
	};
	struct work_new new = { JOB_SUBMITTED, -1, &next, NULL };
	if (work_is_sane(hub, &new, &why) != HUB_OK)
		log_error("job %s: what is to follow cannot be: %s", id,
		    why.text);
	else
		follow_add(hub, &new, &next);
	buf_release(&attrs);
}

static void
put_header(struct buf *attrs, const char *name, const char *value)
{
	work_put_attr(attrs, CALL_HEADER, name, msg_text(value));
}

/* What the answer of a broker's message says beside its body. */
static void
reply_headers(const struct msg_RESULT *result, struct buf *attrs)
{
	char status[16];

	if (result->headers.len > 0)
		buf_append(attrs, result->headers.p, result->headers.len);
	snprintf(status, sizeof(status), "%u", result->status);
	put_header(attrs, RETRY_STATUS, status);
}

/* To whoever waits in brood_request(), or as a message. */
static bool
follow_reply(struct hub *hub, const struct job *job,
    const struct msg_SUBMIT *submit, const struct msg_RESULT *result,
    struct msg_bytes type, struct msg_bytes body)
{
	struct msg_bytes to = follow_property(submit, "reply_to");
	struct buf attrs;
	uint64_t uid;

	if (to.len == 0)
		return false;
	if (job->kind == JOB_MESSAGE && direct_parse(to, &uid)) {
		work_answer_request(hub, uid, result);
		return true;
	}
	buf_init(&attrs, SIZE_MAX - 1);
	if (hub->outbox != NULL)
		reply_headers(result, &attrs);
	effects_publish(hub,
	    &(struct msg_PUBLISH){
		.uid = uid_make(),
		.key = to,
		.type = type,
		.body = body,
		.ttl_ms = -1,
		.correlation_id = follow_property(submit, "correlation_id"),
		.attrs = { attrs.data, attrs.len },
		.id = submit->id,
		.traceparent = submit->traceparent,
	    });
	buf_release(&attrs);
	return false;
}

bool
follow_fits(struct hub *hub, const struct msg_SUBMIT *submit,
    const struct msg_DONE *done)
{
	return (submit->then.len == 0 &&
		   follow_property(submit, "reply_to").len == 0) ||
	    done->body.len + WORK_SLACK < hub->conf->hub.max_message;
}

static bool
is_message(const struct job *job)
{
	return job->kind == JOB_MESSAGE || job->kind == JOB_DELIVERED;
}

bool
follow_success(struct hub *hub, struct job *job,
    const struct msg_SUBMIT *submit, const struct msg_DONE *done)
{
	struct msg_RESULT result = work_result(done);

	if (submit->then.len > 0)
		follow_job(hub, job, submit, submit->then, done->type,
		    done->body, NULL);
	if (!is_message(job))
		return false;
	/* a brood_request() may ask the next hub for it again */
	return !follow_reply(hub, job, submit, &result, done->type, done->body);
}

static const char *
death_word(struct hub *hub, const struct job *job, const char *why)
{
	if (hub->work->dropping)
		return "maxlen";
	if (hub->work->refusing)
		return "undecodable";
	if (strncmp(why, "expired", 7) == 0)
		return "expired";
	return job->state == JOB_FAILED ? "rejected" : "dead";
}

/* The headers of the message, without those of an earlier death; and for a
 * broker, which gives it to us under another key, the first one. */
static void
follow_headers(const struct job *job, const struct msg_SUBMIT *submit,
    struct buf *attrs)
{
	struct msg_bytes exchange = follow_property(submit, "exchange");
	enum msg_id id;
	union msg msg;
	size_t at = 0;

	while (
	    msg_part(submit->attrs, &at, MSG_ID_BIT(ATTR), &id, &msg, NULL) > 0)
		if (msg.ATTR.what == CALL_RAW ||
		    (msg.ATTR.what == CALL_HEADER &&
			!msg_begins(msg.ATTR.name, DEATH_HEADERS)))
			msg_encode(attrs, MSG_ATTR, 0, &msg.ATTR);
	if (job->kind != JOB_DELIVERED || exchange.len == 0)
		return;
	work_put_attr(attrs, CALL_HEADER, RETRY_EXCHANGE, exchange);
	work_put_attr(attrs, CALL_HEADER, RETRY_KEY,
	    follow_property(submit, "routing_key"));
}

/* It once more, with these headers, to nobody yet. */
static struct msg_PUBLISH
follow_message(const struct job *job, const struct msg_SUBMIT *submit,
    const struct buf *attrs)
{
	return (struct msg_PUBLISH){
		.uid = uid_make(),
		.type = submit->type,
		.body = submit->body,
		.priority = job->priority,
		.ttl_ms = -1,
		.message_id = follow_property(submit, "message_id"),
		.correlation_id = follow_property(submit, "correlation_id"),
		.attrs = { attrs->data, attrs->len },
		.id = submit->id,
		.traceparent = submit->traceparent,
	};
}

/* And why it died. */
static void
letter_headers(struct hub *hub, const struct job *job,
    const struct msg_SUBMIT *submit, const char *queue, const char *why,
    struct buf *attrs)
{
	char text[CLOCK_TEXT_SIZE], host[256] = "";

	follow_headers(job, submit, attrs);
	put_header(attrs, DEATH_REASON, death_word(hub, job, why));
	put_header(attrs, DEATH_DETAIL, why);
	put_header(attrs, DEATH_QUEUE, queue);
	snprintf(text, sizeof(text), "%u", job->attempts);
	put_header(attrs, DEATH_ATTEMPTS, text);
	put_header(attrs, DEATH_TIME,
	    clock_format_wall(hub->wall_ms * NS_PER_MS, text));
	if (gethostname(host, sizeof(host) - 1) == 0)
		put_header(attrs, DEATH_HOST, host);
	if (msg_begins(msg_text(why), WORK_KILLED))
		put_header(attrs, DEATH_SIGNAL, why + strlen(WORK_KILLED));
}

/* The message that a full queue let go would come back to it for ever. */
static bool
letter_circles(struct hub *hub, const struct conf_queue *queue,
    struct msg_bytes key)
{
	size_t *to, n, i = 0;
	int routed;

	if (!hub->work->dropping)
		return false;
	to = mem_array(hub->conf->queue.n, sizeof(*to));
	routed = exchanges_route(hub->exchanges,
	    msg_text(queue->dead_letter_exchange), key, to, NULL);
	n = routed < 0 ? 0 : (size_t)routed;
	while (i < n && &hub->conf->queue.v[to[i]] != queue)
		i++;
	free(to);
	return i < n;
}

static bool
follow_letter(struct hub *hub, const struct job *job,
    const struct msg_SUBMIT *submit, const char *why)
{
	const struct conf_queue *queue = lane_conf_queue(job->lane);
	char name[RETRY_NAME_SIZE];
	struct msg_PUBLISH letter;
	struct msg_bytes key;
	struct buf attrs;
	size_t taken;

	if (queue == NULL ||
	    (queue->dead_letter_exchange[0] == '\0' &&
		job->kind != JOB_DELIVERED))
		return false;
	if (queue->dead_letter_exchange[0] == '\0')
		key = msg_text(retry_dead_name(queue, name));
	else if (queue->dead_letter_key[0] != '\0')
		key = msg_text(queue->dead_letter_key);
	else
		key = follow_property(submit, "routing_key");
	if (letter_circles(hub, queue, key))
		return false;
	buf_init(&attrs, SIZE_MAX - 1);
	letter_headers(hub, job, submit, queue->name, why, &attrs);
	letter = follow_message(job, submit, &attrs);
	letter.exchange = msg_text(queue->dead_letter_exchange);
	letter.key = key;
	taken = effects_publish(hub, &letter);
	buf_release(&attrs);
	return taken > 0;
}

bool
follow_failure(struct hub *hub, struct job *job,
    const struct msg_SUBMIT *submit, unsigned status, const char *why)
{
	struct msg_RESULT result = {
		.outcome = BROOD_REJECT,
		.status = status,
		.problem = msg_text(why),
	};
	char *problem = follow_problem(job, status, why);
	bool asked = false, moved = false;

	if (submit->on_failure.len > 0 && job->state != JOB_CANCELLED)
		follow_job(hub, job, submit, submit->on_failure,
		    msg_text(PROBLEM_TYPE), msg_text(problem), why);
	if (is_message(job)) {
		asked = follow_reply(hub, job, submit, &result,
		    msg_text(PROBLEM_TYPE), msg_text(problem));
		if (job->state != JOB_CANCELLED)
			moved = follow_letter(hub, job, submit, why);
	}
	free(problem);
	return moved && !asked;
}

void
follow_retry(struct hub *hub, const struct job *job,
    const struct msg_SUBMIT *submit, const struct conf_queue *queue,
    int64_t step_ms)
{
	char name[RETRY_NAME_SIZE], attempt[16];
	struct msg_PUBLISH delayed;
	struct buf attrs;

	buf_init(&attrs, SIZE_MAX - 1);
	follow_headers(job, submit, &attrs);
	snprintf(attempt, sizeof(attempt), "%u", job->attempts + 1U);
	put_header(&attrs, RETRY_ATTEMPT, attempt);
	delayed = follow_message(job, submit, &attrs);
	delayed.key = msg_text(retry_name(queue, step_ms, name));
	delayed.reply_to = follow_property(submit, "reply_to");
	outbox_publish(hub, &delayed);
	buf_release(&attrs);
}
