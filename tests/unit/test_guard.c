/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_guard - bytes that are entrusted to child_guard leave once each: when a
 * signal says so, when it came before them, and when it comes in the middle.
 */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/child.h"
#include "run_suite.h"

#define ROUNDS 5000
#define LEN 65

static struct slot slot;
static int pair[2];

static void
set_up(void)
{
	slot.pid = getpid();
	ck_assert_int_eq(child_guard_init(&slot), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
			     pair),
	    0);
}

static void
tear_down(void)
{
	close(pair[0]);
	close(pair[1]);
}

static void
require_received(const char *wanted)
{
	char got[64];
	ssize_t n = recv(pair[1], got, sizeof(got), MSG_DONTWAIT);

	ck_assert_int_eq(n > 0 ? n : 0, (int)strlen(wanted));
	ck_assert(n <= 0 || memcmp(got, wanted, (size_t)n) == 0);
}

START_TEST(a_signal_sends_them)
{
	child_guard_entrust(pair[0], "abc", 3);
	require_received("");
	raise(CHILD_SIGNAL_HURRY);
	require_received("abc");
	raise(CHILD_SIGNAL_HURRY);
	require_received("");
	ck_assert_uint_eq(child_guard_reclaim(), 3);
	ck_assert_uint_eq(child_guard_reclaim(), 0);
}
END_TEST

START_TEST(what_is_reclaimed_stays)
{
	child_guard_entrust(pair[0], "abc", 3);
	ck_assert_uint_eq(child_guard_reclaim(), 0);
	raise(CHILD_SIGNAL_HURRY);
	require_received("");
	/* that was meant for these, which were on their way to us */
	child_guard_entrust(pair[0], "def", 3);
	require_received("def");
	ck_assert_uint_eq(child_guard_reclaim(), 3);
	child_guard_entrust(pair[0], "ghi", 3);
	require_received("");
	ck_assert_uint_eq(child_guard_reclaim(), 0);
}
END_TEST

START_TEST(not_by_another_process)
{
	int status;
	pid_t pid;

	child_guard_entrust(pair[0], "abc", 3);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		raise(CHILD_SIGNAL_HURRY);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	require_received("");
	ck_assert_uint_eq(child_guard_reclaim(), 0);
}
END_TEST

/* Reads, and hurries whoever is in the middle of sending; the status says
 * whether it got as much as there was. */
static void
hurry_on(pid_t parent)
{
	size_t got = 0;
	char bytes[4096];
	ssize_t n;

	close(pair[0]);
	while ((n = read(pair[1], bytes, sizeof(bytes))) > 0) {
		got += (size_t)n;
		kill(parent, CHILD_SIGNAL_HURRY);
	}
	_exit(got == (size_t)ROUNDS * LEN ? 0 : 1);
}

START_TEST(a_signal_in_the_middle_counts_nothing_twice)
{
	pid_t parent = getpid(), pid = fork();
	char bytes[LEN];
	size_t sent;
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		hurry_on(parent);
	memset(bytes, 'x', sizeof(bytes));
	for (int i = 0; i < ROUNDS; i++) {
		raise(CHILD_SIGNAL_HURRY);
		child_guard_entrust(pair[0], bytes, LEN);
		sent = child_guard_reclaim();
		ck_assert_uint_le(sent, LEN);
		while (sent < LEN) {
			ssize_t n = send(pair[0], bytes + sent, LEN - sent, 0);

			ck_assert_int_gt(n, 0);
			sent += (size_t)n;
		}
	}
	shutdown(pair[0], SHUT_WR);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("guard");
	TCase *tests = tcase_create("guard");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, a_signal_sends_them);
	tcase_add_test(tests, what_is_reclaimed_stays);
	tcase_add_test(tests, not_by_another_process);
	tcase_add_test(tests, a_signal_in_the_middle_counts_nothing_twice);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
