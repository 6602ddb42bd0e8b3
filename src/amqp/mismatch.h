/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mismatch - what the broker says when it refuses a thing, in words that help:
 * which argument, what the broker has, what the config wants by which key, and
 * what to do about it. Pure.
 *
 *   PRECONDITION_FAILED - inequivalent arg 'x-max-priority' for queue 'jobs' in
 *   vhost '/': received none but current is the value '10' of type 'signedint'
 *
 * becomes
 *
 *   queue "jobs": the broker has it with x-max-priority 10, and the config
 *   wants none (max_priority); set max_priority = 10, or delete the queue on
 *   the broker once it is empty, or set passive = true
 */
#ifndef AMQP_MISMATCH_H
#define AMQP_MISMATCH_H

#include <stdbool.h>

struct why;

enum mismatch_of {
	MISMATCH_QUEUE,
	MISMATCH_EXCHANGE,
	MISMATCH_BESIDE,	/* a delay or dead-letter queue of ours */
};

struct mismatch_thing {
	enum mismatch_of of;
	const char *name;
	bool passive;
};

/* `code` and `text` as the broker gave them (404, "NOT_FOUND - no queue …"). */
void mismatch_explain(const struct mismatch_thing *thing, unsigned code,
    const char *text, struct why *why);

#endif
