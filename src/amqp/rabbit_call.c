/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rabbit_call - requests that the broker answers: topology, consumers,
 * confirms.
 *
 * Each waits for its answer, amqp.timeout at most, and keeps for rabbit_next()
 * whatever else comes meanwhile. A refusal closes the channel, as AMQP has it,
 * which is opened again at once.
 */
#include <stdio.h>
#include <string.h>

#include "amqp/rabbit_impl.h"
#include "base/clock.h"

#define LOOK_NS NS_PER_S /* heartbeats are looked after that often */

/* ------------------------------------------------------------------ waiting */

static bool
is_reply(amqp_method_number_t id, const amqp_method_number_t *replies)
{
	for (; *replies != 0; replies++)
		if (*replies == id)
			return true;
	return false;
}

static uint32_t
method_of(const struct frame *frame)
{
	const unsigned char *p = (const unsigned char *)frame->payload.p;

	if (frame->type != AMQP_FRAME_METHOD || frame->payload.len < 4)
		return 0;
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];
}

static enum rabbit_result
refused(struct rabbit *rabbit, const struct frame *frame, unsigned *code,
    struct why *why)
{
	amqp_method_number_t id;
	amqp_channel_close_t *close = rabbit_decode(rabbit, frame, &id);

	if (close == NULL)
		return RABBIT_LOST;
	if (code != NULL)
		*code = close->reply_code;
	if (why != NULL)
		rabbit_clean(why->text, sizeof(why->text),
		    close->reply_text.bytes, close->reply_text.len);
	rabbit_reopen(rabbit);
	return RABBIT_REFUSED;
}

/* RABBIT_OK: it is the answer; *go_on: it is not. */
static enum rabbit_result
look_at(struct rabbit *rabbit, const struct frame *frame, unsigned channel,
    const amqp_method_number_t *replies, amqp_method_t *reply, unsigned *code,
    struct why *why, bool *go_on)
{
	uint32_t id = method_of(frame);

	*go_on = false;
	if (id == AMQP_CONNECTION_CLOSE_METHOD && frame->channel == 0) {
		amqp_method_number_t number;
		amqp_connection_close_t *close = rabbit_decode(rabbit, frame,
		    &number);
		char text[256];

		if (close == NULL)
			return RABBIT_LOST;
		if (code != NULL)
			*code = close->reply_code;
		rabbit_clean(text, sizeof(text), close->reply_text.bytes,
		    close->reply_text.len);
		rabbit_lose(rabbit, "the broker closed the connection: %s",
		    text);
		return RABBIT_LOST;
	}
	/* of requests that nobody waits for: theirs come first */
	if (id == AMQP_QUEUE_UNBIND_OK_METHOD && rabbit->unbinds > 0) {
		rabbit->unbinds--;
		*go_on = true;
		return RABBIT_OK;
	}
	if (frame->channel == channel && is_reply(id, replies)) {
		if (id == AMQP_BASIC_GET_OK_METHOD &&
		    rabbit_keep(rabbit, frame) < 0)
			return RABBIT_LOST;
		reply->decoded = rabbit_decode(rabbit, frame, &reply->id);
		return reply->decoded != NULL ? RABBIT_OK : RABBIT_LOST;
	}
	if (id == AMQP_CHANNEL_CLOSE_METHOD && channel != 0)
		return refused(rabbit, frame, code, why);
	*go_on = true;
	if (channel == 0 && rabbit->closing)
		return RABBIT_OK;
	return rabbit_keep(rabbit, frame) < 0 ? RABBIT_LOST : RABBIT_OK;
}

static enum rabbit_result
lost(struct rabbit *rabbit, struct why *why)
{
	rabbit->gone = true;
	why_set(why, "%s", rabbit->why.text);
	return RABBIT_LOST;
}

