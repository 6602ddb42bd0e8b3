/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * outbox - what is to be published: rows of the store, and an entry for each in
 * memory, both in the order of their sequence numbers.
 *
 * An entry is READY, UNDER WAY (a child has it), HELD (the broker does not want
 * it now) or GONE. Those that are gone are dropped from the store in runs, and
 * from memory when they are half of it. What waits is found in the order of the
 * numbers from `next` on. A number is never used twice, so that a child which
 * has seen one with it before the hub died knows which that was: the store
 * keeps one beyond all that may have been given out (OUTBOX_STEP).
 *
 * Called by effects*.c and delivery.c (what is to be sent), by broker.c (who
 * takes it) and by hub.c, at the end of each turn; what people see of it is in
 * outbox_look.c.
 */
#include "hub/outbox_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/retry.h"
#include "core/uid.h"
#include "hub/peer.h"
#include "hub/store.h"
#include "hub/work.h"

#define OUTBOX_STEP 1000000
#define OUTBOX_COUNTER "outbox"
/* Bytes of bodies under way, but always one message. */
#define OUTBOX_WINDOW_BYTES ((size_t)32 << 20)
/* Of a message: what stands around its texts and body. */
#define OUTBOX_SLACK 1024
#define OUTBOX_COMPACT 1024
/* Memory that is kept from one message to the next. */
#define OUTBOX_KEEP ((size_t)1 << 20)

/* --- entries */

static struct entry *
entry_new(struct outbox *outbox)
{
	if (outbox->n == outbox->size) {
		outbox->size = outbox->size > 0 ? 2 * outbox->size : 256;
		outbox->v = mem_grow(outbox->v, outbox->size,
		    sizeof(*outbox->v));
	}
	return &outbox->v[outbox->n++];
}

