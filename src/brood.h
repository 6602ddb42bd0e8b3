/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * brood.h - what a module sees of brood, and all that it sees.
 *
 * A module is a shared object that exports one symbol, `brood_module`. It
 * holds handlers; the config file says which route leads to which handler.
 * brood_module(3) walks through writing, building and running one.
 *
 * Threads and processes.  Modules are loaded in each child after the fork and
 * a child runs one call at a time on its only thread. Nothing here is to be
 * called from another thread or from a signal handler.
 *
 * Ownership.  Unless a function says otherwise, what it returns belongs to the
 * call and is valid until the handler returns; what is handed to it is copied.
 * Two functions steal a reference to a json_t: brood_reply() and nothing else.
 *
 * Faults.  A handler that crashes, exits or outlives its deadline costs its
 * own process only: the client is answered 502 or 504, the master reports the
 * call by name and forks a replacement.
 */
#ifndef BROOD_H
#define BROOD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The version of this interface. broodd refuses a module that was compiled
 * against another one, and says both numbers.
 */
#define BROOD_MODULE_ABI 1

/* The size of the buffer that a module's start() may explain itself in. */
#define BROOD_WHY_SIZE 256

/* One call of a handler. Only ever seen through a pointer. */
struct brood_call;

/* How a handler ends. */
enum brood_outcome {
	/* The work is done. REST: the reply, or 204 where none was given. */
	BROOD_DONE = 0,
	/* Not now; try again later. REST: 503 with Retry-After. */
	BROOD_RETRY = 1,
	/* Never; the input is at fault. REST: 422, or brood_reject()'s. */
	BROOD_REJECT = 2,
};

/* The severities of brood_log(), those of syslog(3) that brood uses. */
enum brood_level {
	BROOD_DEBUG,
	BROOD_INFO,
	BROOD_NOTICE,
	BROOD_WARNING,
	BROOD_ERROR,
};

/* ------------------------------------------------------------ the module */

/*
 * A handler: from a call to an outcome. It should return before
 * brood_call_remaining() reaches zero and may be killed afterwards.
 */
typedef enum brood_outcome brood_handler_fn(struct brood_call *call);

struct brood_handler {
	/* [a-z0-9_]+, unique in the module; the config writes MODULE.NAME */
	const char *name;
	brood_handler_fn *run;
	/* one line for people, shown by broodd -t -v */
	const char *help;
};

struct brood_module {
	/* BROOD_MODULE_ABI, as it was when the module was compiled */
	unsigned abi;
	/* the module's own name, for messages; a config may give it another */
	const char *name;
	/*
	 * Runs once in each child, after the fork and after privileges were
	 * dropped, before the child takes any work. `settings` is the group
	 * `settings` of the module's config entry as a JSON object (empty when
	 * there is none), and lives as long as the child. Returns 0, or -1
	 * after writing a sentence for the operator into `why`; the child then
	 * exits with status 78, and a start or a reload fails with that
	 * sentence.
	 * May be NULL.
	 */
	int (*start)(const json_t *settings, char why[BROOD_WHY_SIZE]);
	/* Runs once when the child ends in good order. May be NULL. */
	void (*stop)(void);
	/* Ends with an entry whose name is NULL. */
	const struct brood_handler *handlers;
};

/* The one symbol that a module exports. */
extern const struct brood_module brood_module;

/* ------------------------------------------------------------- the input */

/*
 * The body as it came, `*len` bytes (`len` may be NULL) followed by a NUL that
 * does not count. Never NULL; empty when the call has no body. Bounded by
 * rest.max_body.
 */
const char *brood_call_body(struct brood_call *call, size_t *len);

/*
 * The body as JSON, parsed once, a borrowed reference. NULL when it is not
 * JSON or is nested deeper than rest.max_json_depth; the reason is then kept
 * with the call, and a handler that answers `return BROOD_REJECT;` gives the
 * client a 400 that says what is wrong and where (RFC 8259).
 */
json_t *brood_call_json(struct brood_call *call);

/* The value of `{name}` in the route's path, %-decoded; NULL if it has none. */
const char *brood_call_param(struct brood_call *call, const char *name);

/* The first value of `name` in the query string, %-decoded, "" for a name
 * without a value; NULL if absent. */
const char *brood_call_query(struct brood_call *call, const char *name);

/* The value of a header, its name compared without regard to case (RFC 9110,
 * 5.1); NULL if absent. */
const char *brood_call_header(struct brood_call *call, const char *name);

/* The value of a cookie (RFC 6265), as the client sent it; NULL if absent. */
const char *brood_call_cookie(struct brood_call *call, const char *name);

/* The method, "GET" say; "CALL" when the call comes from broodctl. */
const char *brood_call_method(struct brood_call *call);

/* The path without the query, as it was sent; "" from broodctl. */
const char *brood_call_path(struct brood_call *call);

/* The peer's address, "127.0.0.1:40404" say, or "unix". */
const char *brood_call_peer(struct brood_call *call);

/*
 * The request id: the client's X-Request-Id if it sent a sane one, else a new
 * one. It is in every log line of the call and in the answer.
 */
const char *brood_call_id(struct brood_call *call);

/* The W3C trace context to pass on, "00-TRACEID-SPANID-FLAGS"; the client's
 * traceparent when it sent a valid one, else a new one. */
const char *brood_call_traceparent(struct brood_call *call);

/* Seconds left until the deadline of the call; zero or less once it passed. */
double brood_call_remaining(struct brood_call *call);

/*
 * True once nobody waits for the call any more: its deadline passed. A loop
 * that can run long asks this now and then, and returns BROOD_RETRY.
 */
bool brood_cancelled(struct brood_call *call);

/* ------------------------------------------------------------- the reply */

/*
 * Replies with a JSON value and returns BROOD_DONE: `return brood_reply(…)`.
 * Steals the reference to `body`; NULL means an empty body. `status` is 200 to
 * 599. The first reply of a call stands: a second one is dropped and logged as
 * the module's mistake, and so is one after brood_reject() or brood_retry().
 */
enum brood_outcome brood_reply(struct brood_call *call, int status,
    json_t *body);

/*
 * The same with `len` bytes of the media type `type` ("text/plain;
 * charset=utf-8" say), which are copied.
 */
enum brood_outcome brood_reply_bytes(struct brood_call *call, int status,
    const char *type, const void *body, size_t len);

/*
 * Adds a header to the reply, at most 32 of them, before or after
 * brood_reply(), and at most 8 KiB of names and values. Returns 0, or -1 when
 * the name is no token, the value has control bytes, or the header is brood's
 * own to set (Connection, Content-Length, Content-Type, Date, Keep-Alive,
 * Trailer, Transfer-Encoding, Upgrade, X-Request-Id); the mistake is logged.
 */
int brood_reply_header(struct brood_call *call, const char *name,
    const char *value);

/*
 * Says why the input will never do, as a 4xx `status` and a sentence for the
 * client, and returns BROOD_REJECT. A status outside 400 to 499 becomes 422.
 */
enum brood_outcome brood_reject(struct brood_call *call, int status,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * Says why the work can't be done now and after how many seconds it is worth
 * another try (0: the configured default), and returns BROOD_RETRY.
 */
enum brood_outcome brood_retry(struct brood_call *call, double after,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* --------------------------------------------------------------- logging */

/*
 * Writes one line to the service's log. Newlines and control bytes in it are
 * escaped. During a call the line carries the request id by itself.
 */
void brood_log(enum brood_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif
#endif
