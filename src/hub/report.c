/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report - what the hub shows of itself: the hub as a whole, its queues,
 * exchanges and bindings.
 *
 * Called by desk, for the operator and for whatever watches the service. Reads
 * everybody's counters, changes nothing. Bounded: of bindings, of which there
 * may be one for each user, the first thousands.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "hub/broker.h"
#include "hub/data.h"
#include "hub/desk.h"
#include "hub/dispatch.h"
#include "hub/effects.h"
#include "hub/exchange.h"
#include "hub/jobs.h"
#include "hub/lock.h"
#include "hub/peer.h"
#include "hub/store.h"
#include "hub/watch.h"
#include "hub/work.h"

#define BINDINGS_MAX 10000

static void
put(json_t *object, const char *name, int64_t value)
{
	json_object_set_new(object, name, json_integer(value));
}

/* --------------------------------------------------------------------- hub */

static json_t *
report_data(struct hub *hub)
{
	json_t *report = json_object();
	size_t keys, bytes, held, waiting;

	data_count(hub->data, &keys, &bytes);
	locks_count(hub, &held, &waiting);
	put(report, "keys", (int64_t)keys);
	put(report, "bytes", (int64_t)bytes);
	put(report, "max_bytes", (int64_t)hub->conf->hub.max_memory);
	put(report, "locks", (int64_t)held);
	put(report, "lock_waiters", (int64_t)waiting);
	put(report, "watches", (int64_t)watches_count(hub));
	return report;
}

/* What has ended is in the store, and counting it would take long. */
static json_t *
report_work(struct hub *hub)
{
	struct jobs *jobs = work_jobs(hub);
	size_t by_state[JOB_STATE_COUNT], workers, busy;
	json_t *report = json_object();

	jobs_count(jobs, by_state);
	for (int state = 0; state < JOB_STATE_COUNT; state++)
		if (!job_is_finished((enum job_state)state))
			put(report, job_state_name((enum job_state)state),
			    (int64_t)by_state[state]);
	put(report, "max_queued", hub->conf->tasks.max_queued);
	put(report, "calls_waiting", (int64_t)jobs_calls(jobs));
	dispatch_count(hub, &workers, &busy);
	put(report, "workers", (int64_t)workers);
	put(report, "busy", (int64_t)busy);
	put(report, "unroutable", (int64_t)effects_unroutable(hub));
	return report;
}

static json_t *
report_store(struct hub *hub)
{
	json_t *report = json_object();
	const char *why_not = NULL;
	int64_t size, free_bytes;

	store_count(hub->store, &size, &free_bytes);
	put(report, "bytes", size);
	put(report, "free", free_bytes);
	if (!store_has_room(hub->store, &why_not))
		json_object_set_new(report, "refuses",
		    json_string(why_not != NULL ? why_not : "it is full"));
	return report;
}

json_t *
report_hub(struct hub *hub)
{
	json_t *report = json_object();

	put(report, "pid", (int64_t)getpid());
	put(report, "generation", (int64_t)hub->child->spec.generation);
	json_object_set_new(report, "uptime",
	    json_real(clock_to_seconds(
		clock_now_ns() - hub->child->slot->forked_ns)));
	put(report, "clients", (int64_t)peers_count(hub));
	json_object_set_new(report, "data", report_data(hub));
	json_object_set_new(report, "work", report_work(hub));
	json_object_set_new(report, "store", report_store(hub));
	if (conf_has_broker(hub->conf) || hub->left > 0)
		json_object_set_new(report, "outbox", report_outbox(hub));
	if (conf_has_broker(hub->conf))
		json_object_set_new(report, "amqp", broker_report(hub));
	return report;
}

/* ------------------------------------------------------------------ queues */

static void
report_lane(struct hub *hub, json_t *report, struct lane *lane)
{
	size_t waiting = 0, queued = 0, running = 0;
	int64_t oldest_ms = 0;

	if (lane != NULL) {
		lane_count(lane, &waiting, &queued, &running);
		oldest_ms = lane_oldest_ms(lane);
	}
	put(report, "waiting", (int64_t)waiting);
	put(report, "queued", (int64_t)queued);
	put(report, "running", (int64_t)running);
	if (oldest_ms > 0)
		json_object_set_new(report, "oldest",
		    json_real((double)(hub->wall_ms - oldest_ms) / 1000));
}

