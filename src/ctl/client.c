/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client - one connection to the control socket of the master.
 *
 * Called by the commands that need a running service. The master may be
 * stopped, dead, busy dying or somebody else altogether, so every step is
 * bounded by the deadline and nothing that arrives is believed: what is not one
 * JSON object a line ends the conversation.
 */
#include "ctl/client.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "ctl/wait.h"

/* Whom the socket belongs to, for somebody who may not use it. */
static void
client_why_denied(const char *path, struct why *why)
{
	struct passwd *owner;
	struct stat st;

	if (stat(path, &st) == -1) {
		why_set(why,
		    "permission denied on the way to control socket %s; become "
		    "root or the user that runs the service",
		    path);
		return;
	}
	owner = getpwuid(st.st_uid);
	why_set(why,
	    "permission denied: control socket %s belongs to uid %u (%s) and "
	    "you are uid %u; become that user or root",
	    path, (unsigned)st.st_uid,
	    owner != NULL ? owner->pw_name : "no name", (unsigned)geteuid());
}

static enum client_end
client_why_connect(const char *path, struct why *why)
{
	switch (errno) {
	case ENOENT:
	case ENOTDIR:
		why_set(why, "there is no control socket %s", path);
		return CLIENT_ABSENT;
	case ECONNREFUSED:
		why_set(why, "nobody listens on control socket %s", path);
		return CLIENT_ABSENT;
	case EACCES:
	case EPERM:
		client_why_denied(path, why);
		return CLIENT_DENIED;
	case EAGAIN:
		why_set(why,
		    "the master takes no connections on control socket %s: it "
		    "is stopped or stuck",
		    path);
		return CLIENT_MUTE;
	default:
		why_set(why, "cannot connect to control socket %s: %m", path);
		return CLIENT_FAILED;
	}
}

