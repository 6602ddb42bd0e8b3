/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pass - the bindings that handlers made, on the broker: all of them in turn, a
 * few at a time, for there may be very many, and RabbitMQ makes some hundreds a
 * second.
 *
 * Called by topology.c, which does a small number at once while a connection is
 * set up, and by look.c, which does the rest between other things. A durable
 * binding lasts as long as its queue and exchange, so the first pass of a
 * process hurries nobody. Where one of these had to be made, its bindings are
 * missing for sure: a message published before they are there would be lost as
 * unroutable, and nothing is published until the pass is over.
 *
 * Of a chunk only the last is waited for; a pass that is broken off goes on
 * with the chunk that it was at.
 */
#include "amqp/status.h"
#include "amqp/topology_impl.h"
#include "base/log.h"

/* Asked for at a time. */
#define PASS_CHUNK 50

struct pass_place {
	size_t queue, exchange; /* indices in the config */
};

/* Where it belongs; false when there is nothing to be done: a queue or an
 * exchange that is not in the config any more, or that is at fault. */
static bool
pass_place(const struct topology *t, const struct binding *binding,
    struct pass_place *place)
{
	place->exchange = conf_find_exchange(t->conf,
	    msg_text(binding->exchange));
	place->queue = conf_find_queue(t->conf, msg_text(binding->queue));
	return place->exchange < t->conf->exchange.n &&
	    place->queue < t->conf->queue.n &&
	    t->exchange[place->exchange].fault == NULL &&
	    t->queue[place->queue].fault[FAULT_DECLARE] == NULL;
}

static bool
pass_is_fresh(const struct topology *t)
{
	for (size_t i = 0; i < t->conf->exchange.n; i++)
		if (t->exchange[i].fresh)
			return true;
	for (size_t i = 0; i < t->conf->queue.n; i++)
		if (t->queue[i].fresh)
			return true;
	return false;
}

void
topology_pass_begin(struct topology *t)
{
	struct pass *pass = &t->pass;
	bool fresh = pass_is_fresh(t);

	if (bindings_count(t->bindings) == 0 ||
	    (!fresh && (pass->done || pass->under_way)))
		return;
	/* the first one is of all */
	pass->all = !pass->done;
	pass->gate = fresh;
	pass->under_way = true;
	pass->at = NULL;
	pass->n = 0;
	status_changed(t->amqp->status);
}

static void
pass_end(struct topology *t)
{
	struct pass *pass = &t->pass;

	if (pass->n > PASS_CHUNK)
		log_notice("%zu bindings of handlers were made", pass->n);
	for (size_t i = 0; i < t->conf->exchange.n; i++)
		t->exchange[i].fresh = false;
	for (size_t i = 0; i < t->conf->queue.n; i++)
		t->queue[i].fresh = false;
	pass->done = true;
	pass->under_way = pass->gate = false;
	status_changed(t->amqp->status);
}

struct pass_chunk {
	struct binding binding[PASS_CHUNK];
	size_t queue[PASS_CHUNK], n;
};

/* The next ones that are needed, from *at on; false: these are the last. */
static bool
pass_take(const struct topology *t, const struct bindings_entry **at,
    struct pass_chunk *chunk)
{
	struct binding binding;
	struct pass_place place;

	chunk->n = 0;
	while (chunk->n < PASS_CHUNK) {
		if (!bindings_next(t->bindings, at, &binding))
			return false;
		if (!pass_place(t, &binding, &place) ||
		    (!t->pass.all && !t->queue[place.queue].fresh &&
			!t->exchange[place.exchange].fresh))
			continue;
		chunk->binding[chunk->n] = binding;
		chunk->queue[chunk->n++] = place.queue;
	}
	return true;
}

/* All but the last without waiting. */
static enum rabbit_result
pass_bind(struct rabbit *rabbit, const struct pass_chunk *chunk,
    struct why *why)
{
	enum rabbit_result result = RABBIT_OK;
	unsigned code;

	for (size_t i = 0; result == RABBIT_OK && i < chunk->n; i++) {
		const struct binding *binding = &chunk->binding[i];

		result = rabbit_bind(rabbit, binding->queue, binding->exchange,
		    binding->key, binding->on, i == chunk->n - 1, &code, why);
	}
	return result;
}

/* One after the other, to see which of them is refused. */
static enum rabbit_result
pass_bind_each(struct topology *t, struct rabbit *rabbit,
    const struct pass_chunk *chunk, struct why *why)
{
	enum rabbit_result result = RABBIT_OK;

	for (size_t i = 0; result != RABBIT_LOST && i < chunk->n; i++) {
		const struct binding *binding = &chunk->binding[i];

		result = topology_do_bind(t, rabbit, binding->queue,
		    binding->exchange, binding->key, binding->on,
		    &t->queue[chunk->queue[i]].fault[FAULT_BIND], why);
	}
	return result == RABBIT_LOST ? RABBIT_LOST : RABBIT_OK;
}

enum rabbit_result
topology_pass_step(struct topology *t, struct rabbit *rabbit, struct why *why)
{
	const struct bindings_entry *at = t->pass.at;
	struct pass_chunk chunk;
	enum rabbit_result result;
	bool more = pass_take(t, &at, &chunk);

	result = pass_bind(rabbit, &chunk, why);
	if (result == RABBIT_REFUSED)
		result = pass_bind_each(t, rabbit, &chunk, why);
	amqp_alive(t->amqp);
	if (result == RABBIT_LOST)
		return RABBIT_LOST;
	t->pass.at = at;
	t->pass.n += chunk.n;
	if (!more)
		pass_end(t);
	return RABBIT_OK;
}

bool
topology_is_binding(const struct topology *t)
{
	return t->pass.under_way;
}

bool
topology_is_bound(const struct topology *t)
{
	return !t->pass.gate;
}

size_t
topology_bindings(const struct topology *t, size_t *made)
{
	*made = t->pass.n;
	return bindings_count(t->bindings);
}
