/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * start_crashes - a module that crashes in start().
 */
#include <stdlib.h>

#include "greets.h"

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
	.handlers = greets,
};
