/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_wire - frames through a socket pair: whole, in pieces, many at once,
 * more than the peer reads, garbage and the end.
 */
#include "core/wire.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/why.h"
#include "run_suite.h"

#define MAX_FRAME 1000000
#define MAX_OUT 4000000

static struct wire hub, client;
static struct msg_head head;
static union msg msg;
static struct why why;

static void
set_up(void)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
			     pair),
	    0);
	wire_init(&hub, pair[0], MSG_FROM_CLIENT, MAX_FRAME, MAX_OUT);
	wire_init(&client, pair[1], MSG_FROM_HUB, MAX_FRAME, MAX_OUT);
}

static void
tear_down(void)
{
	wire_release(&hub);
	wire_release(&client);
}

static int
send_set(uint32_t request, size_t len)
{
	char *value = mem_alloc(len + 1);
	const struct msg_SET set = { .key = msg_text("key"),
		.value = { value, len } };
	int n;

	memset(value, (int)request, len);
	n = wire_send(&client, MSG_SET, request, &set);
	free(value);
	return n;
}

/* The next frame is that of send_set(). */
static void
check_set(uint32_t request, size_t len)
{
	ck_assert_int_eq(wire_next(&hub, &head, &msg, &why), 1);
	ck_assert_uint_eq(head.request, request);
	ck_assert_uint_eq(msg.SET.value.len, len);
	for (size_t i = 0; i < len; i++)
		ck_assert_uint_eq((unsigned char)msg.SET.value.p[i],
		    request & 0xff);
}

START_TEST(one_goes_through)
{
	ck_assert_int_eq(wire_next(&hub, &head, &msg, &why), 0);
	ck_assert_int_eq(wire_read(&hub), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(send_set(1, 3), 0);
	ck_assert_int_eq(wire_flush(&client), 1);
	ck_assert_uint_eq(client.out.len, 0);
	ck_assert_int_eq(wire_read(&hub), 1);
	check_set(1, 3);
	ck_assert_int_eq(wire_next(&hub, &head, &msg, &why), 0);
}
END_TEST

START_TEST(many_at_once_keep_their_order)
{
	for (uint32_t i = 1; i <= 50; i++)
		ck_assert_int_eq(send_set(i, i), 0);
	ck_assert_int_eq(wire_flush(&client), 1);
	for (uint32_t i = 1; i <= 50;) {
		ck_assert_int_eq(wire_read(&hub), 1);
		for (; i <= 50; i++) {
			if (hub.taken == hub.in.len)
				break;
			check_set(i, i);
		}
	}
}
END_TEST

START_TEST(a_byte_at_a_time)
{
	struct buf frame;

	buf_init(&frame, 1000);
	send_set(9, 20);
	buf_append(&frame, client.out.data, client.out.len);
	for (size_t i = 0; i < frame.len; i++) {
		ck_assert_int_eq(wire_next(&hub, &head, &msg, &why), 0);
		ck_assert_int_eq(write(client.fd, frame.data + i, 1), 1);
		ck_assert_int_eq(wire_read(&hub), 1);
	}
	check_set(9, 20);
	buf_release(&frame);
}
END_TEST

/* More than the socket takes: flushing goes on where it stopped. */
START_TEST(large_ones_go_in_pieces)
{
	int flushed = 0, pieces = 0, n;
	uint32_t got = 0;

	for (uint32_t i = 1; i <= 4; i++)
		ck_assert_int_eq(send_set(i, 900000), 0);
	while (got < 4) {
		if (flushed == 0) {
			flushed = wire_flush(&client);
			ck_assert_int_ge(flushed, 0);
			pieces++;
		}
		while ((n = wire_read(&hub)) == 1)
			while (got < 4 &&
			    wire_next(&hub, &head, &msg, &why) == 1) {
				got++;
				ck_assert_uint_eq(head.request, got);
				ck_assert_uint_eq(msg.SET.value.len, 900000);
				ck_assert_int_eq(msg.SET.value.p[899999],
				    (int)got);
			}
		ck_assert(n == -1 && errno == EAGAIN);
	}
	ck_assert_int_gt(pieces, 1);
	ck_assert_uint_eq(client.out.len, 0);
	/* what they left behind is given back */
	ck_assert_uint_eq(client.out.size, 0);
	ck_assert_int_eq(wire_read(&hub), -1);
	ck_assert_uint_eq(hub.in.len, 0);
	ck_assert_uint_lt(hub.in.size, 900000);
}
END_TEST

START_TEST(a_peer_that_does_not_read)
{
	for (uint32_t i = 1; i <= 4; i++)
		ck_assert_int_eq(send_set(i, 900000), 0);
	ck_assert_int_eq(send_set(5, 900000), -1);
	ck_assert_int_eq(errno, ENOBUFS);
	ck_assert_int_eq(wire_flush(&client), 0);
	/* what is out makes room, and the limit is of what is left */
	while (client.out.len - client.sent > 2500000) {
		while (wire_read(&hub) == 1)
			while (wire_next(&hub, &head, &msg, &why) == 1)
				continue;
		ck_assert_int_eq(wire_flush(&client), 0);
	}
	ck_assert_int_eq(send_set(5, 900000), 0);
}
END_TEST

START_TEST(too_large_a_frame)
{
	ck_assert_int_eq(send_set(1, MAX_FRAME), 0);
	wire_flush(&client);
	ck_assert_int_eq(wire_read(&hub), 1);
	ck_assert_int_eq(wire_next(&hub, &head, &msg, &why), -1);
	ck_assert_ptr_nonnull(strstr(why.text, "larger than allowed"));
}
END_TEST

START_TEST(garbage)
{
	char text[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

	ck_assert_int_gt(write(client.fd, text, sizeof(text)), 0);
	ck_assert_int_eq(wire_read(&hub), 1);
	ck_assert_int_eq(wire_next(&hub, &head, &msg, &why), -1);
}
END_TEST

START_TEST(the_end)
{
	send_set(1, 3);
	wire_flush(&client);
	wire_release(&client);
	ck_assert_int_eq(client.fd, -1);
	ck_assert_int_eq(wire_read(&hub), 1);
	check_set(1, 3);
	ck_assert_int_eq(wire_read(&hub), 0);
	wire_send(&hub, MSG_OK, 1, &(struct msg_OK){ 0 });
	/* no SIGPIPE */
	ck_assert_int_eq(wire_flush(&hub), -1);
	ck_assert_int_eq(errno, EPIPE);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("wire");
	TCase *tests = tcase_create("wire");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, one_goes_through);
	tcase_add_test(tests, many_at_once_keep_their_order);
	tcase_add_test(tests, a_byte_at_a_time);
	tcase_add_test(tests, large_ones_go_in_pieces);
	tcase_add_test(tests, a_peer_that_does_not_read);
	tcase_add_test(tests, too_large_a_frame);
	tcase_add_test(tests, garbage);
	tcase_add_test(tests, the_end);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
