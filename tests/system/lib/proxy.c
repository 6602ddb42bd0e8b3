/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proxy - one thread, all its connections in one poll().
 */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proc.h"
#include "proxy.h"

#define STOP (-1)

static struct sockaddr_in
loopback(int port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static void
drop(struct proxy *proxy, size_t i, bool reset)
{
	struct linger now = { 1, 0 };

	for (int side = 0; side < 2; side++) {
		int fd = proxy->pair[i][side];

		if (fd == -1)
			continue;
		if (reset)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &now,
			    sizeof(now));
		close(fd);
	}
	proxy->pairs--;
	memmove(proxy->pair[i], proxy->pair[i + 1],
	    (proxy->pairs - i) * sizeof(proxy->pair[0]));
}

static void
greet(struct proxy *proxy)
{
	static const char web[] = "HTTP/1.1 400 Bad Request\r\n"
				  "Content-Length: 0\r\n\r\n";
	struct sockaddr_in to = loopback(proxy->to_port);
	int fd = accept4(proxy->listen_fd, NULL, NULL, SOCK_CLOEXEC), other;
	char buf[256];

	if (fd == -1)
		return;
	proxy->accepted++;
	if (proxy->mood == PROXY_WEB && recv(fd, buf, sizeof(buf), 0) > 0 &&
	    send(fd, web, sizeof(web) - 1, MSG_NOSIGNAL) > 0)
		shutdown(fd, SHUT_WR);
	if (proxy->mood == PROXY_WEB || proxy->mood == PROXY_CLOSES ||
	    proxy->pairs == PROXY_PAIRS) {
		close(fd);
		return;
	}
	other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(other, (struct sockaddr *)&to, sizeof(to)) == -1) {
		close(other);
		close(fd);
		return;
	}
	proxy->pair[proxy->pairs][0] = fd;
	proxy->pair[proxy->pairs++][1] = other;
}

/* False: one of both has ended. */
static bool
pass(int from, int to)
{
	char buf[65536];
	ssize_t n = recv(from, buf, sizeof(buf), 0), done = 0, wrote;

	while (done < n) {
		wrote = send(to, buf + done, (size_t)(n - done), MSG_NOSIGNAL);
		if (wrote <= 0)
			return false;
		done += wrote;
	}
	return n > 0;
}

static void
serve(struct proxy *proxy, const struct pollfd *p, size_t pairs)
{
	for (size_t i = pairs; i-- > 0;)
		for (int side = 0; side < 2; side++)
			if (p[2 + 2 * i + (size_t)side].revents != 0 &&
			    !pass(proxy->pair[i][side],
				proxy->pair[i][1 - side])) {
				drop(proxy, i, false);
				break;
			}
}

static void *
run(void *arg)
{
	struct proxy *proxy = arg;
	struct pollfd p[2 + 2 * PROXY_PAIRS];
	uint64_t told;

	while (proxy->mood != STOP) {
		size_t pairs = proxy->mood == PROXY_MUTE ? 0 : proxy->pairs;

		p[0] = (struct pollfd){ proxy->wake_fd, POLLIN, 0 };
		p[1] = (struct pollfd){ proxy->listen_fd, POLLIN, 0 };
		for (size_t i = 0; i < 2 * pairs; i++)
			p[2 + i] = (struct pollfd){ proxy->pair[i / 2][i % 2],
				POLLIN, 0 };
		if (poll(p, 2 + 2 * pairs, -1) <= 0)
			continue;
		if (p[0].revents != 0) {
			if (read(proxy->wake_fd, &told, sizeof(told)) == -1)
				break;
			for (; proxy->was_cut < proxy->cut; proxy->was_cut++)
				while (proxy->pairs > 0)
					drop(proxy, 0, true);
			continue;
		}
		serve(proxy, p, pairs);
		if (p[1].revents != 0)
			greet(proxy);
	}
	return NULL;
}

static void
wake(struct proxy *proxy)
{
	uint64_t one = 1;

	ck_assert_int_eq(write(proxy->wake_fd, &one, sizeof(one)), sizeof(one));
}

void
proxy_start(struct proxy *proxy, int to_port)
{
	struct sockaddr_in at = loopback(0);
	socklen_t len = sizeof(at);

	*proxy = (struct proxy){ .to_port = to_port };
	proxy->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(proxy->listen_fd, (struct sockaddr *)&at,
			     sizeof(at)),
	    0);
	ck_assert_int_eq(listen(proxy->listen_fd, 16), 0);
	ck_assert_int_eq(getsockname(proxy->listen_fd, (struct sockaddr *)&at,
			     &len),
	    0);
	proxy->port = ntohs(at.sin_port);
	proxy->wake_fd = eventfd(0, EFD_CLOEXEC);
	ck_assert_int_eq(pthread_create(&proxy->thread, NULL, run, proxy), 0);
}

void
proxy_set(struct proxy *proxy, enum proxy_mood mood)
{
	proxy->mood = (int)mood;
	wake(proxy);
}

static bool
has_accepted(void *ctx)
{
	struct proxy *proxy = ctx;

	return proxy->accepted >= proxy->awaited;
}

void
proxy_await(struct proxy *proxy, int accepted)
{
	proxy->awaited = accepted;
	if (!proc_until(-1, has_accepted, proxy))
		ck_abort_msg("%d connections and never %d", proxy->accepted,
		    accepted);
}

void
proxy_cut(struct proxy *proxy)
{
	proxy->cut++;
	wake(proxy);
}

void
proxy_stop(struct proxy *proxy)
{
	proxy->mood = STOP;
	wake(proxy);
	pthread_join(proxy->thread, NULL);
	while (proxy->pairs > 0)
		drop(proxy, 0, false);
	close(proxy->listen_fd);
	close(proxy->wake_fd);
}
