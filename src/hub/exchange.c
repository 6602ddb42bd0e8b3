/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exchange - where a message goes: exchanges, queues and bindings in memory.
 *
 * Called by effects for every message, by work when handlers bind, and by
 * report. Bindings of a direct exchange are found by their key, so that a
 * binding for each of a hundred thousand users costs a message nothing; those
 * of a topic exchange are tried one by one. Knows no files: what was decided at
 * run time is stored, and put back at the start, by the caller.
 */
#include "hub/exchange.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uthash.h>

#include "base/mem.h"
#include "base/why.h"

struct binding {
	struct binding *next; /* of the exchange, in the order of binding */
	struct binding **link;
	struct binding *same; /* of the exchange, with the same key */
	size_t queue;
	bool configured;
	enum exchange_said said;
	size_t key_len;
	char key[];
};

/* All bindings of an exchange that have one key. */
struct binding_key {
	struct binding *first;
	UT_hash_handle hh;
	size_t len;
	char key[];
};

struct exchange {
	const struct conf_exchange *conf;
	struct binding *first, **last;
	struct binding_key *by_key;
	UT_hash_handle hh;
};

struct queue_name {
	const char *name;
	size_t index;
	UT_hash_handle hh;
};

struct exchanges {
	const struct conf *conf;
	struct exchange *exchange; /* conf->exchange.n of them */
	struct exchange *by_name;
	struct queue_name *queue; /* conf->queue.n of them */
	struct queue_name *queue_by_name;
	size_t bound; /* that handlers made */
	/* of exchanges_route(): the round in which a queue was taken */
	uint64_t *taken, *round;
};

/* ------------------------------------------------------------------ topics */

/* The length of the word that starts at `at`. */
static size_t
topic_word(const char *text, size_t len, size_t at)
{
	const char *dot = memchr(text + at, '.', len - at);

	return dot != NULL ? (size_t)(dot - text) - at : len - at;
}

/* Words are counted by where they start: an empty text has none, and a word
 * behind the last dot starts at `len`; `len + 1` is the end. */
static size_t
topic_next(const char *text, size_t len, size_t at)
{
	return at + topic_word(text, len, at) + 1;
}

bool
exchange_topic_fits(const char *pattern, size_t pattern_len, const char *key,
    size_t key_len)
{
	size_t p = pattern_len > 0 ? 0 : 1, k = key_len > 0 ? 0 : 1, n;
	size_t hash = SIZE_MAX, tried = 0; /* behind the last #; from where */
	bool more;

	for (;;) {
		more = k <= key_len;
		n = p <= pattern_len ? topic_word(pattern, pattern_len, p) : 0;
		if (p <= pattern_len && n == 1 && pattern[p] == '#') {
			p = hash = p + 2;
			tried = k;
			continue;
		}
		if (p > pattern_len && !more)
			return true;
		if (p <= pattern_len && more &&
		    ((n == 1 && pattern[p] == '*') ||
			(n == topic_word(key, key_len, k) &&
			    memcmp(pattern + p, key + k, n) == 0))) {
			p += n + 1;
			k = topic_next(key, key_len, k);
			continue;
		}
		/* The # takes one word more, if there is one. */
		if (hash == SIZE_MAX || tried > key_len)
			return false;
		tried = k = topic_next(key, key_len, tried);
		p = hash;
	}
}

/* ---------------------------------------------------------------- bindings */

static struct exchange *
exchange_find(const struct exchanges *exchanges, struct msg_bytes name)
{
	struct exchange *exchange;

	HASH_FIND(hh, exchanges->by_name, name.p, name.len, exchange);
	return exchange;
}

static const struct queue_name *
queue_find(const struct exchanges *exchanges, struct msg_bytes name)
{
	struct queue_name *queue;

	HASH_FIND(hh, exchanges->queue_by_name, name.p, name.len, queue);
	return queue;
}

static struct binding *
binding_find(const struct exchange *exchange, struct msg_bytes key,
    size_t queue)
{
	struct binding_key *all;
	struct binding *binding;

	HASH_FIND(hh, exchange->by_key, key.p, key.len, all);
	for (binding = all != NULL ? all->first : NULL; binding != NULL;
	     binding = binding->same)
		if (binding->queue == queue)
			return binding;
	return NULL;
}

