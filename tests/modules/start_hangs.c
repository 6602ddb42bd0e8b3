/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * start_hangs - a module whose start() does not come back: the start-up
 * deadline has to end it.
 */
#include <brood.h>
#include <unistd.h>

static enum brood_outcome
hello(struct brood_call *call)
{
	return brood_reply(call, 200, json_string("hello"));
}

static const struct brood_handler handlers[] = {
	{ "hello", hello, "greets" },
	{ 0 },
};

static int
start(const json_t *settings, char why[BROOD_WHY_SIZE])
{
	(void)settings;
	(void)why;
	while (pause() == -1)
		;
	return 0;
}

const struct brood_module brood_module = {
	.abi = BROOD_MODULE_ABI,
	.name = "start_hangs",
	.start = start,
	.handlers = handlers,
};
