/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * work_call - calls that somebody waits for: mode "wait" and broodctl call.
 *
 * A call is a job that is never stored. When the hub dies, whoever waits sends
 * CALL again, and the worker brings its DONE to the next hub, in whatever
 * order: a DONE that comes first is parked, a CALL that comes first finds that
 * a worker has it (dispatch). Effects are done once, for the uid is remembered.
 */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "brood.h"
#include "core/call.h"
#include "core/uid.h"
#include "hub/dispatch.h"
#include "hub/effects.h"
#include "hub/peer.h"
#include "hub/work_impl.h"

/* --- answers */

static void
call_answer(struct hub *hub, struct item *item, const struct msg_RESULT *result)
{
	struct peer *peer;

	if (item->fn != NULL) {
		item->fn(item->fn_ctx, result);
	} else if (item->session != 0) {
		peer = peers_find(hub, item->session);
		if (peer != NULL)
			peer_send(peer, MSG_RESULT, item->request, result);
	}
}

void
call_fail(struct hub *hub, struct job *job, enum hub_code code, const char *why)
{
	struct item *item = item_of(hub, job);

	if (item->abandoned)
		;
	else if (item->fn != NULL)
		item->fn(item->fn_ctx,
		    &(struct msg_RESULT){
			.outcome = BROOD_REJECT,
			.status = (uint32_t)hub_code_status(code),
			.problem = msg_text(why),
		    });
	else
		work_answer(hub, item->session, item->request, code, why);
	work_forget(hub, job);
}

static enum hub_code
call_effects(struct hub *hub, const struct msg_DONE *done, struct why *why)
{
	struct effects_result result;
	enum hub_code code;

	if (done->outcome != BROOD_DONE || done->effects.len == 0 ||
	    store_is_done(hub->store, done->uid))
		return HUB_OK;
	code = effects_apply(hub, done->effects, EFFECTS_NEW, &result, why);
	if (code == HUB_OK) {
		store_add_done(hub->store, done->uid, hub->wall_ms);
		hub->sync |= work_is_durable(hub);
	}
	return code;
}

void
call_done(struct hub *hub, struct job *job, const struct msg_DONE *done,
    uint64_t session, uint32_t request)
{
	struct item *item = item_of(hub, job);
	struct msg_RESULT result;
	struct why why = { "" };
	enum hub_code code;

	if (item->abandoned) {
		work_forget(hub, job);
		work_answer(hub, session, request, HUB_STALE,
		    "nobody waits for this call any more");
		return;
	}
	code = call_effects(hub, done, &why);
	if (code == HUB_CONFLICT && work_rerun(hub, job)) {
		work_answer(hub, session, request, code, why.text);
		return;
	}
	work_answer(hub, session, request, code, why.text);
	if (code != HUB_OK) {
		call_fail(hub, job, code, why.text);
		return;
	}
	result = work_result(done);
	call_answer(hub, item, &result);
	work_forget(hub, job);
}

/* --- DONE before its CALL */

void
call_park(struct hub *hub, struct peer *peer, uint32_t request,
    const struct msg_DONE *done)
{
	struct parked *parked = mem_alloc(sizeof(*parked));
	struct buf copy;

	buf_init(&copy, SIZE_MAX - 1);
	msg_encode(&copy, MSG_DONE, 1, done);
	parked->uid = done->uid;
	parked->session = peer->session;
	parked->request = request;
	parked->done = buf_detach(&copy, &parked->done_len);
	DL_APPEND(hub->work->parked, parked);
	hub->work->parkeds++;
	loop_timer_set(hub->loop, &hub->work->unpark, hub->work->park_until_ns);
}

static void
parked_free(struct hub *hub, struct parked *parked)
{
	DL_DELETE(hub->work->parked, parked);
	hub->work->parkeds--;
	free(parked->done);
	free(parked);
}

void
call_unpark(struct hub *hub)
{
	struct parked *parked;

	while ((parked = hub->work->parked) != NULL) {
		work_answer(hub, parked->session, parked->request, HUB_STALE,
		    "nobody waits for this");
		parked_free(hub, parked);
	}
}

/* Its DONE was here first. */
static bool
call_meet(struct hub *hub, struct job *job)
{
	struct parked *parked;
	union msg msg;

	DL_SEARCH_SCALAR(hub->work->parked, parked, uid, job->uid);
	if (parked == NULL)
		return false;
	if (work_decode((struct msg_bytes){ parked->done, parked->done_len },
		MSG_DONE, &msg) == 0 &&
	    work_adopt(hub, job, msg.DONE.attempt))
		work_done(hub, job, &msg.DONE, parked->session,
		    parked->request);
	else
		work_answer(hub, parked->session, parked->request, HUB_STALE,
		    "this attempt does not count");
	parked_free(hub, parked);
	return true;
}

/* --- CALL */

