/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hub_line - the connection below a hub_client.
 *
 *   none ─ line_up() ─> connected, HELLO and all that is unanswered on its way
 *    ^                        │ end, error, garbage, refused
 *    └──── line_lost() <──────┘ again after a short, jittered, growing delay
 *
 * A connect(2) to the hub's socket succeeds at once while the master lives:
 * the connection waits in the backlog for the next hub. Requests follow the
 * HELLO without waiting for the WELCOME. Called by hub_client.c only; never
 * runs a callback of the client's user.
 */
#include "core/hub_line.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/child.h"
#include "core/uid.h"

/* A connection that lived longer was a good one. */
#define LINE_GOOD_NS NS_PER_S

static void line_on_io(void *ctx, unsigned events);

static bool
line_needed(const struct hub_client *client)
{
	return client->stay || client->asking != 0 || client->watches > 0 ||
	    client->pending > 0;
}

static void
line_arm(struct hub_client *client)
{
	if (client->loop != NULL && line_needed(client))
		loop_timer_set(client->loop, &client->again, client->again_ns);
}

static void
line_again(struct hub_client *client)
{
	client->again_ns = clock_now_ns() +
	    backoff_next(&client->backoff, (uint32_t)uid_token());
	line_arm(client);
}

/* A callback may be looking at a frame in wire.in: from here on in `held`. */
static void
line_hold(struct hub_client *client)
{
	struct wire *wire = &client->wire;
	struct buf in = wire->in;

	if (!client->dispatching || client->holding)
		return;
	client->holding = true;
	wire->in = client->held;
	wire->in.max = in.max;
	client->held = in;
	if (buf_append(&wire->in, in.data + wire->taken,
		in.len - wire->taken) == -1)
		abort(); /* no memory for what was in memory */
	wire->taken = 0;
}

/* Work that was not begun is the next hub's to give away. */
static void
line_drop_runs(struct hub_client *client)
{
	struct buf old = client->kept;
	struct msg_head head;
	size_t at, len;

	buf_init(&client->kept, old.max);
	for (at = 0; at < old.len; at += len) {
		memcpy(&head, old.data + at, MSG_HEAD);
		len = MSG_HEAD + head.len;
		if (head.id != MSG_RUN &&
		    buf_append(&client->kept, old.data + at, len) == -1)
			abort();
	}
	buf_release(&old);
}

unsigned
hub_losses(const struct hub_client *client)
{
	return client->losses;
}

/* What was sent meanwhile, by a signal handler, is sent. */
static void
line_reclaim(struct hub_client *client)
{
	if (!client->entrusted)
		return;
	client->entrusted = false;
	client->wire.sent += child_guard_reclaim();
}

void
hub_entrust(struct hub_client *client)
{
	struct wire *wire = &client->wire;

	line_reclaim(client);
	if (wire->fd == -1 || wire->sent == wire->out.len)
		return;
	client->entrusted = true;
	child_guard_entrust(wire->fd, wire->out.data + wire->sent,
	    wire->out.len - wire->sent);
}

void
line_close(struct hub_client *client)
{
	line_reclaim(client);
	if (client->wire.fd == -1)
		return;
	line_hold(client);
	if (client->loop != NULL)
		loop_io_del(client->loop, &client->io);
	wire_release(&client->wire);
	client->losses++;
	client->gap |= client->watches > 0;
	line_drop_runs(client);
}

static void line_lost(struct hub_client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
line_lost(struct hub_client *client, const char *format, ...)
{
	char reason[WHY_SIZE];
	va_list ap;

	va_start(ap, format);
	vsnprintf(reason, sizeof(reason), format, ap);
	va_end(ap);
	log_debug("lost the hub: %s", reason);
	line_close(client);
	if (clock_now_ns() - client->since_ns > LINE_GOOD_NS)
		backoff_reset(&client->backoff);
	line_again(client);
}

static int
line_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	mem_copy_string(address.sun_path, sizeof(address.sun_path), path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd != -1 &&
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) == -1)
		fd_close(&fd);
	return fd;
}

static void
line_greet(struct hub_client *client)
{
	const struct hub_client_options *options = &client->options;
	const struct msg_HELLO hello = {
		.protocol = msg_protocol(),
		.slot = options->slot,
		.generation = options->generation,
		.session = client->session,
		.worker = options->worker,
	};

	client->hello = hub_new_handle(client);
	wire_send(&client->wire, MSG_HELLO, client->hello, &hello);
}

/* What the last hub knew of us, or had not answered. */
static void
line_repeat(struct hub_client *client)
{
	struct buf *out = &client->wire.out;
	struct hub_request *request;

	for (size_t i = 0; i < client->watches; i++)
		wire_send(&client->wire, MSG_WATCH, hub_new_handle(client),
		    &(struct msg_WATCH){ .prefix = msg_text(client->watch[i]),
			.on = 1 });
	DL_FOREACH(client->requests, request)
	if (!request->answered && !request->repeat)
		buf_append(out, request->frame, request->len);
	if (client->asking != 0)
		wire_send(&client->wire, client->ask_id, client->asking,
		    client->ask);
}

bool
line_up(struct hub_client *client)
{
	int fd;

	if (client->wire.fd != -1)
		return true;
	if (client->again_ns > 0 && clock_now_ns() < client->again_ns) {
		line_arm(client);
		return false;
	}
	fd = line_connect(client->options.path);
	if (fd == -1) {
		log_debug("cannot connect to the hub at %s: %s",
		    client->options.path, strerror(errno));
		line_again(client);
		return false;
	}
	wire_release(&client->wire);
	wire_init(&client->wire, fd, MSG_FROM_HUB, client->options.max_frame,
	    SIZE_MAX / 2);
	client->since_ns = clock_now_ns();
	if (client->loop != NULL &&
	    loop_io_add(client->loop, &client->io, fd, LOOP_READ, line_on_io,
		client) == -1) {
		log_error("cannot watch the hub: %s", strerror(errno));
		line_close(client);
		line_again(client);
		return false;
	}
	line_greet(client);
	line_repeat(client);
	line_flush(client);
	return client->wire.fd != -1;
}

