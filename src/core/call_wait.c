/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * call_wait - notifications and changes of keys for handlers, and the one way
 * to sleep in which a handler can still be told to stop.
 *
 * Called by modules only, from inside a handler; brood_cancelled() is here for
 * what it has in common with brood_wait(). An order to stop reaches a process
 * as a signal (the deadline has passed), as a word in the scoreboard (the call
 * was cancelled; nothing wakes us for that, so sleep is cut into slices), or,
 * in the background, where a process has a single endless call, on the control
 * channel.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/call_impl.h"
#include "core/child.h"
#include "core/hub_client.h"

/* How late an order may be seen that wakes nobody up. */
#define SLICE_NS (50 * NS_PER_MS)
/* The same in the background, where the channel wakes us up. */
#define SLICE_BACKGROUND_NS NS_PER_S

static bool
call_in_background(const struct brood_call *call)
{
	return call->request->door == DOOR_BACKGROUND;
}

bool
brood_cancelled(struct brood_call *call)
{
	struct child *child = call->child;
	int64_t cancel = atomic_load_explicit(&call->slot->cancel,
	    memory_order_relaxed);

	/* an order that came late was for the call before */
	if (cancel == call->started_ns || clock_now_ns() >= call->deadline_ns ||
	    board_is_cancelled(child->board, child->spec.slot,
		call->result->uid))
		return true;
	return call_in_background(call) &&
	    (child->draining || child_poll_orders(child));
}

int
brood_notify(struct brood_call *call, const char *topic, const json_t *value)
{
	struct msg_NOTIFY ask = { .topic = msg_text(topic), .kind = DATA_JSON };
	union msg reply;

	if (call_check_key(call, "topic", topic) == -1 ||
	    call_dump(call, value, &ask.value) == -1 ||
	    call_ask(call, MSG_NOTIFY, &ask, MSG_NUMBER, &reply) == -1)
		return -1;
	return (int)reply.NUMBER.value;
}

int
brood_watch(struct brood_call *call, const char *prefix)
{
	struct msg_WATCH ask = { .prefix = msg_text(prefix), .on = 1 };
	union msg reply;

	for (size_t i = 0; i < call->watches; i++)
		if (strcmp(call->watch[i], prefix != NULL ? prefix : "") == 0)
			return 1;
	if (call_ask(call, MSG_WATCH, &ask, MSG_OK, &reply) == -1)
		return -1;
	call->watch = mem_grow(call->watch, call->watches + 1,
	    sizeof(*call->watch));
	call->watch[call->watches++] = msg_string(ask.prefix);
	return 1;
}

/* What a call before this one watched may still be on its way. */
static bool
wait_is_ours(const struct brood_call *call, const struct msg_EVENT *event)
{
	for (size_t i = 0; i < call->watches; i++) {
		size_t len = strlen(call->watch[i]);

		if (event->key.len >= len &&
		    memcmp(event->key.p, call->watch[i], len) == 0)
			return true;
	}
	return false;
}

static void
wait_show(struct brood_call *call, const struct msg_EVENT *from,
    struct brood_event *to)
{
	*to = (struct brood_event){ .gap = call->gap };
	call->gap = false;
	to->key = call_remember(&call->event, from->key);
	switch ((enum data_event)from->what) {
	case DATA_NOTIFIED:
		to->what = BROOD_NOTIFIED;
		break;
	case DATA_WAS_SET:
		to->what = BROOD_SET;
		break;
	case DATA_WAS_DELETED:
		to->what = BROOD_DELETED;
		return;
	case DATA_HAS_EXPIRED:
		to->what = BROOD_EXPIRED;
		return;
	}
	call_value(&call->event, &to->value, from->kind, from->value,
	    from->version, -1);
}

/* 1 with an event; else 0. Without a watch there is nothing to hear. */
static int
wait_once(struct brood_call *call, int64_t until_ns, union msg *msg)
{
	struct pollfd stop = { .fd = -1, .events = POLLIN };
	int64_t left;

	if (call_in_background(call))
		stop.fd = call->child->spec.chan_fd;
	if (call->watches > 0)
		return hub_wait_event(call->child->hub, until_ns, stop.fd,
			   msg) == 1;
	left = until_ns - clock_now_ns();
	if (left > 0)
		poll(&stop, 1, (int)(left / NS_PER_MS) + 1);
	return 0;
}

enum brood_wake
brood_wait(struct brood_call *call, double seconds, struct brood_event *event)
{
	int64_t now = clock_now_ns(), until = CLOCK_NEVER, slice;
	union msg msg;

	call_forget(&call->event);
	if (call_in_background(call))
		call_forget(&call->notes);
	if (seconds >= 0 &&
	    __builtin_add_overflow(now, clock_from_seconds(seconds), &until))
		until = CLOCK_NEVER;
	for (;;) {
		if (brood_cancelled(call))
			return BROOD_WAKE_STOP;
		now = clock_now_ns();
		call->slot->heartbeat_ns = now;
		slice = now +
		    (call_in_background(call) ? SLICE_BACKGROUND_NS : SLICE_NS);
		if (slice > until)
			slice = until;
		if (slice > call->deadline_ns)
			slice = call->deadline_ns;
		if (wait_once(call, slice, &msg) == 1 &&
		    wait_is_ours(call, &msg.EVENT)) {
			call->gap |= hub_client_gap(call->child->hub);
			if (event != NULL)
				wait_show(call, &msg.EVENT, event);
			return BROOD_WAKE_EVENT;
		}
		if (clock_now_ns() >= until && !brood_cancelled(call))
			return BROOD_WAKE_TIME;
	}
}

void
call_end_wait(struct brood_call *call)
{
	for (size_t i = 0; i < call->watches; i++) {
		const struct msg_WATCH ask = { .prefix = msg_text(
						   call->watch[i]) };

		hub_send(call->child->hub, MSG_WATCH, &ask,
		    clock_now_ns() + 60 * NS_PER_S, NULL, NULL);
		free(call->watch[i]);
	}
	if (call->watches > 0)
		hub_client_gap(call->child->hub);
	free(call->watch);
	call_forget(&call->event);
}
