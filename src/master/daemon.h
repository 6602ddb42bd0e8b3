/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon - a master in the background, and somebody who waits until it serves.
 *
 *   broodd -d ──fork──► setsid ──fork──► master_run()
 *      │                  exits             │
 *      ◄──── "READY" or "FAILED reason" ────┘
 */
#ifndef MASTER_DAEMON_H
#define MASTER_DAEMON_H

#include "master/master.h"

/*
 * Runs the master in a process of its own without a terminal, its standard
 * descriptors on /dev/null, and returns once it serves or has failed. Takes
 * over `conf`. Returns 0 when it serves, else the status to exit with; *reason
 * is then a sentence, and NULL otherwise, that the caller frees. What it writes
 * to options->ready_fd is up to the caller, too.
 */
int daemon_run(struct conf *conf, const struct master_options *options,
    char **reason);

#endif
