/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * effects_impl - what effects.c, effects_publish.c and delivery.c share; nobody
 * else includes it.
 */
#ifndef HUB_EFFECTS_IMPL_H
#define HUB_EFFECTS_IMPL_H

#include "hub/effects.h"

struct buf;

/* The job that a message is in a queue, by its index; lies in part in `attrs`,
 * a buffer of the caller's, which is cleared before. */
void publish_job(struct hub *hub, const struct msg_PUBLISH *publish,
    size_t index, struct buf *attrs, struct msg_SUBMIT *submit);

/* Is it the answer to a brood_request()? Then to that of which message. */
bool publish_is_direct(const struct msg_PUBLISH *publish, uint64_t *uid);

/* To all that take it; returns how many. `ours`: the hub made it, and nobody
 * sends it again. `queue` has room for an index of each queue. */
size_t publish_all(struct hub *hub, const struct msg_PUBLISH *publish,
    bool ours, size_t *queue);

/* May it be sent to the broker, as the nth of a call whose others had so many
 * bytes? `queue` as above. */
enum hub_code publish_check(struct hub *hub, const struct msg_PUBLISH *publish,
    size_t *queue, size_t nth, size_t *bytes, struct why *why);

/* Nobody did. */
void publish_lost(const struct msg_PUBLISH *publish);

#endif