void
line_write(struct hub_client *client, const struct buf *frame)
{
	line_reclaim(client);
	if (client->wire.fd != -1 &&
	    buf_append(&client->wire.out, frame->data, frame->len) == -1)
		line_lost(client, "no memory for %zu bytes", frame->len);
}

int
line_send(struct hub_client *client, enum msg_id id, uint32_t request,
    const void *msg)
{
	line_reclaim(client);
	return client->wire.fd != -1 ?
	    wire_send(&client->wire, id, request, msg) :
	    0;
}

void
line_flush(struct hub_client *client)
{
	unsigned want = LOOP_READ;

	line_reclaim(client);
	if (client->wire.fd == -1)
		return;
	switch (wire_flush(&client->wire)) {
	case -1:
		line_lost(client, "%s", strerror(errno));
		return;
	case 0:
		want |= LOOP_WRITE;
		break;
	}
	if (client->loop != NULL && client->io.want != want)
		loop_io_want(client->loop, &client->io, want);
}

bool
hub_is_flushed(const struct hub_client *client)
{
	return client->wire.fd == -1 ||
	    client->wire.sent == client->wire.out.len;
}

void
hub_cork(struct hub_client *client, bool on)
{
	client->batching = on;
	if (!on)
		line_flush(client);
}

/* WELCOME, or what there is instead. */
static void
line_on_hello(struct hub_client *client, const struct msg_head *head,
    const union msg *msg)
{
	if (head->id == MSG_WELCOME) {
		client->hello = 0;
		return;
	}
	if (head->id == MSG_FAIL)
		log_warning("the hub refuses this process: %.*s",
		    (int)msg->FAIL.why.len, msg->FAIL.why.p);
	line_lost(client, "it said %s to the hello", msg_name(head->id));
}

int
line_next(struct hub_client *client, struct msg_head *head, union msg *msg)
{
	struct why why;

	while (client->wire.fd != -1) {
		switch (wire_next(&client->wire, head, msg, &why)) {
		case 1:
			break;
		case 0:
			return 0;
		default:
			log_error("the hub sends garbage: %s", why.text);
			line_lost(client, "garbage");
			return 0;
		}
		if (client->hello == 0 || head->request != client->hello)
			return 1;
		line_on_hello(client, head, msg);
	}
	return 0;
}

static void
line_deliver_soon(struct hub_client *client)
{
	if (client->loop != NULL && !loop_timer_is_set(&client->deliver))
		loop_timer_set(client->loop, &client->deliver,
		    loop_now(client->loop));
}

void
line_keep(struct hub_client *client, const struct msg_head *head)
{
	const struct wire *wire = &client->wire;
	size_t len = MSG_HEAD + head->len;
	const char *frame = wire->in.data + wire->taken - len;
	struct hub_request *request;

	if (head->id == MSG_EVENT) {
		if (buf_append(&client->events, frame, len) == -1)
			client->gap = true;
	} else if (buf_append(&client->kept, frame, len) == -1) {
		line_lost(client, "no memory for %zu bytes", len);
	} else if (head->request != 0) {
		request = hub_request_find(client, head->request);
		if (request != NULL)
			request->answered = true;
	}
	line_deliver_soon(client);
}

void
line_left_over(struct hub_client *client)
{
	if (client->wire.taken < client->wire.in.len)
		line_deliver_soon(client);
}

void
line_read(struct hub_client *client)
{
	if (client->wire.fd == -1)
		return;
	line_hold(client);
	switch (wire_read(&client->wire)) {
	case 0:
		line_lost(client, "it closed the connection");
		break;
	case -1:
		if (errno != EAGAIN && errno != ENOBUFS)
			line_lost(client, "%s", strerror(errno));
		break;
	}
}

static void
line_on_io(void *ctx, unsigned events)
{
	struct hub_client *client = ctx;

	if (events & LOOP_WRITE)
		line_flush(client);
	if (events & LOOP_READ)
		line_read(client);
	hub_deliver(client);
}

/* For poll(2): rounded up, so that nobody wakes up just before the time. */
static int
line_timeout_ms(int64_t until_ns)
{
	int64_t left;

	if (until_ns == CLOCK_NEVER)
		return -1;
	left = until_ns - clock_now_ns();
	if (left <= 0)
		return 0;
	left = left / NS_PER_MS + 1;
	return left < INT_MAX ? (int)left : INT_MAX;
}

enum line_woke
line_wait(struct hub_client *client, int64_t until_ns, int stop_fd)
{
	struct pollfd fds[2] = { { .fd = -1, .events = POLLIN },
		{ .fd = stop_fd, .events = POLLIN } };

	if (client->wire.fd == -1)
		line_up(client);
	else
		line_flush(client);
	if (client->wire.fd == -1 && client->again_ns < until_ns)
		until_ns = client->again_ns;
	fds[0].fd = client->wire.fd;
	if (client->wire.out.len > 0)
		fds[0].events |= POLLOUT;
	switch (poll(fds, stop_fd != -1 ? 2 : 1, line_timeout_ms(until_ns))) {
	case 0:
		return LINE_TIME;
	case -1:
		return LINE_SIGNAL;
	}
	if (fds[1].revents != 0)
		return LINE_STOP;
	if (fds[0].revents & POLLOUT)
		line_flush(client);
	if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
		line_read(client);
	return LINE_READ;
}
