/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * orders - what the operator asks of the broker's queues, on a connection that
 * is made for it and closed soon after.
 *
 *   ORDER_DEAD    looks at dead-letter queues (of `queue`, or of all) and puts
 *                 everything back. JSON: {"messages":[{"queue":…,
 *                 "dead_queue":…,"id":…,"reason":…,"detail":…,"at":…,
 *                 "host":…,"attempts":…,"signal":…,"size":…,"type":…}],
 *                 "more":BOOL}
 *   ORDER_RETRY   publishes a dead message (by its id; "": all of them) to its
 *                 queue, with all its attempts, and takes it from the
 *                 dead-letter queue once that is confirmed. {"retried":N}
 *   ORDER_PURGE   empties a queue (any name of the config, or one of its
 *                 NAME.dead and NAME.retry.… queues). {"purged":N}
 *   ORDER_QUEUES  {"queues":[{"name":…,"ready":N,"unacked":N,"consumers":N,
 *                 "rate":R,"prefetch":N,"dead":N,"delayed":N,"fault":…}]}
 */
#ifndef AMQP_ORDERS_H
#define AMQP_ORDERS_H

#include "amqp/amqp.h"

struct orders *orders_new(struct amqp *amqp);
void orders_free(struct orders *orders);
/* Answers with REPORT, at the latest at its deadline. */
void orders_on_order(struct orders *orders, const struct msg_ORDER *order);

#endif
