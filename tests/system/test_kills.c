/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kill -9 of the hub, of task workers, of REST workers and of the master, again
 * and again, in the middle of work of all kinds; then what was accepted must
 * have been done, each thing once: see tests/modules/kills.c.
 *
 * A client that gets no answer does not know. So for each number N there is
 * what it was told (yes or nothing), and what the keys say. A job has an
 * idempotency key and is asked for until there is an answer.
 *
 * Normally some hundred numbers and tens of kills. KILLS=full: 10,000 jobs and
 * hundreds of kills. KILLS_SEED repeats a run, as far as the kernel's scheduler
 * allows.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/desk.h"
#include "lib/http.h"
#include "lib/suite.h"

#define CLIENTS 4
#define ANSWER_MAX 65536

enum kind { SUBMIT, JOB, CALL, PLAIN, ADD, KINDS };
static const char *const paths[KINDS] = {
	[SUBMIT] = "/submit",
	[JOB] = "/job",
	[CALL] = "/call",
	[PLAIN] = "/plain",
	[ADD] = "/add",
};

static struct {
	struct daemon daemon;
	unsigned seed, random;
	int numbers, kills, master_every;
	_Atomic int next;
	_Atomic char *told; /* by number: 1 it was told so */
	_Atomic int tolds;
	int done_fd[2]; /* a byte for each number that is through */
	int up_fd;	/* readable while there is a service */
} t;

/* ------------------------------------------------------------- the clients */

/* A whole answer has come: its status. */
static int
status_of(const char *answer, size_t len)
{
	const char *body = memmem(answer, len, "\r\n\r\n", 4), *length;

	if (body == NULL || strncmp(answer, "HTTP/1.1 ", 9) != 0)
		return 0;
	body += 4;
	length = strcasestr(answer, "\r\nContent-Length:");
	if (length == NULL || length > body ||
	    strtoul(length + 17, NULL, 10) > len - (size_t)(body - answer))
		return 0;
	return atoi(answer + 9);
}

static int
ask_on(int fd, const char *request)
{
	char *answer = calloc(1, ANSWER_MAX);
	size_t len = 0;
	ssize_t n;
	int status;

	if (send(fd, request, strlen(request), MSG_NOSIGNAL) !=
	    (ssize_t)strlen(request)) {
		free(answer);
		return 0;
	}
	while (len < ANSWER_MAX - 1 &&
	    (n = recv(fd, answer + len, ANSWER_MAX - 1 - len, 0)) > 0)
		len += (size_t)n;
	status = status_of(answer, len);
	free(answer);
	return status;
}

/* 0: it is not known what has become of it; -1: nobody listens. */
static int
ask(const char *request)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)t.daemon.port),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), status = -1;

	ck_assert_int_ge(fd, 0);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		status = ask_on(fd, request);
	close(fd);
	return status;
}

static char *
request_of(int number)
{
	enum kind kind = (enum kind)(number % KINDS);
	char body[32], key[64] = "", *request;

	snprintf(body, sizeof(body), "{\"n\":%d}", number);
	if (kind == JOB)
		snprintf(key, sizeof(key), "Idempotency-Key: k%d\r\n", number);
	if (asprintf(&request,
		"POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
		"Content-Type: application/json\r\n%sContent-Length: %zu\r\n"
		"\r\n%s",
		paths[kind], key, strlen(body), body) == -1)
		abort();
	return request;
}

static void
await_service(void)
{
	struct pollfd up = { .fd = t.up_fd, .events = POLLIN };

	ck_assert_int_ge(poll(&up, 1, suite_patience_ms()), 0);
}

/* Until something is known, or may be: nothing is done twice by a client. */
static void
carry_out(int number)
{
	bool again_is_safe = number % KINDS == JOB;
	char *request = request_of(number);
	int status;

	for (;;) {
		await_service();
		status = ask(request);
		if (status == -1)
			continue;
		if (status >= 200 && status < 300) {
			t.told[number] = 1;
			t.tolds++;
			break;
		}
		ck_assert_msg(status == 0 || status >= 500,
		    "seed %u: %s of %d is answered %d", t.seed,
		    paths[number % KINDS], number, status);
		if (!again_is_safe)
			break;
	}
	free(request);
}

static void *
client(void *ctx)
{
	int number;

	(void)ctx;
	while ((number = t.next++) < t.numbers) {
		carry_out(number);
		ck_assert_int_eq(write(t.done_fd[1], "", 1), 1);
	}
	return NULL;
}

/* --------------------------------------------------------------- the kills */

static unsigned
chance(unsigned n)
{
	return (unsigned)rand_r(&t.random) % n;
}

static void
service_is_up(void)
{
	int status;
	char *why = daemon_try(&t.daemon, &status);

	ck_assert_msg(why == NULL, "seed %u: %s", t.seed, why);
	ck_assert_int_eq(eventfd_write(t.up_fd, 1), 0);
}

