/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kills - kill -9 in the middle of work, again and again, and the question
 * afterwards what was done once, twice or not at all.
 *
 * Clients in threads have numbers accepted by a service that is meanwhile
 * killed in parts and as a whole. One that gets no answer does not know: so of
 * each number there is what its client was told (yes or nothing), and the marks
 * that the handlers left (tests/modules/marks.h), which have to fit.
 *
 * KILLS=full is for the long run of a test; KILLS_SEED repeats its choices, as
 * far as the kernel's scheduler allows.
 */
#ifndef SYSTEM_KILLS_H
#define SYSTEM_KILLS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "daemon.h"

#define KILLS_CLIENTS_MAX 8

/* Of the group `service`: who is killed is back at once, however often. */
#define KILLS_SERVICE                                      \
	"kill_grace = 0.2; respawn_min_delay = 0.001;"     \
	"respawn_max_delay = 0.1; respawn_young = 0.0;"    \
	"respawn_hold = 1000; stop_timeout = 10.0;"

/* Has the number accepted; true when it was told so. Runs in a thread. */
typedef bool kills_ask(int number);

struct kills {
	struct daemon daemon;
	unsigned seed;
	bool full;
	int end;	/* of the clients' numbers */
	bool *told;	/* by number */
	_Atomic int tolds;
	/* private */
	kills_ask *ask;
	_Atomic int next;
	pthread_t client[KILLS_CLIENTS_MAX];
	int clients, up_fd, wrong;
};

/* The seed, and a service to be configured. */
void kills_init(struct kills *kills);
void kills_release(struct kills *kills);

/* Starts the service, and once more after it was asked to stop. */
void kills_start(struct kills *kills);
void kills_restart(struct kills *kills);

/* Of the master, waiting for a new one; of any child of that pool, if there is
 * one at this moment. */
void kills_master(struct kills *kills);
void kills_child(struct kills *kills, const char *role);

/* So many clients, who together ask for all numbers from first to end. */
void kills_load(struct kills *kills, int clients, int first, int end,
    kills_ask *ask);
/* For them: waits until there is a service. */
void kills_await_service(struct kills *kills);
/* Waits until they have asked for all. */
void kills_join(struct kills *kills);

/* The marks NAME:N that GET /audit tells, by number below `end`, to free; fails
 * the test when there is one of another number. */
int *kills_marks(struct kills *kills, const char *name, int end);
/* Says so when these are not so many marks of a number; kills_require_right()
 * then fails the test. */
void kills_check(struct kills *kills, const char *name, int number, int marks,
    int least, int most);
void kills_require_right(struct kills *kills);

#endif
