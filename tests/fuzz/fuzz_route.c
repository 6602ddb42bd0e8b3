/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_route - patterns as a config may have them and paths as a client may
 * send them.
 *
 * The input is lines: "METHOD PATTERN" up to an empty line, then "METHOD PATH".
 * Whatever the table holds, a match names one of its routes and as many values
 * as the route has parameters, none of them empty or with a control byte.
 */
#include "base/why.h"
#include "fuzz.h"
#include "rest/route.h"

static void
require_match(const struct route_match *match)
{
	FUZZ_REQUIRE(match->route != NULL);
	FUZZ_REQUIRE(match->route->params <= ROUTE_SEGMENTS);
	for (size_t i = 0; i < match->route->params; i++) {
		const char *value = match->value[i];

		FUZZ_REQUIRE(value != NULL && *value != '\0');
		for (; *value != '\0'; value++)
			FUZZ_REQUIRE((unsigned char)*value >= 0x20);
	}
}

static void
find(const struct route_table *table, const char *method, const char *path)
{
	char *scratch = malloc(ROUTE_SCRATCH(strlen(path)));
	char allow[ROUTE_ALLOW_SIZE];
	struct route_match match;

	memset(&match, 0, sizeof(match));
	switch (route_find(table, method, path, scratch, &match)) {
	case ROUTE_FOUND:
		require_match(&match);
		FUZZ_REQUIRE(route_param(&match, "") == NULL);
		break;
	case ROUTE_NOT_ALLOWED:
	case ROUTE_OPTIONS:
		FUZZ_REQUIRE(strlen(route_allow(match.allow, allow)) > 0);
		break;
	case ROUTE_NOT_FOUND:
	case ROUTE_UNKNOWN_METHOD:
	case ROUTE_BAD_PATH:
		break;
	}
	free(scratch);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct route_table *table = route_table_new();
	char *text = fuzz_text(data, size), *rest = text, *line, *second;
	bool patterns = true;

	while ((line = strsep(&rest, "\n")) != NULL) {
		if (*line == '\0') {
			patterns = false;
			continue;
		}
		if ((second = strchr(line, ' ')) == NULL)
			continue;
		*second++ = '\0';
		if (patterns)
			route_add(table, line,
			    &(struct route){ .pattern = second,
				.file = "fuzz",
				.handler_name = "fuzz.fuzz",
				.line = 1 },
			    NULL);
		else
			find(table, line, second);
	}
	route_table_free(table);
	free(text);
	return 0;
}
