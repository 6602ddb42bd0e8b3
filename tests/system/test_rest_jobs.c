/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_rest_jobs - requests that become jobs: 202 and where to look, Prefer,
 * Idempotency-Key, and all that can be asked of /jobs/ID.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/gate.h"
#include "lib/http.h"
#include "lib/modes.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/text.h"

/* POST with a body "": 202 is required; returns the job's path, to free. */
static char *
submit(const struct daemon *d, const char *path, const char *header)
{
	struct reply reply;
	const char *location;
	json_t *json;
	char *href;

	http_require(d,
	    &(struct ask){ .path = path, .body = "", .header = { header } },
	    &reply);
	ck_assert_msg(reply.status == 202, "%s: %d %s", path, reply.status,
	    reply.body);
	location = reply_header(&reply, "Location");
	ck_assert_msg(location != NULL && strncmp(location, "/jobs/", 6) == 0,
	    "%s", reply.head);
	href = strdup(location);
	json = reply_json(&reply);
	ck_assert_str_eq(ctl_text(json, "href"), href);
	ck_assert_str_eq(ctl_text(json, "id"), href + 6);
	ck_assert_str_ne(ctl_text(json, "state"), "");
	json_decref(json);
	reply_release(&reply);
	return href;
}

/* The job, asked for until it is in that state. */
static json_t *
job_in(const struct daemon *d, const char *href, const char *state)
{
	json_t *json = NULL;

	for (int i = 0; i < 20; i++) {
		json_decref(json);
		/* long enough to see an end, and short for the other states */
		json = modes_ask(d,
		    &(struct ask){ .path = href,
			.header = { "Prefer: wait=1" } },
		    200);
		if (strcmp(ctl_text(json, "state"), state) == 0)
			return json;
	}
	ck_abort_msg("%s is not %s: %s", href, state, json_dumps(json, 0));
}

static int
status_of(const struct daemon *d, const char *method, const char *path)
{
	struct reply reply;
	int status;

	http_require(d, &(struct ask){ .method = method, .path = path },
	    &reply);
	status = reply.status;
	reply_release(&reply);
	return status;
}

START_TEST(life)
{
	struct daemon d;
	size_t from = 0;
	char *href;
	json_t *json;
	int gate = modes_start(&d, &(struct daemon_conf){ 0 });

	href = submit(&d, "/job/pass?x=1", "X-Test: 2");
	modes_await(&d, &from, "began /job/pass", 1);
	json = modes_ask(&d, &(struct ask){ .path = href }, 200);
	ck_assert_str_eq(ctl_text(json, "state"), "running");
	ck_assert_str_eq(ctl_text(json, "handler"), "modes.pass");
	ck_assert_str_eq(ctl_text(json, "href"), href);
	ck_assert_str_eq(ctl_text(json_object_get(json, "progress"), "note"),
	    "at the gate");
	json_decref(json);
	gate_let(gate, 1);
	json = job_in(&d, href, "succeeded");
	ck_assert_int_eq(ctl_int(json, "status"), 200);
	ck_assert_int_eq(ctl_int(json, "attempts"), 1);
	/* the handler saw the request as if it had run here */
	ck_assert_str_eq(ctl_text(json_object_get(json, "result"), "x"), "1");
	ck_assert_str_eq(ctl_text(json_object_get(json, "result"), "test"),
	    "2");
	ck_assert_str_eq(ctl_text(json_object_get(json, "result"), "method"),
	    "POST");
	ck_assert_str_eq(ctl_text(json_object_get(json, "result"), "path"),
	    "/job/pass");
	json_decref(json);
	free(href);
	close(gate);
	daemon_stop(&d);
}
END_TEST

