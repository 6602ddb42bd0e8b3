/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * greets - the one handler of modules that are about something else.
 *
 * A module includes it once.
 */
#ifndef MODULES_GREETS_H
#define MODULES_GREETS_H

#include <brood.h>

static enum brood_outcome
hello(struct brood_call *call)
{
	return brood_reply(call, 200, json_string("hello"));
}

static const struct brood_handler greets[] = {
	{ "hello", hello, "greets" },
	{ 0 },
};

#endif
