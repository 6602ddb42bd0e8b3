/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_log - lines on their way out: to pipes, files, syslog and nowhere, and
 * what is said of those that did not get there. What a line looks like is for
 * test_log_line; here JSON is used only to see that the format is passed on.
 *
 * connect(2) is replaced, so that /dev/log is a socket of this test's own.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/why.h"
#include "run_suite.h"

static char dir[64];
static char file[128], moved[128], devlog[100];
static int ends[2];	     /* of the pipe that capture() reads */
static uint64_t lost_before; /* by other tests, when Check does not fork */

static uint64_t
lost(void)
{
	return log_lost() - lost_before;
}

int
connect(int fd, __CONST_SOCKADDR_ARG addr, socklen_t len)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const struct sockaddr *sa = addr.__sockaddr__;

	if (sa->sa_family == AF_UNIX) {
		ck_assert_str_eq(addr.__sockaddr_un__->sun_path, "/dev/log");
		memcpy(to.sun_path, devlog, sizeof(devlog));
		sa = (const struct sockaddr *)&to;
		len = sizeof(to);
	}
	return (int)syscall(SYS_connect, fd, sa, len);
}

/* Begins with the state of a process that has just been started. */
static void
setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/test_log.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/file", dir);
	snprintf(moved, sizeof(moved), "%s/moved", dir);
	snprintf(devlog, sizeof(devlog), "%s/devlog", dir);
	ends[0] = ends[1] = -1;
	log_identity("test", -1, 0);
	log_request(NULL);
	log_level_source(NULL);
	log_set_level(LOG_LEVEL_INFO);
	lost_before = log_lost();
}

static void
teardown(void)
{
	/* What was lost is told there, and not in the next test. */
	log_open("/dev/null", LOG_FORMAT_TEXT, NULL, NULL);
	log_error("%s", "");
	log_open("stderr", LOG_FORMAT_TEXT, NULL, NULL);
	fd_close(&ends[0]);
	unlink(file);
	unlink(moved);
	unlink(devlog);
	ck_assert_int_eq(rmdir(dir), 0);
}

/* Makes a pipe of two pages the target (poll(2) calls it full as soon as the
 * last page is begun); nobody else holds its write end. */
static void
log_to_pipe(enum log_format format)
{
	ck_assert_int_eq(log_open("stderr", format, NULL, NULL), 0);
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	ck_assert_int_eq(fd_nonblock(ends[0]), 0);
	ck_assert_int_eq(fcntl(ends[1], F_SETPIPE_SZ, 8192), 8192);
	log_adopt_fd(ends[1]);
	ck_assert_int_eq(log_fd(), ends[1]);
}

