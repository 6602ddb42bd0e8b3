/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_check - a config is looked at in a process that may come to harm: what
 * it finds is reported, whatever becomes of it is reported by name, and nothing
 * of it reaches the process that asked.
 *
 * The modules are those of $BROOD_BUILD/tests/modules, each wrong in one way.
 */
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/why.h"
#include "core/check.h"
#include "core/module.h"
#include "run_suite.h"

static struct conf *conf;
static struct conf_errors errors;
static struct conf_module module[2];
static struct role role;
static const struct role *const roles[ROLE_COUNT] = { [ROLE_REST] = &role };
static struct privilege stay;

static void
set_up(void)
{
	const char *build = getenv("BROOD_BUILD");
	char folder[4096];

	snprintf(folder, sizeof(folder), "%s/tests/modules",
	    build != NULL ? build : ".");
	setenv("BROOD_MODULE_DIR", folder, 1);
	conf = conf_defaults();
}

static void
tear_down(void)
{
	for (size_t i = 0; i < conf->module.n; i++) {
		free(module[i].name);
		free(module[i].path);
	}
	conf->module.v = NULL;
	conf->module.n = 0;
	conf_free(conf);
	conf_errors_release(&errors);
}

static void
add_module(const char *name)
{
	struct conf_module *m = &module[conf->module.n++];
	char path[64];

	snprintf(path, sizeof(path), "%s.so", name);
	m->file = "x.conf";
	m->line = (int)conf->module.n;
	m->name = strdup(name);
	m->path = strdup(path);
	conf->module.v = module;
}

static void
run_check(int64_t timeout_ns)
{
	struct check check;
	struct why why;

	ck_assert_msg(check_start(&check, conf, roles, &stay, &why) == 0, "%s",
	    why.text);
	check_wait(&check, timeout_ns, &errors);
	ck_assert_int_eq(check.pid, 0);
	ck_assert_int_eq(check.fd, -1);
	/* it was reaped */
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}

/* Version 3.19 does not know pidfd_open(2). */
static bool
in_valgrind(void)
{
	int self = fd_of_pid(getpid());
	bool unknown = self < 0;

	fd_close(&self);
	return unknown;
}

static void
expect_error(const char *text)
{
	ck_assert_uint_ge(errors.n, 1);
	ck_assert_str_eq(errors.v[0], text);
	ck_assert_msg(errors.n == 1, "also: %s", errors.v[1]);
}

/* ------------------------------------------------------------- the roles */

static void
find_two(const struct conf *c, const struct module_registry *modules,
    struct conf_errors *found)
{
	(void)modules;
	conf_errors_add(found, "%s is one", c->service.name);
	conf_errors_add(found, "%s", "two\nlines");
}

static void
crash(const struct conf *c, const struct module_registry *modules,
    struct conf_errors *found)
{
	(void)c;
	(void)modules;
	conf_errors_add(found, "lost");
	signal(SIGSEGV, SIG_DFL);
	raise(SIGSEGV);
}

static void
leave(const struct conf *c, const struct module_registry *modules,
    struct conf_errors *found)
{
	(void)c;
	(void)modules;
	(void)found;
	exit(0);
}

static void
hang(const struct conf *c, const struct module_registry *modules,
    struct conf_errors *found)
{
	(void)c;
	(void)modules;
	(void)found;
	for (;;)
		pause();
}

static void
chatter(const struct conf *c, const struct module_registry *modules,
    struct conf_errors *found)
{
	char byte;

	(void)c;
	(void)modules;
	printf("not for standard output\n");
	fflush(stdout);
	if (read(STDIN_FILENO, &byte, 1) != 0)
		conf_errors_add(found, "there is something to read");
}

static void
flood(const struct conf *c, const struct module_registry *modules,
    struct conf_errors *found)
{
	(void)c;
	(void)modules;
	for (int i = 0; i < 3000; i++)
		conf_errors_add(found, "error %0100d", i);
}

static pid_t *left_behind; /* shared */

static void
leave_behind(const struct conf *c, const struct module_registry *modules,
    struct conf_errors *found)
{
	pid_t pid;

	(void)c;
	(void)modules;
	(void)found;
	/* keeps the pipe open for as long as it lives */
	pid = fork();
	while (pid == 0)
		pause();
	*left_behind = pid;
}

/* ------------------------------------------------------------- the tests */

START_TEST(nothing_is_wrong)
{
	run_check(60 * NS_PER_S);
	ck_assert_uint_eq(errors.n, 0);
}
END_TEST

