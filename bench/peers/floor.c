/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * floor - the least a prefork service on libmicrohttpd can cost.
 *
 * One listening socket, as many single-threaded processes as asked for, each
 * with a bare MHD daemon on epoll. A process waits for the socket, registered
 * EPOLLEXCLUSIVE, and for MHD's own epoll set, accepts one connection at a
 * time, and calls MHD_run(): a connection wakes one worker. When MHD does the
 * accepting, as in its examples, it wakes all of them, and a connection per
 * request costs a third more. No routes, no limits, no log; the same answer as
 * brood's hello, header for header.
 *
 * Not MHD_run_wait(): when 128 connections are ready at once it waits for
 * more with its whole timeout (libmicrohttpd 0.9.75).
 *
 *   floor PORT WORKERS [static]
 *
 * With "static" one response object, made before the first request, serves
 * all of them, and so has no X-Request-Id. That is lower still, but no
 * service whose answers differ can be written like that.
 *
 * The parent forks again when a worker dies, and ends with them on SIGTERM.
 */
#include <err.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <microhttpd.h>

#define MAX_WORKERS 1024
#define IDLE_TIMEOUT_S 60u
#define CONNECTION_LIMIT 1024u

static const char body[] = "{\"message\":\"hello, world!\"}";
static struct MHD_Response *static_response;
static sigset_t watched;
static pid_t self;

static struct MHD_Response *
response_new(const char *id)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
	    sizeof(body) - 1, (void *)(uintptr_t)body, MHD_RESPMEM_PERSISTENT);

	if (response == NULL)
		return NULL;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
	    "application/json");
	if (id != NULL)
		MHD_add_response_header(response, "X-Request-Id", id);
	return response;
}

static enum MHD_Result
answer(void *cls, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *upload_data,
    size_t *upload_data_size, void **request_ctx)
{
	static unsigned long count;
	static int seen;
	struct MHD_Response *response;
	enum MHD_Result result;
	char id[32];

	(void)cls, (void)url, (void)method, (void)version, (void)upload_data;
	/* The first call comes with the headers; reply on the second, as MHD
	 * asks for: a reply to the first closes the connection on a POST. */
	if (*request_ctx == NULL) {
		*request_ctx = &seen;
		return MHD_YES;
	}
	if (*upload_data_size != 0) {
		*upload_data_size = 0;
		return MHD_YES;
	}
	if (static_response != NULL)
		return MHD_queue_response(connection, MHD_HTTP_OK,
		    static_response);
	snprintf(id, sizeof(id), "%08x%012lx", (unsigned)self, count++);
	response = response_new(id);
	if (response == NULL)
		return MHD_NO;
	result = MHD_queue_response(connection, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return result;
}

static void
accept_one(struct MHD_Daemon *daemon, int fd)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	int client = accept4(fd, (struct sockaddr *)&address, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (client != -1)
		MHD_add_connection(daemon, client, (struct sockaddr *)&address,
		    len);
}

_Noreturn static void
serve(struct MHD_Daemon *daemon, int fd)
{
	int inner =
	    MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	int outer = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLEXCLUSIVE, .data.fd = fd,
	}, events[2];
	MHD_UNSIGNED_LONG_LONG timeout_ms;
	int n;

	if (outer == -1 || epoll_ctl(outer, EPOLL_CTL_ADD, fd, &event) == -1)
		err(1, "epoll");
	event.events = EPOLLIN;
	event.data.fd = inner;
	if (epoll_ctl(outer, EPOLL_CTL_ADD, inner, &event) == -1)
		err(1, "epoll");
	for (;;) {
		n = epoll_wait(outer, events, 2,
		    MHD_get_timeout(daemon, &timeout_ms) == MHD_YES ?
			(int)timeout_ms :
			-1);
		for (int i = 0; i < n; i++)
			if (events[i].data.fd == fd)
				accept_one(daemon, fd);
		MHD_run(daemon);
	}
}

_Noreturn static void
worker(int fd, pid_t parent)
{
	struct MHD_Daemon *daemon;

	self = getpid();
	sigprocmask(SIG_UNBLOCK, &watched, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET |
		MHD_USE_ERROR_LOG,
	    0, NULL, NULL, answer, NULL, MHD_OPTION_CONNECTION_LIMIT,
	    CONNECTION_LIMIT, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S,
	    MHD_OPTION_END);
	if (daemon == NULL)
		errx(1, "libmicrohttpd does not start");
	serve(daemon, fd);
}

static pid_t
worker_fork(int fd)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == -1)
		err(1, "fork");
	if (pid == 0)
		worker(fd, parent);
	return pid;
}

static int
listen_on(int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		err(1, "socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 },
		sizeof(int)) == -1 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) == -1 ||
	    listen(fd, 511) == -1)
		err(1, "127.0.0.1:%d", port);
	return fd;
}

int
main(int argc, char **argv)
{
	pid_t pids[MAX_WORKERS], gone;
	int workers = argc > 2 ? atoi(argv[2]) : 0;
	int fd;

	if (workers < 1 || workers > MAX_WORKERS)
		errx(2, "usage: floor PORT WORKERS [static]");
	fd = listen_on(atoi(argv[1]));
	if (argc > 3 && strcmp(argv[3], "static") == 0)
		static_response = response_new(NULL);
	sigemptyset(&watched);
	sigaddset(&watched, SIGTERM);
	sigaddset(&watched, SIGINT);
	sigaddset(&watched, SIGCHLD);
	sigprocmask(SIG_BLOCK, &watched, NULL);
	for (int i = 0; i < workers; i++)
		pids[i] = worker_fork(fd);
	while (sigwaitinfo(&watched, NULL) == SIGCHLD)
		while ((gone = waitpid(-1, NULL, WNOHANG)) > 0)
			for (int i = 0; i < workers; i++)
				if (pids[i] == gone)
					pids[i] = worker_fork(fd);
	for (int i = 0; i < workers; i++)
		kill(pids[i], SIGKILL);
	while (wait(NULL) != -1)
		continue;
	return 0;
}
