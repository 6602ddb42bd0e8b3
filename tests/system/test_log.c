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

static void
reload(const struct daemon *d)
{
	json_t *answer = ctl_ask(d, "reload", NULL);

	ck_assert_msg(ctl_int(answer, "code") == 0, "reload: %s",
	    ctl_text(answer, "message"));
	json_decref(answer);
}

START_TEST(impossible_folder)
{
	struct daemon d;
	char *reason;
	int status = 0;

	daemon_init(&d);
	daemon_configure(&d, &(struct daemon_conf){
	    .log = "target = \"$DIR/brood.conf/x/brood.log\";" });
	reason = daemon_try(&d, &status);
	ck_assert_ptr_nonnull(reason);
	text_require("the reason", reason, "brood.conf/x");
	ck_assert_int_eq(status, 78);
	free(reason);
	daemon_require_clean(&d);
	daemon_release(&d);
}
END_TEST

START_TEST(full_disk_for_the_log)
{
	struct daemon d;
	json_t *answer;

	daemon_start(&d, &(struct daemon_conf){
	    .log = "target = \"/dev/full\";" });
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
	daemon_configure(&d, &(struct daemon_conf){
	    .log = "level = \"debug\"; format = \"json\";" });
	reload(&d);
	status = ctl_status(&d);
	ck_assert_str_eq(ctl_text(status, "log_level"), "debug");
	json_decref(status);
	from = daemon_log_size(&d);
	http_require(&d, &(struct ask){ .path = "/hello",
	    .header = { "X-Request-Id: as-json" } }, &reply);
	reply_release(&reply);
	line = daemon_await_line(&d, &from, "as-json");
	ck_assert_ptr_nonnull(line);
	ck_assert_msg((json = json_loads(line, 0, NULL)) != NULL, "%s", line);
	json_decref(json);
	free(line);
	daemon_stop(&d);
}
END_TEST

struct file_has {
	const char *path, *part;
};

static bool
file_has(void *ctx)
{
	const struct file_has *file = ctx;
	char *text = text_read(file->path, NULL);
	bool has = text_has(text, file->part);

	free(text);
	return has;
}

/* From one file to another, which the children could not open themselves. */
START_TEST(log_moves)
{
	struct daemon d;
	struct reply reply;
	char *path, *text;

	daemon_start(&d, &(struct daemon_conf){
	    .log = "target = \"$DIR/one.log\";" });
	daemon_configure(&d, &(struct daemon_conf){
	    .log = "target = \"$DIR/two.log\";" });
	reload(&d);
	for (int i = 0; i < 20; i++) {
		http_require(&d, &(struct ask){ .path = "/hello",
		    .header = { "X-Request-Id: moved" } }, &reply);
		reply_release(&reply);
	}
	path = text_format("%s/one.log", d.dir);
	text = text_read(path, NULL);
	ck_assert(!text_has(text, "id=moved "));
	free(text);
	free(path);
	path = text_format("%s/two.log", d.dir);
	text = text_read(path, NULL);
	ck_assert_uint_eq(text_count(text, "id=moved "), 20);
	free(text);
	free(path);
	daemon_stop(&d);
}
END_TEST

/* logrotate: the file is renamed, then USR1; children write into the new one
 * although they could not open it themselves. */
START_TEST(usr1_reopens_the_log)
{
	struct daemon d;
	struct file_has file = { NULL, "reopened" };
	char *log, *old, *text;
	struct reply reply;

	daemon_start(&d, &(struct daemon_conf){
	    .log = "target = \"$DIR/brood.log\";" });
	log = text_format("%s/brood.log", d.dir);
	old = text_format("%s/brood.log.1", d.dir);
	http_require(&d, &(struct ask){ .path = "/hello",
	    .header = { "X-Request-Id: before" } }, &reply);
	reply_release(&reply);
	ck_assert_int_eq(rename(log, old), 0);
	http_require(&d, &(struct ask){ .path = "/hello",
	    .header = { "X-Request-Id: between" } }, &reply);
	reply_release(&reply);
	kill(d.pid, SIGUSR1);
	file.path = log;
	ck_assert(proc_until(d.pidfd, file_has, &file));
	/* a status is an answer of the master, behind its messages to all */
	json_decref(ctl_status(&d));
	for (int i = 0; i < 20; i++) {
		http_require(&d, &(struct ask){ .path = "/hello",
		    .header = { "X-Request-Id: after" } }, &reply);
		reply_release(&reply);
	}
	text = text_read(log, NULL);
	ck_assert_uint_eq(text_count(text, "id=after "), 20);
	ck_assert(!text_has(text, "id=before "));
	free(text);
	text = text_read(old, NULL);
	ck_assert_uint_eq(text_count(text, "id=before "), 1);
	ck_assert_uint_eq(text_count(text, "id=between "), 1);
	ck_assert(!text_has(text, "id=after "));
	free(text);
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
