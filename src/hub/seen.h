/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seen - the last amqp.remember messages that are done, by uid; for
 * hub.remember at most.
 *
 * In the store a table that is only appended to and shortened at its old end:
 * 8 bytes a message, and some 40 a transaction. In memory a ring and a hash of
 * it, 24 bytes for each place; there are a power of two of these, with room for
 * a sixteenth and 65536 more than amqp.remember. So 200000 take 12.6 MB (63
 * bytes a message), and millions 26 to 51 bytes each.
 */
#ifndef HUB_SEEN_H
#define HUB_SEEN_H

#include "hub/hub.h"

struct seen;

int seen_start(struct hub *hub, struct why *why);
void seen_stop(struct hub *hub);
void seen_add(struct hub *hub, uint64_t uid);
bool seen_has(const struct hub *hub, uint64_t uid);
size_t seen_count(const struct hub *hub);
/* There are some that no commit has written yet. One that has nothing else to
 * write leaves them for later while they are held. */
bool seen_is_fresh(const struct hub *hub);
void seen_hold(struct hub *hub, bool held);

#endif