/* What has been written since the last time; "" for nothing. */
static const char *
capture(void)
{
	static char text[20000];
	ssize_t n = read(ends[0], text, sizeof(text) - 1);

	if (n == -1)
		ck_assert_int_eq(errno, EAGAIN);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* The line without its time, which is checked to look like one. */
static const char *
after_time(const char *line)
{
	ck_assert_uint_gt(strlen(line), 25);
	ck_assert_int_eq(line[10], 'T');
	ck_assert_int_eq(line[23], 'Z');
	ck_assert_int_eq(line[24], ' ');
	return line + 25;
}

static void assert_line(const char *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
assert_line(const char *line, const char *format, ...)
{
	char expected[1000];
	va_list ap;

	va_start(ap, format);
	vsnprintf(expected, sizeof(expected), format, ap);
	va_end(ap);
	ck_assert_str_eq(after_time(line), expected);
}

static char *
content(const char *path)
{
	size_t len;
	char *text = fd_read_file(path, 1 << 20, &len);

	ck_assert_ptr_nonnull(text);
	ck_assert_uint_eq(strlen(text), len);
	return text;
}

START_TEST(levels_have_names)
{
	static const char *const names[] = { "debug", "info", "notice",
		"warning", "error" };

	for (int i = 0; i < LOG_LEVEL_COUNT; i++) {
		ck_assert_str_eq(log_level_name((enum log_level)i), names[i]);
		ck_assert_int_eq(log_level_parse(names[i]), i);
	}
	ck_assert_int_eq(log_level_parse(""), -1);
	ck_assert_int_eq(log_level_parse("Debug"), -1);
	ck_assert_int_eq(log_level_parse("debugging"), -1);
	ck_assert_ptr_nonnull(log_level_name((enum log_level)99));
}
END_TEST

START_TEST(a_level_is_a_threshold)
{
	_Atomic int shared = LOG_LEVEL_WARNING;

	for (int at = 0; at < LOG_LEVEL_COUNT; at++) {
		log_set_level((enum log_level)at);
		for (int i = 0; i < LOG_LEVEL_COUNT; i++)
			ck_assert_int_eq(log_wanted((enum log_level)i),
			    i >= at);
	}
	log_level_source(&shared);
	log_set_level(LOG_LEVEL_DEBUG);
	ck_assert(!log_wanted(LOG_LEVEL_NOTICE));
	log_to_pipe(LOG_FORMAT_TEXT);
	log_notice("%s", "unwanted");
	log_fields(LOG_LEVEL_NOTICE, "unwanted", NULL, 0);
	ck_assert_str_eq(capture(), "");
	shared = LOG_LEVEL_NOTICE;
	log_notice("%s", "wanted");
	assert_line(capture(), "notice test[%d] wanted\n", (int)getpid());
	log_level_source(NULL);
	ck_assert(log_wanted(LOG_LEVEL_DEBUG));
	ck_assert_uint_eq(lost(), 0);
}
END_TEST

START_TEST(a_line_says_who_speaks)
{
	const struct log_field fields[] = {
		{ "key", "two words", 0 },
		{ "count", NULL, 7 },
	};
	int pid = (int)getpid();

	log_to_pipe(LOG_FORMAT_TEXT);
	log_info("%d + %d", 1, 2);
	assert_line(capture(), "info test[%d] 1 + 2\n", pid);
	log_identity("a role of more than 31 characters", 12, 34);
	log_warning("%s", "x");
	assert_line(capture(),
	    "warning a role of more than 31 characte[%d] "
	    "slot=12 gen=34 x\n",
	    pid);
	log_identity("rest", 3, 0);
	log_request("7f3a");
	log_error("%s", "x");
	assert_line(capture(), "error rest[%d] slot=3 gen=0 id=7f3a x\n", pid);
	log_request(NULL);
	log_fields(LOG_LEVEL_NOTICE, "100%", fields, 2);
	assert_line(capture(),
	    "notice rest[%d] slot=3 gen=0 100%% "
	    "key=\"two words\" count=7\n",
	    pid);
}
END_TEST

START_TEST(a_json_line_parses)
{
	const struct log_field field = { "key", "\xff\n", 0 };
	json_t *line;

	log_to_pipe(LOG_FORMAT_JSON);
	log_request("7f3a");
	log_fields(LOG_LEVEL_ERROR, "say \"x\"", &field, 1);
	line = json_loads(capture(), 0, NULL);
	ck_assert(json_is_object(line));
	ck_assert_uint_eq(json_object_size(line), 7);
	ck_assert_str_eq(json_string_value(json_object_get(line, "message")),
	    "say \"x\"");
	ck_assert_str_eq(json_string_value(json_object_get(line, "key")),
	    "\uFFFD\n");
	ck_assert_int_eq(json_integer_value(json_object_get(line, "pid")),
	    getpid());
	json_decref(line);
}
END_TEST

START_TEST(a_long_message_is_one_line)
{
	const char *line;
	json_t *object;

	log_to_pipe(_i == 0 ? LOG_FORMAT_TEXT : LOG_FORMAT_JSON);
	log_info("%*s", 3 * LOG_LINE_MAX, "x");
	line = capture();
	ck_assert_uint_eq(strlen(line), LOG_LINE_MAX);
	ck_assert_ptr_eq(strchr(line, '\n'), line + LOG_LINE_MAX - 1);
	ck_assert_ptr_nonnull(strstr(line, "…"));
	if (_i == 1) {
		object = json_loads(line, 0, NULL);
		ck_assert(json_is_object(object));
		json_decref(object);
	}
}
END_TEST

START_TEST(errno_is_kept_and_can_be_told)
{
	int pid = (int)getpid();

	log_to_pipe(LOG_FORMAT_TEXT);
	errno = ENOENT;
	log_error("cannot open: %m");
	ck_assert_int_eq(errno, ENOENT);
	assert_line(capture(),
	    "error test[%d] cannot open: No such file or "
	    "directory\n",
	    pid);
	errno = EINTR;
	log_debug("%s", "unwanted");
	ck_assert_int_eq(errno, EINTR);
	fd_close(&ends[0]);
	errno = ENOENT;
	log_error("%s", "lost");
	log_fields(LOG_LEVEL_ERROR, "lost", NULL, 0);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_uint_eq(lost(), 2);
}
END_TEST

/* The reader does not read: lines are dropped until it does, and told of. */
START_TEST(a_stuck_reader_does_not_stop_us)
{
	int written = 0, pid = (int)getpid();
	const char *text, *line;

	log_to_pipe(LOG_FORMAT_TEXT);
	for (int i = 0; i < 1000; i++)
		log_info("%s", "a line");
	ck_assert_uint_gt(lost(), 0);
	text = capture();
	for (line = text; *line != '\0'; line = strchr(line, '\n') + 1)
		written++;
	ck_assert_uint_eq((uint64_t)written + lost(), 1000);
	ck_assert_str_eq(capture(), "");

	log_info("%s", "the next");
	text = capture();
	line = strchr(text, '\n') + 1;
	assert_line(line, "info test[%d] the next\n", pid);
	text = after_time(text);
	ck_assert_int_eq(strtol(strstr(text, "] ") + 2, NULL, 10),
	    1000 - written);
	ck_assert_ptr_nonnull(strstr(text,
	    " log lines were lost: Resource "
	    "temporarily unavailable\n"));
	ck_assert_int_eq(strncmp(text, "warning test[", 13), 0);

	/* Told once; the count stays. */
	log_info("%s", "and on");
	assert_line(capture(), "info test[%d] and on\n", pid);
	ck_assert_uint_eq(lost(), (uint64_t)(1000 - written));
}
END_TEST

/* And no SIGPIPE, which would be the end of this test. */
START_TEST(a_reader_that_is_gone_does_not_kill_us)
{
	log_to_pipe(LOG_FORMAT_TEXT);
	fd_close(&ends[0]);
	log_info("%s", "one");
	log_info("%s", "two");
	ck_assert_uint_eq(lost(), 2);
	ck_assert_int_eq(log_open(file, LOG_FORMAT_TEXT, NULL, NULL), 0);
	log_info("%s", "three");
	char *text = content(file);
	ck_assert_ptr_nonnull(
	    strstr(text, "] 2 log lines were lost: Broken pipe\n"));
	ck_assert_ptr_nonnull(strstr(text, "] three\n"));
	free(text);
}
END_TEST

START_TEST(a_full_disk_does_not_stop_us)
{
	char *text;

	ck_assert_int_eq(log_open("/dev/full", LOG_FORMAT_JSON, NULL, NULL), 0);
	log_info("%s", "lost");
	ck_assert_uint_eq(lost(), 1);
	ck_assert_int_eq(log_open(file, LOG_FORMAT_TEXT, NULL, NULL), 0);
	log_info("%s", "kept");
	text = content(file);
	ck_assert_ptr_nonnull(
	    strstr(text, "] 1 log line was lost: No space left on device\n"));
	ck_assert_ptr_nonnull(strstr(text, "] kept\n"));
	free(text);
}
END_TEST

/* A disk that fills up in the middle of a line: the half has a line of its own,
 * and what follows is whole. */
START_TEST(half_a_line_is_a_lost_one)
{
	struct rlimit was, limit;
	struct stat st;
	char *text, *line;

	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &was), 0);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(log_open(file, LOG_FORMAT_TEXT, NULL, NULL), 0);
	log_info("%s", "first");
	ck_assert_int_eq(stat(file, &st), 0);
	limit = was;
	limit.rlim_cur = (rlim_t)st.st_size + 30;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	log_info("%s", "torn");
	log_info("%s", "lost");
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &was), 0);
	signal(SIGXFSZ, SIG_DFL);
	ck_assert_uint_eq(lost(), 2);

	log_info("%s", "last");
	text = content(file);
	line = strchr(text, '\n') + 1;
	ck_assert_ptr_eq(strchr(line, '\n'), line + 30);
	line += 31;
	ck_assert_ptr_nonnull(
	    strstr(after_time(line), "] 2 log lines were lost: "));
	assert_line(strchr(line, '\n') + 1, "info test[%d] last\n",
	    (int)getpid());
	free(text);
}
END_TEST

