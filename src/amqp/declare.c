/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * declare - one exchange, queue or binding on the broker.
 *
 * Called by topology.c. What the broker refuses becomes that thing's fault, in
 * words; only a lost connection is told to the caller.
 */
#include <string.h>

#include "amqp/topology_impl.h"
#include "core/retry.h"

static const char *const exchange_type[] = { "direct", "fanout", "topic" };

/* A result of the broker's as a fault, or as none. */
static enum rabbit_result
declare_result(struct topology *t, enum rabbit_result result, char **fault,
    const struct mismatch_thing *thing, unsigned code, struct why *why)
{
	struct why words;

	amqp_alive(t->amqp);
	if (result == RABBIT_LOST)
		return RABBIT_LOST;
	if (result == RABBIT_OK) {
		topology_set_fault(t, fault, NULL);
		return RABBIT_OK;
	}
	mismatch_explain(thing, code, why->text, &words);
	topology_set_fault(t, fault, words.text);
	return RABBIT_OK;
}

/* It was not there, so it has no bindings. Whoever is refused here is told why
 * by what follows. */
static enum rabbit_result
declare_is_new(enum rabbit_result result, unsigned code, bool *fresh)
{
	if (result == RABBIT_REFUSED && code == 404)
		*fresh = true;
	return result == RABBIT_LOST ? RABBIT_LOST : RABBIT_OK;
}

static enum rabbit_result
declare_look_exchange(struct topology *t, struct rabbit *rabbit,
    size_t exchange, struct why *why)
{
	struct rabbit_exchange passive = {
		.name = t->conf->exchange.v[exchange].name,
		.type = exchange_type[t->conf->exchange.v[exchange].type],
		.passive = true,
	};
	unsigned code = 0;
	enum rabbit_result result;

	result = rabbit_declare_exchange(rabbit, &passive, &code, why);
	return declare_is_new(result, code, &t->exchange[exchange].fresh);
}

static enum rabbit_result
declare_look_queue(struct topology *t, struct rabbit *rabbit, size_t queue,
    struct why *why)
{
	struct rabbit_queue passive = {
		.name = t->conf->queue.v[queue].name,
		.passive = true,
		.durable = true,
	};
	unsigned code = 0;
	enum rabbit_result result;

	result = rabbit_declare_queue(rabbit, &passive, NULL, &code, why);
	return declare_is_new(result, code, &t->queue[queue].fresh);
}

enum rabbit_result
topology_do_exchange(struct topology *t, struct rabbit *rabbit, size_t exchange,
    struct why *why)
{
	const struct conf_exchange *conf = &t->conf->exchange.v[exchange];
	const struct rabbit_exchange declared = {
		.name = conf->name,
		.type = exchange_type[conf->type],
		.passive = conf->passive,
		.durable = conf->durable,
		.auto_delete = conf->auto_delete,
		.arguments = conf->arguments,
	};
	const struct mismatch_thing thing = {
		.of = MISMATCH_EXCHANGE,
		.name = conf->name,
		.passive = conf->passive,
	};
	unsigned code = 0;
	enum rabbit_result result;

	if (!conf->passive && bindings_count(t->bindings) > 0 &&
	    declare_look_exchange(t, rabbit, exchange, why) == RABBIT_LOST)
		return RABBIT_LOST;
	result = rabbit_declare_exchange(rabbit, &declared, &code, why);
	return declare_result(t, result, &t->exchange[exchange].fault, &thing,
	    code, why);
}

static enum rabbit_result
declare_dead(struct topology *t, struct rabbit *rabbit, size_t queue,
    struct why *why)
{
	const struct conf_queue *conf = &t->conf->queue.v[queue];
	char name[RETRY_NAME_SIZE];
	struct rabbit_queue dead = {
		.name = retry_dead_name(conf, name),
		.durable = true,
	};
	const struct mismatch_thing thing = { .of = MISMATCH_BESIDE,
		.name = name };
	json_t *arguments;
	unsigned code = 0;
	enum rabbit_result result;

	if (!topology_has_dead(conf))
		return RABBIT_OK;
	arguments = topology_beside(conf, 0, false);
	dead.arguments = arguments;
	result = rabbit_declare_queue(rabbit, &dead, NULL, &code, why);
	json_decref(arguments);
	return declare_result(t, result, &t->queue[queue].fault[FAULT_DEAD],
	    &thing, code, why);
}

