/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exchange_check - what is wrong with the exchanges, queues and bindings of a
 * config, before any of them is made.
 *
 * Pure, and a part of hub_role.check: broodd -t and a reload say it with file
 * and line.
 */
#include <string.h>

#include "hub/exchange.h"

#define RESERVED "amq."

static bool
check_exchange_known(const struct conf *conf, const char *name)
{
	return conf_find_exchange(conf, msg_text(name)) < conf->exchange.n;
}

static void
check_name(const char *file, int line, const char *what, const char *name,
    struct conf_errors *errors)
{
	if (strncmp(name, RESERVED, strlen(RESERVED)) == 0)
		conf_errors_add(errors,
		    "%s:%d: %s '%s': names that begin with " RESERVED
		    " are reserved; take another",
		    file, line, what, name);
}

static void
check_queue(const struct conf *conf, const struct conf_queue *queue,
    struct conf_errors *errors)
{
	const char *names[conf->exchange.n + 1];
	const char *exchange, *near;

	for (size_t i = 0; i < conf->exchange.n; i++)
		names[i] = conf->exchange.v[i].name;
	for (size_t i = 0; i < queue->bind.n; i++) {
		exchange = queue->bind.v[i].exchange;
		if (check_exchange_known(conf, exchange))
			continue;
		near = conf_nearest(exchange, names, conf->exchange.n);
		conf_errors_add(errors,
		    "%s:%d: queue '%s' is bound to exchange '%s', which "
		    "amqp.exchanges does not have%s%s%s",
		    queue->file, queue->line, queue->name, exchange,
		    near != NULL ? "; did you mean '" : "",
		    near != NULL ? near : "", near != NULL ? "'?" : "");
	}
	exchange = queue->dead_letter_exchange;
	if (*exchange != '\0' && !check_exchange_known(conf, exchange))
		conf_errors_add(errors,
		    "%s:%d: queue '%s': dead_letter_exchange '%s' is not in "
		    "amqp.exchanges",
		    queue->file, queue->line, queue->name, exchange);
}

void
exchanges_check(const struct conf *conf, struct conf_errors *errors)
{
	const struct conf_exchange *exchange;
	const struct conf_queue *queue;

	for (size_t i = 0; i < conf->exchange.n; i++) {
		exchange = &conf->exchange.v[i];
		check_name(exchange->file, exchange->line, "exchange",
		    exchange->name, errors);
	}
	for (size_t i = 0; i < conf->queue.n; i++) {
		queue = &conf->queue.v[i];
		check_name(queue->file, queue->line, "queue", queue->name,
		    errors);
		check_queue(conf, queue, errors);
	}
}
