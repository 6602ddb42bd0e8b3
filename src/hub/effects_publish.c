/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * effects_publish - a message becomes a job in each queue that takes it, or the
 * answer that a brood_request() waits for.
 *
 * The properties of a message stand among the attributes of its jobs, so that a
 * handler, a dead letter and a reply find them there. With a broker, a message
 * that is sent goes to the outbox, and one that was delivered becomes a job.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/call.h"
#include "core/retry.h"
#include "core/uid.h"
#include "hub/effects_impl.h"
#include "hub/exchange.h"
#include "hub/outbox.h"
#include "hub/work.h"

static uint64_t unroutable;

uint64_t
effects_unroutable(const struct hub *hub)
{
	(void)hub;
	return unroutable;
}

static int64_t
ttl_of(int64_t said_ms, int64_t queue_ns)
{
	int64_t queue_ms = queue_ns / NS_PER_MS;

	if (queue_ns == 0 || (said_ms >= 0 && said_ms < queue_ms))
		return said_ms;
	return queue_ms;
}

static void
put_property(struct buf *attrs, const char *name, struct msg_bytes value)
{
	struct msg_ATTR attr = {
		.what = CALL_PROPERTY,
		.name = msg_text(name),
		.value = value,
	};

	if (value.len > 0)
		msg_encode(attrs, MSG_ATTR, 0, &attr);
}

/* Each message has one: printf() would be a twentieth of what it costs. */
static struct msg_bytes
priority_text(uint8_t priority, char text[3])
{
	size_t at = 3;

	do {
		text[--at] = (char)('0' + priority % 10);
		priority /= 10;
	} while (priority > 0);
	return (struct msg_bytes){ text + at, 3 - at };
}

/* Where it was sent at first; who delivers it says which attempt it is. */
static bool
put_retried(const struct msg_ATTR *attr, struct msg_bytes *exchange,
    struct msg_bytes *key)
{
	if (attr->what != CALL_HEADER || !msg_begins(attr->name, RETRY_HEADERS))
		return false;
	if (msg_is(attr->name, RETRY_EXCHANGE))
		*exchange = attr->value;
	else if (msg_is(attr->name, RETRY_KEY))
		*key = attr->value;
	else
		return msg_is(attr->name, RETRY_ATTEMPT);
	return true;
}

/* The headers that came with a message, and its properties. */
static void
publish_attrs(const struct msg_PUBLISH *publish, const char *queue,
    struct buf *attrs)
{
	struct msg_bytes exchange = publish->exchange, key = publish->key;
	char priority[3];
	enum msg_id id;
	union msg msg;
	size_t at = 0;

	while (msg_part(publish->attrs, &at, MSG_ID_BIT(ATTR), &id, &msg,
		   NULL) > 0) {
		if (!put_retried(&msg.ATTR, &exchange, &key) &&
		    (msg.ATTR.what == CALL_HEADER || msg.ATTR.what == CALL_RAW))
			msg_encode(attrs, MSG_ATTR, 0, &msg.ATTR);
	}
	put_property(attrs, "exchange", exchange);
	put_property(attrs, "routing_key", key);
	put_property(attrs, "queue", msg_text(queue));
	put_property(attrs, "message_id", publish->message_id);
	put_property(attrs, "correlation_id", publish->correlation_id);
	put_property(attrs, "reply_to", publish->reply_to);
	put_property(attrs, "content_type", publish->type);
	put_property(attrs, "priority",
	    priority_text(publish->priority, priority));
}

void
publish_job(struct hub *hub, const struct msg_PUBLISH *publish, size_t index,
    struct buf *attrs, struct msg_SUBMIT *submit)
{
	const struct conf_queue *queue = &hub->conf->queue.v[index];

	buf_clear(attrs);
	publish_attrs(publish, queue->name, attrs);
	*submit = (struct msg_SUBMIT){
		.uid = publish->uid,
		.handler = msg_text(queue->handler),
		.type = publish->type,
		.body = publish->body,
		.attrs = { attrs->data, attrs->len },
		.path = msg_text(queue->name),
		.priority = publish->priority < queue->max_priority ?
		    publish->priority :
		    (uint32_t)queue->max_priority,
		.expires_ms = ttl_of(publish->ttl_ms, queue->ttl),
		.id = publish->id,
		.traceparent = publish->traceparent,
	};
}

bool
publish_is_direct(const struct msg_PUBLISH *publish, uint64_t *uid)
{
	return publish->exchange.len == 0 && direct_parse(publish->key, uid);
}

static size_t
publish_direct(struct hub *hub, const struct msg_PUBLISH *publish, uint64_t uid)
{
	return work_answer_request(hub, uid,
		   &(struct msg_RESULT){
		       .status = 200,
		       .type = publish->type,
		       .body = publish->body,
		   }) ?
	    1 :
	    0;
}

