/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * front - the door of a worker, both ways.
 *
 * The first bytes of a connection are looked at before the HTTP library reads
 * them (MSG_PEEK), because that library answers what it cannot parse with a
 * page of its own, or not at all. Under load they are there when we accept, and
 * it costs one system call; else the socket waits here, where it takes no
 * buffer. A connection that never says anything never gets any further.
 *
 * Out of room, a worker leaves its listeners alone: others take what comes.
 * Only when all are out of room and the pool cannot grow is somebody better
 * told 503 than left waiting; nobody rings for that, so a full worker looks now
 * and then.
 */
#include "rest/front.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/child.h"
#include "core/conf.h"
#include "rest/access.h"
#include "rest/conn.h"
#include "rest/http.h"
#include "rest/linger.h"

/* How often a full worker looks whether it should refuse. */
#define FRONT_LOOK_NS (100 * NS_PER_MS)
/* How long to leave the listeners alone when there are no descriptors. */
#define FRONT_PAUSE_NS (250 * NS_PER_MS)
/* How long a connection that will be refused may take to ask. */
#define FRONT_REFUSE_NS NS_PER_S
#define FRONT_REFUSALS 64
/* While draining: how long one may be silent before it is closed. */
#define FRONT_GRACE_NS NS_PER_S
/* How long to leave what comes to those with fewer connections. */
#define FRONT_TURN_NS (500 * NS_PER_US)
#define TLS_HANDSHAKE 0x16 /* the first byte of a TLS connection */

struct port {
	struct loop_io io;
	struct rest *rest;
	const struct listener *listener;
};

struct front {
	struct port *port;
	size_t ports;
	struct deadline_list fresh, refused;
	unsigned connections; /* fresh, and with the HTTP library */
	unsigned refusals;
	bool open; /* the ports are watched */
	bool full;
	bool out_of_fds;	/* has been said */
	bool took;		/* a connection since the last wait */
	struct loop_timer look; /* while full or paused */
	struct loop_timer turn; /* until it is ours again */
	char *bytes;		/* what was peeked at */
	size_t size;
};

/* ---- room */

static void
front_watch(struct rest *rest, bool open)
{
	struct front *front = rest->front;

	if (front->open == open)
		return;
	front->open = open;
	for (size_t i = 0; i < front->ports; i++)
		if (loop_io_want(rest->loop, &front->port[i].io,
			open ? LOOP_READ | LOOP_EXCLUSIVE : 0) == -1)
			child_fail(rest->child, EXIT_FAILURE,
			    "cannot watch %s: %s",
			    front->port[i].listener->text, strerror(errno));
}

static bool
front_may_refuse(const struct rest *rest)
{
	return rest->front->refusals < FRONT_REFUSALS &&
	    board_saturated(rest->child->board, rest->child->spec.role_id);
}

static void
front_look(void *ctx)
{
	struct rest *rest = ctx;
	struct front *front = rest->front;

	if (rest->draining)
		return;
	front_watch(rest, !front->full || front_may_refuse(rest));
	if (front->full && !front->open)
		loop_timer_set(rest->loop, &front->look,
		    clock_now_ns() + FRONT_LOOK_NS);
}

/*
 * The kernel wakes the one that has watched for longest, and whoever is awake
 * is quicker than those that sleep: left alone, one worker takes all of a
 * burst, and its clients wait for one another while others are idle. So a
 * worker that has taken a connection, and has it still, goes to the end of the
 * queue, and stays out of it for a moment while another spare one has fewer.
 * What comes when nobody else is there to take it waits no longer than that.
 */
void
front_take_turns(struct rest *rest)
{
	struct front *front = rest->front;
	struct child *child = rest->child;

	if (!front->took)
		return;
	front->took = false;
	if (!front->open || front->full || front->connections == 0)
		return;
	front_watch(rest, false);
	if (board_has_lighter(child->board, child->spec.role_id,
		child->spec.slot))
		loop_timer_set(rest->loop, &front->turn,
		    clock_now_ns() + FRONT_TURN_NS);
	else
		front_watch(rest, true);
}

