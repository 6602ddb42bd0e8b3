/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * request - a table of requests by uid, each with its deadline, and the answers
 * that were given of late.
 *
 * Called by publish only. Bounded by tasks.max_waiting, as in the hub; of the
 * kept answers by their bytes, the oldest go first.
 */
#include "amqp/request.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/call.h"
#include "core/uid.h"

/* How long, and how much of it, an answer is kept for another hub. */
#define KEPT_NS (10 * NS_PER_S)
#define KEPT_BYTES ((size_t)(4 << 20))
/* The hub has given up by then. */
#define ANSWER_NS (5 * NS_PER_S)

struct request {
	struct requests *requests;
	uint64_t uid, token;
	int64_t deadline_ns;
	struct loop_timer timer;
	bool answered;
	struct buf answer; /* the ANSWER as a part, once answered */
	UT_hash_handle hh;
	struct request *prev, *next; /* of `waits` or of `kept` */
};

struct requests {
	struct amqp *amqp;
	struct request *all; /* by uid */
	struct request *waits;
	struct request *kept; /* answered, the oldest first */
	size_t waiting, kept_bytes;
};

struct requests *
requests_new(struct amqp *amqp)
{
	struct requests *requests = mem_alloc(sizeof(*requests));

	requests->amqp = amqp;
	return requests;
}

static void
request_free(struct request *request)
{
	struct requests *requests = request->requests;

	HASH_DEL(requests->all, request);
	if (request->answered) {
		DL_DELETE(requests->kept, request);
		requests->kept_bytes -= request->answer.len;
	} else {
		DL_DELETE(requests->waits, request);
		requests->waiting--;
	}
	loop_timer_cancel(requests->amqp->loop, &request->timer);
	buf_release(&request->answer);
	free(request);
}

void
requests_free(struct requests *requests)
{
	struct request *request = NULL, *next;

	HASH_ITER(hh, requests->all, request, next)
	{
		request_free(request);
	}
	free(requests);
}

static struct request *
request_find(const struct requests *requests, uint64_t uid)
{
	struct request *request;

	HASH_FIND(hh, requests->all, &uid, sizeof(uid), request);
	return request;
}

size_t
requests_waiting(const struct requests *requests)
{
	return requests->waiting;
}

/* ------------------------------------------------------------- answers */

static void
answer_told(void *ctx, enum msg_id id, const union msg *msg, enum hub_code code)
{
	(void)ctx;
	(void)code;
	if (id == MSG_FAIL)
		log_debug("the hub does not take an answer: %.*s",
		    (int)msg->FAIL.why.len, msg->FAIL.why.p);
}

/* False: it is larger than a frame. */
static bool
answer_send(struct requests *requests, const struct msg_ANSWER *answer)
{
	return hub_send(requests->amqp->hub, MSG_ANSWER, answer,
		   clock_now_ns() + ANSWER_NS, answer_told, NULL) != 0;
}

static void
answer_without(struct requests *requests, uint64_t uid, enum hub_code code,
    const char *why)
{
	answer_send(requests,
	    &(struct msg_ANSWER){ .uid = uid,
		.code = code,
		.why = msg_text(why) });
}

static void
request_keep(struct request *request, const struct msg_ANSWER *answer)
{
	struct requests *requests = request->requests;

	request->answered = true;
	DL_DELETE(requests->waits, request);
	requests->waiting--;
	DL_APPEND(requests->kept, request);
	/* one that is too large is known, but not what it said */
	msg_encode(&request->answer, MSG_ANSWER, 0, answer);
	requests->kept_bytes += request->answer.len;
	loop_timer_set(requests->amqp->loop, &request->timer,
	    clock_now_ns() + KEPT_NS);
	while (requests->kept_bytes > KEPT_BYTES)
		request_free(requests->kept);
}

static void
request_answer(struct request *request, const struct msg_ANSWER *answer)
{
	struct requests *requests = request->requests;
	struct msg_ANSWER failure = {
		.uid = request->uid,
		.code = HUB_TOO_LARGE,
		.why = msg_text("the answer is larger than hub.max_message"),
	};

	if (!answer_send(requests, answer)) {
		answer = &failure;
		answer_send(requests, answer);
	}
	request_keep(request, answer);
}

void
requests_fail(struct requests *requests, uint64_t uid, enum hub_code code,
    const char *why)
{
	struct request *request = request_find(requests, uid);

	if (request == NULL || request->answered)
		return;
	request_answer(request,
	    &(struct msg_ANSWER){ .uid = uid,
		.code = code,
		.why = msg_text(why) });
}

