/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_rabbit_login - connecting to what is no broker, or one that does not
 * want us: each in words, and none for longer than amqp.timeout.
 */
#include "fake_broker.h"

static void
expect_failure(const char *text)
{
	struct rabbit *rabbit = rabbit_open(conf, &url, "test", NULL, NULL,
	    &why);

	ck_assert_ptr_null(rabbit);
	ck_assert_msg(strncmp(why.text, "amqp", 4) == 0 &&
		strstr(why.text, "://") != NULL,
	    "no address in: %s", why.text);
	ck_assert_msg(strstr(why.text, text) != NULL, "not '%s': %s", text,
	    why.text);
}

static void
say_http(struct rabbit *broker)
{
	fake_header(broker);
	fake_bytes(broker, "HTTP/1.1 400 Bad\r\n", 18);
	fake_swallow(broker);
}

static void
say_amqp_1(struct rabbit *broker)
{
	fake_header(broker);
	fake_bytes(broker, "AMQP\0\x01\0\0", 8);
}

static void
say_alert(struct rabbit *broker)
{
	fake_header(broker);
	fake_bytes(broker, "\x15\x03\x01\0\x02\x02\x46", 7);
}

static void
say_little(struct rabbit *broker)
{
	fake_header(broker);
	fake_bytes(broker, "+OK", 3);
}

static void
say_nothing(struct rabbit *broker)
{
	fake_swallow(broker);
}

static void
go_away(struct rabbit *broker)
{
	fake_header(broker);
}

static void
say_binary(struct rabbit *broker)
{
	char bytes[300];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + 3);
	fake_header(broker);
	fake_bytes(broker, bytes, sizeof(bytes));
	fake_swallow(broker);
}

static void
say_other_mechanisms(struct rabbit *broker)
{
	fake_say_start(broker, "EXTERNAL");
	fake_swallow(broker);
}

static void
refuse_password(struct rabbit *broker)
{
	fake_say_start(broker, "PLAIN");
	fake_expect(broker, AMQP_CONNECTION_START_OK_METHOD);
	fake_close(broker, 0, 403, "ACCESS_REFUSED - no");
	fake_swallow(broker);
}

static void
refuse_silently(struct rabbit *broker)
{
	fake_say_start(broker, "PLAIN");
	fake_expect(broker, AMQP_CONNECTION_START_OK_METHOD);
}

static void
refuse_vhost(struct rabbit *broker, const char *text)
{
	amqp_connection_tune_t tune = { 0, 131072, 60 };

	fake_say_start(broker, "PLAIN");
	fake_expect(broker, AMQP_CONNECTION_START_OK_METHOD);
	fake_say(broker, 0, AMQP_CONNECTION_TUNE_METHOD, &tune);
	fake_expect(broker, AMQP_CONNECTION_TUNE_OK_METHOD);
	fake_expect(broker, AMQP_CONNECTION_OPEN_METHOD);
	fake_close(broker, 0, 530, text);
	fake_swallow(broker);
}

static void
lack_vhost(struct rabbit *broker)
{
	refuse_vhost(broker, "NOT_ALLOWED - vhost v not found");
}

static void
deny_vhost(struct rabbit *broker)
{
	refuse_vhost(broker,
	    "NOT_ALLOWED - access to vhost 'v' refused for "
	    "user 'u'");
}

static void
have_enough(struct rabbit *broker)
{
	refuse_vhost(broker, "NOT_ALLOWED - connection limit (5) is reached");
}

static void
stop_in_the_middle(struct rabbit *broker)
{
	fake_say_start(broker, "PLAIN");
	fake_expect(broker, AMQP_CONNECTION_START_OK_METHOD);
	fake_swallow(broker);
}

/* A method as raw bytes, in a frame of channel 0. */
static void
say_start_with(struct rabbit *broker, const char *table, size_t len)
{
	char payload[70000] = { 0, 10, 0, 10, 0, 9 };

	payload[6] = (char)(len >> 24);
	payload[7] = (char)(len >> 16);
	payload[8] = (char)(len >> 8);
	payload[9] = (char)len;
	memcpy(payload + 10, table, len);
	fake_header(broker);
	fake_raw(broker, AMQP_FRAME_METHOD, 0, payload, 10 + len);
	fake_flush(broker);
	fake_swallow(broker);
}

/* 9000 tables in one another. */
static void
nest_deeply(struct rabbit *broker)
{
	static char table[63000];
	size_t len = sizeof(table), at = 0;

	while (at + 7 <= len) {
		size_t inner = len - at - 7;

		table[at] = 1;
		table[at + 1] = 'x';
		table[at + 2] = 'F';
		table[at + 3] = (char)(inner >> 24);
		table[at + 4] = (char)(inner >> 16);
		table[at + 5] = (char)(inner >> 8);
		table[at + 6] = (char)inner;
		at += 7;
	}
	say_start_with(broker, table, len);
}

static void
say_bad_table(struct rabbit *broker)
{
	say_start_with(broker, "\x01xS\xff\xff\xff\xff", 7);
}

static void
say_large_frame(struct rabbit *broker)
{
	fake_header(broker);
	fake_bytes(broker,
	    "\x01\0\0\x7f\xff\xff\xff"
	    "123",
	    10);
	fake_swallow(broker);
}

static void
say_out_of_turn(struct rabbit *broker)
{
	amqp_connection_tune_t tune = { 0, 131072, 60 };

	fake_header(broker);
	fake_say(broker, 0, AMQP_CONNECTION_TUNE_METHOD, &tune);
}

