/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_buf - the limit at every length around it, descriptors that are empty,
 * full and at their end, and long runs of random operations beside a model.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "fast_check.h"
#include "run_suite.h"

static char noise[20000];

static void
fill_noise(void)
{
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)(i * 31 + i / 251);
}

static void
assert_holds(const struct buf *buf, const void *bytes, size_t len)
{
	ck_assert_uint_eq(buf->len, len);
	ck_assert_uint_le(buf->len, buf->max);
	if (buf->data == NULL)
		return;
	ck_assert_uint_gt(buf->size, buf->len);
	ck_assert_mem_eq(buf->data, bytes, len);
	ck_assert_int_eq(buf->data[len], '\0');
}

START_TEST(it_begins_with_nothing)
{
	struct buf buf;

	buf_init(&buf, 10);
	ck_assert_ptr_null(buf.data);
	ck_assert_uint_eq(buf.len, 0);
	buf_clear(&buf);
	buf_consume(&buf, 0);
	ck_assert_ptr_null(buf.data);
	ck_assert_int_eq(buf_append(&buf, NULL, 0), 0);
	ck_assert_ptr_nonnull(buf.data);
	assert_holds(&buf, "", 0);
	buf_release(&buf);
	ck_assert_ptr_null(buf.data);
	ck_assert_uint_eq(buf.max, 10);
	buf_release(&buf);
}
END_TEST

/* Every limit from 0, every content, and appends around what is left. */
START_TEST(an_append_beyond_the_limit_changes_nothing)
{
	for (size_t max = 0; max < 20; max++)
		for (size_t first = 0; first <= max; first++)
			for (size_t more = 0; more < 24; more++) {
				struct buf buf;
				size_t len = first + more;

				buf_init(&buf, max);
				ck_assert_int_eq(buf_append(&buf, noise, first),
				    0);
				errno = 0;
				if (len <= max) {
					ck_assert_int_eq(buf_append(&buf,
							     noise + first,
							     more),
					    0);
					assert_holds(&buf, noise, len);
				} else {
					ck_assert_int_eq(buf_append(&buf,
							     noise + first,
							     more),
					    -1);
					ck_assert_int_eq(errno, ENOBUFS);
					assert_holds(&buf, noise, first);
				}
				buf_release(&buf);
			}
}
END_TEST

START_TEST(a_print_beyond_the_limit_changes_nothing)
{
	struct buf buf;

	buf_init(&buf, 10);
	ck_assert_int_eq(buf_printf(&buf, "%s=%d", "key", 42), 0);
	assert_holds(&buf, "key=42", 6);
	errno = 0;
	ck_assert_int_eq(buf_printf(&buf, "%d", 12345), -1);
	ck_assert_int_eq(errno, ENOBUFS);
	assert_holds(&buf, "key=42", 6);
	ck_assert_int_eq(buf_printf(&buf, "%d", 1234), 0);
	assert_holds(&buf, "key=421234", 10);
	ck_assert_int_eq(buf_printf(&buf, "%s", ""), 0);
	ck_assert_int_eq(buf_printf(&buf, "%c", 'x'), -1);
	assert_holds(&buf, "key=421234", 10);
	buf_release(&buf);

	buf_init(&buf, 1000);
	errno = ENOENT;
	ck_assert_int_eq(buf_printf(&buf, "%m"), 0);
	ck_assert_str_eq(buf.data, "No such file or directory");
	buf_release(&buf);
}
END_TEST

START_TEST(sizes_that_would_overflow_are_refused)
{
	struct buf buf;

	buf_init(&buf, SIZE_MAX);
	ck_assert_int_eq(buf_append(&buf, "abc", 3), 0);
	ck_assert_int_eq(buf_append(&buf, noise, SIZE_MAX), -1);
	ck_assert_int_eq(errno, ENOBUFS);
	ck_assert_int_eq(buf_append(&buf, noise, SIZE_MAX - 3), -1);
	ck_assert_int_eq(errno, ENOBUFS);
	assert_holds(&buf, "abc", 3);
	buf_release(&buf);
}
END_TEST

