/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_ctl_render_work - what an operator reads of the hub's reports, of whole
 * ones and of ones of every wrong shape.
 */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/render.h"
#include "render_fixture.h"
#include "run_suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static render_fn *const all[] = { render_hub, render_queues, render_schedules,
	render_jobs, render_dead, render_job, render_list, render_status };

START_TEST(schedules)
{
	expect(render_schedules,
	    "{\"schedules\":[{\"name\":\"often\",\"handler\":\"m.h\","
	    "\"every\":30.0,\"last\":\"YESTERDAY\",\"next\":\"TODAY\","
	    "\"outcome\":\"failed\",\"why\":\"no way\",\"runs\":3,"
	    "\"skipped\":1,\"running\":false},"
	    "{\"name\":\"nightly\",\"handler\":\"m.h\",\"cron\":\"0 3 * * *\","
	    "\"timezone\":\"UTC\",\"runs\":0,\"skipped\":0,"
	    "\"running\":true}]}",
	    "SCHEDULE  HANDLER  WHEN           LAST       OUTCOME  NEXT   RUNS"
	    "  SKIPPED  REASON\n"
	    "often     m.h      every 30s      YESTERDAY  failed   TODAY     3"
	    "        1  no way\n"
	    "nightly   m.h      0 3 * * * UTC  never      running  never     0"
	    "        0\n");
	expect(render_schedules, "[]", "there are no schedules\n");
}
END_TEST

#define JOB                                                                 \
	"{\"id\":\"ID\",\"state\":\"waiting\",\"retrying\":true,"           \
	"\"handler\":\"m.h\",\"queue\":\"q\",\"created\":\"THEN\","         \
	"\"due\":\"SOON\",\"attempts\":2,\"max_attempts\":5,"               \
	"\"priority\":0,\"progress\":{\"done\":0.4,\"note\":\"counting\"}," \
	"\"errors\":[{\"attempt\":1,\"at\":\"A\",\"reason\":\"first\"},"    \
	"{\"attempt\":2,\"at\":\"B\",\"reason\":\"second\"}],"              \
	"\"input\":{\"x\":1}}"

START_TEST(jobs)
{
	expect(render_jobs, "{\"jobs\":[" JOB "],\"more\":true}",
	    "JOB  STATE     HANDLER  FROM     CREATED  ATTEMPTS  DUE   PROGRESS"
	    "      REASON\n"
	    "ID   retrying  m.h      queue q  THEN       2 of 5  SOON  40% "
	    "counting  second\n"
	    "and more; --limit N shows N of them\n");
	expect(render_jobs, "{\"jobs\":[]}", "there are none\n");
	expect(render_job, JOB,
	    "id           ID\n"
	    "state        retrying\n"
	    "handler      m.h\n"
	    "from         queue q\n"
	    "created      THEN\n"
	    "due          SOON\n"
	    "attempts     2 of 5\n"
	    "priority     0\n"
	    "progress     40% counting\n"
	    "input        {\"x\":1}\n"
	    "\n"
	    "ATTEMPT  AT  REASON\n"
	    "      1  A   first\n"
	    "      2  B   second\n");
	expect(render_job,
	    "{\"id\":\"ID\",\"state\":\"failed\",\"schedule\":\"s\","
	    "\"status\":422,\"problem\":\"no\",\"result\":[1.5]}",
	    "id           ID\n"
	    "state        failed\n"
	    "from         schedule s\n"
	    "status       422\n"
	    "problem      no\n"
	    "result       [1.5]\n");
}
END_TEST

/* A broker's beside those of the store. */
START_TEST(dead_letters)
{
	expect(render_dead,
	    "{\"jobs\":[],\"messages\":[{\"name\":\"regex/a/1\","
	    "\"queue\":\"regex\",\"id\":\"a/1\",\"reason\":\"crashed\","
	    "\"detail\":\"killed by SIGSEGV\",\"at\":\"NOON\","
	    "\"host\":\"h1\",\"attempts\":5,\"signal\":\"SIGSEGV\","
	    "\"size\":2048,\"type\":\"text/plain\"},"
	    "{\"queue\":\"regex\",\"id\":\"\",\"reason\":\"expired\"}],"
	    "\"more\":true}",
	    "DEAD LETTER     DIED  ATTEMPTS  SIGNAL   HOST  TYPE        SIZE  "
	    "WHY\n"
	    "regex/a/1       NOON         5  SIGSEGV  h1    text/plain  2.0K  "
	    "crashed: killed by SIGSEGV\n"
	    "regex/ (no id)  -                                                "
	    "expired\n"
	    "and more; --limit N shows N of them\n");
	expect(render_dead,
	    "{\"jobs\":[{\"id\":\"J\",\"state\":\"dead\"}],"
	    "\"messages\":[{\"name\":\"q/1\",\"reason\":\"rejected\"}],"
	    "\"more\":false}",
	    "JOB  STATE  CREATED\n"
	    "J    dead   -\n"
	    "\n"
	    "DEAD LETTER  DIED  WHY\n"
	    "q/1          -     rejected\n");
	expect(render_dead, "{\"jobs\":[],\"messages\":[]}",
	    "there are none\n");
	expect(render_dead, "{\"jobs\":[]}", "there are none\n");
}
END_TEST

