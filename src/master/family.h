/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * family - the master's own tables: deployments, pools, members.
 *
 * What children say is gossip, these tables are law. Every file of this folder
 * works on them and owns one verb:
 *
 *   master   start, signals, files       policy   how many (pure)
 *   stop     in which order all end      listen   the listening sockets
 *   spawn    fork a member               hubsock  the hub's socket
 *   member   its states and its end      reload   a new generation
 *   obituary what is told of an end      control  the operator's socket
 *   pools    which there are             command  what he asks for
 *   pool     hold policy against facts   status   what he is told
 *   death    what follows from an end    watch    deadlines and heartbeats
 */
#ifndef MASTER_FAMILY_H
#define MASTER_FAMILY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/backoff.h"
#include "base/loop.h"
#include "core/child.h"
#include "core/conf.h"
#include "core/scoreboard.h"
#include "master/listen.h"
#include "master/master.h"
#include "master/policy.h"

struct control;
struct reload;

enum member_state {
#define STATE(id, name) MEMBER_##id,
#include "core/state.def"
};

enum member_event {
#define EVENT(id, name) EVENT_##id,
#include "core/state.def"
};

/* The ladder, from a request to an order. */
enum member_rung { RUNG_NONE, RUNG_TERM, RUNG_ABRT, RUNG_KILL };

/* A config with its sockets; children of one generation have the same. */
struct deployment {
	struct conf *conf;
	struct listen_set listen;
	unsigned generation;
};

/* A child, by its slot in the scoreboard. */
struct member {
	struct master *master;
	struct pool *pool;
	unsigned slot;
	enum member_state state;
	pid_t pid;			/* 0: reaped */
	unsigned generation;
	int chan_fd;			/* the master's end; -1: closed */
	struct loop_io chan;
	struct loop_child exit;
	struct loop_timer step;		/* the deadline of its state */
	enum member_rung rung;
	int64_t forked_ns, ready_ns;	/* ready_ns 0: never was */
	bool retiring;			/* asked to be replaced */
	int64_t mute_ns;		/* its generation's heartbeat_timeout */
	int64_t overrun_ns;		/* start of the call told to give up */
	bool overran;			/* and did not: ended for it */
	bool ordered;			/* to drain or stop, by us */
	char reason[256];		/* why we end it; "": we don't */
	/* of the slot, kept from one member to the next */
	unsigned restarts;
	char why[512];			/* the last one's end */
};

#define POOL_NOTES 32
struct pool_note {
	int64_t wall_ns;
	char text[1024];
};

/* One for each role; of a ROLE_EACH one for each entry of its list, known by
 * the entry's name from one config to the next. */
struct pool {
	struct master *master;
	enum role_id role_id;
	char name[CHILD_NAME_SIZE];	/* "rest", "background:watcher" */
	char entry[65];			/* its entry's name, or "" */
	struct policy policy;
	int scaled;			/* by the operator; -1: automatic */
	struct loop_timer decide;	/* when to ask policy again */
	struct loop_timer respawn;	/* after a young death or failed fork */
	struct loop_timer calm;		/* no young death for a while */
	struct backoff backoff;
	unsigned young_deaths;		/* in a row */
	bool held;			/* reported as such */
	bool held_for_good;		/* exit 78: until a reload */
	char held_reason[512];
	int64_t retry_at_ns;
	/* a background handler has returned: its child is gone, and nobody is
	 * missing until the respawn timer, or for good */
	bool ended, finished;
	/* of the reload under way: how many of the new generation there are to
	 * be; a new one that has returned already, how and why */
	int next_wanted;
	bool next_ended;
	int next_status;
	char next_reason[512];
	/* what the dead have left */
	uint64_t restarts, calls, errors;
	struct histogram latency;
	char last_restart[512];
	struct pool_note note[POOL_NOTES];
	unsigned notes;			/* ever written */
};

enum master_phase { PHASE_STARTING, PHASE_RUNNING, PHASE_STOPPING };

