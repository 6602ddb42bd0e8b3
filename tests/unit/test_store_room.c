/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_store_room - a disk that gets full: new work is refused in time, the
 * reserve goes to what was accepted, and both come back with the room. On a
 * small file system of the test's own, where that can be had.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/log.h"
#include "store_fixture.h"

#define MIB ((size_t)1 << 20)

static bool
reserve_is_there(void)
{
	char name[100];
	struct stat st;

	snprintf(name, sizeof name, "%s-reserve", path);
	return stat(name, &st) == 0 && (size_t)st.st_size == conf->hub.reserve;
}

START_TEST(room_is_what_the_config_says)
{
	const char *why_not = "";
	int64_t size, free_bytes;

	ck_assert(store_has_room(store, &why_not));
	ck_assert_ptr_null(why_not);
	ck_assert(reserve_is_there());
	store_count(store, &size, &free_bytes);
	ck_assert_int_gt(size, 0);
	ck_assert_int_gt(free_bytes, 0);

	conf->hub.min_free = (size_t)1 << 60;
	store_reopen();
	ck_assert(!store_has_room(store, &why_not));
	ck_assert_ptr_nonnull(strstr(why_not, "nearly full"));
	/* what was accepted goes on */
	store_set_counter(store, "a", 1);
	store_commit(store, true);
	ck_assert(!store_has_room(store, &why_not));

	conf->hub.min_free = 0;
	conf->hub.reserve = 0;
	store_reopen();
	ck_assert(store_has_room(store, &why_not));
	ck_assert(!reserve_is_there());
	conf->hub.reserve = 3 * MIB;
	store_reopen();
	ck_assert(reserve_is_there());
	conf->hub.reserve = MIB;
	store_reopen();
	ck_assert(reserve_is_there());
}
END_TEST

/* Takes what is left but for some. */
static void
fill_disk(const char *name, size_t leave)
{
	int64_t size, free_bytes;
	int fd = open(name, O_RDWR | O_CREAT, 0600);

	store_count(store, &size, &free_bytes);
	ck_assert_int_eq(posix_fallocate(fd, 0, free_bytes - (int64_t)leave),
	    0);
	close(fd);
}

static void
live_on_a_small_disk(void)
{
	char junk[100];
	const char *why_not;

	snprintf(junk, sizeof junk, "%s/junk", dir);
	conf->hub.min_free = 8 * MIB;
	conf->hub.reserve = 8 * MIB;
	store_reopen();
	ck_assert(store_has_room(store, &why_not));
	fill_disk(junk, 4 * MIB);
	store_look(store);
	ck_assert(!store_has_room(store, &why_not));
	ck_assert(reserve_is_there());

	/* finishing needs more than is left */
	for (uint64_t uid = 1; uid <= 6; uid++) {
		struct job job = job_of(uid, "a", JOB_QUEUED);
		char *body = calloc(1, MIB);

		memset(body, 'x', MIB - 1);
		add_job(&job, body);
		store_commit(store, true);
		store_tidy(store);
		free(body);
	}
	ck_assert(!reserve_is_there());
	store_look(store);
	ck_assert(!store_has_room(store, &why_not));
	ck_assert_ptr_nonnull(strstr(why_not, "16 MiB are kept"));
	ck_assert(is_there(6));

	ck_assert_int_eq(unlink(junk), 0);
	store_look(store);
	ck_assert(store_has_room(store, &why_not));
	ck_assert(reserve_is_there());
	store_reopen();
	ck_assert(is_there(6));
	ck_assert(reserve_is_there());
}

/* Root may mount. */
static bool
small_disk(void)
{
	store_close(store);
	store = NULL;
	if (unshare(CLONE_NEWNS) < 0)
		return false;
	if (mount("none", "/", "none", MS_REC | MS_PRIVATE, "") < 0)
		return false;
	return mount("none", dir, "tmpfs", 0, "size=48m,mode=0777") == 0;
}

START_TEST(a_full_disk_is_lived_with)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		log_set_level(LOG_LEVEL_COUNT);
		if (!small_disk())
			_exit(77);
		live_on_a_small_disk();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		fputs("no small disk to be had here: left out\n", stderr);
	else
		ck_assert_int_eq(status, 0);
}
END_TEST

static void
add_tests(TCase *tests)
{
	tcase_add_test(tests, room_is_what_the_config_says);
	/* of a process that ends in the middle valgrind says that it leaks */
	if (getenv("VALGRIND") == NULL)
		tcase_add_test(tests, a_full_disk_is_lived_with);
}

int
main(void)
{
	return run_store_suite("store_room", add_tests);
}
