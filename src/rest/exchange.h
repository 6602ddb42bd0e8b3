/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exchange - one request: judged, routed, received, handled, answered.
 *
 * Knows HTTP but not the HTTP library: http.c brings the parts of the request
 * as they come and sends what is decided here.
 */
#ifndef REST_EXCHANGE_H
#define REST_EXCHANGE_H

#include <stddef.h>

#include "rest/rest.h"

/* The target of a request line. It is only looked at. */
void exchange_begin(struct conn *conn, const char *target);

/*
 * The head is there, and its fields have been shown to head_field(). `path` is
 * the target without the query, `fields_len` what the fields took in bytes.
 * EXCHANGE_REPLY means at once, and that the connection ends.
 */
enum exchange_next exchange_head(struct conn *conn, const char *method,
    const char *path, unsigned minor, size_t fields_len);

/* A part of the body. */
enum exchange_next exchange_body(struct conn *conn, const char *part,
    size_t len);

/* The request is whole, or EXCHANGE_AGAIN. */
enum exchange_next exchange_serve(struct conn *conn);

/* A problem becomes the reply. `detail` is a constant, or kept. */
void exchange_problem(struct conn *conn, int status, const char *detail);
/* The same; it is worth another try after so long. */
void exchange_problem_later(struct conn *conn, const char *detail,
    int64_t retry_after_ns);

/* What a handler has said, wherever it ran, becomes the reply; the result must
 * stay until exchange_replied(). */
enum exchange_next exchange_conclude(struct conn *conn,
    struct call_result *result);

/* A copy that lives as long as the exchange. */
const char *exchange_keep(struct exchange *ex, const char *text, size_t len);

/* Nobody needs it any more, though the answer may take its time. */
void exchange_drop_body(struct exchange *ex);

bool exchange_is_head(const struct exchange *ex);


/* The reply, a problem, as bytes to send instead; the caller frees them. */
char *exchange_answer(struct conn *conn, size_t *len);

/* The reply was copied, and its body taken over by whoever sends it. */
void exchange_replied(struct conn *conn);

/* It is over; `outcome` NULL means that the answer went out whole. Writes the
 * line of the access log and frees what the request held. */
void exchange_end(struct conn *conn, const char *outcome);

#endif
