/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_url - broker addresses out of any text: what is shown of a good one
 * means the same host, port and vhost, and what is refused has a reason.
 */
#include "base/utf8.h"
#include "base/why.h"
#include "core/url.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), shown[URL_TEXT_SIZE];
	struct why why = { "" };
	struct url url, again;

	if (url_parse(text, &url, &why) < 0) {
		FUZZ_REQUIRE(why.text[0] != '\0');
		free(text);
		return 0;
	}
	FUZZ_REQUIRE(url.host[0] != '\0' && url.port > 0 && url.port < 65536);
	FUZZ_REQUIRE(utf8_is_text(url.vhost, strlen(url.vhost)));
	url_text(&url, shown);
	/* a host of percent signs may not be one again, and a long vhost is
	 * cut; everything else is */
	if (strlen(shown) < URL_TEXT_SIZE - 4 &&
	    strpbrk(url.host, "%@/:?#[]") == NULL) {
		FUZZ_REQUIRE(url_parse(shown, &again, &why) == 0);
		FUZZ_REQUIRE(strcmp(url.host, again.host) == 0);
		FUZZ_REQUIRE(strcmp(url.vhost, again.vhost) == 0);
		FUZZ_REQUIRE(url.port == again.port && url.tls == again.tls);
		FUZZ_REQUIRE(!again.has_user && !again.has_password);
	}
	free(text);
	return 0;
}
