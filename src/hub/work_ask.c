/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * work_ask - what is asked about a job and ordered of it: how it is, with or
 * without waiting for its end, progress, cancel, retry.
 *
 * A job is found by its uid and shown to who knows its token. Whoever is told
 * of an end is told after an fsync: what was seen done stays done.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/uid.h"
#include "hub/dispatch.h"
#include "hub/peer.h"
#include "hub/work_impl.h"

#define MAX_NOTE 200
#define ASK_SLACK 256 /* of a frame, for what is neither text nor bytes */

/* --- JOB */

static void
ask_result(const struct stored_job *stored, struct msg_JOB *reply)
{
	union msg msg;

	if (!job_is_finished(stored->job.state) ||
	    work_decode((struct msg_bytes){ stored->done, stored->done_len },
		MSG_DONE, &msg) < 0)
		return;
	reply->status = msg.DONE.status;
	reply->type = msg.DONE.type;
	reply->headers = msg.DONE.headers;
	reply->body = msg.DONE.body;
	reply->problem = msg.DONE.problem;
}

/* Kept was what a worker could send, and the report comes on top of it. */
static void
ask_fit(struct hub *hub, struct msg_JOB *reply)
{
	size_t max = hub->conf->hub.max_message - ASK_SLACK;
	size_t rest = reply->type.len + reply->problem.len;

	if (reply->json.len + reply->headers.len + reply->body.len + rest <=
	    max)
		return;
	reply->headers = reply->body = (struct msg_bytes){ 0 };
	reply->problem = msg_text("the result is kept, but with what is said "
				  "of the job it is larger than "
				  "hub.max_message");
	if (reply->json.len + rest > max)
		reply->json = msg_text("{}");
}

static void
ask_reply(struct hub *hub, uint64_t session, uint32_t request, uint64_t uid)
{
	struct peer *peer = peers_find(hub, session);
	struct msg_JOB reply = { 0 };
	struct stored_job stored;
	struct job *job = jobs_find(hub->work->jobs, uid);
	json_t *report;
	char *text = NULL;

	if (peer == NULL)
		return;
	if (!store_find_job(hub->store, uid, &stored)) {
		peer_send(peer, MSG_JOB, request, &reply);
		return;
	}
	report = work_report(hub, uid, false);
	if (report != NULL)
		text = json_dumps(report, JSON_COMPACT);
	json_decref(report);
	reply.found = 1;
	reply.state = (uint8_t)(job != NULL ? job->state : stored.job.state);
	reply.json = msg_text(text);
	ask_result(&stored, &reply);
	ask_fit(hub, &reply);
	if (job_is_finished(reply.state))
		hub->sync |= work_is_durable(hub);
	peer_send(peer, MSG_JOB, request, &reply);
	stored_job_release(&stored);
	free(text);
}

static bool
ask_is_known(struct hub *hub, uint64_t uid, uint64_t token)
{
	struct job *job = jobs_find(hub->work->jobs, uid);
	struct stored_job stored;
	bool known;

	if (job != NULL)
		return job->kind != JOB_CALL && job->token == token;
	if (!store_find_job(hub->store, uid, &stored))
		return false;
	known = stored.job.token == token;
	stored_job_release(&stored);
	return known;
}

/* --- waiting for the end */

static void
wait_free(struct wait *wait)
{
	struct work *work = wait->hub->work;
	struct item *item = wait->job->work;

	DL_DELETE(item->waits, wait);
	loop_timer_cancel(wait->hub->loop, &wait->timer);
	work->waits--;
	free(wait);
}

static void
wait_on_time(void *ctx)
{
	struct wait *wait = ctx;
	struct hub *hub = wait->hub;

	hub_tick(hub);
	ask_reply(hub, wait->session, wait->request, wait->job->uid);
	wait_free(wait);
}

static void
wait_add(struct hub *hub, struct job *job, struct peer *peer, uint32_t request,
    int64_t wait_ms)
{
	struct wait *wait = mem_alloc(sizeof(*wait));

	wait->hub = hub;
	wait->job = job;
	wait->session = peer->session;
	wait->request = request;
	loop_timer_init(&wait->timer, wait_on_time, wait);
	if (wait_ms > INT64_MAX / 2 / NS_PER_MS)
		wait_ms = INT64_MAX / 2 / NS_PER_MS;
	loop_timer_set(hub->loop, &wait->timer,
	    hub->now_ns + wait_ms * NS_PER_MS);
	DL_APPEND(item_of(hub, job)->waits, wait);
	hub->work->waits++;
}

