/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rmq - a client of the broker, as simple as one can be: one channel, all that
 * is asked is waited for.
 */
#include <amqp_tcp_socket.h>
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "broker.h"
#include "proc.h"
#include "rmq.h"
#include "suite.h"
#include "text.h"

#define CHANNEL 1
#define FRAME_MAX 131072

/* ------------------------------------------------------------- connections */

static char *
complaint(amqp_rpc_reply_t reply)
{
	amqp_channel_close_t *closed = reply.reply.decoded;

	switch (reply.reply_type) {
	case AMQP_RESPONSE_LIBRARY_EXCEPTION:
		return strdup(amqp_error_string2(reply.library_error));
	case AMQP_RESPONSE_SERVER_EXCEPTION:
		return text_format("%x %.*s", reply.reply.id,
		    (int)closed->reply_text.len,
		    (const char *)closed->reply_text.bytes);
	case AMQP_RESPONSE_NONE:
	case AMQP_RESPONSE_NORMAL:
		break;
	}
	return strdup("no answer");
}

static void
require(const char *what, amqp_rpc_reply_t reply)
{
	if (reply.reply_type != AMQP_RESPONSE_NORMAL)
		ck_abort_msg("%s: %s", what, complaint(reply));
}

rmq
rmq_open(void)
{
	rmq c = amqp_new_connection();
	amqp_socket_t *socket = amqp_tcp_socket_new(c);
	struct timeval patience = { suite_patience_ms() / 1000, 0 };

	ck_assert_ptr_nonnull(socket);
	amqp_set_handshake_timeout(c, &patience);
	ck_assert_int_eq(amqp_socket_open_noblock(socket, "127.0.0.1",
			     broker_port(), &patience),
	    AMQP_STATUS_OK);
	require("login",
	    amqp_login(c, broker_vhost(), 0, FRAME_MAX, 0,
		AMQP_SASL_METHOD_PLAIN, "guest", "guest"));
	amqp_set_rpc_timeout(c, &patience);
	amqp_channel_open(c, CHANNEL);
	require("channel.open", amqp_get_rpc_reply(c));
	return c;
}

void
rmq_close(rmq c)
{
	amqp_connection_close(c, AMQP_REPLY_SUCCESS);
	amqp_destroy_connection(c);
}

static amqp_bytes_t
bytes_of(const char *text)
{
	return text != NULL ? amqp_cstring_bytes(text) : amqp_empty_bytes;
}

/* ------------------------------------------------------------------ things */

void
rmq_queue(rmq c, const char *name, const amqp_table_t *arguments)
{
	amqp_queue_declare(c, CHANNEL, bytes_of(name), 0, 1, 0, 0,
	    arguments != NULL ? *arguments : amqp_empty_table);
	require(name, amqp_get_rpc_reply(c));
}

void
rmq_exchange(rmq c, const char *name, const char *type)
{
	amqp_exchange_declare(c, CHANNEL, bytes_of(name), bytes_of(type), 0, 1,
	    0, 0, amqp_empty_table);
	require(name, amqp_get_rpc_reply(c));
}

void
rmq_bind(rmq c, const char *queue, const char *exchange, const char *key)
{
	amqp_queue_bind(c, CHANNEL, bytes_of(queue), bytes_of(exchange),
	    bytes_of(key), amqp_empty_table);
	require(queue, amqp_get_rpc_reply(c));
}

void
rmq_drop_queue(rmq c, const char *name)
{
	amqp_queue_delete(c, CHANNEL, bytes_of(name), 0, 0);
	require(name, amqp_get_rpc_reply(c));
}

void
rmq_drop_exchange(rmq c, const char *name)
{
	amqp_exchange_delete(c, CHANNEL, bytes_of(name), 0);
	require(name, amqp_get_rpc_reply(c));
}

/* ---------------------------------------------------------------- messages */

static void
set(amqp_basic_properties_t *to, amqp_flags_t flag, amqp_bytes_t *field,
    const char *text)
{
	if (text == NULL)
		return;
	*field = amqp_cstring_bytes(text);
	to->_flags |= flag;
}

