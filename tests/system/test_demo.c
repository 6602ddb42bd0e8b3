/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_demo - the e-mail cruncher on a real text: the changelogs of whatever
 * packages the machine has, held against grep and sort.
 */
#include <check.h>
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

/* As much of them as a body may have; and some text of our own, so that there
 * is something to find on a machine without any. */
#define TEXT_OF_CHANGELOGS                                                \
	"{ zcat -f /usr/share/doc/*/changelog* 2>/dev/null;"              \
	" for i in 1 2 3 4 5 6 7 8 9; do"                                 \
	" echo \"a$i@example.org, <b.$i+x@mail.example.com>; a1@x.org\";" \
	" printf 'x@y x@.y @a.b a@b. \\000\\377c@d.e@f.g\\n'; done; }"    \
	" | head -c 30000000 >\"$1\""
#define GREP                                                        \
	"LC_ALL=C grep -aoE"                                        \
	" '[a-zA-Z0-9_.+-]+@[a-zA-Z0-9-]+\\.[a-zA-Z0-9.-]+' \"$1\"" \
	" | LC_ALL=C sort -u"

static char *
shell(const char *script, const char *argument)
{
	struct run run;
	char *out;

	run_program(&run,
	    (const char *const[]){ "sh", "-c", script, "sh", argument, NULL },
	    NULL);
	ck_assert_msg(run.status == 0, "%s: %s", script, run.err);
	out = run.out;
	run.out = NULL;
	run_release(&run);
	return out;
}

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

START_TEST(changelogs)
{
	struct daemon d;
	struct reply reply;
	char *path, *body, *wanted, *seen;
	size_t len;
	json_t *answer;

	daemon_start(&d,
	    &(struct daemon_conf){ .module = { "cruncher" },
		.rest = "max_body = \"40M\";",
		.route = { ROUTE("POST", "/upload", "cruncher.upload") } });
	path = text_format("%s/changelogs", d.dir);
	free(shell(TEXT_OF_CHANGELOGS, path));
	wanted = shell(GREP, path);
	ck_assert_ptr_nonnull(body = text_read(path, &len));
	ck_assert_uint_gt(len, 500);
	http_require(&d,
	    &(struct ask){ .path = "/upload", .body = body, .body_len = len },
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

START_TEST(json_and_nothing)
{
	struct daemon d;
	struct reply reply;

	daemon_start(&d,
	    &(struct daemon_conf){ .module = { "cruncher" },
		.route = { ROUTE("POST", "/upload", "cruncher.upload") } });
	http_require(&d,
	    &(struct ask){ .path = "/upload",
		.body = "{\"text\": \"a@b.c, d@e.f and a@b.c\"}",
		.header = { "Content-Type: application/json" } },
	    &reply);
	ck_assert_int_eq(reply.status, 200);
	text_require("the answer", reply.body,
	    "{\"addresses\":[\"a@b.c\",\"d@e.f\"],\"count\":2}");
	reply_release(&reply);
	http_require(&d,
	    &(struct ask){
		.path = "/upload",
		.body = "nobody",
	    },
	    &reply);
	ck_assert_int_eq(reply.status, 200);
	text_require("the answer", reply.body,
	    "{\"addresses\":[],\"count\":0}");
	reply_release(&reply);
	http_require(&d,
	    &(struct ask){ .path = "/upload",
		.body = "{",
		.header = { "Content-Type: application/json" } },
	    &reply);
	reply_require_problem(&reply, 400);
	reply_release(&reply);
	daemon_stop(&d);
}
END_TEST

int
main(void)
{
	const struct suite_case cases[] = {
		CASE(changelogs),
		CASE_MEMORY(json_and_nothing),
	};

	return SUITE_RUN("demo", cases);
}
