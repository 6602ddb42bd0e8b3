/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loop - one event loop for every role: epoll, a timer heap, signals and child
 * exits as descriptors.
 *
 * One round: before_wait (which may end it all), one wait, the ready
 * descriptors in the order the kernel names them, then the timers that have
 * expired, earliest first. epoll is level-triggered, so a callback may leave
 * work for the next round. A loop with nothing to wait for sleeps for good.
 *
 * Freed memory is never touched: loop_io_del() strikes the entry from the batch
 * being dispatched, and a timer leaves the heap before its callback runs.
 *
 * epoll belongs to the open file description, which a forked child shares: the
 * child calls loop_release() first of all, which says nothing to the kernel
 * but close(2); from then on loop_io_del() and the like are harmless.
 */
#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"

#define LOOP_DIRECTIONS (LOOP_READ | LOOP_WRITE | LOOP_HANGUP)
#define LOOP_SIGNAL_BATCH 16

/* ---- the heap: heap[i] is due no later than heap[2i+1] and heap[2i+2] */

static void
heap_place(struct loop *loop, size_t i, struct loop_timer *timer)
{
	loop->heap[i] = timer;
	timer->index = i;
}

static void
heap_up(struct loop *loop, size_t i, struct loop_timer *timer)
{
	size_t parent;

	while (i > 0) {
		parent = (i - 1) / 2;
		if (loop->heap[parent]->at_ns <= timer->at_ns)
			break;
		heap_place(loop, i, loop->heap[parent]);
		i = parent;
	}
	heap_place(loop, i, timer);
}

static void
heap_down(struct loop *loop, size_t i, struct loop_timer *timer)
{
	size_t child;

	while ((child = 2 * i + 1) < loop->heap_len) {
		if (child + 1 < loop->heap_len &&
		    loop->heap[child + 1]->at_ns < loop->heap[child]->at_ns)
			child++;
		if (timer->at_ns <= loop->heap[child]->at_ns)
			break;
		heap_place(loop, i, loop->heap[child]);
		i = child;
	}
	heap_place(loop, i, timer);
}

/* Where the timer belongs when slot i is free, or holds it with a new time. */
static void
heap_settle(struct loop *loop, size_t i, struct loop_timer *timer)
{
	if (i > 0 && timer->at_ns < loop->heap[(i - 1) / 2]->at_ns)
		heap_up(loop, i, timer);
	else
		heap_down(loop, i, timer);
}

/* A timer may outlive a loop that it was set in, so its index is not enough. */
static bool
heap_has(const struct loop *loop, const struct loop_timer *timer)
{
	return timer->at_ns != CLOCK_NEVER && timer->index < loop->heap_len &&
	    loop->heap[timer->index] == timer;
}

void
loop_timer_init(struct loop_timer *timer, loop_timer_fn *fn, void *ctx)
{
	*timer = (struct loop_timer){ .at_ns = CLOCK_NEVER,
		.fn = fn,
		.ctx = ctx };
}

void
loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t at_ns)
{
	if (at_ns == CLOCK_NEVER) {
		loop_timer_cancel(loop, timer);
		return;
	}
	/* What is due already is for the next round: a callback that sets
	 * its own timer to the past must not keep this round going. */
	if (at_ns <= loop->now_ns)
		at_ns = loop->now_ns + 1;

	if (heap_has(loop, timer)) {
		timer->at_ns = at_ns;
		heap_settle(loop, timer->index, timer);
		return;
	}
	if (loop->heap_len == loop->heap_size) {
		loop->heap_size = loop->heap_size > 0 ? loop->heap_size * 2 :
							16;
		loop->heap = mem_grow(loop->heap, loop->heap_size,
		    sizeof(*loop->heap));
	}
	timer->at_ns = at_ns;
	heap_up(loop, loop->heap_len++, timer);
}

void
loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
	struct loop_timer *last;

	if (heap_has(loop, timer)) {
		last = loop->heap[--loop->heap_len];
		if (last != timer)
			heap_settle(loop, timer->index, last);
	}
	timer->at_ns = CLOCK_NEVER;
}

bool
loop_timer_is_set(const struct loop_timer *timer)
{
	return timer->at_ns != CLOCK_NEVER;
}

static void
loop_fire_timers(struct loop *loop)
{
	struct loop_timer *timer;

	while (loop->heap_len > 0 && loop->heap[0]->at_ns <= loop->now_ns) {
		timer = loop->heap[0];
		loop_timer_cancel(loop, timer);
		timer->fn(timer->ctx);
	}
}

