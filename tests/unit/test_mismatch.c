/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_mismatch - the broker's refusals in words: texts of RabbitMQ 3.10 on the
 * left, what somebody reads who has to mend it on the right.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/mismatch.h"
#include "base/why.h"
#include "run_suite.h"

static const struct mismatch_thing queue = { MISMATCH_QUEUE, "jobs", false };
static const struct mismatch_thing passive = { MISMATCH_QUEUE, "jobs", true };
static const struct mismatch_thing exchange = { MISMATCH_EXCHANGE, "emails",
	false };
static const struct mismatch_thing beside = { MISMATCH_BESIDE, "jobs.retry.1s",
	false };

static void
explains(const struct mismatch_thing *thing, unsigned code, const char *text,
    const char *words)
{
	struct why why;

	mismatch_explain(thing, code, text, &why);
	ck_assert_str_eq(why.text, words);
}

START_TEST(an_argument_that_the_broker_has_and_we_do_not)
{
	explains(&queue, 406,
	    "PRECONDITION_FAILED - inequivalent arg 'x-max-priority' for queue "
	    "'jobs' in vhost '/': received none but current is the value '10' "
	    "of type 'signedint'",
	    "queue \"jobs\": the broker has it with x-max-priority 10, and the "
	    "config wants none (max_priority); set max_priority = 10, or "
	    "delete the queue on the broker once it is empty, or set passive = "
	    "true");
}
END_TEST

START_TEST(an_argument_that_we_have_and_the_broker_does_not)
{
	explains(&queue, 406,
	    "PRECONDITION_FAILED - inequivalent arg 'x-dead-letter-exchange' "
	    "for queue 'jobs' in vhost '/': received the value '' of type "
	    "'longstr' but current is none",
	    "queue \"jobs\": the broker has it without x-dead-letter-exchange, "
	    "and the config wants \"\" (dead_letter_exchange); set plain = "
	    "true, or delete the queue on the broker once it is empty, or set "
	    "passive = true");
}
END_TEST

START_TEST(values_are_as_one_writes_them)
{
	explains(&queue, 406,
	    "PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue "
	    "'jobs' in vhost '/': received the value '1500' of type 'long' but "
	    "current is the value '60500' of type 'long'",
	    "queue \"jobs\": the broker has it with x-message-ttl 60500, and "
	    "the config wants 1500 (ttl); set ttl = 60.5, or delete the queue "
	    "on the broker once it is empty, or set passive = true");
	explains(&queue, 406,
	    "PRECONDITION_FAILED - inequivalent arg 'x-overflow' for queue "
	    "'jobs' in vhost '/': received none but current is the value "
	    "'reject-publish' of type 'longstr'",
	    "queue \"jobs\": the broker has it with x-overflow reject-publish, "
	    "and the config wants none (overflow); set overflow = \"reject\", "
	    "or delete the queue on the broker once it is empty, or set "
	    "passive = true");
	explains(&exchange, 406,
	    "PRECONDITION_FAILED - inequivalent arg 'type' for exchange "
	    "'emails' in vhost 'it''s': received 'fanout' but current is "
	    "'direct'",
	    "exchange \"emails\": the broker has it with type direct, and the "
	    "config wants fanout (type); set type = \"direct\", or delete the "
	    "exchange on the broker, or set passive = true");
}
END_TEST

START_TEST(what_no_key_is_for)
{
	explains(&queue, 406,
	    "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'jobs' "
	    "in vhost '/': received 'true' but current is 'false'",
	    "queue \"jobs\": the broker has it with durable false, and we need "
	    "true; delete the queue on the broker once it is empty, or set "
	    "passive = true");
	explains(&queue, 406,
	    "PRECONDITION_FAILED - inequivalent arg 'x-expires' for queue "
	    "'jobs' in vhost '/': received none but current is the value '5' "
	    "of type 'long'",
	    "queue \"jobs\": the broker has it with x-expires 5, and the "
	    "config wants none (arguments); set it in arguments, or delete the "
	    "queue on the broker once it is empty, or set passive = true");
	explains(&beside, 406,
	    "PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue "
	    "'jobs.retry.1s' in vhost '/': received the value '1000' of type "
	    "'long' but current is none",
	    "queue \"jobs.retry.1s\": the broker has it without x-message-ttl, "
	    "and we need 1000; delete the queue on the broker, it is made "
	    "anew");
}
END_TEST

START_TEST(other_refusals)
{
	explains(&passive, 404, "NOT_FOUND - no queue 'jobs' in vhost '/'",
	    "queue \"jobs\" is not on the broker, and passive = true leaves it "
	    "to somebody else to declare it");
	explains(&queue, 403,
	    "ACCESS_REFUSED - access to queue 'jobs' in vhost '/' refused for "
	    "user 'guest'",
	    "queue \"jobs\": the broker's permissions forbid it to our user "
	    "(ACCESS_REFUSED - access to queue 'jobs' in vhost '/' refused for "
	    "user 'guest')");
	explains(&queue, 405, "RESOURCE_LOCKED - cannot obtain exclusive…",
	    "queue \"jobs\": another connection has it for itself (exclusive)");
}
END_TEST

START_TEST(what_is_not_understood_is_passed_on)
{
	static const char *const odd[] = {
		"",
		"inequivalent arg '",
		"inequivalent arg 'x' for ",
		"inequivalent arg 'x' for y: received ",
		"inequivalent arg 'x' for y: received none but current is ",
		"inequivalent arg 'x' for y: received the value '1 but",
		"PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue",
	};
	char words[512];

	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		snprintf(words, sizeof(words), "queue \"jobs\": %s", odd[i]);
		explains(&queue, 406, odd[i], words);
	}
}
END_TEST

START_TEST(long_ones_are_cut)
{
	char text[2000];
	struct why why;

	memset(text, 'x', sizeof(text));
	memcpy(text, "inequivalent arg '", 18);
	text[sizeof(text) - 1] = '\0';
	mismatch_explain(&queue, 406, text, &why);
	ck_assert_uint_eq(strlen(why.text), sizeof(why.text) - 1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("mismatch");
	TCase *tcase = tcase_create("mismatch");

	tcase_add_test(tcase, an_argument_that_the_broker_has_and_we_do_not);
	tcase_add_test(tcase, an_argument_that_we_have_and_the_broker_does_not);
	tcase_add_test(tcase, values_are_as_one_writes_them);
	tcase_add_test(tcase, what_no_key_is_for);
	tcase_add_test(tcase, other_refusals);
	tcase_add_test(tcase, what_is_not_understood_is_passed_on);
	tcase_add_test(tcase, long_ones_are_cut);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