/* A connection came or went. */
static void
front_count(struct rest *rest, int change)
{
	struct front *front = rest->front;
	struct child *child = rest->child;
	bool full;

	front->connections += (unsigned)change;
	atomic_store_explicit(&child->slot->connections, front->connections,
	    memory_order_relaxed);
	full = front->connections >= (unsigned)rest->conf->rest.connections;
	if (full == front->full || rest->draining)
		return;
	front->full = full;
	board_set_full(child->board, child->spec.role_id, child->spec.slot,
	    full);
	child_set_spare(child, !full);
	front_look(rest);
}

bool
front_done(const struct rest *rest)
{
	const struct front *front = rest->front;

	return front->connections == 0 && front->refusals == 0;
}

/* ---- the end of a connection */

/* It leaves the number of those who take up room. */
static void
conn_leave(struct conn *conn)
{
	if (conn->refuse)
		conn->rest->front->refusals--;
	else
		front_count(conn->rest, -1);
}

static void
front_close(struct conn *conn)
{
	conn_leave(conn);
	conn_free(conn);
}

void
front_forget(struct conn *conn)
{
	conn->fd = -1;
	front_close(conn);
}

void
front_linger(struct conn *conn)
{
	/* One more at the end before it is one less here: while draining the
	 * last one must not seem to be gone. */
	if (linger_add(conn) == -1)
		front_close(conn);
	else
		conn_leave(conn);
}

void
front_say(struct conn *conn, int status, const char *detail, bool head)
{
	char id[CALL_ID_SIZE], *answer;
	struct problem problem = {
		.status = status,
		.detail = detail,
		.id = call_make_id(NULL, id),
		.retry_after_ns = conn->rest->conf->rest.retry_after,
	};
	size_t len;
	ssize_t n;

	answer = problem_answer(&problem, head, &len);
	n = send(conn->fd, answer, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)n; /* a client that takes no more has left */
	free(answer);
	access_log_refusal(conn, id, status, detail);
}

/* ---- the first bytes */

static void
front_refuse(struct conn *conn)
{
	front_say(conn, 503, "all workers are busy and no more may be started",
	    false);
	front_linger(conn);
}

static void
front_admit(struct conn *conn, const char *bytes, size_t len)
{
	struct rest *rest = conn->rest;
	struct head head = { .status = 400,
		.detail = "this address speaks TLS: try https://" };

	if (conn->refuse) {
		if (conn->tls)
			front_close(conn);
		else
			front_refuse(conn);
		return;
	}
	if (conn->tls ? bytes[0] == TLS_HANDSHAKE :
			head_scan(&head, bytes, len, &rest->limits)) {
		deadline_del(&conn->deadline);
		loop_io_del(rest->loop, &conn->io);
		if (http_add(conn) == -1)
			front_forget(conn);
		return;
	}
	front_say(conn, head.status, head.detail, head.head_method);
	front_linger(conn);
}

/* False when nothing has come yet. */
static bool
front_peek(struct conn *conn)
{
	struct front *front = conn->rest->front;
	ssize_t n = recv(conn->fd, front->bytes, front->size,
	    MSG_PEEK | MSG_DONTWAIT);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0)
		front_close(conn);
	else
		front_admit(conn, front->bytes, (size_t)n);
	return true;
}

static void
front_readable(void *ctx, unsigned events)
{
	(void)events;
	front_peek(ctx);
}

static void
fresh_expired(struct deadline *deadline, int64_t now_ns)
{
	(void)now_ns;
	if (!front_peek(conn_of(deadline)))
		front_close(conn_of(deadline));
}

static void
refused_expired(struct deadline *deadline, int64_t now_ns)
{
	struct conn *conn = conn_of(deadline);

	(void)now_ns;
	if (conn->tls)
		front_close(conn);
	else
		front_refuse(conn);
}

/* ---- accept */

static void
front_accepted(struct port *port, int fd, const struct sockaddr *addr,
    socklen_t len)
{
	struct rest *rest = port->rest;
	struct front *front = rest->front;
	struct conn *conn = mem_alloc(sizeof(*conn));

	conn->rest = rest;
	conn->io.fd = -1;
	conn->fd = fd;
	conn->tls = port->listener->tls;
	conn->tcp = !port->listener->is_unix;
	conn->refuse = front->full;
	address_format(addr, len, conn->peer);
	if (conn->refuse)
		front->refusals++;
	else
		front_count(rest, 1);
	if (front_peek(conn))
		return;
	if (loop_io_add(rest->loop, &conn->io, fd, LOOP_READ, front_readable,
		conn) == -1) {
		front_close(conn);
		return;
	}
	deadline_add(conn->refuse ? &front->refused : &front->fresh,
	    &conn->deadline, clock_now_ns());
}

