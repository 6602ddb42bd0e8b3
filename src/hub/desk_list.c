/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * desk_list - listings for the operator: jobs, and the reports on the hub, its
 * queues and its schedules.
 *
 * Called by desk, and by desk_dead for those that are. Every listing is
 * bounded: the newest, as many as were asked for, with a word on whether there
 * are more. What runs is known from the workers, for the store may not have
 * been told yet.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/why.h"
#include "hub/desk_impl.h"
#include "hub/peer.h"
#include "hub/schedule.h"
#include "hub/store.h"
#include "hub/work.h"

#define LIST_DEFAULT 100
#define LIST_MAX 10000
#define LIST_LOOK 10000	 /* rows that are looked at for a listing */
#define LIST_NS NS_PER_S /* and so long everybody else waits for it */

/* The uids that are to be shown. */
struct listing {
	struct hub *hub;
	int state; /* only these; -1: any */
	uint64_t *uid;
	size_t n, max, looked;
	bool more;
};

static int
listing_take(struct listing *listing, uint64_t uid)
{
	if (listing->n == listing->max) {
		listing->more = true;
		return -1;
	}
	listing->uid[listing->n++] = uid;
	return 0;
}

/* The state in memory is the one that counts; what is not there has ended. */
static int
listing_each(void *ctx, const struct stored_job *stored)
{
	struct listing *listing = ctx;
	struct job *job = jobs_find(work_jobs(listing->hub), stored->job.uid);
	int state = (int)(job != NULL ? job->state : stored->job.state);

	if (listing->looked++ == LIST_LOOK) {
		listing->more = true;
		return -1;
	}
	if (listing->state != -1 && state != listing->state)
		return 0;
	return listing_take(listing, stored->job.uid);
}

static int
newest_first(const void *a, const void *b)
{
	uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;

	return (one < other) - (one > other);
}

static void
listing_running(struct listing *listing)
{
	struct peer *peer;

	for (peer = peers_first(listing->hub); peer != NULL; peer = peer->next)
		if (peer->running != 0 &&
		    listing_take(listing, peer->running) == -1)
			break;
	qsort(listing->uid, listing->n, sizeof(*listing->uid), newest_first);
}

/* {"jobs":[…],"more":BOOL}; frees the listing. */
static json_t *
listing_data(struct listing *listing)
{
	json_t *list = json_array(), *report;
	int64_t until_ns = clock_now_ns() + LIST_NS;

	for (size_t i = 0; i < listing->n; i++) {
		if (clock_now_ns() > until_ns) {
			listing->more = true;
			break;
		}
		report = work_report(listing->hub, listing->uid[i], false);
		if (report == NULL)
			continue;
		/* `job` shows it; a thousand of them would fit nowhere */
		json_object_del(report, "result");
		json_array_append_new(list, report);
	}
	free(listing->uid);
	return json_pack("{s:o, s:b}", "jobs", list, "more",
	    (int)listing->more);
}

/* False when the answer is out. */
static bool
listing_start(struct desk_ask *ask, struct listing *listing)
{
	*listing = (struct listing){
		.hub = ask->conn->hub,
		.state = -1,
		.max = (size_t)desk_ask_int(ask, "limit", 1, LIST_MAX,
		    LIST_DEFAULT),
	};
	if (ask->bad)
		return false;
	listing->uid = mem_array(listing->max, sizeof(*listing->uid));
	return true;
}

void
desk_jobs(struct desk_ask *ask)
{
	unsigned states = (1u << JOB_STATE_COUNT) - 1;
	struct listing listing;
	int state = -1;

	if (ask->n > 0) {
		state = job_state_parse(ask->arg[0]);
		if (state == -1) {
			desk_ask_fail(ask,
			    "there is no state '%.40s'; there are:"
#define JOB_STATE(id, name) " " name
			    JOB_STATES
#undef JOB_STATE
			    ,
			    ask->arg[0]);
			return;
		}
		states = 1u << state;
		/* the store knows of a change between these a moment later */
		if (!job_is_finished((enum job_state)state))
			states = 1u << JOB_WAITING | 1u << JOB_QUEUED |
			    1u << JOB_RUNNING;
	}
	if (!listing_start(ask, &listing))
		return;
	listing.state = state;
	if (state == JOB_RUNNING)
		listing_running(&listing);
	else
		store_list_jobs(ask->conn->hub->store, states, NULL,
		    LIST_LOOK + 1, listing_each, &listing);
	desk_answer(ask->conn, CMD_OK, "", listing_data(&listing));
}

json_t *
desk_list_jobs(struct desk_ask *ask, unsigned states, const char *lane)
{
	struct listing listing;

	if (!listing_start(ask, &listing))
		return NULL;
	store_list_jobs(ask->conn->hub->store, states, lane, listing.max + 1,
	    listing_each, &listing);
	return listing_data(&listing);
}

void
desk_hub(struct desk_ask *ask)
{
	desk_answer(ask->conn, CMD_OK, "", report_hub(ask->conn->hub));
}

/* What the child says of itself comes before its report. */
static void
queues_on_report(struct desk_conn *conn, json_t *none, const json_t *report,
    const char *why)
{
	json_t *data = report_queues(conn->hub);
	struct why text;

	(void)none;
	report_add_broker(data, report);
	if (*why == '\0') {
		desk_answer(conn, CMD_OK, "", data);
		return;
	}
	why_set(&text, "the broker's queues are not known: %s", why);
	desk_answer(conn, CMD_FAILED, text.text, data);
}

void
desk_queues(struct desk_ask *ask)
{
	struct hub *hub = ask->conn->hub;

	if (conf_has_broker(hub->conf))
		desk_order(ask, &(struct msg_ORDER){ .what = ORDER_QUEUES },
		    NULL, queues_on_report);
	else
		desk_answer(ask->conn, CMD_OK, "", report_queues(hub));
}

void
desk_schedules(struct desk_ask *ask)
{
	desk_answer(ask->conn, CMD_OK, "",
	    json_pack("{s:o}", "schedules", schedules_report(ask->conn->hub)));
}
