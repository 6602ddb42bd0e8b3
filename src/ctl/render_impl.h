/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * render_impl - what render*.c share; nobody else includes it.
 */
#ifndef CTL_RENDER_IMPL_H
#define CTL_RENDER_IMPL_H

#include <jansson.h>
#include <stdbool.h>

#include "ctl/format.h"

#define CELL 512 /* bytes of a cell or a sentence that is put together */

/* A number, or false. */
bool render_get(const json_t *object, const char *key, double *value);

/* A text, or NULL. */
const char *render_text(const json_t *object, const char *key);

/* A text or a whole number as text, cut to fit; `otherwise` for anything else.
 * In buf, cleaned. */
const char *render_show(const json_t *object, const char *key,
    const char *otherwise, char buf[CELL]);

typedef const char *format_fn(double value, char *buf);

/* A number in its unit; `otherwise` for anything else. */
const char *render_show_as(const json_t *object, const char *key,
    format_fn *format, const char *otherwise, char buf[CELL]);

/* A table of `list`: a column for each member. `format` NULL: as it is. */
struct render_column {
	const char *title;
	bool right;
	const char *key;
	format_fn *format;
	const char *otherwise;
};
#define RENDER_COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* Returns the number of rows. */
size_t render_table(const json_t *list, const struct render_column *column,
    size_t columns, FILE *out);
/* The same, with an empty line above when there are any. */
void render_table_below(const json_t *list, const struct render_column *column,
    size_t columns, FILE *out);

/* Sets a member that a table shall show; nothing on what is no object. */
void render_set(json_t *object, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
