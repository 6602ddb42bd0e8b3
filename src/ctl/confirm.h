/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * confirm - asks before something is gone for good.
 */
#ifndef CTL_CONFIRM_H
#define CTL_CONFIRM_H

#include "ctl/ctl.h"

/* CMD_OK: go on, and the request says so ("yes" among ctl->members). Else it
 * was told why not, and this is the exit status. */
int confirm_purge(struct ctl *ctl, const char *queue);

#endif
