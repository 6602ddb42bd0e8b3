/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lifecycle - a module that writes down its start() and stop(): a line each,
 * with the setting `tag`, to the end of the file named by the setting `file`.
 */
#include <brood.h>
#include <stdio.h>

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

static enum brood_outcome
hello(struct brood_call *call)
{
	return brood_reply(call, 200, json_string("hello"));
}

static const struct brood_handler handlers[] = {
	{ "hello", hello, "greets" },
	{ 0 },
};

const struct brood_module brood_module = {
	.abi = BROOD_MODULE_ABI,
	.name = "lifecycle",
	.start = start,
	.stop = stop,
	.handlers = handlers,
};
