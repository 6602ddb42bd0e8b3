/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * work_add - new jobs: what they must be like, whether there is room, which
 * lane they wait in and on what terms they run.
 *
 * To look and to add are two steps, for effects.c decides on everything that a
 * call sends before it does any of it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/call.h"
#include "core/uid.h"
#include "hub/dispatch.h"
#include "hub/effects.h"
#include "hub/work_impl.h"

#define MAX_HANDLER 129
#define MAX_UNIQUE 4096
/* as in the config: what went wrong with each of them is kept */
#define MAX_ATTEMPTS 1000
/* of a handler: a century is as good as more, and can be added to */
#define MAX_TIME_MS (INT64_C(100) * 365 * 24 * 3600 * 1000)

static const struct conf_limit *
work_limit(const struct conf *conf, const char *handler)
{
	for (size_t i = 0; i < conf->limit.n; i++)
		if (strcmp(conf->limit.v[i].handler, handler) == 0)
			return &conf->limit.v[i];
	return NULL;
}

struct lane *
work_lane(struct hub *hub, struct msg_bytes handler)
{
	char *name = msg_string(handler);
	struct lane *lane = jobs_lane(hub->work->jobs, name);

	free(name);
	return lane;
}

struct lane *
work_queue_lane(struct hub *hub, size_t index)
{
	return hub->work->queue_lane[index];
}

static void
work_set_limit(struct hub *hub, const struct conf_limit *limit)
{
	struct lane *lane = jobs_lane(hub->work->jobs, limit->handler);

	lane_set_conf(lane, NULL, limit);
	lane_set_limits(lane,
	    &(struct lane_limits){
		.concurrency = limit->concurrency,
		.rate = limit->rate,
		.per_ns = limit->per,
	    });
}

static struct lane *
work_set_queue(struct hub *hub, const struct conf_queue *queue)
{
	char *name = mem_printf(LANE_QUEUE "%s", queue->name);
	struct lane *lane = jobs_lane(hub->work->jobs, name);
	const struct conf_limit *limit = work_limit(hub->conf, queue->handler);

	free(name);
	lane_set_conf(lane, queue, limit);
	lane_set_open(lane, queue->handler[0] != '\0');
	lane_set_limits(lane,
	    &(struct lane_limits){
		.concurrency = queue->concurrency,
		.max_length = queue->max_length,
	    });
	if (limit != NULL)
		lane_share(lane, jobs_lane(hub->work->jobs, queue->handler));
	return lane;
}

void
work_set_lanes(struct hub *hub)
{
	const struct conf *conf = hub->conf;
	struct work *work = hub->work;

	for (size_t i = 0; i < conf->limit.n; i++)
		work_set_limit(hub, &conf->limit.v[i]);
	work->queue_lane = mem_array(conf->queue.n + 1,
	    sizeof(*work->queue_lane));
	for (size_t i = 0; i < conf->queue.n; i++)
		work->queue_lane[i] = work_set_queue(hub, &conf->queue.v[i]);
}

static int64_t
first_of(int64_t a, int64_t b, int64_t c)
{
	return a != 0 ? a : b != 0 ? b : c;
}

void
work_terms(struct hub *hub, const struct job *job,
    const struct msg_SUBMIT *submit, struct work_terms *terms)
{
	const struct conf_tasks *tasks = &hub->conf->tasks;
	const struct conf_queue *queue = lane_conf_queue(job->lane);
	const struct conf_limit *limit = lane_conf_limit(job->lane);
	int64_t attempts = first_of(submit->max_attempts,
	    queue != NULL ? queue->max_attempts : 0,
	    limit != NULL ? limit->max_attempts : 0);
	int64_t timeout = first_of(submit->timeout_ms < MAX_TIME_MS ?
		submit->timeout_ms * NS_PER_MS :
		MAX_TIME_MS * NS_PER_MS,
	    queue != NULL ? queue->timeout : 0,
	    limit != NULL ? limit->timeout : 0);
	int64_t min = queue != NULL ? queue->backoff_min / NS_PER_MS : 0;
	int64_t max = queue != NULL ? queue->backoff_max / NS_PER_MS : 0;

	terms->max_attempts = (unsigned)first_of(attempts, tasks->max_attempts,
	    1);
	if (terms->max_attempts > MAX_ATTEMPTS)
		terms->max_attempts = MAX_ATTEMPTS;
	terms->timeout_ns = first_of(timeout, tasks->timeout, NS_PER_S);
	terms->backoff_min_ms = first_of(submit->backoff_min_ms, min,
	    tasks->backoff_min / NS_PER_MS);
	terms->backoff_max_ms = first_of(submit->backoff_max_ms, max,
	    tasks->backoff_max / NS_PER_MS);
	if (terms->backoff_max_ms < terms->backoff_min_ms)
		terms->backoff_max_ms = terms->backoff_min_ms;
}

