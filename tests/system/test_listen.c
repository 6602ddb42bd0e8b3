/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_listen - the kinds of addresses: IPv4, IPv6, Unix sockets and TLS.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/echo.h"
#include "lib/http.h"
#include "lib/suite.h"
#include "lib/text.h"

START_TEST(ipv6_and_unix)
{
	struct daemon d;
	struct reply reply;
	json_t *seen;
	char *path, *url;

	daemon_start(&d,
	    &(struct daemon_conf){
		.listen = "\"[::1]:$PORT\", \"unix:$DIR/rest.sock\"",
		.rest = "unix_mode = 0666;",
		.module = { "misbehave" },
		.route = { ROUTE("GET", "/echo", "misbehave.echo") } });
	path = text_format("%s/rest.sock", d.dir);
	url = text_format("http://[::1]:%d/echo", d.port);
	seen = echo_ask(&d, &(struct ask){ .path = url });
	ck_assert_int_eq(strncmp(ctl_text(seen, "peer"), "[::1]:", 6), 0);
	json_decref(seen);
	free(url);
	http_require(&d, &(struct ask){ .path = "/echo", .unix_path = path },
	    &reply);
	ck_assert_int_eq(reply.status, 200);
	seen = reply_json(&reply);
	echo_require(seen, NULL, "peer", "unix");
	json_decref(seen);
	reply_release(&reply);
	daemon_stop(&d);
	ck_assert_int_eq(access(path, F_OK), -1);
	free(path);
}
END_TEST

static void
make_certificate(const struct daemon *d)
{
	char *key = text_format("%s/key.pem", d->dir);
	char *cert = text_format("%s/cert.pem", d->dir);
	const char *const argv[] = { "openssl", "req", "-x509", "-newkey",
		"rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
		"-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
		"-keyout", key, "-out", cert, NULL };
	struct run run;

	run_program(&run, argv, NULL);
	ck_assert_msg(run.status == 0, "openssl: %s", run.err);
	run_release(&run);
	free(key);
	free(cert);
}

START_TEST(tls)
{
	struct daemon d;
	struct reply reply;
	char *ca, *url, *plain;
	int plain_fd, plain_port = daemon_reserve_port(&plain_fd);
	struct daemon_conf conf = {
		.rest = "tls = { certificate = \"$DIR/cert.pem\";"
			"  key = \"$DIR/key.pem\"; };",
		.module = { ECHO_MODULES },
		.route = { ECHO_ROUTES }
	};
	char *listen = text_format(
	    "\"127.0.0.1:$PORT\", \"http://127.0.0.1:%d\"", plain_port);

	conf.listen = listen;
	daemon_init(&d);
	make_certificate(&d);
	daemon_configure(&d, &conf);
	daemon_start_again(&d);
	ca = text_format("%s/cert.pem", d.dir);
	url = text_format("https://127.0.0.1:%d/echo", d.port);
	plain = text_format("http://127.0.0.1:%d/hello", plain_port);
	for (int i = 0; i < 3; i++) {
		http_require(&d,
		    &(struct ask){ .path = url,
			.ca_file = ca,
			.body = "over TLS" },
		    &reply);
		ck_assert_int_eq(reply.status, 200);
		text_require("the answer", reply.body, "over TLS");
		reply_release(&reply);
	}
	http_require(&d, &(struct ask){ .path = plain }, &reply);
	ck_assert_int_eq(reply.status, 200);
	reply_release(&reply);
	/* plain text where TLS is spoken: an error, and nobody is hurt */
	ck_assert_int_ne(raw_status(&d,
			     "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"),
	    200);
	http_require(&d, &(struct ask){ .path = url, .ca_file = ca }, &reply);
	ck_assert_int_eq(reply.status, 200);
	reply_release(&reply);
	close(plain_fd);
	free(listen);
	free(ca);
	free(url);
	free(plain);
	daemon_stop(&d);
}
END_TEST

/* What the check can tell about a certificate it tells before the start. */
START_TEST(tls_that_cannot_work)
{
	struct daemon d;
	char *path;

	daemon_init(&d);
	path = text_format("%s/cert.pem", d.dir);
	text_write(path, "no certificate\n");
	free(path);
	daemon_configure(&d,
	    &(struct daemon_conf){
		.rest = "tls = { certificate = \"$DIR/cert.pem\";"
			"  key = \"$DIR/missing.pem\"; };" });
	daemon_require_refused(&d, "missing.pem", NULL);
	daemon_require_clean(&d);
	daemon_release(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE_MEMORY(ipv6_and_unix),
		CASE_MEMORY(tls),
		CASE(tls_that_cannot_work),
	};

	return SUITE_RUN("listen", cases);
}
