/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lock - leases and those who wait for them.
 *
 * A lock is there while somebody holds it, or is to come back and hold it;
 * when a lease ends, the first who waits gets it at once. Each lease and each
 * waiting request has a timer of its own. A connection that goes takes its
 * leases and requests with it, unless it goes because the hub is replaced.
 *
 * Fences come from one counter for all names. The store has a mark that is
 * ahead of it, moved in blocks with an fsync before the first fence of a block
 * is told to anybody, so that they grow over restarts and power cuts.
 */
#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/mem.h"
#include "hub/lock_impl.h"
#include "hub/peer.h"
#include "hub/store.h"

#define LOCK_FENCES 1000 /* of a block */
#define LOCK_LEASE_MAX_MS (INT64_C(366) * 24 * 3600 * 1000)

static struct lock_peer *
lock_peer(struct peer *peer)
{
	if (peer->locks == NULL)
		peer->locks = mem_alloc(sizeof(struct lock_peer));
	return peer->locks;
}

static struct lock *
lock_find(struct locks *locks, struct msg_bytes name)
{
	struct lock *lock;

	HASH_FIND(hh, locks->by_name, name.p, (unsigned)name.len, lock);
	return lock;
}

static void
lock_answer(struct peer *peer, uint32_t request, uint64_t fence)
{
	struct msg_LOCKED locked = { .fence = fence };

	peer_send(peer, MSG_LOCKED, request, &locked);
}

/* --------------------------------------------------------------- granting */

static uint64_t
lock_next_fence(struct locks *locks)
{
	if (++locks->fence > locks->stored) {
		locks->stored = locks->fence + LOCK_FENCES - 1;
		store_set_counter(locks->hub->store, "fence", locks->stored);
		locks->hub->sync = true;
	}
	return locks->fence;
}

static void
lock_prolong(struct lock *lock, int64_t lease_ms)
{
	struct hub *hub = lock->locks->hub;

	loop_timer_set(hub->loop, &lock->lease,
	    hub->now_ns + lease_ms * NS_PER_MS);
	lock_keep(lock);
}

static void
lock_grant(struct lock *lock, struct peer *peer, uint32_t request,
    int64_t lease_ms)
{
	lock->holder = peer;
	lock->session = peer->session;
	lock->pid = peer->pid;
	lock->slot = peer->slot;
	lock->fence = lock_next_fence(lock->locks);
	DL_APPEND2(lock_peer(peer)->held, lock, peer_prev, peer_next);
	lock_prolong(lock, lease_ms);
	lock_answer(peer, request, lock->fence);
}

static void
waiter_free(struct lock_waiter *waiter)
{
	struct locks *locks = waiter->lock->locks;

	loop_timer_cancel(locks->hub->loop, &waiter->timer);
	DL_DELETE(waiter->lock->waiters, waiter);
	DL_DELETE2(lock_peer(waiter->peer)->waiting, waiter, peer_prev,
	    peer_next);
	locks->waiting--;
	free(waiter);
}

static void
lock_free(struct lock *lock)
{
	HASH_DEL(lock->locks->by_name, lock);
	free(lock);
}

void
lock_release(struct lock *lock)
{
	struct locks *locks = lock->locks;
	struct lock_waiter *waiter;

	loop_timer_cancel(locks->hub->loop, &lock->lease);
	if (lock->holder != NULL)
		DL_DELETE2(lock_peer(lock->holder)->held, lock, peer_prev,
		    peer_next);
	else
		DL_DELETE2(locks->away, lock, peer_prev, peer_next);
	lock->holder = NULL;
	waiter = lock->waiters;
	if (waiter != NULL) {
		lock_grant(lock, waiter->peer, waiter->request,
		    waiter->lease_ms);
		waiter_free(waiter);
		return;
	}
	lock_drop(lock);
	lock_free(lock);
}

static void
lock_on_lease_over(void *ctx)
{
	struct lock *lock = ctx;

	hub_tick(lock->locks->hub);
	lock_release(lock);
}

static void
lock_on_wait_over(void *ctx)
{
	struct lock_waiter *waiter = ctx;

	lock_answer(waiter->peer, waiter->request, 0);
	waiter_free(waiter);
}

/* --------------------------------------------------------------- requests */

struct lock *
lock_new(struct locks *locks, struct msg_bytes name)
{
	struct lock *lock = mem_alloc(sizeof(*lock) + name.len + 1);

	lock->locks = locks;
	lock->name_len = name.len;
	memcpy(lock->name, name.p, name.len);
	loop_timer_init(&lock->lease, lock_on_lease_over, lock);
	HASH_ADD(hh, locks->by_name, name, (unsigned)lock->name_len, lock);
	return lock;
}

