/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broodd - runs the program broodd.
 */
#ifndef CTL_BROODD_H
#define CTL_BROODD_H

#include "ctl/ctl.h"

/*
 * Runs "broodd OPTION -c CONFIG" to its end, its messages on our stderr.
 * Returns its exit status, 0 when all is well; otherwise `why` has a sentence,
 * also for a program that is not there, was killed, or did not end in time.
 */
int broodd_run(const struct ctl *ctl, const char *option, struct why *why);

#endif
