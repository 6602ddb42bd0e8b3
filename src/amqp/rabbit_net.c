/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rabbit_net - finds the host, connects to it, moves bytes.
 *
 * A name is resolved by the C library's helper thread: getaddrinfo() itself
 * takes as long as a dead name server likes. What is still asked for when we
 * have stopped waiting is remembered, for its memory is in use until then.
 */
#include "amqp/rabbit_net.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/conf.h"

#define ABANDONED_MAX 16

bool
net_wait(int fd, bool to_write, int64_t until_ns)
{
	struct pollfd pfd = { fd, to_write ? POLLIN | POLLOUT : POLLIN, 0 };

	for (;;) {
		int64_t left = until_ns - clock_now_ns();
		int n;

		if (left < 0)
			left = 0;
		n = poll(&pfd, 1, (int)((left + NS_PER_MS - 1) / NS_PER_MS));
		if (n > 0)
			return true;
		if (n == 0 && left == 0)
			return false;
		if (n < 0 && errno != EINTR)
			return true; /* the next call will say why */
	}
}

/* ----------------------------------------------------------------- resolve */

struct query {
	struct gaicb cb, *list[1];
	struct addrinfo hints;
	char host[256], port[8];
};

/* Asked for and given up. */
static struct query *abandoned[ABANDONED_MAX];

static void
query_free(struct query *query)
{
	if (query->cb.ar_result != NULL)
		freeaddrinfo(query->cb.ar_result);
	free(query);
}

/* A place for one more; NULL when name servers have left us waiting so often
 * that there are enough. */
static struct query **
abandoned_place(void)
{
	struct query **place = NULL;

	for (size_t i = 0; i < ABANDONED_MAX; i++) {
		if (abandoned[i] != NULL &&
		    gai_error(&abandoned[i]->cb) != EAI_INPROGRESS) {
			query_free(abandoned[i]);
			abandoned[i] = NULL;
		}
		if (abandoned[i] == NULL)
			place = &abandoned[i];
	}
	return place;
}

static int
query_wait(struct query *query, int64_t timeout_ns)
{
	int64_t until = clock_now_ns() + timeout_ns;
	const struct gaicb *const waited[1] = { &query->cb };

	for (;;) {
		int rc = gai_error(&query->cb);
		int64_t left = until - clock_now_ns();
		struct timespec ts = { left / NS_PER_S, left % NS_PER_S };

		if (rc != EAI_INPROGRESS || left <= 0)
			return rc;
		gai_suspend(waited, 1, &ts);
	}
}

static int
resolve_name(const struct addrinfo *hints, const char *host, const char *port,
    int64_t timeout_ns, struct addrinfo **found, struct why *why)
{
	struct query **place = abandoned_place(), *query;
	int rc;

	if (place == NULL)
		return why_set(why, "no name server answers");
	query = mem_alloc(sizeof(*query));
	query->hints = *hints;
	mem_copy_string(query->host, sizeof(query->host), host);
	mem_copy_string(query->port, sizeof(query->port), port);
	query->cb.ar_name = query->host;
	query->cb.ar_service = query->port;
	query->cb.ar_request = &query->hints;
	query->list[0] = &query->cb;
	rc = getaddrinfo_a(GAI_NOWAIT, query->list, 1, NULL);
	if (rc == 0)
		rc = query_wait(query, timeout_ns);
	if (rc == EAI_INPROGRESS && gai_cancel(&query->cb) != EAI_CANCELED) {
		*place = query;
		return why_set(why,
		    "no name server has said within %.9g s where its host is",
		    clock_to_seconds(timeout_ns));
	}
	if (rc == 0) {
		*found = query->cb.ar_result;
		query->cb.ar_result = NULL;
	}
	query_free(query);
	if (rc == EAI_NONAME)
		return why_set(why, "there is no host of that name");
	return rc == 0 ?
	    0 :
	    why_set(why, "its host cannot be found: %s", gai_strerror(rc));
}

static int
resolve(const struct url *url, int64_t timeout_ns, struct addrinfo **found,
    struct why *why)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
	char port[8];

	snprintf(port, sizeof(port), "%d", url->port);
	if (getaddrinfo(url->host, port, &hints, found) == 0)
		return 0;
	hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
	return resolve_name(&hints, url->host, port, timeout_ns, found, why);
}

