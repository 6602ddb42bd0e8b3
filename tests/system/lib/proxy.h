/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proxy - a network between the service and its broker that can fail as
 * networks do: a thread that passes bytes on, or keeps them.
 */
#ifndef SYSTEM_PROXY_H
#define SYSTEM_PROXY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

enum proxy_mood {
	PROXY_PASSES,
	/* Half-open: connections stand, new ones too, and nothing comes
	 * through. */
	PROXY_MUTE,
	/* Answers whatever comes as a web server does, and hangs up. */
	PROXY_WEB,
	/* Takes a connection and closes it at once. */
	PROXY_CLOSES,
};

#define PROXY_PAIRS 64

struct proxy {
	int port;
	int to_port;
	int listen_fd, wake_fd;
	_Atomic int mood;
	_Atomic int accepted; /* connections so far */
	_Atomic int cut;      /* cuts that are asked for */
	int was_cut, awaited;
	pthread_t thread;
	int pair[PROXY_PAIRS][2];
	size_t pairs;
};

void proxy_start(struct proxy *proxy, int to_port);
void proxy_set(struct proxy *proxy, enum proxy_mood mood);
/* Waits until it has had so many connections. */
void proxy_await(struct proxy *proxy, int accepted);
/* Closes every connection, with a reset. */
void proxy_cut(struct proxy *proxy);
void proxy_stop(struct proxy *proxy);

#endif
