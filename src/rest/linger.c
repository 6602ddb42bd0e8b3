/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * linger - sees connections off.
 *
 * Called by front, for those that it answers itself and for those that the HTTP
 * library has closed. Bounded in every way: how long, how much, how many;
 * beyond that a client is cut off, whatever it misses.
 */
#include "rest/linger.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "rest/conn.h"

#define LINGER_NS (3 * NS_PER_S)
#define LINGER_BYTES ((size_t)16 << 20)
#define LINGER_MAX 256
#define LINGER_STEP ((size_t)65536)

struct lingerers {
	struct deadline_list list;
	unsigned count;
	char bytes[LINGER_STEP];
};

static void
linger_end(struct conn *conn)
{
	conn->rest->linger->count--;
	conn_free(conn);
}

static void
linger_expired(struct deadline *deadline, int64_t now_ns)
{
	(void)now_ns;
	linger_end(conn_of(deadline));
}

static void
linger_readable(void *ctx, unsigned events)
{
	struct conn *conn = ctx;
	struct lingerers *linger = conn->rest->linger;
	ssize_t n = recv(conn->fd, linger->bytes, sizeof(linger->bytes),
	    MSG_DONTWAIT);

	(void)events;
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		conn->lingered += (size_t)n;
	if (n <= 0 || conn->lingered > LINGER_BYTES)
		linger_end(conn);
}

int
linger_add(struct conn *conn)
{
	struct rest *rest = conn->rest;
	struct lingerers *linger = rest->linger;

	deadline_del(&conn->deadline);
	loop_io_del(rest->loop, &conn->io);
	shutdown(conn->fd, SHUT_WR);
	if (linger->count >= LINGER_MAX)
		linger_end(conn_of(deadline_first(&linger->list)));
	if (loop_io_add(rest->loop, &conn->io, conn->fd, LOOP_READ,
		linger_readable, conn) == -1)
		return -1;
	conn->phase = CONN_LINGER;
	linger->count++;
	deadline_add(&linger->list, &conn->deadline, clock_now_ns());
	return 0;
}

bool
linger_done(const struct rest *rest)
{
	return rest->linger->count == 0;
}

void
linger_start(struct rest *rest)
{
	rest->linger = mem_alloc(sizeof(*rest->linger));
	deadline_list_init(&rest->linger->list, rest->loop, LINGER_NS,
	    linger_expired);
}

void
linger_stop(struct rest *rest)
{
	struct deadline *deadline;

	if (rest->linger == NULL)
		return;
	while ((deadline = deadline_first(&rest->linger->list)) != NULL)
		linger_end(conn_of(deadline));
	deadline_list_release(&rest->linger->list);
	free(rest->linger);
	rest->linger = NULL;
}