START_TEST(a_file_is_made_and_appended_to)
{
	mode_t umask_was = umask(0);
	int pid = (int)getpid();
	struct stat st;
	char *text;

	ck_assert_int_eq(log_open(file, LOG_FORMAT_TEXT, NULL, NULL), 0);
	umask(umask_was);
	ck_assert_int_eq(stat(file, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0640);
	ck_assert_int_eq(fcntl(log_fd(), F_GETFD), FD_CLOEXEC);
	ck_assert_int_ne(fcntl(log_fd(), F_GETFL) & O_APPEND, 0);
	log_info("%s", "one");
	ck_assert_int_eq(log_open(file, LOG_FORMAT_TEXT, NULL, NULL), 0);
	log_info("%s", "two");
	text = content(file);
	assert_line(strchr(text, '\n') + 1, "info test[%d] two\n", pid);
	*(strchr(text, '\n') + 1) = '\0';
	assert_line(text, "info test[%d] one\n", pid);
	free(text);
}
END_TEST

START_TEST(a_file_is_reopened_after_it_was_moved)
{
	char *text;
	int fd;

	ck_assert_int_eq(log_open(file, LOG_FORMAT_TEXT, NULL, NULL), 0);
	fd = log_fd();
	log_info("%s", "one");
	ck_assert_int_eq(rename(file, moved), 0);
	log_info("%s", "two");
	ck_assert_int_eq(log_reopen(NULL), 0);
	ck_assert_int_eq(log_fd(), fd);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	log_info("%s", "three");

	text = content(moved);
	ck_assert_ptr_nonnull(strstr(text, "] one\n"));
	ck_assert_ptr_nonnull(strstr(text, "] two\n"));
	ck_assert_ptr_null(strstr(text, "three"));
	free(text);
	text = content(file);
	assert_line(text, "info test[%d] three\n", (int)getpid());
	free(text);
}
END_TEST

START_TEST(logging_goes_on_when_a_target_cannot_be)
{
	char gone[160], longest[PATH_MAX + 10];
	struct why why = { "" };
	char *text;

	ck_assert_int_eq(log_open(file, LOG_FORMAT_TEXT, NULL, NULL), 0);
	snprintf(gone, sizeof(gone), "%s/no/file", dir);
	ck_assert_int_eq(log_open(gone, LOG_FORMAT_JSON, NULL, &why), -1);
	ck_assert_ptr_nonnull(strstr(why.text, gone));
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_int_eq(log_open(longest, LOG_FORMAT_JSON, NULL, &why), -1);
	ck_assert_int_eq(log_open("syslog", LOG_FORMAT_JSON, NULL, &why), -1);
	ck_assert_ptr_nonnull(strstr(why.text, "/dev/log"));
	log_info("%s", "on");

	/* A FIFO that nobody reads would block an open that waits. */
	ck_assert_int_eq(rename(file, moved), 0);
	ck_assert_int_eq(mkfifo(file, 0600), 0);
	ck_assert_int_eq(log_reopen(&why), -1);
	ck_assert_ptr_nonnull(strstr(why.text, file));
	log_info("%s", "and on");
	text = content(moved);
	ck_assert_ptr_nonnull(strstr(text, "] on\n"));
	ck_assert_ptr_nonnull(strstr(text, "] and on\n"));
	free(text);
	ck_assert_uint_eq(lost(), 0);
}
END_TEST

START_TEST(only_a_path_is_reopened)
{
	log_to_pipe(LOG_FORMAT_TEXT);
	ck_assert_int_eq(log_reopen(NULL), 0);
	ck_assert_int_eq(log_fd(), ends[1]);
	ck_assert_int_eq(log_open("stderr", LOG_FORMAT_TEXT, NULL, NULL), 0);
	ck_assert_int_eq(log_reopen(NULL), 0);
	ck_assert_int_eq(log_fd(), STDERR_FILENO);
}
END_TEST

/* As a child is given what it could not open itself. */
START_TEST(a_descriptor_is_adopted)
{
	int fd, was;
	char *text;

	ck_assert_int_eq(log_open(file, LOG_FORMAT_TEXT, NULL, NULL), 0);
	was = log_fd();
	fd = open(moved, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	log_adopt_fd(-1);
	ck_assert_int_eq(log_fd(), was);
	log_adopt_fd(fd);
	ck_assert_int_eq(log_fd(), fd);
	ck_assert_int_eq(fcntl(was, F_GETFD), -1);
	log_adopt_fd(fd);
	log_info("%s", "x");
	/* Not ours to reopen: the next one will be sent, too. */
	ck_assert_int_eq(log_reopen(NULL), 0);
	log_info("%s", "y");
	text = content(moved);
	ck_assert_ptr_nonnull(strstr(text, "] x\n"));
	ck_assert_ptr_nonnull(strstr(text, "] y\n"));
	free(text);
}
END_TEST

START_TEST(stderr_stays_open)
{
	int fd = dup(STDERR_FILENO);

	log_to_pipe(LOG_FORMAT_TEXT);
	ck_assert_int_ne(fcntl(STDERR_FILENO, F_GETFD), -1);
	ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	ck_assert_int_eq(log_open("stderr", LOG_FORMAT_TEXT, NULL, NULL), 0);
	log_info("%s", "x");
	/* Others write to it as well: not even its flags are changed. */
	ck_assert_int_eq(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	fd_close(&fd);
	assert_line(capture(), "info test[%d] x\n", (int)getpid());
}
END_TEST

/* In a child: the losses of its parent are not its own. */
static int
lose_in_child(void)
{
	if (log_lost() != 0)
		return 1;
	log_info("%s", "lost");
	if (log_lost() != 1)
		return 2;
	if (log_open(file, LOG_FORMAT_TEXT, NULL, NULL) == -1)
		return 3;
	log_info("%s", "kept");
	return log_lost() == 1 ? 0 : 4;
}

START_TEST(a_child_counts_its_own)
{
	int status;
	pid_t pid;
	char *text, *line, expected[64];

	log_to_pipe(LOG_FORMAT_TEXT);
	fd_close(&ends[0]);
	for (int i = 0; i < 5; i++)
		log_info("%s", "lost");
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0)
		_exit(lose_in_child());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(lost(), 5);
	text = content(file);
	snprintf(expected, sizeof(expected), "warning test[%d] 1 log line ",
	    (int)pid);
	ck_assert_int_eq(strncmp(after_time(text), expected, strlen(expected)),
	    0);
	line = strchr(text, '\n') + 1;
	assert_line(line, "info test[%d] kept\n", (int)pid);
	free(text);
}
END_TEST

/* ---- syslog */

static int
start_syslogd(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	unlink(devlog);
	memcpy(at.sun_path, devlog, sizeof(devlog));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* One datagram; "" for none. */
static const char *
syslogd_got(int fd)
{
	static char text[2 * LOG_LINE_MAX];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* "<PRI>Mmm dd hh:mm:ss " and then what is expected. */
static void
assert_syslog(const char *text, int priority, const char *expected)
{
	char begin[8];
	char all[200];

	snprintf(begin, sizeof(begin), "<%d>", priority);
	snprintf(all, sizeof(all), "tag[%d]: test %s", (int)getpid(), expected);
	ck_assert_uint_gt(strlen(text), 20);
	ck_assert_int_eq(strncmp(text, begin, strlen(begin)), 0);
	text += strlen(begin);
	ck_assert_int_eq(text[3], ' ');
	ck_assert_int_eq(text[6], ' ');
	ck_assert_int_eq(text[9], ':');
	ck_assert_int_eq(text[12], ':');
	ck_assert_int_eq(text[15], ' ');
	ck_assert_str_eq(text + 16, all);
}

START_TEST(lines_go_to_syslog)
{
	static const int priorities[] = { 31, 30, 29, 28, 27 };
	int fd = start_syslogd();

	ck_assert_int_eq(log_open("syslog", LOG_FORMAT_TEXT, "tag", NULL), 0);
	log_set_level(LOG_LEVEL_DEBUG);
	for (int i = 0; i < LOG_LEVEL_COUNT; i++) {
		log_write((enum log_level)i, "%d", i);
		assert_syslog(syslogd_got(fd), priorities[i],
		    (const char[]){ (char)('0' + i), '\0' });
	}
	ck_assert_int_eq(log_reopen(NULL), 0);
	ck_assert_str_eq(syslogd_got(fd), "");
	fd_close(&fd);
}
END_TEST

START_TEST(syslog_may_be_restarted)
{
	int fd = start_syslogd();

	ck_assert_int_eq(log_open("syslog", LOG_FORMAT_TEXT, "tag", NULL), 0);
	log_info("%s", "one");
	assert_syslog(syslogd_got(fd), 30, "one");
	fd_close(&fd);
	fd = start_syslogd();
	log_info("%s", "two");
	assert_syslog(syslogd_got(fd), 30, "two");
	ck_assert_uint_eq(lost(), 0);

	/* Away for a while. */
	fd_close(&fd);
	unlink(devlog);
	log_info("%s", "lost");
	log_info("%s", "lost");
	ck_assert_uint_eq(lost(), 2);
	fd = start_syslogd();
	log_info("%s", "three");
	assert_syslog(syslogd_got(fd), 28,
	    "2 log lines were lost: No such file or directory");
	assert_syslog(syslogd_got(fd), 30, "three");
	fd_close(&fd);
}
END_TEST

START_TEST(a_stuck_syslog_does_not_stop_us)
{
	int fd = start_syslogd(), got = 0;

	ck_assert_int_eq(log_open("syslog", LOG_FORMAT_TEXT, "tag", NULL), 0);
	for (int i = 0; i < 10000; i++)
		log_info("%s", "x");
	ck_assert_uint_gt(lost(), 0);
	while (*syslogd_got(fd) != '\0')
		got++;
	ck_assert_uint_eq((uint64_t)got + lost(), 10000);
	fd_close(&fd);
}
END_TEST

/* A reload moved the family between a file and syslog. */
START_TEST(a_socket_of_syslog_is_adopted)
{
	int fd = start_syslogd(), sock;
	char *text;

	ck_assert_int_eq(log_open("syslog", LOG_FORMAT_TEXT, "tag", NULL), 0);
	sock = fcntl(log_fd(), F_DUPFD_CLOEXEC, 0);
	ck_assert_int_eq(log_open(file, LOG_FORMAT_TEXT, "tag", NULL), 0);
	log_adopt_fd(sock);
	log_info("%s", "one");
	assert_syslog(syslogd_got(fd), 30, "one");
	log_adopt_fd(open(file, O_WRONLY | O_APPEND | O_CLOEXEC));
	log_info("%s", "two");
	text = content(file);
	assert_line(text, "info test[%d] two\n", (int)getpid());
	free(text);
	fd_close(&fd);
}
END_TEST

static void
add_line_tests(TCase *tests)
{
	tcase_add_test(tests, levels_have_names);
	tcase_add_test(tests, a_level_is_a_threshold);
	tcase_add_test(tests, a_line_says_who_speaks);
	tcase_add_test(tests, a_json_line_parses);
	tcase_add_loop_test(tests, a_long_message_is_one_line, 0, 2);
	tcase_add_test(tests, errno_is_kept_and_can_be_told);
}

static void
add_loss_tests(TCase *tests)
{
	tcase_add_test(tests, a_stuck_reader_does_not_stop_us);
	tcase_add_test(tests, a_reader_that_is_gone_does_not_kill_us);
	tcase_add_test(tests, a_full_disk_does_not_stop_us);
	tcase_add_test(tests, half_a_line_is_a_lost_one);
	tcase_add_test(tests, a_child_counts_its_own);
}

static void
add_target_tests(TCase *tests)
{
	tcase_add_test(tests, a_file_is_made_and_appended_to);
	tcase_add_test(tests, a_file_is_reopened_after_it_was_moved);
	tcase_add_test(tests, logging_goes_on_when_a_target_cannot_be);
	tcase_add_test(tests, only_a_path_is_reopened);
	tcase_add_test(tests, a_descriptor_is_adopted);
	tcase_add_test(tests, stderr_stays_open);
	tcase_add_test(tests, lines_go_to_syslog);
	tcase_add_test(tests, syslog_may_be_restarted);
	tcase_add_test(tests, a_stuck_syslog_does_not_stop_us);
	tcase_add_test(tests, a_socket_of_syslog_is_adopted);
}

int
main(void)
{
	Suite *suite = suite_create("log");
	TCase *tests = tcase_create("log");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, setup, teardown);
	add_line_tests(tests);
	add_loss_tests(tests);
	add_target_tests(tests);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
