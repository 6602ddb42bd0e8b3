/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load - requests without end, from a thread, to show that none fails.
 *
 * A strict client: it never repeats a request. A kept-alive connection that
 * ends instead of answering is a failure, and so is every other status than
 * the one that is wanted. When an answer says `Connection: close` the client
 * opens a new one, as it has to.
 */
#ifndef SYSTEM_LOAD_H
#define SYSTEM_LOAD_H

#include <stdatomic.h>
#include <stdbool.h>

#include "daemon.h"

#define LOAD_MAX 64

struct load;

/* `keep`: connections are kept alive. The request is a GET of path. */
struct load *load_start(const struct daemon *daemon, const char *path,
    int connections, bool keep);

/* Waits until so many more answers have come since now. */
void load_await(struct load *load, long answers);

/* Answers so far that had status 200, and everything else. */
long load_good(struct load *load);
long load_bad(struct load *load);

/* Stops; fails the test with the first failure, if there was any. */
void load_stop(struct load *load);

/* Stops and returns how many failed. */
long load_end(struct load *load);

#endif