/* ---- descriptors */

static int
loop_epoll_set(struct loop *loop, int op, struct loop_io *io, unsigned want)
{
	struct epoll_event ev = { .data.ptr = io };

	ev.events = (want & LOOP_READ ? EPOLLIN : 0u) |
	    (want & LOOP_WRITE ? EPOLLOUT : 0u) |
	    (want & LOOP_HANGUP ? EPOLLRDHUP : 0u) |
	    (want & LOOP_EXCLUSIVE ? EPOLLEXCLUSIVE : 0u);
	return epoll_ctl(loop->epoll_fd, op, io->fd, &ev);
}

int
loop_io_add(struct loop *loop, struct loop_io *io, int fd, unsigned want,
    loop_io_fn *fn, void *ctx)
{
	*io = (struct loop_io){ .fd = fd, .want = want, .fn = fn, .ctx = ctx };
	if (!(want & LOOP_DIRECTIONS))
		return 0;
	if (loop_epoll_set(loop, EPOLL_CTL_ADD, io, want) == -1) {
		io->fd = -1;
		return -1;
	}
	return 0;
}

int
loop_io_want(struct loop *loop, struct loop_io *io, unsigned want)
{
	unsigned had = io->want;
	bool in = had & LOOP_DIRECTIONS, stays = want & LOOP_DIRECTIONS;

	if (want == had)
		return 0;
	if (in && stays && !((had | want) & LOOP_EXCLUSIVE)) {
		if (loop_epoll_set(loop, EPOLL_CTL_MOD, io, want) == -1)
			return -1;
		io->want = want;
		return 0;
	}
	/* An exclusive entry cannot be modified. A paused one must be taken
	 * out, as epoll reports errors and hang-ups unasked. */
	if (in && loop_epoll_set(loop, EPOLL_CTL_DEL, io, 0) == -1)
		return -1;
	io->want = 0;
	if (stays && loop_epoll_set(loop, EPOLL_CTL_ADD, io, want) == -1)
		return -1;
	io->want = want;
	return 0;
}

void
loop_io_del(struct loop *loop, struct loop_io *io)
{
	int saved = errno;

	/* fn tells a zeroed entry, which was never added, from descriptor 0. */
	if (io->fd == -1 || io->fn == NULL)
		return;
	if (io->want & LOOP_DIRECTIONS)
		loop_epoll_set(loop, EPOLL_CTL_DEL, io, 0);
	for (int i = 0; i < loop->batch_len; i++)
		if (loop->batch[i].data.ptr == io)
			loop->batch[i].data.ptr = NULL;
	io->fd = -1;
	errno = saved;
}

static void
loop_dispatch(struct loop *loop)
{
	struct loop_io *io;
	unsigned events, got;

	for (int i = 0; i < loop->batch_len; i++) {
		io = loop->batch[i].data.ptr;
		if (io == NULL)
			continue;
		got = loop->batch[i].events;
		events = (got & EPOLLIN ? LOOP_READ : 0u) |
		    (got & EPOLLOUT ? LOOP_WRITE : 0u) |
		    (got & EPOLLRDHUP ? LOOP_HANGUP : 0u);
		if (got & (EPOLLERR | EPOLLHUP))
			events = LOOP_DIRECTIONS;
		/* An earlier callback of this round may have paused it. */
		events &= io->want;
		if (events != 0)
			io->fn(io->ctx, events);
	}
	loop->batch_len = 0;
}

/* ---- signals */

static void
loop_on_signal(void *ctx, unsigned events)
{
	struct loop *loop = ctx;
	struct signalfd_siginfo got[LOOP_SIGNAL_BATCH];
	struct loop_signal *to;
	siginfo_t info;
	ssize_t n;

	(void)events;
	do
		n = read(loop->signal_fd, got, sizeof(got));
	while (n == -1 && errno == EINTR);

	for (ssize_t i = 0; i < n / (ssize_t)sizeof(got[0]); i++) {
		info = (siginfo_t){ .si_signo = (int)got[i].ssi_signo };
		info.si_code = got[i].ssi_code;
		info.si_pid = (pid_t)got[i].ssi_pid;
		info.si_uid = got[i].ssi_uid;
		if (got[i].ssi_signo >= LOOP_SIGNALS)
			continue;
		to = &loop->signal[got[i].ssi_signo];
		if (to->fn != NULL)
			to->fn(to->ctx, &info);
	}
}

