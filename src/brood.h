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
 * brood_reply() steals the reference to its json_t; all others borrow it. In
 * the background, where a call has no end, what the hub was asked for is valid
 * until the next brood_wait().
 *
 * Doors.  A handler does not know, and need not, who called it: a REST route, a
 * job, a message, a schedule, the operator. What it sends on (brood_publish(),
 * brood_submit(), changes with `on_success`) is held with the call and leaves,
 * all of it or nothing, in one step with its success. A handler that fails,
 * crashes or is killed has sent nothing; one whose success could not be
 * recorded is run again.
 *
 * The hub.  Shared data and work are the hub's, a process of the family. A
 * function that asks it waits for the answer, some 20 microseconds, until the
 * call's deadline at most. One that returns -1 has logged nothing; brood_why()
 * is a sentence about the last failure, and `return BROOD_RETRY;` is a fair
 * answer to it.
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
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The version of this interface. broodd refuses a module that was compiled
 * against another one, and says both numbers.
 */
#define BROOD_MODULE_ABI 2

/* The size of the buffer that a module's start() may explain itself in. */
#define BROOD_WHY_SIZE 256

/* One call of a handler. Only ever seen through a pointer. */
struct brood_call;

/* How a handler ends. */
enum brood_outcome {
	/* The work is done. REST: the reply, or 204 where none was given. A
	 * job has succeeded, a message is acknowledged. */
	BROOD_DONE = 0,
	/* Not now; try again later. REST: 503 with Retry-After. Jobs and
	 * messages: another attempt after a growing delay (on a broker the next
	 * step of its queue's), until they are dead after max_attempts. */
	BROOD_RETRY = 1,
	/* Never; the input is at fault. REST: 422, or brood_reject()'s. A job
	 * has failed, a message is dead at once. */
	BROOD_REJECT = 2,
};

/* Who called. */
enum brood_door {
	BROOD_DOOR_REST = 1,
	BROOD_DOOR_CONTROL,	/* broodctl call */
	BROOD_DOOR_JOB,
	BROOD_DOOR_MESSAGE,
	BROOD_DOOR_SCHEDULE,
	BROOD_DOOR_BACKGROUND,
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

/*
 * A property of a message: "exchange", "routing_key", "queue", "message_id",
 * "correlation_id", "reply_to", "content_type", "priority". Of the input of a
 * handler named by `then` or `on_failure`: "job", the id of the job before it,
 * and of the latter "reason". NULL if there is none; what others publish to a
 * broker may lack any but the first three. A message's headers are read with
 * brood_call_header(); numbers and the like among them come as text, tables and
 * lists as JSON.
 */
const char *brood_call_property(struct brood_call *call, const char *name);

enum brood_door brood_call_door(struct brood_call *call);

/* The attempt, from 1; max is the last one there will be. REST: 1 of 1. */
unsigned brood_call_attempt(struct brood_call *call, unsigned *max);

/* The method, "GET" say; for other doors "CALL", "JOB", "MESSAGE", "SCHEDULE"
 * or "BACKGROUND", but a job that a REST route made has the request's. */
const char *brood_call_method(struct brood_call *call);

/* The path without the query, as it was sent; else the name of the queue,
 * schedule or background task, or "". */
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
 * True once the call is to end: its time limit passed, it was cancelled, the
 * client hung up (where the route says that this matters), or, in the
 * background, the process is to stop. A loop that can run long asks this now
 * and then, and returns BROOD_RETRY.
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
 * the name is no token or has more than 255 bytes, the value has control
 * bytes, or the header is brood's own to set (Connection, Content-Length,
 * Content-Type, Date, Keep-Alive, Trailer, Transfer-Encoding, Upgrade,
 * X-Request-Id); the mistake is logged.
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

/* ----------------------------------------------------------- shared data */

/*
 * Keys are texts of up to hub.max_key bytes, best with a prefix ("user:42").
 * Every operation is atomic and seen by all processes in one order. What was
 * stored survives the end of any process, and a power cut where
 * hub.durability is "full". Functions return 1, 0 where something did not
 * apply (no such key, a condition did not hold), or -1 (see brood_why()).
 */
