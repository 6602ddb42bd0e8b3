/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * why - writes the sentence for the person who waits.
 *
 * Called by whatever takes a `struct why *`, mostly as the last thing before it
 * returns -1, so errno is left as it was: the caller may look at both. "%m"
 * in the format means that errno. Allocates nothing.
 */
#include "base/why.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int
why_set(struct why *why, const char *format, ...)
{
	int saved = errno;
	va_list ap;

	if (why == NULL)
		return -1;
	va_start(ap, format);
	vsnprintf(why->text, sizeof(why->text), format, ap);
	va_end(ap);
	errno = saved;
	return -1;
}
