/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * marks - what handlers leave for tests that kill (tests/system/lib/kills.h):
 * with its success each adds 1 to the key NAME:N, N being the six digits of the
 * number in its call's JSON, {"n":N}; and a handler that tells them.
 *
 * A module includes it once.
 */
#ifndef MODULES_MARKS_H
#define MODULES_MARKS_H

#include <brood.h>
#include <stdio.h>

#define MARK_SIZE 64

static inline int
number_of(struct brood_call *call)
{
	return (int)json_integer_value(
	    json_object_get(brood_call_json(call), "n"));
}

static inline const char *
mark_key(struct brood_call *call, const char *name, char key[MARK_SIZE])
{
	snprintf(key, MARK_SIZE, "%s:%06d", name, number_of(call));
	return key;
}

static inline void
mark(struct brood_call *call, const char *name)
{
	struct brood_set how = { .on_success = true };
	char key[MARK_SIZE];

	brood_incr(call, mark_key(call, name, key), 1, &how, NULL);
}

static inline bool
audit_key(void *ctx, const char *key, const struct brood_value *value)
{
	json_object_set(ctx, key, value->json);
	return true;
}

/* All keys that begin with ?prefix=, and their values. */
static inline enum brood_outcome
audit(struct brood_call *call)
{
	json_t *found = json_object();

	if (brood_list(call, brood_call_query(call, "prefix"), audit_key,
		found) == -1) {
		json_decref(found);
		return brood_retry(call, 0, "%s", brood_why(call));
	}
	return brood_reply(call, 200, found);
}

#endif