/* The first has the message's own uid, so that a message that comes again is
 * known; the others have new ones, and so has a message of the hub's. */
static void
publish_add(struct hub *hub, const struct msg_PUBLISH *publish, size_t queue,
    bool its_uid)
{
	struct msg_SUBMIT submit;
	struct work_new new = { JOB_MESSAGE, (ptrdiff_t)queue, &submit, NULL };
	struct buf attrs;
	uint64_t token;
	bool existing;
	enum hub_code code;

	buf_init(&attrs, SIZE_MAX - 1);
	publish_job(hub, publish, queue, &attrs, &submit);
	submit.token = uid_token();
	do {
		if (!its_uid)
			submit.uid = uid_make();
		code = work_add(hub, &new, NULL, &token, &existing);
		/* what another process made in the same millisecond */
	} while (code == HUB_OK && existing && !its_uid);
	if (code != HUB_OK)
		log_error("a message for queue %s is no message (%s)",
		    hub->conf->queue.v[queue].name, hub_code_name(code));
	buf_release(&attrs);
}

size_t
publish_all(struct hub *hub, const struct msg_PUBLISH *publish, bool ours,
    size_t *queue)
{
	uint64_t uid;
	int n;

	if (publish_is_direct(publish, &uid))
		return publish_direct(hub, publish, uid);
	n = exchanges_route(hub->exchanges, publish->exchange, publish->key,
	    queue, NULL);
	for (int i = 0; i < n; i++)
		publish_add(hub, publish, queue[i], i == 0 && !ours);
	return n > 0 ? (size_t)n : 0;
}

static bool
is_short(const struct msg_PUBLISH *p)
{
	return p->exchange.len <= CALL_NAME_BYTES &&
	    p->key.len <= CALL_NAME_BYTES && p->type.len <= CALL_NAME_BYTES &&
	    p->message_id.len <= CALL_NAME_BYTES &&
	    p->correlation_id.len <= CALL_NAME_BYTES &&
	    p->reply_to.len <= CALL_NAME_BYTES;
}

/* Whatever no broker would take is refused here, or it would be held for
 * ever. */
static bool
headers_fit(struct msg_bytes attrs, struct why *why)
{
	size_t at = 0, n = 0;
	enum msg_id id;
	union msg msg;

	if (attrs.len > CALL_MESSAGE_HEADER_BYTES) {
		why_set(why, "a message with more than %d bytes of headers",
		    CALL_MESSAGE_HEADER_BYTES);
		return false;
	}
	while (msg_part(attrs, &at, MSG_ID_BIT(ATTR), &id, &msg, NULL) > 0) {
		if (msg.ATTR.name.len > CALL_NAME_BYTES) {
			why_set(why, "a header's name has more than %d bytes",
			    CALL_NAME_BYTES);
			return false;
		}
		n++;
	}
	if (n > CALL_MESSAGE_HEADERS) {
		why_set(why, "a message with more than %d headers",
		    CALL_MESSAGE_HEADERS);
		return false;
	}
	return true;
}

enum hub_code
publish_check(struct hub *hub, const struct msg_PUBLISH *publish, size_t *queue,
    size_t nth, size_t *bytes, struct why *why)
{
	size_t size = msg_size(MSG_PUBLISH, publish);

	if (exchanges_route(hub->exchanges, publish->exchange, publish->key,
		queue, why) < 0)
		return HUB_NOT_FOUND;
	if (publish->uid == 0 || !is_short(publish)) {
		why_set(why,
		    "a message without a uid, or with a property of more than "
		    "%d bytes",
		    CALL_NAME_BYTES);
		return HUB_BAD;
	}
	if (publish->attrs.len > 0 && !headers_fit(publish->attrs, why))
		return HUB_BAD;
	if (!work_fits(hub, "message", size, publish->body.len, why))
		return HUB_TOO_LARGE;
	*bytes += size;
	return outbox_would_add(hub, nth, *bytes, why);
}

void
publish_lost(const struct msg_PUBLISH *publish)
{
	unroutable++;
	log_notice("a message to exchange \"%.*s\" with key \"%.*s\" finds no "
		   "queue",
	    (int)publish->exchange.len, publish->exchange.p,
	    (int)publish->key.len, publish->key.p);
}

size_t
effects_publish(struct hub *hub, const struct msg_PUBLISH *publish)
{
	size_t *queue, n;

	if (hub->outbox != NULL) {
		outbox_publish(hub, publish);
		return 1;
	}
	queue = mem_array(hub->conf->queue.n + 1, sizeof(*queue));
	n = publish_all(hub, publish, true, queue);

	if (n == 0)
		publish_lost(publish);
	free(queue);
	return n;
}
