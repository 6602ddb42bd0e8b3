/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn - questions to the kernel about a socket that the HTTP library reads,
 * and the one answer that is sent past that library.
 *
 * Asked where something has gone wrong or taken too long, never on the way of a
 * request that is fine: each costs a system call.
 */
#include "rest/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fd.h"
#include "rest/exchange.h"

/* What the kernel's milliseconds may be off by. */
#define CONN_CLOCK_NS (10 * NS_PER_MS)

struct conn *
conn_of(struct deadline *deadline)
{
	return (struct conn *)(void *)((char *)deadline -
	    offsetof(struct conn, deadline));
}

struct conn *
conn_of_waiting(struct waiting *waiting)
{
	return (struct conn *)(void *)((char *)waiting -
	    offsetof(struct conn, waiting));
}

void
conn_free(struct conn *conn)
{
	struct rest *rest = conn->rest;

	deadline_del(&conn->deadline);
	loop_io_del(rest->loop, &conn->io);
	fd_close(&conn->fd);
	free(conn);
	rest_settle(rest);
}

bool
conn_has_unread(const struct conn *conn)
{
	int n = 0;

	return ioctl(conn->fd, FIONREAD, &n) == 0 && n > 0;
}

bool
conn_has_ended(const struct conn *conn)
{
	char byte;

	return recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

bool
conn_was_garbage(const struct conn *conn)
{
	ssize_t n;
	char byte;

	if (conn->tls || conn->last || conn->phase != CONN_IDLE)
		return false;
	n = recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return n > 0 || (n == -1 && errno == EAGAIN);
}

bool
conn_has_begun(const struct conn *conn, int64_t now_ns)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);
	int64_t at_ns;

	if (!conn->tcp ||
	    getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == -1)
		return false;
	at_ns = now_ns - (int64_t)info.tcpi_last_data_recv * NS_PER_MS;
	return at_ns > conn->deadline.since_ns + CONN_CLOCK_NS;
}

void
conn_say(struct conn *conn)
{
	size_t len;
	char *answer = exchange_answer(conn, &len);
	ssize_t n = send(conn->fd, answer, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	(void)n; /* a client that takes no more has left */
	free(answer);
	/* the HTTP library, which takes it over elsewhere, never saw it */
	free(conn->ex.reply.body);
	exchange_replied(conn);
	conn->last = conn->linger = true;
	conn->phase = CONN_DEAD;
}