void
rmq_post(rmq c, const struct letter *letter)
{
	amqp_basic_properties_t properties = {
		._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
		.delivery_mode = 2,
	};
	amqp_bytes_t body = bytes_of(letter->body);

	if (letter->len > 0) {
		body.len = letter->len;
		body.bytes = (void *)(uintptr_t)letter->body;
	}
	set(&properties, AMQP_BASIC_CONTENT_TYPE_FLAG, &properties.content_type,
	    letter->type != NULL ? letter->type : "application/json");
	set(&properties, AMQP_BASIC_MESSAGE_ID_FLAG, &properties.message_id,
	    letter->id);
	set(&properties, AMQP_BASIC_CORRELATION_ID_FLAG,
	    &properties.correlation_id, letter->correlation_id);
	set(&properties, AMQP_BASIC_REPLY_TO_FLAG, &properties.reply_to,
	    letter->reply_to);
	if (letter->priority > 0) {
		properties.priority = (uint8_t)letter->priority;
		properties._flags |= AMQP_BASIC_PRIORITY_FLAG;
	}
	if (letter->headers.num_entries > 0) {
		properties.headers = letter->headers;
		properties._flags |= AMQP_BASIC_HEADERS_FLAG;
	}
	ck_assert_int_eq(amqp_basic_publish(c, CHANNEL,
			     bytes_of(letter->exchange), bytes_of(letter->key),
			     letter->mandatory, 0, &properties, body),
	    AMQP_STATUS_OK);
}

void
rmq_post_text(rmq c, const char *queue, const char *id, const char *format, ...)
{
	struct letter letter = { .key = queue, .id = id };
	char *body;
	va_list ap;

	va_start(ap, format);
	ck_assert_int_ge(vasprintf(&body, format, ap), 0);
	va_end(ap);
	letter.body = body;
	rmq_post(c, &letter);
	free(body);
}

void
rmq_flush(rmq c)
{
	/* Answered after all that was written before. */
	amqp_basic_qos(c, CHANNEL, 0, 1, 0);
	require("basic.qos", amqp_get_rpc_reply(c));
}

void
rmq_confirms(rmq c)
{
	amqp_confirm_select(c, CHANNEL);
	require("confirm.select", amqp_get_rpc_reply(c));
}

void
rmq_await_confirms(rmq c, uint64_t count)
{
	struct timeval patience = { suite_patience_ms() / 1000, 0 };
	bool *known = calloc(count + 1, 1);
	uint64_t confirmed = 0, all = 0;

	while (confirmed < count) {
		amqp_frame_t frame;
		amqp_basic_ack_t *ack;
		int rc = amqp_simple_wait_frame_noblock(c, &frame, &patience);

		ck_assert_msg(rc == AMQP_STATUS_OK, "confirms: %s",
		    amqp_error_string2(rc));
		ck_assert_uint_eq(frame.payload.method.id,
		    AMQP_BASIC_ACK_METHOD);
		ack = frame.payload.method.decoded;
		ck_assert_uint_le(ack->delivery_tag, count);
		for (uint64_t tag = ack->multiple ? all + 1 : ack->delivery_tag;
		     tag <= ack->delivery_tag; tag++) {
			confirmed += !known[tag];
			known[tag] = true;
		}
		if (ack->multiple)
			all = ack->delivery_tag;
		amqp_maybe_release_buffers(c);
	}
	free(known);
}

bool
rmq_take(rmq c, const char *queue, struct letter *letter)
{
	amqp_rpc_reply_t reply = amqp_basic_get(c, CHANNEL, bytes_of(queue), 1);
	amqp_basic_get_ok_t *got = reply.reply.decoded;

	*letter = (struct letter){ 0 };
	require(queue, reply);
	if (reply.reply.id == AMQP_BASIC_GET_EMPTY_METHOD)
		return false;
	letter->redelivered = got->redelivered;
	letter->taken_exchange = strdup(rmq_text(got->exchange));
	letter->taken_key = strdup(rmq_text(got->routing_key));
	require(queue, amqp_read_message(c, CHANNEL, &letter->message, 0));
	letter->len = letter->message.body.len;
	letter->text = calloc(1, letter->len + 1);
	memcpy(letter->text, letter->message.body.bytes, letter->len);
	return true;
}

void
rmq_free(struct letter *letter)
{
	if (letter->text != NULL)
		amqp_destroy_message(&letter->message);
	free(letter->text);
	free(letter->taken_exchange);
	free(letter->taken_key);
	*letter = (struct letter){ 0 };
}

const char *
rmq_text(amqp_bytes_t bytes)
{
	static char texts[8][1024];
	static unsigned next;
	char *text = texts[next++ % 8];

	snprintf(text, sizeof(texts[0]), "%.*s", (int)bytes.len,
	    bytes.len > 0 ? (const char *)bytes.bytes : "");
	return text;
}