static void
lock_wait(struct lock *lock, struct peer *peer, uint32_t request,
    int64_t lease_ms, int64_t wait_ms)
{
	struct lock_waiter *waiter = mem_alloc(sizeof(*waiter));
	struct locks *locks = lock->locks;

	waiter->lock = lock;
	waiter->peer = peer;
	waiter->request = request;
	waiter->lease_ms = lease_ms;
	loop_timer_init(&waiter->timer, lock_on_wait_over, waiter);
	loop_timer_set(locks->hub->loop, &waiter->timer,
	    locks->hub->now_ns + wait_ms * NS_PER_MS);
	DL_APPEND(lock->waiters, waiter);
	DL_APPEND2(lock_peer(peer)->waiting, waiter, peer_prev, peer_next);
	locks->waiting++;
}

static int64_t
lock_ms(int64_t ms)
{
	return ms < LOCK_LEASE_MAX_MS ? ms : LOCK_LEASE_MAX_MS;
}

void
hub_on_LOCK(struct hub *hub, struct peer *peer, uint32_t request,
    const struct msg_LOCK *msg)
{
	struct locks *locks = hub->locks;
	size_t most = (size_t)hub->conf->hub.max_locks;
	struct lock *lock = lock_find(locks, msg->name);
	int64_t lease_ms = lock_ms(msg->lease_ms);

	if (msg->name.len == 0 || msg->name.len > hub->conf->hub.max_key)
		peer_fail(peer, request,
		    msg->name.len == 0 ? HUB_BAD : HUB_TOO_LARGE,
		    "the name of a lock has 1 to %zu bytes (hub.max_key)",
		    hub->conf->hub.max_key);
	else if (lease_ms <= 0)
		peer_fail(peer, request, HUB_BAD, "a lease takes some time");
	else if (lock != NULL && lock->holder == peer &&
	    (msg->fence == 0 || msg->fence == lock->fence)) {
		lock_prolong(lock, lease_ms);
		lock_answer(peer, request, lock->fence);
	} else if (msg->fence != 0 || (lock != NULL && msg->wait_ms <= 0))
		lock_answer(peer, request, 0);
	else if (lock == NULL && HASH_COUNT(locks->by_name) >= most)
		peer_fail(peer, request, HUB_FULL,
		    "%zu locks are held (hub.max_locks)", most);
	else if (lock == NULL)
		lock_grant(lock_new(locks, msg->name), peer, request, lease_ms);
	else if (locks->waiting >= most)
		peer_fail(peer, request, HUB_FULL,
		    "%zu requests wait for locks (hub.max_locks)", most);
	else
		lock_wait(lock, peer, request, lease_ms, lock_ms(msg->wait_ms));
}

void
hub_on_UNLOCK(struct hub *hub, struct peer *peer, uint32_t request,
    const struct msg_UNLOCK *msg)
{
	struct lock *lock = lock_find(hub->locks, msg->name);
	struct msg_STORED reply = { .done = 0 };

	if (lock != NULL && lock->holder == peer && lock->fence == msg->fence) {
		lock_release(lock);
		reply.done = 1;
	}
	peer_send(peer, MSG_STORED, request, &reply);
}

/* Its holder is gone, and the lease goes on. */
static void
lock_put_away(struct lock *lock)
{
	DL_DELETE2(lock_peer(lock->holder)->held, lock, peer_prev, peer_next);
	DL_APPEND2(lock->locks->away, lock, peer_prev, peer_next);
	lock->holder = NULL;
}

void
lock_on_peer(struct hub *hub, struct peer *peer)
{
	struct locks *locks = hub->locks;
	struct lock *lock, *next;

	for (lock = locks->away; lock != NULL; lock = next) {
		next = lock->peer_next;
		if (lock->session != peer->session)
			continue;
		DL_DELETE2(locks->away, lock, peer_prev, peer_next);
		DL_APPEND2(lock_peer(peer)->held, lock, peer_prev, peer_next);
		lock->holder = peer;
	}
}

void
lock_on_peer_gone(struct hub *hub, struct peer *peer)
{
	struct lock_peer *mine = peer->locks;

	if (mine == NULL)
		return;
	/* first these, or it would be granted what it held */
	while (mine->waiting != NULL)
		waiter_free(mine->waiting);
	while (mine->held != NULL && !hub->draining)
		lock_release(mine->held);
	/* they all leave us then, and take what they hold to the next hub */
	while (mine->held != NULL)
		lock_put_away(mine->held);
	free(mine);
	peer->locks = NULL;
}

/* ---------------------------------------------------------- start and end */

struct locks *
locks_new(struct hub *hub)
{
	struct locks *locks = mem_alloc(sizeof(*locks));

	locks->hub = hub;
	locks->fence = locks->stored = store_counter(hub->store, "fence");
	locks_load(locks);
	return locks;
}

void
locks_free(struct locks *locks)
{
	struct lock *lock, *next;

	if (locks == NULL)
		return;
	for (lock = locks->away; lock != NULL; lock = next) {
		next = lock->peer_next;
		loop_timer_cancel(locks->hub->loop, &lock->lease);
		lock_free(lock);
	}
	free(locks);
}

void
locks_count(const struct hub *hub, size_t *held, size_t *waiting)
{
	*held = HASH_COUNT(hub->locks->by_name);
	*waiting = hub->locks->waiting;
}
