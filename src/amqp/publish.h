/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * publish - from the outbox to the broker: SEND, confirms, returns, SENT.
 *
 * At most amqp.publish_window messages are under way. Those that the broker has
 * confirmed are told to the hub in one SENT at the end of a turn. A nack, a
 * fault of the exchange or of the channel makes it SENT_HELD: the hub has it
 * still and sends it again. When the connection is lost everything under way is
 * forgotten: LINK with a new epoch makes the hub send it again, under the same
 * message ids. connection.blocked: LINK of the same epoch says that nothing
 * more is taken; what is under way stays so.
 *
 * brood_request() over the broker is on this connection too, for RabbitMQ's
 * direct reply-to wants the consumer of "amq.rabbitmq.reply-to" on the channel
 * that publishes.
 */
#ifndef AMQP_PUBLISH_H
#define AMQP_PUBLISH_H

#include "amqp/link.h"

struct publish *publish_new(struct amqp *amqp);
void publish_start(struct publish *publish);
/* Takes no more SENDs; what is under way is waited for. */
void publish_drain(struct publish *publish);
bool publish_is_idle(const struct publish *publish);
void publish_free(struct publish *publish);

const struct link *publish_link(const struct publish *publish);

void publish_on_send(struct publish *publish, const struct msg_SEND *send);
/* There is a new hub, which does not know us: tells it all again. */
void publish_on_hub(struct publish *publish);
/* LINK: the epoch, whether SENDs are taken, and status_json(). Nobody else
 * sends one. */
void publish_tell(struct publish *publish);

struct publish_count {
	bool blocked;
	char blocked_why[128];
	unsigned window, under_way;
	int64_t stalled_ns;		/* nothing was confirmed for so long,
					   and something could have been */
	uint64_t published, confirmed, returned, held;
	char last_return[256];		/* "exchange, key: NO_ROUTE"; "" */
	char held_why[256];		/* of the last that is held; "": none
					   is, of late */
};
void publish_count(const struct publish *publish, struct publish_count *count);

#endif
