/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream - a client's loop over a Unix socket for the targets whose requests
 * are the same bytes each time: send, poll, recv, as brood's own client does.
 * (A recv that waits saves the poll, but is woken when its request is read,
 * too: with many clients on a processor that costs more.)
 */
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "ipc.h"

#define ROOM 65536

static struct sockaddr_un
address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path))
		errx(1, "%s is too long", path);
	strcpy(address.sun_path, path);
	return address;
}

int
ipc_listen(const char *path)
{
	struct sockaddr_un address = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) == -1 ||
	    listen(fd, 128) == -1)
		err(1, "%s", path);
	return fd;
}

int
ipc_connect(const char *path)
{
	struct sockaddr_un address = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		err(1, "socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* What a window of requests is sent from. */
struct window {
	const struct ipc_stream *stream;
	char out[ROOM], in[ROOM];
	size_t in_len;
};

static void
window_send(const struct window *w, unsigned requests)
{
	size_t len = requests * w->stream->request_len;

	if (send(w->stream->fd, w->out, len, MSG_NOSIGNAL) != (ssize_t)len)
		err(1, "send");
}

/* How many answers have come; waits for one at least. */
static unsigned
window_receive(struct window *w)
{
	struct pollfd fds = { .fd = w->stream->fd, .events = POLLIN };
	size_t used = 0, len;
	unsigned n = 0;
	ssize_t got;
	char *end;

	if (poll(&fds, 1, 20000) != 1)
		errx(1, "no answer");
	got = recv(w->stream->fd, w->in + w->in_len, ROOM - w->in_len, 0);
	if (got <= 0)
		errx(1, "the server has gone");
	w->in_len += (size_t)got;
	for (;; used += len, n++) {
		len = w->stream->answer;
		if (len == 0) {
			end = memchr(w->in + used, '\n', w->in_len - used);
			len = end != NULL ? (size_t)(end - w->in) + 1 - used :
					    ROOM;
		}
		if (w->in_len - used < len)
			break;
		if (w->in[used] == '-')
			errx(1, "refused: %.*s", (int)len, w->in + used);
	}
	w->in_len -= used;
	memmove(w->in, w->in + used, w->in_len);
	return n;
}

static struct window *
window_open(const struct ipc_stream *stream, unsigned depth)
{
	static struct window window;

	window.stream = stream;
	window.in_len = 0;
	if (depth * stream->request_len > ROOM)
		errx(1, "%u at a time are too many", depth);
	for (unsigned i = 0; i < depth; i++)
		memcpy(window.out + i * stream->request_len, stream->request,
		    stream->request_len);
	return &window;
}

void
ipc_stream_once(const struct ipc_stream *stream)
{
	struct window *w = window_open(stream, 1);

	window_send(w, 1);
	while (window_receive(w) == 0)
		continue;
}

void
ipc_stream_ask(const struct ipc_stream *stream, unsigned depth, int64_t end_ns,
    struct ipc_count *count)
{
	struct window *w = window_open(stream, depth);
	int64_t now = clock_now_ns(), before;
	unsigned n;

	for (; depth == 1 && now < end_ns;) {
		before = now;
		window_send(w, 1);
		while (window_receive(w) == 0)
			continue;
		now = clock_now_ns();
		ipc_note(count, now - before);
	}
	if (depth == 1)
		return;
	window_send(w, depth);
	while (clock_now_ns() < end_ns) {
		n = window_receive(w);
		count->done += n;
		if (n > 0)
			window_send(w, n);
	}
}
