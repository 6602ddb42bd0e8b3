/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_hub - the other end of a hub_client, played by the test: a listening
 * socket, one connection at a time, and a wire to read requests from and write
 * answers to.
 *
 * hub_ask() waits, so its other end has to be in another process: a script() of
 * the test, run by fake_hub_fork(), whose exit status says whether what it saw
 * was right (FAKE_WANT). Elsewhere the test plays both ends in turn.
 */
#ifndef TEST_UNIT_FAKE_HUB_H
#define TEST_UNIT_FAKE_HUB_H

#include <check.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/why.h"
#include "core/wire.h"

static struct {
	char folder[64], path[100];
	int listen_fd;
	struct wire wire;
	struct msg_head head;	/* of the last fake_hub_take() */
	union msg msg;
	uint64_t session;	/* of the last hello */
	pid_t script;
} fake_hub;

/* In a script: ends it, and the test finds it in its exit status. */
#define FAKE_WANT(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: the hub wanted %s\n", \
			    __FILE__, __LINE__, #condition); \
			_exit(1); \
		} \
	} while (0)

static inline void
fake_hub_set_up(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memset(&fake_hub, 0, sizeof(fake_hub));
	strcpy(fake_hub.folder, "/tmp/brood-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(fake_hub.folder));
	snprintf(fake_hub.path, sizeof(fake_hub.path), "%s/hub.sock",
	    fake_hub.folder);
	strcpy(address.sun_path, fake_hub.path);
	fake_hub.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(fake_hub.listen_fd, 0);
	ck_assert_int_eq(bind(fake_hub.listen_fd, (struct sockaddr *)&address,
			     sizeof(address)),
	    0);
	ck_assert_int_eq(listen(fake_hub.listen_fd, 10), 0);
	fake_hub.wire.fd = -1;
}

static inline void
fake_hub_drop(void)
{
	wire_release(&fake_hub.wire);
	fake_hub.wire.fd = -1;
}

static inline void
fake_hub_wait(int fd)
{
	struct pollfd fds = { .fd = fd, .events = POLLIN };

	FAKE_WANT(poll(&fds, 1, 20000) == 1);
}

/* The next frame that the client sends; false at the end. */
static inline bool
fake_hub_take(void)
{
	struct why why = { .text = "" };
	int n;

	for (;;) {
		n = wire_next(&fake_hub.wire, &fake_hub.head, &fake_hub.msg,
		    &why);
		FAKE_WANT(n >= 0);
		if (n == 1)
			return true;
		fake_hub_wait(fake_hub.wire.fd);
		if (wire_read(&fake_hub.wire) == 0)
			return false;
	}
}

/* Nothing has come, and nothing is on its way. */
static inline bool
fake_hub_is_quiet(void)
{
	struct pollfd fds = { .fd = fake_hub.wire.fd, .events = POLLIN };

	return fake_hub.wire.taken == fake_hub.wire.in.len &&
	    poll(&fds, 1, 0) == 0;
}

static inline void
fake_hub_send(enum msg_id id, uint32_t handle, const void *msg)
{
	FAKE_WANT(wire_send(&fake_hub.wire, id, handle, msg) == 0);
	/* -1: the client is gone already, which is for fake_hub_take() */
	FAKE_WANT(wire_flush(&fake_hub.wire) != 0);
}

static inline void
fake_hub_accept(void)
{
	int fd;

	fake_hub_drop();
	fake_hub_wait(fake_hub.listen_fd);
	fd = accept4(fake_hub.listen_fd, NULL, NULL,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	FAKE_WANT(fd >= 0);
	wire_init(&fake_hub.wire, fd, MSG_FROM_CLIENT, 1 << 24, 1 << 24);
	FAKE_WANT(fake_hub_take());
	FAKE_WANT(fake_hub.head.id == MSG_HELLO);
	FAKE_WANT(fake_hub.msg.HELLO.protocol == msg_protocol());
	fake_hub.session = fake_hub.msg.HELLO.session;
	fake_hub_send(MSG_WELCOME, fake_hub.head.request,
	    &(struct msg_WELCOME){ .protocol = msg_protocol() });
}

static inline void
fake_hub_want(enum msg_id id)
{
	FAKE_WANT(fake_hub_take());
	FAKE_WANT(fake_hub.head.id == id);
}

/* The last one taken is answered. */
static inline void
fake_hub_answer(enum msg_id id, const void *msg)
{
	fake_hub_send(id, fake_hub.head.request, msg);
}

static inline void
fake_hub_fail(enum hub_code code, const char *why)
{
	fake_hub_answer(MSG_FAIL,
	    &(struct msg_FAIL){ .code = code, .why = msg_text(why) });
}

static inline void
fake_hub_event(const char *key, const char *value)
{
	fake_hub_send(MSG_EVENT, 0,
	    &(struct msg_EVENT){ .what = DATA_WAS_SET,
		.key = msg_text(key),
		.kind = DATA_JSON,
		.version = 3,
		.value = msg_text(value) });
}

/* The script is the hub until it returns; then its connection closes. */
static inline void
fake_hub_fork(void (*script)(void))
{
	ck_assert_int_eq(fake_hub.script, 0);
	fake_hub.script = fork();
	ck_assert_int_ne(fake_hub.script, -1);
	if (fake_hub.script == 0) {
		script();
		_exit(0);
	}
}

static inline void
fake_hub_join(void)
{
	int status;

	ck_assert_int_eq(waitpid(fake_hub.script, &status, 0),
	    fake_hub.script);
	ck_assert_int_eq(status, 0);
	fake_hub.script = 0;
}

static inline void
fake_hub_tear_down(void)
{
	if (fake_hub.script > 0)
		fake_hub_join();
	fake_hub_drop();
	close(fake_hub.listen_fd);
	unlink(fake_hub.path);
	rmdir(fake_hub.folder);
}

#endif
