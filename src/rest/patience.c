/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * patience - the time limits of requests and answers.
 *
 * The limits on receiving are absolute: a byte a second does not help. They are
 * kept by time of our own loop, while this worker may have been in a handler
 * when the bytes came; so a request whose bytes lie unread gets a moment more.
 *
 * The first byte of a later request on a connection is not seen by us, but by
 * the library, which tells when a request line is whole. A part of one is
 * noticed when the connection seems to have been idle for long enough, and gets
 * the time of a request from there.
 *
 * A connection is closed by shutting its socket down, one way or both; the
 * library sees the end and does the rest.
 *
 * It does not see every end: its epoll set tells of a change once, and when the
 * last bytes and the end have come together, it reads the bytes and waits for
 * more. So those who have not sent a whole request after a moment are asked now
 * and then whether they have hung up.
 */
#include "rest/patience.h"

#include <sys/socket.h>

#include "base/clock.h"
#include "core/conf.h"
#include "rest/conn.h"
#include "rest/engine.h"
#include "rest/exchange.h"
#include "rest/front.h"
#include "rest/http.h"

#define OVERTIME_NS NS_PER_S
/* How often those who are sending a request are asked whether they still do. */
#define LOOK_NS (250 * NS_PER_MS)
/* An answer that takes longer than this has a slow client. */
#define SLOW_NS (250 * NS_PER_MS)
#define DEAD_NS (2 * NS_PER_S)
/*
 * While draining, how long a connection may be silent before it is closed. A
 * client that is busy sends its next request well within it, is answered with
 * "Connection: close" and comes back elsewhere; for the others nobody can tell
 * when their next would have come, and it is theirs to try again (RFC 9112,
 * 9.5).
 */
#define GRACE_NS NS_PER_S
/* More idle connections than this are not asked whose a bad request may be. */
#define SUSPECTS_MAX 32

static void
dead_expired(struct deadline *deadline, int64_t now_ns)
{
	struct conn *conn = conn_of(deadline);

	(void)now_ns;
	shutdown(conn->fd, SHUT_RDWR);
	/* Where the library is stuck it does not look at the socket. */
	engine_timeout(conn, 1);
}

void
patience_refuse(struct conn *conn, int status, const char *detail)
{
	if (conn->tls) {
		conn->phase = CONN_DEAD;
		dead_expired(&conn->deadline, 0);
		return;
	}
	if (conn->open) {
		exchange_problem(conn, status, detail);
		conn_say(conn);
	} else {
		front_say(conn, status, detail, false);
		conn->last = conn->linger = true;
		conn->phase = CONN_DEAD;
	}
	/* Now no word of the library's can follow. */
	shutdown(conn->fd, SHUT_WR);
	deadline_add(&http_patience(conn->rest)->dead, &conn->deadline,
	    clock_now_ns());
}

static void
overtime_expired(struct deadline *deadline, int64_t now_ns)
{
	(void)now_ns;
	patience_refuse(conn_of(deadline), 408,
	    "the request has not come whole in time");
}

static void
receiving_expired(struct deadline *deadline, int64_t now_ns)
{
	struct conn *conn = conn_of(deadline);

	if (conn_has_unread(conn))
		deadline_add(&http_patience(conn->rest)->overtime, deadline,
		    now_ns);
	else
		overtime_expired(deadline, now_ns);
}

static void
patience_look(void *ctx)
{
	struct patience *patience = ctx;
	const struct deadline_list *list = &patience->receiving;
	struct deadline *d;
	int64_t now_ns = clock_now_ns();

	for (d = list->ends.next; d != &list->ends; d = d->next) {
		const struct conn *conn = conn_of(d);

		if (d->since_ns > now_ns - LOOK_NS)
			break;
		/* the end once more, by itself */
		if (conn_has_ended(conn))
			shutdown(conn->fd, SHUT_RD);
	}
	if (deadline_first(list) != NULL)
		loop_timer_set(list->loop, &patience->look, now_ns + LOOK_NS);
}

