/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_nearest - the name that somebody probably meant.
 *
 * Edit distance with transpositions (optimal string alignment), case ignored,
 * over short names only. Used for config keys, commands, modules and handlers;
 * apart from the rest of conf so that a program can have it without libconfig.
 * Pure; allocates nothing.
 */
#include "core/conf.h"

#include <ctype.h>
#include <string.h>

#define WORD_MAX 64

static unsigned
min3(unsigned a, unsigned b, unsigned c)
{
	unsigned least = a < b ? a : b;

	return least < c ? least : c;
}

static bool
same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Of words of at most WORD_MAX characters. */
static unsigned
distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned rows[3][WORD_MAX + 1];
	unsigned *before = rows[0], *above = rows[1], *here = rows[2], *spare;

	for (size_t j = 0; j <= b_len; j++)
		above[j] = (unsigned)j;
	memcpy(before, above, sizeof(rows[0]));
	for (size_t i = 1; i <= a_len; i++) {
		here[0] = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned differ = !same(a[i - 1], b[j - 1]);

			here[j] = min3(above[j] + 1, here[j - 1] + 1,
			    above[j - 1] + differ);
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) &&
			    same(a[i - 2], b[j - 1]) &&
			    before[j - 2] + 1 < here[j])
				here[j] = before[j - 2] + 1;
		}
		spare = before;
		before = above;
		above = here;
		here = spare;
	}
	return above[b_len];
}

const char *
conf_nearest(const char *word, const char *const *names, size_t n)
{
	size_t word_len = strlen(word);
	/* one slip in a short word, one more for each four characters */
	unsigned least = 2 + (unsigned)(word_len / 4), d;
	const char *nearest = NULL;

	if (word_len == 0 || word_len > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(names[i]);

		if (len > WORD_MAX)
			continue;
		d = distance(word, word_len, names[i], len);
		/* nothing in common is no resemblance, however short */
		if (d < least && d < len && d < word_len) {
			least = d;
			nearest = names[i];
		}
	}
	return nearest;
}
