/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * work_end - an attempt has ended: with a DONE, or without, and what becomes of
 * its job.
 *
 *   DONE, its effects hold        succeeded
 *   DONE, a conflict              again at once, WORK_CONFLICTS times
 *   DONE, no room for effects     again later
 *   DONE, effects make no sense   failed
 *   RETRY, died, too long         again later, dead after the last attempt
 *   REJECT                        failed; dead when nobody has the handler
 *
 * A message of a broker ends in delivery.c in place of that, a conflict aside:
 * its later attempts, too, come from the broker.
 *
 * All of it and all that follows from it (work_follow.c) is written in the turn
 * of the DONE, so it is one transaction. Nobody is told before it is committed.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "brood.h"
#include "core/uid.h"
#include "hub/delivery.h"
#include "hub/dispatch.h"
#include "hub/effects.h"
#include "hub/peer.h"
#include "hub/schedule.h"
#include "hub/seen.h"
#include "hub/work_impl.h"

void
work_answer(struct hub *hub, uint64_t session, uint32_t request,
    enum hub_code code, const char *why)
{
	struct peer *peer = peers_find(hub, session);

	if (peer == NULL)
		return;
	if (code == HUB_OK)
		peer_send(peer, MSG_OK, request, &(struct msg_OK){ 0 });
	else
		peer_fail(peer, request, code, "%s", why);
}

/* One of the errors that a job's report shows; the caller frees. */
static char *
end_error(struct hub *hub, const struct job *job, const char *why)
{
	char at[CLOCK_TEXT_SIZE], *text;
	json_t *error = json_pack("{s:i,s:s,s:s+%}", "attempt",
	    (int)job->attempts, "at",
	    clock_format_wall(hub->wall_ms * NS_PER_MS, at), "reason", why, "",
	    (size_t)0);

	if (error == NULL) /* not UTF-8 */
		error = json_pack("{s:i,s:s,s:s}", "attempt",
		    (int)job->attempts, "at", at, "reason",
		    "the reason is no UTF-8 text");
	text = json_dumps(error, JSON_COMPACT);
	json_decref(error);
	return text;
}

/* What is kept of a DONE: the reply, not what it caused. */
static void
end_result(struct hub *hub, const struct msg_DONE *done, struct buf *kept)
{
	struct msg_DONE copy = *done;
	struct why why;

	memset(&copy.effects, 0, sizeof(copy.effects));
	if (copy.body.len + copy.headers.len > hub->conf->tasks.max_result) {
		why_set(&why,
		    "the result of %zu bytes is not kept: it is larger than "
		    "tasks.max_result (%zu bytes)",
		    copy.body.len, hub->conf->tasks.max_result);
		memset(&copy.body, 0, sizeof(copy.body));
		memset(&copy.headers, 0, sizeof(copy.headers));
		copy.problem = msg_text(why.text);
	}
	buf_init(kept, SIZE_MAX - 1);
	msg_encode(kept, MSG_DONE, 1, &copy);
}

static void
end_told(const struct job *job)
{
	char id[UID_TEXT_SIZE];

	log_debug("job %s (%s) is %s", uid_format(job->uid, job->token, id),
	    lane_name(job->lane), job_state_name(job->state));
}

/* Stores the end, tells who waits, and forgets it. */
static void
end_finish(struct hub *hub, struct job *job, enum job_state state,
    const struct msg_DONE *done, const char *error, bool keep)
{
	struct buf kept;

	job->state = state;
	end_told(job);
	end_result(hub, done, &kept);
	if (keep)
		store_finish_job(hub->store, job,
		    (struct msg_bytes){ kept.data, kept.len }, error,
		    hub->wall_ms);
	else
		store_drop_job(hub->store, job->uid);
	work_purge_soon(hub);
	waits_answer(hub, job);
	buf_release(&kept);
	work_forget(hub, job);
}

static void
end_scheduled(struct hub *hub, const struct msg_SUBMIT *submit,
    enum job_state state, const char *why)
{
	char *name = msg_string(submit->path);

	schedules_on_end(hub, name, job_state_name(state), why);
	free(name);
}

static void
end_success(struct hub *hub, struct job *job, const struct msg_DONE *done)
{
	struct msg_SUBMIT submit;
	bool keep = true;

	if (item_submit(hub, job, &submit)) {
		keep = !follow_success(hub, job, &submit, done);
		if (job->kind == JOB_SCHEDULED)
			end_scheduled(hub, &submit, JOB_SUCCEEDED, "");
	}
	end_finish(hub, job, JOB_SUCCEEDED, done, NULL, keep);
}

