/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_call_id - what a client calls its request and its trace.
 *
 * Whatever it sends, the id that we go on with is short and printable, and a
 * traceparent that we pass on has the length and the alphabet of one.
 */
#include "core/call.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	char id[CALL_ID_SIZE], again[CALL_ID_SIZE];
	char trace[CALL_TRACEPARENT_SIZE];
	size_t len;

	call_make_id(text, id);
	len = strlen(id);
	FUZZ_REQUIRE(len >= 1 && len < sizeof(id));
	for (size_t i = 0; i < len; i++)
		FUZZ_REQUIRE(id[i] > ' ' && id[i] < 0x7f);
	/* an id of ours is one that we accept */
	FUZZ_REQUIRE(strcmp(call_make_id(id, again), id) == 0);

	if (call_traceparent_ok(text)) {
		FUZZ_REQUIRE(strlen(text) == CALL_TRACEPARENT_SIZE - 1);
		FUZZ_REQUIRE(strspn(text, "0123456789abcdef-") ==
		    CALL_TRACEPARENT_SIZE - 1);
	}
	FUZZ_REQUIRE(call_traceparent_ok(call_make_traceparent(trace)));
	free(text);
	return 0;
}
