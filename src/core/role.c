/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * role - the rows of role.def as a table, and a role by its name.
 *
 * Used by whoever prints or reads a role's name: master, status, broodctl's
 * arguments, logs. What a role does is its own `struct role`, listed in
 * broodd.c; this file links into programs that have no roles at all.
 */
#include "core/role.h"

#include <string.h>

const struct role_info role_info[ROLE_COUNT] = {
#define ROLE(id, name, kind, needs, help) \
	[ROLE_##id] = { #name, kind, needs, help },
#include "core/role.def"
#undef ROLE
};

int
role_parse(const char *name)
{
	for (int id = 0; id < ROLE_COUNT; id++)
		if (strcmp(role_info[id].name, name) == 0)
			return id;
	return -1;
}
