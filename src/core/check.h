/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check - what only a start can know about a config, found out without one.
 *
 * A throw-away child drops privileges like any other, loads every module, runs
 * its start(), asks each role what it finds wrong, writes the errors to a pipe
 * and exits. A module that crashes, hangs or exits costs that child only and is
 * reported by name. broodd -t and every start wait for it; a reload watches the
 * pipe in the master's loop.
 */
#ifndef CORE_CHECK_H
#define CORE_CHECK_H

#include <sys/types.h>

#include "core/conf.h"
#include "core/privilege.h"
#include "core/role.h"

struct check {
	pid_t pid;
	int fd;			/* the pipe, non-blocking */
};

/* Forks. 0, or -1 with the reason. */
int check_start(struct check *check, const struct conf *conf,
    const struct role *const roles[ROLE_COUNT], const struct privilege *become,
    struct why *why);

/*
 * Takes what the pipe held, all of it (a complete text of NUL-terminated
 * errors), and the child's wait status, and adds the errors: those it wrote,
 * and one more when it did not end well.
 */
void check_collect(const char *text, size_t len, int wait_status,
    struct conf_errors *errors);

/* Blocks until it is over, at most timeout_ns, then kills. */
void check_wait(struct check *check, int64_t timeout_ns,
    struct conf_errors *errors);

/*
 * run_dir, state_dir, log and pid file folders: exist or can be made, and can
 * be written to; state_dir and the store's folder by whom children become
 * (NULL: by us). Adds an error for each that cannot.
 */
void check_folders(const struct conf *conf, const struct privilege *become,
    struct conf_errors *errors);

/* Makes those that are missing, and gives those of the hub to whom children
 * become, an empty state_dir that is root's included. Adds an error for each
 * that cannot be made. */
void check_make_folders(const struct conf *conf,
    const struct privilege *become, struct conf_errors *errors);

#endif
