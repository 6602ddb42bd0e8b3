/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wait - the one way in which broodctl waits: for a descriptor, until a moment.
 */
#ifndef CTL_WAIT_H
#define CTL_WAIT_H

#include <stdint.h>

/*
 * Waits until `events` (poll(2)) happen on fd: 1; 0 when until_ns comes first,
 * -1 with errno. A moment in the past asks without waiting.
 */
int wait_fd(int fd, short events, int64_t until_ns);

#endif
