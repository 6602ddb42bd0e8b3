/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http - connections while the HTTP library has them.
 *
 * Walks each through its phases (rest.h): what the engine brings goes to
 * exchange, what exchange decides goes to the engine, and patience watches.
 */
#ifndef REST_HTTP_H
#define REST_HTTP_H

#include "rest/rest.h"

struct conf_errors;
struct patience;
struct why;

/* -1 with the reason. Takes the loop's before_wait. */
int http_start(struct rest *rest, struct why *why);
/* What is still open is cut off. */
void http_stop(struct rest *rest);

/* Is rest.tls good for anything? */
void http_check(const struct conf *conf, struct conf_errors *errors);

/* Idle connections are closed soon. */
void http_drain(struct rest *rest);

/* Takes the connection over, with its descriptor; -1 when that failed, and then
 * the descriptor is closed but `conn` is the caller's. */
int http_add(struct conn *conn);

/* --- for waiting */

/* Goes on with a request after EXCHANGE_WAIT. */
void http_resume(struct conn *conn, enum exchange_next next);

/* --- for patience */

struct patience *http_patience(const struct rest *rest);

/* --- for the engine */

enum http_end {
	HTTP_END_WHOLE,		/* the answer is out */
	HTTP_END_BROKEN,	/* the connection broke, or was made to */
	HTTP_END_SLOW,		/* engine_timeout() struck */
	HTTP_END_STOPPED,	/* engine_free() did */
};

/* A request line is there. */
void http_on_target(struct conn *conn, const char *target);

/*
 * The head is there; then with each part of the body; then once more without.
 * -1: close the connection.
 */
int http_on_request(struct conn *conn, const char *method, const char *path,
    const char *version, const char *part, size_t len);

void http_on_completed(struct conn *conn, enum http_end end);

/* It is about to close the descriptor. */
void http_on_closed(struct conn *conn);

/* It is about to send a page of its own. */
void http_on_page(struct rest *rest, int status);

#endif
