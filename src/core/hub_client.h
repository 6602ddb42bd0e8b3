/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hub_client - a child's line to the hub.
 *
 * Connects on first use, and again when the hub was replaced: the listening
 * socket is the master's, so a connection waits in its backlog meanwhile. After
 * a reconnection every request that is still unanswered is sent again, in its
 * order; the hub knows what it has done (session and seq, uid). So to a caller
 * a dead hub is a delay, and only a deadline ends it.
 *
 * Two ways to ask: hub_send() with a callback that runs from the child's loop,
 * and hub_ask(), which waits, for a handler. What comes for others while
 * hub_ask() waits is kept and delivered from the loop.
 */
#ifndef CORE_HUB_CLIENT_H
#define CORE_HUB_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "core/msg.h"

struct hub_client;

struct hub_client_options {
	const char *path;		/* the socket; borrowed */
	unsigned slot, generation;
	bool worker;
	size_t max_frame;
	/* NULL, or what gets RUN and EVENT; from the loop only. `msg` is valid
	 * until it returns */
	void (*on_note)(void *ctx, enum msg_id id, const union msg *msg);
	void *ctx;
};

/* Never fails: connecting comes later. `loop` may be NULL (a test, a bench). */
struct hub_client *hub_client_new(struct loop *loop,
    const struct hub_client_options *options);
/* Answers are not waited for any more; their callbacks do not run. */
void hub_client_free(struct hub_client *client);

/* Connects now, and stays connected: for a worker. */
void hub_client_stay(struct hub_client *client);

/*
 * `msg` NULL: no answer by the deadline (HUB_TIMEOUT) or the hub cannot be
 * reached (HUB_GONE); else a reply, MSG_FAIL included, valid until it returns.
 */
typedef void hub_reply_fn(void *ctx, enum msg_id id, const union msg *msg,
    enum hub_code code);

/* Queues a request; the answer comes from the loop. The msg is encoded here.
 * Returns a handle for hub_forget(), 0 when it is too large for a frame. */
uint32_t hub_send(struct hub_client *client, enum msg_id id, const void *msg,
    int64_t deadline_ns, hub_reply_fn *fn, void *ctx);
/* In the callback of a request without a deadline: it is sent again at that
 * moment, under the same handle, and this was not the answer. */
void hub_repeat(struct hub_client *client, int64_t at_ns);
/* What is sent from here on is written when it is over, all at once. */
void hub_cork(struct hub_client *client, bool on);
/* Before a handler that may not come back, or late: what a cork has kept leaves
 * in that case all the same. See child_guard_entrust(). */
void hub_entrust(struct hub_client *client);
/* The answer is of no interest any more; harmless once it came. */
void hub_forget(struct hub_client *client, uint32_t handle);

/*
 * Sends and waits. The reply's id with *reply filled in, valid until the next
 * call with this client; MSG_FAIL comes as such. MSG_NONE with *code
 * (HUB_TIMEOUT, HUB_GONE, HUB_TOO_LARGE) when there is no reply.
 */
enum msg_id hub_ask(struct hub_client *client, enum msg_id id, const void *msg,
    int64_t deadline_ns, union msg *reply, enum hub_code *code);

/* A note; lost when the hub is. */
void hub_note(struct hub_client *client, enum msg_id id, const void *msg);

/* The number of the next changing request of this session (SET, INCR…). */
uint64_t hub_next_seq(struct hub_client *client);

/* How often the connection was lost. */
unsigned hub_losses(const struct hub_client *client);

/* All that was said has left for the hub, or there is none. */
bool hub_is_flushed(const struct hub_client *client);

/* Requests not answered yet. */
size_t hub_pending(const struct hub_client *client);

/* An EVENT that came while nobody was in the loop: waits for one until the
 * deadline, or until `stop_fd` (-1: none) is readable. 1 with *msg, valid until
 * the next call; 0 at the deadline or when a signal was handled; 2 for stop_fd.
 * For brood_wait(). What a WATCH asked for is asked for again by itself after a
 * reconnection; hub_client_gap() then says once that events may be missing. */
int hub_wait_event(struct hub_client *client, int64_t deadline_ns, int stop_fd,
    union msg *msg);
bool hub_client_gap(struct hub_client *client);

#endif
