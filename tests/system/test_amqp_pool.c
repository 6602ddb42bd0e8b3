/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_amqp_pool - the amqp children as a part of the family, where no broker
 * answers: when there are any, how many, what is shown of them, and what the
 * operator and REST clients are told meanwhile.
 */
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/desk.h"
#include "lib/http.h"
#include "lib/suite.h"
#include "lib/text.h"

#define QUEUES                                                       \
	"reconnect_min = 0.05; reconnect_max = 0.2; outbox_max = 3;" \
	"exchanges = ( { name = \"x\"; } );"                         \
	"queues = ( { name = \"q\"; handler = \"messages.record\";"  \
	"  bind = ( { exchange = \"x\"; key = \"k\"; } ); } );"
/* a port where nobody ever listens */
#define AWAY "broker = \"amqp://127.0.0.1:1/\"; "

#define CONF(amqp_text)                                               \
	{                                                             \
		.module = { "hello", "hubtest", "messages" },         \
		.route = { ROUTE("GET", "/hello", "hello.hello"),     \
			ROUTE("POST", "/script", "hubtest.script") }, \
		.amqp = amqp_text QUEUES,                             \
	}

static const struct daemon_conf away = CONF(AWAY);
static const struct daemon_conf local = CONF("");
static struct daemon d;

/* One command, its exit status and a part of what it says. */
static void
require_run(int status, const char *part, const char *a, const char *b,
    const char *c, const char *e)
{
	struct run run;

	ctl_run(&d, &run, a, b, c, e, NULL);
	ck_assert_msg(run.status == status, "%s: status %d: %s%s", a,
	    run.status, run.out, run.err);
	ck_assert_msg(strstr(run.out, part) != NULL ||
		strstr(run.err, part) != NULL,
	    "%s: no '%s' in: %s%s", a, part, run.out, run.err);
	run_release(&run);
}

static bool
is_in_trouble(json_t *status, void *ctx)
{
	json_t *row = ctl_row_of(status, "amqp", 0);

	(void)ctx;
	return row != NULL && json_is_true(json_object_get(row, "trouble")) &&
	    strstr(ctl_text(row, "note"), "127.0.0.1:1") != NULL;
}

START_TEST(a_service_without_its_broker)
{
	daemon_start(&d, &away);
	ctl_require(&d, "says that there is no broker", is_in_trouble, NULL);
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	require_run(0, ", amqp: no broker", "status", NULL, NULL, NULL);
	require_run(1, "no broker", "queues", NULL, NULL, NULL);
	require_run(1, "no broker", "dead", NULL, NULL, NULL);
	require_run(1, "no broker", "retry", "all", NULL, NULL);
	require_run(1, "no broker", "retry", "q/1", NULL, NULL);
	require_run(1, "no broker", "purge", "q", "--yes", NULL);
	require_run(0, "outbox  0 messages of 3", "hub", NULL, NULL, NULL);
	daemon_stop(&d);
}
END_TEST

START_TEST(what_is_published_waits_in_the_outbox)
{
	struct reply reply;
	struct ask ask = {
		.path = "/script",
		.header = { "Content-Type: application/json" },
		.body = "[{\"do\":\"publish\",\"exchange\":\"x\",\"key\":\"k\","
			"\"body\":1}]",
	};

	daemon_start(&d, &away);
	for (int i = 0; i < 2; i++) {
		http_require(&d, &ask, &reply);
		ck_assert_int_eq(reply.status, 200);
		reply_release(&reply);
	}
	require_run(0, "accepted: it is in the outbox", "publish", "x", "k",
	    "1");
	/* full: later, and clients are told how much */
	http_require(&d, &ask, &reply);
	reply_require_problem(&reply, 503);
	ck_assert_ptr_nonnull(reply_header(&reply, "Retry-After"));
	text_require("the problem", reply.body, "outbox");
	reply_release(&reply);
	require_run(1, "outbox", "publish", "x", "k", "1");
	require_run(0, "outbox  3 messages of 3", "hub", NULL, NULL, NULL);
	ctl_require(&d, "says that there is no broker", is_in_trouble, NULL);
	require_run(0, "; they wait: no broker", "hub", NULL, NULL, NULL);
	require_run(0, "amqp", "scale", "amqp", "0", NULL);
	require_run(0, "; they wait: there is no amqp child", "status", NULL,
	    NULL, NULL);
	/* what publishes nothing is served */
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	daemon_stop(&d);
}
END_TEST

