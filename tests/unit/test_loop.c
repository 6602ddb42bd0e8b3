/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_loop - the promises of the loop that a role builds upon: the order of
 * things, and that whatever a callback removes is never heard of again.
 *
 * Rounds are counted by before_wait; a test that wants "nothing happens" lets
 * some rounds pass that way, so that nothing sleeps and no duration matters.
 * /proc/self/fdinfo tells what the kernel has been asked to watch.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/loop.h"
#include "run_suite.h"

static struct loop loop;
static int rounds, rounds_wanted;

static void
setup(void)
{
	ck_assert_int_eq(loop_init(&loop), 0);
	rounds = 0;
}

static void
teardown(void)
{
	loop_release(&loop);
}

static int64_t
count_round(void *ctx)
{
	(void)ctx;
	if (rounds == rounds_wanted)
		loop_stop(&loop);
	else
		rounds++;
	return 0;
}

/* Runs that many rounds, none of which sleeps. */
static void
run_rounds(int n)
{
	rounds = 0;
	rounds_wanted = n;
	loop.before_wait = count_round;
	ck_assert_int_eq(loop_run(&loop), 0);
	loop.before_wait = NULL;
}

static void
run(void)
{
	ck_assert_int_eq(loop_run(&loop), 0);
}

/* The events that the kernel watches fd for; -1 when it does not. */
static long
watched(int fd)
{
	char name[64], line[256];
	unsigned events;
	long found = -1;
	FILE *info;
	int tfd;

	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", loop.epoll_fd);
	info = fopen(name, "re");
	ck_assert_ptr_nonnull(info);
	while (fgets(line, sizeof(line), info) != NULL)
		if (sscanf(line, "tfd: %d events: %x", &tfd, &events) == 2 &&
		    tfd == fd)
			found = (long)(events &
			    (EPOLLIN | EPOLLOUT | EPOLLEXCLUSIVE));
	fclose(info);
	return found;
}

static void
on_stop(void *ctx)
{
	(void)ctx;
	loop_stop(&loop);
}

/* ---- timers */

struct alarm {
	struct loop_timer timer;
	int64_t at_ns; /* as it was set last; CLOCK_NEVER: not */
	int fired;
};

static struct alarm alarms[300];
#define ALARMS (sizeof(alarms) / sizeof(alarms[0]))
static int64_t last_fired_ns;

static void
on_alarm(void *ctx)
{
	struct alarm *a = ctx;

	ck_assert(!loop_timer_is_set(&a->timer));
	ck_assert_int_ge(a->at_ns, last_fired_ns);
	ck_assert_int_ge(loop_now(&loop), a->at_ns);
	last_fired_ns = a->at_ns;
	a->fired++;
}

static uint32_t
step(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33);
}

/* Any sequence of set, move and cancel; then what is set fires, in order. */
START_TEST(timers_fire_in_order)
{
	uint64_t seed = (uint64_t)_i + 1;
	int64_t base = clock_now_ns() + NS_PER_MS, last = 0;
	struct loop_timer stop;

	last_fired_ns = 0;
	memset(alarms, 0, sizeof(alarms));
	for (size_t i = 0; i < ALARMS; i++) {
		loop_timer_init(&alarms[i].timer, on_alarm, &alarms[i]);
		alarms[i].at_ns = CLOCK_NEVER;
	}
	for (int i = 0; i < 5000; i++) {
		struct alarm *a = &alarms[step(&seed) % ALARMS];

		if (step(&seed) % 3 == 0) {
			loop_timer_cancel(&loop, &a->timer);
			a->at_ns = CLOCK_NEVER;
		} else {
			a->at_ns = base + step(&seed) % 100000;
			loop_timer_set(&loop, &a->timer, a->at_ns);
		}
		ck_assert_int_eq(loop_timer_is_set(&a->timer),
		    a->at_ns != CLOCK_NEVER);
	}
	for (size_t i = 0; i < ALARMS; i++)
		if (alarms[i].at_ns != CLOCK_NEVER && alarms[i].at_ns > last)
			last = alarms[i].at_ns;
	loop_timer_init(&stop, on_stop, NULL);
	loop_timer_set(&loop, &stop, last + 1);
	run();
	for (size_t i = 0; i < ALARMS; i++)
		ck_assert_int_eq(alarms[i].fired,
		    alarms[i].at_ns != CLOCK_NEVER);
	ck_assert_uint_eq(loop.heap_len, 0);
}
END_TEST

