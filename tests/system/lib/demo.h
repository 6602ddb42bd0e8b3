/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * demo - the e-mail cruncher as it is shipped: etc/cruncher.conf, with the
 * folders and the port of a test, and what a client can ask it.
 */
#ifndef SYSTEM_DEMO_H
#define SYSTEM_DEMO_H

#include <jansson.h>

#include "daemon.h"

/* Starts it; `edits` are pairs of texts, what stands in the config and what to
 * write in its place, and end with NULL (or is NULL). */
void demo_start(struct daemon *daemon, const char *const edits[]);

/* POST (or another method) with a text; requires the status and returns the
 * body, to free. */
char *demo_send(const struct daemon *daemon, const char *method,
    const char *path, const char *text, int status);
void demo_upload(const struct daemon *daemon, const char *text);

/* GET /status, a new reference. */
json_t *demo_status(const struct daemon *daemon);

/* Waits until a count of GET /status is n. */
void demo_await(const struct daemon *daemon, const char *count, long n);

/* How many files the mailer has written; those of one user, or NULL: all. */
size_t demo_mails(const struct daemon *daemon, const char *user);

/* The distinct addresses in a file, a line each, as grep and sort print them,
 * to free. */
char *demo_grep(const char *path);

/* A shell script with "$1"; what it prints, to free. */
char *demo_shell(const char *script, const char *argument);

#endif
