/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ctl - the control tool and the control socket.
 */
#ifndef SYSTEM_CTL_H
#define SYSTEM_CTL_H

#include <jansson.h>
#include <stdbool.h>

#include "daemon.h"
#include "proc.h"

/* broodctl -c CONF ARG… (NULL ends them); see run_program(). */
void ctl_run(const struct daemon *daemon, struct run *run, ...)
    __attribute__((sentinel));

/*
 * The same through the control socket, without a process: the final answer, a
 * new reference. Events are dropped. NULL when the connection ended without.
 */
json_t *ctl_ask(const struct daemon *daemon, const char *cmd, ...)
    __attribute__((sentinel));

/* The same with the wire's line as it stands; adds the newline. */
json_t *ctl_line(const struct daemon *daemon, const char *line);

/* The next answer that is no event from an open control connection. */
json_t *ctl_read(int fd);

/* A reload that has to go well; one that has to be refused, with a reason that
 * has all of these parts (NULL ends them). */
void ctl_reload(const struct daemon *daemon);
void ctl_reload_refused(const struct daemon *daemon, const char *part, ...)
    __attribute__((sentinel));

/* `data` of status, a new reference; fails the test when there is none. */
json_t *ctl_status(const struct daemon *daemon);

/* Of a pool's row in status: an integer, -1 if absent. */
long ctl_pool(const struct daemon *daemon, const char *role, const char *key);

/* Waits until a condition on status holds; false when patience ends. */
typedef bool ctl_condition(json_t *status, void *ctx);
bool ctl_until(const struct daemon *daemon, ctl_condition *holds, void *ctx);

/* Fails the test, printing the last status, unless it comes to hold. */
void ctl_require(const struct daemon *daemon, const char *what,
    ctl_condition *holds, void *ctx);

/* Waits until a pool's integer is between low and high. */
void ctl_require_pool(const struct daemon *daemon, const char *role,
    const char *key, long low, long high);

/* Pids of the REST workers in status; how many, at most max. */
size_t ctl_pids(const struct daemon *daemon, pid_t *pids, size_t max);

/* The i-th row of the REST workers, borrowed; NULL behind the last. */
json_t *ctl_row(json_t *status, size_t i);
/* The same of any pool, "hub" or "background:watcher" say. */
json_t *ctl_row_of(json_t *status, const char *role, size_t i);
/* The pid of the one child of such a pool that is ready or busy; 0: none. */
pid_t ctl_pid_of(const struct daemon *daemon, const char *role);
/* kill -9 of that one; waits until there is one. */
void ctl_kill(const struct daemon *daemon, const char *role);

/* The row of a child, borrowed; NULL if there is none. */
json_t *ctl_child(json_t *status, pid_t pid);
json_t *ctl_pool_row(json_t *status, const char *role);

/* Shorthands of jansson's. */
const char *ctl_text(json_t *object, const char *key);	/* "" if none */
long ctl_int(json_t *object, const char *key);		/* -1 if none */

#endif