/* ----------------------------------------------------------------- connect */

static int
explain(int error, struct why *why)
{
	switch (error) {
	case ECONNREFUSED:
		return why_set(why,
		    "connection refused: nobody listens on that port");
	case ECONNRESET:
	case EPIPE:
		return why_set(why, "the connection was reset");
	case ETIMEDOUT:
		return why_set(why,
		    "timed out: its host does not answer any more");
	default:
		return why_set(why, "%s", strerror(error));
	}
}

static int
connect_to(const struct addrinfo *to, int64_t until_ns, struct why *why)
{
	int fd = socket(to->ai_family,
	    to->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, to->ai_protocol);
	int on = 1, error = 0;
	socklen_t len = sizeof(error);

	if (fd < 0)
		return explain(errno, why);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	if (connect(fd, to->ai_addr, to->ai_addrlen) == 0)
		return fd;
	if (errno != EINPROGRESS)
		error = errno;
	else {
		struct pollfd pfd = { fd, POLLOUT, 0 };
		int64_t left = until_ns - clock_now_ns();
		int n = poll(&pfd, 1,
		    left > 0 ? (int)((left + NS_PER_MS - 1) / NS_PER_MS) : 0);

		if (n == 0) {
			close(fd);
			return why_set(why,
			    "timed out: its host does not answer");
		}
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
			error = errno;
	}
	if (error == 0)
		return fd;
	close(fd);
	return explain(error, why);
}

/* A host's addresses share the time, or one that swallows everything would
 * leave none for the others. */
static int
connect_any(const struct addrinfo *list, int64_t timeout_ns, struct why *why)
{
	int64_t end = clock_now_ns() + timeout_ns;
	int left = 0, fd = -1;

	for (const struct addrinfo *a = list; a != NULL; a = a->ai_next)
		left++;
	for (; list != NULL && fd < 0; list = list->ai_next, left--) {
		int64_t now = clock_now_ns();

		fd = connect_to(list, now + (end - now) / left, why);
	}
	return fd;
}

int
net_open(struct net *net, const struct conf *conf, const struct url *url,
    void (*alive)(void *ctx), void *ctx, struct why *why)
{
	int64_t timeout = conf->amqp.timeout;
	struct addrinfo *list = NULL;

	*net = (struct net){ -1, NULL };
	if (resolve(url, timeout, &list, why) < 0)
		return -1;
	if (alive != NULL)
		alive(ctx);
	/* A broker waits a few seconds for a handshake, from the connection
	 * on: what takes its time comes before. */
	if (url->tls && (net->tls = tls_new(conf, url, why)) == NULL)
		goto fail;
	net->fd = connect_any(list, timeout, why);
	if (net->fd < 0)
		goto fail;
	if (alive != NULL)
		alive(ctx);
	if (url->tls &&
	    tls_open(net->tls, net->fd, url, clock_now_ns() + timeout, why) < 0)
		goto fail;
	freeaddrinfo(list);
	return 0;
fail:
	freeaddrinfo(list);
	net_close(net);
	return -1;
}

void
net_close(struct net *net)
{
	if (net->tls != NULL)
		tls_close(net->tls);
	net->tls = NULL;
	fd_close(&net->fd);
}

/* ------------------------------------------------------------------- bytes */

ssize_t
net_recv(struct net *net, void *bytes, size_t len, struct why *why)
{
	ssize_t n;

	if (net->tls != NULL)
		return tls_recv(net->tls, bytes, len, why);
	do
		n = recv(net->fd, bytes, len, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return n;
	if (n == 0)
		return why_set(why, "the broker closed the connection");
	return errno == EAGAIN || errno == EWOULDBLOCK ? 0 :
							 explain(errno, why);
}

ssize_t
net_send(struct net *net, const void *bytes, size_t len, struct why *why)
{
	ssize_t n;

	if (net->tls != NULL)
		return tls_send(net->tls, bytes, len, why);
	do
		n = send(net->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK ? 0 :
							 explain(errno, why);
}

size_t
net_taken(const struct net *net)
{
	return net->tls != NULL ? tls_taken(net->tls) : 0;
}

bool
net_has_more(const struct net *net)
{
	return net->tls != NULL && tls_has_more(net->tls);
}
