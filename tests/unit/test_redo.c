/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_redo - what is written comes back, whatever became of the process that
 * wrote it: around the ring many times, cut off in the middle of a record,
 * killed at any moment; and files that are no good are refused and kept.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/why.h"
#include "fast_check.h"
#include "hub/redo.h"
#include "run_suite.h"

#define SIZE 65536
#define HEAD 4096 /* the ring begins behind it */

static char dir[64], path[128];
static struct redo *redo;
static struct why why;

static void
set_up(void)
{
	snprintf(dir, sizeof(dir), "/tmp/test_redo.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/redo", dir);
	redo = NULL;
}

static int
discard(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(name);
}

static void
tear_down(void)
{
	redo_close(redo);
	ck_assert_int_eq(nftw(dir, discard, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void
reopen(void)
{
	redo_close(redo);
	redo = redo_open(path, SIZE, &why);
	ck_assert_msg(redo != NULL, "%s", why.text);
}

/* The record number n, of any length: all of it follows from n. */
struct made {
	char key[32], bytes[4096];
	struct redo_record record;
};

static const struct redo_record *
make(struct made *made, uint64_t n)
{
	size_t len = n * 7919 % 700, key_len;

	key_len = (size_t)snprintf(made->key, sizeof(made->key), "key:%llu",
	    (unsigned long long)(n % 97));
	for (size_t i = 0; i < len; i++)
		made->bytes[i] = (char)(n * 31 + i);
	made->record = (struct redo_record){
		.lsn = n,
		.session = n * 3,
		.seq = n * 5,
		.id = (uint16_t)(n % 9),
		.done = n % 2,
		.version = n * 11,
		.value = { .key = made->key,
		    .key_len = key_len,
		    .kind = n % 3 == 0 ? DATA_NUMBER : DATA_BYTES,
		    .version = n % 5 == 0 ? 0 : n * 11,
		    .expires_ms = n % 4 == 0 ? -1 : (int64_t)n,
		    .bytes = made->bytes,
		    .len = n % 3 == 0 ? 0 : len,
		    .number = -(int64_t)n },
	};
	return &made->record;
}

static uint64_t
append(uint64_t n)
{
	struct made made;

	ck_assert(redo_has_room(redo, make(&made, n)));
	return redo_append(redo, &made.record);
}

struct seen {
	uint64_t first, last;
	uint64_t stop_at;
};

static int
on_record(void *ctx, const struct redo_record *got)
{
	struct seen *seen = ctx;
	struct made made;
	const struct redo_record *want = make(&made, got->lsn);

	if (seen->first == 0)
		seen->first = got->lsn;
	else
		ck_assert_uint_eq(got->lsn, seen->last + 1);
	seen->last = got->lsn;
	ck_assert_uint_eq(got->session, want->session);
	ck_assert_uint_eq(got->seq, want->seq);
	ck_assert_uint_eq(got->id, want->id);
	ck_assert_uint_eq(got->done, want->done);
	ck_assert_uint_eq(got->version, want->version);
	ck_assert_uint_eq(got->value.version, want->value.version);
	ck_assert_int_eq(got->value.kind, want->value.kind);
	ck_assert_int_eq(got->value.expires_ms, want->value.expires_ms);
	ck_assert_int_eq(got->value.number, want->value.number);
	ck_assert_uint_eq(got->value.key_len, want->value.key_len);
	ck_assert_mem_eq(got->value.key, want->value.key, want->value.key_len);
	ck_assert_uint_eq(got->value.len, want->value.len);
	ck_assert_mem_eq(got->value.bytes, want->value.bytes, want->value.len);
	return seen->last == seen->stop_at ? -1 : 0;
}

static struct seen
look(uint64_t after)
{
	struct seen seen = { .first = 0 };

	redo_each(redo, after, on_record, &seen);
	return seen;
}

START_TEST(a_new_file_is_empty)
{
	reopen();
	ck_assert_uint_eq(redo_last(redo), 0);
	ck_assert_uint_eq(redo_size(redo), SIZE);
	ck_assert_uint_eq(redo_pending(redo), 0);
	ck_assert_uint_eq(look(0).first, 0);
	reopen();
	ck_assert_uint_eq(redo_last(redo), 0);
}
END_TEST

START_TEST(what_was_written_comes_back)
{
	reopen();
	for (uint64_t n = 1; n <= 50; n++)
		ck_assert_uint_eq(append(n), n);
	ck_assert_uint_eq(look(0).last, 50);
	reopen();
	ck_assert_uint_eq(redo_last(redo), 50);
	ck_assert_uint_eq(look(0).first, 1);
	ck_assert_uint_eq(look(0).last, 50);
	ck_assert_uint_eq(look(30).first, 31);
	ck_assert_uint_eq(look(50).first, 0);
	ck_assert_uint_eq(append(51), 51);
	reopen();
	ck_assert_uint_eq(look(0).last, 51);
}
END_TEST

START_TEST(a_walk_can_be_ended)
{
	struct seen seen = { .stop_at = 7 };

	reopen();
	for (uint64_t n = 1; n <= 20; n++)
		append(n);
	redo_each(redo, 2, on_record, &seen);
	ck_assert_uint_eq(seen.first, 3);
	ck_assert_uint_eq(seen.last, 7);
}
END_TEST

START_TEST(an_empty_key_and_value_are_a_record)
{
	struct redo_record record = { .session = 9, .value = { .key = "" } };
	struct redo *again;

	reopen();
	redo_append(redo, &record);
	redo_append(redo, &record);
	redo_close(redo);
	again = redo = redo_open(path, SIZE, &why);
	ck_assert_ptr_nonnull(again);
	ck_assert_uint_eq(redo_last(redo), 2);
}
END_TEST

START_TEST(what_is_not_taken_is_never_overwritten)
{
	struct made made;
	uint64_t n = 1;

	reopen();
	while (redo_has_room(redo, make(&made, n)))
		append(n++);
	ck_assert_uint_eq(look(0).first, 1);
	ck_assert_uint_eq(look(0).last, n - 1);
	ck_assert_uint_gt(redo_pending(redo), SIZE / 2);
	redo_taken(redo, 0);
	ck_assert(!redo_has_room(redo, make(&made, n)));
	redo_taken(redo, n - 1);
	ck_assert_uint_eq(redo_pending(redo), 0);
	ck_assert(redo_has_room(redo, make(&made, n)));
	/* still readable, until they are overwritten */
	ck_assert_uint_eq(look(0).first, 1);
	append(n);
	ck_assert_uint_gt(look(0).first, 1);
	ck_assert_uint_eq(look(0).last, n);
	reopen();
	ck_assert_uint_eq(look(0).last, n);
}
END_TEST

START_TEST(around_the_ring_many_times)
{
	struct made made;
	uint64_t taken = 0;

	reopen();
	for (uint64_t n = 1; n <= 20000; n++) {
		if (!redo_has_room(redo, make(&made, n))) {
			taken = n - 1 - n % 13;
			redo_taken(redo, taken);
		}
		append(n);
		if (n % 271 != 0)
			continue;
		ck_assert_uint_le(look(0).first, taken + 1);
		ck_assert_uint_eq(look(0).last, n);
		ck_assert_uint_eq(look(taken).first, taken + 1);
		reopen();
		ck_assert_uint_eq(redo_last(redo), n);
		ck_assert_uint_le(look(0).first, taken + 1);
		ck_assert_uint_eq(look(0).last, n);
		redo_taken(redo, taken);
	}
}
END_TEST

/* Changes a byte of the file. */
static void
spoil(off_t at)
{
	int fd = open(path, O_RDWR);
	unsigned char byte;

	ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
	byte ^= 0x5a;
	ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

START_TEST(a_record_that_was_cut_off_has_not_happened)
{
	size_t before;

	reopen();
	for (uint64_t n = 1; n <= 9; n++)
		append(n);
	before = redo_pending(redo);
	append(10);
	/* each byte of it, but for what may be padding */
	for (size_t at = before; at < redo_pending(redo) - 8; at++) {
		redo_close(redo);
		redo = NULL;
		spoil((off_t)(HEAD + at));
		reopen();
		ck_assert_uint_eq(redo_last(redo), 9);
		ck_assert_uint_eq(look(0).last, 9);
		ck_assert_uint_eq(append(10), 10);
		reopen();
		ck_assert_uint_eq(look(0).last, 10);
	}
}
END_TEST

START_TEST(what_comes_behind_a_spoilt_record_is_not_believed)
{
	size_t before;

	reopen();
	for (uint64_t n = 1; n <= 4; n++)
		append(n);
	before = redo_pending(redo);
	for (uint64_t n = 5; n <= 9; n++)
		append(n);
	redo_close(redo);
	redo = NULL;
	spoil((off_t)(HEAD + before));
	reopen();
	ck_assert_uint_eq(redo_last(redo), 4);
	/* shorter or longer than what was there: what is behind stays out */
	for (uint64_t n = 5; n <= 7; n++) {
		append(n);
		reopen();
		ck_assert_uint_eq(redo_last(redo), n);
	}
}
END_TEST

START_TEST(the_store_may_be_ahead)
{
	reopen();
	for (uint64_t n = 1; n <= 9; n++)
		append(n);
	redo_continue(redo, 5);
	ck_assert_uint_eq(redo_last(redo), 9);
	redo_continue(redo, 1000);
	ck_assert_uint_eq(redo_last(redo), 1000);
	ck_assert_uint_eq(look(0).first, 0);
	ck_assert_uint_eq(append(1001), 1001);
	reopen();
	ck_assert_uint_eq(look(0).first, 1001);
	ck_assert_uint_eq(look(0).last, 1001);
}
END_TEST

START_TEST(a_file_keeps_its_own_size)
{
	reopen();
	append(1);
	redo_close(redo);
	redo = redo_open(path, (size_t)4 * SIZE, &why);
	ck_assert_ptr_nonnull(redo);
	ck_assert_uint_eq(redo_size(redo), SIZE);
	ck_assert_uint_eq(look(0).last, 1);
}
END_TEST

START_TEST(it_has_its_blocks)
{
	struct stat st;

	reopen();
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_ge(st.st_blocks * 512, SIZE);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
}
END_TEST

START_TEST(two_cannot_have_it)
{
	ck_assert_int_eq(redo_check(path, &why), 0);
	reopen();
	ck_assert_int_eq(redo_check(path, &why), 0);
	ck_assert_ptr_null(redo_open(path, SIZE, &why));
	ck_assert_ptr_nonnull(strstr(why.text, "another process uses it"));
}
END_TEST

static void
require_refused(const char *word)
{
	struct stat before, after;

	ck_assert_int_eq(stat(path, &before), 0);
	why.text[0] = '\0';
	ck_assert_int_eq(redo_check(path, &why), -1);
	ck_assert_msg(strstr(why.text, word) != NULL, "%s", why.text);
	why.text[0] = '\0';
	ck_assert_ptr_null(redo_open(path, SIZE, &why));
	ck_assert_msg(strstr(why.text, word) != NULL, "%s", why.text);
	ck_assert_ptr_nonnull(strstr(why.text, "move it away"));
	ck_assert_int_eq(stat(path, &after), 0);
	ck_assert_int_eq(before.st_size, after.st_size);
	ck_assert_int_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}

START_TEST(a_spoilt_head_is_refused_and_kept)
{
	/* magic, format, size, key, checksum */
	static const off_t at[] = { 0, 5, 11, 16, 23, 24, 39, 40, 47 };

	reopen();
	append(1);
	redo_close(redo);
	redo = NULL;
	for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++) {
		spoil(at[i]);
		require_refused("is damaged");
		spoil(at[i]);
	}
	spoil(12);
	require_refused("has format");
	spoil(12);
	reopen();
	ck_assert_uint_eq(look(0).last, 1);
}
END_TEST

START_TEST(other_files_are_refused_and_kept)
{
	static const char *const text[] = { "", "hello", "brood redo\n" };
	FILE *file;

	for (size_t i = 0; i < sizeof(text) / sizeof(*text); i++) {
		file = fopen(path, "w");
		ck_assert_int_ge(fputs(text[i], file), 0);
		ck_assert_int_eq(fclose(file), 0);
		require_refused("is damaged");
	}
}
END_TEST

START_TEST(a_file_cut_short_is_refused)
{
	reopen();
	redo_close(redo);
	redo = NULL;
	ck_assert_int_eq(truncate(path, HEAD + SIZE - 8), 0);
	require_refused("is damaged");
}
END_TEST

START_TEST(a_folder_that_is_not_there)
{
	ck_assert_ptr_null(redo_open("/nonexistent/redo", SIZE, &why));
	ck_assert_ptr_nonnull(strstr(why.text, "No such file"));
}
END_TEST

/* Writes for ever and says in shared memory what it has been told is written:
 * that, and at most one more, must come back. */
_Noreturn static void
write_until_killed(volatile uint64_t *told)
{
	struct redo *mine = redo_open(path, SIZE, &why);
	struct made made;

	if (mine == NULL)
		_exit(1);
	for (uint64_t n = redo_last(mine) + 1;; n++) {
		if (!redo_has_room(mine, make(&made, n)))
			redo_taken(mine, n - 1);
		*told = redo_append(mine, &made.record);
	}
}

START_TEST(kill_loses_nothing_that_was_told)
{
	volatile uint64_t *told = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t before;
	struct seen seen;
	int status;
	pid_t pid;

	for (int round = 0; round < 40; round++) {
		before = *told;
		pid = fork();
		if (pid == 0)
			write_until_killed(told);
		/* some have been written in this round */
		while (*told < before + 100 + (uint64_t)round * 37)
			;
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(WIFSIGNALED(status));
		reopen();
		seen = look(0);
		ck_assert_uint_ge(seen.last, *told);
		ck_assert_uint_le(seen.last, *told + 1);
		ck_assert_uint_eq(redo_last(redo), seen.last);
		redo_close(redo);
		redo = NULL;
	}
	munmap((void *)told, 4096);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("redo");
	TCase *tc = tcase_create("redo");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_new_file_is_empty);
	tcase_add_test(tc, what_was_written_comes_back);
	tcase_add_test(tc, a_walk_can_be_ended);
	tcase_add_test(tc, an_empty_key_and_value_are_a_record);
	tcase_add_test(tc, what_is_not_taken_is_never_overwritten);
	tcase_add_test(tc, around_the_ring_many_times);
	tcase_add_test(tc, a_record_that_was_cut_off_has_not_happened);
	tcase_add_test(tc, what_comes_behind_a_spoilt_record_is_not_believed);
	tcase_add_test(tc, the_store_may_be_ahead);
	tcase_add_test(tc, a_file_keeps_its_own_size);
	tcase_add_test(tc, it_has_its_blocks);
	tcase_add_test(tc, two_cannot_have_it);
	tcase_add_test(tc, a_spoilt_head_is_refused_and_kept);
	tcase_add_test(tc, other_files_are_refused_and_kept);
	tcase_add_test(tc, a_file_cut_short_is_refused);
	tcase_add_test(tc, a_folder_that_is_not_there);
	tcase_add_test(tc, kill_loses_nothing_that_was_told);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
