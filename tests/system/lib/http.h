/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http - two clients: libcurl, which is well behaved, and bytes on a socket.
 */
#ifndef SYSTEM_HTTP_H
#define SYSTEM_HTTP_H

#include <curl/curl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "daemon.h"

/* An answer, whoever asked. */
struct reply {
	int status;		/* 0: none came */
	char *head;		/* status line and headers, NUL-terminated */
	char *body;		/* NUL-terminated */
	size_t head_len, body_len;
};
void reply_release(struct reply *reply);

/* A header's first value, trimmed; NULL if absent. Good until the next call. */
const char *reply_header(const struct reply *reply, const char *name);

/* The body as JSON, a new reference; fails the test if it is none. */
json_t *reply_json(const struct reply *reply);

/*
 * Requires an RFC 9457 problem: the status, application/problem+json, and
 * members type, title, status, detail that make sense.
 */
void reply_require_problem(const struct reply *reply, int status);

/* ------------------------------------------------------------------- curl */

struct ask {
	const char *method;	/* NULL: GET, or POST with a body */
	const char *path;	/* or a whole URL */
	const char *body;
	size_t body_len;	/* 0: strlen(body) */
	const char *header[8];	/* "Name: value" */
	const char *unix_path;
	const char *ca_file;
	long version;		/* CURL_HTTP_VERSION_1_0 */
	bool as_is;		/* send the path without cleaning it up */
};

/* One request on a new connection. */
CURLcode http_ask(const struct daemon *daemon, const struct ask *ask,
    struct reply *reply);

/* The same; a transport error fails the test. */
void http_require(const struct daemon *daemon, const struct ask *ask,
    struct reply *reply);

/* Just the status of a GET, or of a POST when there is a body. */
int http_status(const struct daemon *daemon, const char *path,
    const char *body);

/* -------------------------------------------------------------------- raw */

/* Connected, blocking, close-on-exec; fails the test when it can't. */
int raw_connect(const struct daemon *daemon);
int raw_connect_unix(const char *path);

/* Sends all of it; false when the peer has gone. */
bool raw_send(int fd, const void *bytes, size_t len);
bool raw_text(int fd, const char *text);

/*
 * Reads one answer, to the end of its body. false, with what came so far, when
 * the connection ended before. `head_only` for the answer to a HEAD. Interim
 * answers (1xx) count as answers.
 */
bool raw_reply(int fd, struct reply *reply, bool head_only);

/* Waits for the end of the connection, dropping what still comes; false when
 * patience ends first. */
bool raw_ended(int fd);

/* Sends, reads an answer, closes: its status, 0 for none. */
int raw_status(const struct daemon *daemon, const char *text);

#endif