enum client_end
client_open(struct client *client, const char *path, int64_t deadline_ns,
    struct why *why)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval limit;
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int64_t left_ns = deadline_ns - clock_now_ns();

	*client = (struct client){ .fd = -1,
		.path = path,
		.deadline_ns = deadline_ns };
	buf_init(&client->in, CLIENT_MAX_LINE);
	if (strlen(path) >= sizeof(sun.sun_path)) {
		why_set(why,
		    "the path of the control socket is too long, %zu bytes "
		    "where %zu are possible: %s",
		    strlen(path), sizeof(sun.sun_path) - 1, path);
		return CLIENT_FAILED;
	}
	memcpy(sun.sun_path, path, strlen(path) + 1);

	/*
	 * A connect(2) to a full backlog waits in the kernel, and the send
	 * timeout is what bounds it; a non-blocking one could not be polled.
	 */
	if (left_ns < NS_PER_MS)
		left_ns = NS_PER_MS;
	limit.tv_sec = left_ns / NS_PER_S;
	limit.tv_usec = left_ns % NS_PER_S / NS_PER_US;
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->fd == -1 ||
	    setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &limit,
		sizeof(limit)) == -1) {
		why_set(why, "cannot make a socket: %m");
		return CLIENT_FAILED;
	}
	if (connect(client->fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		return client_why_connect(path, why);
	if (fd_nonblock(client->fd) == -1) {
		why_set(why, "cannot set up a socket: %m");
		return CLIENT_FAILED;
	}
	if (getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
		client->peer = peer.pid;
	return CLIENT_FINE;
}

void
client_close(struct client *client)
{
	fd_close(&client->fd);
	buf_release(&client->in);
}

/* True for a process that SIGSTOP or a debugger holds. */
static bool
client_peer_is_stopped(pid_t pid)
{
	char path[64];
	char *text, *state;
	bool stopped;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	text = fd_read_file(path, 4096, NULL);
	/* "PID (any name) S …" */
	state = text != NULL ? strrchr(text, ')') : NULL;
	stopped = state != NULL && strlen(state) > 2 &&
	    (state[2] == 'T' || state[2] == 't');
	free(text);
	return stopped;
}

/* What wait_fd() returned, when it was not 1. */
static enum client_end
client_why_wait(const struct client *client, int ready, struct why *why)
{
	if (ready == -1) {
		why_set(why, "cannot wait for control socket %s: %m",
		    client->path);
		return CLIENT_FAILED;
	}
	if (client->peer > 0)
		why_set(why,
		    "no answer in time from process %d on control socket %s%s",
		    (int)client->peer, client->path,
		    client_peer_is_stopped(client->peer) ?
			": it is stopped by a signal, and kill -CONT lets it "
			"go on" :
			"");
	else
		why_set(why, "no answer in time on control socket %s",
		    client->path);
	return CLIENT_MUTE;
}

static enum client_end
client_why_gone(const struct client *client, struct why *why)
{
	why_set(why,
	    "control socket %s was closed without an answer: its process died "
	    "or cut us off; see the log",
	    client->path);
	return CLIENT_GONE;
}

enum client_end
client_send(struct client *client, const json_t *line, struct why *why)
{
	enum client_end end = CLIENT_FINE;
	size_t sent = 0, len;
	ssize_t n;
	char *text;
	int ready;

	text = json_dumps(line, JSON_COMPACT);
	if (text == NULL) {
		why_set(why, "cannot write the request as JSON");
		return CLIENT_FAILED;
	}
	/* The newline takes the place of the NUL. */
	len = strlen(text) + 1;
	text[len - 1] = '\n';

	while (sent < len) {
		n = send(client->fd, text + sent, len - sent, MSG_NOSIGNAL);
		if (n >= 0) {
			sent += (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EPIPE || errno == ECONNRESET) {
			/* It may have said why before it hung up. */
			break;
		}
		if (errno != EAGAIN) {
			why_set(why, "cannot send on control socket %s: %m",
			    client->path);
			end = CLIENT_FAILED;
			break;
		}
		ready = wait_fd(client->fd, POLLOUT, client->deadline_ns);
		if (ready == 1)
			continue;
		end = client_why_wait(client, ready, why);
		break;
	}
	free(text);
	return end;
}

bool
client_heard(struct client *client, int64_t until_ns)
{
	return client->in.len > client->searched ||
	    wait_fd(client->fd, POLLIN, until_ns) == 1;
}

/* Reads until `in` holds a line, whose length without the newline is *len. */
static enum client_end
client_fill(struct client *client, size_t *len, struct why *why)
{
	struct buf *in = &client->in;
	const char *end;
	ssize_t n;
	int ready;

	for (;;) {
		end = in->len == client->searched ?
		    NULL :
		    memchr(in->data + client->searched, '\n',
			in->len - client->searched);
		if (end != NULL) {
			*len = (size_t)(end - in->data);
			return CLIENT_FINE;
		}
		client->searched = in->len;

		ready = wait_fd(client->fd, POLLIN, client->deadline_ns);
		if (ready != 1)
			return client_why_wait(client, ready, why);
		n = buf_read_fd(in, client->fd);
		if (n > 0 || (n == -1 && errno == EAGAIN))
			continue;
		if (n == 0 || errno == ECONNRESET)
			return client_why_gone(client, why);
		if (errno == ENOBUFS) {
			why_set(why,
			    "an answer of more than %zu bytes on control "
			    "socket %s",
			    CLIENT_MAX_LINE, client->path);
			return CLIENT_BROKEN;
		}
		why_set(why, "cannot read from control socket %s: %m",
		    client->path);
		return CLIENT_FAILED;
	}
}

enum client_end
client_receive(struct client *client, json_t **line, struct why *why)
{
	enum client_end end;
	json_error_t error;
	size_t len = 0;

	*line = NULL;
	end = client_fill(client, &len, why);
	if (end != CLIENT_FINE)
		return end;

	/* jansson overlooks a NUL byte between two tokens */
	snprintf(error.text, sizeof(error.text), "a NUL byte");
	if (memchr(client->in.data, '\0', len) == NULL)
		*line = json_loadb(client->in.data, len, JSON_ALLOW_NUL,
		    &error);
	buf_consume(&client->in, len + 1);
	client->searched = 0;
	if (json_is_object(*line))
		return CLIENT_FINE;
	if (*line == NULL)
		why_set(why,
		    "what came on control socket %s is no JSON (%s): is it the "
		    "socket of a brood service?",
		    client->path, error.text);
	else
		why_set(why,
		    "what came on control socket %s is no JSON object: is it "
		    "the socket of a brood service?",
		    client->path);
	json_decref(*line);
	*line = NULL;
	return CLIENT_BROKEN;
}
