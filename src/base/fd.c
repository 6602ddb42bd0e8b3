/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fd - descriptors: the small Linux things that every process needs.
 *
 * Keeps no state. Whatever makes a descriptor makes it close-on-exec, and no
 * descriptor that a peer sends along is ever leaked: what nobody asked for is
 * closed here. Logs nothing; pid files explain themselves through `why`.
 *
 * A POSIX lock goes when its process closes any descriptor of that file. So
 * a process that holds a pid file must not ask fd_pidfile_owner() about it.
 */
#include "base/fd.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/why.h"

#define PIDFILE_TRIES 10 /* against owners that come and go meanwhile */

void
fd_close(int *fd)
{
	int saved = errno;

	if (*fd != -1)
		close(*fd); /* not again on EINTR: it is closed then */
	*fd = -1;
	errno = saved;
}

int
fd_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags == -1)
		return -1;
	return fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1 ? -1 : 0;
}

/* The smallest of keep[n] that is `from` or above, INT_MAX when none is. */
static int
fd_next_kept(const int *keep, size_t n, int from)
{
	int next = INT_MAX;

	for (size_t i = 0; i < n; i++)
		if (keep[i] >= from && keep[i] < next)
			next = keep[i];
	return next;
}

void
fd_close_all_but(const int *keep, size_t n)
{
	int from = STDERR_FILENO + 1;
	int kept;

	while ((kept = fd_next_kept(keep, n, from)) != INT_MAX) {
		if (kept > from)
			close_range((unsigned)from, (unsigned)kept - 1, 0);
		from = kept + 1;
	}
	close_range((unsigned)from, UINT_MAX, 0);
}

int
fd_seqpacket_pair(int pair[2])
{
	return socketpair(AF_UNIX,
	    SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair);
}

int
fd_send(int sock, const void *data, size_t len, int pass)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { .bytes = { 0 } };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data,
		.iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;
	ssize_t n;

	assert(len > 0); /* or it would look like the end of the file */
	if (pass != -1) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &pass, sizeof(int));
	}
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	return n == -1 ? -1 : 0;
}

/* Takes the descriptors out of a message: returns the first, closes others. */
static int
fd_take_passed(struct msghdr *msg)
{
	struct cmsghdr *cmsg;
	int first = -1, fd;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg != NULL;
	     cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET ||
		    cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0);
		     at + sizeof(int) <= cmsg->cmsg_len; at += sizeof(int)) {
			memcpy(&fd, (char *)cmsg + at, sizeof(int));
			if (first == -1)
				first = fd;
			else
				fd_close(&fd);
		}
	}
	return first;
}

ssize_t
fd_recv(int sock, void *data, size_t size, int *pass)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = data, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	int fd = -1;
	ssize_t n;

	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	if (n != -1)
		fd = fd_take_passed(&msg);
	if (n > 0 && (msg.msg_flags & MSG_TRUNC)) {
		errno = EMSGSIZE;
		n = -1;
	}
	/* An empty packet can bring one too, and shows as the end. */
	if (n <= 0)
		fd_close(&fd);
	if (pass != NULL)
		*pass = fd;
	else
		fd_close(&fd);
	return n;
}

int
fd_of_pid(pid_t pid)
{
	return pidfd_open(pid, 0);
}

/* Who holds the lock: 0 nobody, -1 with errno. ESRCH is an owner that this pid
 * namespace has no number for; any number would name another process. */
static pid_t
fd_lock_owner(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_GETLK, &lock) == -1)
		return -1;
	if (lock.l_type == F_UNLCK)
		return 0;
	if (lock.l_pid > 0)
		return lock.l_pid;
	errno = ESRCH;
	return -1;
}

/*
 * Opens the pid file and tries to lock it. Returns the descriptor; -1 with
 * errno, which is EAGAIN when a process, *owner, holds the lock, and ESTALE
 * when the file was replaced or its owner left under our hands.
 */
static int
fd_pidfile_try(const char *path, pid_t *owner)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct stat ours, there;
	int fd;

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
	if (fd == -1)
		return -1;
	if (fstat(fd, &ours) == -1)
		goto out;
	if (!S_ISREG(ours.st_mode)) {
		errno = EINVAL;
		goto out;
	}
	if (fcntl(fd, F_SETLK, &lock) == -1) {
		if (errno != EACCES && errno != EAGAIN)
			goto out;
		*owner = fd_lock_owner(fd);
		if (*owner != -1)
			errno = *owner > 0 ? EAGAIN : ESTALE;
		goto out;
	}
	/* The last owner may have unlinked it between our open and lock. */
	if (stat(path, &there) == 0 && there.st_dev == ours.st_dev &&
	    there.st_ino == ours.st_ino)
		return fd;
	errno = ESTALE;
