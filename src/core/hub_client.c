/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hub_client - who asks the hub, and who gets the answers.
 *
 * Used by every role with a line to the hub, and by core/call_data.c for
 * handlers. A request of hub_send() is kept as a frame until it is answered, so
 * that a hub that was replaced gets it again; one of hub_ask() is its caller's,
 * who waits, and takes a send, a poll and a read, no more.
 *
 * hub_ask() is called from handlers, which run in callbacks of the loop, some
 * of them in callbacks from here. So it runs no callback: what comes for others
 * is put away, and a timer that is due at once has the loop deliver it.
 */
#include "core/hub_client.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/hub_line.h"
#include "core/uid.h"

/* How soon after a connection was lost or refused the next one is tried. */
#define AGAIN_MIN_NS (2 * NS_PER_MS)
#define AGAIN_MAX_NS (250 * NS_PER_MS)
/* Events that came while nobody waited for them. */
#define EVENTS_MAX_BYTES (16 << 20)

static void
hub_on_again(void *ctx)
{
	line_up(ctx);
}

static void
hub_on_deliver(void *ctx)
{
	hub_deliver(ctx);
}

struct hub_client *
hub_client_new(struct loop *loop, const struct hub_client_options *options)
{
	struct hub_client *client = mem_alloc(sizeof(*client));

	client->options = *options;
	client->loop = loop;
	client->session = uid_token();
	client->wire.fd = -1;
	client->io.fd = -1;
	backoff_init(&client->backoff, AGAIN_MIN_NS, AGAIN_MAX_NS);
	loop_timer_init(&client->again, hub_on_again, client);
	loop_timer_init(&client->deliver, hub_on_deliver, client);
	buf_init(&client->scratch, MSG_HEAD + options->max_frame);
	buf_init(&client->kept, SIZE_MAX / 2);
	buf_init(&client->events, EVENTS_MAX_BYTES);
	buf_init(&client->held, SIZE_MAX / 2);
	return client;
}

void
hub_client_stay(struct hub_client *client)
{
	client->stay = true;
	line_up(client);
}

/* ------------------------------------------------------------- requests */

struct hub_request *
hub_request_find(struct hub_client *client, uint32_t handle)
{
	struct hub_request *request = client->bucket[handle % HUB_BUCKETS];

	while (request != NULL && request->handle != handle)
		request = request->same;
	return request;
}

uint32_t
hub_new_handle(struct hub_client *client)
{
	do
		client->last_handle++;
	while (client->last_handle == 0 ||
	    (client->pending > 0 &&
		hub_request_find(client, client->last_handle) != NULL));
	return client->last_handle;
}

static void
hub_request_add(struct hub_request *request)
{
	struct hub_client *client = request->client;
	struct hub_request **bucket =
	    &client->bucket[request->handle % HUB_BUCKETS];

	request->same = *bucket;
	*bucket = request;
	DL_APPEND(client->requests, request);
	client->pending++;
}

/* Out of the list; still to be freed. */
static void
hub_request_remove(struct hub_request *request)
{
	struct hub_client *client = request->client;
	struct hub_request **at =
	    &client->bucket[request->handle % HUB_BUCKETS];

	while (*at != request)
		at = &(*at)->same;
	*at = request->same;
	DL_DELETE(client->requests, request);
	client->pending--;
	if (client->loop != NULL)
		loop_timer_cancel(client->loop, &request->timer);
}

/* Once more, or as soon as there is a hub. */
static void
hub_request_write(struct hub_request *request)
{
	struct hub_client *client = request->client;
	const struct buf frame = { .data = request->frame,
		.len = request->len };

	request->repeat = false;
	line_write(client, &frame);
	line_flush(client);
}

static void
hub_on_deadline(void *ctx)
{
	struct hub_request *request = ctx;
	struct hub_client *client = request->client;

	if (request->answered)
		return; /* it is being delivered */
	if (request->repeat) {
		hub_request_write(request);
		return;
	}
	hub_request_remove(request);
	if (request->fn != NULL)
		request->fn(request->ctx, MSG_NONE, NULL,
		    client->wire.fd != -1 ? HUB_TIMEOUT : HUB_GONE);
	free(request);
}

/* A watch that ends is not set up again from here on. */
static void
hub_watch_forget(struct hub_client *client, const struct msg_WATCH *msg)
{
	for (size_t i = 0; i < client->watches; i++) {
		if (!msg_is(msg->prefix, client->watch[i]))
			continue;
		free(client->watch[i]);
		client->watch[i] = client->watch[--client->watches];
		return;
	}
}

