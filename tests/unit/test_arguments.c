/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_arguments - what each kind of queue in a config is declared with, and
 * the queues beside it.
 */
#include "conf_fixture.h"

#include "amqp/topology.h"

/* As JSON in the order of the keys; freed at the end of the process. */
static const char *
dumped(json_t *json)
{
	char *text = json_dumps(json, JSON_SORT_KEYS | JSON_COMPACT);

	json_decref(json);
	return text;
}

static const struct conf_queue *
the_queue(const char *settings)
{
	char text[1000];

	snprintf(text, sizeof(text),
	    "modules = ( { name = \"m\"; path = \"/m.so\"; } ); amqp: { "
	    "exchanges = ( { name = \"dlx\"; } ); queues = ( { name = "
	    "\"q\"; %s } ); };",
	    settings);
	load_text(text);
	ck_assert_msg(conf != NULL, "%s", error_text(0));
	return &conf->queue.v[0];
}

static void
declares(const char *settings, const char *json)
{
	const struct conf_queue *queue = the_queue(settings);
	char *text = (char *)dumped(topology_arguments(conf, queue));

	ck_assert_str_eq(text, json);
	free(text);
}

START_TEST(only_what_was_asked_for)
{
	declares("", "{}");
	declares("max_priority = 10;", "{\"x-max-priority\":10}");
	declares("type = \"quorum\";", "{\"x-queue-type\":\"quorum\"}");
	declares("max_length = 7;",
	    "{\"x-max-length\":7,\"x-overflow\":\"reject-publish\"}");
}
END_TEST

START_TEST(letters_go_where_the_hub_sends_them)
{
	declares("handler = \"m.h\";",
	    "{\"x-dead-letter-exchange\":\"\","
	    "\"x-dead-letter-routing-key\":\"q.dead\"}");
	declares("handler = \"m.h\"; dead_letter_exchange = \"dlx\";",
	    "{\"x-dead-letter-exchange\":\"dlx\"}");
	declares("dead_letter_exchange = \"dlx\"; dead_letter_key = \"k\";",
	    "{\"x-dead-letter-exchange\":\"dlx\","
	    "\"x-dead-letter-routing-key\":\"k\"}");
}
END_TEST

/* What the broker drops by our config has a place without a handler, too. */
START_TEST(letters_of_a_queue_without_a_handler)
{
	declares("ttl = 1.5;",
	    "{\"x-dead-letter-exchange\":\"\","
	    "\"x-dead-letter-routing-key\":\"q.dead\","
	    "\"x-message-ttl\":1500}");
	declares("max_length = 7; overflow = \"drop-head\";",
	    "{\"x-dead-letter-exchange\":\"\","
	    "\"x-dead-letter-routing-key\":\"q.dead\","
	    "\"x-max-length\":7}");
	declares("ttl = 1.5; dead_letter_exchange = \"dlx\";",
	    "{\"x-dead-letter-exchange\":\"dlx\","
	    "\"x-message-ttl\":1500}");
}
END_TEST

START_TEST(arguments_of_the_config_count)
{
	declares("arguments = { x-single-active-consumer = true; };",
	    "{\"x-single-active-consumer\":true}");
}
END_TEST

START_TEST(plain_and_passive_ones_have_none)
{
	declares("handler = \"m.h\"; plain = true; ttl = 5.0;", "{}");
	declares("handler = \"m.h\"; passive = true;", "{}");
}
END_TEST

START_TEST(beside)
{
	char *text = (char *)dumped(
	    topology_beside(the_queue("handler = \"m.h\";"), 4000, false));

	ck_assert_str_eq(text,
	    "{\"x-dead-letter-exchange\":\"\","
	    "\"x-dead-letter-routing-key\":\"q\",\"x-message-ttl\":4000}");
	free(text);
	text = (char *)dumped(
	    topology_beside(the_queue("type = \"quorum\";"), 0, true));
	ck_assert_str_eq(text, "{\"x-queue-type\":\"quorum\"}");
	free(text);
	text = (char *)dumped(
	    topology_beside(the_queue("handler = \"m.h\";"), 4000, true));
	ck_assert_str_eq(text,
	    "{\"x-dead-letter-exchange\":\"\","
	    "\"x-dead-letter-routing-key\":\"q\","
	    "\"x-dead-letter-strategy\":\"at-least-once\","
	    "\"x-message-ttl\":4000,\"x-overflow\":\"reject-publish\","
	    "\"x-queue-type\":\"quorum\"}");
	free(text);
	ck_assert(topology_moves_safely("RabbitMQ 3.10.8"));
	ck_assert(topology_moves_safely("RabbitMQ 4.0.1"));
	ck_assert(!topology_moves_safely("RabbitMQ 3.9.27"));
	ck_assert(!topology_moves_safely("Qpid 9.0"));
}
END_TEST

START_TEST(who_has_a_place_for_the_dead)
{
	static const struct {
		const char *settings;
		bool dead, letters;
	} all[] = {
		{ "", false, false },
		{ "ttl = 1.0;", true, true },
		{ "ttl = 1.0; plain = true;", false, false },
		{ "ttl = 1.0; passive = true;", false, false },
		{ "overflow = \"drop-head\";", false, false },
		{ "handler = \"m.h\";", true, true },
		{ "handler = \"m.h\"; plain = true;", true, false },
		{ "handler = \"m.h\"; passive = true;", true, false },
		{ "handler = \"m.h\"; passive = true; dead_letter_exchange = "
		  "\"dlx\";",
		    false, true },
		{ "handler = \"m.h\"; dead_letter_exchange = \"dlx\";", false,
		    true },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		const struct conf_queue *queue = the_queue(all[i].settings);

		ck_assert_int_eq(topology_has_dead(queue), all[i].dead);
		ck_assert_int_eq(topology_has_letters(queue), all[i].letters);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("arguments");
	TCase *tcase = tcase_create("arguments");

	tcase_add_checked_fixture(tcase, conf_set_up, conf_tear_down);
	tcase_add_test(tcase, only_what_was_asked_for);
	tcase_add_test(tcase, letters_go_where_the_hub_sends_them);
	tcase_add_test(tcase, letters_of_a_queue_without_a_handler);
	tcase_add_test(tcase, arguments_of_the_config_count);
	tcase_add_test(tcase, plain_and_passive_ones_have_none);
	tcase_add_test(tcase, beside);
	tcase_add_test(tcase, who_has_a_place_for_the_dead);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
