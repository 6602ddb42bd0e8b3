/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_cruncher - the addresses that the demo module finds are those that
 * `grep -oE | LC_ALL=C sort -u` finds, in any text, in linear time.
 *
 * The oracle is regexec(3) of the C library, which is what grep -E promises:
 * leftmost, then longest. The texts are random but dense in the characters that
 * matter, so that all the ways to begin, to fail and to touch come up.
 */
#include <limits.h>
#include <regex.h>

#include "base/buf.h"
#include "call_fixture.h"
#include "core/conf.h"
#include "core/module.h"

static const char *content_type;
static struct module_registry *registry;
static brood_handler_fn *addresses;

static const char *
find_type(void *ctx, enum call_lookup what, const char *name)
{
	(void)ctx;
	ck_assert_int_eq(what, CALL_HEADER);
	ck_assert_str_eq(name, "Content-Type");
	return content_type;
}

static void
set_up_cruncher(void)
{
	const char *build = getenv("BROOD_BUILD");
	static char path[PATH_MAX];
	static char name[] = "cruncher";
	static struct conf_module entry = { .name = name, .path = path };
	static struct conf conf = { .module = { &entry, 1 } };
	struct why why;

	set_up();
	snprintf(path, sizeof(path), "%s/modules/cruncher.so",
	    build != NULL ? build : ".");
	registry = module_load_all(&conf, NULL, &why);
	ck_assert_msg(registry != NULL, "%s", why.text);
	addresses = module_find(registry, "cruncher.addresses", &why)->run;
	request.lookup = find_type;
	content_type = "text/plain";
}

static void
tear_down_cruncher(void)
{
	module_stop_all(registry);
	tear_down();
}

