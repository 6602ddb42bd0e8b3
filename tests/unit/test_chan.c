/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_chan - every message in its direction, with and without its descriptor,
 * and everything that is no message.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "core/chan.h"
#include "run_suite.h"

static const struct {
	enum chan_id id;
	enum chan_from from;
	enum chan_carries carries;
} rows[] = {
#define CHAN(id, name, from, carries) { CHAN_##id, from, carries },
#include "core/chan.def"
#undef CHAN
};
#define ROWS (int)(sizeof rows / sizeof *rows)

static int pair[2];

static void
setup(void)
{
	ck_assert_int_eq(fd_seqpacket_pair(pair), 0);
}

static void
teardown(void)
{
	fd_close(&pair[0]);
	fd_close(&pair[1]);
}

START_TEST(each_message_passes)
{
	int carried = rows[_i].carries == CHAN_FD ? STDERR_FILENO : -1;
	enum chan_id id;
	int fd;

	ck_assert_int_eq(chan_send(pair[0], rows[_i].id, carried), 0);
	ck_assert_int_eq(chan_recv(pair[1], rows[_i].from, &id, &fd), 1);
	ck_assert_int_eq(id, rows[_i].id);
	ck_assert((fd >= 0) == (carried >= 0));
	fd_close(&fd);
	ck_assert_str_ne(chan_name(id), "?");
}
END_TEST

START_TEST(wrong_direction_is_nonsense)
{
	int carried = rows[_i].carries == CHAN_FD ? STDERR_FILENO : -1;
	enum chan_from other = rows[_i].from == CHAN_MASTER ? CHAN_CHILD :
							      CHAN_MASTER;
	enum chan_id id;
	int fd;

	ck_assert_int_eq(chan_send(pair[0], rows[_i].id, carried), 0);
	ck_assert_int_eq(chan_recv(pair[1], other, &id, &fd), -1);
	ck_assert_int_eq(errno, EPROTO);
	ck_assert_int_eq(fd, -1);
}
END_TEST

START_TEST(wrong_descriptor_is_nonsense)
{
	int carried = rows[_i].carries == CHAN_FD ? -1 : STDERR_FILENO;
	enum chan_id id;
	int fd;

	ck_assert_int_eq(chan_send(pair[0], rows[_i].id, carried), 0);
	ck_assert_int_eq(chan_recv(pair[1], rows[_i].from, &id, &fd), -1);
	ck_assert_int_eq(errno, EPROTO);
	ck_assert_int_eq(fd, -1);
}
END_TEST

START_TEST(garbage_is_nonsense)
{
	char bytes[64];
	enum chan_id id;
	int fd;

	srand48(_i);
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)lrand48();
	ck_assert_int_gt(write(pair[0], bytes, 1 + (size_t)_i), 0);
	ck_assert_int_eq(chan_recv(pair[1], CHAN_CHILD, &id, &fd), -1);
	ck_assert_int_eq(errno, EPROTO);
}
END_TEST

START_TEST(end_and_emptiness)
{
	enum chan_id id;
	int fd;

	ck_assert_int_eq(chan_recv(pair[1], CHAN_CHILD, &id, &fd), -1);
	ck_assert_int_eq(errno, EAGAIN);
	fd_close(&pair[0]);
	ck_assert_int_eq(chan_recv(pair[1], CHAN_CHILD, &id, &fd), 0);
	ck_assert_int_eq(chan_send(pair[1], CHAN_DRAIN, -1), -1);
}
END_TEST

START_TEST(a_full_channel_does_not_block)
{
	int sent = 0;

	while (chan_send(pair[0], CHAN_LOOK, -1) == 0)
		ck_assert_int_lt(sent++, 100000);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_str_eq(chan_name(CHAN_COUNT), "?");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("chan");
	TCase *tc = tcase_create("chan");

	signal(SIGPIPE, SIG_IGN);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, each_message_passes, 0, ROWS);
	tcase_add_loop_test(tc, wrong_direction_is_nonsense, 0, ROWS);
	tcase_add_loop_test(tc, wrong_descriptor_is_nonsense, 0, ROWS);
	tcase_add_loop_test(tc, garbage_is_nonsense, 0, 64);
	tcase_add_test(tc, end_and_emptiness);
	tcase_add_test(tc, a_full_channel_does_not_block);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