START_TEST(keys)
{
	expect(render_list,
	    "{\"keys\":[{\"key\":\"a\",\"version\":3,\"ttl\":60.2,"
	    "\"json\":{\"x\":[1,2.5]}},"
	    "{\"key\":\"b\",\"version\":12,\"body\":\"te\\nxt\"},"
	    "{\"key\":\"c\",\"version\":4,\"bytes\":17}],\"more\":true}",
	    "KEY  VERSION    TTL  VALUE\n"
	    "a          3  1m00s  {\"x\":[1,2.5]}\n"
	    "b         12         \"te\\nxt\"\n"
	    "c          4         (17 bytes)\n"
	    "and more; --after c goes on\n");
	expect(render_list, "{\"keys\":[]}", "there are none\n");
}
END_TEST

START_TEST(a_long_value_is_cut)
{
	char json[1200], *text;
	json_t *value;

	/* at a character of two bytes, wherever the cut falls */
	for (int shift = 0; shift < 4; shift++) {
		snprintf(json, sizeof(json),
		    "{\"keys\":[{\"key\":\"k\",\"version\":1,\"json\":\"%.*s",
		    shift, "xxx");
		for (int i = 0; i < 400; i++)
			strcat(json, "\303\244");
		strcat(json, "\"}]}");
		text = rendered(render_list, json);
		ck_assert_ptr_nonnull(strstr(text, "..."));
		ck_assert_uint_lt(strlen(text), 200);
		value = json_string(text);
		ck_assert_ptr_nonnull(value);
		json_decref(value);
		free(text);
	}
}
END_TEST

START_TEST(nobody_steers_the_terminal)
{
	char *text = rendered(render_jobs,
	    "{\"jobs\":[{\"id\":\"\\u001b[31m\",\"state\":\"x\\ny\","
	    "\"errors\":[{\"reason\":\"\\u009b1m\\u007f\"}]}]}");

	ck_assert_ptr_null(strchr(text, '\033'));
	ck_assert_ptr_null(strstr(text, "\302\233"));
	ck_assert_ptr_null(strchr(text, '\177'));
	ck_assert_ptr_nonnull(strstr(text, "x?y"));
	free(text);
	text = rendered(render_job,
	    "{\"id\":\"a\\u001bb\",\"input\":\"\\u001b\"}");
	ck_assert_ptr_null(strchr(text, '\033'));
	free(text);
}
END_TEST

START_TEST(wrong_shapes)
{
	static const char *const shapes[] = { "null", "7", "[]", "{}", "\"x\"",
		"{\"jobs\":7,\"keys\":{},\"queues\":null,\"schedules\":\"x\"}",
		"{\"jobs\":[null,7,[],\"x\",{}],\"messages\":[null,7,{}],"
		"\"keys\":[null,7,[],{}],"
		"\"queues\":[null,7,{}],\"schedules\":[null,7,[],{}],"
		"\"bindings\":[null,7,{}],\"exchanges\":[7],\"handlers\":[7],"
		"\"more\":true,\"hub\":7}",
		"{\"jobs\":[{\"id\":7,\"state\":[],\"errors\":{},"
		"\"progress\":7,\"attempts\":\"x\"}],\"errors\":[7],"
		"\"data\":7,\"work\":[],\"store\":null,"
		"\"keys\":[{\"key\":7,\"version\":\"x\",\"ttl\":\"x\"}],"
		"\"schedules\":[{\"every\":\"x\",\"running\":7}],"
		"\"hub\":null,\"outbox\":{\"held\":\"x\"},\"amqp\":[7,{}]}" };

	for (size_t i = 0; i < COUNT(shapes); i++)
		for (size_t k = 0; k < COUNT(all); k++)
			free(rendered(all[k], shapes[i]));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("ctl_render_work");
	TCase *tests = tcase_create("render");

	tcase_add_test(tests, schedules);
	tcase_add_test(tests, jobs);
	tcase_add_test(tests, dead_letters);
	tcase_add_test(tests, keys);
	tcase_add_test(tests, a_long_value_is_cut);
	tcase_add_test(tests, nobody_steers_the_terminal);
	tcase_add_test(tests, wrong_shapes);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
