/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_ctl_render - what an operator reads of a status, and answers of every
 * wrong shape, which must cost nothing but their own cells.
 */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/render.h"
#include "run_suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What `render` writes, free'd by the caller. */
static char *
rendered(void (*render)(const json_t *, FILE *), const json_t *data)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	ck_assert_ptr_nonnull(out);
	render(data, out);
	ck_assert_int_eq(fclose(out), 0);
	return text;
}

static json_t *
parsed(const char *text)
{
	json_error_t error;
	json_t *value = json_loads(text, JSON_DECODE_ANY, &error);

	ck_assert_msg(value != NULL, "%s", error.text);
	return value;
}

static const char whole[] =
    "{\"service\":\"cruncher\",\"version\":\"1.0\",\"pid\":77,"
    "\"state\":\"running\",\"uptime\":273600.5,\"generation\":2,"
    "\"config\":\"/etc/brood/brood.conf\",\"log_level\":\"info\","
    "\"reload\":{\"last\":\"failed: no such handler\",\"at\":\"NOON\"},"
    "\"listen\":[\"127.0.0.1:8080\",\"unix:/run/x\"],"
    "\"pools\":[{\"role\":\"rest\",\"target\":8,\"wanted\":8,\"ready\":7,"
    "\"busy\":1,\"spare\":6,\"starting\":1,\"draining\":0,\"min_spare\":2,"
    "\"max_spare\":9,\"max\":64,\"calls\":1000,\"errors\":3,\"p50_us\":87,"
    "\"p99_us\":1200,\"restarts\":2,\"held\":\"it keeps dying\","
    "\"retry_in\":4.2,\"last_restart\":\"slot 1, SIGSEGV\"}],"
    "\"children\":[{\"slot\":0,\"role\":\"rest\",\"pid\":78,"
    "\"state\":\"busy\",\"generation\":2,\"uptime\":12,\"calls\":5,"
    "\"errors\":0,\"connections\":3,\"heartbeat_age\":0.5,"
    "\"rss_bytes\":3250586,\"call\":{\"id\":\"abc\",\"door\":\"rest\","
    "\"method\":\"GET\",\"path\":\"/x\",\"handler\":\"m.x\","
    "\"peer\":\"unix\",\"age\":31,\"deadline_in\":-1},\"restarts\":0,"
    "\"why\":null},"
    "{\"slot\":1,\"role\":\"rest\",\"pid\":79,\"state\":\"starting\","
    "\"generation\":2,\"uptime\":0.1,\"calls\":0,\"errors\":0,"
    "\"connections\":0,\"heartbeat_age\":0.1,\"rss_bytes\":1024,"
    "\"call\":null,\"restarts\":2,\"why\":\"killed by SIGSEGV\"}]}";

static const char whole_text[] =
    "cruncher 1.0 is running, pid 77, up 3d04h, generation 2, "
    "log level info\n"
    "config  /etc/brood/brood.conf\n"
    "listen  127.0.0.1:8080 unix:/run/x\n"
    "reload  failed: no such handler at NOON\n"
    "\n"
    "POOL  TARGET  WANTED  READY  BUSY    SPARE  STARTING  DRAINING  MAX  "
    "CALLS  ERRORS   P50    P99  RESTARTS\n"
    "rest       8       8      7     1  6 (2-9)         1         0   64   "
    "1000       3  87us  1.2ms         2\n"
    "\n"
    "SLOT  POOL  PID  STATE     GEN    UP  CALLS  ERRORS  CONNS  BEAT   "
    "RSS  RESTARTS  CALL\n"
    "   0  rest   78  busy        2   12s      5       0      3  0.5s  "
    "3.1M         0  GET /x (m.x) for 31s, overdue by 1.0s, from unix, "
    "id abc\n"
    "   1  rest   79  starting    2  0.1s      0       0      0  0.1s  "
    "1.0K         2\n"
    "\n"
    "pool rest is held: it keeps dying; next try in 4.2s\n"
    "pool rest: 2 restarts; the last: slot 1, SIGSEGV\n"
    "slot 1: the child before was killed by SIGSEGV\n";

START_TEST(a_whole_status)
{
	json_t *data = parsed(whole);
	char *text = rendered(render_status, data);

	ck_assert_str_eq(text, whole_text);
	free(text);
	json_decref(data);
}
END_TEST

