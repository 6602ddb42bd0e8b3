/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * redis - redis-server on a Unix socket, in memory alone: it writes nothing to
 * the disk, so it promises less than the hub does.
 */
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ipc.h"

static bool
redis_poke(const struct ipc_run *run)
{
	int fd = ipc_connect(run->path);

	if (fd == -1)
		return false;
	close(fd);
	return true;
}

static void
redis_serve(const struct ipc_run *run, int ready_fd)
{
	(void)ready_fd;
	execlp("redis-server", "redis-server", "--port", "0", "--unixsocket",
	    run->path, "--save", "", "--appendonly", "no", "--dir", run->folder,
	    "--logfile", "redis.log", "--daemonize", "no", (char *)NULL);
	err(1, "redis-server");
}

static void
redis_ask(const struct ipc_run *run, unsigned client, struct ipc_count *count)
{
	struct ipc_stream stream = { .fd = ipc_connect(run->path) };
	char key[IPC_KEY_SIZE], set[512], request[512];

	if (stream.fd == -1)
		err(1, "%s", run->path);
	ipc_key(run, client, key);
	snprintf(set, sizeof(set),
	    "*3\r\n$3\r\nSET\r\n$16\r\n%s\r\n$100\r\n%s\r\n", key, ipc_value());
	stream.request = set;
	stream.request_len = strlen(set);
	stream.answer = strlen("+OK\r\n");
	switch (run->op) {
	case IPC_GET:
		ipc_stream_once(&stream);
		snprintf(request, sizeof(request),
		    "*2\r\n$3\r\nGET\r\n$16\r\n%s\r\n", key);
		stream.answer = strlen("$100\r\n\r\n") + IPC_VALUE_BYTES;
		break;
	case IPC_SET:
		memcpy(request, set, sizeof(set));
		break;
	case IPC_INCR:
		snprintf(request, sizeof(request),
		    "*3\r\n$6\r\nINCRBY\r\n$16\r\n%s\r\n$1\r\n1\r\n", key);
		stream.answer = 0;
		break;
	}
	stream.request = request;
	stream.request_len = strlen(request);
	ipc_stream_ask(&stream, run->depth, ipc_go(), count);
}

const struct ipc_target ipc_redis = {
	.name = "redis",
	.serve = redis_serve,
	.poke = redis_poke,
	.ask = redis_ask,
};
