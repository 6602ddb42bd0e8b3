/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * status - how it is with the broker: one line in the scoreboard, which
 * `broodctl status` shows, and JSON for the hub (LINK), which `broodctl queues`
 * and `hub` show.
 *
 *   connected to amqp://127.0.0.1:5672/ (RabbitMQ 3.10.8) for 5 min, consumes 5
 *   queues, 0 unacked
 *   no broker for 12 s: amqp://127.0.0.1:5672/: wrong user or password; next
 *   try in 4 s
 *   blocked by the broker for 12 s: low on memory; …
 *   queue "jobs": the broker has it without x-max-priority, …
 *
 * JSON: {"broker":URL,"server":…,"state":"connected|connecting|blocked|fault",
 * "since":SECONDS,"line":…,"queues":[{"name":…,"consuming":BOOL,"ready":N,
 * "unacked":N,"consumers":N,"rate":R,"prefetch":N,"delivered":N,
 * "redelivered":N,"dead":N,"fault":…}],"published":N,"returned":N,
 * "under_way":N,…}
 */
#ifndef AMQP_STATUS_H
#define AMQP_STATUS_H

#include "amqp/amqp.h"

struct status *status_new(struct amqp *amqp);
void status_free(struct status *status);
/* Something has changed: looked at at the end of the turn, told when it
 * differs. */
void status_changed(struct status *status);
/* By amqp.c, at the end of each round of the loop. */
void status_turn(struct status *status);
/* A new reference: the JSON above. */
json_t *status_json(struct status *status);

#endif
