/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_modes_limits - what a client is told when there is no room for its call
 * or job, and configs whose routes could never work.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/gate.h"
#include "lib/http.h"
#include "lib/modes.h"
#include "lib/suite.h"
#include "lib/text.h"

#define ONE "start = 1; min_spare = 0; max_spare = 1; max = 1;"
#define TWO "start = 2; min_spare = 0; max_spare = 2; max = 2;"

START_TEST(too_many_wait)
{
	struct daemon d;
	struct reply reply;
	size_t from = 0;
	int fds[2];
	int gate = modes_start(&d,
	    &(struct daemon_conf){
		.rest = "max_waiting = 2; retry_after = 6.5;",
		.workers = ONE,
		.task_workers = TWO });

	for (int i = 0; i < 2; i++)
		fds[i] = modes_call(&d, "/pass");
	modes_await(&d, &from, "began", 2);
	http_require(&d, &(struct ask){ .path = "/pass" }, &reply);
	reply_require_problem(&reply, 503);
	ck_assert_str_eq(reply_header(&reply, "Retry-After"), "7");
	reply_release(&reply);
	gate_let(gate, 2);
	for (int i = 0; i < 2; i++)
		modes_answer(fds[i], 200);
	close(gate);
	daemon_stop(&d);
}
END_TEST

START_TEST(no_room)
{
	struct daemon d;
	struct reply reply;
	size_t from = 0;
	int gate = modes_start(&d,
	    &(struct daemon_conf){ .tasks = "max_queued = 1;",
		.task_workers = ONE });
	int status = 202, taken;

	ck_assert_int_eq(http_status(&d, "/job/pass", ""), 202);
	modes_await(&d, &from, "began /job/pass", 1);
	for (taken = 0; status == 202 && taken < 5; taken++) {
		http_require(&d,
		    &(struct ask){ .path = "/job/text", .body = "" }, &reply);
		status = reply.status;
		if (status != 202) {
			reply_require_problem(&reply, 503);
			ck_assert_ptr_nonnull(
			    reply_header(&reply, "Retry-After"));
		}
		reply_release(&reply);
	}
	ck_assert_int_eq(status, 503);
	gate_let(gate, 1);
	close(gate);
	daemon_stop(&d);
}
END_TEST

/* New work is refused, in words; what does not need the store goes on. */
START_TEST(no_space)
{
	static const char *const paths[] = { "/job/text", "/count?key=a",
		"/publish?queue=q" };
	struct daemon d;
	struct reply reply;
	int gate = modes_start(&d,
	    &(struct daemon_conf){ .hub = "min_free = \"1023G\";",
		.amqp = "queues = ( { name = \"q\"; } );" });

	for (size_t i = 0; i < 3; i++) {
		http_require(&d, &(struct ask){ .path = paths[i], .body = "" },
		    &reply);
		reply_require_problem(&reply, 507);
		reply_release(&reply);
	}
	ck_assert_int_eq(http_status(&d, "/wait/text", ""), 201);
	ck_assert_int_eq(http_status(&d, "/inline/text", ""), 201);
	close(gate);
	daemon_stop(&d);
}
END_TEST

/* What fits no message is refused before anybody sees it. */
START_TEST(no_message)
{
	struct daemon d;
	struct reply reply;
	char *big = text_repeat('x', 60000);
	int gate = modes_start(&d,
	    &(struct daemon_conf){ .rest = "max_body = 40000;",
		.hub = "max_message = 65536; max_value = 1024;" });

	http_require(&d,
	    &(struct ask){ .path = "/wait/echo/1/2",
		.body = big,
		.body_len = 40000 },
	    &reply);
	ck_assert_msg(reply.status == 200 || reply.status == 413, "%d %s",
	    reply.status, reply.body);
	reply_release(&reply);
	/* the reply does not fit: that is no crash of anybody */
	http_require(&d,
	    &(struct ask){ .path = "/wait/big?n=200000", .body = "" }, &reply);
	ck_assert_int_ge(reply.status, 400);
	reply_require_problem(&reply, reply.status);
	reply_release(&reply);
	ck_assert_int_eq(http_status(&d, "/wait/text", ""), 201);
	ck_assert_int_eq(ctl_pool(&d, "task", "restarts"), 0);
	ck_assert_int_eq(ctl_pool(&d, "hub", "restarts"), 0);
	free(big);
	close(gate);
	daemon_stop(&d);
}
END_TEST

/* ---- configs that cannot work */

static void
require_refused(const struct daemon_conf *conf, const char *reason)
{
	struct daemon d;

	daemon_init(&d);
	daemon_configure(&d, conf);
	daemon_require_refused(&d, reason, NULL);
	daemon_release(&d);
}

START_TEST(bad_configs)
{
	require_refused(
	    &(struct daemon_conf){
		.routes = "{ method = \"POST\"; path = \"/a\"; "
			  "handler = \"hello.hello\"; "
			  "mode = \"wait\"; "
			  "max_body = \"16M\"; }" },
	    "hub.max_message");
	require_refused(&(struct daemon_conf){ .route = { ROUTE("GET",
						   "/jobs/{x}",
						   "hello.hello") } },
	    "rest.jobs_path takes the same paths");
	require_refused(&(struct daemon_conf){ .rest = "jobs_path = \"/j/\";" },
	    "must not end with a slash");
	require_refused(&(struct daemon_conf){ .rest = "jobs_path = \"j\";" },
	    "does not begin with a slash");
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE(too_many_wait),
		CASE(no_room),
		CASE(no_space),
		CASE(no_message),
		CASE(bad_configs),
	};

	return SUITE_RUN("modes limits", cases);
}
