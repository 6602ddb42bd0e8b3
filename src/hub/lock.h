/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lock - leases on names: one holder at a time, others in the order in which
 * they came.
 *
 * A lease ends with UNLOCK, with its time, or with its holder's connection.
 * When the hub is replaced, leases go on (lock_keep.c): they wait for their
 * holders' connections, end with their processes, or with their time. The fence
 * grows with every grant, for ever: it is stored ahead, in blocks.
 */
#ifndef HUB_LOCK_H
#define HUB_LOCK_H

#include "hub/hub.h"

/* Needs hub->store and hub->data: leases of before are there. */
struct locks *locks_new(struct hub *hub);
/* All peers are gone. */
void locks_free(struct locks *locks);

/* Processes have ended: leases that waited for them end. */
void lock_on_deaths(struct hub *hub);

/* Locks that are held, requests that wait. */
void locks_count(const struct hub *hub, size_t *held, size_t *waiting);

#endif
