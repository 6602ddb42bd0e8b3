/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * url - a broker's address as one writes it, taken apart.
 *
 *   amqp[s]://[USER[:PASSWORD]@]HOST[:PORT][/VHOST]
 *
 * as in RabbitMQ's URI specification, percent-encoded, but for one thing: an
 * empty path is the vhost "/" as no path is, which is what everybody means who
 * ends an address with a slash. Pure.
 */
#ifndef CORE_URL_H
#define CORE_URL_H

#include <stdbool.h>
#include <stddef.h>

struct why;

struct url {
	bool tls;
	char host[256];
	int port;		/* 5672, 5671 with TLS */
	char vhost[256];
	bool has_user, has_password;
	char user[256], password[256];
};

/* 0; -1 with a sentence that says what is wrong and where, and never holds the
 * password. */
int url_parse(const char *text, struct url *url, struct why *why);

/* For people: "amqp://HOST:PORT/VHOST", no user, no password. Returns buf. */
#define URL_TEXT_SIZE 560
const char *url_text(const struct url *url, char buf[URL_TEXT_SIZE]);

#endif
