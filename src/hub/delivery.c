/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * delivery - a broker's message as a job: how it comes in, and what each end of
 * it means. Called by peer.c (DELIVER) and work*.c (ends).
 *
 * Why what a message causes is done once, whoever dies when:
 *
 *   - All that a success causes, and the message's uid (seen), is one
 *     transaction. SETTLED leaves after it, the ack after that. So the broker
 *     forgets a message only when what it caused is committed (and on the disk,
 *     if there was anything), and what is committed is known by its uid.
 *   - The amqp child dies, or its connection: the broker delivers again what
 *     was not acked. Has it been done: SETTLED_SEEN. Does it run: the delivery
 *     joins it. Did it wait: it was forgotten, and is new.
 *   - The hub dies before the commit: nothing was done. The child sends DELIVER
 *     again, the worker brings its DONE, in whichever order; the hub knows from
 *     the scoreboard what runs. A DONE that nobody claims (the child died too)
 *     is STALE: its effects are not done, and the message runs again. After the
 *     commit: seen, for DELIVER and DONE alike.
 *   - The worker dies: the attempt is over, it was not committed. The next one
 *     is a message of its own: its row in the outbox and `seen` of this one are
 *     one transaction. DONE of an attempt that was given up: seen, so it is
 *     answered OK and its effects are not done. Died the hub too, the attempt
 *     is not counted.
 *   - The master dies, all die: as hub and child. A power cut: what was synced
 *     was synced before the ack; what was not has no effect but `seen`, and is
 *     either acked or delivered again.
 *   - Two deliveries with one message id (sent twice by a publisher who had no
 *     confirm): one job, or the second is seen; both are acked.
 *
 * All of it holds while a uid is remembered (amqp.remember, hub.remember), for
 * messages with an id in queues that deduplicate. Others are done at least
 * once: twice when the child dies between commit and ack.
 */
#include "hub/delivery.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/call.h"
#include "core/retry.h"
#include "core/uid.h"
#include "hub/effects_impl.h"
#include "hub/outbox.h"
#include "hub/peer.h"
#include "hub/seen.h"
#include "hub/work_impl.h"

/* Deliveries of one message at a time; the others are to come again. */
#define ASKERS_MAX 1000
#define ATTEMPTS_MAX 60000
/* Of bodies in memory: as much as tasks.cache, and a few of the largest. */
#define LARGEST 4
#define SCRATCH_KEEP ((size_t)1 << 18)

/* --- which message is it */

static const struct siphash_key *
delivery_key(struct hub *hub)
{
	static const char *const name[] = { "delivery.0", "delivery.1" };
	struct siphash_key *key = &hub->work->delivery_key;

	if (key->k0 != 0)
		return key;
	key->k0 = store_counter(hub->store, name[0]);
	key->k1 = store_counter(hub->store, name[1]);
	if (key->k0 != 0 && key->k1 != 0)
		return key;
	key->k0 = uid_token();
	key->k1 = uid_token();
	store_set_counter(hub->store, name[0], key->k0);
	store_set_counter(hub->store, name[1], key->k1);
	hub->sync |= work_is_durable(hub);
	return key;
}

static char *
put_text(char *at, struct msg_bytes text)
{
	memcpy(at, text.p, text.len);
	at[text.len] = '\0';
	return at + text.len + 1;
}

/* Of queue, message id, attempt, and how often an operator has sent it back. */
static uint64_t
delivery_uid(struct hub *hub, const struct conf_queue *queue,
    const struct msg_DELIVER *deliver, const struct msg_PUBLISH *publish)
{
	struct msg_bytes again = { "", 0 };
	char text[4 * 256], *at = text;
	uint64_t uid;

	msg_attr(publish->attrs, CALL_HEADER, RETRY_AGAIN, &again);
	if (again.len > 255)
		again.len = 255;
	at = put_text(at, msg_text(queue->name));
	at = put_text(at, publish->message_id);
	memcpy(at, &deliver->attempt, sizeof(deliver->attempt));
	at = put_text(at + sizeof(deliver->attempt), again);
	uid = siphash(delivery_key(hub), text, (size_t)(at - text)) & INT64_MAX;
	return uid != 0 ? uid : 1;
}

/* To make one costs no system call. */
uint64_t
delivery_token(struct hub *hub, uint64_t uid)
{
	return siphash(delivery_key(hub), &uid, sizeof(uid)) | 1;
}

/* --- who asks */

static bool
askers_add(struct item *item, uint64_t session, uint32_t request)
{
	struct asker *asker = NULL;
	int n = 0;

	if (item->session == 0) {
		item->session = session;
		item->request = request;
	}
	if (item->session == session && item->request == request)
		return true;
	LL_FOREACH(item->askers, asker)
	{
		if (asker->session == session && asker->request == request)
			return true;
		if (++n >= ASKERS_MAX)
			return false;
	}
	asker = mem_alloc(sizeof(*asker));
	asker->session = session;
	asker->request = request;
	LL_PREPEND(item->askers, asker);
	return true;
}

