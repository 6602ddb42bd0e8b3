/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * remote - the conversation with the master, or with the hub behind it, for
 * those commands that need more of it than one question and one answer.
 */
#ifndef CTL_REMOTE_H
#define CTL_REMOTE_H

#include <jansson.h>

#include "ctl/client.h"
#include "ctl/ctl.h"

/* {"cmd":…,"args":[…]}, which the caller decrefs; NULL when an argument is not
 * UTF-8. */
json_t *remote_request(enum cmd_id id, char *const *args, int n);

/* One request and its final answer, {"ok":…}, which the caller decrefs. */
enum client_end remote_ask(const struct ctl *ctl, enum cmd_id id,
    char *const *args, int n, int64_t deadline_ns, json_t **answer,
    struct why *why);

/* hub.c: the same for a command that the hub answers, which reads `line`; again
 * when the hub dies over it, unless it could be done twice then. */
enum client_end hub_ask(const struct ctl *ctl, enum cmd_id id, json_t *line,
    int64_t deadline_ns, json_t **answer, struct why *why);

/* Shows the events and returns the next line that is none: {"ok":…} or
 * {"go":true}, which the caller decrefs. */
enum client_end remote_answer(const struct ctl *ctl, struct client *client,
    json_t **answer, struct why *why);

/* Says why nothing came of a command; returns its exit status. */
int remote_fail(const struct ctl *ctl, enum client_end end,
    const struct why *why);

#endif