static json_t *
report_queue(struct hub *hub, const struct conf_queue *queue)
{
	json_t *report = json_object();
	char *name = mem_printf(LANE_QUEUE "%s", queue->name);

	json_object_set_new(report, "name", json_string(queue->name));
	if (*queue->handler != '\0')
		json_object_set_new(report, "handler",
		    json_string(queue->handler));
	report_lane(hub, report, jobs_lane(work_jobs(hub), name));
	if (queue->max_length > 0)
		put(report, "max_length", queue->max_length);
	if (*queue->dead_letter_exchange != '\0')
		json_object_set_new(report, "dead_letter_exchange",
		    json_string(queue->dead_letter_exchange));
	free(name);
	return report;
}

/* Those of an earlier config whose messages wait for it to be back. */
static void
report_old_queues(struct hub *hub, json_t *list)
{
	size_t waiting, queued, running;
	const char *name;
	struct lane *lane;
	json_t *report;

	for (lane = jobs_first_lane(work_jobs(hub)); lane != NULL;
	     lane = lane_next(lane)) {
		lane_count(lane, &waiting, &queued, &running);
		name = lane_queue_name(lane);
		if (name == NULL || waiting + queued + running == 0 ||
		    conf_find_queue(hub->conf, msg_text(name)) <
			hub->conf->queue.n)
			continue;
		report = json_object();
		json_object_set_new(report, "name", json_string(name));
		json_object_set_new(report, "in_config", json_false());
		report_lane(hub, report, lane);
		json_array_append_new(list, report);
	}
}

/* Lanes that are no queue's: handlers that have jobs now. */
static json_t *
report_handlers(struct hub *hub)
{
	json_t *list = json_array(), *report;
	size_t waiting, queued, running;
	struct lane *lane;

	for (lane = jobs_first_lane(work_jobs(hub)); lane != NULL;
	     lane = lane_next(lane)) {
		lane_count(lane, &waiting, &queued, &running);
		if (lane_queue_name(lane) != NULL ||
		    waiting + queued + running == 0)
			continue;
		report = json_object();
		json_object_set_new(report, "name",
		    json_string(lane_name(lane)));
		report_lane(hub, report, lane);
		json_array_append_new(list, report);
	}
	return list;
}

static void
report_binding(void *ctx, const char *queue, const char *exchange,
    const char *key, bool configured)
{
	json_t *list = ctx;

	if (json_array_size(list) < BINDINGS_MAX)
		json_array_append_new(list,
		    json_pack("{s:s, s:s, s:s, s:b}", "queue", queue,
			"exchange", exchange, "key", key, "configured",
			(int)configured));
}

json_t *
report_queues(struct hub *hub)
{
	static const char *const types[] = { "direct", "fanout", "topic" };
	const struct conf *conf = hub->conf;
	json_t *queues = json_array(), *exchanges = json_array();
	json_t *bindings = json_array(), *report;

	for (size_t i = 0; i < conf->queue.n; i++)
		json_array_append_new(queues,
		    report_queue(hub, &conf->queue.v[i]));
	report_old_queues(hub, queues);
	for (size_t i = 0; i < conf->exchange.n; i++)
		json_array_append_new(exchanges,
		    json_pack("{s:s, s:s}", "name", conf->exchange.v[i].name,
			"type", types[conf->exchange.v[i].type]));
	exchanges_each(hub->exchanges, report_binding, bindings);
	report = json_pack("{s:o, s:o, s:o, s:o, s:b}", "queues", queues,
	    "handlers", report_handlers(hub), "exchanges", exchanges,
	    "bindings", bindings, "broker", (int)conf_has_broker(conf));
	if (conf_has_broker(conf))
		report_add_children(hub, report);
	return report;
}
