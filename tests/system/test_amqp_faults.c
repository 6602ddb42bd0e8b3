/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_amqp_faults - brokers that cannot be used: what `status` says of each,
 * that the rest of the service works meanwhile, and that it is all well once
 * the broker is.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/broker.h"
#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/desk.h"
#include "lib/http.h"
#include "lib/proxy.h"
#include "lib/rmq.h"
#include "lib/suite.h"
#include "lib/text.h"

#define FAST                                                        \
	"timeout = 0.5; reconnect_min = 0.02; reconnect_max = 0.1;" \
	"refresh = 0.2;"
#define QUEUES "queues = ( { name = \"q\"; handler = \"messages.record\"; } );"

static struct daemon d;
static rmq c;

static const struct daemon_conf plain = {
	.module = { "hello", "hubtest", "messages" },
	.amqp = "broker = \"$BROKER\"; " FAST QUEUES,
};

/* Until now it had no broker; now it takes messages. */
static void
require_work(void)
{
	c = rmq_open();
	rmq_require_consumers(&d, c, "q", 1);
	rmq_post_text(c, "q", NULL, "1");
	desk_require_number(&d, "n:q", 1);
	broker_require_note(&d, false, "^connected to amqps?://");
	rmq_close(c);
}

static void
require_rest(void)
{
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
}

/* Nobody finds out the password from us. */
static void
require_secret(const char *secret)
{
	json_t *status = ctl_status(&d);
	char *text = json_dumps(status, 0), *log = daemon_log(&d);

	ck_assert(!text_has(text, secret));
	ck_assert(!text_has(log, secret));
	json_decref(status);
	free(text);
	free(log);
}

START_TEST(a_wrong_password)
{
	broker_open();
	broker_service(&d, &plain,
	    broker_url_of("guest", "s3cr3t", broker_port(), broker_vhost()));
	broker_require_note(&d, true,
	    "amqp://127\\.0\\.0\\.1:[0-9]+.*(user|password)");
	require_rest();
	require_secret("s3cr3t");
	daemon_stop(&d);
}
END_TEST

START_TEST(a_wrong_vhost)
{
	broker_open();
	broker_service(&d, &plain,
	    broker_url_of("guest", "guest", broker_port(), "nix"));
	broker_require_note(&d, true, "vhost.*nix|nix.*vhost");
	require_rest();
	daemon_stop(&d);
}
END_TEST

START_TEST(nobody_listens)
{
	int fd, port = daemon_reserve_port(&fd);

	broker_open();
	broker_service(&d, &plain,
	    broker_url_of("guest", "guest", port, broker_vhost()));
	broker_require_note(&d, true, "(nobody listens|[Rr]efused)");
	require_rest();
	daemon_stop(&d);
	close(fd);
}
END_TEST

/* Something is there, but no broker; then it is one. */
static void
through_a_proxy(enum proxy_mood mood, const char *note)
{
	struct proxy proxy;

	broker_open();
	proxy_start(&proxy, broker_port());
	proxy_set(&proxy, mood);
	broker_service(&d, &plain,
	    broker_url_of("guest", "guest", proxy.port, broker_vhost()));
	broker_require_note(&d, true, note);
	require_rest();
	proxy_set(&proxy, PROXY_PASSES);
	require_work();
	daemon_stop(&d);
	proxy_stop(&proxy);
}

START_TEST(no_broker_but_a_web_server)
{
	through_a_proxy(PROXY_WEB, "AMQP");
}
END_TEST

START_TEST(no_broker_but_something_that_hangs_up)
{
	through_a_proxy(PROXY_CLOSES, "(closed|hung up|AMQP)");
}
END_TEST

START_TEST(a_broker_that_never_answers)
{
	through_a_proxy(PROXY_MUTE, "(answer|[Tt]imed? ?out|silent)");
}
END_TEST

static const struct daemon_conf several = {
	.module = { "hello", "hubtest", "messages" },
	.amqp = "broker = [ \"amqp://guest:guest@127.0.0.1:1/x\","
		"  \"$BROKER\" ];" FAST QUEUES,
};

START_TEST(the_next_one_of_the_list)
{
	broker_open();
	broker_service(&d, &several, NULL);
	require_work();
	daemon_stop(&d);
}
END_TEST

/* ------------------------------------------------------------- credentials */

