/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * member - the states of one child, by the table in state.def, and its end.
 *
 * Events come from the child (gossip: ready, look, retire), from the master's
 * own timers, and from the kernel (it ended). What an event means is looked up,
 * never improvised. A child that talks nonsense is killed, not obeyed.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/why.h"
#include "core/chan.h"
#include "master/family.h"

enum action {
	ACTION_NOTHING,
	ACTION_READY,
	ACTION_DRAIN,
	ACTION_LADDER,
	ACTION_GONE,
	ACTION_CUT,
};

#define STATE(id, name) [MEMBER_##id] = name,
static const char *const state_name[] = {
#include "core/state.def"
};

#define EVENT(id, name) [EVENT_##id] = name,
static const char *const event_name[] = {
#include "core/state.def"
};

#define STATES (sizeof state_name / sizeof *state_name)
#define EVENTS (sizeof event_name / sizeof *event_name)

static const struct {
	enum member_state next;
	enum action action;
} transition[STATES][EVENTS] = {
#define ON(state, event, next, action) \
	[MEMBER_##state][EVENT_##event] = { MEMBER_##next, ACTION_##action },
#include "core/state.def"
};

const char *
member_state_name(enum member_state state)
{
	return (size_t)state < STATES ? state_name[state] : "?";
}

bool
member_alive(const struct member *member)
{
	return member->state != MEMBER_GONE;
}

void
member_kill(const struct member *member, int signo)
{
	if (member->pid > 0)
		kill(member->pid, signo);
}

int
member_send(struct member *member, int id, int fd)
{
	if (member->chan_fd < 0) {
		errno = EPIPE;
		return -1;
	}
	if (chan_send(member->chan_fd, (enum chan_id)id, fd) == 0)
		return 0;
	if (errno != EPIPE && errno != ECONNRESET)
		log_warning("cannot tell " PRI_MEMBER " to %s: %s; going on",
		    ARG_MEMBER(member), chan_name((enum chan_id)id),
		    strerror(errno));
	return -1;
}

static void
member_close_chan(struct member *member)
{
	loop_io_del(&member->master->loop, &member->chan);
	fd_close(&member->chan_fd);
}

/* Takes the next rung and sets the deadline of the one after it. */
static void
member_climb(struct member *member)
{
	static const int signal_of[] = {
		[RUNG_TERM] = SIGTERM,
		[RUNG_ABRT] = SIGABRT,
		[RUNG_KILL] = SIGKILL,
	};
	struct master *master = member->master;

	if (member->rung < RUNG_KILL)
		member->rung++;
	int signo = signal_of[member->rung];
	log_debug("SIG%s to " PRI_MEMBER ": %s", sigabbrev_np(signo),
	    ARG_MEMBER(member), member->reason);
	member_kill(member, signo);
	/* after KILL too: a process in the kernel's hands is worth a look */
	loop_timer_set(&master->loop, &member->step,
	    clock_now_ns() + master->current->conf->service.kill_grace);
}

static void
member_drain(struct member *member)
{
	struct master *master = member->master;

	/* a channel that takes nothing any more: the signal says the same */
	if (member_send(member, CHAN_DRAIN, -1) < 0)
		member_kill(member, SIGTERM);
	int64_t deadline_ns = clock_now_ns() +
	    master->current->conf->service.stop_timeout;
	/* the time to stop is for all of them together; who comes late, the hub
	 * say, shall still have the time of a step */
	if (master->phase == PHASE_STOPPING) {
		deadline_ns = clock_now_ns() +
		    master->current->conf->service.kill_grace;
		if (deadline_ns < master->stop_deadline_ns)
			deadline_ns = master->stop_deadline_ns;
	}
	loop_timer_set(&master->loop, &member->step, deadline_ns);
}

static void
member_ready(struct member *member)
{
	struct master *master = member->master;

	member->ready_ns = clock_now_ns();
	loop_timer_cancel(&master->loop, &member->step);
	log_debug(PRI_MEMBER " is ready after %lld us", ARG_MEMBER(member),
	    (long long)((member->ready_ns - member->forked_ns) / NS_PER_US));
	reload_on_ready(master, member);
	pool_on_ready(member->pool, member);
}

static void
member_free_slot(struct member *member)
{
	struct master *master = member->master;
	enum role_id role = member->pool->role_id;

	loop_timer_cancel(&master->loop, &member->step);
	member_close_chan(member);
	board_set_spare(&master->board, role, member->slot, false);
	board_set_full(&master->board, role, member->slot, false);
	while (master->slots_used > 0 &&
	    master->member[master->slots_used - 1].state == MEMBER_GONE)
		master->slots_used--;
}

void
member_event(struct member *member, enum member_event event, const char *reason)
{
	enum member_state state = member->state;
	enum action action = transition[state][event].action;

	member->state = transition[state][event].next;
	if (event == EVENT_ORDER_DRAIN || event == EVENT_ORDER_STOP)
		member->ordered = true;
	if (reason && !member->reason[0])
		mem_copy_string(member->reason, sizeof member->reason, reason);
	if (state != member->state)
		log_debug(PRI_MEMBER " %s: %s, now %s", ARG_MEMBER(member),
		    state_name[state], event_name[event],
		    state_name[member->state]);
	switch (action) {
	case ACTION_NOTHING:
		return;
	case ACTION_READY:
		member_ready(member);
		break;
	case ACTION_DRAIN:
		member_drain(member);
		break;
	case ACTION_CUT:
		log_error(PRI_MEMBER " %s; killing it", ARG_MEMBER(member),
		    event_name[event]);
		if (!member->reason[0])
			mem_copy_string(member->reason, sizeof member->reason,
			    event_name[event]);
		member->rung = RUNG_ABRT;
		member_climb(member);
		break;
	case ACTION_LADDER:
		/* what comes before TERM was tried by watch, or is in vain */
		member_climb(member);
		break;
	case ACTION_GONE:
		member_free_slot(member);
		break;
	}
	master_changed(member->master);
}

void
member_on_step(void *ctx)
{
	struct member *member = ctx;
	struct master *master = member->master;
	const struct conf *conf = master->current->conf;
	char reason[128];

	switch (member->state) {
	case MEMBER_STARTING:
		snprintf(reason, sizeof reason,
		    "was not ready within start_timeout (%.1f s)",
		    clock_to_seconds(conf->service.start_timeout));
		break;
	case MEMBER_READY:
		mem_copy_string(reason, sizeof reason,
		    "has closed its control channel");
		break;
	case MEMBER_DRAINING:
		snprintf(reason, sizeof reason,
		    "had not finished within stop_timeout (%.1f s)",
		    clock_to_seconds(conf->service.stop_timeout));
		break;
	default:
		reason[0] = '\0';
	}
	if (reason[0])
		log_warning(PRI_MEMBER " %s; stopping it", ARG_MEMBER(member),
		    reason);
	/* the state's deadline outweighs the order that led here */
	if (reason[0])
		member->reason[0] = '\0';
	member_event(member, EVENT_STEP, reason[0] ? reason : NULL);
}

static void
member_retire(struct member *member)
{
	if (member->state != MEMBER_READY || member->retiring)
		return;
	member->retiring = true;
	log_debug(PRI_MEMBER " asks to be replaced", ARG_MEMBER(member));
	pool_review(member->pool);
}

static void
member_on_message(struct member *member, enum chan_id id)
{
	switch (id) {
	case CHAN_READY:
		member_event(member, EVENT_SAID_READY, NULL);
		break;
	case CHAN_LOOK:
		watch_look(member->master);
		break;
	case CHAN_RETIRE:
		member_retire(member);
		break;
	default:
		break; /* chan_recv lets nothing else through */
	}
}

void
member_on_chan(void *ctx, unsigned events)
{
	struct member *member = ctx;
	enum chan_id id;
	int fd;

	(void)events;
	/* bounded, so that a child in a frenzy cannot keep the master */
	for (int i = 0; i < 16 && member->chan_fd >= 0; i++) {
		int n = chan_recv(member->chan_fd, CHAN_CHILD, &id, &fd);
		if (n > 0) {
			member_on_message(member, id);
			continue;
		}
		if (n < 0 && errno == EAGAIN)
			return;
		/* at its end the exit follows; before it, it has to */
		member_close_chan(member);
		/* ECONNRESET: it ended without having read all we said */
		if (n < 0 && errno != ECONNRESET)
			member_event(member, EVENT_NONSENSE, NULL);
		else if (member->state != MEMBER_GONE &&
		    !loop_timer_is_set(&member->step))
			loop_timer_set(&member->master->loop, &member->step,
			    clock_now_ns() + NS_PER_S);
		return;
	}
}

/* To the hub, which wants to know whose work it was. */
static void
member_tell_death(struct member *member, pid_t pid, int status)
{
	struct master *master = member->master;
	struct board_death death = {
		.pid = pid,
		.status = status,
		.overran = member->overran,
	};

	board_death_add(&master->board, &death);
	for (unsigned i = 0; i < master->slots_used; i++) {
		struct member *m = &master->member[i];

		/* a full channel: it is about to look anyway */
		if (member_alive(m) && m->chan_fd >= 0 &&
		    master->roles[m->pool->role_id]->death)
			chan_send(m->chan_fd, CHAN_DEATH, -1);
	}
}

/* What the dead one's pool keeps of it. */
static void
member_bequeath(const struct member *member, const struct slot_snapshot *shot)
{
	struct pool *pool = member->pool;

	pool->calls += shot->calls;
	pool->errors += shot->errors;
	histogram_merge(&pool->latency,
	    &member->master->board.slot[member->slot].latency);
}

/* It ended, and not in good order because it was told to. */
static void
member_mourn(struct member *member, const struct member *dead,
    const struct slot_snapshot *shot, int status)
{
	struct pool *pool = dead->pool;
	char what[OBITUARY_SIZE];

	obituary_write(dead, shot, status, what);
	member->restarts += !dead->ordered;
	mem_copy_string(member->why, sizeof member->why, what);
	if (dead->ordered)
		log_warning(PRI_MEMBER " %s", ARG_MEMBER(dead), what);
	else if (!reload_on_death(member->master, dead, status, what,
		     shot->last_error))
		pool_on_death(pool, dead, shot, status, what);
	obituary_log_trace(dead, shot);
}

void
member_on_exit(void *ctx, pid_t pid, int status)
{
	struct member *member = ctx;
	struct master *master = member->master;
	struct pool *pool = member->pool;
	struct slot_snapshot shot;
	bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	/* first, for the hub sees that the process is no more */
	member_tell_death(member, pid, status);
	/* what it said last: a READY may sit in front of its end */
	member->pid = 0;
	member_on_chan(member, LOOP_READ);
	member->pid = pid;

	slot_snapshot(&master->board.slot[member->slot], &shot);
	member_bequeath(member, &shot);

	struct member dead = *member;
	member_event(member, EVENT_EXIT, NULL);
	member->pid = 0;
	if (dead.ordered && clean)
		log_debug(PRI_MEMBER " has drained", ARG_MEMBER(&dead));
	else
		member_mourn(member, &dead, &shot, status);
	pool_on_room(pool);
	pool_review(pool);
	master_changed(master);
}
