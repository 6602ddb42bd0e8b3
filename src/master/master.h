/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * master - owns the listening sockets, the scoreboard and the control socket;
 * forks, watches, drains, respawns and reaps.
 *
 * One thread, one event loop, never a blocking call after start-up, no HTTP, no
 * module code, no data plane: it cannot be brought down by what it supervises.
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <stdbool.h>

#include "core/conf.h"
#include "core/privilege.h"
#include "core/role.h"

struct master_options {
	const struct role *const *roles;	/* ROLE_COUNT, by role_id */
	struct privilege become;
	/*
	 * Where to say how the start went: "READY\n" once every pool has its
	 * first workers, or "FAILED the reason\n"; then closed. -1: nowhere.
	 */
	int ready_fd;
	bool daemon;		/* detached: for messages only */
};

/*
 * Runs the service until it is told to stop; takes over `conf`. Returns the
 * exit status for the process: 0, 78 (the config cannot work), 1 (a role never
 * came up; a system call that a start needs failed; port or pid file in use).
 */
int master_run(struct conf *conf, const struct master_options *options);

#endif