START_TEST(never_is_a_cancel)
{
	struct loop_timer timer;

	loop_timer_init(&timer, on_stop, NULL);
	ck_assert(!loop_timer_is_set(&timer));
	loop_timer_cancel(&loop, &timer);
	loop_timer_set(&loop, &timer, CLOCK_NEVER);
	ck_assert(!loop_timer_is_set(&timer));
	loop_timer_set(&loop, &timer, clock_now_ns());
	ck_assert(loop_timer_is_set(&timer));
	loop_timer_set(&loop, &timer, CLOCK_NEVER);
	ck_assert(!loop_timer_is_set(&timer));
	ck_assert_uint_eq(loop.heap_len, 0);
	/* As far away as a moment can be is still some moment. */
	loop_timer_set(&loop, &timer, CLOCK_NEVER - 1);
	ck_assert(loop_timer_is_set(&timer));
	run_rounds(3);
	ck_assert(loop_timer_is_set(&timer));
}
END_TEST

struct again {
	struct loop_timer timer;
	int fired;
	int round;
};

static void
on_again(void *ctx)
{
	struct again *a = ctx;

	/* Once a round: or it would keep descriptors from their turn. */
	ck_assert_int_ne(rounds, a->round);
	a->round = rounds;
	if (++a->fired < 100)
		loop_timer_set(&loop, &a->timer, a->fired % 2 ? 0 : INT64_MIN);
	else
		loop_stop(&loop);
}

static int64_t
only_count(void *ctx)
{
	(void)ctx;
	rounds++;
	return CLOCK_NEVER;
}

START_TEST(a_timer_in_the_past_is_for_the_next_round)
{
	struct again a = { .round = -1 };

	loop.before_wait = only_count;
	loop_timer_init(&a.timer, on_again, &a);
	loop_timer_set(&loop, &a.timer, 0);
	run();
	ck_assert_int_eq(a.fired, 100);
	ck_assert_int_ge(rounds, 100);
}
END_TEST

/* Of two that are due at once the first to run takes the other away. */
struct rival {
	struct loop_timer timer;
	struct rival *other;
	int *ran;
};

static void
on_rival(void *ctx)
{
	struct rival *r = ctx;

	loop_timer_cancel(&loop, &r->other->timer);
	++*r->ran;
	free(r->other);
	free(r);
	loop_stop(&loop);
}

START_TEST(a_cancelled_timer_is_not_heard_of)
{
	int64_t at = clock_now_ns() + NS_PER_MS;
	struct rival *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));
	int ran = 0;

	*a = (struct rival){ .other = b, .ran = &ran };
	*b = (struct rival){ .other = a, .ran = &ran };
	loop_timer_init(&a->timer, on_rival, a);
	loop_timer_init(&b->timer, on_rival, b);
	loop_timer_set(&loop, &a->timer, at);
	loop_timer_set(&loop, &b->timer, at);
	run();
	ck_assert_int_eq(ran, 1);
	run_rounds(3);
	ck_assert_int_eq(ran, 1);
}
END_TEST

/* ---- descriptors */

struct ear {
	struct loop_io io;
	struct ear *other;
	int heard;
	unsigned events;
};

static void
on_ear(void *ctx, unsigned events)
{
	struct ear *e = ctx;

	e->heard++;
	e->events = events;
	loop_stop(&loop);
}

static void
make_pipe(int ends[2])
{
	ck_assert_int_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
}

static void
close_pipe(int ends[2])
{
	fd_close(&ends[0]);
	fd_close(&ends[1]);
}

START_TEST(readable_and_writable)
{
	struct ear in = { .heard = 0 }, out = { .heard = 0 };
	int ends[2];
	char c;

	make_pipe(ends);
	ck_assert_int_eq(loop_io_add(&loop, &in.io, ends[0], LOOP_READ, on_ear,
			     &in),
	    0);
	run_rounds(3);
	ck_assert_int_eq(in.heard, 0);
	ck_assert_int_eq(loop_io_add(&loop, &out.io, ends[1], LOOP_WRITE,
			     on_ear, &out),
	    0);
	run();
	ck_assert_uint_eq(out.events, LOOP_WRITE);
	loop_io_del(&loop, &out.io);
	ck_assert_int_eq(out.io.fd, -1);
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	run();
	ck_assert_uint_eq(in.events, LOOP_READ);
	/* Level-triggered: until it is read. */
	run();
	ck_assert_int_eq(in.heard, 2);
	ck_assert_int_eq(read(ends[0], &c, 1), 1);
	run_rounds(3);
	ck_assert_int_eq(in.heard, 2);
	/* A hang-up shows as what was wanted. */
	fd_close(&ends[1]);
	run();
	ck_assert_int_eq(in.heard, 3);
	ck_assert_uint_eq(in.events, LOOP_READ);
	loop_io_del(&loop, &in.io);
	close_pipe(ends);
}
END_TEST

