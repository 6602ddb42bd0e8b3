/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * topology - exchanges, queues and bindings on the broker, and what is at fault
 * with them.
 *
 * A fault belongs to one thing and says in words what is wrong with it; the
 * rest goes on. Exchanges come first, then queues with their dead-letter queues
 * and the config's bindings, then the bindings that handlers made (pass.c).
 *
 * Called by whoever sets a connection up, and by look.c, which keeps things as
 * they should be. Once declared on a broker it is not declared again until a
 * connection is lost.
 */
#include "amqp/topology_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/status.h"
#include "base/log.h"
#include "base/mem.h"

/* More bindings than these are for look.c to declare, in its own time. */
#define BINDINGS_AT_ONCE 200
/* Nowhere. */
#define NO_BROKER SIZE_MAX

struct topology *
topology_new(struct amqp *amqp)
{
	struct topology *t = mem_alloc(sizeof(*t));

	t->amqp = amqp;
	t->conf = amqp->conf;
	t->bindings = bindings_new();
	t->declared_at = NO_BROKER;
	t->exchange = mem_array(t->conf->exchange.n + 1, sizeof(*t->exchange));
	t->queue = mem_array(t->conf->queue.n + 1, sizeof(*t->queue));
	return t;
}

void
topology_free(struct topology *t)
{
	for (size_t i = 0; i < t->conf->exchange.n; i++)
		free(t->exchange[i].fault);
	for (size_t i = 0; i < t->conf->queue.n; i++)
		for (int k = 0; k < FAULTS; k++)
			free(t->queue[i].fault[k]);
	topology_forget_keys(t);
	bindings_free(t->bindings);
	bindings_free(t->coming);
	free(t->exchange);
	free(t->queue);
	free(t);
}

/* ------------------------------------------------------------ from the hub */

void
topology_on_bindings(struct topology *t, const struct msg_BINDINGS *msg)
{
	struct why why;
	enum msg_id id;
	union msg part;
	size_t at = 0;
	int n;

	if (t->coming == NULL)
		t->coming = bindings_new();
	while ((n = msg_part(msg->bindings, &at, MSG_ID_BIT(BIND), &id, &part,
		    &why)) == 1)
		bindings_say(t->coming, &part.BIND);
	if (n == -1)
		child_fail(t->amqp->child, EXIT_FAILURE,
		    "the hub's bindings make no sense: %s", why.text);
	if (msg->more)
		return;
	bindings_free(t->bindings);
	t->bindings = t->coming;
	t->coming = NULL;
	t->ready = true;
	/* the place of the pass was in the old set */
	if (t->pass.under_way) {
		t->pass.under_way = false;
		t->pass.done = t->pass.done && !t->pass.all;
		topology_pass_begin(t);
	}
}

void
topology_on_bind(struct topology *t, const struct msg_BIND *bind)
{
	bindings_say(t->bindings, bind);
}

bool
topology_ready(const struct topology *t)
{
	return t->ready;
}

/* ------------------------------------------------------------------ faults */

/* Takes a sentence, or NULL: all is well. True when that is news. */
bool
topology_set_fault(struct topology *t, char **fault, const char *why)
{
	if (why == NULL && *fault == NULL)
		return false;
	if (why != NULL && *fault != NULL && strcmp(why, *fault) == 0)
		return false;
	if (why != NULL)
		log_error("%s", why);
	else
		log_notice("mended: %s", *fault);
	free(*fault);
	*fault = why == NULL ? NULL : mem_strdup(why);
	status_changed(t->amqp->status);
	return true;
}

const char *
topology_exchange_fault(const struct topology *t, struct msg_bytes exchange)
{
	size_t i = conf_find_exchange(t->conf, exchange);

	return i < t->conf->exchange.n ? t->exchange[i].fault : NULL;
}

const char *
topology_queue_fault(const struct topology *t, size_t queue)
{
	char *const *fault = t->queue[queue].fault;

	return fault[FAULT_DECLARE] != NULL ? fault[FAULT_DECLARE] :
					      fault[FAULT_CONSUME];
}

const char *
topology_queue_trouble(const struct topology *t, size_t queue)
{
	for (int k = 0; k < FAULTS; k++)
		if (t->queue[queue].fault[k] != NULL)
			return t->queue[queue].fault[k];
	return NULL;
}

const char *
topology_fault(const struct topology *t, size_t n)
{
	for (size_t i = 0; i < t->conf->exchange.n; i++)
		if (t->exchange[i].fault != NULL && n-- == 0)
			return t->exchange[i].fault;
	for (size_t i = 0; i < t->conf->queue.n; i++)
		if (topology_queue_trouble(t, i) != NULL && n-- == 0)
			return topology_queue_trouble(t, i);
	return NULL;
}

void
topology_queue_lost(struct topology *t, size_t queue, const char *why)
{
	struct why text;

	why_set(&text, "queue \"%s\": %s", t->conf->queue.v[queue].name, why);
	topology_set_fault(t, &t->queue[queue].fault[FAULT_DECLARE], text.text);
}