void
work_fail(struct hub *hub, struct job *job, enum job_state state,
    const struct msg_DONE *done, enum hub_code code, const char *why)
{
	struct msg_DONE made = {
		.uid = job->uid,
		.attempt = job->attempts,
		.outcome = BROOD_REJECT,
		.status = (uint32_t)hub_code_status(code),
		.problem = msg_text(why),
	};
	struct msg_SUBMIT submit;
	char id[UID_TEXT_SIZE], *error;
	bool keep = true;

	if (job->kind == JOB_CALL) {
		call_fail(hub, job, code, why);
		return;
	}
	if (job->kind == JOB_DELIVERED) {
		delivery_fail(hub, job, state, done, code, why);
		return;
	}
	if (done == NULL || done->problem.len == 0)
		done = &made;
	if (state != JOB_CANCELLED)
		log_warning("job %s (%s) is %s after %u attempts: %s",
		    uid_format(job->uid, job->token, id), lane_name(job->lane),
		    job_state_name(state), job->attempts, why);
	error = end_error(hub, job, why);
	if (item_submit(hub, job, &submit)) {
		job->state = state;
		keep = !follow_failure(hub, job, &submit, done->status, why);
		if (job->kind == JOB_SCHEDULED)
			end_scheduled(hub, &submit, state, why);
	}
	end_finish(hub, job, state, done, error, keep);
	free(error);
}

static uint32_t
end_random(void)
{
	uint32_t n = 0;

	if (getrandom(&n, sizeof(n), GRND_NONBLOCK) != sizeof(n))
		n = (uint32_t)clock_now_ns();
	return n;
}

void
work_again(struct hub *hub, struct job *job, const struct msg_DONE *done,
    enum hub_code code, int64_t delay_ms, const char *why)
{
	struct msg_SUBMIT submit;
	struct work_terms terms;
	char *error;

	if (job->kind == JOB_CALL) {
		call_fail(hub, job, code, why);
		return;
	}
	if (job->cancelled) {
		work_fail(hub, job, JOB_CANCELLED, NULL, HUB_CANCELLED,
		    "it was cancelled");
		return;
	}
	if (!item_submit(hub, job, &submit)) {
		work_fail(hub, job, JOB_DEAD, NULL, HUB_BAD,
		    "what was submitted is not in the store any more");
		return;
	}
	work_terms(hub, job, &submit, &terms);
	if (job->attempts >= terms.max_attempts) {
		work_fail(hub, job, JOB_DEAD, done, code, why);
		return;
	}
	if (job->kind == JOB_DELIVERED) {
		delivery_again(hub, job, code, delay_ms, why);
		return;
	}
	if (delay_ms < 0)
		delay_ms = jobs_backoff_ms(job->attempts, terms.backoff_min_ms,
		    terms.backoff_max_ms, end_random());
	error = end_error(hub, job, why);
	item_end(hub, item_of(hub, job));
	job->retrying = true;
	jobs_return(hub->work->jobs, job,
	    delay_ms > INT64_MAX - hub->wall_ms ? INT64_MAX :
						  hub->wall_ms + delay_ms,
	    hub->wall_ms);
	store_update_job(hub->store, job, error);
	free(error);
}

void
work_lost(struct hub *hub, struct job *job, const char *why, bool overran)
{
	job->redelivered = true;
	if (job->kind == JOB_CALL && ((struct item *)job->work)->abandoned)
		work_forget(hub, job);
	else
		work_again(hub, job, NULL, overran ? HUB_TIMEOUT : HUB_CRASHED,
		    -1, why);
}

void
work_later(struct hub *hub, struct job *job, int64_t delay_ms)
{
	struct item *item = item_of(hub, job);
	bool marked = item->marked && work_is_stored(job);

	item_end(hub, item);
	if (job->attempts > 0)
		job->attempts--;
	/* the broker has it, and delivers it again */
	if (job->kind == JOB_DELIVERED && item->session == 0) {
		work_forget(hub, job);
		return;
	}
	jobs_return(hub->work->jobs, job, hub->wall_ms + delay_ms,
	    hub->wall_ms);
	if (marked)
		store_update_job(hub->store, job, NULL);
}

void
work_unbegun(struct hub *hub, struct job *job)
{
	struct item *item = item_of(hub, job);

	if (job->kind == JOB_CALL && item->abandoned) {
		work_forget(hub, job);
	} else if (job->cancelled) {
		work_fail(hub, job, JOB_CANCELLED, NULL, HUB_CANCELLED,
		    "it was cancelled");
	} else if (++item->unbegun > WORK_UNBEGUN) {
		/* whatever it is, it does it again and again */
		work_lost(hub, job, "its worker died, time and again", false);
	} else {
		work_later(hub, job, 0);
	}
}

bool
work_rerun(struct hub *hub, struct job *job)
{
	struct item *item = item_of(hub, job);

	if (job->cancelled || ++item->conflicts > WORK_CONFLICTS)
		return false;
	work_later(hub, job, 0);
	return true;
}

static const char *
end_reason(struct why *why, struct msg_bytes said, const char *unsaid)
{
	if (said.len == 0)
		return unsaid;
	why_set(why, "%.*s", (int)(said.len < 400 ? said.len : 400), said.p);
	return why->text;
}

