/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker_fixture - work_fixture with a broker, and an amqp child that is played
 * by the test: it delivers, publishes and answers.
 */
#ifndef TEST_UNIT_BROKER_FIXTURE_H
#define TEST_UNIT_BROKER_FIXTURE_H

#include "core/retry.h"
#include "work_fixture.h"

static uint32_t fx_epoch;

/* The config names a broker, and queue 0 is "q" with handler m.h. */
static inline void
with_broker(void)
{
	reconfigure();
	free(fx.conf->amqp.broker.v[0]);
	fx.conf->amqp.broker.v[0] = mem_strdup("amqp://127.0.0.1/");
	queue_conf(0, "q", "m.h");
	fx.conf->queue.v[0].deduplicate = true;
	fx.conf->queue.v[0].max_attempts = 3;
	fx.conf->queue.v[0].max_priority = 9;
	hub_begin();
}

static inline struct peer *
connect_amqp(unsigned n)
{
	struct peer *peer = connect_client(n, false);

	peer->role = ROLE_AMQP;
	broker_on_peer(&fx.hub, peer);
	return peer;
}

static inline void
say_link(unsigned n, uint32_t epoch, bool publishing, uint32_t window)
{
	hub_tick(&fx.hub);
	hub_on_LINK(&fx.hub, &fx.client[n].peer, 0,
	    &(struct msg_LINK){
		.epoch = epoch,
		.publishing = publishing,
		.window = window,
		.json = msg_text("{\"line\":\"all is well\"}"),
	    });
	fx_epoch = epoch;
}

/* One that has had its bindings, and publishes. */
static inline void
connect_publisher(unsigned n)
{
	connect_amqp(n);
	turn();
	ck_assert_uint_eq(want(n, MSG_BINDINGS)->msg.BINDINGS.more, 0);
	say_link(n, fx_epoch + 1, true, 100);
	turn();
}

/* A message as the broker delivers it; `id` may be "". Returns the request. */
static inline uint32_t
deliver_with(unsigned n, const struct msg_PUBLISH *publish,
    struct msg_DELIVER *deliver)
{
	struct msg_PUBLISH copy = *publish;
	struct buf part;

	copy.ttl_ms = -1;
	buf_init(&part, 1 << 20);
	add_part(&part, MSG_PUBLISH, &copy);
	deliver->publish = bytes_of(&part);
	if (deliver->uid == 0)
		deliver->uid = uid_make();
	if (deliver->attempt == 0)
		deliver->attempt = 1;
	if (deliver->queue.len == 0)
		deliver->queue = msg_text("q");
	hub_tick(&fx.hub);
	hub_on_DELIVER(&fx.hub, &fx.client[n].peer, ++fx.request, deliver);
	buf_release(&part);
	return fx.request;
}

static inline uint32_t
deliver_again(unsigned n, const char *id, uint32_t attempt)
{
	struct msg_PUBLISH publish = {
		.key = msg_text("q"),
		.type = msg_text("text/plain"),
		.body = msg_text("the body"),
		.message_id = msg_text(id),
	};
	struct msg_DELIVER deliver = { .attempt = attempt };

	return deliver_with(n, &publish, &deliver);
}

static inline uint32_t
deliver(unsigned n, const char *id)
{
	return deliver_again(n, id, 1);
}

static inline void
want_settled(unsigned n, uint32_t request, enum settled_how how)
{
	struct letter *letter = want(n, MSG_SETTLED);

	ck_assert_uint_eq(letter->request, request);
	ck_assert_int_eq(letter->msg.SETTLED.how, how);
}

/* A SEND of the outbox; its PUBLISH in *publish, its seq is returned. */
static inline uint64_t
want_send(unsigned n, struct msg_PUBLISH *publish)
{
	struct letter *letter = want(n, MSG_SEND);
	enum msg_id id;
	union msg part;
	size_t at = 0;

	ck_assert_uint_eq(letter->msg.SEND.epoch, fx_epoch);
	ck_assert_int_eq(msg_part(letter->msg.SEND.what, &at,
			     MSG_ID_BIT(PUBLISH) | MSG_ID_BIT(BIND), &id, &part,
			     NULL),
	    1);
	if (publish != NULL)
		*publish = part.PUBLISH;
	return letter->msg.SEND.seq;
}

static inline void
say_sent_in(unsigned n, uint32_t epoch, uint64_t seq, enum sent_how how,
    const char *why)
{
	struct buf parts;

	buf_init(&parts, 1 << 16);
	add_part(&parts, MSG_SENT_ONE,
	    &(struct msg_SENT_ONE){
		.seq = seq,
		.how = (uint8_t)how,
		.why = msg_text(why),
	    });
	hub_tick(&fx.hub);
	hub_on_SENT(&fx.hub, &fx.client[n].peer, 0,
	    &(struct msg_SENT){ .epoch = epoch, .all = bytes_of(&parts) });
	buf_release(&parts);
}

static inline void
say_sent(unsigned n, uint64_t seq, enum sent_how how, const char *why)
{
	say_sent_in(n, fx_epoch, seq, how, why);
}

/* A header of a message; NULL: it has none of that name. */
static inline const char *
header_of(const struct msg_PUBLISH *publish, const char *name)
{
	static char text[1024];
	enum msg_id id;
	union msg part;
	size_t at = 0;

	while (msg_part(publish->attrs, &at, MSG_ID_BIT(ATTR), &id, &part,
		   NULL) > 0)
		if (part.ATTR.what == CALL_HEADER &&
		    msg_is(part.ATTR.name, name)) {
			snprintf(text, sizeof(text), "%.*s",
			    (int)part.ATTR.value.len, part.ATTR.value.p);
			return text;
		}
	return NULL;
}

static inline void
want_waiting_in_outbox(size_t n)
{
	struct outbox_count count;

	outbox_count(&fx.hub, &count);
	ck_assert_uint_eq(count.messages, n);
}

#endif
