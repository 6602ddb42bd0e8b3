/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * outbox_look - what people see of the outbox and do about it: how much waits,
 * what becomes of one message, that held ones go. Called by desk*.c and
 * report*.c.
 */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/mem.h"
#include "hub/outbox_impl.h"

void
outbox_watches_tell(struct outbox *outbox, uint64_t uid, enum sent_how how,
    const char *why)
{
	struct outbox_watch *watch = NULL, *next;

	DL_FOREACH_SAFE(outbox->watches, watch, next)
	{
		if (watch->uid != uid)
			continue;
		DL_DELETE(outbox->watches, watch);
		watch->fn(watch->ctx, how, why);
		free(watch);
	}
}

void
outbox_watches_free(struct outbox *outbox)
{
	struct outbox_watch *watch = NULL, *next;

	DL_FOREACH_SAFE(outbox->watches, watch, next)
	{
		DL_DELETE(outbox->watches, watch);
		free(watch);
	}
}

uint64_t
outbox_watch(struct hub *hub, uint64_t uid, outbox_watch_fn *fn, void *ctx)
{
	struct outbox *outbox = hub->outbox;
	struct outbox_watch *watch;
	size_t i = outbox != NULL ? outbox->n : 0;

	/* it was added a moment ago */
	while (i > 0 &&
	    (outbox->v[i - 1].uid != uid || outbox->v[i - 1].state == GONE))
		i--;
	if (i == 0)
		return 0;
	watch = mem_alloc(sizeof(*watch));
	watch->handle = ++outbox->handle;
	watch->uid = uid;
	watch->fn = fn;
	watch->ctx = ctx;
	DL_APPEND(outbox->watches, watch);
	return watch->handle;
}

void
outbox_unwatch(struct hub *hub, uint64_t handle)
{
	struct outbox_watch *watch = NULL, *next;

	if (hub->outbox == NULL || handle == 0)
		return;
	DL_FOREACH_SAFE(hub->outbox->watches, watch, next)
	{
		if (watch->handle != handle)
			continue;
		DL_DELETE(hub->outbox->watches, watch);
		free(watch);
	}
}

void
outbox_count(const struct hub *hub, struct outbox_count *count)
{
	const struct outbox *outbox = hub->outbox;
	size_t i = 0;

	memset(count, 0, sizeof(*count));
	if (outbox == NULL)
		return;
	count->messages = outbox_count_live(outbox);
	count->bytes = outbox->bytes;
	count->under_way = outbox->under_way;
	count->held = outbox->held;
	count->confirmed = outbox->confirmed;
	count->returned = outbox->returned;
	while (i < outbox->n && outbox->v[i].state == GONE)
		i++;
	if (i < outbox->n && hub->wall_ms > outbox->v[i].at_ms)
		count->oldest_ms = hub->wall_ms - outbox->v[i].at_ms;
	if (outbox->held > 0)
		memcpy(count->held_why, outbox->held_why,
		    sizeof(count->held_why));
}

size_t
outbox_purge_held(struct hub *hub)
{
	struct outbox *outbox = hub->outbox;
	size_t n = 0;

	if (outbox == NULL)
		return 0;
	for (size_t i = 0; i < outbox->n; i++) {
		if (outbox->v[i].state == GONE || !outbox->v[i].was_held)
			continue;
		entry_set(outbox, &outbox->v[i], GONE);
		n++;
	}
	if (n > 0) {
		outbox_erase(outbox, 0, outbox->n - 1);
		outbox_compact(outbox);
		hub->sync |= hub->conf->tasks.durability == CONF_DURABLE_FULL;
	}
	return n;
}
