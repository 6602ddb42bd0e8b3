/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * find - the e-mail addresses in a text, with PCRE2.
 *
 * Called by crunch.c. Pure but for what PCRE2 is compiled to, once in a child.
 */
#define PCRE2_CODE_UNIT_WIDTH 8

#include "modules/cruncher/find.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	const char *text; /* in the text, not terminated */
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
find_all(struct found *found, const char *text, size_t len)
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

static json_t *
found_distinct(struct found *found)
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
	return addresses;
}

json_t *
find_addresses(const char *text, size_t len)
{
	struct found found = { 0 };
	json_t *addresses = NULL;

	if (find_all(&found, text, len) == 0)
		addresses = found_distinct(&found);
	free(found.v);
	return addresses;
}

int
find_start(char why[BROOD_WHY_SIZE])
{
	PCRE2_UCHAR text[128];
	PCRE2_SIZE offset;
	int error;

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

void
find_stop(void)
{
	pcre2_match_context_free(limits);
	pcre2_match_data_free(match);
	pcre2_code_free(regex);
}
