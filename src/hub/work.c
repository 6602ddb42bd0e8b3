/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * work - the start, the turn and the clocks of jobs, messages and waiting
 * calls.
 *
 * At the start every job that is not finished is read from the store. One that
 * the store says runs may still do so (its worker outlives the hub), may be
 * done (the DONE is on its way) or is lost; it is nobody's until dispatch knows
 * (work_settled()), and what is lost then was an attempt.
 */
#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/call.h"
#include "hub/delivery.h"
#include "hub/dispatch.h"
#include "hub/peer.h"
#include "hub/work_impl.h"

#define PURGE_AT_ONCE 200
#define PURGE_NS (60 * NS_PER_S)
#define PURGE_SOON_NS NS_PER_S
#define PURGE_MORE_NS (20 * NS_PER_MS)
#define EXPIRE_AT_ONCE 1000

struct jobs *
work_jobs(struct hub *hub)
{
	return hub->work->jobs;
}

/* --- start and stop */

static int
work_load(void *ctx, const struct job *stored, const char *lane,
    struct msg_bytes submit)
{
	struct hub *hub = ctx;
	struct job job = *stored, *added;
	bool ran = job.state == JOB_RUNNING;
	enum hub_code code;

	(void)submit;
	job.lane = jobs_lane(hub->work->jobs, lane);
	/* of an earlier config: its messages wait until it is back */
	if (lane_queue_name(job.lane) != NULL &&
	    lane_conf_queue(job.lane) == NULL)
		lane_set_open(job.lane, false);
	job.unique = job.unique != NULL ? mem_strdup(job.unique) : NULL;
	job.work = NULL;
	/* it has begun in time */
	if (job.attempts > 0)
		job.expires_ms = -1;
	if (ran || (job.state == JOB_WAITING && job.due_ms <= hub->wall_ms))
		job.state = JOB_QUEUED;
	added = jobs_add(hub->work->jobs, &job, &code);
	if (added == NULL) {
		free(job.unique);
		return why_set(&hub->work->load_why,
		    "the store has a job twice, or more than there is memory "
		    "for (%s)",
		    hub_code_name(code));
	}
	if (ran) {
		jobs_adopt(hub->work->jobs, added);
		added->redelivered = true;
		item_of(hub, added)->orphan = true;
	}
	return 0;
}

static void
work_on_time(void *ctx)
{
	/* the turn that ends does it all */
	hub_tick(ctx);
}

static void
work_on_lazy(void *ctx)
{
	struct hub *hub = ctx;

	hub_tick(hub);
	hub->sync |= work_is_durable(hub);
}

static void
work_on_purge(void *ctx)
{
	struct hub *hub = ctx;
	bool more;

	hub_tick(hub);
	more = store_purge(hub->store, hub->conf, hub->wall_ms, PURGE_AT_ONCE);
	hub->work->purge_soon = more;
	loop_timer_set(hub->loop, &hub->work->purge,
	    hub->now_ns + (more ? PURGE_MORE_NS : PURGE_NS));
}

void
work_purge_soon(struct hub *hub)
{
	struct work *work = hub->work;

	if (work->purge_soon)
		return;
	work->purge_soon = true;
	loop_timer_set(hub->loop, &work->purge, hub->now_ns + PURGE_SOON_NS);
}

static void
work_on_unpark(void *ctx)
{
	struct hub *hub = ctx;

	hub_tick(hub);
	call_unpark(hub);
}

int
work_start(struct hub *hub, struct why *why)
{
	struct work *work = mem_alloc(sizeof(*work));

	work->hub = hub;
	hub->work = work;
	/* room is looked for before (work_would_add()): what an accepted job
	 * causes is not refused */
	work->jobs = jobs_new(SIZE_MAX);
	buf_init(&work->attrs, SIZE_MAX - 1);
	buf_init(&work->scratch, SIZE_MAX - 1);
	loop_timer_init(&work->timer, work_on_time, hub);
	loop_timer_init(&work->purge, work_on_purge, hub);
	loop_timer_init(&work->lazy, work_on_lazy, hub);
	loop_timer_init(&work->unpark, work_on_unpark, hub);
	answers_start(hub);
	tolds_start(hub);
	work_set_lanes(hub);
	if (store_each_job(hub->store, work_load, hub) < 0) {
		if (why != NULL)
			*why = work->load_why;
		return -1;
	}
	work->park_until_ns = hub->now_ns + WORK_PARK_NS;
	work_on_purge(hub);
	return 0;
}

void
work_stop(struct hub *hub)
{
	struct work *work = hub->work;

	if (work == NULL)
		return;
	call_unpark(hub);
	directs_free(hub);
	answers_free(hub);
	tolds_free(hub);
	while (work->items != NULL)
		item_free(hub, work->items);
	loop_timer_cancel(hub->loop, &work->timer);
	loop_timer_cancel(hub->loop, &work->purge);
	loop_timer_cancel(hub->loop, &work->lazy);
	loop_timer_cancel(hub->loop, &work->unpark);
	jobs_free(work->jobs);
	free(work->queue_lane);
	buf_release(&work->attrs);
	buf_release(&work->scratch);
	free(work);
	hub->work = NULL;
}

/* --- the family that we are born into */

bool
work_adopt(struct hub *hub, struct job *job, unsigned attempt)
{
	struct item *item = item_of(hub, job);

	if (job->state == JOB_RUNNING && item->orphan) {
		if (attempt != job->attempts)
			return false;
		item->orphan = false;
		item->began_ns = hub->now_ns;
		item->marked = true;
		return true;
	}
	if (job->state == JOB_RUNNING || attempt != job->attempts + 1U)
		return false;
	jobs_adopt(hub->work->jobs, job);
	job->attempts = (uint16_t)attempt;
	job->retrying = false;
	item_begin(hub, item);
	return true;
}

