/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd - the control commands, from cmd.def, for broodctl and for the master.
 */
#ifndef CORE_CMD_H
#define CORE_CMD_H

enum cmd_id {
#define CMD(name, arguments, min, max, where, timeout_s, help) CMD_ID_##name,
#include "core/cmd.def"
#undef CMD
	CMD_COUNT
};

enum cmd_where { CMD_LOCAL, CMD_MASTER, CMD_HUB };

struct cmd_info {
	const char *name;
	const char *arguments;
	int min, max;
	enum cmd_where where;
	int timeout_s;
	const char *help;
};

extern const struct cmd_info cmd_info[CMD_COUNT];

/* The command by its name, or -1; *near is then the nearest name or NULL. */
int cmd_parse(const char *name, const char **near);

/* Exit statuses of broodctl and codes of an answer. */
enum cmd_code { CMD_OK = 0, CMD_FAILED = 1, CMD_USAGE = 2 };

#endif
