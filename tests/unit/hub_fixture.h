/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hub_fixture - a hub in a process of its own, and clients of it, for tests:
 * all of the role, but no master.
 *
 * Every client is this process, which is in slot 1 of the scoreboard. The hub's
 * store is in the folder `hub_dir`; hub_kill() and hub_start() again, and the
 * next hub finds what this one left, behind the same listening socket.
 *
 * A test case uses hub_set_up and hub_tear_down as its fixture, and may change
 * hub_conf before it calls hub_start().
 */
#ifndef TESTS_UNIT_HUB_FIXTURE_H
#define TESTS_UNIT_HUB_FIXTURE_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/child.h"
#include "core/uid.h"
#include "core/wire.h"
#include "hub/hub.h"

#define HUB_CLIENT_SLOT 1
#define HUB_PATIENCE_MS 20000

static char hub_dir[64];
static struct conf *hub_conf;
static struct board hub_board;
static int hub_listen_fd;
static pid_t hub_pid;
/* Connections of the control socket that the next hub is handed; -1: none. */
#define HUB_DESKS 4
static int hub_desk_fd[HUB_DESKS] = { -1, -1, -1, -1 };

struct client {
	struct wire wire;
	uint32_t request;	/* the last one's */
	struct msg_head head;	/* of the last frame that came */
	union msg msg;
	uint64_t session;
};

static inline void
hub_on_term(void *ctx, const siginfo_t *info)
{
	(void)info;
	hub_role.drain(ctx);
}

_Noreturn static void
hub_run(int ready_fd)
{
	struct child *child = mem_alloc(sizeof(*child));
	struct why why;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	child->spec.conf = child->conf = hub_conf;
	child->spec.board = hub_board;
	child->spec.role_id = ROLE_HUB;
	child->spec.role = &hub_role;
	child->spec.hub_fd = hub_listen_fd;
	child->spec.generation = 1;
	child->board = &child->spec.board;
	child->slot = &child->board->slot[0];
	if (loop_init(&child->loop) == -1 ||
	    loop_signal_add(&child->loop, SIGTERM, hub_on_term, child) == -1)
		_exit(2);
	uid_init(0);
	if (hub_role.init(child, &why) == -1) {
		fprintf(stderr, "%s\n", why.text);
		_exit(78);
	}
	for (int i = 0; i < HUB_DESKS; i++)
		if (hub_desk_fd[i] != -1)
			hub_role.control(child, hub_desk_fd[i]);
	if (write(ready_fd, "", 1) != 1)
		_exit(2);
	close(ready_fd);
	loop_run(&child->loop);
	hub_role.fini(child);
	loop_release(&child->loop);
	free(child);
	conf_free(hub_conf);
	board_release(&hub_board);
	exit(0);
}

