/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * echo - a service that tells what its handlers see.
 */
#include <check.h>
#include <string.h>

#include "echo.h"

void
echo_start(struct daemon *daemon, const char *rest)
{
	daemon_start(daemon,
	    &(struct daemon_conf){ .module = { ECHO_MODULES },
		.route = { ECHO_ROUTES },
		.rest = rest });
}

json_t *
echo_ask(const struct daemon *daemon, const struct ask *ask)
{
	struct reply reply;
	json_t *seen;

	http_require(daemon, ask, &reply);
	ck_assert_msg(reply.status == 200, "%s: %d %s", ask->path, reply.status,
	    reply.body);
	ck_assert_str_eq(reply_header(&reply, "Content-Type"),
	    "application/json");
	seen = reply_json(&reply);
	reply_release(&reply);
	return seen;
}

void
echo_require(json_t *seen, const char *group, const char *name,
    const char *wanted)
{
	json_t *object = group != NULL ? json_object_get(seen, group) : seen;
	const char *value = json_string_value(json_object_get(object, name));

	if (value != NULL && strcmp(value, wanted) == 0)
		return;
	ck_abort_msg("%s.%s is not \"%s\": %s", group != NULL ? group : "",
	    name, wanted, json_dumps(seen, JSON_INDENT(1)));
}
