/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scoreboard - what every process of the family shows to the others.
 *
 * One shared mapping (a memfd) with a fixed slot per child and no pointers. It
 * outlives the child, so that the master knows what a dead one was doing. A
 * child writes its own slot and its pool's spare bitmap, and the rest of the
 * mapping is read-only to it; the master and readers trust nothing in a slot
 * (texts may lack their end, numbers may be anything): they take a
 * slot_snapshot(), which is clean.
 *
 * Nothing here is counted up by one process and down by another, so a child
 * that dies in the middle leaves nothing to repair: its bit is cleared when it
 * is buried.
 */
#ifndef CORE_SCOREBOARD_H
#define CORE_SCOREBOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/histogram.h"
#include "core/role.h"

#define BOARD_MAX_SLOTS 16384

enum call_door {
	DOOR_NONE,
	DOOR_REST,
	DOOR_CONTROL,
	DOOR_JOB,
	DOOR_MESSAGE,
	DOOR_SCHEDULE,
	DOOR_BACKGROUND,
	DOOR_COUNT
};
const char *door_name(enum call_door door);

/* The call that a child is serving. Texts are cut to fit. */
struct slot_call {
	int64_t started_ns;			/* 0: no call */
	int64_t deadline_ns;			/* 0: none */
	uint64_t uid;				/* see core/uid.h; 0: none */
	uint32_t attempt;
	int door;
	char id[65];
	char method[16];
	char path[192];
	char handler[96];
	char peer[64];
};

struct slot_crash {
	_Atomic int signo;	/* set last; 0: none */
	int depth;
	uintptr_t address;	/* si_addr */
	char trace[1536];	/* a line a frame */
};

struct slot {
	/* the master's, before the fork */
	int role;
	unsigned generation;
	int64_t forked_ns;

	/* the child's */
	_Atomic int pid;		/* first thing it writes */
	_Atomic int64_t heartbeat_ns;
	_Atomic uint64_t calls, errors;	/* errors: 5xx, crashes aside */
	_Atomic uint32_t connections;
	_Atomic uint32_t call_seq;	/* odd while `call` is being written */
	struct slot_call call;
	struct histogram latency;
	_Atomic uint64_t uid_time;	/* see core/uid.h; outlives the child */
	struct slot_crash crash;
	char last_error[512];		/* why it exits, to be passed on */
	_Atomic uint64_t dropped;	/* see board_recall() */
	/* how it is, for people, see slot_set_note() */
	_Atomic uint32_t note_seq;	/* odd while it is being written */
	bool note_trouble;		/* somebody should look at it */
	char note[384];

	/* the master's, while the child lives */
	/* started_ns of a call whose deadline passed: it is to give up */
	_Atomic int64_t cancel;
} __attribute__((aligned(4096)));
_Static_assert(sizeof(struct slot) == 4096, "a slot is a page");

/* One per role, shared by the pool's children. */
struct board_pool {
	/*
	 * A bit per slot: ready, not in a call, room for a connection. The
	 * first `words` words hold all of them.
	 */
	_Atomic uint64_t spare[BOARD_MAX_SLOTS / 64];
	_Atomic uint64_t full[BOARD_MAX_SLOTS / 64];	/* out of connections */
	_Atomic uint32_t words;
	_Atomic int min_spare;	/* ring the master below this, -1: never */
	_Atomic int armed;	/* 1: ring at most once, then 0 */
	_Atomic int low;	/* the least spare since the master reset it */
	_Atomic int children;	/* that are ready; the master's */
	_Atomic int at_max;	/* it can't grow: refuse rather than queue */
	_Atomic int64_t deadline_known_ns; /* ring when a call's is earlier */
} __attribute__((aligned(4096)));

/* The last children that ended, the master's to write: what the hub is to say
 * of the work that they had. */
#define BOARD_DEATHS 256
struct board_death {
	int pid;
	int status;			/* as waitpid(2) gives it */
	bool overran;			/* ended for its deadline */
	/* of the last call that it began, and whether it was still at it;
	 * filled in by board_death_add() */
	uint64_t uid;
	uint32_t attempt;
	bool in_call;
};

