/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control - the operator's socket: connections, lines, waiting.
 *
 * One request a connection, one JSON object a line (cmd.def describes it). The
 * peer's uid is checked, every line and every answer is bounded, and a client
 * that sends half a line or reads nothing is cut off; none of it can make the
 * master wait. What the commands do is in command.c.
 */
#include "master/control.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/why.h"

/* An answer: a status of thousands of children fits. */
#define CONTROL_ANSWER_MAX (16u << 20)

struct control {
	struct master *master;
	struct loop_io listener;
	struct loop_timer pause; /* after EMFILE */
	struct control_client *clients;
	int n_clients;
};

static void
control_client_free(struct control_client *client)
{
	struct control *control = client->master->control;
	struct control_client **at = &control->clients;

	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	control->n_clients--;
	loop_timer_cancel(&client->master->loop, &client->timeout);
	loop_io_del(&client->master->loop, &client->io);
	fd_close(&client->fd);
	buf_release(&client->in);
	buf_release(&client->out);
	free(client);
}

static void
control_set_timeout(struct control_client *client)
{
	struct master *master = client->master;

	loop_timer_set(&master->loop, &client->timeout,
	    clock_now_ns() + master->current->conf->control.timeout);
}

/* Writes what the client takes. True when the client is no more. */
static bool
control_flush(struct control_client *client)
{
	while (client->out.len > 0) {
		if (buf_write_fd(&client->out, client->fd) >= 0)
			continue;
		if (errno != EAGAIN) {
			control_client_free(client);
			return true;
		}
		loop_io_want(&client->master->loop, &client->io,
		    (client->eof ? 0 : LOOP_READ) | LOOP_WRITE);
		control_set_timeout(client);
		return false;
	}
	if (client->done) {
		control_client_free(client);
		return true;
	}
	loop_timer_cancel(&client->master->loop, &client->timeout);
	loop_io_want(&client->master->loop, &client->io,
	    client->eof ? 0 : LOOP_READ);
	return false;
}

static void
control_put(struct control_client *client, json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);

	json_decref(object);
	if (!text || buf_append(&client->out, text, strlen(text)) < 0 ||
	    buf_append(&client->out, "\n", 1) < 0) {
		log_error("an answer to broodctl is too large; cutting it off");
		client->done = true;
		buf_clear(&client->out);
	}
	free(text);
}

/* A message may quote what is no UTF-8, a path say; JSON cannot. */
json_t *
control_text(const char *text)
{
	json_t *string = json_string(text);

	if (string)
		return string;
	char *copy = mem_strdup(text);
	for (char *p = copy; *p; p++)
		if (*p & 0x80)
			*p = '?';
	string = json_string(copy);
	free(copy);
	return string;
}

void
control_event(struct control_client *client, const char *text)
{
	control_put(client, json_pack("{s:o}", "event", control_text(text)));
}

void
control_answer(struct control_client *client, int code, const char *message,
    json_t *data)
{
	json_t *object = json_pack("{s:b, s:i, s:o}", "ok", code == CMD_OK,
	    "code", code, "message", control_text(message));

	if (data)
		json_object_set_new(object, "data", data);
	control_put(client, object);
	client->done = true;
	client->wait = NULL;
}

static void
control_on_line(struct control_client *client, const char *line, size_t len)
{
	json_error_t error;
	char text[256];

	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(request)) {
		snprintf(text, sizeof text, "not a JSON object: %s",
		    request ? "it is something else" : error.text);
		control_answer(client, CMD_USAGE, text, NULL);
	} else {
		client->asked = true;
		command_run(client, request);
	}
	json_decref(request);
}

/* Both ends are closed, and an answer would reach nobody. */
static bool
control_left(const struct control_client *client)
{
	struct pollfd p = { .fd = client->fd };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

/* Nothing wakes us for one that was listening only and has left then. */
static void
control_sweep(struct control *control)
{
	struct control_client *client, *next;

	for (client = control->clients; client; client = next) {
		next = client->next;
		if (client->eof && control_left(client))
			control_client_free(client);
	}
}

static void
control_read(struct control_client *client)
{
	ssize_t n = buf_read_fd(&client->in, client->fd);

	if (n == 0 && client->asked && !control_left(client)) {
		/* one end closed (nc -N): it may still be listening */
		client->eof = true;
		control_flush(client);
		return;
	}
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != ENOBUFS)) {
		control_client_free(client);
		return;
	}
	if (client->asked) {
		/* one request a connection; what else comes is dropped */
		buf_clear(&client->in);
		return;
	}
	if (client->in.len == 0)
		return;
	const char *end = memchr(client->in.data, '\n', client->in.len);
	if (end)
		control_on_line(client, client->in.data,
		    (size_t)(end - client->in.data));
	else if (n < 0 && errno == ENOBUFS)
		control_answer(client, CMD_USAGE,
		    "the line is longer than control.max_line", NULL);
	else
		return;
	control_flush(client);
}