/* Until there is something to read, or to write to. -1: it is gone. */
static int
wait(struct rabbit *rabbit, int64_t until)
{
	int64_t now = clock_now_ns(), soon = now + LOOK_NS;

	if (rabbit->out_dead)
		return rabbit_lose(rabbit, "the broker closed the connection");
	if (now >= until)
		return rabbit_lose(rabbit,
		    "timed out: no answer from the broker within %.9g s",
		    clock_to_seconds(rabbit->timeout_ns));
	net_wait(rabbit->net.fd, rabbit_unwritten(rabbit) > 0,
	    soon < until ? soon : until);
	return rabbit_beat(rabbit);
}

enum rabbit_result
rabbit_call(struct rabbit *rabbit, unsigned channel,
    const amqp_method_number_t *replies, amqp_method_t *reply, unsigned *code,
    struct why *why)
{
	int64_t until = clock_now_ns() + rabbit->timeout_ns;
	struct frame frame;
	int n;

	while (!rabbit->gone) {
		rabbit_write(rabbit);
		while ((n = rabbit_frame(rabbit, false, &frame)) > 0) {
			bool go_on;
			enum rabbit_result result = look_at(rabbit, &frame,
			    channel, replies, reply, code, why, &go_on);

			if (result == RABBIT_LOST)
				return lost(rabbit, why);
			if (!go_on)
				return result;
		}
		if (n < 0 || (n = rabbit_fill(rabbit)) < 0)
			break;
		/* though it talks: of other things, and for too long */
		if ((n == 0 || clock_now_ns() > until) &&
		    wait(rabbit, until) < 0)
			break;
	}
	return lost(rabbit, why);
}

/* One request, one kind of answer. */
static enum rabbit_result
ask(struct rabbit *rabbit, amqp_method_number_t id, void *request,
    amqp_method_number_t answer, amqp_method_t *reply, unsigned *code,
    struct why *why)
{
	const amqp_method_number_t replies[] = { answer, 0 };
	amqp_method_t unread;

	if (rabbit->gone)
		return lost(rabbit, why);
	if (rabbit_method(rabbit, RABBIT_CHANNEL, id, request) < 0) {
		/* a table beyond a frame: what is said is said to us */
		if (code != NULL)
			*code = 0;
		why_set(why, "its arguments are too large for a frame");
		return RABBIT_REFUSED;
	}
	return rabbit_call(rabbit, RABBIT_CHANNEL, replies,
	    reply != NULL ? reply : &unread, code, why);
}

/* ------------------------------------------------------------------- tables */

static bool
to_field(struct rabbit *rabbit, const json_t *value, amqp_field_value_t *field)
{
	size_t n;

	switch (json_typeof(value)) {
	case JSON_STRING:
		field->kind = AMQP_FIELD_KIND_UTF8;
		field->value.bytes.len = json_string_length(value);
		field->value.bytes.bytes = (void *)(uintptr_t)json_string_value(
		    value);
		return true;
	case JSON_INTEGER:
		field->kind = AMQP_FIELD_KIND_I64;
		field->value.i64 = json_integer_value(value);
		return true;
	case JSON_REAL:
		field->kind = AMQP_FIELD_KIND_F64;
		field->value.f64 = json_real_value(value);
		return true;
	case JSON_OBJECT:
		field->kind = AMQP_FIELD_KIND_TABLE;
		field->value.table = rabbit_table(rabbit, value);
		return true;
	case JSON_ARRAY:
		n = json_array_size(value);
		field->kind = AMQP_FIELD_KIND_ARRAY;
		field->value.array.num_entries = (int)n;
		field->value.array.entries = amqp_pool_alloc(&rabbit->pool,
		    (n + 1) * sizeof(amqp_field_value_t));
		for (size_t i = 0; i < n; i++)
			to_field(rabbit, json_array_get(value, i),
			    &field->value.array.entries[i]);
		return true;
	case JSON_NULL:
		field->kind = AMQP_FIELD_KIND_VOID;
		return true;
	default:
		field->kind = AMQP_FIELD_KIND_BOOLEAN;
		field->value.boolean = json_is_true(value);
		return true;
	}
}

