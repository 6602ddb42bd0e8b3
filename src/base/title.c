/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * title - the name of this process in ps(1) and top(1).
 *
 * The kernel shows the memory where argv was laid out at exec; environ follows
 * it without a gap. Both are claimed once, so that a title longer than the
 * original command line still fits.
 */
#include "base/title.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/mem.h"

static char *title_area;
static size_t title_size;
/* Reachable for leak checkers: environ points into it. */
static char **title_environ;

void
title_init(int argc, char **argv)
{
	if (argc < 1)
		return;
	char *end = argv[0];
	for (int i = 0; i < argc; i++)
		if (argv[i] == end)
			end += strlen(argv[i]) + 1;
	size_t n = 0;
	while (environ && environ[n])
		n++;
	title_environ = mem_array(n + 1, sizeof *title_environ);
	for (size_t i = 0; i < n; i++) {
		if (environ[i] == end)
			end += strlen(environ[i]) + 1;
		title_environ[i] = mem_strdup(environ[i]);
	}
	environ = title_environ;
	title_area = argv[0];
	title_size = (size_t)(end - argv[0]);
}

void
title_set(const char *format, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	prctl(PR_SET_NAME, text);
	if (title_size < 2)
		return;
	memset(title_area, 0, title_size);
	mem_copy_string(title_area, title_size, text);
}