static inline int
hub_discard(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void
hub_discard_tree(const char *path)
{
	ck_assert_int_eq(nftw(path, hub_discard, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* In valgrind most of the time of a hub goes to the translation of the code
 * that starts and ends it: done once here, with a store of nobody's, the hubs
 * that are forked have it. */
static inline void
hub_warm_up(void)
{
	static bool done;
	char *dir = hub_conf->service.state_dir;
	struct child child = { .spec = { .role_id = ROLE_HUB,
				   .role = &hub_role,
				   .generation = 1 } };
	char other[] = "/tmp/test_hub.XXXXXX";
	struct why why;

	if (done || getenv("VALGRIND") == NULL)
		return;
	done = true;
	ck_assert_ptr_nonnull(mkdtemp(other));
	hub_conf->service.state_dir = other;
	ck_assert_int_eq(board_create(&child.spec.board, 64), 0);
	child.spec.hub_fd = fcntl(hub_listen_fd, F_DUPFD_CLOEXEC, 0);
	child.spec.conf = child.conf = hub_conf;
	child.board = &child.spec.board;
	child.slot = &child.board->slot[0];
	ck_assert_int_eq(loop_init(&child.loop), 0);
	ck_assert_msg(hub_role.init(&child, &why) == 0, "%s", why.text);
	hub_role.fini(&child);
	loop_release(&child.loop);
	close(child.spec.hub_fd);
	board_release(&child.spec.board);
	hub_discard_tree(other);
	hub_conf->service.state_dir = dir;
}

/* Returns when it is ready. */
static inline void
hub_start(void)
{
	int ready[2];
	char byte;

	hub_warm_up();
	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	hub_pid = fork();
	ck_assert_int_ne(hub_pid, -1);
	if (hub_pid == 0) {
		close(ready[0]);
		hub_run(ready[1]);
	}
	close(ready[1]);
	ck_assert_msg(read(ready[0], &byte, 1) == 1, "no hub");
	close(ready[0]);
}

static inline void
hub_kill(void)
{
	int status;

	ck_assert_int_eq(kill(hub_pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(hub_pid, &status, 0), hub_pid);
	ck_assert_msg(WIFSIGNALED(status), "it had ended");
	hub_pid = 0;
}

/* Drains it. */
static inline void
hub_stop(void)
{
	int status;

	ck_assert_int_eq(kill(hub_pid, SIGTERM), 0);
	ck_assert_int_eq(waitpid(hub_pid, &status, 0), hub_pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	    "status %x", status);
	hub_pid = 0;
}

static inline void
hub_address(struct sockaddr_un *address)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	snprintf(address->sun_path, sizeof(address->sun_path), "%s/hub.sock",
	    hub_dir);
}

static inline void
hub_set_up(void)
{
	struct sockaddr_un address;

	snprintf(hub_dir, sizeof(hub_dir), "/tmp/test_hub.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(hub_dir));
	hub_conf = conf_defaults();
	free(hub_conf->service.state_dir);
	hub_conf->service.state_dir = mem_strdup(hub_dir);
	hub_conf->hub.redo_size = 1 << 20;
	hub_conf->hub.max_value = 1 << 17;
	hub_conf->hub.reserve = 0;
	hub_conf->hub.min_free = 0;
	log_set_level(LOG_LEVEL_ERROR);
	ck_assert_int_eq(board_create(&hub_board, 64), 0);
	slot_reset(&hub_board.slot[HUB_CLIENT_SLOT], ROLE_REST, 1);
	hub_board.slot[HUB_CLIENT_SLOT].pid = getpid();
	hub_address(&address);
	hub_listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(hub_listen_fd, (struct sockaddr *)&address,
			     sizeof(address)),
	    0);
	ck_assert_int_eq(listen(hub_listen_fd, 511), 0);
}

static inline void
hub_tear_down(void)
{
	if (hub_pid != 0)
		hub_stop();
	close(hub_listen_fd);
	board_release(&hub_board);
	conf_free(hub_conf);
	hub_discard_tree(hub_dir);
}

/* --- clients */

static inline int
client_connect(void)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	hub_address(&address);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address,
			     sizeof(address)),
	    0);
	ck_assert_int_ne(fcntl(fd, F_SETFL, O_NONBLOCK), -1);
	return fd;
}

static inline void
client_wait(struct client *client, short events)
{
	struct pollfd pfd = { .fd = client->wire.fd, .events = events };

	ck_assert_msg(poll(&pfd, 1, HUB_PATIENCE_MS) == 1, "nothing happens");
}

static inline void
client_flush(struct client *client)
{
	int n;

	while ((n = wire_flush(&client->wire)) == 0)
		client_wait(client, POLLOUT);
}

/* Queues a request; its number. */
static inline uint32_t
client_queue(struct client *client, enum msg_id id, const void *msg)
{
	bool note = msg_kind(id) == MSG_KIND_NOTE;

	ck_assert_int_eq(wire_send(&client->wire, id,
			     note ? 0 : ++client->request, msg),
	    0);
	return client->request;
}

/* The next frame, in client->head and ->msg; MSG_NONE: it has hung up. */
static inline enum msg_id
client_next(struct client *client)
{
	struct why why;
	int n;

	while ((n = wire_next(&client->wire, &client->head, &client->msg,
		    &why)) == 0) {
		client_wait(client, POLLIN);
		n = wire_read(&client->wire);
		if (n == 0 || (n == -1 && errno != EAGAIN))
			return MSG_NONE;
	}
	ck_assert_msg(n == 1, "%s", why.text);
	return (enum msg_id)client->head.id;
}

/* Sends, and the next frame is the answer. */
static inline enum msg_id
client_ask(struct client *client, enum msg_id id, const void *msg)
{
	enum msg_id got;

	client_queue(client, id, msg);
	client_flush(client);
	got = client_next(client);
	if (got != MSG_NONE)
		ck_assert_uint_eq(client->head.request, client->request);
	return got;
}

/* No hello yet. */
static inline void
client_open_mute(struct client *client)
{
	*client = (struct client){ .request = 0 };
	wire_init(&client->wire, client_connect(), MSG_FROM_HUB, 16 << 20,
	    64 << 20);
}

static inline struct msg_HELLO
client_hello(uint64_t session)
{
	return (struct msg_HELLO){ .protocol = msg_protocol(),
		.slot = HUB_CLIENT_SLOT,
		.generation = 1,
		.session = session };
}

static inline void
client_open(struct client *client, uint64_t session)
{
	struct msg_HELLO hello = client_hello(session);

	client_open_mute(client);
	client->session = session;
	ck_assert_int_eq(client_ask(client, MSG_HELLO, &hello), MSG_WELCOME);
}

static inline void
client_close(struct client *client)
{
	wire_release(&client->wire);
}

/* --- requests and answers, in short */

static inline const char *
client_get(struct client *client, const char *key)
{
	struct msg_GET get = { .key = msg_text(key) };
	static char text[256];

	ck_assert_int_eq(client_ask(client, MSG_GET, &get), MSG_VALUE);
	if (client->msg.VALUE.found == 0)
		return NULL;
	snprintf(text, sizeof(text), "%.*s", (int)client->msg.VALUE.value.len,
	    client->msg.VALUE.value.p);
	return text;
}

/* True when it was done. */
static inline bool
client_set(struct client *client, uint64_t seq, const char *key,
    const char *value, int64_t ttl_ms)
{
	struct msg_SET set = { .seq = seq,
		.key = msg_text(key),
		.ttl_ms = ttl_ms,
		.value = msg_text(value) };

	ck_assert_int_eq(client_ask(client, MSG_SET, &set), MSG_STORED);
	return client->msg.STORED.done;
}

static inline int64_t
client_incr(struct client *client, uint64_t seq, const char *key, int64_t by)
{
	struct msg_INCR incr = { .seq = seq,
		.key = msg_text(key),
		.by = by,
		.ttl_ms = -1 };

	ck_assert_int_eq(client_ask(client, MSG_INCR, &incr), MSG_NUMBER);
	return client->msg.NUMBER.value;
}

static inline bool
client_delete(struct client *client, uint64_t seq, const char *key)
{
	struct msg_DELETE del = { .seq = seq, .key = msg_text(key) };

	ck_assert_int_eq(client_ask(client, MSG_DELETE, &del), MSG_STORED);
	return client->msg.STORED.done;
}

/* The code of the refusal that came; HUB_OK when it is none. */
static inline uint32_t
client_code(const struct client *client)
{
	return client->head.id == MSG_FAIL ? client->msg.FAIL.code : HUB_OK;
}

#endif
