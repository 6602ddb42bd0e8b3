/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * waiting - requests whose answer takes the hub: what a handler has sent is
 * being committed, a task worker runs the handler, a job is asked for.
 *
 * Their connections sleep meanwhile; the worker goes on with others. A hub that
 * dies is no concern here: hub_client asks the next one.
 */
#ifndef REST_WAITING_H
#define REST_WAITING_H

#include "rest/rest.h"

/* Room for one more? If not, the reply is a 503. */
bool waiting_room(struct conn *conn);

/*
 * Asks the hub. `fn` gets the answer, from the loop, and returns what is next
 * (it may ask again). Returns EXCHANGE_WAIT, or EXCHANGE_REPLY with a 413 when
 * the message is too large.
 */
enum exchange_next waiting_ask(struct conn *conn, enum msg_id id,
    const void *msg, enum msg_id wanted, int64_t deadline_ns, waiting_fn *fn);

/* When the client hangs up, its call is abandoned. While it waits. */
void waiting_watch(struct conn *conn);

/* A refusal of the hub becomes the reply, with its reason. */
enum exchange_next waiting_refused(struct conn *conn, const union msg *msg,
    enum hub_code code);

/* Whoever still waits is told 503. */
void waiting_give_up(struct rest *rest);
/* The same without a word; to be cut off. */
void waiting_stop(struct rest *rest);

#endif