out:
	fd_close(&fd);
	return -1;
}

static int
fd_pidfile_write(int fd)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	ssize_t n;

	if (ftruncate(fd, 0) == -1)
		return -1;
	n = pwrite(fd, text, (size_t)len, 0);
	if (n != -1 && n != len)
		errno = ENOSPC;
	return n == len ? 0 : -1;
}

int
fd_pidfile(const char *path, pid_t *owner, struct why *why)
{
	pid_t holder = 0;
	int fd = -1;

	*owner = 0;
	for (int i = 0; i < PIDFILE_TRIES; i++) {
		fd = fd_pidfile_try(path, &holder);
		if (fd != -1 || errno != ESTALE)
			break;
	}
	if (fd == -1 && errno == EAGAIN) {
		*owner = holder;
		return why_set(why,
		    "pid file %s is locked by process %d: "
		    "this service is already running; stop it first, or use "
		    "another pid file",
		    path, (int)holder);
	}
	if (fd == -1 && errno == ESRCH)
		return why_set(why,
		    "pid file %s is locked by a process of "
		    "another pid namespace: this service is already running "
		    "there",
		    path);
	if (fd == -1 && errno == ENOENT)
		return why_set(why,
		    "cannot create pid file %s: %m; create "
		    "its directory first",
		    path);
	if (fd == -1 && errno == EINVAL)
		return why_set(why,
		    "pid file %s is not a regular file: "
		    "remove it, or use another path",
		    path);
	if (fd == -1)
		return why_set(why, "cannot lock pid file %s: %m", path);

	if (fd_pidfile_write(fd) == -1) {
		why_set(why, "cannot write pid file %s: %m", path);
		fd_close(&fd);
	}
	return fd;
}

pid_t
fd_pidfile_owner(const char *path, bool *stale)
{
	pid_t owner;
	int fd;

	*stale = false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1)
		return errno == ENOENT ? 0 : -1;
	owner = fd_lock_owner(fd);
	*stale = owner == 0;
	fd_close(&fd);
	return owner;
}

static int
fd_mkdir(const char *path, mode_t mode, bool exact)
{
	struct stat st;
	int saved;

	/* An exact mode is what was asked for, whatever the umask. */
	if (mkdir(path, mode) == 0)
		return exact ? chmod(path, mode) : 0;
	saved = errno;
	if (stat(path, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			return 0;
		saved = ENOTDIR;
	}
	errno = saved;
	return -1;
}

int
fd_mkdir_p(const char *path, mode_t mode)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	if (len == 0 || len >= sizeof(part)) {
		errno = len == 0 ? ENOENT : ENAMETOOLONG;
		return -1;
	}
	memcpy(part, path, len);
	part[len] = '\0';

	for (char *p = part + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		if (fd_mkdir(part, 0755, false) == -1)
			return -1;
		*p = '/';
	}
	return fd_mkdir(part, mode, true);
}

char *
fd_read_file(const char *path, size_t max, size_t *len)
{
	struct buf buf;
	char *text = NULL;
	ssize_t n;
	int fd;

	/* One byte beyond, to tell a full buffer from the end of the file. */
	buf_init(&buf, max < SIZE_MAX ? max + 1 : max);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return NULL;
	do
		n = buf_read_fd(&buf, fd);
	while (n > 0 && buf.len <= max);
	if (n == -1)
		goto out;
	if (buf.len > max) {
		errno = EFBIG;
		goto out;
	}
	text = buf_detach(&buf, len);
out:
	fd_close(&fd);
	buf_release(&buf);
	return text;
}

int
fd_sd_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	socklen_t to_len;
	size_t len;
	ssize_t n;
	int fd;

	if (path == NULL || *path == '\0')
		return 0;
	len = strlen(path);
	if ((*path != '/' && *path != '@') || len >= sizeof(to.sun_path)) {
		errno = EINVAL;
		return -1;
	}
	memcpy(to.sun_path, path, len);
	if (*path == '@')
		to.sun_path[0] = '\0'; /* abstract: exactly len bytes */
	to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	do
		n = sendto(fd, state, strlen(state),
		    MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&to,
		    to_len);
	while (n == -1 && errno == EINTR);
	fd_close(&fd);
	return n == -1 ? -1 : 0;
}
