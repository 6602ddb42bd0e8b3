/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loop - one event loop for every role: epoll, a timer heap, signals and child
 * exits as descriptors.
 *
 * Our own because idle workers share a listening socket, and only
 * EPOLLEXCLUSIVE in the very epoll set that waits keeps a connection from
 * waking them all; no event library registers it.
 *
 * The owner embeds loop_io, loop_timer and so on; the loop allocates nothing
 * per event. A callback may add, change or remove anything, itself included,
 * and free what it removed: an event of the same round for a removed entry is
 * dropped. Callbacks must not block.
 *
 * Errors: -1 with errno from the system call.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum loop_want {
	LOOP_READ = 1,
	LOOP_WRITE = 2,
	LOOP_EXCLUSIVE = 4,	/* wake one waiter of many (EPOLLEXCLUSIVE) */
	LOOP_HANGUP = 8,	/* the peer sends no more (EPOLLRDHUP); not
				   with LOOP_EXCLUSIVE */
};

struct loop;
struct loop_io;
struct loop_timer;

/* `events` has LOOP_READ, LOOP_WRITE, LOOP_HANGUP; an error or a hang-up of
 * both ways shows as all that was wanted, so that the next read or write
 * reports it. */
typedef void loop_io_fn(void *ctx, unsigned events);
typedef void loop_timer_fn(void *ctx);
typedef void loop_signal_fn(void *ctx, const siginfo_t *info);
/* `status` as waitpid(2) gives it; the child has been reaped. */
typedef void loop_child_fn(void *ctx, pid_t pid, int status);

struct loop_io {
	int fd;			/* -1 while not in a loop */
	unsigned want;
	loop_io_fn *fn;
	void *ctx;
};

struct loop_timer {
	int64_t at_ns;		/* CLOCK_NEVER while not set */
	loop_timer_fn *fn;
	void *ctx;
	size_t index;		/* in the heap */
};

struct loop_child {
	struct loop_io io;	/* its pidfd */
	pid_t pid;
	loop_child_fn *fn;
	void *ctx;
	struct loop *loop;
	struct loop_child *next;	/* of those without a pidfd */
};

struct loop_signal {
	loop_signal_fn *fn;
	void *ctx;
};

#define LOOP_BATCH 64
#define LOOP_SIGNALS 65

struct epoll_event;

struct loop {
	int epoll_fd;
	int signal_fd;
	sigset_t signals;
	struct loop_io signal_io;
	struct loop_signal signal[LOOP_SIGNALS];	/* by number */
	struct loop_child *polled;	/* children without a pidfd */
	struct loop_timer **heap;
	size_t heap_len, heap_size;
	struct epoll_event *batch;	/* LOOP_BATCH, being dispatched */
	int batch_len;
	bool stop;
	/*
	 * Called before each wait when not NULL; returns a moment at which to
	 * wake up at the latest (CLOCK_NEVER: none), 0 not to sleep at all. If
	 * it stops the loop, nothing is waited for or dispatched any more.
	 */
	int64_t (*before_wait)(void *ctx);
	void *before_wait_ctx;
	int64_t now_ns;		/* of the last wake-up */
};

int loop_init(struct loop *loop);

/* Closes what the loop opened, and frees. In a forked child it takes nothing
 * away from the parent's loop. Restores no signal mask. */
void loop_release(struct loop *loop);

/* Runs until loop_stop(). Returns 0, or -1 when waiting itself failed. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* The time of the last wake-up, good enough to age things by. */
int64_t loop_now(const struct loop *loop);

int loop_io_add(struct loop *loop, struct loop_io *io, int fd, unsigned want,
    loop_io_fn *fn, void *ctx);
/* Changes what is waited for; 0 pauses. */
int loop_io_want(struct loop *loop, struct loop_io *io, unsigned want);
/* Does not close the descriptor. Harmless when it is not in the loop. */
void loop_io_del(struct loop *loop, struct loop_io *io);

void loop_timer_init(struct loop_timer *timer, loop_timer_fn *fn, void *ctx);
/* Sets or moves it; it fires once, at or after at_ns. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t at_ns);
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer);
bool loop_timer_is_set(const struct loop_timer *timer);

/* Blocks the signal in this thread and has it delivered here instead. */
int loop_signal_add(struct loop *loop, int signo, loop_signal_fn *fn,
    void *ctx);

/*
 * Watches a child process of ours through a pidfd; when it ends it is reaped,
 * the watch removed, then `fn` called. loop_child_del() forgets it unreaped.
 */
int loop_child_add(struct loop *loop, struct loop_child *child, pid_t pid,
    loop_child_fn *fn, void *ctx);
void loop_child_del(struct loop *loop, struct loop_child *child);

#endif
