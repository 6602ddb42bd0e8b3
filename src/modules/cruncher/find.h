/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * find - the e-mail addresses in a text, exactly those of
 *
 *   grep -aoE '[a-zA-Z0-9_.+-]+@[a-zA-Z0-9-]+\.[a-zA-Z0-9.-]+' |
 *       LC_ALL=C sort -u
 *
 * The time is linear in the length of the text, whatever the text.
 */
#ifndef CRUNCHER_FIND_H
#define CRUNCHER_FIND_H

#include <jansson.h>
#include <stddef.h>

#include "brood.h"

/* Once in a child; -1 with the reason. */
int find_start(char why[BROOD_WHY_SIZE]);
void find_stop(void);

/* The distinct addresses in the order of their bytes, a new array of strings;
 * NULL after a line in the log. */
json_t *find_addresses(const char *text, size_t len);

#endif
