/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * desk - where the operator is served: the commands of cmd.def that the hub
 * answers, on connections of the control socket that the master handed over.
 *
 * Bounded in number (control.max_clients), size (hub.max_message) and time
 * (control.timeout for the request; the client's own patience for an answer).
 * `call` and `submit` are calls and jobs like any other. Answers leave at the
 * end of the turn, after the commit.
 */
#ifndef HUB_DESK_H
#define HUB_DESK_H

#include "hub/hub.h"

/* Owns fd. */
void desk_open(struct hub *hub, int fd);
void desk_flush(struct hub *hub);
void desk_stop(struct hub *hub);

/* report.c: what is shown; new references. */
json_t *report_hub(struct hub *hub);
json_t *report_queues(struct hub *hub);
/* Adds to that what an amqp child found when it asked the broker (ORDER_QUEUES;
 * NULL: nothing). */
void report_add_broker(json_t *report, const json_t *found);
/* report_broker.c: what is published and what came, and to `report` what amqp
 * children say of its queues. */
json_t *report_outbox(struct hub *hub);
void report_add_children(struct hub *hub, json_t *report);

#endif
