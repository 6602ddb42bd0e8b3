/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log - one line, one write.
 *
 * Owns the log descriptor and what a process says of itself in each line;
 * log_line makes the bytes. A line is built on the stack, without malloc, so
 * it may come from a freshly forked child; it leaves in one write(2) or not at
 * all. Writing a line never waits for a reader, and keeps errno.
 *
 * Lines that get lost are counted in the process that lost them; the parent's
 * count is not the child's.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log_line.h"
#include "base/mem.h"
#include "base/why.h"

#define LOG_FILE_MODE 0640

enum log_kind { LOG_TO_STREAM, LOG_TO_FILE, LOG_TO_SYSLOG };

static struct {
	enum log_kind kind;
	int fd;
	enum log_format format;
	char path[PATH_MAX]; /* empty unless the target is one */
	char tag[32];

	char role[32];
	int slot;
	unsigned generation;
	const char *request;

	_Atomic int own_level;
	const _Atomic int *level;

	pid_t pid; /* whose the counts are */
	uint64_t lost;
	uint64_t lost_unsaid;
	int lost_errno; /* of the last of them */
	bool torn;	/* half a line is in the file */
} logger = {
	.kind = LOG_TO_STREAM,
	.fd = STDERR_FILENO,
	.format = LOG_FORMAT_TEXT,
	.tag = "-",
	.role = "-",
	.slot = -1,
	.own_level = LOG_LEVEL_INFO,
	.level = &logger.own_level,
};

static const char *const level_names[LOG_LEVEL_COUNT] = {
	[LOG_LEVEL_DEBUG] = "debug",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_NOTICE] = "notice",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_ERROR] = "error",
};

/* ---- levels and identity */

const char *
log_level_name(enum log_level level)
{
	return (unsigned)level < LOG_LEVEL_COUNT ? level_names[level] :
						   "unknown";
}

int
log_level_parse(const char *name)
{
	for (int i = 0; i < LOG_LEVEL_COUNT; i++)
		if (strcmp(name, level_names[i]) == 0)
			return i;
	return -1;
}

void
log_level_source(const _Atomic int *level)
{
	logger.level = level != NULL ? level : &logger.own_level;
}

void
log_set_level(enum log_level level)
{
	atomic_store_explicit(&logger.own_level, (int)level,
	    memory_order_relaxed);
}

bool
log_wanted(enum log_level level)
{
	return (int)level >=
	    atomic_load_explicit(logger.level, memory_order_relaxed);
}

void
log_identity(const char *role, int slot, unsigned generation)
{
	mem_copy_string(logger.role, sizeof(logger.role), role);
	logger.slot = slot;
	logger.generation = generation;
}

void
log_request(const char *id)
{
	logger.request = id;
}

/* A forked child starts with no losses of its own. */
static void
log_settle_process(void)
{
	pid_t pid = getpid();

	if (logger.pid == pid)
		return;
	logger.pid = pid;
	logger.lost = 0;
	logger.lost_unsaid = 0;
	logger.torn = false;
}

uint64_t
log_lost(void)
{
	log_settle_process();
	return logger.lost;
}

/* ---- the way out */

static int
syslog_connect(int fd)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX,
		.sun_path = _PATH_LOG };

	return connect(fd, (struct sockaddr *)&to, sizeof(to));
}

/* One datagram, without the newline. */
static int
syslog_send_once(const struct log_line *line)
{
	ssize_t n;

	do
		n = send(logger.fd, line->bytes, line->len - 1,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	return n == -1 ? -1 : 0;
}

static int
syslog_send(const struct log_line *line)
{
	if (syslog_send_once(line) == 0)
		return 0;
	/* When the syslog daemon was restarted, its socket is another one now.
	 * Ours, which the family shares, can be connected again. */
	if (errno != ECONNREFUSED && errno != ENOTCONN && errno != ECONNRESET &&
	    errno != EPIPE)
		return -1;
	if (syslog_connect(logger.fd) == -1)
		return -1;
	return syslog_send_once(line);
}

/* Whether a write would neither block nor raise SIGPIPE; -1 with errno. */
static int
stream_ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int n;

	do
		n = poll(&p, 1, 0);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return -1;
	if (p.revents & POLLNVAL)
		errno = EBADF;
	else if (p.revents & (POLLERR | POLLHUP))
		errno = EPIPE;
	else if (!(p.revents & POLLOUT))
		errno = EAGAIN;
	else
		return 0;
	return -1;
}

static int
line_emit(const struct log_line *line)
{
	ssize_t n;

	if (logger.kind == LOG_TO_SYSLOG)
		return syslog_send(line);
	if (logger.kind == LOG_TO_STREAM && stream_ready(logger.fd) == -1)
		return -1;
	do
		n = write(logger.fd, line->bytes, line->len);
	while (n == -1 && errno == EINTR);
	if (n == (ssize_t)line->len)
		return 0;
	if (n > 0) {
		logger.torn = true;
		errno = logger.kind == LOG_TO_FILE ? ENOSPC : EAGAIN;
	}
	return -1;
}

static int
log_emit(enum log_level level, const char *message,
    const struct log_field *fields, size_t n)
{
	const struct log_head head = {
		.level = level,
		.format = logger.format,
		.wall_ns = clock_wall_ns(),
		.role = logger.role,
		.pid = logger.pid,
		.slot = logger.slot,
		.generation = logger.generation,
		.request = logger.request,
		.tag = logger.kind == LOG_TO_SYSLOG ? logger.tag : NULL,
	};
	struct log_line line;

	log_line_build(&line, &head, message, fields, n);
	return line_emit(&line);
}

