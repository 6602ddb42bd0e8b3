/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * floor - the least that a server of many clients in one process can cost:
 * epoll, recv, send. It reads requests of a length that is fixed for a run and
 * answers each with as many bytes as the hub would; it looks at none of them.
 */
#include <err.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc.h"

#define EVENTS 64
#define ROOM 65536

/* What the frames of the hub come to (core/msg.def), with a key of 16 bytes and
 * a value of 100. */
static const struct {
	size_t request, answer;
} sizes[] = {
	[IPC_GET] = { 32, 134 },
	[IPC_SET] = { 162, 21 },
	[IPC_INCR] = { 56, 28 },
};

static size_t partial[1024]; /* bytes of a request begun, by descriptor */

static void
floor_answer(const struct ipc_run *run, int fd)
{
	static char in[ROOM], out[ROOM];
	size_t request = sizes[run->op].request, answer = sizes[run->op].answer;
	ssize_t n = recv(fd, in, sizeof(in), 0);
	size_t len;

	if (n <= 0) {
		close(fd);
		return;
	}
	len = partial[fd] + (size_t)n;
	partial[fd] = len % request;
	len = len / request * answer;
	if (len > sizeof(out) ||
	    (len > 0 && send(fd, out, len, MSG_NOSIGNAL) != (ssize_t)len))
		close(fd);
}

static void
floor_serve(const struct ipc_run *run, int ready_fd)
{
	int listening = ipc_listen(run->path);
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN, .data.fd = listening };
	struct epoll_event events[EVENTS];
	int fd, n;

	if (epoll == -1 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, listening, &event) == -1 ||
	    write(ready_fd, "", 1) != 1)
		err(1, "epoll");
	for (;;) {
		n = epoll_wait(epoll, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd != listening) {
				floor_answer(run, events[i].data.fd);
				continue;
			}
			fd = accept4(listening, NULL, NULL,
			    SOCK_NONBLOCK | SOCK_CLOEXEC);
			event.data.fd = fd;
			if (fd >= 0 && fd < 1024)
				epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
		}
	}
}

static void
floor_ask(const struct ipc_run *run, unsigned client, struct ipc_count *count)
{
	static const char request[256];
	const struct ipc_stream stream = {
		.fd = ipc_connect(run->path),
		.request = request,
		.request_len = sizes[run->op].request,
		.answer = sizes[run->op].answer,
	};

	(void)client;
	if (stream.fd == -1)
		err(1, "%s", run->path);
	ipc_stream_ask(&stream, run->depth, ipc_go(), count);
}

const struct ipc_target ipc_floor = {
	.name = "floor",
	.serve = floor_serve,
	.ask = floor_ask,
};
