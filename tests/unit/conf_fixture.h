/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_fixture - configs for tests: files in a folder of the test's own, what
 * conf_load() makes of them, and its errors with that folder taken out.
 *
 * A test case uses conf_set_up and conf_tear_down as its fixture.
 */
#ifndef TESTS_UNIT_CONF_FIXTURE_H
#define TESTS_UNIT_CONF_FIXTURE_H

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/conf.h"
#include "run_suite.h"

static char dir[64];
static struct conf *conf;
static struct conf_errors errors;

static void
conf_set_up(void)
{
	snprintf(dir, sizeof(dir), "/tmp/test_conf.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	conf = NULL;
}

static int
conf_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void
conf_tear_down(void)
{
	conf_free(conf);
	conf_errors_release(&errors);
	ck_assert_int_eq(nftw(dir, conf_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* Its path stays good until the next call. */
static const char *
put_file(const char *name, const char *text)
{
	static char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
	return path;
}

/* An earlier result is freed first. */
static struct conf *
load_text(const char *text)
{
	conf_free(conf);
	conf_errors_release(&errors);
	conf = conf_load(put_file("brood.conf", text), &errors);
	ck_assert_int_eq(conf == NULL, errors.n > 0);
	return conf;
}

/* Of the i-th error, "brood.conf:1: …"; NULL if there are fewer. */
static inline const char *
error_text(size_t i)
{
	static char text[2048];
	const char *from, *at;
	size_t len = strlen(dir) + 1, n = 0;

	if (i >= errors.n)
		return NULL;
	for (from = errors.v[i]; *from != '\0' && n < sizeof(text) - 1;) {
		at = from;
		if (strncmp(at, dir, len - 1) == 0 && at[len - 1] == '/')
			from += len;
		else
			text[n++] = *from++;
	}
	text[n] = '\0';
	return text;
}

/* Exactly one error, and this one. */
static inline void
expect_error(const char *text, const char *error)
{
	load_text(text);
	ck_assert_msg(errors.n > 0, "no error for: %s", text);
	ck_assert_str_eq(error_text(0), error);
	ck_assert_msg(errors.n == 1, "also: %s", error_text(1));
}

#endif
