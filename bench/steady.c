/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * steady - a client that forgives nothing.
 *
 *   steady PORT PATH CONNECTIONS
 *
 * Keeps CONNECTIONS busy until SIGTERM or SIGINT, then prints one line of JSON
 * with what it saw. Every request that does not get the whole, right answer
 * has failed, and no request is ever sent twice: where curl or a browser
 * would silently try again on a new connection, this counts.
 *
 * A third of the connections send a request as soon as they have the answer
 * to the last; a third pause up to PAUSE_MAX_MS first, so that the server may
 * meet them idle, or close on them; a third make a connection for each
 * request. A close between two requests is the server's right and no failure;
 * a close that answers a request is one.
 *
 *     connect ──► sent ──answer──► paused ──► sent …
 *        ▲          │                 │
 *        └──failed──┴── closed idle ──┘
 */
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONNECTIONS 1024
#define BATCH 64
#define PAUSE_MAX_MS 20
#define RETRY_MS 5
#define ANSWER_TIMEOUT_MS 10000
#define LISTED_FAILURES 20

enum style { GREEDY, PAUSING, CLOSING, STYLES };
enum phase { SENT, PAUSED };

/* Why a request failed. */
enum fault { CONNECT, SEND, RESET, CLOSED, TIMEOUT, STATUS, ANSWER, FAULTS };

static const char *const fault_name[FAULTS] = {
	"connect",
	"send",
	"reset",
	"closed",
	"timeout",
	"status",
	"answer",
};

struct conn {
	int fd; /* -1: to be connected when due */
	enum style style;
	enum phase phase;
	int64_t due_ms; /* end of the pause, or of patience */
	int64_t sent_us;
	size_t served; /* answers on this connection */
	size_t len;
	char buf[4096];
};

static const char body[] = "{\"message\":\"hello, world!\"}";
static struct conn conns[MAX_CONNECTIONS];
static struct sockaddr_in server;
static char request_text[2][512]; /* by "closes after it" */
static size_t request_len[2];
static int epoll_fd;
static int64_t started_us;
static uint64_t requests, answers, connections, idle_closes, polite_closes;
static uint64_t faults[FAULTS];
static int64_t longest_us;
static char listed[LISTED_FAILURES][160];
static size_t listed_n;

static int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void
conn_drop(struct conn *c, int64_t due_ms)
{
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
	c->due_ms = due_ms;
}

static void
conn_fail(struct conn *c, enum fault fault)
{
	int64_t now = now_us();

	faults[fault]++;
	if (listed_n < LISTED_FAILURES)
		snprintf(listed[listed_n++], sizeof(listed[0]),
		    "{\"at_s\": %.3f, \"fault\": \"%s\", \"style\": %d, "
		    "\"served\": %zu, \"after_ms\": %.3f}",
		    (double)(now - started_us) / 1e6, fault_name[fault],
		    (int)c->style, c->served, (double)(now - c->sent_us) / 1e3);
	conn_drop(c, now / 1000 + RETRY_MS);
}

static void
conn_send(struct conn *c)
{
	int closes = c->style == CLOSING;

	c->sent_us = now_us();
	c->phase = SENT;
	c->len = 0;
	c->due_ms = c->sent_us / 1000 + ANSWER_TIMEOUT_MS;
	requests++;
	if (send(c->fd, request_text[closes], request_len[closes],
		MSG_NOSIGNAL) != (ssize_t)request_len[closes])
		conn_fail(c, SEND);
}

static void
conn_open(struct conn *c)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };

	c->sent_us = now_us();
	c->served = 0;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd == -1)
		err(1, "socket");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	/* blocks for as long as the handshake on loopback takes */
	if (connect(c->fd, (struct sockaddr *)&server, sizeof(server)) == -1) {
		requests++;
		conn_fail(c, CONNECT);
		return;
	}
	connections++;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event) == -1)
		err(1, "epoll_ctl");
	conn_send(c);
}

/* The value of a header in the answer's head, or NULL. */
static const char *
header_of(const char *head, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = head; (line = strstr(line, "\r\n")) != NULL;) {
		line += 2;
		if (strncasecmp(line, name, len) == 0 && line[len] == ':')
			return line + len + 1 + strspn(line + len + 1, " ");
	}
	return NULL;
}

/* The whole answer has arrived: is it right, and what now? */
static void
conn_answered(struct conn *c)
{
	const char *connection = header_of(c->buf, "Connection");
	int64_t now = now_us();

	answers++;
	c->served++;
	if (now - c->sent_us > longest_us)
		longest_us = now - c->sent_us;
	if (c->style == CLOSING) {
		conn_drop(c, now / 1000);
	} else if (connection != NULL &&
	    strncasecmp(connection, "close", 5) == 0) {
		polite_closes++;
		conn_drop(c, now / 1000);
	} else if (c->style == GREEDY) {
		conn_send(c);
	} else {
		c->phase = PAUSED;
		c->due_ms = now / 1000 + random() % (PAUSE_MAX_MS + 1);
	}
}

