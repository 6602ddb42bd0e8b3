/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_address - any text as an address of the config.
 *
 * What is accepted has a length that fits its family, keeps the text it came
 * from, and can be written for a log.
 */
#include "base/why.h"
#include "core/address.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	char shown[ADDRESS_TEXT_SIZE];
	struct address address;
	struct why why = { .text = "" };

	if (address_parse(text, &address, &why) == 0) {
		FUZZ_REQUIRE(address.len > sizeof(address.ss.ss_family));
		FUZZ_REQUIRE(address.len <= sizeof(address.ss));
		FUZZ_REQUIRE(strlen(address.text) < sizeof(address.text));
		address_format((const struct sockaddr *)&address.ss,
		    address.len, shown);
		FUZZ_REQUIRE(strlen(shown) < sizeof(shown));
	} else {
		FUZZ_REQUIRE(why.text[0] != '\0');
	}
	free(text);
	return 0;
}
