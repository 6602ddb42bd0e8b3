/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_store - the hub's store in a real family: what is in it is there after a
 * stop and a start, one that will not do is refused at the start and by
 * broodd -t and is left alone, and a full disk refuses new work in words while
 * the rest goes on, and is over when there is room.
 */
#include <check.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "hub/store.h"
#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/desk.h"
#include "lib/http.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/text.h"

#define SCRIPT "hubtest.script"
#define MIB (1 << 20)

static const struct daemon_conf plain = {
	.module = { "hello", "hubtest" },
	.tasks = "backoff_min = 0.01; backoff_max = 0.02;",
	.route = { ROUTE_WITH("POST", "/job", SCRIPT, "mode = \"job\";"),
	    ROUTE("POST", "/inline", SCRIPT) },
};

static void
ends(const struct daemon *d, char *id, const char *state)
{
	json_decref(desk_await_job(d, id, state));
	free(id);
}

static char *
store_path(const struct daemon *d)
{
	return text_format("%s/state/hub.db", d->dir);
}

/* The start, or -t, fails and says all of these; the file stays as it is. */
static void
require_refused(struct daemon *d, bool check_too, const char *const parts[])
{
	char *path = store_path(d), *before, *after, *why;
	const char *argv[DAEMON_ARGS];
	size_t len_before, len_after;
	struct run run;
	int status;

	before = text_read(path, &len_before);
	why = daemon_try(d, &status);
	ck_assert_ptr_nonnull(why);
	ck_assert_int_eq(status, 78);
	for (size_t i = 0; parts[i] != NULL; i++)
		text_require("the start", why, parts[i]);
	free(why);
	if (check_too) {
		daemon_args(argv,
		    (const char *const[]){ "-c", d->conf, "-t", NULL });
		run_program(&run, argv, NULL);
		ck_assert_int_eq(run.status, 78);
		for (size_t i = 0; parts[i] != NULL; i++)
			text_require("-t", run.err, parts[i]);
		run_release(&run);
	}
	after = text_read(path, &len_after);
	ck_assert_uint_eq(len_before, len_after);
	ck_assert_int_eq(memcmp(before, after, len_before), 0);
	free(before);
	free(after);
	free(path);
}

static void
put_bytes(const struct daemon *d, off_t at, const void *bytes, size_t len)
{
	char *path = store_path(d);
	int fd = open(path, O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, bytes, len, at), (ssize_t)len);
	close(fd);
	free(path);
}

/* A store of some jobs, and the service stopped. */
static void
make_store(struct daemon *d)
{
	daemon_init(d);
	daemon_configure(d, &plain);
	daemon_start_again(d);
	for (int i = 0; i < 50; i++)
		free(desk_submit_script(d, "[]", "{\"delay\":3600}"));
	ck_assert_int_eq(kill(d->pid, SIGTERM), 0);
	ck_assert_int_eq(daemon_wait(d), 0);
	daemon_require_clean(d);
}

START_TEST(what_waits_is_there_after_a_start)
{
	struct daemon d;
	char *later, *soon, *done, *path;
	struct stat st;
	json_t *job;

	daemon_init(&d);
	daemon_configure(&d, &plain);
	daemon_start_again(&d);
	later = desk_submit_script(&d, "[]", "{\"delay\":3600,\"priority\":7}");
	soon = desk_submit_script(&d,
	    "[{\"do\":\"incr\",\"key\":\"ran\",\"on_success\":true},"
	    "{\"do\":\"retry\",\"after\":1,\"before\":2}]",
	    NULL);
	json_decref(desk_await_job(&d, soon, "waiting"));
	done = desk_submit_script(&d,
	    "[{\"do\":\"reply\",\"value\":{\"a\":1}}]", NULL);
	json_decref(desk_await_job(&d, done, "succeeded"));
	path = store_path(&d);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	free(path);
	ck_assert_int_eq(kill(d.pid, SIGTERM), 0);
	ck_assert_int_eq(daemon_wait(&d), 0);

	daemon_start_again(&d);
	job = desk_await_job(&d, done, "succeeded");
	ck_assert_int_eq(ctl_int(json_object_get(job, "result"), "a"), 1);
	json_decref(job);
	job = desk_await_job(&d, later, "waiting");
	ck_assert_int_eq(ctl_int(job, "priority"), 7);
	json_decref(job);
	job = desk_await_job(&d, soon, "succeeded");
	ck_assert_int_eq(ctl_int(job, "attempts"), 2);
	json_decref(job);
	desk_require_number(&d, "ran", 1);
	free(later);
	free(soon);
	free(done);
	daemon_stop(&d);
}
END_TEST

START_TEST(a_newer_one_is_refused)
{
	struct daemon d;

	make_store(&d);
	put_bytes(&d, 60, "\0\0\0\x63", 4);
	require_refused(&d, true,
	    (const char *const[]){ "hub.db has schema 99", "newer", "hub.store",
		NULL });
	/* and is as good as before for whoever knows it */
	put_bytes(&d, 60, (const char[]){ 0, 0, 0, STORE_SCHEMA }, 4);
	daemon_start_again(&d);
	daemon_stop(&d);
}
END_TEST

