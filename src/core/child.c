/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * child - from the fork to the exit, the same for every role.
 *
 * What a child may not do stands here too: it never touches the master's loop
 * or tables (it closes their descriptors and forgets the memory), never writes
 * to the scoreboard outside its own slot, never becomes root again.
 */
#include "core/child.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/title.h"
#include "base/why.h"
#include "core/chan.h"
#include "core/uid.h"

void
child_fail(struct child *child, int exit_status, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(child->slot->last_error, sizeof child->slot->last_error,
	    format, ap);
	va_end(ap);
	/* the master says it, with the consequence; once is enough */
	log_debug("exits with status %d: %s", exit_status,
	    child->slot->last_error);
	_exit(exit_status);
}

static void
child_send(struct child *child, enum chan_id id)
{
	/* a full channel holds the same news already; a dead one is seen by
	 * the reader */
	if (chan_send(child->spec.chan_fd, id, -1) < 0 && errno != EAGAIN)
		log_debug("cannot tell the master %s: %s", chan_name(id),
		    strerror(errno));
}

void
child_ring(struct child *child)
{
	child_send(child, CHAN_LOOK);
}

void
child_set_spare(struct child *child, bool spare)
{
	if (board_set_spare(child->board, child->spec.role_id, child->spec.slot,
		spare && !child->draining))
		child_ring(child);
}

static void
child_retire(struct child *child)
{
	if (child->retiring || child->draining)
		return;
	child->retiring = true;
	child_send(child, CHAN_RETIRE);
}

void
child_count_request(struct child *child)
{
	if (child->requests_left != UINT64_MAX && child->requests_left > 0 &&
	    --child->requests_left == 0)
		child_retire(child);
}

static void
child_drain(struct child *child)
{
	if (child->draining)
		return;
	child->draining = true;
	child_set_spare(child, false);
	/* no longer one of those whose room counts */
	board_set_full(child->board, child->spec.role_id, child->spec.slot,
	    false);
	title_set("%s: %s draining", child->conf->service.name, child->name);
	child->spec.role->drain(child);
}

void
child_drained(struct child *child)
{
	child->drained = true;
	loop_stop(&child->loop);
}

static void
child_on_term(void *ctx, const siginfo_t *info)
{
	(void)info;
	child_drain(ctx);
}

/* A quiet worker gives back what its last busy time has left in the heap. */
static void
child_tidy(struct child *child)
{
	uint64_t calls = child->slot->calls;

	if (child->slot->connections > 0 || calls == child->tidied_at_calls)
		return;
	child->tidied_at_calls = calls;
	mem_trim();
}

static void
child_on_heartbeat(void *ctx)
{
	struct child *child = ctx;

	child_tidy(child);
	child->slot->heartbeat_ns = loop_now(&child->loop);
	loop_timer_set(&child->loop, &child->heartbeat,
	    loop_now(&child->loop) + child->conf->service.heartbeat_interval);
}

static void
child_on_lifetime(void *ctx)
{
	child_retire(ctx);
}

static void
child_on_message(struct child *child, enum chan_id id, int fd)
{
	switch (id) {
	case CHAN_DRAIN:
		child_drain(child);
		break;
	case CHAN_LOG:
		log_adopt_fd(fd);
		break;
	case CHAN_CONTROL:
		if (child->spec.role->control)
			child->spec.role->control(child, fd);
		else
			fd_close(&fd);
		break;
	case CHAN_DEATH:
		if (child->spec.role->death)
			child->spec.role->death(child);
		break;
	default:
		break; /* chan_recv lets nothing else through */
	}
}

static void
child_on_chan(void *ctx, unsigned events)
{
	struct child *child = ctx;
	enum chan_id id;
	int fd;

	(void)events;
	for (;;) {
		int n = chan_recv(child->spec.chan_fd, CHAN_MASTER, &id, &fd);
		if (n > 0) {
			child_on_message(child, id, fd);
			continue;
		}
		if (n < 0 && errno == EAGAIN)
			return;
		/* reset: the master ended without having read all we said */
		if (n < 0 && errno != ECONNRESET)
			child_fail(child, EXIT_FAILURE,
			    "the control channel failed: %s", strerror(errno));
		/* no master, nobody to be drained for: bounded by the guard */
		loop_io_del(&child->loop, &child->chan);
		log_warning("the master is gone; draining");
		raise(CHILD_SIGNAL_ORPHAN);
		child_drain(child);
		return;
	}
}

bool
child_poll_orders(struct child *child)
{
	sigset_t pending;

	if (child->chan.fd >= 0)
		child_on_chan(child, LOOP_READ);
	/* blocked for the loop's signalfd, which nobody reads meanwhile */
	if (sigpending(&pending) == 0 && sigismember(&pending, SIGTERM) == 1)
		child_drain(child);
	return child->draining;
}

const char *
child_name(enum role_id role, const struct conf *conf, int entry,
    char buf[CHILD_NAME_SIZE])
{
	const char *name = role_info[role].name;

	if (role_info[role].kind == ROLE_EACH && entry >= 0 &&
	    (size_t)entry < conf->background.n)
		snprintf(buf, CHILD_NAME_SIZE, "%s:%s", name,
		    conf->background.v[entry].name);
	else
		mem_copy_string(buf, CHILD_NAME_SIZE, name);
	return buf;
}

