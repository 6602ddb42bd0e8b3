/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * request - brood_request() over a broker: who waits for which answer.
 *
 * A request is known from its SEND until its answer, its deadline (the hub has
 * told the caller by then) or the end of its channel: RabbitMQ's direct
 * reply-to loses what is answered after that, so it fails at once and is never
 * published again, for it may have been handled. What was answered is kept for
 * a moment: a new hub, which does not know that, sends the request again.
 */
#ifndef AMQP_REQUEST_H
#define AMQP_REQUEST_H

#include "amqp/amqp.h"
#include "amqp/rabbit.h"

struct requests;

#define REQUEST_TAG "brood-replies"
#define REQUEST_CORRELATION_SIZE 32

struct requests *requests_new(struct amqp *amqp);
void requests_free(struct requests *requests);

/* A SEND with that uid has come: true when it is a new one and to be published.
 * Otherwise all that is to be done was done. */
bool requests_add(struct requests *requests, uint64_t uid,
    int64_t deadline_ns);
/* The correlation id to publish it with; NULL: nobody waits any more. */
const char *requests_correlation(const struct requests *requests,
    uint64_t uid, char buf[REQUEST_CORRELATION_SIZE]);

/* The answer is that there will be none; harmless when nobody waits. */
void requests_fail(struct requests *requests, uint64_t uid,
    enum hub_code code, const char *why);
void requests_fail_all(struct requests *requests, enum hub_code code,
    const char *why);
/* A delivery to REQUEST_TAG. */
void requests_on_reply(struct requests *requests,
    const struct rabbit_event *event);

/* How many wait. */
size_t requests_waiting(const struct requests *requests);

#endif
