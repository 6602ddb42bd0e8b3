/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * modes - a service with routes of every mode.
 */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "gate.h"
#include "modes.h"
#include "proc.h"
#include "suite.h"
#include "text.h"

static const struct daemon_route routes[] = {
	ROUTE("GET", "/hello", "hello.hello"),
	ROUTE("GET", "/value", "modes.value"),
	ROUTE("POST", "/count", "modes.count"),
	ROUTE("POST", "/add", "modes.add"),
	ROUTE("POST", "/publish", "modes.publish"),
	ROUTE("GET", "/inline/echo", "misbehave.echo"),
	ROUTE("POST", "/inline/echo/{a}/{b}", "misbehave.echo"),
	ROUTE("POST", "/inline/big", "misbehave.big"),
	ROUTE("POST", "/inline/text", "modes.text"),
	ROUTE("POST", "/inline/refuse", "modes.refuse"),
	ROUTE("POST", "/inline/later", "modes.later"),
	ROUTE_WITH("POST", "/inline/json", "misbehave.echo",
	    "input = \"json\";"),
	ROUTE_WITH("GET", "/wait/echo", "misbehave.echo", "mode = \"wait\";"),
	ROUTE_WITH("POST", "/wait/echo/{a}/{b}", "misbehave.echo",
	    "mode = \"wait\";"),
	ROUTE_WITH("POST", "/wait/big", "misbehave.big", "mode = \"wait\";"),
	ROUTE_WITH("POST", "/wait/text", "modes.text", "mode = \"wait\";"),
	ROUTE_WITH("POST", "/wait/refuse", "modes.refuse", "mode = \"wait\";"),
	ROUTE_WITH("POST", "/wait/later", "modes.later", "mode = \"wait\";"),
	ROUTE_WITH("POST", "/wait/json", "misbehave.echo",
	    "mode = \"wait\"; input = \"json\";"),
	ROUTE_WITH("GET", "/pass", "modes.pass", "mode = \"wait\";"),
	ROUTE_WITH("GET", "/pass/{x}", "modes.pass", "mode = \"wait\";"),
	ROUTE_WITH("GET", "/care/{x}", "modes.endure",
	    "mode = \"wait\"; cancel_on_hangup = true;"),
	ROUTE_WITH("GET", "/short", "modes.endure",
	    "mode = \"wait\"; timeout = 0.2;"),
	ROUTE_WITH("GET", "/crash", "modes.crash", "mode = \"wait\";"),
	ROUTE_WITH("POST", "/job/pass", "modes.pass", "mode = \"job\";"),
	ROUTE_WITH("POST", "/job/count/{x}", "modes.count", "mode = \"job\";"),
	ROUTE_WITH("POST", "/job/text", "modes.text", "mode = \"job\";"),
	ROUTE_WITH("POST", "/job/refuse", "modes.refuse", "mode = \"job\";"),
	ROUTE_WITH("POST", "/job/json", "misbehave.echo",
	    "mode = \"job\"; input = \"json\";"),
	ROUTE_WITH("POST", "/job/endure", "modes.endure", "mode = \"job\";"),
};

int
modes_start(struct daemon *d, const struct daemon_conf *given)
{
	struct daemon_conf conf = *given;
	char *verdict;
	int gate, status;

	_Static_assert(sizeof(routes) <= sizeof(conf.route), "too many routes");
	memcpy(conf.route, routes, sizeof(routes));
	conf.module[0] = "hello";
	conf.module[1] = "misbehave";
	conf.modules = MODULE_MODES;
	daemon_init(d);
	gate = gate_make(d);
	daemon_configure(d, &conf);
	verdict = daemon_try(d, &status);
	ck_assert_msg(verdict == NULL, "%s", verdict);
	return gate;
}

int
modes_call(const struct daemon *d, const char *path)
{
	int fd = raw_connect(d);
	char *text = text_format("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);

	raw_text(fd, text);
	free(text);
	return fd;
}

void
modes_await(const struct daemon *d, size_t *from, const char *what, int n)
{
	char *line;

	while (n-- > 0) {
		line = daemon_await_line(d, from, what);
		ck_assert_msg(line != NULL, "nobody %s", what);
		free(line);
	}
}

void
modes_answer(int fd, int status)
{
	struct reply reply;

	ck_assert_msg(raw_reply(fd, &reply, false),
	    "the connection ended without an answer");
	ck_assert_msg(reply.status == status, "%d, not %d: %s", reply.status,
	    status, reply.body);
	if (status >= 400)
		reply_require_problem(&reply, status);
	reply_release(&reply);
	close(fd);
}

json_t *
modes_ask(const struct daemon *d, const struct ask *ask, int status)
{
	struct reply reply;
	json_t *json;

	http_require(d, ask, &reply);
	ck_assert_msg(reply.status == status, "%s: %d, not %d: %s", ask->path,
	    reply.status, status, reply.body);
	json = reply_json(&reply);
	reply_release(&reply);
	return json;
}

/* ---- shared numbers */

long
modes_value(const struct daemon *d, const char *key)
{
	char *path = text_format("/value?key=%s", key);
	json_t *json = modes_ask(d, &(struct ask){ .path = path }, 200);
	long value = ctl_int(json, "value");

	json_decref(json);
	free(path);
	return value;
}

struct wanted {
	const struct daemon *daemon;
	const char *key;
	long value;
};

static bool
value_is(void *ctx)
{
	const struct wanted *wanted = ctx;

	return modes_value(wanted->daemon, wanted->key) == wanted->value;
}

void
modes_await_value(const struct daemon *d, const char *key, long value)
{
	struct wanted wanted = { d, key, value };

	ck_assert_msg(proc_until(d->pidfd, value_is, &wanted),
	    "%s is %ld, not %ld", key, modes_value(d, key), value);
}

void
modes_kill(const struct daemon *d, const char *role)
{
	pid_t pid = ctl_pid_of(d, role);
	int pidfd;

	ck_assert_msg(pid > 0, "no %s", role);
	pidfd = proc_open(pid);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert(proc_wait(pidfd));
	close(pidfd);
}
