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

const char *
member_describe_exit(int status, char *buf, size_t size)
{
	if (WIFSIGNALED(status)) {
		const char *name = sigabbrev_np(WTERMSIG(status));
		snprintf(buf, size, "killed by SIG%s%s", name ? name : "?",
		    WCOREDUMP(status) ? " (core dumped)" : "");
	} else
		snprintf(buf, size, "exited with status %d",
		    WEXITSTATUS(status));
	return buf;
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
	if (chan_send(member->chan_fd, (enum msg_id)id, fd) == 0)
		return 0;
	if (errno != EPIPE && errno != ECONNRESET)
		log_warning("cannot tell %s[%d] to %s: %s; going on",
		    role_info[member->pool->role_id].name, (int)member->pid,
		    msg_name((enum msg_id)id), strerror(errno));
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
	log_debug("SIG%s to %s[%d]: %s", sigabbrev_np(signo),
	    role_info[member->pool->role_id].name, (int)member->pid,
	    member->reason);
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
	if (member_send(member, MSG_DRAIN, -1) < 0)
		member_kill(member, SIGTERM);
	loop_timer_set(&master->loop, &member->step,
	    clock_now_ns() + master->current->conf->service.stop_timeout);
}

static void
member_ready(struct member *member)
{
	struct master *master = member->master;

	member->ready_ns = clock_now_ns();
	loop_timer_cancel(&master->loop, &member->step);
	log_debug("%s[%d] is ready after %lld us",
	    role_info[member->pool->role_id].name, (int)member->pid,
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
		log_debug("%s[%d] %s: %s, now %s",
		    role_info[member->pool->role_id].name, (int)member->pid,
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
		log_error("%s[%d] %s; killing it",
		    role_info[member->pool->role_id].name, (int)member->pid,
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
		log_warning("%s[%d] %s; stopping it",
		    role_info[member->pool->role_id].name, (int)member->pid,
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
	log_debug("%s[%d] asks to be replaced",
	    role_info[member->pool->role_id].name, (int)member->pid);
	pool_review(member->pool);
}

static void
member_on_message(struct member *member, enum msg_id id)
{
	switch (id) {
	case MSG_READY:
		member_event(member, EVENT_SAID_READY, NULL);
		break;
	case MSG_LOOK:
		watch_look(member->master);
		break;
	case MSG_RETIRE:
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
	enum msg_id id;
	int fd;

	(void)events;
	/* bounded, so that a child in a frenzy cannot keep the master */
	for (int i = 0; i < 16 && member->chan_fd >= 0; i++) {
		int n = chan_recv(member->chan_fd, MSG_CHILD, &id, &fd);
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

/* "…, while serving GET /x (id …) for 1.2 s", or "". */
static void
member_describe_call(const struct slot_snapshot *shot, char *buf, size_t size)
{
	buf[0] = '\0';
	if (shot->in_call)
		snprintf(buf, size,
		    " while %s served %s %s (id %s) for %s after %.3f s",
		    shot->call.handler, shot->call.method, shot->call.path,
		    shot->call.id, shot->call.peer,
		    clock_to_seconds(clock_now_ns() - shot->call.started_ns));
}

/* One line a frame, so that the log stays greppable; a recursion that ran away
 * is one frame and how often it stands there. */
static void
member_log_trace(const struct member *member, const struct slot_snapshot *shot)
{
	char trace[sizeof shot->crash_trace];
	char *rest = trace;

	if (!shot->crash_signo)
		return;
	mem_copy_string(trace, sizeof trace, shot->crash_trace);
	char *line = strsep(&rest, "\n");
	for (int i = 0, n = 1; line && *line; i += n, n = 1) {
		char *next = strsep(&rest, "\n");
		for (; next && strcmp(next, line) == 0; n++)
			next = strsep(&rest, "\n");
		log_error("%s[%d] frame %d: %s%s",
		    role_info[member->pool->role_id].name, (int)member->pid, i,
		    line, n > 1 ? ", again and again" : "");
		line = next;
	}
}

/*
 * What happened, in one sentence for the log and for `status`: the way it
 * ended, what it was doing, and why, as far as the master or the child knows.
 */
static void
member_obituary(const struct member *member, const struct slot_snapshot *shot,
    int status, char *buf, size_t size)
{
	char exit_text[64], call_text[768];

	member_describe_exit(status, exit_text, sizeof exit_text);
	member_describe_call(shot, call_text, sizeof call_text);
	snprintf(buf, size, "%s%s%s%s%s%s", exit_text, call_text,
	    member->reason[0] ? ": " : "", member->reason,
	    shot->last_error[0] ? ": " : "", shot->last_error);
}

void
member_on_exit(void *ctx, pid_t pid, int status)
{
	struct member *member = ctx;
	struct master *master = member->master;
	struct pool *pool = member->pool;
	struct slot_snapshot shot;
	const struct slot *slot = &master->board.slot[member->slot];
	bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	char what[1792];

	/* what it said last: a READY may sit in front of its end */
	member->pid = 0;
	member_on_chan(member, LOOP_READ);
	member->pid = pid;

	slot_snapshot(slot, &shot);
	pool->calls += shot.calls;
	pool->errors += shot.errors;
	histogram_merge(&pool->latency, &slot->latency);
	member_obituary(member, &shot, status, what, sizeof what);

	struct member dead = *member;
	member_event(member, EVENT_EXIT, NULL);
	member->pid = 0;
	if (dead.ordered && clean) {
		log_debug("%s[%d] has drained", role_info[pool->role_id].name,
		    (int)pid);
	} else {
		member->restarts += !dead.ordered;
		mem_copy_string(member->why, sizeof member->why, what);
		if (dead.ordered)
			log_warning("%s[%d] %s", role_info[pool->role_id].name,
			    (int)pid, what);
		else if (!reload_on_death(master, &dead, what))
			pool_on_death(pool, &dead, shot.in_call, status, what);
		member_log_trace(&dead, &shot);
	}
	pool_on_room(pool);
	pool_review(pool);
	master_changed(master);
}