START_TEST(a_hang_up_shows_as_all_that_was_wanted)
{
	struct ear e = { .heard = 0 };
	int pair[2];

	ck_assert_int_eq(fd_seqpacket_pair(pair), 0);
	ck_assert_int_eq(loop_io_add(&loop, &e.io, pair[0],
			     LOOP_READ | LOOP_WRITE, on_ear, &e),
	    0);
	fd_close(&pair[1]);
	run();
	ck_assert_uint_eq(e.events, LOOP_READ | LOOP_WRITE);
	ck_assert_int_eq(loop_io_want(&loop, &e.io, LOOP_WRITE), 0);
	run();
	ck_assert_uint_eq(e.events, LOOP_WRITE);
	loop_io_del(&loop, &e.io);
	fd_close(&pair[0]);
}
END_TEST

/* What the peer has sent before is left alone. */
START_TEST(a_hang_up_alone_can_be_wanted)
{
	struct ear e = { .heard = 0 };
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
			     pair),
	    0);
	ck_assert_int_eq(loop_io_add(&loop, &e.io, pair[0], LOOP_HANGUP, on_ear,
			     &e),
	    0);
	ck_assert_int_eq(write(pair[1], "x", 1), 1);
	run_rounds(3);
	ck_assert_int_eq(e.heard, 0);
	ck_assert_int_eq(shutdown(pair[1], SHUT_WR), 0);
	run();
	ck_assert_uint_eq(e.events, LOOP_HANGUP);
	ck_assert_int_eq(loop_io_want(&loop, &e.io, 0), 0);
	run_rounds(3);
	ck_assert_int_eq(e.heard, 1);
	ck_assert_int_eq(loop_io_want(&loop, &e.io, LOOP_HANGUP), 0);
	fd_close(&pair[1]);
	run();
	ck_assert_uint_eq(e.events, LOOP_HANGUP);
	loop_io_del(&loop, &e.io);
	fd_close(&pair[0]);
}
END_TEST

START_TEST(a_pause_is_one_even_after_a_hang_up)
{
	struct ear e = { .heard = 0 };
	int ends[2];

	make_pipe(ends);
	ck_assert_int_eq(loop_io_add(&loop, &e.io, ends[0], LOOP_READ, on_ear,
			     &e),
	    0);
	ck_assert_int_eq(loop_io_want(&loop, &e.io, 0), 0);
	ck_assert_int_eq(watched(ends[0]), -1);
	fd_close(&ends[1]);
	run_rounds(5);
	ck_assert_int_eq(e.heard, 0);
	ck_assert_int_eq(loop_io_want(&loop, &e.io, LOOP_READ), 0);
	run();
	ck_assert_int_eq(e.heard, 1);
	ck_assert_int_eq(loop_io_want(&loop, &e.io, 0), 0);
	ck_assert_int_eq(loop_io_want(&loop, &e.io, 0), 0);
	run_rounds(5);
	ck_assert_int_eq(e.heard, 1);
	/* A paused one can be removed, and one can be born paused. */
	loop_io_del(&loop, &e.io);
	ck_assert_int_eq(loop_io_add(&loop, &e.io, ends[0], 0, on_ear, &e), 0);
	run_rounds(5);
	ck_assert_int_eq(e.heard, 1);
	ck_assert_int_eq(loop_io_want(&loop, &e.io, LOOP_READ), 0);
	run();
	ck_assert_int_eq(e.heard, 2);
	loop_io_del(&loop, &e.io);
	close_pipe(ends);
}
END_TEST