static struct binding *
binding_add(struct exchange *exchange, struct msg_bytes key, size_t queue)
{
	struct binding *binding = mem_alloc(sizeof(*binding) + key.len + 1);
	struct binding_key *all;

	binding->queue = queue;
	binding->key_len = key.len;
	memcpy(binding->key, key.p, key.len);
	binding->link = exchange->last;
	*exchange->last = binding;
	exchange->last = &binding->next;

	HASH_FIND(hh, exchange->by_key, key.p, key.len, all);
	if (all == NULL) {
		all = mem_alloc(sizeof(*all) + key.len);
		all->len = key.len;
		memcpy(all->key, key.p, key.len);
		HASH_ADD_KEYPTR(hh, exchange->by_key, all->key, all->len, all);
	}
	binding->same = all->first;
	all->first = binding;
	return binding;
}

static void
binding_remove(struct exchange *exchange, struct binding *binding)
{
	struct binding_key *all;
	struct binding **at;

	*binding->link = binding->next;
	if (binding->next != NULL)
		binding->next->link = binding->link;
	else
		exchange->last = binding->link;
	HASH_FIND(hh, exchange->by_key, binding->key, binding->key_len, all);
	for (at = &all->first; *at != binding;)
		at = &(*at)->same;
	*at = binding->same;
	if (all->first == NULL) {
		HASH_DEL(exchange->by_key, all);
		free(all);
	}
	free(binding);
}

static bool
binding_is_on(const struct binding *binding)
{
	return binding->said == EXCHANGE_BOUND ||
	    (binding->said == EXCHANGE_UNSAID && binding->configured);
}

/* `binding` NULL: there is none yet. */
static void
binding_say(struct exchanges *exchanges, struct exchange *exchange,
    struct binding *binding, struct msg_bytes key, size_t queue,
    enum exchange_said to)
{
	if (binding == NULL)
		binding = binding_add(exchange, key, queue);
	exchanges->bound += to == EXCHANGE_BOUND;
	exchanges->bound -= binding->said == EXCHANGE_BOUND;
	binding->said = to;
	if (to == EXCHANGE_UNSAID && !binding->configured)
		binding_remove(exchange, binding);
}

int
exchanges_bind(struct exchanges *exchanges, struct msg_bytes queue_name,
    struct msg_bytes exchange_name, struct msg_bytes key, bool on,
    struct why *why)
{
	const struct queue_name *queue = queue_find(exchanges, queue_name);
	struct exchange *exchange = exchange_find(exchanges, exchange_name);
	enum exchange_said was = EXCHANGE_UNSAID, to = EXCHANGE_UNSAID;
	struct binding *binding;

	if (queue == NULL)
		return why_set(why, "there is no queue '%.*s'",
		    (int)queue_name.len, queue_name.p);
	if (exchange_name.len == 0)
		return why_set(why,
		    "the default exchange has no bindings: it leads to every "
		    "queue by its name");
	if (exchange == NULL)
		return why_set(why, "there is no exchange '%.*s'",
		    (int)exchange_name.len, exchange_name.p);

	binding = binding_find(exchange, key, queue->index);
	if (binding != NULL)
		was = binding->said;
	if (on)
		to = EXCHANGE_BOUND;
	else if (binding != NULL && binding->configured)
		to = EXCHANGE_UNBOUND;
	if (to == was)
		return 0;
	binding_say(exchanges, exchange, binding, key, queue->index, to);
	return 1;
}

enum exchange_said
exchanges_said(const struct exchanges *exchanges, struct msg_bytes queue_name,
    struct msg_bytes exchange_name, struct msg_bytes key)
{
	const struct queue_name *queue = queue_find(exchanges, queue_name);
	struct exchange *exchange = exchange_find(exchanges, exchange_name);
	struct binding *binding = queue != NULL && exchange != NULL ?
	    binding_find(exchange, key, queue->index) :
	    NULL;

	return binding != NULL ? binding->said : EXCHANGE_UNSAID;
}

void
exchanges_unsay(struct exchanges *exchanges, struct msg_bytes queue_name,
    struct msg_bytes exchange_name, struct msg_bytes key,
    enum exchange_said was)
{
	const struct queue_name *queue = queue_find(exchanges, queue_name);
	struct exchange *exchange = exchange_find(exchanges, exchange_name);

	if (queue != NULL && exchange != NULL)
		binding_say(exchanges, exchange,
		    binding_find(exchange, key, queue->index), key,
		    queue->index, was);
}

size_t
exchanges_bound(const struct exchanges *exchanges)
{
	return exchanges->bound;
}

void
exchanges_each(const struct exchanges *exchanges,
    void (*each)(void *ctx, const char *queue, const char *exchange,
	const char *key, bool configured),
    void *ctx)
{
	const struct conf *conf = exchanges->conf;
	const struct binding *binding;

	for (size_t i = 0; i < conf->exchange.n; i++)
		for (binding = exchanges->exchange[i].first; binding != NULL;
		     binding = binding->next)
			if (binding_is_on(binding))
				each(ctx, conf->queue.v[binding->queue].name,
				    conf->exchange.v[i].name, binding->key,
				    binding->configured);
}

