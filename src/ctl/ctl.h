/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ctl - what the files of broodctl share: the options, where the service is,
 * and the one way to tell how a command ended.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/why.h"
#include "core/cmd.h"

/*
 * Exit statuses beyond enum cmd_code, those of the LSB: an answer of the
 * master has CMD_OK, CMD_FAILED or CMD_USAGE.
 */
enum ctl_exit {
	CTL_STATUS_DEAD = 1,		/* status: dead, pid file left over */
	CTL_STATUS_STOPPED = 3,		/* status: not running */
	CTL_STATUS_UNKNOWN = 4,		/* status: cannot tell */
	CTL_DENIED = 4,
	CTL_NOT_RUNNING = 7,
	CTL_CONFIG = 78,
};

struct ctl {
	const struct cmd_info *cmd;
	bool json, quiet;
	int64_t timeout_ns;		/* of --timeout, 0: not given */
	int64_t deadline_ns;		/* of the command */
	const char *config;		/* -c, or the default */
	const char *socket_option;	/* -s, or NULL */
	json_t *members;		/* of the request, see member.h; NULL */
	/* ctl_locate() */
	char *socket;
	char *pid_file;			/* NULL with -s: not known */
	size_t max_body;		/* hub.max_message, 0: not known */
};

/*
 * Finds the control socket and the pid file, and gives the command the time
 * that the config's own limits allow. 0, or -1 with the reason.
 */
int ctl_locate(struct ctl *ctl, struct why *why);
void ctl_release(struct ctl *ctl);

/*
 * The pid of the running service by its pid file: 0 when it is not running,
 * -1 with the reason. *stale (may be NULL): a pid file is left over.
 */
pid_t ctl_owner(const struct ctl *ctl, bool *stale, struct why *why);

/* Nanoseconds that are left to the command, never below 0. */
int64_t ctl_left_ns(const struct ctl *ctl);

/* Progress, on stderr. */
void ctl_event(const struct ctl *ctl, const char *text);

/* How it ended: one line (several for several errors), or with --json the
 * answer object. Both return the exit status. */
int ctl_done(const struct ctl *ctl, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int ctl_fail(const struct ctl *ctl, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Prints the final answer of the master as it is; returns its exit status. */
int ctl_answer(const struct ctl *ctl, const json_t *answer);

/* One line of compact JSON on stdout; `digits` of a real number, 17 keep it
 * exactly. */
void ctl_print_json(const json_t *value, size_t digits);

/* The commands. args[n] are what follows the command's name. */
typedef int ctl_run_fn(struct ctl *ctl, char *const *args, int n);
ctl_run_fn ctl_start, ctl_stop, ctl_restart;		/* local.c */
ctl_run_fn ctl_ask, ctl_explain;			/* remote.c */
ctl_run_fn ctl_status;					/* status.c */
ctl_run_fn ctl_hub;					/* hub.c */

#endif
