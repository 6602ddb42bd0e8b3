/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_check_folders - the folders of a service: fine, to be made, or in the
 * way; and that a start makes them.
 */
#include <sys/stat.h>

#include "conf_fixture.h"
#include "core/check.h"

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
	check_folders(conf, &errors);
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
	check_make_folders(conf, &errors);
	ck_assert_uint_eq(errors.n, 0);
	ck_assert_int_eq(mode_of("run"), 0755);
	ck_assert_int_eq(mode_of("a/b/state"), 0750);
	ck_assert_int_eq(mode_of("pid"), 0755);
	ck_assert_int_eq(mode_of("sock"), 0755);
	ck_assert_int_eq(mode_of("log"), 0755);
	check_make_folders(conf, &errors);
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
	check_make_folders(conf, &errors);
	ck_assert_uint_eq(errors.n, 3);
	ck_assert_str_eq(error_text(0),
	    "cannot make run (service.run_dir): Not a directory");
}
END_TEST

START_TEST(a_log_that_is_a_folder)
{
	check_make_folders(conf, &errors);
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

	check_make_folders(conf, &errors);
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
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
