/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_systemd - what a service manager is told (sd_notify(3)) and hands over
 * (sd_listen_fds(3)), without one.
 */
#include <check.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/http.h"
#include "lib/suite.h"
#include "lib/text.h"

static int
notify_socket(const struct daemon *d)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%.90s/notify", d->dir);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	chmod(un.sun_path, 0666);
	setenv("NOTIFY_SOCKET", un.sun_path, 1);
	return fd;
}

/* Takes messages until one has this line. */
static void
require_message(int fd, const char *wanted)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char text[1024];
	ssize_t n;

	do {
		ck_assert_msg(poll(&p, 1, suite_patience_ms()) == 1,
		    "never: %s", wanted);
		n = recv(fd, text, sizeof(text) - 1, 0);
		text[n > 0 ? n : 0] = '\0';
	} while (!text_has(text, wanted));
}

START_TEST(notifications)
{
	struct daemon d;
	int fd;

	daemon_init(&d);
	fd = notify_socket(&d);
	setenv("WATCHDOG_USEC", "200000", 1);
	daemon_configure(&d, &(struct daemon_conf){ 0 });
	daemon_start_again(&d);
	require_message(fd, "READY=1");
	require_message(fd, "WATCHDOG=1");
	require_message(fd, "WATCHDOG=1");
	ctl_reload(&d);
	require_message(fd, "RELOADING=1");
	require_message(fd, "READY=1");
	kill(d.pid, SIGTERM);
	require_message(fd, "STOPPING=1");
	ck_assert_int_eq(daemon_wait(&d), 0);
	daemon_require_clean(&d);
	close(fd);
	daemon_release(&d);
}
END_TEST

/* Connections made before the service was started are served. */
START_TEST(socket_activation)
{
	struct daemon d;
	struct reply reply;
	int early;

	daemon_init(&d);
	ck_assert_int_eq(listen(d.port_fd, 16), 0);
	d.listen_fd = d.port_fd;
	early = raw_connect(&d);
	raw_text(early, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
	daemon_configure(&d, &(struct daemon_conf){ 0 });
	daemon_start_again(&d);
	ck_assert(raw_reply(early, &reply, false));
	ck_assert_int_eq(reply.status, 200);
	reply_release(&reply);
	close(early);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE(notifications),
		CASE(socket_activation),
	};

	return SUITE_RUN("systemd", cases);
}
