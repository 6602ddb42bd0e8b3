/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * work_answer - brood_request() over a broker: the message goes to the amqp
 * child that publishes (SEND with seq 0), and what comes of it back (ANSWER).
 *
 * Nothing of it is stored: an answer is worth something only while somebody
 * waits. A request while the broker is away is refused at once; while a child
 * just begins it waits, until its deadline. The child knows requests by their
 * uid: one that a new hub sends again is not published again, and an answer
 * that is here before the request is kept for ANSWER_NS. The child that it was
 * sent to gone, there is no answer.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/mem.h"
#include "brood.h"
#include "core/uid.h"
#include "hub/broker.h"
#include "hub/exchange.h"
#include "hub/peer.h"
#include "hub/work_impl.h"

#define ANSWER_NS (2 * NS_PER_S)
#define ANSWERS_MAX 1000
#define PROBLEM_TYPE "application/problem+json"

/* --- the answer */

/* The sentence of a problem object. */
static char *
problem_detail(struct msg_bytes body)
{
	json_t *problem = json_loadb(body.p, body.len, 0, NULL);
	const char *text = json_string_value(
	    json_object_get(problem, "detail"));
	char *copy;

	if (text == NULL)
		text = json_string_value(json_object_get(problem, "title"));
	copy = mem_strdup(text != NULL ? text : "the work has failed");
	json_decref(problem);
	return copy;
}

static bool
is_problem(const struct msg_ANSWER *answer)
{
	size_t len = strlen(PROBLEM_TYPE);

	return answer->status >= 400 && answer->type.len >= len &&
	    strncasecmp(answer->type.p, PROBLEM_TYPE, len) == 0;
}

static void
answer_pass(struct hub *hub, struct direct *direct,
    const struct msg_ANSWER *answer)
{
	struct peer *peer = peers_find(hub, direct->session);
	struct msg_RESULT result = {
		.outcome = BROOD_DONE,
		.status = answer->status,
		.type = answer->type,
		.headers = answer->headers,
		.body = answer->body,
	};
	char *detail = NULL;
	struct why why;

	if (answer->code != HUB_OK) {
		why_set(&why, "%.*s",
		    (int)(answer->why.len < 400 ? answer->why.len : 400),
		    answer->why.p);
		work_answer(hub, direct->session, direct->request,
		    answer->code < HUB_CODE_COUNT ?
			(enum hub_code)answer->code :
			HUB_BAD,
		    why.text);
	} else if (peer != NULL) {
		if (is_problem(answer)) {
			detail = problem_detail(answer->body);
			result = (struct msg_RESULT){
				.outcome = BROOD_REJECT,
				.status = answer->status,
				.problem = msg_text(detail),
			};
		}
		peer_send(peer, MSG_RESULT, direct->request, &result);
		free(detail);
	}
	direct_free(direct);
}

/* --- answers that nobody waits for yet */

static void
answer_free(struct hub *hub, struct answer *answer)
{
	DL_DELETE(hub->work->answers, answer);
	hub->work->answers_n--;
	free(answer->bytes);
	free(answer);
}

static void
answers_on_old(void *ctx)
{
	struct hub *hub = ctx;
	struct work *work = hub->work;

	hub_tick(hub);
	while (work->answers != NULL && work->answers->until_ns <= hub->now_ns)
		answer_free(hub, work->answers);
	if (work->answers != NULL)
		loop_timer_set(hub->loop, &work->answers_old,
		    work->answers->until_ns);
}

void
answers_start(struct hub *hub)
{
	loop_timer_init(&hub->work->answers_old, answers_on_old, hub);
}

void
answers_free(struct hub *hub)
{
	while (hub->work->answers != NULL)
		answer_free(hub, hub->work->answers);
	loop_timer_cancel(hub->loop, &hub->work->answers_old);
}

static void
answer_keep(struct hub *hub, const struct msg_ANSWER *msg)
{
	struct work *work = hub->work;
	struct answer *answer;
	struct buf bytes;

	if (work->answers_n >= ANSWERS_MAX)
		return;
	answer = mem_alloc(sizeof(*answer));
	buf_init(&bytes, SIZE_MAX - 1);
	msg_encode(&bytes, MSG_ANSWER, 1, msg);
	answer->uid = msg->uid;
	answer->until_ns = hub->now_ns + ANSWER_NS;
	answer->bytes = buf_detach(&bytes, &answer->len);
	DL_APPEND(work->answers, answer);
	work->answers_n++;
	if (!loop_timer_is_set(&work->answers_old))
		loop_timer_set(hub->loop, &work->answers_old, answer->until_ns);
}