/* Every change from every want to every other, as the kernel sees it. */
START_TEST(any_want_can_become_any_other)
{
	static const uint32_t bits[] = { EPOLLIN, EPOLLOUT, EPOLLEXCLUSIVE };
	struct ear e = { .heard = 0 };
	int pair[2];

	ck_assert_int_eq(fd_seqpacket_pair(pair), 0);
	for (unsigned from = 0; from < 8; from++)
		for (unsigned to = 0; to < 8; to++) {
			long expected = 0;

			ck_assert_int_eq(loop_io_add(&loop, &e.io, pair[0],
					     from, on_ear, &e),
			    0);
			ck_assert_int_eq(loop_io_want(&loop, &e.io, to), 0);
			for (int b = 0; b < 3; b++)
				expected |= to >> b & 1 ? (long)bits[b] : 0;
			if (!(to & (LOOP_READ | LOOP_WRITE)))
				expected = -1;
			ck_assert_int_eq(watched(pair[0]), expected);
			loop_io_del(&loop, &e.io);
			ck_assert_int_eq(watched(pair[0]), -1);
		}
	close_pipe(pair);
}
END_TEST

static void
on_rival_io(void *ctx, unsigned events)
{
	struct ear *e = ctx;

	(void)events;
	loop_io_del(&loop, &e->other->io);
	loop_io_del(&loop, &e->io);
	free(e->other);
	free(e);
	rounds_wanted--; /* the count of calls that are left */
}

/* Both are ready; whichever comes first frees both. */
START_TEST(a_removed_descriptor_is_not_heard_of)
{
	struct ear *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));
	int ends[2];

	make_pipe(ends);
	*a = (struct ear){ .other = b };
	*b = (struct ear){ .other = a };
	ck_assert_int_eq(loop_io_add(&loop, &a->io, ends[0], LOOP_READ,
			     on_rival_io, a),
	    0);
	ck_assert_int_eq(loop_io_add(&loop, &b->io, ends[1], LOOP_WRITE,
			     on_rival_io, b),
	    0);
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	run_rounds(10);
	/* One call took one round of the ten away. */
	ck_assert_int_eq(rounds_wanted, 9);
	close_pipe(ends);
}
END_TEST

static void
on_pauser(void *ctx, unsigned events)
{
	struct ear *e = ctx;

	e->heard++;
	e->events = events;
	ck_assert_int_eq(loop_io_want(&loop, &e->other->io, 0), 0);
}

START_TEST(a_pause_holds_from_the_same_round_on)
{
	struct ear a = { .heard = 0 }, b = { .other = &a };
	int ends[2];

	a.other = &b;
	make_pipe(ends);
	ck_assert_int_eq(loop_io_add(&loop, &a.io, ends[0], LOOP_READ,
			     on_pauser, &a),
	    0);
	ck_assert_int_eq(loop_io_add(&loop, &b.io, ends[1], LOOP_WRITE,
			     on_pauser, &b),
	    0);
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	run_rounds(4);
	ck_assert(a.heard == 0 || b.heard == 0);
	ck_assert_int_eq(a.heard + b.heard, 4);
	loop_io_del(&loop, &a.io);
	loop_io_del(&loop, &b.io);
	close_pipe(ends);
}
END_TEST

static int crowd_left;

static void
on_crowd(void *ctx, unsigned events)
{
	struct ear *e = ctx;
	int fd = e->io.fd;

	(void)events;
	loop_io_del(&loop, &e->io);
	fd_close(&fd);
	e->heard++;
	if (--crowd_left == 0)
		loop_stop(&loop);
}

START_TEST(more_are_ready_than_one_batch_holds)
{
	static struct ear crowd[3 * LOOP_BATCH + 1];

	memset(crowd, 0, sizeof(crowd));
	crowd_left = (int)(sizeof(crowd) / sizeof(crowd[0]));
	for (int i = 0, n = crowd_left; i < n; i++)
		ck_assert_int_eq(loop_io_add(&loop, &crowd[i].io,
				     eventfd(1, EFD_CLOEXEC), LOOP_READ,
				     on_crowd, &crowd[i]),
		    0);
	run();
	for (size_t i = 0; i < sizeof(crowd) / sizeof(crowd[0]); i++)
		ck_assert_int_eq(crowd[i].heard, 1);
}
END_TEST

