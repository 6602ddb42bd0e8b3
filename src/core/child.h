/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * child - the life of a child, written once for every role.
 *
 * child_run() is called right after fork(2) and never returns. In this order:
 * close what is the master's, signals, name, crash guard, privileges, death
 * signal, loop, channel, scoreboard, modules, role init, "ready", the loop;
 * then drain, role fini, modules stop, exit.
 *
 * Exit status: 0 it was asked to, or a background handler is done; 75
 * (EX_TEMPFAIL) a background handler failed; 78 (EX_CONFIG) respawning cannot
 * help; 70 (EX_SOFTWARE) a handler called exit(); anything else or a signal: a
 * crash.
 */
#ifndef CORE_CHILD_H
#define CORE_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/loop.h"
#include "core/conf.h"
#include "core/module.h"
#include "core/privilege.h"
#include "core/role.h"
#include "core/scoreboard.h"

/* A listening socket, opened by the master. */
struct listener {
	int fd;
	bool tls;
	bool is_unix;
	char text[160];		/* "127.0.0.1:8080" */
};

/* What the master prepares before the fork. */
struct child_spec {
	enum role_id role_id;
	const struct role *role;
	const struct conf *conf;
	struct board board;
	unsigned slot;
	unsigned generation;
	int chan_fd;			/* the child's end */
	pid_t master_pid;
	struct privilege become;
	const struct listener *listener;
	size_t listeners;
	int hub_fd;			/* the hub's listening socket; others
					   close it */
	int entry;			/* of a ROLE_EACH: its index in the
					   config's list; -1 */
};

#define CHILD_NAME_SIZE 80

struct child {
	struct child_spec spec;
	const struct conf *conf;
	struct loop loop;
	struct board *board;		/* &spec.board */
	struct slot *slot;
	struct module_registry *modules;
	struct hub_client *hub;		/* ROLE_CLIENT, by its init */
	bool draining;
	bool retiring;			/* has asked to be replaced */
	void *role_data;
	char name[CHILD_NAME_SIZE];
	/* child.c's own */
	struct loop_io chan;
	struct loop_timer heartbeat;
	struct loop_timer lifetime;
	uint64_t tidied_at_calls;	/* slot->calls at the last trim */
	uint64_t requests_left;		/* UINT64_MAX: no limit */
	bool drained;
};

_Noreturn void child_run(const struct child_spec *spec);

/* By a role: the work in hand is done; ends the loop. */
void child_drained(struct child *child);

/* By a role, whenever it gains or loses room for connections. call_run() does
 * it around a call by itself. */
void child_set_spare(struct child *child, bool spare);

/*
 * Takes what the control channel holds and a TERM that waits, without blocking;
 * true when the child is to drain. For a handler that does not return to the
 * loop for long.
 */
bool child_poll_orders(struct child *child);

/* "rest", "background:watcher"; returns buf. */
const char *child_name(enum role_id role, const struct conf *conf, int entry,
    char buf[CHILD_NAME_SIZE]);

/* Rings the master (LOOK). */
void child_ring(struct child *child);

/* By call_run(): one request of max_requests is used up. */
void child_count_request(struct child *child);

/* The reason goes to the log and into the slot, then the process ends. */
_Noreturn void child_fail(struct child *child, int exit_status,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* --- child_guard.c */

/*
 * Once per child: handlers for fatal signals on a stack of their own, for the
 * master's order to give a call up, for the master's death, and for exit().
 */
int child_guard_init(struct slot *slot);

/*
 * The guard around a handler. Between the two, a fatal signal or an exit()
 * sends `crash_text` to fd, and the master's order to give up sends
 * `overrun_text`. child_guard_end() says whether the latter happened. fd -1 and
 * NULL texts: nobody to tell.
 */
void child_guard_begin(int fd, const char *crash_text,
    const char *overrun_text);
bool child_guard_end(void);

/* Handlers follow one right after the other, up to child_guard_row(false): what
 * can be done once for all of them is. */
void child_guard_row(bool on);

/*
 * Bytes that a socket is to get: when the handler takes the process down, is
 * told to give up or takes longer than expected, they are sent from the signal
 * handler, as far as the socket takes them. Whoever entrusted them must reclaim
 * them before he touches them, and learns how many were sent.
 */
void child_guard_entrust(int fd, const char *bytes, size_t len);
size_t child_guard_reclaim(void);

/* What the master sends when a call's deadline has passed. */
#define CHILD_SIGNAL_OVERRUN (SIGRTMIN + 1)
/* What the kernel sends when the master is gone. */
#define CHILD_SIGNAL_ORPHAN (SIGRTMIN + 2)
/* What the hub sends when it misses an answer: what is entrusted is to leave
 * now. One that is ignored by default, for the pid may be another's by then. */
#define CHILD_SIGNAL_HURRY SIGURG

/* Exit statuses, of sysexits(3). */
#define CHILD_EXIT_FAILED 75	/* a background handler asks for another go */
#define CHILD_EXIT_SOFTWARE 70	/* a handler called exit() */
#define CHILD_EXIT_CONFIG 78	/* respawning cannot help */

#endif