void
topology_exchange_lost(struct topology *t, struct msg_bytes exchange,
    const char *why)
{
	size_t i = conf_find_exchange(t->conf, exchange);
	struct why text;

	if (i == t->conf->exchange.n)
		return;
	why_set(&text, "exchange \"%s\": %s", t->conf->exchange.v[i].name, why);
	topology_set_fault(t, &t->exchange[i].fault, text.text);
}

void
topology_queue_refused(struct topology *t, size_t queue, unsigned code,
    const char *why)
{
	struct why text;
	const struct mismatch_thing thing = {
		.of = MISMATCH_QUEUE,
		.name = t->conf->queue.v[queue].name,
	};

	mismatch_explain(&thing, code, why, &text);
	topology_set_fault(t, &t->queue[queue].fault[FAULT_CONSUME], text.text);
}

/* ------------------------------------------------------------- connections */

void
topology_on_link(struct topology *t, size_t broker)
{
	if (t->declared_at != broker)
		t->declared_at = NO_BROKER;
	t->connected_to = broker;
}

void
topology_on_loss(struct topology *t)
{
	t->declared_at = NO_BROKER;
	topology_forget_keys(t);
}

enum rabbit_result
topology_declare(struct topology *t, struct rabbit *rabbit, struct why *why)
{
	enum rabbit_result result = RABBIT_OK;

	if (t->declared_at == t->connected_to)
		return RABBIT_OK;
	for (size_t i = 0; result != RABBIT_LOST && i < t->conf->exchange.n;
	     i++)
		result = topology_do_exchange(t, rabbit, i, why);
	for (size_t i = 0; result != RABBIT_LOST && i < t->conf->queue.n; i++)
		result = topology_do_queue(t, rabbit, i, why);
	if (result == RABBIT_LOST)
		return RABBIT_LOST;
	topology_pass_begin(t);
	/* few of them: at once */
	while (topology_is_binding(t) &&
	    bindings_count(t->bindings) <= BINDINGS_AT_ONCE)
		if (topology_pass_step(t, rabbit, why) == RABBIT_LOST)
			return RABBIT_LOST;
	t->declared_at = t->connected_to;
	return RABBIT_OK;
}

/* ----------------------------------------------------------------- mending */

/* An exchange that is there again has no bindings. */
static enum rabbit_result
topology_rebind(struct topology *t, struct rabbit *rabbit, size_t exchange,
    struct why *why)
{
	for (size_t i = 0; i < t->conf->queue.n; i++)
		if (topology_queue_fault(t, i) == NULL &&
		    topology_do_binds(t, rabbit, i, why) == RABBIT_LOST)
			return RABBIT_LOST;
	t->exchange[exchange].fresh = true;
	topology_pass_begin(t);
	return RABBIT_OK;
}

enum rabbit_result
topology_mend_exchange(struct topology *t, struct rabbit *rabbit,
    size_t exchange, bool *mended, struct why *why)
{
	if (topology_do_exchange(t, rabbit, exchange, why) == RABBIT_LOST)
		return RABBIT_LOST;
	*mended = t->exchange[exchange].fault == NULL;
	return *mended ? topology_rebind(t, rabbit, exchange, why) : RABBIT_OK;
}

static bool
topology_is_there(const struct topology *t, size_t queue)
{
	return t->queue[queue].fault[FAULT_DECLARE] == NULL;
}

enum rabbit_result
topology_mend_queue(struct topology *t, struct rabbit *rabbit, size_t queue,
    bool *mended, struct why *why)
{
	struct topology_queue *q = &t->queue[queue];
	bool was_there = topology_is_there(t, queue);
	enum rabbit_result result;

	result = topology_do_queue(t, rabbit, queue, why);
	if (result == RABBIT_OK && !was_there && topology_is_there(t, queue)) {
		q->fresh = true;
		topology_pass_begin(t);
	}
	if (result == RABBIT_OK && topology_is_there(t, queue) &&
	    q->fault[FAULT_CONSUME] != NULL)
		result = topology_do_probe(t, rabbit, queue, why);
	*mended = topology_queue_trouble(t, queue) == NULL;
	return result == RABBIT_LOST ? RABBIT_LOST : RABBIT_OK;
}

enum rabbit_result
topology_mend(struct topology *t, struct rabbit *rabbit, bool *mended,
    struct why *why)
{
	bool one;

	*mended = false;
	for (size_t i = 0; i < t->conf->exchange.n; i++) {
		if (t->exchange[i].fault == NULL)
			continue;
		if (topology_mend_exchange(t, rabbit, i, &one, why) ==
		    RABBIT_LOST)
			return RABBIT_LOST;
		*mended |= one;
	}
	for (size_t i = 0; i < t->conf->queue.n; i++) {
		if (topology_queue_trouble(t, i) == NULL)
			continue;
		if (topology_mend_queue(t, rabbit, i, &one, why) == RABBIT_LOST)
			return RABBIT_LOST;
		*mended |= one;
	}
	return RABBIT_OK;
}
