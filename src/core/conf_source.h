/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_source - the config's text, made safe for libconfig; for conf_load.c
 * alone.
 *
 * libconfig 1.5 reads 4294967296 as 0 and 0660 as 660, takes an unterminated
 * comment for the end of the file, says nothing but "syntax error" about 30s,
 * and ends the process when asked to include a folder. So the text goes through
 * here first: @include files are put in place, whole numbers are checked and
 * marked as 64 bits, and what a reader of characters can explain is explained.
 */
#ifndef CORE_CONF_SOURCE_H
#define CORE_CONF_SOURCE_H

#include "base/buf.h"
#include "core/conf_table.h"

struct conf_source {
	struct buf text;
	struct conf_place *line;	/* of each line of the text */
	size_t lines;
	struct conf_strings files;	/* what the places point into */
};

/*
 * Reads `file` and what it includes; a relative @include is taken from
 * `folder`. 0, or -1 with at least one error added; source is to be released
 * either way.
 */
int conf_source_read(struct conf_source *source, const char *file,
    const char *folder, struct conf_errors *errors);
void conf_source_release(struct conf_source *source);

/* Where line n (from 1) of the text came from. */
const struct conf_place *conf_source_place(const struct conf_source *source,
    unsigned n);

#endif
