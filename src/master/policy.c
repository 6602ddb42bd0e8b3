/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policy - how many members a pool should have; see policy.h for the rules.
 *
 * Called by pool.c whenever something changed and when it asked to be. Keeps
 * nothing but what policy.h shows, reads no clock, and can be tested in full.
 */
#include "master/policy.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

static int
clamp(int value, int low, int high)
{
	if (value > high)
		value = high;
	return value < low ? low : value;
}

void
policy_init(struct policy *policy, const struct policy_limits *limits)
{
	memset(policy, 0, sizeof *policy);
	policy->limits = *limits;
	policy->burst = 1;
	policy->target = clamp(limits->start, 0, limits->max);
}

void
policy_set_limits(struct policy *policy, const struct policy_limits *limits)
{
	policy->limits = *limits;
	policy->target = clamp(limits->fixed ? limits->start : policy->target,
	    limits->start, limits->max);
	policy->short_since_ns = 0;
	policy->window_ns = 0;
	policy->burst = 1;
}

bool
policy_can_grow(const struct policy *policy, int scaled)
{
	return scaled < 0 && !policy->limits.fixed &&
	    policy->target < policy->limits.max;
}

static void
policy_grow(struct policy *policy, const struct policy_view *view,
    struct policy_decision *decision)
{
	const struct policy_limits *limits = &policy->limits;

	if (view->spare + view->starting >= limits->min_spare) {
		policy->short_since_ns = 0;
		/* a batch on its way is not yet known to be enough */
		if (view->starting == 0)
			policy->burst = 1;
		return;
	}
	/* those that are missing come first; it may be that none can */
	if (view->live < policy->target || policy->target >= limits->max)
		return;
	if (policy->short_since_ns == 0)
		policy->short_since_ns = view->now_ns;
	int64_t due = policy->short_since_ns + limits->grow_delay_ns;
	if (view->now_ns < due) {
		decision->ask_again_ns = due;
		return;
	}
	int target = clamp(policy->target + policy->burst, 0, limits->max);
	snprintf(decision->why, sizeof decision->why,
	    "grow from %d to %d: %d spare, fewer than min_spare %d, for "
	    "%lld ms",
	    policy->target, target, view->spare, limits->min_spare,
	    (long long)((view->now_ns - policy->short_since_ns) / NS_PER_MS));
	policy->target = target;
	policy->burst = clamp(policy->burst * 2, 1, POLICY_BURST_MAX);
	/* what was needed a moment ago is needed: start the window anew */
	policy->window_ns = 0;
}

static void
policy_shrink(struct policy *policy, const struct policy_view *view,
    struct policy_decision *decision)
{
	const struct policy_limits *limits = &policy->limits;

	if (policy->target <= limits->start) {
		policy->window_ns = 0;
		return;
	}
	if (policy->window_ns == 0) {
		policy->window_ns = view->now_ns;
		decision->new_window = true;
	}
	int64_t due = policy->window_ns + limits->shrink_delay_ns;
	if (view->now_ns >= due) {
		int excess = view->low - limits->max_spare;
		int target = clamp(policy->target - excess, limits->start,
		    policy->target);
		if (excess > 0 && target < policy->target) {
			snprintf(decision->why, sizeof decision->why,
			    "shrink from %d to %d: at least %d spare, more than"
			    " max_spare %d, for %.1f s",
			    policy->target, target, view->low,
			    limits->max_spare,
			    clock_to_seconds(view->now_ns - policy->window_ns));
			policy->target = target;
		}
		policy->window_ns = view->now_ns;
		decision->new_window = true;
		if (policy->target <= limits->start) {
			policy->window_ns = 0;
			return;
		}
		due = policy->window_ns + limits->shrink_delay_ns;
	}
	if (due < decision->ask_again_ns)
		decision->ask_again_ns = due;
}

void
policy_decide(struct policy *policy, const struct policy_view *view,
    struct policy_decision *decision)
{
	memset(decision, 0, sizeof *decision);
	decision->ask_again_ns = CLOCK_NEVER;

	if (view->scaled >= 0) {
		policy->target = view->scaled;
		policy->short_since_ns = 0;
		policy->window_ns = 0;
		policy->burst = 1;
	} else if (policy->limits.fixed) {
		policy->target = clamp(policy->limits.start, 0,
		    policy->limits.max);
	} else {
		policy->target = clamp(policy->target, policy->limits.start,
		    policy->limits.max);
		policy_grow(policy, view, decision);
		if (decision->why[0] == '\0')
			policy_shrink(policy, view, decision);
	}
	decision->target = policy->target;
}