amqp_table_t
rabbit_table(struct rabbit *rabbit, const json_t *object)
{
	amqp_table_t table = { 0, NULL };
	const char *key;
	json_t *value;

	if (json_object_size(object) == 0)
		return table;
	table.entries = amqp_pool_alloc(&rabbit->pool,
	    json_object_size(object) * sizeof(amqp_table_entry_t));
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		amqp_table_entry_t *entry = &table.entries[table.num_entries++];

		entry->key = amqp_cstring_bytes(key);
		to_field(rabbit, value, &entry->value);
	}
	return table;
}

/* ----------------------------------------------------------------- topology */

static amqp_bytes_t
text(const char *s)
{
	return s != NULL ? amqp_cstring_bytes(s) : amqp_empty_bytes;
}

enum rabbit_result
rabbit_declare_exchange(struct rabbit *rabbit,
    const struct rabbit_exchange *exchange, unsigned *code, struct why *why)
{
	amqp_exchange_declare_t declare = {
		.exchange = text(exchange->name),
		.type = text(exchange->type),
		.passive = exchange->passive,
		.durable = exchange->durable,
		.auto_delete = exchange->auto_delete,
	};

	recycle_amqp_pool(&rabbit->pool);
	declare.arguments = rabbit_table(rabbit, exchange->arguments);
	return ask(rabbit, AMQP_EXCHANGE_DECLARE_METHOD, &declare,
	    AMQP_EXCHANGE_DECLARE_OK_METHOD, NULL, code, why);
}

enum rabbit_result
rabbit_declare_queue(struct rabbit *rabbit, const struct rabbit_queue *queue,
    struct rabbit_count *count, unsigned *code, struct why *why)
{
	amqp_queue_declare_t declare = {
		.queue = text(queue->name),
		.passive = queue->passive,
		.durable = queue->durable,
		.exclusive = queue->exclusive,
		.auto_delete = queue->auto_delete,
	};
	const amqp_queue_declare_ok_t *ok;
	enum rabbit_result result;
	amqp_method_t reply;

	recycle_amqp_pool(&rabbit->pool);
	declare.arguments = rabbit_table(rabbit, queue->arguments);
	result = ask(rabbit, AMQP_QUEUE_DECLARE_METHOD, &declare,
	    AMQP_QUEUE_DECLARE_OK_METHOD, &reply, code, why);
	if (result == RABBIT_OK && count != NULL) {
		ok = reply.decoded;
		*count = (struct rabbit_count){ ok->message_count,
			ok->consumer_count };
	}
	return result;
}

enum rabbit_result
rabbit_bind(struct rabbit *rabbit, const char *queue, const char *exchange,
    struct msg_bytes key, bool on, bool wait, unsigned *code, struct why *why)
{
	amqp_bytes_t routing_key = { key.len, (void *)(uintptr_t)key.p };
	amqp_queue_bind_t bind = {
		.queue = text(queue),
		.exchange = text(exchange),
		.routing_key = routing_key,
		.nowait = !wait,
	};
	amqp_queue_unbind_t unbind = {
		.queue = text(queue),
		.exchange = text(exchange),
		.routing_key = routing_key,
	};

	if (key.len > 255) {
		if (code != NULL)
			*code = 0;
		why_set(why, "the key has more than 255 bytes");
		return RABBIT_REFUSED;
	}
	if (wait && on)
		return ask(rabbit, AMQP_QUEUE_BIND_METHOD, &bind,
		    AMQP_QUEUE_BIND_OK_METHOD, NULL, code, why);
	if (wait)
		return ask(rabbit, AMQP_QUEUE_UNBIND_METHOD, &unbind,
		    AMQP_QUEUE_UNBIND_OK_METHOD, NULL, code, why);
	if (rabbit->gone ||
	    (on ? rabbit_method(rabbit, RABBIT_CHANNEL, AMQP_QUEUE_BIND_METHOD,
		      &bind) :
		  rabbit_method(rabbit, RABBIT_CHANNEL,
		      AMQP_QUEUE_UNBIND_METHOD, &unbind)) < 0)
		return lost(rabbit, why);
	/* an unbind is always answered */
	rabbit->unbinds += !on;
	return RABBIT_OK;
}

