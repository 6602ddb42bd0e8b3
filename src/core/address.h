/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * address - "127.0.0.1:8080", "[::1]:8080", "unix:/path", each with an optional
 * "http://" before it, as a socket address. Numeric hosts, "localhost" and "*"
 * only: a config must not wait for a name server.
 */
#ifndef CORE_ADDRESS_H
#define CORE_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

struct why;

struct address {
	struct sockaddr_storage ss;
	socklen_t len;
	bool plain;		/* "http://" was in front */
	char text[160];		/* as written, without "http://" */
};

int address_parse(const char *text, struct address *address, struct why *why);

/* The peer's address for logs: "127.0.0.1:40404", "[::1]:9", "unix". */
#define ADDRESS_TEXT_SIZE 64
const char *address_format(const struct sockaddr *sa, socklen_t len,
    char buf[ADDRESS_TEXT_SIZE]);

#endif