static void
require_scale(int status, const char *n, long ready)
{
	require_run(status, "", "scale", "amqp", n, NULL);
	ck_assert_int_eq(ctl_pool(&d, "amqp", "ready"), ready);
}

START_TEST(as_many_as_the_operator_says)
{
	daemon_start(&d, &away);
	ck_assert_int_eq(ctl_pool(&d, "amqp", "ready"), 1);
	require_scale(0, "3", 3);
	require_run(0, "3 ready of 3, scaled by the operator", "explain",
	    "amqp", NULL, NULL);
	ctl_reload(&d);
	ctl_require_pool(&d, "amqp", "ready", 3, 3);
	ck_assert_int_eq(ctl_pool(&d, "amqp", "wanted"), 3);
	require_scale(0, "0", 0);
	require_scale(1, "65", 0);
	require_scale(2, "many", 0);
	require_scale(0, "auto", 1);
	require_run(0, "1 ready of 1, as amqp.children says", "explain", "amqp",
	    NULL, NULL);
	require_run(0, "auto", "status", NULL, NULL, NULL);
	daemon_stop(&d);
}
END_TEST

START_TEST(no_more_than_there_are_slots)
{
	const struct daemon_conf conf = {
		.module = { "hello", "hubtest", "messages" },
		.service = "max_children = 32;",
		.workers = "start = 1; min_spare = 0; max_spare = 1; max = 2;",
		.task_workers =
		    "start = 1; min_spare = 0; max_spare = 1; max = 2;",
		.amqp = AWAY QUEUES,
	};

	daemon_start(&d, &conf);
	require_run(1, "find a place in service.max_children", "scale", "amqp",
	    "60", NULL);
	daemon_stop(&d);
}
END_TEST

/* What they all may prefetch waits in the hub. */
START_TEST(no_more_than_the_hub_has_room_for)
{
	const struct daemon_conf conf = {
		.module = { "hello", "hubtest", "messages" },
		.tasks = "max_waiting = 100;",
		.amqp = AWAY "prefetch = 40;" QUEUES,
	};

	daemon_start(&d, &conf);
	require_run(1,
	    "3 amqp children may prefetch 120 messages of all queues together, "
	    "and tasks.max_waiting is 100",
	    "scale", "amqp", "5", NULL);
	require_scale(0, "2", 2);
	daemon_stop(&d);
}
END_TEST

START_TEST(a_reload_brings_them_and_takes_them_away)
{
	daemon_start(&d, &local);
	ck_assert_int_eq(ctl_pool(&d, "amqp", "ready"), -1);
	require_run(2, "amqp.broker is \"local\"", "scale", "amqp", "2", NULL);
	require_run(0, "published", "publish", "x", "k", "1");
	desk_require_number(&d, "n:q", 1);
	daemon_configure(&d, &away);
	ctl_reload(&d);
	ck_assert_int_eq(ctl_pool(&d, "amqp", "ready"), 1);
	require_run(0, "accepted", "publish", "x", "k", "1");
	daemon_configure(&d, &local);
	ctl_reload(&d);
	ctl_require_pool(&d, "amqp", "ready", -1, -1);
	/* what the outbox has is not forgotten */
	require_run(0,
	    "outbox  1 messages wait for a broker: amqp.broker is \"local\"",
	    "status", NULL, NULL, NULL);
	require_run(0, "published", "publish", "x", "k", "1");
	desk_require_number(&d, "n:q", 2);
	daemon_stop(&d);
}
END_TEST

/* Blue and green: the new ones are there before the old ones go. */
START_TEST(a_reload_with_another_number)
{
	const struct daemon_conf two = CONF(AWAY "children = 2;");

	daemon_start(&d, &two);
	ck_assert_int_eq(ctl_pool(&d, "amqp", "ready"), 2);
	daemon_configure(&d, &away);
	ctl_reload(&d);
	ctl_require_pool(&d, "amqp", "ready", 1, 1);
	ck_assert_int_eq(ctl_pool(&d, "amqp", "wanted"), 1);
	daemon_stop(&d);
}
END_TEST