struct brood_value {
	json_t *json;		/* NULL when it is no JSON */
	const char *bytes;	/* as stored; a number as its digits */
	size_t len;
	uint64_t version;	/* grows with each change of the key */
	double ttl;		/* seconds left; negative: for ever */
};

/* How to change a key. All zero: whatever there is, for ever, now. */
struct brood_set {
	double ttl;		/* seconds; 0: for ever */
	bool if_absent;
	bool if_version;	/* only while it has `version` */
	uint64_t version;	/* 0: while there is none */
	/* With the success of the call. Returns 1 at once; if the condition
	 * does not hold then, the handler is run again from its start. */
	bool on_success;
	uint64_t *new_version;	/* NULL, or where it goes; not on_success */
};

/* `value` may be NULL. */
int brood_get(struct brood_call *call, const char *key,
    struct brood_value *value);

/* `how` may be NULL. */
int brood_set(struct brood_call *call, const char *key, const json_t *value,
    const struct brood_set *how);
int brood_set_bytes(struct brood_call *call, const char *key, const void *value,
    size_t len, const struct brood_set *how);

/* Adds to a whole number, 0 where there is none; *sum (or NULL) is what it is
 * then. Of `how`, ttl (of a key that it creates) and on_success count; with the
 * latter there is no sum. -1 too when the value is no number or would not fit
 * 64 bits. */
int brood_incr(struct brood_call *call, const char *key, int64_t by,
    const struct brood_set *how, int64_t *sum);

/* Of `how`, if_version and on_success count. */
int brood_delete(struct brood_call *call, const char *key,
    const struct brood_set *how);

/* Shows each key that begins with the prefix, in the order of their bytes,
 * until `each` returns false; `value` is valid until then. Returns how many
 * were shown, or -1. The listing is not one moment: a key that comes or goes
 * meanwhile may be in it or not. */
int brood_list(struct brood_call *call, const char *prefix,
    bool (*each)(void *ctx, const char *key, const struct brood_value *value),
    void *ctx);

/*
 * Takes the lock `name` for `lease` seconds, waiting `wait` seconds for it. It
 * is given back by brood_unlock(), with the end of the call or of the process,
 * or when the lease is over. *fence (or NULL) grows with each holder: hand it
 * to whatever the lock protects, which refuses a lower one. To hold it again
 * prolongs the lease.
 */
int brood_lock(struct brood_call *call, const char *name, double lease,
    double wait, uint64_t *fence);
/* 0 when it was no longer ours. */
int brood_unlock(struct brood_call *call, const char *name);

/* Tells all who watch `topic` now. Nobody who comes later learns of it. Returns
 * how many were told, or -1. */
int brood_notify(struct brood_call *call, const char *topic,
    const json_t *value);

/* From now on brood_wait() wakes up for notifications and changes of keys that
 * begin with the prefix; until the call ends. */
int brood_watch(struct brood_call *call, const char *prefix);

enum brood_wake {
	BROOD_WAKE_TIME,	/* the time is over */
	BROOD_WAKE_EVENT,
	BROOD_WAKE_STOP,	/* brood_cancelled() has become true */
};

struct brood_event {
	enum { BROOD_NOTIFIED, BROOD_SET, BROOD_DELETED, BROOD_EXPIRED } what;
	const char *key;
	struct brood_value value;	/* of BROOD_NOTIFIED and BROOD_SET */
	/* the connection was lost: events may be missing before this one */
	bool gap;
};

/* Sleeps until something happens, at most `seconds` (negative: no limit). A
 * handler that waits in any other way cannot be stopped in time. What `event`
 * (or NULL) points to is valid until the next brood_wait(). */
enum brood_wake brood_wait(struct brood_call *call, double seconds,
    struct brood_event *event);

/* ------------------------------------------------------------------ work */

