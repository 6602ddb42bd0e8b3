/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policy - how many members a pool should have. Pure: plain numbers and a clock
 * in, a decision with its reason out.
 *
 * Growth: when fewer than min_spare are spare for grow_delay, 1 more, then 2, 4
 * … 32 at a time as long as each batch, once ready, has not been enough; a
 * moment with enough of them resets it (Apache prefork's rule, without its one
 * second tick). Members that are still starting count as spare, so one shortage
 * is not answered twice.
 *
 * Shrinking: over a window of shrink_delay the least number spare at any moment
 * is what was never needed. What of it exceeds max_spare is retired at the
 * window's end, down to `start` (Dovecot's low-water mark). A peak of load in
 * the window thus keeps its workers, and nothing flaps.
 *
 * A pool whose members serve nobody in turn (`fixed`: each amqp child consumes
 * all the time) has no spare ones to go by: its size is said.
 */
#ifndef MASTER_POLICY_H
#define MASTER_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#define POLICY_BURST_MAX 32

struct policy_limits {
	int start, min_spare, max_spare, max;
	int64_t grow_delay_ns, shrink_delay_ns;
	bool fixed;		/* `start` of them, or what the operator says */
};

struct policy {
	struct policy_limits limits;
	int target;
	int burst;		/* size of the next batch */
	int64_t short_since_ns;	/* 0: there are enough */
	int64_t window_ns;	/* when the shrink window began; 0: none */
};

struct policy_view {
	int64_t now_ns;
	int live;		/* starting or ready */
	int starting;
	int spare;		/* ready and idle */
	int low;		/* the least spare since the window began */
	int scaled;		/* fixed by the operator; -1: automatic */
};

struct policy_decision {
	int target;		/* how many there should be */
	int64_t ask_again_ns;	/* CLOCK_NEVER: when something happens */
	bool new_window;	/* the caller resets its low-water mark */
	char why[200];		/* "" when the target did not change */
};

void policy_init(struct policy *policy, const struct policy_limits *limits);
/* New limits; the target is brought within them. */
void policy_set_limits(struct policy *policy,
    const struct policy_limits *limits);
void policy_decide(struct policy *policy, const struct policy_view *view,
    struct policy_decision *decision);
/* True when more could be started if there were a shortage. */
bool policy_can_grow(const struct policy *policy, int scaled);

#endif
