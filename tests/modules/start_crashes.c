/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * start_crashes - a module that crashes in start().
 */
#include <brood.h>
#include <stdlib.h>

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
	abort();
}

const struct brood_module brood_module = {
	.abi = BROOD_MODULE_ABI,
	.name = "start_crashes",
	.start = start,
	.handlers = handlers,
};
