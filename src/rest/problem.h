/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * problem - answers that tell what went wrong (RFC 9457).
 *
 * As a body for an answer that the HTTP library sends, as whole answers in
 * bytes for where it cannot, and as texts that a signal handler sends when a
 * call takes the process down.
 */
#ifndef REST_PROBLEM_H
#define REST_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROBLEM_TYPE "application/problem+json"

struct problem {
	int status;
	const char *detail;		/* a sentence, or NULL */
	const char *instance;		/* the path as it was sent, or NULL */
	const char *id;			/* of the request, or NULL */
	int64_t retry_after_ns;		/* sent with a 503 */
};

/* "Not Found"; "Unknown" for a status without a name. */
const char *problem_title(int status);

/* The JSON text, which the caller frees. Texts that are not UTF-8 are left
 * out. */
char *problem_body(const struct problem *problem, size_t *len);

/*
 * A complete HTTP/1.1 answer that ends the connection, which the caller frees;
 * without the body for a HEAD request. NUL-terminated beyond *len.
 */
char *problem_answer(const struct problem *problem, bool head, size_t *len);

/* Whole seconds, rounded up, as Retry-After has them. */
int64_t problem_seconds(int64_t ns);

/*
 * The answers for a call that crashes (502) or overruns (504), made once per
 * worker and told the request's id before each call.
 */
struct guard;
struct guard *guard_new(void);
void guard_free(struct guard *guard);
void guard_prepare(struct guard *guard, const char *id, bool head,
    const char **crash, const char **overrun);

#endif