/* Who is being drained while stopping, see stop.c. */
enum stop_stage { STOP_REST, STOP_AMQP, STOP_WORK, STOP_HUB, STOP_NOW };

struct master {
	const struct role *const *roles;
	struct privilege become;
	struct loop loop;
	struct board board;
	struct deployment *current;
	struct member *member;		/* by slot, board.slots of them */
	unsigned slots_used;		/* the highest slot in use, plus one */
	struct pool **pool;
	size_t pools;
	int hub_fd;			/* the hub's listening socket */
	struct control *control;
	struct reload *reload;		/* NULL: none under way */
	unsigned checks;		/* check children not yet reaped */
	bool settling;			/* committed, but for the new hub */
	bool reload_again;		/* HUP came meanwhile */
	char reload_result[1024];	/* of the last one; "": none yet */
	int64_t reload_wall_ns;
	unsigned generations;		/* the last number given out */
	enum master_phase phase;
	enum stop_stage stage;
	int64_t stop_deadline_ns;	/* for all stages together */
	struct loop_timer deadline;	/* of the earliest call */
	struct loop_timer heartbeat;
	int64_t heartbeat_due_ns;	/* when it should fire */
	struct loop_timer changed;	/* master_changed() was called */
	struct loop_timer watchdog;
	int64_t watchdog_ns;		/* systemd's; 0: none */
	int64_t started_ns;
	pid_t pid;
	int ready_fd;
	int pid_fd;
	char pid_path[CONF_PATH_SIZE];
	char control_path[CONF_PATH_SIZE];
	char hub_path[CONF_PATH_SIZE];
	int exit_status;
};

/* --- master.c */
/* A start that failed: says so, takes everything down. */
void master_start_failed(struct master *master, int exit_status,
    const char *reason);
/* Something changed state: in the next turn of the loop a start, a stop, a
 * queued reload or a waiting operator may be satisfied by it. */
void master_changed(struct master *master);
struct deployment *deployment_new(struct conf *conf, unsigned generation);
void deployment_free(struct deployment *deployment,
    const struct listen_set *keep);

/* --- stop.c */
/* Drains everything in its order; `now`: kills it. */
void master_stop(struct master *master, bool now, const char *reason);
/* On to the next stage when one is done; true when nobody is left. */
bool stop_advance(struct master *master);
/* True while members of the role are still to be there. */
bool stop_keeps(const struct master *master, enum role_id role);

/* --- hubsock.c */
int hubsock_open(struct master *master, struct why *why);
void hubsock_close(struct master *master);

/* --- spawn.c */
/* Forks a member of the deployment. NULL with a reason when that failed now. */
struct member *spawn_member(struct pool *pool,
    const struct deployment *deployment, struct why *why);

/* --- member.c */
const char *member_state_name(enum member_state state);
/* The one place where a state changes, by the table in state.def. */
void member_event(struct member *member, enum member_event event,
    const char *reason);
void member_on_exit(void *ctx, pid_t pid, int status);
void member_on_chan(void *ctx, unsigned events);
void member_on_step(void *ctx);
/* kill(2) unless it was reaped, when the pid may be somebody else's. */
void member_kill(const struct member *member, int signo);
bool member_alive(const struct member *member);
/* Sends to a member; a full or broken channel is logged, never waited for. */
int member_send(struct member *member, int id, int fd);
/* "rest[1234]" in log lines is PRI_MEMBER with ARG_MEMBER(member). */
#define PRI_MEMBER "%s[%d]"
#define ARG_MEMBER(m) (m)->pool->name, (int)(m)->pid

/* --- obituary.c */
/*
 * What happened, in one sentence for the log and for `status`: the way it
 * ended, what it was doing, and why, as far as the master or the child knows.
 */
#define OBITUARY_SIZE 2304
void obituary_write(const struct member *member,
    const struct slot_snapshot *shot, int status, char buf[OBITUARY_SIZE]);
/* The frames of a crash, one line each. */
void obituary_log_trace(const struct member *member,
    const struct slot_snapshot *shot);

