/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_jobs - the life of jobs in a real family: retried, dead, delayed,
 * expired, chained, limited, cancelled, run again, forgotten in time. See
 * test_rest_jobs and test_desk for the doors they come through, test_kills for
 * what dies over them, test_store for the file they are in.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/desk.h"
#include "lib/http.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/text.h"

#define SCRIPT "hubtest.script"
#define QUICK "backoff_min = 0.01; backoff_max = 0.02;"
#define ONE_WORKER "start = 1; min_spare = 0; max = 1;"

/* Waits for the state; the job, a new reference, and the id is freed. */
static json_t *
ends(const struct daemon *d, char *id, const char *state)
{
	json_t *job = desk_await_job(d, id, state);

	free(id);
	return job;
}

static const char *
reason(json_t *job, size_t attempt)
{
	return ctl_text(json_array_get(json_object_get(job, "errors"), attempt),
	    "reason");
}

/* Occupies a worker until let_go(); returns when it has begun. */
static char *
hold(const struct daemon *d, long n)
{
	char *id = desk_submit_script(d,
	    "[{\"do\":\"watch\",\"prefix\":\"go\"},"
	    "{\"do\":\"incr\",\"key\":\"held\"},{\"do\":\"wait\"}]",
	    "{\"priority\":255}");

	desk_require_number(d, "held", n);
	return id;
}

static void
let_go(const struct daemon *d)
{
	json_decref(desk_data(d, desk_json("{\"json\":1}"), "set", "go", NULL));
}

/* What a job's first step `incr` gave: which of all it was. */
static long
turn(json_t *job)
{
	return ctl_int(json_array_get(json_object_get(job, "result"), 0),
	    "value");
}

START_TEST(attempts_until_it_works)
{
	struct daemon d;
	json_t *job;

	daemon_start(&d,
	    &(struct daemon_conf){ .module = { "hello", "hubtest" },
		.tasks = QUICK "max_attempts = 5;" });
	/* what an attempt that failed has sent is not sent */
	job = ends(&d,
	    desk_submit_script(&d,
		"[{\"do\":\"incr\",\"key\":\"sent\",\"on_success\":true},"
		"{\"do\":\"incr\",\"key\":\"tried\"},"
		"{\"do\":\"retry\",\"before\":3},"
		"{\"do\":\"see\"}]",
		NULL),
	    "succeeded");
	ck_assert_int_eq(ctl_int(job, "attempts"), 3);
	ck_assert_int_eq(ctl_int(job, "max_attempts"), 5);
	ck_assert_uint_eq(json_array_size(json_object_get(job, "errors")), 2);
	ck_assert_str_eq(reason(job, 0), "told to retry");
	ck_assert_int_eq(ctl_int(json_array_get(json_object_get(job, "result"),
				     2),
			     "attempt"),
	    3);
	ck_assert_int_eq(desk_number(&d, "sent"), 1);
	ck_assert_int_eq(desk_number(&d, "tried"), 3);
	json_decref(job);

	/* an own number of them */
	job = ends(&d,
	    desk_submit_script(&d, "[{\"do\":\"retry\"}]",
		"{\"max_attempts\":2}"),
	    "dead");
	ck_assert_int_eq(ctl_int(job, "attempts"), 2);
	json_decref(job);
	/* "never" is no attempt that fails */
	job = ends(&d, desk_submit_script(&d, "[{\"do\":\"reject\"}]", NULL),
	    "failed");
	ck_assert_int_eq(ctl_int(job, "attempts"), 1);
	ck_assert_int_eq(ctl_int(job, "status"), 422);
	ck_assert_str_eq(reason(job, 0), "told to reject");
	json_decref(job);
	daemon_stop(&d);
}
END_TEST