static const struct daemon_conf from_a_file = {
	.module = { "hello", "hubtest", "messages" },
	.amqp = "broker = \"$BROKER\"; user = \"brood\";"
		"password_file = \"$DIR/password\"; " FAST QUEUES,
};

START_TEST(a_password_of_a_file)
{
	char *url, *path;

	broker_open();
	free(broker_ctl("add_user", "brood", "f1le-pass", NULL));
	free(broker_ctl("set_permissions", "-p", broker_vhost(), "brood", ".*",
	    ".*", ".*", NULL));
	url = text_format("amqp://127.0.0.1:%d/%s", broker_port(),
	    broker_vhost());
	daemon_init(&d);
	path = text_format("%s/password", d.dir);
	text_write(path, "f1le-pass\n");
	d.broker = url;
	daemon_configure(&d, &from_a_file);
	daemon_start_again(&d);
	require_work();
	require_secret("f1le-pass");
	daemon_stop(&d);
	free(url);
	free(path);
}
END_TEST

START_TEST(a_password_of_the_environment)
{
	char *url;

	broker_open();
	url = text_format("amqp://127.0.0.1:%d/%s", broker_port(),
	    broker_vhost());
	setenv("BROOD_AMQP_USER", "guest", 1);
	setenv("BROOD_AMQP_PASSWORD", "n0t-this", 1);
	broker_service(&d, &plain, url);
	broker_require_note(&d, true, "(user|password)");
	require_secret("n0t-this");
	daemon_stop(&d);
	setenv("BROOD_AMQP_PASSWORD", "guest", 1);
	broker_service(&d, &plain, url);
	require_work();
	daemon_stop(&d);
	free(url);
}
END_TEST

/* The user may log in, but not have what is in the config. */
START_TEST(a_user_without_permissions)
{
	broker_open();
	free(broker_ctl("add_user", "weak", "weak", NULL));
	free(broker_ctl("set_permissions", "-p", broker_vhost(), "weak", "^$",
	    "^$", "^$", NULL));
	broker_service(&d, &plain,
	    broker_url_of("weak", "weak", broker_port(), broker_vhost()));
	broker_require_note(&d, true, "\"q\".*(refused|may not|access|permi)");
	free(broker_ctl("set_permissions", "-p", broker_vhost(), "weak", ".*",
	    ".*", ".*", NULL));
	require_work();
	daemon_stop(&d);
}
END_TEST

/* --------------------------------------------------------------------- TLS */

#define TLS(more)                                                           \
	{                                                                   \
		.module = { "hello", "hubtest", "messages" },               \
		.amqp = "broker = \"$BROKER\";" FAST QUEUES "tls = { " more \
			" };"                                               \
	}

/* The service's user can read neither the broker's folder nor its keys. */
static void
start_tls(const struct daemon_conf *conf, const char *host)
{
	static const char *const files[] = { "ca.pem", "client.pem",
		"client.key" };

	broker_open();
	daemon_init(&d);
	for (size_t i = 0; i < 3; i++) {
		char *from = text_format("%s/%s", broker_dir(), files[i]);
		char *to = text_format("%s/%s", d.dir, files[i]);

		text_copy(from, to);
		free(from);
		free(to);
	}
	d.broker = broker_tls_url(host);
	daemon_configure(&d, conf);
	daemon_start_again(&d);
}

START_TEST(a_private_authority)
{
	static const struct daemon_conf conf = TLS("ca = \"$DIR/ca.pem\";");

	start_tls(&conf, "localhost");
	require_work();
	daemon_stop(&d);
}
END_TEST

START_TEST(a_certificate_of_ours)
{
	static const struct daemon_conf conf = TLS(
	    "ca = \"$DIR/ca.pem\"; certificate = \"$DIR/client.pem\";"
	    "key = \"$DIR/client.key\";");

	start_tls(&conf, "localhost");
	require_work();
	daemon_stop(&d);
}
END_TEST

START_TEST(an_authority_that_nobody_knows)
{
	static const struct daemon_conf conf = TLS("");

	start_tls(&conf, "localhost");
	broker_require_note(&d, true, "certificate");
	require_rest();
	daemon_stop(&d);
}
END_TEST

START_TEST(a_certificate_of_another_host)
{
	static const struct daemon_conf conf = TLS("ca = \"$DIR/ca.pem\";");

	start_tls(&conf, "127.0.0.1");
	broker_require_note(&d, true, "(certificate|host ?name)");
	require_rest();
	daemon_stop(&d);
}
END_TEST

