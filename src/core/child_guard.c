/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * child_guard - what a child still does when a handler takes it down.
 *
 * A fatal signal, an exit() or an overrun inside a handler must not leave the
 * client without an answer nor the master without a reason. All of it runs in
 * signal handlers, on an alternate stack (the stack may be what overflowed),
 * and calls only what is safe there; the answer is a text that was prepared
 * before the handler ran. dladdr() is the one liberty: it takes the loader's
 * lock, so a crash inside the loader ends at the master's KILL instead.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/child.h"

#define GUARD_STACK 65536
#define GUARD_FRAMES 32
/* trace_write(), on_fatal() and the kernel's return from it: no news. */
#define GUARD_OWN_FRAMES 3
/* An orphan has this long to answer what it is serving. */
#define GUARD_ORPHAN_NS 700000000L

static struct {
	struct slot *slot;
	int fd;
	const char *crash_text, *overrun_text;
	volatile sig_atomic_t active;
	volatile sig_atomic_t answered;
	timer_t orphan_timer;
	bool dies_at_once;
	bool in_row; /* one handler after the other */
	bool deadly; /* the master's death is ours at this moment */
	/* child_guard_entrust()'s */
	volatile sig_atomic_t entrusted;
	volatile sig_atomic_t hurry; /* said when nothing was */
	volatile sig_atomic_t delivering;
	int line;
	const char *bytes;
	size_t len;
	volatile size_t sent;
	const void *program; /* where broodd itself is loaded */
} guard = { .fd = -1 };

static const int fatal_signals[] = {
	SIGSEGV,
	SIGBUS,
	SIGFPE,
	SIGILL,
	SIGABRT,
	SIGSYS,
	SIGTRAP,
};

/* The order to give up is for one call, and may come when it is over. */
static bool
guard_overran(void)
{
	return guard.active &&
	    guard.slot->cancel == guard.slot->call.started_ns;
}

static void
guard_send(const char *text)
{
	if (guard.answered || guard.fd < 0 || !text)
		return;
	guard.answered = 1;
	ssize_t n = send(guard.fd, text, strlen(text),
	    MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)n; /* a peer that takes no more has left */
}

/* Not by a process that the handler has forked, and not from a signal between
 * the sending and the counting: who is woken by the one may send the other. */
