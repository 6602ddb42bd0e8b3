/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ipc - one measurement: starts a server, forks the clients, lets them ask at
 * the same time for so long, and prints what they counted as a line of JSON.
 *
 *   ipc TARGET OP CLIENTS DEPTH SECONDS [DURABILITY]
 *   ipc redis incr 16 1 2
 *
 * With two processors or more the server has the upper half of them and the
 * clients the lower one, as in the other benchmarks; IPC_CPUS=shared gives all
 * to both. Every process ends with this one.
 *
 * Besides the rate over the whole time there is the rate of the best tenth of
 * its windows of 20 ms: what it is when nobody else wants the processors.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "ipc.h"

#define SAMPLES 400000 /* of all clients */
#define START_MS 20000
#define WINDOW_MS 20
#define WINDOWS 4096

static const struct ipc_target *const targets[] = { &ipc_brood, &ipc_handler,
	&ipc_redis, &ipc_floor };
static const char *const ops[] = { "get", "set", "incr" };

static struct shared {
	struct ipc_count count[IPC_MAX_CLIENTS];
	int64_t end_ns;
	pid_t server;
	double client_s[IPC_MAX_CLIENTS]; /* processor time, since `go` */
	uint32_t sample_ns[SAMPLES];
} * shared;
/* A client says that it is ready, and waits for the other one's end. */
static int ready[2], start[2];
static int64_t duration_ns;
static double window_per_s[WINDOWS];
static size_t windows;

void
ipc_key(const struct ipc_run *run, unsigned client, char key[IPC_KEY_SIZE])
{
	snprintf(key, IPC_KEY_SIZE, "bench:%s:%06u",
	    run->op == IPC_INCR ? "num" : "key",
	    run->op == IPC_INCR ? 0 : client % 1000000);
}

const char *
ipc_value(void)
{
	static char value[IPC_VALUE_BYTES + 1];

	if (value[0] == '\0')
		memset(value, 'v', IPC_VALUE_BYTES);
	return value;
}

void
ipc_note(struct ipc_count *count, int64_t took_ns)
{
	count->done++;
	if (count->samples < count->samples_max)
		count->sample_ns[count->samples++] = (uint32_t)took_ns;
}

static void
use_cpus(bool server)
{
	const char *wish = getenv("IPC_CPUS");
	cpu_set_t all, half;
	int n = 0, seen = 0;

	if ((wish != NULL && strcmp(wish, "shared") == 0) ||
	    sched_getaffinity(0, sizeof(all), &all) == -1)
		return;
	n = CPU_COUNT(&all);
	if (n < 2)
		return;
	CPU_ZERO(&half);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &all) && (seen++ >= n / 2) == server)
			CPU_SET(i, &half);
	sched_setaffinity(0, sizeof(half), &half);
}

static pid_t
fork_bound(bool server)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == -1)
		err(1, "fork");
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	use_cpus(server);
	return 0;
}

/* Processor time of a process so far, in seconds. */
static double
used_seconds(pid_t pid)
{
	unsigned long long ns = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
	file = fopen(path, "re");
	if (file == NULL || fscanf(file, "%llu", &ns) != 1)
		warnx("%s cannot be read", path);
	if (file != NULL)
		fclose(file);
	return (double)ns / 1e9;
}

static double used_before_s;

int64_t
ipc_go(void)
{
	char byte = 0;

	if (write(ready[1], &byte, 1) != 1)
		err(1, "ready");
	/* the end of file for all of them at once */
	close(start[1]);
	if (read(start[0], &byte, 1) != 0)
		err(1, "start");
	used_before_s = used_seconds(getpid());
	return shared->end_ns;
}

static pid_t
client_fork(const struct ipc_target *target, const struct ipc_run *run,
    unsigned client)
{
	struct ipc_count *count = &shared->count[client];
	pid_t pid = fork_bound(false);

	if (pid > 0)
		return pid;
	count->samples_max = SAMPLES / run->clients;
	count->sample_ns = shared->sample_ns + client * count->samples_max;
	target->ask(run, client, count);
	shared->client_s[client] = used_seconds(getpid()) - used_before_s;
	_exit(0);
}

