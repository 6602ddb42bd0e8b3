/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_data - shared data and locks as handlers see them, and what is left of
 * them when the hub, a worker or the whole family is killed.
 */
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/http.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/text.h"

#define MODULE_KEYS                                   \
	"{ name = \"keys\"; path = \"$SO/keys.so\"; " \
	"settings = { fifo = \"$DIR/fifo\"; }; }"

/* Each test changes what it is about. */
static const struct daemon_conf plain = {
	.modules = MODULE_KEYS,
	/* no death is a young one; a handler may hold its worker for good */
	.service = "start_timeout = 60.0; stop_timeout = 1.0; "
		   "respawn_young = 0.0; kill_grace = 0.1;",
	.rest = "connections = 1; request_timeout = 600.0;",
	.workers = "start = 8; min_spare = 1; max_spare = 16; max = 24;",
	.task_workers = "start = 0; min_spare = 0; max_spare = 1; max = 1;",
	.hub = "redo_size = \"1M\"; max_value = \"64k\"; reserve = 0; "
	       "min_free = 0;",
	.route = {
	    ROUTE("GET", "/get", "keys.get"),
	    ROUTE("POST", "/set", "keys.set"),
	    ROUTE("POST", "/incr", "keys.incr"),
	    ROUTE("POST", "/delete", "keys.delete"),
	    ROUTE("GET", "/list", "keys.list"),
	    ROUTE("POST", "/lock", "keys.lock"),
	    ROUTE("POST", "/hold", "keys.hold"),
	    ROUTE("POST", "/careful", "keys.careful"),
	},
};

/* ---- in short */

static json_t *
ask_json(const struct daemon *d, const char *path, const char *body)
{
	struct ask ask = { .path = path, .body = body };
	struct reply reply;
	json_t *json;

	http_require(d, &ask, &reply);
	ck_assert_msg(reply.status == 200, "%s: %d: %s", path, reply.status,
	    reply.body);
	json = reply_json(&reply);
	reply_release(&reply);
	return json;
}

/* An integer of the reply, -1 if it has none. */
static long
ask_int(const struct daemon *d, const char *path, const char *body,
    const char *member)
{
	json_t *json = ask_json(d, path, body);
	long value = ctl_int(json, member);

	json_decref(json);
	return value;
}

static void
require_value(const struct daemon *d, const char *key, const char *wanted)
{
	char *path = text_format("/get?key=%s", key), *text = NULL;
	json_t *json = ask_json(d, path, NULL);
	json_t *value = json_object_get(json, "value");

	if (value != NULL)
		text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	ck_assert_msg(strcmp(text != NULL ? text : "(none)", wanted) == 0,
	    "%s is %s, and not %s", key, text, wanted);
	free(text);
	json_decref(json);
	free(path);
}

static void
kill_hub(const struct daemon *d)
{
	pid_t pid = ctl_pid_of(d, "hub");

	/* between two of them it may just not be there */
	if (pid > 0)
		kill(pid, SIGKILL);
}

/* The whole family at once; then only its folder is left. */
static void
kill_family(struct daemon *d)
{
	pid_t pids[64];
	size_t n = proc_children(d->pid, pids, 64);

	kill(d->pid, SIGKILL);
	for (size_t i = 0; i < n; i++)
		kill(pids[i], SIGKILL);
	daemon_wait(d);
	daemon_require_no_child(d);
}

/* ---- what handlers see */

START_TEST(handlers_share_data)
{
	struct daemon d;
	long first, second;

	daemon_start(&d, &plain);
	ck_assert_int_eq(ask_int(&d, "/get?key=a", NULL, "rc"), 0);
	first = ask_int(&d, "/set?key=a", "{\"x\":[1,2]}", "version");
	require_value(&d, "a", "{\"x\":[1,2]}");
	second = ask_int(&d, "/set?key=a", "\"text\"", "version");
	ck_assert_int_gt(second, first);
	require_value(&d, "a", "\"text\"");
	ck_assert_int_eq(ask_int(&d, "/set?key=a&absent=1", "1", "rc"), 0);
	ck_assert_int_eq(ask_int(&d, "/set?key=a&version=1", "1", "rc"), 0);
	ck_assert_int_eq(ask_int(&d, "/incr?key=n", "", "sum"), 1);
	ck_assert_int_eq(ask_int(&d, "/incr?key=n&by=-5", "", "sum"), -4);
	require_value(&d, "n", "-4");
	ck_assert_int_eq(ask_int(&d, "/set?key=n", "41", "rc"), 1);
	ck_assert_int_eq(ask_int(&d, "/incr?key=n", "", "sum"), 42);
	ck_assert_int_eq(ask_int(&d, "/delete?key=a", "", "rc"), 1);
	ck_assert_int_eq(ask_int(&d, "/delete?key=a", "", "rc"), 0);
	require_value(&d, "a", "(none)");
	daemon_stop(&d);
}
END_TEST

