/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * look - the queues as the broker has them, and what is mended.
 *
 * Called by amqp.c (start), consume and publish (something is at fault). One
 * thing is looked at in a round of the loop, so that nobody waits for many
 * answers at a time:
 *
 *   amqp.refresh ──► mend what is at fault ──► exchange 0, 1, … queue 0, 1, …
 *                ──► bindings that handlers made, while some are to be made
 *
 * An exchange or queue that is not there any more is declared at once, with its
 * bindings. That is not said to be an error of anybody's: it is logged.
 */
#include "amqp/look.h"

#include <stdlib.h>

#include "amqp/consume.h"
#include "amqp/status.h"
#include "amqp/topology.h"
#include "base/clock.h"
#include "base/mem.h"

struct look {
	struct amqp *amqp;
	struct link link;
	struct loop_timer timer;
	size_t at;	  /* exchanges, then queues; behind them: rest */
	bool soon;	  /* mend first */
	int64_t round_ns; /* the last round began */
	struct look_queue {
		bool known;
		struct rabbit_count count;
	} * queue;
};

static void
look_set(struct look *look, int64_t delay_ns)
{
	loop_timer_set(look->amqp->loop, &look->timer,
	    clock_now_ns() + delay_ns);
}

static enum rabbit_result
look_mend(struct look *look, struct why *why)
{
	bool mended = false;
	enum rabbit_result result;

	look->soon = false;
	result = topology_mend(look->amqp->topology, look->link.rabbit, &mended,
	    why);
	if (result == RABBIT_OK && mended)
		consume_mend(look->amqp->consume);
	return result;
}

static enum rabbit_result
look_at_exchange(struct look *look, size_t i, struct why *why)
{
	const struct conf_exchange *conf = &look->amqp->conf->exchange.v[i];
	struct topology *topology = look->amqp->topology;
	const struct rabbit_exchange passive = {
		.name = conf->name,
		.type = "direct",
		.passive = true,
	};
	enum rabbit_result result;
	unsigned code = 0;

	if (topology_exchange_fault(topology, msg_text(conf->name)) != NULL)
		return RABBIT_OK;
	result = rabbit_declare_exchange(look->link.rabbit, &passive, &code,
	    why);
	if (result == RABBIT_REFUSED && code == 404) {
		topology_exchange_lost(topology, msg_text(conf->name),
		    "was deleted; is declared again");
		look->soon = true;
	}
	return result;
}

static enum rabbit_result
look_at_queue(struct look *look, size_t i, struct why *why)
{
	const struct conf_queue *conf = &look->amqp->conf->queue.v[i];
	struct topology *topology = look->amqp->topology;
	struct look_queue *queue = &look->queue[i];
	const struct rabbit_queue passive = {
		.name = conf->name,
		.passive = true,
		.durable = true,
	};
	enum rabbit_result result;
	unsigned code = 0;

	queue->known = false;
	if (topology_queue_fault(topology, i) != NULL)
		return RABBIT_OK;
	result = rabbit_declare_queue(look->link.rabbit, &passive,
	    &queue->count, &code, why);
	if (result == RABBIT_OK) {
		queue->known = true;
		consume_seen(look->amqp->consume, i, queue->count.consumers);
	} else if (result == RABBIT_REFUSED && code == 404) {
		topology_queue_lost(topology, i,
		    "was deleted; is declared again");
		look->soon = true;
	}
	return result;
}

/* The next thing of this round, or the begin of another one. */
static enum rabbit_result
look_step(struct look *look, struct why *why)
{
	const struct conf *conf = look->amqp->conf;
	size_t things = conf->exchange.n + conf->queue.n;
	int64_t now_ns = clock_now_ns();
	size_t at;

	if (look->soon)
		return look_mend(look, why);
	if (look->at < things) {
		at = look->at++;
		if (at < conf->exchange.n)
			return look_at_exchange(look, at, why);
		return look_at_queue(look, at - conf->exchange.n, why);
	}
	if (now_ns - look->round_ns < conf->amqp.refresh)
		return topology_is_binding(look->amqp->topology) ?
		    topology_pass_step(look->amqp->topology, look->link.rabbit,
			why) :
		    RABBIT_OK;
	look->at = 0;
	look->soon = true;
	look->round_ns = now_ns;
	return RABBIT_OK;
}

static void
look_on_timer(void *ctx)
{
	struct look *look = ctx;
	const struct conf *conf = look->amqp->conf;
	struct why why;
	bool more;

	if (!look->link.up || look->amqp->draining)
		return;
	if (look_step(look, &why) == RABBIT_LOST) {
		link_fail(&look->link, "%s", why.text);
		return;
	}
	more = look->soon || look->at < conf->exchange.n + conf->queue.n ||
	    topology_is_binding(look->amqp->topology);
	look_set(look,
	    more ? 0 : look->round_ns + conf->amqp.refresh - clock_now_ns());
}

static enum rabbit_result
look_up(void *ctx, struct rabbit *rabbit, struct why *why)
{
	struct look *look = ctx;

	(void)rabbit;
	(void)why;
	look->at = 0;
	look->soon = true;
	look->round_ns = clock_now_ns();
	look_set(look, 0);
	status_changed(look->amqp->status);
	return RABBIT_OK;
}

static void
look_down(void *ctx, const char *why)
{
	struct look *look = ctx;

	(void)why;
	loop_timer_cancel(look->amqp->loop, &look->timer);
	for (size_t i = 0; i < look->amqp->conf->queue.n; i++)
		look->queue[i].known = false;
	status_changed(look->amqp->status);
}

static void
look_event(void *ctx, const struct rabbit_event *event)
{
	struct look *look = ctx;

	if (event->kind == RABBIT_CHANNEL_CLOSED)
		link_fail(&look->link, "the broker closed the channel: %s",
		    event->text);
}

static const struct link_owner look_owner = {
	.name = "looking",
	.up = look_up,
	.down = look_down,
	.event = look_event,
};

struct look *
look_new(struct amqp *amqp)
{
	struct look *look = mem_alloc(sizeof(*look));

	look->amqp = amqp;
	look->queue = mem_array(amqp->conf->queue.n + 1, sizeof(*look->queue));
	loop_timer_init(&look->timer, look_on_timer, look);
	link_init(&look->link, amqp, &look_owner, look);
	return look;
}

void
look_start(struct look *look)
{
	link_start(&look->link);
}

void
look_free(struct look *look)
{
	loop_timer_cancel(look->amqp->loop, &look->timer);
	link_stop(&look->link);
	free(look->queue);
	free(look);
}

const struct link *
look_link(const struct look *look)
{
	return &look->link;
}

void
look_soon(struct look *look)
{
	look->soon = true;
	if (look->link.up)
		look_set(look, 0);
}

bool
look_count(const struct look *look, size_t queue, struct rabbit_count *count)
{
	*count = look->queue[queue].count;
	return look->queue[queue].known;
}
