/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proc - processes as the kernel sees them, and waits with an end.
 */
#ifndef SYSTEM_PROC_H
#define SYSTEM_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

int64_t proc_now_ms(void);

/* A pidfd, close-on-exec; -1 with errno. */
int proc_open(pid_t pid);

/* Waits for the end of the process behind a pidfd; false when patience is. */
bool proc_wait(int pidfd);

/* Direct children. Returns how many, at most max. */
size_t proc_children(pid_t pid, pid_t *out, size_t max);

bool proc_is_zombie(pid_t pid);
const char *proc_name(pid_t pid, char *buf, size_t size);

/* The number behind a field of /proc/PID/status, -1 if there is none. */
long proc_field(pid_t pid, const char *field);

/*
 * Asks `is_so` until it is, giving up when patience ends or the process behind
 * the pidfd (-1: none) does. Between two questions it waits on the pidfd.
 */
bool proc_until(int pidfd, bool (*is_so)(void *ctx), void *ctx);

/* ---- running a program to its end */

struct run {
	int status;		/* exit status, or 128 + signal */
	char *out, *err;	/* NUL-terminated */
	size_t out_len, err_len;
};

/* argv[0] is looked for in PATH. `input` may be NULL. Fails the test when the
 * program does not end. */
void run_program(struct run *run, const char *const argv[], const char *input);
void run_release(struct run *run);

#endif
