/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * format - figures and texts as a person reads them in a table.
 *
 * Called by render. Takes any number, the absurd ones included, since the
 * figures come from a socket; allocates only the cells of a table.
 */
#include "ctl/format.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define FORMAT_MOST 1e15 /* what a figure is cut to, so that it fits */

/* Within [0, FORMAT_MOST]; not a number becomes 0. */
static double
format_tame(double value)
{
	if (!(value > 0))
		return 0;
	return value < FORMAT_MOST ? value : FORMAT_MOST;
}

const char *
format_age(double seconds, char *buf)
{
	uint64_t s;

	seconds = format_tame(seconds);
	s = (uint64_t)(seconds + 0.05);
	if (seconds < 9.95)
		snprintf(buf, FORMAT_SIZE, "%.1fs", seconds);
	else if (s < 60)
		snprintf(buf, FORMAT_SIZE, "%ds", (int)s);
	else if (s < 3600)
		snprintf(buf, FORMAT_SIZE, "%dm%02ds", (int)(s / 60),
		    (int)(s % 60));
	else if (s < 86400)
		snprintf(buf, FORMAT_SIZE, "%dh%02dm", (int)(s / 3600),
		    (int)(s / 60 % 60));
	else
		snprintf(buf, FORMAT_SIZE, "%llud%02dh",
		    (unsigned long long)(s / 86400), (int)(s / 3600 % 24));
	return buf;
}

const char *
format_bytes(double bytes, char *buf)
{
	static const char unit[] = "BKMGTP";
	size_t i = 0;

	bytes = format_tame(bytes);
	while (bytes >= 1024 && unit[i + 1] != '\0') {
		bytes /= 1024;
		i++;
	}
	snprintf(buf, FORMAT_SIZE, "%.*f%c", i > 0 && bytes < 9.95, bytes,
	    unit[i]);
	return buf;
}

const char *
format_us(double us, char *buf)
{
	us = format_tame(us);
	if (us < 1000)
		snprintf(buf, FORMAT_SIZE, "%.0fus", us);
	else if (us < 1e6)
		snprintf(buf, FORMAT_SIZE, "%.*fms", us < 9950, us / 1e3);
	else
		snprintf(buf, FORMAT_SIZE, "%.*fs", us < 9.95e6, us / 1e6);
	return buf;
}

const char *
format_rate(double rate, char *buf)
{
	rate = format_tame(rate);
	snprintf(buf, FORMAT_SIZE, "%.*f/s", rate >= 0.05 && rate < 9.95, rate);
	return buf;
}

char *
format_clean(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++) {
		if (*p < 0x20 || *p == 0x7f)
			*p = '?';
		/* U+0080 to U+009F: C1, which terminals obey as well */
		if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
			p[0] = p[1] = '?';
	}
	return text;
}

size_t
format_width(const char *text)
{
	size_t width = 0;

	for (; *text != '\0'; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

void
table_init(struct table *table, const struct table_column *column,
    size_t columns)
{
	*table = (struct table){ .column = column, .columns = columns };
}

void
table_release(struct table *table)
{
	for (size_t i = 0; i < table->cells; i++)
		free(table->cell[i]);
	free(table->cell);
	table_init(table, table->column, table->columns);
}

void
table_add(struct table *table, const char *format, ...)
{
	char *text;
	va_list ap;

	va_start(ap, format);
	text = mem_vprintf(format, ap);
	va_end(ap);
	/* A power of two is when the memory is full. */
	if ((table->cells & (table->cells - 1)) == 0)
		table->cell = mem_grow(table->cell,
		    table->cells > 0 ? table->cells * 2 : 1,
		    sizeof(*table->cell));
	table->cell[table->cells++] = format_clean(text);
}

/* Blanks are held back until something follows: no line ends in them. */
static void
table_print_cell(const char *text, size_t width, bool right, size_t *blanks,
    FILE *out)
{
	size_t pad = width - format_width(text);

	if (right)
		*blanks += pad;
	if (*text != '\0') {
		fprintf(out, "%*s%s", (int)*blanks, "", text);
		*blanks = 0;
	}
	*blanks += right ? 2 : pad + 2;
}

void
table_print(const struct table *table, FILE *out)
{
	size_t rows = table->cells / table->columns;
	size_t *width = mem_array(table->columns, sizeof(*width));
	size_t blanks, w;

	for (size_t i = 0; i < rows * table->columns; i++) {
		w = format_width(table->cell[i]);
		if (w > width[i % table->columns])
			width[i % table->columns] = w;
	}
	/* Row 0 is the titles; a column that stayed empty has width 0. */
	for (size_t row = 0; row <= rows; row++) {
		blanks = 0;
		for (size_t c = 0; c < table->columns; c++) {
			if (width[c] == 0)
				continue;
			w = format_width(table->column[c].title);
			if (w > width[c])
				width[c] = w;
			table_print_cell(row == 0 ?
				table->column[c].title :
				table->cell[(row - 1) * table->columns + c],
			    width[c], table->column[c].right, &blanks, out);
		}
		fputc('\n', out);
	}
	free(width);
}
