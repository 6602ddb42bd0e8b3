/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_conf_amqp - the config's part about brokers: what is taken, what is
 * refused and how, where credentials come from, and that none is shown.
 */
#include "conf_fixture.h"

#define H "amqp://localhost"
#define BROKER "amqp = { broker = \"" H "\"; };\n"
#define M "modules = ( { name = \"m\"; path = \"m.so\"; } );\n"

static char *printed;

static const char *
print(void)
{
	size_t len;
	FILE *out;

	free(printed);
	out = open_memstream(&printed, &len);
	conf_print(conf, out);
	fclose(out);
	return printed;
}

static void
set_up(void)
{
	conf_set_up();
	unsetenv("BROOD_AMQP_USER");
	unsetenv("BROOD_AMQP_PASSWORD");
}

static void
tear_down(void)
{
	free(printed);
	printed = NULL;
	conf_tear_down();
}

START_TEST(one_address_or_a_list)
{
	load_text(BROKER);
	ck_assert_ptr_nonnull(conf);
	ck_assert(conf_has_broker(conf));
	ck_assert_str_eq(conf->amqp.broker.v[0], H);
	ck_assert_str_eq(conf->amqp_user, "guest");
	ck_assert_str_eq(conf->amqp_password, "guest");
	load_text("amqp = { broker = [ \"amqp://a\", \"amqps://b/v\" ]; };");
	ck_assert_ptr_nonnull(conf);
	ck_assert_uint_eq(conf->amqp.broker.n, 2);
	ck_assert_str_eq(conf->amqp.broker.v[1], "amqps://b/v");
	load_text("amqp = { broker = [ \"local\" ]; };");
	ck_assert_ptr_nonnull(conf);
	ck_assert(!conf_has_broker(conf));
	ck_assert_ptr_null(conf->amqp_user);
}
END_TEST

START_TEST(credentials_come_from_three_places)
{
	char text[512];

	setenv("BROOD_AMQP_USER", "anna", 1);
	setenv("BROOD_AMQP_PASSWORD", "from-env", 1);
	load_text(BROKER);
	ck_assert_str_eq(conf->amqp_user, "anna");
	ck_assert_str_eq(conf->amqp_password, "from-env");
	put_file("password", "from file\r\nsecond line\n");
	load_text("amqp = { broker = \"" H "\"; user = \"otto\";\n"
		  "password_file = \"password\"; };");
	ck_assert_ptr_nonnull(conf);
	ck_assert_str_eq(conf->amqp_user, "otto");
	ck_assert_str_eq(conf->amqp_password, "from file");
	snprintf(text, sizeof(text), "%0300d", 1);
	setenv("BROOD_AMQP_USER", text, 1);
	expect_error(BROKER,
	    "brood.conf: BROOD_AMQP_USER of the environment "
	    "has more than 255 characters");
}
END_TEST

START_TEST(no_secret_is_printed)
{
	setenv("BROOD_AMQP_PASSWORD", "s3cret", 1);
	put_file("password", "s3cret\n");
	load_text("amqp = { broker = \"amqp://anna:s3cret@h/v\";\n"
		  "password_file = \"password\"; };");
	ck_assert_ptr_nonnull(conf);
	ck_assert_ptr_null(strstr(print(), "s3cret"));
	ck_assert_ptr_nonnull(
	    strstr(printed, "broker = [ \"amqp://anna:***@h/v\" ]"));
}
END_TEST

START_TEST(tls_files_are_read)
{
	static const char pem[] = "-----BEGIN X-----\n";

	put_file("ca", pem);
	put_file("cert", pem);
	put_file("key", pem);
	load_text("amqp = { broker = \"amqps://h\"; tls = { ca = \"ca\";\n"
		  "certificate = \"cert\"; key = \"key\"; }; };");
	ck_assert_ptr_nonnull(conf);
	ck_assert_str_eq(conf->amqp_ca, pem);
	ck_assert_str_eq(conf->amqp_certificate, pem);
	ck_assert_str_eq(conf->amqp_key, pem);
	/* another machine's files are nobody's business without a broker */
	load_text("amqp = { password_file = \"none\"; tls = { ca = \"none\"; "
		  "}; };");
	ck_assert_ptr_nonnull(conf);
	ck_assert_ptr_null(conf->amqp_ca);
}
END_TEST