START_TEST(a_damaged_one_is_refused)
{
	struct daemon d;
	char junk[2000];

	make_store(&d);
	memset(junk, 0x5a, sizeof(junk));
	put_bytes(&d, 4096, junk, sizeof(junk));
	require_refused(&d, false,
	    (const char *const[]){ "hub.db is damaged", "keep a copy", "backup",
		NULL });
	daemon_release(&d);
}
END_TEST

START_TEST(somebody_elses_file_is_refused)
{
	struct daemon d;
	char *path;

	make_store(&d);
	put_bytes(&d, 0, "#!/bin/sh\n", 10);
	require_refused(&d, true,
	    (const char *const[]){ "hub.db is no store", "hub.store", NULL });
	path = store_path(&d);
	ck_assert_int_eq(unlink(path), 0);
	text_make_dir(path);
	free(path);
	daemon_release(&d);
}
END_TEST

/* --- a full disk */

static void
require_refusal(const struct daemon *d)
{
	struct reply reply;
	json_t *answer;

	http_require(d,
	    &(struct ask){ .path = "/job",
		.body = "[]",
		.header = { "Content-Type: application/json" } },
	    &reply);
	reply_require_problem(&reply, 507);
	text_require("problem", reply.body, "nearly full");
	reply_release(&reply);
	answer = desk_ask(d, desk_json("{\"json\":[]}"), "submit", SCRIPT,
	    NULL);
	ck_assert(!json_is_true(json_object_get(answer, "ok")));
	text_require("submit", ctl_text(answer, "message"), "nearly full");
	json_decref(answer);
}

/* Nothing is ever enough: the disk is full from the beginning. */
START_TEST(work_is_refused_on_a_full_disk)
{
	struct daemon d;
	struct daemon_conf conf = plain;

	conf.hub = "min_free = 1099511627776;";
	daemon_start(&d, &conf);
	require_refusal(&d);
	/* reads and calls that send nothing go on */
	ck_assert_int_eq(http_status(&d, "/inline",
			     "[{\"do\":\"get\",\"key\":\"a\"}]"),
	    200);
	daemon_stop(&d);
}
END_TEST

/* Root may mount. */
static bool
mount_small(const struct daemon *d)
{
	char *dir = text_format("%s/state", d->dir);
	bool done;

	text_make_dir(dir);
	done = unshare(CLONE_NEWNS) == 0 &&
	    mount("none", "/", "none", MS_REC | MS_PRIVATE, "") == 0 &&
	    mount("none", dir, "tmpfs", 0, "size=96m,mode=0777") == 0;
	free(dir);
	return done;
}

static int
fill(const struct daemon *d)
{
	char *path = text_format("%s/state/junk", d->dir);
	struct statvfs vfs;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(fstatvfs(fd, &vfs), 0);
	ck_assert_int_eq(posix_fallocate(fd, 0,
			     (off_t)(vfs.f_bavail * vfs.f_frsize) - 5 * MIB),
	    0);
	free(path);
	return fd;
}

static bool
takes_work(void *ctx)
{
	return http_status(ctx, "/job", "[]") == 202;
}

static bool
refuses_work(void *ctx)
{
	return !takes_work(ctx);
}

START_TEST(a_full_disk_is_lived_with)
{
	struct daemon d;
	struct daemon_conf conf = plain;
	char *held, *large;
	int fd;

	daemon_init(&d);
	if (!mount_small(&d)) {
		daemon_release(&d);
		return;
	}
	conf.hub = "min_free = 8388608; reserve = 16777216;"
		   "redo_size = 8388608;";
	daemon_configure(&d, &conf);
	daemon_start_again(&d);
	/* accepted before it is full, finished while it is: with a result that
	 * there is no room for but in the reserve */
	held = desk_submit_script(&d,
	    "[{\"do\":\"watch\",\"prefix\":\"go\"},"
	    "{\"do\":\"incr\",\"key\":\"held\"},{\"do\":\"wait\"}]",
	    NULL);
	desk_require_number(&d, "held", 1);
	fd = fill(&d);
	ck_assert(proc_until(d.pidfd, refuses_work, &d));
	require_refusal(&d);
	ck_assert_int_eq(
	    http_status(&d, "/inline",
		"[{\"do\":\"notify\",\"topic\":\"go\",\"value\":1}]"),
	    200);
	ends(&d, held, "succeeded");
	require_refusal(&d);
	/* there is room again, and nothing has to be started for it */
	close(fd);
	ck_assert(proc_until(d.pidfd, takes_work, &d));
	large = desk_submit_script(&d, "[]", NULL);
	ends(&d, large, "succeeded");
	ck_assert_int_eq(ctl_pool(&d, "hub", "restarts"), 0);
	ck_assert_int_eq(kill(d.pid, SIGTERM), 0);
	ck_assert_int_eq(daemon_wait(&d), 0);
	daemon_require_clean(&d);
	large = text_format("%s/state", d.dir);
	ck_assert_int_eq(umount2(large, MNT_DETACH), 0);
	free(large);
	daemon_release(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE_MEMORY(what_waits_is_there_after_a_start),
		CASE(a_newer_one_is_refused),
		CASE(a_damaged_one_is_refused),
		CASE(somebody_elses_file_is_refused),
		CASE(work_is_refused_on_a_full_disk),
		CASE(a_full_disk_is_lived_with),
	};

	return SUITE_RUN("store", cases);
}
