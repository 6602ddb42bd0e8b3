/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * body - what a command passes on as a body: JSON from the command line, or
 * standard input.
 */
#ifndef CTL_BODY_H
#define CTL_BODY_H

#include <jansson.h>

#include "ctl/ctl.h"

/*
 * The last argument of call, submit, publish and set as "json" or "body" of
 * `line`; how many arguments stand before it is *n. -1 with the reason and the
 * exit status in *code.
 */
int body_put(const struct ctl *ctl, char *const *args, int *n, json_t *line,
    int *code, struct why *why);

#endif
