/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arguments - what the broker is told of a queue beyond its name.
 *
 * Called by topology.c. Only what the config asks for is said: the broker takes
 * an argument that is there, with the very value of its default, for another
 * one than none at all, and refuses (406) a queue that was declared otherwise.
 *
 * A queue's own deaths (ttl, drop-head) go where the hub sends those that
 * failed: to the dead-letter exchange of the config, else to NAME.dead, which
 * is there for queues that have a handler or such deaths. Pure.
 */
#include <stdio.h>
#include <string.h>

#include "amqp/topology.h"
#include "base/clock.h"
#include "core/retry.h"

static void
set_text(json_t *arguments, const char *key, const char *value)
{
	json_object_set_new(arguments, key, json_string(value));
}

static void
set_number(json_t *arguments, const char *key, int64_t value)
{
	json_object_set_new(arguments, key, json_integer(value));
}

/* Does the broker drop of it what our config says? */
static bool
drops(const struct conf_queue *queue)
{
	return !queue->plain && !queue->passive &&
	    (queue->ttl > 0 ||
		(queue->max_length > 0 &&
		    queue->overflow == CONF_OVERFLOW_DROP_HEAD));
}

bool
topology_has_dead(const struct conf_queue *queue)
{
	return (queue->handler[0] != '\0' || drops(queue)) &&
	    queue->dead_letter_exchange[0] == '\0';
}

bool
topology_has_letters(const struct conf_queue *queue)
{
	if (queue->plain)
		return false;
	return queue->dead_letter_exchange[0] != '\0' ||
	    (!queue->passive && topology_has_dead(queue));
}

static void
set_letters(json_t *arguments, const struct conf_queue *queue)
{
	char dead[RETRY_NAME_SIZE];

	if (queue->dead_letter_exchange[0] != '\0') {
		set_text(arguments, "x-dead-letter-exchange",
		    queue->dead_letter_exchange);
		if (queue->dead_letter_key[0] != '\0')
			set_text(arguments, "x-dead-letter-routing-key",
			    queue->dead_letter_key);
	} else if (topology_has_dead(queue)) {
		set_text(arguments, "x-dead-letter-exchange", "");
		set_text(arguments, "x-dead-letter-routing-key",
		    retry_dead_name(queue, dead));
	}
}

json_t *
topology_arguments(const struct conf *conf, const struct conf_queue *queue)
{
	json_t *arguments = json_object();

	(void)conf;
	if (queue->plain || queue->passive)
		return arguments;
	if (queue->type == CONF_QUEUE_QUORUM)
		set_text(arguments, "x-queue-type", "quorum");
	if (queue->max_priority > 0)
		set_number(arguments, "x-max-priority", queue->max_priority);
	if (queue->ttl > 0)
		set_number(arguments, "x-message-ttl", queue->ttl / NS_PER_MS);
	if (queue->max_length > 0) {
		set_number(arguments, "x-max-length", queue->max_length);
		if (queue->overflow == CONF_OVERFLOW_REJECT)
			set_text(arguments, "x-overflow", "reject-publish");
	}
	set_letters(arguments, queue);
	/* who writes it there means it */
	json_object_update(arguments, queue->arguments);
	return arguments;
}

bool
topology_moves_safely(const char *server)
{
	unsigned major, minor;

	return sscanf(server, "RabbitMQ %u.%u", &major, &minor) == 2 &&
	    (major > 3 || (major == 3 && minor >= 10));
}

json_t *
topology_beside(const struct conf_queue *queue, int64_t step_ms,
    bool moves_safely)
{
	json_t *arguments = json_object();
	bool safe = moves_safely && step_ms > 0;

	/* as safe as the queue itself */
	if (safe || queue->type == CONF_QUEUE_QUORUM)
		set_text(arguments, "x-queue-type", "quorum");
	if (safe) {
		set_text(arguments, "x-dead-letter-strategy", "at-least-once");
		set_text(arguments, "x-overflow", "reject-publish");
	}
	if (step_ms > 0) {
		set_number(arguments, "x-message-ttl", step_ms);
		set_text(arguments, "x-dead-letter-exchange", "");
		set_text(arguments, "x-dead-letter-routing-key", queue->name);
	}
	return arguments;
}
