/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * jobs_lane - lanes, their limits, and which of their levels may be chosen
 * from.
 *
 * Whenever something about a lane changes (it opens, one of its jobs begins or
 * ends, a rate's window is over) lane_settle() puts its levels into the rings
 * or takes them out; nobody else touches the rings.
 */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/uid.h"
#include "hub/jobs_impl.h"

/* How long a lane's jobs take: a mean of the last ones, so that a single long
 * one counts for the next hundred or so. */
#define LANE_TOOK_WEIGHT 16
#define LANE_TOOK_FIRST_NS (10 * NS_PER_MS)
#define LANE_QUICK_NS (200 * NS_PER_US)

static unsigned
level_at(const struct job *job)
{
	return job->kind == JOB_CALL ? LEVEL_CALL : job->priority;
}

static void
level_ring(struct level *level)
{
	struct jobs *jobs = level->lane->jobs;

	if (level->ringed)
		return;
	level->ringed = true;
	DL_APPEND(jobs->ring[level->at], level);
	jobs->ringed[level->at / 64] |= UINT64_C(1) << level->at % 64;
}

static void
level_unring(struct level *level)
{
	struct jobs *jobs = level->lane->jobs;

	if (!level->ringed)
		return;
	level->ringed = false;
	DL_DELETE(jobs->ring[level->at], level);
	if (jobs->ring[level->at] == NULL)
		jobs->ringed[level->at / 64] &= ~(
		    UINT64_C(1) << level->at % 64);
}

/* --- limits */

static bool
lane_at_limit(const struct lane *lane)
{
	return lane->rated ||
	    (lane->limits.concurrency > 0 &&
		lane->counted >= (size_t)lane->limits.concurrency);
}

static void
lane_settle_one(struct lane *lane)
{
	bool ready = lane->open && !lane_at_limit(lane) &&
	    (lane->with == NULL || !lane_at_limit(lane->with));

	if (ready == lane->ready)
		return;
	lane->ready = ready;
	for (size_t i = 0; i < lane->levels; i++)
		if (!ready)
			level_unring(lane->level[i]);
		else if (lane->level[i]->jobs != NULL)
			level_ring(lane->level[i]);
}

static void
lane_settle(struct lane *lane)
{
	lane_settle_one(lane);
	for (struct lane *l = lane->sharers; l != NULL; l = l->next_sharer)
		lane_settle_one(l);
}

static void
lane_unrate(struct lane *lane)
{
	struct jobs *jobs = lane->jobs;

	if (!lane->rated)
		return;
	lane->rated = false;
	for (size_t i = 0; i < jobs->rateds; i++)
		if (jobs->rated[i] == lane) {
			jobs->rated[i] = jobs->rated[--jobs->rateds];
			break;
		}
}

/* One more has begun in this window or a new one. */
static void
lane_count_rate(struct lane *lane, int64_t now_ns)
{
	struct jobs *jobs = lane->jobs;

	if (lane->limits.rate == 0)
		return;
	if (lane->begun == 0 ||
	    now_ns - lane->window_ns >= lane->limits.per_ns) {
		lane->window_ns = now_ns;
		lane->begun = 0;
	}
	if (++lane->begun < lane->limits.rate || lane->rated)
		return;
	lane->rated = true;
	if (jobs->rateds == jobs->rated_size) {
		jobs->rated_size = jobs->rated_size > 0 ? 2 * jobs->rateds : 8;
		jobs->rated = mem_grow(jobs->rated, jobs->rated_size,
		    sizeof(struct lane *));
	}
	jobs->rated[jobs->rateds++] = lane;
}

/* Only lanes that a rate holds at this moment are looked at, and there are no
 * more of them than rows in tasks.limits. */
int64_t
lanes_wake(struct jobs *jobs, int64_t now_ns)
{
	int64_t again_ns = INT64_MAX;

	for (size_t i = 0; i < jobs->rateds;) {
		struct lane *lane = jobs->rated[i];
		int64_t left_ns = lane->limits.per_ns -
		    (now_ns - lane->window_ns);

		if (left_ns > 0) {
			if (now_ns + left_ns < again_ns)
				again_ns = now_ns + left_ns;
			i++;
			continue;
		}
		lane_unrate(lane);
		lane->begun = 0;
		lane_settle(lane);
	}
	return again_ns;
}

static void
lane_begin_one(struct lane *lane, int64_t now_ns)
{
	lane->counted++;
	if (now_ns >= 0)
		lane_count_rate(lane, now_ns);
	lane_settle(lane);
}

void
lane_begin(struct lane *lane, int64_t now_ns)
{
	lane->running++;
	lane_begin_one(lane, now_ns);
	if (lane->with != NULL)
		lane_begin_one(lane->with, now_ns);
}

void
lane_end(struct lane *lane)
{
	lane->running--;
	lane->counted--;
	lane_settle(lane);
	if (lane->with == NULL)
		return;
	lane->with->counted--;
	lane_settle(lane->with);
}

void
lane_set_limits(struct lane *lane, const struct lane_limits *limits)
{
	lane->limits = *limits;
	lane_unrate(lane);
	lane->begun = 0;
	lane_settle(lane);
}

static void
lane_unshare(struct lane *lane)
{
	struct lane *with = lane->with;

	if (with == NULL)
		return;
	LL_DELETE2(with->sharers, lane, next_sharer);
	lane->with = NULL;
	with->counted -= lane->running;
	lane_settle(with);
}

void
lane_share(struct lane *lane, struct lane *with)
{
	lane_unshare(lane);
	if (with != NULL && with != lane) {
		lane->with = with;
		LL_PREPEND2(with->sharers, lane, next_sharer);
		with->counted += lane->running;
		lane_settle(with);
	}
	lane_settle(lane);
}

void
lane_set_open(struct lane *lane, bool open)
{
	lane->open = open;
	lane_settle(lane);
}

bool
lane_is_full(const struct lane *lane)
{
	return lane->limits.max_length > 0 &&
	    lane->waiting + lane->queued >= (size_t)lane->limits.max_length;
}

/* --- lanes and their levels */

struct lane *
jobs_lane(struct jobs *jobs, const char *name)
{
	size_t len = strlen(name);
	struct lane *lane;

	HASH_FIND(hh, jobs->lanes, name, len, lane);
	if (lane != NULL)
		return lane;
	lane = mem_alloc(sizeof *lane + len + 1);
	memcpy(lane->name, name, len + 1);
	lane->jobs = jobs;
	lane->open = lane->ready = true;
	lane->took_ns = LANE_TOOK_FIRST_NS;
	HASH_ADD_KEYPTR(hh, jobs->lanes, lane->name, len, lane);
	return lane;
}

/* Where the level stands or would stand. */
static size_t
lane_level_index(const struct lane *lane, unsigned at)
{
	size_t low = 0, high = lane->levels;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (lane->level[middle]->at > at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct level *
lane_level(struct lane *lane, unsigned at)
{
	size_t i = lane_level_index(lane, at);
	struct level *level;

	if (i < lane->levels && lane->level[i]->at == at)
		return lane->level[i];
	level = mem_alloc(sizeof *level);
	level->lane = lane;
	level->at = (uint16_t)at;
	lane->level = mem_grow(lane->level, lane->levels + 1, sizeof level);
	memmove(&lane->level[i + 1], &lane->level[i],
	    (lane->levels - i) * sizeof level);
	lane->level[i] = level;
	lane->levels++;
	return level;
}

void
lane_queue(struct lane *lane, struct job *job, bool first)
{
	struct level *level = lane_level(lane, level_at(job));

	if (first)
		DL_PREPEND(level->jobs, job);
	else
		DL_APPEND(level->jobs, job);
	lane->queued++;
	if (lane->ready)
		level_ring(level);
}

void
lane_unqueue(struct lane *lane, struct job *job)
{
	struct level *level = lane_level(lane, level_at(job));

	DL_DELETE(level->jobs, job);
	job->prev = job->next = NULL;
	lane->queued--;
	if (level->jobs == NULL)
		level_unring(level);
}

struct job *
lanes_choose(struct jobs *jobs)
{
	for (size_t word = sizeof jobs->ringed / sizeof jobs->ringed[0];
	     word-- > 0;) {
		unsigned at;
		struct level *level;

		if (jobs->ringed[word] == 0)
			continue;
		at = (unsigned)word * 64 + 63 -
		    (unsigned)__builtin_clzll(jobs->ringed[word]);
		level = jobs->ring[at];
		/* the next time it is another lane's turn */
		level_unring(level);
		level_ring(level);
		return level->jobs;
	}
	return NULL;
}

void
lanes_free(struct jobs *jobs)
{
	struct lane *lane, *next;

	HASH_ITER(hh, jobs->lanes, lane, next)
	{
		HASH_DEL(jobs->lanes, lane);
		for (size_t i = 0; i < lane->levels; i++)
			free(lane->level[i]);
		free(lane->level);
		free(lane);
	}
	free(jobs->rated);
}

/* --- looking */

const char *
lane_name(const struct lane *lane)
{
	return lane->name;
}

const char *
lane_queue_name(const struct lane *lane)
{
	size_t len = strlen(LANE_QUEUE);

	return strncmp(lane->name, LANE_QUEUE, len) == 0 ? lane->name + len :
							   NULL;
}

void
lane_set_conf(struct lane *lane, const struct conf_queue *queue,
    const struct conf_limit *limit)
{
	lane->conf_queue = queue;
	lane->conf_limit = limit;
}

const struct conf_queue *
lane_conf_queue(const struct lane *lane)
{
	return lane->conf_queue;
}

const struct conf_limit *
lane_conf_limit(const struct lane *lane)
{
	return lane->conf_limit;
}

void
lane_count(const struct lane *lane, size_t *waiting, size_t *queued,
    size_t *running)
{
	*waiting = lane->waiting;
	*queued = lane->queued;
	*running = lane->running;
}

void
lane_took(struct lane *lane, int64_t took_ns)
{
	if (took_ns < 0)
		took_ns = 0;
	lane->took_ns += (took_ns - lane->took_ns) / LANE_TOOK_WEIGHT;
}

bool
lane_is_quick(const struct lane *lane)
{
	return lane->took_ns <= LANE_QUICK_NS;
}

int64_t
lane_oldest_ms(const struct lane *lane)
{
	int64_t oldest = 0;

	for (size_t i = 0; i < lane->levels; i++) {
		const struct job *job = lane->level[i]->jobs;
		int64_t since;

		if (job == NULL)
			continue;
		/* the uid of a broker's message is no time */
		since = job->kind == JOB_DELIVERED ? job->due_ms :
						     uid_wall_ms(job->uid);
		/* one that had to wait is as old as its due time */
		if (job->due_ms > since)
			since = job->due_ms;
		if (oldest == 0 || since < oldest)
			oldest = since;
	}
	return oldest;
}

struct lane *
jobs_first_lane(struct jobs *jobs)
{
	return jobs->lanes;
}

struct lane *
lane_next(struct lane *lane)
{
	return lane->hh.next;
}

static struct job *
lane_first_from(struct lane *lane, size_t level)
{
	for (; level < lane->levels; level++)
		if (lane->level[level]->jobs != NULL)
			return lane->level[level]->jobs;
	return NULL;
}

struct job *
lane_first(struct lane *lane)
{
	return lane_first_from(lane, 0);
}

struct job *
lane_after(struct lane *lane, struct job *job)
{
	if (job->next != NULL)
		return job->next;
	return lane_first_from(lane, lane_level_index(lane, level_at(job)) + 1);
}