static void
conn_parse(struct conn *c)
{
	const char *end, *length;
	size_t head, want;

	c->buf[c->len] = '\0';
	end = strstr(c->buf, "\r\n\r\n");
	if (end == NULL) {
		if (c->len == sizeof(c->buf) - 1)
			conn_fail(c, ANSWER);
		return;
	}
	head = (size_t)(end - c->buf) + 4;
	if (strncmp(c->buf, "HTTP/1.1 200 ", 13) != 0) {
		conn_fail(c, STATUS);
		return;
	}
	length = header_of(c->buf, "Content-Length");
	want = length != NULL ? strtoul(length, NULL, 10) : 0;
	if (want != sizeof(body) - 1)
		conn_fail(c, ANSWER);
	else if (c->len < head + want)
		return;
	else if (c->len > head + want || memcmp(c->buf + head, body, want) != 0)
		conn_fail(c, ANSWER);
	else
		conn_answered(c);
}

static void
conn_readable(struct conn *c)
{
	ssize_t n = recv(c->fd, c->buf + c->len, sizeof(c->buf) - 1 - c->len,
	    MSG_DONTWAIT);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (c->phase == PAUSED) {
		/* nothing was asked, so all there may be is the end */
		if (n == 0) {
			idle_closes++;
			conn_drop(c, now_us() / 1000);
		} else {
			conn_fail(c, n == -1 ? RESET : ANSWER);
		}
	} else if (n <= 0) {
		conn_fail(c, n == 0 ? CLOSED : RESET);
	} else {
		c->len += (size_t)n;
		conn_parse(c);
	}
}

/* Acts on what is due; returns the milliseconds until the next. */
static int
conns_due(size_t n)
{
	int64_t now = now_us() / 1000, next = now + 1000;

	for (size_t i = 0; i < n; i++) {
		struct conn *c = &conns[i];

		if (c->due_ms <= now) {
			if (c->fd == -1)
				conn_open(c);
			else if (c->phase == PAUSED)
				conn_send(c);
			else
				conn_fail(c, TIMEOUT);
		}
		if (c->due_ms < next)
			next = c->due_ms;
	}
	return next > now ? (int)(next - now) : 0;
}

static void
report(void)
{
	uint64_t failed = 0;

	for (int i = 0; i < FAULTS; i++)
		failed += faults[i];
	printf("{\"seconds\": %.3f, \"requests\": %llu, \"answers\": %llu, "
	       "\"failed\": %llu, \"connections\": %llu, "
	       "\"closed_with_an_answer\": %llu, \"closed_idle\": %llu, "
	       "\"longest_ms\": %.3f, \"faults\": {",
	    (double)(now_us() - started_us) / 1e6, (unsigned long long)requests,
	    (unsigned long long)answers, (unsigned long long)failed,
	    (unsigned long long)connections, (unsigned long long)polite_closes,
	    (unsigned long long)idle_closes, (double)longest_us / 1e3);
	for (int i = 0; i < FAULTS; i++)
		printf("%s\"%s\": %llu", i > 0 ? ", " : "", fault_name[i],
		    (unsigned long long)faults[i]);
	printf("}, \"failures\": [");
	for (size_t i = 0; i < listed_n; i++)
		printf("%s%s", i > 0 ? ", " : "", listed[i]);
	printf("]}\n");
}

static void
set_up(int port, const char *path)
{
	struct epoll_event event = { .events = EPOLLIN };
	sigset_t signals;

	server.sin_family = AF_INET;
	server.sin_port = htons((uint16_t)port);
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (int closes = 0; closes < 2; closes++)
		request_len[closes] = (size_t)snprintf(request_text[closes],
		    sizeof(request_text[closes]),
		    "GET %s HTTP/1.1\r\n"
		    "Host: 127.0.0.1\r\n%s\r\n",
		    path, closes ? "Connection: close\r\n" : "");
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd == -1 ||
	    epoll_ctl(epoll_fd, EPOLL_CTL_ADD,
		signalfd(-1, &signals, SFD_CLOEXEC), &event) == -1)
		err(1, "set-up");
	started_us = now_us();
}

int
main(int argc, char **argv)
{
	struct epoll_event events[BATCH];
	size_t n = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
	int ready;

	if (n < STYLES || n > MAX_CONNECTIONS || strlen(argv[2]) > 256)
		errx(2, "usage: steady PORT PATH CONNECTIONS(3-%d)",
		    MAX_CONNECTIONS);
	set_up(atoi(argv[1]), argv[2]);
	for (size_t i = 0; i < n; i++) {
		conns[i].fd = -1;
		conns[i].style = (enum style)(i % STYLES);
	}
	for (;;) {
		ready = epoll_wait(epoll_fd, events, BATCH, conns_due(n));
		if (ready == -1 && errno != EINTR)
			err(1, "epoll_wait");
		for (int i = 0; i < ready; i++) {
			struct conn *c = events[i].data.ptr;

			if (c == NULL) {
				report();
				return 0;
			}
			/* dropped in this round: its event is stale */
			if (c->fd != -1)
				conn_readable(c);
		}
	}
}
