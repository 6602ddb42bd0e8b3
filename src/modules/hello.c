/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hello - the module to copy when you begin your own.
 *
 * Shows what there is to a module: settings, start() and stop(), a value from
 * the route's path, a body of JSON, and how to turn down what will not do.
 *
 *   modules = ( { name = "hello"; path = "hello.so";
 *                 settings = { greeting = "hello"; }; } );
 *   rest = { routes = (
 *     { method = "GET"; path = "/hello"; handler = "hello.hello"; },
 *     { method = "GET"; path = "/hello/{name}"; handler = "hello.hello"; },
 *     { method = "POST"; path = "/echo"; handler = "hello.echo"; } ); };
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brood.h"

/* The settings live as long as the process, so pointing into them is fine. */
static const char *greeting = "hello";

/* The answer that is always the same is made, and written out, once. */
static char *hello_world;

static json_t *
message_to(const char *name)
{
	/* NULL when the name is not UTF-8: what is %-encoded may be anything */
	return json_pack("{s:o}", "message",
	    json_sprintf("%s, %s!", greeting, name));
}

static enum brood_outcome
hello(struct brood_call *call)
{
	const char *name = brood_call_param(call, "name");
	json_t *message;

	if (name == NULL)
		return brood_reply_bytes(call, 200, "application/json",
		    hello_world, strlen(hello_world));
	message = message_to(name);
	if (message == NULL)
		return brood_reject(call, 400, "the name is not UTF-8");
	return brood_reply(call, 200, message);
}

static enum brood_outcome
echo(struct brood_call *call)
{
	json_t *body = brood_call_json(call);

	/* the client is told where the JSON is wrong */
	if (body == NULL)
		return BROOD_REJECT;
	brood_log(BROOD_DEBUG, "echo of %zu members", json_object_size(body));
	return brood_reply(call, 200, json_incref(body));
}

static int
start(const json_t *settings, char why[BROOD_WHY_SIZE])
{
	const json_t *value = json_object_get(settings, "greeting");

	if (value != NULL && !json_is_string(value)) {
		snprintf(why, BROOD_WHY_SIZE,
		    "the setting \"greeting\" must be a text");
		return -1;
	}
	if (value != NULL)
		greeting = json_string_value(value);
	json_t *message = message_to("world");

	hello_world = json_dumps(message, JSON_COMPACT);
	json_decref(message);
	return 0;
}

static void
stop(void)
{
	free(hello_world);
}

static const struct brood_handler handlers[] = {
	{ "hello", hello, "greets the world, or {name}" },
	{ "echo", echo, "replies with the JSON it was sent" },
	{ 0 },
};

const struct brood_module brood_module = {
	.abi = BROOD_MODULE_ABI,
	.name = "hello",
	.start = start,
	.stop = stop,
	.handlers = handlers,
};