static void
control_on_client(void *ctx, unsigned events)
{
	struct control_client *client = ctx;

	if ((events & LOOP_WRITE) && client->out.len > 0 &&
	    control_flush(client))
		return;
	if (events & LOOP_READ)
		control_read(client);
}

static void
control_on_timeout(void *ctx)
{
	struct control_client *client = ctx;

	log_warning("a control client %s for control.timeout; cutting it off",
	    client->out.len > 0 ? "read nothing" : "sent no whole line");
	if (client->out.len == 0) {
		control_answer(client, CMD_USAGE,
		    "no whole line within control.timeout", NULL);
		control_flush(client);
	} else
		control_client_free(client);
}

/* Root and whoever runs the master; not the user that handlers run as. */
static bool
control_peer_ok(int fd, uid_t *uid)
{
	struct ucred peer;
	socklen_t len = sizeof peer;

	*uid = (uid_t)-1;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	*uid = peer.uid;
	return peer.uid == 0 || peer.uid == geteuid();
}

static void
control_admit(struct control *control, int fd)
{
	struct master *master = control->master;
	const struct conf *conf = master->current->conf;
	struct control_client *client;
	char text[160];
	uid_t uid;

	if (control->n_clients >= conf->control.max_clients)
		control_sweep(control);
	client = mem_alloc(sizeof *client);
	client->master = master;
	client->fd = fd;
	client->next = control->clients;
	control->clients = client;
	control->n_clients++;
	buf_init(&client->in, conf->control.max_line);
	buf_init(&client->out, CONTROL_ANSWER_MAX);
	loop_timer_init(&client->timeout, control_on_timeout, client);
	if (loop_io_add(&master->loop, &client->io, fd, LOOP_READ,
		control_on_client, client) < 0) {
		client->io.fd = -1;
		control_client_free(client);
		return;
	}
	control_set_timeout(client);
	if (!control_peer_ok(fd, &uid)) {
		snprintf(text, sizeof text,
		    "permission denied for uid %u: this"
		    " socket is for root and uid %u",
		    (unsigned)uid, (unsigned)geteuid());
		log_warning("control: %s", text);
	} else if (control->n_clients > conf->control.max_clients)
		snprintf(text, sizeof text,
		    "control.max_clients (%d) are connected; try again",
		    conf->control.max_clients);
	else
		return;
	client->asked = true;
	control_answer(client, CMD_FAILED, text, NULL);
	control_flush(client);
}

static void
control_on_pause_end(void *ctx)
{
	struct control *control = ctx;

	loop_io_want(&control->master->loop, &control->listener, LOOP_READ);
}

static void
control_on_accept(void *ctx, unsigned events)
{
	struct control *control = ctx;

	(void)events;
	int fd = accept4(control->listener.fd, NULL, NULL,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		control_admit(control, fd);
		return;
	}
	if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
		return;
	log_error("control: cannot accept: %s; trying again in 1 s",
	    strerror(errno));
	loop_io_want(&control->master->loop, &control->listener, 0);
	loop_timer_set(&control->master->loop, &control->pause,
	    clock_now_ns() + NS_PER_S);
}

int
control_open(struct master *master, struct why *why)
{
	int fd = listen_private("control.socket", master->control_path, 64,
	    why);
	if (fd < 0)
		return -1;
	struct control *control = mem_alloc(sizeof *control);
	control->master = master;
	loop_timer_init(&control->pause, control_on_pause_end, control);
	if (loop_io_add(&master->loop, &control->listener, fd, LOOP_READ,
		control_on_accept, control) < 0) {
		why_set(why, "cannot watch the control socket: %s",
		    strerror(errno));
		close(fd);
		free(control);
		return -1;
	}
	master->control = control;
	return 0;
}

void
control_close(struct master *master)
{
	struct control *control = master->control;

	if (!control)
		return;
	while (control->clients) {
		/* one try: whoever reads gets its answer */
		buf_write_fd(&control->clients->out, control->clients->fd);
		control_client_free(control->clients);
	}
	int fd = control->listener.fd;
	loop_timer_cancel(&master->loop, &control->pause);
	loop_io_del(&master->loop, &control->listener);
	fd_close(&fd);
	unlink(master->control_path);
	free(control);
	master->control = NULL;
}

void
control_poke(struct master *master)
{
	struct control *control = master->control;
	struct control_client *client, *next;

	for (client = control ? control->clients : NULL; client;
	     client = next) {
		next = client->next;
		if (!client->wait)
			continue;
		client->wait(client);
		control_flush(client);
	}
}

void
control_forget(struct control_client *client)
{
	client->done = true;
	client->wait = NULL;
	buf_clear(&client->out);
}