static const char *
value_text(const amqp_field_value_t *value)
{
	char *digits;
	const char *text;

	switch (value->kind) {
	case AMQP_FIELD_KIND_UTF8:
	case AMQP_FIELD_KIND_BYTES:
		return rmq_text(value->value.bytes);
	case AMQP_FIELD_KIND_I32:
		digits = text_format("%d", value->value.i32);
		break;
	case AMQP_FIELD_KIND_I64:
		digits = text_format("%lld", (long long)value->value.i64);
		break;
	default:
		digits = text_format("kind %c", value->kind);
		break;
	}
	text = rmq_text(amqp_cstring_bytes(digits));
	free(digits);
	return text;
}

const char *
rmq_header(const struct letter *letter, const char *name)
{
	const amqp_table_t *table = &letter->message.properties.headers;

	if (letter->message.properties._flags & AMQP_BASIC_HEADERS_FLAG)
		for (int i = 0; i < table->num_entries; i++)
			if (strcmp(rmq_text(table->entries[i].key), name) == 0)
				return value_text(&table->entries[i].value);
	return "";
}

/* ------------------------------------------------------------------ counts */

/* The channel is closed by a queue that is not there. */
static bool
look(rmq c, const char *queue, long *ready, long *consumers)
{
	amqp_queue_declare_ok_t *ok = amqp_queue_declare(c, CHANNEL,
	    bytes_of(queue), 1, 0, 0, 0, amqp_empty_table);
	amqp_rpc_reply_t reply = amqp_get_rpc_reply(c);

	if (ok != NULL) {
		*ready = ok->message_count;
		*consumers = ok->consumer_count;
		amqp_maybe_release_buffers(c);
		return true;
	}
	if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION ||
	    reply.reply.id != AMQP_CHANNEL_CLOSE_METHOD)
		require(queue, reply);
	amqp_send_method(c, CHANNEL, AMQP_CHANNEL_CLOSE_OK_METHOD,
	    &(amqp_channel_close_ok_t){ 0 });
	amqp_channel_open(c, CHANNEL);
	require("channel.open", amqp_get_rpc_reply(c));
	return false;
}

long
rmq_ready(rmq c, const char *queue)
{
	long ready, consumers;

	return look(c, queue, &ready, &consumers) ? ready : -1;
}

long
rmq_consumers(rmq c, const char *queue)
{
	long ready, consumers;

	return look(c, queue, &ready, &consumers) ? consumers : -1;
}

struct wish {
	rmq c;
	const char *queue;
	long (*count)(rmq c, const char *queue);
	long wanted, last;
	bool or_less;
	struct letter *letter;
};

static bool
count_is(void *ctx)
{
	struct wish *wish = ctx;

	wish->last = wish->count(wish->c, wish->queue);
	return wish->last == wish->wanted ||
	    (wish->or_less && wish->last < wish->wanted);
}

static void
require_count(const struct daemon *daemon, struct wish wish, const char *what)
{
	if (!proc_until(daemon->pidfd, count_is, &wish))
		ck_abort_msg("%s has %ld %s and never %ld%s", wish.queue,
		    wish.last, what, wish.wanted,
		    wish.or_less ? " or less" : "");
}

void
rmq_require_ready(const struct daemon *daemon, rmq c, const char *queue,
    long wanted)
{
	require_count(daemon,
	    (struct wish){ c, queue, rmq_ready, .wanted = wanted }, "messages");
}

void
rmq_require_ready_below(const struct daemon *daemon, rmq c, const char *queue,
    long most)
{
	require_count(daemon,
	    (struct wish){ c, queue, rmq_ready, .wanted = most,
		.or_less = true },
	    "messages");
}

void
rmq_require_consumers(const struct daemon *daemon, rmq c, const char *queue,
    long wanted)
{
	require_count(daemon,
	    (struct wish){ c, queue, rmq_consumers, .wanted = wanted },
	    "consumers");
}

static bool
is_taken(void *ctx)
{
	struct wish *wish = ctx;

	/* a queue that was declared a moment ago may not serve a get yet */
	return rmq_ready(wish->c, wish->queue) > 0 &&
	    rmq_take(wish->c, wish->queue, wish->letter);
}

void
rmq_await(const struct daemon *daemon, rmq c, const char *queue,
    struct letter *letter)
{
	struct wish wish = { c, queue, .letter = letter };

	if (!proc_until(daemon->pidfd, is_taken, &wish))
		ck_abort_msg("no message comes to %s", queue);
}

rmq
rmq_start(struct daemon *daemon, const struct daemon_conf *conf,
    const char *queue, long consumers)
{
	rmq c;

	broker_open();
	broker_service(daemon, conf, NULL);
	c = rmq_open();
	rmq_require_consumers(daemon, c, queue, consumers);
	return c;
}
