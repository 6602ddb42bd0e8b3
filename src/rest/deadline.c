/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * deadline - waiting lists by time.
 *
 * Used by front (fresh and lingering sockets) and http (requests being
 * received, idle connections, answers being taken). Entries come in the order
 * of their `since`, so the first is the one that is due first; one that comes a
 * little out of order is noticed a little late, never early.
 */
#include "rest/deadline.h"

#include <stddef.h>

#include "base/clock.h"

static int64_t
deadline_at(const struct deadline_list *list, const struct deadline *deadline)
{
	int64_t at;

	if (__builtin_add_overflow(deadline->since_ns, list->timeout_ns, &at))
		return CLOCK_NEVER;
	return at;
}

struct deadline *
deadline_first(const struct deadline_list *list)
{
	return list->ends.next != &list->ends ? list->ends.next : NULL;
}

static void
deadline_list_arm(struct deadline_list *list)
{
	struct deadline *first = deadline_first(list);

	if (first != NULL)
		loop_timer_set(list->loop, &list->timer,
		    deadline_at(list, first));
}

static void
deadline_list_due(void *ctx)
{
	struct deadline_list *list = ctx;
	struct deadline *first;
	int64_t now = clock_now_ns();

	while ((first = deadline_first(list)) != NULL &&
	    deadline_at(list, first) <= now) {
		deadline_del(first);
		list->expired(first, now);
	}
	deadline_list_arm(list);
}

void
deadline_list_init(struct deadline_list *list, struct loop *loop,
    int64_t timeout_ns, deadline_fn *expired)
{
	list->ends.prev = list->ends.next = &list->ends;
	list->loop = loop;
	list->timeout_ns = timeout_ns;
	list->expired = expired;
	loop_timer_init(&list->timer, deadline_list_due, list);
}

void
deadline_list_release(struct deadline_list *list)
{
	if (list->loop != NULL)
		loop_timer_cancel(list->loop, &list->timer);
}

void
deadline_list_timeout(struct deadline_list *list, int64_t timeout_ns)
{
	list->timeout_ns = timeout_ns;
	deadline_list_arm(list);
}

void
deadline_add(struct deadline_list *list, struct deadline *deadline,
    int64_t since_ns)
{
	deadline_del(deadline);
	deadline->list = list;
	deadline->since_ns = since_ns;
	deadline->prev = list->ends.prev;
	deadline->next = &list->ends;
	deadline->prev->next = deadline;
	list->ends.prev = deadline;
	if (!loop_timer_is_set(&list->timer))
		deadline_list_arm(list);
}

void
deadline_del(struct deadline *deadline)
{
	if (deadline->next == NULL)
		return;
	deadline->prev->next = deadline->next;
	deadline->next->prev = deadline->prev;
	deadline->prev = deadline->next = NULL;
}