START_TEST(no_more_is_allocated_than_can_be_used)
{
	struct buf buf;

	buf_init(&buf, 5000);
	for (size_t i = 0; i < 5000; i++)
		ck_assert_int_eq(buf_append(&buf, noise + i, 1), 0);
	assert_holds(&buf, noise, 5000);
	ck_assert_uint_eq(buf.size, 5001);
	buf_clear(&buf);
	ck_assert_uint_eq(buf.size, 5001);
	assert_holds(&buf, "", 0);
	buf_release(&buf);
}
END_TEST

START_TEST(what_was_large_once_is_given_back)
{
	struct buf buf;

	buf_init(&buf, SIZE_MAX - 1);
	buf_reuse(&buf, 0);
	ck_assert_ptr_null(buf.data);
	buf_append(&buf, "a", 1);
	buf_reuse(&buf, buf.size);
	ck_assert_ptr_nonnull(buf.data);
	assert_holds(&buf, "", 0);
	buf_append(&buf, "b", 1);
	buf_reuse(&buf, buf.size - 1);
	ck_assert_ptr_null(buf.data);
	ck_assert_uint_eq(buf.len, 0);
	ck_assert_uint_eq(buf.max, SIZE_MAX - 1);
}
END_TEST

START_TEST(the_memory_can_be_handed_over)
{
	struct buf buf;
	size_t len = 99;
	char *text;

	buf_init(&buf, 100);
	text = buf_detach(&buf, &len);
	ck_assert_str_eq(text, "");
	ck_assert_uint_eq(len, 0);
	free(text);

	buf_append(&buf, "a\0b", 3);
	text = buf_detach(&buf, &len);
	ck_assert_uint_eq(len, 3);
	ck_assert_mem_eq(text, "a\0b", 4);
	free(text);
	ck_assert_ptr_null(buf.data);
	ck_assert_uint_eq(buf.len, 0);
	ck_assert_uint_eq(buf.max, 100);

	buf_append(&buf, "c", 1);
	free(buf_detach(&buf, NULL));
}
END_TEST

/* A small step of a fixed generator: the runs are the same each time. */
static size_t
step(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	return (size_t)(*seed >> 33);
}

START_TEST(random_operations_agree_with_a_model)
{
	enum { MAX = 1500 };
	uint64_t seed = (uint64_t)_i + 1;
	char model[MAX];
	size_t len = 0, n, from;
	struct buf buf;

	buf_init(&buf, MAX);
	for (int i = 0; i < 5000; i++) {
		switch (step(&seed) % 8) {
		case 0:
			n = len > 0 ? step(&seed) % (len + 1) : 0;
			buf_consume(&buf, n);
			memmove(model, model + n, len - n);
			len -= n;
			break;
		case 1:
			if (step(&seed) % 50 == 0) {
				buf_clear(&buf);
				len = 0;
			}
			break;
		default:
			n = step(&seed) % 300;
			from = step(&seed) % (sizeof(noise) - 300);
			if (buf_append(&buf, noise + from, n) == 0) {
				ck_assert_uint_le(len + n, MAX);
				memcpy(model + len, noise + from, n);
				len += n;
			} else
				ck_assert_uint_gt(len + n, MAX);
			break;
		}
		assert_holds(&buf, model, len);
	}
	buf_release(&buf);
}
END_TEST

static void
make_pipe(int ends[2])
{
	ck_assert_int_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
}

