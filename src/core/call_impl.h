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

#include "core/call.h"

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
	struct slot *slot;
	int64_t started_ns, deadline_ns;
	enum call_decision decision;
	bool complained;		/* a mistake of it has been logged */
	bool json_tried;
	json_t *json;			/* NULL until tried, or not JSON */
	char *json_problem;		/* why it is not */
	size_t header_bytes;		/* of the reply's headers so far */
	char traceparent[CALL_TRACEPARENT_SIZE];
};

/* Logs a mistake of the handler, the first of a call only. */
void call_complain(struct brood_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * The body as JSON: a new reference, or NULL with a sentence for the client in
 * *problem, which the caller frees.
 */
json_t *call_parse_json(const char *body, size_t len, int max_depth,
    char **problem);

/* Makes a text fit to be sent: bytes that are not UTF-8, and control bytes,
 * become '?'. Returns text. */
char *call_clean_text(char *text);

/* The media type of every JSON reply; call_result_release() knows it and does
 * not free it. */
extern char call_type_json[];

#endif
