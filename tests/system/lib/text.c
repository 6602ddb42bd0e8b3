/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * text - files and strings, as tests need them.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text.h"

char *
text_read(const char *path, size_t *len)
{
	size_t used = 0, size = 4096;
	char *text;
	FILE *in = fopen(path, "re");

	if (in == NULL)
		return NULL;
	text = malloc(size);
	for (;;) {
		used += fread(text + used, 1, size - used - 1, in);
		if (used < size - 1)
			break;
		text = realloc(text, size *= 2);
	}
	fclose(in);
	text[used] = '\0';
	if (len != NULL)
		*len = used;
	return text;
}

void
text_write(const char *path, const char *text)
{
	char *next = text_format("%s.new", path);
	FILE *out = fopen(next, "we");

	ck_assert_msg(out != NULL, "%s: %s", next, strerror(errno));
	ck_assert_int_ge(fputs(text, out), 0);
	ck_assert_int_eq(fclose(out), 0);
	ck_assert_int_eq(rename(next, path), 0);
	free(next);
}

void
text_make_dir(const char *path)
{
	ck_assert_msg(mkdir(path, 0755) == 0, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(chmod(path, 0755), 0);
}

void
text_copy(const char *from, const char *to)
{
	char bytes[65536], *next = text_format("%s.new", to);
	ssize_t n;
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	ck_assert_msg(in != -1, "%s: %s", from, strerror(errno));
	ck_assert_msg(out != -1, "%s: %s", next, strerror(errno));
	while ((n = read(in, bytes, sizeof(bytes))) > 0)
		ck_assert_int_eq(write(out, bytes, (size_t)n), n);
	ck_assert_int_eq(n, 0);
	fchmod(out, 0755);
	close(in);
	close(out);
	ck_assert_int_eq(rename(next, to), 0);
	free(next);
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	remove(path);
	return 0;
}

void
text_remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

bool
text_has(const char *text, const char *part)
{
	return text != NULL && strstr(text, part) != NULL;
}

size_t
text_count(const char *text, const char *part)
{
	size_t n = 0;

	while (text != NULL && (text = strstr(text, part)) != NULL) {
		text += strlen(part);
		n++;
	}
	return n;
}

bool
text_matches(const char *text, const char *pattern)
{
	regex_t regex;
	bool matches;

	ck_assert_int_eq(regcomp(&regex, pattern,
			     REG_EXTENDED | REG_NOSUB | REG_NEWLINE),
	    0);
	matches = text != NULL && regexec(&regex, text, 0, NULL, 0) == 0;
	regfree(&regex);
	return matches;
}

char *
text_repeat(char c, size_t n)
{
	char *text = malloc(n + 1);

	memset(text, c, n);
	text[n] = '\0';
	return text;
}

char *
text_format(const char *format, ...)
{
	va_list ap;
	char *text;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) == -1)
		abort();
	va_end(ap);
	return text;
}

void
text_require(const char *what, const char *text, const char *part)
{
	ck_assert_msg(text_has(text, part), "%s: no \"%s\" in: %s", what, part,
	    text != NULL ? text : "(nothing)");
}