static bool
handler_ok(struct msg_bytes name)
{
	const char *dot = memchr(name.p, '.', name.len);

	return dot != NULL && dot != name.p && dot != name.p + name.len - 1 &&
	    name.len <= MAX_HANDLER;
}

static bool
parts_ok(struct msg_bytes parts, struct why *why)
{
	enum msg_id id;
	union msg msg;
	size_t at = 0;
	int n;

	while ((n = msg_part(parts, &at, MSG_ID_BIT(ATTR), &id, &msg, why)) > 0)
		;
	return n == 0;
}

bool
work_fits(const struct hub *hub, const char *what, size_t size,
    size_t body_size, struct why *why)
{
	size_t max = hub->conf->hub.max_message;

	if (size + WORK_SLACK <= max)
		return true;
	why_set(why, "a %s of %zu bytes is too large for hub.max_message (%zu)",
	    what, body_size, max);
	return false;
}

enum hub_code
work_is_sane(struct hub *hub, const struct work_new *new, struct why *why)
{
	const struct msg_SUBMIT *s = new->submit;
	size_t size = s->body.len + s->attrs.len + s->path.len + s->id.len +
	    s->type.len + s->traceparent.len + s->peer.len + 1024;

	if (s->uid == 0) {
		why_set(why, "a job without a uid");
		return HUB_BAD;
	}
	if (new->queue < 0 && !handler_ok(s->handler)) {
		why_set(why, "\"%.*s\" is no MODULE.HANDLER",
		    (int)(s->handler.len < 100 ? s->handler.len : 100),
		    s->handler.p);
		return HUB_BAD;
	}
	if ((s->then.len > 0 && !handler_ok(s->then)) ||
	    (s->on_failure.len > 0 && !handler_ok(s->on_failure))) {
		why_set(why, "what is to follow a job is no MODULE.HANDLER");
		return HUB_BAD;
	}
	if (s->delay_ms < 0 || s->timeout_ms < 0 || s->backoff_min_ms < 0 ||
	    s->backoff_max_ms < 0) {
		why_set(why, "a time of a job is negative");
		return HUB_BAD;
	}
	if (s->unique.len > MAX_UNIQUE || s->idempotency.len > MAX_UNIQUE) {
		why_set(why, "the key of a job is longer than %d bytes",
		    MAX_UNIQUE);
		return HUB_TOO_LARGE;
	}
	/* what cannot be sent to a worker is not taken */
	if (size > hub->conf->hub.max_message) {
		why_set(why,
		    "a job of %zu bytes is larger than hub.max_message (%zu)",
		    size, hub->conf->hub.max_message);
		return HUB_TOO_LARGE;
	}
	return parts_ok(s->attrs, why) ? HUB_OK : HUB_BAD;
}

static size_t
work_waiting(struct hub *hub)
{
	size_t by_state[JOB_STATE_COUNT];
	size_t calls = jobs_calls(hub->work->jobs), n;

	jobs_count(hub->work->jobs, by_state);
	n = by_state[JOB_WAITING] + by_state[JOB_QUEUED];
	return n > calls ? n - calls : 0;
}

static enum hub_code
queue_has_room(struct hub *hub, size_t index, size_t more, struct why *why)
{
	const struct conf_queue *queue = &hub->conf->queue.v[index];
	size_t waiting, queued, running;

	if (queue->max_length == 0 ||
	    queue->overflow == CONF_OVERFLOW_DROP_HEAD)
		return HUB_OK;
	lane_count(work_queue_lane(hub, index), &waiting, &queued, &running);
	if (waiting + queued + more < (size_t)queue->max_length)
		return HUB_OK;
	why_set(why, "queue %s is full: %d messages wait", queue->name,
	    queue->max_length);
	return HUB_FULL;
}

enum hub_code
work_would_add(struct hub *hub, const struct work_new *new, size_t more,
    size_t queue_more, struct why *why)
{
	uint64_t uid, token, fingerprint;
	enum hub_code code = work_is_sane(hub, new, why);

	if (code != HUB_OK)
		return code;
	if (!work_fits(hub, "job or message", new->submit->body.len,
		new->submit->body.len, why))
		return HUB_TOO_LARGE;
	if (new->submit->idempotency.len > 0 &&
	    store_find_idempotent(hub->store, new->submit->idempotency, &uid,
		&token, &fingerprint)) {
		if (fingerprint == new->submit->fingerprint)
			return HUB_OK;
		why_set(why,
		    "this idempotency key came with another request before");
		return HUB_MISMATCH;
	}
	if (work_waiting(hub) + more >= (size_t)hub->conf->tasks.max_queued) {
		why_set(why, "%d jobs wait (tasks.max_queued)",
		    hub->conf->tasks.max_queued);
		return HUB_FULL;
	}
	if (new->queue >= 0)
		return queue_has_room(hub, (size_t) new->queue, queue_more,
		    why);
	return HUB_OK;
}

