/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * work_item - what stands beside a job in memory: its body, and the attempt.
 *
 * Bodies of jobs that were submitted lately are kept up to tasks.cache, so that
 * the usual job is never read back from the store; that of a call and of a
 * broker's message is kept until its end, as it is nowhere else. An item goes
 * as soon as nothing is in it.
 */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "hub/work_impl.h"

struct item *
item_of(struct hub *hub, struct job *job)
{
	struct item *item = job->work;

	if (item == NULL) {
		item = mem_alloc(sizeof(*item));
		item->job = job;
		job->work = item;
		DL_APPEND(hub->work->items, item);
	}
	return item;
}

static void
item_drop_body(struct hub *hub, struct item *item)
{
	struct work *work = hub->work;

	if (item->in_cache) {
		DL_DELETE2(work->cache, item, cache_prev, cache_next);
		work->cached -= item->body_len + sizeof(*item);
		item->in_cache = false;
	} else if (item->body != NULL && item->job->kind == JOB_DELIVERED) {
		DL_DELETE2(work->delivered, item, cache_prev, cache_next);
		work->delivereds--;
		work->delivered_bytes -= item->body_len;
	} else if (item->body != NULL) {
		DL_DELETE2(work->calls, item, cache_prev, cache_next);
	}
	free(item->body);
	item->body = NULL;
	item->body_len = 0;
}

void
item_set_body(struct hub *hub, struct item *item, struct msg_bytes body)
{
	struct work *work = hub->work;
	char *copy = mem_alloc(body.len + 1);

	memcpy(copy, body.p, body.len);
	item_drop_body(hub, item);
	item->body = copy;
	item->body_len = body.len;
	if (item->job->kind == JOB_CALL) {
		DL_APPEND2(work->calls, item, cache_prev, cache_next);
		return;
	}
	if (item->job->kind == JOB_DELIVERED) {
		DL_APPEND2(work->delivered, item, cache_prev, cache_next);
		work->delivereds++;
		work->delivered_bytes += body.len;
		return;
	}
	item->in_cache = true;
	work->cached += body.len + sizeof(*item);
	DL_APPEND2(work->cache, item, cache_prev, cache_next);
}

int
work_decode(struct msg_bytes bytes, enum msg_id id, union msg *msg)
{
	struct msg_head head = { 0 };
	ptrdiff_t n = -1;

	if (bytes.len > 0)
		n = msg_decode(bytes.p, bytes.len, SIZE_MAX,
		    id == MSG_CALL || id == MSG_DONE || id == MSG_ANSWER ?
			MSG_FROM_CLIENT :
			MSG_FROM_NONE,
		    &head, msg, NULL);
	return n > 0 && head.id == id ? 0 : -1;
}

static bool
item_fetch(struct hub *hub, struct job *job)
{
	struct stored_job stored;

	if (!store_find_job(hub->store, job->uid, &stored))
		return false;
	item_set_body(hub, item_of(hub, job),
	    (struct msg_bytes){ stored.submit, stored.submit_len });
	stored_job_release(&stored);
	return true;
}

bool
item_submit(struct hub *hub, struct job *job, struct msg_SUBMIT *submit)
{
	struct item *item = job->work;
	union msg msg;

	if (job->kind == JOB_CALL)
		return false;
	if ((item == NULL || item->body == NULL) &&
	    (!work_is_stored(job) || !item_fetch(hub, job)))
		return false;
	item = job->work;
	if (work_decode((struct msg_bytes){ item->body, item->body_len },
		MSG_SUBMIT, &msg) < 0)
		return false;
	*submit = msg.SUBMIT;
	return true;
}

bool
item_call(struct job *job, struct msg_CALL *call)
{
	struct item *item = job->work;
	union msg msg;

	if (job->kind != JOB_CALL || item == NULL ||
	    work_decode((struct msg_bytes){ item->body, item->body_len },
		MSG_CALL, &msg) < 0)
		return false;
	*call = msg.CALL;
	return true;
}

void
item_begin(struct hub *hub, struct item *item)
{
	struct work *work = hub->work;

	item_end(hub, item);
	item->began_ns = hub->now_ns;
	item->marked = !work_is_stored(item->job);
	item->has_progress = false;
	if (item->marked)
		return;
	DL_APPEND2(work->unmarked, item, run_prev, run_next);
}

void
item_end(struct hub *hub, struct item *item)
{
	if (item->began_ns != 0 && !item->marked)
		DL_DELETE2(hub->work->unmarked, item, run_prev, run_next);
	item->began_ns = 0;
	item->orphan = false;
}

void
item_mark(struct hub *hub, struct item *item)
{
	if (item->began_ns == 0 || item->marked)
		return;
	DL_DELETE2(hub->work->unmarked, item, run_prev, run_next);
	item->marked = true;
}

/* What runs for long is stored as running: were the whole family to die over
 * it, the attempt would count. */
void
items_mark(struct hub *hub)
{
	struct item *item;

	while ((item = hub->work->unmarked) != NULL &&
	    item->began_ns + WORK_MARK_NS <= hub->now_ns) {
		item_mark(hub, item);
		store_update_job(hub->store, item->job, NULL);
	}
}

void
item_free(struct hub *hub, struct item *item)
{
	item_end(hub, item);
	item_drop_body(hub, item);
	waits_free(item);
	while (item->askers != NULL) {
		struct asker *asker = item->askers;

		LL_DELETE(item->askers, asker);
		free(asker);
	}
	DL_DELETE(hub->work->items, item);
	item->job->work = NULL;
	free(item->note);
	free(item);
}

static bool
item_is_empty(const struct item *item)
{
	return item->body == NULL && item->began_ns == 0 && !item->orphan &&
	    item->conflicts == 0 && item->unbegun == 0 && !item->has_progress &&
	    item->waits == NULL;
}

void
items_trim(struct hub *hub)
{
	struct work *work = hub->work;
	struct item *item;

	while ((item = work->cache) != NULL &&
	    work->cached > hub->conf->tasks.cache) {
		item_drop_body(hub, item);
		if (item_is_empty(item))
			item_free(hub, item);
	}
}

void
work_forget(struct hub *hub, struct job *job)
{
	if (job->work != NULL)
		item_free(hub, job->work);
	jobs_remove(hub->work->jobs, job);
}

struct msg_RESULT
work_result(const struct msg_DONE *done)
{
	return (struct msg_RESULT){
		.outcome = done->outcome,
		.status = done->status,
		.type = done->type,
		.headers = done->headers,
		.body = done->body,
		.problem = done->problem,
		.retry_after_ns = done->retry_after_ns,
	};
}

void
work_put_attr(struct buf *attrs, unsigned what, const char *name,
    struct msg_bytes value)
{
	struct msg_ATTR attr = {
		.what = (uint8_t)what,
		.name = msg_text(name),
		.value = value,
	};

	msg_encode(attrs, MSG_ATTR, 0, &attr);
}
