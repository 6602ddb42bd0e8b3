/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * floor - what rabbitmq-c and the broker can do at best: one process, no
 * handler, no hub.
 *
 *   floor URL each QUEUE PREFETCH           acknowledges every message
 *   floor URL multiple QUEUE PREFETCH       all that have come, when no more
 *                                           is there to be read
 *   floor URL forward QUEUE PREFETCH OUT    publishes each to OUT, persistent,
 *                                           and acknowledges what is confirmed
 *   floor URL forward-each …                the same, every message by itself
 *   floor URL answer QUEUE PREFETCH         publishes the body to reply_to
 *
 * Runs until it is killed. `forward` is what a good program would do within its
 * prefetch: it waits for no confirm while there is a delivery to read.
 */
#include <string.h>
#include <sys/time.h>

#include "link.h"

static const struct timeval at_once;

/* So that the loop has some use for what it reads. */
static uint64_t bytes_seen;

static void
ack(amqp_connection_state_t link, uint64_t tag, bool multiple)
{
	need(amqp_basic_ack(link, CHANNEL, tag, multiple), "ack");
}

static void
drain_each(amqp_connection_state_t link)
{
	amqp_envelope_t envelope;

	for (;;) {
		need_reply(amqp_consume_message(link, &envelope, NULL, 0),
		    "consume");
		bytes_seen += envelope.message.body.len;
		ack(link, envelope.delivery_tag, false);
		amqp_destroy_envelope(&envelope);
		amqp_maybe_release_buffers(link);
	}
}

static void
drain_multiple(amqp_connection_state_t link, unsigned prefetch)
{
	amqp_envelope_t envelope;
	amqp_rpc_reply_t reply;
	uint64_t last = 0;
	unsigned held = 0;

	for (;;) {
		reply = amqp_consume_message(link, &envelope,
		    held > 0 ? &at_once : NULL, 0);
		if (held > 0 &&
		    reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION &&
		    reply.library_error == AMQP_STATUS_TIMEOUT) {
			ack(link, last, true);
			held = 0;
			continue;
		}
		need_reply(reply, "consume");
		bytes_seen += envelope.message.body.len;
		last = envelope.delivery_tag;
		if (++held >= prefetch / 2) {
			ack(link, last, true);
			held = 0;
		}
		amqp_destroy_envelope(&envelope);
		amqp_maybe_release_buffers(link);
	}
}

static void
publish(amqp_connection_state_t link, amqp_bytes_t key,
    const amqp_message_t *message, bool persistent)
{
	amqp_basic_properties_t properties = { 0 };

	properties._flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
	properties.delivery_mode = persistent ? 2 : 1;
	if (message->properties._flags & AMQP_BASIC_CORRELATION_ID_FLAG) {
		properties._flags |= AMQP_BASIC_CORRELATION_ID_FLAG;
		properties.correlation_id = message->properties.correlation_id;
	}
	if (message->properties._flags & AMQP_BASIC_MESSAGE_ID_FLAG) {
		properties._flags |= AMQP_BASIC_MESSAGE_ID_FLAG;
		properties.message_id = message->properties.message_id;
	}
	need(amqp_basic_publish(link, CHANNEL, amqp_empty_bytes, key, 0, 0,
		 &properties, message->body),
	    "publish");
}

static void
answer(amqp_connection_state_t link)
{
	amqp_envelope_t envelope;

	for (;;) {
		need_reply(amqp_consume_message(link, &envelope, NULL, 0),
		    "consume");
		publish(link, envelope.message.properties.reply_to,
		    &envelope.message, false);
		ack(link, envelope.delivery_tag, false);
		amqp_destroy_envelope(&envelope);
		amqp_maybe_release_buffers(link);
	}
}

/*
 * Number n of the confirms belongs to delivery tag n, as both count from 1 and
 * every delivery is published at once.
 */
struct forward {
	amqp_connection_state_t link;
	amqp_bytes_t out;
	bool each;
	uint64_t acked;
	struct confirms confirms;
};

/* All that is confirmed without a gap. */
static void
forward_settle(struct forward *forward)
{
	uint64_t last = forward->confirms.settled;

	if (!forward->each && last > forward->acked)
		ack(forward->link, last, true);
	for (; forward->each && forward->acked < last; forward->acked++)
		ack(forward->link, forward->acked + 1, false);
	forward->acked = last;
}

static void
forward_frame(struct forward *forward, const amqp_frame_t *frame)
{
	amqp_message_t message;

	if (frame->frame_type != AMQP_FRAME_METHOD)
		die("a frame that nobody expects");
	switch (frame->payload.method.id) {
	case AMQP_BASIC_DELIVER_METHOD:
		need_reply(amqp_read_message(forward->link, CHANNEL, &message,
			       0),
		    "read");
		publish(forward->link, forward->out, &message, true);
		amqp_destroy_message(&message);
		break;
	case AMQP_BASIC_ACK_METHOD:
		confirms_on_ack(&forward->confirms,
		    frame->payload.method.decoded);
		break;
	default:
		die("the broker says %s",
		    amqp_method_name(frame->payload.method.id));
	}
}

static void
run_forward(amqp_connection_state_t link, const char *out, unsigned prefetch,
    bool each)
{
	struct forward forward = {
		.link = link,
		.out = amqp_cstring_bytes(out),
		.each = each,
	};
	amqp_frame_t frame;
	int status;

	confirms_init(&forward.confirms, prefetch);
	for (;;) {
		status = amqp_simple_wait_frame_noblock(link, &frame, &at_once);
		if (status == AMQP_STATUS_TIMEOUT) {
			forward_settle(&forward);
			amqp_maybe_release_buffers(link);
			status = amqp_simple_wait_frame(link, &frame);
		}
		need(status, "read");
		forward_frame(&forward, &frame);
	}
}

int
main(int argc, char **argv)
{
	amqp_connection_state_t link;
	unsigned prefetch;
	const char *what;

	if (argc < 5)
		die("floor URL each|multiple|answer QUEUE PREFETCH\n"
		    "floor URL forward|forward-each QUEUE PREFETCH OUT");
	what = argv[2];
	prefetch = (unsigned)number(argv[4]);
	link = link_open(argv[1]);
	if (strncmp(what, "forward", 7) == 0)
		link_confirms(link);
	link_consume(link, argv[3], prefetch);
	if (strcmp(what, "each") == 0)
		drain_each(link);
	if (strcmp(what, "multiple") == 0)
		drain_multiple(link, prefetch);
	if (strcmp(what, "answer") == 0)
		answer(link);
	if (strncmp(what, "forward", 7) == 0 && argc == 6)
		run_forward(link, argv[5], prefetch,
		    strcmp(what, "forward-each") == 0);
	die("what is %s?", what);
}