static enum hub_code
call_check(struct hub *hub, const struct msg_CALL *call, struct why *why)
{
	struct msg_SUBMIT submit = {
		.uid = call->uid,
		.handler = call->handler,
		.type = call->type,
		.body = call->body,
		.attrs = call->attrs,
		.path = call->path,
		.peer = call->peer,
		.id = call->id,
		.traceparent = call->traceparent,
	};
	struct work_new new = { JOB_CALL, -1, &submit, NULL };
	enum hub_code code = work_is_sane(hub, &new, why);

	if (code != HUB_OK)
		return code;
	if (call->door <= DOOR_NONE || call->door >= DOOR_COUNT) {
		why_set(why, "there is no door %u", call->door);
		return HUB_BAD;
	}
	if (call->deadline_ns <= hub->now_ns) {
		why_set(why, "its time was over before it began");
		return HUB_TIMEOUT;
	}
	if (jobs_calls(hub->work->jobs) >=
	    (size_t)hub->conf->tasks.max_waiting) {
		why_set(why, "%d calls wait (tasks.max_waiting)",
		    hub->conf->tasks.max_waiting);
		return HUB_FULL;
	}
	return HUB_OK;
}

static struct item *
call_add(struct hub *hub, const struct msg_CALL *call)
{
	int64_t left_ms = (call->deadline_ns - hub->now_ns) / NS_PER_MS;
	struct job job = {
		.uid = call->uid,
		.lane = work_lane(hub, call->handler),
		.kind = JOB_CALL,
		.state = JOB_QUEUED,
		.due_ms = hub->wall_ms,
		.expires_ms = left_ms > INT64_MAX / 2 ?
		    -1 :
		    hub->wall_ms + left_ms + 1,
	};
	enum hub_code code;
	struct job *added = jobs_add(hub->work->jobs, &job, &code);
	struct item *item;
	struct buf body;

	if (added == NULL) {
		log_error("a call finds no room in memory (%s)",
		    hub_code_name(code));
		abort();
	}
	item = item_of(hub, added);
	buf_init(&body, SIZE_MAX - 1);
	msg_encode(&body, MSG_CALL, 1, call);
	item_set_body(hub, item, (struct msg_bytes){ body.data, body.len });
	buf_release(&body);
	return item;
}

void
call_resume(struct hub *hub, struct job *job)
{
	if (!call_meet(hub, job))
		dispatch_resume(hub, job);
}

HUB_ON(CALL)
{
	struct job *job = jobs_find(hub->work->jobs, msg->uid);
	struct item *item;
	struct why why = { "" };
	enum hub_code code;

	if (job != NULL && job->kind == JOB_CALL) {
		item = item_of(hub, job);
		if (item->abandoned)
			dispatch_uncancel(hub, msg->uid);
		item->abandoned = false;
		item->session = peer->session;
		item->request = request;
		return;
	}
	code = job != NULL ? HUB_BAD : call_check(hub, msg, &why);
	if (code != HUB_OK) {
		peer_fail(peer, request, code, "%s",
		    job != NULL ? "the uid is a job's" : why.text);
		return;
	}
	item = call_add(hub, msg);
	item->session = peer->session;
	item->request = request;
	call_resume(hub, item->job);
}

uint64_t
work_call(struct hub *hub, const struct msg_CALL *call, work_result_fn *fn,
    void *ctx, enum hub_code *code, struct why *why)
{
	struct msg_CALL copy = *call;
	struct item *item;

	if (copy.uid == 0)
		copy.uid = uid_make();
	*code = call_check(hub, &copy, why);
	if (*code != HUB_OK)
		return 0;
	item = call_add(hub, &copy);
	item->fn = fn;
	item->fn_ctx = ctx;
	return copy.uid;
}

static void
call_abandon(struct hub *hub, struct item *item)
{
	struct job *job = item->job;

	item->fn = NULL;
	item->session = 0;
	if (job->state != JOB_RUNNING) {
		work_forget(hub, job);
		return;
	}
	item->abandoned = true;
	dispatch_cancel(hub, job->uid);
}

void
work_abandon(struct hub *hub, uint64_t uid)
{
	struct job *job = jobs_find(hub->work->jobs, uid);

	if (job != NULL && job->kind == JOB_CALL)
		call_abandon(hub, item_of(hub, job));
}

HUB_ON(ABANDON)
{
	struct job *job = jobs_find(hub->work->jobs, msg->uid);

	(void)request;
	if (job != NULL && job->kind == JOB_CALL &&
	    item_of(hub, job)->session == peer->session)
		work_abandon(hub, msg->uid);
}

void
calls_on_peer_gone(struct hub *hub, struct peer *peer)
{
	struct item *item, *next;
	struct direct *direct = NULL, *next_direct;

	DL_FOREACH_SAFE2(hub->work->calls, item, next, cache_next)
	if (item->session == peer->session)
		call_abandon(hub, item);
	HASH_ITER(hh, hub->work->directs, direct, next_direct)
	{
		if (direct->session == peer->session)
			direct_free(direct);
	}
}
