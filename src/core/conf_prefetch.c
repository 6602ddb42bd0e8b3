/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_prefetch - how many messages of a broker's queue a child may hold. Pure.
 */
#include "core/conf.h"

static int
at_least(int n, int least)
{
	return n > least ? n : least;
}

static int
at_most(int n, int most)
{
	return n < most ? n : most;
}

int
conf_capacity(const struct conf *conf, const struct conf_queue *queue)
{
	int n = conf->task_workers.max;

	if (queue->concurrency > 0)
		n = at_most(n, queue->concurrency);
	return at_least(n, 1);
}

/* Somebody has said how many, or how they are to be handed out. */
static bool
prefetch_is_fixed(const struct conf *conf, const struct conf_queue *queue)
{
	return queue->prefetch > 0 || conf->amqp.prefetch > 0 ||
	    queue->concurrency > 0 ||
	    json_object_get(queue->arguments, "x-single-active-consumer") !=
	    NULL;
}

int
conf_prefetch(const struct conf *conf, const struct conf_queue *queue)
{
	if (queue->prefetch > 0)
		return queue->prefetch;
	if (conf->amqp.prefetch > 0)
		return conf->amqp.prefetch;
	return conf_capacity(conf, queue);
}

int
conf_prefetch_most(const struct conf *conf, const struct conf_queue *queue)
{
	int least = conf_prefetch(conf, queue), sharers = 0;

	if (prefetch_is_fixed(conf, queue))
		return least;
	for (size_t i = 0; i < conf->queue.n; i++)
		sharers += conf->queue.v[i].handler[0] != '\0';
	sharers = at_least(sharers * conf->amqp.children, 1);
	return at_least(least,
	    at_most(least * CONF_WORKER_MESSAGES,
		conf->tasks.max_waiting / sharers));
}

int64_t
conf_amqp_held(const struct conf *conf)
{
	int64_t held = 0;

	for (size_t i = 0; i < conf->queue.n; i++)
		if (conf->queue.v[i].handler[0] != '\0')
			held += conf_prefetch(conf, &conf->queue.v[i]);
	return held;
}