static void
child_close_inherited(const struct child_spec *spec)
{
	int keep[3 + 64];
	size_t n = 0;

	keep[n++] = spec->chan_fd;
	keep[n++] = log_fd();
	if (role_info[spec->role_id].needs & ROLE_LISTEN)
		for (size_t i = 0; i < spec->listeners; i++)
			keep[n++] = spec->listener[i].fd;
	if ((role_info[spec->role_id].needs & ROLE_SERVE) && spec->hub_fd >= 0)
		keep[n++] = spec->hub_fd;
	fd_close_all_but(keep, n);
}

/* The master's dispositions and mask go; what a terminal sends to the whole
 * group is for the master to pass on. */
static void
child_reset_signals(void)
{
	static const int ignored[] = { SIGINT, SIGQUIT, SIGHUP, SIGUSR1,
		SIGUSR2, SIGPIPE };
	sigset_t none;

	for (int signo = 1; signo < SIGRTMIN; signo++)
		signal(signo, SIG_DFL);
	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Up to a tenth less, so that children forked together do not go together. */
static int64_t
child_jitter(int64_t value)
{
	return value - (int64_t)((double)value / 10 * drand48());
}

static void
child_become(struct child *child)
{
	const struct child_spec *spec = &child->spec;
	struct why why;

	if (child_guard_init(child->slot) < 0)
		child_fail(child, EXIT_FAILURE, "cannot set up: %s",
		    strerror(errno));
	if (privilege_drop(&spec->become, &why) < 0)
		child_fail(child, CHILD_EXIT_CONFIG, "%s", why.text);
	/* after the drop: a change of uid clears the death signal */
	prctl(PR_SET_PDEATHSIG, CHILD_SIGNAL_ORPHAN);
	if (getppid() != spec->master_pid)
		child_fail(child, EXIT_FAILURE, "the master is gone");
	if (board_protect(child->board, spec->role_id, spec->slot) < 0)
		child_fail(child, EXIT_FAILURE,
		    "cannot protect the scoreboard: %s", strerror(errno));
}

/* What bounds the life of a pool's child; the others have one without end. */
static void
child_set_limits(struct child *child)
{
	const struct conf *conf = child->conf;
	int requests = 0;
	int64_t lifetime_ns = 0;

	if (child->spec.role_id == ROLE_REST) {
		requests = conf->rest.max_requests;
		lifetime_ns = conf->rest.max_lifetime;
	} else if (child->spec.role_id == ROLE_TASK) {
		requests = conf->tasks.max_requests;
		lifetime_ns = conf->tasks.max_lifetime;
	}
	child->requests_left = UINT64_MAX;
	if (requests > 0)
		child->requests_left = (uint64_t)child_jitter(requests);
	if (child->requests_left == 0)
		child->requests_left = 1;
	if (lifetime_ns > 0)
		loop_timer_set(&child->loop, &child->lifetime,
		    clock_now_ns() + child_jitter(lifetime_ns));
}

static void
child_start_loop(struct child *child)
{
	const struct child_spec *spec = &child->spec;

	if (loop_init(&child->loop) < 0 ||
	    loop_signal_add(&child->loop, SIGTERM, child_on_term, child) < 0 ||
	    loop_io_add(&child->loop, &child->chan, spec->chan_fd, LOOP_READ,
		child_on_chan, child) < 0)
		child_fail(child, EXIT_FAILURE, "cannot start a loop: %s",
		    strerror(errno));
	loop_timer_init(&child->heartbeat, child_on_heartbeat, child);
	loop_timer_init(&child->lifetime, child_on_lifetime, child);
	child_on_heartbeat(child);

	srand48((long)(clock_now_ns() ^ ((int64_t)getpid() << 20)));
	child_set_limits(child);
}

void
child_run(const struct child_spec *spec)
{
	struct child *child = mem_alloc(sizeof *child);
	const struct role_info *info = &role_info[spec->role_id];
	struct why why = { .text = "" };

	child->spec = *spec;
	child->conf = spec->conf;
	child->board = &child->spec.board;
	child->slot = &child->board->slot[spec->slot];
	/* the hub knows its clients by it */
	child->slot->pid = getpid();
	child_name(spec->role_id, spec->conf, spec->entry, child->name);

	child_close_inherited(spec);
	child_reset_signals();
	uid_init(spec->slot);
	uid_follow(&child->slot->uid_time);
	title_set("%s: %s", child->conf->service.name, child->name);
	log_identity(child->name, (int)spec->slot, spec->generation);
	/* a new generation is forked before the master takes to its config */
	log_set_format((enum log_format)child->conf->log.format);
	child_become(child);
	child_start_loop(child);

	if (info->needs & ROLE_MODULES) {
		child->modules = module_load_all(child->conf, NULL, &why);
		if (!child->modules)
			child_fail(child, CHILD_EXIT_CONFIG, "%s", why.text);
	}
	if (spec->role->init(child, &why) < 0)
		child_fail(child, CHILD_EXIT_CONFIG, "%s", why.text);
	child_set_spare(child, true);
	child_send(child, CHAN_READY);
	log_debug("ready");

	if (loop_run(&child->loop) < 0)
		child_fail(child, EXIT_FAILURE, "cannot wait for events: %s",
		    strerror(errno));

	child_set_spare(child, false);
	spec->role->fini(child);
	if (child->modules)
		module_stop_all(child->modules);
	loop_release(&child->loop);
	log_debug("done");
	free(child);
	exit(0);
}