START_TEST(what_cannot_be_watched_is_an_error)
{
	struct ear e = { .heard = 0 };
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(loop_io_add(&loop, &e.io, fd, LOOP_READ, on_ear, &e),
	    -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(e.io.fd, -1);
	loop_io_del(&loop, &e.io);
	fd_close(&fd);
}
END_TEST

START_TEST(removing_what_is_not_there_is_harmless)
{
	struct loop_io zeroed = { 0 }, idle = { .fd = -1 };
	struct loop_child child = { .pid = 0 };

	errno = ENOENT;
	loop_io_del(&loop, &zeroed);
	loop_io_del(&loop, &idle);
	loop_child_del(&loop, &child);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_ne(fcntl(0, F_GETFD), -1);
}
END_TEST

/* ---- a listening socket, watched exclusively by two loops */

static int
listen_on_loopback(struct sockaddr_in *at)
{
	socklen_t len = sizeof(*at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*at = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	ck_assert_int_eq(bind(fd, (struct sockaddr *)at, len), 0);
	ck_assert_int_eq(listen(fd, 10), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)at, &len), 0);
	return fd;
}

static void
on_connection(void *ctx, unsigned events)
{
	struct ear *e = ctx;
	int fd = accept4(e->io.fd, NULL, NULL, SOCK_CLOEXEC);

	ck_assert_uint_eq(events, LOOP_READ);
	ck_assert_int_ne(fd, -1);
	fd_close(&fd);
	e->heard++;
	loop_stop(&loop);
}

START_TEST(an_exclusive_listener_accepts)
{
	const unsigned want = LOOP_READ | LOOP_EXCLUSIVE;
	struct ear e = { .heard = 0 }, idle = { .heard = 0 };
	struct sockaddr_in at;
	struct loop other;
	int sock = listen_on_loopback(&at);

	ck_assert_int_eq(loop_init(&other), 0);
	ck_assert_int_eq(loop_io_add(&other, &idle.io, sock, want, on_ear,
			     &idle),
	    0);
	ck_assert_int_eq(loop_io_add(&loop, &e.io, sock, want, on_connection,
			     &e),
	    0);
	ck_assert_int_eq(watched(sock), EPOLLIN | EPOLLEXCLUSIVE);
	for (int i = 1; i <= 3; i++) {
		int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		/* As a worker does that has enough to do. */
		ck_assert_int_eq(loop_io_want(&loop, &e.io, 0), 0);
		ck_assert_int_eq(connect(client, (struct sockaddr *)&at,
				     sizeof(at)),
		    0);
		run_rounds(3);
		ck_assert_int_eq(e.heard, i - 1);
		ck_assert_int_eq(loop_io_want(&loop, &e.io, want), 0);
		run();
		ck_assert_int_eq(e.heard, i);
		fd_close(&client);
	}
	loop_io_del(&other, &idle.io);
	loop_release(&other);
	loop_io_del(&loop, &e.io);
	fd_close(&sock);
}
END_TEST

/* ---- signals */

static siginfo_t heard[LOOP_SIGNALS];
static int signals_heard;

static void
on_signal(void *ctx, const siginfo_t *info)
{
	ck_assert_ptr_eq(ctx, &heard);
	heard[info->si_signo] = *info;
	signals_heard++;
	loop_stop(&loop);
}

START_TEST(signals_are_delivered_here)
{
	sigset_t was;

	sigprocmask(SIG_SETMASK, NULL, &was);
	memset(heard, 0, sizeof(heard));
	signals_heard = 0;
	ck_assert_int_eq(loop_signal_add(&loop, SIGTERM, on_signal, &heard), 0);
	ck_assert_int_eq(loop_signal_add(&loop, SIGHUP, on_signal, &heard), 0);
	run_rounds(3);
	ck_assert_int_eq(signals_heard, 0);

	ck_assert_int_eq(kill(getpid(), SIGTERM), 0);
	run();
	ck_assert_int_eq(signals_heard, 1);
	ck_assert_int_eq(heard[SIGTERM].si_signo, SIGTERM);
	ck_assert_int_eq(heard[SIGTERM].si_pid, getpid());
	ck_assert_uint_eq(heard[SIGTERM].si_uid, getuid());
	ck_assert_int_eq(heard[SIGTERM].si_code, SI_USER);

	ck_assert_int_eq(raise(SIGHUP), 0);
	ck_assert_int_eq(kill(getpid(), SIGTERM), 0);
	run();
	ck_assert_int_eq(signals_heard, 3);
	ck_assert_int_eq(heard[SIGHUP].si_signo, SIGHUP);
	ck_assert_int_eq(heard[SIGHUP].si_code, SI_TKILL);

	/* Also one that was ignored, as a daemon's HUP may be. */
	signal(SIGUSR1, SIG_IGN);
	ck_assert_int_eq(loop_signal_add(&loop, SIGUSR1, on_signal, &heard), 0);
	ck_assert_int_eq(kill(getpid(), SIGUSR1), 0);
	run();
	ck_assert_int_eq(signals_heard, 4);
	signal(SIGUSR1, SIG_DFL);
	sigprocmask(SIG_SETMASK, &was, NULL);
}
END_TEST