enum rabbit_result
topology_do_queue(struct topology *t, struct rabbit *rabbit, size_t queue,
    struct why *why)
{
	const struct conf_queue *conf = &t->conf->queue.v[queue];
	struct rabbit_queue declared = {
		.name = conf->name,
		.passive = conf->passive,
		.durable = true,
	};
	const struct mismatch_thing thing = {
		.of = MISMATCH_QUEUE,
		.name = conf->name,
		.passive = conf->passive,
	};
	char **fault = &t->queue[queue].fault[FAULT_DECLARE];
	json_t *arguments = topology_arguments(t->conf, conf);
	unsigned code = 0;
	enum rabbit_result result;

	/* before the queue: its messages may die at once */
	result = declare_dead(t, rabbit, queue, why);
	if (result == RABBIT_OK && !conf->passive &&
	    bindings_count(t->bindings) > 0)
		result = declare_look_queue(t, rabbit, queue, why);
	if (result == RABBIT_OK) {
		declared.arguments = arguments;
		result = rabbit_declare_queue(rabbit, &declared, NULL, &code,
		    why);
		result = declare_result(t, result, fault, &thing, code, why);
	}
	json_decref(arguments);
	if (result != RABBIT_OK || *fault != NULL)
		return result;
	return topology_do_binds(t, rabbit, queue, why);
}

enum rabbit_result
topology_do_bind(struct topology *t, struct rabbit *rabbit, const char *queue,
    const char *exchange, struct msg_bytes key, bool on, char **fault,
    struct why *why)
{
	unsigned code = 0;
	enum rabbit_result result;
	struct why words;

	result = rabbit_bind(rabbit, queue, exchange, key, on, true, &code,
	    why);
	amqp_alive(t->amqp);
	if (result == RABBIT_REFUSED) {
		why_set(&words,
		    "queue \"%s\" is not %s exchange \"%s\" with key \"%.*s\": "
		    "%s",
		    queue, on ? "bound to" : "unbound from", exchange,
		    (int)key.len, key.p, why->text);
		topology_set_fault(t, fault, words.text);
	}
	return result;
}

enum rabbit_result
topology_do_binds(struct topology *t, struct rabbit *rabbit, size_t queue,
    struct why *why)
{
	const struct conf_queue *conf = &t->conf->queue.v[queue];
	char **fault = &t->queue[queue].fault[FAULT_BIND];
	enum rabbit_result result;
	struct why words;
	bool well = true;

	for (size_t i = 0; i < conf->bind.n; i++) {
		const struct conf_bind *bind = &conf->bind.v[i];

		/* a handler has said otherwise, see there */
		if (bindings_said(t->bindings, conf->name, bind->exchange,
			bind->key) == 0)
			continue;
		if (topology_exchange_fault(t, msg_text(bind->exchange)) !=
		    NULL) {
			why_set(&words,
			    "queue \"%s\" is not bound to exchange \"%s\", "
			    "which is at fault itself",
			    conf->name, bind->exchange);
			topology_set_fault(t, fault, words.text);
			well = false;
			continue;
		}
		result = topology_do_bind(t, rabbit, conf->name, bind->exchange,
		    msg_text(bind->key), true, fault, why);
		if (result == RABBIT_LOST)
			return RABBIT_LOST;
		well = well && result == RABBIT_OK;
	}
	if (well)
		topology_set_fault(t, fault, NULL);
	return RABBIT_OK;
}

enum rabbit_result
topology_do_probe(struct topology *t, struct rabbit *rabbit, size_t queue,
    struct why *why)
{
	const struct mismatch_thing thing = {
		.of = MISMATCH_QUEUE,
		.name = t->conf->queue.v[queue].name,
	};
	struct rabbit_event event;
	enum rabbit_result result;
	unsigned code = 0;
	bool found = false;

	/* taking a message needs the same permission as consuming */
	result = rabbit_get(rabbit, thing.name, &found, &code, why);
	while (result == RABBIT_OK && found &&
	    rabbit_next(rabbit, &event) != RABBIT_NONE) {
		if (event.kind == RABBIT_GONE) {
			why_set(why, "%s", event.text);
			return RABBIT_LOST;
		}
		if (event.kind == RABBIT_DELIVERY)
			rabbit_reject(rabbit, event.tag, true);
	}
	return declare_result(t, result, &t->queue[queue].fault[FAULT_CONSUME],
	    &thing, code, why);
}