START_TEST(it_waits_between_attempts)
{
	struct daemon d;
	json_t *job;
	char *id;

	daemon_start(&d,
	    &(struct daemon_conf){ .module = { "hello", "hubtest" },
		.tasks = "backoff_min = 3000.0; backoff_max = 3600.0;" });
	id = desk_submit_script(&d, "[{\"do\":\"retry\"}]", NULL);
	job = desk_await_job(&d, id, "waiting");
	ck_assert(json_is_true(json_object_get(job, "retrying")));
	ck_assert_int_eq(ctl_int(job, "attempts"), 1);
	ck_assert_str_ne(ctl_text(job, "due"), "");
	json_decref(job);
	json_decref(desk_data(&d, NULL, "cancel", id, NULL));
	json_decref(ends(&d, id, "cancelled"));

	/* the handler may say how long */
	id = desk_submit_script(&d,
	    "[{\"do\":\"retry\",\"after\":0.01,\"before\":2}]", NULL);
	json_decref(ends(&d, id, "succeeded"));
	daemon_stop(&d);
}
END_TEST

/* The worker's end is the attempt's, and the signal is named. */
START_TEST(a_poison_job_is_dead_in_the_end)
{
	struct daemon d;
	json_t *job;

	daemon_start(&d,
	    &(struct daemon_conf){ .module = { "hello", "hubtest" },
		.service = "respawn_young = 0.0;",
		.tasks = QUICK "max_attempts = 3;" });
	d.crashes = true;
	job = ends(&d, desk_submit_script(&d, "[{\"do\":\"crash\"}]", NULL),
	    "dead");
	ck_assert_int_eq(ctl_int(job, "attempts"), 3);
	for (size_t i = 0; i < 3; i++)
		text_require("reason", reason(job, i), "SIGSEGV");
	json_decref(job);
	job = ends(&d,
	    desk_submit_script(&d, "[{\"do\":\"exit\"}]",
		"{\"max_attempts\":1}"),
	    "dead");
	text_require("reason", reason(job, 0), "status 70");
	json_decref(job);
	/* the others go on */
	json_decref(ends(&d, desk_submit_script(&d, "[]", NULL), "succeeded"));
	daemon_stop(&d);
}
END_TEST

START_TEST(time_limits)
{
	struct daemon d;
	json_t *job;

	daemon_start(&d,
	    &(struct daemon_conf){ .module = { "hello", "hubtest" },
		.service = "respawn_young = 0.0; kill_grace = 0.2;",
		.tasks = QUICK "max_attempts = 2; timeout = 0.2;" });
	d.crashes = true;
	/* one that looks at brood_cancelled() ends by itself */
	job = ends(&d,
	    desk_submit_script(&d,
		"[{\"do\":\"wait\",\"seconds\":60},{\"do\":\"see\"},"
		"{\"do\":\"retry\"}]",
		"{\"max_attempts\":1}"),
	    "dead");
	json_decref(job);
	/* one that does not is killed */
	job = ends(&d, desk_submit_script(&d, "[{\"do\":\"hang\"}]", NULL),
	    "dead");
	ck_assert_int_eq(ctl_int(job, "attempts"), 2);
	text_require("reason", reason(job, 0), "time");
	json_decref(job);
	json_decref(ends(&d, desk_submit_script(&d, "[]", NULL), "succeeded"));
	daemon_stop(&d);
}
END_TEST

START_TEST(priority_and_order)
{
	static const char *const options[] = { NULL, "{\"priority\":1}", NULL,
		"{\"priority\":200}", "{\"priority\":1}" };
	static const long wanted[] = { 4, 2, 5, 1, 3 };
	struct daemon d;
	char *id[5], *held;

	daemon_start(&d,
	    &(struct daemon_conf){ .module = { "hello", "hubtest" },
		.task_workers = ONE_WORKER });
	held = hold(&d, 1);
	for (size_t i = 0; i < 5; i++)
		id[i] = desk_submit_script(&d,
		    "[{\"do\":\"incr\",\"key\":\"order\"}]", options[i]);
	let_go(&d);
	for (size_t i = 0; i < 5; i++) {
		json_t *job = ends(&d, id[i], "succeeded");

		ck_assert_int_eq(turn(job), wanted[i]);
		json_decref(job);
	}
	json_decref(ends(&d, held, "succeeded"));
	daemon_stop(&d);
}
END_TEST

