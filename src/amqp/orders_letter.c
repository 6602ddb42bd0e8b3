/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * orders_letter - dead messages: whose they are, why they died, and what they
 * are made into when they go back.
 *
 * Called by orders_walk. A message that the hub has given up says so in
 * x-death-* headers of ours; one that the broker did (its time to live, a full
 * queue) has x-first-death-*. Pure.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/orders_impl.h"
#include "amqp/topology.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/call.h"
#include "core/retry.h"

/* Do messages of that exchange and key come to that queue? As far as the config
 * says, and a pattern may. */
static bool
letters_leads(const struct conf_queue *queue, const char *exchange)
{
	for (size_t i = 0; i < queue->bind.n; i++)
		if (strcmp(queue->bind.v[i].exchange, exchange) == 0)
			return true;
	return false;
}

static bool
letters_has_key(const struct conf_queue *queue, const char *exchange,
    const char *key)
{
	for (size_t i = 0; i < queue->bind.n; i++)
		if (strcmp(queue->bind.v[i].exchange, exchange) == 0 &&
		    strcmp(queue->bind.v[i].key, key) == 0)
			return true;
	return false;
}

bool
letters_of(const struct conf *conf, const struct conf_queue *queue,
    struct letters *letters)
{
	const char *exchange = queue->dead_letter_exchange;
	const struct conf_queue *found = NULL;
	char name[RETRY_NAME_SIZE];

	if (exchange[0] == '\0') {
		if (!topology_has_dead(queue))
			return false;
		mem_copy_string(letters->name, sizeof(letters->name),
		    retry_dead_name(queue, name));
		letters->queue = queue;
		return true;
	}
	for (size_t i = 0; i < conf->queue.n; i++) {
		const struct conf_queue *one = &conf->queue.v[i];

		if (one == queue || !letters_leads(one, exchange))
			continue;
		if (found == NULL ||
		    letters_has_key(one, exchange, queue->dead_letter_key))
			found = one;
	}
	if (found == NULL)
		return false;
	mem_copy_string(letters->name, sizeof(letters->name), found->name);
	letters->queue = NULL;
	return true;
}

/* ------------------------------------------------------------- its headers */

static struct msg_bytes
letter_header(const struct msg_PUBLISH *message, const char *name)
{
	struct msg_bytes value = { "", 0 };

	msg_attr(message->attrs, CALL_HEADER, name, &value);
	return value;
}

static struct msg_bytes
letter_either(const struct msg_PUBLISH *message, const char *ours,
    const char *brokers)
{
	struct msg_bytes value = letter_header(message, ours);

	return value.len > 0 ? value : letter_header(message, brokers);
}

/* One without a message id has to be named somehow. */
static uint64_t
letter_hash(const struct msg_PUBLISH *message)
{
	const struct msg_bytes part[] = { message->type, message->body,
		message->correlation_id };
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		h = (h ^ part[i].len) * UINT64_C(0x100000001b3);
		for (size_t j = 0; j < part[i].len; j++)
			h = (h ^ (unsigned char)part[i].p[j]) *
			    UINT64_C(0x100000001b3);
	}
	return h;
}

static void
copy_bytes(char *dst, size_t size, struct msg_bytes bytes)
{
	size_t len = bytes.len < size ? bytes.len : size - 1;

	memcpy(dst, bytes.p, len);
	dst[len] = '\0';
}

void
letter_read(const struct conf *conf, const struct letters *letters,
    const struct msg_PUBLISH *message, struct letter *letter)
{
	size_t i;

	*letter = (struct letter){ .queue = letters->queue };
	copy_bytes(letter->origin, sizeof(letter->origin),
	    letter_either(message, DEATH_QUEUE, "x-first-death-queue"));
	if (letter->origin[0] == '\0' && letters->queue != NULL)
		mem_copy_string(letter->origin, sizeof(letter->origin),
		    letters->queue->name);
	i = conf_find_queue(conf, msg_text(letter->origin));
	if (i < conf->queue.n)
		letter->queue = &conf->queue.v[i];
	if (message->message_id.len > 0)
		copy_bytes(letter->id, sizeof(letter->id), message->message_id);
	else
		snprintf(letter->id, sizeof(letter->id), "~%016" PRIx64,
		    letter_hash(message));
}

