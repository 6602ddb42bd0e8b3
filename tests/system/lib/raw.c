/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * raw - a client that sends what it is told and reads what comes.
 */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "http.h"
#include "proc.h"
#include "suite.h"

int
raw_connect(const struct daemon *daemon)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)daemon->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	ck_assert_int_ne(fd, -1);
	ck_assert_msg(connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0,
	    "connect: %s", strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

int
raw_connect_unix(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_lt(snprintf(un.sun_path, sizeof(un.sun_path), "%s", path),
	    (int)sizeof(un.sun_path));
	ck_assert_msg(connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0,
	    "connect %s: %s", path, strerror(errno));
	return fd;
}

bool
raw_send(int fd, const void *bytes, size_t len)
{
	const char *p = bytes;

	while (len > 0) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

bool
raw_text(int fd, const char *text)
{
	return raw_send(fd, text, strlen(text));
}

/* One read, as much as `size`, waiting at most patience; 0 at the end. */
static size_t
raw_read(int fd, char *into, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	ck_assert_msg(poll(&p, 1, suite_patience_ms()) == 1,
	    "no answer and no end of the connection");
	n = recv(fd, into, size, 0);
	return n > 0 ? (size_t)n : 0;
}

/* Byte by byte, so that nothing of the next answer is taken. */
static bool
read_head(int fd, struct reply *reply)
{
	size_t size = 4096;
	char *head = reply->head = calloc(1, size);

	while (strstr(head + (reply->head_len > 4 ? reply->head_len - 4 : 0),
		   "\r\n\r\n") == NULL) {
		if (reply->head_len + 1 == size) {
			reply->head = head = realloc(head, size *= 2);
			memset(head + size / 2, 0, size / 2);
		}
		if (raw_read(fd, head + reply->head_len, 1) == 0)
			return false;
		reply->head_len++;
	}
	return sscanf(head, "HTTP/1.%*1[01] %d", &reply->status) == 1;
}

bool
raw_reply(int fd, struct reply *reply, bool head_only)
{
	const char *length;
	size_t want = 0;
	bool until_end = false;

	*reply = (struct reply){ .body = calloc(1, 1) };
	if (!read_head(fd, reply))
		return false;
	ck_assert_msg(reply_header(reply, "Transfer-Encoding") == NULL,
	    "a chunked answer: %s", reply->head);
	length = reply_header(reply, "Content-Length");
	if (head_only || reply->status < 200 || reply->status == 204 ||
	    reply->status == 304)
		return true;
	if (length != NULL)
		want = strtoul(length, NULL, 10);
	else
		until_end = true;
	while (until_end || reply->body_len < want) {
		size_t room = until_end ? 4096 : want - reply->body_len, n;

		reply->body = realloc(reply->body, reply->body_len + room + 1);
		n = raw_read(fd, reply->body + reply->body_len, room);
		reply->body_len += n;
		reply->body[reply->body_len] = '\0';
		if (n == 0)
			return until_end;
	}
	return true;
}

bool
raw_ended(int fd)
{
	int64_t end = proc_now_ms() + suite_patience_ms();
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char bytes[4096];

	while (proc_now_ms() < end && poll(&p, 1, suite_patience_ms()) == 1)
		if (recv(fd, bytes, sizeof(bytes), 0) <= 0)
			return true;
	return false;
}

int
raw_status(const struct daemon *daemon, const char *text)
{
	struct reply reply;
	int fd = raw_connect(daemon), status;

	raw_text(fd, text);
	raw_reply(fd, &reply, false);
	status = reply.status;
	reply_release(&reply);
	close(fd);
	return status;
}