/* What a message may have besides its body. Texts and names of headers have up
 * to 255 bytes; up to 1000 headers, 64 KiB in all. */
struct brood_message {
	const char *type;		/* NULL: application/json, or of bytes
					   application/octet-stream */
	int priority;			/* 0 to 255 */
	double ttl;			/* seconds in a queue; 0: no limit */
	bool mandatory;			/* fail when no queue takes it; on a
					   broker that is only reported */
	const char *message_id;		/* NULL: made */
	const char *correlation_id;	/* NULL: none */
	const char *reply_to;		/* a queue; NULL: none */
	const json_t *headers;		/* an object of strings, or NULL */
};

/*
 * Publishes with the success of the call to an exchange of the config ("": the
 * default one, which routes to the queue named `key`). 0; -1 when it is wrong
 * or there are more than tasks.max_effects.
 *
 * Where the hub routes, and a `mandatory` message finds no queue, or a queue is
 * full, the call itself fails, REST: with 422 or 503. A message reaches each
 * queue once, and what the queue's handler does with its success happens once.
 *
 * Where a broker routes (amqp.broker), the message waits in the outbox, as
 * durable as jobs are, until the broker has confirmed it: in the order of the
 * successes, persistent, with a message id, under which other programs may
 * see it a second time after a connection was lost. What no queue takes is
 * reported, mandatory or not; the call has succeeded by then. It fails, REST:
 * with 503, only while the outbox is full.
 */
int brood_publish(struct brood_call *call, const char *exchange,
    const char *key, const json_t *body);
int brood_publish_message(struct brood_call *call, const char *exchange,
    const char *key, const void *body, size_t len,
    const struct brood_message *message);

/* How a job is to run. All zero: now, once it is its turn, as configured. */
struct brood_job {
	double delay;		/* seconds until it may begin */
	int priority;		/* 0 to 255, higher first */
	double expires;		/* seconds; not begun by then: it has failed */
	const char *unique;	/* while a job with this key waits or runs, a
				   second one is dropped; NULL */
	int max_attempts;
	double backoff_min, backoff_max;
	double timeout;
	const char *then;	/* MODULE.HANDLER: a job with its result */
	const char *on_failure;	/* the same when it failed or is dead, with a
				   problem object (RFC 9457) */
};

/* Submits a job with the success of the call; its id, or NULL. `input` NULL: an
 * empty body; `job` may be NULL. */
const char *brood_submit(struct brood_call *call, const char *handler,
    const json_t *input, const struct brood_job *job);

/* Binds a queue to an exchange, both of the config, with the success of the
 * call, for good. To do it twice is to do it once. On a broker it takes effect
 * in order with what is published, and is made anew with each connection. 0 or
 * -1. */
int brood_bind(struct brood_call *call, const char *queue,
    const char *exchange, const char *key);
int brood_unbind(struct brood_call *call, const char *queue,
    const char *exchange, const char *key);

/* The answer to brood_request(). */
struct brood_answer {
	int status;		/* 200 …; of a problem 400 or more */
	json_t *json;		/* NULL when the body is none */
	const char *type, *body;
	size_t len;
};

/* Publishes now, with reply_to set, and waits for the answer for `seconds` or
 * until the call's deadline. 1; 0 when none came in time; -1, too, when no
 * queue takes it, or the broker cannot be reached just now. Not stored, and not
 * repeated. For handlers in task workers (mode "wait" or "job"): in a REST
 * worker it stops all else. */
int brood_request(struct brood_call *call, const char *exchange,
    const char *key, const json_t *body, double seconds,
    struct brood_answer *answer);

/* How far a job is, 0 to 1, and a few words (or NULL); shown to whoever asks
 * for the job. Cheap: sent at most ten times a second. */
void brood_progress(struct brood_call *call, double done, const char *format,
    ...) __attribute__((format(printf, 3, 4)));

/* A sentence about the last function that returned -1 (or NULL) to this call;
 * "" if none has. */
const char *brood_why(struct brood_call *call);

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