/* Where it stands or would. */
static size_t
entry_index(const struct outbox *outbox, uint64_t seq)
{
	size_t low = 0, high = outbox->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (outbox->v[middle].seq < seq)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
entry_drop_body(struct outbox *outbox, struct entry *entry)
{
	if (entry->body == NULL)
		return;
	outbox->cached -= entry->len;
	free(entry->body);
	entry->body = NULL;
}

void
entry_set(struct outbox *outbox, struct entry *entry, enum entry_state state)
{
	if (entry->state == UNDER_WAY) {
		outbox->under_way--;
		outbox->under_way_bytes -= entry->len;
	}
	entry->state = state;
	if (state == UNDER_WAY) {
		outbox->under_way++;
		outbox->under_way_bytes += entry->len;
	} else if (state == HELD && !entry->was_held) {
		entry->was_held = true;
		outbox->held++;
	} else if (state == GONE) {
		outbox->held -= entry->was_held;
		entry_drop_body(outbox, entry);
		outbox->bytes -= entry->len;
		outbox->gone++;
	} else if (state == READY &&
	    (size_t)(entry - outbox->v) < outbox->next) {
		outbox->next = (size_t)(entry - outbox->v);
	}
}

void
outbox_compact(struct outbox *outbox)
{
	size_t n = 0, next = SIZE_MAX;

	if (outbox->gone < OUTBOX_COMPACT / 8 && outbox->gone < outbox->n)
		return;
	if (outbox->gone < outbox->n / 2)
		return;
	for (size_t i = 0; i < outbox->n; i++) {
		if (i == outbox->next)
			next = n;
		if (outbox->v[i].state != GONE)
			outbox->v[n++] = outbox->v[i];
	}
	outbox->next = next < n ? next : n;
	outbox->n = n;
	outbox->gone = 0;
	if (outbox->size > OUTBOX_COMPACT && n < outbox->size / 8) {
		outbox->size /= 4;
		outbox->v = mem_grow(outbox->v, outbox->size,
		    sizeof(*outbox->v));
	}
}

/* Those between these that are gone leave the store, a run at a time. */
void
outbox_erase(struct outbox *outbox, size_t first, size_t last)
{
	struct store *store = outbox->hub->store;
	const struct entry *v = outbox->v;

	for (size_t i = first, from; i <= last; i++) {
		if (v[i].state != GONE)
			continue;
		from = i;
		while (i < last && v[i + 1].state == GONE)
			i++;
		store_drop_outbox(store, v[from].seq, v[i].seq);
	}
}

/* --- what is to be sent */

size_t
outbox_count_live(const struct outbox *outbox)
{
	return outbox->n - outbox->gone;
}

enum hub_code
outbox_would_add(struct hub *hub, size_t more, size_t bytes, struct why *why)
{
	const struct outbox *outbox = hub->outbox;

	if (outbox_count_live(outbox) + more >
	    (size_t)hub->conf->amqp.outbox_max) {
		why_set(why,
		    "%zu messages wait for the broker (amqp.outbox_max)",
		    outbox_count_live(outbox));
		return HUB_FULL;
	}
	if (outbox->bytes + bytes > hub->conf->amqp.outbox_bytes) {
		why_set(why,
		    "%zu bytes of messages wait for the broker "
		    "(amqp.outbox_bytes)",
		    outbox->bytes);
		return HUB_FULL;
	}
	return HUB_OK;
}

static uint64_t
outbox_seq(struct outbox *outbox)
{
	if (outbox->seq == outbox->seq_kept) {
		outbox->seq_kept = outbox->seq + OUTBOX_STEP;
		store_set_counter(outbox->hub->store, OUTBOX_COUNTER,
		    outbox->seq_kept);
	}
	return outbox->seq++;
}

static void
outbox_add(struct hub *hub, uint64_t uid, enum msg_id id, const void *msg)
{
	struct outbox *outbox = hub->outbox;
	struct buf *buf = &outbox->scratch;
	struct entry *entry = entry_new(outbox);

	buf_clear(buf);
	msg_encode(buf, id, 0, msg);
	*entry = (struct entry){
		.seq = outbox_seq(outbox),
		.uid = uid,
		.at_ms = hub->wall_ms,
		.len = (uint32_t)buf->len,
		.state = READY,
	};
	outbox->bytes += buf->len;
	if (outbox->cached + buf->len <= hub->conf->tasks.cache) {
		entry->body = mem_alloc(buf->len);
		memcpy(entry->body, buf->data, buf->len);
		outbox->cached += buf->len;
	}
	store_add_outbox(hub->store, entry->seq, uid, entry->at_ms,
	    (struct msg_bytes){ buf->data, buf->len });
	buf_reuse(buf, OUTBOX_KEEP);
}

/* An answer to one who waits is of no use after a power cut. */
static bool
is_fleeting(const struct msg_PUBLISH *publish)
{
	return publish->exchange.len == 0 &&
	    msg_begins(publish->key, DIRECT_ADDRESS);
}

void
outbox_publish(struct hub *hub, const struct msg_PUBLISH *publish)
{
	struct msg_PUBLISH copy = *publish;
	char id[UID_TEXT_SIZE];

	if (copy.uid == 0)
		copy.uid = uid_make();
	if (copy.message_id.len == 0)
		copy.message_id = msg_text(
		    uid_format(copy.uid, hub->outbox->token, id));
	if (!is_fleeting(&copy))
		hub->sync |= hub->conf->tasks.durability == CONF_DURABLE_FULL;
	outbox_add(hub, copy.uid, MSG_PUBLISH, &copy);
}

void
outbox_bind(struct hub *hub, const struct msg_BIND *bind)
{
	hub->sync |= hub->conf->tasks.durability == CONF_DURABLE_FULL;
	outbox_add(hub, 0, MSG_BIND, bind);
}

/* --- sending */

static void
outbox_send(struct outbox *outbox, struct entry *entry)
{
	struct hub *hub = outbox->hub;
	size_t len = entry->len;
	char *stored = NULL;

	if (entry->body == NULL)
		stored = store_find_outbox(hub->store, entry->seq, &len);
	if (entry->body == NULL && stored == NULL) {
		log_error("message %llu of the outbox is not in the store",
		    (unsigned long long)entry->seq);
		entry_set(outbox, entry, GONE);
		return;
	}
	peer_send(outbox->peer, MSG_SEND, 0,
	    &(struct msg_SEND){
		.epoch = outbox->epoch,
		.seq = entry->seq,
		.what = { stored != NULL ? stored : entry->body, len },
	    });
	free(stored);
	entry_set(outbox, entry, UNDER_WAY);
}

void
outbox_drain(struct hub *hub)
{
	if (hub->outbox != NULL)
		hub->outbox->draining = true;
}

bool
outbox_is_quiet(const struct hub *hub)
{
	return hub->outbox == NULL || hub->outbox->under_way == 0;
}

bool
outbox_is_draining(const struct hub *hub)
{
	return hub->outbox != NULL && hub->outbox->draining;
}

void
outbox_turn(struct hub *hub)
{
	struct outbox *outbox = hub->outbox;

	if (outbox == NULL || outbox->peer == NULL || outbox->draining)
		return;
	for (; outbox->next < outbox->n && outbox->under_way < outbox->window;
	     outbox->next++) {
		struct entry *entry = &outbox->v[outbox->next];

		if (entry->state != READY)
			continue;
		if (outbox->under_way > 0 &&
		    outbox->under_way_bytes + entry->len > OUTBOX_WINDOW_BYTES)
			break;
		outbox_send(outbox, entry);
	}
}

void
outbox_on_publisher(struct hub *hub, struct peer *peer, uint32_t epoch,
    uint32_t window)
{
	struct outbox *outbox = hub->outbox;
	bool same = peer == outbox->peer && epoch == outbox->epoch;

	outbox->peer = peer;
	outbox->epoch = epoch;
	outbox->window = window;
	if (same)
		return;
	for (size_t i = 0; i < outbox->n; i++)
		if (outbox->v[i].state == UNDER_WAY)
			entry_set(outbox, &outbox->v[i], READY);
}

/* --- what became of it */

/* To one of the queues beside a queue: there is none for a moment, and nobody
 * but us has the message. */
static bool
is_ours(struct outbox *outbox, const struct entry *entry)
{
	struct hub *hub = outbox->hub;
	size_t len = entry->len;
	char *stored = entry->body == NULL ?
	    store_find_outbox(hub->store, entry->seq, &len) :
	    NULL;
	struct msg_bytes bytes = { stored != NULL ? stored : entry->body, len };
	enum retry_kind kind = RETRY_WORK;
	enum msg_id id;
	union msg msg;
	int64_t step_ms;
	size_t at = 0;
	bool ours;

	ours = bytes.p != NULL &&
	    msg_part(bytes, &at, MSG_ID_BIT(PUBLISH), &id, &msg, NULL) > 0 &&
	    msg.PUBLISH.exchange.len == 0 &&
	    retry_parse(hub->conf, msg.PUBLISH.key, &kind, &step_ms) != NULL &&
	    kind != RETRY_WORK;
	free(stored);
	return ours;
}

static void
outbox_on_one(struct outbox *outbox, struct entry *entry,
    const struct msg_SENT_ONE *one)
{
	char why[WHY_SIZE] = "";
	bool held = one->how == SENT_HELD ||
	    (one->how == SENT_RETURNED && is_ours(outbox, entry));

	if (one->how != SENT_CONFIRMED)
		snprintf(why, sizeof(why), "%.*s",
		    (int)(one->why.len < 400 ? one->why.len : 400), one->why.p);
	if (held) {
		snprintf(outbox->held_why, sizeof(outbox->held_why), "%.255s",
		    why);
		entry_set(outbox, entry, HELD);
		if (!loop_timer_is_set(&outbox->again))
			loop_timer_set(outbox->hub->loop, &outbox->again,
			    outbox->hub->now_ns +
				outbox->hub->conf->amqp.refresh);
	} else {
		outbox->confirmed++;
		outbox->returned += one->how == SENT_RETURNED;
		entry_set(outbox, entry, GONE);
	}
	if (outbox->watches != NULL)
		outbox_watches_tell(outbox, entry->uid,
		    held ? SENT_HELD : (enum sent_how)one->how, why);
}

void
outbox_on_sent(struct hub *hub, const struct msg_SENT *sent)
{
	struct outbox *outbox = hub->outbox;
	size_t at = 0, first = SIZE_MAX, last = 0, i;
	enum msg_id id;
	union msg msg;

	while (msg_part(sent->all, &at, MSG_ID_BIT(SENT_ONE), &id, &msg, NULL) >
	    0) {
		i = entry_index(outbox, msg.SENT_ONE.seq);
		if (i == outbox->n || outbox->v[i].seq != msg.SENT_ONE.seq ||
		    outbox->v[i].state != UNDER_WAY)
			continue;
		outbox_on_one(outbox, &outbox->v[i], &msg.SENT_ONE);
		first = i < first ? i : first;
		last = i > last ? i : last;
	}
	if (first > last)
		return;
	outbox_erase(outbox, first, last);
	outbox_compact(outbox);
}

static void
outbox_on_again(void *ctx)
{
	struct outbox *outbox = ctx;

	hub_tick(outbox->hub);
	for (size_t i = 0; i < outbox->n && outbox->held > 0; i++)
		if (outbox->v[i].state == HELD)
			entry_set(outbox, &outbox->v[i], READY);
}

/* --- start and end */

static int
outbox_load(void *ctx, uint64_t seq, uint64_t uid, int64_t wall_ms, size_t len)
{
	struct outbox *outbox = ctx;

	*entry_new(outbox) = (struct entry){
		.seq = seq,
		.uid = uid,
		.at_ms = wall_ms,
		.len = (uint32_t)len,
		.state = READY,
	};
	outbox->bytes += len;
	if (seq >= outbox->seq)
		outbox->seq = seq + 1;
	return 0;
}

int
outbox_start(struct hub *hub, struct why *why)
{
	struct outbox *outbox = mem_alloc(sizeof(*outbox));

	(void)why;
	hub->outbox = outbox;
	outbox->hub = hub;
	outbox->token = uid_token();
	buf_init(&outbox->scratch, SIZE_MAX - 1);
	loop_timer_init(&outbox->again, outbox_on_again, outbox);
	outbox->seq = store_counter(hub->store, OUTBOX_COUNTER);
	if (outbox->seq == 0)
		outbox->seq = 1;
	store_each_outbox(hub->store, outbox_load, outbox);
	outbox->seq_kept = outbox->seq;
	return 0;
}

void
outbox_stop(struct hub *hub)
{
	struct outbox *outbox = hub->outbox;

	if (outbox == NULL)
		return;
	outbox_watches_free(outbox);
	loop_timer_cancel(hub->loop, &outbox->again);
	for (size_t i = 0; i < outbox->n; i++)
		free(outbox->v[i].body);
	free(outbox->v);
	buf_release(&outbox->scratch);
	free(outbox);
	hub->outbox = NULL;
}
