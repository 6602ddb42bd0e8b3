/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * desk_dead - what has died and what nobody wants any more: dead, retry, purge.
 *
 * Called by desk. Dead jobs and the messages of local queues are in the store;
 * the dead letters of a broker's queues are in queues of its own, where an amqp
 * child looks (desk_order). One answer has both. A dead letter is known to the
 * operator as QUEUE/MESSAGE-ID, and all those of a queue as QUEUE/.
 *
 * What may be a million messages is done some at a time, so that others wait
 * for a moment at most; the answer says whether there are more.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/retry.h"
#include "core/uid.h"
#include "hub/desk_impl.h"
#include "hub/outbox.h"
#include "hub/store.h"
#include "hub/work.h"

#define BATCH 10000
#define BATCH_NS (NS_PER_S / 2)
#define LETTERS_DEFAULT 100

#define FINISHED_BADLY (1u << JOB_DEAD | 1u << JOB_FAILED)
#define UNFINISHED (1u << JOB_WAITING | 1u << JOB_QUEUED | 1u << JOB_RUNNING)

/* Jobs of the store, to be done something with. */
struct batch {
	uint64_t *uid;
	size_t n;
};

static int
batch_each(void *ctx, const struct stored_job *stored)
{
	struct batch *batch = ctx;

	batch->uid[batch->n++] = stored->job.uid;
	return batch->n == BATCH ? -1 : 0;
}

static void
batch_collect(struct hub *hub, unsigned states, const char *lane,
    struct batch *batch)
{
	*batch = (struct batch){ .uid = mem_array(BATCH, sizeof(*batch->uid)) };
	store_list_jobs(hub->store, states, lane, BATCH, batch_each, batch);
}

/* The queue of the config that a name stands for, the broker's ones beside it
 * included; NULL: none. */
static const struct conf_queue *
queue_parse(const struct hub *hub, const char *name, enum retry_kind *kind)
{
	int64_t step_ms;

	return retry_parse(hub->conf, msg_text(name), kind, &step_ms);
}

/* -------------------------------------------------------------------- dead */

/* "QUEUE/ID", by which `retry` takes one. */
static void
dead_add_names(json_t *letters)
{
	const char *queue, *id;
	json_t *one;
	char *name;
	size_t i;

	json_array_foreach(letters, i, one)
	{
		queue = json_string_value(json_object_get(one, "queue"));
		id = json_string_value(json_object_get(one, "id"));
		if (queue == NULL || id == NULL || *id == '\0')
			continue;
		name = mem_printf("%s/%s", queue, id);
		json_object_set_new(one, "name", json_string(name));
		free(name);
	}
}

static void
dead_on_report(struct desk_conn *conn, json_t *data, const json_t *report,
    const char *why)
{
	json_t *letters = json_object_get(report, "messages");
	struct why text;

	if (json_is_array(letters)) {
		dead_add_names(letters);
		json_object_set(data, "messages", letters);
	}
	if (json_is_true(json_object_get(report, "more")))
		json_object_set_new(data, "more", json_true());
	if (*why == '\0' && json_is_array(letters)) {
		desk_answer(conn, CMD_OK, "", data);
		return;
	}
	why_set(&text, "the broker's dead letters are not%s known: %s",
	    json_is_array(letters) ? " all" : "",
	    *why != '\0' ? why : "the report has none");
	desk_answer(conn, CMD_FAILED, text.text, data);
}

void
desk_dead(struct desk_ask *ask)
{
	struct hub *hub = ask->conn->hub;
	enum retry_kind kind = RETRY_WORK;
	const struct conf_queue *queue = ask->n > 0 ?
	    queue_parse(hub, ask->arg[0], &kind) :
	    NULL;
	const char *name = queue != NULL ? queue->name : ask->arg[0];
	struct msg_ORDER order = {
		.what = ORDER_DEAD,
		.queue = msg_text(queue != NULL ? queue->name : ""),
		.limit = (uint32_t)desk_ask_int(ask, "limit", 1, BATCH,
		    LETTERS_DEFAULT),
	};
	char *lane = ask->n > 0 ? mem_printf(LANE_QUEUE "%s", name) : NULL;
	json_t *data = desk_list_jobs(ask, FINISHED_BADLY, lane);

	free(lane);
	if (data == NULL)
		return;
	/* one of an earlier config may have some all the same */
	if (ask->n > 0 && queue == NULL &&
	    json_array_size(json_object_get(data, "jobs")) == 0) {
		json_decref(data);
		desk_fail(ask->conn, CMD_FAILED,
		    "there is no queue '%.100s'; broodctl queues lists them",
		    ask->arg[0]);
	} else if (conf_has_broker(hub->conf) &&
	    (ask->n == 0 || queue != NULL)) {
		desk_order(ask, &order, data, dead_on_report);
	} else {
		desk_answer(ask->conn, CMD_OK, "", data);
	}
}

