/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * problem - the texts of answers that are no handler's.
 *
 * Called by exchange and front wherever a request cannot be served. Promises
 * that every such answer has the same shape, a request id to look for in the
 * log, and valid JSON whatever the client sent.
 *
 * The guard texts are templates of a fixed length: the id is written over 64
 * places, in the header before trailing blanks (which are no part of its value)
 * and in the body before blanks that follow the string.
 */
#include "rest/problem.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"

#define ID_LEN 64

static const struct {
	int status;
	const char *title;
} titles[] = {
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 402, "Payment Required" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 411, "Length Required" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" },
	{ 417, "Expectation Failed" },
	{ 418, "I'm a teapot" },
	{ 421, "Misdirected Request" },
	{ 422, "Unprocessable Content" },
	{ 423, "Locked" },
	{ 424, "Failed Dependency" },
	{ 425, "Too Early" },
	{ 426, "Upgrade Required" },
	{ 428, "Precondition Required" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 451, "Unavailable For Legal Reasons" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
	{ 507, "Insufficient Storage" },
};

const char *
problem_title(int status)
{
	for (size_t i = 0; i < sizeof(titles) / sizeof(*titles); i++)
		if (titles[i].status == status)
			return titles[i].title;
	return "Unknown";
}

int64_t
problem_seconds(int64_t ns)
{
	return ns / NS_PER_S + (ns % NS_PER_S > 0);
}

static void
add_text(json_t *object, const char *key, const char *text)
{
	/* json_string() gives nothing for what is not UTF-8, and then nothing
	 * is added. */
	if (text != NULL)
		json_object_set_new(object, key, json_string(text));
}

char *
problem_body(const struct problem *problem, size_t *len)
{
	json_t *object = json_object();
	char *text;

	add_text(object, "type", "about:blank");
	add_text(object, "title", problem_title(problem->status));
	json_object_set_new(object, "status", json_integer(problem->status));
	add_text(object, "detail", problem->detail);
	add_text(object, "instance", problem->instance);
	add_text(object, "request_id", problem->id);
	text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	if (text == NULL)
		text = mem_strdup("{}");
	*len = strlen(text);
	return text;
}

/* RFC 9110, 5.6.7; the locale is C in every child. */
static void
format_date(char *buf, size_t size)
{
	time_t now = (time_t)(clock_wall_ns() / NS_PER_S);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(buf, size, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

char *
problem_answer(const struct problem *problem, bool head, size_t *len)
{
	char date[40], retry[40] = "", *body, *answer;
	size_t body_len;

	body = problem_body(problem, &body_len);
	format_date(date, sizeof(date));
	if (problem->status == 503)
		snprintf(retry, sizeof(retry), "Retry-After: %lld\r\n",
		    (long long)problem_seconds(problem->retry_after_ns));
	answer = mem_printf("HTTP/1.1 %d %s\r\n"
			    "Date: %s\r\n"
			    "Connection: close\r\n"
			    "Content-Type: " PROBLEM_TYPE "\r\n"
			    "Content-Length: %zu\r\n"
			    "X-Request-Id: %s\r\n"
			    "%s\r\n%s",
	    problem->status, problem_title(problem->status), date, body_len,
	    problem->id != NULL ? problem->id : "-", retry, head ? "" : body);
	free(body);
	*len = strlen(answer);
	return answer;
}

/* ---- the guard texts */

struct guard_text {
	char *text;
	char *in_header; /* ID_LEN bytes */
	char *in_body;	 /* ID_LEN bytes and a quote; NULL for HEAD */
};

struct guard {
	/* by whether the request is a HEAD */
	struct guard_text crash[2], overrun[2];
};

static void
guard_text_init(struct guard_text *guard, int status, const char *detail,
    bool head)
{
	static const char blank[ID_LEN + 1] =
	    "                                                                ";
	char *body =
	    mem_printf("{\"type\":\"about:blank\",\"title\":\"%s\","
		       "\"status\":%d,\"detail\":\"%s\",\"request_id\":\"%s }",
		problem_title(status), status, detail, blank);

	guard->text = mem_printf("HTTP/1.1 %d %s\r\n"
				 "Connection: close\r\n"
				 "Content-Type: " PROBLEM_TYPE "\r\n"
				 "Content-Length: %zu\r\n"
				 "X-Request-Id: %s\r\n"
				 "\r\n%s",
	    status, problem_title(status), strlen(body), blank,
	    head ? "" : body);
	guard->in_header = strstr(guard->text, "X-Request-Id: ") + 14;
	guard->in_body = NULL;
	if (!head)
		guard->in_body = strstr(guard->text, "\"request_id\":\"") + 14;
	free(body);
}

struct guard *
guard_new(void)
{
	struct guard *guard = mem_alloc(sizeof(*guard));

	for (int head = 0; head < 2; head++) {
		guard_text_init(&guard->crash[head], 502, "the handler crashed",
		    head);
		guard_text_init(&guard->overrun[head], 504,
		    "the handler did not finish in time", head);
	}
	return guard;
}

void
guard_free(struct guard *guard)
{
	if (guard == NULL)
		return;
	for (int head = 0; head < 2; head++) {
		free(guard->crash[head].text);
		free(guard->overrun[head].text);
	}
	free(guard);
}

static void
guard_text_set(struct guard_text *guard, const char *id, size_t len)
{
	memcpy(guard->in_header, id, len);
	memset(guard->in_header + len, ' ', ID_LEN - len);
	if (guard->in_body == NULL)
		return;
	memcpy(guard->in_body, id, len);
	guard->in_body[len] = '"';
	memset(guard->in_body + len + 1, ' ', ID_LEN - len);
}

void
guard_prepare(struct guard *guard, const char *id, bool head,
    const char **crash, const char **overrun)
{
	size_t len = strnlen(id, ID_LEN);

	guard_text_set(&guard->crash[head], id, len);
	guard_text_set(&guard->overrun[head], id, len);
	*crash = guard->crash[head].text;
	*overrun = guard->overrun[head].text;
}
