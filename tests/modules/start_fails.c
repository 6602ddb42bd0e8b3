/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * start_fails - a module whose start() says no, for the reason that the setting
 * `why` gives it, without one when there is no such setting, and over the whole
 * buffer, unterminated, when the setting `long` is true.
 */
#include <stdio.h>
#include <string.h>

#include "greets.h"

static int
start(const json_t *settings, char why[BROOD_WHY_SIZE])
{
	const json_t *text = json_object_get(settings, "why");

	if (json_is_string(text))
		snprintf(why, BROOD_WHY_SIZE, "%s", json_string_value(text));
	if (json_is_true(json_object_get(settings, "long")))
		memset(why, 'x', BROOD_WHY_SIZE);
	return -1;
}

const struct brood_module brood_module = {
	.abi = BROOD_MODULE_ABI,
	.name = "start_fails",
	.start = start,
	.handlers = greets,
};