START_TEST(unique_delayed_and_expired)
{
	struct daemon d;
	char *held, *first, *second;
	json_t *job;

	daemon_start(&d,
	    &(struct daemon_conf){ .module = { "hello", "hubtest" },
		.tasks = QUICK,
		.task_workers = ONE_WORKER });
	held = hold(&d, 1);
	/* the same key is the same job as long as that lives */
	first = desk_submit_script(&d, "[{\"do\":\"incr\",\"key\":\"one\"}]",
	    "{\"unique\":\"k\"}");
	second = desk_submit_script(&d, "[{\"do\":\"incr\",\"key\":\"two\"}]",
	    "{\"unique\":\"k\"}");
	ck_assert_str_eq(first, second);
	free(second);
	/* this one's time is over before the worker is free */
	second = desk_submit_script(&d, "[]", "{\"expires\":0.05}");
	job = ends(&d, second, "failed");
	ck_assert_int_eq(ctl_int(job, "attempts"), 0);
	text_require("expiry", reason(job, 0), "expired");
	json_decref(job);
	let_go(&d);
	json_decref(ends(&d, first, "succeeded"));
	json_decref(ends(&d, held, "succeeded"));
	second = desk_submit_script(&d, "[{\"do\":\"incr\",\"key\":\"two\"}]",
	    "{\"unique\":\"k\",\"delay\":0.05}");
	json_decref(ends(&d, second, "succeeded"));
	ck_assert_int_eq(desk_number(&d, "one"), 1);
	ck_assert_int_eq(desk_number(&d, "two"), 1);
	daemon_stop(&d);
}
END_TEST

START_TEST(what_follows)
{
	struct daemon d;
	char *id;

	daemon_start(&d,
	    &(struct daemon_conf){ .module = { "hello", "hubtest" },
		.tasks = QUICK "max_attempts = 2;" });
	/* `then` has the result as its input, and nothing for a failure */
	id = desk_submit_script(&d,
	    "[{\"do\":\"reply\",\"value\":"
	    "[{\"do\":\"incr\",\"key\":\"then\",\"by\":3}]}]",
	    "{\"then\":\"" SCRIPT "\",\"on_failure\":\"hubtest.tick\"}");
	json_decref(ends(&d, id, "succeeded"));
	desk_require_number(&d, "then", 3);
	ck_assert_int_eq(desk_number(&d, "ticks"), 0);
	/* `on_failure` once, when it has failed for good */
	id = desk_submit_script(&d, "[{\"do\":\"retry\"}]",
	    "{\"then\":\"" SCRIPT "\",\"on_failure\":\"hubtest.tick\"}");
	json_decref(ends(&d, id, "dead"));
	desk_require_number(&d, "ticks", 1);
	id = desk_submit_script(&d, "[{\"do\":\"reject\"}]",
	    "{\"on_failure\":\"hubtest.tick\"}");
	json_decref(ends(&d, id, "failed"));
	desk_require_number(&d, "ticks", 2);
	/* jobs that jobs submit leave with their success alone */
	id = desk_submit_script(&d,
	    "[{\"do\":\"submit\",\"handler\":\"hubtest.tick\",\"input\":{}},"
	    "{\"do\":\"retry\",\"before\":2},"
	    "{\"do\":\"submit\",\"handler\":\"hubtest.tick\",\"input\":{}}]",
	    NULL);
	json_decref(ends(&d, id, "succeeded"));
	desk_require_number(&d, "ticks", 4);
	daemon_stop(&d);
}
END_TEST