/* Every member, at any depth, away or replaced by each of these. */
static const char *const wrong[] = {
	"null",
	"true",
	"7",
	"-1e300",
	"\"\"",
	"\"a\\u001b]0;x\\u0007\"",
	"[]",
	"[[]]",
	"[null,1,\"x\",{}]",
	"{}",
	"{\"role\":[]}",
};

static void
render_both(const json_t *data)
{
	char *text = rendered(render_status, data);

	ck_assert_ptr_null(strchr(text, '\033'));
	free(text);
	free(rendered(render_explain, data));
}

static void
spoil(json_t *root, json_t *object, json_t *with)
{
	/* what is changed is not what is walked over */
	json_t *members = json_copy(object);
	json_t *member, *item;
	const char *key;
	size_t i;

	json_object_foreach(members, key, member)
	{
		json_array_foreach(member, i, item) spoil(root, item, with);
		spoil(root, member, with);
		if (with != NULL)
			json_object_set(object, key, with);
		else
			json_object_del(object, key);
		render_both(root);
		json_object_set(object, key, member);
	}
	json_decref(members);
}

START_TEST(a_status_of_any_shape)
{
	json_t *root = parsed(whole);
	json_t *with = parsed(wrong[_i]);

	render_both(with);
	spoil(root, root, with);
	json_decref(with);
	json_decref(root);
}
END_TEST

START_TEST(a_status_with_gaps)
{
	json_t *root = parsed(whole);

	render_both(NULL);
	spoil(root, root, NULL);
	json_decref(root);
}
END_TEST

START_TEST(long_texts_are_cut)
{
	char *name = malloc(100000);
	json_t *data = parsed(whole);
	json_t *call;

	memset(name, 'x', 99999);
	name[99999] = '\0';
	call = json_object_get(json_array_get(json_object_get(data, "children"),
				   0),
	    "call");
	json_object_set_new(call, "path", json_string(name));
	json_object_set_new(data, "service", json_string(name));
	render_both(data);
	json_decref(data);
	free(name);
}
END_TEST

/* Only where a child has one; what is wrong stands at the end again. */
START_TEST(notes_of_children)
{
	json_t *data = parsed(
	    "{\"children\":[{\"slot\":3,\"role\":\"amqp\",\"pid\":5,"
	    "\"state\":\"ready\",\"note\":\"connected to x\","
	    "\"trouble\":false},"
	    "{\"slot\":4,\"role\":\"amqp\",\"pid\":6,\"state\":\"ready\","
	    "\"note\":\"no broker: wrong password\",\"trouble\":true,"
	    "\"why\":\"killed by SIGKILL\"}]}");
	char *text = rendered(render_status, data);
	const char *at = strstr(text, "\nSLOT");

	ck_assert_ptr_nonnull(at);
	ck_assert_str_eq(at,
	    "\nSLOT  POOL  PID  STATE  GEN  CALLS  ERRORS  CONNS  RESTARTS  "
	    "NOTE\n"
	    "   3  amqp    5  ready    -      -       -      -         -  "
	    "connected to x\n"
	    "   4  amqp    6  ready    -      -       -      -         -  "
	    "no broker: wrong password\n"
	    "\n"
	    "slot 4, amqp: no broker: wrong password\n"
	    "slot 4: the child before was killed by SIGKILL\n");
	free(text);
	json_decref(data);
}
END_TEST

START_TEST(an_explanation)
{
	json_t *data = parsed(
	    "{\"role\":\"rest\",\"now\":\"4 of 4\","
	    "\"decisions\":[{\"at\":\"NOON\",\"text\":\"grew to 4\"},{}]}");
	char *text = rendered(render_explain, data);

	ck_assert_str_eq(text,
	    "rest: 4 of 4\n"
	    "AT    DECISION\n"
	    "NOON  grew to 4\n"
	    "-     -\n");
	free(text);
	json_decref(data);

	data = parsed("{\"role\":\"rest\",\"now\":\"x\",\"decisions\":[]}");
	text = rendered(render_explain, data);
	ck_assert_str_eq(text,
	    "rest: x\nno decision has been taken since the start\n");
	free(text);
	json_decref(data);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("ctl_render");
	TCase *tcase = tcase_create("text");

	tcase_add_test(tcase, a_whole_status);
	tcase_add_loop_test(tcase, a_status_of_any_shape, 0, COUNT(wrong));
	tcase_add_test(tcase, a_status_with_gaps);
	tcase_add_test(tcase, long_texts_are_cut);
	tcase_add_test(tcase, notes_of_children);
	tcase_add_test(tcase, an_explanation);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
