/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * respawn - from the kill -9 of a worker to its replacement's first answer.
 *
 *   respawn MASTER_PID PORT PATH SAMPLES GAP_MS [TITLE]
 *
 * The server under test has one worker, its only child, or the only one whose
 * name begins with TITLE. Each sample kills it, connects at
 * once and sends a request: the listening socket is the master's, so the
 * connection waits in the backlog until a new worker accepts it, and nothing
 * is polled. The time from kill(2) to the whole answer contains everything:
 * the master noticing, fork, set-up, accept, the request.
 *
 * A worker that sleeps in accept(2) may take the new connection with it as it
 * dies; the request is then made again, and the clock goes on. Prints a line a
 * sample: the time in microseconds, and how many connections died that way.
 *
 * Between samples the worker lives for GAP_MS to twice that, at random, so
 * that a master with a periodic tick is hit at any point of its period and
 * the worker does not count as one that died young.
 */
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_TIMEOUT_S 30

static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Does its name begin so? */
static bool
is_called(long pid, const char *title)
{
	char path[64], name[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	if (fgets(name, sizeof(name), file) == NULL)
		name[0] = '\0';
	fclose(file);
	return strncmp(name, title, strlen(title)) == 0;
}

/* The only child with that title; it is an error if there is more than one. */
static pid_t
worker_of(pid_t master, const char *title)
{
	char path[64];
	long pid, found = 0;
	FILE *file;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)master,
	    (int)master);
	file = fopen(path, "re");
	if (file == NULL)
		err(1, "%s", path);
	while (fscanf(file, "%ld", &pid) == 1)
		if (is_called(pid, title)) {
			found = pid;
			n++;
		}
	fclose(file);
	if (n != 1)
		errx(1, "the master has %s",
		    n > 1 ? "several workers" : "no worker");
	return (pid_t)found;
}

/* One request on a new connection, until the server's close; false when it
 * was reset or closed without an answer. */
static bool
request(int port, const char *path)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct timeval limit = { .tv_sec = ANSWER_TIMEOUT_S };
	char buf[4096];
	size_t len = 0;
	ssize_t n;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd == -1)
		err(1, "socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == -1)
		err(1, "connect");
	n = snprintf(buf, sizeof(buf),
	    "GET %s HTTP/1.1\r\n"
	    "Host: 127.0.0.1\r\nConnection: close\r\n\r\n",
	    path);
	if (send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
		err(1, "send");
	while ((n = recv(fd, buf + len, sizeof(buf) - 1 - len, 0)) > 0)
		len += (size_t)n;
	if (n == -1 && errno != ECONNRESET)
		err(1, "no answer");
	close(fd);
	if (len == 0)
		return false;
	buf[len] = '\0';
	if (strncmp(buf, "HTTP/1.1 200 ", 13) != 0)
		errx(1, "not the answer expected: %.40s", buf);
	return true;
}

static void
let_live(long gap_ms)
{
	long ms = gap_ms + (gap_ms > 0 ? random() % gap_ms : 0);
	struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&pause, NULL);
}

int
main(int argc, char **argv)
{
	pid_t master, old;
	int64_t start, took;
	int port, samples, lost;
	const char *title;
	long gap_ms;

	if (argc != 6 && argc != 7)
		errx(2,
		    "usage: respawn MASTER_PID PORT PATH SAMPLES GAP_MS "
		    "[TITLE]");
	master = (pid_t)atoi(argv[1]);
	port = atoi(argv[2]);
	samples = atoi(argv[4]);
	gap_ms = atol(argv[5]);
	title = argc == 7 ? argv[6] : "";
	srandom((unsigned)time(NULL));
	if (!request(port, argv[3]))
		errx(1, "no answer");
	for (int i = 0; i < samples; i++) {
		let_live(gap_ms);
		old = worker_of(master, title);
		start = now_ns();
		if (kill(old, SIGKILL) == -1)
			err(1, "kill %d", (int)old);
		for (lost = 0; !request(port, argv[3]); lost++)
			if (now_ns() - start > ANSWER_TIMEOUT_S * 1000000000LL)
				errx(1, "no answer");
		took = now_ns() - start;
		if (worker_of(master, title) == old)
			errx(1, "worker %d answered after its death", (int)old);
		printf("%lld %d\n", (long long)(took / 1000), lost);
		fflush(stdout);
	}
	return 0;
}
