/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd - the rows of cmd.def as a table, and a command by its name.
 *
 * broodctl parses its arguments and prints its help with it, the master
 * dispatches with it; neither keeps a list of its own.
 */
#include "core/cmd.h"

#include <stddef.h>
#include <string.h>

#include "core/conf.h"

const struct cmd_info cmd_info[CMD_COUNT] = {
#define CMD(name, arguments, min, max, where, timeout_s, help) \
	[CMD_ID_##                                             \
	    name] = { #name, arguments, min, max, where, timeout_s, help },
#include "core/cmd.def"
#undef CMD
};

int
cmd_parse(const char *name, const char **near)
{
	const char *names[CMD_COUNT];

	*near = NULL;
	for (int id = 0; id < CMD_COUNT; id++) {
		names[id] = cmd_info[id].name;
		if (strcmp(names[id], name) == 0)
			return id;
	}
	*near = conf_nearest(name, names, CMD_COUNT);
	return -1;
}
