/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_fd - descriptors against the real kernel: what is closed, what comes
 * along with a packet, who holds a pid file. Leaks are found by counting what
 * this process has open. Files live in a directory of the test's own.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/why.h"
#include "run_suite.h"

static char dir[64];
static char path[128];

static void
setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/test_fd.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/file", dir);
}

static void
teardown(void)
{
	unlink(path);
	ck_assert_int_eq(rmdir(dir), 0);
}

static unsigned
open_count(void)
{
	DIR *fds = opendir("/proc/self/fd");
	unsigned n = 0;

	ck_assert_ptr_nonnull(fds);
	while (readdir(fds) != NULL)
		n++;
	closedir(fds);
	return n;
}

static void
put_file(const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
	close(fd);
}

START_TEST(close_makes_minus_one_and_keeps_errno)
{
	int fd = dup(0), was = fd;

	errno = ENOENT;
	fd_close(&fd);
	ck_assert_int_eq(fd, -1);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(fcntl(was, F_GETFD), -1);
	errno = ENOENT;
	fd_close(&fd);
	ck_assert_int_eq(errno, ENOENT);
	fd = was;
	errno = ENOENT;
	fd_close(&fd);
	ck_assert_int_eq(errno, ENOENT);
}
END_TEST

START_TEST(nonblock_adds_to_the_flags)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	ck_assert_int_eq(fd_nonblock(ends[0]), 0);
	ck_assert_int_eq(fcntl(ends[0], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	ck_assert_int_eq(fcntl(ends[0], F_GETFD), FD_CLOEXEC);
	close(ends[0]);
	close(ends[1]);
	ck_assert_int_eq(fd_nonblock(ends[0]), -1);
	ck_assert_int_eq(errno, EBADF);
}
END_TEST

static int
is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

/* In a child: returns the number of the check that failed. */
static int
close_in_child(const int *keep, size_t n)
{
	int kept;

	for (int fd = 3; fd < 60; fd++)
		if (dup2(0, fd) != fd)
			return 1;
	fd_close_all_but(keep, n);
	for (int fd = 0; fd < 60; fd++) {
		kept = fd <= 2;
		for (size_t i = 0; i < n; i++)
			kept |= keep[i] == fd;
		if (kept != is_open(fd))
			return 2;
	}
	return 0;
}

static const struct {
	int keep[6];
	size_t n;
} kept_sets[] = {
	{ { 0 }, 0 },
	{ { 3 }, 1 },
	{ { 59, 3, 30 }, 3 },
	{ { -1, 10, -1, 11, 12, 9 }, 6 },
	{ { 7, 7, 7 }, 3 },
	{ { 0, 1, 2, 4 }, 4 },
	{ { -1 }, 1 },
};

START_TEST(all_but_some_are_closed)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ne(pid, -1);
	if (pid == 0)
		_exit(close_in_child(kept_sets[_i].keep, kept_sets[_i].n));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(packets_keep_their_bounds)
{
	char data[16];
	int pair[2], pass = 99;

	ck_assert_int_eq(fd_seqpacket_pair(pair), 0);
	ck_assert_int_eq(fcntl(pair[0], F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(pair[1], F_GETFD), FD_CLOEXEC);
	ck_assert_int_ne(fcntl(pair[0], F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_ne(fcntl(pair[1], F_GETFL) & O_NONBLOCK, 0);

	ck_assert_int_eq(fd_recv(pair[1], data, sizeof(data), &pass), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(pass, -1);

	ck_assert_int_eq(fd_send(pair[0], "one", 3, -1), 0);
	ck_assert_int_eq(fd_send(pair[0], "three", 5, -1), 0);
	ck_assert_int_eq(fd_recv(pair[1], data, sizeof(data), &pass), 3);
	ck_assert_mem_eq(data, "one", 3);
	ck_assert_int_eq(pass, -1);
	ck_assert_int_eq(fd_recv(pair[1], data, 5, NULL), 5);
	ck_assert_mem_eq(data, "three", 5);

	close(pair[0]);
	ck_assert_int_eq(fd_recv(pair[1], data, sizeof(data), &pass), 0);
	ck_assert_int_eq(pass, -1);
	/* Without a SIGPIPE, or this would be the end. */
	ck_assert_int_eq(fd_send(pair[1], "x", 1, -1), -1);
	ck_assert_int_eq(errno, EPIPE);
	close(pair[1]);
}
END_TEST

START_TEST(a_peer_that_lags_is_told_from_one_that_is_gone)
{
	char data[4096] = "";
	int pair[2];
	unsigned sent = 0;

	ck_assert_int_eq(fd_seqpacket_pair(pair), 0);
	while (fd_send(pair[0], data, sizeof(data), -1) == 0)
		sent++;
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_uint_gt(sent, 0);
	while (fd_recv(pair[1], data, sizeof(data), NULL) > 0)
		sent--;
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_uint_eq(sent, 0);
	close(pair[0]);
	close(pair[1]);
}
END_TEST

START_TEST(a_descriptor_comes_along)
{
	char data[16], text[16] = "";
	int pair[2], ends[2], pass = -1;

	ck_assert_int_eq(fd_seqpacket_pair(pair), 0);
	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(fd_send(pair[0], "take", 4, ends[1]), 0);
	close(ends[1]);
	ck_assert_int_eq(fd_recv(pair[1], data, sizeof(data), &pass), 4);
	ck_assert_int_ge(pass, 0);
	ck_assert_int_eq(fcntl(pass, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(write(pass, "through", 7), 7);
	ck_assert_int_eq(read(ends[0], text, sizeof(text)), 7);
	ck_assert_str_eq(text, "through");
	close(pass);
	close(ends[0]);
	close(pair[0]);
	close(pair[1]);
}
END_TEST

START_TEST(a_descriptor_that_nobody_takes_is_closed)
{
	char data[16];
	int pair[2], pass;
	unsigned before;

	ck_assert_int_eq(fd_seqpacket_pair(pair), 0);
	before = open_count();
	ck_assert_int_eq(fd_send(pair[0], "take", 4, 0), 0);
	ck_assert_int_eq(fd_recv(pair[1], data, sizeof(data), NULL), 4);
	ck_assert_uint_eq(open_count(), before);

	/* With a packet that does not fit. */
	ck_assert_int_eq(fd_send(pair[0], "too long", 8, 0), 0);
	ck_assert_int_eq(fd_recv(pair[1], data, 7, &pass), -1);
	ck_assert_int_eq(errno, EMSGSIZE);
	ck_assert_int_eq(pass, -1);
	ck_assert_uint_eq(open_count(), before);
	close(pair[0]);
	close(pair[1]);
}
END_TEST

/* Sends a packet with n descriptors, which fd_send() would not. */
static void
send_many(int sock, const char *data, size_t len, const int *fds, size_t n)
{
	union {
		char bytes[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr align;
	} control = { .bytes = { 0 } };
	char copy[16];
	struct iovec iov = { .iov_base = copy, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = CMSG_SPACE(n * sizeof(int)) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	memcpy(copy, data, len);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, n * sizeof(int));
	ck_assert_int_eq(sendmsg(sock, &msg, 0), (ssize_t)len);
}

START_TEST(a_peer_cannot_fill_our_table)
{
	const int fds[] = { 0, 0, 0, 0, 0 };
	char data[16];
	int pair[2], pass;
	unsigned before;

	ck_assert_int_eq(fd_seqpacket_pair(pair), 0);
	before = open_count();
	for (size_t n = 1; n <= 5; n++) {
		send_many(pair[0], "many", 4, fds, n);
		ck_assert_int_eq(fd_recv(pair[1], data, sizeof(data), &pass),
		    4);
		ck_assert_int_ge(pass, 0);
		ck_assert_uint_eq(open_count(), before + 1);
		close(pass);
	}
	/* An empty packet looks like the end of the file, but can carry. */
	send_many(pair[0], "", 0, fds, 2);
	ck_assert_int_eq(fd_recv(pair[1], data, sizeof(data), &pass), 0);
	ck_assert_int_eq(pass, -1);
	ck_assert_uint_eq(open_count(), before);
	close(pair[0]);
	close(pair[1]);
}
END_TEST

START_TEST(a_child_has_a_descriptor)
{
	int fd, status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	fd = fd_of_pid(pid);
	/* valgrind 3.19 does not know the call. */
	ck_assert(fd != -1 || errno == ENOSYS);
	ck_assert(fd == -1 || fcntl(fd, F_GETFD) == FD_CLOEXEC);
	fd_close(&fd);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(fd_of_pid(pid), -1);
}
END_TEST

/* A child that takes the pid file, says so, and waits for the end. */
static pid_t
hold_pidfile(int *stay)
{
	int ready[2], life[2], fd;
	struct why why = { "" };
	pid_t pid, owner;
	char c;

	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(pipe(life), 0);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		close(life[1]);
		fd = fd_pidfile(path, &owner, &why);
		if (fd == -1 || owner != 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		_exit((int)read(life[0], &c, 1));
	}
	close(life[0]);
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	close(ready[0]);
	*stay = life[1];
	return pid;
}

static void
let_go(pid_t pid, int stay)
{
	int status;

	close(stay);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

static void
assert_file_names(pid_t pid)
{
	char expected[32];
	size_t len;
	char *text = fd_read_file(path, 100, &len);

	snprintf(expected, sizeof(expected), "%d\n", (int)pid);
	ck_assert_ptr_nonnull(text);
	ck_assert_str_eq(text, expected);
	free(text);
}

START_TEST(a_pid_file_has_one_owner)
{
	struct why why = { "" };
	char number[16];
	bool stale = true;
	pid_t pid, owner;
	int stay, fd;

	ck_assert_int_eq(fd_pidfile_owner(path, &stale), 0);
	ck_assert(!stale);

	pid = hold_pidfile(&stay);
	assert_file_names(pid);
	ck_assert_int_eq(fd_pidfile_owner(path, &stale), pid);
	ck_assert(!stale);
	ck_assert_int_eq(fd_pidfile(path, &owner, &why), -1);
	ck_assert_int_eq(owner, pid);
	snprintf(number, sizeof(number), " %d:", (int)pid);
	ck_assert_ptr_nonnull(strstr(why.text, path));
	ck_assert_ptr_nonnull(strstr(why.text, number));
	assert_file_names(pid);

	let_go(pid, stay);
	ck_assert_int_eq(fd_pidfile_owner(path, &stale), 0);
	ck_assert(stale);

	/* A longer content must not show through. */
	put_file("99999999999999999999\n", 21);
	fd = fd_pidfile(path, &owner, &why);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(owner, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_file_names(getpid());
	close(fd);
}
END_TEST

START_TEST(a_pid_file_that_cannot_be)
{
	struct why why = { "" };
	char where[160];
	pid_t owner = 5;

	snprintf(where, sizeof(where), "%s/no/file", dir);
	ck_assert_int_eq(fd_pidfile(where, &owner, &why), -1);
	ck_assert_int_eq(owner, 0);
	ck_assert_ptr_nonnull(strstr(why.text, where));
	ck_assert_ptr_nonnull(strstr(why.text, "directory"));

	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(fd_pidfile(path, &owner, &why), -1);
	ck_assert_ptr_nonnull(strstr(why.text, "not a regular file"));
	ck_assert_int_eq(fd_pidfile(dir, &owner, NULL), -1);
}
END_TEST

static mode_t
mode_of(const char *name)
{
	struct stat st;

	ck_assert_int_eq(stat(name, &st), 0);
	ck_assert(S_ISDIR(st.st_mode));
	return st.st_mode & 07777;
}

START_TEST(directories_are_made)
{
	mode_t umask_was = umask(0077);
	char a[160], ab[160], abc[160];

	snprintf(a, sizeof(a), "%s/a", dir);
	snprintf(ab, sizeof(ab), "%s/a/b", dir);
	snprintf(abc, sizeof(abc), "%s//a/b///c//", dir);
	ck_assert_int_eq(fd_mkdir_p(abc, 0751), 0);
	ck_assert_uint_eq(mode_of(abc), 0751);
	ck_assert_uint_eq(mode_of(ab), 0700);
	/* One that is there stays as it is. */
	ck_assert_int_eq(fd_mkdir_p(abc, 0700), 0);
	ck_assert_uint_eq(mode_of(abc), 0751);
	ck_assert_int_eq(fd_mkdir_p("/", 0700), 0);
	ck_assert_int_eq(fd_mkdir_p("//", 0700), 0);
	ck_assert_int_eq(fd_mkdir_p(".", 0700), 0);
	ck_assert_int_eq(rmdir(abc), 0);
	ck_assert_int_eq(rmdir(ab), 0);
	ck_assert_int_eq(rmdir(a), 0);
	umask(umask_was);
}
END_TEST

START_TEST(directories_that_cannot_be)
{
	char below[160], longest[5000];

	put_file("x", 1);
	ck_assert_int_eq(fd_mkdir_p(path, 0700), -1);
	ck_assert_int_eq(errno, ENOTDIR);
	snprintf(below, sizeof(below), "%s/sub/sub", path);
	ck_assert_int_eq(fd_mkdir_p(below, 0700), -1);
	ck_assert_int_eq(errno, ENOTDIR);
	ck_assert_int_eq(fd_mkdir_p("", 0700), -1);
	ck_assert_int_eq(errno, ENOENT);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_int_eq(fd_mkdir_p(longest, 0700), -1);
	ck_assert_int_eq(errno, ENAMETOOLONG);
}
END_TEST

START_TEST(a_file_is_read_up_to_a_limit)
{
	static char bytes[10000];
	size_t len = 0;
	char *text;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7);
	for (size_t size = 0; size < sizeof(bytes); size = size * 2 + 1) {
		put_file(bytes, size);
		for (size_t room = 0; room < 3; room++) {
			text = fd_read_file(path, size + room, &len);
			ck_assert_ptr_nonnull(text);
			ck_assert_uint_eq(len, size);
			ck_assert_mem_eq(text, bytes, size);
			ck_assert_int_eq(text[size], '\0');
			free(text);
		}
		errno = 0;
		if (size > 0) {
			ck_assert_ptr_null(fd_read_file(path, size - 1, &len));
			ck_assert_int_eq(errno, EFBIG);
		}
	}
}
END_TEST

START_TEST(a_file_that_cannot_be_read)
{
	unsigned before = open_count();
	size_t len;
	char *text;

	ck_assert_ptr_null(fd_read_file(path, 100, &len));
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_ptr_null(fd_read_file(dir, 100, &len));
	ck_assert_int_eq(errno, EISDIR);
	/* It says that it is empty, and is not. */
	text = fd_read_file("/proc/self/status", 1 << 20, &len);
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_eq(strlen(text), len);
	ck_assert_uint_gt(len, 0);
	free(text);
	ck_assert_uint_eq(open_count(), before);
}
END_TEST

/* A datagram socket of that name; '@' is abstract. */
static int
listen_at(const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	size_t len = strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	memcpy(at.sun_path, name, len);
	if (name[0] == '@')
		at.sun_path[0] = '\0';
	ck_assert_int_eq(
	    bind(fd, (struct sockaddr *)&at,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
	    0);
	return fd;
}

START_TEST(systemd_is_notified)
{
	char name[128], text[32] = "";
	int fd;

	if (_i == 0)
		snprintf(name, sizeof(name), "%s", path);
	else
		snprintf(name, sizeof(name), "@test_fd.%d", (int)getpid());
	fd = listen_at(name);
	setenv("NOTIFY_SOCKET", name, 1);
	ck_assert_int_eq(fd_sd_notify("READY=1"), 0);
	ck_assert_int_eq(recv(fd, text, sizeof(text), 0), 7);
	ck_assert_str_eq(text, "READY=1");
	close(fd);
	ck_assert_int_eq(fd_sd_notify("READY=1"), -1);
	ck_assert_int_eq(errno, ECONNREFUSED);
	unsetenv("NOTIFY_SOCKET");
}
END_TEST

START_TEST(nobody_to_notify)
{
	char name[300];

	unsetenv("NOTIFY_SOCKET");
	ck_assert_int_eq(fd_sd_notify("READY=1"), 0);
	setenv("NOTIFY_SOCKET", "", 1);
	ck_assert_int_eq(fd_sd_notify("READY=1"), 0);
	setenv("NOTIFY_SOCKET", "vsock:2:1234", 1);
	ck_assert_int_eq(fd_sd_notify("READY=1"), -1);
	ck_assert_int_eq(errno, EINVAL);
	memset(name, '/', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	setenv("NOTIFY_SOCKET", name, 1);
	ck_assert_int_eq(fd_sd_notify("READY=1"), -1);
	ck_assert_int_eq(errno, EINVAL);
	unsetenv("NOTIFY_SOCKET");
}
END_TEST

/* A reader that does not read must not hold us up. */
START_TEST(a_notification_never_blocks)
{
	int fd = listen_at(path), n = 0;

	setenv("NOTIFY_SOCKET", path, 1);
	while (fd_sd_notify("STATUS=busy") == 0 && n < 1000000)
		n++;
	ck_assert_int_lt(n, 1000000);
	ck_assert_int_eq(errno, EAGAIN);
	close(fd);
	unsetenv("NOTIFY_SOCKET");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("fd");
	TCase *tests = tcase_create("fd");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, close_makes_minus_one_and_keeps_errno);
	tcase_add_test(tests, nonblock_adds_to_the_flags);
	tcase_add_loop_test(tests, all_but_some_are_closed, 0,
	    sizeof(kept_sets) / sizeof(kept_sets[0]));
	tcase_add_test(tests, packets_keep_their_bounds);
	tcase_add_test(tests, a_peer_that_lags_is_told_from_one_that_is_gone);
	tcase_add_test(tests, a_descriptor_comes_along);
	tcase_add_test(tests, a_descriptor_that_nobody_takes_is_closed);
	tcase_add_test(tests, a_peer_cannot_fill_our_table);
	tcase_add_test(tests, a_child_has_a_descriptor);
	tcase_add_test(tests, a_pid_file_has_one_owner);
	tcase_add_test(tests, a_pid_file_that_cannot_be);
	tcase_add_test(tests, directories_are_made);
	tcase_add_test(tests, directories_that_cannot_be);
	tcase_add_test(tests, a_file_is_read_up_to_a_limit);
	tcase_add_test(tests, a_file_that_cannot_be_read);
	tcase_add_loop_test(tests, systemd_is_notified, 0, 2);
	tcase_add_test(tests, nobody_to_notify);
	tcase_add_test(tests, a_notification_never_blocks);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
