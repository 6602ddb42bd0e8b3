/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_init - what `make install` puts into a folder, and its init script: each
 * verb, with the exit codes of the LSB.
 *
 * The binaries under test are installed as they are (make is told that they are
 * up to date), so that only paths are filled in anew.
 */
#include <check.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/daemon.h"
#include "lib/http.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/text.h"

/* make install with the prefix $DIR/usr of a copy of the build. */
#define INSTALL                                                              \
	"set -e; unset MAKEFLAGS MAKELEVEL MFLAGS\n"                         \
	"mkdir \"$1/build\"\n"                                               \
	"cp -a \"$2/broodd\" \"$2/broodctl\" \"$2/modules\" \"$1/build/\"\n" \
	"old=\n"                                                             \
	"for f in \"$1\"/build/broodd \"$1\"/build/broodctl"                 \
	" \"$1\"/build/modules/*.so; do old=\"$old -o $f\"; done\n"          \
	"make B=\"$1/build\" prefix=\"$1/usr\" $old \"$3\"\n"

static void
run_make(const struct daemon *d, const char *target)
{
	struct run run;

	run_program(&run,
	    (const char *const[]){ "sh", "-c", INSTALL, "sh", d->dir,
		suite_build(), target, NULL },
	    NULL);
	ck_assert_msg(run.status == 0, "make %s: %s%s", target, run.out,
	    run.err);
	run_release(&run);
}

static char *
installed(const struct daemon *d, const char *path)
{
	return text_format("%s/usr/%s", d->dir, path);
}

/* A service from the installed modules, logging to a file. */
static void
write_config(struct daemon *d, const char *rest)
{
	char *from = installed(d, "lib/brood/modules/hello.so");
	char *modules = text_format("{ name = \"hello\"; path = \"%s\"; }",
	    from);
	char *conf = installed(d, "etc/brood/brood.conf");

	snprintf(d->conf, sizeof(d->conf), "%s", conf);
	daemon_configure(d,
	    &(struct daemon_conf){ .modules = modules,
		.log = "target = \"$DIR/brood.log\";",
		.rest = rest });
	free(conf);
	free(modules);
	free(from);
}

static void
require_verb(const struct daemon *d, const char *verb, int code)
{
	char *script = installed(d, "etc/init.d/brood");
	struct run run;

	run_program(&run, (const char *const[]){ "sh", script, verb, NULL },
	    NULL);
	ck_assert_msg(run.status == code, "%s: %d, not %d: %s%s", verb,
	    run.status, code, run.out, run.err);
	run_release(&run);
	free(script);
}

START_TEST(verbs)
{
	struct daemon d;
	pid_t first;

	daemon_init(&d);
	run_make(&d, "install");
	write_config(&d, NULL);
	require_verb(&d, "nonsense", 2);
	require_verb(&d, "status", 3);
	require_verb(&d, "stop", 0);
	require_verb(&d, "reload", 7);
	require_verb(&d, "force-reload", 7);
	require_verb(&d, "try-restart", 0);
	require_verb(&d, "status", 3);

	require_verb(&d, "start", 0);
	daemon_adopt(&d);
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	require_verb(&d, "start", 0);
	require_verb(&d, "status", 0);
	require_verb(&d, "reload", 0);
	require_verb(&d, "force-reload", 0);
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	first = d.pid;
	require_verb(&d, "restart", 0);
	ck_assert_int_eq(waitpid(first, NULL, 0), first);
	daemon_adopt(&d);
	ck_assert_int_ne(d.pid, first);
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	require_verb(&d, "stop", 0);
	ck_assert_int_eq(daemon_wait(&d), 0);
	daemon_require_clean(&d);
	require_verb(&d, "status", 3);

	/* killed: a pid file is left, and in nobody's way */
	require_verb(&d, "start", 0);
	daemon_adopt(&d);
	kill(d.pid, SIGKILL);
	daemon_wait(&d);
	daemon_require_no_child(&d);
	require_verb(&d, "status", 1);
	require_verb(&d, "start", 0);
	daemon_adopt(&d);
	require_verb(&d, "status", 0);

	/* a config that cannot work touches nothing that does */
	write_config(&d, "conections = 3;");
	require_verb(&d, "reload", 1);
	require_verb(&d, "restart", 6);
	ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	write_config(&d, NULL);
	require_verb(&d, "stop", 0);
	ck_assert_int_eq(daemon_wait(&d), 0);
	write_config(&d, "conections = 3;");
	require_verb(&d, "start", 6);
	ck_assert_int_eq(unlink(d.conf), 0);
	require_verb(&d, "start", 6);
	daemon_require_clean(&d);
	daemon_release(&d);
}
END_TEST

static void
require_installed(const struct daemon *d, const char *path, mode_t mode)
{
	char *full = installed(d, path);
	struct stat st;

	ck_assert_msg(stat(full, &st) == 0, "%s is not installed", path);
	ck_assert_msg((st.st_mode & 07777) == mode, "%s has mode %04o", path,
	    st.st_mode & 07777);
	free(full);
}

/* Is there a file left below, and which? */
static char *
first_file(const struct daemon *d, const char *path)
{
	char *full = installed(d, path);
	struct run run;
	char *found;

	run_program(&run,
	    (const char *const[]){ "find", full, "-type", "f", NULL }, NULL);
	found = run.out != NULL && run.out[0] != '\0' ? strdup(run.out) : NULL;
	run_release(&run);
	free(full);
	return found;
}

START_TEST(files)
{
	struct daemon d;
	struct run run;
	char *conf, *text;

	daemon_init(&d);
	run_make(&d, "install");
	require_installed(&d, "sbin/broodd", 0755);
	require_installed(&d, "sbin/broodctl", 0755);
	require_installed(&d, "include/brood.h", 0644);
	require_installed(&d, "lib/pkgconfig/brood.pc", 0644);
	require_installed(&d, "lib/brood/modules/hello.so", 0755);
	require_installed(&d, "lib/brood/modules/cruncher.so", 0755);
	require_installed(&d, "share/man/man8/broodd.8", 0644);
	require_installed(&d, "share/man/man8/broodctl.8", 0644);
	require_installed(&d, "share/man/man5/brood.conf.5", 0644);
	require_installed(&d, "share/man/man3/brood_module.3", 0644);
	require_installed(&d, "etc/brood/brood.conf", 0644);
	require_installed(&d, "etc/init.d/brood", 0755);
	/* paths were filled in */
	conf = installed(&d, "etc/init.d/brood");
	ck_assert_ptr_nonnull(text = text_read(conf, NULL));
	text_require("the init script", text, d.dir);
	ck_assert(!text_has(text, "@sbindir@"));
	free(text);
	free(conf);
	/* the operator's config outlives another install and an uninstall */
	conf = installed(&d, "etc/brood/brood.conf");
	text_write(conf, "# mine\n");
	run_program(&run,
	    (const char *const[]){ "rm", "-rf",
		text = text_format("%s/build", d.dir), NULL },
	    NULL);
	run_release(&run);
	run_make(&d, "install");
	run_program(&run, (const char *const[]){ "rm", "-rf", text, NULL },
	    NULL);
	run_release(&run);
	free(text);
	run_make(&d, "uninstall");
	ck_assert_ptr_nonnull(text = text_read(conf, NULL));
	ck_assert_str_eq(text, "# mine\n");
	free(text);
	ck_assert_int_eq(unlink(conf), 0);
	free(conf);
	text = first_file(&d, "");
	ck_assert_msg(text == NULL, "uninstall leaves %s", text);
	daemon_release(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE(verbs),
		CASE(files),
	};

	return SUITE_RUN("init", cases);
}