static void
hub_watch_note(struct hub_client *client, const struct msg_WATCH *msg)
{
	hub_watch_forget(client, msg);
	if (msg->on == 0)
		return;
	client->watch = mem_grow(client->watch, client->watches + 1,
	    sizeof(*client->watch));
	client->watch[client->watches++] = msg_string(msg->prefix);
}

uint32_t
hub_send(struct hub_client *client, enum msg_id id, const void *msg,
    int64_t deadline_ns, hub_reply_fn *fn, void *ctx)
{
	struct buf *frame = &client->scratch;
	struct hub_request *request;
	uint32_t handle = hub_new_handle(client);

	buf_clear(frame);
	if (msg_encode(frame, id, handle, msg) == -1)
		return 0;
	request = mem_try_alloc(sizeof(*request) + frame->len);
	if (request == NULL)
		return 0;
	*request = (struct hub_request){
		.client = client,
		.handle = handle,
		.fn = fn,
		.ctx = ctx,
		.len = frame->len,
	};
	memcpy(request->frame, frame->data, frame->len);
	loop_timer_init(&request->timer, hub_on_deadline, request);

	if (id == MSG_WATCH && ((const struct msg_WATCH *)msg)->on == 0)
		hub_watch_forget(client, msg);
	if (client->wire.fd != -1)
		line_write(client, frame);
	hub_request_add(request);
	if (client->loop != NULL && deadline_ns != CLOCK_NEVER)
		loop_timer_set(client->loop, &request->timer, deadline_ns);

	/* a new connection takes along what is in the list */
	if (client->wire.fd == -1)
		line_up(client);
	else if (!client->batching)
		line_flush(client);
	buf_reuse(frame, HUB_KEEP);
	return handle;
}

void
hub_forget(struct hub_client *client, uint32_t handle)
{
	struct hub_request *request = hub_request_find(client, handle);

	if (request == NULL)
		return;
	hub_request_remove(request);
	free(request);
}

/* ------------------------------------------------------------ from the loop */

static enum hub_code
hub_fail_code(const struct msg_head *head, const union msg *msg)
{
	if (head->id != MSG_FAIL)
		return HUB_OK;
	if (msg->FAIL.code == HUB_OK || msg->FAIL.code >= HUB_CODE_COUNT)
		return HUB_BAD;
	return (enum hub_code)msg->FAIL.code;
}

static void
hub_hand_over(struct hub_client *client, const struct msg_head *head,
    const union msg *msg)
{
	const struct hub_client_options *options = &client->options;
	struct hub_request *request;

	if (head->request == 0) {
		/* it may take its time: nothing else waits for that */
		line_flush(client);
		if (options->on_note != NULL)
			options->on_note(options->ctx, head->id, msg);
		return;
	}
	request = hub_request_find(client, head->request);
	if (request == NULL)
		return; /* forgotten, or too late */
	hub_request_remove(request);
	client->batching = true;
	client->repeat_ns = CLOCK_NEVER;
	if (request->fn != NULL)
		request->fn(request->ctx, head->id, msg,
		    hub_fail_code(head, msg));
	client->batching = false;
	if (client->repeat_ns == CLOCK_NEVER) {
		free(request);
		return;
	}
	request->repeat = true;
	hub_request_add(request);
	loop_timer_set(client->loop, &request->timer, client->repeat_ns);
}

void
hub_repeat(struct hub_client *client, int64_t at_ns)
{
	client->repeat_ns = at_ns;
}

/* Those put away, from `at`; more may be put away meanwhile. */
static void
hub_deliver_kept(struct hub_client *client, struct buf *kept, size_t at)
{
	struct buf batch = *kept;
	struct msg_head head;
	union msg msg;
	ptrdiff_t n;

	buf_init(kept, batch.max);
	for (; at < batch.len; at += (size_t)n) {
		n = msg_decode(batch.data + at, batch.len - at, batch.len,
		    MSG_FROM_HUB, &head, &msg, NULL);
		assert(n > 0); /* it was decoded before */
		hub_hand_over(client, &head, &msg);
	}
	buf_release(&batch);
}

/* What the callback looked at is of no use any more. */
static void
hub_let_go(struct hub_client *client)
{
	client->dispatching = false;
	if (!client->holding)
		return;
	client->holding = false;
	buf_reuse(&client->held, HUB_KEEP);
}