static void
kill_master(void)
{
	eventfd_t gone;

	ck_assert_int_eq(eventfd_read(t.up_fd, &gone), 0);
	kill(t.daemon.pid, SIGKILL);
	ck_assert_int_eq(daemon_wait(&t.daemon), 128 + SIGKILL);
	daemon_require_no_child(&t.daemon);
	service_is_up();
}

/* Any child of that pool; there may be none at this moment. */
static void
kill_one(const char *role)
{
	json_t *status = ctl_status(&t.daemon);
	size_t n = 0;

	while (ctl_row_of(status, role, n) != NULL)
		n++;
	if (n > 0) {
		long pid = ctl_int(ctl_row_of(status, role,
				       chance((unsigned)n)),
		    "pid");

		if (pid > 1)
			kill((pid_t)pid, SIGKILL);
	}
	json_decref(status);
}

/* Which is no kill, but a new hub and new workers in the middle of it all. */
static void
reload(void)
{
	json_t *answer = ctl_ask(&t.daemon, "reload", NULL);

	ck_assert_msg(json_is_true(json_object_get(answer, "ok")),
	    "seed %u: the reload fails: %s", t.seed,
	    ctl_text(answer, "message"));
	json_decref(answer);
}

static void
kill_something(int i)
{
	static const char *const roles[] = { "hub", "task", "task", "rest" };

	if (i % t.master_every == t.master_every - 1)
		kill_master();
	else if (i % t.master_every == t.master_every / 2)
		reload();
	else
		kill_one(roles[chance(4)]);
}

/* Waits until so many numbers are through; false when all are. */
static bool
await_progress(int n, int *through)
{
	struct pollfd ready = { .fd = t.done_fd[0], .events = POLLIN };
	char bytes[256];

	while (n > 0 && *through < t.numbers) {
		ssize_t got;

		ck_assert_msg(poll(&ready, 1, 4 * suite_patience_ms()) == 1,
		    "seed %u: nothing goes on any more", t.seed);
		got = read(t.done_fd[0], bytes,
		    n < (int)sizeof(bytes) ? (size_t)n : sizeof(bytes));
		ck_assert_int_gt(got, 0);
		n -= (int)got;
		*through += (int)got;
	}
	return *through < t.numbers;
}

static bool
nothing_left(void *ctx)
{
	json_t *answer = desk_ask(&t.daemon, NULL, "hub", NULL);
	json_t *data = json_object_get(answer, "data");
	json_t *work = json_object_get(data, "work");
	bool left = work == NULL || ctl_int(work, "waiting") != 0 ||
	    ctl_int(work, "queued") != 0 || ctl_int(work, "running") != 0 ||
	    ctl_int(work, "calls_waiting") != 0;

	(void)ctx;
	json_decref(answer);
	return !left;
}

static bool
no_lock_left(void *ctx)
{
	json_t *answer = desk_ask(&t.daemon, NULL, "hub", NULL);
	json_t *data = json_object_get(json_object_get(answer, "data"), "data");
	bool left = data == NULL || ctl_int(data, "locks") != 0;

	(void)ctx;
	json_decref(answer);
	return !left;
}

/* --------------------------------------------------------- reconciliation */

static json_t *
audit(const char *name)
{
	struct reply reply;
	struct ask ask = { 0 };
	char path[64];
	json_t *found;

	snprintf(path, sizeof(path), "/audit?prefix=%s", name);
	ask.path = path;
	http_require(&t.daemon, &ask, &reply);
	ck_assert_int_eq(reply.status, 200);
	found = reply_json(&reply);
	reply_release(&reply);
	return found;
}

static long
count_of(json_t *found, const char *name, int number)
{
	char key[64];

	snprintf(key, sizeof(key), "%s:%d", name, number);
	return (long)json_integer_value(json_object_get(found, key));
}

/* What was said to be done is done, nothing is done twice; returns how many. */
static long
reconcile(enum kind kind, const char *name)
{
	json_t *found = audit(name);
	long sum = 0;

	for (int i = kind; i < t.numbers; i += KINDS) {
		long n = count_of(found, name, i);

		ck_assert_msg(n <= 1, "seed %u: %s:%d is %ld", t.seed, name, i,
		    n);
		ck_assert_msg(n == 1 || !t.told[i],
		    "seed %u: %s:%d was accepted and is not there", t.seed,
		    name, i);
		sum += n;
	}
	ck_assert_int_eq((long)json_object_size(found), sum);
	json_decref(found);
	return sum;
}

/* What follows from another thing is there where that is, and once. */
static void
follows(enum kind kind, const char *name, const char *from)
{
	json_t *found = audit(name), *causes = audit(from);

	for (int i = kind; i < t.numbers; i += KINDS)
		ck_assert_msg(count_of(found, name, i) ==
			count_of(causes, from, i),
		    "seed %u: %s:%d is %ld, %s:%d is %ld", t.seed, name, i,
		    count_of(found, name, i), from, i,
		    count_of(causes, from, i));
	ck_assert_uint_eq(json_object_size(found), json_object_size(causes));
	json_decref(found);
	json_decref(causes);
}