static void
askers_drop(struct item *item, uint64_t session)
{
	struct asker *asker = NULL, *next;

	LL_FOREACH_SAFE(item->askers, asker, next)
	{
		if (asker->session != session)
			continue;
		LL_DELETE(item->askers, asker);
		free(asker);
	}
	if (item->session != session)
		return;
	item->session = 0;
	asker = item->askers;
	if (asker == NULL)
		return;
	item->session = asker->session;
	item->request = asker->request;
	LL_DELETE(item->askers, asker);
	free(asker);
}

/* It is over: known as done, told to all that delivered it, forgotten. */
static void
delivery_settle(struct hub *hub, struct job *job, enum settled_how how)
{
	struct item *item = job->work;
	struct asker *asker = NULL;

	seen_add(hub, job->uid);
	if (item->session != 0)
		delivery_tell_settled(hub, item->session, item->request, how);
	LL_FOREACH(item->askers, asker)
	{
		delivery_tell_settled(hub, asker->session, asker->request, how);
	}
	waits_answer(hub, job);
	work_forget(hub, job);
}

/* Nobody asks, and nobody would know it again: it runs when it is delivered
 * again, and is not to come in two ways. */
static bool
delivery_is_orphan(const struct job *job)
{
	const struct item *item = job->work;

	return item->session == 0 && !item->by_id;
}

/* --- its ends */

bool
delivery_asks_reply(const struct job *job)
{
	const struct item *item = job->work;

	return item->asks_reply;
}

void
delivery_succeed(struct hub *hub, struct job *job, const struct msg_DONE *done)
{
	struct msg_SUBMIT submit;

	if (done->effects.len > 0)
		hub->sync |= work_is_durable(hub);
	job->state = JOB_SUCCEEDED;
	if (delivery_asks_reply(job) && item_submit(hub, job, &submit))
		follow_success(hub, job, &submit, done);
	delivery_settle(hub, job, SETTLED_DONE);
}

void
delivery_again(struct hub *hub, struct job *job, enum hub_code code,
    int64_t delay_ms, const char *why)
{
	const struct conf_queue *queue = lane_conf_queue(job->lane);
	struct msg_SUBMIT submit;
	char id[UID_TEXT_SIZE];

	(void)code;
	if (delivery_is_orphan(job)) {
		work_forget(hub, job);
		return;
	}
	log_info("message %s (%s) is to be tried again after attempt %u: %s",
	    uid_format(job->uid, job->token, id), lane_name(job->lane),
	    job->attempts, why);
	if (delay_ms < 0)
		delay_ms = retry_backoff_ms(hub->conf, queue, job->attempts);
	else
		delay_ms = retry_step_ms(hub->conf, queue, delay_ms);
	if (item_submit(hub, job, &submit))
		follow_retry(hub, job, &submit, queue, delay_ms);
	delivery_settle(hub, job, SETTLED_RETRY);
}

void
delivery_fail(struct hub *hub, struct job *job, enum job_state state,
    const struct msg_DONE *done, enum hub_code code, const char *why)
{
	unsigned status = done != NULL && done->problem.len > 0 ?
	    done->status :
	    (unsigned)hub_code_status(code);
	struct msg_SUBMIT submit;
	char id[UID_TEXT_SIZE];

	if (delivery_is_orphan(job)) {
		work_forget(hub, job);
		return;
	}
	if (state != JOB_CANCELLED)
		log_warning("message %s (%s) is %s after %u attempts: %s",
		    uid_format(job->uid, job->token, id), lane_name(job->lane),
		    job_state_name(state), job->attempts, why);
	job->state = state;
	if (item_submit(hub, job, &submit))
		follow_failure(hub, job, &submit, status, why);
	delivery_settle(hub, job, SETTLED_DEAD);
}

/* --- DELIVER */

static enum hub_code
delivery_room(struct hub *hub, const struct msg_DELIVER *deliver,
    struct why *why)
{
	const struct conf *conf = hub->conf;
	size_t most = LARGEST * conf->hub.max_message;
	const char *why_not;

	if (!store_has_room(hub->store, &why_not)) {
		why_set(why, "%s", why_not);
		return HUB_NO_SPACE;
	}
	if (!work_fits(hub, "message", deliver->publish.len,
		deliver->publish.len, why))
		return HUB_TOO_LARGE;
	if (most < conf->tasks.cache)
		most = conf->tasks.cache;
	if (hub->work->delivereds < (size_t)conf->tasks.max_waiting &&
	    hub->work->delivered_bytes + deliver->publish.len <= most)
		return HUB_OK;
	why_set(why, "%zu messages of the broker, %zu bytes, are here",
	    hub->work->delivereds, hub->work->delivered_bytes);
	return HUB_FULL;
}

