/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_head - the first bytes of a connection, and fields one by one.
 *
 * Wherever it is cut off: a beginning that is refused stays refused when more
 * bytes come, and what is refused has a status and a reason to answer with.
 */
#include "fuzz.h"
#include "rest/head.h"

static const struct head_limits limits = { .max_uri = 200, .max_header = 600 };

static void
require_reason(const struct head *head)
{
	FUZZ_REQUIRE(head->status >= 400 && head->status <= 599);
	FUZZ_REQUIRE(head->detail != NULL && *head->detail != '\0');
}

/* True when bytes[0..len) may begin a request; in memory of just that size. */
static bool
scan(const char *bytes, size_t len)
{
	char *copy = malloc(len > 0 ? len : 1);
	struct head head;
	bool good;

	memcpy(copy, bytes, len);
	head_init(&head);
	good = head_scan(&head, copy, len, &limits);
	if (!good)
		require_reason(&head);
	free(copy);
	return good;
}

/* "name: value" lines, the way the library hands them over. */
static void
fields(char *text)
{
	struct head head;
	char *line, *value;

	head_init(&head);
	while ((line = strsep(&text, "\n")) != NULL) {
		if ((value = strchr(line, ':')) == NULL)
			continue;
		*value++ = '\0';
		value += strspn(value, " \t");
		head_field(&head, line, strlen(line), value, strlen(value));
	}
	head_finish(&head, 1);
	FUZZ_REQUIRE(head.length >= -1);
	if (head.status != 0)
		require_reason(&head);
	else
		FUZZ_REQUIRE(!head.chunked || head.length == -1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	size_t len = size < 1000 ? size : 1000;
	bool good = true;

	for (size_t n = 1; n <= len; n += 1 + n / 8) {
		bool now = scan(text, n);

		FUZZ_REQUIRE(good || !now);
		good = now;
	}
	fields(text);
	free(text);
	return 0;
}
