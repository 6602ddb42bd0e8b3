/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * call - one call of a handler, whatever door it came through.
 *
 * A door (a REST request, broodctl) fills in a call_request, runs call_run()
 * and turns the call_result into its own terms. Everything brood.h offers on a
 * `struct brood_call` is implemented here, and everything that has to happen
 * around a handler (scoreboard, deadline, crash guard) happens in call_run().
 */
#ifndef CORE_CALL_H
#define CORE_CALL_H

#include "base/buf.h"
#include "brood.h"
#include "core/scoreboard.h"

struct call_locks;
struct child;

/* What a door can be asked for by name. */
enum call_lookup {
	CALL_PARAM,
	CALL_QUERY,
	CALL_HEADER,
	CALL_COOKIE,
	CALL_PROPERTY,
	/* no handler can: properties of a message as they came, see
	 * amqp/rabbit.h */
	CALL_RAW,
};

/* All pointers are borrowed and must outlive call_run(). */
struct call_request {
	enum call_door door;
	uint64_t uid;			/* of the call, see uid.h; 0: made */
	unsigned attempt, max_attempts;	/* 0 counts as 1 */
	const char *handler_name;	/* "cruncher.upload" */
	const struct brood_handler *handler;
	const char *method, *path, *peer;
	const char *id;			/* see call_make_id() */
	const char *traceparent;	/* NULL: made when asked for */
	const char *body;		/* NUL-terminated beyond body_len */
	size_t body_len;
	int max_json_depth;
	bool json_required;		/* 400 before the handler unless JSON */
	int64_t timeout_ns;
	int64_t retry_after_ns;		/* default of BROOD_RETRY */
	/* a value by name or NULL; `door_ctx` is the door's own */
	const char *(*lookup)(void *door_ctx, enum call_lookup what,
	    const char *name);
	void *door_ctx;
	/*
	 * What the peer is to be told when the handler takes the process down
	 * (crash) or outlives its deadline (overrun): bytes that a signal
	 * handler can send as they are, on fd; fd -1 for nobody.
	 */
	int guard_fd;
	const char *crash_text, *overrun_text;
};

#define CALL_REPLY_HEADERS 32
/*
 * Of a message that is published: what AMQP 0-9-1 lets a name have (its short
 * strings), and what a broker takes for sure (all headers go in one frame).
 */
#define CALL_NAME_BYTES 255
#define CALL_MESSAGE_HEADERS 1000
#define CALL_MESSAGE_HEADER_BYTES 65536

struct call_result {
	enum brood_outcome outcome;
	int status;			/* HTTP's, whatever the door */
	/*
	 * A reply: `type` and `body` (free'd by call_result_release()).
	 * A problem: `problem` is the sentence, `body` NULL.
	 */
	char *type;
	char *body;
	size_t body_len;
	char *problem;
	int64_t retry_after_ns;		/* with 503 */
	struct { char *name, *value; } header[CALL_REPLY_HEADERS];
	size_t headers;
	/* the overrun answer has gone out already: just close */
	bool answered;
	/*
	 * What leaves with the success of call `uid`, parts as COMMIT has them;
	 * empty unless the outcome is BROOD_DONE with a status below 400.
	 */
	uint64_t uid;
	struct buf effects;
	size_t effects_n;
	/* given back by call_result_release(), so not before the effects have
	 * left; NULL for none */
	struct call_locks *locks;
	int64_t took_ns;
};

/* Runs the handler; never fails. Counts and times it in the child's slot. The
 * door sees to it that the effects are committed before it tells of success. */
void call_run(struct child *child, const struct call_request *request,
    struct call_result *result);
void call_result_release(struct call_result *result);

/*
 * A body as JSON: a new reference, or NULL with a sentence for the client in
 * *problem, which the caller frees.
 */
json_t *call_parse_json(const char *body, size_t len, int max_depth,
    char **problem);

/*
 * A request id: `wanted` if it is 1 to 64 of [A-Za-z0-9._~:+/=@-], else a new
 * one (128 random bits in hex would do nobody good in a log: 20 characters of
 * time, process and counter). Returns buf.
 */
#define CALL_ID_SIZE 65
const char *call_make_id(const char *wanted, char buf[CALL_ID_SIZE]);

/* True for a well-formed version-00 traceparent (W3C Trace Context). */
bool call_traceparent_ok(const char *text);
#define CALL_TRACEPARENT_SIZE 56
/* A new one, not sampled. */
const char *call_make_traceparent(char buf[CALL_TRACEPARENT_SIZE]);

#endif