/* What is no JSON is fetched as it is; a failure says why. */
START_TEST(results)
{
	struct daemon d;
	struct reply reply;
	char *href, *path;
	json_t *json;
	int gate = modes_start(&d, &(struct daemon_conf){ 0 });

	href = submit(&d, "/job/text", NULL);
	json = job_in(&d, href, "succeeded");
	ck_assert_int_eq(ctl_int(json, "result_bytes"), 6);
	json_decref(json);
	path = text_format("%s/result", href);
	http_require(&d, &(struct ask){ .path = path }, &reply);
	ck_assert_int_eq(reply.status, 201);
	ck_assert_str_eq(reply.body, "a text");
	ck_assert_str_eq(reply_header(&reply, "X-Made"), "by hand");
	reply_release(&reply);
	free(path);
	free(href);

	href = submit(&d, "/job/refuse", NULL);
	json = job_in(&d, href, "failed");
	json_decref(json);
	path = text_format("%s/result", href);
	http_require(&d, &(struct ask){ .path = path }, &reply);
	reply_require_problem(&reply, 409);
	text_require("the reason", reply.body, "not with me");
	reply_release(&reply);
	free(path);
	free(href);

	/* what is wrong at the door is told there */
	http_require(&d,
	    &(struct ask){ .path = "/job/json",
		.body = "{",
		.header = { "Content-Type: application/json" } },
	    &reply);
	reply_require_problem(&reply, 400);
	reply_release(&reply);
	close(gate);
	daemon_stop(&d);
}
END_TEST

/* tasks.max_result: it is done, and says so, but its reply is gone. */
START_TEST(result_too_large)
{
	struct daemon d;
	struct reply reply;
	char *href, *path;
	json_t *json;
	int gate = modes_start(&d,
	    &(struct daemon_conf){ .tasks = "max_result = 5;" });

	href = submit(&d, "/job/text", NULL);
	json = job_in(&d, href, "succeeded");
	text_require("the reason", ctl_text(json, "problem"),
	    "tasks.max_result");
	json_decref(json);
	path = text_format("%s/result", href);
	http_require(&d, &(struct ask){ .path = path }, &reply);
	reply_require_problem(&reply, 410);
	text_require("the reason", reply.body, "tasks.max_result");
	reply_release(&reply);
	free(path);
	free(href);

	http_require(&d,
	    &(struct ask){ .path = "/job/text",
		.body = "",
		.header = { "Prefer: respond-async, wait=20" } },
	    &reply);
	ck_assert_int_eq(reply.status, 202);
	text_require("the state", reply.body, "succeeded");
	reply_release(&reply);
	close(gate);
	daemon_stop(&d);
}
END_TEST

START_TEST(unknown)
{
	static const char *const ids[] = { "1", "..", "%2e", "x/y", "%00",
		"0000000000000-0000000000000", "zzzzzzzzzzzzz-zzzzzzzzzzzzz",
		"0000000000000-00000000000000", "0000000000000" };
	struct daemon d;
	char *href, *path, last;
	int gate = modes_start(&d, &(struct daemon_conf){ 0 });

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct reply reply;

		path = text_format("/jobs/%s", ids[i]);
		http_require(&d, &(struct ask){ .path = path, .as_is = true },
		    &reply);
		ck_assert_msg(reply.status == 404 || reply.status == 400,
		    "%s: %d", path, reply.status);
		reply_require_problem(&reply, reply.status);
		reply_release(&reply);
		free(path);
	}
	/* half of an id is none, and half right is all wrong */
	href = submit(&d, "/job/text", NULL);
	last = href[strlen(href) - 1];
	href[strlen(href) - 1] = last == '0' ? '1' : '0';
	ck_assert_int_eq(status_of(&d, "GET", href), 404);
	ck_assert_int_eq(status_of(&d, "DELETE", href), 404);
	href[strlen(href) - 1] = last;
	ck_assert_int_eq(status_of(&d, "GET", href), 200);
	free(href);
	close(gate);
	daemon_stop(&d);
}
END_TEST

START_TEST(methods)
{
	struct daemon d;
	struct reply reply;
	char *href;
	int gate = modes_start(&d, &(struct daemon_conf){ 0 });

	href = submit(&d, "/job/text", NULL);
	json_decref(job_in(&d, href, "succeeded"));
	http_require(&d, &(struct ask){ .method = "HEAD", .path = href },
	    &reply);
	ck_assert_int_eq(reply.status, 200);
	ck_assert_int_eq(reply.body_len, 0);
	reply_release(&reply);
	http_require(&d, &(struct ask){ .method = "OPTIONS", .path = href },
	    &reply);
	ck_assert_int_eq(reply.status, 204);
	ck_assert_str_eq(reply_header(&reply, "Allow"),
	    "GET, HEAD, DELETE, OPTIONS");
	reply_release(&reply);
	http_require(&d,
	    &(struct ask){ .method = "PUT", .path = href, .body = "x" },
	    &reply);
	reply_require_problem(&reply, 405);
	ck_assert_str_eq(reply_header(&reply, "Allow"),
	    "GET, HEAD, DELETE, OPTIONS");
	reply_release(&reply);
	ck_assert_int_eq(status_of(&d, "GET", "/jobs"), 404);
	ck_assert_int_eq(status_of(&d, "GET", "/jobs/"), 404);
	free(href);
	close(gate);
	daemon_stop(&d);
}
END_TEST

