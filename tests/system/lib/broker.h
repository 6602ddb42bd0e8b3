/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker - a real RabbitMQ for a test program, started once, shared by its
 * tests, each of which has a vhost for itself.
 *
 * The program runs below scripts/with-rabbitmq, which broker_main() sees to, so
 * that the broker goes with the program, however that ends. To start one takes
 * seconds of a processor, so a program whose tests are content with vhosts and
 * users of their own calls broker_main_shared() instead: scripts/run-tests has
 * one broker for all these, and run alone it has its own as well.
 */
#ifndef SYSTEM_BROKER_H
#define SYSTEM_BROKER_H

#include <stdbool.h>
#include <sys/types.h>

#include "daemon.h"

/* First of all in main(): starts the program anew below a broker of its own,
 * and makes that many vhosts. */
void broker_main(char *const argv[], int vhosts);
/* The same for a program that does nothing to the broker that others notice: it
 * is started anew only when it finds none in its environment. */
void broker_main_shared(char *const argv[], int vhosts);

/* The next vhost, for a test: its URL is then what $BROKER stands for in the
 * texts of a daemon's config. Empty; nobody had it before. */
void broker_open(void);
const char *broker_url(void);
const char *broker_vhost(void);

/* Of the vhost of this test, in that form: "amqp://%s:%s@127.0.0.1:%d/%s" */
const char *broker_url_of(const char *user, const char *password, int port,
    const char *vhost);
/* amqps, by that name of the host; the file of its authority. */
const char *broker_tls_url(const char *host);
const char *broker_ca(void);
/* The folder, which has client.pem, client.key, broker.log. */
const char *broker_dir(void);
int broker_port(void);

/* daemon_start() of a service whose handlers may crash, with `url` (NULL:
 * broker_url()) in place of $BROKER. */
void broker_service(struct daemon *daemon, const struct daemon_conf *conf,
    const char *url);
/* Waits until the line that an amqp child shows of itself in `status` matches
 * the extended regular expression, in trouble or not. */
void broker_require_note(const struct daemon *daemon, bool trouble,
    const char *pattern);

/* stop, kill, start, restart, pause, resume; returns when it is done. */
void broker_do(const char *what);

/* rabbitmqctl ARG… (NULL ends them) has to succeed; its output, to free. */
char *broker_ctl(const char *arg, ...) __attribute__((sentinel));
/* Some Erlang that the broker evaluates; the result's text, to free. */
char *broker_eval(const char *expression);

#endif
