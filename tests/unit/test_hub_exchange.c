/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_hub_exchange - topic patterns against a slow and obvious model, over
 * every short pattern and key and over long random ones; routing by each type
 * of exchange; bindings of the config and of run time in every order.
 */
#include <check.h>
#include <stdint.h>

#include "base/why.h"
#include "hub/exchange.h"

#include "conf_fixture.h"
#include "fast_check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ------------------------------------------------------------------ topics */

struct words {
	const char *at[64];
	size_t len[64];
	size_t n;
};

static void
split(const char *text, struct words *words)
{
	const char *dot;

	words->n = 0;
	if (*text == '\0')
		return;
	for (;;) {
		dot = strchrnul(text, '.');
		words->at[words->n] = text;
		words->len[words->n++] = (size_t)(dot - text);
		if (*dot == '\0')
			return;
		text = dot + 1;
	}
}

/* As the standard has it, word by word. */
static bool
model(const struct words *pattern, size_t p, const struct words *key, size_t k)
{
	bool hash, star;

	if (p == pattern->n)
		return k == key->n;
	hash = pattern->len[p] == 1 && *pattern->at[p] == '#';
	star = pattern->len[p] == 1 && *pattern->at[p] == '*';
	if (hash)
		return model(pattern, p + 1, key, k) ||
		    (k < key->n && model(pattern, p, key, k + 1));
	if (k == key->n)
		return false;
	if (!star &&
	    (pattern->len[p] != key->len[k] ||
		memcmp(pattern->at[p], key->at[k], key->len[k]) != 0))
		return false;
	return model(pattern, p + 1, key, k + 1);
}

static void
compare(const char *pattern, const char *key)
{
	struct words p, k;
	bool fits = exchange_topic_fits(pattern, strlen(pattern), key,
	    strlen(key));

	split(pattern, &p);
	split(key, &k);
	ck_assert_msg(fits == model(&p, 0, &k, 0), "'%s' %s '%s'", pattern,
	    fits ? "fits" : "does not fit", key);
}

/* The number in base strlen(letters) + 1, as a text. */
static bool
nth_text(unsigned n, const char *letters, char *text)
{
	unsigned base = (unsigned)strlen(letters) + 1;

	for (; n > 0; n /= base) {
		if (n % base == 0)
			return false;
		*text++ = letters[n % base - 1];
	}
	*text = '\0';
	return true;
}

START_TEST(short_patterns_fit_as_the_model_says)
{
	char pattern[16], key[16];

	for (unsigned p = 0; p < 5 * 5 * 5 * 5 * 5 * 5; p++) {
		if (!nth_text(p, "a.*#", pattern))
			continue;
		for (unsigned k = 0; k < 4 * 4 * 4 * 4; k++)
			if (nth_text(k, "ab.", key))
				compare(pattern, key);
	}
}
END_TEST

static uint64_t
next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + 1;
	return *state >> 33;
}

START_TEST(long_patterns_fit_as_the_model_says)
{
	static const char *const parts[] = { "a", "b", "*", "#", "#", "ab", "",
		"a*", "#b" };
	static const char *const words[] = { "a", "b", "ab", "", "a", "b", "*",
		"#", "#b" };
	uint64_t state = (uint64_t)_i + 1;
	char pattern[128], key[128];

	for (int round = 0; round < 5000; round++) {
		*pattern = *key = '\0';
		for (uint64_t n = next_random(&state) % 8; n > 0; n--) {
			strcat(pattern,
			    parts[next_random(&state) % COUNT(parts)]);
			if (n > 1)
				strcat(pattern, ".");
		}
		for (uint64_t n = next_random(&state) % 10; n > 0; n--) {
			strcat(key, words[next_random(&state) % COUNT(words)]);
			if (n > 1)
				strcat(key, ".");
		}
		compare(pattern, key);
	}
}
END_TEST