START_TEST(no_such_signal)
{
	ck_assert_int_eq(loop_signal_add(&loop, 0, on_signal, NULL), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(loop_signal_add(&loop, -1, on_signal, NULL), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(loop_signal_add(&loop, LOOP_SIGNALS, on_signal, NULL),
	    -1);
	ck_assert_int_eq(errno, EINVAL);
}
END_TEST

/* A handler outside of the loop interrupts the wait, which goes on. */
static int interrupted[2];

static void
on_interrupt(int signo)
{
	ssize_t n = write(interrupted[1], "x", 1);

	(void)signo;
	(void)n;
}

START_TEST(an_interrupted_wait_goes_on)
{
	const struct itimerval soon = { .it_value.tv_usec = 1000 };
	struct sigaction action = { .sa_handler = on_interrupt };
	struct ear e = { .heard = 0 };

	make_pipe(interrupted);
	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	ck_assert_int_eq(loop_io_add(&loop, &e.io, interrupted[0], LOOP_READ,
			     on_ear, &e),
	    0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &soon, NULL), 0);
	run();
	ck_assert_int_eq(e.heard, 1);
	loop_io_del(&loop, &e.io);
	close_pipe(interrupted);
	signal(SIGALRM, SIG_DFL);
}
END_TEST

/* ---- children */

struct end {
	struct loop_child child;
	pid_t pid;
	int status;
	int ends;
};

static void
on_child(void *ctx, pid_t pid, int status)
{
	struct end *e = ctx;

	e->pid = pid;
	e->status = status;
	e->ends++;
	/* The watch is gone by now: it may be used for the next one. */
	ck_assert_int_eq(e->child.io.fd, -1);
	memset(&e->child, 0xa5, sizeof(e->child));
	loop_stop(&loop);
}

static pid_t
fork_child(int signo, int code)
{
	pid_t pid = fork();

	ck_assert_int_ne(pid, -1);
	if (pid != 0)
		return pid;
	if (signo != 0) {
		signal(signo, SIG_DFL);
		raise(signo);
	}
	_exit(code);
}

static void
watch_child(struct end *e, pid_t pid)
{
	*e = (struct end){ .pid = -1 };
	ck_assert_int_eq(loop_child_add(&loop, &e->child, pid, on_child, e), 0);
}

START_TEST(the_end_of_a_child_is_told)
{
	struct end e;
	pid_t pid;

	pid = fork_child(0, 42);
	watch_child(&e, pid);
	run();
	ck_assert_int_eq(e.pid, pid);
	ck_assert(WIFEXITED(e.status));
	ck_assert_int_eq(WEXITSTATUS(e.status), 42);
	ck_assert_int_eq(waitpid(pid, NULL, 0), -1);
	ck_assert_int_eq(errno, ECHILD);
	run_rounds(3);
	ck_assert_int_eq(e.ends, 1);

	pid = fork_child(SIGKILL, 0);
	watch_child(&e, pid);
	run();
	ck_assert_int_eq(e.pid, pid);
	ck_assert(WIFSIGNALED(e.status));
	ck_assert_int_eq(WTERMSIG(e.status), SIGKILL);
}
END_TEST

START_TEST(a_forgotten_child_is_left_unreaped)
{
	struct end e;
	pid_t pid = fork_child(0, 7);
	int status;

	watch_child(&e, pid);
	loop_child_del(&loop, &e.child);
	loop_child_del(&loop, &e.child);
	run_rounds(3);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(WEXITSTATUS(status), 7);
	run_rounds(3);
	ck_assert_int_eq(e.ends, 0);
}
END_TEST

START_TEST(a_child_that_another_reaped_did_not_succeed)
{
	struct end e;
	pid_t pid = fork_child(0, 0);

	watch_child(&e, pid);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	run();
	ck_assert_int_eq(e.pid, pid);
	ck_assert(WIFEXITED(e.status));
	ck_assert_int_eq(WEXITSTATUS(e.status), 255);
}
END_TEST

START_TEST(no_such_child)
{
	struct end e;
	pid_t pid = fork_child(0, 0);

	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	e = (struct end){ .pid = -1 };
	ck_assert_int_eq(loop_child_add(&loop, &e.child, pid, on_child, &e),
	    -1);
	loop_child_del(&loop, &e.child);
}
END_TEST

/* ---- the loop itself */

START_TEST(a_stop_counts_also_before_the_run)
{
	loop_stop(&loop);
	run();
	ck_assert_int_eq(rounds, 0);
	run_rounds(2);
	ck_assert_int_eq(rounds, 2);
}
END_TEST

static int64_t
stop_and_never(void *ctx)
{
	++*(int *)ctx;
	loop_stop(&loop);
	return CLOCK_NEVER;
}

static void
count_events(void *ctx, unsigned events)
{
	(void)events;
	++*(int *)ctx;
}

/* Nor does it look: who has found nothing left to do, and stops, is not given
 * more. */
START_TEST(a_stop_before_the_wait_does_not_wait)
{
	int calls = 0, events = 0, fd = eventfd(1, EFD_CLOEXEC);
	struct loop_io io;

	ck_assert_int_eq(loop_io_add(&loop, &io, fd, LOOP_READ, count_events,
			     &events),
	    0);
	loop.before_wait = stop_and_never;
	loop.before_wait_ctx = &calls;
	run();
	ck_assert_int_eq(calls, 1);
	ck_assert_int_eq(events, 0);
	loop_io_del(&loop, &io);
	close(fd);
}
END_TEST

static int64_t
wake_soon(void *ctx)
{
	int *calls = ctx;

	if (++*calls == 3)
		loop_stop(&loop);
	return clock_now_ns() + NS_PER_US;
}

/* Without a timer or a descriptor only before_wait can end the wait. */
START_TEST(before_wait_bounds_the_wait)
{
	struct loop_timer timer;
	int64_t before = loop_now(&loop);
	int calls = 0;

	loop_timer_init(&timer, on_stop, NULL);
	loop_timer_set(&loop, &timer, CLOCK_NEVER - 1);
	loop.before_wait = wake_soon;
	loop.before_wait_ctx = &calls;
	run();
	ck_assert_int_eq(calls, 3);
	ck_assert_int_gt(loop_now(&loop), before);
}
END_TEST

static int64_t
set_a_timer(void *ctx)
{
	struct loop_timer *timer = ctx;

	if (!loop_timer_is_set(timer))
		loop_timer_set(&loop, timer, clock_now_ns() + NS_PER_US);
	return CLOCK_NEVER;
}

START_TEST(a_timer_set_before_the_wait_bounds_it)
{
	struct loop_timer timer;

	loop_timer_init(&timer, on_stop, NULL);
	loop.before_wait = set_a_timer;
	loop.before_wait_ctx = &timer;
	run();
	ck_assert(!loop_timer_is_set(&timer));
}
END_TEST

/* A round's descriptors come before its timers. */
static char order[8];

static void
on_order_io(void *ctx, unsigned events)
{
	struct loop_io *io = ctx;

	(void)events;
	strcat(order, "i");
	loop_io_del(&loop, io);
}

static void
on_order_timer(void *ctx)
{
	(void)ctx;
	strcat(order, "t");
	loop_stop(&loop);
}

START_TEST(descriptors_come_before_timers)
{
	struct loop_timer timer;
	struct loop_io io;
	int fd = eventfd(1, EFD_CLOEXEC);

	order[0] = '\0';
	loop_timer_init(&timer, on_order_timer, NULL);
	loop_timer_set(&loop, &timer, 0);
	ck_assert_int_eq(loop_io_add(&loop, &io, fd, LOOP_READ, on_order_io,
			     &io),
	    0);
	run();
	ck_assert_str_eq(order, "it");
	fd_close(&fd);
}
END_TEST

/* What a child does to its copy: 0, and the parent's loop is whole. */
static int
leave_loop(struct ear *e, struct loop_timer *timer)
{
	loop_release(&loop);
	loop_io_del(&loop, &e->io);
	loop_timer_cancel(&loop, timer);
	if (loop_timer_is_set(timer) || loop_init(&loop) == -1)
		return 1;
	loop_timer_set(&loop, timer, 0);
	if (loop_run(&loop) == -1)
		return 2;
	loop_release(&loop);
	return 0;
}

START_TEST(a_child_takes_nothing_from_its_parent)
{
	struct ear e = { .heard = 0 };
	struct loop_timer timer;
	int ends[2], status;
	pid_t pid;

	make_pipe(ends);
	ck_assert_int_eq(loop_io_add(&loop, &e.io, ends[0], LOOP_READ, on_ear,
			     &e),
	    0);
	loop_timer_init(&timer, on_stop, NULL);
	loop_timer_set(&loop, &timer, clock_now_ns() + 3600 * NS_PER_S);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0)
		_exit(leave_loop(&e, &timer));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);

	ck_assert(loop_timer_is_set(&timer));
	ck_assert_int_eq(watched(ends[0]), EPOLLIN);
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	run();
	ck_assert_int_eq(e.heard, 1);
	loop_io_del(&loop, &e.io);
	close_pipe(ends);
}
END_TEST