enum rabbit_result
rabbit_purge(struct rabbit *rabbit, const char *queue, uint32_t *purged,
    unsigned *code, struct why *why)
{
	amqp_queue_purge_t purge = { .queue = text(queue) };
	enum rabbit_result result;
	amqp_method_t reply;

	result = ask(rabbit, AMQP_QUEUE_PURGE_METHOD, &purge,
	    AMQP_QUEUE_PURGE_OK_METHOD, &reply, code, why);
	if (result == RABBIT_OK && purged != NULL)
		*purged =
		    ((amqp_queue_purge_ok_t *)reply.decoded)->message_count;
	return result;
}

/* ---------------------------------------------------------------- consuming */

enum rabbit_result
rabbit_consume(struct rabbit *rabbit, const char *queue, const char *tag,
    unsigned prefetch, bool no_ack, unsigned *code, struct why *why)
{
	amqp_basic_qos_t qos = {
		.prefetch_count = (uint16_t)(prefetch < 65535 ? prefetch :
								65535),
	};
	amqp_basic_consume_t consume = {
		.queue = text(queue),
		.consumer_tag = text(tag),
		.no_ack = no_ack,
	};
	enum rabbit_result result;

	/* to RabbitMQ: of each consumer that comes after it */
	result = ask(rabbit, AMQP_BASIC_QOS_METHOD, &qos,
	    AMQP_BASIC_QOS_OK_METHOD, NULL, code, why);
	if (result != RABBIT_OK)
		return result;
	return ask(rabbit, AMQP_BASIC_CONSUME_METHOD, &consume,
	    AMQP_BASIC_CONSUME_OK_METHOD, NULL, code, why);
}

enum rabbit_result
rabbit_cancel(struct rabbit *rabbit, const char *tag, unsigned *code,
    struct why *why)
{
	amqp_basic_cancel_t cancel = { .consumer_tag = text(tag) };

	return ask(rabbit, AMQP_BASIC_CANCEL_METHOD, &cancel,
	    AMQP_BASIC_CANCEL_OK_METHOD, NULL, code, why);
}

enum rabbit_result
rabbit_get(struct rabbit *rabbit, const char *queue, bool *found,
    unsigned *code, struct why *why)
{
	static const amqp_method_number_t replies[] = {
		AMQP_BASIC_GET_OK_METHOD, AMQP_BASIC_GET_EMPTY_METHOD, 0
	};
	amqp_basic_get_t get = { .queue = text(queue) };
	enum rabbit_result result;
	amqp_method_t reply;

	if (rabbit->gone ||
	    rabbit_method(rabbit, RABBIT_CHANNEL, AMQP_BASIC_GET_METHOD, &get) <
		0)
		return lost(rabbit, why);
	result = rabbit_call(rabbit, RABBIT_CHANNEL, replies, &reply, code,
	    why);
	*found = result == RABBIT_OK && reply.id == AMQP_BASIC_GET_OK_METHOD;
	return result;
}

enum rabbit_result
rabbit_confirms(struct rabbit *rabbit, unsigned *code, struct why *why)
{
	amqp_confirm_select_t select = { .nowait = false };
	enum rabbit_result result;

	if (rabbit->confirms)
		return RABBIT_OK;
	result = ask(rabbit, AMQP_CONFIRM_SELECT_METHOD, &select,
	    AMQP_CONFIRM_SELECT_OK_METHOD, NULL, code, why);
	if (result == RABBIT_OK) {
		rabbit->confirms = true;
		rabbit->published = 0;
	}
	return result;
}