void
work_settled(struct hub *hub)
{
	struct item *item, *next;

	DL_FOREACH_SAFE(hub->work->items, item, next)
	if (item->orphan) {
		item->orphan = false;
		work_lost(hub, item->job, "the service ended while it ran",
		    false);
	}
}

/* --- an attempt begins */

static bool
begin_call(struct hub *hub, struct job *job, struct msg_RUN *run)
{
	struct msg_CALL call;
	int64_t left;

	if (!item_call(job, &call))
		return false;
	left = call.deadline_ns - hub->now_ns;
	*run = (struct msg_RUN){
		.max_attempts = 1,
		.handler = call.handler,
		.door = call.door,
		.method = call.method,
		.path = call.path,
		.peer = call.peer,
		.id = call.id,
		.traceparent = call.traceparent,
		.attrs = call.attrs,
		.type = call.type,
		.body = call.body,
		.json_required = call.json_required,
		.timeout_ns = call.timeout_ns > 0 && call.timeout_ns < left ?
		    call.timeout_ns :
		    left,
	};
	return true;
}

static bool
begin_job(struct hub *hub, struct job *job, struct msg_RUN *run)
{
	static const enum call_door door[] = {
		[JOB_SUBMITTED] = DOOR_JOB,
		[JOB_MESSAGE] = DOOR_MESSAGE,
		[JOB_SCHEDULED] = DOOR_SCHEDULE,
		[JOB_DELIVERED] = DOOR_MESSAGE,
	};
	const struct conf_queue *queue = lane_conf_queue(job->lane);
	struct msg_SUBMIT submit;
	struct work_terms terms;

	if (!item_submit(hub, job, &submit))
		return false;
	work_terms(hub, job, &submit, &terms);
	*run = (struct msg_RUN){
		.max_attempts = terms.max_attempts,
		.handler = queue != NULL ? msg_text(queue->handler) :
					   submit.handler,
		.door = (uint8_t)door[job->kind],
		.method = submit.method,
		.path = submit.path,
		.peer = submit.peer,
		.id = submit.id,
		.traceparent = submit.traceparent,
		.attrs = submit.attrs,
		.type = submit.type,
		.body = submit.body,
		.timeout_ns = terms.timeout_ns,
	};
	return true;
}

bool
work_begin(struct hub *hub, struct job *job, struct msg_RUN *run)
{
	if (!(job->kind == JOB_CALL ? begin_call(hub, job, run) :
				      begin_job(hub, job, run))) {
		work_fail(hub, job, JOB_DEAD, NULL, HUB_BAD,
		    "what was submitted is not in the store any more");
		return false;
	}
	job->attempts++;
	job->retrying = false;
	job->expires_ms = -1;
	run->uid = job->uid;
	run->token = job->token;
	run->attempt = job->attempts;
	run->redelivered = job->redelivered;
	item_begin(hub, item_of(hub, job));
	return true;
}

/* --- the turn */

static void
work_expire(struct hub *hub, int64_t *next_ms)
{
	struct job *job;
	int n = 0;

	while ((job = jobs_expired(hub->work->jobs, hub->wall_ms, next_ms)) !=
	    NULL) {
		if (job->kind == JOB_CALL)
			call_fail(hub, job, HUB_TIMEOUT,
			    "no task worker was free in time");
		else
			work_fail(hub, job,
			    job->kind == JOB_MESSAGE ? JOB_DEAD : JOB_FAILED,
			    NULL, HUB_TIMEOUT,
			    "expired: it had not begun in time");
		if (++n >= EXPIRE_AT_ONCE) {
			*next_ms = hub->wall_ms;
			return;
		}
	}
}

static int64_t
work_when(struct hub *hub, int64_t wall_ms)
{
	int64_t ms = wall_ms - hub->wall_ms;

	if (ms < 0)
		ms = 0;
	/* the wall clock may be set meanwhile: look again now and then */
	if (wall_ms == INT64_MAX || ms > 60 * 1000)
		ms = 60 * 1000;
	return hub->now_ns + ms * NS_PER_MS;
}

void
work_turn(struct hub *hub)
{
	struct work *work = hub->work;
	int64_t expired_ms = INT64_MAX, due_ms, at_ns;

	work_expire(hub, &expired_ms);
	due_ms = jobs_due(work->jobs, hub->wall_ms);
	dispatch_round(hub);
	items_mark(hub);
	items_trim(hub);
	deliveries_turn(hub);
	at_ns = work_when(hub, due_ms < expired_ms ? due_ms : expired_ms);
	if (work->unmarked != NULL &&
	    work->unmarked->began_ns + WORK_MARK_NS < at_ns)
		at_ns = work->unmarked->began_ns + WORK_MARK_NS;
	loop_timer_set(hub->loop, &work->timer, at_ns);
}

void
work_clock(struct hub *hub, int64_t by_ms)
{
	if (hub->work != NULL)
		jobs_shift(hub->work->jobs, by_ms);
}

void
work_on_peer_gone(struct hub *hub, struct peer *peer)
{
	struct peer *again = peers_find(hub, peer->session);

	/* they all leave us then, and call the next hub; and who has not said
	 * hello has no session, as the operator's calls have none */
	if (hub->draining || !peer->welcome)
		return;
	/* it may be back already, under the same session */
	if (again != NULL && again != peer)
		return;
	calls_on_peer_gone(hub, peer);
	deliveries_on_peer_gone(hub, peer);
}
