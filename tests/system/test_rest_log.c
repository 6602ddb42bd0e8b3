/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_rest_log - what ties a request to its lines in the log: the request id,
 * the trace context and the access log.
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

START_TEST(request_id_and_trace)
{
	static const char trace[] =
	    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
	char *sent = text_format("traceparent: %s", trace);
	struct daemon d;
	struct reply reply;
	json_t *seen;
	char *id;

	echo_start(&d, NULL);
	http_require(&d,
	    &(struct ask){ .path = "/echo",
		.header = { "X-Request-Id: my-id.1", sent } },
	    &reply);
	ck_assert_str_eq(reply_header(&reply, "X-Request-Id"), "my-id.1");
	seen = reply_json(&reply);
	echo_require(seen, NULL, "id", "my-id.1");
	echo_require(seen, NULL, "traceparent", trace);
	json_decref(seen);
	reply_release(&reply);
	/* a new one where there is none, or none that will do */
	http_require(&d,
	    &(struct ask){ .path = "/echo",
		.header = { "X-Request-Id: not <sane>",
		    "traceparent: 00-zz" } },
	    &reply);
	id = strdup(reply_header(&reply, "X-Request-Id"));
	ck_assert_str_ne(id, "not <sane>");
	ck_assert_uint_gt(strlen(id), 8);
	seen = reply_json(&reply);
	echo_require(seen, NULL, "id", id);
	ck_assert_msg(text_matches(ctl_text(seen, "traceparent"),
			  "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"),
	    "%s", ctl_text(seen, "traceparent"));
	json_decref(seen);
	reply_release(&reply);
	/* errors have one too, and no two the same */
	http_require(&d, &(struct ask){ .path = "/nothing" }, &reply);
	ck_assert_ptr_nonnull(reply_header(&reply, "X-Request-Id"));
	ck_assert_str_ne(reply_header(&reply, "X-Request-Id"), id);
	reply_release(&reply);
	free(id);
	free(sent);
	daemon_stop(&d);
}
END_TEST

START_TEST(access_log_text)
{
	struct daemon d;
	struct reply reply;
	char *line;

	echo_start(&d, NULL);
	http_require(&d,
	    &(struct ask){ .path = "/items/7?secret=no",
		.header = { "X-Request-Id: look-for-me" } },
	    &reply);
	reply_release(&reply);
	line = daemon_await_line(&d, NULL, "look-for-me.*/items/7");
	ck_assert_ptr_nonnull(line);
	ck_assert_msg(text_matches(line,
			  "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z info "
			  "rest\\[[0-9]+\\] slot=[0-9]+ gen=1 id=look-for-me "),
	    "%s", line);
	text_require("the line", line, "GET");
	text_require("the line", line, "200");
	free(line);
	daemon_stop(&d);
}
END_TEST

/* Every line there is must be JSON. */
START_TEST(access_log_json)
{
	struct daemon d;
	struct reply reply;
	char *line, *log, *next;
	json_t *json;

	daemon_start(&d,
	    &(struct daemon_conf){
		.log = "format = \"json\"; level = \"debug\";",
		.module = { ECHO_MODULES },
		.route = { ECHO_ROUTES } });
	http_require(&d,
	    &(struct ask){ .path = "/items/a%22%5Cb%C3%A9",
		.header = { "X-Request-Id: look-for-me",
		    "User-Agent: \"\\\xff" } },
	    &reply);
	ck_assert_int_eq(reply.status, 200);
	reply_release(&reply);
	line = daemon_await_line(&d, NULL, "look-for-me.*GET");
	ck_assert_ptr_nonnull(line);
	ck_assert_ptr_nonnull(json = json_loads(line, 0, NULL));
	ck_assert_str_eq(ctl_text(json, "id"), "look-for-me");
	ck_assert_str_eq(ctl_text(json, "level"), "info");
	ck_assert_str_eq(ctl_text(json, "role"), "rest");
	ck_assert_int_eq(ctl_int(json, "generation"), 1);
	ck_assert_int_ge(ctl_int(json, "slot"), 0);
	ck_assert_int_eq(ctl_int(json, "status"), 200);
	ck_assert_str_eq(ctl_text(json, "method"), "GET");
	json_decref(json);
	free(line);
	log = daemon_log(&d);
	for (line = log; (next = strchr(line, '\n')) != NULL; line = next + 1) {
		*next = '\0';
		json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		ck_assert_msg(json != NULL, "no JSON: %s", line);
		ck_assert_uint_eq(strlen(ctl_text(json, "time")), 24);
		json_decref(json);
	}
	free(log);
	daemon_stop(&d);
}
END_TEST

START_TEST(access_log_off)
{
	struct daemon d;
	char *log;

	daemon_start(&d,
	    &(struct daemon_conf){
		.log = "access = false; level = \"info\";" });
	ck_assert_int_eq(http_status(&d, "/hello?find=me", NULL), 200);
	log = daemon_log(&d);
	ck_assert_msg(!text_has(log, "/hello"), "%s", log);
	free(log);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE(request_id_and_trace),
		CASE(access_log_text),
		CASE_MEMORY(access_log_json),
		CASE(access_log_off),
	};

	return SUITE_RUN("rest log", cases);
}
