/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Jobs in a whole service: what follows them, how attempts end, what a handler
 * that never ends or never stops does to the others.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/desk.h"
#include "lib/http.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/text.h"

/* clang-format off */
#define SERVICE .service = "kill_grace = 0.05; respawn_min_delay = 0.001;" \
		"respawn_max_delay = 0.1; respawn_young = 0.0;", \
	.module = { "hello", "hubtest", "kills" }
#define QUICK "backoff_min = 0.001; backoff_max = 0.05;"
/* clang-format on */

/* Until it is in that state; it has had so many attempts, and the reason of the
 * last one that failed has this in it (NULL: none has). */
static void
require_end(const struct daemon *d, char *id, const char *state, long attempts,
    const char *reason)
{
	json_t *job = desk_await_job(d, id, state), *errors, *last;

	ck_assert_int_eq(ctl_int(job, "attempts"), attempts);
	errors = json_object_get(job, "errors");
	last = json_array_get(errors, json_array_size(errors) - 1);
	if (reason == NULL)
		ck_assert_uint_eq(json_array_size(errors), 0);
	else
		text_require("the reason", ctl_text(last, "reason"), reason);
	json_decref(job);
	free(id);
}

START_TEST(one_after_the_other)
{
	struct daemon d;

	daemon_start(&d, &(struct daemon_conf){ SERVICE });
	require_end(&d,
	    desk_submit_script(&d,
		"[{\"do\":\"reply\",\"value\":[{\"do\":\"incr\","
		"\"key\":\"chained\",\"on_success\":true}]}]",
		"{\"then\":\"hubtest.script\"}"),
	    "succeeded", 1, NULL);
	desk_require_number(&d, "chained", 1);
	require_end(&d,
	    desk_submit_script(&d, "[{\"do\":\"reject\"}]",
		"{\"then\":\"hubtest.script\","
		"\"on_failure\":\"hubtest.tick\"}"),
	    "failed", 1, "told to reject");
	desk_require_number(&d, "ticks", 1);
	daemon_stop(&d);
}
END_TEST

START_TEST(a_crash_is_an_attempt)
{
	struct daemon d;

	daemon_start(&d, &(struct daemon_conf){ SERVICE, .tasks = QUICK });
	d.crashes = true;
	require_end(&d,
	    desk_submit_script(&d,
		"[{\"do\":\"crash\",\"before\":2},"
		"{\"do\":\"incr\",\"key\":\"n\",\"on_success\":true}]",
		"{}"),
	    "succeeded", 2, "SIGSEGV");
	desk_require_number(&d, "n", 1);
	require_end(&d,
	    desk_submit_script(&d,
		"[{\"do\":\"incr\",\"key\":\"n\",\"on_success\":true},"
		"{\"do\":\"crash\"}]",
		"{\"max_attempts\":2}"),
	    "dead", 2, "SIGSEGV");
	desk_require_number(&d, "n", 1);
	daemon_stop(&d);
}
END_TEST

START_TEST(a_time_limit)
{
	struct daemon d;

	daemon_start(&d, &(struct daemon_conf){ SERVICE, .tasks = QUICK });
	d.crashes = true;
	require_end(&d,
	    desk_submit_script(&d, "[{\"do\":\"hang\"}]",
		"{\"time_limit\":0.1,\"max_attempts\":1}"),
	    "dead", 1, "time limit");
	daemon_stop(&d);
}
END_TEST

START_TEST(a_limit_for_a_handler)
{
	struct daemon d;
	char *id[6];

	daemon_start(&d,
	    &(struct daemon_conf){ SERVICE,
		.task_workers = "start = 3; max = 3;",
		.tasks = "limits = ( { handler = \"hubtest.script\";"
			 "concurrency = 1; } );" });
	for (int i = 0; i < 6; i++)
		id[i] = desk_submit_script(&d,
		    "[{\"do\":\"lock\",\"name\":\"l\"},"
		    "{\"do\":\"sleep\",\"seconds\":0.02}]",
		    "{}");
	for (int i = 0; i < 6; i++) {
		json_t *job = desk_await_job(&d, id[i], "succeeded");
		json_t *results = json_object_get(job, "result");

		/* nobody else had it */
		ck_assert_int_eq(ctl_int(json_array_get(results, 0), "rc"), 1);
		json_decref(job);
		free(id[i]);
	}
	daemon_stop(&d);
}
END_TEST

struct task {
	const struct daemon *daemon;
	int n;
};

/* Refused while all room is taken. */
static bool
is_accepted(void *ctx)
{
	struct task *task = ctx;
	json_t *answer = desk_ask(task->daemon,
	    json_pack("{s:{s:i}}", "json", "n", task->n), "submit",
	    "kills.tail", NULL);
	bool ok = json_is_true(json_object_get(answer, "ok"));

	json_decref(answer);
	return ok;
}

START_TEST(a_handler_that_submits_itself)
{
	struct daemon d;
	json_t *hub;

	daemon_start(&d,
	    &(struct daemon_conf){ SERVICE,
		.tasks = "max_queued = 50; max_attempts = 2;" QUICK,
		.task_workers = "start = 2; max = 2;" });
	free(desk_submit(&d, "kills.breed", NULL, NULL));
	for (int i = 1; i <= 10; i++) {
		struct task task = { &d, i };
		char key[32];

		ck_assert(proc_until(d.pidfd, is_accepted, &task));
		snprintf(key, sizeof(key), "tail:%06d", i);
		desk_require_number(&d, key, 1);
	}
	hub = desk_data(&d, NULL, "hub", NULL);
	ck_assert_int_le(ctl_int(json_object_get(hub, "work"), "queued") +
		ctl_int(json_object_get(hub, "work"), "waiting"),
	    60);
	json_decref(hub);
	daemon_stop(&d);
}
END_TEST

/* The whole family dies over it, again and again: that has an end as well. */
START_TEST(the_poison_of_a_family)
{
	struct daemon d;
	char *id;

	daemon_start(&d, &(struct daemon_conf){ SERVICE, .tasks = QUICK });
	d.crashes = true;
	id = desk_submit_script(&d,
	    "[{\"do\":\"sleep\",\"seconds\":0.3},"
	    "{\"do\":\"incr\",\"key\":\"seen\"},{\"do\":\"hang\"}]",
	    "{\"max_attempts\":2}");
	for (int i = 1; i <= 2; i++) {
		desk_require_number(&d, "seen", i);
		kill(d.pid, SIGKILL);
		ck_assert_int_eq(daemon_wait(&d), 128 + SIGKILL);
		daemon_require_no_child(&d);
		daemon_start_again(&d);
	}
	require_end(&d, id, "dead", 2, "the service ended");
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE(one_after_the_other),
		CASE(a_crash_is_an_attempt),
		CASE(a_time_limit),
		CASE(a_limit_for_a_handler),
		CASE(a_handler_that_submits_itself),
		CASE(the_poison_of_a_family),
	};

	return SUITE_RUN("work", cases);
}
