/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_store_db - the store's file: what is committed is there again, what is
 * not is not, whoever kills the process; files that are refused stay as they
 * are; a statement that fails ends the process.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/log.h"
#include "hub/store_db.h"
#include "store_fixture.h"

static off_t
size_of(const char *suffix)
{
	char name[100];
	struct stat st;

	snprintf(name, sizeof name, "%s%s", path, suffix);
	return stat(name, &st) == 0 ? st.st_size : -1;
}

static void
put_bytes(off_t at, const void *bytes, size_t len)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, bytes, len, at), (ssize_t)len);
	close(fd);
}

static void
assert_refused(const char *text)
{
	struct stat before, after;

	ck_assert_int_eq(stat(path, &before), 0);
	ck_assert_ptr_null(store_open(path, conf, &why));
	ck_assert_msg(strstr(why.text, text) != NULL, "%s", why.text);
	ck_assert_ptr_nonnull(strstr(why.text, path));
	ck_assert_int_eq(stat(path, &after), 0);
	ck_assert_int_eq(before.st_size, after.st_size);
	ck_assert_int_eq(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
	ck_assert_int_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}

static void
close_store(void)
{
	store_close(store);
	store = NULL;
}

START_TEST(what_is_committed_is_there_again)
{
	ck_assert(!store_is_open(store));
	store_set_counter(store, "fence", 7);
	ck_assert(store_is_open(store));
	ck_assert_uint_eq(store_counter(store, "fence"), 7);
	store_commit(store, _i == 1);
	ck_assert(!store_is_open(store));
	store_commit(store, true);
	store_reopen();
	ck_assert_uint_eq(store_counter(store, "fence"), 7);
	ck_assert_uint_eq(store_counter(store, "version"), 0);
}
END_TEST

/* A hub that is killed: committed is there, the rest is not. */
START_TEST(a_kill_keeps_what_is_committed)
{
	pid_t pid;
	int status;

	close_store();
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		store = store_open(path, conf, &why);
		for (uint64_t i = 1; i <= 100; i++) {
			store_set_counter(store, "fence", i);
			store_commit(store, i % 7 == 0);
		}
		store_set_counter(store, "fence", 1000);
		kill(getpid(), SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	store_reopen();
	ck_assert_uint_eq(store_counter(store, "fence"), 100);
}
END_TEST

START_TEST(the_log_is_moved_into_the_file)
{
	char body[1001];
	off_t largest = 0;

	memset(body, 'x', sizeof body - 1);
	body[sizeof body - 1] = '\0';
	for (uint64_t uid = 1; uid <= 20000; uid++) {
		struct job job = job_of(uid, "a", JOB_QUEUED);

		add_job(&job, body);
		if (uid % 50 == 0) {
			store_commit(store, false);
			/* one that is never tidied does it itself */
			if (_i == 0)
				store_tidy(store);
			if (size_of("-wal") > largest)
				largest = size_of("-wal");
		}
	}
	ck_assert_int_gt(size_of(""), 10 << 20);
	ck_assert_int_lt(largest, 12 << 20);
	close_store();
	ck_assert_int_eq(size_of("-wal"), -1);
}
END_TEST

START_TEST(the_files_are_private)
{
	char name[100];
	struct stat st;

	store_set_counter(store, "a", 1);
	store_commit(store, false);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	snprintf(name, sizeof name, "%s-wal", path);
	ck_assert_int_eq(stat(name, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	snprintf(name, sizeof name, "%s-reserve", path);
	ck_assert_int_eq(stat(name, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	/* one that somebody has opened up */
	close_store();
	ck_assert_int_eq(chmod(path, 0644), 0);
	store_reopen();
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
}
END_TEST

START_TEST(a_second_process_is_locked_out)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct store *other = store_open(path, conf, &why);

		_exit(other == NULL && strstr(why.text, "in use") != NULL ? 0 :
									    1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	store_set_counter(store, "a", 1);
	store_commit(store, true);
}
END_TEST

START_TEST(an_empty_file_becomes_a_store)
{
	close_store();
	ck_assert_int_eq(truncate(path, 0), 0);
	ck_assert_int_eq(store_check(path, &why), 0);
	store_reopen();
	ck_assert_uint_eq(store_counter(store, "fence"), 0);
}
END_TEST

START_TEST(no_database_is_refused)
{
	close_store();
	ck_assert_int_eq(truncate(path, 0), 0);
	put_bytes(0, "hello, this is a letter to my mother", 36);
	assert_refused("not a database");
	ck_assert_int_eq(store_check(path, &why), -1);
	ck_assert_ptr_nonnull(strstr(why.text, "not a database"));
}
END_TEST

START_TEST(another_programs_database_is_refused)
{
	close_store();
	put_bytes(68, "\0\0\0\1", 4);
	assert_refused("another program");
	ck_assert_int_eq(store_check(path, &why), -1);
}
END_TEST

START_TEST(a_newer_schema_is_refused)
{
	close_store();
	put_bytes(60, "\0\0\0\x63", 4);
	assert_refused("has schema 99");
	ck_assert_ptr_nonnull(strstr(why.text, "newer"));
	ck_assert_int_eq(store_check(path, &why), -1);
	ck_assert_ptr_nonnull(strstr(why.text, "has schema 99"));
}
END_TEST

/* Somewhere in the pages that hold the jobs; then half of the file is gone. */
START_TEST(a_damaged_one_is_refused)
{
	char junk[3000];

	for (uint64_t uid = 1; uid <= 1000; uid++) {
		struct job job = job_of(uid, "a", JOB_QUEUED);

		add_job(&job, "something to do");
	}
	close_store();
	memset(junk, _i == 0 ? 0xff : 0x5a, sizeof junk);
	if (_i < 2)
		put_bytes(size_of("") / 2, junk, sizeof junk);
	else
		ck_assert_int_eq(truncate(path, size_of("") / 2 + 10), 0);
	assert_refused("damaged");
	ck_assert_ptr_nonnull(strstr(why.text, "keep a copy"));
	/* the head is fine, and -t does not read more */
	ck_assert_int_eq(store_check(path, &why), 0);
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
	close_store();
	ck_assert_ptr_null(store_open(dir, conf, &why));
	ck_assert_msg(strstr(why.text, "a folder") != NULL, "%s", why.text);
	ck_assert_ptr_null(store_open("/dev/null", conf, &why));
	ck_assert_ptr_nonnull(strstr(why.text, "special"));
	ck_assert_ptr_null(store_open("/nowhere/at/all/hub.db", conf, &why));
	ck_assert_ptr_nonnull(strstr(why.text, "cannot create"));
	ck_assert_int_eq(store_check("/nowhere/at/all/hub.db", &why), 0);
	ck_assert_int_eq(store_check(dir, &why), -1);
}
END_TEST

START_TEST(one_without_permission_is_refused)
{
	close_store();
	if (geteuid() == 0)
		return;
	ck_assert_int_eq(chmod(path, 0400), 0);
	assert_refused("Permission denied");
	ck_assert_int_eq(store_check(path, &why), -1);
}
END_TEST

/* --- what is refused later ends the process */

static void
on_failure(void *ctx, int exit_status, const char *reason)
{
	(void)reason;
	_exit(*(int *)ctx + exit_status);
}

static void
write_without_end(void *ctx)
{
	struct rlimit limit = { 1 << 16, 1 << 16 };
	uint64_t uid = 0;

	if (ctx != NULL)
		store_on_failure(store, on_failure, ctx);
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	for (;;) {
		struct job job = job_of(++uid, "a", JOB_QUEUED);

		add_job(&job, "something to do");
		store_commit(store, false);
	}
}

static void
read_all(void *ctx)
{
	store = store_open(path, conf, &why);
	/* behind the open one's back; too much for its cache to hide */
	for (off_t at = 8192; at + 4096 <= size_of(""); at += 4096)
		put_bytes(at, ctx, 4096);
	for (uint64_t uid = 1; uid <= 30000; uid++)
		is_there(uid);
}

/* In a process of its own, whose exit status is returned. */
static int
exit_of(void (*fn)(void *ctx), void *ctx)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		log_set_level(LOG_LEVEL_COUNT);
		fn(ctx);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

START_TEST(a_write_that_fails_ends_the_process)
{
	int add = 40;

	ck_assert_int_eq(exit_of(write_without_end, NULL), EXIT_FAILURE);
	ck_assert_int_eq(exit_of(write_without_end, &add), 40 + EXIT_FAILURE);
}
END_TEST

START_TEST(damage_found_later_ends_the_process_for_good)
{
	char junk[4096];

	memset(junk, 'x', 1000);
	junk[1000] = '\0';
	for (uint64_t uid = 1; uid <= 30000; uid++) {
		struct job job = job_of(uid, "a", JOB_QUEUED);

		add_job(&job, junk);
	}
	close_store();
	memset(junk, 0xee, sizeof junk);
	ck_assert_int_eq(exit_of(read_all, junk), 78);
}
END_TEST

static void
add_tests(TCase *tests)
{
	/* of a process that ends in the middle valgrind says that it leaks */
	bool to_the_end = getenv("VALGRIND") == NULL;

	tcase_add_loop_test(tests, what_is_committed_is_there_again, 0, 2);
	tcase_add_test(tests, a_kill_keeps_what_is_committed);
	tcase_add_loop_test(tests, the_log_is_moved_into_the_file, 0, 2);
	tcase_add_test(tests, the_files_are_private);
	if (to_the_end)
		tcase_add_test(tests, a_second_process_is_locked_out);
	tcase_add_test(tests, an_empty_file_becomes_a_store);
	tcase_add_test(tests, no_database_is_refused);
	tcase_add_test(tests, another_programs_database_is_refused);
	tcase_add_test(tests, a_newer_schema_is_refused);
	tcase_add_loop_test(tests, a_damaged_one_is_refused, 0, 3);
	tcase_add_test(tests, what_is_no_file_is_refused);
	tcase_add_test(tests, one_without_permission_is_refused);
	if (to_the_end)
		tcase_add_test(tests, a_write_that_fails_ends_the_process);
	if (to_the_end)
		tcase_add_test(tests,
		    damage_found_later_ends_the_process_for_good);
}

int
main(void)
{
	return run_store_suite("store_db", add_tests);
}
