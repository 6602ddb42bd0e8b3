/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * modes - a service with routes of every mode, by way of tests/modules/modes.c;
 * its handlers wait at the gate of lib/gate.h.
 */
#ifndef SYSTEM_MODES_H
#define SYSTEM_MODES_H

#include "daemon.h"
#include "http.h"

#define MODULE_MODES "{ name = \"modes\"; path = \"$SO/modes.so\"; " \
	"settings = { fifo = \"$DIR/gate\"; }; }"

/* Starts it; returns the gate, to close. `conf` may say anything but modules
 * and routes. */
int modes_start(struct daemon *daemon, const struct daemon_conf *conf);

/* GET of a path on a new connection, which is returned. */
int modes_call(const struct daemon *daemon, const char *path);

/* Waits until n more handlers have said so: "began", "passed" or "gave up". */
void modes_await(const struct daemon *daemon, size_t *from, const char *what,
    int n);

/* Its answer has to come, with this status; closes. */
void modes_answer(int fd, int status);

/* Sends a request and returns the JSON of the answer, whose status must be as
 * it is here. */
json_t *modes_ask(const struct daemon *daemon, const struct ask *ask,
    int status);

/* The shared number. */
long modes_value(const struct daemon *daemon, const char *key);

/* Waits until it is that. */
void modes_await_value(const struct daemon *daemon, const char *key,
    long wanted);

/* Kills with SIGKILL the one child of that role, and waits for its end. */
void modes_kill(const struct daemon *daemon, const char *role);

#endif
