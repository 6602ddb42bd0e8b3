/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * module - what the messages of bench/amqp are for.
 *
 * `note` looks at its message and is done, `forward` publishes it to the queue
 * bench.out with its success, `echo` gives it back to who asked.
 */
#include "brood.h"

static enum brood_outcome
note(struct brood_call *call)
{
	size_t len;

	brood_call_body(call, &len);
	return len > 0 ? BROOD_DONE : BROOD_REJECT;
}

static enum brood_outcome
forward(struct brood_call *call)
{
	struct brood_message message = {
		.message_id = brood_call_property(call, "message_id"),
	};
	size_t len;
	const char *body = brood_call_body(call, &len);

	if (brood_publish_message(call, "", "bench.out", body, len, &message) !=
	    0) {
		brood_log(BROOD_ERROR, "%s", brood_why(call));
		return BROOD_RETRY;
	}
	return BROOD_DONE;
}

static enum brood_outcome
echo(struct brood_call *call)
{
	json_t *body = brood_call_json(call);

	if (body == NULL)
		return BROOD_REJECT;
	return brood_reply(call, 200, json_incref(body));
}

static const struct brood_handler handlers[] = {
	{ "note", note, "looks at a message" },
	{ "forward", forward, "publishes the message to bench.out" },
	{ "echo", echo, "gives the message back" },
	{ 0 },
};

const struct brood_module brood_module = {
	.abi = BROOD_MODULE_ABI,
	.name = "bench",
	.handlers = handlers,
};
