/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * start_hangs - a module whose start() does not come back: the start-up
 * deadline has to end it.
 */
#include <unistd.h>

#include "greets.h"

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
	.handlers = greets,
};