START_TEST(a_certificate_that_is_not_looked_at)
{
	static const struct daemon_conf conf = TLS("verify = false;");

	start_tls(&conf, "127.0.0.1");
	require_work();
	daemon_stop(&d);
}
END_TEST

/* broodd -t, and so a start or a reload, looks into the files. */
static void
require_refused(const char *ca, const char *certificate, const char *key,
    const char *wanted)
{
	const char *argv[DAEMON_ARGS], *options[4] = { "-t", "-c", d.conf };
	char *keys = text_format("broker = \"$BROKER\"; tls = { ca = "
				 "\"$DIR/%s\"; certificate = \"$DIR/%s\";"
				 "key = \"$DIR/%s\"; };",
	    ca, certificate, key);
	const struct daemon_conf conf = { .amqp = keys };
	struct run run;

	daemon_configure(&d, &conf);
	daemon_args(argv, options);
	run_program(&run, argv, NULL);
	ck_assert_msg(run.status == 78, "%d: %s", run.status, run.err);
	text_require("broodd -t", run.err, wanted);
	run_release(&run);
	free(keys);
}

START_TEST(certificates_that_cannot_be_used)
{
	static const struct daemon_conf conf = TLS("ca = \"$DIR/ca.pem\";");
	static const char *const files[] = { "bad.pem", "none.pem" };
	static const char *const texts[] = {
		"-----BEGIN CERTIFICATE-----\nAAAA\n"
		"-----END CERTIFICATE-----\n",
		"-----BEGIN NOTHING-----\nAAAA\n-----END NOTHING-----\n"
	};

	start_tls(&conf, "localhost");
	for (size_t i = 0; i < 2; i++) {
		char *path = text_format("%s/%s", d.dir, files[i]);

		text_write(path, texts[i]);
		free(path);
	}
	require_refused("none.pem", "client.pem", "client.key",
	    "/none.pem has no certificate");
	require_refused("bad.pem", "client.pem", "client.key", "'amqp.tls.ca'");
	require_refused("client.key", "client.pem", "client.key",
	    "'amqp.tls.ca'");
	require_refused("ca.pem", "none.pem", "client.key",
	    "'amqp.tls.certificate'");
	require_refused("ca.pem", "client.pem", "bad.pem", "'amqp.tls.key'");
	require_refused("ca.pem", "ca.pem", "client.key",
	    "do not belong together");
	daemon_configure(&d, &conf);
	require_work();
	daemon_stop(&d);
}
END_TEST

/* amqps to a port that speaks no TLS. */
START_TEST(no_tls_there)
{
	static const struct daemon_conf conf = TLS("ca = \"$DIR/ca.pem\";");
	char *url;

	broker_open();
	url = text_format("amqps://guest:guest@localhost:%d/%s", broker_port(),
	    broker_vhost());
	daemon_init(&d);
	d.broker = url;
	char *from = text_format("%s/ca.pem", broker_dir());
	char *to = text_format("%s/ca.pem", d.dir);
	text_copy(from, to);
	daemon_configure(&d, &conf);
	daemon_start_again(&d);
	broker_require_note(&d, true, "TLS");
	require_rest();
	daemon_stop(&d);
	free(from);
	free(to);
	free(url);
}
END_TEST

int
main(int argc, char *argv[])
{
	const struct suite_case cases[] = {
		CASE(a_wrong_password),
		CASE(a_wrong_vhost),
		CASE(nobody_listens),
		CASE_MEMORY(no_broker_but_a_web_server),
		CASE(no_broker_but_something_that_hangs_up),
		CASE(a_broker_that_never_answers),
		CASE(the_next_one_of_the_list),
		CASE(a_password_of_a_file),
		CASE(a_password_of_the_environment),
		CASE(a_user_without_permissions),
		CASE_MEMORY(a_private_authority),
		CASE(a_certificate_of_ours),
		CASE(an_authority_that_nobody_knows),
		CASE(a_certificate_of_another_host),
		CASE(a_certificate_that_is_not_looked_at),
		CASE(certificates_that_cannot_be_used),
		CASE(no_tls_there),
	};

	(void)argc;
	broker_main_shared(argv, sizeof(cases) / sizeof(cases[0]));
	return SUITE_RUN("amqp_faults", cases);
}
