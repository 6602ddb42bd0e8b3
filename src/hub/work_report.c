/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * work_report - a job as people see it: the JSON of GET /jobs/ID and of
 * broodctl job.
 *
 *   {"id","state","retrying"?,"handler","queue"?,"schedule"?,"door","created",
 *    "started"?,"finished"?,"due"?,"attempts","max_attempts","priority",
 *    "progress"?:{"done","note"},"errors":[{"attempt","at","reason"}],
 *    "status"?,"result"? or "result_bytes"?,"problem"?,"input"?}
 *
 * What waits or runs is known best in memory, the rest in the store. Moments
 * are RFC 3339, UTC.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "brood.h"
#include "core/call.h"
#include "core/uid.h"
#include "hub/work_impl.h"

static void
put_text(json_t *report, const char *name, struct msg_bytes text)
{
	json_t *value = text.len > 0 ? json_stringn(text.p, text.len) : NULL;

	if (value != NULL)
		json_object_set_new(report, name, value);
}

static void
put_moment(json_t *report, const char *name, int64_t wall_ms)
{
	char text[CLOCK_TEXT_SIZE];

	if (wall_ms > INT64_MAX / NS_PER_MS)
		return;
	json_object_set_new(report, name,
	    json_string(clock_format_wall(wall_ms * NS_PER_MS, text)));
}

static bool
is_json(struct msg_bytes type)
{
	return type.len >= 16 &&
	    strncasecmp(type.p, "application/json", 16) == 0;
}

/* Bytes as what they are: JSON, or how many. */
static void
put_body(json_t *report, const char *name, const char *name_of_size,
    struct msg_bytes type, struct msg_bytes body)
{
	json_t *value = is_json(type) ?
	    json_loadb(body.p, body.len, JSON_DECODE_ANY, NULL) :
	    NULL;

	if (value != NULL)
		json_object_set_new(report, name, value);
	else if (body.len > 0)
		json_object_set_new(report, name_of_size,
		    json_integer((json_int_t)body.len));
}

static const char *
report_door(enum job_kind kind)
{
	static const enum call_door door[] = {
		[JOB_SUBMITTED] = DOOR_JOB,
		[JOB_MESSAGE] = DOOR_MESSAGE,
		[JOB_SCHEDULED] = DOOR_SCHEDULE,
		[JOB_CALL] = DOOR_CONTROL,
		[JOB_DELIVERED] = DOOR_MESSAGE,
	};

	return door_name(door[kind]);
}

static void
report_submit(struct hub *hub, const struct stored_job *stored,
    const struct job *job, bool all, json_t *report)
{
	struct work_terms terms;
	struct msg_bytes queue;
	union msg msg;

	if (work_decode((struct msg_bytes){ stored->submit,
			    stored->submit_len },
		MSG_SUBMIT, &msg) < 0)
		return;
	put_text(report, "handler", msg.SUBMIT.handler);
	if ((job->kind == JOB_MESSAGE || job->kind == JOB_DELIVERED) &&
	    msg_attr(msg.SUBMIT.attrs, CALL_PROPERTY, "queue", &queue))
		put_text(report, "queue", queue);
	if (job->kind == JOB_SCHEDULED)
		put_text(report, "schedule", msg.SUBMIT.path);
	put_text(report, "request", msg.SUBMIT.id);
	work_terms(hub, job, &msg.SUBMIT, &terms);
	json_object_set_new(report, "max_attempts",
	    json_integer(terms.max_attempts));
	if (all)
		put_body(report, "input", "input_bytes", msg.SUBMIT.type,
		    msg.SUBMIT.body);
}

static void
report_progress(struct hub *hub, const struct job *job, json_t *report)
{
	const struct item *item = job->work;
	json_t *progress;

	if (item == NULL)
		return;
	if (item->has_progress) {
		progress = json_pack("{s:f}", "done", item->permille / 1000.0);
		put_text(progress, "note", msg_text(item->note));
		json_object_set_new(report, "progress", progress);
	}
	if (item->began_ns != 0)
		put_moment(report, "started",
		    hub->wall_ms - (hub->now_ns - item->began_ns) / NS_PER_MS);
}

static void
report_end(const struct stored_job *stored, bool all, json_t *report)
{
	union msg msg;

	put_moment(report, "finished", stored->finished_ms);
	if (work_decode((struct msg_bytes){ stored->done, stored->done_len },
		MSG_DONE, &msg) < 0)
		return;
	if (msg.DONE.took_ns > 0)
		put_moment(report, "started",
		    stored->finished_ms - msg.DONE.took_ns / NS_PER_MS);
	json_object_set_new(report, "status",
	    json_integer((json_int_t)msg.DONE.status));
	put_text(report, "problem", msg.DONE.problem);
	/* without `all` it is for JOB, which has the result beside it */
	if (msg.DONE.problem.len == 0 && all)
		put_body(report, "result", "result_bytes", msg.DONE.type,
		    msg.DONE.body);
}

static json_t *
report_of(struct hub *hub, const struct stored_job *stored, bool all)
{
	struct job *live = jobs_find(hub->work->jobs, stored->job.uid);
	struct job job = live != NULL ? *live : stored->job;
	char id[UID_TEXT_SIZE];
	json_t *errors;
	json_t *report = json_pack("{s:s,s:s,s:s,s:i,s:i}", "id",
	    uid_format(job.uid, job.token, id), "state",
	    job_state_name(job.state), "door", report_door(job.kind),
	    "attempts", (int)job.attempts, "priority", (int)job.priority);

	if (job.lane == NULL)
		job.lane = jobs_lane(hub->work->jobs, stored->lane);
	if (job.state == JOB_WAITING) {
		if (job.retrying)
			json_object_set_new(report, "retrying", json_true());
		put_moment(report, "due", job.due_ms);
	}
	if (job.cancelled && !job_is_finished(job.state))
		json_object_set_new(report, "cancelled", json_true());
	put_moment(report, "created",
	    job.kind == JOB_DELIVERED ? job.due_ms : uid_wall_ms(job.uid));
	report_submit(hub, stored, &job, all, report);
	if (live != NULL)
		report_progress(hub, live, report);
	errors = stored->errors != NULL ? json_loads(stored->errors, 0, NULL) :
					  NULL;
	json_object_set_new(report, "errors",
	    errors != NULL ? errors : json_array());
	if (job_is_finished(job.state))
		report_end(stored, all, report);
	return report;
}

/* A message of a broker is in memory alone. */
static bool
report_find(struct hub *hub, uint64_t uid, struct stored_job *stored)
{
	const struct job *job = jobs_find(hub->work->jobs, uid);
	const struct item *item = job != NULL ? job->work : NULL;

	if (job == NULL || job->kind != JOB_DELIVERED || item == NULL)
		return store_find_job(hub->store, uid, stored);
	*stored = (struct stored_job){
		.job = *job,
		.lane = mem_strdup(lane_name(job->lane)),
		.submit = mem_alloc(item->body_len + 1),
		.submit_len = item->body_len,
	};
	memcpy(stored->submit, item->body, item->body_len);
	return true;
}

json_t *
work_report(struct hub *hub, uint64_t uid, bool all)
{
	struct stored_job stored;
	json_t *report;

	if (!report_find(hub, uid, &stored))
		return NULL;
	report = report_of(hub, &stored, all);
	stored_job_release(&stored);
	return report;
}