static const struct failure {
	void (*script)(struct rabbit *broker);
	const char *text;
	double timeout_s; /* 0: it does not count */
} failure[] = {
	{ say_http, "no AMQP server: it began with \"HTTP/1.1 400 Bad..\"", 0 },
	{ say_amqp_1, "another version of AMQP (1-0-0), not 0-9-1", 0 },
	{ say_alert, "it wants TLS on that port (amqps://)", 0 },
	{ say_little, "no AMQP server: it began with \"+OK\"", 0 },
	{ say_nothing, "has said nothing within 0.1 s; is it an AMQP server?",
	    0.1 },
	{ go_away, "it closed the connection before it said anything", 0 },
	{ say_binary, "no AMQP server: it began with", 0 },
	{ say_other_mechanisms,
	    "it takes no user and password (PLAIN), only: EXTERNAL", 0 },
	{ refuse_password, "wrong user or password (ACCESS_REFUSED - no)", 0 },
	{ refuse_silently, "closed the connection at the login: wrong user",
	    0 },
	{ lack_vhost, "there is no such vhost (NOT_ALLOWED - vhost v", 0 },
	{ deny_vhost, "no access to that vhost (NOT_ALLOWED - access", 0 },
	{ have_enough, "connection limit (5) is reached", 0 },
	{ stop_in_the_middle, "timed out: no answer from the broker", 3 },
	{ nest_deeply, "what is no method", 0 },
	{ say_bad_table, "what is no method", 0 },
	{ say_large_frame, "a frame of 2147483647 bytes", 0 },
	{ say_out_of_turn, "closed the connection", 0 },
};

START_TEST(failures_are_told_in_words)
{
	const struct failure *f = &failure[_i];

	conf->amqp.timeout = f->timeout_s > 0 ?
	    clock_from_seconds(f->timeout_s) :
	    20 * NS_PER_S;
	fake_start(f->script);
	expect_failure(f->text);
	fake_end();
}
END_TEST

START_TEST(nobody_listens)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	/* a port that is taken, and not listened on */
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	url.port = ntohs(in.sin_port);
	expect_failure("connection refused: nobody listens on that port");
	close(fd);
}
END_TEST

/* Its backlog is full: the kernel answers nothing at all. */
START_TEST(nobody_accepts)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM, 0), other[8];

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	ck_assert_int_eq(listen(fd, 0), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	for (int i = 0; i < 8; i++) {
		other[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(other[i], (struct sockaddr *)&in, sizeof(in));
	}
	url.port = ntohs(in.sin_port);
	conf->amqp.timeout = NS_PER_S / 10;
	expect_failure("timed out: its host does not answer");
	for (int i = 0; i < 8; i++)
		close(other[i]);
	close(fd);
}
END_TEST

START_TEST(no_such_host)
{
	struct rabbit *rabbit;

	snprintf(url.host, sizeof(url.host), "no-such-host.invalid");
	url.port = 5672;
	/* whatever the name servers of this machine are like */
	rabbit = rabbit_open(conf, &url, "test", NULL, NULL, &why);
	ck_assert_ptr_null(rabbit);
	ck_assert_ptr_nonnull(strstr(why.text, "host"));
}
END_TEST

START_TEST(plain_server_for_tls)
{
	fake_start(say_nothing);
	url.tls = true;
	conf->amqp_tls.verify = false;
	conf->amqp.timeout = NS_PER_S / 10;
	expect_failure("timed out: it does not answer in TLS");
	fake_end();
}
END_TEST

static void
say_line(struct rabbit *broker)
{
	fake_bytes(broker, "220 mail.example.com ESMTP\r\n", 28);
	fake_swallow(broker);
}

START_TEST(no_tls_there)
{
	fake_start(say_line);
	url.tls = true;
	conf->amqp_tls.verify = false;
	expect_failure("it does not speak TLS on that port (amqps://)");
	fake_end();
}
END_TEST

static int alive_calls;

static void
on_alive(void *ctx)
{
	ck_assert_ptr_eq(ctx, &alive_calls);
	alive_calls++;
}

static void
serve(struct rabbit *broker)
{
	amqp_connection_close_ok_t ok = { 0 };

	fake_login(broker, 131072);
	fake_expect(broker, AMQP_CONNECTION_CLOSE_METHOD);
	fake_say(broker, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok);
}

START_TEST(logs_in_and_closes)
{
	struct rabbit *rabbit;

	fake_start(serve);
	rabbit = rabbit_open(conf, &url, "test", on_alive, &alive_calls, &why);
	ck_assert_msg(rabbit != NULL, "%s", why.text);
	ck_assert_int_ge(alive_calls, 3);
	/* what would break a line is not in it */
	ck_assert_str_eq(rabbit_server(rabbit), "Hare 1.2?");
	rabbit_close(rabbit);
	fake_end();
}
END_TEST

static void
serve_and_stop(struct rabbit *broker)
{
	fake_login(broker, 131072);
	fake_swallow(broker);
}

START_TEST(closing_has_an_end)
{
	struct rabbit *rabbit;

	fake_start(serve_and_stop);
	rabbit = fake_open();
	rabbit->timeout_ns = NS_PER_S / 10;
	rabbit_close(rabbit);
	fake_end();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("rabbit_login");
	TCase *tcase = tcase_create("rabbit_login");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, fake_set_up, fake_tear_down);
	tcase_add_loop_test(tcase, failures_are_told_in_words, 0,
	    (int)(sizeof(failure) / sizeof(failure[0])));
	tcase_add_test(tcase, nobody_listens);
	tcase_add_test(tcase, nobody_accepts);
	tcase_add_test(tcase, no_such_host);
	tcase_add_test(tcase, plain_server_for_tls);
	tcase_add_test(tcase, no_tls_there);
	tcase_add_test(tcase, logs_in_and_closes);
	tcase_add_test(tcase, closing_has_an_end);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