START_TEST(what_is_too_much_is_refused_in_words)
{
	struct daemon_conf conf = plain;
	struct daemon d;
	struct reply reply;
	char *large = text_repeat('x', 70000);
	struct ask ask = { .path = "/set?key=k", .body = large };

	conf.hub = "redo_size = \"1M\"; max_value = \"64k\"; reserve = 0; "
		   "min_free = 0; max_memory = \"100k\";";
	daemon_start(&d, &conf);
	http_require(&d, &ask, &reply);
	ck_assert_int_eq(reply.status, 500);
	text_require("too large", reply.body, "hub.max_value");
	reply_release(&reply);
	large[40000] = '\0';
	for (int i = 0; i < 2; i++)
		ask_int(&d, i ? "/set?key=a" : "/set?key=b", large, "rc");
	ask.path = "/set?key=c";
	http_require(&d, &ask, &reply);
	ck_assert_int_eq(reply.status, 500);
	text_require("full", reply.body, "hub.max_memory");
	reply_release(&reply);
	ask_int(&d, "/delete?key=a", "", "rc");
	ck_assert_int_eq(ask_int(&d, "/set?key=c", large, "rc"), 1);
	free(large);
	daemon_stop(&d);
}
END_TEST

START_TEST(a_full_disk_is_said_and_the_rest_goes_on)
{
	struct daemon_conf conf = plain;
	struct daemon d;
	struct reply reply;
	struct ask ask = { .path = "/incr?key=n", .body = "" };

	daemon_start(&d, &plain);
	ask_int(&d, "/incr?key=n", "", "sum");
	/* as good as full */
	conf.hub = "redo_size = \"1M\"; max_value = \"64k\"; reserve = 0; "
		   "min_free = \"1024G\"; "
		   "data = ( { prefix = \"none:\"; durability = \"none\"; } );";
	daemon_configure(&d, &conf);
	json_decref(ctl_ask(&d, "reload", NULL));
	http_require(&d, &ask, &reply);
	ck_assert_int_eq(reply.status, 500);
	text_require("full", reply.body, "disk");
	reply_release(&reply);
	require_value(&d, "n", "1");
	ck_assert_int_eq(ask_int(&d, "/incr?key=none:n", "", "sum"), 1);
	ck_assert_int_eq(ask_int(&d, "/delete?key=n", "", "rc"), 1);
	/* there is room again */
	daemon_configure(&d, &plain);
	json_decref(ctl_ask(&d, "reload", NULL));
	ck_assert_int_eq(ask_int(&d, "/incr?key=n", "", "sum"), 1);
	daemon_stop(&d);
}
END_TEST

START_TEST(a_spoilt_redo_file_refuses_the_start)
{
	struct daemon d;
	char *path, *text;
	struct stat st;

	daemon_start(&d, &plain);
	ask_int(&d, "/incr?key=n", "", "sum");
	kill_family(&d);
	path = text_format("%s/state/hub.db-redo", d.dir);
	ck_assert_int_eq(truncate(path, 100000), 0);
	daemon_require_refused(&d, "hub.db-redo is damaged", "move it away",
	    NULL);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_size, 100000);
	/* as it says */
	text = text_format("%s.away", path);
	ck_assert_int_eq(rename(path, text), 0);
	free(text);
	free(path);
	daemon_start_again(&d);
	ck_assert_int_ge(ask_int(&d, "/incr?key=n", "", "sum"), 1);
	daemon_stop(&d);
}
END_TEST

START_TEST(keys_are_listed)
{
	struct daemon d;
	json_t *json;

	daemon_start(&d, &plain);
	for (int i = 0; i < 2500; i++) {
		char *path = text_format("/incr?key=k%04d&by=%d", i, i);

		if (i % 100 == 0 || i > 2490)
			ask_int(&d, path, "", "rc");
		free(path);
	}
	json = ask_json(&d, "/list?prefix=k", NULL);
	ck_assert_int_eq(ctl_int(json, "rc"), 34);
	ck_assert_int_eq(ctl_int(json_object_get(json_object_get(json, "items"),
				     "k2499"),
			     "value"),
	    2499);
	json_decref(json);
	daemon_stop(&d);
}
END_TEST

