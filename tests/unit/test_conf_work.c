/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_conf_work - the config of hub, tasks and messages: bindings, and what
 * has to hold between keys.
 */
#include "base/clock.h"
#include "conf_fixture.h"

#define M "modules = ( { name = \"m\"; path = \"m.so\"; } );\n"

START_TEST(defaults_are_right)
{
	char path[CONF_PATH_SIZE];

	load_text("");
	ck_assert_ptr_nonnull(conf);
	ck_assert_int_eq(conf->task_workers.start, 2);
	ck_assert_int_eq(conf->tasks.durability, CONF_DURABLE_FULL);
	ck_assert_int_eq(conf->hub.durability, CONF_DURABLE_PROCESS);
	ck_assert_uint_eq(conf->amqp.broker.n, 1);
	ck_assert_str_eq(conf->amqp.broker.v[0], "local");
	ck_assert(!conf_has_broker(conf));
	ck_assert_str_eq(conf_hub_socket(conf, path), "/run/brood/hub.sock");
	ck_assert_str_eq(conf_hub_store(conf, path), "/var/lib/brood/hub.db");
	load_text("hub = { socket = \"/a/b\"; store = \"c/d.db\"; };");
	ck_assert_str_eq(conf_hub_socket(conf, path), "/a/b");
	ck_assert_ptr_nonnull(strstr(conf_hub_store(conf, path), "/c/d.db"));
}
END_TEST

START_TEST(bindings_are_read)
{
	load_text(M "amqp = {\n"
		    "exchanges = ( { name = \"e\"; type = \"topic\"; } );\n"
		    "queues = ( { name = \"q\"; handler = \"m.h\";\n"
		    "  bind = ( { exchange = \"e\"; key = \"a.*\"; },\n"
		    "           { exchange = \"f\"; } ); },\n"
		    "  { name = \"r\"; }, { name = \"s\"; bind = []; } ); };");
	ck_assert_ptr_nonnull(conf);
	ck_assert_uint_eq(conf->queue.n, 3);
	ck_assert_uint_eq(conf->queue.v[0].bind.n, 2);
	ck_assert_str_eq(conf->queue.v[0].bind.v[0].exchange, "e");
	ck_assert_str_eq(conf->queue.v[0].bind.v[0].key, "a.*");
	ck_assert_str_eq(conf->queue.v[0].bind.v[1].exchange, "f");
	ck_assert_str_eq(conf->queue.v[0].bind.v[1].key, "");
	ck_assert_uint_eq(conf->queue.v[1].bind.n, 0);
	ck_assert_str_eq(conf->queue.v[1].handler, "");
	ck_assert_int_eq(conf->exchange.v[0].type, CONF_EXCHANGE_TOPIC);
}
END_TEST

#define Q(bind) "amqp = { queues = ( {\nname = \"q\";\nbind = " bind "; } ); };"
#define S(keys)                                                              \
	M "tasks = { schedule = ( { name = \"s\"; handler = \"m.h\";\n" keys \
	  " } ); };"

