/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loop_child - the ends of children, for loop.h.
 *
 * A child is watched through its pidfd, which becomes readable when it ends: no
 * signal, no look at the others. Where pidfd_open(2) is missing (a valgrind
 * that does not know it, a kernel before 5.3) a SIGCHLD has each child of that
 * kind looked at instead, which costs more and tells the same.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/loop.h"

/* True when it had ended; it is no longer watched and `fn` was called then. */
static bool
loop_child_reap(struct loop_child *child)
{
	pid_t pid;
	int status;

	do
		pid = waitpid(child->pid, &status, WNOHANG);
	while (pid == -1 && errno == EINTR);
	if (pid == 0)
		return false;
	/* Somebody else reaped it. Its end is certain, how it ended is not: it
	 * must not pass for the success that it may not have been. */
	if (pid == -1)
		status = W_EXITCODE(255, 0);
	pid = child->pid;
	loop_child_del(child->loop, child);
	child->fn(child->ctx, pid, status);
	return true;
}

static void
loop_on_child(void *ctx, unsigned events)
{
	(void)events;
	loop_child_reap(ctx);
}

static void
loop_on_sigchld(void *ctx, const siginfo_t *info)
{
	struct loop *loop = ctx;
	struct loop_child *child = loop->polled;

	(void)info;
	/* a callback may change the list: after each one from the start */
	while (child != NULL)
		child = loop_child_reap(child) ? loop->polled : child->next;
}

static int
loop_child_poll(struct loop *loop, struct loop_child *child)
{
	if (kill(child->pid, 0) == -1)
		return -1;
	if (loop->signal[SIGCHLD].fn == NULL &&
	    loop_signal_add(loop, SIGCHLD, loop_on_sigchld, loop) == -1)
		return -1;
	child->next = loop->polled;
	loop->polled = child;
	/* it may have ended before we listened */
	return kill(getpid(), SIGCHLD);
}

int
loop_child_add(struct loop *loop, struct loop_child *child, pid_t pid,
    loop_child_fn *fn, void *ctx)
{
	int fd;

	*child = (struct loop_child){ .io.fd = -1,
		.pid = pid,
		.fn = fn,
		.ctx = ctx,
		.loop = loop };
	fd = fd_of_pid(pid);
	if (fd == -1 && errno == ENOSYS)
		return loop_child_poll(loop, child);
	if (fd == -1)
		return -1;
	if (loop_io_add(loop, &child->io, fd, LOOP_READ, loop_on_child,
		child) == -1) {
		fd_close(&fd);
		return -1;
	}
	return 0;
}

void
loop_child_del(struct loop *loop, struct loop_child *child)
{
	struct loop_child **at = &loop->polled;
	int fd = child->io.fn != NULL ? child->io.fd : -1;

	loop_io_del(loop, &child->io);
	fd_close(&fd);
	while (*at != NULL && *at != child)
		at = &(*at)->next;
	if (*at != NULL)
		*at = child->next;
}