START_TEST(a_timer_outlives_its_loop)
{
	struct loop_timer a, b;

	loop_timer_init(&a, on_stop, NULL);
	loop_timer_init(&b, on_stop, NULL);
	loop_timer_set(&loop, &a, CLOCK_NEVER - 2);
	loop_timer_set(&loop, &b, CLOCK_NEVER - 1);
	loop_release(&loop);
	ck_assert_int_eq(loop_init(&loop), 0);
	/* b has an index of the old heap, which is a's place here. */
	loop_timer_set(&loop, &b, CLOCK_NEVER - 1);
	loop_timer_set(&loop, &a, 0);
	ck_assert_uint_eq(loop.heap_len, 2);
	run();
	ck_assert(!loop_timer_is_set(&a));
	ck_assert(loop_timer_is_set(&b));
	ck_assert_uint_eq(loop.heap_len, 1);
}
END_TEST

START_TEST(a_wait_that_fails_ends_the_run)
{
	fd_close(&loop.epoll_fd);
	errno = 0;
	ck_assert_int_eq(loop_run(&loop), -1);
	ck_assert_int_eq(errno, EBADF);
}
END_TEST

static void
add_timer_tests(TCase *tests)
{
	tcase_add_loop_test(tests, timers_fire_in_order, 0, 5);
	tcase_add_test(tests, never_is_a_cancel);
	tcase_add_test(tests, a_timer_in_the_past_is_for_the_next_round);
	tcase_add_test(tests, a_cancelled_timer_is_not_heard_of);
	tcase_add_test(tests, a_timer_outlives_its_loop);
}