/* Errors of the connection that was to be accepted, not ours: accept(2). */
static bool
accept_error_passes(int error)
{
	static const int passing[] = {
		EAGAIN,
		EINTR,
		ECONNABORTED,
		EPROTO,
		EPERM,
		ENETDOWN,
		ENOPROTOOPT,
		EHOSTDOWN,
		ENONET,
		EHOSTUNREACH,
		EOPNOTSUPP,
		ENETUNREACH,
		ETIMEDOUT,
	};

	for (size_t i = 0; i < sizeof(passing) / sizeof(*passing); i++)
		if (passing[i] == error)
			return true;
	return false;
}

static void
front_accept_failed(struct rest *rest, int error)
{
	struct front *front = rest->front;

	if (accept_error_passes(error))
		return;
	if (!front->out_of_fds)
		log_warning("cannot accept connections: %s; trying again "
			    "every %d ms",
		    strerror(error), (int)(FRONT_PAUSE_NS / NS_PER_MS));
	front->out_of_fds = true;
	front_watch(rest, false);
	loop_timer_set(rest->loop, &front->look,
	    clock_now_ns() + FRONT_PAUSE_NS);
}

static void
front_accept(void *ctx, unsigned events)
{
	struct port *port = ctx;
	struct rest *rest = port->rest;
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	int fd;

	(void)events;
	/* Room may have come up elsewhere while we were about to refuse. */
	if (rest->front->full && !front_may_refuse(rest)) {
		front_look(rest);
		return;
	}
	fd = accept4(port->io.fd, (struct sockaddr *)&addr, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1) {
		front_accept_failed(rest, errno);
		return;
	}
	rest->front->out_of_fds = false;
	rest->front->took = true;
	front_accepted(port, fd, (const struct sockaddr *)&addr, len);
}

/* ---- start and stop */

int
front_start(struct rest *rest, struct why *why)
{
	const struct child_spec *spec = &rest->child->spec;
	const struct conf *conf = rest->conf;
	struct front *front = mem_alloc(sizeof(*front));

	rest->front = front;
	front->size = conf->rest.max_uri + conf->rest.max_header + 64;
	front->bytes = mem_alloc(front->size);
	deadline_list_init(&front->fresh, rest->loop, conf->rest.idle_timeout,
	    fresh_expired);
	deadline_list_init(&front->refused, rest->loop, FRONT_REFUSE_NS,
	    refused_expired);
	loop_timer_init(&front->look, front_look, rest);
	loop_timer_init(&front->turn, front_look, rest);
	front->port = mem_array(spec->listeners, sizeof(*front->port));
	front->open = true;
	for (size_t i = 0; i < spec->listeners; i++) {
		struct port *port = &front->port[i];

		port->rest = rest;
		port->listener = &spec->listener[i];
		if (loop_io_add(rest->loop, &port->io, port->listener->fd,
			LOOP_READ | LOOP_EXCLUSIVE, front_accept, port) == -1)
			return why_set(why, "cannot watch %s: %s",
			    port->listener->text, strerror(errno));
		front->ports++;
	}
	return 0;
}

static void
front_remove_ports(struct rest *rest)
{
	struct front *front = rest->front;

	loop_timer_cancel(rest->loop, &front->look);
	loop_timer_cancel(rest->loop, &front->turn);
	for (size_t i = 0; i < front->ports; i++)
		loop_io_del(rest->loop, &front->port[i].io);
	front->ports = 0;
}

void
front_drain(struct rest *rest)
{
	struct front *front = rest->front;

	front_remove_ports(rest);
	if (front->fresh.timeout_ns > FRONT_GRACE_NS)
		deadline_list_timeout(&front->fresh, FRONT_GRACE_NS);
}

void
front_stop(struct rest *rest)
{
	struct front *front = rest->front;
	struct deadline *deadline;

	if (front == NULL)
		return;
	front_remove_ports(rest);
	while ((deadline = deadline_first(&front->fresh)) != NULL ||
	    (deadline = deadline_first(&front->refused)) != NULL)
		front_close(conn_of(deadline));
	deadline_list_release(&front->fresh);
	deadline_list_release(&front->refused);
	free(front->port);
	free(front->bytes);
	free(front);
	rest->front = NULL;
}
