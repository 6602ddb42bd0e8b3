/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rabbit_net - bytes to a broker and back: TCP, or TLS on it; for rabbit*.c
 * alone.
 *
 * Only net_open() waits, with an end; the others move what can be moved at
 * once. The socket is our own and not the library's, so that nothing else ever
 * waits on it, and a failure keeps its errno.
 */
#ifndef AMQP_RABBIT_NET_H
#define AMQP_RABBIT_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/url.h"

struct conf;
struct conf_errors;
struct tls;
struct why;

struct net {
	int fd;			/* -1: none */
	struct tls *tls;	/* NULL: plain */
};

/* Resolves, connects, shakes hands: amqp.timeout for each. `alive` between. */
int net_open(struct net *net, const struct conf *conf, const struct url *url,
    void (*alive)(void *ctx), void *ctx, struct why *why);
void net_close(struct net *net);

/* How many bytes were moved; 0: none at the moment; -1 with the reason: there
 * will be no more. */
ssize_t net_recv(struct net *net, void *bytes, size_t len, struct why *why);
ssize_t net_send(struct net *net, const void *bytes, size_t len,
    struct why *why);
/* TLS has read what net_recv() has not given yet. */
bool net_has_more(const struct net *net);
/* Bytes that TLS has taken, though net_send() has not said so yet. */
size_t net_taken(const struct net *net);

/* Waits for the socket until then; false: it is later. */
bool net_wait(int fd, bool to_write, int64_t until_ns);

/* --- rabbit_tls.c */

/* What is in the files of amqp.tls: every error, "FILE: what, and what to do".
 * Part of amqp_role.check. */
void tls_check(const struct conf *conf, struct conf_errors *errors);

/* Reads certificates, which takes its time; NULL with the reason. */
struct tls *tls_new(const struct conf *conf, const struct url *url,
    struct why *why);
/* Shakes hands on the socket, which stays the caller's. */
int tls_open(struct tls *tls, int fd, const struct url *url, int64_t until_ns,
    struct why *why);
void tls_close(struct tls *tls);
ssize_t tls_recv(struct tls *tls, void *bytes, size_t len, struct why *why);
ssize_t tls_send(struct tls *tls, const void *bytes, size_t len,
    struct why *why);
bool tls_has_more(const struct tls *tls);
size_t tls_taken(const struct tls *tls);

#endif