void
patience_receive(struct conn *conn, int64_t since_ns)
{
	struct patience *patience = http_patience(conn->rest);

	deadline_add(&patience->receiving, &conn->deadline, since_ns);
	if (!loop_timer_is_set(&patience->look))
		loop_timer_set(conn->rest->loop, &patience->look,
		    since_ns + LOOK_NS);
}

static void
idle_expired(struct deadline *deadline, int64_t now_ns)
{
	struct conn *conn = conn_of(deadline);
	struct patience *patience = http_patience(conn->rest);

	if (conn_has_unread(conn)) {
		deadline_add(&patience->idle, deadline, now_ns);
		return;
	}
	if (conn_has_begun(conn, now_ns)) {
		patience_receive(conn, now_ns);
		return;
	}
	/* What comes in this very moment is still read and answered. */
	conn->last = true;
	shutdown(conn->fd, SHUT_RD);
}

static void
sending_expired(struct deadline *deadline, int64_t now_ns)
{
	struct conn *conn = conn_of(deadline);

	(void)now_ns;
	conn->slow = true;
	engine_timeout(conn,
	    (unsigned)problem_seconds(conn->rest->conf->rest.send_timeout));
}

void
patience_init(struct patience *patience, struct rest *rest)
{
	const struct conf_rest *conf = &rest->conf->rest;

	deadline_list_init(&patience->receiving, rest->loop,
	    conf->receive_timeout, receiving_expired);
	deadline_list_init(&patience->overtime, rest->loop, OVERTIME_NS,
	    overtime_expired);
	deadline_list_init(&patience->idle, rest->loop, conf->idle_timeout,
	    idle_expired);
	deadline_list_init(&patience->sending, rest->loop, SLOW_NS,
	    sending_expired);
	deadline_list_init(&patience->dead, rest->loop, DEAD_NS, dead_expired);
	loop_timer_init(&patience->look, patience_look, patience);
}

void
patience_release(struct rest *rest, struct patience *patience)
{
	loop_timer_cancel(rest->loop, &patience->look);
	deadline_list_release(&patience->receiving);
	deadline_list_release(&patience->overtime);
	deadline_list_release(&patience->idle);
	deadline_list_release(&patience->sending);
	deadline_list_release(&patience->dead);
}

void
patience_drain(struct patience *patience)
{
	if (patience->idle.timeout_ns > GRACE_NS)
		deadline_list_timeout(&patience->idle, GRACE_NS);
}

/* ---- whose is it? */

/* Can the request on this connection be what the library gives this status? */
static bool
is_suspect(const struct conn *conn, int status)
{
	switch (status) {
	case 414:
	case 505:
		return conn->phase == CONN_IDLE;
	case 413:
		return conn->phase == CONN_HEAD || conn->phase == CONN_BODY;
	case 431:
		return conn->phase != CONN_IDLE;
	default:
		return true;
	}
}

struct conn *
patience_suspect(const struct patience *patience, int status, int64_t now_ns)
{
	const struct deadline_list *const begun[] = {
		&patience->receiving,
		&patience->overtime,
	};
	struct conn *conn, *found = NULL;
	struct deadline *d;
	int asked = 0;

	for (int i = 0; i < 2; i++) {
		for (d = begun[i]->ends.next; d != &begun[i]->ends;
		     d = d->next) {
			conn = conn_of(d);
			if (conn->tls || !is_suspect(conn, status))
				continue;
			if (found != NULL)
				return NULL;
			found = conn;
		}
	}
	for (d = patience->idle.ends.prev; d != &patience->idle.ends;
	     d = d->prev) {
		conn = conn_of(d);
		if (conn->tls || !is_suspect(conn, status))
			continue;
		if (++asked > SUSPECTS_MAX)
			return NULL;
		if (conn->tcp && !conn_has_begun(conn, now_ns))
			continue;
		/* What is not too long was read to its end. */
		if (status != 414 && conn_has_unread(conn))
			continue;
		if (found != NULL)
			return NULL;
		found = conn;
	}
	return found;
}
