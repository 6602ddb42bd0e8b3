/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * task - the roles that run handlers for the hub: workers, one call at a time,
 * and background tasks, one process for each entry of tasks.background.
 */
#ifndef TASK_TASK_H
#define TASK_TASK_H

#include "core/role.h"

extern const struct role task_role;
extern const struct role background_role;

#endif