void
hub_deliver(struct hub_client *client)
{
	struct msg_head head;
	union msg msg;
	size_t at;

	for (;;) {
		if (client->kept.len > 0) {
			hub_deliver_kept(client, &client->kept, 0);
		} else if (client->events.len > 0) {
			at = client->events_taken;
			client->events_taken = 0;
			hub_deliver_kept(client, &client->events, at);
		} else if (line_next(client, &head, &msg) == 1) {
			client->dispatching = true;
			hub_hand_over(client, &head, &msg);
			hub_let_go(client);
		} else {
			break;
		}
	}
	line_flush(client);
}

/* --------------------------------------------------- while somebody waits */

/* Until there is an answer to the one who asks; the rest is put away. */
static bool
hub_ask_take(struct hub_client *client, struct msg_head *head, union msg *reply)
{
	while (client->wire.taken < client->wire.in.len &&
	    line_next(client, head, reply) == 1) {
		if (head->request == client->asking)
			return true;
		line_keep(client, head);
	}
	return false;
}

enum msg_id
hub_ask(struct hub_client *client, enum msg_id id, const void *msg,
    int64_t deadline_ns, union msg *reply, enum hub_code *code)
{
	struct msg_head head;
	bool waited = false;

	assert(client->asking == 0);
	if (msg_size(id, msg) > MSG_HEAD + client->options.max_frame) {
		*code = HUB_TOO_LARGE;
		return MSG_NONE;
	}
	client->asking = hub_new_handle(client);
	client->ask_id = id;
	client->ask = msg;
	/* without a connection it is sent with all the rest; without memory
	 * for it, the next connection begins with an empty buffer */
	if (line_send(client, id, client->asking, msg) == -1)
		line_close(client);
	while (!hub_ask_take(client, &head, reply)) {
		if (waited && clock_now_ns() >= deadline_ns) {
			head.id = MSG_NONE;
			break;
		}
		line_wait(client, deadline_ns, -1);
		waited = true;
	}
	client->asking = 0;
	line_left_over(client);

	if (head.id == MSG_NONE)
		*code = client->wire.fd != -1 ? HUB_TIMEOUT : HUB_GONE;
	else
		*code = hub_fail_code(&head, reply);
	if (id == MSG_WATCH && head.id == MSG_OK)
		hub_watch_note(client, msg);
	return (enum msg_id)head.id;
}

void
hub_note(struct hub_client *client, enum msg_id id, const void *msg)
{
	buf_clear(&client->scratch);
	if (line_up(client) && msg_encode(&client->scratch, id, 0, msg) == 0) {
		line_write(client, &client->scratch);
		line_flush(client);
	}
}

uint64_t
hub_next_seq(struct hub_client *client)
{
	return ++client->seq;
}

size_t
hub_pending(const struct hub_client *client)
{
	return client->pending;
}

static bool
hub_event_take(struct hub_client *client, union msg *msg)
{
	struct buf *events = &client->events;
	struct msg_head head;
	ptrdiff_t n;

	if (client->events_taken == events->len) {
		client->events_taken = 0;
		buf_reuse(events, HUB_KEEP);
		return false;
	}
	n = msg_decode(events->data + client->events_taken,
	    events->len - client->events_taken, events->len, MSG_FROM_HUB,
	    &head, msg, NULL);
	assert(n > 0);
	client->events_taken += (size_t)n;
	return true;
}

int
hub_wait_event(struct hub_client *client, int64_t deadline_ns, int stop_fd,
    union msg *msg)
{
	struct msg_head head;
	enum line_woke woke = LINE_READ;

	for (;;) {
		if (hub_event_take(client, msg))
			return 1;
		while (line_next(client, &head, msg) == 1)
			line_keep(client, &head);
		if (client->events.len > 0)
			continue;
		if (woke == LINE_STOP)
			return 2;
		if (woke == LINE_SIGNAL || clock_now_ns() >= deadline_ns)
			return 0;
		woke = line_wait(client, deadline_ns, stop_fd);
	}
}

bool
hub_client_gap(struct hub_client *client)
{
	bool gap = client->gap;

	client->gap = false;
	return gap;
}

void
hub_client_free(struct hub_client *client)
{
	struct hub_request *request;

	if (client == NULL)
		return;
	line_close(client);
	while ((request = client->requests) != NULL) {
		hub_request_remove(request);
		free(request);
	}
	if (client->loop != NULL) {
		loop_timer_cancel(client->loop, &client->again);
		loop_timer_cancel(client->loop, &client->deliver);
	}
	for (size_t i = 0; i < client->watches; i++)
		free(client->watch[i]);
	free(client->watch);
	buf_release(&client->scratch);
	buf_release(&client->kept);
	buf_release(&client->events);
	buf_release(&client->held);
	free(client);
}
