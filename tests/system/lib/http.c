/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http - answers and their inspection, and libcurl as a client.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http.h"
#include "suite.h"
#include "text.h"

void
reply_release(struct reply *reply)
{
	free(reply->head);
	free(reply->body);
	*reply = (struct reply){ 0 };
}

const char *
reply_header(const struct reply *reply, const char *name)
{
	static char value[8192];
	size_t len = strlen(name);
	const char *line = reply->head;

	while (line != NULL && (line = strchr(line, '\n')) != NULL) {
		line++;
		if (strncasecmp(line, name, len) != 0 || line[len] != ':')
			continue;
		line += len + 1;
		line += strspn(line, " \t");
		len = strcspn(line, "\r\n");
		while (
		    len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\t'))
			len--;
		if (len >= sizeof(value))
			len = sizeof(value) - 1;
		memcpy(value, line, len);
		value[len] = '\0';
		return value;
	}
	return NULL;
}

json_t *
reply_json(const struct reply *reply)
{
	json_error_t error;
	json_t *json = json_loadb(reply->body, reply->body_len,
	    JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);

	ck_assert_msg(json != NULL, "status %d, no JSON (%s): %s",
	    reply->status, error.text, reply->body);
	return json;
}

void
reply_require_problem(const struct reply *reply, int status)
{
	const char *type = reply_header(reply, "Content-Type");
	json_t *problem;
	const char *title;

	ck_assert_msg(reply->status == status, "status %d, not %d: %s%s",
	    reply->status, status, reply->head, reply->body);
	ck_assert_msg(type != NULL &&
		strncmp(type, "application/problem+json", 24) == 0,
	    "status %d with Content-Type %s", status, type);
	problem = reply_json(reply);
	ck_assert_int_eq(json_integer_value(json_object_get(problem, "status")),
	    status);
	title = json_string_value(json_object_get(problem, "title"));
	ck_assert_msg(title != NULL && *title != '\0', "no title: %s",
	    reply->body);
	json_decref(problem);
}

/* ------------------------------------------------------------------- curl */

struct sink {
	char *data;
	size_t len, size;
};

static size_t
take(char *bytes, size_t size, size_t n, void *ctx)
{
	struct sink *sink = ctx;

	/* by doubling: an answer may be large and its pieces small */
	if (sink->len + size * n + 1 > sink->size) {
		sink->size = 2 * (sink->len + size * n + 1);
		sink->data = realloc(sink->data, sink->size);
	}
	memcpy(sink->data + sink->len, bytes, size * n);
	sink->len += size * n;
	sink->data[sink->len] = '\0';
	return size * n;
}

struct source {
	const char *data;
	size_t left;
};

static size_t
give(char *bytes, size_t size, size_t n, void *ctx)
{
	struct source *source = ctx;
	size_t len = size * n < source->left ? size * n : source->left;

	memcpy(bytes, source->data, len);
	source->data += len;
	source->left -= len;
	return len;
}

static void
set_body(CURL *curl, const struct ask *ask, struct source *source)
{
	curl_off_t len = (curl_off_t)(ask->body_len != 0 ? ask->body_len :
							   strlen(ask->body));
	bool chunked = false;

	for (size_t i = 0; i < 8 && ask->header[i] != NULL; i++)
		if (strcasecmp(ask->header[i], "Transfer-Encoding: chunked") ==
		    0)
			chunked = true;
	*source = (struct source){ ask->body, (size_t)len };
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_READFUNCTION, give);
	curl_easy_setopt(curl, CURLOPT_READDATA, source);
	/* -1: unknown, so that it comes in chunks */
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
	    chunked ? (curl_off_t)-1 : len);
}

CURLcode
http_ask(const struct daemon *daemon, const struct ask *ask,
    struct reply *reply)
{
	CURL *curl = curl_easy_init();
	struct curl_slist *headers = NULL;
	struct sink head = { calloc(1, 1), 0, 1 };
	struct sink body = { calloc(1, 1), 0, 1 };
	struct source source;
	long status = 0;
	char *url = strstr(ask->path, "://") != NULL ?
	    strdup(ask->path) :
	    text_format("http://127.0.0.1:%d%s", daemon->port, ask->path);
	CURLcode rc;

	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)suite_patience_ms());
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, &head);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, (long)ask->as_is);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, ask->version);
	if (ask->body != NULL)
		set_body(curl, ask, &source);
	if (ask->method != NULL && strcmp(ask->method, "HEAD") == 0)
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	else if (ask->method != NULL)
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, ask->method);
	for (size_t i = 0; i < 8 && ask->header[i] != NULL; i++)
		headers = curl_slist_append(headers, ask->header[i]);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	if (ask->unix_path != NULL)
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH,
		    ask->unix_path);
	if (ask->ca_file != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, ask->ca_file);
	rc = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	*reply = (struct reply){ (int)status, head.data, body.data, head.len,
		body.len };
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	free(url);
	return rc;
}

void
http_require(const struct daemon *daemon, const struct ask *ask,
    struct reply *reply)
{
	CURLcode rc = http_ask(daemon, ask, reply);

	ck_assert_msg(rc == CURLE_OK, "%s: %s", ask->path,
	    curl_easy_strerror(rc));
}

int
http_status(const struct daemon *daemon, const char *path, const char *body)
{
	struct reply reply;
	int status;

	http_require(daemon, &(struct ask){ .path = path, .body = body },
	    &reply);
	status = reply.status;
	reply_release(&reply);
	return status;
}