/* ----------------------------------------------------------------- routing */

struct route {
	const struct exchanges *exchanges;
	size_t *queue;
	int n;
};

static void
route_take(struct route *route, const struct binding *binding)
{
	const struct exchanges *exchanges = route->exchanges;
	uint64_t *taken = &exchanges->taken[binding->queue];

	if (!binding_is_on(binding) || *taken == *exchanges->round)
		return;
	*taken = *exchanges->round;
	route->queue[route->n++] = binding->queue;
}

int
exchanges_route(const struct exchanges *exchanges, struct msg_bytes name,
    struct msg_bytes key, size_t *queue, struct why *why)
{
	struct route route = { .exchanges = exchanges, .queue = queue };
	const struct exchange *exchange;
	const struct queue_name *named;
	const struct binding *binding;
	const struct binding_key *all;

	if (name.len == 0) {
		named = queue_find(exchanges, key);
		if (named != NULL)
			queue[0] = named->index;
		return named != NULL;
	}
	exchange = exchange_find(exchanges, name);
	if (exchange == NULL)
		return why_set(why, "there is no exchange '%.*s'",
		    (int)name.len, name.p);

	++*exchanges->round;
	switch (exchange->conf->type) {
	case CONF_EXCHANGE_DIRECT:
		HASH_FIND(hh, exchange->by_key, key.p, key.len, all);
		for (binding = all != NULL ? all->first : NULL; binding != NULL;
		     binding = binding->same)
			route_take(&route, binding);
		break;
	case CONF_EXCHANGE_FANOUT:
		for (binding = exchange->first; binding != NULL;
		     binding = binding->next)
			route_take(&route, binding);
		break;
	default:
		for (binding = exchange->first; binding != NULL;
		     binding = binding->next)
			if (exchange_topic_fits(binding->key, binding->key_len,
				key.p, key.len))
				route_take(&route, binding);
		break;
	}
	return route.n;
}

/* --------------------------------------------------------------- the whole */

struct exchanges *
exchanges_new(const struct conf *conf)
{
	struct exchanges *exchanges = mem_alloc(sizeof(*exchanges));
	struct exchange *exchange;
	struct queue_name *queue;
	const struct conf_bind *bind;
	struct binding *binding;

	exchanges->conf = conf;
	exchanges->exchange = mem_array(conf->exchange.n + 1,
	    sizeof(*exchanges->exchange));
	exchanges->queue = mem_array(conf->queue.n + 1,
	    sizeof(*exchanges->queue));
	exchanges->taken = mem_array(conf->queue.n + 1,
	    sizeof(*exchanges->taken));
	exchanges->round = mem_alloc(sizeof(*exchanges->round));
	for (size_t i = 0; i < conf->exchange.n; i++) {
		exchange = &exchanges->exchange[i];
		exchange->conf = &conf->exchange.v[i];
		exchange->last = &exchange->first;
		HASH_ADD_KEYPTR(hh, exchanges->by_name, exchange->conf->name,
		    strlen(exchange->conf->name), exchange);
	}
	for (size_t i = 0; i < conf->queue.n; i++) {
		queue = &exchanges->queue[i];
		queue->name = conf->queue.v[i].name;
		queue->index = i;
		HASH_ADD_KEYPTR(hh, exchanges->queue_by_name, queue->name,
		    strlen(queue->name), queue);
	}
	for (size_t i = 0; i < conf->queue.n; i++)
		for (size_t k = 0; k < conf->queue.v[i].bind.n; k++) {
			bind = &conf->queue.v[i].bind.v[k];
			exchange = exchange_find(exchanges,
			    msg_text(bind->exchange));
			/* exchanges_check() has said so */
			if (exchange == NULL)
				continue;
			binding = binding_find(exchange, msg_text(bind->key),
			    i);
			if (binding == NULL)
				binding = binding_add(exchange,
				    msg_text(bind->key), i);
			binding->configured = true;
		}
	return exchanges;
}

void
exchanges_free(struct exchanges *exchanges)
{
	if (exchanges == NULL)
		return;
	for (size_t i = 0; i < exchanges->conf->exchange.n; i++)
		while (exchanges->exchange[i].first != NULL)
			binding_remove(&exchanges->exchange[i],
			    exchanges->exchange[i].first);
	HASH_CLEAR(hh, exchanges->by_name);
	HASH_CLEAR(hh, exchanges->queue_by_name);
	free(exchanges->exchange);
	free(exchanges->queue);
	free(exchanges->taken);
	free(exchanges->round);
	free(exchanges);
}