START_TEST(topics_of_the_manual)
{
	static const struct {
		const char *pattern, *key;
		bool fits;
	} rows[] = {
		{ "kern.*", "kern.critical", true },
		{ "kern.*", "kern", false },
		{ "kern.*", "kern.critical.now", false },
		{ "kern.#", "kern", true },
		{ "kern.#", "kern.critical.now", true },
		{ "#", "", true },
		{ "#", "a.b.c", true },
		{ "", "", true },
		{ "", "a", false },
		{ "*", "", false },
		{ "*.orange.*", "quick.orange.rabbit", true },
		{ "*.*.rabbit", "quick.orange.fox", false },
		{ "lazy.#", "lazy.orange.male.rabbit", true },
		{ "#.end", "end", true },
		{ "#.end", "the.very.end", true },
		{ "#.end", "the.end.is.near", false },
		{ "*.#.*", "one", false },
		{ "*.#.*", "one.two", true },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		ck_assert_msg(exchange_topic_fits(rows[i].pattern,
				  strlen(rows[i].pattern), rows[i].key,
				  strlen(rows[i].key)) == rows[i].fits,
		    "'%s' and '%s'", rows[i].pattern, rows[i].key);
}
END_TEST

/* ----------------------------------------------------------------- routing */

static const char topology[] =
    "rest = { routes = (); };\n"
    "amqp = { exchanges = (\n"
    "  { name = \"mail\"; type = \"direct\"; },\n"
    "  { name = \"all\"; type = \"fanout\"; },\n"
    "  { name = \"logs\"; type = \"topic\"; } );\n"
    " queues = (\n"
    "  { name = \"q0\"; bind = ( { exchange = \"mail\"; key = \"a\"; },\n"
    "     { exchange = \"all\"; }, { exchange = \"logs\"; key = \"*.err\"; },\n"
    "     { exchange = \"logs\"; key = \"#\"; } ); },\n"
    "  { name = \"q1\"; bind = ( { exchange = \"mail\"; key = \"a\"; },\n"
    "     { exchange = \"mail\"; key = \"b\"; }, { exchange = \"all\"; },\n"
    "     { exchange = \"all\"; key = \"twice\"; } ); },\n"
    "  { name = \"q2\"; } ); };\n";

static struct exchanges *exchanges;

static void
set_up(void)
{
	conf_set_up();
	load_text(topology);
	ck_assert_msg(conf != NULL, "%s", error_text(0));
	exchanges = exchanges_new(conf);
}

static void
tear_down(void)
{
	exchanges_free(exchanges);
	conf_tear_down();
}

/* "012": the queues, in any order. */
static const char *
routed(const char *exchange, const char *key)
{
	static char text[8];
	size_t queue[3], at = 0;
	bool got[3] = { false };
	struct why why;
	int n = exchanges_route(exchanges, msg_text(exchange), msg_text(key),
	    queue, &why);

	if (n == -1)
		return "no exchange";
	for (int i = 0; i < n; i++) {
		ck_assert_uint_lt(queue[i], 3);
		ck_assert_msg(!got[queue[i]], "q%zu twice", queue[i]);
		got[queue[i]] = true;
	}
	for (size_t i = 0; i < 3; i++)
		if (got[i])
			text[at++] = (char)('0' + i);
	text[at] = '\0';
	return text;
}

static int
bind(const char *queue, const char *exchange, const char *key, bool on)
{
	struct why why;

	return exchanges_bind(exchanges, msg_text(queue), msg_text(exchange),
	    msg_text(key), on, &why);
}

START_TEST(each_type_routes_its_way)
{
	ck_assert_str_eq(routed("mail", "a"), "01");
	ck_assert_str_eq(routed("mail", "b"), "1");
	ck_assert_str_eq(routed("mail", "c"), "");
	ck_assert_str_eq(routed("mail", ""), "");
	ck_assert_str_eq(routed("all", "whatever"), "01");
	ck_assert_str_eq(routed("logs", "disk.err"), "0");
	ck_assert_str_eq(routed("logs", ""), "0");
	ck_assert_str_eq(routed("", "q2"), "2");
	ck_assert_str_eq(routed("", "q3"), "");
	ck_assert_str_eq(routed("", ""), "");
	ck_assert_str_eq(routed("nowhere", "a"), "no exchange");
}
END_TEST

START_TEST(handlers_bind_and_unbind)
{
	ck_assert_int_eq(bind("q2", "mail", "new", true), 1);
	ck_assert_str_eq(routed("mail", "new"), "2");
	ck_assert_int_eq(bind("q2", "mail", "new", true), 0);
	ck_assert_int_eq(bind("q1", "mail", "new", true), 1);
	ck_assert_str_eq(routed("mail", "new"), "12");
	ck_assert_int_eq(bind("q2", "mail", "new", false), 1);
	ck_assert_str_eq(routed("mail", "new"), "1");
	ck_assert_int_eq(bind("q2", "mail", "new", false), 0);
	ck_assert_int_eq(bind("q1", "mail", "new", false), 1);
	ck_assert_str_eq(routed("mail", "new"), "");
	ck_assert_int_eq(bind("q2", "logs", "#.x", true), 1);
	ck_assert_str_eq(routed("logs", "a.x"), "02");
	ck_assert_int_eq(bind("q2", "all", "", true), 1);
	ck_assert_str_eq(routed("all", "k"), "012");
}
END_TEST

START_TEST(a_decision_outweighs_the_config)
{
	/* decided for the first time, though it was bound: to be stored */
	ck_assert_int_eq(bind("q0", "mail", "a", true), 1);
	ck_assert_int_eq(bind("q0", "mail", "a", true), 0);
	ck_assert_int_eq(bind("q0", "mail", "a", false), 1);
	ck_assert_str_eq(routed("mail", "a"), "1");
	ck_assert_int_eq(bind("q0", "mail", "a", false), 0);
	ck_assert_int_eq(bind("q0", "mail", "a", true), 1);
	ck_assert_str_eq(routed("mail", "a"), "01");
}
END_TEST

/* As after a call that has failed behind its brood_bind(). */
START_TEST(what_was_said_is_taken_back)
{
	static const struct {
		const char *queue, *key;
		bool on, again;
		const char *routed;
	} rows[] = {
		{ "q0", "a", true, true, "01" },
		{ "q0", "a", false, true, "01" },
		{ "q0", "new", true, true, "" },
		{ "q0", "a", true, false, "01" },
		{ "q0", "a", false, true, "01" },
		{ "q0", "a", false, false, "1" },
		{ "q0", "a", true, true, "1" },
		{ "q2", "new", true, false, "2" },
		{ "q2", "new", false, true, "2" },
	};
	enum exchange_said was;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct msg_bytes queue = msg_text(rows[i].queue),
				 exchange = msg_text("mail"),
				 key = msg_text(rows[i].key);

		was = exchanges_said(exchanges, queue, exchange, key);
		ck_assert_int_eq(bind(rows[i].queue, "mail", rows[i].key,
				     rows[i].on),
		    1);
		if (rows[i].again)
			exchanges_unsay(exchanges, queue, exchange, key, was);
		ck_assert_str_eq(routed("mail", rows[i].key), rows[i].routed);
	}
	/* those in the config are not counted, nor what was taken back */
	ck_assert_uint_eq(exchanges_bound(exchanges), 1);
	ck_assert_int_eq(exchanges_said(exchanges, msg_text("q9"),
			     msg_text("mail"), msg_text("a")),
	    EXCHANGE_UNSAID);
}
END_TEST