START_TEST(cancel)
{
	struct daemon d;
	size_t from = 0;
	char *runs, *waits;
	json_t *json;
	int gate = modes_start(&d,
	    &(struct daemon_conf){ .task_workers = "start = 1; min_spare = 0; "
						   "max_spare = 1; max = 1;" });

	runs = submit(&d, "/job/endure", NULL);
	modes_await(&d, &from, "began /job/endure", 1);
	waits = submit(&d, "/job/text", NULL);
	json = modes_ask(&d, &(struct ask){ .method = "DELETE", .path = waits },
	    200);
	ck_assert_str_eq(ctl_text(json, "state"), "cancelled");
	json_decref(json);
	/* one that runs is told to give up */
	json = modes_ask(&d, &(struct ask){ .method = "DELETE", .path = runs },
	    200);
	json_decref(json);
	modes_await(&d, &from, "gave up /job/endure", 1);
	json_decref(job_in(&d, runs, "cancelled"));
	/* it is over */
	ck_assert_int_eq(status_of(&d, "DELETE", runs), 409);
	ck_assert_int_eq(status_of(&d, "DELETE", waits), 409);
	free(runs);
	free(waits);
	close(gate);
	daemon_stop(&d);
}
END_TEST

/* ---- Prefer */

static void
require_applied(const struct daemon *d, const char *path, const char *prefer,
    int status, const char *applied)
{
	struct reply reply;
	const char *got;

	http_require(d,
	    &(struct ask){ .path = path, .body = "", .header = { prefer } },
	    &reply);
	got = reply_header(&reply, "Preference-Applied");
	ck_assert_msg(reply.status == status, "%s %s: %d %s", path, prefer,
	    reply.status, reply.body);
	ck_assert_msg(strcmp(got != NULL ? got : "", applied) == 0, "%s %s: %s",
	    path, prefer, got);
	reply_release(&reply);
}

START_TEST(preferences)
{
	struct daemon d;
	struct reply reply;
	int gate = modes_start(&d, &(struct daemon_conf){ 0 });

	/* a route where one waits, and somebody who doesn't want to */
	require_applied(&d, "/wait/text", "Prefer: respond-async", 202,
	    "respond-async");
	require_applied(&d, "/wait/text", "Prefer: respond-async, wait=20", 201,
	    "respond-async, wait=20");
	require_applied(&d, "/wait/text", "Prefer: wait=20", 201, "");
	require_applied(&d, "/job/text", "Prefer: respond-async", 202,
	    "respond-async");
	require_applied(&d, "/job/text", "Prefer: wait=20", 201, "wait=20");
	require_applied(&d, "/job/refuse", "Prefer: wait=20", 409, "wait=20");
	require_applied(&d, "/job/text", "Prefer: wait=0", 202, "wait=0");
	require_applied(&d, "/job/text", "Prefer: wait=999999", 201, "wait=30");
	/* not done by then */
	require_applied(&d, "/job/pass", "Prefer: wait=1", 202, "wait=1");
	gate_let(gate, 1);
	/* others are no business of ours */
	require_applied(&d, "/job/text", "Prefer: wait=x, return=minimal", 202,
	    "");
	require_applied(&d, "/job/text", "Prefer: \",;=\xff", 202, "");
	require_applied(&d, "/inline/text", "Prefer: respond-async", 201, "");
	/* its own reply is whole */
	http_require(&d,
	    &(struct ask){ .path = "/job/text",
		.body = "",
		.header = { "Prefer: wait=20" } },
	    &reply);
	ck_assert_str_eq(reply.body, "a text");
	ck_assert_str_eq(reply_header(&reply, "X-Made"), "by hand");
	reply_release(&reply);
	close(gate);
	daemon_stop(&d);
}
END_TEST