START_TEST(what_a_role_finds_is_reported)
{
	role.check = find_two;
	run_check(60 * NS_PER_S);
	ck_assert_uint_eq(errors.n, 2);
	ck_assert_str_eq(errors.v[0], "brood is one");
	ck_assert_str_eq(errors.v[1], "two lines");
}
END_TEST

START_TEST(a_check_that_crashes)
{
	role.check = crash;
	run_check(60 * NS_PER_S);
	expect_error("the check of the rest role crashed with SIGSEGV "
		     "(Segmentation fault)");
}
END_TEST

START_TEST(a_check_that_exits)
{
	role.check = leave;
	run_check(60 * NS_PER_S);
	expect_error("the check of the rest role ended the process with "
		     "exit(0)");
}
END_TEST

START_TEST(a_check_that_hangs)
{
	role.check = hang;
	run_check(NS_PER_MS);
	ck_assert_uint_eq(errors.n, 1);
	ck_assert_ptr_nonnull(strstr(errors.v[0],
	    " was killed: it took longer "
	    "than service.start_timeout, "
	    "or memory ran out"));
}
END_TEST

START_TEST(a_check_that_never_ends_its_report)
{
	role.check = flood;
	run_check(60 * NS_PER_S);
	ck_assert_uint_gt(errors.n, 100);
	ck_assert_uint_le(errors.n, 501);
	ck_assert_uint_eq(strlen(errors.v[0]), strlen("error ") + 100);
}
END_TEST

START_TEST(a_process_that_is_left_behind_is_not_waited_for)
{
	if (in_valgrind())
		return;
	left_behind = mmap(NULL, sizeof(*left_behind), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(left_behind != MAP_FAILED);
	role.check = leave_behind;
	run_check(60 * NS_PER_S);
	ck_assert_uint_eq(errors.n, 0);
	ck_assert_int_gt(*left_behind, 0);
	ck_assert_int_eq(kill(*left_behind, SIGKILL), 0);
}
END_TEST

START_TEST(standard_output_is_ours_alone)
{
	char path[] = "/tmp/test_check.XXXXXX";
	int fd = mkstemp(path), saved = dup(STDOUT_FILENO);

	ck_assert_int_ge(fd, 0);
	unlink(path);
	printf("buffered before the fork, ");
	dup2(fd, STDOUT_FILENO);
	role.check = chatter;
	run_check(60 * NS_PER_S);
	ck_assert_uint_eq(errors.n, 0);
	fflush(stdout);
	/* what was buffered, once */
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 26);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	close(fd);
}
END_TEST

static const struct {
	const char *name, *error;
} bad_module[] = {
	{ "start_exits",
	    "x.conf:2: module \"start_exits\" ended the process with "
	    "exit(0)" },
	{ "start_hangs",
	    "x.conf:2: module \"start_hangs\" was killed: it took longer than "
	    "service.start_timeout, or memory ran out" },
	{ "no_such",
	    "x.conf:2: module \"no_such\": %s/no_such.so: No such file or "
	    "directory" },
};

START_TEST(a_module_at_fault_is_named)
{
	bool hangs = strstr(bad_module[_i].name, "hangs") != NULL;
	char error[8192];

	add_module("misbehave");
	add_module(bad_module[_i].name);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(error, sizeof(error), bad_module[_i].error,
	    getenv("BROOD_MODULE_DIR"));
#pragma GCC diagnostic pop
	run_check(hangs ? 2 * NS_PER_S : 60 * NS_PER_S);
	expect_error(error);
}
END_TEST

START_TEST(a_module_that_crashes_is_named)
{
	/* who is killed frees nothing, and that is what is to be seen here */
	if (in_valgrind())
		return;
	add_module("start_crashes");
	add_module("misbehave");
	run_check(60 * NS_PER_S);
	ck_assert_uint_eq(errors.n, 1);
	ck_assert_ptr_eq(strstr(errors.v[0],
			     "x.conf:1: module \"start_crashes\" crashed with "
			     "SIG"),
	    errors.v[0]);
}
END_TEST

START_TEST(privileges_that_cannot_be_dropped)
{
	struct check check;
	struct privilege become = { .change = true, .uid = 1, .gid = 1 };
	struct why why;

	if (geteuid() == 0 && setuid(65534) != 0)
		return;
	ck_assert_int_eq(check_start(&check, conf, roles, &become, &why), 0);
	check_wait(&check, 60 * NS_PER_S, &errors);
	ck_assert_uint_eq(errors.n, 1);
	ck_assert_ptr_nonnull(strstr(errors.v[0], "Operation not permitted"));
}
END_TEST