static bool
is_gone(void *ctx)
{
	const struct daemon *d = ctx;

	return ask_int(d, "/get?key=short", NULL, "rc") == 0;
}

START_TEST(ends_come_and_outlive_the_family)
{
	struct daemon d;
	json_t *json;

	daemon_start(&d, &plain);
	ask_int(&d, "/set?key=short&ttl=0.2", "1", "rc");
	ask_int(&d, "/set?key=long&ttl=3600", "1", "rc");
	kill_family(&d);
	daemon_start_again(&d);
	json = ask_json(&d, "/get?key=long", NULL);
	ck_assert(json_number_value(json_object_get(json, "ttl")) > 1);
	ck_assert(json_number_value(json_object_get(json, "ttl")) <= 3600);
	json_decref(json);
	ck_assert(proc_until(-1, is_gone, &d));
	daemon_stop(&d);
}
END_TEST

START_TEST(durabilities)
{
	struct daemon_conf conf = plain;
	struct daemon d;

	conf.hub = "reserve = 0; min_free = 0; "
		   "data = ( { prefix = \"full:\"; durability = \"full\"; },"
		   " { prefix = \"none:\"; durability = \"none\"; } );";
	daemon_start(&d, &conf);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(ask_int(&d, "/incr?key=full:n", "", "sum"),
		    i + 1);
		ask_int(&d, "/incr?key=none:n", "", "sum");
		ask_int(&d, "/incr?key=n", "", "sum");
	}
	kill_family(&d);
	daemon_start_again(&d);
	require_value(&d, "full:n", "20");
	require_value(&d, "n", "20");
	require_value(&d, "none:n", "(none)");
	/* and after an end in good order */
	ck_assert_int_eq(kill(d.pid, SIGTERM), 0);
	ck_assert_int_eq(daemon_wait(&d), 0);
	daemon_start_again(&d);
	require_value(&d, "full:n", "20");
	require_value(&d, "n", "20");
	daemon_stop(&d);
}
END_TEST

/* ---- killed in the middle */

#define CLIENTS 6
#define EACH 150

struct counting {
	const struct daemon *d;
	const char *path;
	_Atomic int done; /* of all */
	struct counter {
		struct counting *all;
		pthread_t thread;
		int sum[EACH];
		int bad;
		char first[200];
	} client[CLIENTS];
};

static void *
count_up(void *ctx)
{
	struct counter *client = ctx;
	struct ask ask = { .path = client->all->path, .body = "" };
	struct reply reply;
	json_t *json;

	for (int i = 0; i < EACH; i++) {
		if (http_ask(client->all->d, &ask, &reply) != CURLE_OK ||
		    reply.status != 200) {
			if (client->bad++ == 0)
				snprintf(client->first, sizeof(client->first),
				    "%d %s", reply.status,
				    reply.body != NULL ? reply.body : "");
		} else {
			json = json_loads(reply.body, 0, NULL);
			client->sum[i] = (int)ctl_int(json, "sum");
			json_decref(json);
		}
		reply_release(&reply);
		client->all->done++;
	}
	return NULL;
}

static void
counting_start(struct counting *all, const struct daemon *d, const char *path)
{
	*all = (struct counting){ .d = d, .path = path };
	for (int i = 0; i < CLIENTS; i++) {
		all->client[i].all = all;
		ck_assert_int_eq(pthread_create(&all->client[i].thread, NULL,
				     count_up, &all->client[i]),
		    0);
	}
}

static bool
is_further(void *ctx)
{
	struct counting *all = ((void **)ctx)[0];

	return all->done >= *(int *)((void **)ctx)[1];
}

static void
counting_await(struct counting *all, int done)
{
	void *ctx[2] = { all, &done };

	ck_assert(proc_until(-1, is_further, ctx));
}

static void
counting_join(struct counting *all)
{
	for (int i = 0; i < CLIENTS; i++)
		pthread_join(all->client[i].thread, NULL);
}

