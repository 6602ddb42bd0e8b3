/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watch - who is told of which keys and topics.
 *
 * A watch is a prefix. A change or a notification costs the watchers that it
 * concerns and a look-up for each length of prefix that is in use, however many
 * watches there are. What a watcher does not read counts against its own
 * hub.max_unread.
 */
#ifndef HUB_WATCH_H
#define HUB_WATCH_H

#include "hub/data.h"
#include "hub/hub.h"

struct watches *watches_new(void);
/* All peers are gone. */
void watches_free(struct watches *watches);

/* An EVENT to each peer that watches this key or topic; returns to how many. */
size_t watch_tell(struct hub *hub, enum data_event what,
    const struct data_value *value);

size_t watches_count(const struct hub *hub);

#endif