int
loop_signal_add(struct loop *loop, int signo, loop_signal_fn *fn, void *ctx)
{
	sigset_t one, all = loop->signals;
	int fd;

	if (signo < 1 || signo >= LOOP_SIGNALS) {
		errno = EINVAL;
		return -1;
	}
	sigemptyset(&one);
	sigaddset(&one, signo);
	sigaddset(&all, signo);
	if (sigprocmask(SIG_BLOCK, &one, NULL) == -1)
		return -1;
	fd = signalfd(loop->signal_fd, &all, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd == -1)
		return -1;
	if (loop->signal_fd == -1 &&
	    loop_io_add(loop, &loop->signal_io, fd, LOOP_READ, loop_on_signal,
		loop) == -1) {
		fd_close(&fd);
		return -1;
	}
	loop->signal_fd = fd;
	loop->signals = all;
	loop->signal[signo] = (struct loop_signal){ .fn = fn, .ctx = ctx };
	return 0;
}

/* ---- the loop itself */

int
loop_init(struct loop *loop)
{
	*loop = (struct loop){ .signal_fd = -1, .signal_io.fd = -1 };
	sigemptyset(&loop->signals);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd == -1)
		return -1;
	loop->batch = mem_array(LOOP_BATCH, sizeof(*loop->batch));
	loop->now_ns = clock_now_ns();
	return 0;
}

void
loop_release(struct loop *loop)
{
	fd_close(&loop->signal_fd);
	fd_close(&loop->epoll_fd);
	free(loop->batch);
	free(loop->heap);
	*loop = (struct loop){ .epoll_fd = -1,
		.signal_fd = -1,
		.signal_io.fd = -1 };
}

void
loop_stop(struct loop *loop)
{
	loop->stop = true;
}

int64_t
loop_now(const struct loop *loop)
{
	return loop->now_ns;
}

/* How long the next wait may take: 0 no time, -1 for ever. */
static int64_t
loop_timeout(struct loop *loop)
{
	int64_t at = CLOCK_NEVER, now;

	/* First, as it may set timers, or stop the loop. */
	if (loop->before_wait != NULL)
		at = loop->before_wait(loop->before_wait_ctx);
	if (loop->heap_len > 0 && loop->heap[0]->at_ns < at)
		at = loop->heap[0]->at_ns;
	if (at == CLOCK_NEVER)
		return -1;
	now = clock_now_ns();
	return at > now ? at - now : 0;
}

/* Rounded up, or a timer would be found not due yet, again and again. */
static int
loop_timeout_ms(int64_t timeout_ns)
{
	int64_t ms;

	if (timeout_ns < 0)
		return -1;
	ms = timeout_ns / NS_PER_MS + (timeout_ns % NS_PER_MS > 0);
	return ms < INT_MAX ? (int)ms : INT_MAX;
}

static int
loop_wait(struct loop *loop, int64_t timeout_ns)
{
	struct timespec ts = { .tv_sec = (time_t)(timeout_ns / NS_PER_S),
		.tv_nsec = (long)(timeout_ns % NS_PER_S) };
	static bool no_pwait2; /* a kernel before 5.11, valgrind */
	int n = -1;

	if (!no_pwait2) {
		n = epoll_pwait2(loop->epoll_fd, loop->batch, LOOP_BATCH,
		    timeout_ns < 0 ? NULL : &ts, NULL);
		no_pwait2 = n == -1 && errno == ENOSYS;
	}
	if (no_pwait2)
		n = epoll_wait(loop->epoll_fd, loop->batch, LOOP_BATCH,
		    loop_timeout_ms(timeout_ns));
	if (n == -1 && errno == EINTR)
		n = 0;
	return n;
}

int
loop_run(struct loop *loop)
{
	int64_t timeout_ns;
	int n;

	while (!loop->stop) {
		timeout_ns = loop_timeout(loop);
		/* it has found all done: it is not given more now */
		if (loop->stop)
			break;
		n = loop_wait(loop, timeout_ns);
		if (n == -1)
			return -1;
		loop->batch_len = n;
		loop->now_ns = clock_now_ns();
		loop_dispatch(loop);
		loop_fire_timers(loop);
	}
	loop->stop = false;
	return 0;
}