/* The job that stands in place of a new one. */
static bool
find_existing(struct hub *hub, const struct msg_SUBMIT *submit, uint64_t *uid,
    uint64_t *token, uint64_t *fingerprint)
{
	struct job *job = jobs_find(hub->work->jobs, submit->uid);

	*fingerprint = submit->fingerprint;
	if (job == NULL && submit->unique.len > 0)
		job = jobs_find_unique(hub->work->jobs, submit->unique);
	if (job != NULL) {
		*uid = job->uid;
		*token = job->token;
		return true;
	}
	return submit->idempotency.len > 0 &&
	    store_find_idempotent(hub->store, submit->idempotency, uid, token,
		fingerprint);
}

static int64_t
saturate_add(int64_t a, int64_t b)
{
	return b > INT64_MAX - a ? INT64_MAX : a + b;
}

/* overflow = "drop-head": the oldest makes room. Its dead letter may go to a
 * queue that is full as well, which then has one more. */
static void
drop_heads(struct hub *hub, struct lane *lane)
{
	const struct conf_queue *queue = lane_conf_queue(lane);
	struct work *work = hub->work;
	struct job *head;

	if (queue == NULL || queue->overflow != CONF_OVERFLOW_DROP_HEAD ||
	    work->dropping)
		return;
	work->dropping = true;
	while (lane_is_full(lane) && (head = lane_first(lane)) != NULL)
		work_fail(hub, head, JOB_DEAD, NULL, HUB_FULL,
		    "the queue was full, and this was the oldest");
	work->dropping = false;
}

static struct lane *
lane_of_new(struct hub *hub, const struct work_new *new)
{
	if (new->queue >= 0)
		return work_queue_lane(hub, (size_t) new->queue);
	return work_lane(hub, new->submit->handler);
}

/* Into memory and into the store; false when the store has its uid. */
static bool
add_job(struct hub *hub, const struct work_new *new, uint64_t *token)
{
	struct msg_SUBMIT submit = *new->submit;
	struct lane *lane = lane_of_new(hub, new);
	struct job job = {
		.uid = submit.uid,
		.token = submit.token,
		.lane = lane,
		.kind = new->kind,
		.state = submit.delay_ms > 0 ? JOB_WAITING : JOB_QUEUED,
		.priority = submit.priority > 255 ? 255 :
						    (uint8_t)submit.priority,
		.due_ms = saturate_add(hub->wall_ms, submit.delay_ms),
		.expires_ms = submit.expires_ms < 0 ?
		    -1 :
		    saturate_add(hub->wall_ms, submit.expires_ms),
	};
	struct job *added;
	enum hub_code code;
	struct buf body;

	if (new->schedule != NULL)
		submit.path = msg_text(new->schedule);
	if (submit.unique.len > 0)
		job.unique = msg_string(submit.unique);
	buf_init(&body, SIZE_MAX - 1);
	msg_encode(&body, MSG_SUBMIT, 0, &submit);
	struct msg_bytes bytes = { body.data, body.len };
	if (!store_add_job(hub->store, &job, bytes, token)) {
		free(job.unique);
		buf_release(&body);
		return false;
	}
	drop_heads(hub, lane);
	added = jobs_add(hub->work->jobs, &job, &code);
	if (added == NULL) {
		log_error("a job that was stored finds no room in memory (%s)",
		    hub_code_name(code));
		abort();
	}
	item_set_body(hub, item_of(hub, added), bytes);
	buf_release(&body);
	return true;
}

enum hub_code
work_add(struct hub *hub, const struct work_new *new, uint64_t *uid,
    uint64_t *token, bool *existing)
{
	const struct msg_SUBMIT *submit = new->submit;
	uint64_t its_uid = submit->uid, its_token = submit->token, fingerprint;
	enum hub_code code = work_is_sane(hub, new, NULL);
	bool there;

	if (code != HUB_OK)
		return code;
	there = find_existing(hub, submit, &its_uid, &its_token, &fingerprint);
	if (there && fingerprint != submit->fingerprint)
		return HUB_MISMATCH;
	if (!there)
		there = !add_job(hub, new, &its_token);
	if (uid != NULL)
		*uid = its_uid;
	if (token != NULL)
		*token = its_token;
	if (existing != NULL)
		*existing = there;
	return HUB_OK;
}