START_TEST(cancelled_and_run_again)
{
	struct daemon d;
	char *held, *id;
	json_t *job;

	daemon_start(&d,
	    &(struct daemon_conf){ .module = { "hello", "hubtest" },
		.tasks = QUICK "max_attempts = 2;",
		.task_workers = ONE_WORKER });
	held = hold(&d, 1);
	id = desk_submit_script(&d, "[{\"do\":\"incr\",\"key\":\"ran\"}]",
	    NULL);
	json_decref(desk_data(&d, NULL, "cancel", id, NULL));
	job = desk_await_job(&d, id, "cancelled");
	ck_assert_int_eq(ctl_int(job, "attempts"), 0);
	json_decref(job);
	let_go(&d);
	json_decref(ends(&d, held, "succeeded"));
	ck_assert_int_eq(desk_number(&d, "ran"), 0);
	json_decref(desk_data(&d, NULL, "retry", id, NULL));
	json_decref(ends(&d, id, "succeeded"));
	ck_assert_int_eq(desk_number(&d, "ran"), 1);

	/* with all its attempts */
	id = desk_submit_script(&d,
	    "[{\"do\":\"incr\",\"key\":\"tried\"},"
	    "{\"do\":\"retry\"}]",
	    NULL);
	json_decref(desk_await_job(&d, id, "dead"));
	json_decref(desk_data(&d, NULL, "retry", id, NULL));
	desk_require_number(&d, "tried", 4);
	job = ends(&d, id, "dead");
	ck_assert_int_eq(ctl_int(job, "attempts"), 2);
	json_decref(job);
	daemon_stop(&d);
}
END_TEST

/* Four workers, and never more than two of it at a time. */
START_TEST(concurrency_is_limited)
{
	struct daemon d;
	char *id[6];
	json_t *data;

	daemon_start(&d,
	    &(struct daemon_conf){ .module = { "hello", "hubtest" },
		.tasks = "limits = ( { handler = \"" SCRIPT "\";"
			 "  concurrency = 2; } );",
		.task_workers = "start = 4; min_spare = 0; max = 4;" });
	for (size_t i = 0; i < 6; i++)
		id[i] = desk_submit_script(&d,
		    "[{\"do\":\"watch\",\"prefix\":\"go\"},"
		    "{\"do\":\"incr\",\"key\":\"held\"},{\"do\":\"wait\"}]",
		    NULL);
	desk_require_number(&d, "held", 2);
	/* another handler is not behind them */
	json_decref(
	    ends(&d, desk_submit(&d, "hubtest.tick", desk_json("{}"), NULL),
		"succeeded"));
	ck_assert_int_eq(desk_number(&d, "held"), 2);
	data = desk_data(&d, NULL, "hub", NULL);
	json_decref(data);
	for (long n = 2; n <= 6; n += 2) {
		desk_require_number(&d, "held", n);
		let_go(&d);
	}
	for (size_t i = 0; i < 6; i++)
		json_decref(ends(&d, id[i], "succeeded"));
	daemon_stop(&d);
}
END_TEST

/* Two in an hour: the third waits, others do not. */
START_TEST(the_rate_is_limited)
{
	struct daemon d;
	char *id[3];
	json_t *job;

	daemon_start(&d,
	    &(struct daemon_conf){ .module = { "hello", "hubtest" },
		.tasks = "limits = ( { handler = \"" SCRIPT "\";"
			 "  rate = 2; per = 3600.0; } );" });
	for (size_t i = 0; i < 3; i++)
		id[i] = desk_submit_script(&d, "[]", NULL);
	json_decref(ends(&d, id[0], "succeeded"));
	json_decref(ends(&d, id[1], "succeeded"));
	json_decref(
	    ends(&d, desk_submit(&d, "hubtest.tick", desk_json("{}"), NULL),
		"succeeded"));
	job = ends(&d, id[2], "queued");
	ck_assert_int_eq(ctl_int(job, "attempts"), 0);
	json_decref(job);
	daemon_stop(&d);
}
END_TEST

