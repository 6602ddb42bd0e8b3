/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * format - figures and texts as a person reads them in a table.
 *
 * All are pure. The buffers are FORMAT_SIZE bytes, and are returned.
 */
#ifndef CTL_FORMAT_H
#define CTL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define FORMAT_SIZE 32

/* Seconds: "0.4s", "12s", "3m05s", "4h12m", "3d04h". */
const char *format_age(double seconds, char *buf);
/* "812B", "3.1M", "1.2G", by powers of 1024. */
const char *format_bytes(double bytes, char *buf);
/* Microseconds: "87us", "1.2ms", "3.4s". */
const char *format_us(double us, char *buf);

/* Times a second: "0/s", "0.3/s", "1200/s". */
const char *format_rate(double rate, char *buf);

/* Makes every control character a "?", for what others wrote would otherwise
 * steer the operator's terminal. `text` is UTF-8. Returns it. */
char *format_clean(char *text);

/* How many columns a UTF-8 text takes, one for each character. */
size_t format_width(const char *text);

/*
 * A table: columns with a title, rows of cells. A column in which no row has
 * anything is left out.
 */
struct table_column {
	const char *title;
	bool right;		/* figures */
};

struct table {
	const struct table_column *column;
	size_t columns;
	char **cell;		/* row by row */
	size_t cells;
};

void table_init(struct table *table, const struct table_column *column,
    size_t columns);
void table_release(struct table *table);
/* The next cell, from the left, row by row; cleaned. */
void table_add(struct table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Two spaces between columns, none at the end of a line. */
void table_print(const struct table *table, FILE *out);

#endif
