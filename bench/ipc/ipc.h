/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ipc - what the programs of this benchmark share: servers that are asked the
 * same, each with a client of its own kind.
 *
 *   brood    the hub, forked and set up as the master does it; asked with
 *            hub_ask() or hub_send(), which leave a value where it came to
 *   handler  the same with brood_get() and its like, as by a handler, who is
 *            given a copy
 *   redis    redis-server on a Unix socket; asked in RESP, value left likewise
 *   floor    a bare epoll loop that sends as many bytes as it is asked for
 *
 * A client asks one thing at a time (depth 1: send, poll, recv) or keeps
 * `depth` requests in flight, a new one for each answer, written together with
 * those of the other answers that came at once.
 */
#ifndef BENCH_IPC_H
#define BENCH_IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum ipc_op { IPC_GET, IPC_SET, IPC_INCR };

#define IPC_VALUE_BYTES 100
#define IPC_MAX_CLIENTS 64

struct ipc_run {
	enum ipc_op op;
	unsigned clients;
	unsigned depth;
	char folder[64];		/* for sockets and files */
	char path[100];			/* the server's socket */
	const char *durability;		/* brood: of shared data */
};

/* What a client counts. */
struct ipc_count {
	uint64_t done;			/* requests that were answered */
	uint32_t *sample_ns;		/* how long each took; depth 1 only */
	size_t samples, samples_max;
};

struct ipc_target {
	const char *name;
	/* Before anything is forked. */
	void (*prepare)(struct ipc_run *run);
	/* In a process of its own: the server. Writes a byte to ready_fd once
	 * it can be asked, or becomes a program and leaves that to poke(). */
	void (*serve)(const struct ipc_run *run, int ready_fd);
	/* Can it be asked yet? NULL where serve() says so. */
	bool (*poke)(const struct ipc_run *run);
	/* In a process of its own: connects, puts its key there, calls
	 * ipc_go() and asks until the moment that this returns. */
	void (*ask)(const struct ipc_run *run, unsigned client,
	    struct ipc_count *count);
};

extern const struct ipc_target ipc_brood, ipc_handler, ipc_redis, ipc_floor;

/* 16 bytes: a client's own, but all add to one counter. */
#define IPC_KEY_SIZE 17
void ipc_key(const struct ipc_run *run, unsigned client,
    char key[IPC_KEY_SIZE]);
const char *ipc_value(void);		/* IPC_VALUE_BYTES, no JSON */

/* Waits for the other clients; when to end. */
int64_t ipc_go(void);

/* By serve(), when the server is not the process that it runs in. */
void ipc_server_is(pid_t pid);

void ipc_note(struct ipc_count *count, int64_t took_ns);

/* --- stream.c: the loop of the clients that speak bytes themselves. All
 * answers to one request have one length, `answer`: of a number that grows
 * it is 0, and they end with a newline. */
struct ipc_stream {
	int fd;
	const char *request;
	size_t request_len, answer;
};
int ipc_listen(const char *path);	/* exits when it can't */
int ipc_connect(const char *path);	/* non-blocking; -1 */
/* One request, one answer. */
void ipc_stream_once(const struct ipc_stream *stream);
void ipc_stream_ask(const struct ipc_stream *stream, unsigned depth,
    int64_t end_ns, struct ipc_count *count);

#endif