/* --- pools.c */
/* Makes the pools that this config needs and that are not there yet. */
void pools_add(struct master *master, const struct conf *conf);
/* Frees those that no config needs any more, once their members are gone. */
void pools_sweep(struct master *master);
void pools_free(struct master *master);
/* By its name, or NULL. */
struct pool *pools_find(const struct master *master, const char *name);
/* Where its entry stands in that config; -1: it has none there. */
int pool_entry(const struct pool *pool, const struct conf *conf);
/* So many amqp children at most: what amqp.children may be as well. */
#define POOL_AMQP_MAX 64
/* True when the config has a place for this pool. */
bool pool_in(const struct pool *pool, const struct conf *conf);
/* The bounds of its size in that config. */
void pool_read_limits(const struct pool *pool, const struct conf *conf,
    struct policy_limits *limits);
bool pool_is(const struct pool *pool, enum role_id role);
/* Its size is the operator's business, and policy's unless it is fixed. */
bool pool_is_sized(const struct pool *pool);

/* --- pool.c */
void pool_init(struct pool *pool, const struct conf *conf);
/* Takes over the numbers of a config. */
void pool_configure(struct pool *pool, const struct conf *conf);
/* How many there are to be now. */
int pool_wanted(const struct pool *pool);
/* Starting, ready, draining or stopping, of any generation. */
int pool_members(const struct pool *pool);
/* Asks policy and does what it says: spawns, retires. */
void pool_review(struct pool *pool);
/* Members of the current generation, by state. */
struct pool_count {
	int starting, ready, draining, stopping;	/* of any generation */
	int live;	/* starting or ready, this generation, not retiring */
	int live_ready;
	int retiring;
	int busy, spare;
};
void pool_count(const struct pool *pool, struct pool_count *count);
/* A process has ended: a fork that failed may succeed now. */
void pool_on_room(struct pool *pool);
void pool_on_ready(struct pool *pool, struct member *member);
/* Remembers a decision for `broodctl explain`, and logs it. */
void pool_note(struct pool *pool, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void pool_scale(struct pool *pool, int n);	/* -1: automatic */
/* Forgets young deaths and a hold; after a reload or by command. */
void pool_unhold(struct pool *pool);
/* Waits before the next attempt, at least so long; attempts that are due
 * together are one. */
void pool_wait(struct pool *pool, int64_t at_least_ns);

/* --- death.c */
/* A member of this pool has ended without having been told to. */
void pool_on_death(struct pool *pool, const struct member *member,
    const struct slot_snapshot *shot, int status, const char *what);
/* A background handler has returned: what its restart policy says of it. */
void pool_on_return(struct pool *pool, int status, const char *reason);
/* True for the exit status of a background handler that has returned. */
bool pool_has_returned(const struct pool *pool, const struct member *member,
    int status);

/* --- watch.c */
void watch_init(struct master *master);
/* A new heartbeat_timeout decides when heartbeats are looked at next. */
void watch_configure(struct master *master);
/* A child rang: look at spare counts and deadlines. */
void watch_look(struct master *master);

/* --- reload.c */
/* 0 when one was begun, to end in master->reload_result; -1 with the reason. */
int reload_begin(struct master *master, struct why *why);
void reload_on_ready(struct master *master, struct member *member);
/* True when the dead member was of the new generation: handled here. `left` is
 * the reason that it gave itself, or "". */
bool reload_on_death(struct master *master, const struct member *member,
    int status, const char *what, const char *left);
/* The new hub is ready (what: NULL), or has ended. */
void reload_settle(struct master *master, const char *what);
void reload_abort(struct master *master, const char *reason);
/* The deployment whose members are being started besides the current one. */
const struct deployment *reload_deployment(const struct master *master);

/* --- control.c */
int control_open(struct master *master, struct why *why);
void control_close(struct master *master);
/* Something changed: answer those who wait. */
void control_poke(struct master *master);

/* --- status.c */
json_t *status_report(struct master *master);
json_t *status_explain(struct pool *pool);

#endif