static void
guard_deliver(void)
{
	if (!guard.entrusted || guard.delivering || guard.slot->pid != getpid())
		return;
	guard.delivering = 1;
	ssize_t n = send(guard.line, guard.bytes + guard.sent,
	    guard.len - guard.sent, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		guard.sent += (size_t)n;
	guard.delivering = 0;
}

/* Appends "text" to the trace without stdio; cut at the end of the room. */
static size_t
trace_add(char *trace, size_t len, size_t size, const char *text)
{
	while (*text && len + 1 < size)
		trace[len++] = *text++;
	trace[len] = '\0';
	return len;
}

static size_t
trace_add_hex(char *trace, size_t len, size_t size, uintptr_t value)
{
	char digits[2 * sizeof value + 1];
	size_t i = sizeof digits - 1;

	digits[i] = '\0';
	do {
		digits[--i] = "0123456789abcdef"[value % 16];
		value /= 16;
	} while (value);
	return trace_add(trace, len, size, &digits[i]);
}

/* A line a frame: "cruncher.so(upload+0x1f)", or "cruncher.so(+0x11f9)" for
 * addr2line(1) where there is no symbol. */
__attribute__((noinline)) static void
trace_write(struct slot_crash *crash)
{
	void *frame[GUARD_FRAMES];
	size_t len = 0, size = sizeof crash->trace;

	int n = backtrace(frame, GUARD_FRAMES);
	for (int i = GUARD_OWN_FRAMES; i < n; i++) {
		Dl_info info;
		uintptr_t at = (uintptr_t)frame[i];
		if (!dladdr(frame[i], &info) || !info.dli_fname) {
			len = trace_add(crash->trace, len, size, "0x");
			len = trace_add_hex(crash->trace, len, size, at);
			len = trace_add(crash->trace, len, size, "\n");
			continue;
		}
		/* the name of the program itself is where its title is now */
		const char *name = info.dli_fbase == guard.program ?
		    "broodd" :
		    info.dli_fname;
		const char *base = strrchr(name, '/');
		len = trace_add(crash->trace, len, size,
		    base ? base + 1 : name);
		len = trace_add(crash->trace, len, size, "(");
		if (info.dli_sname)
			len = trace_add(crash->trace, len, size,
			    info.dli_sname);
		len = trace_add(crash->trace, len, size, "+0x");
		len = trace_add_hex(crash->trace, len, size,
		    at -
			(uintptr_t)(info.dli_sname ? info.dli_saddr :
						     info.dli_fbase));
		len = trace_add(crash->trace, len, size, ")\n");
	}
	crash->depth = n;
}

static void
on_fatal(int signo, siginfo_t *info, void *context)
{
	struct slot_crash *crash = &guard.slot->crash;

	(void)context;
	guard_deliver();
	if (guard.active)
		guard_send(
		    guard_overran() ? guard.overrun_text : guard.crash_text);
	if (!crash->signo) {
		crash->address = (uintptr_t)info->si_addr;
		/* said before the trace: walking a ruined stack may crash */
		crash->signo = signo;
		trace_write(crash);
	}
	/* the default action again, so that the master sees the signal */
	signal(signo, SIG_DFL);
	sigset_t one;
	sigemptyset(&one);
	sigaddset(&one, signo);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	raise(signo);
}

static void
on_overrun(int signo)
{
	int saved = errno;

	(void)signo;
	guard_deliver();
	if (guard_overran())
		guard_send(guard.overrun_text);
	errno = saved;
}

static void
on_hurry(int signo)
{
	int saved = errno;

	(void)signo;
	if (!guard.entrusted)
		guard.hurry = 1;
	guard_deliver();
	errno = saved;
}

/* The loop sees the channel's end as well and drains; this is for a handler
 * that does not come back to it in time. */
static void
on_orphan(int signo)
{
	struct itimerspec spec = { .it_value.tv_nsec = GUARD_ORPHAN_NS };

	(void)signo;
	timer_settime(guard.orphan_timer, 0, &spec, NULL);
}

static void
on_exit_call(void)
{
	if (!guard.active)
		return;
	guard_deliver();
	guard_send(guard.crash_text);
	snprintf(guard.slot->last_error, sizeof guard.slot->last_error,
	    "a handler called exit()");
	_exit(CHILD_EXIT_SOFTWARE);
}

int
child_guard_init(struct slot *slot)
{
	struct sigaction sa = { .sa_flags = SA_SIGINFO | SA_ONSTACK };
	/* a mapping of its own, with no neighbour to run into */
	void *stack = mmap(NULL, GUARD_STACK, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (stack == MAP_FAILED)
		return -1;
	if (sigaltstack(&(stack_t){ .ss_sp = stack, .ss_size = GUARD_STACK },
		NULL) < 0)
		return -1;
	guard.slot = slot;
	guard.dies_at_once = slot->role == ROLE_TASK ||
	    slot->role == ROLE_BACKGROUND;

	/* the first call loads libgcc_s, which is no work for a handler */
	void *frame[1];
	Dl_info info;
	if (backtrace(frame, 1) > 0 && dladdr(frame[0], &info))
		guard.program = info.dli_fbase;

	sigfillset(&sa.sa_mask);
	sa.sa_sigaction = on_fatal;
	for (size_t i = 0; i < sizeof fatal_signals / sizeof *fatal_signals;
	     i++)
		if (sigaction(fatal_signals[i], &sa, NULL) < 0)
			return -1;

	struct sigaction plain = { .sa_flags = SA_RESTART };
	sigemptyset(&plain.sa_mask);
	plain.sa_handler = on_overrun;
	if (sigaction(CHILD_SIGNAL_OVERRUN, &plain, NULL) < 0)
		return -1;
	plain.sa_handler = on_hurry;
	if (sigaction(CHILD_SIGNAL_HURRY, &plain, NULL) < 0)
		return -1;
	plain.sa_handler = on_orphan;
	if (sigaction(CHILD_SIGNAL_ORPHAN, &plain, NULL) < 0)
		return -1;
	struct sigevent kill_me = { .sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = SIGKILL };
	if (timer_create(CLOCK_MONOTONIC, &kill_me, &guard.orphan_timer) < 0)
		return -1;
	return atexit(on_exit_call) ? -1 : 0;
}

void
child_guard_begin(int fd, const char *crash_text, const char *overrun_text)
{
	guard.fd = fd;
	guard.crash_text = crash_text;
	guard.overrun_text = overrun_text;
	guard.answered = 0;
	guard.active = 1;
	/* A handler may block every signal, and run for long: beyond its family
	 * it must not. In a REST worker, where a client waits for it and it is
	 * bound to be short, it is given the time to end. */
	if (guard.dies_at_once && !guard.deadly) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		guard.deadly = true;
	}
}

static void
guard_relent(void)
{
	if (guard.deadly)
		prctl(PR_SET_PDEATHSIG, CHILD_SIGNAL_ORPHAN);
	guard.deadly = false;
}

bool
child_guard_end(void)
{
	if (!guard.in_row)
		guard_relent();
	guard.active = 0;
	guard.fd = -1;
	return guard.answered != 0;
}

void
child_guard_row(bool on)
{
	guard.in_row = on;
	if (!on)
		guard_relent();
}

void
child_guard_entrust(int fd, const char *bytes, size_t len)
{
	guard.line = fd;
	guard.bytes = bytes;
	guard.len = len;
	guard.sent = 0;
	/* a signal from here on sees all of it */
	atomic_signal_fence(memory_order_release);
	guard.entrusted = 1;
	if (guard.hurry)
		guard_deliver();
	guard.hurry = 0;
}

size_t
child_guard_reclaim(void)
{
	if (!guard.entrusted)
		return 0;
	guard.entrusted = 0;
	return guard.sent;
}