/* ---- Idempotency-Key */

START_TEST(idempotency)
{
	static const char count[] = "/job/count/1?key=n";
	struct daemon d;
	struct reply reply;
	char *first, *again, *other;
	json_t *json;
	int gate = modes_start(&d, &(struct daemon_conf){ 0 });

	first = submit(&d, count, "Idempotency-Key: a-key");
	again = submit(&d, count, "Idempotency-Key: a-key");
	ck_assert_str_eq(first, again);
	free(again);
	modes_await_value(&d, "n", 1);
	json = job_in(&d, first, "succeeded");
	json_decref(json);
	/* also when it is done, and when the hub is another */
	modes_kill(&d, "hub");
	again = submit(&d, count, "idempotency-key: a-key ");
	ck_assert_str_eq(first, again);
	free(again);
	ck_assert_int_eq(modes_value(&d, "n"), 1);
	/* another key, another route: another job */
	other = submit(&d, count, "Idempotency-Key: b-key");
	ck_assert_str_ne(first, other);
	free(other);
	other = submit(&d, "/job/text", "Idempotency-Key: a-key");
	ck_assert_str_ne(first, other);
	free(other);
	modes_await_value(&d, "n", 2);
	/* the same key, and not the same request */
	for (int i = 0; i < 3; i++) {
		http_require(&d,
		    &(struct ask){ .path = i == 0 ? count :
			    i == 1		  ? "/job/count/2?key=n" :
						    "/job/count/1?key=m",
			.body = i == 0 ? "x" : "",
			.header = { "Idempotency-Key: a-key" } },
		    &reply);
		reply_require_problem(&reply, 422);
		reply_release(&reply);
	}
	ck_assert_int_eq(modes_value(&d, "n"), 2);
	free(first);
	close(gate);
	daemon_stop(&d);
}
END_TEST

START_TEST(bad_keys)
{
	struct daemon d;
	char *longest = text_repeat('k', 300);
	char *table[] = {
		text_format("Idempotency-Key: %s", longest),
		text_format("Idempotency-Key;"),
		text_format("Idempotency-Key: a b"),
		text_format("Idempotency-Key: caf\xc3\xa9"),
	};
	struct reply reply;
	int gate = modes_start(&d, &(struct daemon_conf){ 0 });

	for (size_t i = 0; i < 4; i++) {
		http_require(&d,
		    &(struct ask){ .path = "/job/text",
			.body = "",
			.header = { table[i] } },
		    &reply);
		reply_require_problem(&reply, 400);
		reply_release(&reply);
		free(table[i]);
	}
	http_require(&d,
	    &(struct ask){ .path = "/job/text",
		.body = "",
		.header = { "Idempotency-Key: a", "Idempotency-Key: a" } },
	    &reply);
	reply_require_problem(&reply, 400);
	reply_release(&reply);
	/* elsewhere it means nothing */
	http_require(&d,
	    &(struct ask){ .path = "/inline/text",
		.body = "",
		.header = { "Idempotency-Key: a b" } },
	    &reply);
	ck_assert_int_eq(reply.status, 201);
	reply_release(&reply);
	free(longest);
	close(gate);
	daemon_stop(&d);
}
END_TEST

/* ---- no hub, for a moment */

START_TEST(hub_is_killed)
{
	struct daemon d;
	size_t from = 0;
	char *href;
	int gate = modes_start(&d, &(struct daemon_conf){ 0 });

	href = submit(&d, "/job/pass", NULL);
	modes_await(&d, &from, "began /job/pass", 1);
	modes_kill(&d, "hub");
	/* neither this one nor the next is lost */
	free(submit(&d, "/job/count/1?key=n", NULL));
	gate_let(gate, 1);
	json_decref(job_in(&d, href, "succeeded"));
	modes_await_value(&d, "n", 1);
	free(href);
	close(gate);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE_MEMORY(life),
		CASE_MEMORY(results),
		CASE(result_too_large),
		CASE(unknown),
		CASE(methods),
		CASE_MEMORY(cancel),
		CASE_MEMORY(preferences),
		CASE_MEMORY(idempotency),
		CASE(bad_keys),
		CASE(hub_is_killed),
	};

	return SUITE_RUN("rest jobs", cases);
}