void
waits_answer(struct hub *hub, struct job *job)
{
	struct item *item = job->work;

	while (item != NULL && item->waits != NULL) {
		ask_reply(hub, item->waits->session, item->waits->request,
		    job->uid);
		wait_free(item->waits);
	}
}

void
waits_free(struct item *item)
{
	while (item->waits != NULL)
		wait_free(item->waits);
}

HUB_ON(JOB_GET)
{
	struct job *job = jobs_find(hub->work->jobs, msg->uid);

	if (!ask_is_known(hub, msg->uid, msg->token))
		peer_send(peer, MSG_JOB, request, &(struct msg_JOB){ 0 });
	else if (job == NULL || msg->wait_ms <= 0 ||
	    hub->work->waits >= (size_t)hub->conf->tasks.max_waiting)
		ask_reply(hub, peer->session, request, msg->uid);
	else
		wait_add(hub, job, peer, request, msg->wait_ms);
}

/* --- orders */

HUB_ON(JOB_CANCEL)
{
	enum hub_code code;

	if (!ask_is_known(hub, msg->uid, msg->token)) {
		peer_send(peer, MSG_JOB, request, &(struct msg_JOB){ 0 });
		return;
	}
	code = work_cancel(hub, msg->uid);
	if (code == HUB_CONFLICT)
		peer_fail(peer, request, code, "the job is finished");
	else
		ask_reply(hub, peer->session, request, msg->uid);
}

enum hub_code
work_cancel(struct hub *hub, uint64_t uid)
{
	struct job *job = jobs_find(hub->work->jobs, uid);
	struct stored_job stored;

	if (job == NULL) {
		if (!store_find_job(hub->store, uid, &stored))
			return HUB_NOT_FOUND;
		stored_job_release(&stored);
		return HUB_CONFLICT;
	}
	hub->sync |= work_is_durable(hub);
	if (job->state != JOB_RUNNING) {
		work_fail(hub, job, JOB_CANCELLED, NULL, HUB_CANCELLED,
		    "it was cancelled");
		return HUB_OK;
	}
	job->cancelled = true;
	if (work_is_stored(job)) {
		item_mark(hub, item_of(hub, job));
		store_update_job(hub->store, job, NULL);
	}
	dispatch_cancel(hub, uid);
	return HUB_OK;
}

/* Is there a place for it to wait in? */
static struct lane *
retry_lane(struct hub *hub, const struct stored_job *stored)
{
	return jobs_lane(hub->work->jobs, stored->lane);
}

enum hub_code
work_retry(struct hub *hub, uint64_t uid, struct why *why)
{
	struct stored_job stored;
	enum hub_code code = HUB_OK;
	struct job job, *added;

	if (jobs_find(hub->work->jobs, uid) != NULL) {
		why_set(why, "it is not finished");
		return HUB_CONFLICT;
	}
	if (!store_find_job(hub->store, uid, &stored)) {
		why_set(why, "there is no such job");
		return HUB_NOT_FOUND;
	}
	job = stored.job;
	if (job.state == JOB_SUCCEEDED) {
		why_set(why, "it has succeeded");
		code = HUB_CONFLICT;
		goto out;
	}
	if (job.unique != NULL &&
	    jobs_find_unique(hub->work->jobs, msg_text(job.unique)) != NULL) {
		why_set(why, "another job has its unique key now");
		code = HUB_CONFLICT;
		goto out;
	}
	job.lane = retry_lane(hub, &stored);
	job.state = JOB_QUEUED;
	job.attempts = 0;
	job.cancelled = job.retrying = false;
	job.due_ms = hub->wall_ms;
	job.expires_ms = -1;
	job.work = NULL;
	if (job.unique != NULL)
		job.unique = mem_strdup(job.unique);
	added = jobs_add(hub->work->jobs, &job, &code);
	if (added == NULL) {
		free(job.unique);
		why_set(why, "too many jobs wait");
		goto out;
	}
	store_update_job(hub->store, added, NULL);
	hub->sync |= work_is_durable(hub);
	code = HUB_OK;
out:
	stored_job_release(&stored);
	return code;
}

/* --- progress */

HUB_ON(PROGRESS)
{
	struct job *job = jobs_find(hub->work->jobs, msg->uid);
	struct item *item;

	(void)peer;
	(void)request;
	if (job == NULL || job->state != JOB_RUNNING ||
	    msg->attempt != job->attempts)
		return;
	item = item_of(hub, job);
	free(item->note);
	item->note = msg_string((struct msg_bytes){ msg->note.p,
	    msg->note.len < MAX_NOTE ? msg->note.len : MAX_NOTE });
	item->permille = msg->permille > 1000 ? 1000 : msg->permille;
	item->has_progress = true;
}