/* Starts a check that hangs and tells its pid once it does. */
static _Noreturn void
be_a_parent(int tell)
{
	static const char subject[] = "the check of the rest role";
	struct check check;
	struct pollfd p;
	char text[4096];
	size_t len = 0;
	ssize_t n;

	role.check = hang;
	if (check_start(&check, conf, roles, &stay, NULL) < 0)
		_exit(1);
	p = (struct pollfd){ .fd = check.fd, .events = POLLIN };
	do {
		if (poll(&p, 1, -1) < 0 ||
		    (n = read(check.fd, text + len, sizeof(text) - len)) <= 0)
			_exit(1);
		len += (size_t)n;
	} while (memmem(text, len, subject, sizeof(subject) - 1) == NULL);
	if (write(tell, &check.pid, sizeof(check.pid)) != sizeof(check.pid))
		_exit(1);
	_exit(0);
}

START_TEST(it_dies_with_its_parent)
{
	struct pollfd p = { .events = POLLIN };
	pid_t parent, child = 0;
	int fds[2], status;

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	parent = fork();
	if (parent == 0)
		be_a_parent(fds[1]);
	close(fds[1]);
	ck_assert_int_eq(read(fds[0], &child, sizeof(child)), sizeof(child));
	/* gone already is fine, too */
	p.fd = fd_of_pid(child);
	ck_assert_int_eq(waitpid(parent, &status, 0), parent);
	ck_assert_int_eq(status, 0);
	if (p.fd >= 0)
		ck_assert_int_eq(poll(&p, 1, 60000), 1);
	fd_close(&p.fd);
	close(fds[0]);
}
END_TEST

/* ------------------------------------------- what is read from the pipe */

static void
collect(const char *text, size_t len, int status)
{
	conf_errors_release(&errors);
	check_collect(text, len, status, &errors);
}

#define COLLECT(text, status) collect(text, sizeof(text) - 1, status)

START_TEST(the_text_is_taken_apart)
{
	COLLECT(">a\0!one\0!two\0.\0", 0);
	ck_assert_uint_eq(errors.n, 2);
	ck_assert_str_eq(errors.v[1], "two");
	COLLECT(">a\0!one\0>b\0", 0x300);
	ck_assert_uint_eq(errors.n, 2);
	ck_assert_str_eq(errors.v[1], "b ended the process with exit(3)");
	COLLECT(">a\0.\0>b\0", SIGABRT);
	ck_assert_uint_eq(errors.n, 1);
	ck_assert_str_eq(errors.v[0], "b crashed with SIGABRT (Aborted)");
}
END_TEST

START_TEST(the_text_is_not_trusted)
{
	static char longest[8000];

	COLLECT("", 0);
	expect_error("the check of this config ended the process with exit(0)");
	COLLECT("!cut sho", 0);
	expect_error("the check of this config ended the process with exit(0)");
	COLLECT("\0\0\0?x\0.\0", 0);
	ck_assert_uint_eq(errors.n, 0);
	COLLECT("!a\x1b[31m\x7f\nb\0.\0", 0);
	expect_error("a [31m  b");
	memset(longest, 'x', sizeof(longest));
	longest[0] = '!';
	memcpy(longest + sizeof(longest) - 3, "\0.", 3);
	collect(longest, sizeof(longest), 0);
	ck_assert_uint_eq(errors.n, 1);
	ck_assert_uint_eq(strlen(errors.v[0]), 2000);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("check");
	TCase *tests = tcase_create("check");

	tcase_set_timeout(tests, 240);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, nothing_is_wrong);
	tcase_add_test(tests, what_a_role_finds_is_reported);
	tcase_add_test(tests, a_check_that_crashes);
	tcase_add_test(tests, a_check_that_exits);
	tcase_add_test(tests, a_check_that_hangs);
	tcase_add_test(tests, a_check_that_never_ends_its_report);
	tcase_add_test(tests, a_process_that_is_left_behind_is_not_waited_for);
	tcase_add_test(tests, standard_output_is_ours_alone);
	tcase_add_loop_test(tests, a_module_at_fault_is_named, 0,
	    sizeof(bad_module) / sizeof(bad_module[0]));
	tcase_add_test(tests, a_module_that_crashes_is_named);
	tcase_add_test(tests, privileges_that_cannot_be_dropped);
	tcase_add_test(tests, it_dies_with_its_parent);
	tcase_add_test(tests, the_text_is_taken_apart);
	tcase_add_test(tests, the_text_is_not_trusted);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