/* ------------------------------------------------------------------- retry */

/* Dead jobs and the broker's dead letters together. */
static void
retry_tell(struct desk_conn *conn, json_t *data, const char *why)
{
	json_int_t retried = desk_report_int(data, "retried");
	bool more = json_is_true(json_object_get(data, "more"));
	struct why text;

	if (*why != '\0') {
		why_set(&text, "%lld run again; but: %s", (long long)retried,
		    why);
		desk_answer(conn, CMD_FAILED, text.text, data);
	} else {
		desk_done(conn, data, "%lld run again%s", (long long)retried,
		    more ? "; there are more: do it again" : "");
	}
}

static void
retry_on_report(struct desk_conn *conn, json_t *data, const json_t *report,
    const char *why)
{
	json_int_t retried = desk_report_int(report, "retried");

	json_object_set_new(data, "retried",
	    json_integer(desk_report_int(data, "retried") + retried));
	if (json_is_true(json_object_get(report, "more")))
		json_object_set_new(data, "more", json_true());
	retry_tell(conn, data, why);
}

/* The newest; those beyond are the next command's. */
static void
retry_all(struct desk_ask *ask)
{
	struct hub *hub = ask->conn->hub;
	struct msg_ORDER order = { .what = ORDER_RETRY };
	struct why why = { "" };
	struct batch batch;
	size_t done = 0;
	json_t *data;

	batch_collect(hub, FINISHED_BADLY, NULL, &batch);
	for (size_t i = 0; i < batch.n; i++)
		done += work_retry(hub, batch.uid[i], &why) == HUB_OK;
	free(batch.uid);
	data = json_pack("{s:I, s:I, s:b}", "retried", (json_int_t)done, "left",
	    (json_int_t)(batch.n - done), "more", (int)(batch.n == BATCH));
	if (done == batch.n)
		why.text[0] = '\0';
	if (conf_has_broker(hub->conf) && *why.text == '\0')
		desk_order(ask, &order, data, retry_on_report);
	else
		retry_tell(ask->conn, data, why.text);
}

static void
retry_on_letter(struct desk_conn *conn, json_t *data, const json_t *report,
    const char *why)
{
	json_int_t retried = desk_report_int(report, "retried");
	const char *name = json_string_value(json_object_get(data, "name"));

	if (*why != '\0' && retried > 0)
		desk_fail(conn, CMD_FAILED, "%lld published again; but: %s",
		    (long long)retried, why);
	else if (*why != '\0')
		desk_fail(conn, CMD_FAILED, "%s", why);
	else if (retried == 0)
		desk_fail(conn, CMD_FAILED,
		    "there is no dead letter %s; broodctl dead lists them",
		    name);
	else
		desk_done(conn, json_pack("{s:I}", "retried", retried),
		    "%lld published to its queue again", (long long)retried);
	json_decref(data);
}

/* QUEUE/MESSAGE-ID. Either may have slashes in it: the longest name that is a
 * queue's counts. False: it names none. */
static bool
retry_parse_letter(const struct hub *hub, const char *text,
    struct msg_ORDER *order)
{
	size_t best = 0, len;

	for (size_t i = 0; i < hub->conf->queue.n; i++) {
		const char *name = hub->conf->queue.v[i].name;

		len = strlen(name);
		if (len < best || strncmp(text, name, len) != 0 ||
		    text[len] != '/')
			continue;
		best = len;
		order->queue = msg_text(name);
		order->message = msg_text(text + len + 1);
	}
	return best > 0;
}

static void
retry_letter(struct desk_ask *ask)
{
	struct msg_ORDER order = { .what = ORDER_RETRY };

	if (!retry_parse_letter(ask->conn->hub, ask->arg[0], &order)) {
		ask->bad = true;
		desk_fail(ask->conn, CMD_FAILED,
		    "'%.100s' names no queue of the config, as QUEUE/MESSAGE "
		    "does; broodctl dead lists what is dead",
		    ask->arg[0]);
		return;
	}
	desk_order(ask, &order, json_pack("{s:s}", "name", ask->arg[0]),
	    retry_on_letter);
}

void
desk_retry(struct desk_ask *ask)
{
	struct hub *hub = ask->conn->hub;
	struct why why = { "" };
	uint64_t uid;

	if (strcmp(ask->arg[0], "all") == 0) {
		retry_all(ask);
		return;
	}
	if (conf_has_broker(hub->conf) && strchr(ask->arg[0], '/') != NULL) {
		retry_letter(ask);
		return;
	}
	if (!desk_ask_job(ask, &uid))
		return;
	if (work_retry(hub, uid, &why) == HUB_OK)
		desk_done(ask->conn, NULL, "it runs again");
	else
		desk_fail(ask->conn, CMD_FAILED, "%s", why.text);
}