/* Says how many lines were lost, if any; -1 when that is not possible yet. */
static int
log_say_lost(void)
{
	static const struct log_line newline = { .len = 1, .bytes = "\n" };
	const char *reason = strerrordesc_np(logger.lost_errno);
	uint64_t n = logger.lost_unsaid;
	char message[128];

	if (n == 0)
		return 0;
	/* Ends the half of a line that a full disk left. */
	if (logger.torn && line_emit(&newline) == -1)
		return -1;
	logger.torn = false;
	snprintf(message, sizeof(message), "%" PRIu64 " log line%s lost: %s", n,
	    n == 1 ? " was" : "s were", reason != NULL ? reason : "?");
	if (log_emit(LOG_LEVEL_WARNING, message, NULL, 0) == -1)
		return -1;
	logger.lost_unsaid = 0;
	return 0;
}

static void
log_deliver(enum log_level level, const char *message,
    const struct log_field *fields, size_t n)
{
	log_settle_process();
	if (log_say_lost() == 0 && log_emit(level, message, fields, n) == 0)
		return;
	logger.lost++;
	logger.lost_unsaid++;
	logger.lost_errno = errno;
}

void
log_write(enum log_level level, const char *format, ...)
{
	int saved = errno;
	char message[LOG_LINE_MAX];
	va_list ap;

	if (!log_wanted(level))
		return;
	/* What is cut off here would not have fitted into the line either. */
	va_start(ap, format);
	if (vsnprintf(message, sizeof(message), format, ap) < 0)
		mem_copy_string(message, sizeof(message), format);
	va_end(ap);
	log_deliver(level, message, NULL, 0);
	errno = saved;
}

void
log_fields(enum log_level level, const char *message,
    const struct log_field *fields, size_t n)
{
	int saved = errno;

	if (log_wanted(level))
		log_deliver(level, message, fields, n);
	errno = saved;
}

/* ---- targets */

/* Never blocks: not in a FIFO without a reader, not for a stuck one. */
static int
log_open_path(const char *path)
{
	return open(path,
	    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
	    LOG_FILE_MODE);
}

static int
log_open_syslog(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd != -1 && syslog_connect(fd) == -1)
		fd_close(&fd);
	return fd;
}

/* Makes fd, which may be the one in use, the target. */
static void
log_take(int fd, enum log_kind kind)
{
	struct stat st;

	if (kind == LOG_TO_STREAM && fd != STDERR_FILENO &&
	    fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		kind = LOG_TO_FILE;
	if (logger.fd != fd && logger.fd != STDERR_FILENO)
		fd_close(&logger.fd);
	logger.fd = fd;
	logger.kind = kind;
}

void
log_set_format(enum log_format format)
{
	logger.format = format;
}

int
log_open(const char *target, enum log_format format, const char *tag,
    struct why *why)
{
	const char *path = "";
	enum log_kind kind = LOG_TO_STREAM;
	int fd;

	if (strcmp(target, "stderr") == 0) {
		fd = STDERR_FILENO;
	} else if (strcmp(target, "syslog") == 0) {
		kind = LOG_TO_SYSLOG;
		fd = log_open_syslog();
		if (fd == -1)
			return why_set(why,
			    "cannot log to syslog at %s: %m; "
			    "is a syslog daemon running?",
			    _PATH_LOG);
	} else {
		path = target;
		errno = ENAMETOOLONG;
		fd = strlen(path) < sizeof(logger.path) ? log_open_path(path) :
							  -1;
		if (fd == -1)
			return why_set(why, "cannot open log file %s: %m",
			    target);
	}
	mem_copy_string(logger.path, sizeof(logger.path), path);
	mem_copy_string(logger.tag, sizeof(logger.tag),
	    tag != NULL ? tag : program_invocation_short_name);
	logger.format = format;
	logger.torn = false;
	log_take(fd, kind);
	tzset(); /* reads the zone file now, not at the first line */
	return 0;
}

int
log_reopen(struct why *why)
{
	int fd;

	if (logger.path[0] == '\0')
		return 0;
	fd = log_open_path(logger.path);
	if (fd == -1)
		return why_set(why,
		    "cannot reopen log file %s: %m; logging "
		    "goes on to the old one",
		    logger.path);
	/* The number stays, for those who have asked log_fd(). */
	if (dup3(fd, logger.fd, O_CLOEXEC) == -1) {
		why_set(why, "cannot reopen log file %s: %m", logger.path);
		fd_close(&fd);
		return -1;
	}
	fd_close(&fd);
	log_take(logger.fd, LOG_TO_STREAM);
	logger.torn = false;
	return 0;
}

int
log_fd(void)
{
	return logger.fd;
}

void
log_adopt_fd(int fd)
{
	socklen_t len = sizeof(int);
	int type = 0;

	if (fd == -1)
		return;
	/* The sender may have moved to another kind of target. Only syslog is
	 * a datagram socket; systemd's stderr is a stream. */
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == -1)
		type = 0;
	log_take(fd, type == SOCK_DGRAM ? LOG_TO_SYSLOG : LOG_TO_STREAM);
	logger.path[0] = '\0'; /* it is for the sender to reopen */
	logger.torn = false;
}
