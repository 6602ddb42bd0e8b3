/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_privilege - whom a child is to become, and becoming it for good.
 *
 * Dropping is irrevocable, so it happens in processes of its own: check forks
 * one for each test. What only root can do is left out where we are not root.
 */
#include <check.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/why.h"
#include "core/conf.h"
#include "core/privilege.h"
#include "run_suite.h"

#define NOBODY "nobody"

static struct conf *conf;
static struct privilege privilege;
static struct conf_errors errors;
static struct why why;

static void
set_up(void)
{
	conf = conf_defaults();
}

static void
tear_down(void)
{
	conf_free(conf);
	conf_errors_release(&errors);
}

static int
resolve(const char *user, const char *group)
{
	free(conf->service.user);
	free(conf->service.group);
	conf->service.user = strdup(user);
	conf->service.group = strdup(group);
	return privilege_resolve(conf, &privilege, &errors);
}

static void
expect_error(const char *text)
{
	ck_assert_uint_eq(errors.n, 1);
	ck_assert_msg(strstr(errors.v[0], text) != NULL, "no \"%s\" in \"%s\"",
	    text, errors.v[0]);
}

START_TEST(who_does_not_exist)
{
	ck_assert_int_eq(resolve("no-such-user", ""), -1);
	expect_error("there is no user 'no-such-user' (service.user)");
	conf_errors_release(&errors);
	ck_assert_int_eq(resolve(NOBODY, "no-such-group"), -1);
	ck_assert_ptr_nonnull(strstr(errors.v[errors.n - 1],
	    "there is no group 'no-such-group' (service.group)"));
}
END_TEST

START_TEST(root_has_to_name_somebody_else)
{
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(resolve("", ""), -1);
	expect_error("started as root without service.user");
	conf_errors_release(&errors);
	ck_assert_int_eq(resolve("root", ""), -1);
	expect_error("service.user is 'root', which is root");
}
END_TEST

static void
become_nobody(void)
{
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(resolve(NOBODY, ""), 0);
	ck_assert_msg(privilege_drop(&privilege, &why) == 0, "%s", why.text);
}

START_TEST(others_stay_who_they_are)
{
	struct passwd *pw;

	become_nobody();
	pw = getpwuid(geteuid());
	ck_assert_ptr_nonnull(pw);
	ck_assert_int_eq(resolve("", ""), 0);
	ck_assert(!privilege.change);
	ck_assert_int_eq(resolve(pw->pw_name, ""), 0);
	ck_assert(!privilege.change);
	ck_assert_int_eq(privilege.uid, geteuid());
	ck_assert_int_eq(privilege_drop(&privilege, &why), 0);
	ck_assert_int_eq(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
}
END_TEST

START_TEST(others_cannot_become_anybody)
{
	struct group *root;
	char text[256];

	become_nobody();
	ck_assert_int_eq(resolve("daemon", ""), -1);
	snprintf(text, sizeof(text),
	    "service.user is 'daemon', but broodd runs as uid %d and only root "
	    "can change that",
	    (int)geteuid());
	expect_error(text);
	conf_errors_release(&errors);
	root = getgrgid(0);
	ck_assert_ptr_nonnull(root);
	ck_assert_int_eq(resolve("", root->gr_name), -1);
	expect_error("and only root can change that");
}
END_TEST

START_TEST(root_becomes_nobody_for_good)
{
	struct passwd *pw = getpwnam(NOBODY);
	uid_t uid[3];
	gid_t gid[3], groups[PRIVILEGE_GROUPS];
	int n;

	if (geteuid() != 0)
		return;
	ck_assert_ptr_nonnull(pw);
	ck_assert_int_eq(resolve(NOBODY, ""), 0);
	ck_assert(privilege.change);
	ck_assert_int_eq(privilege.uid, pw->pw_uid);
	ck_assert_int_eq(privilege.gid, pw->pw_gid);
	ck_assert_msg(privilege_drop(&privilege, &why) == 0, "%s", why.text);
	ck_assert_int_eq(getresuid(&uid[0], &uid[1], &uid[2]), 0);
	ck_assert_int_eq(getresgid(&gid[0], &gid[1], &gid[2]), 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(uid[i], pw->pw_uid);
		ck_assert_int_eq(gid[i], pw->pw_gid);
	}
	n = getgroups(PRIVILEGE_GROUPS, groups);
	ck_assert_int_ge(n, 0);
	for (int i = 0; i < n; i++)
		ck_assert_int_ne(groups[i], 0);
	ck_assert_int_eq(setuid(0), -1);
	ck_assert_int_eq(setgid(0), -1);
	ck_assert_int_eq(access("/etc/shadow", R_OK), -1);
	ck_assert_int_eq(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
}
END_TEST

START_TEST(a_group_of_its_own)
{
	struct group *daemon = getgrnam("daemon");

	if (geteuid() != 0 || daemon == NULL)
		return;
	ck_assert_int_eq(resolve(NOBODY, "daemon"), 0);
	ck_assert_int_eq(privilege.gid, daemon->gr_gid);
	ck_assert_int_eq(privilege_drop(&privilege, &why), 0);
	ck_assert_int_eq(getegid(), daemon->gr_gid);
}
END_TEST

/* A start that lost the right to change ends rather than going on as root. */
START_TEST(what_cannot_be_dropped_is_an_error)
{
	become_nobody();
	privilege.change = true;
	privilege.uid = 1;
	ck_assert_int_eq(privilege_drop(&privilege, &why), -1);
	ck_assert_ptr_nonnull(strstr(why.text, "Operation not permitted"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("privilege");
	TCase *tests = tcase_create("privilege");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, who_does_not_exist);
	tcase_add_test(tests, root_has_to_name_somebody_else);
	tcase_add_test(tests, others_stay_who_they_are);
	tcase_add_test(tests, others_cannot_become_anybody);
	tcase_add_test(tests, root_becomes_nobody_for_good);
	tcase_add_test(tests, a_group_of_its_own);
	tcase_add_test(tests, what_cannot_be_dropped_is_an_error);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
