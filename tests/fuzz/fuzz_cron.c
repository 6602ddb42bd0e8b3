/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_cron - any text as a cron entry, and its two halves as a topic pattern
 * and a key.
 *
 * What is accepted has a value in each field and none beyond its bounds, comes
 * after the moment it is asked for, on a full minute, and comes again at once
 * when it is asked for a second before that.
 */
#include "base/why.h"
#include "fuzz.h"
#include "hub/cron.h"
#include "hub/exchange.h"

#define AFTER INT64_C(1793750400)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	size_t len = strlen(text), half = len / 2;
	struct why why = { .text = "" };
	struct cron cron;
	int64_t next;

	if (cron_parse(&cron, text, &why) == 0) {
		FUZZ_REQUIRE(cron.minutes != 0 && cron.minutes >> 60 == 0);
		FUZZ_REQUIRE(cron.hours != 0 && cron.hours >> 24 == 0);
		FUZZ_REQUIRE(cron.days != 0 && (cron.days & 1) == 0);
		FUZZ_REQUIRE(cron.months != 0 && cron.months >> 13 == 0);
		FUZZ_REQUIRE(cron.weekdays != 0 && cron.weekdays >> 7 == 0);
		next = cron_next(&cron, "UTC", AFTER);
		FUZZ_REQUIRE(next > AFTER);
		if (next != INT64_MAX) {
			FUZZ_REQUIRE(next % 60 == 0);
			FUZZ_REQUIRE(cron_next(&cron, "UTC", next - 1) == next);
		}
	} else {
		FUZZ_REQUIRE(why.text[0] != '\0');
	}
	/* everything fits #, and what has no wildcard fits itself */
	FUZZ_REQUIRE(exchange_topic_fits("#", 1, text, len));
	if (strpbrk(text, "*#") == NULL)
		FUZZ_REQUIRE(exchange_topic_fits(text, len, text, len));
	exchange_topic_fits(text, half, text + half, len - half);
	free(text);
	return 0;
}