/* Its effects are not done: what that means for the job. */
static void
end_refused(struct hub *hub, struct job *job, enum hub_code code,
    const char *why)
{
	switch (code) {
	case HUB_CONFLICT:
		if (!work_rerun(hub, job))
			work_again(hub, job, NULL, code, -1, why);
		break;
	case HUB_FULL:
	case HUB_NO_SPACE:
		if (job->kind == JOB_DELIVERED && !job->cancelled) {
			work_later(hub, job, WORK_LATER_MS);
			break;
		}
		work_again(hub, job, NULL, code, -1, why);
		break;
	default:
		work_fail(hub, job, JOB_FAILED, NULL, code, why);
		break;
	}
}

static enum hub_code
end_effects(struct hub *hub, struct job *job, const struct msg_DONE *done,
    struct why *why)
{
	struct effects_result result;
	struct msg_SUBMIT submit;

	if ((job->kind != JOB_DELIVERED || delivery_asks_reply(job)) &&
	    item_submit(hub, job, &submit) &&
	    !follow_fits(hub, &submit, done)) {
		why_set(why,
		    "its result of %zu bytes is too large to be sent on",
		    done->body.len);
		return HUB_TOO_LARGE;
	}
	return done->effects.len == 0 ?
	    HUB_OK :
	    effects_apply(hub, done->effects, EFFECTS_DONE, &result, why);
}

void
work_done(struct hub *hub, struct job *job, const struct msg_DONE *done,
    uint64_t session, uint32_t request)
{
	bool delivered = job->kind == JOB_DELIVERED;
	struct why why = { "" };
	enum hub_code code = HUB_OK;
	const char *reason;

	if (job->kind == JOB_CALL) {
		call_done(hub, job, done, session, request);
		return;
	}
	/* nobody is told of it: the next fsync is soon enough */
	if (work_is_stored(job) && !loop_timer_is_set(&hub->work->lazy))
		loop_timer_set(hub->loop, &hub->work->lazy,
		    hub->now_ns + WORK_LAZY_NS);
	switch (done->outcome) {
	case BROOD_DONE:
		code = end_effects(hub, job, done, &why);
		if (code == HUB_OK && job->kind == JOB_DELIVERED)
			delivery_succeed(hub, job, done);
		else if (code == HUB_OK)
			end_success(hub, job, done);
		else
			end_refused(hub, job, code, why.text);
		break;
	case BROOD_REJECT:
		reason = end_reason(&why, done->problem, "rejected");
		work_fail(hub, job, done->status == 501 ? JOB_DEAD : JOB_FAILED,
		    done, HUB_BAD, reason);
		break;
	default:
		reason = end_reason(&why, done->problem, "not now");
		work_again(hub, job, done,
		    done->status == 504 ? HUB_TIMEOUT : HUB_FULL,
		    done->retry_after_ns > 0 ?
			done->retry_after_ns / NS_PER_MS :
			-1,
		    reason);
		break;
	}
	if (code == HUB_OK && delivered)
		delivery_tell_ok(hub, session, request);
	else
		work_answer(hub, session, request, code, why.text);
}

/* Does this DONE end the attempt that counts? One that runs here, or one that
 * the hub before us has given out and could not tell us of. */
static bool
done_counts(const struct job *job, const struct msg_DONE *done)
{
	return job->state == JOB_RUNNING ?
	    done->attempt == job->attempts :
	    done->attempt == (unsigned)job->attempts + 1;
}

static void
done_unknown(struct hub *hub, struct peer *peer, uint32_t request,
    const struct msg_DONE *done)
{
	struct stored_job stored;
	bool finished;

	if (seen_has(hub, done->uid)) {
		delivery_tell_ok(hub, peer->session, request);
		return;
	}
	if (store_find_job(hub->store, done->uid, &stored)) {
		finished = job_is_finished(stored.job.state);
		stored_job_release(&stored);
		if (finished)
			peer_send(peer, MSG_OK, request, &(struct msg_OK){ 0 });
		else
			peer_fail(peer, request, HUB_STALE,
			    "this attempt does not count");
	} else if (hub->now_ns < hub->work->park_until_ns &&
	    hub->work->parkeds < WORK_PARK_MAX) {
		call_park(hub, peer, request, done);
	} else {
		peer_fail(peer, request, HUB_STALE, "nobody waits for this");
	}
}

HUB_ON(DONE)
{
	struct job *job = jobs_find(hub->work->jobs, msg->uid);

	dispatch_on_done(hub, peer, msg->uid);
	if (job == NULL) {
		done_unknown(hub, peer, request, msg);
		return;
	}
	if (!done_counts(job, msg)) {
		peer_fail(peer, request, HUB_STALE,
		    "this attempt does not count");
		return;
	}
	if (job->state != JOB_RUNNING)
		work_adopt(hub, job, msg->attempt);
	lane_took(job->lane, msg->took_ns);
	work_done(hub, job, msg, peer->session, request);
}