void
requests_fail_all(struct requests *requests, enum hub_code code,
    const char *why)
{
	while (requests->waits != NULL)
		requests_fail(requests, requests->waits->uid, code, why);
}

/* ------------------------------------------------------------ requests */

static void
request_on_time(void *ctx)
{
	struct request *request = ctx;
	request_free(request);
}

/* What was said, once more. */
static void
request_repeat(struct request *request)
{
	struct msg_bytes part = { request->answer.data, request->answer.len };
	enum msg_id id;
	union msg msg;
	size_t at = 0;

	if (msg_part(part, &at, MSG_ID_BIT(ANSWER), &id, &msg, NULL) == 1)
		answer_send(request->requests, &msg.ANSWER);
	else
		answer_without(request->requests, request->uid, HUB_GONE,
		    "the answer came, and went with a hub that died");
}

bool
requests_add(struct requests *requests, uint64_t uid, int64_t deadline_ns)
{
	struct request *request = request_find(requests, uid);

	if (request != NULL) {
		if (request->answered)
			request_repeat(request);
		return false;
	}
	if (requests->waiting >=
	    (size_t)requests->amqp->conf->tasks.max_waiting) {
		answer_without(requests, uid, HUB_FULL,
		    "too many requests wait for an answer of the broker "
		    "(tasks.max_waiting)");
		return false;
	}
	if (deadline_ns <= clock_now_ns())
		return false;
	request = mem_alloc(sizeof(*request));
	request->requests = requests;
	request->uid = uid;
	request->token = uid_token();
	request->deadline_ns = deadline_ns;
	buf_init(&request->answer, KEPT_BYTES / 4);
	loop_timer_init(&request->timer, request_on_time, request);
	loop_timer_set(requests->amqp->loop, &request->timer, deadline_ns);
	HASH_ADD(hh, requests->all, uid, sizeof(request->uid), request);
	DL_APPEND(requests->waits, request);
	requests->waiting++;
	return true;
}

const char *
requests_correlation(const struct requests *requests, uint64_t uid,
    char buf[REQUEST_CORRELATION_SIZE])
{
	const struct request *request = request_find(requests, uid);

	_Static_assert(REQUEST_CORRELATION_SIZE >= UID_TEXT_SIZE,
	    "a correlation id is a uid and a token");
	if (request == NULL || request->answered)
		return NULL;
	return uid_format(uid, request->token, buf);
}

static struct request *
request_of_reply(const struct requests *requests,
    const struct msg_PUBLISH *message)
{
	char text[REQUEST_CORRELATION_SIZE];
	struct request *request;
	uint64_t uid, token;

	if (message->correlation_id.len >= sizeof(text))
		return NULL;
	memcpy(text, message->correlation_id.p, message->correlation_id.len);
	text[message->correlation_id.len] = '\0';
	if (!uid_parse(text, &uid, &token))
		return NULL;
	request = request_find(requests, uid);
	if (request == NULL || request->answered || request->token != token)
		return NULL;
	return request;
}

/* The headers alone: what brood_answer shows. */
static void
reply_headers(struct msg_bytes attrs, struct buf *headers)
{
	enum msg_id id;
	union msg msg;
	size_t at = 0;

	while (msg_part(attrs, &at, MSG_ID_BIT(ATTR), &id, &msg, NULL) == 1)
		if (msg.ATTR.what == CALL_HEADER)
			msg_encode(headers, MSG_ATTR, 0, &msg.ATTR);
}

void
requests_on_reply(struct requests *requests, const struct rabbit_event *event)
{
	const struct msg_PUBLISH *message = &event->message;
	struct request *request = request_of_reply(requests, message);
	struct buf headers;

	if (request == NULL) {
		log_debug("a reply came that nobody waits for");
		return;
	}
	if (event->refused != NULL && event->refused[0] != '\0') {
		requests_fail(requests, request->uid, HUB_TOO_LARGE,
		    event->refused);
		return;
	}
	buf_init(&headers, SIZE_MAX - 1);
	reply_headers(message->attrs, &headers);
	request_answer(request,
	    &(struct msg_ANSWER){
		.uid = request->uid,
		.code = HUB_OK,
		.status = event->status,
		.type = message->type,
		.headers = { headers.data, headers.len },
		.body = message->body,
	    });
	buf_release(&headers);
}
