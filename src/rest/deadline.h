/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * deadline - things that wait the same time each, in the order they began.
 *
 * One list has one timeout and one loop timer, so that to begin and to stop
 * waiting costs a few stores: no system call and no heap. The timer is left set
 * when the list empties; it fires once for nothing and then rests.
 */
#ifndef REST_DEADLINE_H
#define REST_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"

struct deadline_list;

/* Embedded in what waits; in one list at most. */
struct deadline {
	struct deadline *prev, *next;	/* NULL while in none */
	struct deadline_list *list;
	int64_t since_ns;
};

/* `now_ns` is fresh. It is in no list any more. */
typedef void deadline_fn(struct deadline *deadline, int64_t now_ns);

struct deadline_list {
	struct deadline ends;		/* a ring */
	struct loop *loop;
	struct loop_timer timer;
	int64_t timeout_ns;
	deadline_fn *expired;
};

void deadline_list_init(struct deadline_list *list, struct loop *loop,
    int64_t timeout_ns, deadline_fn *expired);
void deadline_list_release(struct deadline_list *list);

/* For those in it as well. */
void deadline_list_timeout(struct deadline_list *list, int64_t timeout_ns);

/* Begins to wait, leaving the list it was in. `since_ns` is about now. */
void deadline_add(struct deadline_list *list, struct deadline *deadline,
    int64_t since_ns);
/* Harmless when it is in none. */
void deadline_del(struct deadline *deadline);

/* The one that has waited longest, NULL when there is none. */
struct deadline *deadline_first(const struct deadline_list *list);

#endif