START_TEST(progress_is_told)
{
	struct daemon d;
	char *held;
	json_t *job, *progress;

	daemon_start(&d,
	    &(struct daemon_conf){ .module = { "hello", "hubtest" } });
	held = desk_submit_script(&d,
	    "[{\"do\":\"watch\",\"prefix\":\"go\"},"
	    "{\"do\":\"progress\",\"done\":0.25,\"note\":\"a quarter\"},"
	    "{\"do\":\"incr\",\"key\":\"held\"},{\"do\":\"wait\"}]",
	    NULL);
	desk_require_number(&d, "held", 1);
	job = desk_await_job(&d, held, "running");
	progress = json_object_get(job, "progress");
	ck_assert_str_eq(ctl_text(progress, "note"), "a quarter");
	ck_assert(json_number_value(json_object_get(progress, "done")) == 0.25);
	ck_assert_str_ne(ctl_text(job, "started"), "");
	json_decref(job);
	let_go(&d);
	json_decref(ends(&d, held, "succeeded"));
	daemon_stop(&d);
}
END_TEST

static bool
is_forgotten(void *ctx)
{
	void **args = ctx;
	json_t *answer = desk_ask(args[0], NULL, "job", args[1], NULL);
	bool gone = !json_is_true(json_object_get(answer, "ok"));

	json_decref(answer);
	return gone;
}

/* The newest two of those that ended well, and of those that did not. */
START_TEST(the_newest_are_kept)
{
	struct daemon d;
	char *good[4], *bad[4];

	daemon_start(&d,
	    &(struct daemon_conf){ .module = { "hello", "hubtest" },
		.tasks = "keep_max = 2; keep_dead_max = 2;" });
	for (size_t i = 0; i < 4; i++) {
		good[i] = desk_submit_script(&d, "[]", NULL);
		json_decref(desk_await_job(&d, good[i], "succeeded"));
		bad[i] = desk_submit_script(&d, "[{\"do\":\"reject\"}]", NULL);
		json_decref(desk_await_job(&d, bad[i], "failed"));
	}
	for (size_t i = 0; i < 4; i++) {
		void *of_good[] = { &d, good[i] }, *of_bad[] = { &d, bad[i] };

		if (i < 2) {
			ck_assert(proc_until(d.pidfd, is_forgotten, of_good));
			ck_assert(proc_until(d.pidfd, is_forgotten, of_bad));
		} else {
			ck_assert(!is_forgotten(of_good));
			ck_assert(!is_forgotten(of_bad));
		}
		free(good[i]);
		free(bad[i]);
	}
	daemon_stop(&d);
}
END_TEST

START_TEST(too_many_are_refused)
{
	struct daemon d;
	char *held;
	json_t *answer;

	daemon_start(&d,
	    &(struct daemon_conf){ .module = { "hello", "hubtest" },
		.tasks = "max_queued = 2;",
		.task_workers = ONE_WORKER,
		.route = {
		    ROUTE_WITH("POST", "/job", SCRIPT, "mode = \"job\";") } });
	held = hold(&d, 1);
	free(desk_submit_script(&d, "[]", NULL));
	free(desk_submit_script(&d, "[]", "{\"delay\":0.01}"));
	answer = desk_ask(&d, desk_json("{\"json\":[]}"), "submit", SCRIPT,
	    NULL);
	ck_assert(!json_is_true(json_object_get(answer, "ok")));
	text_require("submit", ctl_text(answer, "message"), "max_queued");
	json_decref(answer);
	ck_assert_int_eq(http_status(&d, "/job", "[]"), 503);
	let_go(&d);
	json_decref(ends(&d, held, "succeeded"));
	json_decref(ends(&d, desk_submit_script(&d, "[]", NULL), "succeeded"));
	ck_assert_int_eq(http_status(&d, "/job", "[]"), 202);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE_MEMORY(attempts_until_it_works),
		CASE(it_waits_between_attempts),
		CASE(a_poison_job_is_dead_in_the_end),
		CASE(time_limits),
		CASE(priority_and_order),
		CASE(unique_delayed_and_expired),
		CASE_MEMORY(what_follows),
		CASE(cancelled_and_run_again),
		CASE(concurrency_is_limited),
		CASE(the_rate_is_limited),
		CASE(progress_is_told),
		CASE(the_newest_are_kept),
		CASE(too_many_are_refused),
	};

	return SUITE_RUN("jobs", cases);
}