START_TEST(what_is_not_there_is_not_bound)
{
	struct why why;

	ck_assert_int_eq(bind("q9", "mail", "a", true), -1);
	ck_assert_int_eq(bind("q0", "post", "a", true), -1);
	ck_assert_int_eq(exchanges_bind(exchanges, msg_text("q0"), msg_text(""),
			     msg_text("a"), true, &why),
	    -1);
	ck_assert_str_eq(why.text,
	    "the default exchange has no bindings: it leads to every queue by "
	    "its name");
	ck_assert_int_eq(exchanges_bind(exchanges, msg_text("q9"),
			     msg_text("mail"), msg_text("a"), false, &why),
	    -1);
	ck_assert_str_eq(why.text, "there is no queue 'q9'");
}
END_TEST

/* A set of bindings as three bools, many random changes long. */
START_TEST(many_changes_against_a_model)
{
	static const char *const names[] = { "q0", "q1", "q2" };
	bool on[3][100] = { { false } };
	uint64_t state = 7;
	char key[8], expected[8];
	size_t at;

	for (int round = 0; round < 20000; round++) {
		size_t queue = next_random(&state) % 3;
		size_t n = next_random(&state) % 100;
		bool want = next_random(&state) % 2 != 0;

		snprintf(key, sizeof(key), "k%zu", n);
		ck_assert_int_eq(bind(names[queue], "mail", key, want),
		    on[queue][n] != want);
		on[queue][n] = want;
		at = 0;
		for (size_t i = 0; i < 3; i++)
			if (on[i][n])
				expected[at++] = (char)('0' + i);
		expected[at] = '\0';
		ck_assert_str_eq(routed("mail", key), expected);
	}
}
END_TEST

