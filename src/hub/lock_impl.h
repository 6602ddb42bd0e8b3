/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lock_impl - what lock.c (who holds what) and lock_keep.c (leases outlive the
 * hub) share.
 */
#ifndef HUB_LOCK_IMPL_H
#define HUB_LOCK_IMPL_H

#include <sys/types.h>
#include <uthash.h>

#include "hub/lock.h"

/* A request that waits. */
struct lock_waiter {
	struct lock *lock;
	struct peer *peer;
	uint32_t request;
	int64_t lease_ms;
	struct loop_timer timer;
	struct lock_waiter *prev, *next;	   /* of the lock */
	struct lock_waiter *peer_prev, *peer_next; /* of the peer */
};

struct lock {
	struct locks *locks;
	struct peer *holder; /* NULL: it is in locks->away */
	uint64_t session;    /* the holder's */
	pid_t pid;
	unsigned slot;
	uint64_t fence;
	struct loop_timer lease;
	struct lock_waiter *waiters;	    /* the first one first */
	struct lock *peer_prev, *peer_next; /* of the holder, or of away */
	UT_hash_handle hh;
	size_t name_len;
	char name[];
};

/* What a peer has to do with locks. */
struct lock_peer {
	struct lock *held;
	struct lock_waiter *waiting;
};

struct locks {
	struct hub *hub;
	struct lock *by_name;
	struct lock *away; /* their holders have yet to come back */
	size_t waiting;
	uint64_t fence;	 /* the last one */
	uint64_t stored; /* the mark */
};

struct lock *lock_new(struct locks *locks, struct msg_bytes name);
/* Nobody holds it any more: the next one does, or it goes. */
void lock_release(struct lock *lock);

/* It was granted, prolonged, or (holder NULL, not away) released. */
void lock_keep(const struct lock *lock);
void lock_drop(const struct lock *lock);
/* Those of before. */
void locks_load(struct locks *locks);

#endif
