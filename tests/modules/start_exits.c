/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * start_exits - a module that ends the process in start(), as a library that
 * cannot find its files might.
 */
#include <stdlib.h>

#include "greets.h"

static int
start(const json_t *settings, char why[BROOD_WHY_SIZE])
{
	(void)settings;
	(void)why;
	exit(0);
}

const struct brood_module brood_module = {
	.abi = BROOD_MODULE_ABI,
	.name = "start_exits",
	.start = start,
	.handlers = greets,
};
