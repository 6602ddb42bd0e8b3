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

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef void render_fn(const json_t *, FILE *);

static render_fn *const all[] = { render_hub, render_queues, render_schedules,
	render_jobs, render_job, render_list, render_status };

/* What `render` writes of this JSON, to free. */
static char *
rendered(render_fn *render, const char *json)
{
	json_error_t error;
	json_t *data = json_loads(json, JSON_DECODE_ANY, &error);
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	ck_assert_msg(data != NULL, "%s: %s", json, error.text);
	ck_assert_ptr_nonnull(out);
	render(data, out);
	ck_assert_int_eq(fclose(out), 0);
	json_decref(data);
	return text;
}

static void
expect(render_fn *render, const char *json, const char *wanted)
{
	char *text = rendered(render, json);

	ck_assert_str_eq(text, wanted);
	free(text);
}

#define HUB                                                            \
	"{\"pid\":7,\"generation\":2,\"uptime\":65,\"clients\":9,"     \
	"\"data\":{\"keys\":3,\"bytes\":2048,\"max_bytes\":268435456," \
	"\"locks\":1,\"lock_waiters\":2,\"watches\":4},"               \
	"\"work\":{\"waiting\":5,\"queued\":6,\"running\":1,"          \
	"\"max_queued\":1000000,\"calls_waiting\":8,\"workers\":4,"    \
	"\"busy\":1,\"unroutable\":0},"                                \
	"\"store\":{\"bytes\":115152,\"free\":81976147968}}"
#define HUB_TEXT                                                             \
	"hub     pid 7, generation 2, up 1m05s, 9 clients\n"                 \
	"data    3 keys, 2.0K of 256M; 1 locks, 2 wait for one, 4 watches\n" \
	"work    6 queued of 1000000, 5 waiting, 1 running; 8 calls wait; "  \
	"1 of 4 workers busy\n"                                              \
	"store   112K, 76G free on its disk\n"

START_TEST(a_hub)
{
	expect(render_hub, HUB, HUB_TEXT);
	expect(render_hub,
	    "{\"work\":{\"unroutable\":3},"
	    "\"store\":{\"refuses\":\"its disk is full\"}}",
	    "hub     pid -, generation -, up -, - clients\n"
	    "data    - keys, - of -; - locks, - wait for one, - watches\n"
	    "work    - queued of -, - waiting, - running; - calls wait; "
	    "- of - workers busy; 3 messages had no queue to go to\n"
	    "store   -, - free on its disk; new work is refused: "
	    "its disk is full\n");
}
END_TEST

START_TEST(queues)
{
	expect(render_queues,
	    "{\"queues\":[{\"name\":\"a\",\"handler\":\"m.h\",\"queued\":5,"
	    "\"waiting\":1,\"running\":2,\"oldest\":61.5},"
	    "{\"name\":\"long name\",\"queued\":0,\"waiting\":0,\"running\":0,"
	    "\"max_length\":10}],"
	    "\"handlers\":[{\"name\":\"m.job\",\"queued\":1,\"waiting\":0,"
	    "\"running\":0}],"
	    "\"exchanges\":[{\"name\":\"x\",\"type\":\"topic\"}],"
	    "\"bindings\":[{\"queue\":\"a\",\"exchange\":\"x\",\"key\":\"#\","
	    "\"configured\":true},{\"queue\":\"a\",\"exchange\":\"x\","
	    "\"key\":\"u.1\",\"configured\":false}]}",
	    "QUEUE      HANDLER  QUEUED  WAITING  RUNNING  OLDEST  MAX\n"
	    "a          m.h           5        1        2   1m01s\n"
	    "long name                0        0        0           10\n"
	    "\n"
	    "EXCHANGE  TYPE\n"
	    "x         topic\n"
	    "\n"
	    "FROM EXCHANGE  KEY  TO QUEUE  BOUND BY\n"
	    "x              #    a         config\n"
	    "x              u.1  a         a handler\n"
	    "\n"
	    "JOBS OF  QUEUED  WAITING  RUNNING\n"
	    "m.job         1        0        0\n");
	expect(render_queues, "{}", "there are no queues\n");
}
END_TEST

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
		"{\"jobs\":[null,7,[],\"x\",{}],\"keys\":[null,7,[],{}],"
		"\"queues\":[null,7,{}],\"schedules\":[null,7,[],{}],"
		"\"bindings\":[null,7,{}],\"exchanges\":[7],\"handlers\":[7],"
		"\"more\":true,\"hub\":7}",
		"{\"jobs\":[{\"id\":7,\"state\":[],\"errors\":{},"
		"\"progress\":7,\"attempts\":\"x\"}],\"errors\":[7],"
		"\"data\":7,\"work\":[],\"store\":null,"
		"\"keys\":[{\"key\":7,\"version\":\"x\",\"ttl\":\"x\"}],"
		"\"schedules\":[{\"every\":\"x\",\"running\":7}],"
		"\"hub\":null}" };

	for (size_t i = 0; i < COUNT(shapes); i++)
		for (size_t k = 0; k < COUNT(all); k++)
			free(rendered(all[k], shapes[i]));
}
END_TEST

START_TEST(sections_of_status)
{
	char *text = rendered(render_status,
	    "{\"hub\":" HUB ",\"queues\":[{\"name\":\"q\"}],"
	    "\"schedules\":[]}");

	ck_assert_ptr_nonnull(strstr(text, "\n\n" HUB_TEXT "\nQUEUE"));
	ck_assert_ptr_null(strstr(text, "schedules"));
	free(text);
	text = rendered(render_status,
	    "{\"hub\":null,\"queues\":null,\"schedules\":null}");
	ck_assert_ptr_nonnull(strstr(text, "\nthe hub does not answer\n"));
	free(text);
	text = rendered(render_status, "{}");
	ck_assert_ptr_null(strstr(text, "hub"));
	free(text);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("ctl_render_work");
	TCase *tests = tcase_create("render");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, a_hub);
	tcase_add_test(tests, queues);
	tcase_add_test(tests, schedules);
	tcase_add_test(tests, jobs);
	tcase_add_test(tests, keys);
	tcase_add_test(tests, a_long_value_is_cut);
	tcase_add_test(tests, nobody_steers_the_terminal);
	tcase_add_test(tests, wrong_shapes);
	tcase_add_test(tests, sections_of_status);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