/* Every reply said 200, and each sum was told once. */
static void
counting_require_exact(struct counting *all)
{
	static bool told[CLIENTS * EACH + 1];

	memset(told, 0, sizeof(told));
	for (int i = 0; i < CLIENTS; i++) {
		ck_assert_msg(all->client[i].bad == 0, "%d failed: %s",
		    all->client[i].bad, all->client[i].first);
		for (int k = 0; k < EACH; k++) {
			int sum = all->client[i].sum[k];

			ck_assert_int_ge(sum, 1);
			ck_assert_int_le(sum, CLIENTS * EACH);
			ck_assert_msg(!told[sum], "%d was told twice", sum);
			told[sum] = true;
		}
	}
}

static void
kill_amid_increments(const struct daemon_conf *conf, int times)
{
	static struct counting all;
	struct daemon d;
	char *wanted = text_format("%d", CLIENTS * EACH);

	daemon_start(&d, conf);
	counting_start(&all, &d, "/incr?key=n");
	for (int i = 1; i <= times; i++) {
		counting_await(&all, i * CLIENTS * EACH / (times + 2));
		kill_hub(&d);
	}
	counting_join(&all);
	counting_require_exact(&all);
	require_value(&d, "n", wanted);
	free(wanted);
	daemon_stop(&d);
}

START_TEST(the_hub_killed_amid_increments)
{
	kill_amid_increments(&plain, 12);
}
END_TEST

START_TEST(the_hub_killed_amid_increments_that_are_for_power_cuts)
{
	struct daemon_conf conf = plain;

	conf.hub = "durability = \"full\"; reserve = 0; min_free = 0;";
	kill_amid_increments(&conf, 6);
}
END_TEST

/* What was answered is there; what was not may be. */
START_TEST(the_family_killed_amid_increments)
{
	static struct counting all;
	struct daemon d;
	long there, answered = 0;

	daemon_start(&d, &plain);
	counting_start(&all, &d, "/incr?key=n");
	counting_await(&all, CLIENTS * EACH / 2);
	kill_family(&d);
	counting_join(&all);
	daemon_start_again(&d);
	for (int i = 0; i < CLIENTS; i++)
		answered += EACH - all.client[i].bad;
	there = ask_int(&d, "/get?key=n", NULL, "value");
	ck_assert_int_ge(there, answered);
	ck_assert_int_le(there, answered + CLIENTS);
	daemon_stop(&d);
}
END_TEST

/* ---- locks */

/* Runs a holder of `key` and waits until it holds it; its pid. */
static pid_t
hold(const struct daemon *d, const char *key, const char *more, int *fd)
{
	char *fifo = text_format("%s/fifo", d->dir), text[64] = "";
	int held = -1, pid = 0, from;

	if (access(fifo, F_OK) == -1) {
		ck_assert_int_eq(mkfifo(fifo, 0666), 0);
		ck_assert_int_eq(chmod(fifo, 0666), 0);
	}
	*fd = raw_connect(d);
	free(fifo);
	fifo = text_format("POST /hold?key=%s%s HTTP/1.1\r\nHost: h\r\n"
			   "Content-Length: 0\r\n\r\n",
	    key, more);
	ck_assert(raw_text(*fd, fifo));
	free(fifo);
	fifo = text_format("%s/fifo", d->dir);
	from = open(fifo, O_RDONLY);
	ck_assert_int_gt(read(from, text, sizeof(text) - 1), 0);
	close(from);
	free(fifo);
	ck_assert_msg(sscanf(text, "%d %d", &held, &pid) == 2, "%s", text);
	ck_assert_int_eq(held, 1);
	return pid;
}

START_TEST(a_lock_goes_with_its_holder)
{
	struct daemon d;
	long fence, next;
	pid_t pid;
	int fd;

	daemon_start(&d, &plain);
	fence = ask_int(&d, "/lock?key=l", "", "fence");
	ck_assert_int_gt(fence, 0);
	/* with the end of that call it was given back */
	pid = hold(&d, "l", "", &fd);
	ck_assert_int_eq(ask_int(&d, "/lock?key=l", "", "rc"), 0);
	kill(pid, SIGKILL);
	next = ask_int(&d, "/lock?key=l&wait=60", "", "fence");
	ck_assert_int_gt(next, fence);
	close(fd);
	daemon_stop(&d);
}
END_TEST

static bool
is_served(void *ctx)
{
	const struct daemon *d = ctx;

	return ctl_pid_of(d, "hub") > 0;
}