START_TEST(children_count_twice)
{
	int without;

	load_text("amqp = { children = 5; };");
	without = conf_children_max(conf);
	load_text("amqp = { children = 5; broker = \"" H "\"; };");
	ck_assert_int_eq(conf_children_max(conf), without + 10);
	load_text("service = { max_children = 40; }; rest = { workers = { max "
		  "= 8; }; }; tasks = { workers = { max = 8; }; };\n"
		  "hub = { max_clients = 64; };\n"
		  "amqp = { children = 5; broker = \"" H "\"; };");
	ck_assert_uint_eq(errors.n, 1);
	ck_assert_ptr_nonnull(strstr(error_text(0), "at least 43"));
	ck_assert_ptr_nonnull(strstr(error_text(0), "'amqp.children'"));
}
END_TEST

/* What is at fault goes, so that what reads on despite errors meets none. */
START_TEST(bad_addresses_are_left_out)
{
	conf = conf_read(put_file("brood.conf",
			     "amqp = { broker = [ \"nonsense\", \"" H
			     "\" ]; };"),
	    &errors);
	ck_assert_uint_eq(errors.n, 1);
	ck_assert_uint_eq(conf->amqp.broker.n, 1);
	ck_assert_str_eq(conf->amqp.broker.v[0], H);
	conf_free(conf);
	conf = conf_read(put_file("brood.conf",
			     "amqp = { broker = \"nonsense\"; };"),
	    &errors);
	ck_assert_str_eq(conf->amqp.broker.v[0], "local");
}
END_TEST

static const struct wrong {
	const char *text, *error;
} wrong[] = {
	{ "amqp = { broker = \"locl\"; };",
	    "1: 'amqp.broker' has \"locl\", but must be \"local\" or the "
	    "address of a broker, \"amqp://HOST/VHOST\" say" },
	{ "amqp = { broker = [ \"" H "\", \"local\" ]; };",
	    "1: 'amqp.broker' has \"local\" among 2 entries; it is \"local\" "
	    "alone, or the addresses of brokers" },
	{ "amqp = { broker = [ \"" H "\", \"http://u:secret@h\" ]; };",
	    "1: 'amqp.broker', address 2: it does not begin with amqp:// or "
	    "amqps://" },
	{ "amqp = { broker = \"amqp://u:sec/ret@h\"; };",
	    "1: 'amqp.broker', address 1: there is a '/', '?' or '#' before "
	    "the '@'; in a user or password write them as %2F, %3F and %23, "
	    "and '@' as %40" },
	{ "amqp = { broker = []; };",
	    "1: 'amqp.broker' has 0 URLs, but must have from 1 to 32" },
	{ "amqp = { broker = 5; };",
	    "1: 'amqp.broker' is the number 5, but must be a list of texts, "
	    "[ \"…\", \"…\" ]" },
	{ "amqp = { broker = \"" H "\"; password_file = \"none\"; };",
	    "1: 'amqp.password_file': cannot read none: No such file or "
	    "directory" },
	{ "amqp = { broker = \"" H "\"; password_file = \"empty\"; };",
	    "1: 'amqp.password_file': the first line of empty is empty" },
	{ "amqp = { broker = \"" H "\"; password_file = \"../..\"; };", NULL },
	{ "amqp = { reconnect_min = 40.0; };",
	    "1: 'amqp.reconnect_min' is 40, but must not be more than "
	    "'amqp.reconnect_max', which is 30" },
	{ "amqp = { broker = \"" H "\"; timeout = 30.0; };",
	    "1: 'amqp.timeout' is 30, but must be less than "
	    "'service.heartbeat_timeout', which is 20, or a child that waits "
	    "for a broker is killed" },
	{ "amqp = { tls = { key = \"k\"; }; };",
	    "1: 'amqp.tls.key' is given, but 'amqp.tls.certificate' is not; "
	    "TLS takes both" },
	{ "amqp = { broker = \"" H "\"; tls = { ca = \"ca\"; }; };",
	    "1: 'amqp.tls' has certificates, but no address of 'amqp.broker' "
	    "begins with amqps://" },
	{ "amqp = { broker = \"amqps://h\"; tls = { ca = \"empty\"; }; };",
	    "1: 'amqp.tls.ca': empty is not in PEM format" },
	{ M "tasks = { max_waiting = 100; };\n"
	    "amqp = { broker = \"" H "\"; children = 2; prefetch = 60;\n"
	    "queues = ( { name = \"q\"; handler = \"m.h\"; } ); };",
	    "2: 'tasks.max_waiting' is 100, but 2 amqp children may prefetch "
	    "120 messages of all queues together; raise it, or lower "
	    "'prefetch' or 'amqp.children'" },
	{ "amqp = { queues = ( { name = \"q\"; type = \"quorum\";\n"
	  "max_priority = 5; } ); };",
	    "1: the queue \"q\" has a 'max_priority', which a queue of type "
	    "\"quorum\" cannot have" },
	{ "amqp = { queues = ( { name = \"q\";\n"
	  "arguments = { x-message-ttl = 5; }; } ); };",
	    "1: the queue \"q\" has 'x-message-ttl' among its 'arguments', "
	    "which its key 'ttl' says" },
	{ "amqp = { queues = ( { name = \"q\"; passive = true;\n"
	  "arguments = { x-expires = 5; }; } ); };",
	    "1: the queue \"q\" is 'passive', declared by somebody else, so "
	    "that its 'arguments' say nothing" },
	{ "amqp = { queues = ( { name = \"q\"; plain = true;\n"
	  "arguments = { x-expires = 5; }; } ); };",
	    "1: the queue \"q\" is 'plain', declared without any argument, and "
	    "given 'arguments'; it can only be one of these" },
	{ "amqp = { queues = ( { name = \"q\"; plain = true;\n"
	  "passive = true; } ); };",
	    "1: the queue \"q\" is 'plain', declared without any argument, and "
	    "'passive'; it can only be one of these" },
	{ "amqp = { queues = ( { name = \"q\"; plain = true;\n"
	  "type = \"quorum\"; } ); };",
	    "1: the queue \"q\" is 'plain', declared without any argument, and "
	    "of type \"quorum\"; it can only be one of these" },
	{ "amqp = { broker = \"" H "\"; queues = ( { name = \"amq.q\"; } ); };",
	    "1: the queue \"amq.q\" cannot be declared: brokers keep names "
	    "that begin with \"amq.\" for themselves; 'passive = true' uses "
	    "it" },
	{ "amqp = { queues = ( { name = \"q\"; },\n"
	  "{ name = \"q.dead\"; } ); };",
	    "2: the queue \"q.dead\" is the name of a dead-letter queue of "
	    "\"q\" on a broker" },
	{ "amqp = { queues = ( { name = \"q\"; },\n"
	  "{ name = \"q.retry.4s\"; } ); };",
	    "2: the queue \"q.retry.4s\" is the name of a delay queue of "
	    "\"q\" on a broker" },
	{ "amqp = { exchanges = ( { name = \"e\"; passive = true;\n"
	  "arguments = { x = 5; }; } ); };",
	    "1: the exchange \"e\" is 'passive', declared by somebody else, so "
	    "that its 'arguments' say nothing" },
};

