/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lifecycle - a module that writes down its start() and stop(): a line each,
 * with the setting `tag`, to the end of the file named by the setting `file`.
 */
#include <stdio.h>

#include "greets.h"

static const json_t *settings;

static int
note(const char *what)
{
	const char *path = json_string_value(json_object_get(settings, "file"));
	FILE *file = path != NULL ? fopen(path, "a") : NULL;

	if (file == NULL)
		return -1;
	fprintf(file, "%s %s\n", what,
	    json_string_value(json_object_get(settings, "tag")));
	return fclose(file);
}

static int
start(const json_t *given, char why[BROOD_WHY_SIZE])
{
	settings = given;
	if (note("start") == 0)
		return 0;
	snprintf(why, BROOD_WHY_SIZE, "cannot write to the setting \"file\"");
	return -1;
}

static void
stop(void)
{
	note("stop");
}

const struct brood_module brood_module = {
	.abi = BROOD_MODULE_ABI,
	.name = "lifecycle",
	.start = start,
	.stop = stop,
	.handlers = greets,
};
