/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_check_folders - the folders of a service: fine, to be made, or in the
 * way; and that a start makes them.
 */
#include <sys/stat.h>

#include "conf_fixture.h"
#include "core/check.h"

/* Whom children become; NULL: nobody else. */
static const struct privilege *become;

static void
set(char **member, const char *path)
{
	free(*member);
	ck_assert_int_gt(asprintf(member, "%s%s%s", path[0] == '/' ? "" : dir,
			     path[0] == '/' ? "" : "/", path),
	    0);
}

static void
set_up(void)
{
	conf_set_up();
	conf = conf_defaults();
	set(&conf->service.run_dir, "run");
	set(&conf->service.state_dir, "a/b/state");
	set(&conf->service.pid_file, "pid/x.pid");
	set(&conf->control.socket, "sock/x.sock");
	set(&conf->log.target, "log/x.log");
}

static void
check_again(void)
{
	conf_errors_release(&errors);
	check_folders(conf, become, &errors);
}

static mode_t
mode_of(const char *name)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	ck_assert_msg(stat(path, &st) == 0, "%s", path);
	ck_assert(S_ISDIR(st.st_mode));
	return st.st_mode & 07777;
}

START_TEST(folders_are_made)
{
	check_again();
	ck_assert_uint_eq(errors.n, 0);
	check_make_folders(conf, become, &errors);
	ck_assert_uint_eq(errors.n, 0);
	ck_assert_int_eq(mode_of("run"), 0755);
	ck_assert_int_eq(mode_of("a/b/state"), 0750);
	ck_assert_int_eq(mode_of("pid"), 0755);
	ck_assert_int_eq(mode_of("sock"), 0755);
	ck_assert_int_eq(mode_of("log"), 0755);
	check_make_folders(conf, become, &errors);
	check_again();
	ck_assert_uint_eq(errors.n, 0);
}
END_TEST

START_TEST(files_are_in_the_way)
{
	put_file("run", "");
	put_file("a", "");
	put_file("log", "");
	check_again();
	ck_assert_uint_eq(errors.n, 3);
	ck_assert_str_eq(error_text(0),
	    "cannot use run (service.run_dir): run is no folder");
	ck_assert_str_eq(error_text(1),
	    "cannot use a/b/state (service.state_dir): a/b/state: Not a "
	    "directory");
	ck_assert_str_eq(error_text(2),
	    "cannot use log (log.target): log is no folder");
	conf_errors_release(&errors);
	check_make_folders(conf, become, &errors);
	ck_assert_uint_eq(errors.n, 3);
	ck_assert_str_eq(error_text(0),
	    "cannot make run (service.run_dir): Not a directory");
}
END_TEST

START_TEST(a_log_that_is_a_folder)
{
	check_make_folders(conf, become, &errors);
	set(&conf->log.target, "run");
	check_again();
	ck_assert_uint_eq(errors.n, 1);
	ck_assert_str_eq(error_text(0),
	    "cannot write to run (log.target): it is a folder");
	set(&conf->log.target, "log/x.log");
	free(conf->log.target);
	conf->log.target = strdup("syslog");
	check_again();
	ck_assert_uint_eq(errors.n, 0);
}
END_TEST

START_TEST(folders_that_cannot_be_written_to)
{
	char file[256];

	check_make_folders(conf, become, &errors);
	snprintf(file, sizeof(file), "%s/run", dir);
	ck_assert_int_eq(chmod(file, 0555), 0);
	snprintf(file, sizeof(file), "%s/a", dir);
	ck_assert_int_eq(chmod(file, 0555), 0);
	set(&conf->service.state_dir, "a/x/y");
	ck_assert_int_eq(chmod(put_file("log/x.log", ""), 0444), 0);
	ck_assert_int_eq(chmod(dir, 0755), 0);
	/* root may write everywhere; who it is comes back for the teardown */
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	else
		ck_assert_int_eq(chmod(dir, 0700), 0);
	check_again();
	ck_assert_int_eq(seteuid(getuid()), 0);
	ck_assert_uint_ge(errors.n, 3);
	ck_assert_str_eq(error_text(0),
	    "cannot write to run (service.run_dir): run: Permission denied");
	ck_assert_str_eq(error_text(1),
	    "cannot make a/x/y (service.state_dir): a: Permission denied");
	ck_assert_str_eq(error_text(errors.n - 1),
	    "cannot write to log/x.log (log.target): Permission denied");
	snprintf(file, sizeof(file), "%s/a", dir);
	ck_assert_int_eq(chmod(file, 0755), 0);
}
END_TEST

static const struct privilege nobody = { .change = true,
	.uid = 65534,
	.gid = 65534 };

static uid_t
owner_of(const char *name)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	ck_assert_msg(stat(path, &st) == 0, "%s", path);
	return st.st_uid;
}

/* Only root can give anything away. */
START_TEST(what_the_hub_writes_is_given_to_its_user)
{
	if (geteuid() != 0)
		return;
	become = &nobody;
	set(&conf->hub.store, "store/hub.db");
	set(&conf->hub.socket, "sock2/hub.sock");
	check_make_folders(conf, become, &errors);
	check_again();
	ck_assert_uint_eq(errors.n, 0);
	ck_assert_uint_eq(owner_of("run"), 0);
	ck_assert_uint_eq(owner_of("sock2"), 0);
	ck_assert_uint_eq(owner_of("a/b"), 0);
	ck_assert_uint_eq(owner_of("a/b/state"), nobody.uid);
	ck_assert_int_eq(mode_of("a/b/state"), 0750);
	ck_assert_uint_eq(owner_of("store"), nobody.uid);
}
END_TEST

START_TEST(an_empty_state_dir_of_roots_is_taken)
{
	if (geteuid() != 0)
		return;
	become = &nobody;
	set(&conf->service.state_dir, "log");
	check_make_folders(conf, become, &errors);
	ck_assert_uint_eq(owner_of("log"), nobody.uid);
	/* one that holds something is somebody's */
	ck_assert_int_eq(chown(conf->service.state_dir, 0, 0), 0);
	put_file("log/thing", "");
	check_make_folders(conf, become, &errors);
	ck_assert_uint_eq(errors.n, 0);
	ck_assert_uint_eq(owner_of("log"), 0);
	check_again();
	ck_assert_uint_eq(errors.n, 1);
	ck_assert_str_eq(error_text(0),
	    "cannot use log (service.state_dir): the hub writes to it as "
	    "service.user, who may not; 'chown -R 65534:65534 log' would allow "
	    "it");
	/* its group will do */
	ck_assert_int_eq(chown(conf->service.state_dir, 0, nobody.gid), 0);
	ck_assert_int_eq(chmod(conf->service.state_dir, 0770), 0);
	check_again();
	ck_assert_uint_eq(errors.n, 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("check_folders");
	TCase *tests = tcase_create("check_folders");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, set_up, conf_tear_down);
	tcase_add_test(tests, folders_are_made);
	tcase_add_test(tests, files_are_in_the_way);
	tcase_add_test(tests, a_log_that_is_a_folder);
	tcase_add_test(tests, folders_that_cannot_be_written_to);
	tcase_add_test(tests, what_the_hub_writes_is_given_to_its_user);
	tcase_add_test(tests, an_empty_state_dir_of_roots_is_taken);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
