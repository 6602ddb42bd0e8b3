/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pools - which pools there are.
 *
 * One for each role, but for amqp where the hub routes messages itself; of a
 * role with one child for each entry of a list (ROLE_EACH) one for each entry,
 * which keeps its pool, with all that is known of it, as long as its name is
 * in the config. A reload adds the pools of the new config before its commit;
 * those that no config has any more go when their last member has gone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "master/family.h"

bool
pool_is(const struct pool *pool, enum role_id role)
{
	return pool->role_id == role;
}

bool
pool_is_sized(const struct pool *pool)
{
	return role_info[pool->role_id].kind == ROLE_POOL;
}

int
pool_entry(const struct pool *pool, const struct conf *conf)
{
	if (role_info[pool->role_id].kind != ROLE_EACH)
		return -1;
	for (size_t i = 0; i < conf->background.n; i++)
		if (strcmp(conf->background.v[i].name, pool->entry) == 0)
			return (int)i;
	return -1;
}

bool
pool_in(const struct pool *pool, const struct conf *conf)
{
	if (pool_is(pool, ROLE_AMQP))
		return conf_has_broker(conf);
	return role_info[pool->role_id].kind != ROLE_EACH ||
	    pool_entry(pool, conf) >= 0;
}

/* As many as are configured; the operator may have more, as far as two
 * generations of everybody still find their slots, and the hub has room for
 * what they prefetch. */
static struct policy_limits
amqp_limits(const struct conf *conf)
{
	int room = (conf->service.max_children - conf_children_max(conf)) / 2;
	int max = conf->amqp.children + (room > 0 ? room : 0);
	int64_t held = conf_amqp_held(conf);

	if (max > POOL_AMQP_MAX)
		max = POOL_AMQP_MAX;
	if (held > 0 && max > conf->tasks.max_waiting / held)
		max = (int)(conf->tasks.max_waiting / held);
	return (struct policy_limits){ .start = conf->amqp.children,
		.max = max,
		.fixed = true };
}

void
pool_read_limits(const struct pool *pool, const struct conf *conf,
    struct policy_limits *limits)
{
	const struct conf_rest_workers *rest = &conf->rest_workers;
	const struct conf_task_workers *task = &conf->task_workers;

	if (pool_is(pool, ROLE_REST))
		*limits = (struct policy_limits){ rest->start, rest->min_spare,
			rest->max_spare, rest->max, rest->grow_delay,
			rest->shrink_delay, false };
	else if (pool_is(pool, ROLE_TASK))
		*limits = (struct policy_limits){ task->start, task->min_spare,
			task->max_spare, task->max, task->grow_delay,
			task->shrink_delay, false };
	else if (pool_is(pool, ROLE_AMQP))
		*limits = amqp_limits(conf);
	else
		*limits = (struct policy_limits){ .start = 1, .max = 1 };
}

struct pool *
pools_find(const struct master *master, const char *name)
{
	for (size_t i = 0; i < master->pools; i++)
		if (strcmp(master->pool[i]->name, name) == 0)
			return master->pool[i];
	return NULL;
}

static void
pools_add_one(struct master *master, const struct conf *conf, enum role_id role,
    int entry)
{
	char name[CHILD_NAME_SIZE];
	struct pool *pool;

	if (pools_find(master, child_name(role, conf, entry, name)))
		return;
	pool = mem_alloc(sizeof *pool);
	pool->master = master;
	pool->role_id = role;
	mem_copy_string(pool->name, sizeof pool->name, name);
	if (entry >= 0)
		mem_copy_string(pool->entry, sizeof pool->entry,
		    conf->background.v[entry].name);
	pool_init(pool, conf);
	master->pool = mem_grow(master->pool, master->pools + 1,
	    sizeof *master->pool);
	master->pool[master->pools++] = pool;
}

void
pools_add(struct master *master, const struct conf *conf)
{
	for (int role = 0; role < ROLE_COUNT; role++) {
		if (role == ROLE_AMQP && !conf_has_broker(conf))
			continue;
		if (role_info[role].kind != ROLE_EACH)
			pools_add_one(master, conf, (enum role_id)role, -1);
		else
			for (int i = 0; i < (int)conf->background.n; i++)
				pools_add_one(master, conf, (enum role_id)role,
				    i);
	}
}

static void
pools_free_one(struct pool *pool)
{
	struct loop *loop = &pool->master->loop;

	loop_timer_cancel(loop, &pool->decide);
	loop_timer_cancel(loop, &pool->respawn);
	loop_timer_cancel(loop, &pool->calm);
	free(pool);
}

void
pools_sweep(struct master *master)
{
	const struct deployment *next = reload_deployment(master);
	size_t kept = 0;

	for (size_t i = 0; i < master->pools; i++) {
		struct pool *pool = master->pool[i];

		if (pool_in(pool, master->current->conf) ||
		    (next && pool_in(pool, next->conf)) ||
		    pool_members(pool) > 0)
			master->pool[kept++] = pool;
		else
			pools_free_one(pool);
	}
	master->pools = kept;
}

void
pools_free(struct master *master)
{
	for (size_t i = 0; i < master->pools; i++)
		free(master->pool[i]);
	free(master->pool);
	master->pool = NULL;
	master->pools = 0;
}