START_TEST(a_lock_outlives_the_hub)
{
	struct daemon d;
	pid_t pid;
	int fd;

	daemon_start(&d, &plain);
	pid = hold(&d, "l", "", &fd);
	for (int i = 0; i < 3; i++) {
		kill_hub(&d);
		ck_assert_int_eq(ask_int(&d, "/lock?key=l", "", "rc"), 0);
	}
	/* it never comes back to the new hub, which is told that it died */
	kill(pid, SIGKILL);
	ck_assert_int_eq(ask_int(&d, "/lock?key=l&wait=60", "", "rc"), 1);
	close(fd);
	/* both at once */
	pid = hold(&d, "l", "", &fd);
	kill(pid, SIGKILL);
	kill_hub(&d);
	ck_assert_int_eq(ask_int(&d, "/lock?key=l&wait=60", "", "rc"), 1);
	close(fd);
	/* the whole family */
	hold(&d, "l", "", &fd);
	kill_family(&d);
	close(fd);
	daemon_start_again(&d);
	ck_assert(proc_until(-1, is_served, &d));
	ck_assert_int_eq(ask_int(&d, "/lock?key=l&wait=60", "", "rc"), 1);
	daemon_stop(&d);
}
END_TEST

START_TEST(a_lease_ends_although_its_holder_hangs)
{
	struct daemon d;
	pid_t pid;
	int fd;

	daemon_start(&d, &plain);
	pid = hold(&d, "l", "&lease=0.2", &fd);
	ck_assert_int_eq(ask_int(&d, "/lock?key=l&wait=60", "", "rc"), 1);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	close(fd);
	daemon_stop(&d);
}
END_TEST

START_TEST(fences_grow_over_the_end_of_everything)
{
	struct daemon d;
	long fence = 0, next;

	daemon_start(&d, &plain);
	for (int i = 0; i < 6; i++) {
		next = ask_int(&d, "/lock?key=l&wait=60", "", "fence");
		ck_assert_int_gt(next, fence);
		fence = next;
		if (i % 3 == 0)
			kill_hub(&d);
		else if (i % 3 == 1) {
			kill_family(&d);
			daemon_start_again(&d);
		}
	}
	daemon_stop(&d);
}
END_TEST

START_TEST(one_at_a_time)
{
	static struct counting all;
	struct daemon d;
	char *wanted = text_format("%d", CLIENTS * EACH);

	daemon_start(&d, &plain);
	counting_start(&all, &d, "/careful?key=n");
	counting_join(&all);
	for (int i = 0; i < CLIENTS; i++)
		ck_assert_msg(all.client[i].bad == 0, "%s",
		    all.client[i].first);
	require_value(&d, "n", wanted);
	free(wanted);
	daemon_stop(&d);
}
END_TEST

/* ---- watchers */

START_TEST(a_watcher_that_never_reads_is_cut_off)
{
	struct daemon_conf conf = plain;
	char *large = text_repeat('x', 60000), *line;
	struct daemon d;
	size_t from = 0;

	conf.hub = "redo_size = \"1M\"; max_value = \"64k\"; reserve = 0; "
		   "min_free = 0; max_message = \"128k\"; "
		   "max_unread = \"128k\";";
	conf.tasks = "background = ( { name = \"deaf\"; "
		     "handler = \"keys.deaf\"; } );";
	daemon_start(&d, &conf);
	ctl_require_pool(&d, "background:deaf", "busy", 1, 1);
	for (int i = 0; i < 60; i++)
		ask_int(&d, "/set?key=k", large, "rc");
	line = daemon_await_line(&d, &from, "does not read.*cut off");
	ck_assert_ptr_nonnull(line);
	text_require("who", line, "background");
	free(line);
	/* nobody else noticed */
	ck_assert_int_eq(ask_int(&d, "/incr?key=n", "", "sum"), 1);
	free(large);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE_MEMORY(handlers_share_data),
		CASE_MEMORY(what_is_too_much_is_refused_in_words),
		CASE(a_full_disk_is_said_and_the_rest_goes_on),
		CASE(a_spoilt_redo_file_refuses_the_start),
		CASE(keys_are_listed),
		CASE(ends_come_and_outlive_the_family),
		CASE(durabilities),
		CASE(the_hub_killed_amid_increments),
		CASE(the_hub_killed_amid_increments_that_are_for_power_cuts),
		CASE(the_family_killed_amid_increments),
		CASE(a_lock_goes_with_its_holder),
		CASE(a_lock_outlives_the_hub),
		CASE(a_lease_ends_although_its_holder_hangs),
		CASE(fences_grow_over_the_end_of_everything),
		CASE(one_at_a_time),
		CASE(a_watcher_that_never_reads_is_cut_off),
	};

	return SUITE_RUN("data", cases);
}
