/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * desk_list - listings of work for the operator: jobs, dead, and the reports on
 * the hub, its queues and its schedules.
 *
 * Called by desk. Every listing is bounded: the newest, as many as were asked
 * for, with a word on whether there are more. What runs is known from the
 * workers, for the store may not have been told yet.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
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

static void
listing_answer(struct desk_ask *ask, struct listing *listing)
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
	desk_answer(ask->conn, CMD_OK, "",
	    json_pack("{s:o, s:b}", "jobs", list, "more", (int)listing->more));
	free(listing->uid);
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
	listing_answer(ask, &listing);
}

void
desk_dead(struct desk_ask *ask)
{
	struct hub *hub = ask->conn->hub;
	struct listing listing;
	char *lane = NULL;
	bool found = ask->n == 0;

	for (size_t i = 0; !found && i < hub->conf->queue.n; i++)
		found = strcmp(hub->conf->queue.v[i].name, ask->arg[0]) == 0;
	if (!listing_start(ask, &listing))
		return;
	if (ask->n > 0)
		lane = mem_printf("queue:%s", ask->arg[0]);
	store_list_jobs(hub->store, 1u << JOB_DEAD | 1u << JOB_FAILED, lane,
	    listing.max + 1, listing_each, &listing);
	free(lane);
	/* one of an earlier config may have some all the same */
	if (!found && listing.n == 0) {
		free(listing.uid);
		ask->bad = true;
		desk_fail(ask->conn, CMD_FAILED,
		    "there is no queue '%.100s'; broodctl queues lists them",
		    ask->arg[0]);
		return;
	}
	listing_answer(ask, &listing);
}

void
desk_hub(struct desk_ask *ask)
{
	desk_answer(ask->conn, CMD_OK, "", report_hub(ask->conn->hub));
}

void
desk_queues(struct desk_ask *ask)
{
	desk_answer(ask->conn, CMD_OK, "", report_queues(ask->conn->hub));
}

void
desk_schedules(struct desk_ask *ask)
{
	desk_answer(ask->conn, CMD_OK, "",
	    json_pack("{s:o}", "schedules", schedules_report(ask->conn->hub)));
}
