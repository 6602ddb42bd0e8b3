/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * role - what a child is for: a struct of functions that core/child calls in
 * one order for everybody. No role writes its own loop, fork or signal code.
 */
#ifndef CORE_ROLE_H
#define CORE_ROLE_H

#include <stddef.h>

struct child;
struct conf;
struct conf_errors;
struct module_registry;
struct why;

enum role_id {
#define ROLE(id, name, kind, needs, help) ROLE_##id,
#include "core/role.def"
#undef ROLE
	ROLE_COUNT
};

enum role_kind { ROLE_POOL, ROLE_ONE, ROLE_EACH };
enum role_needs {
	ROLE_LISTEN = 1,
	ROLE_MODULES = 2,
	ROLE_CLIENT = 4,
	ROLE_SERVE = 8,
};

/* The row of role.def. */
struct role_info {
	const char *name;
	enum role_kind kind;
	unsigned needs;
	const char *help;
};

extern const struct role_info role_info[ROLE_COUNT];

/* The role by its name, or -1. */
int role_parse(const char *name);

/*
 * What a role does. Every function runs in the child, after privileges were
 * dropped, on the child's loop.
 */
struct role {
	/*
	 * All that init() would find wrong with this config, every error and
	 * not just the first. Runs in a throw-away process (see check.h) where
	 * the modules are loaded; opens and keeps nothing.
	 */
	void (*check)(const struct conf *conf,
	    const struct module_registry *modules, struct conf_errors *errors);
	/*
	 * Modules are loaded; set up and be able to work when it returns 0.
	 * -1 with the reason: the child exits 78 and the role is held.
	 */
	int (*init)(struct child *child, struct why *why);
	/*
	 * Take no new work and call child_drained() once the work in hand is
	 * done, now or later.
	 */
	void (*drain)(struct child *child);
	/*
	 * A connection of the control socket was handed over (CMD_HUB in
	 * cmd.def): owns fd. NULL for a role that takes none.
	 */
	void (*control)(struct child *child, int fd);
	/* The master says that a child has ended (board_death_find()). May be
	 * NULL. */
	void (*death)(struct child *child);
	/* Last, in good order. */
	void (*fini)(struct child *child);
};

#endif
