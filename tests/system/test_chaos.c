/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_chaos - everything at once, in an order that nobody would think of but
 * that is the same in each run (CHAOS_SEED=N tries another one): kills, hangs,
 * crashes, reloads, scaling and garbage under load. The master has to come out
 * of it with a service that works, and tables that agree with the kernel's.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/chance.h"
#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/http.h"
#include "lib/load.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/text.h"

/* A signal to a random worker, and perhaps to another at the same moment. */
static void
hit_workers(const struct daemon *d, int signo)
{
	pid_t pids[64];
	size_t n = proc_children(d->pid, pids, 64);

	for (unsigned i = chance(3); n > 0 && i < 3; i++)
		kill(pids[chance((unsigned)n)], signo);
}

/* Asked and not waited for: the next trouble is not to wait for it either. */
static void
order(const struct daemon *d, const char *line)
{
	int fd = raw_connect_unix(d->socket);

	raw_text(fd, line);
	raw_text(fd, "\n");
	close(fd);
}

static void
ask_for_trouble(const struct daemon *d, const char *path)
{
	int fd = raw_connect(d);

	raw_text(fd, "GET ");
	raw_text(fd, path);
	raw_text(fd, " HTTP/1.1\r\nHost: x\r\n\r\n");
	close(fd);
}

static void
cause_trouble(const struct daemon *d)
{
	static const char *const orders[] = {
		"{\"cmd\":\"scale\",\"args\":[\"rest\",\"1\"]}",
		"{\"cmd\":\"scale\",\"args\":[\"rest\",\"8\"]}",
		"{\"cmd\":\"scale\",\"args\":[\"rest\",\"auto\"]}",
		"{\"cmd\":\"scale\",\"args\":[\"task\",\"0\"]}",
		"{\"cmd\":\"scale\",\"args\":[\"task\",\"auto\"]}",
		"{\"cmd\":\"reload\"}",
		"{\"cmd\":\"reload\"}",
		"{\"cmd\":\"log\",\"args\":[\"info\"]}",
		"garbage",
		"{\"cmd\":\"call\"}",
	};
	static const char *const paths[] = { "/crash", "/exit0", "/abort",
		"/slow?s=9", "/big", "/wait", "/waitcrash", "/waitslow?s=9" };

	switch (chance(8)) {
	case 0:
		hit_workers(d, SIGKILL);
		break;
	case 1:
		hit_workers(d, SIGTERM);
		break;
	case 2:
		hit_workers(d, SIGSTOP);
		break;
	case 3:
		kill(d->pid, SIGHUP);
		break;
	case 4:
		kill(d->pid, SIGUSR1);
		break;
	case 5:
		ask_for_trouble(d, paths[chance(8)]);
		break;
	default:
		order(d, orders[chance(10)]);
	}
}

/* Every child of the master is in its tables, and the other way round. */
static bool
tables_agree(json_t *status, void *ctx)
{
	const struct daemon *d = ctx;
	json_t *pools = json_object_get(status, "pools"), *pool;
	pid_t pids[128];
	size_t n = proc_children(d->pid, pids, 128), i;
	long ready = 0;

	for (i = 0; i < n; i++)
		if (ctl_child(status, pids[i]) == NULL)
			return false;
	for (i = 0; (pool = json_array_get(pools, i)) != NULL; i++) {
		/* one in the background is always at it */
		long busy = strchr(ctl_text(pool, "role"), ':') != NULL;

		ready += ctl_int(pool, "ready");
		if (ctl_int(pool, "ready") != ctl_int(pool, "wanted") ||
		    ctl_int(pool, "spare") != ctl_int(pool, "ready") - busy ||
		    ctl_int(pool, "busy") != busy ||
		    !json_is_null(json_object_get(pool, "held")))
			return false;
	}
	return strcmp(ctl_text(status, "state"), "running") == 0 &&
	    json_array_size(json_object_get(status, "children")) == n &&
	    ready == (long)n;
}

#define WAIT "mode = \"wait\";"

START_TEST(chaos)
{
	struct daemon d;
	struct load *load;

	chance_seed("CHAOS_SEED", 7);
	daemon_init(&d);
	d.crashes = true;
	daemon_configure(&d,
	    &(struct daemon_conf){
		/* one that is stopped while it starts is noticed in time */
		.service = "start_timeout = 10.0; kill_grace = 0.05;"
			   "heartbeat_interval = 0.1; heartbeat_timeout = 0.5;"
			   "respawn_min_delay = 0.01; respawn_max_delay = 0.2;"
			   "stop_timeout = 2.0;",
		.log = "level = \"debug\"; access = false;",
		.module = { "hello", "misbehave", "hubtest" },
		.rest = "request_timeout = 0.5;",
		.workers = "start = 3; min_spare = 1; max_spare = 4; max = 8;"
			   "shrink_delay = 0.2;",
		.route = { ROUTE("GET", "/hello", "hello.hello"),
		    ROUTE("GET", "/crash", "misbehave.crash"),
		    ROUTE("GET", "/exit0", "misbehave.exit0"),
		    ROUTE("GET", "/abort", "misbehave.abort"),
		    ROUTE("GET", "/slow", "misbehave.slow"),
		    ROUTE("GET", "/big", "misbehave.big"),
		    ROUTE_WITH("GET", "/wait", "hello.hello", WAIT),
		    ROUTE_WITH("GET", "/waitcrash", "misbehave.crash", WAIT),
		    ROUTE_WITH("GET", "/waitslow", "misbehave.slow", WAIT) },
		.tasks = "timeout = 0.5; background = ( { name = \"loop\"; "
			 "handler = \"hubtest.loop\"; input = { key = "
			 "\"k\"; }; } );" });
	daemon_start_again(&d);
	load = load_start(&d, "/hello", 4, false);
	for (int i = 0; i < 300; i++) {
		cause_trouble(&d);
		if (i % 3 == 0)
			load_await(load, 20);
	}
	load_await(load, 200);
	load_end(load);
	json_decref(ctl_ask(&d, "scale", "rest", "auto", NULL));
	json_decref(ctl_ask(&d, "scale", "task", "auto", NULL));
	ctl_require(&d, "tables that agree with the kernel's", tables_agree,
	    &d);
	for (int i = 0; i < 50; i++) {
		ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
		ck_assert_int_eq(http_status(&d, "/wait", NULL), 200);
	}
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE(chaos),
	};

	return SUITE_RUN("chaos", cases);
}
