/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker - the RabbitMQ of a test program; see scripts/with-rabbitmq.
 */
#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker.h"
#include "ctl.h"
#include "proc.h"
#include "text.h"

#define ARGS_MAX 16

/* How many vhosts were given away: shared with the processes of the tests. */
static _Atomic int *given;
static int vhosts_made;
/* Of this run, for the names of its vhosts. */
static unsigned run_number;
static char vhost[64], url[400];

static const char *
of_environment(const char *name)
{
	const char *value = getenv(name);

	ck_assert_msg(value != NULL, "%s is not set", name);
	return value;
}

static _Noreturn void
run_below_a_broker(char *const argv[])
{
	static char self[PATH_MAX];
	const char *args[ARGS_MAX] = { "scripts/with-rabbitmq", "--tls", self };
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	for (int i = 1; len > 0 && argv[i] != NULL && i + 3 < ARGS_MAX; i++)
		args[i + 2] = argv[i];
	setenv("BROOD_TEST_BROKER_IS_OURS", "1", 1);
	if (len > 0)
		execv(args[0], (char *const *)(uintptr_t)args);
	fprintf(stderr, "%s: %s\n", args[0], strerror(errno));
	exit(2);
}

/* Outside of any test, where nothing of Check's works. */
static void
make_vhosts(int n)
{
	char *command = text_format(
	    "\"$BROOD_TEST_RABBITMQCTL\" -q eval '"
	    "[begin V = list_to_binary(\"%08x-\" ++ integer_to_list(I)),"
	    " rabbit_vhost:add(V, <<\"guest\">>),"
	    " rabbit_auth_backend_internal:set_permissions(<<\"guest\">>, V,"
	    "  <<\".*\">>, <<\".*\">>, <<\".*\">>, <<\"guest\">>)"
	    " end || I <- lists:seq(1, %d)].' >/dev/null",
	    run_number, n);

	if (system(command) != 0) {
		fprintf(stderr, "the broker gives no vhosts\n");
		exit(2);
	}
	free(command);
	vhosts_made = n;
}

static void
prepare(int vhosts)
{
	given = mmap(NULL, sizeof(*given), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (given == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	if (getrandom(&run_number, sizeof(run_number), 0) !=
	    sizeof(run_number)) {
		perror("getrandom");
		exit(2);
	}
	make_vhosts(vhosts);
}

void
broker_main(char *const argv[], int vhosts)
{
	if (getenv("BROOD_TEST_BROKER_IS_OURS") == NULL)
		run_below_a_broker(argv);
	prepare(vhosts);
}

void
broker_main_shared(char *const argv[], int vhosts)
{
	if (getenv("BROOD_TEST_BROKER") == NULL)
		run_below_a_broker(argv);
	prepare(vhosts);
}

/* ------------------------------------------------------------------- vhosts */

void
broker_open(void)
{
	int number = atomic_fetch_add(given, 1) + 1;

	ck_assert_msg(number <= vhosts_made,
	    "main() has made %d vhosts, and this is the test number %d",
	    vhosts_made, number);
	snprintf(vhost, sizeof(vhost), "%08x-%d", run_number, number);
	snprintf(url, sizeof(url), "%s",
	    broker_url_of("guest", "guest", broker_port(), vhost));
}

const char *
broker_url(void)
{
	ck_assert_msg(url[0] != '\0', "no broker_open()");
	return url;
}

const char *
broker_vhost(void)
{
	return vhost;
}

const char *
broker_url_of(const char *user, const char *password, int port,
    const char *name)
{
	static char text[400];

	snprintf(text, sizeof(text), "amqp://%s:%s@127.0.0.1:%d/%s", user,
	    password, port, name);
	return text;
}

const char *
broker_tls_url(const char *host)
{
	static char text[400];
	const char *port = strrchr(of_environment("BROOD_TEST_BROKER_TLS"),
	    ':');

	snprintf(text, sizeof(text), "amqps://guest:guest@%s:%d/%s", host,
	    atoi(port + 1), vhost);
	return text;
}

const char *
broker_ca(void)
{
	return of_environment("BROOD_TEST_BROKER_CA");
}

const char *
broker_dir(void)
{
	return of_environment("BROOD_TEST_BROKER_DIR");
}

int
broker_port(void)
{
	return atoi(of_environment("BROOD_TEST_BROKER_PORT"));
}

/* ------------------------------------------------------------- the service */

void
broker_service(struct daemon *daemon, const struct daemon_conf *conf,
    const char *other_url)
{
	daemon_init(daemon);
	daemon->crashes = true;
	daemon->broker = other_url;
	daemon_configure(daemon, conf);
	daemon_start_again(daemon);
}

struct wanted {
	bool trouble;
	const char *pattern;
	char last[512];
};

static bool
note_matches(json_t *status, void *ctx)
{
	struct wanted *wanted = ctx;
	json_t *row = ctl_row_of(status, "amqp", 0);
	bool trouble = json_is_true(json_object_get(row, "trouble"));

	snprintf(wanted->last, sizeof(wanted->last), "%s%s",
	    trouble ? "(trouble) " : "", ctl_text(row, "note"));
	return trouble == wanted->trouble &&
	    text_matches(ctl_text(row, "note"), wanted->pattern);
}

void
broker_require_note(const struct daemon *daemon, bool trouble,
    const char *pattern)
{
	struct wanted wanted = { trouble, pattern, "" };

	if (!ctl_until(daemon, note_matches, &wanted))
		ck_abort_msg("status says '%s' and never %s'%s'", wanted.last,
		    trouble ? "(trouble) " : "", pattern);
}

/* ------------------------------------------------------------------- orders */

/* Helpers that Erlang left behind end by themselves, a moment later: as
 * children of ours, for tests are subreapers. */
static void
reap_helpers(void)
{
	static const char *const names[] = { "inet_gethost", "erl_child_setup",
		"epmd" };
	pid_t pids[64];
	size_t n = proc_children(getpid(), pids, 64);
	char name[64];

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < 3; k++)
			if (strncmp(proc_name(pids[i], name, sizeof(name)),
				names[k], strlen(names[k])) == 0)
				waitpid(pids[i], NULL, 0);
}

/* The output, to free. */
static char *
run_helper(const char *const argv[])
{
	struct run run;
	char *out;

	run_program(&run, argv, NULL);
	ck_assert_msg(run.status == 0, "%s %s: status %d: %s%s", argv[0],
	    argv[1], run.status, run.out, run.err);
	reap_helpers();
	out = run.out;
	run.out = NULL;
	run_release(&run);
	return out;
}

void
broker_do(const char *what)
{
	free(run_helper((const char *const[]){
	    of_environment("BROOD_TEST_RABBITMQ"), what, NULL }));
}

char *
broker_ctl(const char *arg, ...)
{
	const char *argv[ARGS_MAX] = { of_environment("BROOD_TEST_RABBITMQCTL"),
		"-q", arg };
	va_list ap;

	va_start(ap, arg);
	for (int i = 3; i < ARGS_MAX; i++)
		if ((argv[i] = va_arg(ap, const char *)) == NULL)
			break;
	va_end(ap);
	return run_helper(argv);
}

char *
broker_eval(const char *expression)
{
	return broker_ctl("eval", expression, NULL);
}
