/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cruncher - finds the e-mail addresses in a text: the demo service.
 *
 * The handler `upload` takes a text, or with the content type JSON an object
 * with the text in its member "text", and replies with the distinct addresses
 * in it, sorted by their bytes:
 *
 *   {"addresses":["alice@example.com","bob@example.org"],"count":2}
 *
 * They are exactly those of
 *
 *   grep -aoE '[a-zA-Z0-9_.+-]+@[a-zA-Z0-9-]+\.[a-zA-Z0-9.-]+' |
 *       LC_ALL=C sort -u
 *
 * The time is linear in the length of the text, whatever the text.
 */
#define PCRE2_CODE_UNIT_WIDTH 8

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "brood.h"

/*
 * The same expression, for one pass over the text. No class contains the
 * character that has to follow its run, so giving back could never help (++),
 * and where no @ follows, beginning again within the run could not either: the
 * next attempt is behind it (*SKIP).
 */
static const char address_regex[] =
    "[a-zA-Z0-9_.+-]++(*SKIP)@[a-zA-Z0-9-]++\\.[a-zA-Z0-9.-]++";

/* No text comes near it; it bounds what a mistake above could cost. */
#define MATCH_LIMIT 1000000

struct address {
	const char *text; /* in the call's body, not terminated */
	size_t len;
};

struct found {
	struct address *v;
	size_t n, size;
};

static pcre2_code *regex;
static pcre2_match_context *limits;
static pcre2_match_data *match;

static int
found_add(struct found *found, const char *text, size_t len)
{
	size_t size = found->size > 0 ? 2 * found->size : 64;
	struct address *v;

	if (found->n == found->size) {
		v = reallocarray(found->v, size, sizeof(*v));
		if (v == NULL)
			return -1;
		found->v = v;
		found->size = size;
	}
	found->v[found->n++] = (struct address){ text, len };
	return 0;
}

static int
address_compare(const void *one, const void *other)
{
	const struct address *a = one, *b = other;
	int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);

	if (order != 0)
		return order;
	return (a->len > b->len) - (a->len < b->len);
}

/* All addresses, in the order of the text. 0, or -1 after a line in the log. */
static int
find_addresses(struct found *found, const char *text, size_t len)
{
	const PCRE2_SIZE *range = pcre2_get_ovector_pointer(match);
	PCRE2_SIZE at = 0;
	int rc;

	for (;;) {
		rc = pcre2_match(regex, (PCRE2_SPTR)text, len, at, 0, match,
		    limits);
		if (rc == PCRE2_ERROR_NOMATCH)
			return 0;
		if (rc < 0) {
			brood_log(BROOD_ERROR, "PCRE2 gave up: error %d", rc);
			return -1;
		}
		if (found_add(found, text + range[0], range[1] - range[0]) ==
		    -1) {
			brood_log(BROOD_ERROR, "no memory for %zu addresses",
			    found->n);
			return -1;
		}
		at = range[1];
	}
}

/* NULL when there is no memory. */
static json_t *
reply_with(struct found *found)
{
	json_t *addresses = json_array();
	const struct address *a, *last = NULL;
	size_t i;

	if (found->n > 0)
		qsort(found->v, found->n, sizeof(*found->v), address_compare);
	for (i = 0; i < found->n; i++) {
		a = &found->v[i];
		if (last == NULL || address_compare(last, a) != 0)
			json_array_append_new(addresses,
			    json_stringn_nocheck(a->text, a->len));
		last = a;
	}
	return json_pack("{s:o,s:I}", "addresses", addresses, "count",
	    (json_int_t)json_array_size(addresses));
}

/* "application/json; charset=utf-8", "application/problem+json" … */
static bool
type_is_json(const char *type)
{
	size_t len;

	if (type == NULL)
		return false;
	len = strcspn(type, "; \t");
	if (len == strlen("application/json"))
		return strncasecmp(type, "application/json", len) == 0;
	return len > 5 && strncasecmp(type + len - 5, "+json", 5) == 0;
}

/* The text of the call, or NULL when it has none. */
static const char *
text_of(struct brood_call *call, size_t *len)
{
	const json_t *text;

	if (!type_is_json(brood_call_header(call, "Content-Type")))
		return brood_call_body(call, len);
	text = json_object_get(brood_call_json(call), "text");
	*len = json_string_length(text);
	return json_string_value(text);
}

static enum brood_outcome
upload(struct brood_call *call)
{
	struct found found = { 0 };
	json_t *reply = NULL;
	const char *text;
	size_t len;

	text = text_of(call, &len);
	if (text == NULL && brood_call_json(call) == NULL)
		return BROOD_REJECT;
	if (text == NULL)
		return brood_reject(call, 422,
		    "the member \"text\" is missing or no string");
	if (find_addresses(&found, text, len) == 0)
		reply = reply_with(&found);
	free(found.v);
	if (reply == NULL)
		return brood_retry(call, 0, "the text cannot be searched");
	return brood_reply(call, 200, reply);
}

static int
start(const json_t *settings, char why[BROOD_WHY_SIZE])
{
	PCRE2_UCHAR text[128];
	PCRE2_SIZE offset;
	int error;

	(void)settings;
	/* Its searches for a start are no faster here, and look some bytes
	 * beyond the text, which valgrind reports. */
	regex = pcre2_compile((PCRE2_SPTR)address_regex, PCRE2_ZERO_TERMINATED,
	    PCRE2_NO_START_OPTIMIZE, &error, &offset, NULL);
	if (regex == NULL) {
		pcre2_get_error_message(error, text, sizeof(text));
		snprintf(why, BROOD_WHY_SIZE, "PCRE2: %s", (char *)text);
		return -1;
	}
	/* Where no memory may be executable it is interpreted, more slowly. */
	error = pcre2_jit_compile(regex, PCRE2_JIT_COMPLETE);
	if (error != 0)
		brood_log(BROOD_INFO, "PCRE2 without JIT: error %d", error);
	match = pcre2_match_data_create(1, NULL);
	limits = pcre2_match_context_create(NULL);
	if (match == NULL || limits == NULL) {
		snprintf(why, BROOD_WHY_SIZE, "no memory");
		return -1;
	}
	pcre2_set_match_limit(limits, MATCH_LIMIT);
	return 0;
}

static void
stop(void)
{
	pcre2_match_context_free(limits);
	pcre2_match_data_free(match);
	pcre2_code_free(regex);
}

static const struct brood_handler handlers[] = {
	{ "upload", upload, "finds the e-mail addresses in a text" },
	{ 0 },
};

const struct brood_module brood_module = {
	.abi = BROOD_MODULE_ABI,
	.name = "cruncher",
	.start = start,
	.stop = stop,
	.handlers = handlers,
};