static json_t *
json_bytes(struct msg_bytes bytes, size_t max)
{
	json_t *json;

	if (bytes.len > max)
		bytes.len = max;
	/* a character that was cut is no reason to show nothing */
	for (size_t cut = 0; cut < 4 && cut <= bytes.len; cut++) {
		json = json_stringn(bytes.p, bytes.len - cut);
		if (json != NULL)
			return json;
	}
	return json_string("?");
}

static json_t *
json_number(struct msg_bytes bytes)
{
	char text[24];
	char *end;
	long long n;

	copy_bytes(text, sizeof(text), bytes);
	n = strtoll(text, &end, 10);
	return end != text && *end == '\0' ? json_integer(n) : NULL;
}

static void
json_set_text(json_t *json, const char *name, struct msg_bytes bytes)
{
	json_object_set_new(json, name, json_bytes(bytes, 300));
}

json_t *
letter_json(const struct letters *letters, const struct letter *letter,
    const struct msg_PUBLISH *message, uint64_t size)
{
	struct msg_bytes signal = letter_header(message, DEATH_SIGNAL);
	json_t *json = json_object(), *attempts;

	json_set_text(json, "queue",
	    msg_text(
		letter->queue != NULL ? letter->queue->name : letter->origin));
	json_set_text(json, "dead_queue", msg_text(letters->name));
	json_set_text(json, "id", msg_text(letter->id));
	json_set_text(json, "reason",
	    letter_either(message, DEATH_REASON, "x-first-death-reason"));
	json_set_text(json, "detail", letter_header(message, DEATH_DETAIL));
	json_set_text(json, "at", letter_header(message, DEATH_TIME));
	json_set_text(json, "host", letter_header(message, DEATH_HOST));
	attempts = json_number(letter_header(message, DEATH_ATTEMPTS));
	if (attempts != NULL)
		json_object_set_new(json, "attempts", attempts);
	if (signal.len > 0)
		json_set_text(json, "signal", signal);
	json_object_set_new(json, "size", json_integer((json_int_t)size));
	json_set_text(json, "type", message->type);
	return json;
}

/* ------------------------------------------------------------ back to life */

static bool
letter_drops(const struct msg_ATTR *attr)
{
	return attr->what == CALL_HEADER &&
	    (msg_begins(attr->name, DEATH_HEADERS) ||
		msg_begins(attr->name, "x-first-death-") ||
		msg_begins(attr->name, "x-last-death-") ||
		msg_is(attr->name, RETRY_ATTEMPT) ||
		msg_is(attr->name, RETRY_AGAIN));
}

/* The number tells the hub that this is no redelivery of what it has done. */
static void
letter_attrs(const struct msg_PUBLISH *message, struct buf *attrs)
{
	struct msg_bytes before = letter_header(message, RETRY_AGAIN);
	char text[24];
	enum msg_id id;
	union msg msg;
	size_t at = 0;

	while (msg_part(message->attrs, &at, MSG_ID_BIT(ATTR), &id, &msg,
		   NULL) == 1)
		if (!letter_drops(&msg.ATTR))
			msg_encode(attrs, MSG_ATTR, 0, &msg.ATTR);
	copy_bytes(text, sizeof(text), before);
	snprintf(text, sizeof(text), "%ld", strtol(text, NULL, 10) + 1);
	msg_encode(attrs, MSG_ATTR, 0,
	    &(struct msg_ATTR){
		.what = CALL_HEADER,
		.name = msg_text(RETRY_AGAIN),
		.value = msg_text(text),
	    });
}

void
letter_revive(const struct letter *letter, const struct msg_PUBLISH *message,
    struct msg_PUBLISH *again, struct buf *attrs)
{
	*again = *message;
	letter_attrs(message, attrs);
	again->attrs = (struct msg_bytes){ attrs->data, attrs->len };
	again->exchange = msg_text("");
	again->key = msg_text(letter->queue->name);
	again->mandatory = 1;
}
