/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hub_line - what is inside of a hub_client; for core/hub_client.c and
 * core/hub_line.c only.
 *
 * hub_line.c keeps the connection up: connecting, hello, sending again what is
 * unanswered, reading, and what to do when it is lost. hub_client.c is who asks
 * and who gets the answers.
 */
#ifndef CORE_HUB_LINE_H
#define CORE_HUB_LINE_H

#include "base/backoff.h"
#include "base/buf.h"
#include "core/hub_client.h"
#include "core/wire.h"

#define HUB_BUCKETS 256
/* An empty buffer larger than this is given back. */
#define HUB_KEEP 262144

/* One of hub_send() that is not answered yet. */
struct hub_request {
	struct hub_request *prev, *next;	/* as they were sent */
	struct hub_request *same;		/* of one bucket */
	struct hub_client *client;
	uint32_t handle;
	bool answered;			/* the answer is in `kept` */
	bool repeat;			/* its timer sends it again */
	hub_reply_fn *fn;
	void *ctx;
	struct loop_timer timer;
	size_t len;
	char frame[];
};

/* What hub_ask() needs comes first: with many processes on a processor each
 * line of memory that it touches is one to be fetched again. */
struct hub_client {
	struct wire wire;		/* fd -1: no connection */
	struct loop *loop;
	uint32_t last_handle;
	uint32_t hello;			/* the handle of it; 0: welcome */
	/* what hub_ask() waits for the answer to; 0 when nobody asks */
	uint32_t asking;
	enum msg_id ask_id;
	const void *ask;
	/* the frame that a callback looks at is in wire.in; once that is
	 * needed for something else, in `held` */
	bool dispatching, holding, batching;
	bool entrusted;			/* wire.out is child_guard's */
	bool stay;
	bool gap;			/* see hub_client_gap() */
	uint64_t session, seq;
	struct loop_io io;
	struct hub_client_options options;

	struct backoff backoff;
	int64_t since_ns, again_ns;	/* connected at; try again at */
	unsigned losses;
	struct loop_timer again, deliver;

	struct hub_request *requests;	/* utlist.h, in their order */
	size_t pending;
	struct buf scratch;		/* a frame on its way to a request */
	int64_t repeat_ns;		/* see hub_repeat() */

	/* frames that came for others while somebody waited */
	struct buf kept, events;
	size_t events_taken;
	struct buf held;

	char **watch;			/* prefixes, set up again */
	size_t watches;
	struct hub_request *bucket[HUB_BUCKETS];
};

/* True when there is a connection; tries to make one when it is time. */
bool line_up(struct hub_client *client);

/* Queues a frame; without a connection nothing. */
void line_write(struct hub_client *client, const struct buf *frame);
/* The same, of a message; -1: there is no memory for it. */
int line_send(struct hub_client *client, enum msg_id id, uint32_t request,
    const void *msg);
void line_flush(struct hub_client *client);

/* 1 with a frame that is not about the connection; 0: none is here. */
int line_next(struct hub_client *client, struct msg_head *head,
    union msg *msg);
/* Puts the last of line_next() away for later. */
void line_keep(struct hub_client *client, const struct msg_head *head);

/* From the loop: reads what is there. */
void line_read(struct hub_client *client);
/* Sleeps until something was read, the time has come (until_ns, or one to try
 * to connect again), a signal was handled or stop_fd is readable. */
enum line_woke { LINE_READ, LINE_TIME, LINE_SIGNAL, LINE_STOP };
enum line_woke line_wait(struct hub_client *client, int64_t until_ns,
    int stop_fd);
/* After that: what was read but not looked at is for the loop. */
void line_left_over(struct hub_client *client);

/* Closes; the rest follows from what is still wanted. */
void line_close(struct hub_client *client);

struct hub_request *hub_request_find(struct hub_client *client,
    uint32_t handle);
uint32_t hub_new_handle(struct hub_client *client);
/* The loop's: everything that is here goes to whom it is for. */
void hub_deliver(struct hub_client *client);

#endif
