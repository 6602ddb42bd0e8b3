/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_demo - the e-mail cruncher as it is shipped, driven by HTTP alone: the
 * same addresses as grep, one warning each, and all the ways into a handler.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/daemon.h"
#include "lib/demo.h"
#include "lib/http.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/text.h"

/* The changelogs of whatever packages the machine has; and some text of our
 * own, so that there is something to find on a machine without any. */
#define TEXT_OF_CHANGELOGS                                                \
	"{ zcat -f /usr/share/doc/*/changelog* 2>/dev/null;"              \
	" for i in 1 2 3 4 5 6 7 8 9; do"                                 \
	" echo \"a$i@example.org, <b.$i+x@mail.example.com>; a1@x.org\";" \
	" printf 'x@y x@y.@a.b @a.b a@b. \\000\\377c@d.e@f.g\\n'; done; }"

static const char *const quick[] = { "slow_seconds = 5.0",
	"slow_seconds = 0.02", NULL };

/* One to a line, as sort prints them. */
static char *
lines_of(json_t *addresses)
{
	json_t *address;
	size_t i, size;
	char *text;
	FILE *out = open_memstream(&text, &size);

	for (i = 0; (address = json_array_get(addresses, i)) != NULL; i++)
		fprintf(out, "%s\n", json_string_value(address));
	fclose(out);
	return text;
}

START_TEST(inline_as_grep)
{
	struct daemon d;
	struct reply reply;
	char *path, *body, *wanted, *seen;
	size_t len;
	json_t *answer;

	demo_start(&d, NULL);
	path = text_format("%s/changelogs", d.dir);
	free(
	    demo_shell(TEXT_OF_CHANGELOGS " | head -c 30000000 >\"$1\"", path));
	wanted = demo_grep(path);
	ck_assert_ptr_nonnull(body = text_read(path, &len));
	ck_assert_uint_gt(len, 500);
	http_require(&d,
	    &(struct ask){ .path = "/addresses",
		.body = body,
		.body_len = len },
	    &reply);
	ck_assert_msg(reply.status == 200, "%d: %.500s", reply.status,
	    reply.body);
	answer = reply_json(&reply);
	seen = lines_of(json_object_get(answer, "addresses"));
	ck_assert_int_eq(ctl_int(answer, "count"),
	    (long)text_count(wanted, "\n"));
	ck_assert_int_ge(ctl_int(answer, "count"), 18);
	ck_assert_msg(strcmp(seen, wanted) == 0, "not what grep finds");
	json_decref(answer);
	reply_release(&reply);
	free(path);
	free(body);
	free(wanted);
	free(seen);
	daemon_stop(&d);
}
END_TEST

/* The numbers of addresses by domain, added up. */
static long
sum_of_domains(json_t *status)
{
	json_t *domains = json_object_get(status, "domains"), *n;
	const char *domain;
	long sum = 0;

	json_object_foreach(domains, domain, n)
	    sum += (long)json_integer_value(n);
	return sum;
}

/* Several documents through both crunchers, one of them sent as JSON. */
START_TEST(collects_as_grep)
{
	enum { DOCUMENTS = 6 };
	struct daemon d;
	json_t *status;
	char *all, *wanted, *seen;

	demo_start(&d, quick);
	all = text_format("%s/all", d.dir);
	free(demo_shell(TEXT_OF_CHANGELOGS " | tr -d '\\000\\200-\\377'"
					   " | head -c 3000000 >\"$1\";"
					   " split -n l/6 -d \"$1\" \"$1.\"",
	    all));
	for (int i = 0; i < DOCUMENTS; i++) {
		char *path = text_format("%s.%02d", all, i);
		char *text = text_read(path, NULL);

		ck_assert_ptr_nonnull(text);
		demo_upload(&d, text);
		free(text);
		free(path);
	}
	demo_await(&d, "regex", DOCUMENTS);
	demo_await(&d, "slow", DOCUMENTS);
	wanted = demo_grep(all);
	demo_await(&d, "addresses", (long)text_count(wanted, "\n"));
	seen = demo_send(&d, "GET", "/addresses", NULL, 200);
	ck_assert_msg(strcmp(seen, wanted) == 0, "not what grep finds");
	status = demo_status(&d);
	ck_assert_int_eq(ctl_int(status, "documents"), DOCUMENTS);
	ck_assert_int_eq(sum_of_domains(status),
	    (long)text_count(wanted, "\n"));
	json_decref(status);
	free(wanted);
	free(seen);
	free(all);
	daemon_stop(&d);
}
END_TEST

