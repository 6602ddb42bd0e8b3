/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bad_handlers - a module whose table of handlers will not do. What is wrong
 * with it is chosen by the environment variable BAD_HANDLERS: "twice" (the
 * default), "name", "empty", "function", "endless".
 */
#include <brood.h>
#include <stdlib.h>
#include <string.h>

#define MANY 5000

static enum brood_outcome
hello(struct brood_call *call)
{
	return brood_reply(call, 200, json_string("hello"));
}

static struct brood_handler handlers[MANY + 1] = {
	{ "hello", hello, "greets" },
	{ "hello", hello, "greets again" },
};

/* A table without an end, as far as anybody can tell, of good names. */
static void
fill(void)
{
	static char name[MANY][4];
	size_t i;

	for (i = 0; i < MANY; i++) {
		name[i][0] = (char)('a' + i % 26);
		name[i][1] = (char)('a' + i / 26 % 26);
		name[i][2] = (char)('a' + i / 676);
		handlers[i] = (struct brood_handler){ name[i], hello, "" };
	}
}

__attribute__((constructor)) static void
choose(void)
{
	const char *wrong = getenv("BAD_HANDLERS");

	if (wrong == NULL)
		return;
	if (strcmp(wrong, "name") == 0)
		handlers[1].name = "Hello-Again";
	else if (strcmp(wrong, "empty") == 0)
		handlers[1].name = "";
	else if (strcmp(wrong, "function") == 0)
		handlers[0].run = NULL;
	else if (strcmp(wrong, "endless") == 0)
		fill();
}

const struct brood_module brood_module = {
	.abi = BROOD_MODULE_ABI,
	.name = "bad_handlers",
	.handlers = handlers,
};
