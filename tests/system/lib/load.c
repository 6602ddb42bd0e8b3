/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load - requests without end, from a thread.
 */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"
#include "proc.h"
#include "suite.h"
#include "text.h"

struct lane {
	int fd;
	long served; /* on this connection */
	char in[4096];
	size_t len;
};

struct load {
	pthread_t thread;
	int port, stop_fd;
	int lanes;
	bool keep;
	char *request;
	_Atomic long good, bad;
	char first[512]; /* the first failure, valid once joined */
	struct lane lane[LOAD_MAX];
};

static void
lane_fail(struct load *load, struct lane *lane, const char *what)
{
	if (load->bad == 0)
		snprintf(load->first, sizeof(load->first),
		    "%s after %ld answers on the connection; got \"%.*s\"",
		    what, lane->served, (int)lane->len, lane->in);
	load->bad++;
	if (lane->fd != -1)
		close(lane->fd);
	lane->fd = -1;
}

static void
send_request(struct load *load, struct lane *lane)
{
	size_t len = strlen(load->request);

	lane->len = 0;
	if (send(lane->fd, load->request, len, MSG_NOSIGNAL) != (ssize_t)len)
		lane_fail(load, lane, strerror(errno));
}

static void
open_lane(struct load *load, struct lane *lane)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)load->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int on = 1;

	lane->len = 0;
	lane->served = 0;
	lane->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(lane->fd, (struct sockaddr *)&in, sizeof(in)) == -1) {
		lane_fail(load, lane, strerror(errno));
		return;
	}
	setsockopt(lane->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	send_request(load, lane);
}

/* The length of the whole answer, 0 while that is unknown. */
static size_t
answer_length(const struct lane *lane)
{
	const char *end = strstr(lane->in, "\r\n\r\n");
	const char *length = strcasestr(lane->in, "\r\nContent-Length:");

	if (end == NULL)
		return 0;
	return (size_t)(end + 4 - lane->in) +
	    (length != NULL && length < end ? strtoul(length + 17, NULL, 10) :
					      0);
}

static void
read_lane(struct load *load, struct lane *lane)
{
	ssize_t n = recv(lane->fd, lane->in + lane->len,
	    sizeof(lane->in) - 1 - lane->len, 0);
	size_t want;

	lane->in[lane->len + (n > 0 ? (size_t)n : 0)] = '\0';
	if (n <= 0) {
		lane_fail(load, lane, n == 0 ? "closed" : strerror(errno));
		return;
	}
	lane->len += (size_t)n;
	if ((want = answer_length(lane)) == 0 || lane->len < want)
		return;
	if (strncmp(lane->in, "HTTP/1.1 200 ", 13) != 0) {
		lane_fail(load, lane, "not 200");
		return;
	}
	load->good++;
	lane->served++;
	if (load->keep &&
	    strcasestr(lane->in, "\r\nConnection: close") == NULL) {
		send_request(load, lane);
		return;
	}
	close(lane->fd);
	lane->fd = -1;
}

static void *
run(void *ctx)
{
	struct load *load = ctx;
	struct pollfd p[LOAD_MAX + 1];

	for (;;) {
		for (int i = 0; i < load->lanes; i++) {
			if (load->lane[i].fd == -1)
				open_lane(load, &load->lane[i]);
			p[i] = (struct pollfd){ .fd = load->lane[i].fd,
				.events = POLLIN };
		}
		p[load->lanes] = (struct pollfd){ .fd = load->stop_fd,
			.events = POLLIN };
		if (poll(p, (nfds_t)load->lanes + 1, -1) == -1)
			continue;
		if (p[load->lanes].revents != 0)
			return NULL;
		for (int i = 0; i < load->lanes; i++)
			if (p[i].revents != 0)
				read_lane(load, &load->lane[i]);
	}
}

struct load *
load_start(const struct daemon *daemon, const char *path, int connections,
    bool keep)
{
	struct load *load = calloc(1, sizeof(*load));

	ck_assert_int_le(connections, LOAD_MAX);
	load->port = daemon->port;
	load->lanes = connections;
	load->keep = keep;
	load->request = text_format("GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n",
	    path, keep ? "" : "Connection: close\r\n");
	for (int i = 0; i < LOAD_MAX; i++)
		load->lane[i].fd = -1;
	ck_assert_int_ge(load->stop_fd = eventfd(0, EFD_CLOEXEC), 0);
	ck_assert_int_eq(pthread_create(&load->thread, NULL, run, load), 0);
	return load;
}

long
load_good(struct load *load)
{
	return load->good;
}

long
load_bad(struct load *load)
{
	return load->bad;
}

struct target {
	struct load *load;
	long answers;
};

static bool
reached(void *ctx)
{
	struct target *target = ctx;

	return target->load->good + target->load->bad >= target->answers;
}

void
load_await(struct load *load, long answers)
{
	struct target target = { load, load->good + load->bad + answers };

	ck_assert_msg(proc_until(-1, reached, &target),
	    "the load stands still after %ld answers, %ld failures", load->good,
	    load->bad);
}

static void
join(struct load *load)
{
	uint64_t one = 1;

	ck_assert_int_eq(write(load->stop_fd, &one, sizeof(one)), sizeof(one));
	pthread_join(load->thread, NULL);
	close(load->stop_fd);
	for (int i = 0; i < load->lanes; i++)
		if (load->lane[i].fd != -1)
			close(load->lane[i].fd);
	free(load->request);
}

long
load_end(struct load *load)
{
	long bad;

	join(load);
	bad = load->bad;
	free(load);
	return bad;
}

void
load_stop(struct load *load)
{
	join(load);
	ck_assert_msg(load->bad == 0,
	    "%ld of %ld requests failed, the first: %s", load->bad,
	    load->good + load->bad, load->first);
	free(load);
}
