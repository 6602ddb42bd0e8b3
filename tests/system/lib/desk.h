/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * desk - the hub's commands without a process for each: both lines of the
 * protocol of core/cmd.def through the control socket, and waits on what they
 * say.
 */
#ifndef SYSTEM_DESK_H
#define SYSTEM_DESK_H

#include <jansson.h>
#include <stdbool.h>

#include "ctl.h"
#include "daemon.h"

/* The final answer, a new reference; NULL when the connection ended without.
 * `members` (NULL: none) is stolen. */
json_t *desk_ask(const struct daemon *daemon, json_t *members, const char *cmd,
    ...) __attribute__((sentinel));

/* Its data; fails the test unless it went well. */
json_t *desk_data(const struct daemon *daemon, json_t *members,
    const char *cmd, ...) __attribute__((sentinel));

/* The number at a key, 0 where there is none, and a wait until it is `wanted`,
 * which fails the test when it never is. */
long desk_number(const struct daemon *daemon, const char *key);
void desk_require_number(const struct daemon *daemon, const char *key,
    long wanted);

/* JSON that has to be; a new reference. */
json_t *desk_json(const char *text);

/* The JSON value of a key, a new reference; NULL if there is none. */
json_t *desk_value(const struct daemon *daemon, const char *key);

/* Submits; the id, to free. */
char *desk_submit(const struct daemon *daemon, const char *handler,
    json_t *input, json_t *options);
/* The same for hubtest.script, with its steps and options (NULL: none) as
 * texts. */
char *desk_submit_script(const struct daemon *daemon, const char *steps,
    const char *options);
/* Runs hubtest.script with these steps (stolen): the list of what they came to,
 * a new reference; fails the test unless the status is 200. */
json_t *desk_script(const struct daemon *daemon, json_t *steps);

/* The job, a new reference, once it is in that state; fails the test when it
 * never is. */
json_t *desk_await_job(const struct daemon *daemon, const char *id,
    const char *state);

/* The i-th trace that tests/modules/messages.c left of a queue, a new
 * reference; fails the test when there are fewer. */
json_t *desk_trace(const struct daemon *daemon, const char *queue, size_t i);

/* A member of the row of a queue in `queues`; -1 if there is none. */
long desk_queue(const struct daemon *daemon, const char *queue,
    const char *member);
void desk_require_queue(const struct daemon *daemon, const char *queue,
    const char *member, long wanted);

/* The same of the outbox. */
long desk_outbox(const struct daemon *daemon, const char *member);
void desk_require_outbox(const struct daemon *daemon, const char *member,
    long wanted);

#endif
