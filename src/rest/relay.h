/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * relay - handlers that run in a task worker while the client waits.
 */
#ifndef REST_RELAY_H
#define REST_RELAY_H

#include "rest/rest.h"

/* Mode wait. */
enum exchange_next relay_serve(struct conn *conn);

/* What a handler said elsewhere becomes the reply. */
enum exchange_next relay_conclude(struct conn *conn,
    const struct msg_RESULT *said);

/* The text is no trace context, or not there: empty. */
struct msg_bytes relay_traceparent(const struct exchange *ex);

#endif
