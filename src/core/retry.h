/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * retry - the queues beside a queue on a broker: where its messages wait to be
 * tried again, and where the dead ones go.
 *
 * A delay is a queue of its own, NAME.retry.4s or NAME.retry.250ms, with that
 * time to live (x-message-ttl) and the work queue as its dead-letter target: a
 * time to live of each message would end at the head of the queue only. The
 * steps are backoff_min, twice that, and so on up to backoff_max. The hub names
 * them, amqp children declare them. And the headers and addresses that both
 * know. Pure.
 */
#ifndef CORE_RETRY_H
#define CORE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/conf.h"
#include "core/msg.h"

/* Of a queue of the config that has them; queues' names are that much shorter
 * on a broker (conf_check). */
#define RETRY_SUFFIX_MAX 32
#define RETRY_NAME_SIZE 256

/* How the headers between us begin. */
#define RETRY_HEADERS "x-brood-"

/* Of a dead message that an operator has sent back to its queue: how often so
 * far. What was done before has another number, so this is no redelivery. */
#define RETRY_AGAIN "x-brood-retry"

/* Of a message that was delayed: the attempt that it comes for, and the
 * exchange and key that it was published with at first. */
#define RETRY_ATTEMPT "x-brood-attempt"
#define RETRY_EXCHANGE "x-brood-exchange"
#define RETRY_KEY "x-brood-key"
/* Of a reply: the status of the handler (brood_answer.status). */
#define RETRY_STATUS "x-brood-status"

/* Of a dead letter: how they begin; why, when and where it died. */
#define DEATH_HEADERS "x-death-"
#define DEATH_REASON "x-death-reason"
#define DEATH_DETAIL "x-death-detail"
#define DEATH_QUEUE "x-death-queue"
#define DEATH_ATTEMPTS "x-death-attempts"
#define DEATH_TIME "x-death-time"
#define DEATH_HOST "x-death-host"
#define DEATH_SIGNAL "x-death-signal"

/* RabbitMQ's direct reply-to: what a request names, and how the address begins
 * that its answer is sent to. Those of the hub's own requests are like that. */
#define DIRECT_REPLY_TO "amq.rabbitmq.reply-to"
#define DIRECT_ADDRESS DIRECT_REPLY_TO "."

/* The shortest step of the queue that is no less than delay_ms (the longest, if
 * there is none); 0 for delay_ms <= 0: no delay queue, straight back. */
int64_t retry_step_ms(const struct conf *conf, const struct conf_queue *queue,
    int64_t delay_ms);
/* After so many attempts, by the queue's backoff: a step. */
int64_t retry_backoff_ms(const struct conf *conf,
    const struct conf_queue *queue, unsigned attempts);

/* "NAME.retry.4s"; returns buf. step_ms 0: the queue's own name. */
const char *retry_name(const struct conf_queue *queue, int64_t step_ms,
    char buf[RETRY_NAME_SIZE]);
/* "NAME.dead" */
const char *retry_dead_name(const struct conf_queue *queue,
    char buf[RETRY_NAME_SIZE]);

/* The other way: whose queue is that, and which? NULL: nobody's of this
 * config. */
enum retry_kind { RETRY_WORK, RETRY_DELAY, RETRY_DEAD };
const struct conf_queue *retry_parse(const struct conf *conf,
    struct msg_bytes name, enum retry_kind *kind, int64_t *step_ms);
/* The same, but for RETRY_WORK; for conf_check, names may be missing. */
const struct conf_queue *retry_parse_suffixed(const struct conf *conf,
    struct msg_bytes name, enum retry_kind *kind, int64_t *step_ms);

#endif