static int
by_rate(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int
by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void
report(const struct ipc_target *target, const struct ipc_run *run,
    int64_t took_ns, double clients_s, double server_s)
{
	uint64_t done = 0;
	size_t n = 0;

	for (unsigned i = 0; i < run->clients; i++) {
		const struct ipc_count *count = &shared->count[i];

		done += count->done;
		memmove(shared->sample_ns + n, count->sample_ns,
		    count->samples * sizeof(*count->sample_ns));
		n += count->samples;
	}
	qsort(shared->sample_ns, n, sizeof(*shared->sample_ns), by_size);
	printf("{\"target\": \"%s\", \"op\": \"%s\", \"clients\": %u, "
	       "\"depth\": %u, \"seconds\": %.3f, \"done\": %lu, "
	       "\"per_s\": %.0f",
	    target->name, ops[run->op], run->clients, run->depth,
	    clock_to_seconds(took_ns), (unsigned long)done,
	    (double)done / clock_to_seconds(took_ns));
	qsort(window_per_s, windows, sizeof(*window_per_s), by_rate);
	printf(", \"calm_per_s\": %.0f",
	    windows > 0 ? window_per_s[windows - 1 - windows / 10] : 0.0);
	if (n > 0)
		printf(", \"p50_us\": %.2f, \"p99_us\": %.2f",
		    shared->sample_ns[n / 2] / 1e3,
		    shared->sample_ns[n - n / 100 - 1] / 1e3);
	printf(", \"client_cpu_us\": %.2f, \"server_cpu_us\": %.2f}\n",
	    clients_s * 1e6 / (double)done, server_s * 1e6 / (double)done);
}

static void
wait_readable(int fd, const char *whom)
{
	struct pollfd fds = { .fd = fd, .events = POLLIN };

	if (poll(&fds, 1, START_MS) != 1)
		errx(1, "%s does not start", whom);
}

void
ipc_server_is(pid_t pid)
{
	shared->server = pid;
}

static pid_t
server_start(const struct ipc_target *target, const struct ipc_run *run)
{
	int up[2];
	pid_t pid;
	char byte;

	if (pipe2(up, O_CLOEXEC) == -1)
		err(1, "pipe");
	pid = fork_bound(true);
	if (pid == 0) {
		close(up[0]);
		close(start[1]);
		ipc_server_is(getpid());
		target->serve(run, up[1]);
		_exit(1);
	}
	close(up[1]);
	if (target->poke == NULL) {
		wait_readable(up[0], target->name);
		if (read(up[0], &byte, 1) != 1)
			errx(1, "%s did not start", target->name);
	} else {
		/* somebody else's program: nothing tells when */
		for (int ms = 0; !target->poke(run); ms++) {
			if (ms == START_MS || waitpid(pid, NULL, WNOHANG) != 0)
				errx(1, "%s does not start", target->name);
			poll(NULL, 0, 1);
		}
	}
	close(up[0]);
	return pid;
}

/* The rate in each window of the measurement, until it is over. */
static void
watch_rate(const struct ipc_run *run)
{
	int64_t now = clock_now_ns(), before;
	uint64_t done = 0, last;

	while (now < shared->end_ns && windows < WINDOWS) {
		poll(NULL, 0, WINDOW_MS);
		before = now;
		last = done;
		now = clock_now_ns();
		done = 0;
		for (unsigned i = 0; i < run->clients; i++)
			done += __atomic_load_n(&shared->count[i].done,
			    __ATOMIC_RELAXED);
		window_per_s[windows++] = (double)(done - last) /
		    clock_to_seconds(now - before);
	}
}

static void
measure(const struct ipc_target *target, const struct ipc_run *run)
{
	pid_t clients[IPC_MAX_CLIENTS], server = server_start(target, run);
	int64_t began_ns, took_ns;
	double clients_s = 0, server_s;
	int status, bad = 0;
	char byte;

	for (unsigned i = 0; i < run->clients; i++)
		clients[i] = client_fork(target, run, i);
	for (unsigned i = 0; i < run->clients; i++) {
		wait_readable(ready[0], "a client");
		if (read(ready[0], &byte, 1) != 1)
			err(1, "ready");
	}
	server_s = used_seconds(shared->server);
	began_ns = clock_now_ns();
	shared->end_ns = began_ns + duration_ns;
	close(start[1]);
	watch_rate(run);
	for (unsigned i = 0; i < run->clients; i++) {
		waitpid(clients[i], &status, 0);
		bad |= status;
		clients_s += shared->client_s[i];
	}
	if (bad != 0)
		errx(1, "a client failed");
	took_ns = clock_now_ns() - began_ns;
	server_s = used_seconds(shared->server) - server_s;
	kill(server, SIGTERM);
	waitpid(server, NULL, 0);
	report(target, run, took_ns, clients_s, server_s);
}

/* The one file system call that sweeps a flat folder. */
static void
folder_remove(const char *folder)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	if (system(command) != 0)
		warnx("%s is left", folder);
}

int
main(int argc, char **argv)
{
	const struct ipc_target *target = NULL;
	struct ipc_run run = { .durability = "process" };
	int op = -1;

	for (size_t i = 0; argc > 5 && i < 4; i++)
		if (strcmp(argv[1], targets[i]->name) == 0)
			target = targets[i];
	for (int i = 0; argc > 5 && i < 3; i++)
		if (strcmp(argv[2], ops[i]) == 0)
			op = i;
	if (target != NULL && op >= 0) {
		run.op = (enum ipc_op)op;
		run.clients = (unsigned)atoi(argv[3]);
		run.depth = (unsigned)atoi(argv[4]);
		duration_ns = clock_from_seconds(atof(argv[5]));
		if (argc > 6)
			run.durability = argv[6];
	}
	if (run.clients < 1 || run.clients > IPC_MAX_CLIENTS || run.depth < 1 ||
	    duration_ns <= 0)
		errx(2,
		    "usage: ipc brood|handler|redis|floor get|set|incr CLIENTS "
		    "DEPTH SECONDS [DURABILITY]");
	signal(SIGPIPE, SIG_IGN);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || pipe2(ready, O_CLOEXEC) == -1 ||
	    pipe2(start, O_CLOEXEC) == -1)
		err(1, "cannot start");
	snprintf(run.folder, sizeof(run.folder), "/tmp/brood-ipc-XXXXXX");
	if (mkdtemp(run.folder) == NULL)
		err(1, "%s", run.folder);
	snprintf(run.path, sizeof(run.path), "%s/socket", run.folder);
	if (target->prepare != NULL)
		target->prepare(&run);
	measure(target, &run);
	folder_remove(run.folder);
	return 0;
}
