/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * obituary - what is told of a child that has ended: one sentence, and the
 * frames of its crash.
 *
 * All of it comes from the scoreboard's snapshot, the wait status and what the
 * master wrote down itself; a dead child is not asked.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "master/family.h"

static const char *
obituary_exit(int status, char *buf, size_t size)
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

/* "…, while serving GET /x (id …) for 1.2 s", or "". */
static void
obituary_call(const struct slot_snapshot *shot, char *buf, size_t size)
{
	const struct slot_call *call = &shot->call;

	buf[0] = '\0';
	if (shot->in_call)
		snprintf(buf, size,
		    " while %s served %s%s%s (id %s)%s%s after %.3f s",
		    call->handler, call->method, call->path[0] ? " " : "",
		    call->path, call->id, call->peer[0] ? " for " : "",
		    call->peer,
		    clock_to_seconds(clock_now_ns() - call->started_ns));
}

/* One line a frame, so that the log stays greppable; a recursion that ran away
 * is one frame and how often it stands there. */
void
obituary_log_trace(const struct member *member,
    const struct slot_snapshot *shot)
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
		log_error(PRI_MEMBER " frame %d: %s%s", ARG_MEMBER(member), i,
		    line, n > 1 ? ", again and again" : "");
		line = next;
	}
}

void
obituary_write(const struct member *member, const struct slot_snapshot *shot,
    int status, char buf[OBITUARY_SIZE])
{
	char exit_text[64], call_text[768];

	obituary_exit(status, exit_text, sizeof exit_text);
	obituary_call(shot, call_text, sizeof call_text);
	snprintf(buf, OBITUARY_SIZE, "%s%s%s%s%s%s%s%s%s", exit_text, call_text,
	    member->reason[0] ? ": " : "", member->reason,
	    shot->last_error[0] ? ": " : "", shot->last_error,
	    shot->note[0] ? " (its last note: " : "", shot->note,
	    shot->note[0] ? ")" : "");
}
