/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * amqp - the role: what an amqp child does from its start to its end.
 *
 * Called by core/child only. It begins with the hub, which tells the bindings
 * that handlers have made (BINDINGS); only then is the broker connected to, for
 * those are part of what is declared. That the broker is away is no failure of
 * the child's: it says so in its status and tries again.
 *
 *   BINDINGS…, the last ──► links start ──► consume, publish, look
 *   BINDINGS again: a new hub, which knows nothing of us
 *
 * Once a round, before the loop sleeps, the links' turns come: acks, confirms
 * and the status leave together.
 */
#include "amqp/amqp.h"

#include <stdlib.h>

#include "amqp/consume.h"
#include "amqp/look.h"
#include "amqp/orders.h"
#include "amqp/publish.h"
#include "amqp/rabbit_net.h"
#include "amqp/status.h"
#include "amqp/topology.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/why.h"

void
amqp_alive(void *ctx)
{
	struct amqp *amqp = ctx;

	amqp->child->slot->heartbeat_ns = clock_now_ns();
}

/* The end of a round. Drained is asked here alone, when no callback is under
 * way any more. */
static int64_t
amqp_before_wait(void *ctx)
{
	struct amqp *amqp = ctx;
	bool more = link_turns(amqp);

	status_turn(amqp->status);
	if (amqp->draining && consume_is_idle(amqp->consume) &&
	    publish_is_idle(amqp->publish) && hub_is_flushed(amqp->hub))
		child_drained(amqp->child);
	return more ? 0 : CLOCK_NEVER;
}

static void
amqp_on_bindings(struct amqp *amqp, const struct msg_BINDINGS *bindings)
{
	bool first = !topology_ready(amqp->topology);

	topology_on_bindings(amqp->topology, bindings);
	if (!topology_ready(amqp->topology) || bindings->more)
		return;
	if (!first) {
		publish_on_hub(amqp->publish);
		return;
	}
	if (amqp->draining)
		return;
	consume_start(amqp->consume);
	publish_start(amqp->publish);
	look_start(amqp->look);
}

static void
amqp_on_note(void *ctx, enum msg_id id, const union msg *msg)
{
	struct amqp *amqp = ctx;

	if (id == MSG_BINDINGS)
		amqp_on_bindings(amqp, &msg->BINDINGS);
	else if (id == MSG_SEND)
		publish_on_send(amqp->publish, &msg->SEND);
	else if (id == MSG_ORDER)
		orders_on_order(amqp->orders, &msg->ORDER);
}

/* Before the master's patience ends: what is not done the broker delivers
 * again. */
static void
amqp_on_patience(void *ctx)
{
	struct amqp *amqp = ctx;

	log_notice("not all is done within service.stop_timeout; the broker "
		   "delivers the rest again");
	child_drained(amqp->child);
}

/* Neither file is of interest without a broker: it is not read. */
static void
amqp_check(const struct conf *conf, const struct module_registry *modules,
    struct conf_errors *errors)
{
	(void)modules;
	tls_check(conf, errors);
}

static int
amqp_init(struct child *child, struct why *why)
{
	struct amqp *amqp = mem_alloc(sizeof(*amqp));
	struct hub_client_options options = {
		.path = conf_hub_socket(child->conf, amqp->path),
		.slot = child->spec.slot,
		.generation = child->spec.generation,
		.max_frame = child->conf->hub.max_message,
		.on_note = amqp_on_note,
		.ctx = amqp,
	};

	(void)why;
	amqp->child = child;
	amqp->conf = child->conf;
	amqp->loop = &child->loop;
	child->role_data = amqp;
	child->hub = hub_client_new(&child->loop, &options);
	amqp->hub = child->hub;
	amqp->status = status_new(amqp);
	amqp->topology = topology_new(amqp);
	amqp->consume = consume_new(amqp);
	amqp->publish = publish_new(amqp);
	amqp->look = look_new(amqp);
	amqp->orders = orders_new(amqp);
	loop_timer_init(&amqp->patience, amqp_on_patience, amqp);
	child->loop.before_wait = amqp_before_wait;
	child->loop.before_wait_ctx = amqp;
	hub_client_stay(amqp->hub);
	return 0;
}

static void
amqp_drain(struct child *child)
{
	struct amqp *amqp = child->role_data;

	amqp->draining = true;
	loop_timer_set(&child->loop, &amqp->patience,
	    clock_now_ns() + child->conf->service.stop_timeout / 10 * 8);
	consume_drain(amqp->consume);
	publish_drain(amqp->publish);
}

static void
amqp_fini(struct child *child)
{
	struct amqp *amqp = child->role_data;

	child->loop.before_wait = NULL;
	loop_timer_cancel(&child->loop, &amqp->patience);
	orders_free(amqp->orders);
	look_free(amqp->look);
	publish_free(amqp->publish);
	consume_free(amqp->consume);
	topology_free(amqp->topology);
	status_free(amqp->status);
	hub_client_free(amqp->hub);
	child->hub = NULL;
	free(amqp);
	child->role_data = NULL;
}

const struct role amqp_role = {
	.check = amqp_check,
	.init = amqp_init,
	.drain = amqp_drain,
	.fini = amqp_fini,
};
