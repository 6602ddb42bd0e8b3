/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_check - what has to hold between the keys of a config, each of which is
 * right by itself; for conf_load.c alone.
 */
#ifndef CORE_CONF_CHECK_H
#define CORE_CONF_CHECK_H

#include "core/conf_table.h"

/* Where the keys that were given stand, by the address of their member. */
struct conf_places {
	struct conf_placed {
		const void *member;
		struct conf_place place;
	} *v;
	size_t n;
};

/*
 * Checks, adds every error, and reads the TLS files into `conf`. What is at
 * fault in a list goes from it, or lacks what it must have, for conf_prune().
 * `errors_before` is how many errors there were before this config was read.
 */
void conf_check(struct conf *conf, const char *folder,
    const struct conf_places *places, size_t errors_before,
    struct conf_errors *errors);

#endif
