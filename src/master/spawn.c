/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spawn - forks a member and prepares all that the master has to know of it.
 *
 * Without exec: the child starts with the master's memory, which holds nothing
 * that it may not see, and a fork of the small master takes a fraction of a
 * millisecond. Whatever fails is undone and reported; the caller decides when
 * to try again. Never waits.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/why.h"
#include "core/chan.h"
#include "master/family.h"

/* The lowest free slot, so that the bitmaps stay short. */
static struct member *
spawn_slot(struct master *master)
{
	for (unsigned i = 0; i < master->board.slots; i++)
		if (!member_alive(&master->member[i]))
			return &master->member[i];
	return NULL;
}

static _Noreturn void
spawn_child(struct pool *pool, const struct deployment *deployment,
    unsigned slot, int chan_fd)
{
	struct master *master = pool->master;
	struct child_spec spec = {
		.role_id = pool->role_id,
		.role = master->roles[pool->role_id],
		.conf = deployment->conf,
		.board = master->board,
		.slot = slot,
		.generation = deployment->generation,
		.chan_fd = chan_fd,
		.master_pid = master->pid,
		.become = master->become,
		.listener = deployment->listen.v,
		.listeners = deployment->listen.n,
		.hub_fd = pool_is(pool, ROLE_HUB) ? master->hub_fd : -1,
		.entry = pool_entry(pool, deployment->conf),
	};
	child_run(&spec);
}

static void
spawn_publish(struct master *master, struct pool *pool, unsigned slot)
{
	struct board_pool *shared = &master->board.pool[pool->role_id];
	uint32_t words = slot / 64 + 1;

	if (words > shared->words)
		shared->words = words;
}

/* The slot is as free as it was before. */
static void
spawn_undo(struct pool *pool, struct member *member, unsigned slot)
{
	struct board *board = &pool->master->board;

	/* a child that was quick may have said that it is spare */
	board_set_spare(board, pool->role_id, slot, false);
	board_set_full(board, pool->role_id, slot, false);
	memset(member, 0, offsetof(struct member, restarts));
	member->chan_fd = -1;
}

struct member *
spawn_member(struct pool *pool, const struct deployment *deployment,
    struct why *why)
{
	struct master *master = pool->master;
	int pair[2];

	struct member *member = spawn_slot(master);
	if (!member) {
		why_set(why, "all %u slots of service.max_children are taken",
		    master->board.slots);
		return NULL;
	}
	unsigned slot = (unsigned)(member - master->member);
	if (fd_seqpacket_pair(pair) < 0) {
		why_set(why, "cannot make a control channel: %s",
		    strerror(errno));
		return NULL;
	}
	slot_reset(&master->board.slot[slot], pool->role_id,
	    deployment->generation);
	spawn_publish(master, pool, slot);

	pid_t pid = fork();
	if (pid == 0)
		spawn_child(pool, deployment, slot, pair[1]);
	if (pid < 0) {
		why_set(why, "cannot fork: %s", strerror(errno));
		fd_close(&pair[0]);
		fd_close(&pair[1]);
		return NULL;
	}
	fd_close(&pair[1]);
	board_death_forget(&master->board, pid);

	memset(member, 0, offsetof(struct member, restarts));
	member->master = master;
	member->pool = pool;
	member->slot = slot;
	member->state = MEMBER_STARTING;
	member->pid = pid;
	member->generation = deployment->generation;
	member->chan_fd = pair[0];
	member->forked_ns = clock_now_ns();
	member->mute_ns = deployment->conf->service.heartbeat_timeout;
	loop_timer_init(&member->step, member_on_step, member);
	if (loop_child_add(&master->loop, &member->exit, pid, member_on_exit,
		member) < 0 ||
	    loop_io_add(&master->loop, &member->chan, pair[0], LOOP_READ,
		member_on_chan, member) < 0) {
		/* no descriptor to watch it with: it must not run unwatched.
		 * A SIGKILLed child of ours is reaped at once. */
		why_set(why, "cannot watch a child: %s", strerror(errno));
		loop_child_del(&master->loop, &member->exit);
		fd_close(&member->chan_fd);
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		spawn_undo(pool, member, slot);
		return NULL;
	}
	/* not before: a slot that is counted must have somebody to leave it */
	if (slot >= master->slots_used)
		master->slots_used = slot + 1;
	loop_timer_set(&master->loop, &member->step,
	    member->forked_ns + deployment->conf->service.start_timeout);
	return member;
}