START_TEST(errors_say_what_and_where)
{
	const struct wrong *w = &wrong[_i];
	char *full;

	put_file("empty", "");
	if (w->error == NULL) {
		load_text(w->text);
		ck_assert_uint_eq(errors.n, 1);
		ck_assert_ptr_nonnull(
		    strstr(error_text(0), "is no regular file"));
		return;
	}
	ck_assert_int_gt(asprintf(&full, "brood.conf:%s", w->error), 0);
	expect_error(w->text, full);
	free(full);
}
END_TEST

START_TEST(long_names_leave_no_room)
{
	char text[512], name[256];

	memset(name, 'q', sizeof(name));
	name[224] = '\0';
	snprintf(text, sizeof(text),
	    "amqp = { queues = ( { name = \"%s\"; } ); "
	    "};",
	    name);
	load_text(text);
	ck_assert_ptr_nonnull(conf);
	snprintf(text, sizeof(text),
	    "amqp = { broker = \"" H "\"; queues = ( "
	    "{ name = \"%s\"; } ); };",
	    name);
	load_text(text);
	ck_assert_uint_eq(errors.n, 1);
	ck_assert_ptr_nonnull(
	    strstr(error_text(0), "has more than 223 characters in its name"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("conf_amqp");
	TCase *tcase = tcase_create("conf_amqp");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, one_address_or_a_list);
	tcase_add_test(tcase, credentials_come_from_three_places);
	tcase_add_test(tcase, no_secret_is_printed);
	tcase_add_test(tcase, tls_files_are_read);
	tcase_add_test(tcase, children_count_twice);
	tcase_add_test(tcase, bad_addresses_are_left_out);
	tcase_add_loop_test(tcase, errors_say_what_and_where, 0,
	    (int)(sizeof(wrong) / sizeof(wrong[0])));
	tcase_add_test(tcase, long_names_leave_no_room);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