START_TEST(json_and_nothing)
{
	struct daemon d;
	struct reply reply;

	demo_start(&d, quick);
	http_require(&d,
	    &(struct ask){ .path = "/addresses",
		.body = "{\"text\": \"a@b.c, d@e.f and a@b.c\"}",
		.header = { "Content-Type: application/json" } },
	    &reply);
	ck_assert_int_eq(reply.status, 200);
	text_require("the answer", reply.body,
	    "{\"addresses\":[\"a@b.c\",\"d@e.f\"],\"count\":2}");
	reply_release(&reply);
	http_require(&d,
	    &(struct ask){ .path = "/upload",
		.body = "{\"text\": \"j@son.org\"}",
		.header = { "Content-Type: application/json" } },
	    &reply);
	ck_assert_int_eq(reply.status, 202);
	reply_release(&reply);
	demo_upload(&d, "nobody");
	demo_upload(&d, "");
	http_require(&d,
	    &(struct ask){ .path = "/upload",
		.body = "{",
		.header = { "Content-Type: application/json" } },
	    &reply);
	reply_require_problem(&reply, 400);
	reply_release(&reply);
	free(demo_send(&d, "POST", "/upload?priority=many", "x", 422));
	demo_await(&d, "slow", 3);
	demo_await(&d, "documents", 3);
	demo_await(&d, "addresses", 1);
	daemon_stop(&d);
}
END_TEST

START_TEST(warns_once)
{
	struct daemon d;
	json_t *status;
	char *mail, *script;

	demo_start(&d, quick);
	free(demo_send(&d, "POST", "/subscriptions/ann", "", 200));
	free(demo_send(&d, "POST", "/subscriptions/ann", "", 200));
	demo_upload(&d,
	    "ann@apple.com, ann@APPLE.com. bob@apple.com; "
	    "ann@example.org");
	demo_await(&d, "slow", 1);
	demo_await(&d, "addresses", 4);
	demo_await(&d, "mails", 1);
	demo_upload(&d, "Again: ann@apple.com, bob@apple.com");
	demo_await(&d, "slow", 2);
	/* bob was unroutable, and is not warned when he subscribes now */
	free(demo_send(&d, "POST", "/subscriptions/bob", "", 200));
	free(demo_send(&d, "POST", "/subscriptions/cid", "", 200));
	free(demo_send(&d, "DELETE", "/subscriptions/ann", NULL, 200));
	demo_upload(&d, "cid@apple.com");
	demo_await(&d, "slow", 3);
	demo_await(&d, "mails", 2);
	status = demo_status(&d);
	ck_assert_int_eq(ctl_int(status, "warned"), 3);
	json_decref(status);
	ck_assert_uint_eq(demo_mails(&d, NULL), 2);
	ck_assert_uint_eq(demo_mails(&d, "ann"), 1);
	ck_assert_uint_eq(demo_mails(&d, "cid"), 1);
	script = text_format("cat %s/state/mails/ann.*.eml", d.dir);
	mail = demo_shell(script, "");
	text_require("the mail", mail, "To: <ann@apple.com>\r\n");
	text_require("the mail", mail, "\r\n\r\nspam me!\r\n");
	free(script);
	free(mail);
	daemon_stop(&d);
}
END_TEST

START_TEST(refuses_subscriptions)
{
	static const char *const bad[] = { "/subscriptions/a%20b",
		"/subscriptions/a%2Fb", "/subscriptions/%C3%A9",
		"/subscriptions/"
		"a23456789012345678901234567890123456789012345678901234567890"
		"12345" };
	struct daemon d;

	demo_start(&d, quick);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		free(demo_send(&d, "POST", bad[i], "", 422));
	daemon_stop(&d);
}
END_TEST

/* Who was never warned because nobody had subscribed leaves nothing behind. */
START_TEST(unroutable_piles_up_nowhere)
{
	struct daemon d;
	struct run run;

	demo_start(&d, quick);
	demo_upload(&d, "eve@apple.com fay@apple.com");
	demo_await(&d, "slow", 1);
	demo_await(&d, "warned", 2);
	ctl_run(&d, &run, "jobs", "queued", NULL);
	ck_assert_int_eq(run.status, 0);
	ck_assert_msg(!text_has(run.out, "warnings"), "%s", run.out);
	run_release(&run);
	ck_assert_uint_eq(demo_mails(&d, NULL), 0);
	daemon_stop(&d);
}
END_TEST

START_TEST(counts_by_rpc)
{
	struct daemon d;
	char *answer;

	demo_start(&d, quick);
	for (int i = 0; i < 20; i++) {
		answer = demo_send(&d, "POST", "/count",
		    "a@b.c d@e.f \xff\xfe a@b.c", 200);
		ck_assert_str_eq(answer, "{\"count\":2}");
		free(answer);
	}
	answer = demo_send(&d, "POST", "/count", "", 200);
	ck_assert_str_eq(answer, "{\"count\":0}");
	free(answer);
	daemon_stop(&d);
}
END_TEST

