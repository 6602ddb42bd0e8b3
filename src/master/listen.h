/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listen - the listening sockets, which only the master opens and closes.
 *
 * A reload keeps the socket of an address that stays, so that no connection in
 * its backlog is lost; sockets handed over by systemd (sd_listen_fds(3)) are
 * matched by their address.
 */
#ifndef MASTER_LISTEN_H
#define MASTER_LISTEN_H

#include <stddef.h>

#include "core/child.h"
#include "core/conf.h"

struct why;

struct listen_set {
	struct listener *v;
	size_t n;
};

/*
 * Opens rest.listen, taking over what `old` (may be NULL) has of it. On an
 * error the new ones are closed again and -1 is returned with every reason
 * added.
 */
int listen_open(struct listen_set *set, const struct conf *conf,
    const struct listen_set *old, struct conf_errors *errors);

/* Closes those of `set` that `keep` (may be NULL) does not have, unlinks Unix
 * sockets, and frees. */
void listen_close(struct listen_set *set, const struct listen_set *keep);

/* The children of a master that was killed may hold the addresses for up to a
 * second: waits until they are gone. Blocks; for a start only. */
void listen_outlive(const struct conf *conf);

/* A Unix socket for its owner only, in place of whatever file is there: for
 * who holds the lock on the pid file, so that whoever made that is gone. `key`
 * is the config's. -1 with the reason. */
int listen_private(const char *key, const char *path, int backlog,
    struct why *why);

/* Once the config is the current one: backlog and mode of those it has kept. */
void listen_apply(const struct listen_set *set, const struct conf *conf);

/* broodd -t: binds and closes again; an address that the running service of the
 * same config holds is fine (its pid file says so). */
void listen_check(const struct conf *conf, struct conf_errors *errors);

#endif