static void
count_binding(void *ctx, const char *queue, const char *exchange,
    const char *key, bool configured)
{
	int *n = ctx;

	n[configured]++;
	ck_assert_str_ne(queue, "");
	ck_assert_str_ne(exchange, "");
	ck_assert_ptr_nonnull(key);
}

START_TEST(each_binding_is_shown)
{
	int n[2] = { 0, 0 };

	bind("q2", "mail", "x", true);
	bind("q2", "mail", "y", true);
	bind("q2", "mail", "y", false);
	bind("q0", "mail", "a", false);
	exchanges_each(exchanges, count_binding, n);
	ck_assert_int_eq(n[false], 1);
	ck_assert_int_eq(n[true], 7);
}
END_TEST

/* --------------------------------------------------------------- the check */

START_TEST(the_check_finds_what_leads_nowhere)
{
	struct conf_errors found = { 0 };

	load_text("amqp = { exchanges = ( { name = \"amq.mine\"; },\n"
		  "  { name = \"emails\"; } );\n"
		  " queues = ( { name = \"amq.q\"; },\n"
		  "  { name = \"q\"; bind = ( { exchange = \"email\"; } );\n"
		  "    dead_letter_exchange = \"grave\"; } ); };\n");
	ck_assert_msg(conf != NULL, "%s", error_text(0));
	exchanges_check(conf, &found);
	ck_assert_uint_eq(found.n, 4);
	ck_assert_ptr_nonnull(strstr(found.v[0], "names that begin with amq."));
	ck_assert_ptr_nonnull(strstr(found.v[1], "queue 'amq.q'"));
	ck_assert_ptr_nonnull(strstr(found.v[2], "did you mean 'emails'?"));
	ck_assert_ptr_nonnull(strstr(found.v[3], "'grave' is not in"));
	conf_errors_release(&found);
}
END_TEST

START_TEST(the_check_likes_what_is_right)
{
	struct conf_errors found = { 0 };

	exchanges_check(conf, &found);
	ck_assert_uint_eq(found.n, 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("hub_exchange");
	TCase *topics = tcase_create("topics");
	TCase *routes = tcase_create("routes");
	TCase *checks = tcase_create("checks");

	tcase_add_test(topics, topics_of_the_manual);
	tcase_add_test(topics, short_patterns_fit_as_the_model_says);
	tcase_add_loop_test(topics, long_patterns_fit_as_the_model_says, 0, 4);
	tcase_set_timeout(topics, 120);
	tcase_add_checked_fixture(routes, set_up, tear_down);
	tcase_add_test(routes, each_type_routes_its_way);
	tcase_add_test(routes, handlers_bind_and_unbind);
	tcase_add_test(routes, a_decision_outweighs_the_config);
	tcase_add_test(routes, what_was_said_is_taken_back);
	tcase_add_test(routes, what_is_not_there_is_not_bound);
	tcase_add_test(routes, many_changes_against_a_model);
	tcase_add_test(routes, each_binding_is_shown);
	tcase_add_test(routes, the_check_likes_what_is_right);
	tcase_set_timeout(routes, 120);
	suite_add_tcase(suite, topics);
	suite_add_tcase(suite, routes);
	tcase_add_checked_fixture(checks, conf_set_up, conf_tear_down);
	tcase_add_test(checks, the_check_finds_what_leads_nowhere);
	suite_add_tcase(suite, checks);
	return run_suite(suite);
}