/* Its answer was here first. */
static bool
answer_meets(struct hub *hub, struct direct *direct)
{
	struct answer *answer;
	union msg msg;

	DL_SEARCH_SCALAR(hub->work->answers, answer, uid, direct->uid);
	if (answer == NULL ||
	    work_decode((struct msg_bytes){ answer->bytes, answer->len },
		MSG_ANSWER, &msg) < 0)
		return false;
	answer_pass(hub, direct, &msg.ANSWER);
	answer_free(hub, answer);
	return true;
}

HUB_ON(ANSWER)
{
	struct direct *direct = direct_find(hub, msg->uid);

	if (hub->broker == NULL || peer->role != ROLE_AMQP) {
		peer_fail(peer, request, HUB_BAD, "nothing was asked of it");
		return;
	}
	if (direct != NULL)
		answer_pass(hub, direct, msg);
	else
		answer_keep(hub, msg);
	peer_send(peer, MSG_OK, request, &(struct msg_OK){ 0 });
}

/* --- the request */

static void
request_try(struct hub *hub, struct direct *direct)
{
	struct why why;
	struct peer *peer = broker_publisher(hub, &why);

	if (direct->publish == NULL)
		return;
	if (peer == NULL && broker_is_away(hub)) {
		work_answer(hub, direct->session, direct->request, HUB_GONE,
		    why.text);
		direct_free(direct);
		return;
	}
	if (peer == NULL)
		return;
	peer_send(peer, MSG_SEND, 0,
	    &(struct msg_SEND){
		.epoch = broker_epoch(hub),
		.uid = direct->uid,
		.deadline_ns = direct->deadline_ns,
		.what = { direct->publish, direct->publish_len },
	    });
	direct->sent_to = peer->session;
	free(direct->publish);
	direct->publish = NULL;
}

void
requests_on_publisher(struct hub *hub)
{
	struct direct *direct = NULL, *next;

	if (hub->work == NULL)
		return;
	HASH_ITER(hh, hub->work->directs, direct, next)
	{
		request_try(hub, direct);
	}
}

void
requests_on_peer_gone(struct hub *hub, struct peer *peer)
{
	struct direct *direct = NULL, *next;
	struct peer *again = peers_find(hub, peer->session);

	/* it is back, and remembers */
	if (hub->work == NULL || (again != NULL && again != peer))
		return;
	HASH_ITER(hh, hub->work->directs, direct, next)
	{
		if (direct->sent_to != peer->session)
			continue;
		work_answer(hub, direct->session, direct->request, HUB_GONE,
		    "the amqp child that had the request has ended");
		direct_free(direct);
	}
}

static enum hub_code
request_check(struct hub *hub, const struct msg_PUBLISH *publish,
    struct why *why)
{
	size_t *queue;
	int n;

	if (directs_are_full(hub, why))
		return HUB_FULL;
	if (!work_fits(hub, "message", msg_size(MSG_PUBLISH, publish),
		publish->body.len, why))
		return HUB_TOO_LARGE;
	queue = mem_array(hub->conf->queue.n + 1, sizeof(*queue));
	n = exchanges_route(hub->exchanges, publish->exchange, publish->key,
	    queue, why);
	free(queue);
	return n < 0 ? HUB_NOT_FOUND : HUB_OK;
}

void
request_send(struct hub *hub, struct peer *peer, uint32_t request,
    const struct msg_PUBLISH *said, int64_t deadline_ns)
{
	struct msg_PUBLISH publish = *said;
	struct direct *direct = direct_find(hub, said->uid);
	char id[UID_TEXT_SIZE];
	struct why why;
	struct buf bytes;
	enum hub_code code;

	if (direct != NULL) {
		direct->session = peer->session;
		direct->request = request;
		return;
	}
	code = request_check(hub, said, &why);
	if (code != HUB_OK) {
		peer_fail(peer, request, code, "%s", why.text);
		return;
	}
	if (publish.message_id.len == 0)
		publish.message_id = msg_text(
		    uid_format(said->uid, delivery_token(hub, said->uid), id));
	direct = direct_add(hub, said->uid, peer, request, deadline_ns);
	if (answer_meets(hub, direct))
		return;
	buf_init(&bytes, SIZE_MAX - 1);
	msg_encode(&bytes, MSG_PUBLISH, 0, &publish);
	direct->publish = buf_detach(&bytes, &direct->publish_len);
	request_try(hub, direct);
}