static void
add_io_tests(TCase *tests)
{
	tcase_add_test(tests, readable_and_writable);
	tcase_add_test(tests, a_hang_up_shows_as_all_that_was_wanted);
	tcase_add_test(tests, a_hang_up_alone_can_be_wanted);
	tcase_add_test(tests, a_pause_is_one_even_after_a_hang_up);
	tcase_add_test(tests, any_want_can_become_any_other);
	tcase_add_test(tests, a_removed_descriptor_is_not_heard_of);
	tcase_add_test(tests, a_pause_holds_from_the_same_round_on);
	tcase_add_test(tests, more_are_ready_than_one_batch_holds);
	tcase_add_test(tests, what_cannot_be_watched_is_an_error);
	tcase_add_test(tests, removing_what_is_not_there_is_harmless);
	tcase_add_test(tests, an_exclusive_listener_accepts);
}

static void
add_process_tests(TCase *tests)
{
	tcase_add_test(tests, signals_are_delivered_here);
	tcase_add_test(tests, no_such_signal);
	tcase_add_test(tests, an_interrupted_wait_goes_on);
	tcase_add_test(tests, the_end_of_a_child_is_told);
	tcase_add_test(tests, a_forgotten_child_is_left_unreaped);
	tcase_add_test(tests, a_child_that_another_reaped_did_not_succeed);
	tcase_add_test(tests, no_such_child);
	tcase_add_test(tests, a_child_takes_nothing_from_its_parent);
}

static void
add_run_tests(TCase *tests)
{
	tcase_add_test(tests, a_stop_counts_also_before_the_run);
	tcase_add_test(tests, a_stop_before_the_wait_does_not_wait);
	tcase_add_test(tests, before_wait_bounds_the_wait);
	tcase_add_test(tests, a_timer_set_before_the_wait_bounds_it);
	tcase_add_test(tests, descriptors_come_before_timers);
	tcase_add_test(tests, a_wait_that_fails_ends_the_run);
}

int
main(void)
{
	Suite *suite = suite_create("loop");
	TCase *tests = tcase_create("loop");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, setup, teardown);
	add_timer_tests(tests);
	add_io_tests(tests);
	add_process_tests(tests);
	add_run_tests(tests);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
