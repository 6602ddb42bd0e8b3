/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_log - where the log goes: files that move, change, fill up or cannot be.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/http.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/text.h"

START_TEST(impossible_folder)
{
	struct daemon d;

	daemon_init(&d);
	daemon_configure(&d,
	    &(struct daemon_conf){
		.log = "target = \"$DIR/brood.conf/x/brood.log\";" });
	daemon_require_refused(&d, "brood.conf/x", NULL);
	daemon_require_clean(&d);
	daemon_release(&d);
}
END_TEST

START_TEST(full_disk_for_the_log)
{
	struct daemon d;
	json_t *answer;

	daemon_start(&d,
	    &(struct daemon_conf){ .log = "target = \"/dev/full\";" });
	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(http_status(&d, "/hello", NULL), 200);
	answer = ctl_ask(&d, "log", "debug", NULL);
	ck_assert_ptr_nonnull(answer);
	json_decref(answer);
	daemon_stop(&d);
}
END_TEST

START_TEST(log_changes)
{
	struct daemon d;
	struct reply reply;
	json_t *status, *json;
	size_t from;
	char *line;

	daemon_start(&d, &(struct daemon_conf){ .log = "level = \"info\";" });
	daemon_configure(&d,
	    &(struct daemon_conf){
		.log = "level = \"debug\"; format = \"json\";" });
	ctl_reload(&d);
	status = ctl_status(&d);
	ck_assert_str_eq(ctl_text(status, "log_level"), "debug");
	json_decref(status);
	from = daemon_log_size(&d);
	http_require(&d,
	    &(struct ask){ .path = "/hello",
		.header = { "X-Request-Id: as-json" } },
	    &reply);
	reply_release(&reply);
	line = daemon_await_line(&d, &from, "as-json");
	ck_assert_ptr_nonnull(line);
	ck_assert_msg((json = json_loads(line, 0, NULL)) != NULL, "%s", line);
	json_decref(json);
	free(line);
	daemon_stop(&d);
}
END_TEST

struct lines {
	const char *path, *part;
	size_t n;
};

static bool
has_lines(void *ctx)
{
	const struct lines *lines = ctx;
	char *text = text_read(lines->path, NULL);
	size_t n = text_count(text, lines->part);

	free(text);
	return n == lines->n;
}

/* A request's line comes after its answer. */
static void
require_lines(const struct daemon *d, const char *path, const char *part,
    size_t n)
{
	struct lines lines = { path, part, n };

	ck_assert_msg(proc_until(d->pidfd, has_lines, &lines),
	    "%s: not %zu times \"%s\"", path, n, part);
}

/* From one file to another, which the children could not open themselves. */
START_TEST(log_moves)
{
	struct daemon d;
	struct reply reply;
	char *path;

	daemon_start(&d,
	    &(struct daemon_conf){ .log = "target = \"$DIR/one.log\";" });
	daemon_configure(&d,
	    &(struct daemon_conf){ .log = "target = \"$DIR/two.log\";" });
	ctl_reload(&d);
	for (int i = 0; i < 20; i++) {
		http_require(&d,
		    &(struct ask){ .path = "/hello",
			.header = { "X-Request-Id: moved" } },
		    &reply);
		reply_release(&reply);
	}
	path = text_format("%s/two.log", d.dir);
	require_lines(&d, path, "id=moved ", 20);
	free(path);
	path = text_format("%s/one.log", d.dir);
	require_lines(&d, path, "id=moved ", 0);
	free(path);
	daemon_stop(&d);
}
END_TEST

/* logrotate: the file is renamed, then USR1; children write into the new one
 * although they could not open it themselves. */
START_TEST(usr1_reopens_the_log)
{
	struct daemon d;
	char *log, *old;
	struct reply reply;

	daemon_start(&d,
	    &(struct daemon_conf){ .log = "target = \"$DIR/brood.log\";" });
	log = text_format("%s/brood.log", d.dir);
	old = text_format("%s/brood.log.1", d.dir);
	http_require(&d,
	    &(struct ask){ .path = "/hello",
		.header = { "X-Request-Id: before" } },
	    &reply);
	reply_release(&reply);
	ck_assert_int_eq(rename(log, old), 0);
	http_require(&d,
	    &(struct ask){ .path = "/hello",
		.header = { "X-Request-Id: between" } },
	    &reply);
	reply_release(&reply);
	kill(d.pid, SIGUSR1);
	require_lines(&d, log, "reopened", 1);
	/* a status is an answer of the master, behind its messages to all */
	json_decref(ctl_status(&d));
	for (int i = 0; i < 20; i++) {
		http_require(&d,
		    &(struct ask){ .path = "/hello",
			.header = { "X-Request-Id: after" } },
		    &reply);
		reply_release(&reply);
	}
	require_lines(&d, log, "id=after ", 20);
	require_lines(&d, log, "id=before ", 0);
	require_lines(&d, old, "id=before ", 1);
	require_lines(&d, old, "id=between ", 1);
	require_lines(&d, old, "id=after ", 0);
	free(log);
	free(old);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE(impossible_folder),
		CASE(full_disk_for_the_log),
		CASE(log_changes),
		CASE(log_moves),
		CASE(usr1_reopens_the_log),
	};

	return SUITE_RUN("log", cases);
}
