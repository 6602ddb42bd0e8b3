/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * suite - runs the cases of one program and cleans up after them.
 *
 * The program is a subreaper: a process that a test started and lost becomes
 * its child, whatever daemon magic it did, and can be found and killed.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc.h"
#include "suite.h"
#include "text.h"

#define LOG_TAIL 24000

static char base_dir[64];
static pid_t main_pid;

const char *
suite_dir(void)
{
	return base_dir;
}

const char *
suite_build(void)
{
	static char path[PATH_MAX];
	const char *build = getenv("BROOD_BUILD");

	if (path[0] == '\0' &&
	    realpath(build != NULL ? build : "build/release", path) == NULL) {
		fprintf(stderr, "BROOD_BUILD: no folder \"%s\"\n",
		    build != NULL ? build : "build/release");
		exit(2);
	}
	return path;
}

static bool
slowed_down(void)
{
	return getenv("BROOD_WRAP") != NULL || getenv("VALGRIND") != NULL;
}

int
suite_patience_ms(void)
{
	return slowed_down() ? 120000 : 30000;
}

/* In the process of each test. */
static void
case_setup(void)
{
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	if (getpid() != main_pid)
		ck_assert_int_eq(prctl(PR_SET_PDEATHSIG, SIGKILL), 0);
}

static int
kill_leftovers(void)
{
	pid_t pids[256];
	size_t n;
	int killed = 0;

	while ((n = proc_children(getpid(), pids, 256)) > 0) {
		for (size_t i = 0; i < n; i++) {
			char name[64];

			if (kill(pids[i], 0) == 0 && !proc_is_zombie(pids[i])) {
				fprintf(stderr, "left behind: %d (%s)\n",
				    pids[i],
				    proc_name(pids[i], name, sizeof(name)));
				killed++;
			}
			kill(pids[i], SIGKILL);
			waitpid(pids[i], NULL, 0);
		}
	}
	return killed;
}

/* The end of each log of each daemon folder that was not removed. */
static void
print_logs(void)
{
	struct dirent *entry;
	DIR *dir = opendir(base_dir);

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		static const char *const names[] = { "stderr", "brood.log" };

		if (entry->d_name[0] == '.')
			continue;
		for (size_t i = 0; i < 2; i++) {
			char path[PATH_MAX];
			size_t len;
			char *text;

			snprintf(path, sizeof(path), "%s/%s/%s", base_dir,
			    entry->d_name, names[i]);
			text = text_read(path, &len);
			if (text == NULL || len == 0) {
				free(text);
				continue;
			}
			fprintf(stderr, "---- %s of %s\n%s%s----\n", names[i],
			    entry->d_name, len > LOG_TAIL ? "[...]\n" : "",
			    len > LOG_TAIL ? text + len - LOG_TAIL : text);
			free(text);
		}
	}
	if (dir != NULL)
		closedir(dir);
}

static void
end_suite(void)
{
	if (getpid() == main_pid) {
		kill_leftovers();
		text_remove_tree(base_dir);
	}
}

static void
prepare(void)
{
	const char *tmp = getenv("TMPDIR");

	main_pid = getpid();
	suite_build();
	/* the path of a Unix socket has to fit into 108 bytes */
	if (tmp == NULL || strlen(tmp) > 24)
		tmp = "/tmp";
	snprintf(base_dir, sizeof(base_dir), "%s/brood-test-XXXXXX", tmp);
	if (mkdtemp(base_dir) == NULL || chmod(base_dir, 0755) == -1) {
		perror(base_dir);
		exit(2);
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGPIPE, SIG_IGN);
	atexit(end_suite);
}

int
suite_run(const char *name, const struct suite_case *cases, size_t n)
{
	Suite *suite = suite_create(name);
	SRunner *runner;
	int failed;

	prepare();
	for (size_t i = 0; i < n; i++) {
		TCase *one;

		if (getenv("VALGRIND") != NULL && !cases[i].memory)
			continue;
		one = tcase_create(cases[i].name);
		/* KILLS=full takes its time, too */
		tcase_set_timeout(one,
		    suite_patience_ms() / 1000 *
			(getenv("KILLS") != NULL ? 40 : 5));
		tcase_add_checked_fixture(one, case_setup, NULL);
		tcase_add_test(one, cases[i].test);
		suite_add_tcase(suite, one);
	}
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	if (kill_leftovers() > 0 && failed == 0)
		failed = 1;
	if (failed > 0)
		print_logs();
	return failed == 0 ? 0 : 1;
}
