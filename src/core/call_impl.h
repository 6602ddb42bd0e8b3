/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * call_impl - what is inside a struct brood_call; for core/call*.c only.
 *
 * A call lives on the stack of call_run(). The functions of brood.h read the
 * request and note in the result what the handler decides; the first decision
 * stands, whatever comes later is the module's mistake and is logged, once per
 * call, with the handler's name.
 */
#ifndef CORE_CALL_IMPL_H
#define CORE_CALL_IMPL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/why.h"
#include "core/call.h"
#include "core/msg.h"

/* What the handler said before it returned. */
enum call_decision {
	CALL_UNDECIDED,
	CALL_REPLIED,
	CALL_REJECTED,
	CALL_RETRY,
	CALL_FAILED,	/* its reply could not be used: 500 */
};

struct brood_call {
	const struct call_request *request;
	struct call_result *result;
	struct child *child;
	struct slot *slot;
	unsigned attempt;
	int64_t started_ns, deadline_ns;
	enum call_decision decision;
	bool complained;		/* a mistake of it has been logged */
	bool json_tried;
	json_t *json;			/* NULL until tried, or not JSON */
	char *json_problem;		/* why it is not */
	size_t header_bytes;		/* of the reply's headers so far */
	char traceparent[CALL_TRACEPARENT_SIZE];
	/* call_hub.c's */
	struct call_note *notes;	/* what was returned to the handler */
	enum hub_code code;		/* of the last call_ask() */
	/* call_wait.c's */
	struct call_note *event;	/* what brood_wait() has shown */
	char **watch;
	size_t watches;
	bool gap;
	/* call_work.c's */
	int64_t progress_ns;
	char why[WHY_SIZE];		/* brood_why() */
};

/* Logs a mistake of the handler, the first of a call only. */
void call_complain(struct brood_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* --- call_hub.c: the hub, as the functions of brood.h need it */

/* Notes what brood_why() says, and returns -1. */
int call_wrong(struct brood_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Asks and waits until the call's deadline. 0 with the reply wanted, which is
 * valid until the hub is asked again; -1 with the reason. */
int call_ask(struct brood_call *call, enum msg_id id, const void *msg,
    enum msg_id wanted, union msg *reply);

/* Takes up a part that leaves with the success. 0 or -1. */
int call_effect(struct brood_call *call, enum msg_id id, const void *msg);

/* A terminated copy that lives as long as the call; of a list in *notes, until
 * call_forget(). */
char *call_remember(struct call_note **notes, struct msg_bytes bytes);
void call_forget(struct call_note **notes);

/* A value for the handler, remembered in *notes. */
void call_value(struct call_note **notes, struct brood_value *value,
    unsigned kind, struct msg_bytes bytes, uint64_t version, int64_t ttl_ms);

/* The JSON as text; until the next one. -1: it has none. */
int call_dump(struct brood_call *call, const json_t *json,
    struct msg_bytes *text);

/* 1 to max_key bytes; -1 with the reason. `what` is "key", "topic" … */
int call_check_key(struct brood_call *call, const char *what,
    const char *key);

/* Seconds to milliseconds: what is negative becomes -1. */
int64_t call_ms(double seconds);

/* call_wait.c: after the handler, ends what it watched. */
void call_end_wait(struct brood_call *call);
/* call_data.c: gives back and frees; NULL for none. */
void call_unlock_all(struct call_locks *locks);

/* Makes a text fit to be sent: bytes that are not UTF-8, and control bytes,
 * become '?'. Returns text. */
char *call_clean_text(char *text);

/* The media type of every JSON reply; call_result_release() knows it and does
 * not free it. */
extern char call_type_json[];

#endif