static struct job *
delivery_add(struct hub *hub, size_t index, uint64_t uid,
    const struct msg_DELIVER *deliver, const struct msg_PUBLISH *publish)
{
	uint32_t before = deliver->attempt > 0 ? deliver->attempt - 1 : 0;
	struct msg_SUBMIT submit;
	struct job job = {
		.uid = uid,
		.token = delivery_token(hub, uid),
		.kind = JOB_DELIVERED,
		.state = JOB_QUEUED,
		.attempts = (uint16_t)(before < ATTEMPTS_MAX ? before :
							       ATTEMPTS_MAX),
		.redelivered = deliver->redelivered != 0,
		.due_ms = hub->wall_ms,
		.expires_ms = -1,
	};
	struct buf *attrs = &hub->work->attrs, *body = &hub->work->scratch;
	struct job *added;
	enum hub_code code;

	publish_job(hub, publish, index, attrs, &submit);
	submit.uid = uid;
	submit.token = job.token;
	submit.expires_ms = -1;
	job.lane = work_queue_lane(hub, index);
	job.priority = (uint8_t)submit.priority;
	added = jobs_add(hub->work->jobs, &job, &code);
	if (added == NULL) {
		log_error("a message finds no room in memory (%s)",
		    hub_code_name(code));
		abort();
	}
	msg_encode(body, MSG_SUBMIT, 0, &submit);
	item_set_body(hub, item_of(hub, added),
	    (struct msg_bytes){ body->data, body->len });
	buf_reuse(body, SCRATCH_KEEP);
	buf_reuse(attrs, SCRATCH_KEEP);
	return added;
}

static void
delivery_new(struct hub *hub, size_t index, uint64_t uid, struct peer *peer,
    uint32_t request, const struct msg_DELIVER *deliver,
    const struct msg_PUBLISH *publish)
{
	struct job *job = delivery_add(hub, index, uid, deliver, publish);
	struct item *item = job->work;
	struct why why;

	item->by_id = uid != deliver->uid;
	item->asks_reply = publish->reply_to.len > 0;
	askers_add(item, peer->session, request);
	if (deliver->refused.len == 0) {
		call_resume(hub, job);
		return;
	}
	why_set(&why, "%.*s",
	    (int)(deliver->refused.len < 400 ? deliver->refused.len : 400),
	    deliver->refused.p);
	hub->work->refusing = true;
	delivery_fail(hub, job, JOB_DEAD, NULL, HUB_BAD, why.text);
	hub->work->refusing = false;
}

static void
delivery_take(struct hub *hub, size_t index, struct peer *peer,
    uint32_t request, const struct msg_DELIVER *deliver,
    const struct msg_PUBLISH *publish)
{
	const struct conf_queue *queue = &hub->conf->queue.v[index];
	bool by_id = queue->deduplicate && publish->message_id.len > 0 &&
	    publish->message_id.len <= 255;
	uint64_t uid = by_id ? delivery_uid(hub, queue, deliver, publish) :
			       deliver->uid;
	struct job *job;
	struct why why;
	enum hub_code code;

	if (seen_has(hub, uid)) {
		delivery_tell_settled(hub, peer->session, request,
		    SETTLED_SEEN);
		return;
	}
	job = jobs_find(hub->work->jobs, uid);
	if (job != NULL && job->kind == JOB_DELIVERED) {
		if (!askers_add(job->work, peer->session, request))
			peer_fail(peer, request, HUB_FULL,
			    "the same message is here too often");
		return;
	}
	code = job != NULL ? HUB_CONFLICT : delivery_room(hub, deliver, &why);
	if (code != HUB_OK)
		peer_fail(peer, request, code, "%s",
		    job != NULL ? "the uid is a job's" : why.text);
	else
		delivery_new(hub, index, uid, peer, request, deliver, publish);
}

HUB_ON(DELIVER)
{
	size_t index = conf_find_queue(hub->conf, msg->queue);
	union msg part;

	/* HUB_BAD is the message's fault, and makes it a dead letter */
	if (peer->role != ROLE_AMQP || msg->uid == 0 ||
	    work_decode(msg->publish, MSG_PUBLISH, &part) < 0)
		peer_fail(peer, request, HUB_BAD,
		    "no message, or not of an amqp child");
	else if (hub->broker == NULL)
		peer_fail(peer, request, HUB_NOT_FOUND, "there is no broker");
	else if (index == hub->conf->queue.n ||
	    hub->conf->queue.v[index].handler[0] == '\0')
		peer_fail(peer, request, HUB_NOT_FOUND,
		    "no queue of that name has a handler here");
	else
		delivery_take(hub, index, peer, request, msg, &part.PUBLISH);
}

void
deliveries_on_peer_gone(struct hub *hub, struct peer *peer)
{
	struct item *item = NULL, *next;

	DL_FOREACH_SAFE2(hub->work->delivered, item, next, cache_next)
	{
		askers_drop(item, peer->session);
		if (item->session == 0 && item->job->state != JOB_RUNNING)
			work_forget(hub, item->job);
	}
}
