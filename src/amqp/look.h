/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * look - the queues as the broker has them, on a connection of its own: what
 * the broker refuses closes the channel that it was asked on, and consuming and
 * publishing go on meanwhile.
 *
 * Each amqp.refresh every queue is asked for its messages and consumers, one
 * after the other, and what is at fault is tried again (topology_mend()). What
 * is found is said to consume, which acts on it.
 */
#ifndef AMQP_LOOK_H
#define AMQP_LOOK_H

#include "amqp/link.h"

struct look *look_new(struct amqp *amqp);
void look_start(struct look *look);
void look_free(struct look *look);

const struct link *look_link(const struct look *look);

/* Something is at fault since just now: not only after amqp.refresh. */
void look_soon(struct look *look);
/* What is known of a queue (index in conf->queue); false: nothing yet. */
bool look_count(const struct look *look, size_t queue,
    struct rabbit_count *count);

#endif
