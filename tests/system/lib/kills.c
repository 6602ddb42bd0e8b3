/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kills - kill -9 in the middle of work, and the question what became of it.
 */
#include <check.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "chance.h"
#include "ctl.h"
#include "http.h"
#include "kills.h"
#include "suite.h"
#include "text.h"

/* Numbers whose marks are asked for together: those that share their first
 * three digits of six. */
#define BLOCK 1000

void
kills_init(struct kills *kills)
{
	const char *full = getenv("KILLS");

	*kills = (struct kills){ .full = full != NULL &&
		    strcmp(full, "full") == 0 };
	kills->seed = chance_seed("KILLS_SEED", 0);
	printf("KILLS_SEED=%u\n", kills->seed);
	fflush(stdout);
	ck_assert_int_ge(kills->up_fd = eventfd(0, EFD_CLOEXEC), 0);
	daemon_init(&kills->daemon);
	kills->daemon.crashes = true;
}

void
kills_release(struct kills *kills)
{
	daemon_stop(&kills->daemon);
	close(kills->up_fd);
	free(kills->told);
}

void
kills_start(struct kills *kills)
{
	int status;
	char *why = daemon_try(&kills->daemon, &status);

	ck_assert_msg(why == NULL, "seed %u: %s", kills->seed, why);
	ck_assert_int_eq(eventfd_write(kills->up_fd, 1), 0);
}

/* Clients no longer ask; then the end, and the start of a new one. */
static void
replace(struct kills *kills, int signo, int status)
{
	eventfd_t gone;

	ck_assert_int_eq(eventfd_read(kills->up_fd, &gone), 0);
	kill(kills->daemon.pid, signo);
	ck_assert_int_eq(daemon_wait(&kills->daemon), status);
	daemon_require_no_child(&kills->daemon);
	kills_start(kills);
}

void
kills_restart(struct kills *kills)
{
	replace(kills, SIGTERM, 0);
}

void
kills_master(struct kills *kills)
{
	replace(kills, SIGKILL, 128 + SIGKILL);
}

void
kills_child(struct kills *kills, const char *role)
{
	json_t *status = ctl_status(&kills->daemon);
	unsigned n = 0;

	while (ctl_row_of(status, role, n) != NULL)
		n++;
	if (n > 0) {
		long pid = ctl_int(ctl_row_of(status, role, chance(n)), "pid");

		if (pid > 1)
			kill((pid_t)pid, SIGKILL);
	}
	json_decref(status);
}

/* ------------------------------------------------------------- the clients */

static void *
client(void *ctx)
{
	struct kills *kills = ctx;
	int number;

	while ((number = kills->next++) < kills->end)
		if (kills->ask(number)) {
			kills->told[number] = true;
			kills->tolds++;
		}
	return NULL;
}

void
kills_load(struct kills *kills, int clients, int first, int end, kills_ask *ask)
{
	ck_assert_int_le(clients, KILLS_CLIENTS_MAX);
	kills->next = first;
	kills->end = end;
	kills->ask = ask;
	kills->told = calloc((size_t)end, sizeof(bool));
	/* not to be left to the first of several threads */
	curl_global_init(CURL_GLOBAL_DEFAULT);
	for (kills->clients = 0; kills->clients < clients; kills->clients++)
		ck_assert_int_eq(pthread_create(&kills->client[kills->clients],
				     NULL, client, kills),
		    0);
}

void
kills_await_service(struct kills *kills)
{
	struct pollfd up = { .fd = kills->up_fd, .events = POLLIN };

	ck_assert_int_ge(poll(&up, 1, suite_patience_ms()), 0);
}

void
kills_join(struct kills *kills)
{
	while (kills->clients > 0)
		pthread_join(kills->client[--kills->clients], NULL);
}

/* --------------------------------------------------------- reconciliation */

static void
add_block(struct kills *kills, const char *name, int block, int *marks, int end)
{
	char *path = text_format("/audit?prefix=%s:%03d", name, block);
	struct ask ask = { .path = path };
	struct reply reply;
	const char *key;
	json_t *found, *count;

	http_require(&kills->daemon, &ask, &reply);
	ck_assert_int_eq(reply.status, 200);
	found = reply_json(&reply);
	json_object_foreach(found, key, count)
	{
		int number = atoi(key + strlen(name) + 1);

		ck_assert_msg(number < end, "seed %u: there is %s", kills->seed,
		    key);
		marks[number] = (int)json_integer_value(count);
	}
	json_decref(found);
	reply_release(&reply);
	free(path);
}

int *
kills_marks(struct kills *kills, const char *name, int end)
{
	int *marks = calloc((size_t)end, sizeof(*marks));

	for (int from = 0; from < end; from += BLOCK)
		add_block(kills, name, from / BLOCK, marks, end);
	return marks;
}

void
kills_check(struct kills *kills, const char *name, int number, int marks,
    int least, int most)
{
	if (marks >= least && marks <= most)
		return;
	printf("seed %u: %s:%d is %d, not %d to %d\n", kills->seed, name,
	    number, marks, least, most);
	kills->wrong++;
}

void
kills_require_right(struct kills *kills)
{
	ck_assert_msg(kills->wrong == 0, "seed %u: %d numbers are wrong",
	    kills->seed, kills->wrong);
}