/* ------------------------------------------------------------------- purge */

static void
purge_tell(struct desk_conn *conn, json_t *data, const char *why)
{
	json_int_t purged = desk_report_int(data, "purged");
	const char *name = json_string_value(json_object_get(data, "queue"));
	struct why text;

	if (*why == '\0') {
		desk_done(conn, data, "%s: %lld dropped%s", name,
		    (long long)purged,
		    json_is_true(json_object_get(data, "more")) ?
			"; there are more" :
			"");
		return;
	}
	if (purged > 0)
		why_set(&text, "%s: %lld dropped here; but: %s", name,
		    (long long)purged, why);
	else
		why_set(&text, "%s: %s", name, why);
	desk_answer(conn, CMD_FAILED, text.text, data);
}

static void
purge_on_report(struct desk_conn *conn, json_t *data, const json_t *report,
    const char *why)
{
	json_object_set_new(data, "purged",
	    json_integer(desk_report_int(data, "purged") +
		desk_report_int(report, "purged")));
	purge_tell(conn, data, why);
}

/* Messages that wait here, or dead ones; what runs is left to its end. Whoever
 * waits for the answer to one is told. */
static size_t
purge_here(struct hub *hub, const char *queue, bool dead, bool *more)
{
	char *lane = mem_printf(LANE_QUEUE "%s", queue);
	int64_t until_ns = clock_now_ns() + BATCH_NS;
	struct batch batch;
	size_t done = 0, i;
	struct job *job;

	batch_collect(hub, dead ? FINISHED_BADLY : UNFINISHED, lane, &batch);
	for (i = 0; i < batch.n && clock_now_ns() < until_ns; i++) {
		job = jobs_find(work_jobs(hub), batch.uid[i]);
		/* the store may be a moment behind what is in memory */
		if (dead ? job != NULL :
			   job == NULL || job->state == JOB_RUNNING)
			continue;
		if (!dead && work_cancel(hub, batch.uid[i]) != HUB_OK)
			continue;
		store_drop_job(hub->store, batch.uid[i]);
		done++;
	}
	/* nothing but what runs is left of a full batch: then that is all */
	*more = i < batch.n || (batch.n == BATCH && done > 0);
	free(batch.uid);
	free(lane);
	hub->sync |= done > 0;
	return done;
}

static void
purge_outbox(struct desk_ask *ask)
{
	struct hub *hub = ask->conn->hub;
	size_t n;

	if (!conf_has_broker(hub->conf)) {
		desk_fail(ask->conn, CMD_FAILED,
		    "there is no outbox, for amqp.broker is \"local\"");
		return;
	}
	n = outbox_purge_held(hub);
	hub->sync |= n > 0;
	purge_tell(ask->conn,
	    json_pack("{s:s, s:I}", "queue", "outbox", "purged", (json_int_t)n),
	    "");
}

void
desk_purge(struct desk_ask *ask)
{
	struct hub *hub = ask->conn->hub;
	const char *name = ask->arg[0];
	struct msg_ORDER order = { .what = ORDER_PURGE,
		.queue = msg_text(name) };
	enum retry_kind kind = RETRY_WORK;
	const struct conf_queue *queue = queue_parse(hub, name, &kind);
	bool sure = desk_ask_flag(ask, "yes"), more = false;
	size_t n = 0;
	json_t *data;

	if (!ask->bad && !sure)
		desk_ask_fail(ask,
		    "what is purged is gone for good: say \"yes\":true");
	if (ask->bad)
		return;
	if (queue == NULL && strcmp(name, "outbox") == 0) {
		purge_outbox(ask);
		return;
	}
	/* the delays are a broker's queues; here what is to be tried again
	 * waits in its own */
	if (kind == RETRY_DELAY && !conf_has_broker(hub->conf))
		queue = NULL;
	if (kind != RETRY_DELAY)
		n = purge_here(hub, queue != NULL ? queue->name : name,
		    kind == RETRY_DEAD, &more);
	/* one of an earlier config may have some all the same */
	if (queue == NULL && n == 0) {
		desk_fail(ask->conn, CMD_FAILED,
		    "there is no queue '%.100s'; broodctl queues lists them",
		    name);
		return;
	}
	data = json_pack("{s:s, s:I, s:b}", "queue", name, "purged",
	    (json_int_t)n, "more", (int)more);
	if (conf_has_broker(hub->conf) && queue != NULL && !more)
		desk_order(ask, &order, data, purge_on_report);
	else
		purge_tell(ask->conn, data, "");
}