static void
reconcile_all(void)
{
	json_t *dead;

	reconcile(SUBMIT, "accepted");
	follows(SUBMIT, "first", "accepted");
	follows(SUBMIT, "second", "accepted");
	follows(SUBMIT, "fan1", "accepted");
	follows(SUBMIT, "fan2", "accepted");
	ck_assert_int_eq(reconcile(JOB, "job"), (t.numbers + 3) / KINDS);
	follows(JOB, "tail", "job");
	reconcile(CALL, "call");
	follows(CALL, "after", "call");
	reconcile(PLAIN, "plain");
	ck_assert_int_eq(desk_number(&t.daemon, "sum"), reconcile(ADD, "add"));
	dead = desk_data(&t.daemon, NULL, "dead", NULL);
	ck_assert_uint_eq(json_array_size(json_object_get(dead, "jobs")), 0);
	json_decref(dead);
	/* else it has shown nothing */
	ck_assert_int_gt(t.tolds, t.numbers / 2);
}

/* ---------------------------------------------------------------- the test */

static void
set_up(void)
{
	const char *full = getenv("KILLS"), *seed = getenv("KILLS_SEED");
	bool all = full != NULL && strcmp(full, "full") == 0;

	t.numbers = all ? 7500 : 300;
	t.kills = all ? 400 : 40;
	t.master_every = all ? 20 : 12;
	if (seed != NULL)
		t.seed = (unsigned)strtoul(seed, NULL, 10);
	else
		ck_assert_int_eq(getrandom(&t.seed, sizeof(t.seed), 0),
		    sizeof(t.seed));
	t.random = t.seed;
	printf("kills: %d numbers, %d kills, KILLS_SEED=%u\n", t.numbers,
	    t.kills, t.seed);
	fflush(stdout);
	t.told = calloc((size_t)t.numbers, 1);
	ck_assert_int_eq(pipe2(t.done_fd, O_CLOEXEC), 0);
	t.up_fd = eventfd(0, EFD_CLOEXEC);
	daemon_init(&t.daemon);
	t.daemon.crashes = true;
	daemon_configure(&t.daemon,
	    &(struct daemon_conf){
		.service = "kill_grace = 0.2; respawn_min_delay = 0.001;"
			   "respawn_max_delay = 0.1; respawn_young = 0.0;"
			   "respawn_hold = 1000; stop_timeout = 10.0;",
		.log = "level = \"info\"; access = false;",
		.module = { "kills" },
		.workers = "start = 3; max = 6;",
		.task_workers = "start = 4; max = 6;",
		.tasks = "max_attempts = 1000; backoff_min = 0.01;"
			 "backoff_max = 0.05;",
		.amqp =
		    "exchanges = ( { name = \"fan\"; type = \"fanout\"; } );"
		    "queues = ("
		    "{ name = \"one\"; handler = \"kills.fan1\";"
		    "  bind = ( { exchange = \"fan\"; } ); },"
		    "{ name = \"two\"; handler = \"kills.fan2\";"
		    "  bind = ( { exchange = \"fan\"; } ); } );",
		.route = { ROUTE("POST", "/submit", "kills.submit"),
		    ROUTE_WITH("POST", "/job", "kills.job", "mode = \"job\";"),
		    ROUTE_WITH("POST", "/call", "kills.call",
			"mode = \"wait\";"),
		    ROUTE("POST", "/plain", "kills.plain"),
		    ROUTE("POST", "/add", "kills.add"),
		    ROUTE("GET", "/audit", "kills.audit") } });
	service_is_up();
}

START_TEST(kills)
{
	pthread_t clients[CLIENTS];
	int through = 0;
	unsigned step;

	set_up();
	step = (unsigned)(2 * t.numbers / t.kills);
	for (int i = 0; i < CLIENTS; i++)
		ck_assert_int_eq(pthread_create(&clients[i], NULL, client,
				     NULL),
		    0);
	for (int i = 0; i < t.kills; i++) {
		await_progress((int)chance(step), &through);
		kill_something(i);
	}
	while (await_progress(t.numbers, &through))
		;
	for (int i = 0; i < CLIENTS; i++)
		pthread_join(clients[i], NULL);
	/* and in the middle of what is left */
	for (int i = 0; i < 4; i++)
		kill_something(i);
	ck_assert_msg(proc_until(t.daemon.pidfd, nothing_left, NULL),
	    "seed %u: work is left", t.seed);
	ck_assert_msg(proc_until(t.daemon.pidfd, no_lock_left, NULL),
	    "seed %u: a lock is left", t.seed);
	reconcile_all();
	/* what the disk says */
	kill(t.daemon.pid, SIGTERM);
	ck_assert_int_eq(daemon_wait(&t.daemon), 0);
	daemon_require_no_child(&t.daemon);
	service_is_up();
	reconcile_all();
	daemon_stop(&t.daemon);
	free((void *)t.told);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE(kills),
	};

	return SUITE_RUN("kills", cases);
}
