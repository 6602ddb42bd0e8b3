/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listen - the listening sockets; see listen.h.
 *
 * An address is its text: a reload that writes the same text keeps the socket.
 * A Unix socket's file is removed only when nobody answers on it, so that two
 * services cannot steal it from one another.
 */
#include "master/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/address.h"

/* The first descriptor of sd_listen_fds(3). */
#define LISTEN_FDS_START 3

static const struct listener *
listen_find(const struct listen_set *set, const char *text)
{
	for (size_t i = 0; set && i < set->n; i++)
		if (strcmp(set->v[i].text, text) == 0)
			return &set->v[i];
	return NULL;
}

/* A socket that systemd holds for this address; -1 without one. */
static int
listen_inherited(const struct address *address)
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");

	if (!pid || !n || atol(pid) != (long)getpid())
		return -1;
	for (int fd = LISTEN_FDS_START; fd < LISTEN_FDS_START + atoi(n); fd++) {
		struct sockaddr_storage ss = { 0 };
		socklen_t len = sizeof ss;
		if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0 ||
		    len != address->len || memcmp(&ss, &address->ss, len) != 0)
			continue;
		return fd_nonblock(fd) < 0 ? -1 : fd;
	}
	return -1;
}

/* A file left by a service that was killed; an answer means it lives. */
static void
listen_remove_stale(const struct address *address)
{
	const struct sockaddr_un *un = (const void *)&address->ss;
	struct stat st;

	if (lstat(un->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	if (connect(fd, (const void *)&address->ss, address->len) < 0 &&
	    errno == ECONNREFUSED)
		unlink(un->sun_path);
	close(fd);
}

static int
listen_bind(const struct address *address, const struct conf *conf,
    struct why *why)
{
	int family = address->ss.ss_family, on = 1;

	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return why_set(why, "cannot make a socket: %s",
		    strerror(errno));
	if (family == AF_UNIX)
		listen_remove_stale(address);
	else
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (family != AF_UNIX)
		/* inherited by what is accepted: answers leave at once */
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (bind(fd, (const void *)&address->ss, address->len) < 0) {
		why_set(why,
		    errno == EADDRINUSE ? "%s: another program listens there" :
			errno == EACCES ? "%s: permission denied" :
					  "%s",
		    strerror(errno));
		goto fail;
	}
	if (family == AF_UNIX &&
	    chmod(((const struct sockaddr_un *)(const void *)&address->ss)
		      ->sun_path,
		(mode_t)conf->rest.unix_mode) < 0) {
		why_set(why, "cannot set its mode: %s", strerror(errno));
		goto fail;
	}
	if (listen(fd, conf->rest.backlog) < 0) {
		why_set(why, "cannot listen: %s", strerror(errno));
		goto fail;
	}
	return fd;
fail:
	close(fd);
	return -1;
}

int
listen_private(const char *key, const char *path, int backlog, struct why *why)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof un.sun_path)
		return why_set(why, "%s %s is longer than %zu bytes", key, path,
		    sizeof un.sun_path - 1);
	mem_copy_string(un.sun_path, sizeof un.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return why_set(why, "cannot make the socket of %s: %s", key,
		    strerror(errno));
	unlink(path);
	mode_t old = umask(0177);
	int bound = bind(fd, (struct sockaddr *)&un, sizeof un);
	umask(old);
	if (bound == 0 && listen(fd, backlog) == 0)
		return fd;
	why_set(why, "cannot listen on %s %s: %s", key, path, strerror(errno));
	close(fd);
	if (bound == 0)
		unlink(path);
	return -1;
}

static int
listen_open_one(struct listener *listener, const char *text,
    const struct conf *conf, const struct listen_set *old, struct why *why)
{
	struct address address;

	if (address_parse(text, &address, why) < 0)
		return -1;
	memset(listener, 0, sizeof *listener);
	listener->is_unix = address.ss.ss_family == AF_UNIX;
	listener->tls = conf->tls_certificate && !address.plain &&
	    !listener->is_unix;
	mem_copy_string(listener->text, sizeof listener->text, address.text);

	const struct listener *kept = listen_find(old, address.text);
	if (kept) {
		listener->fd = kept->fd;
		return 0;
	}
	listener->fd = listen_inherited(&address);
	if (listener->fd < 0)
		listener->fd = listen_bind(&address, conf, why);
	return listener->fd < 0 ? -1 : 0;
}

int
listen_open(struct listen_set *set, const struct conf *conf,
    const struct listen_set *old, struct conf_errors *errors)
{
	const struct conf_strings *list = &conf->rest.listen;
	size_t failed = 0;
	struct why why;

	set->v = mem_array(list->n ? list->n : 1, sizeof *set->v);
	set->n = 0;
	for (size_t i = 0; i < list->n; i++) {
		if (listen_open_one(&set->v[set->n], list->v[i], conf, old,
			&why) == 0) {
			set->n++;
			continue;
		}
		conf_errors_add(errors,
		    "%s: rest.listen: cannot listen on %s: %s", conf->file,
		    list->v[i], why.text);
		failed++;
	}
	if (failed == 0)
		return 0;
	listen_close(set, old);
	return -1;
}

/* A connection that nobody accepts ends when the last holder of its listener
 * does; where nobody listens it ends at once. */
static void
listen_outlive_one(const struct address *address, int64_t deadline_ns)
{
	struct pollfd p = { .events = POLLIN | POLLRDHUP };
	int64_t left_ns;

	p.fd = socket(address->ss.ss_family,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p.fd < 0)
		return;
	if (connect(p.fd, (const void *)&address->ss, address->len) == 0 ||
	    errno == EINPROGRESS)
		while ((left_ns = deadline_ns - clock_now_ns()) > 0 &&
		    poll(&p, 1, (int)(left_ns / NS_PER_MS) + 1) < 0 &&
		    errno == EINTR)
			;
	close(p.fd);
}

void
listen_outlive(const struct conf *conf)
{
	int64_t deadline_ns = clock_now_ns() + NS_PER_S;
	const struct conf_strings *list = &conf->rest.listen;
	struct address address;
	struct why why;

	for (size_t i = 0; i < list->n; i++)
		if (address_parse(list->v[i], &address, &why) == 0 &&
		    listen_inherited(&address) < 0)
			listen_outlive_one(&address, deadline_ns);
}

void
listen_close(struct listen_set *set, const struct listen_set *keep)
{
	for (size_t i = 0; i < set->n; i++) {
		struct listener *listener = &set->v[i];
		if (listen_find(keep, listener->text))
			continue;
		if (listener->is_unix)
			unlink(listener->text + strlen("unix:"));
		fd_close(&listener->fd);
	}
	free(set->v);
	set->v = NULL;
	set->n = 0;
}

void
listen_apply(const struct listen_set *set, const struct conf *conf)
{
	for (size_t i = 0; i < set->n; i++) {
		const struct listener *listener = &set->v[i];
		const char *path = listener->text + strlen("unix:");

		/* on a listening socket this changes the backlog */
		listen(listener->fd, conf->rest.backlog);
		if (listener->is_unix &&
		    chmod(path, (mode_t)conf->rest.unix_mode) < 0)
			log_error("rest.unix_mode: %s: %s; going on with the"
				  " old one",
			    listener->text, strerror(errno));
	}
}

void
listen_check(const struct conf *conf, struct conf_errors *errors)
{
	struct listen_set set;
	char path[CONF_PATH_SIZE];
	bool left_over;

	pid_t owner = fd_pidfile_owner(conf_pid_file(conf, path), &left_over);
	if (owner > 0)
		return;
	if (listen_open(&set, conf, NULL, errors) == 0)
		listen_close(&set, NULL);
}
