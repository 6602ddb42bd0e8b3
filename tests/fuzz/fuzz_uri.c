/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_uri - %-encoding, queries, cookies and request targets out of any bytes.
 *
 * Decoding in place and into another buffer agree, never grow, and never let a
 * control byte through; what is found lies within what was searched.
 */
#include "fuzz.h"
#include "rest/uri.h"

static void
require_printable(const char *text, ssize_t len)
{
	for (ssize_t i = 0; i < len; i++)
		FUZZ_REQUIRE((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
}

static void
decode(const char *text, size_t len, bool plus)
{
	char *apart = malloc(len + 1), *in_place = malloc(len + 1);
	ssize_t n, m;

	memcpy(in_place, text, len + 1);
	n = uri_decode(apart, text, len, plus);
	m = uri_decode(in_place, in_place, len, plus);
	FUZZ_REQUIRE(n == m && n <= (ssize_t)len);
	if (n >= 0) {
		FUZZ_REQUIRE(memcmp(apart, in_place, (size_t)n + 1) == 0);
		FUZZ_REQUIRE(apart[n] == '\0');
		require_printable(apart, n);
	}
	free(apart);
	free(in_place);
}

static void
query(const char *text, size_t len)
{
	char *decoded = malloc(QUERY_ROOM(len));
	ssize_t n = query_decode(decoded, text, len);
	const char *value;

	FUZZ_REQUIRE(n <= (ssize_t)QUERY_ROOM(len));
	if (n > 0) {
		FUZZ_REQUIRE(decoded[n - 1] == '\0');
		value = query_find(decoded, (size_t)n, decoded);
		FUZZ_REQUIRE(value > decoded && value < decoded + n);
	}
	free(decoded);
}

static void
cookie(const char *text, size_t len)
{
	size_t found_len;
	const char *found = cookie_find(text, "id", &found_len);

	if (found != NULL) {
		FUZZ_REQUIRE(found >= text && found <= text + len);
		FUZZ_REQUIRE(found_len <= (size_t)(text + len - found));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	size_t len = strlen(text);
	const char *path = uri_target_path(text);
	bool encoded;

	decode(text, len, false);
	decode(text, len, true);
	query(text, len);
	cookie(text, len);
	uri_path_ok(text, &encoded);
	if (path != NULL)
		FUZZ_REQUIRE(*path == '/' || *path == '*');
	free(text);
	return 0;
}
