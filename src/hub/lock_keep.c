/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lock_keep - leases outlive the hub, so that the one after a hub that was
 * killed gives nobody what somebody else holds.
 *
 * A lease is a key of the hub's own (data.h) with what tells its holder: the
 * session, and the process by its slot and the moment of its fork. The next hub
 * finds it and waits: for the session to say hello, for the process to end, for
 * the lease to be over. After the end of the whole family, or of the machine,
 * no such process is there, and nothing is held.
 */
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "hub/keys.h"
#include "hub/lock_impl.h"

struct lease {
	uint64_t session, fence;
	int64_t until_ns, forked_ns; /* monotonic */
	int32_t pid;
	uint32_t slot;
};

static struct msg_bytes
lock_name(const struct lock *lock)
{
	return (struct msg_bytes){ lock->name, lock->name_len };
}

void
lock_keep(const struct lock *lock)
{
	struct hub *hub = lock->locks->hub;
	struct lease lease = {
		.session = lock->session,
		.fence = lock->fence,
		.until_ns = lock->lease.at_ns,
		.forked_ns = hub->child->board->slot[lock->slot].forked_ns,
		.pid = (int32_t)lock->pid,
		.slot = lock->slot,
	};

	keys_put_own(hub, lock_name(lock), &lease, sizeof(lease));
}

void
lock_drop(const struct lock *lock)
{
	keys_put_own(lock->locks->hub, lock_name(lock), NULL, 0);
}

static bool
process_is_there(const struct hub *hub, unsigned slot, pid_t pid,
    int64_t forked_ns)
{
	const struct board *board = hub->child->board;
	struct board_death death;

	return slot < board->slots && board->slot[slot].pid == pid &&
	    (forked_ns == 0 || board->slot[slot].forked_ns == forked_ns) &&
	    !board_death_find(board, pid, &death);
}

void
lock_on_deaths(struct hub *hub)
{
	struct lock *lock, *next;

	for (lock = hub->locks->away; lock != NULL; lock = next) {
		next = lock->peer_next;
		if (!process_is_there(hub, lock->slot, lock->pid, 0))
			lock_release(lock);
	}
}

/* A lock of before, or a name to forget. */
static bool
lock_on_lease(void *ctx, const struct data_value *value)
{
	struct locks *locks = ctx;
	struct hub *hub = locks->hub;
	struct lease lease;
	struct lock *lock;

	if (value->len != sizeof(lease))
		return true;
	memcpy(&lease, value->bytes, sizeof(lease));
	lock = lock_new(locks,
	    (struct msg_bytes){ value->key + 1, value->key_len - 1 });
	lock->session = lease.session;
	lock->fence = lease.fence;
	lock->pid = lease.pid;
	lock->slot = lease.slot;
	/* the mark for it may not have been committed */
	if (locks->fence < lease.fence)
		locks->fence = lease.fence;
	DL_APPEND2(locks->away, lock, peer_prev, peer_next);
	/* not now: a key must not go while they are listed */
	loop_timer_set(hub->loop, &lock->lease,
	    process_is_there(hub, lease.slot, lease.pid, lease.forked_ns) ?
		lease.until_ns :
		hub->now_ns);
	return true;
}

void
locks_load(struct locks *locks)
{
	static const char own[] = { DATA_OWN };
	struct msg_bytes prefix = { own, 1 }, none = { "", 0 };

	data_list(locks->hub->data, prefix, none, locks->hub->wall_ms,
	    lock_on_lease, locks);
}