static void
post(const char *text, size_t len)
{
	request.body = text;
	request.body_len = len;
	run(addresses);
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The reply that grep and sort would give, the slow way. */
static char *
expect(const char *text)
{
	static const char pattern[] =
	    "[a-zA-Z0-9_.+-]+@[a-zA-Z0-9-]+\\.[a-zA-Z0-9.-]+";
	static char *found[4096];
	struct buf out;
	size_t i, n = 0, distinct = 0;
	static bool compiled;
	static regex_t re;
	regmatch_t at;

	if (!compiled)
		ck_assert_int_eq(regcomp(&re, pattern, REG_EXTENDED), 0);
	compiled = true;
	for (; regexec(&re, text, 1, &at, 0) == 0; text += at.rm_eo) {
		ck_assert_uint_lt(n, COUNT(found));
		found[n++] = strndup(text + at.rm_so,
		    (size_t)(at.rm_eo - at.rm_so));
	}
	if (n > 0)
		qsort(found, n, sizeof(found[0]), compare);
	buf_init(&out, 1 << 20);
	buf_printf(&out, "{\"addresses\":[");
	for (i = 0; i < n; i++)
		if (i == 0 || strcmp(found[i - 1], found[i]) != 0)
			buf_printf(&out, "%s\"%s\"", distinct++ > 0 ? "," : "",
			    found[i]);
	buf_printf(&out, "],\"count\":%zu}", distinct);
	for (i = 0; i < n; i++)
		free(found[i]);
	return buf_detach(&out, NULL);
}

static void
check_as_grep(const char *text)
{
	char *expected = expect(text);

	post(text, strlen(text));
	ck_assert_int_eq(result.status, 200);
	ck_assert_msg(strcmp(result.body, expected) == 0,
	    "in %s\nfound %s\nnot   %s", text, result.body, expected);
	free(expected);
}

START_TEST(known_texts)
{
	static const char *const texts[] = { "", "a@b.c", "no address", "a@b",
		"@b.c", "a@.c", "a@b.", "mail me@here.org.", "a@b.c@d.e",
		"a@b.c_d@e.f", "a@b.c+d@e.f", "x@y.z--foo@bar.baz", "a@b@c.d",
		"a.b+c-d_e@f-g.h.i-j", "A@B.C a@b.c A@B.C",
		"a@b.c\nb@c.d\r\n\nc@d.e", "a@b\n.c", "caf\xc3\xa9@b.c",
		"\xff\xfe@b.c a@\xff.c a@b.\xff a@b.c\xff", "a@b..", "a@-.-",
		"..@a.b", "a@b.c a@b.c.d a@b.c-" };

	for (size_t i = 0; i < COUNT(texts); i++)
		check_as_grep(texts[i]);
	post("a@b.c z@b.c a@b.c", 17);
	check_reply(200, "application/json",
	    "{\"addresses\":[\"a@b.c\",\"z@b.c\"],\"count\":2}");
}
END_TEST

START_TEST(random_texts)
{
	static const char alphabet[] = "aZ0_.+-@@@..abAB \n\xe9,";
	char text[81];
	size_t len;

	srandom(20260122);
	for (int round = 0; round < 4000; round++) {
		len = (size_t)random() % sizeof(text);
		for (size_t i = 0; i < len; i++)
			text[i] =
			    alphabet[(size_t)random() % (sizeof(alphabet) - 1)];
		text[len] = '\0';
		check_as_grep(text);
	}
}
END_TEST

/* A NUL is a byte like others that are in no address. */
START_TEST(a_nul_ends_an_address_only)
{
	post("a@b.c\0d@e.f\0", 12);
	check_reply(200, "application/json",
	    "{\"addresses\":[\"a@b.c\",\"d@e.f\"],\"count\":2}");
}
END_TEST

/* Quadratic time would take minutes for any of these, and Check its patience;
 * the last is nothing but addresses. */
START_TEST(hostile_texts_take_linear_time)
{
	static const char *const units[] = { "a", "a@", "a@a", "@", ".", "a@a ",
		"a ", "@a", "-@-", "\xff", "a@b.c " };
	const size_t size = getenv("VALGRIND") != NULL ? 512 << 10 : 4 << 20;
	char *text = malloc(size + 1);
	size_t unit = strlen(units[_i]);

	for (size_t i = 0; i < size; i++)
		text[i] = units[_i][i % unit];
	text[size] = '\0';
	post(text, size);
	ck_assert_int_eq(result.status, 200);
	/* an address far behind it is still found */
	memcpy(text + size - 7, " x@y.zz", 7);
	post(text, size);
	ck_assert_int_eq(result.status, 200);
	ck_assert_ptr_nonnull(strstr(result.body, "x@y.zz"));
	free(text);
}
END_TEST

START_TEST(json_holds_the_text_in_a_member)
{
	static const struct {
		const char *type;
		bool json;
	} types[] = {
		{ "application/json", true },
		{ "Application/JSON; charset=utf-8", true },
		{ "application/json ;x", true },
		{ "application/vnd.mail+json", true },
		{ "application/jsonx", false },
		{ "text/plain; x=application/json", false },
		{ "application/x-www-form-urlencoded", false },
		{ "", false },
		{ NULL, false },
	};
	static const char text[] =
	    "{\"text\":\"a@b.c\\nd@e.f\",\"from\":\"g@h.i\"}";

	for (size_t i = 0; i < COUNT(types); i++) {
		content_type = types[i].type;
		post(text, strlen(text));
		check_reply(200, "application/json",
		    types[i].json ?
			"{\"addresses\":[\"a@b.c\",\"d@e.f\"],\"count\":2}" :
			"{\"addresses\":[\"a@b.c\",\"g@h.i\",\"nd@e.f\"],"
			"\"count\":3}");
	}
}
END_TEST

START_TEST(json_without_a_text_is_refused)
{
	static const char *const texts[] = { "{}", "[]", "7", "{\"text\":7}",
		"{\"text\":null}" };

	content_type = "application/json";
	for (size_t i = 0; i < COUNT(texts); i++) {
		post(texts[i], strlen(texts[i]));
		check_problem(422,
		    "the member \"text\" is missing or no string");
	}
	post("{\"text\":", 8);
	ck_assert_int_eq(result.status, 400);
	post("{\"text\":\"\"}", 11);
	check_reply(200, "application/json", "{\"addresses\":[],\"count\":0}");
	check_blameless();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("cruncher");
	TCase *tests = tcase_create("cruncher");

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, set_up_cruncher, tear_down_cruncher);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, known_texts);
	tcase_add_test(tests, random_texts);
	tcase_add_test(tests, a_nul_ends_an_address_only);
	tcase_add_loop_test(tests, hostile_texts_take_linear_time, 0, 11);
	tcase_add_test(tests, json_holds_the_text_in_a_member);
	tcase_add_test(tests, json_without_a_text_is_refused);
	return run_suite(suite);
}