START_TEST(a_read_tells_empty_full_and_end)
{
	struct buf buf;
	int ends[2];

	make_pipe(ends);
	buf_init(&buf, 10);
	ck_assert_int_eq(buf_read_fd(&buf, ends[0]), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(write(ends[1], noise, 16), 16);
	ck_assert_int_eq(buf_read_fd(&buf, ends[0]), 10);
	assert_holds(&buf, noise, 10);
	ck_assert_int_eq(buf_read_fd(&buf, ends[0]), -1);
	ck_assert_int_eq(errno, ENOBUFS);
	assert_holds(&buf, noise, 10);
	buf_consume(&buf, 4);
	ck_assert_int_eq(buf_read_fd(&buf, ends[0]), 4);
	assert_holds(&buf, noise + 4, 10);
	buf_clear(&buf);
	ck_assert_int_eq(buf_read_fd(&buf, ends[0]), 2);
	close(ends[1]);
	ck_assert_int_eq(buf_read_fd(&buf, ends[0]), 0);
	assert_holds(&buf, noise + 14, 2);
	close(ends[0]);
	ck_assert_int_eq(buf_read_fd(&buf, ends[0]), -1);
	ck_assert_int_eq(errno, EBADF);
	buf_release(&buf);
}
END_TEST

START_TEST(a_write_moves_what_fits)
{
	struct buf out, in;
	int ends[2];
	ssize_t n;
	size_t total = 0;

	make_pipe(ends);
	ck_assert_int_ge(fcntl(ends[1], F_SETPIPE_SZ, 4096), 4096);
	buf_init(&out, sizeof(noise));
	buf_init(&in, sizeof(noise));
	ck_assert_int_eq(buf_write_fd(&out, ends[1]), 0);
	ck_assert_int_eq(buf_append(&out, noise, sizeof(noise)), 0);
	while (out.len > 0 || total < sizeof(noise)) {
		n = buf_write_fd(&out, ends[1]);
		if (n == -1)
			ck_assert_int_eq(errno, EAGAIN);
		n = buf_read_fd(&in, ends[0]);
		ck_assert_int_gt(n, 0);
		total += (size_t)n;
		assert_holds(&in, noise, total);
	}
	ck_assert_uint_eq(total, sizeof(noise));
	ck_assert_int_eq(buf_write_fd(&out, ends[1]), 0);
	close(ends[0]);
	close(ends[1]);
	buf_release(&out);
	buf_release(&in);
}
END_TEST

START_TEST(room_can_be_filled_in)
{
	struct buf buf;
	char *at;

	buf_init(&buf, 10);
	ck_assert_int_eq(buf_append(&buf, "abc", 3), 0);
	at = buf_extend(&buf, 4);
	ck_assert_ptr_eq(at, buf.data + 3);
	memcpy(at, "defg", 4);
	ck_assert_str_eq(buf.data, "abcdefg");
	ck_assert_uint_eq(buf.len, 7);
	ck_assert_ptr_null(buf_extend(&buf, 4));
	ck_assert_int_eq(errno, ENOBUFS);
	ck_assert_str_eq(buf.data, "abcdefg");
	ck_assert_ptr_nonnull(buf_extend(&buf, 0));
	buf_release(&buf);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("buf");
	TCase *tests = tcase_create("buf");

	tcase_set_timeout(tests, 120);
	fill_noise();
	tcase_add_test(tests, it_begins_with_nothing);
	tcase_add_test(tests, an_append_beyond_the_limit_changes_nothing);
	tcase_add_test(tests, a_print_beyond_the_limit_changes_nothing);
	tcase_add_test(tests, sizes_that_would_overflow_are_refused);
	tcase_add_test(tests, no_more_is_allocated_than_can_be_used);
	tcase_add_test(tests, room_can_be_filled_in);
	tcase_add_test(tests, what_was_large_once_is_given_back);
	tcase_add_test(tests, the_memory_can_be_handed_over);
	tcase_add_loop_test(tests, random_operations_agree_with_a_model, 0, 5);
	tcase_add_test(tests, a_read_tells_empty_full_and_end);
	tcase_add_test(tests, a_write_moves_what_fits);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
