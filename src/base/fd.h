/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fd - descriptors: the small Linux things that every process needs.
 *
 * All return -1 with errno set on failure and none of them blocks, unless said
 * otherwise. Descriptors are born close-on-exec.
 */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct why;

/* Closes *fd unless it is -1, and makes it -1. Keeps errno. */
void fd_close(int *fd);

int fd_nonblock(int fd);

/*
 * Closes every descriptor above 2 but those in keep[n] (any order, -1 allowed),
 * with close_range(2).
 */
void fd_close_all_but(const int *keep, size_t n);

/* A connected pair of non-blocking SOCK_SEQPACKET sockets. */
int fd_seqpacket_pair(int pair[2]);

/*
 * One packet on a Unix socket with at most one descriptor alongside.
 * fd_send: `pass` is -1 for none. Returns 0 or -1 (EAGAIN: the peer lags).
 * fd_recv: returns the packet's length, 0 at end of file, -1 otherwise;
 * EMSGSIZE when it did not fit. *pass becomes the descriptor that came, or -1.
 */
int fd_send(int sock, const void *data, size_t len, int pass);
ssize_t fd_recv(int sock, void *data, size_t size, int *pass);

/* A pidfd for a child of ours that has not been reaped. */
int fd_of_pid(pid_t pid);

/*
 * Creates or opens a pid file, takes a POSIX record lock on it (which dies with
 * this process and is not inherited by fork) and writes our pid. Returns the
 * descriptor, which stays open. -1 with the reason in `why`; *owner is then the
 * pid that holds the lock, or 0 when the cause is another.
 */
int fd_pidfile(const char *path, pid_t *owner, struct why *why);

/* The pid that holds the lock on the pid file, 0 when nobody does (a missing
 * file included), -1 with errno. *stale says that a file is there unlocked. */
pid_t fd_pidfile_owner(const char *path, bool *stale);

/* mkdir -p with a mode for the last part; an existing directory is fine. */
int fd_mkdir_p(const char *path, mode_t mode);

/* Reads a whole file of at most `max` bytes into NUL-terminated memory that the
 * caller frees; NULL with errno (EFBIG beyond max). Blocks as files do. */
char *fd_read_file(const char *path, size_t max, size_t *len);

/*
 * Sends one datagram of sd_notify(3) to $NOTIFY_SOCKET ("READY=1" say). Returns
 * 0 when there is no such socket. Never blocks.
 */
int fd_sd_notify(const char *state);

#endif
