/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * echo - a service that tells what its handlers see (tests/modules/misbehave.c,
 * its handler `echo`).
 */
#ifndef SYSTEM_ECHO_H
#define SYSTEM_ECHO_H

#include <jansson.h>

#include "daemon.h"
#include "http.h"

/* For the members `module` and `route` of a daemon_conf. */
#define ECHO_MODULES "hello", "misbehave"
/* clang-format off */
#define ECHO_ROUTES \
	ROUTE("GET", "/hello", "hello.hello"), \
	ROUTE("GET", "/items/{id}", "misbehave.echo"), \
	ROUTE("PUT", "/items/{id}", "misbehave.echo"), \
	ROUTE("GET", "/items/new", "hello.hello"), \
	ROUTE("GET", "/x/{a}/y/{b}", "misbehave.echo"), \
	ROUTE("GET", "/echo", "misbehave.echo"), \
	ROUTE("POST", "/echo", "misbehave.echo"), \
	ROUTE("DELETE", "/echo", "misbehave.no_reply"), \
	ROUTE("GET", "/big", "misbehave.big"), \
	ROUTE("GET", "/headers", "misbehave.bad_header"), \
	{ "POST", "/json", "misbehave.echo", "input = \"json\";" }, \
	{ "POST", "/small", "misbehave.echo", "max_body = 10;" }
/* clang-format on */

/* A service with these, and with more in the group `rest` (NULL: nothing). */
void echo_start(struct daemon *daemon, const char *rest);

/* What the handler saw of a request, which has to succeed. */
json_t *echo_ask(const struct daemon *daemon, const struct ask *ask);

/* Requires that it saw `wanted`; `group` NULL for a member of the top. */
void echo_require(json_t *seen, const char *group, const char *name,
    const char *wanted);

#endif