static bool
has_another(json_t *status, void *ctx)
{
	json_t *row = ctl_row_of(status, "amqp", 0);

	return row != NULL && ctl_int(row, "pid") != *(pid_t *)ctx &&
	    strcmp(ctl_text(row, "state"), "ready") == 0;
}

START_TEST(one_that_dies_is_replaced)
{
	json_t *status;
	pid_t pid;

	daemon_start(&d, &away);
	ctl_require(&d, "says that there is no broker", is_in_trouble, NULL);
	pid = ctl_pid_of(&d, "amqp");
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ctl_require(&d, "another amqp child", has_another, &pid);
	status = ctl_status(&d);
	text_require("why", ctl_text(ctl_row_of(status, "amqp", 0), "why"),
	    "killed by SIGKILL (its last note: no broker");
	json_decref(status);
	daemon_stop(&d);
}
END_TEST

/* broodctl on a terminal of its own, which says this to its question. */
static char *
purge_on_terminal(const char *answer, int *status)
{
	char *tool = text_format("%s/broodctl", suite_build());
	int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	char *said = calloc(1, 4096);
	size_t len = 0;
	pid_t pid;

	ck_assert_int_ge(terminal, 0);
	ck_assert_int_eq(grantpt(terminal) | unlockpt(terminal), 0);
	pid = fork();
	if (pid == 0) {
		int fd = open(ptsname(terminal), O_RDWR);

		for (int i = 0; i <= STDERR_FILENO; i++)
			dup2(fd, i);
		execl(tool, tool, "-c", d.conf, "purge", "q", (char *)NULL);
		_exit(127);
	}
	for (bool asked = false; len < 4095;) {
		struct pollfd pfd = { .fd = terminal, .events = POLLIN };
		ssize_t n;

		ck_assert_int_eq(poll(&pfd, 1, suite_patience_ms()), 1);
		/* the last one to have it open has closed it: EIO */
		n = read(terminal, said + len, 4095 - len);
		if (n <= 0)
			break;
		len += (size_t)n;
		if (!asked && strstr(said, "[y/N]") != NULL) {
			asked = true;
			ck_assert_int_eq(write(terminal, answer,
					     strlen(answer)),
			    (ssize_t)strlen(answer));
		}
	}
	ck_assert_int_eq(waitpid(pid, status, 0), pid);
	*status = WEXITSTATUS(*status);
	close(terminal);
	free(tool);
	return said;
}

START_TEST(purge_asks_first)
{
	static const struct {
		const char *answer, *part;
		int status;
	} rows[] = {
		{ "n\n", "everything stays as it is", 1 },
		{ "\n", "everything stays as it is", 1 },
		{ "\004", "no answer", 1 },
		{ "yes\n", "q: 1 dropped", 0 },
		{ "Y\n", "q: 0 dropped", 0 },
	};
	static const struct daemon_conf parked = {
		.module = { "hello" },
		.amqp = "queues = ( { name = \"q\"; } );",
	};
	int status;
	char *said;

	daemon_start(&d, &parked);
	require_run(0, "published", "publish", "", "q", "1");
	require_run(2, "no terminal to ask on", "purge", "q", NULL, NULL);
	require_run(2, "no terminal to ask on", "purge", "q", "--json", NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		said = purge_on_terminal(rows[i].answer, &status);
		text_require("what it said", said, rows[i].part);
		ck_assert_int_eq(status, rows[i].status);
		free(said);
	}
	require_run(0, "published", "publish", "", "q", "1");
	require_run(0, "\"purged\":1", "purge", "q", "--yes", "--json");
	require_run(1, "there is no queue 'z'", "purge", "z", "--yes", NULL);
	require_run(1, "there is no outbox", "purge", "outbox", "--yes", NULL);
	require_run(2, "--yes is not for", "queues", "--yes", NULL, NULL);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE_MEMORY(a_service_without_its_broker),
		CASE(what_is_published_waits_in_the_outbox),
		CASE(as_many_as_the_operator_says),
		CASE(no_more_than_there_are_slots),
		CASE(no_more_than_the_hub_has_room_for),
		CASE(a_reload_brings_them_and_takes_them_away),
		CASE(a_reload_with_another_number),
		CASE(one_that_dies_is_replaced),
		CASE(purge_asks_first),
	};

	return SUITE_RUN("amqp_pool", cases);
}