static void
ctl_ok(const struct daemon *d, const char *a, const char *b, const char *c,
    const char *e, const char *f, const char *g)
{
	struct run run;

	ctl_run(d, &run, a, b, c, e, f, g, NULL);
	ck_assert_msg(run.status == 0, "%s: %s%s", a, run.out, run.err);
	run_release(&run);
}

/* All three wait before the first worker comes. */
START_TEST(urgent_ones_first)
{
	static const char *const edits[] = { "slow_seconds = 5.0",
		"slow_seconds = 0.02",
		"workers = { start = 4; min_spare = 1; max_spare = 4; max = 16",
		"workers = { start = 1; min_spare = 0; max_spare = 1; max = 1",
		NULL };
	static const char publish[] = "publish", queue[] = "slow-cruncher";
	struct daemon d;
	char *seen = NULL;

	demo_start(&d, edits);
	ctl_ok(&d, "scale", "task", "0", NULL, NULL, NULL);
	ctl_ok(&d, publish, "", queue, "{\"text\":\"a@one.org\"}", NULL, NULL);
	ctl_ok(&d, publish, "", queue, "{\"text\":\"a@two.org\"}", NULL, NULL);
	ctl_ok(&d, publish, "--priority", "9", "", queue,
	    "{\"text\":\"a@urgent.org\"}");
	ctl_ok(&d, "scale", "task", "1", NULL, NULL, NULL);
	do {
		free(seen);
		seen = demo_send(&d, "GET", "/addresses", NULL, 200);
		ck_assert_msg(seen[0] == '\0' || text_has(seen, "urgent"), "%s",
		    seen);
	} while (!text_has(seen, "two"));
	free(seen);
	daemon_stop(&d);
}
END_TEST

struct look {
	const struct daemon *daemon;
	const char *path, *wanted;
	char *seen;
};

static bool
shows(void *ctx)
{
	struct look *look = ctx;

	free(look->seen);
	look->seen = demo_send(look->daemon, "GET", look->path, NULL, 200);
	return text_has(look->seen, look->wanted);
}

static void
await_text(const struct daemon *d, const char *path, const char *wanted)
{
	struct look look = { d, path, wanted, NULL };

	ck_assert_msg(proc_until(d->pidfd, shows, &look),
	    "GET %s has no %s: %s", path, wanted, look.seen);
	free(look.seen);
}

START_TEST(digests_and_watches)
{
	static const char *const often[] = { "slow_seconds = 5.0",
		"slow_seconds = 0.02", "every = 10.0", "every = 0.2", NULL };
	struct daemon d;
	json_t *status, *digest;

	demo_start(&d, often);
	demo_upload(&d, "ann@example.org");
	demo_await(&d, "slow", 1);
	await_text(&d, "/status", "\"last_change\":{");
	await_text(&d, "/status", "\"key\":\"count:");
	await_text(&d, "/status",
	    "\"digest\":{\"documents\":1,\"addresses\":1");
	status = demo_status(&d);
	digest = json_object_get(status, "digest");
	ck_assert_msg(text_has(ctl_text(digest, "at"), "T"), "no moment");
	json_decref(status);
	daemon_stop(&d);
}
END_TEST

START_TEST(crunches_as_a_job)
{
	struct daemon d;
	struct reply reply;
	char *path;

	demo_start(&d, quick);
	http_require(&d,
	    &(struct ask){ .path = "/crunch",
		.body = "ann@example.org bob@example.org",
		.header = { "Content-Type: text/plain" } },
	    &reply);
	ck_assert_msg(reply.status == 202, "%d: %s", reply.status, reply.body);
	ck_assert_ptr_nonnull(reply_header(&reply, "Location"));
	path = strdup(reply_header(&reply, "Location"));
	reply_release(&reply);
	await_text(&d, path, "\"state\":\"succeeded\"");
	await_text(&d, path, "\"found\":2");
	demo_await(&d, "addresses", 2);
	free(path);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE(inline_as_grep),
		CASE(collects_as_grep),
		CASE_MEMORY(json_and_nothing),
		CASE_MEMORY(warns_once),
		CASE(refuses_subscriptions),
		CASE(unroutable_piles_up_nowhere),
		CASE_MEMORY(counts_by_rpc),
		CASE(urgent_ones_first),
		CASE_MEMORY(digests_and_watches),
		CASE_MEMORY(crunches_as_a_job),
	};

	return SUITE_RUN("demo", cases);
}