static const struct {
	const char *text, *error;
} wrong[] = {
	{ Q("(\n{ exchang = \"e\"; } )"), NULL },
	{ Q("( { key = \"e\"; } )"),
	    "3: 'amqp.queues[0].bind[0]' has no 'exchange'; it must be given "
	    "(the exchange to bind to)" },
	{ Q("( { exchange = \"\"; } )"),
	    "3: 'amqp.queues[0].bind[0].exchange' is empty; give it a value" },
	{ Q("( { exchange = \"e\";\nkey = 3; } )"),
	    "4: 'amqp.queues[0].bind[0].key' is the number 3, but must be a "
	    "text in quotes" },
	{ Q("( \"e\" )"),
	    "3: 'amqp.queues[0].bind[0]' is a single value, but must be a "
	    "group, { … }" },
	{ Q("\"e\""),
	    "3: 'amqp.queues[0].bind' is a single value, but must be a list of "
	    "groups, ( { … }, { … } )" },
	{ S(""),
	    "2: the schedule \"s\" has neither 'every' nor 'cron'; give it "
	    "one" },
	{ S("every = 1.0; cron = \"@daily\";"),
	    "2: the schedule \"s\" has both 'every' and 'cron'; give it one" },
	{ S("every = 1.0; timezone = \"UTC\";"),
	    "2: the schedule \"s\" has a 'timezone', which is for 'cron'" },
	{ "tasks = { backoff_min = 2; backoff_max = 1; };",
	    "1: 'tasks.backoff_min' is 2, but must not be more than "
	    "'tasks.backoff_max', which is 1" },
	{ "tasks = { workers = { start = 9; max = 8; }; };",
	    "1: 'tasks.workers.start' is 9, but must not be more than "
	    "'tasks.workers.max', which is 8" },
	{ "hub = { redo_size = 1048576; };",
	    "1: 'hub.redo_size' is 1048576, but must be at least 8388608, "
	    "eight times 'hub.max_value'" },
	{ "hub = { max_unread = 65536; };",
	    "1: 'hub.max_unread' is 65536, but must be at least "
	    "'hub.max_message', which is 16777216, or who is sent one such "
	    "message is cut off" },
	{ "hub = { max_message = 65536; };",
	    "1: 'hub.max_value' is 1048576, but must not be more than "
	    "'hub.max_message', which is 65536" },
	{ "hub = { max_memory = 65536; };",
	    "1: 'hub.max_value' is 1048576, but must not be more than "
	    "'hub.max_memory', which is 65536" },
	{ "hub = { max_clients = 1000; };",
	    "1: 'hub.max_clients' is 1000, but must be at least "
	    "'service.max_children', which is 1024: each child is one" },
	{ "modules = ( { name = \"cruncher\"; path = \"m.so\"; } );\n"
	  "tasks = { background = ( { name = \"a\"; handler = \"crunher.h\"; "
	  "} ); };",
	    "2: the handler \"crunher.h\" is in no module of this config; did "
	    "you mean \"cruncher.h\"?" },
	{ M "amqp = { queues = ( { name = \"a\"; handler = \"other.h\"; } "
	    "); };",
	    "2: the handler \"other.h\" is in no module of this config: no "
	    "entry of 'modules' has the name \"other\"" },
	{ M "tasks = { limits = ( { handler = \"m.h\"; },\n"
	    "{ handler = \"m.h\"; } ); };",
	    "3: a limit of the handler \"m.h\" is there already, at "
	    "brood.conf:2" },
	{ M "tasks = { background = ( { name = \"a\"; handler = \"m.h\"; },\n"
	    "{ name = \"a\"; handler = \"m.i\"; } ); };",
	    "3: a background handler named \"a\" is there already, at "
	    "brood.conf:2" },
	{ M "tasks = { schedule = ( { name = \"a\"; handler = \"m.h\"; every "
	    "= 1; },\n{ name = \"a\"; handler = \"m.i\"; every = 1; } ); };",
	    "3: a schedule named \"a\" is there already, at brood.conf:2" },
	{ "amqp = { queues = ( { name = \"a\"; },\n{ name = \"a\"; } ); };",
	    "2: a queue named \"a\" is there already, at brood.conf:1" },
	{ "amqp = { exchanges = ( { name = \"a\"; },\n{ name = \"a\"; } ); "
	  "};",
	    "2: an exchange named \"a\" is there already, at brood.conf:1" },
	{ "hub = { data = ( { prefix = \"a\"; },\n{ prefix = \"a\"; } ); };",
	    "2: the prefix \"a\" is there already, at brood.conf:1" },
	{ "amqp = { queues = ( { name = \"a\"; dead_letter_key = \"k\"; } "
	  "); };",
	    "1: the queue \"a\" has a 'dead_letter_key', but no "
	    "'dead_letter_exchange'" },
	{ M "tasks = { workers = { start = 0; min_spare = 0; };\n"
	    "schedule = ( { name = \"s\"; handler = \"m.h\"; every = 1; } ); "
	    "};",
	    "2: 'tasks.workers.start' and 'tasks.workers.min_spare' are 0, so "
	    "that no task worker is ever started, but 1 routes, schedules or "
	    "queues need one" },
};

START_TEST(what_contradicts_is_named)
{
	char error[1024];

	if (wrong[_i].error == NULL) {
		/* the unknown key and the one that is missing for it */
		load_text(wrong[_i].text);
		ck_assert_uint_eq(errors.n, 2);
		ck_assert_str_eq(error_text(0),
		    "brood.conf:4: unknown key "
		    "'amqp.queues[0].bind[0].exchang'; did you mean "
		    "'amqp.queues[0].bind[0].exchange'?");
		return;
	}
	snprintf(error, sizeof(error), "brood.conf:%s", wrong[_i].error);
	expect_error(wrong[_i].text, error);
}
END_TEST

/* What is wrong goes, the rest can be used: for broodctl and broodd -t. */
START_TEST(what_is_wrong_is_left_out)
{
	conf = conf_read(put_file("brood.conf",
			     M "amqp = { queues = ( { name = \"a\"; handler = "
			       "\"x.y\"; bind = ( { key = \"k\"; }, { exchange "
			       "= \"e\"; } ); }, { name = \"a\"; } ); };\n"
			       "tasks = { schedule = ( { name = \"s\"; handler "
			       "= \"m.h\"; } ); };"),
	    &errors);
	ck_assert_ptr_nonnull(conf);
	ck_assert_uint_eq(errors.n, 4);
	ck_assert_uint_eq(conf->queue.n, 1);
	ck_assert_str_eq(conf->queue.v[0].handler, "");
	ck_assert_uint_eq(conf->queue.v[0].bind.n, 1);
	ck_assert_str_eq(conf->queue.v[0].bind.v[0].exchange, "e");
	ck_assert_uint_eq(conf->schedule.n, 0);
}
END_TEST

START_TEST(what_is_printed_loads_again)
{
	char *one = NULL, *two = NULL;
	size_t size;
	FILE *out;

	load_text(Q("( { exchange = \"a\\\"b\"; key = \"#\"; }, { exchange = "
		    "\"c\"; } )"));
	out = open_memstream(&one, &size);
	conf_print(conf, out);
	fclose(out);
	load_text(one);
	ck_assert_ptr_nonnull(conf);
	ck_assert_uint_eq(conf->queue.v[0].bind.n, 2);
	ck_assert_str_eq(conf->queue.v[0].bind.v[0].exchange, "a\"b");
	out = open_memstream(&two, &size);
	conf_print(conf, out);
	fclose(out);
	ck_assert_str_eq(one, two);
	free(one);
	free(two);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("conf_work");
	TCase *tests = tcase_create("conf_work");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, conf_set_up, conf_tear_down);
	tcase_add_test(tests, defaults_are_right);
	tcase_add_test(tests, bindings_are_read);
	tcase_add_loop_test(tests, what_contradicts_is_named, 0,
	    (int)(sizeof(wrong) / sizeof(wrong[0])));
	tcase_add_test(tests, what_is_wrong_is_left_out);
	tcase_add_test(tests, what_is_printed_loads_again);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