struct board_header {
	_Atomic int log_level;
	unsigned slots;
	_Atomic uint32_t deaths;	/* ever; the last is at deaths - 1 */
	struct board_death death[BOARD_DEATHS];
} __attribute__((aligned(4096)));

/* The hub's to write: the call that a child is to give up, and the one behind
 * which nothing is to be begun, by slot. */
struct board_cancel {
	_Atomic uint64_t uid[BOARD_MAX_SLOTS];
	_Atomic uint64_t recall[BOARD_MAX_SLOTS];
} __attribute__((aligned(4096)));

struct board {
	struct board_header *header;
	struct board_cancel *cancel;
	struct board_pool *pool;	/* ROLE_COUNT of them */
	struct slot *slot;
	unsigned slots;
	size_t size;
};

/* In the master. -1 with errno. */
int board_create(struct board *board, unsigned slots);
void board_release(struct board *board);

/* In a child: all but the pages of its pool and its slot become read-only, for
 * the hub the cancels as well. -1 with errno. */
int board_protect(struct board *board, enum role_id role, unsigned slot);

/* By the master, when it has reaped a child and not yet given its slot away. */
void board_death_add(struct board *board, const struct board_death *death);
/* By the master: that pid is a new child's. */
void board_death_forget(struct board *board, int pid);
/* By the hub: how that process ended; false when it has not, or long ago. */
bool board_death_find(const struct board *board, int pid,
    struct board_death *death);

/* By the hub: the child in that slot is to give up its call `uid`. */
void board_cancel_call(struct board *board, unsigned slot, uint64_t uid);
bool board_is_cancelled(const struct board *board, unsigned slot,
    uint64_t uid);

/*
 * By the hub: what that child has got to do behind its call `uid` (0: nothing),
 * it is to drop when that ends. True when the call is seen to go on after that
 * was said: then it will. Else slot->dropped says, once the call's end is
 * known, whether it did.
 */
bool board_recall(struct board *board, unsigned slot, uint64_t uid);
/* By the child in that slot, whose call `uid` has ended: is it to drop the
 * rest? Then slot->dropped says so. */
bool board_drops(struct board *board, unsigned slot, uint64_t uid);

/* Clears a slot for a new child. */
void slot_reset(struct slot *slot, int role, unsigned generation);

/* --- by the child, in the order of a call */

/* True when the master has to be rung (send LOOK). */
bool board_set_spare(struct board *board, enum role_id role, unsigned slot,
    bool spare);
void board_set_full(struct board *board, enum role_id role, unsigned slot,
    bool full);
/* Another spare child has fewer connections than this one. */
bool board_has_lighter(const struct board *board, enum role_id role,
    unsigned slot);
/* The shortage of connections is everybody's, and the pool cannot grow. */
bool board_saturated(const struct board *board, enum role_id role);

/* The earliest deadline that the master knows of is no later than this. True
 * when it was later. The master uses it too: what it finds in the slots must
 * not hide what a child tells at that moment. */
bool board_tell_deadline(struct board *board, enum role_id role, int64_t at_ns);

/* True when the master has to be rung: it knows of no deadline this early. */
bool slot_call_begin(struct board *board, struct slot *slot,
    const struct slot_call *call);
void slot_call_end(struct slot *slot, bool error, int64_t took_ns);

/* By the child: one line about how it is, which `broodctl status` shows;
 * `trouble`: among what is not as it should be. */
void slot_set_note(struct slot *slot, bool trouble, const char *note);

/* --- by readers */

struct slot_snapshot {
	int64_t heartbeat_ns, forked_ns;
	uint64_t calls, errors;
	uint32_t connections;
	bool in_call;
	struct slot_call call;	/* terminated, printable ASCII */
	char last_error[512];
	char note[384];
	bool note_trouble;
	int crash_signo;
	char crash_trace[1536];
};
void slot_snapshot(const struct slot *slot, struct slot_snapshot *out);

int board_count_spare(const struct board *board, enum role_id role);
int board_count_full(const struct board *board, enum role_id role);

#endif
