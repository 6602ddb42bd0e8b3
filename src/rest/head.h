/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * head - what is wrong with a request's head, and what brood needs to know of
 * it. Pure.
 *
 * The HTTP library is lenient (bare line feeds, any bytes in a value, the first
 * of several lengths), so every head passes through here: in bytes, when it is
 * the first of its connection, and field by field before it is served.
 */
#ifndef REST_HEAD_H
#define REST_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rest/prefer.h"

struct head_limits {
	size_t max_uri;		/* bytes of the request target */
	size_t max_header;	/* bytes of all fields, line ends included */
};

struct head {
	int status;		/* 0, or what to answer: 4xx, 5xx */
	const char *detail;	/* why, a constant */
	bool head_method;	/* head_scan() only: it is a HEAD request */
	int64_t length;		/* Content-Length, -1 without */
	bool chunked;
	bool expect;		/* "100-continue" */
	bool close, keep;	/* what Connection says */
	unsigned hosts;
	/* The values of fields, where there; only as long as the fields are. */
	const char *type, *coding, *id, *traceparent;
	const char *idempotency;	/* idempotency_len bytes of it */
	size_t idempotency_len;
	unsigned idempotencies;	/* how many there are */
	struct prefer prefer;
};

void head_init(struct head *head);

/* The request line's parts. */
void head_method(struct head *head, const char *method, size_t len);
void head_target(struct head *head, const char *target, size_t len,
    const struct head_limits *limits);

/*
 * One field. The value comes without blanks in front; what is remembered of it
 * is a pointer into it, so it should end with a NUL where that matters.
 */
void head_field(struct head *head, const char *name, size_t name_len,
    const char *value, size_t value_len);

/* After the last: do they go together? `minor` is the y of HTTP/1.y. */
void head_finish(struct head *head, unsigned minor);

/* The first thing wrong stays. */
void head_bad(struct head *head, int status, const char *detail);

/*
 * Looks at the first bytes of a connection, as many as there are. False when
 * they are the beginning of no request: see head->status.
 */
bool head_scan(struct head *head, const char *bytes, size_t len,
    const struct head_limits *limits);

#endif
